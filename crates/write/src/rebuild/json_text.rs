//! JSON text, appended to a buffer: strings with the fewest escapes that RFC 8259 allows, and integers.

/// Appends `text` as a JSON string. Only `"`, `\` and control characters are escaped.
#[inline]
pub(super) fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    push_escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends `number` in decimal.
pub(super) fn push_integer(number: i32, out: &mut Vec<u8>) {
    let mut digits = [0u8; 10];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Copies runs without anything to escape whole; such a run is most often the entire string.
fn push_escaped(mut bytes: &[u8], out: &mut Vec<u8>) {
    loop {
        let plain = plain_prefix_bytes(bytes);
        out.extend_from_slice(&bytes[..plain]);
        let Some(&special) = bytes.get(plain) else { return };
        match special {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', special]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ => {
                let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(special >> 4), hex(special & 15)]);
            }
        }
        bytes = &bytes[plain + 1..];
    }
}

/// How many bytes from the start need no escape.
///
/// Eight at a time as one word. A byte below 0x20 borrows into its top bit when 0x20 is subtracted; a byte equal to `"`
/// or `\` is zero after an exclusive or and borrows when 1 is subtracted; bytes of 0x80 and above are masked out. A
/// borrow may run on into higher bytes, so a word is only ever declared clean; a flagged one is looked at by byte.
#[inline]
fn plain_prefix_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    let mut plain = 0;
    for word in bytes.chunks_exact(8) {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        let control = word.wrapping_sub(ONES * 0x20);
        let quote = (word ^ QUOTES).wrapping_sub(ONES);
        let backslash = (word ^ BACKSLASHES).wrapping_sub(ONES);
        if (control | quote | backslash) & !word & TOPS != 0 {
            break;
        }
        plain += 8;
    }
    let is_special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    plain + bytes[plain..].iter().position(is_special).unwrap_or(bytes.len() - plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte below 0x80 and some beyond, at every place of two words, reads back as it was.
    #[test]
    fn strings_read_back() {
        for special in (0..0x80u8).map(char::from).chain(['é', '\u{7ff}', '漢', '🜚', '\u{2028}']) {
            for before in 0..18 {
                for after in [0, 1, 7, 9] {
                    let text = format!("{}{special}{}", "a".repeat(before), "é".repeat(after));
                    let mut out = Vec::new();
                    push_string(&text, &mut out);
                    assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
                    let escaped = u32::from(special) < 0x20 || special == '"' || special == '\\';
                    assert_eq!(out.len() > text.len() + 2, escaped, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn integers_are_decimal() {
        for number in [0, 1, -1, 9, 10, 99, 100, -12345, 1_000_000_000, i32::MAX, i32::MIN] {
            let mut out = Vec::new();
            push_integer(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
