//! What is tried again, when, and how often.
//!
//! In go a status, a `Retry-After` and what the user is patient with; out comes a wait. Nothing here waits.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

/// How long the user waits for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often one request is sent again before its failure is final. Progress, such as bytes of an output file, counts
    /// as a new beginning.
    pub retries: u32,
    /// The longest single wait, whatever the server asks for.
    pub max_wait: Duration,
    /// How long a server may be silent while it is waited for.
    pub idle_timeout: Duration,
}

impl Default for Patience {
    /// 8 retries make up to two minutes of backoff: a gateway's restart, not an outage.
    fn default() -> Patience {
        Patience { retries: 8, max_wait: Duration::from_secs(5 * 60), idle_timeout: Duration::from_secs(60) }
    }
}

/// The first backoff; each further one is twice as long. Half a second is longer than a load balancer takes to notice that
/// a server is gone.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// The waits of one request that goes wrong, each up to twice as long as the one before.
#[derive(Debug)]
pub(crate) struct Backoff {
    patience: Patience,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(patience: Patience) -> Backoff {
        Backoff { patience, failures: 0 }
    }

    /// How long to wait before the next attempt, or `None` when the retries are used.
    ///
    /// Half of the backoff is fixed and half random, so that requests that failed together do not come back together. What
    /// the server asked for is a lower bound, with up to a tenth on top, as all were told the same;
    /// [`Patience::max_wait`] is the upper one.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>, rng: &mut fastrand::Rng) -> Option<Duration> {
        if self.failures >= self.patience.retries {
            return None;
        }
        let full = FIRST_BACKOFF.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures += 1;
        let half = full.min(self.patience.max_wait) / 2;
        let random = half.mul_f64(rng.f64());
        let wait = match retry_after {
            Some(asked) => (asked + random.min(asked / 10)).max(half + random),
            None => half + random,
        };
        Some(wait.min(self.patience.max_wait))
    }

    /// After progress: what fails next is a new failure.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many waits it has given since the last progress.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// How many it gives at most.
    pub(crate) fn retries(&self) -> u32 {
        self.patience.retries
    }
}

/// How long the server asks to wait (RFC 9110, section 10.2.3), at most `cap`.
///
/// `None` for what is neither seconds nor an HTTP date, and for a date that has passed. A time of day in place of seconds
/// (1795319406) is a long wait, and so capped.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp, cap: Duration) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are many seconds.
        return Some(text.parse().map_or(cap, Duration::from_secs).min(cap));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::from(now)).ok()?.min(cap))
}

/// Statuses that say "not now": RFC 9110, section 15, and RFC 8470, section 5.2 (425).
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: Duration = Duration::from_secs(300);

    #[test]
    fn what_a_server_asks_for() {
        let now: Timestamp = "2026-03-01T12:00:00.5Z".parse().unwrap();
        #[track_caller]
        fn check(now: Timestamp, text: &str, expected_millis: Option<u64>) {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now, CAP), expected_millis.map(Duration::from_millis), "{text}");
        }
        check(now, "0", Some(0));
        check(now, "7", Some(7_000));
        check(now, " 120 ", Some(120_000));
        check(now, "300", Some(300_000));
        check(now, "301", Some(300_000));
        check(now, "1795319406", Some(300_000));
        check(now, "99999999999999999999999", Some(300_000));
        check(now, "-5", None);
        check(now, "+5", None);
        check(now, "1.5", None);
        check(now, "soon", None);
        check(now, "", None);
        check(now, "Sun, 01 Mar 2026 12:00:10 GMT", Some(9_500));
        check(now, "Sunday, 01-Mar-26 12:00:10 GMT", Some(9_500));
        check(now, "Sun Mar  1 12:00:10 2026", Some(9_500));
        check(now, "Sun, 01 Mar 2026 12:00:00 GMT", None);
        check(now, "Thu, 01 Jan 1970 00:00:00 GMT", None);
        check(now, "Fri, 31 Dec 9999 23:59:59 GMT", Some(300_000));
        check(now, "Sun, 99 Foo 2026 12:00:10 GMT", None);
        assert_eq!(retry_after(&HeaderMap::new(), now, CAP), None);
    }

    #[test]
    fn statuses_that_say_not_now() {
        let transient: Vec<u16> =
            (100..1000).filter(|&status| is_transient(StatusCode::from_u16(status).unwrap())).collect();
        assert_eq!(transient, [408, 425, 429, 500, 502, 503, 504]);
    }

    fn waits(patience: Patience, asked: Option<Duration>, seed: u64) -> Vec<Duration> {
        let (mut backoff, mut rng) = (Backoff::new(patience), fastrand::Rng::with_seed(seed));
        std::iter::from_fn(|| backoff.next(asked, &mut rng)).collect()
    }

    #[test]
    fn waits_double_within_bounds() {
        let patience = Patience { retries: 12, max_wait: Duration::from_secs(60), ..Patience::default() };
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let waits = waits(patience, None, seed);
            assert_eq!(waits.len(), 12);
            for (failure, &wait) in waits.iter().enumerate() {
                let full = Duration::from_millis(500 << failure).min(patience.max_wait);
                assert!(full / 2 <= wait && wait <= full, "seed {seed}, failure {failure}: {wait:?}");
            }
            seen.insert(waits);
        }
        assert_eq!(seen.len(), 200, "each seed has waits of its own");
        assert_eq!(waits(patience, None, 7), waits(patience, None, 7));
    }

    #[test]
    fn never_earlier_than_asked_nor_later_than_allowed() {
        let patience = Patience { retries: 40, max_wait: Duration::from_secs(60), ..Patience::default() };
        for seed in 0..50 {
            for asked in [0, 1, 10, 59, 60] {
                let asked = Duration::from_secs(asked);
                for wait in waits(patience, Some(asked), seed) {
                    assert!(asked <= wait && wait <= patience.max_wait, "{asked:?}: {wait:?}");
                }
            }
            assert!(waits(patience, Some(Duration::ZERO), seed)[0] >= FIRST_BACKOFF / 2);
            assert!(waits(patience, Some(Duration::from_secs(20)), seed)[0] <= Duration::from_secs(22));
        }
    }

    #[test]
    fn progress_is_a_new_beginning() {
        let (mut rng, patience) = (fastrand::Rng::with_seed(1), Patience { retries: 2, ..Patience::default() });
        let mut backoff = Backoff::new(patience);
        assert!(backoff.next(None, &mut rng).is_some() && backoff.next(None, &mut rng).is_some());
        assert_eq!((backoff.failures(), backoff.retries()), (2, 2));
        assert_eq!(backoff.next(None, &mut rng), None);
        backoff.reset();
        assert!(backoff.next(None, &mut rng).unwrap() <= FIRST_BACKOFF);
        assert_eq!(Backoff::new(Patience { retries: 0, ..patience }).next(None, &mut rng), None);
    }
}
