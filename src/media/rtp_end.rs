//! The end of a port on an RTP socket pair.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::{Codec, Instant};
use crate::core::media::{PortStats, StreamParams};
use crate::dsp::comfort_noise;
use crate::media::crypt::{self, Crypt};
use crate::media::jitter::{Inserted, PAYLOAD_MAX};
use crate::media::latch::{Latch, Peer};
use crate::media::playout::{Played, Playout};
use crate::media::random::Random;
use crate::media::reception::Reception;
use crate::media::reports::Control;
use crate::media::transmission::Transmission;
use crate::media::{FRAME, Octets, Samples, SocketKind, Wire};
use crate::proto::rtp::packet::{self, HEADER_LEN, Header};
use crate::proto::rtp::telephone_event::{EventReceiver, TelephoneEvent};
use crate::proto::sdp::COMFORT_NOISE;

/// Frames of a pause between two packets of comfort noise: 200 ms.
const NOISE_EVERY: u32 = 10;
/// Audio stays off this long after a packet of a passing event that did not end it.
const EVENT_HOLD: Duration = Duration::from_millis(100);
/// Shortest and longest packet time in milliseconds.
const PTIME_MS: (u8, u8) = (10, 60);

/// What a packet was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// Audio, for whoever wants it.
    Audio(Header),
    /// Audio in another codec than the stream's, or comfort noise: not to be relayed as it is.
    Other(Header),
    /// A telephone event; the digit if it is a new one.
    Event(Header, TelephoneEvent, Option<char>),
    /// Nothing to go on with: dropped, or only a sign of life.
    Nothing,
}

/// Whether the peer may send this beside the stream's codec and events. Comfort noise has a static payload type (RFC 3551
/// table 4), which some peers send without a word.
#[cold]
fn is_other(stream: &StreamParams, payload_type: u8) -> bool {
    let noise = stream.comfort_noise.unwrap_or(COMFORT_NOISE);
    payload_type == noise || stream.others.iter().flatten().any(|(other, _)| *other == payload_type)
}

/// State of one RTP leg: its stream in both directions.
#[derive(Debug)]
pub struct RtpEnd {
    pub(super) socket: u16,
    pub(super) stream: Option<StreamParams>,
    pub(super) latch: Latch,
    pub(super) out: Transmission,
    pub(super) reception: Reception,
    pub(super) control: Control,
    pub(super) crypt: Option<Box<Crypt>>,
    /// RTCP comes and goes on the port of RTP (RFC 5761).
    pub(super) rtcp_mux: bool,
    events: EventReceiver,
    heard: Instant,
    silence_told: bool,
    heeded: Option<Heeded>,
    playout: Option<Box<Playout>>,
    /// What play-outs before it measured: each path that needs one has its own.
    played: Played,
    /// While audio is made here.
    packer: Option<Box<Packer>>,
    passing: Option<PassingEvent>,
    /// Timestamp of the event that we send ourselves.
    event_timestamp: u32,
    muted_until: Instant,
    /// When the bridged stream's peer sent last what only frames can carry on, until the stream or the bridge is set anew.
    pub(super) irregular: Option<Instant>,
    /// The source began anew, and whoever it is relayed to does not know yet.
    restarted: bool,
    silence: comfort_noise::Detector,
    /// Frames of silence that were not sent, of the current pause.
    suppressed: u32,
}

/// An event of the bridged peer on its way through.
#[derive(Clone, Copy, Debug)]
struct PassingEvent {
    ssrc: u32,
    timestamp: u32,
    ours: u32,
}

impl RtpEnd {
    /// An end without a stream.
    pub fn new(now: Instant, socket: u16, random: &mut Random) -> RtpEnd {
        RtpEnd {
            socket,
            stream: None,
            latch: Latch::default(),
            out: Transmission::new(random),
            reception: Reception::default(),
            control: Control::new(now, random),
            crypt: None,
            rtcp_mux: false,
            events: EventReceiver::default(),
            heard: now,
            silence_told: false,
            heeded: None,
            playout: None,
            played: Played::default(),
            packer: None,
            passing: None,
            event_timestamp: 0,
            muted_until: Instant::ZERO,
            irregular: None,
            restarted: false,
            silence: comfort_noise::Detector::default(),
            suppressed: 0,
        }
    }

    /// Sets or changes the stream.
    pub fn set_stream(&mut self, now: Instant, stream: StreamParams) {
        let before = self.stream.as_ref();
        if before.is_none_or(|before| before.remote != stream.remote) {
            self.latch.release();
            self.control.release();
        }
        self.heard = now;
        self.silence_told = false;
        if let Some(packer) = &mut self.packer {
            **packer = Packer::default();
        }
        self.irregular = None;
        self.stream = Some(stream);
    }

    /// The codec; mu-law before there is a stream, for playbacks that run all the same.
    pub fn codec(&self) -> Codec {
        self.stream.as_ref().map_or(Codec::Pcmu, |stream| stream.codec)
    }

    /// Where RTP goes.
    #[inline]
    pub(super) fn destination(&self, stream: &StreamParams) -> SocketAddr {
        self.latch.source().unwrap_or(stream.remote)
    }

    /// Whether digits leave as telephone events.
    pub fn sends_events(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.telephone_event.is_some())
    }

    /// Takes the header of an RTP packet: is it ours, from whom we listen to, and what is it?
    #[inline]
    pub fn admit(&mut self, now: Instant, from: SocketAddr, packet: &[u8], stats: &mut PortStats) -> Arrival {
        let Some(stream) = &self.stream else { return Arrival::Nothing };
        let Some(header) = Header::read(packet) else {
            stats.rx_dropped += 1;
            return Arrival::Nothing;
        };
        let is_event = stream.telephone_event == Some(header.payload_type);
        let regular = header.payload_type == stream.payload_type || is_event;
        if !regular && !is_other(stream, header.payload_type) {
            stats.rx_dropped += 1;
            stats.rx_unknown += 1;
            return Arrival::Nothing;
        }
        let peer = Peer { described: stream.remote, signalling: stream.signalling, authentic: self.crypt.is_some() };
        if !self.latch.admit(now, from, peer) {
            stats.rx_dropped += 1;
            stats.rx_strange += 1;
            return Arrival::Nothing;
        }
        self.heard = now;
        self.silence_told = false;
        if let Some(heeded) = &mut self.heeded {
            *heeded = Heeded { heard: now, told: false };
        }
        if !stream.receive {
            return Arrival::Nothing;
        }
        stats.rx_packets += 1;
        if self.reception.receive(now, &header, !is_event) {
            self.restarted = true;
            if let Some(playout) = &mut self.playout {
                playout.reset();
            }
        }
        match (is_event, regular) {
            (true, _) => self.admit_event(header, packet, stats),
            (false, true) => Arrival::Audio(header),
            (false, false) => Arrival::Other(header),
        }
    }

    /// Whether the source began anew since the last call: another one, or other sequence numbers.
    #[inline]
    pub fn take_restart(&mut self) -> bool {
        std::mem::take(&mut self.restarted)
    }

    #[cold]
    fn admit_event(&mut self, header: Header, packet: &[u8], stats: &mut PortStats) -> Arrival {
        let Some(event) = packet::payload(packet).and_then(TelephoneEvent::read) else {
            stats.rx_dropped += 1;
            return Arrival::Nothing;
        };
        let digit = self.events.receive(header.ssrc, header.timestamp, event);
        Arrival::Event(header, event, digit)
    }

    /// Sends on a packet that came on the bridged port `from` as it is but for its header. Returns whether it was sent.
    #[inline]
    pub fn relay(
        &mut self,
        now: Instant,
        from: usize,
        header: &Header,
        is_event: bool,
        packet: &mut [u8],
        wire: &mut impl Wire,
    ) -> bool {
        let Some(stream) = self.stream.as_ref().filter(|stream| stream.send) else { return false };
        let payload_type = if is_event { stream.telephone_event } else { Some(stream.payload_type) };
        let Some(payload_type) = payload_type else { return false };
        let to = self.destination(stream);
        let header = self.out.relay(now, from, header, packet.len().saturating_sub(HEADER_LEN));
        Header { payload_type, ..header }.overwrite(packet);
        crypt::send(&mut self.crypt, wire, (self.socket, SocketKind::Rtp), false, to, packet)
    }

    /// Sends on an event of the bridged peer beside audio made here. Returns whether it was sent.
    pub fn pass_event(
        &mut self,
        now: Instant,
        header: &Header,
        event: &TelephoneEvent,
        stats: &mut PortStats,
        wire: &mut impl Wire,
    ) {
        let known = self.passing.filter(|p| p.ssrc == header.ssrc && p.timestamp == header.timestamp);
        let passing = known.unwrap_or_else(|| {
            self.flush(now, stats, wire);
            PassingEvent { ssrc: header.ssrc, timestamp: header.timestamp, ours: self.out.timestamp_at(now) }
        });
        self.passing = Some(passing);
        self.muted_until = if event.end { now } else { now + EVENT_HOLD };
        self.send_event_packet(now, known.is_none(), passing.ours, event, stats, wire);
    }

    /// Sends a packet of an event of our own.
    pub fn send_event(
        &mut self,
        now: Instant,
        begins: bool,
        event: &TelephoneEvent,
        stats: &mut PortStats,
        wire: &mut impl Wire,
    ) {
        if begins {
            self.flush(now, stats, wire);
            self.event_timestamp = self.out.timestamp_at(now);
        }
        self.send_event_packet(now, begins, self.event_timestamp, event, stats, wire);
    }

    fn send_event_packet(
        &mut self,
        now: Instant,
        begins: bool,
        timestamp: u32,
        event: &TelephoneEvent,
        stats: &mut PortStats,
        wire: &mut impl Wire,
    ) {
        let Some(stream) = self.stream.as_ref().filter(|stream| stream.send) else { return };
        let Some(payload_type) = stream.telephone_event else { return };
        let to = self.destination(stream);
        let header = self.out.make(now, timestamp, u32::from(event.duration), TelephoneEvent::LEN);
        let mut packet = [0; HEADER_LEN + TelephoneEvent::LEN];
        let (head, payload) = packet.split_at_mut(HEADER_LEN);
        head.copy_from_slice(&Header { payload_type, marker: begins, ..header }.to_octets());
        payload.copy_from_slice(&event.to_octets());
        let sent = crypt::send(&mut self.crypt, wire, (self.socket, SocketKind::Rtp), false, to, &packet);
        stats.tx_packets += u64::from(sent);
    }

    /// Sends 20 ms of audio, in packets of the agreed time. Dropped while the peer holds us or an event passes.
    pub fn send_audio(&mut self, now: Instant, frame: &Octets, stats: &mut PortStats, wire: &mut impl Wire) {
        let Some(stream) = self.stream.as_ref().filter(|stream| stream.send) else { return };
        let Some(packer) = &mut self.packer else { return };
        if now < self.muted_until {
            packer.stop();
            return;
        }
        let size = usize::from(stream.ptime_ms.clamp(PTIME_MS.0, PTIME_MS.1)) * 8;
        packer.push(frame, || self.out.timestamp_at(now));
        while self.held() >= size {
            self.send_packet(now, size, stats, wire);
        }
    }

    /// Audio pauses: what is held for a longer packet leaves now.
    pub fn flush(&mut self, now: Instant, stats: &mut PortStats, wire: &mut impl Wire) {
        let held = self.held();
        if held > 0 {
            self.send_packet(now, held, stats, wire);
        }
        if let Some(packer) = &mut self.packer {
            packer.stop();
        }
    }

    /// Octets that wait for a longer packet.
    fn held(&self) -> usize {
        self.packer.as_ref().map_or(0, |packer| packer.held)
    }

    fn send_packet(&mut self, now: Instant, size: usize, stats: &mut PortStats, wire: &mut impl Wire) {
        let mut buffer = [0; HEADER_LEN + PAYLOAD_MAX];
        let Some((head, payload)) =
            buffer.get_mut(..HEADER_LEN + size).and_then(|b| b.split_at_mut_checked(HEADER_LEN))
        else {
            return;
        };
        let Some((timestamp, marker)) = self.packer.as_mut().map(|packer| packer.take(payload)) else { return };
        let Some(stream) = self.stream.as_ref().filter(|stream| stream.send) else { return };
        let to = self.destination(stream);
        let header = self.out.make(now, timestamp, size as u32, size);
        head.copy_from_slice(&Header { payload_type: stream.payload_type, marker, ..header }.to_octets());
        let packet = buffer.get(..HEADER_LEN + size).unwrap_or_default();
        let sent = crypt::send(&mut self.crypt, wire, (self.socket, SocketKind::Rtp), false, to, packet);
        stats.tx_packets += u64::from(sent);
    }

    /// Follows the port's path: `framed` is whether audio is made here, `listening` whether somebody wants the peer's,
    /// which takes a jitter buffer.
    pub fn equip(&mut self, framed: bool, listening: bool) {
        if !framed {
            self.packer = None;
        } else if self.packer.is_none() {
            self.packer = Some(Box::default());
        }
        if !listening {
            if let Some(playout) = self.playout.take() {
                self.played = self.played.and(playout.played());
            }
        } else if self.playout.is_none() {
            self.playout = Some(Box::new(Playout::new(self.codec())));
        }
    }

    /// Puts audio into the jitter buffer, if somebody listens.
    pub fn buffer(&mut self, now: Instant, header: &Header, packet: &[u8], stats: &mut PortStats) {
        let (Some(playout), Some(stream)) = (&mut self.playout, &self.stream) else { return };
        let Some(payload) = packet::payload(packet) else {
            stats.rx_dropped += 1;
            return;
        };
        let other = |(payload_type, codec): &(u8, Codec)| (*payload_type == header.payload_type).then_some(*codec);
        let codec = match header.payload_type {
            regular if regular == stream.payload_type => Some(stream.codec),
            _ => stream.others.iter().flatten().find_map(other),
        };
        let Some(codec) = codec else { return playout.pause(payload) };
        match playout.insert(now, codec, header, payload) {
            Inserted::Kept => {}
            Inserted::Late => {
                stats.rx_dropped += 1;
                stats.rx_late += 1;
            }
            Inserted::Duplicate | Inserted::Refused => stats.rx_dropped += 1,
        }
    }

    /// The next 20 ms of what the peer says, and in which codec; `None` when it says nothing.
    pub fn listen(&mut self, now: Instant, frame: &mut Octets, pcm: &mut Samples) -> Option<Codec> {
        let playout = self.playout.as_mut()?;
        playout.next(now, frame, pcm).then(|| playout.codec())
    }

    /// Milliseconds that had to be made up, and the mean delay of play-out.
    pub fn playout_ms(&self) -> (u64, u32) {
        let now = self.playout.as_ref().map(|playout| playout.played()).unwrap_or_default();
        let played = self.played.and(now);
        (played.concealed_ms(), played.delay_ms())
    }

    /// Whether silence is looked for.
    pub fn suppresses(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.silence_suppression && stream.comfort_noise.is_some())
    }

    /// Whether silence need not be sent: the first frame of a pause and every tenth say what its noise is like.
    pub fn suppress(&mut self, now: Instant, pcm: &Samples, stats: &mut PortStats, wire: &mut impl Wire) -> bool {
        let Some(stream) = self.stream.as_ref().filter(|stream| stream.silence_suppression && stream.send) else {
            return false;
        };
        let Some(noise) = stream.comfort_noise else { return false };
        let to = self.destination(stream);
        let Some(level) = self.silence.quiet(pcm) else {
            self.suppressed = 0;
            return false;
        };
        if self.suppressed == 0 {
            self.flush(now, stats, wire);
        }
        if self.suppressed.is_multiple_of(NOISE_EVERY) {
            let timestamp = self.out.timestamp_at(now);
            let header = self.out.make(now, timestamp, FRAME as u32, 1);
            let mut packet = [level; HEADER_LEN + 1];
            if let Some(head) = packet.first_chunk_mut::<HEADER_LEN>() {
                *head = Header { payload_type: noise, ..header }.to_octets();
            }
            let sent = crypt::send(&mut self.crypt, wire, (self.socket, SocketKind::Rtp), false, to, &packet);
            stats.tx_packets += u64::from(sent);
        }
        self.suppressed = self.suppressed.wrapping_add(1);
        true
    }

    /// Whether the peer is heard is asked from now on, or anew.
    pub fn heed_silence(&mut self, now: Instant) {
        let heard = self.heeded.as_ref().map_or(now, |heeded| heeded.heard);
        self.heeded = Some(Heeded { heard, told: false });
    }

    /// Whether a peer that is heeded was not heard for `limit`, whatever was agreed; true once per silence.
    pub fn goes_unheard(&mut self, now: Instant, limit: Duration) -> bool {
        let Some(heeded) = self.heeded.as_mut().filter(|heeded| !heeded.told && now - heeded.heard >= limit) else {
            return false;
        };
        heeded.told = true;
        true
    }

    /// Whether the peer should be heard but was not for `limit`; true once per silence.
    pub fn fell_silent(&mut self, now: Instant, limit: Duration) -> bool {
        let expected = self.stream.as_ref().is_some_and(|stream| stream.receive && stream.send);
        if !expected {
            // A held stream is silent by agreement: the time counts from its resumption.
            self.heard = now;
            return false;
        }
        let fell = !self.silence_told && now - self.heard >= limit;
        self.silence_told |= fell;
        fell
    }
}

/// When a peer was heard last that is heeded.
#[derive(Clone, Copy, Debug)]
struct Heeded {
    heard: Instant,
    told: bool,
}

/// Frames of 20 ms on their way into packets of another length.
#[derive(Clone, Debug)]
struct Packer {
    octets: [u8; PAYLOAD_MAX + FRAME],
    held: usize,
    /// Timestamp of the first octet held.
    timestamp: u32,
    running: bool,
    marker: bool,
}

impl Default for Packer {
    fn default() -> Self {
        Packer { octets: [0; PAYLOAD_MAX + FRAME], held: 0, timestamp: 0, running: false, marker: false }
    }
}

impl Packer {
    /// Appends a frame; `timestamp` is asked when a talkspurt begins with it.
    fn push(&mut self, frame: &Octets, timestamp: impl FnOnce() -> u32) {
        if !self.running {
            self.timestamp = timestamp();
            self.held = 0;
            self.running = true;
            self.marker = true;
        }
        if let Some(to) = self.octets.get_mut(self.held..self.held + FRAME) {
            to.copy_from_slice(frame);
            self.held += FRAME;
        }
    }

    /// Takes the oldest octets, as many as fit `payload`; returns their timestamp and whether they begin a talkspurt.
    fn take(&mut self, payload: &mut [u8]) -> (u32, bool) {
        let size = payload.len().min(self.held);
        if let (Some(to), Some(from)) = (payload.get_mut(..size), self.octets.get(..size)) {
            to.copy_from_slice(from);
        }
        self.octets.copy_within(size..self.held, 0);
        self.held -= size;
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(size as u32);
        (timestamp, std::mem::take(&mut self.marker))
    }

    fn stop(&mut self) {
        self.running = false;
        self.held = 0;
    }
}
