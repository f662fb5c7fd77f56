//! Parquet's `DELTA_BINARY_PACKED` (Encodings.md, "Delta Encoding") for 64-bit integers, and for 32-bit ones whose differences
//! take no more than 32 bits.

use super::hybrid::{bit_width, varint};

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Appends the first `count` of `values`, of which there are as many. Differences wrap, as readers undo them. Each miniblock's are packed at whole bytes: zstd finds what repeats
/// only where it begins at a byte.
pub(crate) fn encode(count: usize, mut values: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint(MINIBLOCKS as u64, out);
    varint(count as u64, out);
    let Some(first) = values.next() else {
        varint(0, out);
        return;
    };
    zigzag(first, out);
    let mut before = first;
    let mut deltas = [0i64; BLOCK];
    let mut left = count - 1;
    while left > 0 {
        let deltas = &mut deltas[..left.min(BLOCK)];
        left -= deltas.len();
        for (delta, value) in deltas.iter_mut().zip(values.by_ref()) {
            *delta = value.wrapping_sub(before);
            before = value;
        }
        let min = deltas.iter().copied().min().expect("a block has values");
        zigzag(min, out);
        let widths_at = out.len();
        out.extend_from_slice(&[0; MINIBLOCKS]);
        for (index, miniblock) in deltas.chunks(MINIBLOCK).enumerate() {
            let above = |delta: i64| delta.wrapping_sub(min) as u64;
            let bytes = bit_width(miniblock.iter().fold(0, |max, &delta| max | above(delta))).div_ceil(8) as usize;
            out[widths_at + index] = 8 * bytes as u8;
            let start = out.len();
            // Each value is written whole, and the next one over what it does not need.
            out.resize(start + MINIBLOCK * bytes + size_of::<u64>(), 0);
            for (at, &delta) in miniblock.iter().enumerate() {
                let at = start + at * bytes;
                out[at..at + size_of::<u64>()].copy_from_slice(&above(delta).to_le_bytes());
            }
            out.truncate(start + MINIBLOCK * bytes);
        }
    }
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint((value << 1 ^ value >> 63) as u64, out);
}
