//! Comfort noise (RFC 3389): the background while a party says nothing, from its level and spectrum.

use super::oscillator::to_sample;

/// Reflection coefficients that are used; RFC 3389 section 3.2 leaves their number open.
const ORDER_MAX: usize = 12;

/// Makes noise as a payload says.
#[derive(Clone, Debug)]
pub struct Generator {
    state: u32,
    gain: f32,
    reflection: [f32; ORDER_MAX],
    memory: [f32; ORDER_MAX],
}

impl Generator {
    /// For a payload: level in -dBov, then reflection coefficients (RFC 3389 section 3). An empty payload is silence.
    pub fn new(payload: &[u8]) -> Generator {
        let mut generator =
            Generator { state: 0x3389, gain: 0.0, reflection: [0.0; ORDER_MAX], memory: [0.0; ORDER_MAX] };
        generator.set(payload);
        generator
    }

    /// Goes on as another payload says.
    pub fn set(&mut self, payload: &[u8]) {
        let Some((&level, coefficients)) = payload.split_first() else {
            self.gain = 0.0;
            return;
        };
        let mut residual = 1.0f32;
        let mut coefficients = coefficients.iter();
        for k in &mut self.reflection {
            // Section 3.2: 127 is zero, steps of 1/127; kept within the filter's stability.
            *k = coefficients.next().map_or(0.0, |&n| ((f32::from(n) - 127.0) / 127.0).clamp(-0.98, 0.98));
            residual *= 1.0 - *k * *k;
        }
        // Section 3.1: 0 dBov is the power of a full-scale square wave. The excitation is uniform: variance 1/3.
        let level = 32_767.0 * 10f32.powf(-f32::from(level & 0x7f) / 20.0);
        self.gain = level * (3.0 * residual.max(0.0)).sqrt();
    }

    /// The next samples.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut forward = (self.state.cast_signed() as f32 / 2_147_483_648.0) * self.gain;
            // An all-pole lattice, from the highest order down.
            for n in (0..ORDER_MAX).rev() {
                let (Some(&k), Some(&back)) = (self.reflection.get(n), self.memory.get(n)) else { continue };
                forward -= k * back;
                if let Some(next) = self.memory.get_mut(n + 1) {
                    *next = back + k * forward;
                }
            }
            self.memory[0] = forward;
            *sample = to_sample(forward);
        }
    }
}

/// Whether a party says nothing, and how loud its background is: for frames of 20 ms.
#[derive(Clone, Debug)]
pub struct Detector {
    /// Level of the background in dBov, followed down at once and up slowly.
    floor: f32,
    /// Frames since the last one with speech.
    hangover: u8,
}

impl Default for Detector {
    fn default() -> Self {
        Detector { floor: -40.0, hangover: 0 }
    }
}

/// Frames after speech that are sent as it: 200 ms, so that soft endings of words are not cut.
const HANGOVER: u8 = 10;
/// Above the background by this many dB is speech.
const MARGIN_DB: f32 = 9.0;
/// Above this in dBov is always taken for speech: music, and whatever is loud without a pause.
const LOUD_DBOV: f32 = -40.0;

impl Detector {
    /// Whether the frame is background, and then its level as a payload's first octet.
    pub fn quiet(&mut self, pcm: &[i16]) -> Option<u8> {
        let power: f32 = pcm.iter().map(|&x| f32::from(x) * f32::from(x)).sum::<f32>() / pcm.len().max(1) as f32;
        let level = (10.0 * (power / (32_767.0 * 32_767.0)).max(1e-10).log10()).clamp(-90.0, 0.0);
        // Up by 1.5 dB a second.
        self.floor = level.min(self.floor + 0.03);
        if level > self.floor + MARGIN_DB || level > LOUD_DBOV {
            self.hangover = HANGOVER;
            return None;
        }
        self.hangover = self.hangover.saturating_sub(1);
        (self.hangover == 0).then_some((-level).round() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dbov(pcm: &[i16]) -> f32 {
        let power: f32 = pcm.iter().map(|&x| f32::from(x).powi(2)).sum::<f32>() / pcm.len() as f32;
        10.0 * (power / 32_767f32.powi(2)).log10()
    }

    #[test]
    fn the_level_is_the_payloads_with_any_spectrum() {
        for payload in [&[40u8][..], &[40, 200], &[40, 40, 180, 100], &[60, 230, 90, 127, 150, 127, 127]] {
            let mut pcm = [0; 16_000];
            Generator::new(payload).fill(&mut pcm);
            let wanted = -f32::from(payload[0]);
            assert!((dbov(&pcm) - wanted).abs() < 1.5, "{payload:?}: {}", dbov(&pcm));
        }
        let mut pcm = [7; 160];
        Generator::new(&[]).fill(&mut pcm);
        assert_eq!(pcm, [0; 160]);
        Generator::new(&[0; 200]).fill(&mut pcm);
    }

    #[test]
    fn the_spectrum_is_shaped() {
        // A first coefficient of -0.9: low frequencies prevail, so neighbours are alike.
        let mut pcm = [0; 16_000];
        Generator::new(&[30, 13]).fill(&mut pcm);
        let alike: f32 = pcm.windows(2).map(|w| f32::from(w[0]) * f32::from(w[1])).sum();
        let power: f32 = pcm.iter().map(|&x| f32::from(x).powi(2)).sum();
        assert!(((alike / power) - 0.9).abs() < 0.05, "{}", alike / power);
    }

    #[test]
    fn speech_is_sent_and_background_is_not() {
        let mut detector = Detector::default();
        let mut noise = Generator::new(&[62]);
        let mut frame = [0; 160];
        let mut quiet = 0;
        for _ in 0..100 {
            noise.fill(&mut frame);
            quiet += usize::from(detector.quiet(&frame).is_some_and(|level| (60..=64).contains(&level)));
        }
        assert!(quiet >= 90, "{quiet}");
        let speech: [i16; 160] = std::array::from_fn(|n| if n % 40 < 20 { 3_000 } else { -3_000 });
        assert_eq!(detector.quiet(&speech), None);
        noise.fill(&mut frame);
        let held = (0..50).find(|_| detector.quiet(&frame).is_some());
        assert_eq!(held, Some(usize::from(HANGOVER) - 1));
    }
}
