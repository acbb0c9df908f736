//! G.722 at 64 kbit/s (ITU-T G.722, mode 1): two sub-bands of ADPCM behind a quadrature mirror filter.
//!
//! An octet holds 125 us of sound whichever way it is looked at: two samples at 16 kHz, or one at 8 kHz of the lower
//! sub-band, which is by itself a telephone channel of 0 to 4 kHz. [`Decoder`] and [`Encoder`] are the whole codec;
//! [`Narrow`] is the lower sub-band alone, for where a wide-band party meets a narrow-band one: a quarter of the work,
//! and no filter's delay.
//!
//! RTP counts G.722 at 8,000 units a second although it samples at 16 kHz (RFC 3551 section 4.5.2), so 20 ms are 160
//! octets and 160 timestamp units, as with G.711.

mod band;
#[cfg(test)]
mod tests;

use band::{High, Low};

/// The octet of silence: both sub-bands' least step upwards, which a decoder at rest turns into nothing.
pub const SILENCE: u8 = HIGH_REST | LOW_REST;

/// Bits of the higher sub-band that let it decay to nothing: the smaller step upwards (table 17/G.722).
const HIGH_REST: u8 = 0b1100_0000;
/// The lower sub-band's smallest step upwards (table 16/G.722).
const LOW_REST: u8 = 0b0011_1101;

/// Taps of the quadrature mirror filters (table 11/G.722): the first half, the second is its mirror image.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];

/// The filter's memory: 24 samples.
#[derive(Clone, Debug, Default)]
struct Filter([i32; 24]);

impl Filter {
    /// Takes two samples in and gives the sums over even and odd taps.
    #[inline]
    fn step(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.0.copy_within(2.., 0);
        let [.., before_last, last] = &mut self.0;
        (*before_last, *last) = (first, second);
        let (mut even, mut odd) = (0, 0);
        for ((pair, &tap), &mirrored) in self.0.chunks_exact(2).zip(&QMF).zip(QMF.iter().rev()) {
            if let &[a, b] = pair {
                even += a * tap;
                odd += b * mirrored;
            }
        }
        (even, odd)
    }
}

/// Octets to samples at 16 kHz.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    low: Low,
    high: High,
    filter: Filter,
}

impl Decoder {
    /// Two samples an octet; stops where either slice ends.
    pub fn decode(&mut self, octets: &[u8], pcm: &mut [i16]) {
        for (&octet, pair) in octets.iter().zip(pcm.chunks_exact_mut(2)) {
            let low = self.low.decode(octet & 0x3f);
            let high = self.high.decode(octet >> 6);
            let (even, odd) = self.filter.step(low + high, low - high);
            if let [first, second] = pair {
                *first = saturate(odd >> 11);
                *second = saturate(even >> 11);
            }
        }
    }
}

/// Samples at 16 kHz to octets.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    low: Low,
    high: High,
    filter: Filter,
}

impl Encoder {
    /// An octet for two samples; stops where either slice ends.
    pub fn encode(&mut self, pcm: &[i16], octets: &mut [u8]) {
        for (pair, octet) in pcm.chunks_exact(2).zip(octets) {
            let &[first, second] = pair else { return };
            let (even, odd) = self.filter.step(i32::from(first), i32::from(second));
            let low = self.low.encode((odd + even) >> 14);
            let high = self.high.encode((odd - even) >> 14);
            *octet = high << 6 | low;
        }
    }
}

/// The lower sub-band alone, at 8 kHz. The same state serves both directions: predictor and step size of an encoder and
/// of the decoder that hears it are the same at every sample, so that a copy of a decoder goes on as the encoder whose
/// octets the far end's decoder expects next.
#[derive(Clone, Debug, Default)]
pub struct Narrow {
    low: Low,
}

impl Narrow {
    /// A sample an octet; stops where either slice ends.
    pub fn decode(&mut self, octets: &[u8], pcm: &mut [i16]) {
        for (&octet, sample) in octets.iter().zip(pcm) {
            // The filter would halve what an encoder takes, so the sub-band has one bit less.
            *sample = saturate(self.low.decode(octet & 0x3f) << 1);
        }
    }

    /// An octet a sample; stops where either slice ends. The higher sub-band says nothing.
    pub fn encode(&mut self, pcm: &[i16], octets: &mut [u8]) {
        for (&sample, octet) in pcm.iter().zip(octets) {
            *octet = HIGH_REST | self.low.encode(i32::from(sample) >> 1);
        }
    }
}

#[inline]
fn saturate(x: i32) -> i16 {
    x.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
