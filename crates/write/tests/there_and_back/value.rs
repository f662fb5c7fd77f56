//! JSON values as they are compared, and a plain reader for them that trusts its input to be legal.

/// A JSON value: members in order of their names, numbers as their text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    /// A string with a lone surrogate, as it is spelled, quotes included.
    NoUnicode(String),
    Array(Vec<Value>),
    /// Repeated names stay, in order of their values.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Reads one value with white space around it. Panics on what is not JSON.
    pub(crate) fn read(text: &[u8]) -> Value {
        let text = std::str::from_utf8(text).expect("UTF-8");
        let mut reader = Reader { text, at: 0 };
        let value = reader.value();
        reader.blank();
        assert_eq!(reader.at, text.len(), "text behind the value");
        value
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Value {
        match self.peek() {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => self.string(),
            b'n' => self.literal("null", Value::Null),
            b't' => self.literal("true", Value::Boolean(true)),
            b'f' => self.literal("false", Value::Boolean(false)),
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
                let number = &rest[..end.unwrap_or(rest.len())];
                assert!(!number.is_empty(), "no value at {}", self.at);
                self.at += number.len();
                Value::Number(number.to_owned())
            }
        }
    }

    fn object(&mut self) -> Value {
        let mut members = Vec::new();
        self.at += 1;
        while self.peek() != b'}' {
            let name = match self.string() {
                Value::Text(name) | Value::NoUnicode(name) => name,
                other => panic!("{other:?} is no name"),
            };
            self.expect(b':');
            members.push((name, self.value()));
            if self.peek() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        members.sort();
        Value::Object(members)
    }

    fn array(&mut self) -> Value {
        let mut values = Vec::new();
        self.at += 1;
        while self.peek() != b']' {
            values.push(self.value());
            if self.peek() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        Value::Array(values)
    }

    fn string(&mut self) -> Value {
        self.expect(b'"');
        let start = self.at;
        let mut units: Vec<u16> = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let character = rest.chars().next().expect("a string ends");
            self.at += character.len_utf8();
            match character {
                '"' => break,
                '\\' => units.push(self.escape()),
                plain => units.extend_from_slice(plain.encode_utf16(&mut [0; 2])),
            }
        }
        match String::from_utf16(&units) {
            Ok(text) => Value::Text(text),
            Err(_) => Value::NoUnicode(self.text[start - 1..self.at].to_owned()),
        }
    }

    fn escape(&mut self) -> u16 {
        let letter = self.text.as_bytes()[self.at];
        self.at += 1;
        let character = match letter {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let digits = &self.text[self.at..self.at + 4];
                self.at += 4;
                return u16::from_str_radix(digits, 16).expect("four hex digits");
            }
            other => char::from(other),
        };
        u16::try_from(u32::from(character)).expect("an ASCII character")
    }

    fn literal(&mut self, literal: &str, value: Value) -> Value {
        assert!(self.text[self.at..].starts_with(literal));
        self.at += literal.len();
        value
    }

    fn expect(&mut self, byte: u8) {
        assert_eq!(self.peek(), byte, "at {}", self.at);
        self.at += 1;
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> u8 {
        self.blank();
        self.text.as_bytes()[self.at]
    }

    fn blank(&mut self) {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
}
