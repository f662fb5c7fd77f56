//! What an answer to a request for an output file means (RFC 9110, sections 13 to 15).
//!
//! In go what was asked for, what is known of the file, and an answer's status and headers; out comes a verdict. A server
//! may do as it likes with a range: what it sends is used only where it is the asked bytes of the same version.

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

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
    /// Bytes that have been handed out.
    pub(super) position: u64,
    pub(super) total_bytes: Option<u64>,
    /// Of what was handed out.
    pub(super) version: &'a Version,
    /// An earlier body ended here, and whether that is the file's end is what is asked.
    pub(super) at_an_end: bool,
    /// The request was to carry the access token.
    pub(super) with_token: bool,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Read it. It starts at a byte that is not after the position.
    Body {
        start: u64,
        total_bytes: Option<u64>,
        /// The version that this begins; `None`: it goes on with the one that is known.
        version: Option<Version>,
        end: End,
    },
    /// The file ends at the position.
    Complete,
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

/// What tells one version of a file from another (RFC 9110, section 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Version {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
    /// Other than `identity`.
    coding: Option<HeaderValue>,
}

impl Version {
    fn of(headers: &HeaderMap) -> Version {
        let get = |name: HeaderName| headers.get(name).filter(|value| !value.is_empty()).cloned();
        let coding = get(CONTENT_ENCODING).filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
        Version { etag: get(ETAG), last_modified: get(LAST_MODIFIED), coding }
    }

    /// For `If-Range`: a strong entity tag, else the date.
    pub(super) fn if_range(&self) -> Option<&HeaderValue> {
        self.etag.as_ref().filter(|etag| !is_weak(etag)).or(self.last_modified.as_ref())
    }

    /// Without a content coding.
    pub(super) fn is_plain(&self) -> bool {
        self.coding.is_none()
    }

    /// Whether the validators say that the two differ. A strong tag that is the same outweighs the dates, which differ
    /// between the servers behind one name.
    fn differs(&self, other: &Version) -> bool {
        match (&self.etag, &other.etag) {
            (Some(ours), Some(theirs)) if opaque(ours) != opaque(theirs) => return true,
            (Some(ours), Some(theirs)) if !is_weak(ours) && !is_weak(theirs) => return false,
            _ => {}
        }
        matches!((&self.last_modified, &other.last_modified), (Some(ours), Some(theirs)) if ours != theirs)
    }
}

fn is_weak(etag: &HeaderValue) -> bool {
    etag.as_bytes().starts_with(b"W/")
}

fn opaque(etag: &HeaderValue) -> &[u8] {
    etag.as_bytes().strip_prefix(b"W/").unwrap_or(etag.as_bytes())
}

pub(super) fn judge(asked: &Asked<'_>, status: StatusCode, headers: &HeaderMap) -> Verdict {
    let answered = || format!("the {WHAT} was answered with {status}");
    match status {
        StatusCode::OK => whole(asked, headers),
        StatusCode::NO_CONTENT if asked.position == 0 => Verdict::Complete,
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
    let version = Version::of(headers);
    let (length, end) = framing(headers);
    let body = |version| Verdict::Body { start: 0, total_bytes: length, version, end };
    if asked.position == 0 {
        return body(Some(version));
    }
    if asked.version.differs(&version) {
        return Verdict::Final(changed("its validators differ"));
    }
    if asked.version.coding != version.coding {
        return Verdict::Final(changed("its content coding differs"));
    }
    if let Some(length) = length
        && asked.total_bytes.map_or(length < asked.position, |total| total != length)
    {
        return Verdict::Final(changed("its length differs"));
    }
    body(None)
}

/// 206: the asked range, or something else.
fn part(asked: &Asked<'_>, asked_start: u64, headers: &HeaderMap) -> Verdict {
    if let Some(error) = html(headers) {
        return Verdict::NotNow(error);
    }
    let Some(range) = headers.get(CONTENT_RANGE).and_then(ContentRange::read) else { return Verdict::RangesUseless };
    let version = Version::of(headers);
    if asked.position > 0 && asked.version.differs(&version) {
        return Verdict::Final(changed("its validators differ"));
    }
    if let Some(total) = range.total
        && asked.total_bytes.map_or(total < asked.position, |known| known != total)
    {
        return Verdict::Final(changed("its length differs"));
    }
    // A part of the file without its coding is a part of other bytes. Some leave the header out of a 206, which they may
    // (section 15.3.7), but only where the validator vouches for the rest.
    let coded_otherwise = asked.position > 0
        && asked.version.coding != version.coding
        && !(version.coding.is_none() && version.etag.is_some() && asked.version.if_range() == version.etag.as_ref());
    match range.start {
        Some(start) if start == asked_start && !coded_otherwise => {
            let (_, framed) = framing(headers);
            // Told: by the total, that is.
            let end = if range.total.is_some() { framed } else { End::Open };
            let version = (asked.position == 0).then_some(version);
            Verdict::Body { start, total_bytes: range.total, version, end }
        }
        _ => Verdict::RangesUseless,
    }
}

/// 416: there is nothing at the start of the asked range.
fn nothing_there(asked: &Asked<'_>, start: u64, headers: &HeaderMap) -> Verdict {
    if asked.position > 0 && asked.version.differs(&Version::of(headers)) {
        return Verdict::Final(changed("its validators differ"));
    }
    let told = headers.get(CONTENT_RANGE).and_then(ContentRange::read).and_then(|range| range.total);
    match told {
        Some(total) if total < asked.position => Verdict::Final(changed("it is shorter")),
        Some(total) if total == asked.position && asked.total_bytes.is_none_or(|known| known == total) => {
            Verdict::Complete
        }
        // Without a total it only confirms an end that has been seen; anywhere else the file may have been cut short.
        None if asked.at_an_end && start == asked.position && asked.total_bytes.is_none() => Verdict::Complete,
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

/// The length of a body, and whether its end is told (RFC 9112, section 6.3).
fn framing(headers: &HeaderMap) -> (Option<u64>, End) {
    if headers.contains_key(TRANSFER_ENCODING) {
        return (None, End::Told);
    }
    match headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok()) {
        Some(length) => (Some(length), End::Told),
        None => (None, End::Open),
    }
}

/// `Content-Range` (RFC 9110, section 14.4).
struct ContentRange {
    /// `None`: of a range that cannot be had.
    start: Option<u64>,
    /// `None`: the server does not know.
    total: Option<u64>,
}

impl ContentRange {
    /// `None` for what is no range of bytes, or not one that can be.
    fn read(value: &HeaderValue) -> Option<ContentRange> {
        let text = value.to_str().ok()?.trim();
        let (unit, rest) = text.split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
        let total = if total == "*" { None } else { Some(number(total)?) };
        let start = if range == "*" {
            None
        } else {
            let (start, end) = range.split_once('-')?;
            let (start, end) = (number(start)?, number(end)?);
            (start <= end && total.is_none_or(|total| end < total)).then_some(())?;
            Some(start)
        };
        unit.eq_ignore_ascii_case("bytes").then_some(ContentRange { start, total })
    }
}

#[cfg(test)]
mod tests;
