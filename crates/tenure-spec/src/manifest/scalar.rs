//! What a plain YAML scalar means: the core schema, with YAML 1.1's octal numbers as Kubernetes reads them.

/// A scalar with its meaning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction or an exponent, as written.
    Float(String),
    /// A string; `plain` when written without quotes.
    Str {
        /// The string.
        text: String,
        /// Written without quotes.
        plain: bool,
    },
}

impl Scalar {
    /// The scalar in words, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(value) => format!("the boolean {value}"),
            Self::Int(value) => format!("the number {value}"),
            Self::Float(text) => format!("the number {text}"),
            Self::Str { text, .. } => format!("the string {}", super::report::quote(text)),
        }
    }
}

/// Resolves a scalar written without quotes.
pub(crate) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        _ => {}
    }
    if let Some(value) = integer(text) {
        return Scalar::Int(value);
    }
    if is_float(text) {
        return Scalar::Float(text.to_owned());
    }
    Scalar::Str {
        text: text.to_owned(),
        plain: true,
    }
}

/// YAML 1.1's booleans, accepted where a boolean is wanted and nowhere else.
pub(crate) fn old_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" => Some(true),
        "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = if let Some(rest) = digits.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = digits.strip_prefix("0o") {
        (8, rest)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, &digits[1..])
    } else {
        (10, digits)
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digit = !whole.is_empty() || !fraction.is_empty();
    let leading_zero = whole.len() > 1 && whole.starts_with('0') && !mantissa.contains('.');
    let good_exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    has_digit && !leading_zero && digits(whole) && digits(fraction) && good_exponent
}

#[cfg(test)]
mod tests {
    use super::{Scalar, resolve};

    #[test]
    fn plain_scalars_mean_what_kubernetes_reads() {
        let string = |text: &str| Scalar::Str {
            text: text.into(),
            plain: true,
        };
        for (text, expected) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("true", Scalar::Bool(true)),
            ("yes", string("yes")),
            ("0", Scalar::Int(0)),
            ("-5", Scalar::Int(-5)),
            ("+5", Scalar::Int(5)),
            ("0644", Scalar::Int(0o644)),
            ("0o644", Scalar::Int(0o644)),
            ("0x1f", Scalar::Int(31)),
            ("089", string("089")),
            ("1.5", Scalar::Float("1.5".into())),
            ("1e3", Scalar::Float("1e3".into())),
            (".5", Scalar::Float(".5".into())),
            (".inf", Scalar::Float(".inf".into())),
            (".", string(".")),
            ("e3", string("e3")),
            ("1e", string("1e")),
            ("500m", string("500m")),
            ("1:30", string("1:30")),
            ("1_000", string("1_000")),
            ("-", string("-")),
        ] {
            assert_eq!(resolve(text), expected, "{text:?}");
        }
    }
}
