//! Sizes as people type them: `64MiB`, `1.5GB`, `1048576`.

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// How many.
    pub bytes: u64,
}

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeError {
    why: String,
}

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1000_u64.pow(2)),
    ("GB", 1000_u64.pow(3)),
    ("TB", 1000_u64.pow(4)),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A whole or decimal number and a unit, with or without a blank between; no unit means bytes. Upper and lower case are
/// the same. `M` alone is refused: it means 1000² to some and 1024² to others.
impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Size, SizeError> {
        let text = text.trim();
        let fault = |why: &str| SizeError { why: why.to_owned() };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..end], text[end..].trim_start());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || number.ends_with('.') || fraction.contains('.') {
            return Err(fault("a size is a number and a unit, like 64MiB, 1.5GB or 1048576"));
        }
        let scale = match UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some(&(_, scale)) => scale,
            None if unit.is_empty() => 1,
            None if matches!(unit, "K" | "k" | "M" | "m" | "G" | "g" | "T" | "t") => {
                let letter = unit.to_ascii_uppercase();
                return Err(SizeError {
                    why: format!("{unit} can mean two things: say {letter}B (1000s) or {letter}iB (1024s)"),
                });
            }
            None => return Err(fault("the unit is one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB")),
        };
        let too_much = || fault("that is more than 64 bits of bytes");
        let whole: u64 = whole.parse().map_err(|_| too_much())?;
        // 18 digits times the largest unit fit into 128 bits with room to spare; further ones cannot make a byte.
        let (mut digits, mut ten_to) = (0, 1);
        for digit in fraction.bytes().take(18) {
            digits = digits * 10 + u128::from(digit - b'0');
            ten_to *= 10;
        }
        let part = u128::from(scale) * digits / ten_to;
        let bytes = u128::from(whole) * u128::from(scale) + part;
        Ok(Size { bytes: u64::try_from(bytes).map_err(|_| too_much())? })
    }
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for SizeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, bytes: u64) {
        assert_eq!(text.parse(), Ok(Size { bytes }), "{text}");
    }

    #[test]
    fn sizes() {
        check("0", 0);
        check("1048576", 1 << 20);
        check("64MiB", 64 << 20);
        check("64 mib", 64 << 20);
        check("1GB", 1_000_000_000);
        check("1.5GiB", 3 << 29);
        check("0.25kB", 250);
        check("1.9999B", 1);
        check("18446744073709551615", u64::MAX);
    }

    #[test]
    fn what_is_no_size_is_told_why() {
        for (text, part) in [
            ("", "number and a unit"),
            ("MiB", "number and a unit"),
            ("-1", "number and a unit"),
            ("1.", "number and a unit"),
            ("1.2.3", "number and a unit"),
            ("1G", "say GB (1000s) or GiB (1024s)"),
            ("1 gigabyte", "the unit is one of"),
            ("18446744073709551616", "64 bits"),
            ("99999999TiB", "64 bits"),
        ] {
            let error = text.parse::<Size>().expect_err(text);
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }
}
