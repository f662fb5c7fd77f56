//! The BLAKE3 of a file's bytes as they come, in a form that another process can go on with.
//!
//! In go the bytes, in order, from the file's start or from the start of any block. Out come the chaining values of its
//! blocks, each a subtree of BLAKE3's tree (BLAKE3 paper, section 2.1), and from these the hash of the whole. What is known
//! already, of blocks and of all that was read, is held against the bytes that come again: so a file that has changed is
//! noticed whatever its server says.
//!
//! Subtrees do not depend on each other: of a large file, [`Piece`]s are hashed by whoever has their bytes and put together
//! here in order.

use std::collections::BTreeMap;

use blake3::Hasher;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use serde::{Deserialize, Serialize};

/// Bytes of a block: a power of two. Larger ones are more to fetch again, smaller ones more to keep: this one costs 32
/// bytes a MiB.
pub(crate) const BLOCK_BYTES: u64 = 1 << 20;

/// What a piece is hashed in: as much as the widest kernel of BLAKE3 takes at once. What a piece has at its edges is hashed
/// where it is put together.
const LEAF_BYTES: u64 = 16 << 10;

/// Chaining values by block.
pub(crate) type Blocks = BTreeMap<u64, ChainingValue>;

/// The first bytes of a file, and their BLAKE3 in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prefix {
    pub(crate) bytes: u64,
    pub(crate) blake3: String,
}

/// What an earlier process has found of a file's bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) blocks: Blocks,
    /// As far as it has read.
    pub(crate) prefix: Option<Prefix>,
}

/// Hashes one file.
pub(crate) struct BlockHash {
    /// Of the whole blocks so far.
    values: Vec<ChainingValue>,
    /// What a block is hashed in: a leaf or the whole block.
    unit: u64,
    /// Of the whole units of the block that is coming, or of the last one if that has just become whole.
    units: Vec<ChainingValue>,
    /// Of the unit that is coming, or of the last one if that has just become whole.
    hasher: Box<Hasher>,
    bytes: u64,
    known: Known,
    /// Of the values, the first that nobody has been told of.
    untold: usize,
    changed: bool,
}

impl BlockHash {
    /// From block `first` on: `known` has the ones before it.
    pub(crate) fn new(first: u64, known: Known) -> BlockHash {
        let values: Vec<ChainingValue> = (0..first).map_while(|block| known.blocks.get(&block).copied()).collect();
        debug_assert_eq!(values.len() as u64, first, "every block before the first is known");
        let untold = values.len();
        let bytes = values.len() as u64 * BLOCK_BYTES;
        let mut hasher = Box::<Hasher>::default();
        if bytes > 0 {
            hasher.set_input_offset(bytes);
        }
        BlockHash { values, unit: BLOCK_BYTES, units: Vec::new(), hasher, bytes, known, untold, changed: false }
    }

    /// Of a file of which nothing is known, from its start, for [`add`](Self::add).
    pub(crate) fn of_pieces() -> BlockHash {
        BlockHash { unit: LEAF_BYTES, ..BlockHash::new(0, Known::default()) }
    }

    /// The next bytes, hashed elsewhere.
    pub(crate) fn add(&mut self, piece: &Piece) {
        debug_assert!(self.unit == LEAF_BYTES && self.bytes == piece.start);
        self.update(&piece.head);
        for &leaf in &piece.leaves {
            self.begin_block();
            self.bytes += LEAF_BYTES;
            self.unit_is_whole(leaf);
        }
        if !piece.leaves.is_empty() {
            self.begin_unit();
        }
        self.update(&piece.tail);
    }

    /// The block to go on with, for a file of which so much need not be read again. The last whole block before is read
    /// once more: it tells whether the file is the same.
    pub(crate) fn first_block(needed_from: u64, known: &Blocks) -> u64 {
        let whole = (0..needed_from / BLOCK_BYTES).take_while(|block| known.contains_key(block)).count() as u64;
        whole.saturating_sub(1)
    }

    /// Bytes of the file so far, those counted that were not hashed here.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.begin_block();
            let within = self.bytes % self.unit;
            if within == 0 && self.bytes > 0 && self.hasher.count() > 0 {
                self.begin_unit();
            }
            let mut taken = bytes.len().min((self.unit - within) as usize);
            let to_check = self.known.prefix.as_ref().and_then(|prefix| prefix.bytes.checked_sub(self.bytes));
            if let Some(to_check @ 1..) = to_check {
                taken = taken.min(usize::try_from(to_check).unwrap_or(usize::MAX));
            }
            self.hasher.update(&bytes[..taken]);
            self.bytes += taken as u64;
            bytes = &bytes[taken..];
            if self.bytes.is_multiple_of(self.unit) {
                self.unit_is_whole(self.hasher.finalize_non_root());
            }
            if let Some(prefix) = self.known.prefix.take_if(|prefix| prefix.bytes == self.bytes) {
                self.changed |= prefix.blake3 != self.finish();
            }
        }
    }

    /// Forgets the units of a block that is whole.
    fn begin_block(&mut self) {
        if self.bytes.is_multiple_of(BLOCK_BYTES) {
            self.units.clear();
        }
    }

    /// The hasher is for the bytes that come.
    fn begin_unit(&mut self) {
        // `reset` leaves the offset of the unit before behind.
        *self.hasher = Hasher::new();
        self.hasher.set_input_offset(self.bytes);
    }

    fn unit_is_whole(&mut self, value: ChainingValue) {
        self.units.push(value);
        if self.bytes.is_multiple_of(BLOCK_BYTES) {
            let value = subtree(&self.units, BLOCK_BYTES, self.unit);
            let block = self.values.len() as u64;
            self.changed |= self.known.blocks.get(&block).is_some_and(|known| *known != value);
            self.values.push(value);
        }
    }

    /// Whether bytes that came again were other ones.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed
    }

    /// Whether not all has come again that an earlier process has read.
    pub(crate) fn is_short(&self) -> bool {
        self.known.prefix.as_ref().is_some_and(|prefix| self.bytes < prefix.bytes)
    }

    /// The bytes so far.
    pub(crate) fn prefix(&self) -> Prefix {
        Prefix { bytes: self.bytes, blake3: self.finish() }
    }

    /// The chaining values that have come since the last time, but for those that were known.
    pub(crate) fn untold(&mut self) -> Blocks {
        let new = (self.untold..self.values.len()).map(|block| (block as u64, self.values[block]));
        let new = new.filter(|(block, _)| !self.known.blocks.contains_key(block)).collect();
        self.untold = self.values.len();
        new
    }

    /// The BLAKE3 of all bytes, in hex.
    pub(crate) fn finish(&self) -> String {
        let (leaves, leaf_bytes) = match self.bytes {
            bytes if bytes <= self.unit => return self.hasher.finalize().to_hex().to_string(),
            bytes if bytes <= BLOCK_BYTES => (self.units_so_far(), self.unit),
            _ => (self.blocks_so_far(), BLOCK_BYTES),
        };
        let (left, right) = halves(&leaves, self.bytes, leaf_bytes);
        merge_subtrees_root(&left, &right, Mode::Hash).to_hex().to_string()
    }

    /// Of the block that is coming, the last unit cut short.
    fn units_so_far(&self) -> Vec<ChainingValue> {
        let mut units = self.units.clone();
        if !self.bytes.is_multiple_of(self.unit) {
            units.push(self.hasher.finalize_non_root());
        }
        units
    }

    fn blocks_so_far(&self) -> Vec<ChainingValue> {
        let mut blocks = self.values.clone();
        if !self.bytes.is_multiple_of(BLOCK_BYTES) {
            blocks.push(subtree(&self.units_so_far(), self.bytes % BLOCK_BYTES, self.unit));
        }
        blocks
    }
}

/// Bytes in the middle of a file, hashed as far as they can be without those beside them.
pub(crate) struct Piece {
    start: u64,
    /// Up to the first leaf.
    head: Vec<u8>,
    leaves: Vec<ChainingValue>,
    /// Behind the last leaf.
    tail: Vec<u8>,
}

impl Piece {
    /// `start`: of the bytes in their file.
    pub(crate) fn of(start: u64, bytes: &[u8]) -> Piece {
        // A file that ends with its first leaf is no tree: its hash is made of its bytes.
        let to_leaf = if start == 0 { LEAF_BYTES } else { start.next_multiple_of(LEAF_BYTES) - start } as usize;
        let (head, rest) = bytes.split_at(to_leaf.min(bytes.len()));
        let leaves = rest.chunks_exact(LEAF_BYTES as usize);
        let tail = leaves.remainder().to_vec();
        let first = start + head.len() as u64;
        let value = |(at, leaf): (usize, &[u8])| {
            let mut hasher = Hasher::new();
            hasher.set_input_offset(first + at as u64 * LEAF_BYTES);
            hasher.update(leaf).finalize_non_root()
        };
        Piece { start, head: head.to_vec(), leaves: leaves.enumerate().map(value).collect(), tail }
    }
}

/// The chaining values of a tree's two halves.
fn halves(leaves: &[ChainingValue], bytes: u64, leaf_bytes: u64) -> (ChainingValue, ChainingValue) {
    let left_bytes = left_subtree_len(bytes);
    let (left, right) = leaves.split_at((left_bytes / leaf_bytes) as usize);
    (subtree(left, left_bytes, leaf_bytes), subtree(right, bytes - left_bytes, leaf_bytes))
}

fn subtree(leaves: &[ChainingValue], bytes: u64, leaf_bytes: u64) -> ChainingValue {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = halves(leaves, bytes, leaf_bytes);
    merge_subtrees_non_root(&left, &right, Mode::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: u64) -> Vec<u8> {
        (0..len).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect()
    }

    #[track_caller]
    fn check(len: u64, piece: usize) {
        let bytes = bytes(len);
        let expected = blake3::hash(&bytes).to_hex().to_string();
        let mut whole = BlockHash::new(0, Known::default());
        let mut known = Blocks::new();
        for piece in bytes.chunks(piece) {
            whole.update(piece);
            known.extend(whole.untold());
        }
        assert_eq!((whole.bytes(), whole.finish()), (len, expected.clone()), "{len} bytes");
        assert_eq!(known.len() as u64, len / BLOCK_BYTES);
        for needed_from in [0, 1, BLOCK_BYTES, 2 * BLOCK_BYTES, 3 * BLOCK_BYTES + 7, len] {
            let first = BlockHash::first_block(needed_from.min(len), &known);
            assert!(first == 0 || (first + 1) * BLOCK_BYTES <= needed_from);
            let mut rest = BlockHash::new(first, Known { blocks: known.clone(), prefix: None });
            rest.update(&bytes[(first * BLOCK_BYTES) as usize..]);
            assert!(!rest.has_changed() && rest.untold().is_empty());
            assert_eq!((rest.bytes(), rest.finish()), (len, expected.clone()), "{len} bytes from block {first}");
        }
    }

    #[test]
    fn the_hash_is_blake3_however_it_is_made() {
        for blocks in 0..=5 {
            for beside in [-1_i64, 0, 1, 1024, 70_000] {
                let len = blocks * BLOCK_BYTES as i64 + beside;
                if len >= 0 {
                    check(len as u64, 300_007);
                }
            }
        }
        check(9 * BLOCK_BYTES, 4 << 20);
        check(2 * BLOCK_BYTES + 5, 1 << 10);
    }

    #[test]
    fn the_hash_is_blake3_whoever_hashes_the_pieces() {
        let beside = [-1, 0, 1, 5_000, 100_000];
        let lengths = [0, LEAF_BYTES, BLOCK_BYTES, 2 * BLOCK_BYTES, 5 * BLOCK_BYTES].map(|len| len as i64);
        for len in lengths.into_iter().flat_map(|len| beside.map(|beside| len + beside)).filter(|&len| len >= 0) {
            let bytes = bytes(len as u64);
            for piece_bytes in [7_001, LEAF_BYTES as usize, 300_007, BLOCK_BYTES as usize, 3 << 20] {
                let (mut pieces, mut whole) = (BlockHash::of_pieces(), BlockHash::new(0, Known::default()));
                for (at, piece) in bytes.chunks(piece_bytes).enumerate() {
                    pieces.add(&Piece::of((at * piece_bytes) as u64, piece));
                    whole.update(piece);
                    assert_eq!(pieces.prefix(), whole.prefix(), "{len} bytes in pieces of {piece_bytes}");
                    assert_eq!(pieces.untold(), whole.untold());
                }
                assert_eq!(pieces.finish(), blake3::hash(&bytes).to_hex().as_str(), "{len} in pieces of {piece_bytes}");
            }
        }
    }

    #[test]
    fn another_file_is_noticed() {
        let mut bytes = bytes(4 * BLOCK_BYTES);
        let mut whole = BlockHash::new(0, Known::default());
        whole.update(&bytes);
        let known = whole.untold();
        bytes[2 * BLOCK_BYTES as usize + 9] ^= 1;
        let mut again =
            BlockHash::new(BlockHash::first_block(3 * BLOCK_BYTES, &known), Known { blocks: known, prefix: None });
        again.update(&bytes[2 * BLOCK_BYTES as usize..3 * BLOCK_BYTES as usize - 1]);
        assert!(!again.has_changed());
        again.update(&bytes[3 * BLOCK_BYTES as usize - 1..]);
        assert!(again.has_changed());
    }

    #[test]
    fn what_was_read_is_compared_to_its_last_byte() {
        let bytes = bytes(2 * BLOCK_BYTES);
        for read in [1, 700, 1024, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 5] {
            let mut first = BlockHash::new(0, Known::default());
            first.update(&bytes[..read as usize]);
            let known = Known { blocks: first.untold(), prefix: Some(first.prefix()) };
            for piece in [999, 1 << 20, 4 << 20] {
                for damaged in [None, Some(read - 1), Some(read)] {
                    let mut again = bytes.clone();
                    if let Some(at) = damaged {
                        again[at as usize] ^= 1;
                    }
                    let mut second = BlockHash::new(0, known.clone());
                    assert!(second.is_short());
                    again.chunks(piece).for_each(|piece| second.update(piece));
                    assert_eq!(second.has_changed(), damaged == Some(read - 1), "read {read}, pieces of {piece}");
                    assert!(!second.is_short());
                    assert_eq!(second.finish(), blake3::hash(&again).to_hex().as_str());
                }
            }
        }
    }
}
