//! One output file of an export: what it holds, how it is sent and what the manifest says about it.

use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use crate::answer::Framing;
use crate::body::{Content, Gzip, Pieces};
use crate::members::{self, Members};
use crate::model::LineFacts;

/// An output file. By default it is not compressed, has ranges and a strong `ETag`, its length is told where it is
/// known, and the manifest tells the truth about it.
#[derive(Debug, Clone)]
pub struct ServedFile {
    pub(crate) resource_type: String,
    pub(crate) name: Option<String>,
    pub(crate) declared: Declared,
    pub(crate) role: Role,
    pub(crate) content: Content,
    pub(crate) facts: Arc<OnceLock<LineFacts>>,
    pub(crate) replacement: Option<Bytes>,
    pub(crate) compression: Compressed,
    pub(crate) framing: Option<Framing>,
    pub(crate) ranges: Ranges,
    pub(crate) validator: Validator,
    pub(crate) content_type: String,
    pub(crate) place: Place,
    pub(crate) access: Option<FileAccess>,
    pub(crate) signed: Option<Signed>,
    pub(crate) count: Option<Count>,
}

/// The type that the manifest tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Declared {
    Truly,
    As(String),
    Nothing,
}

/// Which list of the manifest a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `output`.
    Output,
    /// `error`; `outcome` from STU4 on.
    Outcome,
    /// `deleted`.
    Deleted,
}

/// Whether and how a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compressed {
    /// Identity, whatever is accepted.
    Never,
    /// `Content-Encoding: gzip` if `Accept-Encoding` names gzip.
    IfAccepted(Gzip),
    /// `Content-Encoding: gzip`, whatever is accepted.
    Always(Gzip),
    /// The file itself is a gzip file: no `Content-Encoding`, type `application/gzip`.
    Stored(Gzip),
}

/// What becomes of `Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranges {
    /// 206 and 416 (RFC 9110, section 14), where the file's length is known.
    Honoured,
    /// 200, and no `Accept-Ranges`.
    Ignored,
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validator {
    /// A strong `ETag`.
    Strong,
    /// A weak `ETag`, which no `If-Range` matches.
    Weak,
    /// `Last-Modified` alone.
    LastModified,
    /// Nothing.
    None,
    /// A strong `ETag` that is another one in every answer, although the bytes are the same.
    Changing,
}

/// The origin in a file's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// This server's.
    Here,
    /// The other origin, under `/bucket/`.
    OtherOrigin,
    /// The other origin's with this server's path, as 1upHealth's sandbox names a host of another environment.
    WrongHost,
}

/// What a file asks of `Authorization`, and what `requiresAccessToken` says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAccess {
    /// Says true; 401 without a live token.
    Token,
    /// Says false; nobody looks.
    Open,
    /// Says false; a request with `Authorization` is answered 400, as buckets do with signed URLs.
    NoToken,
}

/// URLs with a signature in the query, which die. Each time the manifest is sent it has new ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signed {
    /// So many requests are answered.
    pub requests: Option<u32>,
    /// For so long.
    pub lifetime: Option<Duration>,
}

/// What a count says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// The truth.
    True,
    /// Nothing.
    Missing,
    /// So many more, or fewer.
    Off(i64),
}

impl Count {
    pub(crate) fn of(self, truth: u64) -> Option<u64> {
        match self {
            Count::True => Some(truth),
            Count::Missing => None,
            Count::Off(by) => Some(truth.saturating_add_signed(by)),
        }
    }
}

impl ServedFile {
    /// These bytes.
    pub fn new(resource_type: &str, bytes: impl Into<Bytes>) -> ServedFile {
        ServedFile::holding(resource_type, Content::fixed(bytes.into()))
    }

    /// `seed`, `times` over, without memory for it; a seed that does not end with a line end gets one.
    pub fn repeated(resource_type: &str, seed: impl Into<Bytes>, times: u64) -> ServedFile {
        let mut seed: Bytes = seed.into();
        if !seed.ends_with(b"\n") {
            seed = [&seed[..], b"\n"].concat().into();
        }
        let facts = LineFacts::of([seed.clone()]).times(times);
        let file = ServedFile::holding(resource_type, Content::repeated(&seed, times));
        ServedFile { facts: Arc::new(OnceLock::from(facts)), ..file }
    }

    /// What `open` gives, each time the same; `lines` if it is known without a pass, all of them resources.
    pub fn streamed<I>(
        resource_type: &str,
        lines: Option<u64>,
        open: impl Fn() -> I + Send + Sync + 'static,
    ) -> ServedFile
    where
        I: Iterator<Item = Bytes> + Send + 'static,
    {
        let content = Content::Streamed(Arc::new(move || Box::new(open()) as Pieces));
        let file = ServedFile::holding(resource_type, content);
        let facts = lines
            .map_or_else(OnceLock::new, |lines| OnceLock::from(LineFacts { lines, blank: 0, bad: 0, bytes: None }));
        ServedFile { facts: Arc::new(facts), ..file }
    }

    /// A file of synthetic members, by its place in [`Members::files`]: generated while it is sent.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn generated(members: &Members, place: usize) -> ServedFile {
        let generated = members.files()[place].clone();
        let facts = LineFacts { lines: generated.lines(), blank: generated.blank, bad: generated.bad, bytes: None };
        let role = match generated.role {
            members::Role::Output => Role::Output,
            members::Role::Deleted => Role::Deleted,
            members::Role::Outcome => Role::Outcome,
        };
        let members = members.clone();
        let content = Content::Streamed(Arc::new(move || {
            let mut reader = members.open(place).into_reader();
            Box::new(std::iter::from_fn(move || read_piece(&mut reader)))
        }));
        let file = ServedFile::holding(generated.resource_type, content);
        ServedFile { name: Some(generated.name), role, facts: Arc::new(OnceLock::from(facts)), ..file }
    }

    fn holding(resource_type: &str, content: Content) -> ServedFile {
        ServedFile {
            resource_type: resource_type.to_owned(),
            name: None,
            declared: Declared::Truly,
            role: Role::Output,
            content,
            facts: Arc::default(),
            replacement: None,
            compression: Compressed::Never,
            framing: None,
            ranges: Ranges::Honoured,
            validator: Validator::Strong,
            content_type: "application/fhir+ndjson".to_owned(),
            place: Place::Here,
            access: None,
            signed: None,
            count: None,
        }
    }

    /// The last segment of its URL; by default `{Type}.{place, from 1}.ndjson`.
    #[must_use]
    pub fn named(mut self, name: &str) -> ServedFile {
        self.name = Some(name.to_owned());
        self
    }

    /// The manifest tells this type, whatever the file holds.
    #[must_use]
    pub fn declared_as(mut self, resource_type: &str) -> ServedFile {
        self.declared = Declared::As(resource_type.to_owned());
        self
    }

    /// The manifest tells no type, as in organized output.
    #[must_use]
    pub fn undeclared(mut self) -> ServedFile {
        self.declared = Declared::Nothing;
        self
    }

    /// In this list of the manifest.
    #[must_use]
    pub fn role(mut self, role: Role) -> ServedFile {
        self.role = role;
        self
    }

    /// The bytes after [`Fault::replace_file`](crate::Fault::replace_file). Model and manifest speak of the first ones.
    #[must_use]
    pub fn replaced_by(mut self, bytes: impl Into<Bytes>) -> ServedFile {
        self.replacement = Some(bytes.into());
        self
    }

    /// Compressed.
    #[must_use]
    pub fn compressed(mut self, compression: Compressed) -> ServedFile {
        self.compression = compression;
        self
    }

    /// How its end is told; by default [`Framing::Length`] where the length is known, else [`Framing::Chunked`].
    /// A length that is not known is found by making the whole body once before.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> ServedFile {
        self.framing = Some(framing);
        self
    }

    /// Whether parts of it can be had.
    #[must_use]
    pub fn ranges(mut self, ranges: Ranges) -> ServedFile {
        self.ranges = ranges;
        self
    }

    /// What tells its version.
    #[must_use]
    pub fn validator(mut self, validator: Validator) -> ServedFile {
        self.validator = validator;
        self
    }

    /// Instead of `application/fhir+ndjson`.
    #[must_use]
    pub fn content_type(mut self, content_type: &str) -> ServedFile {
        content_type.clone_into(&mut self.content_type);
        self
    }

    /// Under another origin.
    #[must_use]
    pub fn place(mut self, place: Place) -> ServedFile {
        self.place = place;
        self
    }

    /// Instead of what the scenario says of all; the manifest goes on saying that.
    #[must_use]
    pub fn access(mut self, access: FileAccess) -> ServedFile {
        self.access = Some(access);
        self
    }

    /// Under URLs that die: 403 after that.
    #[must_use]
    pub fn signed(mut self, signed: Signed) -> ServedFile {
        self.signed = Some(signed);
        self
    }

    /// Its `count` in the manifest, instead of what the personality does: 1upHealth has none, a SMART server a true
    /// one.
    #[must_use]
    pub fn count(mut self, count: Count) -> ServedFile {
        self.count = Some(count);
        self
    }

    /// Found once, by a pass over the content where it has to be.
    pub(crate) fn line_facts(&self) -> LineFacts {
        *self.facts.get_or_init(|| LineFacts::of(self.content.pieces(0, None)))
    }

    pub(crate) fn declared_type(&self) -> Option<&str> {
        match &self.declared {
            Declared::Truly => Some(&self.resource_type),
            Declared::As(resource_type) => Some(resource_type),
            Declared::Nothing => None,
        }
    }
}

/// What a generator makes before something is sent: enough for one write, little beside the generating.
const PIECE_BYTES: u64 = 128 << 10;

fn read_piece(reader: &mut impl Read) -> Option<Bytes> {
    let mut piece = Vec::with_capacity(usize::try_from(PIECE_BYTES).unwrap_or_default());
    reader.take(PIECE_BYTES).read_to_end(&mut piece).expect("a generator does no I/O");
    (!piece.is_empty()).then(|| piece.into())
}
