//! One large line in memory at a time, in the whole run.
//!
//! Whoever reads a line that grows beyond its file's share asks the gate; the pass goes with the line's bytes, and opens the
//! gate when it is dropped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lets one large line into memory at a time.
#[derive(Debug, Default)]
pub(crate) struct LargeLineGate {
    taken: Mutex<bool>,
    left: Condvar,
}

/// The right to hold a large line.
#[derive(Debug)]
pub(crate) struct LargeLinePass {
    gate: Arc<LargeLineGate>,
}

impl LargeLineGate {
    /// None while another line is in memory.
    pub(crate) fn enter(gate: &Arc<LargeLineGate>) -> Option<LargeLinePass> {
        let was_taken = std::mem::replace(&mut *gate.taken(), true);
        (!was_taken).then(|| LargeLinePass { gate: Arc::clone(gate) })
    }

    /// Waits until a line has left, but no longer than `at_most`.
    pub(crate) fn wait(&self, at_most: Duration) {
        drop(self.left.wait_timeout(self.taken(), at_most));
    }

    fn taken(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LargeLinePass {
    fn drop(&mut self) {
        *self.gate.taken() = false;
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_line_at_a_time() {
        let gate = Arc::default();
        let first = LargeLineGate::enter(&gate);
        assert!(first.is_some() && LargeLineGate::enter(&gate).is_none());
        drop(first);
        assert!(LargeLineGate::enter(&gate).is_some());
    }
}
