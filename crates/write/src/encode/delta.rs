//! Parquet's `DELTA_BINARY_PACKED` (Encodings.md, "Delta Encoding") for 64-bit integers.

use super::hybrid::{bit_width, varint};

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Appends `values`. Differences wrap, as readers undo them.
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
            let width = bit_width(miniblock.iter().fold(0, |max, &delta| max | above(delta)));
            out[widths_at + index] = width as u8;
            pack(miniblock.iter().map(|&delta| above(delta)), width, out);
        }
    }
}

/// One miniblock, filled with zeros to its full length.
fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let end = out.len() + MINIBLOCK * width as usize / 8;
    let (mut bits, mut filled) = (0u128, 0);
    for value in values {
        bits |= u128::from(value) << filled;
        filled += width;
        while filled >= 64 {
            out.extend_from_slice(&(bits as u64).to_le_bytes());
            bits >>= 64;
            filled -= 64;
        }
    }
    out.extend_from_slice(&(bits as u64).to_le_bytes());
    out.resize(end, 0);
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint((value << 1 ^ value >> 63) as u64, out);
}
