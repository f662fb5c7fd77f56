//! File paths as a log writes them: relative to the table's folder, percent-encoded.

use std::fmt::Write as _;

/// Bytes that may stand in a log's path as they are.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~/=".contains(&byte)
}

/// `path` as a relative reference.
pub(crate) fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // A String takes all that is written.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// What [`encoded`] was given. A `%` without two digits stands for itself; None: no UTF-8.
pub(crate) fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        let escaped = match behind {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A log's path as one relative to the lake. A whole URL (a file that belongs to another table) stays what it is.
pub(crate) fn in_lake(folder: &str, logged: &str) -> Option<String> {
    let path = decoded(logged)?;
    let is_elsewhere = path.contains("://") || path.starts_with('/') || folder.is_empty();
    Some(if is_elsewhere { path } else { format!("{folder}/{path}") })
}

#[cfg(test)]
mod tests {
    use super::{decoded, encoded, in_lake};

    #[test]
    fn what_is_encoded_comes_back() {
        for path in
            ["part-1.parquet", "a b/100%.parquet", "a%20b", "ümlaut#1?x=2:3+4", "k=v/part.parquet", "%", "%4", "%zz"]
        {
            assert_eq!(decoded(&encoded(path)).as_deref(), Some(path));
        }
        assert_eq!(encoded("k=v/a b%.parquet"), "k=v/a%20b%25.parquet");
        assert_eq!(decoded("100%").as_deref(), Some("100%"));
        assert_eq!(decoded("%ff"), None);
    }

    #[test]
    fn files_of_other_tables_keep_their_url() {
        assert_eq!(in_lake("t", "a%20b").as_deref(), Some("t/a b"));
        assert_eq!(in_lake("t", "s3://b/x").as_deref(), Some("s3://b/x"));
    }
}
