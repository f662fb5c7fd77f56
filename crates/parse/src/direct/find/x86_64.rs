//! Registers of x86-64: SSE2, which every one has, and AVX2 and AVX-512 for those that have them.
//!
//! In: 16, 32 or 64 bytes of text. Out: the first of them that ends plain string content. Never: a choice of CPU.

use std::arch::x86_64::*;

use super::{Register, find};

/// 16 bytes, on every x86-64.
#[derive(Clone, Copy)]
pub(super) struct Sse2(__m128i);

impl Register for Sse2 {
    const BYTES: usize = 16;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller promises 16 readable bytes; the load needs no alignment.
        Sse2(unsafe { _mm_loadu_si128(at.cast()) })
    }

    #[inline(always)]
    unsafe fn first_end(self) -> Option<usize> {
        // SAFETY: SSE2 is part of x86-64.
        let ends = unsafe {
            let quote = _mm_cmpeq_epi8(self.0, _mm_set1_epi8(b'"' as i8));
            let backslash = _mm_cmpeq_epi8(self.0, _mm_set1_epi8(b'\\' as i8));
            let control = _mm_cmpeq_epi8(_mm_min_epu8(self.0, _mm_set1_epi8(0x1f)), self.0);
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control))
        };
        (ends != 0).then(|| ends.trailing_zeros() as usize)
    }
}

/// 32 bytes.
#[derive(Clone, Copy)]
struct Avx2(__m256i);

impl Register for Avx2 {
    const BYTES: usize = 32;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller promises 32 readable bytes and AVX2; the load needs no alignment.
        Avx2(unsafe { _mm256_loadu_si256(at.cast()) })
    }

    #[inline(always)]
    unsafe fn first_end(self) -> Option<usize> {
        // SAFETY: the caller promises AVX2.
        let ends = unsafe {
            let quote = _mm256_cmpeq_epi8(self.0, _mm256_set1_epi8(b'"' as i8));
            let backslash = _mm256_cmpeq_epi8(self.0, _mm256_set1_epi8(b'\\' as i8));
            let control = _mm256_cmpeq_epi8(_mm256_min_epu8(self.0, _mm256_set1_epi8(0x1f)), self.0);
            _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, backslash), control))
        };
        (ends != 0).then(|| ends.trailing_zeros() as usize)
    }
}

/// 64 bytes; the comparisons yield the bits themselves.
#[derive(Clone, Copy)]
struct Avx512(__m512i);

impl Register for Avx512 {
    const BYTES: usize = 64;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller promises 64 readable bytes and AVX-512; the load needs no alignment.
        Avx512(unsafe { _mm512_loadu_si512(at.cast()) })
    }

    #[inline(always)]
    unsafe fn first_end(self) -> Option<usize> {
        // SAFETY: the caller promises AVX-512BW.
        let ends = unsafe {
            _mm512_cmpeq_epi8_mask(self.0, _mm512_set1_epi8(b'"' as i8))
                | _mm512_cmpeq_epi8_mask(self.0, _mm512_set1_epi8(b'\\' as i8))
                | _mm512_cmplt_epu8_mask(self.0, _mm512_set1_epi8(0x20))
        };
        (ends != 0).then(|| ends.trailing_zeros() as usize)
    }
}

/// # Safety
/// As [`FindEnd`](super::FindEnd) says; the CPU has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn find_avx2(at: *const u8) -> *const u8 {
    // SAFETY: the caller's promise.
    unsafe { find::<Avx2>(at) }
}

/// # Safety
/// As [`FindEnd`](super::FindEnd) says; the CPU has AVX-512BW.
#[target_feature(enable = "avx512bw")]
pub(super) unsafe fn find_avx512(at: *const u8) -> *const u8 {
    // SAFETY: the caller's promise.
    unsafe { find::<Avx512>(at) }
}
