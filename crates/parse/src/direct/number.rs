//! Numbers: RFC 8259, section 6.
//!
//! In: a scanner at a number. Out: its text, as it stands. Never: a value.

use super::scanner::Scanner;
use crate::{Reason, Reject};

/// Moves over a number and returns its text. What follows it is the next call's business.
#[inline(always)]
pub(super) fn number<'c>(scan: &mut Scanner<'c>) -> Result<&'c str, Reject> {
    let mark = scan.mark();
    scan.eat::<b'-'>();
    let zero = scan.byte() == b'0';
    let whole = scan.digits();
    if whole == 0 || (zero && whole > 1) {
        return Err(scan.reject(Reason::BadNumber));
    }
    if scan.eat::<b'.'>() && scan.digits() == 0 {
        return Err(scan.reject(Reason::BadNumber));
    }
    if scan.byte() | 0x20 == b'e' {
        exponent(scan)?;
    }
    Ok(scan.since(mark))
}

#[cold]
#[inline(never)]
fn exponent(scan: &mut Scanner<'_>) -> Result<(), Reject> {
    scan.step();
    if !scan.eat::<b'-'>() {
        scan.eat::<b'+'>();
    }
    if scan.digits() == 0 {
        return Err(scan.reject(Reason::BadNumber));
    }
    Ok(())
}
