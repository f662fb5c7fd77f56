//! An output file's bytes, as they were sent, each once and in order, whatever happens to the connections.
//!
//! In goes a manifest's entry; out come chunks until the whole body is proven as far as HTTP can. A file that breaks off is
//! taken up where it did, by another process too ([`FileVersion`]). What is not the same file any more, or no file at all, is
//! an error, never bytes. Nothing is decompressed here.

mod version;
mod answer;
mod bytes_seen;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use crate::concurrency::{Hosts, Permit};
use crate::error::{ErrorKind, FetchError};
use crate::http::{Answer, Attempts, Credentials, Http, Outgoing};
use crate::manifest::OutputFile;
use crate::origin::{Origin, untrusted};
use crate::retry::Backoff;

use answer::{Ask, Asked, End, Verdict, judge};
use bytes_seen::{Check, Seen};
pub use version::FileVersion;

/// How a file's length was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthProof {
    /// By `Content-Length`, by the end of a chunked body, or by the answer to a request for what follows.
    Length,
    /// By nothing: the server closed the connection and cannot tell more. Also while the file has not ended.
    Unverified,
}

/// The bytes of one output file.
///
/// While a body is open, it holds one of its host's permits: many streams of one client must be read independently of each
/// other, or none gets on. Dropping a call of [`FileStream::next`] before it is done loses nothing.
pub struct FileStream {
    http: Http,
    hosts: Arc<Hosts>,
    file: OutputFile,
    /// Which version of the file is read, once there is one.
    version: Option<FileVersion>,
    begun: Begun,
    /// What has been handed out, here.
    seen: Seen,
    body: Option<Body>,
    ranges: Ranges,
    /// The length at which a body ended that had no end of its own; the next answer is to tell whether there is more.
    unproven_end: Option<u64>,
    proof: Option<LengthProof>,
    backoff: Backoff,
    /// Bytes handed out since the last failure.
    progress_bytes: u64,
}

/// An answer that is being read.
struct Body {
    answer: Answer,
    permit: Permit,
    /// What comes again, to be held against what was handed out.
    check: Option<Check>,
    end: End,
    /// When the last chunk went out.
    handed_out: Instant,
}

/// Who has handed out the file's first bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    Here,
    /// An earlier process, whose bytes and ours must be of one version.
    Before,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ranges {
    /// They work, as far as is known.
    Try,
    /// The server does something else.
    Useless,
}

const WHAT: &str = "output file";
/// Less is not a stream that goes on: it must not make the retries endless. A TLS record holds as much.
const PROGRESS_BYTES: u64 = 16 << 10;

/// A failure, and whether another try is worthwhile: with what the server asked to wait.
struct Failed {
    error: FetchError,
    again: Option<Option<Duration>>,
}

impl Failed {
    fn finally(error: FetchError) -> Failed {
        Failed { error, again: None }
    }

    fn for_now(error: FetchError, asked: Option<Duration>) -> Failed {
        Failed { error, again: Some(asked) }
    }
}

impl From<FetchError> for Failed {
    fn from(error: FetchError) -> Failed {
        let again = error.is_transient().then_some(None);
        Failed { error, again }
    }
}

impl FileStream {
    /// Asks for nothing yet.
    pub(crate) fn new(http: Http, hosts: Arc<Hosts>, file: &OutputFile) -> FileStream {
        let backoff = Backoff::new(http.options().patience);
        FileStream {
            http,
            hosts,
            file: file.clone(),
            version: None,
            begun: Begun::Here,
            seen: Seen::from(0, false),
            body: None,
            ranges: Ranges::Try,
            unproven_end: None,
            proof: None,
            backoff,
            progress_bytes: 0,
        }
    }

    /// From `position` on, of the version that an earlier process has begun. Asks for nothing yet.
    pub(crate) fn continuing(
        http: Http,
        hosts: Arc<Hosts>,
        file: &OutputFile,
        begun: &FileVersion,
        position: u64,
    ) -> FileStream {
        FileStream {
            version: Some(begun.clone()),
            begun: Begun::Before,
            seen: Seen::from(position, false),
            ..FileStream::new(http, hosts, file)
        }
    }

    /// The next bytes as the server sent them, content coding included; `None` once the whole body has come.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::FileExpired`]: ask the manifest again, and [`move_to`](FileStream::move_to) what it names now.
    /// [`ErrorKind::FileChanged`]: what was handed out and what would follow do not belong together; the file has to be
    /// begun anew. [`ErrorKind::NotData`], [`ErrorKind::Auth`], [`ErrorKind::UntrustedOrigin`], [`ErrorKind::Tls`].
    /// [`ErrorKind::Transport`] once the retries are used; another call begins with all of them again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while self.proof.is_none() {
            let step = if self.body.is_some() { self.read().await } else { self.open().await.map(|()| None) };
            let failed = match step {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => continue,
                Err(failed) => failed,
            };
            // The permit goes back while this one waits.
            self.body = None;
            let Some(asked) = failed.again else { return Err(failed.error) };
            if std::mem::take(&mut self.progress_bytes) >= PROGRESS_BYTES {
                self.backoff.reset();
            }
            let ridden_out = self.http.ride_out((failed.error, asked), WHAT, &mut self.backoff).await;
            ridden_out.inspect_err(|_| self.backoff.reset())?;
        }
        Ok(None)
    }

    /// How the length was proven, once [`FileStream::next`] has given `None`.
    pub fn proof(&self) -> LengthProof {
        self.proof.unwrap_or(LengthProof::Unverified)
    }

    /// The byte of the file with which what [`FileStream::next`] hands out begins; settled once it has returned bytes or
    /// `None`.
    ///
    /// 0, but for [`Client::file_from`](crate::Client::file_from): there it is the position asked for, or 0 where the server
    /// does not hand out the file from there on. Bytes between the two come again, and it is for the caller to hold them
    /// against what it knows.
    pub fn start(&self) -> u64 {
        self.seen.start()
    }

    /// The version that is read: what was begun by an earlier process, or else what the first answer says; `None` before
    /// that. Settled like [`FileStream::start`], but for a length that is stated later.
    pub fn version(&self) -> Option<FileVersion> {
        self.version.clone()
    }

    /// The file's length as the server stated it, in this process or an earlier one: `Content-Length`, or the total of a
    /// `Content-Range`. `None` if it never did; what was counted is not in it.
    pub fn stated_bytes(&self) -> Option<u64> {
        self.version.as_ref().and_then(FileVersion::total_bytes)
    }

    /// The same file under another URL, from the byte on that comes next. That it is the same is held against validators
    /// and bytes, as after any interruption.
    pub fn move_to(&mut self, file: &OutputFile) {
        self.file = file.clone();
        self.body = None;
        self.ranges = Ranges::Try;
        self.backoff.reset();
    }

    /// The version that whatever follows has to be of. Until bytes are handed out, any may come.
    fn begun(&self) -> Option<&FileVersion> {
        self.version.as_ref().filter(|_| self.begun == Begun::Before || !self.seen.is_empty())
    }

    /// The validator that tells the server which version a range is wanted of.
    fn if_range(&self) -> Option<&HeaderValue> {
        self.version.as_ref().and_then(FileVersion::if_range)
    }

    /// What to ask for next.
    fn ask(&self) -> Ask {
        let position = self.seen.position();
        if self.ranges == Ranges::Useless || (position == 0 && self.unproven_end.is_none()) {
            return Ask::Whole;
        }
        if self.if_range().is_some() {
            return Ask::From(position);
        }
        // Where no validator can tell that the file is the same, the last bytes are asked for again. An earlier process
        // has left none: there only the whole file will do.
        match self.seen.tail().len() as u64 {
            0 if position > 0 => Ask::Whole,
            again => Ask::From(position - again),
        }
    }

    fn request(&self, ask: Ask) -> Result<Outgoing, FetchError> {
        let url = self.file.url.expose().clone();
        let credentials = if self.file.requires_access_token { Credentials::Bearer } else { Credentials::None };
        if credentials == Credentials::Bearer && !self.http.origins().may_have_credentials(&url) {
            return Err(untrusted(&url, WHAT, "demands the access token"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/fhir+ndjson"));
        // What goes on must be coded as what was begun; `gzip` alone leaves the choice.
        let plain = self.begun().is_some_and(FileVersion::is_plain);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(if plain { "identity" } else { "gzip" }));
        if let Ask::From(start) = ask {
            headers.insert(RANGE, HeaderValue::try_from(format!("bytes={start}-")).expect("digits are legal"));
            if let Some(validator) = self.if_range() {
                headers.insert(IF_RANGE, validator.clone());
            }
        }
        let (method, attempts) = (Method::GET, Attempts::Once);
        Ok(Outgoing { method, url, headers, body: None, credentials, attempts, what: WHAT })
    }

    /// Asks for what comes next.
    async fn open(&mut self) -> Result<(), Failed> {
        let ask = self.ask();
        let outgoing = self.request(ask)?;
        let host = Origin::of(&outgoing.url).map(|origin| origin.to_string()).unwrap_or_default();
        let permit = self.hosts.permit(&host).await;
        let began = Instant::now();
        let answer = self.http.send(&outgoing).await?;
        permit.received(0, began.elapsed(), Duration::ZERO);
        if matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            permit.refused();
        }
        let at_an_end = self.unproven_end == Some(self.seen.position());
        let asked = Asked {
            ask,
            position: self.seen.position(),
            start: self.seen.start(),
            hashed: self.seen.is_hashed(),
            begun: self.begun(),
            at_an_end,
            with_token: self.file.requires_access_token,
        };
        match judge(&asked, answer.status(), answer.headers()) {
            Verdict::Body { start, version, has_ranges, end } => {
                self.learn(start, version);
                if start == 0 && at_an_end && self.settled_without_reading() {
                    return Ok(());
                }
                if self.seen.is_empty() {
                    // Should the body break off, it will be gone on with by its tag.
                    let tagged = self.version.as_ref().is_some_and(FileVersion::has_strong_etag);
                    self.seen = Seen::from(start, has_ranges && tagged);
                }
                let check = self.seen.check_from(start);
                self.body = Some(Body { answer, permit, check, end, handed_out: Instant::now() });
                self.arrived();
                Ok(())
            }
            Verdict::Complete { total_bytes } => {
                let version = self.version.take().unwrap_or_default();
                let total_bytes = total_bytes.or(version.total_bytes());
                self.version = Some(version.with_total(total_bytes));
                self.proof = Some(LengthProof::Length);
                Ok(())
            }
            Verdict::RangesUseless => {
                self.ranges = Ranges::Useless;
                Ok(())
            }
            Verdict::NotNow(error) => {
                let asked = self.http.retry_after(answer.headers());
                answer.discard().await;
                Err(Failed::for_now(error, asked))
            }
            Verdict::Final(error) => Err(Failed::finally(error)),
        }
    }

    /// Takes over what an answer says whose body starts at `start`.
    fn learn(&mut self, start: u64, answered: FileVersion) {
        let known = self.begun().cloned().unwrap_or_default();
        let total_bytes = answered.total_bytes().or(known.total_bytes());
        // A body of the whole file, of which nothing is out, stands for itself: what it does not say, such as a tag that
        // only some servers behind a name send, must not vouch for its bytes.
        let stands_for_itself = self.begun().is_none() || (self.seen.is_empty() && start == 0);
        let version = if stands_for_itself { answered } else { known };
        self.version = Some(version.with_total(total_bytes));
    }

    /// A server without ranges sends the whole file again where only its end was in doubt: whether that is worth reading.
    ///
    /// A length settles it. Without one, a file that ended with a line is believed.
    fn settled_without_reading(&mut self) -> bool {
        let position = self.seen.position();
        self.proof = match self.stated_bytes() {
            Some(total) if total == position => Some(LengthProof::Length),
            None if self.seen.ends_a_line() => Some(LengthProof::Unverified),
            _ => None,
        };
        self.proof.is_some()
    }

    /// A body of no more than has been handed out already, such as an empty one, is done before it is read.
    fn arrived(&mut self) {
        let checking = self.body.as_ref().is_some_and(|body| body.check.is_some());
        if !checking && self.stated_bytes() == Some(self.seen.position()) {
            self.proof = Some(LengthProof::Length);
            self.body = None;
        }
    }

    /// Reads on. `None`: nothing to hand out this time.
    async fn read(&mut self) -> Result<Option<Bytes>, Failed> {
        let Some(body) = &mut self.body else { return Ok(None) };
        let ours = body.handed_out.elapsed();
        let began = Instant::now();
        let chunk = body.answer.chunk().await?;
        let length = chunk.as_ref().map_or(0, Bytes::len);
        body.permit.received(length, began.elapsed(), ours);
        body.handed_out = Instant::now();
        let Some(mut bytes) = chunk else { return self.ended().map(|()| None) };
        if let Some(check) = &mut body.check {
            let same = check.hold_against(&mut bytes);
            if same == Some(false) {
                return Err(Failed::finally(changed("what was handed out before is not in it any more")));
            }
            if same == Some(true) {
                body.check = None;
                self.arrived();
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let position = self.seen.position() + bytes.len() as u64;
        let stated_bytes = self.stated_bytes();
        if stated_bytes.is_some_and(|total| position > total) {
            return Err(Failed::finally(changed("it is longer than the server said")));
        }
        if self.seen.begins_with_markup(&bytes) {
            let origin = Origin::of(self.file.url.expose()).map(|origin| origin.to_string()).unwrap_or_default();
            let message = format!("what {origin} sent as the {WHAT} begins with <: it is markup, not NDJSON");
            return Err(Failed::for_now(FetchError::new(ErrorKind::NotData, message), None));
        }
        self.seen.add(&bytes);
        self.progress_bytes += bytes.len() as u64;
        if stated_bytes == Some(position) {
            self.proof = Some(LengthProof::Length);
            self.body = None;
        }
        Ok(Some(bytes))
    }

    /// The body has ended, as far as HTTP tells.
    fn ended(&mut self) -> Result<(), Failed> {
        let Some(body) = self.body.take() else { return Ok(()) };
        let (position, stated_bytes) = (self.seen.position(), self.stated_bytes());
        let short = || {
            let message = match stated_bytes {
                Some(total) => format!("the {WHAT} ended after {position} of {total} bytes"),
                None => format!("the {WHAT} ended earlier than before"),
            };
            Failed::for_now(FetchError::transient(message), None)
        };
        if body.check.is_some() || stated_bytes.is_some_and(|total| position < total) {
            return Err(short());
        }
        if body.end == End::Told {
            self.proof = Some(LengthProof::Length);
        } else if self.unproven_end == Some(position) {
            // Asked again, and nothing more came: the server knows no better.
            self.proof = Some(LengthProof::Unverified);
        } else {
            self.unproven_end = Some(position);
            if self.ranges == Ranges::Useless {
                self.settled_without_reading();
            }
        }
        Ok(())
    }
}

fn changed(why: &str) -> FetchError {
    FetchError::new(ErrorKind::FileChanged, format!("the {WHAT} has changed on the server since it was begun: {why}"))
}

#[cfg(test)]
mod tests;
