//! Companding by tables computed from the decoder's rule: an octet stands for the centre of its interval, and a
//! sample is given the nearest octet (ITU-T G.711 tables 1a to 2b).

use std::sync::LazyLock;

use cordboard_hal::Law;

struct Tables {
    linear: [i16; 256],
    /// By the sample's upper 14 bits (mu-law) or 13 bits (A-law); both are kept at 14.
    octet: Box<[u8; 1 << 14]>,
}

static ULAW: LazyLock<Tables> = LazyLock::new(|| tables(Law::Ulaw));
static ALAW: LazyLock<Tables> = LazyLock::new(|| tables(Law::Alaw));

fn of(law: Law) -> &'static Tables {
    match law {
        Law::Ulaw => &ULAW,
        Law::Alaw => &ALAW,
    }
}

/// The 16-bit linear value of an octet.
pub fn decode(law: Law, octet: u8) -> i16 {
    of(law).linear[usize::from(octet)]
}

/// The octet nearest to a 16-bit linear value.
pub fn encode(law: Law, sample: i16) -> u8 {
    of(law).octet[usize::from((i32::from(sample) + 0x8000) as u16 >> 2)]
}

fn tables(law: Law) -> Tables {
    let linear: [i16; 256] = std::array::from_fn(|octet| expand(law, octet as u8));
    let mut ordered: Vec<u8> = (0..=255).collect();
    // Stable, so that of the two zeros of mu-law the one called silence (0xff) can be chosen below.
    ordered.sort_by_key(|&octet| linear[usize::from(octet)]);
    let mut octet = Box::new([0; 1 << 14]);
    let mut at = 0;
    for (index, slot) in octet.iter_mut().enumerate() {
        let sample = (index as i32) * 4 + 2 - 0x8000;
        let distance = |o: u8| (i32::from(linear[usize::from(o)]) - sample).abs();
        while let Some(&next) = ordered.get(at + 1)
            && distance(next) <= distance(ordered[at])
        {
            at += 1;
        }
        *slot = ordered[at];
    }
    Tables { linear, octet }
}

fn expand(law: Law, octet: u8) -> i16 {
    match law {
        Law::Ulaw => {
            let o = !octet;
            let segment = (o >> 4) & 7;
            // 33 is the bias of table 2a, here in units of 1/8192 of full scale, and 16-bit samples have 2 bits more.
            let magnitude = (((i16::from(o & 0x0f) << 1) + 33) << segment) - 33;
            if o & 0x80 == 0 { magnitude << 2 } else { -(magnitude << 2) }
        }
        Law::Alaw => {
            let o = octet ^ 0x55;
            let segment = (o >> 4) & 7;
            let step = (i16::from(o & 0x0f) << 1) + 1;
            let magnitude = if segment == 0 { step } else { (step + 32) << (segment - 1) };
            if o & 0x80 != 0 { magnitude << 3 } else { -(magnitude << 3) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // Decision values and code words of G.711 tables 1a and 2a, scaled to 16 bits.
        assert_eq!(decode(Law::Ulaw, 0x80), 32_124);
        assert_eq!(decode(Law::Ulaw, 0x00), -32_124);
        assert_eq!(decode(Law::Ulaw, 0xff), 0);
        assert_eq!(decode(Law::Ulaw, 0xfe), 8);
        assert_eq!(decode(Law::Alaw, 0xaa), 32_256);
        assert_eq!(decode(Law::Alaw, 0x2a), -32_256);
        assert_eq!(decode(Law::Alaw, 0xd5), 8);
        assert_eq!(decode(Law::Alaw, 0x55), -8);
    }

    #[test]
    fn every_octet_survives_and_error_is_bounded() {
        for law in [Law::Ulaw, Law::Alaw] {
            for octet in 0..=255u8 {
                let back = encode(law, decode(law, octet));
                // Minus zero of mu-law is the one code word without a value of its own.
                assert!(back == octet || decode(law, back) == decode(law, octet), "{law:?} {octet:02x} {back:02x}");
            }
            for sample in (i16::MIN..=i16::MAX).step_by(7) {
                let error = (i32::from(decode(law, encode(law, sample))) - i32::from(sample)).abs();
                let allowed = (i32::from(sample).abs() / 16).max(16) + 16;
                // Beyond the largest code word the value is clipped.
                assert!(error <= allowed || sample.unsigned_abs() > 32_124, "{law:?} {sample} {error}");
            }
        }
    }

    #[test]
    fn silence_is_silence() {
        assert_eq!(encode(Law::Ulaw, 0), Law::Ulaw.silence());
        assert_eq!(encode(Law::Alaw, 0), Law::Alaw.silence());
    }
}
