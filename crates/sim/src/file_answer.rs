//! The answer to a request for an output file: which bytes of which version in which coding (RFC 9110, sections 8, 13,
//! 14).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use crate::answer::{Answer, Framing, Payload, Reply};
use crate::body::Content;
use crate::fault::WrongRange;
use crate::served_file::{Compressed, Ranges, ServedFile, Validator};
use crate::wire::Request;

/// The first version's `Last-Modified`; each later one is a minute younger.
const LAST_MODIFIED: Duration = Duration::from_secs(1_767_323_045);

/// An output file with all forms in which it may be sent.
#[derive(Debug)]
pub(crate) struct OutputFile {
    pub(crate) file: ServedFile,
    pub(crate) name: String,
    /// By version: as the scenario gave it, and its replacement.
    versions: Vec<Version>,
}

#[derive(Debug)]
struct Version {
    plain: Form,
    gzip: Option<Form>,
}

#[derive(Debug)]
struct Form {
    content: Content,
    /// Once it is known.
    length: OnceLock<u64>,
}

impl Form {
    fn new(content: Content) -> Form {
        let length = content.length().map_or_else(OnceLock::new, OnceLock::from);
        Form { content, length }
    }

    /// By a pass over it, if it has to be.
    fn measured(&self) -> u64 {
        *self.length.get_or_init(|| self.content.pieces(0, None).map(|piece| piece.len() as u64).sum())
    }
}

/// The state of one file that a request meets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// 0, or 1 once it was replaced.
    pub(crate) version: usize,
    /// How many answers it has had.
    pub(crate) answers: u64,
}

impl OutputFile {
    /// Compresses what can be compressed before.
    pub(crate) fn new(file: ServedFile, place: usize) -> OutputFile {
        let name = file.name.clone().unwrap_or_else(|| format!("{}.{}.ndjson", file.resource_type, place + 1));
        let gzip = match file.compression {
            Compressed::Never => None,
            Compressed::IfAccepted(gzip) | Compressed::Always(gzip) | Compressed::Stored(gzip) => Some(gzip),
        };
        let contents = [Some(file.content.clone()), file.replacement.clone().map(Content::fixed)];
        let versions = contents.into_iter().flatten().map(|content| {
            let gzip = gzip.map(|gzip| Form::new(content.gzip(gzip)));
            Version { plain: Form::new(content), gzip }
        });
        OutputFile { name, versions: versions.collect(), file }
    }

    pub(crate) fn reply(&self, request: &Request, moment: Moment, wrong: Option<WrongRange>) -> Reply {
        let file = &self.file;
        let version = &self.versions[moment.version.min(self.versions.len() - 1)];
        let accepted = request.header("accept-encoding").is_some_and(|accepted| accepted.split(',').any(accepts_gzip));
        let (form, encoded) = match (&file.compression, &version.gzip) {
            (Compressed::IfAccepted(_), Some(gzip)) if accepted => (gzip, true),
            (Compressed::Always(_), Some(gzip)) => (gzip, true),
            (Compressed::Stored(_), Some(gzip)) => (gzip, false),
            _ => (&version.plain, false),
        };
        let stored = matches!(file.compression, Compressed::Stored(_));
        let content_type = if stored { "application/gzip" } else { &file.content_type };
        let mut answer = Answer::new(200).header("Content-Type", content_type);
        if encoded {
            answer = answer.header("Content-Encoding", "gzip").header("Vary", "Accept-Encoding");
        }
        let tag = self.tag(moment, encoded);
        let modified =
            httpdate::fmt_http_date(UNIX_EPOCH + LAST_MODIFIED + Duration::from_secs(60) * moment.version as u32);
        let current = match file.validator {
            Validator::Strong | Validator::Changing => Some(("ETag", format!("\"{tag}\""))),
            Validator::Weak => Some(("ETag", format!("W/\"{tag}\""))),
            Validator::LastModified => Some(("Last-Modified", modified)),
            Validator::None => None,
        };
        if let Some((name, value)) = &current {
            answer = answer.header(name, value.clone());
        }
        let framing =
            file.framing.unwrap_or(if form.length.get().is_some() { Framing::Length } else { Framing::Chunked });
        if framing == Framing::Length {
            form.measured();
        }
        let length = form.length.get().copied().filter(|_| file.ranges == Ranges::Honoured);
        if length.is_some() {
            answer = answer.header("Accept-Ranges", "bytes");
        }
        // RFC 9110, section 13.1.5: a weak tag matches nothing.
        let same = request.header("if-range").is_none_or(|wanted| {
            wrong == Some(WrongRange::DespiteIfRange)
                || (file.validator != Validator::Weak && current.is_some_and(|(_, current)| current == wanted))
        });
        let asked = request.header("range").filter(|_| same).zip(length);
        match asked.and_then(|(range, length)| Some((parse_range(range, length)?, length))) {
            Some((Some((start, end)), length)) => self.part(answer, form, framing, start..end, length, wrong),
            Some((None, length)) => {
                let mut answer = Answer::operation_outcome(416, "The range is outside of the file.");
                answer = answer.header("Content-Range", format!("bytes */{length}"));
                answer.into()
            }
            None => {
                let length = form.length.get().copied();
                let payload = Payload { pieces: form.content.pieces(0, None), length, offset: 0 };
                Reply { status: 200, headers: answer.headers, framing, payload }
            }
        }
    }

    fn part(
        &self,
        mut answer: Answer,
        form: &Form,
        framing: Framing,
        range: std::ops::Range<u64>,
        length: u64,
        wrong: Option<WrongRange>,
    ) -> Reply {
        let (mut start, end) = (range.start, range.end);
        let mut total = length;
        match wrong {
            Some(WrongRange::LaterStart) => start = (start + 1).min(end - 1),
            Some(WrongRange::FromZero) => start = 0,
            Some(WrongRange::OtherTotal) => total += 1,
            Some(WrongRange::NoContentRange | WrongRange::Nonsense | WrongRange::DespiteIfRange) | None => {}
        }
        answer = match wrong {
            Some(WrongRange::NoContentRange) => answer,
            Some(WrongRange::Nonsense) => answer.header("Content-Range", "bytes all of them"),
            _ => answer.header("Content-Range", format!("bytes {start}-{}/{total}", end - 1)),
        };
        let payload =
            Payload { pieces: form.content.pieces(start, Some(end)), length: Some(end - start), offset: start };
        Reply { status: 206, headers: answer.headers, framing, payload }
    }

    /// So long is a body whose length was not known before; for faults that count from its end.
    pub(crate) fn measure(&self) {
        for version in &self.versions {
            for form in std::iter::once(&version.plain).chain(&version.gzip) {
                form.measured();
            }
        }
    }

    fn tag(&self, moment: Moment, encoded: bool) -> String {
        let mut hasher = DefaultHasher::new();
        (&self.name, moment.version).hash(&mut hasher);
        let coding = if encoded { "-gzip" } else { "" };
        match self.file.validator {
            Validator::Changing => format!("{:016x}{coding}-{}", hasher.finish(), moment.answers),
            _ => format!("{:016x}{coding}", hasher.finish()),
        }
    }
}

/// One element of `Accept-Encoding` (RFC 9110, section 12.5.3).
fn accepts_gzip(element: &str) -> bool {
    let (coding, weight) = element.split_once(';').unwrap_or((element, ""));
    let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
    matches!(coding.trim(), "gzip" | "*") && !refused
}

/// RFC 9110, section 14.1.2: one range. None: not understood, so ignored; `Some(None)`: it is outside of the file.
fn parse_range(header: &str, length: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end): (u64, u64) = match (first.trim(), last.trim()) {
        ("", suffix) => (length.saturating_sub(suffix.parse().ok()?), length),
        (first, "") => (first.parse().ok()?, length),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.saturating_add(1).min(length)),
    };
    Some((start < end).then_some((start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_range() {
        for (header, expected) in [
            ("bytes=0-", Some(Some((0, 10)))),
            ("bytes=3-5", Some(Some((3, 6)))),
            ("bytes=3-50", Some(Some((3, 10)))),
            ("bytes=-4", Some(Some((6, 10)))),
            ("bytes=-40", Some(Some((0, 10)))),
            ("bytes=9-", Some(Some((9, 10)))),
            ("bytes=10-", Some(None)),
            ("bytes=5-3", Some(None)),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=x-", None),
        ] {
            assert_eq!(parse_range(header, 10), expected, "{header}");
        }
    }

    #[test]
    fn gzip_is_accepted_by_name() {
        for (header, expected) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(header.split(',').any(accepts_gzip), expected, "{header}");
        }
    }
}
