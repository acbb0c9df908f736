//! What happens on the plane's two clocks: a packet arrives, and 20 ms pass.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Instant;
use crate::core::media::{DigitSource, MediaEvent};
use crate::media::crypt;
use crate::media::plane::Plane;
use crate::media::port::{Attachment, Path};
use crate::media::rtp_end::Arrival;
use crate::media::{FRAME_TIME, SocketKind, Wire};
use crate::proto::rtp::packet::Header;
use crate::proto::rtp::telephone_event::TelephoneEvent;

/// A port that should hear its peer and hears nothing for so long is reported.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The same where the core heeds it.
const UNHEARD_MAX: Duration = Duration::from_secs(2);
/// How often RTCP and silence are looked after while there are ports.
const CHECK_TIME: Duration = Duration::from_millis(250);
/// A bridge on frames for the sake of another codec or comfort noise is relayed again when none came for so long: longer
/// than people talk without a pause.
const IRREGULAR_MAX: Duration = Duration::from_secs(30);
/// Frames made in one tick at most; when more are due, the rest is left out.
const CATCH_UP_MAX: u32 = 3;

impl Plane {
    /// Takes a packet that came from `from` on the pair whose RTP port is `socket`. The packet is rewritten in place when
    /// it is relayed.
    #[inline]
    pub fn receive(
        &mut self,
        now: Instant,
        socket: u16,
        kind: SocketKind,
        from: SocketAddr,
        packet: &mut [u8],
        wire: &mut impl Wire,
    ) {
        let Some(place) = self.place_of(socket) else {
            self.counters.strays += 1;
            return;
        };
        let Some(port) = self.ports.get_mut(place).and_then(Option::as_mut) else { return };
        let (id, path, peer) = (port.id, port.path, port.peer);
        let Attachment::Rtp(end) = &mut port.attachment else { return };
        if crypt::is_dtls(packet) && end.awaits_handshake() {
            return wire.handshake(id, from, packet);
        }
        let (kind, packet) = match end.open(kind, packet) {
            Ok(opened) => opened,
            Err(refusal) => {
                port.stats.rx_dropped += 1;
                return self.counters.srtp.count(refusal);
            }
        };
        if kind == SocketKind::Rtcp {
            end.receive_control(now, from, packet, &mut port.stats);
            return;
        }
        let arrival = end.admit(now, from, packet, &mut port.stats);
        // Alone it is no matter; a bridge has to leave the relay.
        if let (Arrival::Other(_), Some(_)) = (arrival, peer)
            && end.irregular.replace(now).is_none()
        {
            self.route_pair(now, place);
            return self.receive_irregular(now, place, arrival, packet);
        }
        if let (Arrival::Audio(header) | Arrival::Other(header), Path::Frames) = (arrival, path) {
            end.buffer(now, &header, packet, &mut port.stats);
        }
        if end.take_restart()
            && let Path::Relay(peer) = path
        {
            self.unmap(peer);
        }
        match (arrival, path) {
            (Arrival::Audio(header), Path::Relay(peer)) => self.relay(now, place, peer, &header, false, packet, wire),
            (Arrival::Event(header, event, digit), _) => {
                if let Some(digit) = digit {
                    self.events.push(MediaEvent::Digit { port: id, digit, source: DigitSource::Event });
                }
                match (path, peer) {
                    (Path::Relay(peer), _) => self.relay(now, place, peer, &header, true, packet, wire),
                    (Path::Frames, Some(peer)) => self.pass_event(now, peer, &header, &event, digit, wire),
                    _ => {}
                }
            }
            (Arrival::Audio(_) | Arrival::Other(_) | Arrival::Nothing, _) => {}
        }
    }

    /// The first packet that a relay cannot carry on: the port is on the path of frames from now on.
    #[cold]
    fn receive_irregular(&mut self, now: Instant, place: usize, arrival: Arrival, packet: &[u8]) {
        let (Arrival::Other(header), Some(port)) = (arrival, self.port(place)) else { return };
        if let (Attachment::Rtp(end), Path::Frames) = (&mut port.attachment, port.path) {
            end.buffer(now, &header, packet, &mut port.stats);
        }
    }

    /// A relayed source began anew with other numbers: ours go on from where they stand.
    #[cold]
    fn unmap(&mut self, peer: usize) {
        if let Some(Attachment::Rtp(end)) = self.port(peer).map(|port| &mut port.attachment) {
            end.out.unmap();
        }
    }

    #[inline]
    #[expect(clippy::too_many_arguments, reason = "the parts of one packet on the hot path")]
    fn relay(
        &mut self,
        now: Instant,
        place: usize,
        peer: usize,
        header: &Header,
        is_event: bool,
        packet: &mut [u8],
        wire: &mut impl Wire,
    ) {
        let Some(port) = self.port(peer) else { return };
        let Attachment::Rtp(end) = &mut port.attachment else { return };
        if end.relay(now, place, header, is_event, packet, wire) {
            port.stats.tx_packets += 1;
        }
    }

    /// A telephone event beside audio in frames: on to a peer that knows events, as a tone to any other.
    fn pass_event(
        &mut self,
        now: Instant,
        peer: usize,
        header: &Header,
        event: &TelephoneEvent,
        digit: Option<char>,
        wire: &mut impl Wire,
    ) {
        let Some(port) = self.port(peer) else { return };
        match &mut port.attachment {
            Attachment::Rtp(end) if end.sends_events() => {
                end.pass_event(now, header, event, &mut port.stats, wire);
            }
            _ => {
                if let Some(digit) = digit {
                    self.regenerate(now, peer, digit);
                }
            }
        }
    }

    /// When [`Plane::tick`] is to be called next; `None` while there is nothing to do by itself.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.next_frame, self.next_check) {
            (Some(frame), Some(check)) => Some(frame.min(check)),
            (frame, check) => frame.or(check),
        }
    }

    /// Does what is due: frames for the ports that need them, reports, silence.
    pub fn tick(&mut self, now: Instant, wire: &mut impl Wire) {
        let mut made = 0;
        while let Some(due) = self.next_frame.filter(|&due| due <= now) {
            if made == CATCH_UP_MAX {
                let missed = (now - due).as_micros() / FRAME_TIME.as_micros() + 1;
                self.counters.frames_skipped += u64::try_from(missed).unwrap_or(u64::MAX);
                self.next_frame = Some(next_on_grid(now));
                break;
            }
            made += 1;
            self.next_frame = Some(due + FRAME_TIME);
            self.frame(now, due, wire);
            self.schedule(now);
        }
        if self.next_check.is_some_and(|due| due <= now) {
            self.next_check = Some(now + CHECK_TIME);
            self.recorder.settle();
            self.check(now, wire);
            self.give_back();
            self.schedule(now);
        }
        if made > 0 {
            self.check_invariants();
        }
    }

    /// One frame of all ports that need frames: first all listen, then all speak, so that the order of ports does not
    /// matter.
    fn frame(&mut self, now: Instant, due: Instant, wire: &mut impl Wire) {
        let number = frame_number(due);
        for &place in &self.framed {
            if let Some(port) = self.ports.get_mut(place).and_then(Option::as_mut) {
                port.listen(now, &mut self.events);
            }
        }
        for &place in &self.framed {
            let Some(peer) = self.ports.get(place).and_then(Option::as_ref).map(|port| port.peer) else { continue };
            let heard = peer.and_then(|peer| self.ports.get(peer)?.as_ref()?.heard()).cloned();
            if let Some(port) = self.ports.get_mut(place).and_then(Option::as_mut)
                && port.speak(now, number, heard.as_ref(), self.recorder.as_mut(), &mut self.events, wire)
            {
                self.changed.push(place);
            }
        }
        while let Some(place) = self.changed.pop() {
            self.route_pair(now, place);
        }
    }

    /// RTCP that is due, and ports that fell silent.
    fn check(&mut self, now: Instant, wire: &mut impl Wire) {
        for port in self.ports.iter_mut().flatten() {
            let id = port.id;
            if let Some(end) = port.rtp() {
                end.report_if_due(now, &mut self.random, wire);
                self.counters.srtp.unsent += end.take_unsent();
                if end.fell_silent(now, SILENCE_MAX) {
                    self.events.push(MediaEvent::Silent { port: id });
                }
                if end.goes_unheard(now, UNHEARD_MAX) {
                    self.events.push(MediaEvent::Unheard { port: id });
                }
                if end.irregular.take_if(|since| now - *since >= IRREGULAR_MAX).is_some() {
                    self.changed.extend(self.index.get(&id));
                }
            }
        }
        while let Some(place) = self.changed.pop() {
            self.route_pair(now, place);
        }
    }

    /// Starts or stops the two clocks as ports come and go.
    pub(super) fn schedule(&mut self, now: Instant) {
        if self.framed.is_empty() {
            self.next_frame = None;
        } else if self.next_frame.is_none() {
            self.next_frame = Some(next_on_grid(now));
        }
        // The end of the last recording may still wait for room.
        if self.ports() == 0 && !self.recorder.settle() {
            self.next_check = None;
            self.give_back();
        } else if self.next_check.is_none() {
            self.next_check = Some(now + CHECK_TIME);
        }
    }
}

/// Frames since the origin of time.
fn frame_number(at: Instant) -> u64 {
    at.as_micros() / FRAME_TIME.as_micros() as u64
}

/// The first multiple of a frame's time after `now`: all planes and all music tick on one grid.
fn next_on_grid(now: Instant) -> Instant {
    Instant::from_micros((frame_number(now) + 1).saturating_mul(FRAME_TIME.as_micros() as u64))
}
