//! Byte strings that no dictionary holds: Parquet's `DELTA_LENGTH_BYTE_ARRAY`, or `DELTA_BYTE_ARRAY` where all begin alike
//! (Encodings.md, "Delta-length byte array" and "Delta Strings").
//!
//! The bytes follow each other without a length or a beginning that repeats between them. zstd would find each of these as
//! a match; without them ids, which it can only make shorter digit by digit, take it less than half of the time.

use parquet::basic::Encoding;

use super::delta;

/// The shortest beginning of all values that is worth two lists of lengths: zstd takes matches from four bytes on too.
const PREFIX_BYTES: usize = 4;

/// Appends `values`, of which there are `count`, and says how they are encoded. None need no encoding: that is said to be
/// plain, as it is of a column that has no values at all.
pub(crate) fn encode<'v>(count: usize, values: impl Iterator<Item = &'v [u8]> + Clone, out: &mut Vec<u8>) -> Encoding {
    if count == 0 {
        return Encoding::PLAIN;
    }
    let prefix = common_prefix(values.clone());
    if count < 2 || prefix < PREFIX_BYTES {
        delta::encode(count, values.clone().map(|value| value.len() as i64), out);
        values.for_each(|value| out.extend_from_slice(value));
        return Encoding::DELTA_LENGTH_BYTE_ARRAY;
    }
    // What a value has in common is told against the one before it, so the first has nothing.
    let prefixes = || std::iter::once(0).chain(std::iter::repeat(prefix));
    let suffixes = values.zip(prefixes()).map(|(value, prefix)| &value[prefix..]);
    delta::encode(count, prefixes().map(|prefix| prefix as i64), out);
    delta::encode(count, suffixes.clone().map(|suffix| suffix.len() as i64), out);
    suffixes.for_each(|suffix| out.extend_from_slice(suffix));
    Encoding::DELTA_BYTE_ARRAY
}

/// How many bytes all begin with.
fn common_prefix<'v>(mut values: impl Iterator<Item = &'v [u8]>) -> usize {
    let Some(mut prefix) = values.next() else { return 0 };
    for value in values {
        if !value.starts_with(prefix) {
            let alike = prefix.iter().zip(value).take_while(|(a, b)| a == b).count();
            prefix = &prefix[..alike];
            if alike < PREFIX_BYTES {
                break;
            }
        }
    }
    prefix.len()
}
