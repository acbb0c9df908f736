//! Answer detection on real recordings. Nobody has recorded answered calls for us, so prompts stand for them: single words
//! (numbers, letters, a hello) after half a second of line noise for a person who says "hello" or a name, and prompts of
//! three seconds and more, among them those of a voicemail, for a machine's greeting.

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

/// The recording as an answer: noise, the speech at -20 dBm0, then noise again.
fn answered_by(recording: &Recording, noise: &mut Noise) -> Option<Answerer> {
    let speech = at_level(&recording.pcm, -20.0);
    let line = noise.white(-58.0, 4_000 + speech.len() + 40_000);
    let pcm: Vec<i16> = line
        .iter()
        .enumerate()
        .map(|(n, x)| {
            let said = n.checked_sub(4_000).and_then(|n| speech.get(n)).copied().unwrap_or(0);
            (x + f64::from(said)) as i16
        })
        .collect();
    let mut detector = Detector::default();
    pcm.chunks(160).find_map(|frame| detector.process(frame))
}

#[test]
fn words_are_people_and_greetings_are_machines() {
    let mut noise = Noise::new(0x5eed_a45e);
    let (mut people, mut people_right, mut machines, mut machines_right) = (0, 0, 0, 0);
    for recording in &share(recordings(), 8) {
        let name = recording.name();
        if ["silence", "beep", "tone", "dial", "moh"].iter().any(|word| name.contains(word)) {
            continue;
        }
        let seconds = recording.pcm.len() as f64 / 8000.0;
        if (PERSON_S.0..PERSON_S.1).contains(&seconds) {
            people += 1;
            people_right += usize::from(answered_by(recording, &mut noise) == Some(Answerer::Human));
        } else if seconds >= MACHINE_S {
            machines += 1;
            machines_right += usize::from(answered_by(recording, &mut noise) == Some(Answerer::Machine));
        }
    }
    if people == 0 || machines == 0 {
        return;
    }
    println!("people: {people_right} of {people} right; machines: {machines_right} of {machines} right");
    assert!(people_right as f64 >= people as f64 * PEOPLE_RIGHT, "{people_right} of {people} people");
    assert!(machines_right as f64 >= machines as f64 * MACHINES_RIGHT, "{machines_right} of {machines} machines");
}
