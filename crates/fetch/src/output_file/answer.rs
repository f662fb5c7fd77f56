//! What an answer to a request for an output file means (RFC 9110, sections 13 to 15).
//!
//! In go what was asked for, what is known of the file, and an answer's status and headers; out comes a verdict. A server
//! may do as it likes with a range: what it sends is used only where it is the asked bytes of the same version.

use http::header::{ACCEPT_RANGES, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

use super::version::{ContentRange, FileVersion, content_length};
use super::{WHAT, changed};
use crate::error::{ErrorKind, FetchError};
use crate::retry::is_transient;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The file from its first byte on.
    Whole,
    /// A range from this byte on.
    From(u64),
}

/// What was asked for, and what is known.
pub(super) struct Asked<'a> {
    pub(super) ask: Ask,
    /// The byte of the file that is wanted next.
    pub(super) position: u64,
    /// The byte with which what has been handed out here begins; the position, if nothing has.
    pub(super) start: u64,
    /// A hash is kept of what has been handed out here.
    pub(super) hashed: bool,
    /// What has been begun, here or by an earlier process, and has to be gone on with. `None`: whatever comes is the file.
    pub(super) begun: Option<&'a FileVersion>,
    /// An earlier body ended here, and whether that is the file's end is what is asked.
    pub(super) at_an_end: bool,
    /// The request was to carry the access token.
    pub(super) with_token: bool,
}

impl Asked<'_> {
    fn known_total(&self) -> Option<u64> {
        self.begun.and_then(FileVersion::total_bytes)
    }

    /// The error for a version that cannot be the one that was begun, by validators or length.
    fn other(&self, version: &FileVersion) -> Option<FetchError> {
        if self.begun?.differs(version) {
            return Some(changed("its validators differ"));
        }
        let total = version.total_bytes()?;
        let same_length = self.known_total().map_or(total >= self.position, |known| total == known);
        (!same_length).then(|| changed("its length differs"))
    }
}

/// What to do.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Read it. It starts at a byte that is not after the position.
    Body {
        start: u64,
        /// As the answer has it, which may leave out what is known.
        version: FileVersion,
        /// The server says, or shows, that it has ranges.
        has_ranges: bool,
        end: End,
    },
    /// The file ends at the position.
    Complete {
        /// As the server stated it.
        total_bytes: Option<u64>,
    },
    /// Ask for the whole file instead.
    RangesUseless,
    /// Ask again; the error is what it comes to if it stays so.
    NotNow(FetchError),
    /// Give up.
    Final(FetchError),
}

/// How the end of a body is known to be the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By its framing: a length, or the last chunk.
    Told,
    /// Not at all: the connection closes, or it is the end of a range of a file of unknown length.
    Open,
}

pub(super) fn judge(asked: &Asked<'_>, status: StatusCode, headers: &HeaderMap) -> Verdict {
    let answered = || format!("the {WHAT} was answered with {status}");
    match status {
        StatusCode::OK => whole(asked, headers),
        StatusCode::NO_CONTENT if asked.position == 0 && asked.known_total().is_none_or(|total| total == 0) => {
            Verdict::Complete { total_bytes: None }
        }
        StatusCode::NO_CONTENT => Verdict::Final(changed("it is empty")),
        StatusCode::PARTIAL_CONTENT => match asked.ask {
            Ask::From(start) => part(asked, start, headers),
            Ask::Whole => {
                Verdict::NotNow(FetchError::transient(format!("{} to a request without a range", answered())))
            }
        },
        StatusCode::RANGE_NOT_SATISFIABLE => match asked.ask {
            Ask::From(start) => nothing_there(asked, start, headers),
            Ask::Whole => Verdict::Final(FetchError::new(ErrorKind::Transport, answered())),
        },
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => expired(status),
        // As stores answer to a presigned URL whose signer's session has ended.
        StatusCode::BAD_REQUEST if !asked.with_token => expired(status),
        StatusCode::UNAUTHORIZED => {
            let error = FetchError::new(ErrorKind::Auth, answered());
            Verdict::Final(if asked.with_token {
                error
            } else {
                error.with_hint("The manifest says that its files need no access token; the server wants one.")
            })
        }
        _ if is_transient(status) => Verdict::NotNow(FetchError::transient(answered())),
        // A server that chokes on the range may well know the file.
        _ if asked.ask != Ask::Whole => Verdict::RangesUseless,
        _ => Verdict::Final(FetchError::new(ErrorKind::Transport, answered())),
    }
}

fn expired(status: StatusCode) -> Verdict {
    let message = format!("the server does not hand out the {WHAT} under this URL: {status}");
    Verdict::Final(FetchError::new(ErrorKind::FileExpired, message))
}

/// 200: from the first byte on.
fn whole(asked: &Asked<'_>, headers: &HeaderMap) -> Verdict {
    if let Some(error) = html(headers) {
        return Verdict::NotNow(error);
    }
    let version = FileVersion::of(StatusCode::OK, headers);
    if let Some(error) = asked.other(&version) {
        return Verdict::Final(error);
    }
    if let Some(begun) = asked.begun {
        if !begun.is_coded_like(&version) {
            return Verdict::Final(changed("its content coding differs"));
        }
        // Where what was handed out begins in the middle of the file, all before is known to whoever asked for that, and
        // to nobody here. Where no hash was kept, the tag was to do.
        let is_unknown = asked.start > 0 || !asked.hashed;
        if is_unknown && asked.position > asked.start && !begun.is_surely(&version) {
            return Verdict::Final(changed("nothing vouches for its first bytes"));
        }
    }
    let has_ranges = headers.get(ACCEPT_RANGES).is_some_and(|unit| unit.as_bytes().eq_ignore_ascii_case(b"bytes"));
    Verdict::Body { start: 0, version, has_ranges, end: end(headers) }
}

/// 206: the asked range, or something else.
fn part(asked: &Asked<'_>, asked_start: u64, headers: &HeaderMap) -> Verdict {
    if let Some(error) = html(headers) {
        return Verdict::NotNow(error);
    }
    let Some(range) = ContentRange::of(headers) else { return Verdict::RangesUseless };
    let version = FileVersion::of(StatusCode::PARTIAL_CONTENT, headers);
    if let Some(error) = asked.other(&version) {
        return Verdict::Final(error);
    }
    // A part of the file without its coding is a part of other bytes. Some leave the header out of a 206, which they may
    // (section 15.3.7), but only where the validator vouches for the rest.
    let coded_alike = asked
        .begun
        .is_none_or(|begun| begun.is_coded_like(&version) || (version.is_plain() && begun.is_guarded_by(&version)));
    match range.start {
        Some(start) if start == asked_start && coded_alike => {
            // Told: by the total, that is.
            let end = if range.total.is_some() { end(headers) } else { End::Open };
            Verdict::Body { start, version, has_ranges: true, end }
        }
        _ => Verdict::RangesUseless,
    }
}

/// 416: there is nothing at the start of the asked range.
fn nothing_there(asked: &Asked<'_>, start: u64, headers: &HeaderMap) -> Verdict {
    let version = FileVersion::of(StatusCode::RANGE_NOT_SATISFIABLE, headers);
    if asked.begun.is_some_and(|begun| begun.differs(&version)) {
        return Verdict::Final(changed("its validators differ"));
    }
    match version.total_bytes() {
        Some(total) if total < asked.position => Verdict::Final(changed("it is shorter")),
        Some(total) if total == asked.position && asked.known_total().is_none_or(|known| known == total) => {
            Verdict::Complete { total_bytes: Some(total) }
        }
        // Without a total it only confirms an end that has been seen; anywhere else the file may have been cut short.
        None if asked.at_an_end && start == asked.position && asked.known_total().is_none() => {
            Verdict::Complete { total_bytes: None }
        }
        _ => Verdict::RangesUseless,
    }
}

/// A gateway's page, as it comes instead of data: a login, an error, a maintenance notice.
fn html(headers: &HeaderMap) -> Option<FetchError> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?.trim().to_ascii_lowercase();
    ["text/html", "application/xhtml"].iter().any(|html| content_type.starts_with(html)).then(|| {
        FetchError::new(ErrorKind::NotData, format!("the {WHAT} was answered with an HTML page, which is no data"))
    })
}

/// How the end of a body is told (RFC 9112, section 6.3).
fn end(headers: &HeaderMap) -> End {
    let told = headers.contains_key(TRANSFER_ENCODING) || content_length(headers).is_some();
    if told { End::Told } else { End::Open }
}

#[cfg(test)]
mod tests;
