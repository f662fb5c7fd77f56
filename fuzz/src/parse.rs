//! Promise: both cursors accept what RFC 8259 and the depth limit allow, nothing else, and say what the text says.
//!
//! In: lines. Oracle: `serde_json`, asked in a way that keeps it to the letter of the RFC. What is known to differ:
//!
//! | | `serde_json` | cursors |
//! |---|---|---|
//! | half a surrogate pair in a string | refused where it is decoded | `Text::LoneSurrogate`, the text |
//! | the same in a name | refused | refused, but kept inside raw values |
//! | depth | without limit, as asked here | limited |
//! | numbers, duplicate names | as text and in order, as asked here | the same |

use std::fmt;

use lakehaul_parse::{
    Chunk, Cursor, DirectCursor, Line, Member, MemberGuess, Reason, Reject, Scratch, TapeCursor, TapeScratch, Text,
    Token, leading_resource_type, resource_type,
};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Levels that the checked cursors allow.
pub const MAX_DEPTH: u32 = 40;

/// What a walk over a line meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `{`
    Object,
    /// A member's name.
    Name(String),
    /// `}` or `]`
    End,
    /// `[`
    Array,
    /// A string, decoded.
    Text(String),
    /// A string that has no decoded form, as it stands.
    LoneSurrogate(String),
    /// A number, as it stands.
    Number(String),
    /// `true` or `false`
    Boolean(bool),
    /// `null`
    Null,
    /// A value that the walk did not enter, as it stands.
    Raw(String),
}

/// Checks every line of `data`, each between its neighbours as they stand.
pub fn check(data: &[u8]) {
    let chunk = Chunk::copy_of(data);
    let (mut scratch, mut tape_scratch) = (Scratch::new(), TapeScratch::new());
    for line in chunk.lines().filter(|line| !line.is_blank()) {
        let wanted = oracle(line.bytes());
        let hints = wanted.as_deref().unwrap_or_default();
        let direct = DirectCursor::new(&line, MAX_DEPTH, &mut scratch).and_then(|cursor| walk(cursor, hints));
        compare("direct", &line, &direct, &wanted);
        if cfg!(miri) {
            continue; // simd-json is not ours to check, and slow there
        }
        let tape = TapeCursor::new(&line, MAX_DEPTH, &mut tape_scratch).and_then(|cursor| walk(cursor, hints));
        compare("tape", &line, &tape, &wanted);
        if wanted.is_ok() {
            let direct = DirectCursor::new(&line, MAX_DEPTH, &mut scratch)
                .and_then(|mut cursor| resource_type(&mut cursor).map(str::to_owned));
            let tape = TapeCursor::new(&line, MAX_DEPTH, &mut tape_scratch)
                .and_then(|mut cursor| resource_type(&mut cursor).map(str::to_owned));
            assert_eq!(direct.as_ref().map_err(|e| e.reason), tape.as_ref().map_err(|e| e.reason), "type of {line:?}");
            if let Some(leading) = leading_resource_type(&line) {
                assert_eq!(direct.as_deref(), Ok(leading), "leading type of {line:?}");
            }
        }
    }
}

#[track_caller]
fn compare(
    engine: &str,
    line: &Line<'_>,
    found: &Result<Vec<Event>, Reject>,
    wanted: &Result<Vec<Event>, Option<Reason>>,
) {
    let text = line.bytes().escape_ascii();
    match (found, wanted) {
        (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{engine}: {text}"),
        (Err(reject), Err(reason)) => {
            assert!(reject.at as usize <= line.bytes().len(), "{engine}: {reject} is not on the line: {text}");
            if let Some(reason) = reason {
                assert_eq!(reject.reason, *reason, "{engine}: {text}");
            }
        }
        _ => panic!("{engine} says {found:?}, the oracle {wanted:?}: {text}"),
    }
}

/// The value that comes at event `i` is not entered.
fn skips(i: usize) -> bool {
    i % 11 == 5
}

/// Pulls everything out of a cursor; guesses right, nearly right and wrong by turns. `hints`: what will come.
pub fn walk<'c>(mut cursor: impl Cursor<'c>, hints: &[Event]) -> Result<Vec<Event>, Reject> {
    let mut events = Vec::new();
    value(&mut cursor, hints, &mut events)?;
    cursor.finish()?;
    Ok(events)
}

fn value<'c>(cursor: &mut impl Cursor<'c>, hints: &[Event], events: &mut Vec<Event>) -> Result<(), Reject> {
    let i = events.len();
    if skips(i) {
        events.push(Event::Raw(cursor.raw()?.to_owned()));
        return Ok(());
    }
    match cursor.peek()? {
        Token::Object => {
            cursor.begin_object()?;
            events.push(Event::Object);
            loop {
                let name = match hints.get(events.len()) {
                    Some(Event::Name(name)) => name,
                    _ => "a",
                };
                let guess = match events.len() % 4 {
                    0 | 1 => name.to_owned(),
                    2 => format!("{name}x"),
                    _ => "\n".to_owned(),
                };
                let name = match cursor.next_member(&MemberGuess::new(&guess))? {
                    Member::End => break,
                    Member::Guessed => guess,
                    Member::Named(Text::Borrowed(name) | Text::Unescaped(name)) => name.to_owned(),
                    Member::Named(Text::LoneSurrogate { .. }) => unreachable!("such a name is rejected"),
                };
                events.push(Event::Name(name));
                value(cursor, hints, events)?;
            }
            events.push(Event::End);
        }
        Token::Array => {
            cursor.begin_array()?;
            events.push(Event::Array);
            while cursor.next_element()? {
                value(cursor, hints, events)?;
            }
            events.push(Event::End);
        }
        Token::String => {
            let guess = match hints.get(i) {
                Some(Event::Text(text)) if !text.contains(|c: char| c < ' ' || c == '"' || c == '\\') => text,
                _ => "guess",
            };
            let guess = if i.is_multiple_of(2) { guess.to_owned() } else { format!("{guess}x") };
            if cursor.guess_string(guess.as_bytes()) {
                events.push(Event::Text(guess));
                return Ok(());
            }
            events.push(match cursor.string()? {
                Text::Borrowed(text) | Text::Unescaped(text) => Event::Text(text.to_owned()),
                Text::LoneSurrogate { raw } => Event::LoneSurrogate(raw.to_owned()),
            });
        }
        Token::Number => events.push(Event::Number(cursor.number()?.to_owned())),
        Token::True | Token::False => events.push(Event::Boolean(cursor.boolean()?)),
        Token::Null => {
            cursor.null()?;
            events.push(Event::Null);
        }
    }
    Ok(())
}

/// What a walk must meet; or why it must fail, where the oracle can tell.
pub fn oracle(line: &[u8]) -> Result<Vec<Event>, Option<Reason>> {
    let text = std::str::from_utf8(line).map_err(|_| Some(Reason::InvalidUtf8))?;
    // Skips values without decoding them, so it says what the grammar allows, at any depth.
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| None)?;
    let mut events = Vec::new();
    expect(text.trim_matches([' ', '\t', '\r']), MAX_DEPTH as usize, &mut events)?;
    Ok(events)
}

fn expect(text: &str, levels: usize, events: &mut Vec<Event>) -> Result<(), Option<Reason>> {
    let raw = |text: &RawValue| text.get().to_owned();
    if skips(events.len()) {
        events.push(Event::Raw(text.to_owned()));
        return if depth(text) <= levels { Ok(()) } else { Err(Some(Reason::TooDeep)) };
    }
    let event = match text.as_bytes()[0] {
        b'{' | b'[' if levels == 0 => return Err(Some(Reason::TooDeep)),
        b'{' => {
            events.push(Event::Object);
            // The grammar is right, so this can only fail on a name's surrogates; another reject may come before that.
            let members: Members = serde_json::from_str(text).map_err(|_| None)?;
            for (name, member) in members.0 {
                events.push(Event::Name(name));
                expect(&raw(&member), levels - 1, events)?;
            }
            Event::End
        }
        b'[' => {
            events.push(Event::Array);
            let elements: Vec<Box<RawValue>> = serde_json::from_str(text).map_err(|_| None)?;
            for element in elements {
                expect(&raw(&element), levels - 1, events)?;
            }
            Event::End
        }
        b'"' => serde_json::from_str(text).map_or_else(|_| Event::LoneSurrogate(text.to_owned()), Event::Text),
        b't' => Event::Boolean(true),
        b'f' => Event::Boolean(false),
        b'n' => Event::Null,
        _ => Event::Number(text.to_owned()),
    };
    events.push(event);
    Ok(())
}

/// Levels of containers in legal JSON.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest, mut quoted, mut escaped) = (0, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => open += 1,
            b'}' | b']' if !quoted => open -= 1,
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// An object's members, all of them and in order.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
