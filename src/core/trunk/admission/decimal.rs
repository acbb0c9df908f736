//! Decimal numbers as people write them, kept exactly: 100 times 1.15 is 115, not a hair below.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most digits before the point.
const DIGITS_MAX: usize = 9;
/// And after it.
const PLACES_MAX: usize = 18;

/// A decimal number, not negative, with up to 9 digits before the point and 18 after it; 0 unless said.
#[derive(Clone, Copy, Default, Debug)]
pub struct Decimal {
    /// The number times 10 to the power of `scale`.
    digits: u128,
    scale: u32,
}

impl Decimal {
    /// A whole number.
    pub const fn whole(n: u32) -> Self {
        Self { digits: n as u128, scale: 0 }
    }

    /// The largest whole number that is not above this number times `n`.
    pub fn times_floor(self, n: u32) -> u64 {
        // At most 27 digits times 10: 128 bits hold it, and the quotient fits: 10^9 times 2^32.
        let product = self.digits * u128::from(n);
        u64::try_from(product / 10_u128.pow(self.scale)).unwrap_or(u64::MAX)
    }

    /// The nearest binary number; equal decimals give equal ones.
    pub fn to_f64(self) -> f64 {
        let mut reduced = self;
        while reduced.scale > 0 && reduced.digits.is_multiple_of(10) {
            reduced = Self { digits: reduced.digits / 10, scale: reduced.scale - 1 };
        }
        reduced.digits as f64 / 10_f64.powi(reduced.scale as i32)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Of both as many places: 27 digits at most.
        let places = self.scale.max(other.scale);
        let scaled = |of: &Self| of.digits * 10_u128.pow(places - of.scale);
        scaled(self).cmp(&scaled(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.digits);
        }
        let unit = 10_u128.pow(self.scale);
        write!(f, "{}.{:0width$}", self.digits / unit, self.digits % unit, width = self.scale as usize)
    }
}

/// A text that is no decimal number of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoDecimal {
    /// It has a minus sign.
    Negative,
    /// It is not digits with at most one point between them.
    Form,
    /// It has more digits than are kept.
    TooLong,
}

impl fmt::Display for NoDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative => f.write_str("a number that is not negative"),
            Self::Form => f.write_str("a decimal number such as `1.25`"),
            Self::TooLong => write!(f, "at most {DIGITS_MAX} digits before the point and {PLACES_MAX} after it"),
        }
    }
}

impl std::error::Error for NoDecimal {}

impl FromStr for Decimal {
    type Err = NoDecimal;

    fn from_str(text: &str) -> Result<Self, NoDecimal> {
        let (whole, part) = match text.split_once('.') {
            Some((whole, part)) if !part.is_empty() => (whole, part),
            Some(_) => return Err(NoDecimal::Form),
            None => (text, ""),
        };
        if text.starts_with('-') {
            return Err(NoDecimal::Negative);
        }
        if whole.is_empty() || !whole.bytes().chain(part.bytes()).all(|octet| octet.is_ascii_digit()) {
            return Err(NoDecimal::Form);
        }
        if whole.len() > DIGITS_MAX || part.len() > PLACES_MAX {
            return Err(NoDecimal::TooLong);
        }
        let digits = format!("{whole}{part}").parse().map_err(|_| NoDecimal::TooLong)?;
        Ok(Self { digits, scale: u32::try_from(part.len()).map_err(|_| NoDecimal::TooLong)? })
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// From a text, or from a number as it prints: the shortest decimal of a binary number is what somebody wrote.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", NoDecimal::Form)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(|error: NoDecimal| E::custom(format!("expected {error}")))
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Decimal, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Decimal, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Decimal, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_exact() {
        for (text, n, floor) in [("1.15", 100, 115), ("1.1", 10, 11), ("1.7", 30, 51), ("1.1", 9, 9), ("0", 5, 0)] {
            assert_eq!(text.parse::<Decimal>().map(|d| d.times_floor(n)), Ok(floor), "{n} x {text}");
        }
        let most: Decimal = "999999999.999999999".parse().unwrap();
        assert_eq!(most.times_floor(u32::MAX), 4_294_967_294_999_999_995);
    }

    #[test]
    fn every_hundredth_times_every_count_is_what_whole_numbers_say() {
        for hundredths in 0..=400_u32 {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!(decimal.to_string(), text);
            for n in 0..300_u32 {
                assert_eq!(decimal.times_floor(n), u64::from(hundredths * n / 100), "{n} x {text}");
            }
        }
    }

    #[test]
    fn equal_numbers_are_equal_however_written() {
        let of = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(of("0.5"), of("0.500000000"));
        assert_eq!(of("0.3").to_f64(), of("0.300000000").to_f64());
        assert_eq!(of("0.1").to_f64(), 0.1);
        assert!(of("1.09") < of("1.1") && of("2") > of("1.999"));
        assert_eq!(of("7"), Decimal::whole(7));
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for (text, why) in [
            ("-1", NoDecimal::Negative),
            ("-0.5", NoDecimal::Negative),
            ("", NoDecimal::Form),
            (".5", NoDecimal::Form),
            ("1.", NoDecimal::Form),
            ("1,5", NoDecimal::Form),
            ("1.2.3", NoDecimal::Form),
            ("1e3", NoDecimal::Form),
            ("+1", NoDecimal::Form),
            (" 1", NoDecimal::Form),
            ("inf", NoDecimal::Form),
            ("1234567890", NoDecimal::TooLong),
            ("1.1234567890123456789", NoDecimal::TooLong),
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(why), "{text:?}");
        }
    }
}
