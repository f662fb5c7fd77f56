//! Between a socket and the workers: the bytes of one output file that have arrived and are not read yet, never more
//! than its room.
//!
//! In go [`Bytes`] as the server sent them; a sender that finds no room waits until half of it is free, so that the socket
//! waits too. Out they come through [`Read`], which says [`io::ErrorKind::WouldBlock`] where nothing is there yet.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::bell::Bell;

/// One output file on its way in.
#[derive(Debug)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    /// Told when bytes were taken and half of the room or more is free. Woken for each piece that is taken, the sender would
    /// fetch one and sleep again, on a core whose caches were just filled for a worker.
    half_is_free: Notify,
    room_bytes: usize,
    bell: Arc<Bell>,
    start: u64,
}

#[derive(Debug, Default)]
struct State {
    /// The right to have bytes in memory. It ends with the reader: a small file has come long before it is read.
    slot: Option<OwnedSemaphorePermit>,
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    end: Option<PipeEnd>,
}

/// How a file's bytes ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PipeEnd {
    /// All have come, and their number is proven.
    Whole {
        /// As the server stated it.
        stated_bytes: Option<u64>,
    },
    /// All have come that the server sent; it did not say how many there are.
    UnverifiedLength,
    /// The server does not have it any more, or refuses it. A clause.
    Lost(String),
}

impl Pipe {
    /// `slot` is given back once the file is read. `start`: which byte of the file the first one is.
    pub(crate) fn new(room_bytes: usize, bell: Arc<Bell>, slot: Option<OwnedSemaphorePermit>, start: u64) -> Pipe {
        let state = Mutex::new(State { slot, ..State::default() });
        Pipe { state, half_is_free: Notify::new(), room_bytes, bell, start }
    }

    /// Which byte of the file the first one is.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Adds bytes if there is room for them, or once half of it is free; into an empty pipe any number goes. One sender a pipe.
    pub(crate) async fn push(&self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        loop {
            // Made before the look, so that bytes taken between look and wait are not missed.
            let half_is_free = self.half_is_free.notified();
            {
                let mut state = self.state();
                if state.queued_bytes == 0 || state.queued_bytes + bytes.len() <= self.room_bytes {
                    let was_empty = state.queued_bytes == 0;
                    state.queued_bytes += bytes.len();
                    state.queue.push_back(bytes);
                    drop(state);
                    if was_empty {
                        self.bell.ring();
                    }
                    return;
                }
            }
            half_is_free.await;
        }
    }

    /// No more comes.
    pub(crate) fn end(&self, end: PipeEnd) {
        self.state().end = Some(end);
        self.bell.ring();
    }

    /// Bytes that wait to be read; None if nothing is there and something may come. The end counts as a byte.
    pub(crate) fn ready(&self) -> Option<usize> {
        let state = self.state();
        if state.end.is_some() {
            Some(state.queued_bytes + 1)
        } else {
            Some(state.queued_bytes).filter(|&bytes| bytes > 0)
        }
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<PipeEnd> {
        self.state().end.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what comes through a pipe.
#[derive(Debug)]
pub(crate) struct PipeReader {
    pipe: Arc<Pipe>,
    current: Bytes,
}

impl PipeReader {
    pub(crate) fn new(pipe: Arc<Pipe>) -> PipeReader {
        PipeReader { pipe, current: Bytes::new() }
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.pipe.state().slot = None;
    }
}

impl Read for PipeReader {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < space.len() {
            if self.current.is_empty() {
                let mut state = self.pipe.state();
                match state.queue.pop_front() {
                    Some(bytes) => {
                        state.queued_bytes -= bytes.len();
                        let half_is_free = state.queued_bytes <= self.pipe.room_bytes / 2;
                        drop(state);
                        self.current = bytes;
                        if half_is_free {
                            self.pipe.half_is_free.notify_one();
                        }
                    }
                    None if filled > 0 => break,
                    None => {
                        return match &state.end {
                            None => Err(io::ErrorKind::WouldBlock.into()),
                            Some(PipeEnd::Whole { .. } | PipeEnd::UnverifiedLength) => Ok(0),
                            Some(PipeEnd::Lost(why)) => Err(io::Error::other(why.clone())),
                        };
                    }
                }
            }
            let taken = self.current.len().min(space.len() - filled);
            self.current.copy_to_slice(&mut space[filled..][..taken]);
            filled += taken;
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    #[test]
    fn bytes_come_in_order_and_never_more_than_the_room() {
        let pipe = Arc::new(Pipe::new(10, Arc::default(), None, 0));
        let mut reader = PipeReader::new(Arc::clone(&pipe));
        assert_eq!(reader.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(pipe.ready(), None);
        let runtime = runtime();
        let sender = Arc::clone(&pipe);
        let text: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let sent = text.clone();
        let task = runtime.spawn(async move {
            for piece in sent.chunks(7) {
                sender.push(Bytes::copy_from_slice(piece)).await;
            }
            sender.end(PipeEnd::Whole { stated_bytes: None });
        });
        let (mut read, mut space) = (Vec::new(), [0; 5]);
        loop {
            assert!(pipe.state().queued_bytes <= 10);
            match reader.read(&mut space) {
                Ok(0) => break,
                Ok(n) => read.extend_from_slice(&space[..n]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(read, text);
        runtime.block_on(task).unwrap();
    }

    #[test]
    fn who_has_waited_fills_half_of_the_room_at_once() {
        let pipe = Arc::new(Pipe::new(10, Arc::default(), None, 0));
        let runtime = runtime();
        let piece = || Bytes::from(vec![1; 2]);
        for _ in 0..5 {
            runtime.block_on(pipe.push(piece()));
        }
        let mut reader = PipeReader::new(Arc::clone(&pipe));
        let mut waiting = std::pin::pin!(pipe.push(piece()));
        let mut context = Context::from_waker(Waker::noop());
        // How much is left when the sender goes on.
        let left = (1..=5).find_map(|taken| {
            assert!(waiting.as_mut().poll(&mut context).is_pending(), "{taken}");
            assert_eq!(reader.read(&mut [0; 2]).unwrap(), 2);
            let left = pipe.state().queued_bytes;
            waiting.as_mut().poll(&mut context).is_ready().then_some(left)
        });
        assert_eq!(left, Some(4));
        // None of them waits.
        for _ in 0..2 {
            assert!(std::pin::pin!(pipe.push(piece())).poll(&mut context).is_ready());
        }
        assert_eq!(pipe.state().queued_bytes, 10);
    }

    #[test]
    fn what_is_larger_than_the_room_passes_alone() {
        let pipe = Arc::new(Pipe::new(10, Arc::default(), None, 0));
        runtime().block_on(pipe.push(Bytes::from(vec![1; 100])));
        assert_eq!(pipe.ready(), Some(100));
        pipe.end(PipeEnd::Lost("gone".to_owned()));
        let mut reader = PipeReader::new(pipe);
        assert_eq!(reader.read(&mut [0; 200]).unwrap(), 100);
        assert_eq!(reader.read(&mut [0; 1]).unwrap_err().to_string(), "gone");
    }
}
