//! Prompts that are not there, or are no audio: never dead air.

use std::f32::consts::TAU;
use std::fs;

use crate::phone::Phone;
use crate::site::{Site, flow, until};

/// Share of the energy of the last half second that is a tone of 440 Hz.
fn beep_share(heard: &[i16]) -> f32 {
    let last = &heard[heard.len().saturating_sub(4000)..];
    last.chunks_exact(400)
        .map(|window| {
            let (mut re, mut im, mut energy) = (0.0f32, 0.0f32, 1e6f32);
            for (n, x) in window.iter().map(|x| f32::from(*x)).enumerate() {
                let turn = TAU * 440.0 * n as f32 / 8000.0;
                re += x * turn.cos();
                im += x * turn.sin();
                energy += x * x;
            }
            2.0 * (re * re + im * im) / (window.len() as f32 * energy)
        })
        .fold(0.0, f32::max)
}

fn steps(prompt: &str) -> String {
    format!(
        "[step.first]\ndo = \"play\"\nprompt = [{{ silence_ms = 300 }}, \"{prompt}\", {{ silence_ms = 10000 }}]\nnext = \"end\"\n"
    )
}

#[test]
fn a_missing_or_broken_prompt_is_a_tone_and_an_alarm() {
    let site = Site::new();
    let dir = site.data().join("prompts/acme");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("broken.wav"), b"RIFF\xff\xff\xff\xffWAVEfmt nonsense").unwrap();
    fs::write(dir.join("empty.wav"), b"").unwrap();
    let more = flow("601", "missing", &steps("no/such/prompt")) + &flow("602", "broken", &steps("acme/broken"));
    let live = site.start(&more);
    assert_eq!(live.0.prompt_faults.len(), 2, "{:?}", live.0.prompt_faults);
    let unusable = live.status().alarms.into_iter().filter(|a| a.name == "prompt-unusable").count();
    assert_eq!(unusable, 2, "files that are no prompts raise an alarm before anybody misses them");
    for (number, name) in [("601", "no/such/prompt"), ("602", "acme/broken")] {
        let mut caller = Phone::new(site.carrier(), site.server(), "5551", 1);
        let session = caller.call(number);
        until("the fallback tone is heard", || {
            caller.step();
            caller.talk.as_ref().is_some_and(|t| beep_share(&t.heard) > 0.8)
        });
        let alarms = live.status().alarms;
        assert!(alarms.iter().any(|a| a.name == "prompt-missing" && a.subject == name), "{alarms:?}");
        caller.hang_up(session);
    }
    live.stop();
}
