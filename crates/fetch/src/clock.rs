//! The time, injected, so that a test decides what a run is dated and need not wait for what it waits for.
//!
//! Waits that the program decides on (a pause between status requests, a retry's backoff) and the ages of tokens go through
//! a [`Clock`]. Timeouts on a socket do not: they measure a peer, and run on the runtime's own time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;

/// A future behind a pointer, so that a trait with async methods can be an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the time and lets it pass.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Is ready once `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// The machine's clock. Sleeping needs a tokio runtime with its time driver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
