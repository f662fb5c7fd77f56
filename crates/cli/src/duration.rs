//! Durations as people type them: `30s`, `5min`, `2h 30min`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// A length of time; longer than nothing where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// How long.
    pub duration: Duration,
}

/// A number and a unit, several of them, or ISO 8601 (`PT5M`). Months and years have no fixed length and are refused.
impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        match Span::or_nothing(text)? {
            span if span.duration.is_zero() => Err("a duration of nothing leaves no time for anything".to_owned()),
            span => Ok(span),
        }
    }
}

impl Span {
    /// The same where nothing (`0s`) has a meaning too.
    pub fn or_nothing(text: &str) -> Result<Span, String> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("a duration has a unit: {text}s, {text}min or {text}h"));
        }
        let signed: SignedDuration =
            text.parse().map_err(|_| "a duration is a number and a unit, like 30s, 5min or 2h".to_owned())?;
        let duration = Duration::try_from(signed).map_err(|_| "a duration is not negative".to_owned())?;
        Ok(Span { duration })
    }

    /// The same where days are meant: each of 24 hours.
    pub fn or_days(text: &str) -> Result<Span, String> {
        const DAY: u64 = 24 * 60 * 60;
        let text = text.trim();
        let number = ["days", "day", "d"].into_iter().find_map(|unit| text.strip_suffix(unit));
        match number.and_then(|number| number.trim().parse::<u64>().ok()?.checked_mul(DAY)) {
            Some(seconds) => Ok(Span { duration: Duration::from_secs(seconds) }),
            None => Span::or_nothing(text).map_err(|why| format!("{why}; or days, like 7d")),
        }
    }

    /// The same where `never` has a meaning too.
    pub fn or_never(text: &str) -> Result<Span, String> {
        if text.trim() == "never" {
            return Ok(Span { duration: Duration::MAX });
        }
        Span::or_nothing(text)
    }
}

/// As it may be typed.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.duration) {
            _ if self.duration == Duration::MAX => f.write_str("never"),
            Ok(signed) => write!(f, "{signed:#}"),
            Err(_) => write!(f, "{}s", self.duration.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: u64, shown: &str) {
        let span: Span = text.parse().expect(text);
        assert_eq!(span.duration, Duration::from_millis(millis), "{text}");
        assert_eq!(span.to_string(), shown);
        assert_eq!(shown.parse(), Ok(span), "{shown}");
    }

    #[test]
    fn durations() {
        check("30s", 30_000, "30s");
        check("5min", 300_000, "5m");
        check("5 minutes", 300_000, "5m");
        check("2h 30m", 9_000_000, "2h 30m");
        check("250ms", 250, "250ms");
        check("PT5M", 300_000, "5m");
    }

    #[test]
    fn nothing_is_a_duration_where_it_has_a_meaning() {
        assert_eq!(Span::or_nothing("0s"), Ok(Span { duration: Duration::ZERO }));
        assert_eq!(Span::or_nothing("1min"), "60s".parse());
        assert!(Span::or_nothing("0").is_err() && Span::or_nothing("-1s").is_err());
        let never = Span::or_never("never").unwrap();
        assert_eq!((never.duration, never.to_string().as_str()), (Duration::MAX, "never"));
        assert!(Span::or_nothing("never").is_err() && Span::or_never("ever").is_err());
        assert_eq!(Span::or_never("0s"), Span::or_nothing("0s"));
    }

    #[test]
    fn days_are_twenty_four_hours() {
        let days = |days: u64| Ok(Span { duration: Duration::from_secs(days * 86_400) });
        assert_eq!(
            [Span::or_days("7d"), Span::or_days("1 day"), Span::or_days(" 30 days ")],
            [days(7), days(1), days(30)]
        );
        assert_eq!(Span::or_days("12h"), Span::or_nothing("12h"));
        for text in ["7", "d", "-7d", "1.5d", "99999999999999999d", "soon"] {
            assert!(Span::or_days(text).is_err_and(|why| why.ends_with("like 7d")), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_told_why() {
        for (text, part) in [
            ("30", "30s, 30min or 30h"),
            ("", "a number and a unit"),
            ("soon", "a number and a unit"),
            ("1 month", "a number and a unit"),
            ("-5s", "not negative"),
            ("0s", "nothing"),
        ] {
            let error = text.parse::<Span>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
