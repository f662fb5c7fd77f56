//! Strings that hold escapes: RFC 8259, section 7.
//!
//! In: a scanner behind a string's plain start. Out: the string's content, in the scratch buffer. Never: the fast path,
//! which is in the cursor.
//!
//! `\uD800` to `\uDFFF` are halves of surrogate pairs. A half without its partner is legal JSON and no Unicode text: the
//! string is kept as it stands then, and only its syntax is checked.

use super::scanner::{Mark, Scanner};
use crate::{Reason, Reject, Text};

/// The rest of a string whose opening quote is at `opened` and whose content starts with `head`, which ends at the
/// scanner.
#[cold]
#[inline(never)]
pub(super) fn unescape<'c, 't>(
    scan: &mut Scanner<'c>,
    opened: Mark<'c>,
    head: &str,
    content: &'t mut String,
) -> Result<Text<'c, 't>, Reject> {
    content.clear();
    content.push_str(head);
    let mut lone = false;
    while !scan.eat::<b'"'>() {
        if !scan.eat::<b'\\'>() {
            return Err(scan.reject(Reason::ControlCharacter));
        }
        match escape(scan)? {
            Some(char) => content.push(char),
            None => lone = true,
        }
        content.push_str(scan.plain());
    }
    Ok(if lone { Text::LoneSurrogate { raw: scan.since(opened) } } else { Text::Unescaped(content) })
}

/// Moves over a string's content and its closing quote, checked but not decoded.
#[inline]
pub(super) fn skip_string(scan: &mut Scanner<'_>) -> Result<(), Reject> {
    loop {
        scan.plain();
        if scan.eat::<b'"'>() {
            return Ok(());
        }
        if !scan.eat::<b'\\'>() {
            return Err(scan.reject(Reason::ControlCharacter));
        }
        escape(scan)?;
    }
}

/// Moves over an escape, from behind its backslash; over both halves of a surrogate pair. `None`: a half without its
/// partner.
fn escape(scan: &mut Scanner<'_>) -> Result<Option<char>, Reject> {
    let char = match scan.byte() {
        c @ (b'"' | b'\\' | b'/') => c.into(),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(scan),
        _ => return Err(scan.reject(Reason::BadEscape)),
    };
    scan.step();
    Ok(Some(char))
}

fn unicode_escape(scan: &mut Scanner<'_>) -> Result<Option<char>, Reject> {
    scan.step();
    let unit = four_digits(scan)?;
    if !(0xD800..0xDC00).contains(&unit) {
        // A low half that comes first is no character either.
        return Ok(char::from_u32(unit));
    }
    if scan.eat_word(b"\\u") {
        let low = four_digits(scan)?;
        if (0xDC00..0xE000).contains(&low) {
            return Ok(char::from_u32(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)));
        }
    }
    // Whatever the escape behind it was: one half without its partner decides for the whole string.
    Ok(None)
}

fn four_digits(scan: &mut Scanner<'_>) -> Result<u32, Reject> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = char::from(scan.byte()).to_digit(16).ok_or_else(|| scan.reject(Reason::BadEscape))?;
        unit = unit << 4 | digit;
        scan.step();
    }
    Ok(unit)
}
