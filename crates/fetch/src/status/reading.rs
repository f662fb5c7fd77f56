//! What an answer to a status request says of the export: by its code first, then by what its body says.
//!
//! In go a status, headers and a body of any kind; out comes one of five verdicts. It never panics, and what it cannot
//! make sense of is named by its type.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, StatusCode};

use super::WHAT;
use crate::error::{ErrorKind, FetchError};
use crate::manifest::{Batches, Body};
use crate::operation_outcome::{OperationOutcome, Severity, shown};
use crate::retry::is_transient;

pub(super) static X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");

/// What an answer to a status request says.
pub(crate) enum Reading {
    /// With what its body says of the export so far.
    Running(Option<Body>),
    /// With a page of the manifest.
    Complete(Body),
    /// Says nothing about the export. The error is what it comes to if it stays so.
    NotNow(FetchError),
    /// The server does not know the export.
    Gone(FetchError),
    /// The export failed, or the server refuses to tell.
    Final(FetchError),
}

/// Reads an answer by its code first, then by what its body says.
pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Reading {
    let outcome = OperationOutcome::read(body);
    if status.is_success() {
        return match outcome {
            Some(outcome) => read_outcome(status, headers, &outcome),
            None => read_success(status, headers, body),
        };
    }
    let said = said(status, outcome.as_ref());
    let failure = |kind, message: &str| FetchError::new(kind, format!("{message}: {said}"));
    let failed = || failure(ErrorKind::ExportFailed, "the server says that the export failed");
    let severity = outcome.as_ref().map(OperationOutcome::severity);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Reading::Final(failure(ErrorKind::Auth, "the server refuses the status request"))
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            Reading::Gone(failure(ErrorKind::NoSuchExport, "the server does not know the export"))
        }
        // A gateway's or a passing failure, as far as one can tell; only if it stays is it the export's.
        _ if is_transient(status) && severity == Some(Severity::Failure) => Reading::NotNow(failed()),
        _ if is_transient(status) || severity == Some(Severity::Transient) => {
            Reading::NotNow(FetchError::transient(format!("the {WHAT} was answered with {said}")))
        }
        _ => Reading::Final(failed()),
    }
}

/// The code, and the server's words if there are any.
pub(crate) fn said(status: StatusCode, outcome: Option<&OperationOutcome>) -> String {
    outcome.map_or_else(|| status.to_string(), |outcome| format!("{} ({})", outcome.words(), status.as_u16()))
}

/// An OperationOutcome where a manifest or nothing was expected.
fn read_outcome(status: StatusCode, headers: &HeaderMap, outcome: &OperationOutcome) -> Reading {
    if status == StatusCode::ACCEPTED {
        return Reading::Running(None);
    }
    let said = said(status, Some(outcome));
    match outcome.severity() {
        Severity::Failure => Reading::Final(FetchError::new(
            ErrorKind::ExportFailed,
            format!("the server says that the export failed: {said}"),
        )),
        Severity::Transient => Reading::NotNow(FetchError::transient(format!("the {WHAT} was answered with {said}"))),
        Severity::Benign => {
            let running = |text| word(text) == Word::Running || text.to_ascii_lowercase().contains("running");
            if headers.contains_key(&X_PROGRESS) || outcome.texts().any(running) {
                return Reading::Running(None);
            }
            Reading::NotNow(not_understood(status, headers, Some(&said)))
        }
    }
}

/// A body that is no OperationOutcome, under a code that is none of failure.
fn read_success(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Reading {
    let accepted = status == StatusCode::ACCEPTED;
    let Some(body) = Body::read(body) else {
        return if accepted { Reading::Running(None) } else { Reading::NotNow(not_understood(status, headers, None)) };
    };
    let batches = body.batches();
    let word = body.status.get().map_or(Word::Unknown, |text| word(text));
    if word == Word::Failed {
        return Reading::Final(export_failed(&body));
    }
    // A sum that overflows is hostile, and not smaller than the total.
    let open =
        |batches: Batches| batches.running > 0 || batches.complete.saturating_add(batches.failed) < batches.total;
    if accepted || word == Word::Running || batches.is_some_and(open) {
        return Reading::Running(Some(body));
    }
    if body.resource_type.get().is_some() || !(body.has_lists() || word == Word::Done) {
        // Such as a queue that has made no batches yet.
        let empty_queue = body.resource_type.get().is_none() && batches == Some(Batches::default());
        if empty_queue {
            return Reading::Running(Some(body));
        }
        return Reading::NotNow(not_understood(status, headers, None));
    }
    if body.has_unreadable_lists() {
        let said = "a manifest with a list of files that cannot be read";
        return Reading::NotNow(not_understood(status, headers, Some(said)));
    }
    if !body.has_lists() && batches.is_none() {
        // Done, but where the files are is not said; they may be in the next answer.
        return Reading::NotNow(not_understood(
            status,
            headers,
            Some("an export that is done, without a list of files"),
        ));
    }
    Reading::Complete(body)
}

fn export_failed(body: &Body) -> FetchError {
    let mut message = "the server says that the export failed".to_owned();
    if let Some(status) = body.status.get() {
        message.push_str(&format!(": its status is {}", shown(status)));
    }
    if let Some(batches) = body.batches().filter(|batches| batches.failed > 0) {
        message.push_str(&format!(", {} of {} batches failed", batches.failed, batches.total));
    }
    if let Some(words) = body.words() {
        message.push_str(&format!(": {}", shown(words)));
    }
    FetchError::new(ErrorKind::ExportFailed, message)
}

/// Names what came by its type, never by its content.
fn not_understood(status: StatusCode, headers: &HeaderMap, said: Option<&str>) -> FetchError {
    let came = said.map_or_else(
        || match headers.get(CONTENT_TYPE).map(|content_type| content_type.to_str().unwrap_or("?")) {
            Some(content_type) => format!("{} that is neither a status nor a manifest", shown(content_type)),
            None => "something without a content type that is neither a status nor a manifest".to_owned(),
        },
        str::to_owned,
    );
    let message = format!("the {WHAT} was answered with {} and {came}", status.as_u16());
    let html = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    // A gateway's page says nothing about the export behind it.
    if html { FetchError::transient(message) } else { FetchError::new(ErrorKind::ExportFailed, message) }
}

/// What a status word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Running,
    Done,
    Failed,
    Unknown,
}

/// 1upHealth documents `Successful` only; the others are what such servers use.
fn word(text: &str) -> Word {
    let word: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let has = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
    if has(&["unsuccess", "notsuccess"]) {
        Word::Failed
    } else if has(&["incomplete", "progress", "running", "pending", "queue"]) || word.starts_with("not") {
        Word::Running
    } else if has(&["success", "succeed", "complete", "finished", "done", "ready"]) {
        // `completed with errors` is complete: its batches say what failed.
        Word::Done
    } else if has(&["fail", "error", "cancel", "abort", "reject", "terminated", "expired", "timedout"]) {
        Word::Failed
    } else if word.ends_with("ing")
        || has(&["active", "accepted", "started", "submitted", "created", "scheduled", "requested", "initiated"])
    {
        Word::Running
    } else {
        Word::Unknown
    }
}

#[cfg(test)]
mod tests;
