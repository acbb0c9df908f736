//! What a port listens for beside digits: the network's tones, and who answered.

use crate::base::PortId;
use crate::core::media::MediaEvent;
use crate::dsp::{answer, progress};
use crate::media::Samples;
use crate::media::port::Events;

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    /// The country whose tones are to be told.
    pub tones: Option<[u8; 2]>,
    /// Whether to find out who answered.
    pub answer: bool,
}

impl Wanted {
    /// Whether anything is.
    pub fn any(self) -> bool {
        self.tones.is_some() || self.answer
    }
}

/// The detectors.
#[derive(Default)]
pub struct Listening {
    tones: Option<([u8; 2], Box<progress::Listener>)>,
    answer: Option<Box<answer::Detector>>,
}

impl Listening {
    /// Makes and drops detectors. Allocates; runs on commands only.
    pub fn equip(&mut self, wanted: Wanted) {
        if self.tones.as_ref().map(|(country, _)| *country) != wanted.tones {
            self.tones = wanted.tones.map(|country| (country, Box::new(progress::Listener::new(country))));
        }
        if !wanted.answer {
            self.answer = None;
        } else if self.answer.is_none() {
            self.answer = Some(Box::default());
        }
    }

    /// Listens to a frame, and reports what it brought.
    pub fn hear(&mut self, pcm: &Samples, port: PortId, events: &mut Events) {
        if let Some((_, listener)) = &mut self.tones {
            listener.process(pcm, |tone| events.push(MediaEvent::Tone { port, tone }));
        }
        if let Some(by) = self.answer.as_mut().and_then(|detector| detector.process(pcm)) {
            events.push(MediaEvent::Answered { port, by });
        }
    }
}
