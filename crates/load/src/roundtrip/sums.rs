//! What is collected while source or rows are read: sums first, then lines, then texts, each of fewer lines.

use std::collections::{BTreeSet, HashMap};

use lakehaul_parse::Line;

/// Lines a sum is over. A billion lines have a million sums; a sum that is off sends a thousand lines to be looked at.
const BLOCK_LINES: u64 = 1024;

/// A block of lines: the file's number and the block's.
pub(super) type Block = (usize, u64);

/// The block that a line is in.
pub(super) fn block_of(file: usize, line: u64) -> Block {
    (file, line.saturating_sub(1) / BLOCK_LINES)
}

/// Takes lines in any order and from several threads, each with its own, to be merged.
pub(super) trait Collect: Send + Sync {
    /// Another one of the kind, that has nothing.
    fn empty(&self) -> Self;

    /// Takes the resource `text` of line `number` of a file. `fingerprint` is called if it is needed.
    fn add(&mut self, file: usize, number: u64, text: &Line<'_>, fingerprint: &mut dyn FnMut(&Line<'_>) -> u128);

    fn merge(&mut self, other: Self);
}

/// The sum of the fingerprints of each block.
#[derive(Debug, Default)]
pub(super) struct Sums(HashMap<Block, u128>);

impl Collect for Sums {
    fn empty(&self) -> Self {
        Sums::default()
    }

    fn add(&mut self, file: usize, number: u64, text: &Line<'_>, fingerprint: &mut dyn FnMut(&Line<'_>) -> u128) {
        let sum = self.0.entry(block_of(file, number)).or_default();
        *sum = sum.wrapping_add(fingerprint(text));
    }

    fn merge(&mut self, other: Self) {
        for (block, part) in other.0 {
            let sum = self.0.entry(block).or_default();
            *sum = sum.wrapping_add(part);
        }
    }
}

impl Sums {
    /// The blocks whose sums are not the same here and there, in order.
    pub(super) fn differing(mut self, other: Sums) -> BTreeSet<Block> {
        for (block, part) in other.0 {
            let sum = self.0.entry(block).or_default();
            *sum = sum.wrapping_sub(part);
        }
        self.0.into_iter().filter(|(_, sum)| *sum != 0).map(|(block, _)| block).collect()
    }
}

/// A line of the source: the file's number and the line's.
pub(super) type LineId = (usize, u64);

/// The fingerprints of the lines of some blocks.
#[derive(Debug)]
pub(super) struct Prints<'a> {
    pub(super) wanted: &'a BTreeSet<Block>,
    pub(super) prints: Vec<(LineId, u128)>,
}

impl Collect for Prints<'_> {
    fn empty(&self) -> Self {
        Prints { wanted: self.wanted, prints: Vec::new() }
    }

    fn add(&mut self, file: usize, number: u64, text: &Line<'_>, fingerprint: &mut dyn FnMut(&Line<'_>) -> u128) {
        if self.wanted.contains(&block_of(file, number)) {
            self.prints.push(((file, number), fingerprint(text)));
        }
    }

    fn merge(&mut self, other: Self) {
        self.prints.extend(other.prints);
    }
}

/// The texts of a few lines.
pub(super) struct Texts<'a> {
    pub(super) wanted: &'a BTreeSet<LineId>,
    pub(super) texts: HashMap<LineId, Vec<u8>>,
}

impl Collect for Texts<'_> {
    fn empty(&self) -> Self {
        Texts { wanted: self.wanted, texts: HashMap::new() }
    }

    fn add(&mut self, file: usize, number: u64, text: &Line<'_>, _: &mut dyn FnMut(&Line<'_>) -> u128) {
        if self.wanted.contains(&(file, number)) {
            self.texts.insert((file, number), text.bytes().to_vec());
        }
    }

    fn merge(&mut self, other: Self) {
        self.texts.extend(other.texts);
    }
}
