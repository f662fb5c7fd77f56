//! The instants that a FHIR date covers.
//!
//! In: the text of a `date`, `dateTime` or `instant` (FHIR R4 §2.24.0.1). Out: its first and last microsecond, in UTC.
//! A text without an offset is read as UTC. It never guesses: what is not such a text has no range.

/// First and last microsecond since 1970-01-01T00:00:00Z, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InstantRange {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 86_400 * SECOND;

/// The range of `text`, or nothing where it is no FHIR date: `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or a date with
/// `Thh:mm[:ss[.fraction]]` and an optional `Z` or `±hh:mm`. Beyond FHIR's grammar it takes a time without seconds and
/// one without an offset, both seen in payers' data. Second 60 is the instant after second 59, as POSIX time has it.
pub(crate) fn instant_range(text: &[u8]) -> Option<InstantRange> {
    usual(text).or_else(|| any(text))
}

/// What nearly all dates are: `YYYY-MM-DD`, alone or with `Thh:mm:ss` and `Z` or an offset. Eight characters are checked and
/// read at a time, without a branch for any of them. Nothing: the long way tells.
#[inline]
fn usual(text: &[u8]) -> Option<InstantRange> {
    let ([century, ..], [year, month, day]) = (pairs(text, 0, b"0000-00-")?, pairs(text, 2, b"00-00-00")?);
    let date = days(century * 100 + year, month, day)?;
    let offset = match text.len() {
        10 => return span(date, date + 1),
        20 if text[19] == b'Z' => 0,
        25 => {
            let (sign, pattern) = if text[19] == b'-' { (-1, b"00-00:00") } else { (1, b"00+00:00") };
            let [_, hours, minutes] = pairs(text, 17, pattern)?;
            if hours > 14 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes) * MINUTE
        }
        _ => return None,
    };
    let [hour, minute, second] = pairs(text, 11, b"00:00:00")?;
    if text[10] != b'T' || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let start = date * DAY + (hour * 60 + minute) * MINUTE + second * SECOND - offset;
    Some(InstantRange { start, end: start + SECOND - 1 })
}

/// The numbers of two digits that begin at the characters 0, 3 and 6 of the eight from `from` on, where these are like
/// `pattern`: a digit where it has `0`, else the same character.
#[inline(always)]
fn pairs(text: &[u8], from: usize, pattern: &[u8; 8]) -> Option<[i64; 3]> {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let eight = u64::from_le_bytes(*text.get(from..)?.first_chunk()?);
    // Digits become 0 to 9 and equal characters 0. What is added sets the high bit of any byte above that.
    let differences = eight ^ u64::from_le_bytes(*pattern);
    let room = u64::from_le_bytes(pattern.map(|byte| if byte == b'0' { 0x7F - 9 } else { 0x7F }));
    if (differences | differences.wrapping_add(room)) & HIGH != 0 {
        return None;
    }
    // Each byte: ten times itself and the next one; at most 99.
    let pairs = (differences * 10 + (differences >> 8)).to_le_bytes();
    Some([0, 3, 6].map(|at| i64::from(pairs[at])))
}

/// The range of any text that [`instant_range`] takes, character by character.
fn any(text: &[u8]) -> Option<InstantRange> {
    let year = digits(text, 0, 4)?;
    if text.len() == 4 {
        return span(days(year, 1, 1)?, days(year + 1, 1, 1)?);
    }
    let month = dashed(text, 4)?;
    if text.len() == 7 {
        let next = if month == 12 { days(year + 1, 1, 1)? } else { days(year, month + 1, 1)? };
        return span(days(year, month, 1)?, next);
    }
    let day = dashed(text, 7)?;
    let date = days(year, month, day)?;
    if text.len() == 10 {
        return span(date, date + 1);
    }
    if text[10] != b'T' || *text.get(13)? != b':' {
        return None;
    }
    let (hour, minute) = (digits(text, 11, 2)?, digits(text, 14, 2)?);
    if hour > 23 || minute > 59 {
        return None;
    }
    let mut start = date * DAY + (hour * 60 + minute) * MINUTE;
    let mut covered = MINUTE;
    let mut at = 16;
    if text.get(at) == Some(&b':') {
        let second = digits(text, 17, 2)?;
        if second > 60 {
            return None;
        }
        start += second * SECOND;
        covered = SECOND;
        at = 19;
        if text.get(at) == Some(&b'.') {
            let fraction = &text[at + 1..];
            let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length == 0 {
                return None;
            }
            for &digit in &fraction[..length.min(6)] {
                covered /= 10;
                start += i64::from(digit - b'0') * covered;
            }
            at += 1 + length;
        }
    }
    start -= offset(&text[at..])?;
    Some(InstantRange { start, end: start + covered - 1 })
}

/// The offset from UTC in microseconds.
fn offset(text: &[u8]) -> Option<i64> {
    match text {
        [] | [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (digits(text, 1, 2)?, digits(text, 4, 2)?);
            if hours > 14 || minutes > 59 {
                return None;
            }
            let offset = (hours * 60 + minutes) * MINUTE;
            Some(if *sign == b'-' { -offset } else { offset })
        }
        _ => None,
    }
}

fn span(first_day: i64, next_day: i64) -> Option<InstantRange> {
    Some(InstantRange { start: first_day * DAY, end: next_day * DAY - 1 })
}

fn digits(text: &[u8], from: usize, count: usize) -> Option<i64> {
    let mut value = 0;
    for &byte in text.get(from..from + count)? {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(value)
}

/// Two digits behind a dash at `from`.
fn dashed(text: &[u8], from: usize) -> Option<i64> {
    if *text.get(from)? != b'-' { None } else { digits(text, from + 1, 2) }
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar (H. Hinnant's `days_from_civil`), or nothing where
/// there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > length {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The range as jiff, an independent calendar, prints it.
    #[track_caller]
    fn check(text: &str, start: &str, end: &str) {
        let range = instant_range(text.as_bytes()).expect("a range");
        let shown = |micros| jiff::Timestamp::from_microsecond(micros).expect("in range").to_string();
        assert_eq!((shown(range.start).as_str(), shown(range.end).as_str()), (start, end), "{text}");
    }

    #[test]
    fn partial_dates_cover_their_whole_span() {
        check("2020", "2020-01-01T00:00:00Z", "2020-12-31T23:59:59.999999Z");
        check("2020-02", "2020-02-01T00:00:00Z", "2020-02-29T23:59:59.999999Z");
        check("1999-12", "1999-12-01T00:00:00Z", "1999-12-31T23:59:59.999999Z");
        check("1900-02-28", "1900-02-28T00:00:00Z", "1900-02-28T23:59:59.999999Z");
        check("0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T23:59:59.999999Z");
    }

    #[test]
    fn times_cover_their_last_digit() {
        check("2020-06-01T12:30", "2020-06-01T12:30:00Z", "2020-06-01T12:30:59.999999Z");
        check("2020-06-01T12:30:05Z", "2020-06-01T12:30:05Z", "2020-06-01T12:30:05.999999Z");
        check("2020-06-01T12:30:05.25+02:00", "2020-06-01T10:30:05.25Z", "2020-06-01T10:30:05.259999Z");
        check("2020-06-01T12:30:05.123456789-05:30", "2020-06-01T18:00:05.123456Z", "2020-06-01T18:00:05.123456Z");
        check("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:00.999999Z");
    }

    /// Every text that differs in one character, or is shorter, is read as the long way reads it.
    #[test]
    fn the_usual_way_is_the_long_way() {
        let all = [
            "2020-02-29",
            "1999-12-31",
            "2021-02-28T23:59:60Z",
            "2020-06-01T12:30:05+14:00",
            "0001-01-01T00:00:00-05:30",
        ];
        for text in all.map(str::as_bytes) {
            assert!(usual(text).is_some() && usual(text) == any(text));
            for at in 0..text.len() {
                assert!(usual(&text[..at]).is_none_or(|range| Some(range) == any(&text[..at])));
                for byte in 0..=255 {
                    let mut other = text.to_vec();
                    other[at] = byte;
                    let (shown, expected) = (String::from_utf8_lossy(&other).into_owned(), any(&other));
                    assert!(usual(&other).is_none_or(|range| Some(range) == expected), "{shown:?}");
                    assert_eq!(instant_range(&other), expected, "{shown:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_date_has_no_range() {
        for text in [
            "",
            "202",
            "20200",
            "2020-",
            "2020-1",
            "2020-13",
            "2020-00",
            "2020-02-30",
            "2021-02-29",
            "2020-01-01T",
            "2020-01-01T24:00:00Z",
            "2020-01-01T10",
            "2020-01-01T10:00:61Z",
            "2020-01-01T10:00:00.Z",
            "2020-01-01T10:00:00z",
            "2020-01-01T10:00:00+2:00",
            "2020-01-01T10:00:00+15:00",
            "2020-01-01 10:00:00",
            " 2020",
            "2020 ",
            "２０２０",
            "2020-01-01T10:00:00ZZ",
            "2020-01-011",
        ] {
            assert_eq!(instant_range(text.as_bytes()), None, "{text:?}");
        }
    }
}
