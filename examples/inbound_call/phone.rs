//! The agent's phone: a SIP endpoint that rings, and answers after three seconds.

use std::net::SocketAddr;

use bytes::Bytes;
use cordboard::base::{Codec, Now};
use cordboard::proto::sdp;
use cordboard::proto::sip::{Endpoint, Event, Path, SessionId, Transport};

use crate::{CORE, endpoint};

const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 3], 5080);

/// An offer that rings.
pub struct Ringing {
    session: SessionId,
    offer: Bytes,
}

pub struct Phone {
    pub endpoint: Endpoint,
}

impl Phone {
    pub fn new() -> Self {
        Self { endpoint: Endpoint::new(endpoint(2)) }
    }

    pub fn receive(&mut self, now: Now, bytes: Bytes) {
        self.endpoint.receive(now, path(ADDRESS.into(), CORE.into()), bytes);
    }

    /// A call that came, now ringing.
    pub fn poll_ringing(&mut self, now: Now) -> Option<Ringing> {
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Incoming(incoming) = event {
                self.endpoint.provisional(now, incoming.session, 180, None);
                return Some(Ringing { session: incoming.session, offer: incoming.sdp.unwrap_or_default() });
            }
        }
        None
    }

    pub fn answer(&mut self, now: Now, call: Ringing) {
        let codecs = Codec::USUAL.to_vec();
        let direction = sdp::Direction::SendRecv;
        let local = sdp::Local {
            address: ADDRESS.0.into(),
            port: 50_000,
            session_id: 1,
            version: 1,
            codecs,
            comfort_noise: false,
            direction,
            security: Default::default(),
        };
        match sdp::parse(&call.offer).and_then(|offer| sdp::answer(&offer, &local)) {
            Ok((answer, _)) => self.endpoint.accept(now, call.session, answer),
            Err(_) => self.endpoint.reject(now, call.session, 488, None, None),
        }
    }
}

/// The way of the phone's messages, as the core sees it.
pub fn path_to_core() -> Path {
    path(CORE.into(), ADDRESS.into())
}

fn path(local: SocketAddr, remote: SocketAddr) -> Path {
    Path::new(Transport::Udp, local, remote)
}
