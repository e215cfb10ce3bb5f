//! The wire format of D-Bus, as far as systemd is spoken to: method calls out; replies, errors and signals in.

/// The longest message taken, in bytes. What systemd answers stays below a kilobyte.
const MAX_MESSAGE: usize = 1 << 20;

/// A value of a D-Bus type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Byte(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Double(f64),
    Text(String),
    /// The signature of an element, and the elements.
    Array(String, Vec<Value>),
    Struct(Vec<Value>),
    Variant(Box<Value>),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The type as D-Bus writes it.
    pub(crate) fn signature(&self) -> String {
        let basic = match self {
            Self::Bool(_) => "b",
            Self::Byte(_) => "y",
            Self::I16(_) => "n",
            Self::U16(_) => "q",
            Self::I32(_) => "i",
            Self::U32(_) => "u",
            Self::I64(_) => "x",
            Self::U64(_) => "t",
            Self::Double(_) => "d",
            Self::Text(_) => "s",
            Self::Variant(_) => "v",
            Self::Array(element, _) => return format!("a{element}"),
            Self::Struct(fields) => return format!("({})", signature(fields)),
        };
        basic.to_owned()
    }
}

/// The signature of values in a row.
fn signature(values: &[Value]) -> String {
    values.iter().map(Value::signature).collect()
}

/// The boundary on which values of this type begin.
fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'y' | b'g' | b'v') => 1,
        Some(b'n' | b'q') => 2,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 4,
    }
}

/// Bytes of a message under construction.
#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn align(&mut self, boundary: usize) {
        self.0.resize(self.0.len().next_multiple_of(boundary), 0);
    }

    fn number(&mut self, bytes: &[u8]) {
        self.align(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn length(&mut self, length: usize) {
        // A message that long is refused by its receiver.
        self.number(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(signature.as_bytes());
        self.0.push(0);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(v) => self.number(&u32::from(*v).to_le_bytes()),
            Value::Byte(v) => self.number(&[*v]),
            Value::I16(v) => self.number(&v.to_le_bytes()),
            Value::U16(v) => self.number(&v.to_le_bytes()),
            Value::I32(v) => self.number(&v.to_le_bytes()),
            Value::U32(v) => self.number(&v.to_le_bytes()),
            Value::I64(v) => self.number(&v.to_le_bytes()),
            Value::U64(v) => self.number(&v.to_le_bytes()),
            Value::Double(v) => self.number(&v.to_le_bytes()),
            Value::Text(v) => self.text(v),
            Value::Array(element, values) => self.array(element, values),
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().for_each(|f| self.value(f));
            }
            Value::Variant(inner) => {
                self.signature(&inner.signature());
                self.value(inner);
            }
        }
    }

    /// The length in front counts from the first element on, so without the gap that brings it to its boundary.
    fn array(&mut self, element: &str, values: &[Value]) {
        self.length(0);
        let length_at = self.0.len() - 4;
        self.align(alignment(element));
        let start = self.0.len();
        values.iter().for_each(|v| self.value(v));
        let length = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX);
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// A method call.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) body: &'a [Value],
}

impl Call<'_> {
    /// The message. Its serial number is what the answer refers to.
    pub(super) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Encoder::default();
        self.body.iter().for_each(|v| body.value(v));
        let mut message = Encoder(vec![b'l', Kind::CALL, 0, 1]);
        message.length(body.0.len());
        message.number(&serial.to_le_bytes());
        message.length(0);
        let start = message.0.len();
        let fields = [
            (1, "o", self.path),
            (2, "s", self.interface),
            (3, "s", self.member),
            (6, "s", self.destination),
        ];
        for (code, kind, text) in fields {
            message.align(8);
            message.0.push(code);
            message.signature(kind);
            message.text(text);
        }
        if !self.body.is_empty() {
            message.align(8);
            message.0.push(8);
            message.signature("g");
            message.signature(&signature(self.body));
        }
        let length = u32::try_from(message.0.len() - start).unwrap_or(u32::MAX);
        message.0[start - 4..start].copy_from_slice(&length.to_le_bytes());
        message.align(8);
        message.0.extend(body.0);
        message.0
    }
}

/// What a message is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Return,
    Error,
    Signal,
    Other,
}

impl Kind {
    const CALL: u8 = 1;

    const fn of(byte: u8) -> Self {
        match byte {
            2 => Self::Return,
            3 => Self::Error,
            4 => Self::Signal,
            _ => Self::Other,
        }
    }
}

/// A message received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// The serial number of the call that it answers.
    pub(super) reply_to: u32,
    /// Of a signal.
    pub(super) member: String,
    /// The name of an error.
    pub(super) error: String,
    big_endian: bool,
    body: Vec<u8>,
}

/// The peer does not speak D-Bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Message {
    /// The first message in `bytes` and its length; `None` while it is incomplete.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let Some(fixed) = bytes.get(..16) else {
            return Ok(None);
        };
        let big_endian = match fixed[0] {
            b'l' => false,
            b'B' => true,
            _ => return Err(Malformed),
        };
        let mut head = Decoder {
            bytes,
            at: 4,
            big_endian,
        };
        let body_length = head.size()?;
        head.number()?;
        let fields_length = head.size()?;
        let body_at = (16 + fields_length).next_multiple_of(8);
        let Some(whole) = bytes.get(..body_at + body_length) else {
            return Ok(None);
        };
        let mut message = Self {
            kind: Kind::of(fixed[1]),
            reply_to: 0,
            member: String::new(),
            error: String::new(),
            big_endian,
            body: whole[body_at..].to_vec(),
        };
        message.fields(Decoder {
            bytes: &whole[..16 + fields_length],
            at: 16,
            big_endian,
        })?;
        Ok(Some((message, whole.len())))
    }

    fn fields(&mut self, mut fields: Decoder<'_>) -> Result<(), Malformed> {
        while fields.at < fields.bytes.len() {
            fields.align(8);
            let code = fields.byte()?;
            match fields.signature()? {
                "s" | "o" => {
                    let text = fields.text()?;
                    match code {
                        3 => self.member = text,
                        4 => self.error = text,
                        _ => {}
                    }
                }
                "u" => {
                    let number = fields.number()?;
                    if code == 5 {
                        self.reply_to = number;
                    }
                }
                "g" => drop(fields.signature()?),
                _ => return Err(Malformed),
            }
        }
        Ok(())
    }

    /// Reads the arguments, one after another.
    pub(super) fn arguments(&self) -> Decoder<'_> {
        Decoder {
            bytes: &self.body,
            at: 0,
            big_endian: self.big_endian,
        }
    }
}

/// A position in received bytes.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Decoder<'a> {
    fn align(&mut self, boundary: usize) {
        self.at = self.at.next_multiple_of(boundary);
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1)?.first().copied().ok_or(Malformed)
    }

    /// A `u`.
    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        self.align(4);
        let bytes = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// A length; one that no sane message has is refused.
    fn size(&mut self) -> Result<usize, Malformed> {
        let size = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        if size > MAX_MESSAGE {
            return Err(Malformed);
        }
        Ok(size)
    }

    /// An `s` or `o`.
    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let length = self.size()?;
        let bytes = self.take(length)?;
        self.take(1)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
    }

    /// A `v` that holds an `s` or `o`.
    pub(super) fn text_variant(&mut self) -> Result<String, Malformed> {
        match self.signature()? {
            "s" | "o" => self.text(),
            _ => Err(Malformed),
        }
    }

    fn signature(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(self.byte()?);
        let bytes = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(bytes).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: &[Value]) -> Vec<u8> {
        let call = Call {
            destination: "d",
            path: "/p",
            interface: "i",
            member: "m",
            body,
        };
        call.encode(7)
    }

    /// A message of systemd: a signal or an answer, with the body of a call made here.
    fn received(kind: u8, fields: &[(u8, Value)], body: &[Value]) -> Vec<u8> {
        let mut encoded = Encoder::default();
        body.iter().for_each(|v| encoded.value(v));
        let mut message = Encoder(vec![b'l', kind, 0, 1]);
        message.length(encoded.0.len());
        message.length(1);
        let fields: Vec<Value> = fields
            .iter()
            .map(|(code, v)| Value::Struct(vec![Value::Byte(*code), Value::Variant(Box::new(v.clone()))]))
            .collect();
        message.array("(yv)", &fields);
        message.align(8);
        message.0.extend(encoded.0);
        message.0
    }

    #[test]
    fn a_call_is_what_the_specification_says() {
        let bytes = call(&[Value::text("ab"), Value::U64(1)]);
        let expected: &[u8] = b"l\x01\0\x01\x10\0\0\0\x07\0\0\0\x48\0\0\0\
            \x01\x01o\0\x02\0\0\0/p\0\0\0\0\0\0\
            \x02\x01s\0\x01\0\0\0i\0\0\0\0\0\0\0\
            \x03\x01s\0\x01\0\0\0m\0\0\0\0\0\0\0\
            \x06\x01s\0\x01\0\0\0d\0\0\0\0\0\0\0\
            \x08\x01g\0\x02st\0\
            \x02\0\0\0ab\0\0\x01\0\0\0\0\0\0\0";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn an_array_of_structs_begins_on_its_boundary_and_counts_from_there() {
        let mut encoder = Encoder::default();
        let pair = |a: &str| Value::Struct(vec![Value::text(a), Value::Variant(Box::new(Value::Bool(true)))]);
        encoder.value(&Value::Array("(sv)".into(), vec![pair("x")]));
        // Length 16 from offset 8 on: "x\0" with its length, signature "b", a boolean of four bytes.
        let expected: &[u8] = b"\x10\0\0\0\0\0\0\0\x01\0\0\0x\0\x01b\0\0\0\0\x01\0\0\0";
        assert_eq!(encoder.0, expected);
        let mut empty = Encoder::default();
        empty.value(&Value::Array("(sv)".into(), Vec::new()));
        assert_eq!(empty.0, [0; 8], "the boundary counts for an empty one too");
    }

    #[test]
    fn a_signal_is_read_however_it_is_cut() {
        let body = [
            Value::U32(3),
            Value::text("/job/3"),
            Value::text("a.scope"),
            Value::text("done"),
        ];
        let bytes = received(4, &[(3, Value::text("JobRemoved"))], &body);
        for cut in 0..bytes.len() {
            assert_eq!(Message::decode(&bytes[..cut]), Ok(None), "{cut}");
        }
        let (message, length) = Message::decode(&[bytes.clone(), bytes.clone()].concat())
            .unwrap()
            .unwrap();
        assert_eq!((length, message.kind), (bytes.len(), Kind::Signal));
        assert_eq!(message.member, "JobRemoved");
        let mut arguments = message.arguments();
        assert_eq!(arguments.number(), Ok(3));
        let texts = [arguments.text(), arguments.text(), arguments.text()].map(Result::unwrap);
        assert_eq!(texts, ["/job/3", "a.scope", "done"]);
        assert_eq!(arguments.text(), Err(Malformed));
    }

    #[test]
    fn bytes_that_are_no_message_are_refused_and_never_a_panic() {
        assert_eq!(Message::decode(&[b'x'; 32]), Err(Malformed));
        let mut bytes = received(
            3,
            &[(4, Value::text("e.N")), (5, Value::U32(7))],
            &[Value::text("why")],
        );
        let (message, _) = Message::decode(&bytes).unwrap().unwrap();
        assert_eq!(
            (message.error.as_str(), message.reply_to, message.kind),
            ("e.N", 7, Kind::Error)
        );
        for i in 0..bytes.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let kept = std::mem::replace(&mut bytes[i], byte);
                if let Ok(Some((message, _))) = Message::decode(&bytes) {
                    let _ = message.arguments().text();
                    let _ = message.arguments().text_variant();
                }
                bytes[i] = kept;
            }
        }
    }
}
