//! Which values a column can hold: what is outside its column's domain goes to `__extra`, so each domain maps one to one.

use std::fmt::Write;

use lakehaul_parse::Token;

use super::shape::Kind;

/// Whether a value that begins with `token` can be in a column of `kind`.
#[inline(always)]
pub(super) fn fits(kind: Kind, token: Token) -> bool {
    match kind {
        Kind::Text | Kind::LongText | Kind::Base64 => token == Token::String,
        Kind::Decimal | Kind::Integer => token == Token::Number,
        Kind::Boolean => matches!(token, Token::True | Token::False),
        Kind::Resource | Kind::Object(_) => token == Token::Object,
        Kind::ResourceType => false,
    }
}

/// The INT32 whose only spelling is `text`.
#[inline]
pub(super) fn integer(text: &str) -> Option<i32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0";
    if canonical { text.parse().ok() } else { None }
}

/// The bytes whose only base64 spelling (RFC 4648 section 4) is `text`.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = base64_simd::STANDARD.decode_to_vec(text).ok()?;
    (base64_simd::STANDARD.encode_to_string(&bytes) == text).then_some(bytes)
}

/// A JSON string with `text` as its content.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => {
                write!(quoted, "\\u{:04x}", control as u32).expect("a String takes all that is written");
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for (text, value) in
            [("0", Some(0)), ("-7", Some(-7)), ("2147483647", Some(i32::MAX)), ("-2147483648", Some(i32::MIN))]
        {
            assert_eq!(integer(text), value, "{text}");
        }
        for text in ["-0", "1.0", "1e3", "2147483648", "-2147483649", "99999999999999999999"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(decode("AQID"), Some(vec![1, 2, 3]));
        assert_eq!(decode(""), Some(Vec::new()));
        for text in ["AQI", "AQJ=", "AQ ID", "AQID\n", "A-_D", "=", "AB=="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn quoted_text_is_json() {
        assert_eq!(quote("a\"b\\c\u{0}\né"), "\"a\\\"b\\\\c\\u0000\\u000aé\"");
    }
}
