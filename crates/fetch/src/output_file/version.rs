//! What an answer's headers say of the file behind it: which version it is (RFC 9110, section 8.8), and how long.
//!
//! In go a status and headers; out comes what tells one version of a file from another, in a form that can be kept between
//! processes. Nothing of the content is in it, nothing is asked for, and what cannot be read is as if it were not there.

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, InvalidHeaderValue, LAST_MODIFIED, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// What tells one version of an output file from another, to be kept between processes: validators, content coding and
/// length, as the server stated them. Holds no secret and no content.
///
/// Its stored form is for [`Client::file_from`](crate::Client::file_from) to be given back, not to be read by others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileVersion {
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<Stored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<Stored>,
    /// Other than `identity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    coding: Option<Stored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
}

/// A header's value. Its bytes may be any but control characters (RFC 9110, section 5.5), so that it is kept as ISO 8859-1,
/// which has a character for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Stored(HeaderValue);

impl From<Stored> for String {
    fn from(Stored(value): Stored) -> String {
        value.as_bytes().iter().copied().map(char::from).collect()
    }
}

impl TryFrom<String> for Stored {
    type Error = InvalidHeaderValue;

    fn try_from(text: String) -> Result<Stored, InvalidHeaderValue> {
        // No header has a line's end in it, whatever has none in ISO 8859-1 either.
        let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap_or(b'\n')).collect();
        HeaderValue::from_bytes(&bytes).map(Stored)
    }
}

impl FileVersion {
    /// Of the file behind an answer that holds it, a part of it, or the word that there is no such part (200, 206, 416).
    ///
    /// Allocates nothing but what the headers hold already.
    pub fn of(status: StatusCode, headers: &HeaderMap) -> FileVersion {
        let get = |name: HeaderName| headers.get(name).filter(|value| !value.is_empty()).cloned();
        let coding = get(CONTENT_ENCODING).filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
        let total_bytes = match status {
            StatusCode::OK => content_length(headers),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                ContentRange::of(headers).and_then(|range| range.total)
            }
            _ => None,
        };
        FileVersion {
            etag: get(ETAG).map(Stored),
            last_modified: get(LAST_MODIFIED).map(Stored),
            coding: coding.map(Stored),
            total_bytes,
        }
    }

    /// The whole file's length, where the server stated it.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    pub(super) fn with_total(self, total_bytes: Option<u64>) -> FileVersion {
        FileVersion { total_bytes, ..self }
    }

    /// For `If-Range`: a strong entity tag, else the date.
    pub(super) fn if_range(&self) -> Option<&HeaderValue> {
        self.strong_etag().or(self.last_modified.as_ref().map(|Stored(value)| value))
    }

    fn strong_etag(&self) -> Option<&HeaderValue> {
        self.etag.as_ref().filter(|etag| !etag.is_weak()).map(|Stored(value)| value)
    }

    /// Without a content coding.
    pub(super) fn is_plain(&self) -> bool {
        self.coding.is_none()
    }

    pub(super) fn is_coded_like(&self, other: &FileVersion) -> bool {
        self.coding == other.coding
    }

    /// Whether the validators say that the two differ. A strong tag that is the same outweighs the dates, which differ
    /// between the servers behind one name.
    pub(super) fn differs(&self, other: &FileVersion) -> bool {
        match (&self.etag, &other.etag) {
            (Some(ours), Some(theirs)) if ours.opaque() != theirs.opaque() => return true,
            (Some(ours), Some(theirs)) if !ours.is_weak() && !theirs.is_weak() => return false,
            _ => {}
        }
        matches!((&self.last_modified, &other.last_modified), (Some(ours), Some(theirs)) if ours != theirs)
    }

    pub(super) fn has_strong_etag(&self) -> bool {
        self.strong_etag().is_some()
    }

    /// Whether a strong tag says that the two are the same to the byte.
    pub(super) fn is_surely(&self, other: &FileVersion) -> bool {
        self.strong_etag().is_some_and(|etag| Some(etag) == other.strong_etag())
    }

    /// Whether the other one has the tag that guarded the range, and so vouches for what it does not say.
    pub(super) fn is_guarded_by(&self, other: &FileVersion) -> bool {
        other.etag.as_ref().is_some_and(|Stored(etag)| self.if_range() == Some(etag))
    }
}

impl Stored {
    fn is_weak(&self) -> bool {
        self.0.as_bytes().starts_with(b"W/")
    }

    fn opaque(&self) -> &[u8] {
        self.0.as_bytes().strip_prefix(b"W/").unwrap_or(self.0.as_bytes())
    }
}

/// The length of a body, where it is told in advance (RFC 9112, section 6.3).
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    number(headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim())
}

/// Digits and nothing else, not even a plus.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `Content-Range` (RFC 9110, section 14.4).
pub(super) struct ContentRange {
    /// `None`: of a range that cannot be had.
    pub(super) start: Option<u64>,
    /// `None`: the server does not know.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// `None` for what is no range of bytes, or not one that can be.
    pub(super) fn of(headers: &HeaderMap) -> Option<ContentRange> {
        let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
        let (unit, rest) = text.split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
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
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        #[track_caller]
        fn check(etag: &[u8], stored: &str) {
            let value = HeaderValue::from_bytes(etag).unwrap();
            let headers = HeaderMap::from_iter([(ETAG, value), (CONTENT_LENGTH, HeaderValue::from_static("7"))]);
            let version = FileVersion::of(StatusCode::OK, &headers);
            let text = serde_json::to_string(&version).unwrap();
            assert_eq!(text, stored);
            assert_eq!(serde_json::from_str::<FileVersion>(&text).unwrap(), version);
        }
        check(b"\"v1\"", r#"{"etag":"\"v1\"","total_bytes":7}"#);
        check(b"W/\"v1\"", r#"{"etag":"W/\"v1\"","total_bytes":7}"#);
        check(b"\"\xe9\xff\x80\ta\"", "{\"etag\":\"\\\"\u{e9}\u{ff}\u{80}\\ta\\\"\",\"total_bytes\":7}");
        check(b"", r#"{"total_bytes":7}"#);
        assert_eq!(serde_json::from_str::<FileVersion>("{}").unwrap(), FileVersion::default());
        for no_header in [r#"{"etag":"a\nb"}"#, r#"{"etag":"\u0100"}"#, r#"{"etag":7}"#] {
            assert!(serde_json::from_str::<FileVersion>(no_header).is_err(), "{no_header}");
        }
    }

    #[test]
    fn how_long_the_file_is() {
        #[track_caller]
        fn check(status: u16, lines: &[(&'static str, &'static str)], expected: Option<u64>) {
            let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
            let headers = lines.iter().map(pair).collect();
            assert_eq!(FileVersion::of(StatusCode::from_u16(status).unwrap(), &headers).total_bytes(), expected);
        }
        check(200, &[("content-length", "9")], Some(9));
        check(200, &[("content-length", "9"), ("transfer-encoding", "chunked")], None);
        check(200, &[("content-length", "9"), ("content-range", "bytes 0-6/7")], Some(9));
        check(206, &[("content-length", "2"), ("content-range", "bytes 5-6/7")], Some(7));
        check(206, &[("content-length", "2"), ("content-range", "bytes 5-6/*")], None);
        check(416, &[("content-length", "2"), ("content-range", "bytes */7")], Some(7));
        check(503, &[("content-length", "2")], None);
    }
}
