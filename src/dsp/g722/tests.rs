use super::*;
use crate::dsp::level;

/// Sound of every kind that a coder's adaptation meets: noise and tones whose level moves over the whole range, silence,
/// square waves at full scale. Integers only, so that it is the same everywhere.
fn workout(samples: usize) -> Vec<i16> {
    let mut state = 0x722_u64;
    let mut phase = 0u32;
    (0..samples)
        .map(|n| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let noise = i32::from(state as i16);
            phase = phase.wrapping_add(40_000_000 + (n as u32 % 16_000) * 50_000);
            // A triangle wave that sweeps upwards.
            let triangle = (i32::from((phase >> 16) as i16)).abs() * 2 - 32_768;
            let shift = (n / 1_600) % 14;
            let x = match (n / 8_000) % 5 {
                0 => noise >> shift,
                1 => triangle >> shift,
                2 => (triangle >> 1) + (noise >> 4),
                3 => {
                    if phase >> 31 == 0 {
                        32_767
                    } else {
                        -32_768
                    }
                }
                _ => 0,
            };
            x.clamp(-32_768, 32_767) as i16
        })
        .collect()
}

const ENCODED: u64 = 0xdb4f_e01c_1ae7_cf0d;
const DECODED: u64 = 0xb6d9_8abe_5131_bbe9;
const DECODED_ANY: u64 = 0xe299_b969_6b3d_83cd;

fn sine(hz: f64, rate: f64, peak: f64, samples: usize) -> Vec<i16> {
    (0..samples).map(|n| ((n as f64 * hz / rate * std::f64::consts::TAU).sin() * peak) as i16).collect()
}

/// 64-bit FNV-1a.
fn hash(octets: impl IntoIterator<Item = u8>) -> u64 {
    octets.into_iter().fold(0xcbf2_9ce4_8422_2325, |h, o| (h ^ u64::from(o)).wrapping_mul(0x100_0000_01b3))
}

fn round_trip(pcm: &[i16]) -> Vec<i16> {
    let mut octets = vec![0; pcm.len() / 2];
    let mut out = vec![0; pcm.len()];
    Encoder::default().encode(pcm, &mut octets);
    Decoder::default().decode(&octets, &mut out);
    out
}

/// What ffmpeg 5.1 makes of the same input: its encoder's octets, its decoder's samples of those, and its decoder's
/// samples of octets that no encoder would make. `tests/interop/codec.rs` holds both codecs against each other directly.
#[test]
fn bit_exact_with_an_implementation_that_is_not_ours() {
    let pcm = workout(160_000);
    let little = |pcm: &[i16]| hash(pcm.iter().flat_map(|s| s.to_le_bytes()));
    let mut octets = vec![0; pcm.len() / 2];
    Encoder::default().encode(&pcm, &mut octets);
    assert_eq!(hash(octets.iter().copied()), ENCODED);
    let mut out = vec![0; pcm.len()];
    Decoder::default().decode(&octets, &mut out);
    assert_eq!(little(&out), DECODED);
    let any: Vec<u8> = pcm.iter().map(|s| (s ^ (s >> 8)) as u8).collect();
    let mut out = vec![0; any.len() * 2];
    Decoder::default().decode(&any, &mut out);
    assert_eq!(little(&out), DECODED_ANY);
}

#[test]
fn a_wide_band_tone_goes_through() {
    for hz in [300.0, 1_000.0, 3_000.0, 5_500.0, 6_800.0] {
        let pcm = sine(hz, 16_000.0, 8_000.0, 8_000);
        let out = round_trip(&pcm);
        // The filters delay by 22 samples together.
        let error: Vec<i16> = out[1_022..].iter().zip(&pcm[1_000..]).map(|(a, b)| a.saturating_sub(*b)).collect();
        let below = level::measure(&error).0 - level::measure(&pcm).0;
        assert!(below < -20.0, "{hz} Hz: noise at {below} dB");
    }
}

#[test]
fn the_lower_sub_band_alone_is_a_telephone_channel() {
    let pcm = sine(1_000.0, 8_000.0, 8_000.0, 4_000);
    let mut octets = vec![0; pcm.len()];
    Narrow::default().encode(&pcm, &mut octets);
    // To a narrow-band decoder, and to a wide-band one at twice the rate.
    let mut narrow = vec![0; pcm.len()];
    Narrow::default().decode(&octets, &mut narrow);
    let error: Vec<i16> = narrow[400..].iter().zip(&pcm[400..]).map(|(a, b)| a.saturating_sub(*b)).collect();
    assert!(level::measure(&error).0 - level::measure(&pcm).0 < -30.0);
    let mut wide = vec![0; pcm.len() * 2];
    Decoder::default().decode(&octets, &mut wide);
    let loss = level::measure(&wide[800..]).0 - level::measure(&pcm).0;
    assert!(loss.abs() < 0.2, "{loss} dB");
    // And the other way round.
    let pcm = sine(1_000.0, 16_000.0, 8_000.0, 8_000);
    let mut octets = vec![0; pcm.len() / 2];
    Encoder::default().encode(&pcm, &mut octets);
    Narrow::default().decode(&octets, &mut narrow);
    let loss = level::measure(&narrow[400..]).0 - level::measure(&pcm).0;
    assert!(loss.abs() < 0.2, "{loss} dB");
}

#[test]
fn a_decoder_goes_on_as_the_encoder_of_what_follows() {
    let pcm = sine(440.0, 8_000.0, 9_000.0, 1_600);
    let (before, after) = pcm.split_at(800);
    let mut octets = vec![0; 800];
    Narrow::default().encode(before, &mut octets);
    let mut ours = Narrow::default();
    let mut out = [0; 800];
    ours.decode(&octets, &mut out);
    let mut theirs = ours.clone();
    ours.encode(after, &mut octets);
    theirs.decode(&octets, &mut out);
    let error: Vec<i16> = out.iter().zip(after).map(|(a, b)| a.saturating_sub(*b)).collect();
    assert!(level::measure(&error).0 - level::measure(after).0 < -30.0, "no transient at the joint");
}

#[test]
fn silence_stays_silent() {
    let mut out = [9; 3_200];
    Decoder::default().decode(&[SILENCE; 1_600], &mut out);
    assert!(out.iter().all(|s| s.abs() <= 2), "{:?}", out.iter().map(|s| s.abs()).max());
    let mut octets = [0; 160];
    Narrow::default().encode(&[0; 160], &mut octets);
    Decoder::default().decode(&octets, &mut out[..320]);
    // An encoder at rest toggles its smallest steps.
    assert!(level::measure(&out[..320]).0 < -65.0, "{:?}", level::measure(&out[..320]));
}

#[test]
fn unequal_lengths_stop_at_the_shorter() {
    let mut octets = [7; 4];
    Encoder::default().encode(&[0; 5], &mut octets);
    assert_eq!(octets[2..], [7, 7]);
    let mut pcm = [7; 5];
    Decoder::default().decode(&[SILENCE; 1], &mut pcm);
    assert_eq!(pcm[2..], [7, 7, 7]);
}
