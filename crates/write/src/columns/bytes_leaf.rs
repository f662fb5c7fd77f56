//! A leaf of byte strings: a dictionary while it pays, plain values after.
//!
//! In: one value at a time. Out: dictionary entries in order of first use with an id a value, then the plain values in
//! Parquet's PLAIN form. Two guesses make it fast: a value is first compared with the one that followed its predecessor
//! the last time, and what is not guessed is found by hash. It never looks at what the bytes mean.
//!
//! Every entry is used by some value, and entries stand in order of first use; so forgetting the newest values (a line
//! that failed) forgets the newest entries, and the dictionary's smallest and greatest entry are the chunk's
//! statistics.

use super::size::Size;

const NONE: u32 = u32::MAX;

/// Dictionary bytes at which further new values go to the plain part. Readers keep a column's dictionary in memory, and
/// parquet's own writers use the same limit.
const DICTIONARY_BYTES: usize = 1 << 20;

/// Entry counts at which the dictionary is asked whether it pays: with more than 7 entries for 10 values it is
/// dissolved. Ids, which never repeat, give up after the first 1,024; a column that begins with a burst of new values
/// gets two later chances to stay.
const TRIALS: [usize; 3] = [1 << 10, 1 << 13, 1 << 16];

/// Where a leaf's values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// A dictionary first.
    Dictionary,
    /// Plain from the first value on: texts that hardly repeat.
    Plain,
}

/// A column of byte strings under construction.
#[derive(Debug)]
pub(crate) struct BytesLeaf {
    storage: Storage,
    /// No new entry is taken any more.
    full: bool,
    /// Entry i is `entries[offsets[i]..offsets[i + 1]]`; empty until the first entry.
    offsets: Vec<u32>,
    entries: Vec<u8>,
    /// The ordinal of the value that brought entry i.
    first_use: Vec<u32>,
    /// The entry that came after entry i last time, or [`NONE`].
    follow: Vec<u32>,
    /// Open addressing over (hash, entry); a power of two, at most half full.
    table: Vec<(u32, u32)>,
    /// An entry a value, for the values before the plain ones.
    ids: Vec<u32>,
    /// The entry of the newest value, or [`NONE`].
    last: u32,
    /// PLAIN-encoded values: length (4 bytes, little endian), bytes.
    plain: Vec<u8>,
    /// Where each plain value ends.
    plain_ends: Vec<u32>,
}

impl BytesLeaf {
    pub(crate) fn new(storage: Storage) -> Self {
        BytesLeaf {
            storage,
            full: storage == Storage::Plain,
            offsets: Vec::new(),
            entries: Vec::new(),
            first_use: Vec::new(),
            follow: Vec::new(),
            table: Vec::new(),
            ids: Vec::new(),
            last: NONE,
            plain: Vec::new(),
            plain_ends: Vec::new(),
        }
    }

    /// Values so far.
    pub(crate) fn len(&self) -> usize {
        self.ids.len() + self.plain_ends.len()
    }

    /// Entry `id`.
    #[inline(always)]
    pub(crate) fn entry(&self, id: u32) -> &[u8] {
        &self.entries[self.offsets[id as usize] as usize..self.offsets[id as usize + 1] as usize]
    }

    /// The value to expect next, if there is a reason to expect one. It has no byte that JSON would escape.
    #[inline(always)]
    pub(crate) fn guess(&self) -> Option<&[u8]> {
        if self.last == NONE {
            return None;
        }
        let next = self.follow[self.last as usize];
        if next == NONE { None } else { Some(self.entry(next)) }
    }

    /// Adds the value that [`BytesLeaf::guess`] named.
    #[inline(always)]
    pub(crate) fn push_guessed(&mut self) {
        let next = self.follow[self.last as usize];
        self.ids.push(next);
        self.last = next;
    }

    /// Adds a value. `verbatim`: in JSON it stands as it is between its quotes, so that it may be guessed from the text.
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8], verbatim: bool) {
        if self.full {
            self.push_plain(value);
            return;
        }
        let before = self.last;
        let hash = hash(value);
        match self.find(hash, value) {
            Ok(id) => {
                self.ids.push(id);
                self.last = id;
            }
            Err(slot) => {
                if !self.insert(slot, hash, value) {
                    self.push_plain(value);
                    return;
                }
            }
        }
        if before != NONE {
            self.follow[before as usize] = if verbatim { self.last } else { NONE };
        }
    }

    /// The entry equal to `value`, or the table slot where it belongs.
    #[inline(always)]
    fn find(&self, hash: u32, value: &[u8]) -> Result<u32, usize> {
        if self.table.is_empty() {
            return Err(0);
        }
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (slot_hash, id) = self.table[slot];
            if id == NONE {
                return Err(slot);
            }
            if slot_hash == hash && self.entry(id) == value {
                return Ok(id);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Makes `value` an entry and adds it; false where the dictionary has ended instead.
    fn insert(&mut self, slot: usize, hash: u32, value: &[u8]) -> bool {
        let id = self.first_use.len();
        if self.entries.len() + value.len() > DICTIONARY_BYTES {
            self.end_dictionary();
            return false;
        }
        if TRIALS.contains(&id) && id * 10 > self.ids.len() * 7 {
            self.dissolve();
            return false;
        }
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        let slot = if self.table.is_empty() {
            self.table.resize(64, (0, NONE));
            hash as usize & 63
        } else {
            slot
        };
        self.table[slot] = (hash, id as u32);
        self.entries.extend_from_slice(value);
        self.offsets.push(self.entries.len() as u32);
        self.first_use.push(self.ids.len() as u32);
        self.follow.push(NONE);
        self.ids.push(id as u32);
        self.last = id as u32;
        if self.first_use.len() * 2 > self.table.len() {
            self.grow_table();
        }
        true
    }

    /// Doubles the table. Entries go in by id, as they came: so the newest can be taken out again without disturbing
    /// the others.
    fn grow_table(&mut self) {
        let mut hashes = vec![0; self.first_use.len()];
        for &(hash, id) in &self.table {
            if id != NONE {
                hashes[id as usize] = hash;
            }
        }
        let size = self.table.len() * 2;
        self.table.clear();
        self.table.resize(size, (0, NONE));
        for (id, hash) in hashes.into_iter().enumerate() {
            let mut slot = hash as usize & (size - 1);
            while self.table[slot].1 != NONE {
                slot = (slot + 1) & (size - 1);
            }
            self.table[slot] = (hash, id as u32);
        }
    }

    fn end_dictionary(&mut self) {
        self.full = true;
        self.last = NONE;
    }

    /// The dictionary does not pay: its values become plain ones.
    fn dissolve(&mut self) {
        self.end_dictionary();
        let ids = std::mem::take(&mut self.ids);
        for &id in &ids {
            let (start, end) = (self.offsets[id as usize] as usize, self.offsets[id as usize + 1] as usize);
            self.plain.extend_from_slice(&((end - start) as u32).to_le_bytes());
            self.plain.extend_from_slice(&self.entries[start..end]);
            self.plain_ends.push(self.plain.len() as u32);
        }
        self.clear_dictionary();
    }

    #[inline]
    fn push_plain(&mut self, value: &[u8]) {
        self.plain.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.plain.extend_from_slice(value);
        self.plain_ends.push(self.plain.len() as u32);
    }

    /// Forgets every value from `len` on, and the entries that only they used.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.plain_ends.truncate(len.saturating_sub(self.ids.len()));
        self.plain.truncate(self.plain_ends.last().map_or(0, |&end| end as usize));
        if len >= self.ids.len() {
            return;
        }
        self.ids.truncate(len);
        while self.first_use.last().is_some_and(|&first| first as usize >= len) {
            self.first_use.pop();
            self.follow.pop();
            self.offsets.pop();
            let id = self.first_use.len() as u32;
            let hash = hash(&self.entries[self.offsets[id as usize] as usize..]);
            self.entries.truncate(self.offsets[id as usize] as usize);
            let mask = self.table.len() - 1;
            let mut slot = hash as usize & mask;
            while self.table[slot].1 != id {
                slot = (slot + 1) & mask;
            }
            self.table[slot] = (0, NONE);
        }
        let left = self.first_use.len() as u32;
        for next in &mut self.follow {
            if *next >= left {
                *next = NONE;
            }
        }
        if !self.full {
            self.last = self.ids.last().copied().unwrap_or(NONE);
        }
    }

    /// Forgets everything; buffers are kept.
    pub(crate) fn clear(&mut self) {
        self.clear_dictionary();
        self.full = self.storage == Storage::Plain;
        self.plain.clear();
        self.plain_ends.clear();
    }

    fn clear_dictionary(&mut self) {
        self.offsets.clear();
        self.entries.clear();
        self.first_use.clear();
        self.follow.clear();
        self.table.clear();
        self.ids.clear();
        self.last = NONE;
    }

    pub(crate) fn size(&self) -> Size {
        let words = [&self.offsets, &self.first_use, &self.follow, &self.ids, &self.plain_ends];
        let words: Size = words.into_iter().map(Size::of).sum();
        words + Size::of(&self.entries) + Size::of(&self.plain) + Size::of(&self.table)
    }

    /// An entry a value, for the values before the plain ones.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The dictionary's entries, in order of first use.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.offsets.windows(2).map(|pair| &self.entries[pair[0] as usize..pair[1] as usize])
    }

    /// Bytes of all entries together.
    pub(crate) fn entries_bytes(&self) -> usize {
        self.entries.len()
    }

    /// Number of plain values.
    pub(crate) fn plain_len(&self) -> usize {
        self.plain_ends.len()
    }

    /// The plain values from `from` up to `to` in PLAIN form.
    pub(crate) fn plain_encoded(&self, from: usize, to: usize) -> &[u8] {
        let at = |index: usize| if index == 0 { 0 } else { self.plain_ends[index - 1] as usize };
        &self.plain[at(from)..at(to)]
    }

    /// Plain value `index`.
    pub(crate) fn plain_value(&self, index: usize) -> &[u8] {
        &self.plain_encoded(index, index + 1)[4..]
    }

    /// Every value in order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.ids.iter().map(|&id| self.entry(id)).chain((0..self.plain_len()).map(|index| self.plain_value(index)))
    }
}

/// A multiplicative hash (after wyhash): two folded 64-bit products cover sixteen bytes, overlapping reads the rest.
#[inline(always)]
fn hash(bytes: &[u8]) -> u32 {
    const A: u64 = 0xA076_1D64_78BD_642F;
    const B: u64 = 0xE703_7ED1_A0B4_28DB;
    #[inline(always)]
    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    }
    #[inline(always)]
    fn word(bytes: &[u8]) -> u64 {
        u64::from_le_bytes(*bytes.first_chunk::<8>().expect("eight bytes are asked for where eight are"))
    }
    #[inline(always)]
    fn half(bytes: &[u8]) -> u64 {
        u64::from(u32::from_le_bytes(*bytes.first_chunk::<4>().expect("four bytes are asked for where four are")))
    }
    let len = bytes.len();
    let mut state = len as u64 ^ A;
    if len >= 8 {
        let mut rest = bytes;
        while rest.len() > 16 {
            state = fold(word(rest) ^ B, word(&rest[8..]) ^ state);
            rest = &rest[16..];
        }
        if rest.len() > 8 {
            state = fold(word(rest) ^ B, state);
        }
        state = fold(word(&bytes[len - 8..]) ^ A, state ^ B);
    } else if len >= 4 {
        state = fold(half(bytes) | half(&bytes[len - 4..]) << 32, state ^ B);
    } else if len > 0 {
        let three = u64::from(bytes[0]) | u64::from(bytes[len / 2]) << 8 | u64::from(bytes[len - 1]) << 16;
        state = fold(three, state ^ B);
    }
    (fold(state, A) >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(leaf: &BytesLeaf) -> Vec<Vec<u8>> {
        leaf.values().map(<[u8]>::to_vec).collect()
    }

    fn push(leaf: &mut BytesLeaf, value: &[u8]) {
        if leaf.guess() == Some(value) { leaf.push_guessed() } else { leaf.push(value, true) }
    }

    #[test]
    fn values_come_back_in_order() {
        let mut leaf = BytesLeaf::new(Storage::Dictionary);
        let values: Vec<Vec<u8>> = (0..50_000u32).map(|i| (i * i % 977).to_string().into_bytes()).collect();
        values.iter().for_each(|value| push(&mut leaf, value));
        assert_eq!(contents(&leaf), values);
        assert_eq!(leaf.plain_len(), 0);
        assert!(leaf.entries().len() <= 977);
    }

    #[test]
    fn values_that_never_repeat_become_plain() {
        let mut leaf = BytesLeaf::new(Storage::Dictionary);
        let values: Vec<Vec<u8>> = (0..5_000u32).map(|i| format!("id-{i}").into_bytes()).collect();
        values.iter().for_each(|value| push(&mut leaf, value));
        assert_eq!(contents(&leaf), values);
        assert_eq!((leaf.ids().len(), leaf.entries().len()), (0, 0));
    }

    #[test]
    fn a_full_dictionary_goes_on_plain() {
        let mut leaf = BytesLeaf::new(Storage::Dictionary);
        let values: Vec<Vec<u8>> = (0..3_000u32).map(|i| vec![(i % 900) as u8; 2_000 + (i % 900) as usize]).collect();
        values.iter().for_each(|value| push(&mut leaf, value));
        assert_eq!(contents(&leaf), values);
        assert!(!leaf.ids().is_empty() && leaf.plain_len() > 0);
    }

    #[test]
    fn truncation_leaves_no_trace() {
        let values: Vec<Vec<u8>> = (0..400u32).map(|i| format!("v{}", i * 7 % 90 + i / 100).into_bytes()).collect();
        for storage in [Storage::Dictionary, Storage::Plain] {
            for keep in [0, 1, 63, 64, 200, 399] {
                let mut leaf = BytesLeaf::new(storage);
                values.iter().for_each(|value| push(&mut leaf, value));
                leaf.truncate(keep);
                let mut expected = BytesLeaf::new(storage);
                values[..keep].iter().for_each(|value| push(&mut expected, value));
                assert_eq!(contents(&leaf), contents(&expected));
                assert!(leaf.entries().eq(expected.entries()), "entries after keeping {keep}");
                values[keep..].iter().for_each(|value| push(&mut leaf, value));
                assert_eq!(contents(&leaf), values);
            }
        }
    }

    #[test]
    fn a_value_with_escapes_is_never_guessed() {
        let mut leaf = BytesLeaf::new(Storage::Dictionary);
        for _ in 0..3 {
            leaf.push(b"a", true);
            leaf.push(b"quote \" inside", false);
        }
        leaf.push(b"a", true);
        assert_eq!(leaf.guess(), None);
    }
}
