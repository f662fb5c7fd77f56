//! Parquet's `DELTA_BINARY_PACKED` (Encodings.md, "Delta Encoding") for 64-bit integers.

use super::hybrid::{bit_width, varint};

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Appends `values`. Differences wrap, as readers undo them. Each miniblock's are packed at whole bytes: zstd finds what repeats
/// only where it begins at a byte.
pub(crate) fn encode(values: &[i64], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint(MINIBLOCKS as u64, out);
    varint(values.len() as u64, out);
    let Some(&first) = values.first() else {
        varint(0, out);
        return;
    };
    zigzag(first, out);
    let mut before = first;
    let mut deltas = [0i64; BLOCK];
    for block in values[1..].chunks(BLOCK) {
        for (delta, &value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(before);
            before = value;
        }
        let deltas = &deltas[..block.len()];
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
