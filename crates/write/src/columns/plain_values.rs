//! Byte strings that no dictionary holds, one behind the other, with where each ends.
//!
//! In: one value at a time. Out: the values again. They are kept in blocks of one size. A buffer that
//! grows as a whole is copied each time, and each time asks for memory that nobody has touched, of which every page costs a
//! fault; a block that is full stays where it is, and when it is given back any other leaf's next block can be there.

use super::size::Size;

/// A value that is longer has a block of its own.
const BLOCK_BYTES: usize = 128 << 10;
/// The first room, doubled until it is a block: most leaves have few values.
const FIRST_BYTES: usize = 256;

/// Values in blocks; none is in two of them.
#[derive(Debug, Default)]
pub(crate) struct PlainValues {
    /// The block that the next value goes to.
    open: Vec<u8>,
    /// Bytes of all values before it.
    open_start: u32,
    /// Blocks before the open one, each with the bytes of all values before it.
    full: Vec<(u32, Vec<u8>)>,
    /// Empty ones.
    spare: Vec<Vec<u8>>,
    /// What `full` and `spare` have room for.
    others_bytes: usize,
    /// Bytes of all values up to and including each.
    ends: Vec<u32>,
}

impl PlainValues {
    /// Values so far.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) {
        if self.open.capacity() - self.open.len() < value.len() {
            self.make_room(value.len());
        }
        self.open.extend_from_slice(value);
        self.ends.push(self.open_start + self.open.len() as u32);
    }

    #[cold]
    fn make_room(&mut self, bytes: usize) {
        let used = self.open.len();
        if used > 0 && used + bytes > BLOCK_BYTES {
            let next = self.spare.pop().unwrap_or_default();
            self.others_bytes -= next.capacity();
            let full = std::mem::replace(&mut self.open, next);
            self.others_bytes += full.capacity();
            self.full.push((self.open_start, full));
            self.open_start += used as u32;
            self.open.reserve_exact(BLOCK_BYTES.max(bytes));
            return;
        }
        let doubled = (self.open.capacity() * 2).clamp(FIRST_BYTES, BLOCK_BYTES);
        self.open.reserve_exact(doubled.max(used + bytes) - used);
    }

    /// Forgets every value from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        let end = self.ends.last().copied().unwrap_or(0);
        while self.open_start > end {
            let Some((start, last)) = self.full.pop() else { break };
            let mut open = std::mem::replace(&mut self.open, last);
            self.open_start = start;
            open.clear();
            self.others_bytes += open.capacity();
            self.others_bytes -= self.open.capacity();
            self.spare.push(open);
        }
        self.open.truncate((end - self.open_start) as usize);
    }

    /// Forgets everything; blocks of the usual size are kept.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.open.shrink_to(BLOCK_BYTES);
        self.open_start = 0;
        self.ends.clear();
        let usual = self.full.drain(..).map(|(_, full)| full).filter(|full| full.capacity() <= BLOCK_BYTES);
        self.spare.extend(usual.map(|mut block| {
            block.clear();
            block
        }));
        self.others_bytes = self.spare.iter().map(Vec::capacity).sum();
    }

    pub(crate) fn size(&self) -> Size {
        let used = self.open_start as usize + self.open.len();
        Size::of(&self.ends) + Size { used, allocated: self.others_bytes + self.open.capacity() }
    }

    /// Bytes of the values from `from` up to `to`.
    pub(crate) fn bytes(&self, from: usize, to: usize) -> usize {
        (self.start_of(to) - self.start_of(from)) as usize
    }

    /// The values from `from` up to `to`.
    pub(crate) fn values(&self, from: usize, to: usize) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        let full = self.full.iter().map(|(start, full)| (*start, full.as_slice()));
        let mut blocks = full.chain([(self.open_start, self.open.as_slice())]);
        let mut start = self.start_of(from);
        let (mut block_start, mut block) = (0, &[][..]);
        self.ends[from..to].iter().map(move |&end| {
            while (end - block_start) as usize > block.len() {
                (block_start, block) = blocks.next().expect("a block for each value");
            }
            let value = &block[(start - block_start) as usize..(end - block_start) as usize];
            start = end;
            value
        })
    }

    /// Bytes of all values before `index`.
    fn start_of(&self, index: usize) -> u32 {
        if index == 0 { 0 } else { self.ends[index - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short ones, some that leave a block's end empty, one that is longer than a block.
    fn some() -> Vec<Vec<u8>> {
        let lengths = (0..4_000).map(|i| if i % 500 == 499 { BLOCK_BYTES / 3 } else { i % 60 });
        let mut values: Vec<Vec<u8>> = lengths.enumerate().map(|(i, length)| vec![i as u8; length]).collect();
        values[2_000] = vec![7; 3 * BLOCK_BYTES];
        values
    }

    #[track_caller]
    fn check(plain: &PlainValues, expected: &[Vec<u8>]) {
        assert_eq!(plain.len(), expected.len());
        for (from, to) in [(0, expected.len()), (expected.len() / 3, expected.len() / 2), (0, 0)] {
            assert!(plain.values(from, to).eq(expected[from..to].iter()), "{from}..{to}");
            assert_eq!(plain.bytes(from, to), expected[from..to].iter().map(Vec::len).sum::<usize>());
        }
        let blocks = plain.full.iter().map(|(_, full)| full).chain(&plain.spare);
        assert_eq!(plain.others_bytes, blocks.map(Vec::capacity).sum::<usize>());
    }

    #[test]
    fn values_come_back_in_order() {
        let mut plain = PlainValues::default();
        for round in 0..3 {
            check(&plain, &[]);
            some().iter().for_each(|value| plain.push(value));
            check(&plain, &some());
            assert!(plain.full.len() > 3, "round {round}");
            plain.clear();
        }
        assert!(plain.size().allocated < 3 * BLOCK_BYTES + BLOCK_BYTES * some().len() / 1_000, "what is long goes");
    }

    #[test]
    fn truncation_leaves_no_trace() {
        let values = some();
        for keep in [0, 1, 498, 499, 500, 1_999, 2_000, 2_001, 3_999, 4_000] {
            let mut plain = PlainValues::default();
            values.iter().for_each(|value| plain.push(value));
            plain.truncate(keep);
            check(&plain, &values[..keep]);
            values[keep..].iter().for_each(|value| plain.push(value));
            check(&plain, &values);
        }
    }

    #[test]
    fn a_long_value_leaves_no_long_block() {
        let mut plain = PlainValues::default();
        plain.push(&vec![7; 3 * BLOCK_BYTES]);
        plain.clear();
        assert!(plain.size().allocated < 2 * BLOCK_BYTES);
    }

    #[test]
    fn few_values_take_little() {
        let mut plain = PlainValues::default();
        plain.push(b"one");
        assert!(plain.size().allocated <= 2 * FIRST_BYTES);
    }
}
