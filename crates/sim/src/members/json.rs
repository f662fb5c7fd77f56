//! JSON text, written straight into bytes: no tree, no number formatting beyond what FHIR needs.
//!
//! In go names and values in the order they are to stand; out comes one value without white space. Commas are put by
//! looking at the last byte: only an object or array that has just been opened ends in a bracket.

use std::mem;

use fastrand::Rng;

/// How strings are escaped; both mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// What RFC 8259 asks for, and nothing else.
    Needed,
    /// All that is not ASCII too, as surrogate pairs where it must be, and the solidus.
    Ascii,
}

/// Writes JSON behind what is in [`out`](JsonWriter::out).
pub(crate) struct JsonWriter {
    pub(crate) out: Vec<u8>,
    pub(crate) escapes: Escapes,
    /// Puts the members of each object into another order as it is closed.
    pub(crate) shuffle: Option<Rng>,
    /// Where the members of the open objects begin, of which `opened` has the first one of each.
    members: Vec<usize>,
    opened: Vec<usize>,
    spare: Vec<u8>,
}

impl JsonWriter {
    pub(crate) fn new() -> JsonWriter {
        JsonWriter {
            out: Vec::new(),
            escapes: Escapes::Needed,
            shuffle: None,
            members: Vec::new(),
            opened: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Opens an object that is the whole value.
    pub(crate) fn open(&mut self) {
        self.out.push(b'{');
        if self.shuffle.is_some() {
            self.opened.push(self.members.len());
        }
    }

    /// Opens an object that is a member.
    #[inline]
    pub(crate) fn object(&mut self, name: &str) {
        self.name(name);
        self.open();
    }

    /// Opens an object that is an array's next element.
    #[inline]
    pub(crate) fn item(&mut self) {
        self.comma();
        self.open();
    }

    /// Closes the innermost object.
    pub(crate) fn end(&mut self) {
        if self.shuffle.is_some() {
            self.reorder();
        }
        self.out.push(b'}');
    }

    /// Opens an array that is a member.
    pub(crate) fn array(&mut self, name: &str) {
        self.name(name);
        self.out.push(b'[');
    }

    /// Closes the innermost array.
    pub(crate) fn end_array(&mut self) {
        self.out.push(b']');
    }

    /// A member name; ASCII, nothing to be escaped.
    #[inline]
    pub(crate) fn name(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        if self.shuffle.is_some() {
            self.members.push(self.out.len());
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    #[inline]
    fn comma(&mut self) {
        if self.out.last() != Some(&b'[') {
            self.out.push(b',');
        }
    }

    /// A member with text in it.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.push(b'"');
        self.escaped(value);
        self.out.push(b'"');
    }

    /// A member with a string in it that is ASCII and has nothing to be escaped: codes, URIs.
    #[inline]
    pub(crate) fn code(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// A member whose value is a whole number.
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        push_number(&mut self.out, value);
    }

    /// A member whose value is `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// An element of an array: text.
    pub(crate) fn text_item(&mut self, value: &str) {
        self.comma();
        self.out.push(b'"');
        self.escaped(value);
        self.out.push(b'"');
    }

    /// An element of an array: a whole number.
    pub(crate) fn number_item(&mut self, value: u64) {
        self.comma();
        push_number(&mut self.out, value);
    }

    /// An element of an array: null.
    pub(crate) fn null_item(&mut self) {
        self.comma();
        self.out.extend_from_slice(b"null");
    }

    /// The inside of a string.
    pub(crate) fn escaped(&mut self, value: &str) {
        let plain = |byte: u8| byte != b'"' && byte != b'\\' && byte >= 0x20;
        match self.escapes {
            Escapes::Needed if value.bytes().all(plain) => self.out.extend_from_slice(value.as_bytes()),
            escapes => value.chars().for_each(|c| push_escaped(&mut self.out, c, escapes)),
        }
    }

    /// Puts the members of the object that is being closed into another order.
    fn reorder(&mut self) {
        let Some(rng) = &mut self.shuffle else { return };
        let first = self.opened.pop().unwrap_or_default();
        let starts = &self.members[first..];
        let Some(&begin) = starts.first() else { return };
        let end = self.out.len();
        let mut spans = [(0, 0); 64];
        if starts.len() > 1 && starts.len() <= spans.len() {
            let spans = &mut spans[..starts.len()];
            for (at, span) in spans.iter_mut().enumerate() {
                // A member ends before the comma that precedes the next one.
                *span = (starts[at], starts.get(at + 1).map_or(end, |next| next - 1));
            }
            rng.shuffle(spans);
            self.spare.clear();
            for &mut (from, to) in spans {
                self.spare.extend_from_slice(&self.out[from..to]);
                self.spare.push(b',');
            }
            self.spare.pop();
            self.out[begin..end].copy_from_slice(&self.spare);
        }
        self.members.truncate(first);
    }

    /// Hands over the bytes to write behind; the ones written so far go the other way.
    pub(crate) fn swap(&mut self, out: &mut Vec<u8>) {
        mem::swap(&mut self.out, out);
    }
}

fn push_escaped(out: &mut Vec<u8>, c: char, escapes: Escapes) {
    match c {
        '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '/' if escapes == Escapes::Ascii => out.extend_from_slice(b"\\/"),
        ' '..='~' => out.push(c as u8),
        c if escapes == Escapes::Ascii || c < ' ' => {
            for &unit in c.encode_utf16(&mut [0; 2]).iter() {
                out.extend_from_slice(b"\\u");
                push_hex(out, u64::from(unit), 4);
            }
        }
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Appends a number in decimal.
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    if number < 10 {
        out.push(b'0' + number as u8);
        return;
    }
    let mut digits = [0; 20];
    let mut at = digits.len();
    while number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends two decimal digits of a number below 100.
pub(crate) fn push_two(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
}

/// Appends the lowest `digits` hexadecimal digits.
pub(crate) fn push_hex(out: &mut Vec<u8>, number: u64, digits: u32) {
    for at in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(number >> (4 * at) & 15) as usize]);
    }
}

/// Appends `digits / 10^scale` with exactly `scale` digits behind the point.
pub(crate) fn push_decimal(out: &mut Vec<u8>, digits: i64, scale: u32) {
    if digits < 0 {
        out.push(b'-');
    }
    let (digits, unit) = (digits.unsigned_abs(), 10u64.pow(scale));
    push_number(out, digits / unit);
    if scale > 0 {
        out.push(b'.');
        let mut rest = digits % unit;
        let mut of = unit;
        for _ in 0..scale {
            of /= 10;
            out.push(b'0' + (rest / of) as u8);
            rest %= of;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sample(json: &mut JsonWriter) {
        json.open();
        json.text("a", "say \"é\"\n\\ 😀/\u{1}");
        json.array("b");
        json.item();
        json.end();
        json.item();
        json.number("c", 120);
        json.flag("d", true);
        json.object("e");
        json.code("f", "x,y");
        json.end();
        json.end();
        json.null_item();
        json.number_item(0);
        json.end_array();
        json.array("g");
        json.text_item("{");
        json.text_item("[");
        json.end_array();
        json.end();
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let expected = json!({"a": "say \"é\"\n\\ 😀/\u{1}", "b": [{}, {"c": 120, "d": true, "e": {"f": "x,y"}}, null, 0],
            "g": ["{", "["]});
        for escapes in [Escapes::Needed, Escapes::Ascii] {
            let mut texts = std::collections::BTreeSet::new();
            for seed in 0..20 {
                let mut json = JsonWriter::new();
                json.escapes = escapes;
                json.shuffle = (seed > 0).then(|| Rng::with_seed(seed));
                sample(&mut json);
                assert_eq!(serde_json::from_slice::<Value>(&json.out).unwrap(), expected);
                assert!(json.members.is_empty() && json.opened.is_empty());
                assert_eq!(json.out.is_ascii(), escapes == Escapes::Ascii);
                texts.insert(json.out);
            }
            assert!(texts.len() > 5, "the order does not change");
        }
    }

    #[track_caller]
    fn check(digits: i64, scale: u32, expected: &str) {
        let mut out = Vec::new();
        push_decimal(&mut out, digits, scale);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn decimals_keep_their_digits() {
        check(12_550, 2, "125.50");
        check(5, 3, "0.005");
        check(-5, 1, "-0.5");
        check(0, 1, "0.0");
        check(100, 0, "100");
        check(i64::MAX, 2, "92233720368547758.07");
    }
}
