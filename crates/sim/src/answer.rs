//! One HTTP answer before it is sent: status, headers, body.

use bytes::Bytes;
use serde_json::json;

use crate::body::Pieces;

/// What a script, or the simulated payer, says to one request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// An empty body.
    pub fn new(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// With this header on top. `Content-Length`, `Date` and `Transfer-Encoding` are the server's.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Answer {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Answer {
        Answer::new(status).body("application/json", value.to_string())
    }

    /// An OperationOutcome of one issue; an error from 400 up.
    pub(crate) fn operation_outcome(status: u16, text: &str) -> Answer {
        let (severity, code) = if status < 400 { ("information", "informational") } else { ("error", "processing") };
        let outcome = json!({
            "resourceType": "OperationOutcome",
            "issue": [{"severity": severity, "code": code, "details": {"text": text}}]
        });
        Answer::new(status).body("application/fhir+json", outcome.to_string())
    }
}

/// How a body's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// By the end of the connection, under HTTP/1.0.
    UntilClose,
}

/// What goes over the wire.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) payload: Payload,
}

/// A body, or the part of a file that was asked for.
pub(crate) struct Payload {
    pub(crate) pieces: Pieces,
    /// In bytes, where it is known before it is sent.
    pub(crate) length: Option<u64>,
    /// Where in the file it begins.
    pub(crate) offset: u64,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        let length = Some(answer.body.len() as u64);
        let pieces: Pieces = Box::new(std::iter::once(answer.body));
        let payload = Payload { pieces, length, offset: 0 };
        Reply { status: answer.status, headers: answer.headers, framing: Framing::Length, payload }
    }
}
