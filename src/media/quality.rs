//! What a party is likely to think of the sound: the E-model (ITU-T G.107) on what was measured.
//!
//! All that is not measured has G.107's default values, so that a perfect G.711 connection rates R = 93.2. Talker echo is
//! taken for controlled: of delay only the absolute part counts. G.722 is rated on the narrow-band scale as G.711 is;
//! the scale of G.107.1 is another and would not compare.

/// R of a connection that nothing impairs (G.107 table 3).
const R_DEFAULT: f32 = 93.2;
/// Packet-loss robustness of G.711 with concealment (G.113 appendix I); its equipment impairment is 0.
const BPL: f32 = 25.1;

/// The rating factor R for a share of packets lost or late at random and a one-way delay from mouth to ear.
pub fn rating(loss: f32, delay_ms: f32) -> f32 {
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    // G.107 equation 7-29 with Ie = 0 and BurstR = 1.
    let equipment = 95.0 * percent / (percent + BPL);
    R_DEFAULT - delay_impairment(delay_ms) - equipment
}

/// Idd: impairment by absolute delay (G.107 equation 7-27).
fn delay_impairment(delay_ms: f32) -> f32 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    let root = |x: f32| (1.0 + x.powi(6)).powf(1.0 / 6.0);
    25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
}

/// The mean opinion score that a rating stands for (G.107 annex B), 1 to 4.5, to two decimals.
pub fn opinion(rating: f32) -> f32 {
    let mos = match rating {
        r if r <= 0.0 => 1.0,
        r if r >= 100.0 => 4.5,
        r => 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6,
    };
    (mos.max(1.0) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_of_the_model() {
        assert_eq!(opinion(rating(0.0, 0.0)), 4.41);
        // G.107 annex B, table B.1.
        for (r, mos) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((opinion(r) - mos).abs() < 0.015, "R {r}: {}", opinion(r));
        }
        // G.107's curve of delay: some 4 points at 200 ms and 23 at 400 ms.
        assert!((delay_impairment(200.0) - 3.1).abs() < 1.0, "{}", delay_impairment(200.0));
        assert!((delay_impairment(400.0) - 23.0).abs() < 3.0, "{}", delay_impairment(400.0));
        assert!(rating(0.05, 0.0) > 75.0 && rating(0.05, 0.0) < 80.0);
        assert_eq!(opinion(rating(1.0, 5_000.0)), opinion(rating(7.0, 5_000.0)));
        assert_eq!(opinion(-3.0), 1.0);
    }

    #[test]
    fn worse_never_rates_better() {
        for delay in [0.0, 150.0, 400.0] {
            let scores: Vec<f32> = (0..50).map(|loss| opinion(rating(loss as f32 / 100.0, delay))).collect();
            assert!(scores.windows(2).all(|w| w[0] >= w[1]), "{scores:?}");
        }
    }
}
