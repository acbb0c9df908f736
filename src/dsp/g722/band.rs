//! The adaptive differential coders of the two sub-bands. Block names and numbers are those of ITU-T G.722 section 6.

/// Table 14/G.722: decision levels of the 6-bit quantizer, divided by 8.
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219,
    1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// Table 15/G.722: outputs of the 4-bit inverse quantizer.
const QM4: [i32; 16] =
    [0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584, 1_200, 0];
/// Table 15/G.722: outputs of the 6-bit inverse quantizer.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9_360,
    -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776, -2_400, -2_032,
    -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576,
    7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040,
    728, 432, 136, -432, -136,
];
/// Table 15/G.722: outputs of the 2-bit inverse quantizer.
const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
/// Logarithmic multipliers of the lower sub-band by 4-bit code: tables 13 and 14/G.722, WL by way of RL42.
const LOG_LOW: [i32; 16] = [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];
/// Logarithmic multipliers of the higher sub-band by code: WH by way of RH2.
const LOG_HIGH: [i32; 4] = [798, -214, 798, -214];
/// Table 12/G.722: inverse logarithm.
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
    2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// The lower sub-band: 6 bits a sample.
#[derive(Clone, Debug)]
pub(super) struct Low {
    /// Logarithmic scale factor.
    log: i32,
    /// Step size.
    step: i32,
    predictor: Predictor,
}

impl Default for Low {
    fn default() -> Self {
        Low { log: 0, step: 32, predictor: Predictor::default() }
    }
}

impl Low {
    pub(super) fn encode(&mut self, x: i32) -> u8 {
        let error = saturate(x - self.predictor.estimate);
        let code = self.quantize(error);
        self.adapt(code);
        code
    }

    pub(super) fn decode(&mut self, code: u8) -> i32 {
        // Blocks 5L and 6L: all six bits for the output, the upper four for the adaptation.
        let difference = (self.step * at(&QM6, code)) >> 15;
        let out = (self.predictor.estimate + difference).clamp(-16_384, 16_383);
        self.adapt(code);
        out
    }

    /// Block 1L, QUANTL.
    fn quantize(&self, error: i32) -> u8 {
        let magnitude = if error >= 0 { error } else { -(error + 1) };
        // The levels rise, so the first that is not reached is found by halving.
        let level = Q6.partition_point(|&q| (q * self.step) >> 12 <= magnitude).clamp(1, 30) as u8;
        match (error < 0, level) {
            (false, _) => 62 - level,
            (true, 1) => 63,
            (true, 2) => 62,
            (true, _) => 34 - level,
        }
    }

    /// Blocks 2L (INVQAL), 3L (LOGSCL, SCALEL) and 4L.
    fn adapt(&mut self, code: u8) {
        let code = code >> 2;
        let difference = (self.step * at(&QM4, code)) >> 15;
        self.log = (((self.log * 127) >> 7) + at(&LOG_LOW, code)).clamp(0, 18_432);
        self.step = scale(self.log, 8);
        self.predictor.adapt(difference);
    }
}

/// The higher sub-band: 2 bits a sample.
#[derive(Clone, Debug)]
pub(super) struct High {
    log: i32,
    step: i32,
    predictor: Predictor,
}

impl Default for High {
    fn default() -> Self {
        High { log: 0, step: 8, predictor: Predictor::default() }
    }
}

impl High {
    pub(super) fn encode(&mut self, x: i32) -> u8 {
        let error = saturate(x - self.predictor.estimate);
        let magnitude = if error >= 0 { error } else { -(error + 1) };
        // Block 1H, QUANTH: one decision level.
        let large = magnitude >= (564 * self.step) >> 12;
        let code = match (error < 0, large) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        self.adapt(code);
        code
    }

    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let estimate = self.predictor.estimate;
        (estimate + self.adapt(code)).clamp(-16_384, 16_383)
    }

    /// Blocks 2H (INVQAH), 3H (LOGSCH, SCALEH) and 4H; returns the quantized difference.
    fn adapt(&mut self, code: u8) -> i32 {
        let difference = (self.step * at(&QM2, code)) >> 15;
        self.log = (((self.log * 127) >> 7) + at(&LOG_HIGH, code)).clamp(0, 22_528);
        self.step = scale(self.log, 10);
        self.predictor.adapt(difference);
        difference
    }
}

/// SCALEL and SCALEH: the step size of a logarithmic scale factor.
#[inline]
fn scale(log: i32, bits: i32) -> i32 {
    let mantissa = at(&ILB, ((log >> 6) & 31) as u8);
    let shift = bits - (log >> 11);
    (if shift < 0 { mantissa << -shift } else { mantissa >> shift }) << 2
}

/// Block 4, which both sub-bands share: two poles, six zeros, adapted by signs.
#[derive(Clone, Debug, Default)]
struct Predictor {
    /// What the next sample is expected to be, and the zeros' part of it.
    estimate: i32,
    zeros_part: i32,
    /// The two last reconstructed samples, newest first.
    reconstructed: [i32; 2],
    /// The two last partly reconstructed samples, newest first.
    partial: [i32; 2],
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The six last quantized differences, newest first.
    differences: [i32; 6],
}

impl Predictor {
    #[inline]
    fn adapt(&mut self, difference: i32) {
        // RECONS, PARREC.
        let reconstructed = saturate(self.estimate + difference);
        let partial = saturate(self.zeros_part + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);
        // DELAYA.
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, self.partial[0]];
        // FILTEP, FILTEZ, PREDIC.
        let pole = |n: usize| (self.poles[n] * saturate(2 * self.reconstructed[n])) >> 15;
        let poles_part = saturate(pole(0) + pole(1));
        let products = self.zeros.iter().zip(&self.differences);
        self.zeros_part = saturate(products.map(|(b, d)| (b * saturate(2 * d)) >> 15).sum());
        self.estimate = saturate(poles_part + self.zeros_part);
    }

    /// UPPOL2, UPPOL1.
    #[inline]
    fn adapt_poles(&mut self, partial: i32) {
        let same = |before: i32| (partial < 0) == (before < 0);
        let towards = saturate(4 * self.poles[0]);
        let towards = if same(self.partial[0]) { (-towards).min(32_767) } else { towards };
        let sign = if same(self.partial[1]) { 128 } else { -128 };
        let second = sign + (towards >> 7) + ((self.poles[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let sign = if same(self.partial[0]) { 192 } else { -192 };
        let first = saturate(sign + ((self.poles[0] * 32_640) >> 15));
        let most = saturate(15_360 - second);
        self.poles = [first.clamp(-most, most), second];
    }

    /// UPZERO.
    #[inline]
    fn adapt_zeros(&mut self, difference: i32) {
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, &before) in self.zeros.iter_mut().zip(&self.differences) {
            let sign = if (difference < 0) == (before < 0) { step } else { -step };
            *zero = saturate(sign + ((*zero * 32_640) >> 15));
        }
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
    }
}

/// An entry of a table by code; every code is within it.
#[inline]
fn at<const N: usize>(table: &[i32; N], code: u8) -> i32 {
    table.get(usize::from(code)).copied().unwrap_or_default()
}

#[inline]
fn saturate(x: i32) -> i32 {
    x.clamp(-32_768, 32_767)
}
