//! A place on a line that only moves forward, over bytes it has looked at.
//!
//! In: a [`Line`]. Out: the byte here, and moves over what is expected. Never: a step past the LF that ends the line,
//! which is why no move needs a length: nothing that is moved over is an LF.
//!
//! This file and the kernels of [`find`](super::find) hold all the `unsafe` of the direct cursor. It rests on what
//! [`chunk`](crate::chunk) promises: behind each line comes an LF, and [`PADDING`](crate::PADDING) bytes from it on are
//! readable.

use std::marker::PhantomData;

use super::find::{Search, plain_end};
use crate::{Line, MemberGuess, Reason, Reject};

/// A place on a line. `at` stands on a byte of the line or of its end, LF at the furthest, and on a character's first
/// byte. The line is UTF-8.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'c> {
    at: *const u8,
    from: *const u8,
    len: u32,
    wider: Search,
    line: PhantomData<&'c [u8]>,
}

/// A place that a scanner has been at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark<'c>(*const u8, PhantomData<&'c [u8]>);

impl Mark<'_> {
    /// On no line.
    pub(super) const NOWHERE: Self = Mark(std::ptr::null(), PhantomData);
}

impl<'c> Scanner<'c> {
    /// At the line's first byte. Refuses a line that is not UTF-8.
    #[inline(always)]
    pub(super) fn new(line: &Line<'c>, wider: Search) -> Result<Self, Reject> {
        if let Some(at) = line.utf8_error() {
            return Err(Reject { reason: Reason::InvalidUtf8, at });
        }
        let from = line.padded().as_ptr();
        Ok(Scanner { at: from, from, len: line.bytes().len() as u32, wider, line: PhantomData })
    }

    /// How far from the line's first byte; the line's length at its end, also behind a CR that belongs to the end.
    #[inline(always)]
    pub(super) fn position(&self) -> u32 {
        ((self.at as usize - self.from as usize) as u32).min(self.len)
    }

    /// The byte here; LF at the line's end.
    #[inline(always)]
    pub(super) fn byte(&self) -> u8 {
        // SAFETY: `at` is not past the line's LF, which is readable.
        unsafe { *self.at }
    }

    #[inline(always)]
    pub(super) fn mark(&self) -> Mark<'c> {
        Mark(self.at, PhantomData)
    }

    /// The text from `mark` to here.
    #[inline(always)]
    pub(super) fn since(&self, mark: Mark<'c>) -> &'c str {
        assert!(self.from <= mark.0 && mark.0 <= self.at, "a mark of this line, behind this place");
        // SAFETY: just checked.
        unsafe { self.since_here(mark) }
    }

    /// The text from `mark` to here.
    ///
    /// # Safety
    /// `mark` is a place on this line that is not behind this one.
    #[inline(always)]
    unsafe fn since_here(&self, mark: Mark<'c>) -> &'c str {
        // SAFETY: both places are on this line, in this order, each on a character's first byte; the line is UTF-8.
        unsafe {
            let len = self.at.offset_from_unsigned(mark.0);
            std::str::from_utf8_unchecked(std::slice::from_raw_parts(mark.0, len))
        }
    }

    /// What is wrong, and here; at the line's end what is wrong is that it has ended.
    #[cold]
    #[inline(never)]
    pub(super) fn reject(&self, reason: Reason) -> Reject {
        let at = self.position();
        Reject { reason: if at == self.len { Reason::UnexpectedEnd } else { reason }, at }
    }

    /// Where `word` should be and is not: what is wrong, at the first byte that is not the word's.
    #[cold]
    #[inline(never)]
    pub(super) fn reject_word(&self, word: &[u8]) -> Reject {
        let mut scan = *self;
        for byte in word {
            if scan.byte() != *byte {
                break;
            }
            scan.step();
        }
        scan.reject(Reason::NotJson)
    }

    /// Moves over one byte, unless that is the LF.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        if self.byte() != b'\n' && self.byte().is_ascii() {
            // SAFETY: the byte here is a character of its own, and no LF.
            self.at = unsafe { self.at.add(1) };
        }
    }

    /// Moves over `B` if it is here.
    #[inline(always)]
    pub(super) fn eat<const B: u8>(&mut self) -> bool {
        const { assert!(B != b'\n' && B.is_ascii()) };
        let here = self.byte() == B;
        if here {
            // SAFETY: the byte here is a character of its own, and no LF.
            self.at = unsafe { self.at.add(1) };
        }
        here
    }

    /// Moves over `word` if it is here. A `word` is ASCII without LF, and shorter than the padding.
    #[inline(always)]
    pub(super) fn eat_word<const N: usize>(&mut self, word: &'static [u8; N]) -> bool {
        const { assert!(N <= crate::PADDING) };
        debug_assert!(word.is_ascii() && !word.contains(&b'\n'));
        // SAFETY: from `at`, which is not past the LF, `PADDING` bytes are readable.
        let here = unsafe { self.at.cast::<[u8; N]>().read() } == *word;
        if here {
            // SAFETY: these bytes are ASCII without LF.
            self.at = unsafe { self.at.add(N) };
        }
        here
    }

    /// The byte behind white space, which is moved over. Callers look for the byte here first: mostly there is none.
    #[inline(always)]
    pub(super) fn behind_white(&mut self) -> u8 {
        if self.byte() > b' ' { self.byte() } else { self.skip_white() }
    }

    #[inline(never)]
    fn skip_white(&mut self) -> u8 {
        while matches!(self.byte(), b' ' | b'\t' | b'\r') {
            // SAFETY: the byte here is a character of its own, and no LF.
            self.at = unsafe { self.at.add(1) };
        }
        self.byte()
    }

    /// Moves over decimal digits and says how many.
    #[inline(always)]
    pub(super) fn digits(&mut self) -> usize {
        let mut count = 0;
        loop {
            // SAFETY: from `at`, which is not past the LF, `PADDING` bytes are readable.
            let eight = u64::from_le_bytes(unsafe { self.at.cast::<[u8; 8]>().read() });
            let run = leading_digits(eight);
            // SAFETY: digits are ASCII and no LF.
            self.at = unsafe { self.at.add(run) };
            count += run;
            if run < 8 {
                return count;
            }
        }
    }

    /// Moves over string content up to the first `"`, `\` or control character, and returns it.
    #[inline(always)]
    pub(super) fn plain(&mut self) -> &'c str {
        let mark = self.mark();
        // SAFETY: LF, a control character, is at or behind `at`, with the padding.
        // What the search ends at is ASCII, so a character starts there.
        self.at = unsafe { plain_end(self.at, self.wider) };
        // SAFETY: the mark was taken here, and the place only moved forward.
        unsafe { self.since_here(mark) }
    }

    /// Moves over the guessed member name, its colon, and a comma before it, if they are here without white space
    /// between.
    #[inline(always)]
    pub(super) fn eat_member(&mut self, first: bool, guess: &MemberGuess) -> bool {
        let comma = self.byte() == b',';
        // SAFETY: a comma is no LF, so `name` is not past the LF either, and `PADDING` bytes from it on are readable.
        let (name, here) = unsafe {
            let name = self.at.add(usize::from(comma));
            (name, stands_at(guess, name))
        };
        if here && comma != first {
            // SAFETY: these bytes are the guess's, whole characters without LF.
            self.at = unsafe { name.add(usize::from(guess.len)) };
            return true;
        }
        false
    }

    /// Moves over a string whose content is `content`, if it is here. `content` is what no string would escape.
    #[inline(always)]
    pub(super) fn eat_string(&mut self, content: &[u8]) -> bool {
        // With its quotes it is no longer than what is readable from the LF on, or the line is long enough.
        if content.len() + 2 > crate::PADDING && ((self.len - self.position()) as usize) < content.len() + 2 {
            return false;
        }
        // SAFETY: `content.len() + 2` bytes from `at` on are readable, as just said. Where they are the content in its
        // quotes, no LF is among them, so that they belong to the line; and behind a quote a character starts.
        unsafe {
            let start = self.at.add(1);
            let end = start.add(content.len());
            if *self.at != b'"' || *end != b'"' || !same(start, content) {
                return false;
            }
            self.at = end.add(1);
        }
        true
    }
}

/// How many of the eight bytes, first one lowest, are digits before the first that is none.
#[inline(always)]
fn leading_digits(eight: u64) -> usize {
    // A digit is 0x30 plus 0 to 9; adding 0x76 sets the high bit from 10 on. A carry spoils only what is behind a
    // non-digit.
    let values = eight ^ 0x3030_3030_3030_3030;
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    (others.trailing_zeros() / 8) as usize
}

/// Whether the text of `guess` stands at `at`.
///
/// # Safety
/// `MemberGuess::CAPACITY` bytes are readable at `at`.
#[inline(always)]
unsafe fn stands_at(guess: &MemberGuess, at: *const u8) -> bool {
    const { assert!(MemberGuess::CAPACITY == 48) };
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::*;
        // SAFETY: both sides have 48 bytes.
        let equal = |i: usize| unsafe {
            let here = _mm_loadu_si128(at.add(i).cast());
            let there = _mm_loadu_si128(guess.text.as_ptr().add(i).cast());
            _mm_movemask_epi8(_mm_cmpeq_epi8(here, there)) as u32
        };
        // One bit for each byte of the guess.
        let wanted = (1u64 << guess.len) - 1;
        // Nearly all of FHIR's names fit into 32 bytes with their quotes and colon.
        let (wanted, beyond) = (wanted as u32, (wanted >> 32) as u32);
        let start = equal(0) | equal(16) << 16;
        start & wanted == wanted && (beyond == 0 || equal(32) & beyond == beyond)
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    {
        // SAFETY: both sides have 48 bytes.
        let word = |p: *const u8, i: usize| u64::from_le_bytes(unsafe { p.add(8 * i).cast::<[u8; 8]>().read() });
        let len = usize::from(guess.len);
        (0..len.div_ceil(8)).all(|i| {
            let behind = 8 * (8 * (i + 1)).saturating_sub(len);
            (word(at, i) ^ word(guess.text.as_ptr(), i)) << behind == 0
        })
    }
}

/// Whether `wanted` stands at `at`, without a call: in pairs of words that overlap.
///
/// # Safety
/// `wanted.len()` bytes are readable at `at`.
#[inline(always)]
unsafe fn same(at: *const u8, wanted: &[u8]) -> bool {
    /// # Safety
    /// `N` bytes are readable at `i` of both.
    #[inline(always)]
    unsafe fn differ<const N: usize>(a: *const u8, b: *const u8, i: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { a.add(i).cast::<[u8; N]>().read() != b.add(i).cast::<[u8; N]>().read() }
    }
    let (n, to) = (wanted.len(), wanted.as_ptr());
    // SAFETY: every read is of `i..i + N` with `i + N <= n`.
    unsafe {
        match n {
            16.. => {
                let mut i = 0;
                while i + 16 < n {
                    if differ::<16>(at, to, i) {
                        return false;
                    }
                    i += 16;
                }
                !differ::<16>(at, to, n - 16)
            }
            8.. => !differ::<8>(at, to, 0) && !differ::<8>(at, to, n - 8),
            4.. => !differ::<4>(at, to, 0) && !differ::<4>(at, to, n - 4),
            2.. => !differ::<2>(at, to, 0) && !differ::<2>(at, to, n - 2),
            1 => *at == *to,
            0 => true,
        }
    }
}
