//! A port: one leg's attachment to the plane, and its two steps of each frame, listening and speaking.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::{Codec, GiveBack, Instant, Law, PortId};
use crate::core::media::{DigitSource, MediaEvent, PortStats};
use crate::dsp::coder::{self, Coder};
use crate::dsp::dtmf::{Detector, DtmfEvent};
use crate::dsp::g711;
use crate::media::digits::{DigitSender, Step};
use crate::media::listening::{Listening, Wanted};
use crate::media::player::Player;
use crate::media::rtp_end::RtpEnd;
use crate::media::tdm_end::{Gone, TdmEnd};
use crate::media::{FRAME, Octets, RecordSink, Samples, Wire};

/// Events that wait for [`super::Plane::poll_event`] at most.
pub const EVENTS_MAX: usize = 16_384;

/// Events on their way to the core. Bounded: what does not fit is counted.
#[derive(Debug, Default)]
pub struct Events {
    pub(super) queue: VecDeque<MediaEvent>,
    pub(super) lost: u64,
}

impl Events {
    /// Appends an event.
    pub fn push(&mut self, event: MediaEvent) {
        if self.queue.len() < EVENTS_MAX {
            self.queue.push_back(event);
        } else {
            self.lost += 1;
        }
    }

    /// Takes the oldest event.
    pub fn pop(&mut self) -> Option<MediaEvent> {
        let event = self.queue.pop_front();
        if event.is_none() {
            self.queue.give_back();
        }
        event
    }
}

/// What a port is attached to.
pub enum Attachment {
    /// An RTP socket pair.
    Rtp(Box<RtpEnd>),
    /// A timeslot.
    Tdm(Box<TdmEnd>),
    /// A timeslot whose card vanished.
    Gone,
}

/// How a port's packets travel; see the module's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Path {
    /// Nobody wants them.
    Idle,
    /// Straight to the port at this place.
    Relay(usize),
    /// Through frames of 20 ms.
    Frames,
}

/// What a party said in a frame, as it came and linear.
#[derive(Clone)]
pub struct Heard {
    codec: Codec,
    octets: Octets,
    pcm: Samples,
}

/// What a port needs while its path is [`Path::Frames`].
#[derive(Default)]
pub struct Frames {
    heard: Option<Heard>,
    detector: Option<Box<Detector>>,
    listening: Listening,
    /// What the party hears, where it is made here.
    coder: Coder,
}

impl Frames {
    /// Looks for digits and whatever else is wanted in what the party said.
    fn hear(&mut self, pcm: &Samples, port: PortId, events: &mut Events) {
        if let Some(detector) = &mut self.detector {
            detect(detector, pcm, port, events);
        }
        self.listening.hear(pcm, port, events);
    }
}

/// One port.
pub struct Port {
    pub(super) id: PortId,
    pub(super) attachment: Attachment,
    pub(super) path: Path,
    pub(super) peer: Option<usize>,
    pub(super) stats: PortStats,
    pub(super) player: Option<Player>,
    pub(super) digits: DigitSender,
    pub(super) recording: Option<Arc<str>>,
    /// Whether to detect DTMF in the audio; `None` leaves it to what the port is.
    pub(super) detect: Option<bool>,
    /// What else to listen for.
    pub(super) wanted: Wanted,
    pub(super) frames: Option<Box<Frames>>,
}

impl Port {
    /// A port with nothing to do.
    pub fn new(id: PortId, attachment: Attachment, detect: Option<bool>) -> Port {
        Port {
            id,
            attachment,
            path: Path::Idle,
            peer: None,
            stats: PortStats::default(),
            player: None,
            digits: DigitSender::default(),
            recording: None,
            detect,
            wanted: Wanted::default(),
            frames: None,
        }
    }

    /// The RTP end, if the port has one.
    #[inline]
    pub fn rtp(&mut self) -> Option<&mut RtpEnd> {
        match &mut self.attachment {
            Attachment::Rtp(end) => Some(end),
            Attachment::Tdm(_) | Attachment::Gone => None,
        }
    }

    fn codec(&self) -> Codec {
        match &self.attachment {
            Attachment::Rtp(end) => end.codec(),
            Attachment::Tdm(end) => end.codec(),
            Attachment::Gone => Codec::Pcmu,
        }
    }

    /// Whether DTMF is looked for in the audio: as told, otherwise where no telephone events can come.
    fn detects(&self) -> bool {
        let by_default = match &self.attachment {
            Attachment::Rtp(end) => end.stream.as_ref().is_some_and(|stream| stream.telephone_event.is_none()),
            Attachment::Tdm(_) => true,
            Attachment::Gone => false,
        };
        self.detect.unwrap_or(by_default)
    }

    /// Whether anybody wants what the party says, in samples.
    fn is_listened_to(&self) -> bool {
        self.peer.is_some() || self.recording.is_some() || self.detects() || self.wanted.any()
    }

    /// Whether the port needs frames when its bridge, if any, is no plain relay.
    pub fn needs_frames(&self) -> bool {
        match self.attachment {
            // A timeslot's octets come whether wanted or not.
            Attachment::Tdm(_) => true,
            Attachment::Gone => false,
            Attachment::Rtp(_) => self.is_listened_to() || self.player.is_some() || !self.digits.is_idle(),
        }
    }

    /// Codec, presence of telephone events and packet time, if the port wants nothing but its peer's packets: two ports
    /// that agree in all are a plain relay.
    pub fn plain(&self) -> Option<(Codec, bool, u8)> {
        let Attachment::Rtp(end) = &self.attachment else { return None };
        let stream = end.stream.as_ref()?;
        let busy = end.irregular.is_some()
            || self.player.is_some()
            || !self.digits.is_idle()
            || self.recording.is_some()
            || self.detects()
            || self.wanted.any();
        (!busy).then_some((stream.codec, stream.telephone_event.is_some(), stream.ptime_ms))
    }

    /// Brings buffers and detectors in line with the path. Allocates; runs on commands only.
    pub fn equip(&mut self) {
        let framed = self.path == Path::Frames;
        let listening = framed && self.is_listened_to();
        let detects = framed && self.detects();
        let wanted = self.wanted;
        if let Some(end) = self.rtp() {
            end.equip(framed, listening);
        }
        if !framed {
            self.frames = None;
            return;
        }
        let frames = self.frames.get_or_insert_default();
        if detects {
            frames.detector.get_or_insert_default();
        } else {
            frames.detector = None;
        }
        frames.listening.equip(wanted);
    }

    /// First step of a frame: fetch what the party says, and look for digits in it.
    pub fn listen(&mut self, now: Instant, events: &mut Events) {
        let codec = self.codec();
        let mut octets = [coder::silence(codec); FRAME];
        let mut pcm = [0; FRAME];
        let heard = match &mut self.attachment {
            Attachment::Rtp(end) => end.listen(now, &mut octets, &mut pcm),
            Attachment::Tdm(end) => {
                let law = end.law();
                let Ok(behind) = end.fetch() else {
                    self.lose(events);
                    return;
                };
                // After a stall: what is no longer played is still listened to, so that no digit gets lost.
                while behind && end.is_full() && end.take(&mut octets) {
                    g711::decode(law, &octets, &mut pcm);
                    if let Some(frames) = &mut self.frames {
                        frames.hear(&pcm, self.id, events);
                    }
                }
                let heard = end.take(&mut octets);
                if heard {
                    self.stats.rx_packets += 1;
                    g711::decode(law, &octets, &mut pcm);
                }
                heard.then_some(codec)
            }
            Attachment::Gone => None,
        };
        let Some(frames) = &mut self.frames else { return };
        frames.heard = heard.map(|codec| Heard { codec, octets, pcm });
        // What a timeslot has not delivered yet comes late, not never: silence in its place would split a digit.
        let late = heard.is_none() && matches!(self.attachment, Attachment::Tdm(_));
        if !late {
            frames.hear(&pcm, self.id, events);
        }
    }

    /// What the party said in this frame; `None` when nothing.
    pub fn heard(&self) -> Option<&Heard> {
        self.frames.as_ref()?.heard.as_ref()
    }

    /// Second step of a frame: choose what the party hears and send it. `peer` is what the bridged party said. Returns
    /// whether the port's needs changed, so that its path must be chosen anew.
    pub fn speak(
        &mut self,
        now: Instant,
        number: u64,
        peer: Option<&Heard>,
        recorder: &mut dyn RecordSink,
        events: &mut Events,
        wire: &mut impl Wire,
    ) -> bool {
        let codec = self.codec();
        let mut octets = [coder::silence(codec); FRAME];
        let sent_digits = !self.digits.is_idle();
        let mut pcm = [0; FRAME];
        let (audible, mut changed) = match self.next_digit_step(&mut pcm, events) {
            Some(step) => (self.speak_digit(now, step, &pcm, &mut octets, wire), false),
            None => self.speak_audio(number, peer, &mut pcm, &mut octets, events),
        };
        changed |= sent_digits && self.digits.is_idle();
        match &mut self.attachment {
            Attachment::Rtp(end) if audible => {
                if let Some(law) = codec.law().filter(|_| end.suppresses()) {
                    g711::decode(law, &octets, &mut pcm);
                }
                if !end.suppress(now, &pcm, &mut self.stats, wire) {
                    end.send_audio(now, &octets, &mut self.stats, wire);
                }
            }
            Attachment::Rtp(end) => end.flush(now, &mut self.stats, wire),
            Attachment::Tdm(end) => match end.write(&octets) {
                Ok(()) => self.stats.tx_packets += 1,
                Err(Gone) => self.lose(events),
            },
            Attachment::Gone => {}
        }
        changed |= matches!(self.attachment, Attachment::Gone);
        self.record(codec, &octets, &pcm, recorder, events) || changed
    }

    /// The next step of digits being sent; commands that are complete are reported on the way.
    fn next_digit_step(&mut self, pcm: &mut Samples, events: &mut Events) -> Option<Step> {
        let as_events = match &self.attachment {
            Attachment::Rtp(end) => end.sends_events(),
            Attachment::Tdm(_) | Attachment::Gone => false,
        };
        loop {
            match self.digits.step(as_events, pcm)? {
                Step::Done => events.push(MediaEvent::DigitsSent { port: self.id }),
                step => return Some(step),
            }
        }
    }

    /// Samples made here to octets for the party.
    fn encode(&mut self, pcm: &Samples, octets: &mut Octets) {
        let codec = self.codec();
        if let Some(frames) = &mut self.frames {
            frames.coder.encode(codec, pcm, octets);
        }
    }

    /// Returns whether `octets` are to be heard.
    fn speak_digit(
        &mut self,
        now: Instant,
        step: Step,
        pcm: &Samples,
        octets: &mut Octets,
        wire: &mut impl Wire,
    ) -> bool {
        match (step, &mut self.attachment) {
            (Step::Tone, _) => {
                self.encode(pcm, octets);
                true
            }
            (Step::Event { begins, event }, Attachment::Rtp(end)) => {
                end.send_event(now, begins, &event, &mut self.stats, wire);
                false
            }
            (Step::Event { .. } | Step::Pause | Step::Done, _) => false,
        }
    }

    /// Returns whether `octets` are to be heard, and whether a playback ended.
    fn speak_audio(
        &mut self,
        number: u64,
        peer: Option<&Heard>,
        pcm: &mut Samples,
        octets: &mut Octets,
        events: &mut Events,
    ) -> (bool, bool) {
        let codec = self.codec();
        let Some(Frames { coder, .. }) = self.frames.as_deref_mut() else { return (false, false) };
        if let Some(player) = &mut self.player {
            let ended = match codec.law() {
                Some(law) => !player.next(law, number, octets),
                None => {
                    let ended = !player.next(Law::Mu, number, octets);
                    g711::decode(Law::Mu, octets, pcm);
                    coder.encode(codec, pcm, octets);
                    ended
                }
            };
            if ended {
                events.push(MediaEvent::PlayDone { port: self.id, play: player.play() });
                self.player = None;
            }
            return (true, ended);
        }
        match peer {
            Some(heard) if heard.codec == codec => {
                *octets = heard.octets;
                *pcm = heard.pcm;
            }
            Some(heard) => match (heard.codec.law(), codec.law()) {
                (Some(from), Some(to)) => g711::transcode(from, to, &heard.octets, octets),
                _ => {
                    *pcm = heard.pcm;
                    coder.encode(codec, pcm, octets);
                }
            },
            None => {}
        }
        // A bridged party hears silence rather than nothing while the other says nothing.
        (self.peer.is_some(), false)
    }

    /// Returns whether the recording ended by an error.
    fn record(
        &mut self,
        codec: Codec,
        octets: &Octets,
        pcm: &Samples,
        recorder: &mut dyn RecordSink,
        events: &mut Events,
    ) -> bool {
        let Some(name) = &self.recording else { return false };
        let silence = [0; FRAME];
        let heard = self.frames.as_ref().and_then(|frames| frames.heard.as_ref());
        let left = heard.map_or(&silence, |heard| &heard.pcm);
        let mut right = *pcm;
        if let Some(law) = codec.law() {
            g711::decode(law, octets, &mut right);
        }
        if recorder.frame(name, left, &right).is_ok() {
            return false;
        }
        recorder.finish(name);
        self.recording = None;
        events.push(MediaEvent::RecordFailed { port: self.id });
        true
    }

    /// The hardware vanished: say so once; the port stays until it is closed.
    fn lose(&mut self, events: &mut Events) {
        self.attachment = Attachment::Gone;
        if let Some(frames) = &mut self.frames {
            frames.heard = None;
        }
        events.push(MediaEvent::Failed { port: self.id });
    }
}

/// Listens for digits and reports each as it begins.
fn detect(detector: &mut Detector, pcm: &Samples, port: PortId, events: &mut Events) {
    for event in detector.process(pcm) {
        if let DtmfEvent::Down(digit) = event {
            events.push(MediaEvent::Digit { port, digit, source: DigitSource::InBand });
        }
    }
}
