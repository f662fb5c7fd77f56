//! Wakes workers that have nothing to read. In goes a ring from whoever brings bytes or files; out comes the end of a
//! wait. A ring between a look and the wait that follows it is not lost.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Rings for all who wait.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rings: u64,
    waiting: usize,
}

impl Bell {
    /// How often it has rung; to be asked for before one looks whether there is something to do.
    pub(crate) fn rings(&self) -> u64 {
        self.state().rings
    }

    /// Something has changed.
    pub(crate) fn ring(&self) {
        let mut state = self.state();
        state.rings += 1;
        if state.waiting > 0 {
            self.rung.notify_all();
        }
    }

    /// Waits until it has rung more than `heard` times, but no longer than `at_most`.
    pub(crate) fn wait(&self, heard: u64, at_most: Duration) {
        let mut state = self.state();
        state.waiting += 1;
        let (mut state, _) = self
            .rung
            .wait_timeout_while(state, at_most, |state| state.rings == heard)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_heard() {
        let bell = Bell::default();
        let heard = bell.rings();
        bell.ring();
        let begun = Instant::now();
        bell.wait(heard, Duration::from_secs(60));
        assert!(begun.elapsed() < Duration::from_secs(30));
        bell.wait(bell.rings(), Duration::from_millis(1));
        assert_eq!(bell.state().waiting, 0);
    }

    #[test]
    fn a_ring_wakes_all() {
        let bell = Bell::default();
        let heard = bell.rings();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| bell.wait(heard, Duration::from_secs(60)));
            }
            while bell.state().waiting < 3 {
                std::thread::yield_now();
            }
            bell.ring();
        });
    }
}
