//! The time, injected, so that a test decides what a run is named and dated.

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
