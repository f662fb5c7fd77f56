//! Values that are kept as they stand: checked in full, decoded not at all.
//!
//! In: a scanner before a value. Out: the scanner behind it. Never: recursion, so that nesting costs a bit and no stack;
//! a look at whether names repeat.

use super::escape::skip_string;
use super::number::number;
use super::scanner::Scanner;
use crate::{Reason, Reject};

/// The containers that are open, one bit each: 1 for an object. The innermost 64 are in a register.
struct Open<'s> {
    inner: u64,
    /// The rest, in words of 64, outermost first.
    outer: &'s mut Vec<u64>,
    depth: u32,
    max_depth: u32,
}

impl Open<'_> {
    #[inline(always)]
    fn push(&mut self, object: bool, scan: &Scanner<'_>) -> Result<(), Reject> {
        if self.depth == self.max_depth {
            return Err(scan.reject(Reason::TooDeep));
        }
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(object);
        self.depth += 1;
        Ok(())
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.depth -= 1;
        self.inner >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        self.inner & 1 == 1
    }
}

/// Moves over white space and a value that may hold `max_depth` levels of containers. `outer` is scratch.
pub(super) fn skip_value(scan: &mut Scanner<'_>, max_depth: u32, outer: &mut Vec<u64>) -> Result<(), Reject> {
    outer.clear();
    let mut open = Open { inner: 0, outer, depth: 0, max_depth };
    loop {
        match scan.behind_white() {
            b'"' => {
                scan.step();
                skip_string(scan)?;
            }
            b'{' => {
                open.push(true, scan)?;
                scan.step();
                if scan.behind_white() != b'}' {
                    skip_name(scan)?;
                    continue;
                }
                scan.step();
                open.pop();
            }
            b'[' => {
                open.push(false, scan)?;
                scan.step();
                if scan.behind_white() != b']' {
                    continue;
                }
                scan.step();
                open.pop();
            }
            b'-' | b'0'..=b'9' => {
                number(scan)?;
            }
            b't' => skip_word(scan, b"true")?,
            b'f' => skip_word(scan, b"false")?,
            b'n' => skip_word(scan, b"null")?,
            _ => return Err(scan.reject(Reason::NotJson)),
        }
        // A value has ended, and with it perhaps the containers it was the last of.
        loop {
            if open.depth == 0 {
                return Ok(());
            }
            match (scan.behind_white(), open.in_object()) {
                (b',', true) => {
                    scan.step();
                    skip_name(scan)?;
                    break;
                }
                (b',', false) => {
                    scan.step();
                    break;
                }
                (b'}', true) | (b']', false) => {
                    scan.step();
                    open.pop();
                }
                _ => return Err(scan.reject(Reason::NotJson)),
            }
        }
    }
}

/// Moves over a member's name and its colon.
#[inline]
fn skip_name(scan: &mut Scanner<'_>) -> Result<(), Reject> {
    scan.behind_white();
    if !scan.eat::<b'"'>() {
        return Err(scan.reject(Reason::NotJson));
    }
    skip_string(scan)?;
    scan.behind_white();
    if !scan.eat::<b':'>() {
        return Err(scan.reject(Reason::NotJson));
    }
    Ok(())
}

/// Moves over a literal.
#[inline]
fn skip_word<const N: usize>(scan: &mut Scanner<'_>, word: &'static [u8; N]) -> Result<(), Reject> {
    if scan.eat_word(word) { Ok(()) } else { Err(scan.reject_word(word)) }
}
