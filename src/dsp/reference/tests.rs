use super::*;
use crate::base::Law;
use crate::dsp::{dtmf, g711, mix, music, plc};

fn signal(seed: u64, len: usize) -> Vec<i16> {
    let mut pcm = vec![0; len];
    ReferenceSignal::new(seed).fill(&mut pcm);
    pcm
}

/// u-law, then A-law, then u-law, as over two gateways.
fn through_the_laws(pcm: &[i16]) -> Vec<i16> {
    let mut a = vec![0; pcm.len()];
    let mut b = vec![0; pcm.len()];
    g711::encode(Law::Mu, pcm, &mut a);
    g711::transcode(Law::Mu, Law::A, &a, &mut b);
    g711::transcode(Law::A, Law::Mu, &b, &mut a);
    let mut out = vec![0; pcm.len()];
    g711::decode(Law::Mu, &a, &mut out);
    out
}

fn heard(pcm: &[i16]) -> Recognizer {
    let mut recognizer = Recognizer::new();
    pcm.chunks(160).for_each(|frame| recognizer.push(frame));
    recognizer
}

#[test]
fn heard_after_1_1_s_over_both_laws_at_any_delay() {
    for seed in 0..40 {
        let delay = (seed as usize * 7919) % 4001;
        let mut path = vec![0; delay];
        path.extend(signal(seed, 8800));
        let recognizer = heard(&through_the_laws(&path));
        let score = recognizer.score(seed);
        assert!(score >= 0.8, "seed {seed}, delay {delay}: {score}");
    }
}

#[test]
fn heard_when_only_the_middle_arrives() {
    let pcm = signal(3, 40_000);
    for start in (8000..16_000).step_by(997) {
        assert!(heard(&pcm[start..start + 9000]).score(3) >= 0.8, "from {start}");
    }
}

#[test]
fn no_seed_is_taken_for_another() {
    let (mut worst, mut worst_own) = (0.0f32, 1.0f32);
    for seed in 0..60 {
        let recognizer = heard(&through_the_laws(&signal(seed, 16_000)));
        worst_own = worst_own.min(recognizer.score(seed));
        for other in (0..60).filter(|&other| other != seed) {
            worst = worst.max(recognizer.score(other));
        }
        assert_eq!(recognizer.recognise(0..60).map(|r| r.seed), Some(seed));
    }
    assert!(worst < RECOGNISED && worst < worst_own / 2.0, "best wrong {worst}, worst right {worst_own}");
}

#[test]
fn silence_music_noise_digits_and_tones_are_nobody() {
    let mut noise = 1u64;
    let noise: Vec<i16> = (0..80_000)
        .map(|_| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            (noise >> 50) as i16 - 8192
        })
        .collect();
    let mut ringback = vec![0; 80_000];
    crate::dsp::tone::Generator::new(crate::dsp::tone::plan(*b"us", crate::base::ToneKind::Ringback))
        .fill(&mut ringback);
    for (name, pcm) in
        [("silence", vec![0; 80_000]), ("music", music::hold()), ("noise", noise), ("ringback", ringback)]
    {
        let mut recognizer = Recognizer::new();
        let mut worst = 0.0f32;
        for second in pcm.chunks(4000) {
            recognizer.push(second);
            worst = (0..50).map(|seed| recognizer.score(seed)).fold(worst, f32::max);
        }
        assert!(worst < 0.3, "{name}: {worst}");
    }
}

#[test]
fn no_reference_signal_sounds_like_a_digit() {
    for seed in 0..100 {
        let pcm = signal(seed, 16_000);
        assert_eq!(dtmf::Detector::new().process(&pcm).count(), 0, "seed {seed}");
    }
}

#[test]
fn three_percent_of_lost_frames_do_not_hide_it_concealed_or_silent() {
    for conceal in [false, true] {
        let mut pcm = through_the_laws(&signal(11, 8000 * 20));
        let mut concealer = plc::Concealer::new();
        let mut random = 7u32;
        let mut recognizer = Recognizer::new();
        for (k, frame) in pcm.chunks_mut(160).enumerate() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let lost = random >> 16 < 65_536 * 3 / 100;
            match (lost, conceal) {
                (true, true) => concealer.conceal(frame),
                (true, false) => frame.fill(0),
                (false, _) => concealer.good(frame),
            }
            recognizer.push(frame);
            if k > 60 {
                let score = recognizer.score(11);
                assert!(score >= 0.6, "frame {k}, conceal {conceal}: {score}");
            }
        }
    }
}

#[test]
fn our_own_echo_below_it_does_not_hide_it() {
    for (mine, theirs) in [(1, 2), (3, 4), (5, 6)] {
        let mut pcm = signal(theirs, 16_000);
        let mut echo = signal(mine, 16_000);
        // 10 dB of echo loss, late by 41 ms.
        mix::scale(&mut echo, 81);
        mix::add(&mut pcm[328..], &echo);
        let recognizer = heard(&through_the_laws(&pcm));
        assert_eq!(recognizer.recognise([mine, theirs]).map(|r| r.seed), Some(theirs));
        assert!(recognizer.score(theirs) >= 0.7 && recognizer.score(mine) < 0.3);
    }
}

#[test]
fn a_quiet_path_and_a_slip_of_the_jitter_buffer_do_not_hide_it() {
    let mut pcm = signal(21, 24_000);
    mix::scale(&mut pcm, 26);
    pcm.drain(11_000..11_160);
    let recognizer = heard(&through_the_laws(&pcm));
    assert!(recognizer.score(21) >= 0.7, "{}", recognizer.score(21));
}

#[test]
fn a_score_follows_the_signal_and_reset_forgets() {
    let mut recognizer = heard(&signal(1, 16_000));
    recognizer.push(&signal(2, 16_000));
    assert!(recognizer.score(1) < 0.3 && recognizer.score(2) >= 0.8);
    recognizer.reset();
    assert!(recognizer.recognise(0..10).is_none());
}
