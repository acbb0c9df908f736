//! ITU-T G.711: mu-law and A-law, bit-exact, by tables that the compiler computes.
//!
//! Linear samples are 16 bits: 14-bit mu-law values times 4, 13-bit A-law values times 8. Encoding truncates the low
//! bits, as G.191's reference implementation does.

use crate::base::Law;

/// The octet of a pause: the smallest positive value of the law.
pub const fn silence(law: Law) -> u8 {
    match law {
        Law::Mu => 0xff,
        Law::A => 0xd5,
    }
}

/// Encodes as many samples as both slices hold.
pub fn encode(law: Law, pcm: &[i16], out: &mut [u8]) {
    match law {
        Law::Mu => {
            for (o, &x) in out.iter_mut().zip(pcm) {
                *o = MU_ENCODE[usize::from((x as u16) >> 2)];
            }
        }
        Law::A => {
            for (o, &x) in out.iter_mut().zip(pcm) {
                *o = A_ENCODE[usize::from((x as u16) >> 4)];
            }
        }
    }
}

/// Decodes as many octets as both slices hold.
pub fn decode(law: Law, octets: &[u8], out: &mut [i16]) {
    let table = match law {
        Law::Mu => &MU_DECODE,
        Law::A => &A_DECODE,
    };
    for (o, &x) in out.iter_mut().zip(octets) {
        *o = table[usize::from(x)];
    }
}

/// Converts between the laws (G.711 tables 3 and 4), or copies; as many octets as both slices hold.
pub fn transcode(from: Law, to: Law, octets: &[u8], out: &mut [u8]) {
    let table = match (from, to) {
        (Law::Mu, Law::A) => &MU_TO_A,
        (Law::A, Law::Mu) => &A_TO_MU,
        (Law::Mu, Law::Mu) | (Law::A, Law::A) => {
            let n = octets.len().min(out.len());
            out[..n].copy_from_slice(&octets[..n]);
            return;
        }
    };
    for (o, &x) in out.iter_mut().zip(octets) {
        *o = table[usize::from(x)];
    }
}

/// By the top 14 bits of the sample.
static MU_ENCODE: [u8; 1 << 14] = {
    let mut table = [0; 1 << 14];
    let mut i = 0;
    while i < table.len() {
        table[i] = mu_encode(((i as u16) << 2) as i16);
        i += 1;
    }
    table
};

/// By the top 12 bits of the sample: A-law's finest step is 2 of its 13-bit values.
static A_ENCODE: [u8; 1 << 12] = {
    let mut table = [0; 1 << 12];
    let mut i = 0;
    while i < table.len() {
        table[i] = a_encode(((i as u16) << 4) as i16);
        i += 1;
    }
    table
};

static MU_DECODE: [i16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = mu_decode(i as u8);
        i += 1;
    }
    table
};

static A_DECODE: [i16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = a_decode(i as u8);
        i += 1;
    }
    table
};

static MU_TO_A: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        // Sign bit 1 is positive in both laws; mu-law complements every other bit, A-law every even one.
        let sign = i as u8 & 0x80;
        table[i] = (sign | mu_to_a_magnitude(!(i as u8) & 0x7f)) ^ 0x55;
        i += 1;
    }
    table
};

static A_TO_MU: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let sign = i as u8 & 0x80;
        table[i] = sign | (!a_to_mu_magnitude((i as u8 ^ 0x55) & 0x7f) & 0x7f);
        i += 1;
    }
    table
};

/// Added to the 14-bit magnitude so that every mu-law segment starts at a power of two.
const MU_BIAS: u16 = 33;

/// G.711 table 2a and 2b.
const fn mu_encode(sample: i16) -> u8 {
    let negative = sample < 0;
    // One's complement, so that -1 is as far from zero as 0 is.
    let magnitude = (if negative { !sample } else { sample } >> 2) as u16;
    let biased = magnitude + MU_BIAS;
    let biased = if biased > 0x1fff { 0x1fff } else { biased };
    // 33..=8191: the segment is the place of the leading one, counted from bit 5.
    let segment = 10 - biased.leading_zeros() as u16;
    let step = (biased >> (segment + 1)) & 0x0f;
    let code = (segment << 4 | step) as u8;
    !(code | if negative { 0x80 } else { 0 })
}

const fn mu_decode(octet: u8) -> i16 {
    let code = !octet;
    let segment = (code >> 4) & 7;
    let step = (code & 0x0f) as i16;
    let magnitude = (((step << 1) + MU_BIAS as i16) << segment) - MU_BIAS as i16;
    let sample = magnitude << 2;
    if code & 0x80 != 0 { -sample } else { sample }
}

/// G.711 table 1a and 1b, with the even bits inverted (notes to the tables).
const fn a_encode(sample: i16) -> u8 {
    let negative = sample < 0;
    // In units of 2 of the 13-bit values: 0..=2047.
    let magnitude = (if negative { !sample } else { sample } >> 4) as u16;
    let code = if magnitude < 32 {
        // The first two segments are one straight line.
        magnitude
    } else {
        let segment = 12 - magnitude.leading_zeros() as u16;
        segment << 4 | ((magnitude >> (segment - 1)) & 0x0f)
    };
    (code as u8 | if negative { 0 } else { 0x80 }) ^ 0x55
}

const fn a_decode(octet: u8) -> i16 {
    let code = octet ^ 0x55;
    let segment = (code >> 4) & 7;
    let step = ((code & 0x0f) as i16) << 4;
    // The output lies in the middle of the interval.
    let sample = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if code & 0x80 != 0 { sample } else { -sample }
}

/// G.711 table 3 on magnitudes: mu-law 0..=127 to A-law 0..=127. The table is a staircase; each arm is one of its runs.
const fn mu_to_a_magnitude(mu: u8) -> u8 {
    match mu {
        0..=15 => mu / 2,
        16..=31 => mu - 8,
        32..=35 => 24 + 2 * (mu - 32),
        36..=47 => mu - 4,
        48 => 45,
        49..=63 => mu - 2,
        64..=80 => mu - 1,
        81.. => mu,
    }
}

/// G.711 table 4 on magnitudes: A-law 0..=127 to mu-law 0..=127.
const fn a_to_mu_magnitude(a: u8) -> u8 {
    match a {
        0..=7 => 2 * a + 1,
        8..=23 => a + 8,
        24..=31 => 32 + (a - 24) / 2,
        32..=43 => a + 4,
        44..=47 => 48 + (a - 44) / 2,
        48..=61 => a + 2,
        62 | 63 => 64,
        64..=79 => a + 1,
        80.. => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAWS: [Law; 2] = [Law::Mu, Law::A];

    fn encode_one(law: Law, x: i16) -> u8 {
        let mut out = [0];
        encode(law, &[x], &mut out);
        out[0]
    }

    fn decode_one(law: Law, x: u8) -> i16 {
        let mut out = [0];
        decode(law, &[x], &mut out);
        out[0]
    }

    fn transcode_one(from: Law, to: Law, x: u8) -> u8 {
        let mut out = [0];
        transcode(from, to, &[x], &mut out);
        out[0]
    }

    #[test]
    fn known_points_of_the_tables() {
        // G.711 table 2a: decoder output values 0, 2, 33 x 31 .. 8031 (14 bits), here times 4.
        for (octet, sample) in [(0xff, 0), (0xfe, 8), (0xf0, 120), (0xef, 132), (0x80, 32_124), (0x00, -32_124)] {
            assert_eq!(decode_one(Law::Mu, octet), sample, "{octet:#x}");
        }
        // G.711 table 1a: decoder output values 1, 3, .. 4032 (13 bits), here times 8.
        for (octet, sample) in [(0xd5, 8), (0xd4, 24), (0xc5, 264), (0xaa, 32_256), (0x2a, -32_256), (0x55, -8)] {
            assert_eq!(decode_one(Law::A, octet), sample, "{octet:#x}");
        }
        assert_eq!(encode_one(Law::Mu, i16::MAX), 0x80);
        assert_eq!(encode_one(Law::Mu, i16::MIN), 0x00);
        assert_eq!(encode_one(Law::Mu, -1), 0x7f);
        assert_eq!(encode_one(Law::A, i16::MAX), 0xaa);
        assert_eq!(encode_one(Law::A, i16::MIN), 0x2a);
        for law in LAWS {
            assert_eq!(encode_one(law, 0), silence(law));
        }
    }

    #[test]
    fn every_octet_survives_decode_and_encode() {
        for law in LAWS {
            for octet in 0..=255 {
                // Mu-law has two zeros; the negative one comes back as the positive.
                let expected = if (law, octet) == (Law::Mu, 0x7f) { 0xff } else { octet };
                assert_eq!(encode_one(law, decode_one(law, octet)), expected, "{law:?} {octet:#x}");
            }
        }
    }

    #[test]
    fn every_sample_is_quantised_to_its_interval() {
        for law in LAWS {
            let mut previous = i16::MIN;
            for x in i16::MIN..=i16::MAX {
                let y = decode_one(law, encode_one(law, x));
                assert!(y >= previous, "{law:?}: not monotonous at {x}");
                previous = y;
                let step = (i32::from(x).abs() / 16).max(8);
                let overload = i32::from(x).abs() > 32_000;
                assert!(overload || (i32::from(x) - i32::from(y)).abs() <= step, "{law:?}: {x} became {y}");
            }
        }
    }

    #[test]
    fn conversion_between_laws_is_nearest_within_one_step_and_keeps_the_sign() {
        for (from, to) in [(Law::Mu, Law::A), (Law::A, Law::Mu)] {
            for octet in 0..=255u8 {
                let got = transcode_one(from, to, octet);
                assert_eq!(got & 0x80, octet & 0x80, "{from:?} {octet:#x}");
                let magnitude = |o: u8| if to == Law::Mu { !o & 0x7f } else { (o ^ 0x55) & 0x7f };
                let nearest = encode_one(to, decode_one(from, octet));
                let apart = i16::from(magnitude(got)) - i16::from(magnitude(nearest));
                assert!(apart.abs() <= 1, "{from:?} {octet:#x}: {apart}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_tables() {
        // Mu-law has a value at zero, A-law has none: zero goes up to A-law's first value, and that to mu-law's second.
        assert_eq!(transcode_one(Law::Mu, Law::A, 0xff), 0xd5);
        assert_eq!(transcode_one(Law::A, Law::Mu, 0xd5), 0xfe);
        assert_eq!(transcode_one(Law::Mu, Law::A, 0x80), 0xaa);
        assert_eq!(transcode_one(Law::A, Law::Mu, 0xaa), 0x80);
    }

    #[test]
    fn mu_a_mu_changes_at_most_by_one_step_and_then_no_more() {
        for octet in 0..=255u8 {
            let once = transcode_one(Law::A, Law::Mu, transcode_one(Law::Mu, Law::A, octet));
            let apart = i16::from(once) - i16::from(octet);
            assert!(apart.abs() <= 1, "{octet:#x}: {apart}");
            let twice = transcode_one(Law::A, Law::Mu, transcode_one(Law::Mu, Law::A, once));
            assert_eq!(once, twice, "{octet:#x}");
        }
    }

    #[test]
    fn lengths_may_differ() {
        let mut out = [7u8; 3];
        encode(Law::Mu, &[0], &mut out);
        assert_eq!(out, [0xff, 7, 7]);
        transcode(Law::Mu, Law::Mu, &[1, 2], &mut out[..1]);
        assert_eq!(out, [1, 7, 7]);
    }
}
