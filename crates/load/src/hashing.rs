//! Who hashes a file's bytes: whoever reads them, under the file's lock, or, of a large file, whoever works on them.
//!
//! In go the bytes; out come what [`BlockHash`] tells of them. Bytes that are handed out to be hashed come back as [`Piece`]s
//! in any order; who asks for the hash waits for those that are under way. A piece is hashed right after it was handed out, with
//! no lock held, so that the wait is short and ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::block_hash::{BlockHash, Blocks, Piece, Prefix};

/// A file with fewer bytes is not worth it: it is read by few workers for a short time.
const LARGE_FILE_BYTES: u64 = 64 << 20;

/// One file's hash.
pub(crate) enum Hashing {
    /// Bytes are hashed as they are read.
    AsRead(BlockHash),
    /// Bytes are handed out to be hashed.
    HandedOut {
        pieces: Arc<PieceHash>,
        read: u64,
        /// Bytes from here on have not been handed out.
        handed_out: u64,
    },
}

/// The hash of a file whose bytes were handed out.
pub(crate) struct PieceHash {
    state: Mutex<Pieces>,
    came: Condvar,
}

struct Pieces {
    hash: BlockHash,
    /// They came before what stands before them, by their start.
    early: BTreeMap<u64, Piece>,
}

impl Hashing {
    /// Whether a file's bytes should be handed out, of which nothing is known yet.
    pub(crate) fn should_hand_out(bytes: u64) -> bool {
        bytes >= LARGE_FILE_BYTES
    }

    /// From the file's start, of which `read` bytes have been read.
    pub(crate) fn handed_out(read: u64) -> Hashing {
        let pieces = Pieces { hash: BlockHash::of_pieces(), early: BTreeMap::new() };
        let pieces = Arc::new(PieceHash { state: Mutex::new(pieces), came: Condvar::new() });
        Hashing::HandedOut { pieces, read, handed_out: 0 }
    }

    /// The next bytes were read.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        match self {
            Hashing::AsRead(hash) => hash.update(bytes),
            Hashing::HandedOut { read, .. } => *read += bytes.len() as u64,
        }
    }

    /// The next `len` bytes are handed out: what they are to be added to, and where they begin. `None`: they are hashed.
    pub(crate) fn hand_out(&mut self, len: usize) -> Option<(&Arc<PieceHash>, u64)> {
        match self {
            Hashing::AsRead(_) => None,
            Hashing::HandedOut { pieces, handed_out, .. } => {
                *handed_out += len as u64;
                Some((pieces, *handed_out - len as u64))
            }
        }
    }

    /// How many bytes were read.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Hashing::AsRead(hash) => hash.bytes(),
            Hashing::HandedOut { read, .. } => *read,
        }
    }

    /// See [`BlockHash::has_changed`].
    pub(crate) fn has_changed(&self) -> bool {
        matches!(self, Hashing::AsRead(hash) if hash.has_changed())
    }

    /// See [`BlockHash::is_short`].
    pub(crate) fn is_short(&self) -> bool {
        matches!(self, Hashing::AsRead(hash) if hash.is_short())
    }

    /// What was read, or handed out.
    pub(crate) fn prefix(&self) -> Prefix {
        match self {
            Hashing::AsRead(hash) => hash.prefix(),
            Hashing::HandedOut { pieces, handed_out, .. } => pieces.prefix(*handed_out),
        }
    }

    /// See [`BlockHash::untold`]. Those of what is handed out come with [`PieceHash::add`].
    pub(crate) fn untold(&mut self) -> Blocks {
        match self {
            Hashing::AsRead(hash) => hash.untold(),
            Hashing::HandedOut { .. } => Blocks::new(),
        }
    }
}

impl PieceHash {
    /// Hashes bytes that were handed out. The chaining values that nobody has been told of.
    pub(crate) fn add(&self, start: u64, bytes: &[u8]) -> Blocks {
        let piece = Piece::of(start, bytes);
        let mut state = self.state();
        let Pieces { hash, early } = &mut *state;
        early.insert(start, piece);
        while let Some(next) = early.first_entry().filter(|next| *next.key() == hash.bytes()) {
            hash.add(&next.remove());
        }
        self.came.notify_all();
        state.hash.untold()
    }

    /// Of the file's first bytes, all of which have been handed out.
    fn prefix(&self, bytes: u64) -> Prefix {
        let state = self.came.wait_while(self.state(), |state| state.hash.bytes() < bytes);
        state.unwrap_or_else(PoisonError::into_inner).hash.prefix()
    }

    fn state(&self) -> MutexGuard<'_, Pieces> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_any_order_and_are_waited_for() {
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
        let mut starts: Vec<usize> = (0..bytes.len()).step_by(123_457).collect();
        fastrand::Rng::with_seed(1).shuffle(&mut starts);
        let mut hashing = Hashing::handed_out(0);
        hashing.read(&bytes);
        let pieces = Arc::clone(hashing.hand_out(bytes.len()).unwrap().0);
        let told = std::thread::scope(|scope| {
            let (one, other) = starts.split_at(starts.len() / 2);
            let add = |starts: &[usize]| -> Vec<u64> {
                let add = |&start: &usize| pieces.add(start as u64, &bytes[start..bytes.len().min(start + 123_457)]);
                starts.iter().flat_map(add).map(|(block, _)| block).collect()
            };
            let whole = scope.spawn(|| hashing.prefix());
            let added = [one, other].map(|starts| scope.spawn(move || add(starts)));
            let prefix = whole.join().unwrap();
            assert_eq!(prefix, Prefix { bytes: 5_000_000, blake3: blake3::hash(&bytes).to_hex().to_string() });
            added.map(|added| added.join().unwrap()).concat()
        });
        assert_eq!(told.len(), 4, "each whole block is told once");
    }
}
