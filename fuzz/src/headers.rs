//! Promise: whatever the headers of an answer, they are read or ignored; waits are capped, a place to ask is one that may be
//! asked, a file's version comes back from where it is kept, and no URL shows what may be secret in it.
//!
//! In: header lines; what no header can hold is left out. Every value is also taken for a URL. Oracle: `url`'s own notion of
//! an origin and of a relative reference, and a plain reading of numbers.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lakehaul_fetch::{FileVersion, KickOff, Kind, Origin, PollingLocation, SecretUrl, Status};
use url::Url;

use crate::payer;

/// More lines than that say nothing new, and each is compared with each.
const MAX_LINES: usize = 40;

/// Reads `data` as the headers of each answer that they may belong to.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if text.contains(payer::MARKER) {
        return; // A fuzzer that has found it.
    }
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n').take(MAX_LINES) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let values = || headers.values().filter_map(|value| value.to_str().ok());
    let locations = headers.iter().filter(|(name, _)| name.as_str().ends_with("location"));
    let secrets = payer::secrets(locations.filter_map(|(_, value)| value.to_str().ok()), &text);
    for kind in payer::KINDS {
        status(kind, &headers, &secrets);
        kick_off(kind, &headers, &secrets);
    }
    [200, 206, 416, 503].into_iter().for_each(|code| file_version(code, &headers));
    let base = payer::url(payer::HOME);
    urls(&values().filter_map(|value| base.join(value).ok()).collect::<Vec<_>>());
}

fn code(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}

fn status(kind: Kind, headers: &HeaderMap, secrets: &[String]) {
    let read = |status| payer::client(kind).read_status(&payer::location(kind), code(status), headers, b"");
    for refused in [200, 401, 404, 429, 500, 503] {
        if let Err(error) = read(refused) {
            payer::check_error(&error, secrets);
        }
    }
    let Ok(Status::Running(running)) = read(202) else { panic!("accepted is running") };
    if let Some(progress) = &running.progress {
        payer::check_text(progress);
        payer::check_hidden(progress, secrets);
        assert!((1..=300).contains(&progress.chars().count()));
    }
    let (own, longest) = (Duration::from_secs(1)..=Duration::from_millis(1250), payer::MAX_WAIT);
    assert!((Duration::from_millis(200)..=longest).contains(&running.next_in), "{:?}", running.next_in);
    let asked = headers.get("retry-after").and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = asked.trim_start_matches('0');
        let seconds = if digits.len() > 9 { u64::MAX } else { digits.parse().unwrap_or(0) };
        assert_eq!(running.next_in, Duration::from_secs(seconds).clamp(Duration::from_millis(200), longest));
    } else if !asked.contains("GMT") && asked.split_whitespace().count() != 5 {
        // No seconds and no date in any of its three forms.
        assert!(own.contains(&running.next_in), "{asked:?}: {:?}", running.next_in);
    }
}

fn kick_off(kind: Kind, headers: &HeaderMap, secrets: &[String]) {
    let (client, export) = (payer::client(kind), payer::export());
    let own = client.kick_off_url(&export).expect("parameters that fit");
    for status in [200, 201, 202, 303, 429, 503] {
        match client.read_kick_off(&export, code(status), headers, b"") {
            Err(error) => payer::check_error(&error, secrets),
            Ok(KickOff::Done(_)) => panic!("done without a body"),
            Ok(KickOff::Accepted(location)) => {
                let asked = payer::url(&location.to_stored());
                payer::check_admitted(&asked.clone().into());
                payer::check_hidden(&format!("{location} {location:?}"), secrets);
                assert!(!payer::begins_an_export(&asked, own.expose()), "asked there, it begins another one");
                let written = ["content-location", "location"].into_iter().filter_map(|name| headers.get(name));
                let mut resolved = written.filter_map(|value| own.expose().join(value.to_str().ok()?.trim()).ok());
                // A gateway's own are moved home, path and query as they are.
                let same = |url: Url| url == asked || (url.path(), url.query()) == (asked.path(), asked.query());
                assert!(resolved.any(same), "invented: {location}");
            }
        }
    }
}

fn file_version(status: u16, headers: &HeaderMap) {
    let version = FileVersion::of(code(status), headers);
    let stored = serde_json::to_string(&version).expect("any version can be kept");
    assert_eq!(serde_json::from_str::<FileVersion>(&stored).expect("what was kept can be read"), version);
    let total = match status {
        200 if headers.contains_key("transfer-encoding") => None,
        200 => headers.get("content-length").and_then(|value| digits(value.to_str().ok()?.trim())),
        206 | 416 => headers.get("content-range").and_then(total),
        _ => None,
    };
    assert_eq!(version.total_bytes(), total, "{headers:?}");
}

/// A number and nothing else.
fn digits(text: &str) -> Option<u64> {
    let most = u128::from(u64::MAX) + 1;
    let value = text
        .bytes()
        .try_fold(0, |sum: u128, byte| byte.is_ascii_digit().then(|| (sum * 10 + u128::from(byte - b'0')).min(most)))?;
    if text.is_empty() { None } else { u64::try_from(value).ok() }
}

/// The total of `bytes 5-9/20`, if that can be.
fn total(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    let slash = text.rfind('/')?;
    let (left, total) = (&text[..slash], &text[slash + 1..]);
    let space = left.find(' ')?;
    let (unit, range) = (&left[..space], left[space..].trim_start());
    let total = digits(total)?;
    let possible = range == "*"
        || range.split_once('-').is_some_and(|(start, end)| match (digits(start), digits(end)) {
            (Some(start), Some(end)) => start <= end && end < total,
            _ => false,
        });
    (unit.eq_ignore_ascii_case("bytes") && possible).then_some(total)
}

fn urls(urls: &[Url]) {
    for url in urls {
        payer::check_shown(&SecretUrl::new(url.clone()));
        let origin = Origin::of(url);
        assert_eq!(origin.is_some(), matches!(url.scheme(), "https" | "http"), "{url}");
        let stored = PollingLocation::from_stored(url.as_str());
        assert_eq!(stored.is_ok(), origin.is_some(), "{url}");
        if let Ok(location) = stored {
            assert_eq!(location.to_stored(), url.as_str());
        }
        let Some(origin) = origin else { continue };
        assert_eq!(origin.to_string(), url.origin().ascii_serialization());
        assert_eq!(origin.to_string().parse::<Origin>().ok(), Some(origin.clone()), "{url}");
        // To `url`, a blob's origin is that of the URL inside.
        for other in urls.iter().filter(|other| other.scheme() != "blob") {
            let same = Origin::of(other).is_some_and(|other| other == origin);
            assert_eq!(same, url.origin() == other.origin(), "{url} {other}");
        }
    }
}
