//! Audio that is played often: encoded once, in both laws.

use std::sync::Arc;

use crate::base::Law;
use crate::dsp::g711;
use crate::media::{FRAME, Octets};

/// A piece of 8 kHz audio, ready to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prompt {
    ulaw: Box<[u8]>,
    alaw: Box<[u8]>,
}

impl Prompt {
    /// From linear samples at 8 kHz.
    pub fn new(pcm: &[i16]) -> Prompt {
        let encoded = |law| {
            let mut octets = vec![0; pcm.len()].into_boxed_slice();
            g711::encode(law, pcm, &mut octets);
            octets
        };
        Prompt { ulaw: encoded(Law::Mu), alaw: encoded(Law::A) }
    }

    /// Length in samples.
    pub fn samples(&self) -> usize {
        self.ulaw.len()
    }

    /// The octets in a law.
    pub fn octets(&self, law: Law) -> &[u8] {
        match law {
            Law::Mu => &self.ulaw,
            Law::A => &self.alaw,
        }
    }

    /// Copies from `position` into `to`; returns how many octets there were.
    pub fn read(&self, law: Law, position: usize, to: &mut [u8]) -> usize {
        let from = self.octets(law).get(position..).unwrap_or_default();
        let len = from.len().min(to.len());
        if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
            to.copy_from_slice(from);
        }
        len
    }
}

/// A prompt that plays for ever, in step for all its listeners: what a listener hears depends on the time only, so each
/// frame is made once per law however many listen.
#[derive(Clone, Debug)]
pub struct Loop {
    prompt: Arc<Prompt>,
}

impl Loop {
    /// A loop over `prompt`; `None` when it is shorter than a frame.
    pub fn new(prompt: Arc<Prompt>) -> Option<Loop> {
        (prompt.samples() >= FRAME).then_some(Loop { prompt })
    }

    /// The frame with this number since the origin of time. A rest of less than a frame at the prompt's end is left out.
    pub fn frame(&self, law: Law, number: u64, to: &mut Octets) {
        let frames = (self.prompt.samples() / FRAME).max(1) as u64;
        self.prompt.read(law, (number % frames) as usize * FRAME, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_laws_have_the_same_length() {
        let prompt = Prompt::new(&[0, 1_000, -1_000, 30_000]);
        assert_eq!(prompt.samples(), 4);
        assert_eq!(prompt.octets(Law::Mu).len(), prompt.octets(Law::A).len());
        let mut to = [0; 3];
        assert_eq!(prompt.read(Law::Mu, 2, &mut to), 2);
        assert_eq!(to[..2], prompt.octets(Law::Mu)[2..]);
        assert_eq!(prompt.read(Law::Mu, 99, &mut to), 0);
    }

    #[test]
    fn a_loop_wraps_at_whole_frames() {
        let pcm: Vec<i16> = (0..400).map(|n| n * 64).collect();
        let prompt = Arc::new(Prompt::new(&pcm));
        let looped = Loop::new(prompt.clone()).expect("long enough");
        let mut first = [0; FRAME];
        let mut third = [0; FRAME];
        looped.frame(Law::A, 0, &mut first);
        looped.frame(Law::A, 2, &mut third);
        assert_eq!(first, third);
        assert_eq!(first[..], prompt.octets(Law::A)[..FRAME]);
        assert!(Loop::new(Arc::new(Prompt::new(&pcm[..159]))).is_none());
    }
}
