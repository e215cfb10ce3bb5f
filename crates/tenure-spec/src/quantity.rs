//! Kubernetes quantities (`500m`, `1.5`, `64Mi`, `1e3`, `2G`), exactly.

use std::str::FromStr;

/// Thousand millionths in one: a quantity's finest part.
const NANO: i128 = 1_000_000_000;

/// A quantity that is not negative, rounded up to a thousand millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity {
    nanos: i128,
}

/// Why a text is no quantity that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAQuantity {
    /// It is not written as one.
    Malformed,
    /// It is below zero.
    Negative,
    /// It is beyond 2^63-1.
    TooLarge,
}

impl NotAQuantity {
    /// The fault in words.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Malformed => "must be a quantity such as 500m, 1.5 or 64Mi",
            Self::Negative => "must be greater than or equal to 0",
            Self::TooLarge => "is too large",
        }
    }
}

impl Quantity {
    /// Thousandths, rounded up.
    pub(crate) fn millis(self) -> Option<u64> {
        u64::try_from(divide_up(self.nanos, NANO / 1000)).ok()
    }

    /// Whole units, rounded up.
    pub(crate) fn units(self) -> Option<u64> {
        u64::try_from(divide_up(self.nanos, NANO)).ok()
    }
}

fn divide_up(value: i128, by: i128) -> i128 {
    value.saturating_add(by - 1) / by
}

impl FromStr for Quantity {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(NotAQuantity::Malformed);
        }
        let scale = Scale::from_str(suffix)?;
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Ok(Self { nanos: 0 });
        }
        if negative {
            return Err(NotAQuantity::Negative);
        }
        let fraction = i64::try_from(fraction.len()).map_err(|_| NotAQuantity::Malformed)?;
        let nanos = scale.nanos(digits, fraction).ok_or(NotAQuantity::TooLarge)?;
        if nanos > i128::from(i64::MAX) * NANO {
            return Err(NotAQuantity::TooLarge);
        }
        Ok(Self { nanos })
    }
}

/// What a quantity's suffix multiplies by: 2^binary times 10^decimal.
struct Scale {
    binary: u32,
    decimal: i64,
}

impl Scale {
    /// `digits` times the scale, in nanos rounded up; the last `fraction` digits stand behind the point.
    fn nanos(&self, digits: &str, fraction: i64) -> Option<i128> {
        let exponent = self.decimal.checked_sub(fraction)?.checked_add(9)?;
        let mut digits = digits.to_owned();
        let mut rounded_up = false;
        let mut divisor = 1_i128;
        if exponent >= 0 {
            let zeros = usize::try_from(exponent).ok().filter(|zeros| *zeros <= 40)?;
            digits.extend(std::iter::repeat_n('0', zeros));
        } else {
            // Digits beyond the finest part of a binary multiple cannot matter but for rounding up.
            let mut behind = usize::try_from(exponent.unsigned_abs()).ok()?;
            let keep = usize::try_from(self.binary).ok()? + 12;
            if behind > keep {
                let cut = (behind - keep).min(digits.len());
                let tail = digits.split_off(digits.len() - cut);
                rounded_up = tail.bytes().any(|b| b != b'0');
                behind -= cut;
                if digits.is_empty() {
                    return Some(i128::from(rounded_up));
                }
            }
            divisor = 10_i128.checked_pow(u32::try_from(behind).ok()?)?;
        }
        let value = digits.parse::<i128>().ok()?.checked_add(i128::from(rounded_up))?;
        let value = value.checked_mul(1_i128.checked_shl(self.binary)?)?;
        Some(divide_up(value, divisor))
    }
}

impl FromStr for Scale {
    type Err = NotAQuantity;

    fn from_str(suffix: &str) -> Result<Self, NotAQuantity> {
        let decimal = |decimal| Ok(Self { binary: 0, decimal });
        let binary = |binary| Ok(Self { binary, decimal: 0 });
        match suffix {
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "" => decimal(0),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            "Ki" => binary(10),
            "Mi" => binary(20),
            "Gi" => binary(30),
            "Ti" => binary(40),
            "Pi" => binary(50),
            "Ei" => binary(60),
            _ => {
                let exponent = suffix.strip_prefix(['e', 'E']).ok_or(NotAQuantity::Malformed)?;
                let exponent: i64 = exponent.parse().map_err(|_| NotAQuantity::Malformed)?;
                decimal(exponent.clamp(-1000, 1000))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NotAQuantity, Quantity};

    #[test]
    fn quantities_are_read_exactly() {
        for (text, millis, units) in [
            ("0", 0, 0),
            ("1", 1000, 1),
            ("+1", 1000, 1),
            ("500m", 500, 1),
            ("1.5", 1500, 2),
            (".5", 500, 1),
            ("5.", 5000, 5),
            ("1e3", 1_000_000, 1000),
            ("1E3", 1_000_000, 1000),
            ("12e-1", 1200, 2),
            ("2G", 2_000_000_000_000, 2_000_000_000),
            ("64Mi", 67_108_864_000, 67_108_864),
            ("1.5Ki", 1_536_000, 1536),
            ("0.1m", 1, 1),
            ("1n", 1, 1),
            ("0.0000000000000000000000000000000000000000000001", 1, 1),
            ("100u", 1, 1),
            ("123456789.123456789", 123_456_789_124, 123_456_790),
            ("0e999", 0, 0),
            ("-0", 0, 0),
        ] {
            let quantity: Quantity = text.parse().unwrap();
            assert_eq!(quantity.millis(), Some(millis), "{text}");
            assert_eq!(quantity.units(), Some(units), "{text}");
        }
        assert_eq!("7Ei".parse::<Quantity>().unwrap().units(), Some(7 << 60));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for (text, fault) in [
            ("", NotAQuantity::Malformed),
            ("m", NotAQuantity::Malformed),
            (".", NotAQuantity::Malformed),
            ("1.2.3", NotAQuantity::Malformed),
            ("1 Mi", NotAQuantity::Malformed),
            ("1mi", NotAQuantity::Malformed),
            ("1K", NotAQuantity::Malformed),
            ("e3", NotAQuantity::Malformed),
            ("1e", NotAQuantity::Malformed),
            ("0x10", NotAQuantity::Malformed),
            ("-1", NotAQuantity::Negative),
            ("8Ei", NotAQuantity::TooLarge),
            ("1e999", NotAQuantity::TooLarge),
            (
                "999999999999999999999999999999999999999999",
                NotAQuantity::TooLarge,
            ),
        ] {
            assert_eq!(text.parse::<Quantity>(), Err(fault), "{text:?}");
        }
    }
}
