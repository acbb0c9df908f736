//! Tones that speech must not imitate: each would end a call or take it to a fax machine.

use cordboard::base::HeardTone;
use cordboard::dsp::progress::Listener;

use crate::speech::{recordings, share};

/// Two countries stand for all: two sines a tone, and one.
const COUNTRIES: [[u8; 2]; 2] = [*b"us", *b"de"];

/// Speech there must be, of what is listened to.
const HOURS_MIN: f64 = if cfg!(debug_assertions) { 0.1 } else { 1.5 };

#[test]
fn real_speech_brings_no_busy_congestion_special_or_fax_tone() {
    let recordings = share(recordings(), 16);
    if recordings.is_empty() {
        return;
    }
    for country in COUNTRIES {
        let (mut samples, mut wrong) = (0, Vec::new());
        let mut listener = Listener::new(country);
        for recording in &recordings {
            // Some prompts are beeps and tones themselves.
            if ["beep", "tone", "dial", "info"].iter().any(|word| recording.name().contains(word)) {
                continue;
            }
            for frame in recording.pcm.chunks(160) {
                listener.process(frame, |tone| wrong.push((recording.name(), tone)));
            }
            samples += recording.pcm.len();
        }
        let hours = samples as f64 / 8000.0 / 3600.0;
        println!("{:.1} minutes of speech: {wrong:?}", hours * 60.0);
        assert!(hours >= HOURS_MIN, "only {:.1} minutes of speech", hours * 60.0);
        wrong.retain(|(_, tone)| *tone != HeardTone::Ringback && *tone != HeardTone::Dial);
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
