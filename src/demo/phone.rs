//! A softphone for the demonstration: our own SIP endpoint from the other side of the wire, real UDP, real RTP.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use smol::Async;
use smol::future::FutureExt;

use crate::base::{Cause, Codec, Instant, Redacted};
use crate::demo::talk::Talk;
use crate::edge::clock::Clock;
use crate::proto::sdp;
use crate::proto::sip::{
    ClientRegistration, Credentials, Endpoint, EndpointConfig, Event, Invite, Path, RegistrationId, SessionId,
    Transport,
};

const FRAME: Duration = Duration::from_millis(20);

/// A phone with one line.
pub(super) struct Phone {
    clock: Clock,
    endpoint: Endpoint,
    sip: Async<UdpSocket>,
    server: SocketAddr,
    local: SocketAddr,
    codecs: Vec<Codec>,
    rtp: Async<UdpSocket>,
    session_id: u64,
    /// The conversation, from the moment its stream is agreed.
    pub talk: Option<Talk>,
    offer: Option<sdp::Local>,
    next_frame: Instant,
    seed: u64,
}

impl Phone {
    /// A phone at `local` (an address; ports are free ones) that reaches the appliance at `server` and says the
    /// reference signal `seed`.
    pub fn new(clock: Clock, local: SocketAddr, server: SocketAddr, codecs: Vec<Codec>, seed: u64) -> io::Result<Self> {
        let sip = Async::<UdpSocket>::bind(local)?;
        let rtp = Async::<UdpSocket>::bind((local.ip(), 0))?;
        let local = sip.get_ref().local_addr()?;
        let config = EndpointConfig {
            realm: "phone".into(),
            user_agent: "Cordboard demo phone".into(),
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ u64::from(local.port())
                ^ clock.now().wall.0.unsigned_abs(),
            sessions_max: 8,
            bindings_max: 1,
        };
        let endpoint = Endpoint::new(config);
        let next_frame = clock.mono();
        Ok(Self {
            clock,
            endpoint,
            sip,
            server,
            local,
            codecs,
            rtp,
            session_id: seed,
            talk: None,
            offer: None,
            next_frame,
            seed,
        })
    }

    fn path(&self) -> Path {
        Path::new(Transport::Udp, self.local, self.server)
    }

    /// Registers as `user`; [`Event::ClientRegistration`] follows.
    pub fn register(&mut self, user: &str, password: &str) -> RegistrationId {
        let registration = ClientRegistration {
            path: self.path(),
            registrar_uri: format!("sip:{}", self.server),
            routes: Vec::new(),
            aor_user: user.to_owned(),
            domain: self.server.ip().to_string(),
            credentials: Credentials { user: user.to_owned(), password: Redacted::new(password.to_owned()) },
            expires_s: 300,
        };
        self.endpoint.register(self.clock.now(), registration)
    }

    /// Takes a registration back.
    pub fn unregister(&mut self, registration: RegistrationId) {
        self.endpoint.unregister(self.clock.now(), registration);
    }

    /// Calls a number.
    pub fn call(&mut self, from: &str, number: &str) -> Option<SessionId> {
        let local = self.describe()?;
        let invite = Invite {
            path: self.path(),
            request_uri: format!("sip:{number}@{}", self.server),
            from_user: from.to_owned(),
            from_display: None,
            from_host: self.local.ip().to_string(),
            to_uri: format!("sip:{number}@{}", self.server),
            contact_user: from.to_owned(),
            sdp: Some(sdp::offer(&local)),
            credentials: None,
            max_forwards: 70,
            headers: Vec::new(),
        };
        self.offer = Some(local);
        self.endpoint.invite(self.clock.now(), invite)
    }

    fn describe(&mut self) -> Option<sdp::Local> {
        self.session_id += 1;
        Some(sdp::Local {
            address: self.local.ip(),
            port: self.rtp.get_ref().local_addr().ok()?.port(),
            session_id: self.session_id,
            version: 1,
            codecs: self.codecs.clone(),
            comfort_noise: false,
            direction: sdp::Direction::SendRecv,
            security: Default::default(),
        })
    }

    /// Takes the answer to our offer: the conversation begins.
    pub fn concluded(&mut self, body: Option<&Bytes>) {
        let (Some(body), Some(local)) = (body, &self.offer) else { return };
        let agreed = sdp::parse(body).and_then(|remote| sdp::conclude(local, &remote));
        if let (Ok(agreed), true) = (agreed, self.talk.is_none()) {
            self.begin(agreed);
        }
    }

    fn begin(&mut self, agreed: sdp::Agreed) {
        self.next_frame = self.clock.mono();
        self.talk = Some(Talk::new(agreed, self.seed));
    }

    /// Lets it ring.
    pub fn ring(&mut self, session: SessionId) {
        self.endpoint.provisional(self.clock.now(), session, 180, None);
    }

    /// Picks up: answers the offer.
    pub fn pick_up(&mut self, session: SessionId, offer: Option<&Bytes>) {
        let now = self.clock.now();
        let Some(local) = self.describe() else { return };
        let answer = offer.and_then(|o| sdp::parse(o).ok()).and_then(|remote| sdp::answer(&remote, &local).ok());
        match answer {
            Some((body, agreed)) => {
                self.endpoint.accept(now, session, body);
                self.begin(agreed);
            }
            None => self.endpoint.reject(now, session, 488, None, None),
        }
    }

    /// Hangs up.
    pub fn hang_up(&mut self, session: SessionId) {
        self.talk = None;
        self.endpoint.hangup(self.clock.now(), session, Cause::Normal);
    }

    /// The next thing that happens, or `None` at `until`. Keeps the conversation going meanwhile.
    pub async fn next(&mut self, until: Instant) -> io::Result<Option<Event>> {
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.sip.send_to(&transmit.bytes, transmit.path.remote).await?;
            }
            if let Some(event) = self.endpoint.poll_event() {
                return Ok(Some(event));
            }
            let now = self.clock.now();
            if now.mono >= until {
                return Ok(None);
            }
            if self.endpoint.poll_timeout().is_some_and(|due| due <= now.mono) {
                self.endpoint.handle_timeout(now);
                continue;
            }
            self.frames(now.mono).await?;
            self.wait(until).await?;
            self.take().await?;
        }
    }

    async fn wait(&mut self, until: Instant) -> io::Result<()> {
        let frame = self.talk.as_ref().map(|_| self.next_frame);
        let due = [Some(until), frame, self.endpoint.poll_timeout()].into_iter().flatten().min().unwrap_or(until);
        let clock = self.clock;
        let time = async {
            smol::Timer::at(clock.system(due)).await;
            Ok(())
        };
        self.sip.readable().or(self.rtp.readable()).or(time).await
    }

    /// Takes everything that has arrived.
    async fn take(&mut self) -> io::Result<()> {
        let mut buffer = [0u8; 4096];
        while let Ok((n, from)) = self.sip.get_ref().recv_from(&mut buffer) {
            let path = Path { remote: from, ..self.path() };
            let bytes = Bytes::copy_from_slice(buffer.get(..n).unwrap_or(&[]));
            self.endpoint.receive(self.clock.now(), path, bytes);
        }
        while let Ok((n, _)) = self.rtp.get_ref().recv_from(&mut buffer) {
            if let (Some(talk), Some(packet)) = (&mut self.talk, buffer.get(..n)) {
                talk.hear(packet);
            }
        }
        Ok(())
    }

    /// Sends the frames that are due; after a stall it goes on from now.
    async fn frames(&mut self, now: Instant) -> io::Result<()> {
        let Some(talk) = &mut self.talk else { return Ok(()) };
        while self.next_frame <= now {
            self.next_frame += FRAME;
            if now.since(self.next_frame) > FRAME * 10 {
                self.next_frame = now;
            }
            let packet = talk.say();
            self.rtp.send_to(&packet, talk.remote()).await?;
        }
        Ok(())
    }
}
