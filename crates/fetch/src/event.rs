//! What happens while an export is fetched, told as it happens.

use std::time::Duration;

use crate::kick_off::PollingLocation;
use crate::secret_url::SecretUrl;
use crate::status::Running;

/// Hears of everything. It is called between requests, from any thread, and must not block.
pub trait FetchObserver: Send + Sync {
    /// Something happened.
    fn fetch_event(&self, event: FetchEvent<'_>);
}

/// Hears nothing.
impl FetchObserver for () {
    fn fetch_event(&self, _: FetchEvent<'_>) {}
}

/// What happened. No event holds a secret.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum FetchEvent<'a> {
    /// The token endpoint gave an access token.
    TokenObtained {
        /// How long it lives, as far as the endpoint says.
        seconds: Option<u64>,
    },
    /// The kick-off is about to be sent. From here on the server may have an export that nobody knows the location of.
    KickOffSent {
        /// Where to.
        url: &'a SecretUrl,
    },
    /// The server has begun an export.
    Accepted {
        /// Where its status is told.
        location: &'a PollingLocation,
    },
    /// The export is still running.
    StatusAnswered {
        /// How far it is.
        running: &'a Running,
    },
    /// Something transient went wrong, and is tried again.
    Retry {
        /// Such as `output file`.
        what: &'a str,
        /// From 1.
        attempt: u32,
        /// How many there are.
        of: u32,
        /// How long is waited first.
        wait: Duration,
        /// A clause.
        why: &'a str,
    },
    /// A host is asked for more, or fewer, output files at a time.
    Concurrency {
        /// As in its URLs.
        host: &'a str,
        /// How many from now on.
        now: usize,
    },
    /// Something that the user should know and that does not end the export: a sentence.
    Warning(&'a str),
}
