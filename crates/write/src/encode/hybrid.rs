//! Parquet's RLE / bit-packing hybrid (Encodings.md, "RLE"), for levels and dictionary ids.

/// A value that the hybrid can pack.
pub(crate) trait Packed: Copy + PartialEq {
    fn bits(self) -> u64;

    /// Whether all are equal.
    fn alike(group: &[Self; 8]) -> bool;
}

impl Packed for u8 {
    #[inline(always)]
    fn bits(self) -> u64 {
        u64::from(self)
    }

    #[inline(always)]
    fn alike(group: &[u8; 8]) -> bool {
        let all = u64::from_le_bytes(*group);
        all.rotate_left(8) == all
    }
}

impl Packed for u32 {
    #[inline(always)]
    fn bits(self) -> u64 {
        u64::from(self)
    }

    #[inline(always)]
    fn alike(group: &[u32; 8]) -> bool {
        group.iter().fold(0, |differences, value| differences | (value ^ group[0])) == 0
    }
}

/// Bits needed for values up to `max`.
pub(crate) fn bit_width(max: u64) -> u32 {
    64 - max.leading_zeros()
}

/// Appends `values`, each below 2^`width`, without any length in front.
///
/// Runs of eight equal values and more become RLE runs where they begin at a multiple of eight from the last run, the
/// rest is packed in groups of eight.
pub(crate) fn encode<T: Packed>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let mut at = 0;
    while at < values.len() {
        let run = run_length(&values[at..]);
        if run >= 8 || at + run == values.len() {
            varint((run as u64) << 1, out);
            out.extend_from_slice(&values[at].bits().to_le_bytes()[..width.div_ceil(8) as usize]);
            at += run;
            continue;
        }
        let start = at;
        at += 8;
        while at < values.len() {
            match values[at..].first_chunk::<8>() {
                Some(group) if T::alike(group) => break,
                _ => at += 8,
            }
        }
        at = at.min(values.len());
        pack(&values[start..at], width, out);
    }
}

/// How many values from the first on equal it.
#[inline]
fn run_length<T: Packed>(values: &[T]) -> usize {
    let first = values[0];
    let mut length = 0;
    while let Some(block) = values[length..].first_chunk::<8>() {
        if block[0] != first || !T::alike(block) {
            break;
        }
        length += 8;
    }
    length + values[length..].iter().take_while(|value| **value == first).count()
}

/// One bit-packed run; the last group is filled with zeros.
fn pack<T: Packed>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    match width {
        8 => out.extend(values.iter().map(|value| value.bits() as u8)),
        16 => values.iter().for_each(|value| out.extend_from_slice(&(value.bits() as u16).to_le_bytes())),
        _ => pack_bits(values, width, out),
    }
    out.resize(end, 0);
}

fn pack_bits<T: Packed>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut filled) = (0u64, 0);
    for value in values {
        bits |= value.bits() << filled;
        filled += width;
        while filled >= 32 {
            out.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= 32;
            filled -= 32;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes());
}

/// ULEB-128.
pub(crate) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `count` levels up to `max`, decoded; nothing where the bytes are not such a run of levels.
pub(crate) fn decode_levels(mut bytes: &[u8], max: i16, count: usize, out: &mut Vec<u8>) -> Option<()> {
    let width = bit_width(max as u64) as usize;
    let end = out.len() + count;
    while out.len() < end {
        let mut header = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = bytes.split_first()?;
            bytes = rest;
            header |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        let left = end - out.len();
        if header & 1 == 0 {
            let (&level, rest) = bytes.split_first()?;
            bytes = rest;
            out.resize(out.len() + left.min((header >> 1) as usize), level);
        } else {
            let groups = (header >> 1) as usize;
            let (packed, rest) = bytes.split_at_checked(groups.checked_mul(width)?)?;
            bytes = rest;
            let mask = (1u16 << width) - 1;
            for index in 0..left.min(groups * 8) {
                let bit = index * width;
                let pair = u16::from(packed[bit / 8]) | u16::from(*packed.get(bit / 8 + 1).unwrap_or(&0)) << 8;
                out.push((pair >> (bit % 8) & mask) as u8);
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Ids, wider than levels, are checked by reading whole parts back with Parquet's own reader.
    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            runs in prop::collection::vec((0u8..128, 1usize..40), 0..40),
            max in 1i16..128,
        ) {
            let levels: Vec<u8> =
                runs.iter().flat_map(|&(level, count)| std::iter::repeat_n(level % (max as u8 + 1), count)).collect();
            let mut out = Vec::new();
            encode(&levels, bit_width(max as u64), &mut out);
            let mut decoded = Vec::new();
            prop_assert!(decode_levels(&out, max, levels.len(), &mut decoded).is_some());
            prop_assert_eq!(decoded, levels);
        }
    }
}
