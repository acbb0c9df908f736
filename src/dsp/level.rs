//! Levels in dBm0.

/// Peak of a sine of 0 dBm0 in sample steps: 3.14 dB below the A-law overload point, which is full scale of `i16`
/// (G.711 section 4, the relation between the encoding laws and the audio level; mu-law differs by less than 0.1 dB).
pub const DBM0_PEAK: f32 = 22_827.0;

/// What [`measure`] says of digital silence.
pub const SILENCE: Dbm0 = Dbm0(-96.0);

/// A power level relative to one milliwatt at the zero-level point (ITU-T G.100.1), in dB.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Dbm0(pub f32);

impl Dbm0 {
    /// Peak amplitude, in sample steps, of a sine at this level. Above +3.14 dBm0 it exceeds full scale.
    pub fn peak(self) -> f32 {
        DBM0_PEAK * 10f32.powf(self.0 / 20.0)
    }
}

/// Mean level of `pcm`; [`SILENCE`] when it is empty or all zero.
pub fn measure(pcm: &[i16]) -> Dbm0 {
    let sum: f64 = pcm.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if sum == 0.0 {
        return SILENCE;
    }
    let mean = sum / pcm.len() as f64;
    let reference = f64::from(DBM0_PEAK) * f64::from(DBM0_PEAK) / 2.0;
    Dbm0((10.0 * (mean / reference).log10()) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Law;
    use crate::dsp::g711;

    #[test]
    fn the_digital_milliwatt_is_0_dbm0() {
        // G.711 tables 5 and 6: the periodic sequences of 1 kHz at 0 dBm0.
        let cases = [
            (Law::A, [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4]),
            (Law::Mu, [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e]),
        ];
        for (law, octets) in cases {
            let mut pcm = [0; 8];
            g711::decode(law, &octets, &mut pcm);
            let Dbm0(level) = measure(&pcm);
            assert!(level.abs() < 0.15, "{law:?}: {level}");
        }
    }

    #[test]
    fn silence_and_nothing() {
        assert_eq!(measure(&[]), SILENCE);
        assert_eq!(measure(&[0; 160]), SILENCE);
        assert!(measure(&[1; 160]) > SILENCE);
    }
}
