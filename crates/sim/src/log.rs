//! Every request that came, in order, with what was answered.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;

use crate::route::Endpoint;

/// One request, and its answer as far as it has been sent.
#[derive(Debug, Clone)]
pub struct Seen {
    /// From 0, over all origins.
    pub order: usize,
    /// Since the start of the server.
    pub at: Duration,
    /// Which listener it came to.
    pub origin: Origin,
    /// What it was for.
    pub endpoint: Endpoint,
    /// GET, POST, …
    pub method: Method,
    /// As it came, percent-encoding and all.
    pub path: String,
    /// Without the question mark.
    pub query: Option<String>,
    /// What `Authorization` held.
    pub authorization: Authorization,
    /// A token, the client's secret or an assertion came with it, wherever in it.
    pub carries_secret: bool,
    /// The header of this name.
    pub range: Option<String>,
    /// The header of this name.
    pub if_range: Option<String>,
    /// The header of this name.
    pub accept: Option<String>,
    /// The header of this name.
    pub prefer: Option<String>,
    /// The header of this name.
    pub accept_encoding: Option<String>,
    /// The header of this name.
    pub user_agent: Option<String>,
    /// What came in it.
    pub body: RequestBody,
    /// How long before an earlier answer's `Retry-After` for the same method and path ran out it came. None if it was
    /// not too early.
    pub too_early_by: Option<Duration>,
    /// 0 until an answer was begun, and for ever where none was.
    pub status: u16,
    /// Of the answer's body, as handed to the connection: after compression, without chunk sizes.
    pub body_bytes: u64,
    /// The answer went out whole.
    pub finished: bool,
}

/// A listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The one that a client is configured with.
    Main,
    /// The second one.
    Other,
    /// Plain http beside TLS; there is none without TLS.
    Plain,
}

/// What an `Authorization` header held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// There was none.
    None,
    /// A bearer token of this server's: 0 is the ready one, the others are numbered as they were handed out.
    Token(usize),
    /// A bearer token that this server never handed out.
    UnknownToken,
    /// HTTP Basic.
    Basic,
    /// Something else.
    Other,
}

/// A request's body; `Debug` tells its length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestBody(pub Bytes);

impl fmt::Debug for RequestBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

/// Bytes of a body are counted without a word to those who wait, so they look again by themselves.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Shared by all connections.
#[derive(Debug)]
pub(crate) struct Log {
    started: Instant,
    entries: Mutex<Vec<Arc<Entry>>>,
    changed: Condvar,
}

/// A request whose answer may be on its way.
#[derive(Debug)]
pub(crate) struct Entry {
    seen: Seen,
    status: AtomicU16,
    body_bytes: AtomicU64,
    finished: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finished {
    Yes,
    No,
}

impl Entry {
    pub(crate) fn set_status(&self, status: u16) {
        self.status.store(status, Relaxed);
    }

    pub(crate) fn count(&self, bytes: usize) {
        self.body_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn set_finished(&self, finished: Finished) {
        self.finished.store(finished == Finished::Yes, Relaxed);
    }

    fn snapshot(&self) -> Seen {
        Seen {
            status: self.status.load(Relaxed),
            body_bytes: self.body_bytes.load(Relaxed),
            finished: self.finished.load(Relaxed),
            ..self.seen.clone()
        }
    }
}

impl Log {
    pub(crate) fn new() -> Log {
        Log { started: Instant::now(), entries: Mutex::default(), changed: Condvar::new() }
    }

    /// Notes a request; its order and time are set here.
    pub(crate) fn add(&self, seen: Seen) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Seen { order: entries.len(), at: self.started.elapsed(), ..seen };
        let entry = Arc::new(Entry {
            seen,
            status: AtomicU16::new(0),
            body_bytes: AtomicU64::new(0),
            finished: AtomicBool::new(false),
        });
        entries.push(Arc::clone(&entry));
        self.changed.notify_all();
        entry
    }

    /// An answer was begun or ended.
    pub(crate) fn tell(&self) {
        drop(self.entries.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|entry| entry.snapshot()).collect()
    }

    /// Waits until the log is as wanted; false if it is not in time.
    pub(crate) fn wait_until(&self, timeout: Duration, wanted: impl Fn(&[Seen]) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let seen: Vec<_> = entries.iter().map(|entry| entry.snapshot()).collect();
            if wanted(&seen) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(entries, left.min(LOOK_AGAIN));
            entries = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
