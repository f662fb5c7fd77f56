//! A leaf of byte strings: a dictionary while it pays, plain values after.
//!
//! In: one value at a time. Out: dictionary entries in order of first use with an id a value, then the plain values in
//! Parquet's PLAIN form. Two guesses make it fast: a value is first compared with the one that followed its predecessor
//! the last time, and what is not guessed is found by hash. It never looks at what the bytes mean.
//!
//! Every entry is used by some value, and entries stand in order of first use; so forgetting the newest values (a line
//! that failed) forgets the newest entries, and the dictionary's smallest and greatest entry are the chunk's
//! statistics.

use super::plain_values::PlainValues;
use super::size::Size;

const NONE: u32 = u32::MAX;

/// Dictionary bytes at which further new values go to the plain part. Readers keep a column's dictionary in memory, and
/// parquet's own writers use the same limit.
const DICTIONARY_BYTES: usize = 1 << 20;

/// Entry counts at which the dictionary is asked whether it pays: with more than 7 entries for 10 values it is
/// dissolved. Ids, which never repeat, give up after the first 1,024; a column that begins with a burst of new values
/// gets two later chances to stay.
const TRIALS: [usize; 3] = [1 << 10, 1 << 13, 1 << 16];

/// An entry's place in the table: its id, and above that so much of its hash that hardly another value is taken for it. One
/// word, since a large table's slots are mostly not in the nearest cache: the smaller the table, the more of them are.
type TableSlot = u32;
/// Fewer values than this are different and have 1 MiB together: there are not so many short ones.
const ID_BITS: u32 = 20;
const ID: TableSlot = (1 << ID_BITS) - 1;
const EMPTY: TableSlot = TableSlot::MAX;

#[inline(always)]
fn table_slot(hash: u32, id: u32) -> TableSlot {
    debug_assert!(id < ID);
    hash & !ID | id
}

/// Where a leaf's values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// A dictionary first.
    Dictionary,
    /// Plain from the first value on: texts that hardly repeat.
    Plain,
}

/// An entry of the dictionary.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// It is `bytes[start..end]` of the leaf; entries stand one behind the other.
    start: u32,
    end: u32,
    /// The entry that came after it last time, or [`NONE`].
    follow: u32,
}

/// What is expected next.
#[derive(Debug, Clone, Copy)]
struct Guess {
    /// Its entry, or [`NONE`].
    id: u32,
    start: u32,
    end: u32,
}

impl Guess {
    const NOTHING: Guess = Guess { id: NONE, start: 0, end: 0 };
}

/// A column of byte strings under construction. What every value needs stands in front, in as few cache lines as may
/// be: a line of NDJSON goes through a hundred of these.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct BytesLeaf {
    /// What came after the newest value the last time. It is looked up when that value comes, so that nobody waits for
    /// it when the next one does.
    guess: Guess,
    /// The entry of the newest value, or [`NONE`].
    last: u32,
    /// The dictionary's entries, one behind the other.
    bytes: Vec<u8>,
    /// An entry a value, for the values before the plain ones.
    ids: Vec<u32>,
    entries: Vec<Entry>,
    /// Open addressing; a power of two, at most half full.
    table: Vec<TableSlot>,
    plain: PlainValues,
    /// The ordinal of the value that brought entry i.
    first_use: Vec<u32>,
    storage: Storage,
    /// No new entry is taken any more.
    full: bool,
}

impl BytesLeaf {
    pub(crate) fn new(storage: Storage) -> Self {
        BytesLeaf {
            guess: Guess::NOTHING,
            last: NONE,
            bytes: Vec::new(),
            ids: Vec::new(),
            entries: Vec::new(),
            table: Vec::new(),
            plain: PlainValues::default(),
            first_use: Vec::new(),
            storage,
            full: storage == Storage::Plain,
        }
    }

    /// Values so far.
    pub(crate) fn len(&self) -> usize {
        self.ids.len() + self.plain.len()
    }

    /// Entry `id`.
    #[inline(always)]
    pub(crate) fn entry(&self, id: u32) -> &[u8] {
        let Entry { start, end, .. } = self.entries[id as usize];
        &self.bytes[start as usize..end as usize]
    }

    /// The value to expect next, if there is a reason to expect one. It has no byte that JSON would escape.
    #[inline(always)]
    pub(crate) fn guess(&self) -> Option<&[u8]> {
        let Guess { id, start, end } = self.guess;
        if id == NONE { None } else { self.bytes.get(start as usize..end as usize) }
    }

    /// Adds the value that [`BytesLeaf::guess`] named.
    #[inline(always)]
    pub(crate) fn push_guessed(&mut self) {
        let id = self.guess.id;
        self.ids.push(id);
        self.settle_on(id);
    }

    /// Adds a value that stands in JSON as it is, which is likely to be the one that [`BytesLeaf::guess`] names.
    #[inline]
    pub(crate) fn push_expected(&mut self, value: &[u8]) {
        match self.guess() {
            Some(guess) if same(guess, value) => self.push_guessed(),
            _ => self.push(value, true),
        }
    }

    /// Adds the value of entry `id` again. False, and nothing is added: no value goes to the dictionary any more.
    #[inline]
    pub(crate) fn push_again(&mut self, id: u32) -> bool {
        if !self.full {
            self.ids.push(id);
            self.settle_on(id);
        }
        !self.full
    }

    /// The entry of the newest value, if it is one.
    pub(crate) fn newest(&self) -> Option<u32> {
        (self.last != NONE).then_some(self.last)
    }

    /// Makes `id`, whose value has just been added, the newest one.
    #[inline(always)]
    fn settle_on(&mut self, id: u32) {
        self.last = id;
        let next = self.entries[id as usize].follow;
        self.guess = match self.entries.get(next as usize) {
            Some(entry) => Guess { id: next, start: entry.start, end: entry.end },
            None => Guess::NOTHING,
        };
    }

    /// Adds a value. `verbatim`: in JSON it stands as it is between its quotes, so that it may be guessed from the text.
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8], verbatim: bool) {
        if self.full {
            self.plain.push(value);
            return;
        }
        let before = self.last;
        let hash = hash(value);
        let id = match self.find(hash, value) {
            Ok(id) => {
                self.ids.push(id);
                id
            }
            Err(slot) => match self.insert(slot, hash, value) {
                Some(id) => id,
                None => {
                    self.plain.push(value);
                    return;
                }
            },
        };
        if let Some(before) = self.entries.get_mut(before as usize) {
            before.follow = if verbatim { id } else { NONE };
        }
        self.settle_on(id);
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
            let found = self.table[slot];
            if found == EMPTY {
                return Err(slot);
            }
            if (found ^ hash) & !ID == 0 && same(self.entry(found & ID), value) {
                return Ok(found & ID);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Makes `value` an entry and adds it; nothing where the dictionary has ended instead.
    fn insert(&mut self, slot: usize, hash: u32, value: &[u8]) -> Option<u32> {
        let id = self.entries.len();
        if self.bytes.len() + value.len() > DICTIONARY_BYTES {
            self.end_dictionary();
            return None;
        }
        if TRIALS.contains(&id) && id * 10 > self.ids.len() * 7 {
            self.dissolve();
            return None;
        }
        let slot = if self.table.is_empty() {
            self.table.resize(64, EMPTY);
            hash as usize & 63
        } else {
            slot
        };
        self.table[slot] = table_slot(hash, id as u32);
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.entries.push(Entry { start, end: self.bytes.len() as u32, follow: NONE });
        self.first_use.push(self.ids.len() as u32);
        self.ids.push(id as u32);
        if self.entries.len() * 2 > self.table.len() {
            self.grow_table();
        }
        Some(id as u32)
    }

    /// Doubles the table. Entries go in by id, as they came: so the newest can be taken out again without disturbing
    /// the others.
    fn grow_table(&mut self) {
        let size = self.table.len() * 2;
        self.table.clear();
        self.table.resize(size, EMPTY);
        for (id, entry) in self.entries.iter().enumerate() {
            let hash = hash(&self.bytes[entry.start as usize..entry.end as usize]);
            let mut slot = hash as usize & (size - 1);
            while self.table[slot] != EMPTY {
                slot = (slot + 1) & (size - 1);
            }
            self.table[slot] = table_slot(hash, id as u32);
        }
    }

    fn end_dictionary(&mut self) {
        self.full = true;
        self.last = NONE;
        self.guess = Guess::NOTHING;
    }

    /// The dictionary does not pay: its values become plain ones.
    fn dissolve(&mut self) {
        self.end_dictionary();
        let ids = std::mem::take(&mut self.ids);
        for &id in &ids {
            let Entry { start, end, .. } = self.entries[id as usize];
            self.plain.push(&self.bytes[start as usize..end as usize]);
        }
        self.clear_dictionary();
    }

    /// Forgets every value from `len` on, and the entries that only they used.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.plain.truncate(len.saturating_sub(self.ids.len()));
        if len >= self.ids.len() {
            return;
        }
        self.ids.truncate(len);
        while self.first_use.last().is_some_and(|&first| first as usize >= len) {
            self.first_use.pop();
            let Some(entry) = self.entries.pop() else { break };
            let id = self.entries.len() as u32;
            let hash = hash(&self.bytes[entry.start as usize..]);
            self.bytes.truncate(entry.start as usize);
            let mask = self.table.len() - 1;
            let mut slot = hash as usize & mask;
            while self.table[slot] & ID != id {
                slot = (slot + 1) & mask;
            }
            self.table[slot] = EMPTY;
        }
        let left = self.entries.len() as u32;
        for entry in &mut self.entries {
            if entry.follow >= left {
                entry.follow = NONE;
            }
        }
        (self.last, self.guess) = (NONE, Guess::NOTHING);
        if let (false, Some(&last)) = (self.full, self.ids.last()) {
            self.settle_on(last);
        }
    }

    /// Forgets everything; buffers are kept.
    pub(crate) fn clear(&mut self) {
        self.clear_dictionary();
        self.full = self.storage == Storage::Plain;
        self.plain.clear();
    }

    fn clear_dictionary(&mut self) {
        (self.last, self.guess) = (NONE, Guess::NOTHING);
        self.bytes.clear();
        self.ids.clear();
        self.entries.clear();
        self.table.clear();
        self.first_use.clear();
    }

    pub(crate) fn size(&self) -> Size {
        let words = Size::of(&self.ids) + Size::of(&self.first_use);
        words + Size::of(&self.entries) + Size::of(&self.bytes) + self.plain.size() + Size::of(&self.table)
    }

    /// An entry a value, for the values before the plain ones.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The dictionary's entries, in order of first use.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.entries.iter().map(|entry| &self.bytes[entry.start as usize..entry.end as usize])
    }

    /// Bytes of all entries together.
    pub(crate) fn entries_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The values behind those of the dictionary.
    pub(crate) fn plain(&self) -> &PlainValues {
        &self.plain
    }

    /// Every value in order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.ids.iter().map(|&id| self.entry(id)).chain(self.plain.values(0, self.plain.len()))
    }
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk::<8>().expect("eight bytes are asked for where eight are"))
}

#[inline(always)]
fn half(bytes: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes(*bytes.first_chunk::<4>().expect("four bytes are asked for where four are")))
}

/// Whether two values are equal. Most are short: words that overlap are faster than a call.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    let len = a.len();
    if len != b.len() {
        return false;
    }
    match len {
        33.. => a == b,
        8.. => {
            let mut at = 0;
            while at + 8 < len {
                if word(&a[at..]) != word(&b[at..]) {
                    return false;
                }
                at += 8;
            }
            word(&a[len - 8..]) == word(&b[len - 8..])
        }
        4.. => half(a) == half(b) && half(&a[len - 4..]) == half(&b[len - 4..]),
        _ => a.iter().eq(b),
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

    #[test]
    fn values_come_back_in_order() {
        let mut leaf = BytesLeaf::new(Storage::Dictionary);
        let values: Vec<Vec<u8>> = (0..50_000u32).map(|i| (i * i % 977).to_string().into_bytes()).collect();
        values.iter().for_each(|value| leaf.push_expected(value));
        assert_eq!(contents(&leaf), values);
        assert_eq!(leaf.plain().len(), 0);
        assert!(leaf.entries().len() <= 977);
    }

    #[test]
    fn values_that_never_repeat_become_plain() {
        let mut leaf = BytesLeaf::new(Storage::Dictionary);
        let values: Vec<Vec<u8>> = (0..5_000u32).map(|i| format!("id-{i}").into_bytes()).collect();
        values.iter().for_each(|value| leaf.push_expected(value));
        assert_eq!(contents(&leaf), values);
        assert_eq!((leaf.ids().len(), leaf.entries().len()), (0, 0));
    }

    #[test]
    fn a_full_dictionary_goes_on_plain() {
        let mut leaf = BytesLeaf::new(Storage::Dictionary);
        let values: Vec<Vec<u8>> = (0..3_000u32).map(|i| vec![(i % 900) as u8; 2_000 + (i % 900) as usize]).collect();
        values.iter().for_each(|value| leaf.push_expected(value));
        assert_eq!(contents(&leaf), values);
        assert!(!leaf.ids().is_empty() && leaf.plain().len() > 0);
    }

    #[test]
    fn truncation_leaves_no_trace() {
        let values: Vec<Vec<u8>> = (0..400u32).map(|i| format!("v{}", i * 7 % 90 + i / 100).into_bytes()).collect();
        for storage in [Storage::Dictionary, Storage::Plain] {
            for keep in [0, 1, 63, 64, 200, 399] {
                let mut leaf = BytesLeaf::new(storage);
                values.iter().for_each(|value| leaf.push_expected(value));
                leaf.truncate(keep);
                let mut expected = BytesLeaf::new(storage);
                values[..keep].iter().for_each(|value| expected.push_expected(value));
                assert_eq!(contents(&leaf), contents(&expected));
                assert!(leaf.entries().eq(expected.entries()), "entries after keeping {keep}");
                values[keep..].iter().for_each(|value| leaf.push_expected(value));
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
