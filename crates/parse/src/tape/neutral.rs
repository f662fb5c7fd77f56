//! What simd-json cannot read, made harmless in the copy that it gets.
//!
//! In: the copy of a line, perhaps no JSON. Out: the copy, as long as before, and as legal. Never: the value of anything
//! changed that the tape is asked for; [`TapeCursor`](super::TapeCursor) takes these from the line itself.
//!
//! | legal, and simd-json | so the copy has instead |
//! |---|---|
//! | refuses integers beyond 64 bits, and numbers beyond the range of doubles | for every number that RFC 8259 allows, `0` and spaces |
//! | refuses halves of surrogate pairs | `\u0000` for each half without its partner |
//!
//! A number that RFC 8259 does not allow is refused here.

use crate::{Reason, Reject};

/// Replaces what simd-json cannot read.
pub(super) fn make_neutral(text: &mut [u8]) -> Result<(), Reject> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = string(text, at, |half| half.copy_from_slice(br"\u0000")),
            b'-' | b'0'..=b'9' => {
                let part = |b: &u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let len = text[at..].iter().position(|b| !part(b)).unwrap_or(text.len() - at);
                let number = &mut text[at..at + len];
                if !is_number(number) {
                    return Err(Reject { reason: Reason::BadNumber, at: at as u32 });
                }
                number.fill(b' ');
                number[0] = b'0';
                at += len;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

/// Whether half a surrogate pair stands in `string`, which has its quotes.
pub(super) fn has_lone_surrogate(string: &str) -> bool {
    let mut found = false;
    self::string(&mut string.as_bytes().to_vec(), 0, |_| found = true);
    found
}

/// Calls `lone` with the six bytes of each half without its partner in the string at `start`, and returns where it ends.
fn string(text: &mut [u8], start: usize, mut lone: impl FnMut(&mut [u8])) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match (text[at], unit(text, at)) {
            (b'"', _) => return at + 1,
            (b'\\', Some(0xD800..0xDC00)) if matches!(unit(text, at + 6), Some(0xDC00..0xE000)) => at += 12,
            (b'\\', Some(0xD800..0xE000)) => {
                lone(&mut text[at..at + 6]);
                at += 6;
            }
            (b'\\', _) => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// The UTF-16 unit of the `\uXXXX` at `at`, if there is one.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix(br"\u")?;
    digits.iter().try_fold(0, |unit, &b| Some(unit << 4 | char::from(b).to_digit(16)?))
}

/// RFC 8259, section 6, taken apart from the end.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut rest = text;
    if let Some(e) = rest.iter().position(|b| matches!(b, b'e' | b'E')) {
        let exponent = &rest[e + 1..];
        if !digits(exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent)) {
            return false;
        }
        rest = &rest[..e];
    }
    if let Some(point) = rest.iter().position(|&b| b == b'.') {
        if !digits(&rest[point + 1..]) {
            return false;
        }
        rest = &rest[..point];
    }
    let whole = rest.strip_prefix(b"-").unwrap_or(rest);
    digits(whole) && (whole == b"0" || whole[0] != b'0')
}

#[cfg(test)]
mod tests {
    use super::make_neutral;

    #[track_caller]
    fn check(text: &str, neutral: Option<&str>) {
        let mut copy = text.as_bytes().to_vec();
        let result = make_neutral(&mut copy).map(|()| String::from_utf8(copy).expect("as before"));
        assert_eq!(result.ok().as_deref(), neutral, "{text}");
    }

    #[test]
    fn numbers_and_halves() {
        check("[-12.50e+3,1]", Some("[0        ,0]"));
        check(r#"{"1":"-"}"#, Some(r#"{"1":"-"}"#));
        check(r#"["\"1",01]"#, None);
        check("[1.]", None);
        check(r#"["\ud800","\uD83D\uDE00","\udc00\ud800x"]"#, Some(r#"["\u0000","\uD83D\uDE00","\u0000\u0000x"]"#));
        check(r#"["\\ud800"#, Some(r#"["\\ud800"#));
    }
}
