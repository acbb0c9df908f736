//! DTMF reception, a test a requirement. Values are those of AT&T and NTT in ITU-T Q.24 table A-1 where a test names
//! them; the others are field practice. All signals pass G.711 in both laws, and are tried at many alignments with the
//! detector's windows.

use cordboard::base::Law;
use cordboard::dsp::dtmf::{Detector, DtmfEvent};
use cordboard::dsp::{plc, resample};

use crate::signal::{DIGITS, Digits, Noise, PLAIN, add, line, sine, to_pcm};

/// The digits in a signal that comes in frames of 20 ms.
pub fn detect(pcm: &[i16]) -> String {
    let mut detector = Detector::new();
    let mut digits = String::new();
    for frame in pcm.chunks(160) {
        digits.extend(detector.process(frame).filter_map(|event| match event {
            DtmfEvent::Down(digit) => Some(digit),
            DtmfEvent::Up { .. } => None,
        }));
    }
    digits
}

const LAWS: [Law; 2] = [Law::Mu, Law::A];

fn hears(digits: Digits) {
    for lead in (0..64).step_by(7) {
        let signal = Digits { lead, ..digits }.send(DIGITS);
        for law in LAWS {
            assert_eq!(detect(&line(&signal, law)), DIGITS, "{digits:?}, lead {lead}, {law:?}");
        }
    }
}

fn rejects(digits: Digits) {
    for lead in (0..64).step_by(7) {
        let signal = Digits { lead, ..digits }.send(DIGITS);
        for law in LAWS {
            assert_eq!(detect(&line(&signal, law)), "", "{digits:?}, lead {lead}, {law:?}");
        }
    }
}

/// Hears all digits through `change`, at many alignments.
fn hears_through(digits: Digits, mut change: impl FnMut(&mut Vec<f64>)) {
    for lead in (0..64).step_by(7) {
        let mut signal = Digits { lead, ..digits }.send(DIGITS);
        change(&mut signal);
        for law in LAWS {
            assert_eq!(detect(&line(&signal, law)), DIGITS, "{digits:?}, lead {lead}, {law:?}");
        }
    }
}

#[test]
fn q24_att_operates_from_0_to_minus_25_dbm_a_frequency() {
    // At 0 dBm each the sum clips: 2 x 22,827 of 32,767.
    for level in [0.0, -3.0, -10.0, -20.0, -25.0] {
        hears(Digits { low: level, high: level, ..PLAIN });
    }
}

#[test]
fn q24_att_does_not_operate_at_minus_55_dbm() {
    // And not from -36 on, where only noise and crosstalk are.
    for level in [-36.0, -45.0, -55.0] {
        rejects(Digits { low: level, high: level, on: 800, ..PLAIN });
    }
}

#[test]
fn q24_att_twist_of_plus_4_and_minus_8_db_operates() {
    for (low, high) in [(-10.0, -6.0), (-20.0, -16.0), (-6.0, -14.0), (-16.0, -24.0)] {
        hears(Digits { low, high, ..PLAIN });
        hears(Digits { low, high, low_offset: 0.015, high_offset: -0.015, ..PLAIN });
    }
}

#[test]
fn q24_ntt_twist_of_5_db_either_way_operates() {
    for (low, high) in [(-10.0, -5.0), (-5.0, -10.0), (-24.0, -19.0), (-19.0, -24.0)] {
        hears(Digits { low, high, ..PLAIN });
    }
}

#[test]
fn twist_beyond_13_db_is_refused() {
    rejects(Digits { low: -20.0, high: -7.0, on: 800, ..PLAIN });
    rejects(Digits { low: -7.0, high: -20.0, on: 800, ..PLAIN });
}

#[test]
fn q24_att_offsets_of_1_5_percent_and_2_hz_operate() {
    for low_offset in [-0.015, 0.015] {
        for high_offset in [-0.015, 0.015] {
            hears(Digits { low_offset, high_offset, beyond_hz: 2.0, ..PLAIN });
        }
    }
}

#[test]
fn q24_ntt_offsets_of_1_8_percent_operate() {
    for low_offset in [-0.018, 0.018] {
        for high_offset in [-0.018, 0.018] {
            hears(Digits { low_offset, high_offset, ..PLAIN });
        }
    }
}

#[test]
fn q24_att_offsets_of_3_5_percent_do_not_operate() {
    for offset in [-0.035, 0.035] {
        for on in [320, 400, 800] {
            rejects(Digits { low_offset: offset, on, ..PLAIN });
            rejects(Digits { high_offset: offset, on, ..PLAIN });
        }
    }
}

#[test]
fn q24_ntt_offsets_of_3_percent_do_not_operate() {
    for offset in [-0.030, 0.030] {
        for on in [320, 400, 800] {
            rejects(Digits { low_offset: offset, on, ..PLAIN });
            rejects(Digits { high_offset: offset, on, ..PLAIN });
        }
    }
}

#[test]
fn q24_signals_of_40_ms_operate_and_of_23_ms_do_not() {
    for lead in 0..64 {
        let heard = Digits { lead, ..PLAIN }.send(DIGITS);
        let short = Digits { on: 23 * 8, lead, ..PLAIN }.send(DIGITS);
        for law in LAWS {
            assert_eq!(detect(&line(&heard, law)), DIGITS, "lead {lead}");
            assert_eq!(detect(&line(&short, law)), "", "lead {lead}");
        }
    }
}

#[test]
fn q24_ntt_pauses_of_30_ms_split_a_repeated_digit() {
    for lead in 0..64 {
        let signal = Digits { off: 240, lead, ..PLAIN }.send("5555");
        assert_eq!(detect(&line(&signal, Law::Mu)), "5555", "lead {lead}");
    }
}

#[test]
fn q24_signalling_velocity_of_93_ms_a_digit_operates() {
    hears(Digits { on: 320, off: 53 * 8, ..PLAIN });
    hears(Digits { on: 53 * 8, off: 320, ..PLAIN });
}

#[test]
fn q24_interruptions_of_10_ms_do_not_split_a_digit_wherever_they_fall() {
    for from in (0..64).chain([300, 640, 1111]) {
        let mut signal = Digits { on: 1600, ..PLAIN }.send("5");
        signal[280 + from..360 + from].fill(0.0);
        assert_eq!(detect(&line(&signal, Law::Mu)), "5", "from {from}");
    }
}

#[test]
fn gaussian_noise_15_db_below_does_no_harm() {
    let mut noise = Noise::new(0x5eed_0015);
    // The pair has -9 dBm0.
    hears_through(Digits { low: -12.0, high: -12.0, ..PLAIN }, |s| {
        let noise = noise.white(-24.0, s.len());
        add(s, noise);
    });
}

#[test]
fn gaussian_noise_12_db_below_does_no_harm_to_digits_of_50_ms() {
    let mut noise = Noise::new(0x5eed_0012);
    hears_through(Digits { low: -12.0, high: -12.0, on: 400, off: 400, ..PLAIN }, |s| {
        let noise = noise.white(-21.0, s.len());
        add(s, noise);
    });
}

#[test]
fn clicks_alone_are_no_digits_and_few_hide_one() {
    let mut noise = Noise::new(0x5eed_0c11);
    let clicks = noise.impulses(-3.0, 20.0, 8000 * 60);
    assert_eq!(detect(&line(&clicks, Law::Mu)), "");
    let (mut sent, mut heard) = (0, 0);
    for _ in 0..40 {
        let mut signal = Digits { on: 560, off: 560, ..PLAIN }.send(DIGITS);
        // Two clicks a second, 6 dB above each tone.
        add(&mut signal, noise.impulses(-2.0, 2.0, 8000 * 4));
        sent += DIGITS.len();
        heard += detect(&line(&signal, Law::Mu)).len();
    }
    let missed = sent.abs_diff(heard);
    assert!(missed * 50 <= sent, "{heard} of {sent}");
}

#[test]
fn dial_tone_beside_digits_does_not_hide_them() {
    // 350 and 440 Hz, the pair 10 dB below the pair of the digit: what is left of it through a hybrid.
    hears_through(Digits { on: 400, off: 400, ..PLAIN }, |s| {
        let len = s.len();
        add(s, sine(350.0, -18.0, len).zip(sine(440.0, -18.0, len)).map(|(a, b)| a + b));
    });
}

#[test]
fn q24_att_echoes_20_ms_late_and_10_db_down_do_no_harm() {
    hears_through(Digits { on: 400, off: 480, ..PLAIN }, |s| {
        let echo: Vec<f64> = std::iter::repeat_n(0.0, 160).chain(s.iter().map(|x| x * 0.316)).collect();
        add(s, echo);
    });
}

#[test]
fn a_third_tone_of_equal_level_is_refused() {
    for third in [697.0, 941.0, 1209.0, 1633.0, 1100.0, 2100.0, 620.0] {
        let digit = if third < 1050.0 { "5" } else { "8" };
        let mut signal = Digits { on: 800, low: -9.0, high: -9.0, ..PLAIN }.send(digit);
        add(&mut signal, sine(third, -9.0, 800));
        assert_eq!(detect(&line(&signal, Law::Mu)), "", "{third} Hz");
    }
}

#[test]
fn one_tone_alone_is_refused() {
    rejects(Digits { low: -90.0, high: -5.0, on: 4000, ..PLAIN });
    rejects(Digits { low: -5.0, high: -90.0, on: 4000, ..PLAIN });
}

#[test]
fn both_laws_in_a_row_do_no_harm() {
    for lead in (0..64).step_by(7) {
        let once = line(&Digits { lead, ..PLAIN }.send(DIGITS), Law::A);
        let twice: Vec<f64> = once.iter().map(|&x| f64::from(x)).collect();
        assert_eq!(detect(&line(&twice, Law::Mu)), DIGITS, "lead {lead}");
    }
}

#[test]
fn resampled_digits_are_heard() {
    for rate in [11_025, 16_000, 44_100, 48_000] {
        let mut signal = Vec::new();
        for digit in DIGITS.chars() {
            let (low, high) = crate::signal::frequencies(digit);
            for n in 0..rate / 10 {
                let t = f64::from(n) / f64::from(rate) * std::f64::consts::TAU;
                let on = f64::from(u8::from(n < rate / 20));
                signal.push(on * 6_000.0 * ((low * t).sin() + (high * t).sin()));
            }
        }
        let pcm = resample::to_8_khz(&to_pcm(&signal), rate).expect("a usual rate");
        assert_eq!(detect(&pcm), DIGITS, "{rate} Hz");
    }
}

#[test]
fn a_lost_packet_that_is_concealed_neither_splits_nor_hides_a_digit() {
    for lead in (0..160).step_by(16) {
        let pcm = line(&Digits { on: 960, off: 960, lead, ..PLAIN }.send(DIGITS), Law::Mu);
        let mut concealer = plc::Concealer::new();
        let mut out = Vec::new();
        // Each digit of 120 ms loses a packet in its second half.
        for (n, frame) in pcm.chunks_exact(160).enumerate() {
            let mut samples: [i16; 160] = frame.try_into().expect("a frame");
            if n % 12 == 4 {
                concealer.conceal(&mut samples);
            } else {
                concealer.good(&mut samples);
            }
            out.extend(samples);
        }
        assert_eq!(detect(&out), DIGITS, "lead {lead}");
    }
}
