//! Digits that speech imitates.

use cordboard::base::Law;
use cordboard::dsp::dtmf::{Detector, DtmfEvent};

use crate::signal::line;
use crate::speech::{at_level, recordings, share};

/// ITU-T Q.24 table A-1, NTT: at most six false digits in 46 hours of speech of a mean level of -15 dBm. Two hours are
/// too short to tell a rate of 0.13 an hour from zero, so none at all is let pass at that level.
const STANDARD_LEVEL: f32 = -15.0;
/// The other levels are ours: that of the recordings, 9 dB louder, and 10 dB below. At most one an hour.
const FALSE_PER_HOUR_MAX: f64 = 1.0;

#[test]
fn real_speech_talks_off_nothing() {
    // Half an hour and more, all the same.
    let recordings = share(recordings(), 4);
    if recordings.is_empty() {
        return;
    }
    let levels: &[_] = &[None, Some(STANDARD_LEVEL), Some(-6.0), Some(-25.0)];
    let levels = if cfg!(debug_assertions) { &levels[..2] } else { levels };
    for &level in levels {
        let (mut samples, mut wrong) = (0, Vec::new());
        let mut detector = Detector::new();
        for recording in &recordings {
            let pcm = level.map_or_else(|| recording.pcm.clone(), |level| at_level(&recording.pcm, level));
            let signal: Vec<f64> = pcm.iter().map(|&x| f64::from(x)).collect();
            let pcm = line(&signal, Law::Mu);
            for frame in pcm.chunks(160) {
                let digits = detector.process(frame).filter_map(|e| match e {
                    DtmfEvent::Down(digit) => Some(digit),
                    DtmfEvent::Up { .. } => None,
                });
                wrong.extend(digits.map(|digit| (recording.name(), digit)));
            }
            samples += pcm.len();
        }
        let hours = samples as f64 / 8000.0 / 3600.0;
        let at = level.map_or("as recorded".to_owned(), |level| format!("at {level} dBm0"));
        println!("{:.1} minutes of speech {at}: {} false digits {wrong:?}", hours * 60.0, wrong.len());
        assert!(hours >= 0.5, "only {:.1} minutes of speech", hours * 60.0);
        assert!(wrong.len() as f64 <= hours * FALSE_PER_HOUR_MAX, "{at}: {wrong:?}");
        assert!(level != Some(STANDARD_LEVEL) || wrong.is_empty(), "{wrong:?}");
    }
}
