//! A resource as 128 bits: equal for equal resources, whatever the order of members, the white space and the spelling of
//! strings; different, but for an accident, for any other.
//!
//! A value's hash is made of its kind and its content: a number's text, a string's characters (its raw text where it
//! has half a surrogate pair), an array's elements in order, and the sum over an object's members. It is no defence
//! against somebody who builds a resource in order to deceive; such a one could as well change the lake.

use lakehaul_parse::{Cursor, Member, MemberGuess, Reject, Text, Token};

/// The fingerprint of the line `number` with the cursor's resource. Reads the line to its end.
pub(super) fn fingerprint<'c, C: Cursor<'c>>(number: u64, cursor: &mut C) -> Result<u128, Reject> {
    let value = value(cursor)?;
    cursor.finish()?;
    Ok(Mixer::new(Kind::Line).word(number).wide(value).finish())
}

/// Of a line that is no resource: like no other.
pub(super) fn no_resource(number: u64) -> u128 {
    Mixer::new(Kind::NoResource).word(number).finish()
}

#[derive(Clone, Copy)]
enum Kind {
    Line = 1,
    NoResource,
    Object,
    Member,
    Array,
    String,
    LoneSurrogate,
    Number,
    True,
    False,
    Null,
}

fn value<'c, C: Cursor<'c>>(cursor: &mut C) -> Result<u128, Reject> {
    Ok(match cursor.peek()? {
        Token::Object => object(cursor)?,
        Token::Array => {
            cursor.begin_array()?;
            let mut array = Mixer::new(Kind::Array);
            while cursor.next_element()? {
                array = array.wide(value(cursor)?);
            }
            array.finish()
        }
        Token::String => text(cursor.string()?),
        Token::Number => Mixer::new(Kind::Number).bytes(cursor.number()?.as_bytes()).finish(),
        Token::True | Token::False => {
            let kind = if cursor.boolean()? { Kind::True } else { Kind::False };
            Mixer::new(kind).finish()
        }
        Token::Null => {
            cursor.null()?;
            Mixer::new(Kind::Null).finish()
        }
    })
}

fn object<'c, C: Cursor<'c>>(cursor: &mut C) -> Result<u128, Reject> {
    cursor.begin_object()?;
    let mut members = 0_u128;
    loop {
        let name = match cursor.next_member(&MemberGuess::NEVER)? {
            Member::Named(name) => text(name),
            Member::Guessed => 0,
            Member::End => break,
        };
        let value = value(cursor)?;
        members = members.wrapping_add(Mixer::new(Kind::Member).wide(name).wide(value).finish());
    }
    Ok(Mixer::new(Kind::Object).wide(members).finish())
}

fn text(text: Text<'_, '_>) -> u128 {
    match text {
        Text::Borrowed(text) | Text::Unescaped(text) => Mixer::new(Kind::String).bytes(text.as_bytes()).finish(),
        Text::LoneSurrogate { raw } => Mixer::new(Kind::LoneSurrogate).bytes(raw.as_bytes()).finish(),
    }
}

/// Two lanes of folded multiplication, as in wyhash: a word is a multiplication in each.
#[derive(Clone, Copy)]
struct Mixer(u64, u64);

/// Odd, with bits evenly spread: the fractions of the golden ratio, of π and of e.
const SEEDS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0x243f_6a88_85a3_08d3, 0xb7e1_5162_8aed_2a6b];

impl Mixer {
    fn new(kind: Kind) -> Mixer {
        Mixer(SEEDS[0], SEEDS[1]).word(kind as u64)
    }

    fn word(self, word: u64) -> Mixer {
        let fold = |lane: u64, by: u64| {
            let product = u128::from(lane ^ word) * u128::from(by ^ word.rotate_left(32));
            (product as u64) ^ ((product >> 64) as u64) ^ lane.rotate_left(23)
        };
        Mixer(fold(self.0, SEEDS[2]), fold(self.1, SEEDS[0]))
    }

    fn wide(self, wide: u128) -> Mixer {
        self.word(wide as u64).word((wide >> 64) as u64)
    }

    /// The length first, so that no text is another's beginning.
    fn bytes(self, bytes: &[u8]) -> Mixer {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut mixer = self.word(bytes.len() as u64);
        for word in words {
            mixer = mixer.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mixer.word(u64::from_le_bytes(last))
    }

    fn finish(self) -> u128 {
        let Mixer(one, other) = self.word(SEEDS[1]);
        u128::from(one) << 64 | u128::from(other)
    }
}

#[cfg(test)]
mod tests {
    use lakehaul_parse::{Chunk, DirectCursor, Scratch, TapeCursor, TapeScratch};

    use super::*;

    #[track_caller]
    fn of(number: u64, json: &str) -> u128 {
        let chunk = Chunk::copy_of(json.as_bytes());
        let line = chunk.lines().next().unwrap();
        let (mut direct, mut tape) = (Scratch::new(), TapeScratch::new());
        let direct = fingerprint(number, &mut DirectCursor::new(&line, 100, &mut direct).unwrap()).unwrap();
        let tape = fingerprint(number, &mut TapeCursor::new(&line, 100, &mut tape).unwrap()).unwrap();
        assert_eq!(direct, tape, "{json}");
        direct
    }

    #[test]
    fn equal_resources_have_one_fingerprint() {
        let same = [
            (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true , null ] , "a" : 1 } "#),
            (r#"{"a":"\u0041\/\n"}"#, r#"{"\u0061":"A/\u000a"}"#),
            (r#"{"a":{"x":{},"y":[]}}"#, r#"{"a":{"y":[],"x":{}}}"#),
        ];
        for (one, other) in same {
            assert_eq!(of(1, one), of(1, other), "{one}");
        }
    }

    #[test]
    fn different_resources_have_different_fingerprints() {
        let all = [
            r#"{}"#,
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":[[1],2]}"#,
            r#"{"a":[]}"#,
            r#"{"a":{}}"#,
            r#"{"a":null}"#,
            r#"{"a":false}"#,
            r#"{"a":true}"#,
            r#"{"a":""}"#,
            r#"{"a":"\u0000"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\udfff"}"#,
            r#"{"a":{"b":1},"c":{}}"#,
            r#"{"a":{},"c":{"b":1}}"#,
        ];
        let mut seen = std::collections::HashMap::new();
        for number in [1, 2] {
            for json in all {
                assert_eq!(seen.insert(of(number, json), json), None, "{json}");
            }
            assert_eq!(seen.insert(no_resource(number), ""), None);
        }
    }
}
