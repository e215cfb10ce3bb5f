//! GVariant's text format, in which annotations give a unit's properties: `true`, `uint64 5`, `'text'`, `['a', 'b']`.

use super::wire::Value;

/// Deeper arrays than this are no property of a unit.
const MAX_DEPTH: usize = 8;

/// Types by their GVariant keyword, and by their D-Bus letter.
const TYPES: [(&str, &str); 11] = [
    ("boolean", "b"),
    ("byte", "y"),
    ("int16", "n"),
    ("uint16", "q"),
    ("int32", "i"),
    ("uint32", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
    ("objectpath", "s"),
];

/// Reads one value. The error is the reason.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text };
    let value = parser.value(None, 0)?;
    parser.skip_space();
    if parser.rest.is_empty() {
        Ok(value)
    } else {
        Err(format!("{:?} follows the value", parser.rest))
    }
}

/// A position in the text.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes what comes, if it is this.
    fn take(&mut self, text: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a word or a number.
    fn word(&mut self) -> &'a str {
        self.skip_space();
        let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.' | '@');
        let end = self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A value, of this type if one is given.
    fn value(&mut self, kind: Option<&str>, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err("is nested too deeply".to_owned());
        }
        self.skip_space();
        match self.rest.chars().next() {
            None => Err("holds no value".to_owned()),
            Some('[') => self.array(kind, depth),
            Some('\'' | '"') => self.text(kind),
            Some('(' | '{' | '<') => Err("tuples, dictionaries and variants are not supported".to_owned()),
            Some('@') => {
                let letters = self.word();
                let letters = letters.strip_prefix('@').unwrap_or_default();
                let element = letters.trim_start_matches('a');
                if !TYPES.iter().any(|(_, letter)| *letter == element) {
                    return Err(format!("type \"{letters}\" is not supported"));
                }
                self.value(Some(letters), depth + 1)
            }
            Some(_) => {
                let word = self.word();
                match TYPES.iter().find(|(keyword, _)| *keyword == word) {
                    Some((_, letter)) => self.value(Some(letter), depth + 1),
                    None => scalar(word, kind),
                }
            }
        }
    }

    fn array(&mut self, kind: Option<&str>, depth: usize) -> Result<Value, String> {
        let mut element = match kind {
            None => None,
            Some(kind) => Some(
                kind.strip_prefix('a')
                    .ok_or_else(|| format!("an array is no {kind}"))?
                    .to_owned(),
            ),
        };
        self.take("[");
        let mut values = Vec::new();
        while !self.take("]") {
            if !values.is_empty() && !self.take(",") {
                return Err("lacks a ',' or a ']' in an array".to_owned());
            }
            let value = self.value(element.as_deref(), depth + 1)?;
            let signature = value.signature();
            if element.get_or_insert_with(|| signature.clone()) != &signature {
                return Err("has an array of different types".to_owned());
            }
            values.push(value);
        }
        match element {
            Some(element) => Ok(Value::Array(element, values)),
            None => Err("an empty array needs a type, such as @as []".to_owned()),
        }
    }

    fn text(&mut self, kind: Option<&str>) -> Result<Value, String> {
        if kind.is_some_and(|k| k != "s") {
            return Err("a text stands where a number is due".to_owned());
        }
        let mut chars = self.rest.chars();
        let quote = chars.next();
        let mut text = String::new();
        loop {
            match chars.next() {
                None => return Err("a text lacks its closing quote".to_owned()),
                c if c == quote => break,
                Some('\\') => match chars.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(c @ ('\\' | '\'' | '"')) => text.push(c),
                    _ => return Err("has an unknown escape in a text".to_owned()),
                },
                Some('\0') => return Err("holds a NUL byte".to_owned()),
                Some(c) => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(Value::Text(text))
    }
}

/// A word as a value: `true`, `false` or a number.
fn scalar(word: &str, kind: Option<&str>) -> Result<Value, String> {
    let truth = match word {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    if let (Some(truth), None | Some("b")) = (truth, kind) {
        return Ok(Value::Bool(truth));
    }
    let bad = || format!("\"{word}\" is no value of its type");
    if kind == Some("d") || (kind.is_none() && word.contains('.')) {
        return word.parse().map(Value::Double).map_err(|_| bad());
    }
    let number = integer(word).ok_or_else(bad)?;
    let value = match kind.unwrap_or("i") {
        "y" => number.try_into().ok().map(Value::Byte),
        "n" => number.try_into().ok().map(Value::I16),
        "q" => number.try_into().ok().map(Value::U16),
        "i" => number.try_into().ok().map(Value::I32),
        "u" => number.try_into().ok().map(Value::U32),
        "x" => number.try_into().ok().map(Value::I64),
        "t" => number.try_into().ok().map(Value::U64),
        _ => None,
    };
    value.ok_or_else(bad)
}

/// A number in decimal, or with 0x in hexadecimal.
fn integer(word: &str) -> Option<i128> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number = match digits.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    number.ok().map(|n| if negative { -n } else { n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_meant() {
        let texts = |list: &[&str]| {
            Value::Array(
                "s".to_owned(),
                list.iter().copied().map(Value::text).collect::<Vec<_>>(),
            )
        };
        let table = [
            ("true", Value::Bool(true)),
            (" boolean false ", Value::Bool(false)),
            ("uint64 18446744073709551615", Value::U64(u64::MAX)),
            ("@t 0x10", Value::U64(16)),
            ("-7", Value::I32(-7)),
            ("byte 255", Value::Byte(255)),
            ("1.5", Value::Double(1.5)),
            ("double 2", Value::Double(2.0)),
            ("'it\\'s'", Value::text("it's")),
            ("\"a b\"", Value::text("a b")),
            ("['a.service', 'b.service']", texts(&["a.service", "b.service"])),
            ("@as []", texts(&[])),
            (
                "[uint32 1, 2]",
                Value::Array("u".to_owned(), vec![Value::U32(1), Value::U32(2)]),
            ),
        ];
        for (text, value) in table {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let deep = "[".repeat(10_000);
        for text in [
            "",
            "byte 256",
            "uint64 -1",
            "uint64",
            "uint32 'a'",
            "'a",
            "'\\q'",
            "[]",
            "[1",
            "[1 2]",
            "[1, 'a']",
            "(1, 2)",
            "@(ss) 1",
            "true 1",
            "yes",
            "--1",
            "0x",
            "ä",
            "@t",
            "@",
            &deep,
        ] {
            assert!(parse(text).is_err(), "{text:.20}");
        }
    }
}
