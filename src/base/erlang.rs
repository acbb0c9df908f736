//! Teletraffic: how much is turned away where so much is offered to so many lines (ITU-T E.520: Erlang's first formula), also
//! where it comes in bursts (Hayward's equivalence).
//!
//! Traffic is in erlangs: lines held, on average.

/// Lines beyond which nothing is counted; a whole exchange has fewer.
pub const LINES_MAX: u32 = 100_000;

/// Share of calls that find all lines taken, 0..=1: Erlang's first formula for `erlangs` of offered Poisson traffic on `lines`,
/// of which there may be a fraction. None at all take every call.
pub fn blocking(erlangs: f64, lines: f64) -> f64 {
    // Written so that NaN falls here, too.
    if !(erlangs > 0.0 && lines.is_finite()) {
        return 0.0;
    }
    let lines = lines.clamp(0.0, f64::from(LINES_MAX));
    let mut x = lines.fract();
    // 1/B(x), then 1/B(x+1) = 1 + (x+1)/A * 1/B(x), which keeps every digit.
    let mut inverse = inverse_of_fraction(erlangs, x);
    while x + 0.5 < lines {
        x += 1.0;
        inverse = 1.0 + x / erlangs * inverse;
        if inverse > 1e300 {
            return 0.0;
        }
    }
    1.0 / inverse
}

/// 1/B for less than one line: the integral over t of A exp(-A t) (1 + t)^x, by Simpson's rule over its whole weight.
fn inverse_of_fraction(erlangs: f64, x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    const STEPS: usize = 2_000;
    // With u = A t: exp(-u) (1 + u/A)^x from 0 to 40, beyond which nothing is left.
    let width = 40.0 / STEPS as f64;
    let value = |step: usize| {
        let u = width * step as f64;
        (-u).exp() * (1.0 + u / erlangs).powf(x)
    };
    let inner: f64 = (1..STEPS).map(|step| value(step) * if step % 2 == 1 { 4.0 } else { 2.0 }).sum();
    (value(0) + inner + value(STEPS)) * width / 3.0
}

/// The same for traffic whose variance is `peakedness` times its mean (1 for Poisson traffic): Hayward's equivalence, which
/// takes it for Poisson traffic that comes in lumps of that size (A. Fredericks, Bell System Technical Journal 59, 1980).
pub fn blocking_of_peaked(erlangs: f64, peakedness: f64, lines: f64) -> f64 {
    let lump = if peakedness > 0.0 { peakedness } else { 1.0 };
    blocking(erlangs / lump, lines / lump)
}

/// Fewest lines that turn away no more than `share` of such traffic; `None` where [`LINES_MAX`] would not do.
pub fn lines_for(erlangs: f64, peakedness: f64, share: f64) -> Option<u32> {
    let does = |lines: u32| blocking_of_peaked(erlangs, peakedness, f64::from(lines)) <= share;
    if !does(LINES_MAX) {
        return None;
    }
    let (mut short, mut enough) = (0, LINES_MAX);
    if does(0) {
        return Some(0);
    }
    while enough - short > 1 {
        let middle = short.midpoint(enough);
        if does(middle) {
            enough = middle;
        } else {
            short = middle;
        }
    }
    Some(enough)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 3e-3 * b
    }

    #[test]
    fn it_is_erlangs_table() {
        // Offered traffic at which so many lines lose 1 %, 5 %: the columns of every printed table.
        for (lines, one, five) in
            [(1.0, 0.0101, 0.0526), (5.0, 1.361, 2.219), (20.0, 12.03, 15.25), (100.0, 84.06, 95.24)]
        {
            assert!(near(blocking(one, lines), 0.01), "{lines}: {}", blocking(one, lines));
            assert!(near(blocking(five, lines), 0.05), "{lines}: {}", blocking(five, lines));
        }
        assert!((blocking(2.0, 2.0) - 0.4).abs() < 1e-12, "by hand: 2 / (1 + 2 + 2)");
        assert!((blocking(3.0, 0.0) - 1.0).abs() < 1e-12);
        assert!(blocking(0.0, 5.0) == 0.0 && blocking(f64::NAN, 5.0) == 0.0);
        assert!(blocking(1.0, 1e9) == 0.0, "bounded however many lines");
    }

    #[test]
    fn fractions_of_lines_lie_between() {
        for erlangs in [0.3, 4.0, 90.0] {
            let mut before = 1.0;
            for tenths in 1..60 {
                let now = blocking(erlangs, f64::from(tenths) / 10.0);
                assert!(now < before && now > 0.0, "{erlangs} at {tenths}: {now}");
                before = now;
            }
            let half = blocking(erlangs, 4.5);
            let (more, less) = (blocking(erlangs, 4.0), blocking(erlangs, 5.0));
            // Its logarithm is all but straight there.
            assert!((half.ln() - (more.ln() + less.ln()) / 2.0).abs() < 0.05, "{half}");
        }
    }

    #[test]
    fn bursts_need_more_lines() {
        assert_eq!(lines_for(12.03, 1.0, 0.01), Some(20));
        let (smooth, peaked) = (lines_for(50.0, 1.0, 0.01), lines_for(50.0, 3.0, 0.01));
        assert_eq!(smooth, Some(64));
        assert!(peaked > smooth, "{peaked:?}");
        assert_eq!(lines_for(0.0, 1.0, 0.01), Some(0));
        assert_eq!(lines_for(1e9, 1.0, 0.01), None);
    }
}
