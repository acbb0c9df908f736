//! Answer detection on real recordings. Nobody has recorded answered calls for us, so prompts stand for them: single words
//! (numbers, letters, a hello) after half a second of line noise for a person who says "hello" or a name, and prompts of
//! three seconds and more, among them those of a voicemail, for a machine's greeting. What lies between, a sentence such as
//! "Smith and Sons, Mary speaking", may be either: for it the shares are printed, and nothing is asserted.

use cordboard::base::Answerer;
use cordboard::dsp::answer::Detector;

use crate::signal::Noise;
use crate::speech::{Recording, at_level, recordings, share};

/// Lengths of what stands for a person and for a machine, in seconds.
const PERSON_S: (f64, f64) = (0.3, 1.2);
const MACHINE_S: f64 = 3.0;
/// What must be right here. On real lines it will be less: people say more than a word, machines pause after a hello.
const PEOPLE_RIGHT: f64 = 0.98;
const MACHINES_RIGHT: f64 = 0.95;
/// Recordings there must be of each kind, of those that are listened to.
const LEAST: usize = if cfg!(debug_assertions) { 30 } else { 500 };

/// What the speech, at -20 dBm0, comes with.
struct Line {
    name: &'static str,
    noise: f32,
    /// Digital silence before, as play-out has it until the first packet, and noise after it, in samples.
    silent: usize,
    quiet: usize,
}

const LINES: [Line; 3] = [
    Line { name: "a quiet line", noise: -58.0, silent: 0, quiet: 4_000 },
    Line { name: "a call centre or a car, over RTP", noise: -38.0, silent: 800, quiet: 4_000 },
    Line { name: "speech at once", noise: -58.0, silent: 0, quiet: 0 },
];

/// The recording as an answer: noise, the speech, then noise again.
fn answered_by(recording: &Recording, line: &Line, noise: &mut Noise) -> Option<Answerer> {
    let speech = at_level(&recording.pcm, -20.0);
    let before = line.silent + line.quiet;
    let pcm: Vec<i16> = noise
        .white(line.noise, before + speech.len() + 40_000)
        .iter()
        .enumerate()
        .map(|(n, x)| {
            let said = n.checked_sub(before).and_then(|n| speech.get(n)).copied().unwrap_or(0);
            if n < line.silent { 0 } else { (x + f64::from(said)) as i16 }
        })
        .collect();
    let mut detector = Detector::default();
    pcm.chunks(160).find_map(|frame| detector.process(frame))
}

#[test]
fn words_are_people_and_greetings_are_machines() {
    let recordings = share(recordings(), 16);
    if recordings.is_empty() {
        return;
    }
    let mut noise = Noise::new(0x5eed_a45e);
    for line in &LINES {
        let (mut people, mut people_right, mut machines, mut machines_right) = (0, 0, 0, 0);
        let mut between = [0; 3];
        for recording in &recordings {
            let name = recording.name();
            if ["silence", "beep", "tone", "dial", "moh"].iter().any(|word| name.contains(word)) {
                continue;
            }
            let seconds = recording.pcm.len() as f64 / 8000.0;
            if seconds < PERSON_S.0 {
                continue;
            }
            let by = answered_by(recording, line, &mut noise);
            if seconds < PERSON_S.1 {
                people += 1;
                people_right += usize::from(by == Some(Answerer::Human));
            } else if seconds >= MACHINE_S {
                machines += 1;
                machines_right += usize::from(by == Some(Answerer::Machine));
            } else {
                between[by.map_or(2, |by| usize::from(by == Answerer::Machine))] += 1;
            }
        }
        println!(
            "{}: people: {people_right} of {people} right; machines: {machines_right} of {machines} right; between, \
             {} to {MACHINE_S} s: {} people, {} machines, {} undecided",
            line.name, PERSON_S.1, between[0], between[1], between[2]
        );
        assert!(people >= LEAST && machines >= LEAST, "too few recordings");
        assert!(people_right as f64 >= people as f64 * PEOPLE_RIGHT, "{people_right} of {people} people");
        assert!(machines_right as f64 >= machines as f64 * MACHINES_RIGHT, "{machines_right} of {machines} machines");
    }
}
