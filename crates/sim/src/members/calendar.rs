//! FHIR's dates and times as text, from seconds since 1970 and a distance from UTC, without a time zone database.

use super::json::{push_number, push_two};

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// How far a local time is from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offset {
    /// Written as `Z`.
    Utc,
    /// Minutes, written as `-05:00`.
    Minutes(i16),
}

/// How much of a moment is told (FHIR R4, datatypes: `dateTime`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// `2023`
    Year,
    /// `2023-04`
    Month,
    /// `2023-04-05`
    Day,
    /// `2023-04-05T06:07:08-05:00`
    Second,
    /// `2023-04-05T06:07:08.120-05:00`
    Millisecond,
}

/// Appends the local date or time of a moment.
pub(crate) fn push_moment(out: &mut Vec<u8>, seconds: i64, milliseconds: u32, offset: Offset, precision: Precision) {
    let minutes = match offset {
        Offset::Utc => 0,
        Offset::Minutes(minutes) => i64::from(minutes),
    };
    let local = seconds + minutes * 60;
    let (year, month, day) = civil(local.div_euclid(DAY));
    push_four(out, year);
    if precision == Precision::Year {
        return;
    }
    out.push(b'-');
    push_two(out, month);
    if precision == Precision::Month {
        return;
    }
    out.push(b'-');
    push_two(out, day);
    if precision == Precision::Day {
        return;
    }
    out.push(b'T');
    push_time(out, local.rem_euclid(DAY));
    if precision == Precision::Millisecond {
        out.push(b'.');
        out.push(b'0' + (milliseconds / 100 % 10) as u8);
        push_two(out, milliseconds % 100);
    }
    match offset {
        Offset::Utc => out.push(b'Z'),
        Offset::Minutes(minutes) => {
            out.push(if minutes < 0 { b'-' } else { b'+' });
            let minutes = u32::from(minutes.unsigned_abs());
            push_two(out, minutes / 60);
            out.push(b':');
            push_two(out, minutes % 60);
        }
    }
}

/// Appends a time of the day, from seconds since midnight.
pub(crate) fn push_time(out: &mut Vec<u8>, of_day: i64) {
    let of_day = of_day as u32;
    push_two(out, of_day / 3600);
    out.push(b':');
    push_two(out, of_day / 60 % 60);
    out.push(b':');
    push_two(out, of_day % 60);
}

fn push_four(out: &mut Vec<u8>, year: i64) {
    if (1000..10_000).contains(&year) {
        push_two(out, (year / 100) as u32);
        push_two(out, (year % 100) as u32);
    } else {
        push_number(out, year.unsigned_abs());
    }
}

/// Year, month and day of a day counted from 1970-01-01. Counts in eras of 400 years that begin in March, so that the
/// leap day is a year's last.
fn civil(day: i64) -> (i64, u32, u32) {
    let from_march_0000 = day + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz};

    use super::*;

    #[track_caller]
    fn check(seconds: i64, offset: Offset, precision: Precision, expected: &str) {
        let mut out = Vec::new();
        push_moment(&mut out, seconds, 120, offset, precision);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_precision_and_offset() {
        let moment = 1_680_678_428;
        check(moment, Offset::Utc, Precision::Year, "2023");
        check(moment, Offset::Utc, Precision::Month, "2023-04");
        check(moment, Offset::Utc, Precision::Day, "2023-04-05");
        check(moment, Offset::Utc, Precision::Second, "2023-04-05T07:07:08Z");
        check(moment, Offset::Minutes(-480), Precision::Second, "2023-04-04T23:07:08-08:00");
        check(moment, Offset::Minutes(330), Precision::Millisecond, "2023-04-05T12:37:08.120+05:30");
        check(-1, Offset::Utc, Precision::Second, "1969-12-31T23:59:59Z");
    }

    #[test]
    fn every_day_of_two_centuries() {
        for day in -36_525..36_525 {
            let seconds = day * DAY;
            let expected = tz::Offset::UTC.to_datetime(Timestamp::from_second(seconds).unwrap()).date().to_string();
            check(seconds, Offset::Utc, Precision::Day, &expected);
        }
    }
}
