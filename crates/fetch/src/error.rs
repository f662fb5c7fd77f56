//! Why a request, or the whole of an export, gives no result.
//!
//! No error holds a secret, a URL's query or a resource's content: URLs are written by [`SecretUrl`](crate::SecretUrl), and
//! of a server's free text only what [`shown`](crate::operation_outcome::shown) lets through.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Its texts are in lower case and fit after "failed to export: ".
///
/// Cheap to clone: all that waited for one token share its failure.
#[derive(Clone)]
#[non_exhaustive]
pub struct FetchError {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    status: Option<u16>,
    source: Option<Arc<dyn Error + Send + Sync>>,
    again: Again,
}

/// Whether the same request, sent again, may well succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Worthwhile,
    Useless,
}

/// What an error means for the one who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The options or the request cannot be carried out as they are; nothing was sent.
    Usage,
    /// The server or its token endpoint refuses who asks, or what is asked for (401, 403, an OAuth error).
    Auth,
    /// Going on would hand a credential, or what names patients, to an origin that the user has not named, or in the clear.
    UntrustedOrigin,
    /// The server says that the export failed, or answers in a way that leaves no export to wait for.
    ExportFailed,
    /// The server does not know the export (any more).
    NoSuchExport,
    /// The connection gave out, or the server is out of order: all retries are used.
    Transport,
    /// The server no longer hands out an output file under this URL (403, 404, 410); a new manifest may name another.
    FileExpired,
    /// An output file is not the one that was begun.
    FileChanged,
    /// What came is not what was asked for: an output file that is a gateway's HTML page, an answer that is far too long.
    NotData,
    /// The peer cannot be shown to be who it should be: certificate or handshake. Never retried.
    Tls,
}

impl FetchError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> FetchError {
        let (message, again) = (message.into(), Again::Useless);
        FetchError { inner: Arc::new(Inner { kind, message, hint: None, status: None, source: None, again }) }
    }

    /// [`ErrorKind::Transport`], and worth sending again: see [`FetchError::is_transient`].
    pub(crate) fn transient(message: impl Into<String>) -> FetchError {
        let (kind, message, again) = (ErrorKind::Transport, message.into(), Again::Worthwhile);
        FetchError { inner: Arc::new(Inner { kind, message, hint: None, status: None, source: None, again }) }
    }

    /// The same, final: that many retries are used.
    pub(crate) fn given_up(self, retries: u32) -> FetchError {
        let mut inner = Arc::unwrap_or_clone(self.inner);
        inner.again = Again::Useless;
        inner.message = match retries {
            0 => inner.message,
            1 => format!("{}, also after a retry", inner.message),
            _ => format!("{}, also after {retries} retries", inner.message),
        };
        FetchError { inner: Arc::new(inner) }
    }

    /// Whether the same request may well succeed when it is sent again. False for everything that has been ridden out
    /// already, such as a token endpoint that was out of order all along, so that loops inside loops do not multiply.
    pub(crate) fn is_transient(&self) -> bool {
        self.inner.again == Again::Worthwhile
    }

    /// Adds what to do about it: a whole sentence.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> FetchError {
        let mut inner = Arc::unwrap_or_clone(self.inner);
        inner.hint = Some(hint.into());
        FetchError { inner: Arc::new(inner) }
    }

    /// Adds the status of the answer that it tells of.
    pub(crate) fn with_status(self, status: u16) -> FetchError {
        let mut inner = Arc::unwrap_or_clone(self.inner);
        inner.status = Some(status);
        FetchError { inner: Arc::new(inner) }
    }

    /// Adds where it came from, for digging; its text must be in the message already, as far as it helps.
    pub(crate) fn with_source(self, source: impl Error + Send + Sync + 'static) -> FetchError {
        let mut inner = Arc::unwrap_or_clone(self.inner);
        inner.source = Some(Arc::new(source));
        FetchError { inner: Arc::new(inner) }
    }

    /// What it means for the one who calls.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Of a search that the server refuses, the status that says so.
    pub fn status(&self) -> Option<u16> {
        self.inner.status
    }

    /// What to do about it: a whole sentence, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        self.inner.hint.clone()
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, hint, status: _, source, again: _ } = &*self.inner;
        let mut shown = f.debug_struct("FetchError");
        shown.field("kind", kind).field("message", message);
        if let Some(hint) = hint {
            shown.field("hint", hint);
        }
        if let Some(source) = source {
            shown.field("source", source);
        }
        shown.finish()
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_there_to_decide_read_and_dig() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
        let error = FetchError::new(ErrorKind::Transport, "cannot reach a").with_hint("Wait.").with_source(io);
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert_eq!(error.to_string(), "cannot reach a");
        assert_eq!(error.clone().hint().as_deref(), Some("Wait."));
        assert_eq!(error.source().unwrap().to_string(), "reset by peer");
        assert!(format!("{error:?}").contains("reset by peer"));
    }
}
