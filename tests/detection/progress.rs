//! Tones that speech must not imitate: each would end a call or take it to a fax machine.

use cordboard::base::HeardTone;
use cordboard::dsp::progress::Listener;

use crate::speech::{recordings, share};

/// Two countries stand for all: two sines a tone, and one.
const COUNTRIES: [[u8; 2]; 2] = [*b"us", *b"de"];

#[test]
fn real_speech_brings_no_busy_congestion_special_or_fax_tone() {
    let recordings = share(recordings(), 16);
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
        println!("{:.1} minutes of speech: {wrong:?}", samples as f64 / 8000.0 / 60.0);
        wrong.retain(|(_, tone)| *tone != HeardTone::Ringback && *tone != HeardTone::Dial);
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
