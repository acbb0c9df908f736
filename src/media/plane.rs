//! The plane: its ports, and what the core commands.

use std::collections::HashMap;
use std::sync::Arc;

use cordboard_hal::Bearer;

use crate::base::{Circuit, GiveBack, Instant, PlayId, PortId};
use crate::core::media::{MediaCommand, MediaEvent, PlayItem, PortStats};
use crate::dsp::tone;
use crate::media::player::{ITEMS_MAX, Piece, Player};
use crate::media::port::{Attachment, Events, Path, Port};
use crate::media::prompt::{Loop, Prompt};
use crate::media::random::Random;
use crate::media::rtp_end::RtpEnd;
use crate::media::tdm_end::TdmEnd;
use crate::media::{RecordSink, SrtpCounters, Wire};
use crate::proto::srtp::MasterKey;

/// Samples of a beep: 250 ms.
const BEEP_SAMPLES: usize = 2_000;
/// Places in the table of sockets: RTP ports are even.
const SOCKET_PLACES: usize = 1 << 15;
/// How long digits last that a bridged party sent as events and the other can only hear, in milliseconds.
const REGENERATED_MS: (u16, u16) = (100, 60);

/// What a plane is made of.
pub struct PlaneConfig {
    /// Prompts by name.
    pub prompts: HashMap<Arc<str>, Arc<Prompt>>,
    /// Music on hold where no other is named; shorter than a frame means silence.
    pub music: Arc<Prompt>,
    /// The timeslots that may be opened.
    pub bearers: Vec<(Circuit, Box<dyn Bearer>)>,
    /// Where recordings go.
    pub recorder: Box<dyn RecordSink>,
    /// For SSRC and the like; must be unpredictable in production (RFC 3550 section 8.1).
    pub seed: [u8; 32],
}

/// What a plane counts beside its ports' own statistics.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Packets on sockets without a port.
    pub strays: u64,
    /// Frames left out because ticks came more than a few frames late.
    pub frames_skipped: u64,
    /// Events lost because nobody fetched them.
    pub events_lost: u64,
    /// Packets that SRTP refused.
    pub srtp: SrtpCounters,
}

/// The media plane. See the module's text.
pub struct Plane {
    pub(super) ports: Vec<Option<Port>>,
    free: Vec<usize>,
    pub(super) index: HashMap<PortId, usize>,
    /// Place of the port on each RTP socket (by half its number), plus one; zero is none.
    sockets: Vec<u32>,
    bearers: HashMap<Circuit, Box<dyn Bearer>>,
    prompts: HashMap<Arc<str>, Arc<Prompt>>,
    music: Option<Loop>,
    beep: Arc<Prompt>,
    pub(super) recorder: Box<dyn RecordSink>,
    pub(super) random: Random,
    pub(super) events: Events,
    /// Places of the ports on the frame path.
    pub(super) framed: Vec<usize>,
    /// Ports whose needs changed inside a frame.
    pub(super) changed: Vec<usize>,
    pub(super) next_frame: Option<Instant>,
    pub(super) next_check: Option<Instant>,
    pub(super) counters: Counters,
}

impl Plane {
    /// A plane without ports.
    pub fn new(config: PlaneConfig) -> Plane {
        let mut beep = [0; BEEP_SAMPLES];
        tone::Generator::new(&tone::BEEP).fill(&mut beep);
        Plane {
            ports: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            sockets: vec![0; SOCKET_PLACES],
            bearers: config.bearers.into_iter().collect(),
            prompts: config.prompts,
            music: Loop::new(config.music),
            beep: Arc::new(Prompt::new(&beep)),
            recorder: config.recorder,
            random: Random::new(config.seed),
            events: Events::default(),
            framed: Vec::new(),
            changed: Vec::new(),
            next_frame: None,
            next_check: None,
            counters: Counters::default(),
        }
    }

    /// Takes a command of the core. [`MediaCommand::BindSockets`] is the edge's: sockets are not known here.
    pub fn command(&mut self, now: Instant, command: MediaCommand, wire: &mut impl Wire) {
        match command {
            MediaCommand::BindSockets(_) => {}
            MediaCommand::OpenRtp { port, socket } => self.open_rtp(now, port, socket),
            MediaCommand::SetStream { port, stream } => self.alter(now, port, |port| {
                if let Some(end) = port.rtp() {
                    end.set_stream(now, stream);
                }
            }),
            MediaCommand::SetTransport { port, protection, rtcp_mux, .. } => self.with_end(port, |end, random| {
                end.set_transport(protection.map(|boxed| *boxed), rtcp_mux, random);
            }),
            MediaCommand::OpenTdm { port, circuit, detect_dtmf } => self.open_tdm(now, port, circuit, detect_dtmf),
            MediaCommand::Close { port } => self.close(now, port, wire),
            MediaCommand::DetectDtmf { port, on } => self.alter(now, port, |port| port.detect = Some(on)),
            MediaCommand::DetectTones { port, country } => self.alter(now, port, |port| port.wanted.tones = country),
            MediaCommand::DetectAnswer { port } => self.alter(now, port, |port| port.wanted.answer = true),
            MediaCommand::HeedSilence { port } => self.with_end(port, |end, _| end.heed_silence(now)),
            MediaCommand::Play { port, play, items } => {
                if self.index.contains_key(&port) {
                    let pieces = self.pieces(port, &items);
                    self.alter(now, port, |port| port.player = Some(Player::pieces(play, pieces)));
                }
            }
            MediaCommand::Tone { port, play, tone, country } => {
                let tone = tone::plan(country, tone);
                self.alter(now, port, |port| port.player = Some(Player::tone(play, tone)));
            }
            MediaCommand::Music { port, play, source } => self.play_music(now, port, play, source.as_ref()),
            MediaCommand::StopPlay { port } => self.alter(now, port, |port| port.player = None),
            MediaCommand::SendDigits { port, digits, on_ms, off_ms } => {
                self.alter(now, port, |port| port.digits.push(&digits, on_ms, off_ms, true));
            }
            MediaCommand::Bridge { a, b } => self.bridge(now, a, b),
            MediaCommand::Unbridge { port } => {
                if let Some(&place) = self.index.get(&port) {
                    self.unbridge(now, place);
                }
            }
            MediaCommand::Record { port, name } => {
                self.stop_recording(port);
                self.alter(now, port, |port| port.recording = Some(name));
            }
            MediaCommand::StopRecord { port } => {
                self.stop_recording(port);
                self.alter(now, port, |_| {});
            }
        }
        self.schedule(now);
        self.check_invariants();
    }

    /// The oldest event that was not fetched yet.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop()
    }

    /// Puts an event of the edge (sockets were bound, one could not be opened) in line with the plane's own.
    pub fn report(&mut self, event: MediaEvent) {
        self.events.push(event);
    }

    /// The keys that a DTLS handshake for a port brought: what we send is protected by `send`, what comes by `receive`.
    pub fn handshake_done(&mut self, port: PortId, send: MasterKey, receive: MasterKey) {
        let suite = send.suite();
        let mut taken = false;
        self.with_end(port, |end, random| taken = end.set_handshake_keys(send, receive, random));
        if taken {
            self.events.push(MediaEvent::Secured { port, suite });
        }
    }

    /// The RTP socket of an open port.
    pub fn socket_of(&self, port: PortId) -> Option<u16> {
        match &self.ports.get(*self.index.get(&port)?)?.as_ref()?.attachment {
            Attachment::Rtp(end) => Some(end.socket),
            Attachment::Tdm(_) | Attachment::Gone => None,
        }
    }

    fn with_end(&mut self, port: PortId, act: impl FnOnce(&mut RtpEnd, &mut Random)) {
        let place = self.index.get(&port).copied();
        let port = place.and_then(|place| self.ports.get_mut(place)).and_then(Option::as_mut);
        if let Some(end) = port.and_then(Port::rtp) {
            act(end, &mut self.random);
        }
    }

    /// Uses other prompts from now on; playbacks that run keep theirs.
    pub fn replace_prompts(&mut self, prompts: HashMap<Arc<str>, Arc<Prompt>>) {
        self.prompts = prompts;
    }

    /// Ports that are open.
    pub fn ports(&self) -> usize {
        self.index.len()
    }

    /// Events that wait for [`poll_event`](Self::poll_event).
    pub fn events_len(&self) -> usize {
        self.events.queue.len()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        Counters { events_lost: self.events.lost, ..self.counters }
    }

    /// The measures of an open port.
    pub fn stats(&self, port: PortId) -> Option<PortStats> {
        self.ports.get(*self.index.get(&port)?)?.as_ref().map(stats)
    }

    fn open_rtp(&mut self, now: Instant, id: PortId, socket: u16) {
        let free = self.place_of(socket).is_none() && socket.is_multiple_of(2);
        if !free || self.index.contains_key(&id) {
            self.events.push(MediaEvent::Failed { port: id });
            return;
        }
        let end = RtpEnd::new(now, socket, &mut self.random);
        let place = self.insert(Port::new(id, Attachment::Rtp(Box::new(end)), None));
        if let Some(entry) = self.sockets.get_mut(usize::from(socket / 2)) {
            *entry = u32::try_from(place + 1).unwrap_or(0);
        }
    }

    fn open_tdm(&mut self, now: Instant, id: PortId, circuit: Circuit, detect_dtmf: bool) {
        if self.index.contains_key(&id) {
            self.events.push(MediaEvent::Failed { port: id });
            return;
        }
        let Some(bearer) = self.bearers.remove(&circuit) else {
            self.events.push(MediaEvent::Failed { port: id });
            return;
        };
        let end = TdmEnd::new(circuit, bearer);
        let place = self.insert(Port::new(id, Attachment::Tdm(Box::new(end)), Some(detect_dtmf)));
        self.route(now, place);
    }

    fn close(&mut self, now: Instant, id: PortId, wire: &mut impl Wire) {
        let Some(&place) = self.index.get(&id) else { return };
        self.stop_recording(id);
        self.unbridge(now, place);
        self.framed.retain(|&framed| framed != place);
        self.index.remove(&id);
        let Some(port) = self.ports.get_mut(place).and_then(Option::take) else { return };
        self.free.push(place);
        let stats = stats(&port);
        let mut socket = None;
        match port.attachment {
            Attachment::Rtp(mut end) => {
                end.goodbye(now, wire);
                self.counters.srtp.unsent += end.take_unsent();
                socket = Some(end.socket);
                if let Some(entry) = self.sockets.get_mut(usize::from(end.socket / 2)) {
                    *entry = 0;
                }
            }
            Attachment::Tdm(end) => {
                let (circuit, bearer) = end.into_parts();
                self.bearers.insert(circuit, bearer);
            }
            Attachment::Gone => {}
        }
        self.events.push(MediaEvent::Closed { port: id, stats: Box::new(stats), socket });
    }

    fn pieces(&mut self, port: PortId, items: &[PlayItem]) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(items.len().min(ITEMS_MAX));
        for item in items.iter().take(ITEMS_MAX) {
            match item {
                PlayItem::SilenceMs(ms) => pieces.push(Piece::Silence(usize::from(*ms) * 8)),
                PlayItem::Beep => pieces.push(Piece::Prompt(self.beep.clone())),
                PlayItem::Prompt(name) => self.prompt(port, [name], &mut pieces),
                PlayItem::PromptOr(name, other) => self.prompt(port, [name, other], &mut pieces),
            }
        }
        pieces
    }

    /// The first of these that is loaded; each that is not is told.
    fn prompt<const N: usize>(&mut self, port: PortId, names: [&Arc<str>; N], pieces: &mut Vec<Piece>) {
        for name in names {
            if let Some(prompt) = self.prompts.get(name) {
                return pieces.push(Piece::Prompt(prompt.clone()));
            }
            self.events.push(MediaEvent::PromptMissing { port, name: name.clone() });
        }
        // Two beeps: never dead air.
        pieces.push(Piece::Prompt(self.beep.clone()));
        pieces.push(Piece::Silence(BEEP_SAMPLES));
        pieces.push(Piece::Prompt(self.beep.clone()));
    }

    fn play_music(&mut self, now: Instant, id: PortId, play: PlayId, source: Option<&Arc<str>>) {
        if !self.index.contains_key(&id) {
            return;
        }
        let named = source.and_then(|name| self.prompts.get(name)).cloned().and_then(Loop::new);
        if let Some(name) = source
            && named.is_none()
        {
            self.events.push(MediaEvent::PromptMissing { port: id, name: name.clone() });
        }
        let player = named.or_else(|| self.music.clone()).map(|music| Player::music(play, music));
        self.alter(now, id, |port| port.player = player);
    }

    fn stop_recording(&mut self, id: PortId) {
        let place = self.index.get(&id).copied();
        if let Some(name) = place.and_then(|place| self.port(place)).and_then(|port| port.recording.take()) {
            self.recorder.finish(&name);
        }
    }

    fn bridge(&mut self, now: Instant, a: PortId, b: PortId) {
        let (Some(&a), Some(&b)) = (self.index.get(&a), self.index.get(&b)) else { return };
        if a == b {
            return;
        }
        self.unbridge(now, a);
        self.unbridge(now, b);
        for (place, peer) in [(a, b), (b, a)] {
            if let Some(port) = self.port(place) {
                port.peer = Some(peer);
                port.player = None;
                // Who answered is settled by then.
                port.wanted.answer = false;
                if let Some(end) = port.rtp() {
                    end.irregular = None;
                }
            }
        }
        self.route_pair(now, a);
    }

    fn unbridge(&mut self, now: Instant, place: usize) {
        let Some(peer) = self.port(place).and_then(|port| port.peer.take()) else { return };
        if let Some(port) = self.port(peer) {
            port.peer = None;
        }
        self.route(now, place);
        self.route(now, peer);
    }

    /// Changes a port, if it is there, and chooses its path anew.
    fn alter(&mut self, now: Instant, id: PortId, change: impl FnOnce(&mut Port)) {
        let Some(&place) = self.index.get(&id) else { return };
        if let Some(port) = self.port(place) {
            change(port);
            self.route_pair(now, place);
        }
    }

    /// Digits that came as events go to a bridged party that knows no events as tones.
    pub(super) fn regenerate(&mut self, now: Instant, place: usize, digit: char) {
        if let Some(port) = self.port(place) {
            let mut text = [0; 4];
            port.digits.push(digit.encode_utf8(&mut text), REGENERATED_MS.0, REGENERATED_MS.1, false);
            self.route_pair(now, place);
        }
    }

    /// Chooses the path of a port and of its peer.
    pub(super) fn route_pair(&mut self, now: Instant, place: usize) {
        let peer = self.port(place).and_then(|port| port.peer);
        self.route(now, place);
        if let Some(peer) = peer {
            self.route(now, peer);
        }
    }

    fn route(&mut self, now: Instant, place: usize) {
        let path = self.choose(place);
        let Some(port) = self.port(place) else { return };
        let before = std::mem::replace(&mut port.path, path);
        port.equip();
        if before == path {
            return;
        }
        if let Some(end) = port.rtp() {
            end.out.unmap();
        }
        match (before, path) {
            (_, Path::Frames) => self.framed.push(place),
            (Path::Frames, _) => self.framed.retain(|&framed| framed != place),
            _ => {}
        }
        self.schedule(now);
    }

    fn choose(&mut self, place: usize) -> Path {
        let Some(port) = self.port(place) else { return Path::Idle };
        let (plain, needs_frames) = (port.plain(), port.needs_frames());
        if let Some(peer) = port.peer
            && plain.is_some()
            && self.port(peer).and_then(|port| port.plain()) == plain
        {
            return Path::Relay(peer);
        }
        if needs_frames { Path::Frames } else { Path::Idle }
    }

    /// Gives back what many ports at once took. A place that is in use stays what it is, so only those behind the last one
    /// go, once they are half of all.
    pub(super) fn give_back(&mut self) {
        let used = self.ports.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        if used <= self.ports.len() / 2 {
            self.ports.truncate(used);
            self.free.retain(|&place| place < used);
        }
        self.ports.give_back();
        self.free.give_back();
        self.index.give_back();
        self.framed.give_back();
        self.changed.give_back();
    }

    fn insert(&mut self, port: Port) -> usize {
        let id = port.id;
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.ports.push(None);
                self.ports.len() - 1
            }
        };
        if let Some(slot) = self.ports.get_mut(place) {
            *slot = Some(port);
        }
        self.index.insert(id, place);
        place
    }

    #[inline]
    pub(super) fn port(&mut self, place: usize) -> Option<&mut Port> {
        self.ports.get_mut(place)?.as_mut()
    }

    /// The place of the port on an RTP socket.
    #[inline]
    pub(super) fn place_of(&self, socket: u16) -> Option<usize> {
        (*self.sockets.get(usize::from(socket / 2))? as usize).checked_sub(1)
    }

    /// Asserts in debug builds what must hold between two entries.
    pub(super) fn check_invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let at = |place: usize| self.ports.get(place).and_then(Option::as_ref);
        for (id, &place) in &self.index {
            let port = at(place);
            debug_assert_eq!(port.map(|port| port.id), Some(*id), "the index names the port");
            let Some(port) = port else { continue };
            if let Some(peer) = port.peer {
                debug_assert_eq!(at(peer).and_then(|port| port.peer), Some(place), "bridges have two ends");
            }
            if let Path::Relay(peer) = port.path {
                debug_assert_eq!(port.peer, Some(peer), "relay goes to the bridged port");
                debug_assert_eq!(at(peer).map(|port| port.path), Some(Path::Relay(place)), "relay is mutual");
            }
            let framed = self.framed.iter().filter(|&&framed| framed == place).count();
            debug_assert_eq!(framed, usize::from(port.path == Path::Frames), "framed ports are listed once");
            debug_assert_eq!(port.frames.is_some(), port.path == Path::Frames);
        }
        debug_assert_eq!(self.index.len() + self.free.len(), self.ports.len());
        debug_assert!(self.framed.is_empty() || self.next_frame.is_some(), "framed ports are ticked");
    }
}

/// The port's measures, with what its reception knows.
fn stats(port: &Port) -> PortStats {
    let Attachment::Rtp(end) = &port.attachment else { return port.stats };
    end.measures(port.stats)
}
