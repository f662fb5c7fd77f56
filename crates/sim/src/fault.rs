//! What goes wrong, where and when: the script of a [`Sim`](crate::Sim).
//!
//! A [`Rule`] is three things: which requests ([`Target`]), which of them ([`When`]), and what happens then
//! ([`Fault`]). A fault may replace the answer (a status, a redirect, a page of HTML), spoil the way in which it is
//! sent (a reset, a stall, a drip), or both: [`Fault::and`] joins two. Nothing here does I/O.

use std::time::{Duration, SystemTime};

use crate::answer::Answer;
use crate::route::Endpoint;

/// Requests that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Those of one endpoint; `Endpoint::File(0)` is the first output file.
    One(Endpoint),
    /// The output file of this name. A `&str` becomes one.
    Named(String),
    /// All output files, counted together: `When::First(2)` is two requests in all.
    AnyFile,
    /// All output files, counted one by one: `When::First(2)` is two requests of each.
    EachFile,
    /// Every request that has an endpoint.
    Any,
}

impl From<Endpoint> for Target {
    fn from(endpoint: Endpoint) -> Self {
        Target::One(endpoint)
    }
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Target::Named(name.to_owned())
    }
}

/// Which of a target's requests, counted from 1 since the rule was set.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum When {
    /// Every one.
    Always,
    /// The first n.
    First(u32),
    /// The nth alone.
    Nth(u32),
    /// The nth and all that follow.
    From(u32),
    /// Each with this probability, drawn from the scenario's seed.
    Chance(f64),
}

/// One line of the script.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) target: Target,
    pub(crate) when: When,
    pub(crate) fault: Fault,
}

impl Rule {
    /// What [`Scenario::fault`](crate::Scenario::fault) takes, for [`Sim::set_faults`](crate::Sim::set_faults).
    pub fn new(target: impl Into<Target>, when: When, fault: Fault) -> Rule {
        Rule { target: target.into(), when, fault }
    }
}

/// A byte of a body, as it goes over the wire: after compression, without chunk sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// After n bytes of this answer's body; a number becomes this. 0 is after the headers.
    Body(u64),
    /// After the first n bytes of the output file, wherever this answer begins: a client that resumes behind it gets
    /// nothing.
    File(u64),
    /// So many bytes before the end of the body.
    FromEnd(u64),
}

impl From<u64> for At {
    fn from(bytes: u64) -> Self {
        At::Body(bytes)
    }
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// TCP RST: the client's read fails.
    Reset,
    /// FIN: the client sees an end of the stream that HTTP may or may not know to be early.
    Close,
}

/// What a `Retry-After` header says. A number of seconds becomes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryAfter {
    /// Seconds.
    Seconds(u64),
    /// An HTTP date this far from the moment of the answer, rounded down to the second.
    Date(Duration),
    /// Anything: `soon`, `-5`, `1795319406`.
    Text(String),
}

impl From<u64> for RetryAfter {
    fn from(seconds: u64) -> Self {
        RetryAfter::Seconds(seconds)
    }
}

impl From<&str> for RetryAfter {
    fn from(text: &str) -> Self {
        RetryAfter::Text(text.to_owned())
    }
}

impl RetryAfter {
    pub(crate) fn header(&self) -> String {
        match self {
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::Date(from_now) => httpdate::fmt_http_date(SystemTime::now() + *from_now),
            RetryAfter::Text(text) => text.clone(),
        }
    }
}

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectTo {
    /// The URL that was asked for.
    Itself,
    /// The same path and query at the other origin.
    OtherOrigin,
    /// The same path and query over plain http: with TLS a listener of its own, else the main one.
    PlainHttp,
    /// The URL that was asked for, with `user:password@` before its host.
    Userinfo,
    /// Any text; `{origin}`, `{other_origin}` and `{plain_origin}` are filled in.
    Url(String),
}

/// How a 206 is wrong. The bytes are those that the range asked for, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WrongRange {
    /// `Content-Range` and bytes begin one byte later than asked.
    LaterStart,
    /// `Content-Range` and bytes begin at 0.
    FromZero,
    /// `Content-Range` tells a total that is one byte longer than the file.
    OtherTotal,
    /// No `Content-Range`.
    NoContentRange,
    /// `Content-Range` cannot be parsed.
    Nonsense,
    /// It comes although `If-Range` names another version of the file.
    DespiteIfRange,
}

/// What happens to one request's answer. See the [crate's table](crate#faults).
#[derive(Debug, Clone, Default)]
pub struct Fault {
    pub(crate) instead: Option<Instead>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) wrong_range: Option<WrongRange>,
    pub(crate) delivery: Delivery,
}

/// What is answered instead of the truth.
#[derive(Debug, Clone)]
pub(crate) enum Instead {
    Answer(Answer),
    Redirect(u16, RedirectTo),
    /// Not even headers.
    Nothing(Hangup),
}

/// What changes before the answer is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    RevokeTokens,
    ReplaceFile,
    ExpireSignedUrls,
    ExpireCursors,
}

/// The way in which an answer is sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delivery {
    pub(crate) header_delay: Option<Duration>,
    pub(crate) cut: Option<(At, Hangup)>,
    pub(crate) stall: Option<(At, Duration)>,
    pub(crate) drip: Option<(usize, Duration)>,
    pub(crate) flip: Option<At>,
}

impl Fault {
    fn answering(answer: Answer) -> Fault {
        Fault { instead: Some(Instead::Answer(answer)), ..Fault::default() }
    }

    /// This status with an empty body; see [`Fault::body`].
    pub fn status(status: u16) -> Fault {
        Fault::answering(Answer::new(status))
    }

    /// Any answer.
    pub fn answer(answer: Answer) -> Fault {
        Fault::answering(answer)
    }

    /// This status with an OperationOutcome that says `text`.
    pub fn operation_outcome(status: u16, text: &str) -> Fault {
        Fault::answering(Answer::operation_outcome(status, text))
    }

    /// 200 and a page of HTML, as a proxy or a login wall sends it.
    pub fn html() -> Fault {
        let page = "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Back soon.</body></html>\n";
        Fault::answering(Answer::new(200).body("text/html; charset=utf-8", page))
    }

    /// 200 and nothing.
    pub fn empty() -> Fault {
        Fault::answering(Answer::new(200).body("application/fhir+ndjson", ""))
    }

    /// 200 and this text as the manifest; `{origin}`, `{other_origin}` and `{plain_origin}` are filled in.
    pub fn manifest(text: impl Into<String>) -> Fault {
        Fault::answering(Answer::new(200).body("application/json", text.into()))
    }

    /// A redirect with this status (301, 302, 303, 307, 308).
    pub fn redirect(status: u16, to: RedirectTo) -> Fault {
        Fault { instead: Some(Instead::Redirect(status, to)), ..Fault::default() }
    }

    /// The connection ends before any header.
    pub fn no_answer(hangup: Hangup) -> Fault {
        Fault { instead: Some(Instead::Nothing(hangup)), ..Fault::default() }
    }

    /// The connection is reset at this byte of the body. A byte that the body does not have is no fault.
    pub fn reset_at(at: impl Into<At>) -> Fault {
        Fault::delivered(Delivery { cut: Some((at.into(), Hangup::Reset)), ..Delivery::default() })
    }

    /// The connection is closed in good order at this byte of the body: too few bytes for `Content-Length`, no last
    /// chunk.
    pub fn truncate_at(at: impl Into<At>) -> Fault {
        Fault::delivered(Delivery { cut: Some((at.into(), Hangup::Close)), ..Delivery::default() })
    }

    /// Nothing is sent for so long, then the answer.
    pub fn stall_headers(pause: Duration) -> Fault {
        Fault::delivered(Delivery { header_delay: Some(pause), ..Delivery::default() })
    }

    /// Nothing is sent for so long at this byte of the body, then the rest.
    pub fn stall_at(at: impl Into<At>, pause: Duration) -> Fault {
        Fault::delivered(Delivery { stall: Some((at.into(), pause)), ..Delivery::default() })
    }

    /// The body comes in pieces of `bytes`, one every `interval`.
    pub fn drip(bytes: usize, interval: Duration) -> Fault {
        Fault::delivered(Delivery { drip: Some((bytes.max(1), interval)), ..Delivery::default() })
    }

    /// The byte behind `at` has its lowest bit flipped; lengths and validators say nothing of it.
    pub fn flip_at(at: impl Into<At>) -> Fault {
        Fault::delivered(Delivery { flip: Some(at.into()), ..Delivery::default() })
    }

    /// A 206 that is wrong; a request without `Range` gets its true answer.
    pub fn wrong_range(how: WrongRange) -> Fault {
        Fault { wrong_range: Some(how), ..Fault::default() }
    }

    /// All tokens handed out so far die now, this request's too.
    pub fn revoke_tokens() -> Fault {
        Fault { effects: vec![Effect::RevokeTokens], ..Fault::default() }
    }

    /// The output file becomes what [`ServedFile::replaced_by`](crate::ServedFile::replaced_by) gave, with another
    /// validator, from now on.
    pub fn replace_file() -> Fault {
        Fault { effects: vec![Effect::ReplaceFile], ..Fault::default() }
    }

    /// All signed URLs handed out so far are dead from now on, this request's too.
    pub fn expire_signed_urls() -> Fault {
        Fault { effects: vec![Effect::ExpireSignedUrls], ..Fault::default() }
    }

    /// All further pages of the searches so far answer 410 from now on, this request too.
    pub fn expire_cursors() -> Fault {
        Fault { effects: vec![Effect::ExpireCursors], ..Fault::default() }
    }

    fn delivered(delivery: Delivery) -> Fault {
        Fault { delivery, ..Fault::default() }
    }

    /// With this body; a fault that replaced no answer replaces it with a 200 now. `{origin}`, `{other_origin}` and
    /// `{plain_origin}` are filled in.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<String>) -> Fault {
        let answer = match self.instead.take() {
            Some(Instead::Answer(answer)) => answer,
            Some(Instead::Redirect(status, _)) => Answer::new(status),
            Some(Instead::Nothing(_)) | None => Answer::new(200),
        };
        self.instead = Some(Instead::Answer(answer.body(content_type, body.into())));
        self
    }

    /// With this header on top.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Fault {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With `Retry-After`: seconds, or text, or [`RetryAfter::Date`].
    #[must_use]
    pub fn retry_after(mut self, after: impl Into<RetryAfter>) -> Fault {
        self.retry_after = Some(after.into());
        self
    }

    /// Both; where both say something about the same thing, `other` does.
    #[must_use]
    pub fn and(self, other: Fault) -> Fault {
        Fault {
            instead: other.instead.or(self.instead),
            headers: [self.headers, other.headers].concat(),
            retry_after: other.retry_after.or(self.retry_after),
            effects: [self.effects, other.effects].concat(),
            wrong_range: other.wrong_range.or(self.wrong_range),
            delivery: Delivery {
                header_delay: other.delivery.header_delay.or(self.delivery.header_delay),
                cut: other.delivery.cut.or(self.delivery.cut),
                stall: other.delivery.stall.or(self.delivery.stall),
                drip: other.delivery.drip.or(self.delivery.drip),
                flip: other.delivery.flip.or(self.delivery.flip),
            },
        }
    }
}
