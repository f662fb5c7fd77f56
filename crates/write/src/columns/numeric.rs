//! The number that a decimal's text stands for, as DECIMAL(38,6).
//!
//! In: a number by RFC 8259's grammar. Out: the value in millionths, rounded half to even, or nothing where it needs
//! more than 38 digits. The text itself is kept elsewhere; this is an annotation that can be computed with.

/// Digits behind the point.
const SCALE: i64 = 6;
const LIMIT: i128 = 10i128.pow(38);

/// `text` in millionths.
pub(crate) fn numeric(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if let Some(value) = usual(digits) {
        return Some(i128::from(if negative { -value } else { value }));
    }
    let exponent_at = digits.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match exponent_at {
        None => (digits, 0),
        Some(at) => (&digits[..at], exponent(&digits[at + 1..])),
    };
    let point = mantissa.iter().position(|&byte| byte == b'.');
    let fraction_digits = point.map_or(0, |at| (mantissa.len() - at - 1) as i64);
    // The value is (the mantissa's digits as an integer) × 10^shift, in millionths.
    let shift = exponent.saturating_sub(fraction_digits).saturating_add(SCALE);

    let all = mantissa.iter().filter(|&&byte| byte != b'.').map(|&byte| byte - b'0');
    let total = mantissa.len() as i64 - i64::from(point.is_some());
    // With a negative shift the last -shift digits are dropped and decide the rounding.
    let kept = total.saturating_add(shift.min(0)).max(0);
    let mut value: i128 = 0;
    let (mut first_dropped, mut rest_dropped) = (0, false);
    for (index, digit) in all.enumerate() {
        let index = index as i64;
        if index < kept {
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
            if value >= LIMIT {
                return None;
            }
        } else if index == total.saturating_add(shift) {
            first_dropped = digit;
        } else {
            rest_dropped |= digit != 0;
        }
    }
    if first_dropped > 5 || first_dropped == 5 && (rest_dropped || value % 2 == 1) {
        value += 1;
    }
    if shift > 0 && value != 0 {
        if shift > 38 {
            return None;
        }
        value = value.checked_mul(10i128.checked_pow(shift as u32)?)?;
    }
    (value < LIMIT).then_some(if negative { -value } else { value })
}

/// `digits` in millionths if they are as most: few enough for a machine word, none to be rounded away, no exponent.
#[inline]
fn usual(digits: &[u8]) -> Option<i64> {
    const DIGITS_MAX: usize = 12;
    if digits.len() > DIGITS_MAX {
        return None;
    }
    let (mut value, mut behind_point) = (0i64, None);
    for &byte in digits {
        match byte {
            b'0'..=b'9' => value = value * 10 + i64::from(byte - b'0'),
            b'.' => {
                behind_point = Some(0);
                continue;
            }
            _ => return None,
        }
        behind_point = behind_point.map(|count: u32| count + 1);
    }
    // At most 10^12 × 10^6.
    Some(value * 10i64.pow((SCALE as u32).checked_sub(behind_point.unwrap_or(0))?))
}

/// The exponent behind the `e`; beyond any that matters it saturates.
fn exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let value =
        digits.iter().fold(0i64, |value, &digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    let value = value.min(i64::MAX / 4);
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millionths: Option<i128>) {
        assert_eq!(numeric(text.as_bytes()), millionths, "{text}");
    }

    #[test]
    fn scales_and_rounds_half_to_even() {
        check("0", Some(0));
        check("-0.0", Some(0));
        check("1.50", Some(1_500_000));
        check("-12.345678", Some(-12_345_678));
        check("0.0000005", Some(0));
        check("0.0000015", Some(2));
        check("0.0000025", Some(2));
        check("0.00000250001", Some(3));
        check("0.0000004999", Some(0));
        check("-0.0000015", Some(-2));
        check("9.9463", Some(9_946_300));
        check("99999.123456", Some(99_999_123_456));
        check("-99999.123456", Some(-99_999_123_456));
        check("99999.1234565", Some(99_999_123_456));
        check("999999999999", Some(999_999_999_999_000_000));
        check("9999999999999", Some(9_999_999_999_999_000_000));
    }

    #[test]
    fn reads_exponents() {
        check("1e3", Some(1_000_000_000));
        check("1.25E-2", Some(12_500));
        check("15e-7", Some(2));
        check("5e-7", Some(0));
        check("5e-8", Some(0));
        check("51e-8", Some(1));
        check("0e999999999999999999999", Some(0));
        check("1e999999999999999999999", None);
        check("1e-999999999999999999999", Some(0));
        check("1e31", Some(10i128.pow(37)));
        check("1e32", None);
    }

    #[test]
    fn holds_38_digits_and_no_more() {
        check("99999999999999999999999999999999.999999", Some(LIMIT - 1));
        check("99999999999999999999999999999999.9999995", None);
        check("-99999999999999999999999999999999.9999994", Some(1 - LIMIT));
        check("100000000000000000000000000000000", None);
        check("1234567890123456789012345678901234567890", None);
        check("0.1234567890123456789012345678901234567890", Some(123_457));
    }
}
