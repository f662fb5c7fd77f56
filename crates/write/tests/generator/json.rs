//! A JSON value that remembers its numbers' text and may hold strings that are no Unicode; and its many spellings.

use super::Choices;

pub(crate) enum Json {
    Null,
    Boolean(bool),
    /// The exact text.
    Number(String),
    Text(Text),
    Array(Vec<Json>),
    /// Names may repeat: whoever makes the object decides.
    Object(Vec<(Text, Json)>),
}

/// Code points, lone surrogates among them.
pub(crate) type Text = Vec<u32>;

pub(crate) fn text(of: &str) -> Text {
    of.chars().map(u32::from).collect()
}

impl Json {
    /// Appends the value as JSON text. One in four values has white space around its tokens, one in four strings more
    /// escapes than it needs, one in three objects another order.
    pub(crate) fn spell(&self, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
        let wide = choices.one_in(4);
        self.spell_in(choices, wide, out);
    }

    fn spell_in(&self, choices: &mut Choices<'_>, wide: bool, out: &mut Vec<u8>) {
        blank(choices, wide, out);
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Json::Number(number) => out.extend_from_slice(number.as_bytes()),
            Json::Text(text) => spell_text(text, choices, out),
            Json::Array(values) => {
                out.push(b'[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    value.spell_in(choices, wide, out);
                }
                out.push(b']');
            }
            Json::Object(members) => {
                out.push(b'{');
                let mut order: Vec<usize> = (0..members.len()).collect();
                if members.len() > 1 && choices.one_in(3) {
                    order.rotate_left(choices.below(members.len()));
                    let (a, b) = (choices.below(members.len()), choices.below(members.len()));
                    order.swap(a, b);
                }
                for (at, &member) in order.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    let (name, value) = &members[member];
                    blank(choices, wide, out);
                    spell_text(name, choices, out);
                    blank(choices, wide, out);
                    out.push(b':');
                    value.spell_in(choices, wide, out);
                }
                blank(choices, wide, out);
                out.push(b'}');
            }
        }
        blank(choices, wide, out);
    }
}

/// White space that RFC 8259 allows, but for the line feed, which ends the line.
fn blank(choices: &mut Choices<'_>, wide: bool, out: &mut Vec<u8>) {
    if wide {
        out.extend_from_slice(choices.pick(&["", " ", "\t", "  ", "\r", " \t "]).as_bytes());
    }
}

fn spell_text(text: &[u32], choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    // One byte a string, not one a character: a bit says how the character at its place is spelled.
    let pattern = if choices.one_in(4) { choices.below(256) } else { 0 };
    out.push(b'"');
    for (at, &code) in text.iter().enumerate() {
        let plain = char::from_u32(code).filter(|c| *c >= ' ' && !matches!(c, '"' | '\\'));
        let other = pattern >> (at % 8) & 1 == 1;
        match plain {
            Some(plain) if !other => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => spell_escape(code, pattern + at, out),
        }
    }
    out.push(b'"');
}

/// An escape: short where there is one, or in hexadecimal of either case, as `style` says.
fn spell_escape(code: u32, style: usize, out: &mut Vec<u8>) {
    const SHORT: [(u32, u8); 8] =
        [(34, b'"'), (92, b'\\'), (47, b'/'), (8, b'b'), (12, b'f'), (10, b'n'), (13, b'r'), (9, b't')];
    if let Some((_, letter)) = SHORT.iter().find(|(short, _)| *short == code)
        && style % 3 < 2
    {
        out.extend_from_slice(&[b'\\', *letter]);
        return;
    }
    let units = match char::from_u32(code) {
        Some(character) => character.encode_utf16(&mut [0; 2]).to_vec(),
        None => vec![u16::try_from(code).expect("a surrogate has 16 bits")],
    };
    for unit in units {
        let digits = if style.is_multiple_of(2) { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        out.extend_from_slice(digits.as_bytes());
    }
}
