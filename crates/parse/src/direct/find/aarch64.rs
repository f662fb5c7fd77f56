//! The register of AArch64: NEON, which every one has.
//!
//! In: 16 bytes of text. Out: the first of them that ends plain string content. Never: a choice of CPU.

use std::arch::aarch64::*;

use super::Register;

/// 16 bytes.
#[derive(Clone, Copy)]
pub(super) struct Neon(uint8x16_t);

impl Register for Neon {
    const BYTES: usize = 16;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller promises 16 readable bytes; the load needs no alignment.
        Neon(unsafe { vld1q_u8(at) })
    }

    #[inline(always)]
    unsafe fn first_end(self) -> Option<usize> {
        // SAFETY: NEON is part of AArch64 as Rust targets it.
        let ends = unsafe {
            let quote = vceqq_u8(self.0, vdupq_n_u8(b'"'));
            let backslash = vceqq_u8(self.0, vdupq_n_u8(b'\\'));
            let control = vcltq_u8(self.0, vdupq_n_u8(0x20));
            let any = vorrq_u8(vorrq_u8(quote, backslash), control);
            // NEON has no movemask. Shifting each pair right by four and narrowing leaves four bits for each byte.
            vget_lane_u64::<0>(vreinterpret_u64_u8(vshrn_n_u16::<4>(vreinterpretq_u16_u8(any))))
        };
        (ends != 0).then(|| (ends.trailing_zeros() / 4) as usize)
    }
}
