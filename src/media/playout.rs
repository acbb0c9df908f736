//! What a party says, out of its jitter buffer: decoded, concealed where it fails, stretched where the network asks for
//! it, and comfort noise in its pauses.

use crate::base::{Codec, Instant};
use crate::dsp::coder::{self, Coder};
use crate::dsp::comfort_noise::Generator;
use crate::dsp::{g711, plc, stretch};
use crate::media::jitter::{Inserted, JitterBuffer, PAYLOAD_MAX, Pace, Run};
use crate::media::{FRAME, Octets, Samples};
use crate::proto::rtp::packet::Header;

/// Between two changes of the pace there is a frame at least that is played as it came.
const REST: u8 = 1;
/// Octets looked at to find a period that can be left out.
const LOOK: usize = FRAME + stretch::LAG_MAX;

/// Measures of play-out.
#[derive(Clone, Copy, Default, Debug)]
pub struct Played {
    /// Samples that had to be made up.
    missing: u64,
    /// Samples of the delay, over all frames.
    waited: u64,
    frames: u64,
}

impl Played {
    /// With those of another play-out.
    pub fn and(self, other: Played) -> Played {
        Played {
            missing: self.missing + other.missing,
            waited: self.waited + other.waited,
            frames: self.frames + other.frames,
        }
    }

    /// Milliseconds that had to be made up.
    pub fn concealed_ms(self) -> u64 {
        self.missing / 8
    }

    /// Mean delay in milliseconds.
    pub fn delay_ms(self) -> u32 {
        (self.waited / 8).checked_div(self.frames).and_then(|ms| u32::try_from(ms).ok()).unwrap_or(0)
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Playout {
    jitter: JitterBuffer,
    /// The codec of what is in the buffer.
    codec: Codec,
    concealment: plc::Concealer,
    /// Hears the peer, and goes on in its place where it fails.
    coder: Coder,
    noise: Option<Generator>,
    gap: bool,
    rest: u8,
    /// Samples of the delay, and frames, for its mean.
    waited: (u64, u64),
}

impl Playout {
    /// Play-out of a stream that has not begun.
    pub fn new(codec: Codec) -> Playout {
        Playout {
            jitter: JitterBuffer::new(),
            codec,
            concealment: plc::Concealer::new(),
            coder: Coder::default(),
            noise: None,
            gap: false,
            rest: 0,
            waited: (0, 0),
        }
    }

    /// Another source begins.
    pub fn reset(&mut self) {
        self.jitter.reset();
        self.noise = None;
    }

    /// Puts a packet of `codec` into the buffer. From one law of G.711 to the other the sound goes on unbroken; to and
    /// from G.722 the buffer begins anew.
    pub fn insert(&mut self, now: Instant, codec: Codec, header: &Header, payload: &[u8]) -> Inserted {
        let now = units(now);
        if codec == self.codec {
            return self.jitter.insert(now, header, payload);
        }
        let (Some(from), Some(to)) = (codec.law(), self.codec.law()) else {
            self.codec = codec;
            self.reset();
            self.coder = Coder::default();
            return self.jitter.insert(now, header, payload);
        };
        let mut octets = [0; PAYLOAD_MAX];
        let Some(octets) = octets.get_mut(..payload.len()) else { return Inserted::Refused };
        g711::transcode(from, to, payload, octets);
        self.jitter.insert(now, header, octets)
    }

    /// The peer's party says nothing: its background goes on as the payload says (RFC 3389).
    pub fn pause(&mut self, payload: &[u8]) {
        self.jitter.pause();
        match &mut self.noise {
            Some(noise) => noise.set(payload),
            None => self.noise = Some(Generator::new(payload)),
        }
    }

    /// The codec of [`Playout::next`]'s octets.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// What it measured so far.
    pub fn played(&self) -> Played {
        let (waited, frames) = self.waited;
        Played { missing: self.jitter.missing(), waited, frames }
    }

    /// The next 20 ms, as octets and linear; `false` when the peer says nothing.
    pub fn next(&mut self, now: Instant, frame: &mut Octets, pcm: &mut Samples) -> bool {
        let now = units(now);
        self.rest = self.rest.saturating_sub(1);
        let paced = self.rest == 0
            && match self.jitter.pace(now) {
                Pace::Even => false,
                Pace::Faster => self.play_faster(pcm),
                Pace::Slower => self.play_slower(pcm),
            };
        let made = if paced {
            self.rest = REST + 1;
            self.concealment.good(pcm);
            self.gap = false;
            true
        } else {
            match self.play(now, frame, pcm) {
                Some(made) => made,
                None => return self.be_quiet(frame, pcm),
            }
        };
        if made {
            self.coder.encode(self.codec, pcm, frame);
        }
        self.waited = (self.waited.0 + u64::from(self.jitter.delay(now)), self.waited.1 + 1);
        true
    }

    /// Plays 20 ms as they come, run by run. Returns whether `frame` has still to be made of `pcm`; `None` in a pause.
    fn play(&mut self, now: u32, frame: &mut Octets, pcm: &mut Samples) -> Option<bool> {
        let mut made = false;
        let mut at = 0;
        while at < FRAME {
            let (Some(octets), Some(samples)) = (frame.get_mut(at..), pcm.get_mut(at..)) else { break };
            match self.jitter.pop(now, octets) {
                Run::Audio(len) => {
                    let (octets, samples) = (octets.get(..len)?, samples.get_mut(..len)?);
                    self.coder.decode(self.codec, octets, samples);
                    self.concealment.good(samples);
                    // The joint after a gap was smoothed; of G.722 that would take the higher sub-band away.
                    made |= self.gap && self.codec.law().is_some();
                    self.gap = false;
                    at += len;
                }
                Run::Gap(len) => {
                    self.concealment.conceal(samples.get_mut(..len)?);
                    (made, self.gap) = (true, true);
                    at += len;
                }
                Run::Quiet if at == 0 => return None,
                Run::Quiet => {
                    samples.fill(0);
                    made = true;
                    break;
                }
            }
        }
        Some(made)
    }

    fn be_quiet(&mut self, frame: &mut Octets, pcm: &mut Samples) -> bool {
        let Some(noise) = &mut self.noise else {
            pcm.fill(0);
            frame.fill(coder::silence(self.codec));
            return false;
        };
        noise.fill(pcm);
        self.coder.encode(self.codec, pcm, frame);
        true
    }

    /// Leaves out a period, if one can be.
    fn play_faster(&mut self, pcm: &mut Samples) -> bool {
        let mut octets = [0; LOOK];
        if !self.jitter.look_ahead(&mut octets) {
            return false;
        }
        let mut ahead = [0; LOOK];
        self.coder.clone().decode(self.codec, &octets, &mut ahead);
        let Some(lag) = stretch::removable(&ahead) else { return false };
        let Some(taken) = octets.get(..FRAME + lag) else { return false };
        self.coder.decode(self.codec, taken, &mut ahead);
        stretch::remove(&ahead, lag, pcm);
        self.jitter.advance(FRAME + lag);
        true
    }

    /// Puts a period in, if one can be.
    fn play_slower(&mut self, pcm: &mut Samples) -> bool {
        let mut octets = [0; FRAME];
        if !self.jitter.look_ahead(&mut octets) {
            return false;
        }
        let mut ahead = [0; FRAME];
        self.coder.clone().decode(self.codec, &octets, &mut ahead);
        let before = self.concealment.history();
        let Some(lag) = stretch::insertable(before, &ahead) else { return false };
        let Some(taken) = octets.get(..FRAME - lag) else { return false };
        self.coder.decode(self.codec, taken, &mut ahead);
        stretch::insert(before, &ahead, lag, pcm);
        self.jitter.advance(FRAME - lag);
        true
    }
}

/// Time in timestamp units; only differences count, so the wrap at 32 bits is harmless.
pub fn units(now: Instant) -> u32 {
    (now.as_micros() / 125) as u32
}
