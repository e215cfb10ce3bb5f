//! Amounts of memory as people write them.

/// Reads bytes with an optional unit, counted in 1024s: `512M`, `1.5GiB`, `64kb`, `4096`. `-1` is "without limit".
pub(super) fn bytes(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let wrong = || format!("{text:?} is no size (as in 512M; -1 for none)");
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or_else(wrong)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(wrong()),
    };
    let scale = 1u64 << shift;
    match number.split_once('.') {
        None => number
            .parse::<u64>()
            .ok()
            .and_then(|whole| whole.checked_mul(scale))
            .and_then(|bytes| i64::try_from(bytes).ok())
            .ok_or_else(wrong),
        Some((whole, fraction)) => scaled(whole, fraction, scale).ok_or_else(wrong),
    }
}

/// `WHOLE.FRACTION` times `scale`, rounded down.
fn scaled(whole: &str, fraction: &str, scale: u64) -> Option<i64> {
    let fraction = fraction.get(..fraction.len().min(9))?;
    let digits = u32::try_from(fraction.len()).ok()?;
    let part: u128 = fraction.parse().ok()?;
    let whole: u128 = whole.parse().ok()?;
    let scale = u128::from(scale);
    let bytes = whole.checked_mul(scale)? + part * scale / 10u128.pow(digits);
    i64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_counted_in_1024s() {
        let table = [
            ("0", 0),
            ("4096", 4096),
            ("512M", 512 << 20),
            ("512m", 512 << 20),
            ("64kb", 64 << 10),
            ("1.5GiB", 3 << 29),
            ("2 t", 2 << 40),
            ("1p", 1 << 50),
            ("7b", 7),
            ("-1", -1),
        ];
        for (text, expected) in table {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_size() {
        for text in [
            "",
            "M",
            "-2",
            "1x",
            "1.2.3M",
            ".",
            "1.M",
            "1e3",
            "99999999999p",
            "0x10",
            "1 MM",
            "\u{661}",
            "1\u{661}",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
