//! What a column chunk's pages are filled with: one small type a physical form, behind [`PageValues`].

use foldhash::{HashMap, HashMapExt};
use parquet::basic::{Encoding, Type};

use super::{byte_arrays, delta, hybrid};
use crate::columns::BytesLeaf;

/// The smallest and the greatest of some values, in Parquet's PLAIN form (byte arrays without length).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) min: Vec<u8>,
    pub(crate) max: Vec<u8>,
}

/// A chunk's values that are present, in order.
pub(crate) trait PageValues {
    fn len(&self) -> usize;

    /// Appends the dictionary in PLAIN form and gives its number of entries; 0: there is none.
    fn dictionary(&self, _out: &mut Vec<u8>) -> usize {
        0
    }

    /// The end of the longest stretch from `from` that one page encodes well.
    fn stretch(&self, _from: usize) -> usize {
        self.len()
    }

    /// About how many bytes the values from `from` up to `to` take in a page.
    fn page_bytes(&self, from: usize, to: usize) -> usize;

    /// Appends the values from `from` up to `to` and says how they are encoded.
    fn encode(&self, from: usize, to: usize, out: &mut Vec<u8>) -> Encoding;

    /// The bounds of the values from `from` up to `to`, of which there is at least one.
    fn bounds(&self, from: usize, to: usize) -> Bounds;
}

/// Whether `a` sorts before `b` by the order that the statistics of these columns have.
pub(crate) fn sorts_before(physical: Type, a: &[u8], b: &[u8]) -> bool {
    match physical {
        Type::INT32 => int32(a) < int32(b),
        Type::INT64 => int64(a) < int64(b),
        // The only fixed-length column is a decimal: big-endian two's complement.
        Type::FIXED_LEN_BYTE_ARRAY => decimal(a) < decimal(b),
        _ => a < b,
    }
}

fn int32(bytes: &[u8]) -> i32 {
    bytes.try_into().map_or(0, i32::from_le_bytes)
}

fn int64(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_le_bytes)
}

fn decimal(bytes: &[u8]) -> i128 {
    bytes.try_into().map_or(0, i128::from_be_bytes)
}

/// No value at all.
pub(crate) struct NoValues;

impl PageValues for NoValues {
    fn len(&self) -> usize {
        0
    }

    fn page_bytes(&self, _: usize, _: usize) -> usize {
        0
    }

    fn encode(&self, _: usize, _: usize, _: &mut Vec<u8>) -> Encoding {
        Encoding::PLAIN
    }

    fn bounds(&self, _: usize, _: usize) -> Bounds {
        Bounds { min: Vec::new(), max: Vec::new() }
    }
}

/// The same byte string in every row.
pub(crate) struct Constant<'a> {
    pub(crate) value: &'a [u8],
    pub(crate) count: usize,
}

impl PageValues for Constant<'_> {
    fn len(&self) -> usize {
        self.count
    }

    fn dictionary(&self, out: &mut Vec<u8>) -> usize {
        plain(self.value, out);
        1
    }

    fn page_bytes(&self, _: usize, _: usize) -> usize {
        8
    }

    fn encode(&self, from: usize, to: usize, out: &mut Vec<u8>) -> Encoding {
        // Bit width 1, then one run of zeros.
        out.push(1);
        hybrid::varint(((to - from) as u64) << 1, out);
        out.push(0);
        Encoding::RLE_DICTIONARY
    }

    fn bounds(&self, _: usize, _: usize) -> Bounds {
        Bounds { min: self.value.to_vec(), max: self.value.to_vec() }
    }
}

impl PageValues for BytesLeaf {
    fn len(&self) -> usize {
        BytesLeaf::len(self)
    }

    fn dictionary(&self, out: &mut Vec<u8>) -> usize {
        let entries = self.entries();
        let count = entries.len();
        out.reserve(self.entries_bytes() + size_of::<u32>() * count);
        entries.for_each(|entry| plain(entry, out));
        count
    }

    fn stretch(&self, from: usize) -> usize {
        if from < self.ids().len() { self.ids().len() } else { BytesLeaf::len(self) }
    }

    fn page_bytes(&self, from: usize, to: usize) -> usize {
        let ids = self.ids().len();
        if from < ids { 3 * (to - from) } else { self.plain().bytes(from - ids, to - ids) }
    }

    fn encode(&self, from: usize, to: usize, out: &mut Vec<u8>) -> Encoding {
        let ids = self.ids();
        if from < to && to <= ids.len() {
            encode_ids(&ids[from..to], self.entries().len(), out);
            return Encoding::RLE_DICTIONARY;
        }
        // A row on the border has values of both parts; a page without values is of this kind, since there may be no
        // dictionary.
        let in_dictionary = ids[from.min(ids.len())..to.min(ids.len())].iter().map(|&id| self.entry(id));
        let behind = self.plain().values(from.saturating_sub(ids.len()), to.saturating_sub(ids.len()));
        byte_arrays::encode(to - from, in_dictionary.chain(behind), out)
    }

    fn bounds(&self, from: usize, to: usize) -> Bounds {
        let ids = self.ids();
        let mut bounds = ByteBounds::default();
        if from == 0 && to >= ids.len() {
            // Every entry is some value's.
            self.entries().for_each(|entry| bounds.widen(entry));
        } else if from < ids.len() {
            distinct(&ids[from..to.min(ids.len())], self.entries().len()).for_each(|id| bounds.widen(self.entry(id)));
        }
        let behind = self.plain().values(from.saturating_sub(ids.len()), to.saturating_sub(ids.len()));
        behind.for_each(|value| bounds.widen(value));
        Bounds { min: bounds.min.to_vec(), max: bounds.max.to_vec() }
    }
}

/// The smallest and the greatest of the byte strings so far. What is neither, as nearly all are, is mostly told by its first
/// sixteen bytes, without a call.
#[derive(Default)]
struct ByteBounds<'v> {
    min: &'v [u8],
    max: &'v [u8],
    /// The first bytes of both; nothing where there is no value yet.
    first: Option<(u128, u128)>,
}

impl<'v> ByteBounds<'v> {
    #[inline]
    fn widen(&mut self, value: &'v [u8]) {
        let first = first_bytes(value);
        (self.min, self.max) = match self.first {
            Some((min, max)) if first > min && first < max => return,
            Some(_) => (value.min(self.min), value.max(self.max)),
            None => (value, value),
        };
        self.first = Some((first_bytes(self.min), first_bytes(self.max)));
    }
}

/// The first sixteen bytes as a number: where two differ, they say which value is smaller.
#[inline]
fn first_bytes(value: &[u8]) -> u128 {
    match value.first_chunk() {
        Some(first) => u128::from_be_bytes(*first),
        None => {
            let mut first = [0; 16];
            first[..value.len()].copy_from_slice(value);
            u128::from_be_bytes(first)
        }
    }
}

/// Appends a byte string in PLAIN form.
fn plain(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

fn encode_ids(ids: &[u32], entries: usize, out: &mut Vec<u8>) {
    // An id fills whole bytes, or several fill one: zstd sees bytes, and finds what repeats only where it begins at one.
    let width = match hybrid::bit_width(entries.saturating_sub(1) as u64) {
        0..=1 => 1,
        2 => 2,
        3..=4 => 4,
        wider => wider.next_multiple_of(8),
    };
    out.push(width as u8);
    hybrid::encode(ids, width, out);
}

/// The ids below `entries` that occur, ascending.
fn distinct(ids: &[u32], entries: usize) -> impl Iterator<Item = u32> {
    let mut used = vec![false; entries];
    ids.iter().for_each(|&id| used[id as usize] = true);
    used.into_iter().enumerate().filter(|(_, used)| *used).map(|(id, _)| id as u32)
}

/// A value of fixed length in a dictionary column.
pub(crate) trait FixedValue: Copy + Ord + std::hash::Hash {
    fn write_plain(self, out: &mut Vec<u8>);
}

impl FixedValue for i32 {
    fn write_plain(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
}

/// A decimal in sixteen bytes.
impl FixedValue for i128 {
    fn write_plain(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

/// Entries at which a dictionary of fixed-length values is given up: 65,536 sixteen-byte values are the usual 1 MiB.
const FIXED_ENTRIES: usize = 1 << 16;
/// Entries at which it is asked whether it pays, by the same measure as that of byte strings.
const FIXED_TRIAL: usize = 1 << 10;

/// Values of fixed length: behind a dictionary where that is shorter, else plain.
pub(crate) enum Fixed<'a, T> {
    /// Distinct values, each used, and an id a value.
    Dictionary {
        entries: Vec<T>,
        ids: Vec<u32>,
    },
    Plain(&'a [T]),
}

impl<'a, T: FixedValue> Fixed<'a, T> {
    pub(crate) fn new(values: &'a [T]) -> Self {
        let mut entries = Vec::new();
        let mut ids = Vec::with_capacity(values.len());
        let mut known = HashMap::with_capacity(values.len().min(FIXED_TRIAL));
        let mut newest: Option<(T, u32)> = None;
        for &value in values {
            let id = match newest {
                Some((last, id)) if last == value => id,
                _ => entry_id(value, &mut entries, &mut known),
            };
            newest = Some((value, id));
            ids.push(id);
            let hardly_repeats = entries.len() == FIXED_TRIAL && FIXED_TRIAL * 10 > ids.len() * 7;
            if hardly_repeats || entries.len() > FIXED_ENTRIES {
                return Fixed::Plain(values);
            }
        }
        if entries.len() * 2 <= values.len().max(2) { Fixed::Dictionary { entries, ids } } else { Fixed::Plain(values) }
    }

    /// The values that a dictionary's `ids` stand for by `of_ids`, in which values may repeat and ids without a value
    /// are left out. Only the entries are hashed.
    pub(crate) fn of_dictionary(of_ids: &[Option<T>], ids: &[u32]) -> Self {
        let mut entries = Vec::with_capacity(of_ids.len());
        let mut known = HashMap::with_capacity(of_ids.len());
        let new_ids: Vec<Option<u32>> =
            of_ids.iter().map(|value| value.map(|value| entry_id(value, &mut entries, &mut known))).collect();
        let ids = ids.iter().filter_map(|&id| new_ids[id as usize]).collect();
        Fixed::Dictionary { entries, ids }
    }
}

fn entry_id<T: FixedValue>(value: T, entries: &mut Vec<T>, known: &mut HashMap<T, u32>) -> u32 {
    *known.entry(value).or_insert_with(|| {
        entries.push(value);
        entries.len() as u32 - 1
    })
}

impl<T: FixedValue> PageValues for Fixed<'_, T> {
    fn len(&self) -> usize {
        match self {
            Fixed::Dictionary { ids, .. } => ids.len(),
            Fixed::Plain(values) => values.len(),
        }
    }

    fn dictionary(&self, out: &mut Vec<u8>) -> usize {
        let Fixed::Dictionary { entries, .. } = self else { return 0 };
        out.reserve(size_of_val(entries.as_slice()));
        entries.iter().for_each(|entry| entry.write_plain(out));
        entries.len()
    }

    fn page_bytes(&self, from: usize, to: usize) -> usize {
        size_of::<T>() * (to - from)
    }

    fn encode(&self, from: usize, to: usize, out: &mut Vec<u8>) -> Encoding {
        match self {
            Fixed::Dictionary { entries, ids } if !entries.is_empty() => {
                encode_ids(&ids[from..to], entries.len(), out);
                Encoding::RLE_DICTIONARY
            }
            Fixed::Dictionary { .. } => Encoding::PLAIN,
            Fixed::Plain(values) => {
                values[from..to].iter().for_each(|value| value.write_plain(out));
                Encoding::PLAIN
            }
        }
    }

    fn bounds(&self, from: usize, to: usize) -> Bounds {
        let (min, max) = match self {
            Fixed::Dictionary { entries, ids } => {
                let used = || distinct(&ids[from..to], entries.len()).map(|id| entries[id as usize]);
                (used().min(), used().max())
            }
            Fixed::Plain(values) => (values[from..to].iter().min().copied(), values[from..to].iter().max().copied()),
        };
        let plain = |value: Option<T>| {
            let mut out = Vec::with_capacity(size_of::<T>());
            value.into_iter().for_each(|value| value.write_plain(&mut out));
            out
        };
        Bounds { min: plain(min), max: plain(max) }
    }
}

/// 64-bit integers as differences: timestamps and line numbers.
pub(crate) struct Deltas<'a>(pub(crate) &'a [i64]);

impl PageValues for Deltas<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn page_bytes(&self, from: usize, to: usize) -> usize {
        8 * (to - from)
    }

    fn encode(&self, from: usize, to: usize, out: &mut Vec<u8>) -> Encoding {
        delta::encode(to - from, self.0[from..to].iter().copied(), out);
        Encoding::DELTA_BINARY_PACKED
    }

    fn bounds(&self, from: usize, to: usize) -> Bounds {
        let values = &self.0[from..to];
        let plain = |value: Option<&i64>| value.map_or_else(Vec::new, |value| value.to_le_bytes().to_vec());
        Bounds { min: plain(values.iter().min()), max: plain(values.iter().max()) }
    }
}

/// Booleans, a bit each.
pub(crate) struct Booleans<'a>(pub(crate) &'a [bool]);

impl PageValues for Booleans<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn page_bytes(&self, from: usize, to: usize) -> usize {
        (to - from) / 8
    }

    fn encode(&self, from: usize, to: usize, out: &mut Vec<u8>) -> Encoding {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        out.extend(self.0[from..to].chunks(8).map(byte));
        Encoding::PLAIN
    }

    fn bounds(&self, from: usize, to: usize) -> Bounds {
        let values = &self.0[from..to];
        let all = values.iter().all(|&value| value);
        let any = values.iter().any(|&value| value);
        Bounds { min: vec![u8::from(all)], max: vec![u8::from(any)] }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::columns::Storage;

    proptest! {
        /// Values that are alike in their first sixteen bytes, and such as end there, among others.
        #[test]
        fn bounds_are_the_smallest_and_the_greatest(
            values in prop::collection::vec("(Observation/0000)?[ab\u{0}é]{0,3}", 1..30),
            storage in prop_oneof![Just(Storage::Plain), Just(Storage::Dictionary)],
        ) {
            let mut leaf = BytesLeaf::new(storage);
            values.iter().for_each(|value| leaf.push_expected(value.as_bytes()));
            for from in 0..values.len() {
                let some = &values[from..];
                let bounds = PageValues::bounds(&leaf, from, values.len());
                prop_assert_eq!(Some(bounds.min.as_slice()), some.iter().map(String::as_bytes).min());
                prop_assert_eq!(Some(bounds.max.as_slice()), some.iter().map(String::as_bytes).max());
            }
        }
    }
}
