//! A register for CPUs that this crate knows no better one of, and for Miri: eight bytes in a `u64`.
//!
//! In: 8 bytes of text. Out: the first of them that ends plain string content. Never: a need for anything but integers.

use super::Register;

/// 8 bytes, the first one lowest.
#[derive(Clone, Copy)]
pub(super) struct Eight(u64);

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

impl Register for Eight {
    const BYTES: usize = 8;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller promises 8 readable bytes.
        Eight(u64::from_le_bytes(unsafe { at.cast::<[u8; 8]>().read() }))
    }

    #[inline(always)]
    unsafe fn first_end(self) -> Option<usize> {
        // `x - n` borrows into the high bit of a byte below n (n <= 0x80); a byte that has its own high bit set is none
        // of them. A borrow can spoil bytes above it, but never the lowest hit.
        let below = |x: u64, n: u64| x.wrapping_sub(ONES * n) & !x & HIGHS;
        let equal = |byte: u8| below(self.0 ^ (ONES * u64::from(byte)), 1);
        let ends = below(self.0, 0x20) | equal(b'"') | equal(b'\\');
        (ends != 0).then(|| (ends.trailing_zeros() / 8) as usize)
    }
}
