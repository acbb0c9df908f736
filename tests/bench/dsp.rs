//! What one channel's frame of 20 ms costs. Channels per core are 20 ms divided by the figure.
//! `cargo bench --bench dsp`

use std::f64::consts::TAU;

use cordboard::base::{Law, ToneKind};
use cordboard::dsp::{dtmf, g711, g722, mix, music, plc, reference, resample, tone};
use divan::{Bencher, black_box};

const FRAME: usize = 160;

fn main() {
    divan::main();
}

/// A second of several sines: loud enough that no detector gives up early.
fn speech_like() -> Vec<i16> {
    let sine = |n: usize, hz: f64| (n as f64 * hz / 8000.0 * TAU).sin();
    (0..8000).map(|n| (6000.0 * (sine(n, 210.0) + sine(n, 630.0) + 0.5 * sine(n, 1470.0))) as i16).collect()
}

/// Runs `f` on one frame after another of a second of sound.
fn frames(bencher: Bencher, mut f: impl FnMut(&[i16])) {
    let pcm = speech_like();
    let mut at = 0;
    bencher.bench_local(|| {
        f(black_box(&pcm[at..at + FRAME]));
        at = (at + FRAME) % pcm.len();
    });
}

#[divan::bench(args = [Law::Mu, Law::A])]
fn g711_encode(bencher: Bencher, law: Law) {
    let mut out = [0; FRAME];
    frames(bencher, |pcm| g711::encode(law, pcm, black_box(&mut out)));
}

#[divan::bench(args = [Law::Mu, Law::A])]
fn g711_decode(bencher: Bencher, law: Law) {
    let octets: [u8; FRAME] = std::array::from_fn(|i| (i * 37) as u8);
    let mut out = [0; FRAME];
    bencher.bench_local(|| g711::decode(law, black_box(&octets), black_box(&mut out)));
}

#[divan::bench]
fn g711_transcode(bencher: Bencher) {
    let octets: [u8; FRAME] = std::array::from_fn(|i| (i * 37) as u8);
    let mut out = [0; FRAME];
    bencher.bench_local(|| g711::transcode(Law::Mu, Law::A, black_box(&octets), black_box(&mut out)));
}

/// A narrow-band party's frame for a wide-band one.
#[divan::bench]
fn g722_narrow_encode(bencher: Bencher) {
    let (mut coder, mut out) = (g722::Narrow::default(), [0; FRAME]);
    frames(bencher, |pcm| coder.encode(pcm, black_box(&mut out)));
}

/// A wide-band party's frame for a narrow-band one.
#[divan::bench]
fn g722_narrow_decode(bencher: Bencher) {
    let octets: [u8; FRAME] = std::array::from_fn(|i| (i * 37) as u8);
    let (mut coder, mut out) = (g722::Narrow::default(), [0; FRAME]);
    bencher.bench_local(|| coder.decode(black_box(&octets), black_box(&mut out)));
}

/// The whole codec, both ways.
#[divan::bench]
fn g722_wide(bencher: Bencher) {
    let (mut encoder, mut decoder) = (g722::Encoder::default(), g722::Decoder::default());
    let (mut octets, mut out) = ([0; FRAME / 2], [0; FRAME]);
    frames(bencher, |pcm| {
        encoder.encode(pcm, black_box(&mut octets));
        decoder.decode(&octets, black_box(&mut out));
    });
}

#[divan::bench]
fn dtmf_detector_on_sound(bencher: Bencher) {
    let mut detector = dtmf::Detector::new();
    frames(bencher, |pcm| {
        black_box(detector.process(pcm).count());
    });
}

#[divan::bench]
fn dtmf_detector_on_silence(bencher: Bencher) {
    let mut detector = dtmf::Detector::new();
    bencher.bench_local(|| detector.process(black_box(&[0; FRAME])).count());
}

#[divan::bench]
fn tone_ringback(bencher: Bencher) {
    let mut generator = tone::Generator::new(tone::plan(*b"us", ToneKind::Dial));
    let mut out = [0; FRAME];
    bencher.bench_local(|| generator.fill(black_box(&mut out)));
}

#[divan::bench]
fn mix_add(bencher: Bencher) {
    let mut sum = [0; FRAME];
    frames(bencher, |pcm| mix::add(black_box(&mut sum), pcm));
}

#[divan::bench]
fn plc_good(bencher: Bencher) {
    let mut concealer = plc::Concealer::new();
    let mut out = [0; FRAME];
    frames(bencher, |pcm| {
        out.copy_from_slice(pcm);
        concealer.good(black_box(&mut out));
    });
}

#[divan::bench]
fn plc_first_lost(bencher: Bencher) {
    let mut concealer = plc::Concealer::new();
    concealer.good(&mut speech_like());
    let mut out = [0; FRAME];
    bencher.with_inputs(|| concealer.clone()).bench_local_refs(|c| c.conceal(black_box(&mut out)));
}

#[divan::bench]
fn reference_recognizer(bencher: Bencher) {
    let mut recognizer = reference::Recognizer::new();
    frames(bencher, |pcm| recognizer.push(pcm));
}

/// A second of input, not a frame.
#[divan::bench(args = [16_000, 44_100, 48_000])]
fn resample_second(bencher: Bencher, rate: u32) {
    let pcm = vec![1000; rate as usize];
    bencher.bench_local(|| resample::to_8_khz(black_box(&pcm), rate));
}

/// The whole loop, once at start.
#[divan::bench]
fn music_hold() -> Vec<i16> {
    music::hold()
}
