//! What has been handed out of a file, as far as it is needed to recognise it: where it begins and ends, its last bytes, and
//! a hash where nothing else vouches for the ones before.

use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::Xxh3;

/// How many of the last bytes are kept. A page of NDJSON holds ids, dates and amounts: another version of the file does not
/// have the same ones at the same place.
const TAIL_BYTES: usize = 4 << 10;

/// What has been handed out, from some byte of the file on. Positions are the file's.
pub(super) struct Seen {
    start: u64,
    position: u64,
    /// Of all of it. `None`: a validator vouches for it.
    hash: Option<Box<Xxh3>>,
    tail: Vec<u8>,
    /// A byte that is not blank has come.
    begun: bool,
}

/// Holds bytes that come again against those that were handed out, behind `unknown` ones that nothing is kept of.
pub(super) struct Check {
    unknown: u64,
    held: Held,
}

enum Held {
    All { left: u64, hash: Box<Xxh3>, expected: u128 },
    Tail { expected: Vec<u8>, at: usize },
}

impl Seen {
    /// Nothing yet, of a file that is wanted from this byte on. `vouched_for`: a body that repeats what is to come will be
    /// read only where a validator says that it does, so that its last bytes are check enough.
    pub(super) fn from(start: u64, vouched_for: bool) -> Seen {
        let hash = (!vouched_for).then(Box::default);
        // In the middle of a file, any byte may be the first.
        Seen { start, position: start, hash, tail: Vec::new(), begun: start > 0 }
    }

    /// The byte with which it begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The byte that comes next.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn is_hashed(&self) -> bool {
        self.hash.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.position == self.start
    }

    /// The last bytes: all of them, if they are few.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    pub(super) fn ends_a_line(&self) -> bool {
        self.tail.last() == Some(&b'\n')
    }

    /// Whether these bytes make it clear that the file is HTML or XML: its first byte that is not blank is `<`.
    pub(super) fn begins_with_markup(&self, bytes: &[u8]) -> bool {
        !self.begun && bytes.iter().find(|byte| !is_blank(**byte)) == Some(&b'<')
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.position += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.begun = self.begun || bytes.iter().any(|byte| !is_blank(*byte));
        let new = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let kept = self.tail.len().min(TAIL_BYTES - new.len());
        self.tail.drain(..self.tail.len() - kept);
        self.tail.extend_from_slice(new);
    }

    /// What a body that starts at `start` repeats; `None` if nothing. It starts at the file's first byte or at the tail's.
    pub(super) fn check_from(&self, start: u64) -> Option<Check> {
        let again = self.position.checked_sub(start).filter(|&again| again > 0)?;
        let before_tail = again - self.tail.len() as u64;
        Some(match &self.hash {
            Some(all) if before_tail > 0 => {
                let left = self.position - self.start;
                let held = Held::All { left, hash: Box::default(), expected: all.digest128() };
                Check { unknown: again - left, held }
            }
            _ => Check { unknown: before_tail, held: Held::Tail { expected: self.tail.clone(), at: 0 } },
        })
    }
}

/// Blank, or a byte order mark's.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"\xef\xbb\xbf".contains(&byte)
}

impl Check {
    /// Takes from the front of `bytes` what comes again. `None`: all of it did, and more will; else whether it is the same.
    pub(super) fn hold_against(&mut self, bytes: &mut Bytes) -> Option<bool> {
        let before = bytes.len().min(usize::try_from(self.unknown).unwrap_or(usize::MAX));
        bytes.advance(before);
        self.unknown -= before as u64;
        match &mut self.held {
            Held::All { left, hash, expected } => {
                let again = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                hash.update(&bytes.split_to(again));
                *left -= again as u64;
                (*left == 0).then(|| hash.digest128() == *expected)
            }
            Held::Tail { expected, at } => {
                let again = bytes.len().min(expected.len() - *at);
                if bytes.split_to(again) != expected[*at..*at + again] {
                    return Some(false);
                }
                *at += again;
                (*at == expected.len()).then_some(true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(parts: &[&[u8]], vouched_for: bool) -> Seen {
        let mut seen = Seen::from(0, vouched_for);
        parts.iter().for_each(|part| seen.add(part));
        seen
    }

    #[test]
    fn the_tail_is_the_end_of_what_came() {
        let all: Vec<u8> = (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        for part in [1, 7, 1000, 4095, 4096, 4097, 20_000] {
            let parts: Vec<&[u8]> = all.chunks(part).collect();
            for count in 0..=parts.len().min(50) {
                let seen = seen(&parts[..count], count % 2 == 0);
                let so_far = parts[..count].concat();
                assert_eq!(seen.tail(), &so_far[so_far.len().saturating_sub(TAIL_BYTES)..], "parts of {part}");
                assert_eq!(seen.position(), so_far.len() as u64);
            }
        }
    }

    #[test]
    fn what_comes_again_is_held_against_what_came() {
        let all: Vec<u8> = (0..10_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        #[track_caller]
        fn check(all: &[u8], position: usize, start: usize, damage: Option<usize>) {
            check_with(false, all, position, start, damage);
            // Vouched for is what the last bytes do not show.
            check_with(true, all, position, start, damage.filter(|at| at + TAIL_BYTES >= position));
        }
        #[track_caller]
        fn check_with(vouched_for: bool, all: &[u8], position: usize, start: usize, damage: Option<usize>) {
            let seen = seen(&[&all[..position]], vouched_for);
            let mut again = all.to_vec();
            if let Some(at) = damage {
                again[at] ^= 1;
            }
            for part in [1, 100, 4096, 10_000] {
                let mut check = seen.check_from(start as u64);
                let mut rest = Vec::new();
                let mut same = true;
                for part in again[start..].chunks(part) {
                    let mut bytes = Bytes::copy_from_slice(part);
                    match check.as_mut().and_then(|check| check.hold_against(&mut bytes)) {
                        Some(true) => check = None,
                        Some(false) => {
                            same = false;
                            break;
                        }
                        None => {}
                    }
                    rest.extend_from_slice(&bytes);
                }
                assert_eq!(same, damage.is_none(), "position {position}, start {start}");
                if same {
                    assert_eq!(rest, &all[position..]);
                }
            }
        }
        for position in [1, 100, 4096, 4097, 9999] {
            check(&all, position, 0, None);
            check(&all, position, 0, Some(position - 1));
            check(&all, position, 0, Some(0));
            let tail = position.saturating_sub(TAIL_BYTES);
            check(&all, position, tail, None);
            check(&all, position, tail, Some(position - 1));
            check(&all, position, tail, Some(tail));
            check(&all, position, position, None);
        }
        check(&all, 0, 0, None);
    }

    #[test]
    fn markup_is_told_by_the_first_byte() {
        let none = Seen::from(0, false);
        for markup in [&b"<html>"[..], b" \r\n\t<", b"\xef\xbb\xbf<?xml"] {
            assert!(none.begins_with_markup(markup));
        }
        for data in [&b"{\"a\":\"<\"}"[..], b"", b" \n", b"\x1f\x8b<", b"[<"] {
            assert!(!none.begins_with_markup(data));
        }
        assert!(seen(&[b" \n"], false).begins_with_markup(b"<"));
        assert!(!seen(&[b"{"], false).begins_with_markup(b"<"));
    }
}
