//! Figures as people read them: `38,473`, `146.1 MB`, `2 min 5 s`. The same figure always has the same text.

/// A count with thousands separators.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what is counted: `1 file`, `12 files`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// Bytes in decimal units, one decimal place: `812 B`, `38.2 kB`, `1,204.0 GB`.
pub fn bytes(n: u64) -> String {
    let (mut value, mut unit) = (n as f64, "B");
    for larger in ["kB", "MB", "GB"] {
        // What would round to 1000.0 is said in the next unit.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" { format!("{n} B") } else { format!("{} {unit}", one_decimal(value)) }
}

/// Bytes a second: `480.2 MB/s`. None if no time has passed.
pub fn rate(bytes_done: u64, seconds: f64) -> Option<String> {
    (seconds > 0.0).then(|| format!("{}/s", bytes((bytes_done as f64 / seconds) as u64)))
}

/// Megabytes a second, the number alone; a dash if no time has passed.
pub fn megabytes_per_second(bytes_done: u64, seconds: f64) -> String {
    if seconds > 0.0 { one_decimal(bytes_done as f64 / seconds / 1e6) } else { "–".to_owned() }
}

/// A time in words: `0.6 s`, `35 s`, `2 min 5 s`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{} s", one_decimal(seconds)),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", count(whole / 3600), whole % 3600 / 60),
    }
}

/// Seconds for a column: `0.62`, `1,234.50`.
pub fn seconds(n: f64) -> String {
    let hundredths = (n * 100.0).round() as u64;
    format!("{}.{:02}", count(hundredths / 100), hundredths % 100)
}

fn one_decimal(value: f64) -> String {
    let tenths = (value * 10.0).round() as u64;
    format!("{}.{}", count(tenths / 10), tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (38_473, "38,473"), (1_000_000, "1,000,000")] {
            assert_eq!(count(n), text);
        }
        assert_eq!(counted(1, "file", "files"), "1 file");
        assert_eq!(counted(0, "file", "files"), "0 files");
    }

    #[test]
    fn byte_counts() {
        for (n, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (146_123_456, "146.1 MB"),
            (1_204_000_000_000, "1,204.0 GB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn times_and_rates() {
        for (n, text) in
            [(0.0, "0.0 s"), (0.62, "0.6 s"), (35.4, "35 s"), (125.0, "2 min 5 s"), (12_000.0, "3 h 20 min")]
        {
            assert_eq!(duration(n), text);
        }
        assert_eq!(seconds(0.617), "0.62");
        assert_eq!(seconds(1234.5), "1,234.50");
        assert_eq!(rate(960_400_000, 2.0).as_deref(), Some("480.2 MB/s"));
        assert_eq!(rate(1, 0.0), None);
        assert_eq!(megabytes_per_second(146_100_000, 0.5), "292.2");
        assert_eq!(megabytes_per_second(1, 0.0), "–");
    }
}
