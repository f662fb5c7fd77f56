//! What an answer to a kick-off says: where to ask, that it is done already, that it is not the time, or no.
//!
//! Servers put the polling location in several places. Here they are, in the order in which they are believed:
//! `Content-Location`, as the guide has it; `Location`; the first URL in an OperationOutcome's text; an id that ends one. The
//! kick-off's own URL is in none of them: to ask it is to begin another export.

use std::time::Duration;

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::{Begun, WHAT};
use crate::error::{ErrorKind, FetchError};
use crate::http::{Http, Outgoing, Whole};
use crate::manifest::Body;
use crate::operation_outcome::{OperationOutcome, Severity, urls};
use crate::retry::is_transient;
use crate::status::{self, said};

/// What an answer says.
pub(super) enum Reading {
    /// Ask there: as the server wrote it, made absolute.
    Accepted(Url),
    /// The first page of the manifest, and where it came from.
    Done(Box<Body>, Url),
    /// Try again.
    NotNow { failure: FetchError, asked: Option<Duration>, begun: Begun },
    /// No.
    Final(FetchError),
}

pub(super) fn read(http: &Http, outgoing: &Outgoing, answer: &Whole) -> Reading {
    let outcome = OperationOutcome::read(&answer.body);
    if !answer.status.is_success() {
        return refusal(http, answer, outcome.as_ref());
    }
    let manifest = || match status::read(StatusCode::OK, &answer.headers, &answer.body) {
        status::Reading::Complete(body) if body.has_output() => Some(body),
        _ => None,
    };
    let done = |body| Reading::Done(Box::new(body), answer.url.clone());
    if answer.status != StatusCode::ACCEPTED
        && let Some(body) = manifest()
    {
        return done(body);
    }
    if let Some(location) = location_of(http, &answer.headers, &answer.url, outgoing) {
        return Reading::Accepted(location);
    }
    let texts = || outcome.iter().flat_map(OperationOutcome::texts);
    let elsewhere = |location: &Url| !is_kick_off(http, location, &answer.url, outgoing);
    if let Some(location) = texts().flat_map(urls).find(elsewhere) {
        return Reading::Accepted(location);
    }
    if let Some(id) = texts().find_map(trailing_id) {
        return Reading::Accepted(http.place().url(&["$export", "job", id]));
    }
    // Accepted, without a place to ask, but with files: there is nothing to ask for.
    if let Some(body) = manifest().filter(Body::has_files) {
        return done(body);
    }
    let said = said(answer.status, outcome.as_ref());
    match outcome.as_ref().map(OperationOutcome::severity) {
        Some(Severity::Failure) => Reading::Final(refused(&said)),
        Some(Severity::Transient) => Reading::NotNow {
            failure: FetchError::transient(format!("the {WHAT} was answered with {said}")),
            asked: http.retry_after(&answer.headers),
            begun: Begun::No,
        },
        _ => Reading::Final(
            FetchError::new(
                ErrorKind::ExportFailed,
                format!("the {WHAT} was answered with {said}, but not with a place to ask for the status"),
            )
            .with_hint("The server may have begun an export. Look for it there before starting another one."),
        ),
    }
}

/// An answer that is no 2xx.
fn refusal(http: &Http, answer: &Whole, outcome: Option<&OperationOutcome>) -> Reading {
    let status = answer.status;
    let said = said(status, outcome);
    let severity = outcome.map(OperationOutcome::severity);
    if is_transient(status) || severity == Some(Severity::Transient) {
        let failure = match status {
            StatusCode::TOO_MANY_REQUESTS => FetchError::transient(format!("the {WHAT} was answered with {said}"))
                .with_hint("An export may be running already that has to end, or to be cancelled, first."),
            _ if severity == Some(Severity::Failure) => refused(&said),
            _ => FetchError::transient(format!("the {WHAT} was answered with {said}")),
        };
        // These two say that the request was not even looked at; behind a failing gateway it may have been.
        let unseen = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let begun = if unseen || status.is_client_error() { Begun::No } else { Begun::Perhaps };
        return Reading::NotNow { failure, asked: http.retry_after(&answer.headers), begun };
    }
    Reading::Final(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let error = FetchError::new(ErrorKind::Auth, format!("the server refuses the export: {said}"));
            match http.place().kind().access_type() {
                Some(access_type) => error.with_hint(format!("The client must be registered for: {access_type}.")),
                None => error,
            }
        }
        StatusCode::NOT_FOUND => {
            refused(&said).with_hint("Check the base URL, the tenant and the group; the server knows no such export.")
        }
        _ => refused(&said),
    })
}

fn refused(said: &str) -> FetchError {
    FetchError::new(ErrorKind::ExportFailed, format!("the server refuses the export: {said}"))
}

/// What a header says.
pub(super) fn location_of(http: &Http, headers: &HeaderMap, url: &Url, outgoing: &Outgoing) -> Option<Url> {
    [CONTENT_LOCATION, LOCATION].into_iter().find_map(|name| {
        let text = headers.get(name)?.to_str().ok()?.trim();
        let location = Some(text).filter(|text| !text.is_empty()).and_then(|text| url.join(text).ok())?;
        let elsewhere = !is_kick_off(http, &location, url, outgoing);
        (elsewhere && matches!(location.scheme(), "https" | "http")).then_some(location)
    })
}

/// Whether the location is the kick-off's own URL, answered at `url`, with its parameters or without any. That is none to
/// ask: each GET of it would begin another export.
fn is_kick_off(http: &Http, location: &Url, url: &Url, outgoing: &Outgoing) -> bool {
    let mut location = http.at_home(location.clone());
    location.set_fragment(None);
    let is = |own: &Url| {
        let mut own = own.clone();
        own.set_fragment(None);
        let whole = own == location;
        own.set_query(None);
        whole || own == location
    };
    outgoing.method == Method::GET && (is(url) || is(&outgoing.url))
}

/// An id at the end of a text: one word, with a digit in it, as UUIDs, numbers and the like have and plain words do not.
fn trailing_id(text: &str) -> Option<&str> {
    let last = text.split_whitespace().next_back()?;
    let last = last.rsplit(['/', ':', '=', '#']).find(|part| !part.is_empty())?;
    let id = last.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let like_an_id = (4..=128).contains(&id.len()) && id.bytes().all(plain) && id.bytes().any(|b| b.is_ascii_digit());
    like_an_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_at_the_end() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(trailing_id(text), expected);
        }
        check("Track job cmk1cuald0005l701sdo7gs8c", Some("cmk1cuald0005l701sdo7gs8c"));
        check("job id: 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9.", Some("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"));
        check("job=12345", Some("12345"));
        check("see $export/job/j-2026_1", Some("j-2026_1"));
        check("'12345'", Some("12345"));
        check("Export accepted", None);
        check("running", None);
        check("in 30", None);
        check("no 1234..5678", None);
        check("", None);
        check(&format!("a{}", "1".repeat(128)), None);
    }
}
