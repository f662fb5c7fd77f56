//! Where a string's plain content ends: the first `"`, `\` or byte below 0x20.
//!
//! In: a place in padded text. Out: the place of that byte. Never: a look at what it is.
//!
//! The search is written once, over a register of text ([`Register`]), and goes register by register: compare all bytes
//! with `"` and with `\`, take the minimum with 0x1F to tell control characters, fold the three into one bit a byte,
//! and stop at the first bit. It needs no length, because a line feed ends every line and is a control character.
//!
//! The start of a string is searched in place, with what every CPU of the architecture has; most strings end there. The
//! rest of a longer one goes through a function pointer to the widest registers this CPU has. The scalar register
//! serves other architectures and Miri, and is what the others are tested against.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod x86_64;
#[cfg(all(target_arch = "aarch64", not(miri)))]
mod aarch64;
#[cfg(any(test, miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod scalar;

#[cfg(all(target_arch = "aarch64", not(miri)))]
use aarch64::Neon as Baseline;
#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
use scalar::Eight as Baseline;
#[cfg(all(target_arch = "x86_64", not(miri)))]
use x86_64::Sse2 as Baseline;

/// A search that this CPU can do.
#[derive(Clone, Copy)]
pub(super) struct Search(FindEnd);

/// A search for the end of plain content.
///
/// # Safety
/// A byte that ends plain content stands at or behind `at`, and [`PADDING`](crate::PADDING) bytes from it on are
/// readable, like all bytes before it. The CPU has what the function is compiled for.
type FindEnd = unsafe fn(at: *const u8) -> *const u8;

/// One register of text. `load` reads `BYTES` bytes, at most [`PADDING`](crate::PADDING).
trait Register: Copy {
    const BYTES: usize;

    /// # Safety
    /// `BYTES` bytes are readable at `at`, and the CPU has this register.
    unsafe fn load(at: *const u8) -> Self;

    /// The position of the first byte that ends plain content.
    ///
    /// # Safety
    /// The CPU has this register.
    unsafe fn first_end(self) -> Option<usize>;
}

/// # Safety
/// As [`FindEnd`] says.
#[inline(always)]
unsafe fn find<R: Register>(mut at: *const u8) -> *const u8 {
    const { assert!(R::BYTES <= crate::PADDING) };
    loop {
        // SAFETY: the byte that ends the content is not before `at`, so `BYTES <= PADDING` bytes are readable; what the
        // CPU has is the caller's promise.
        unsafe {
            if let Some(first) = R::load(at).first_end() {
                return at.add(first);
            }
            at = at.add(R::BYTES);
        }
    }
}

impl Search {
    /// With the widest registers there are.
    pub(super) fn widest() -> Search {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            if std::is_x86_feature_detected!("avx512bw") {
                return Search(x86_64::find_avx512);
            }
            if std::is_x86_feature_detected!("avx2") {
                return Search(x86_64::find_avx2);
            }
        }
        Search(find::<Baseline>)
    }
}

/// How many bytes are searched in place before the wider search is called. Walking a Synthea export, 16 was 2 % slower
/// and 64 was 2 % faster, for twice the code wherever a string is read.
const IN_PLACE: usize = 32;

/// Where plain content that starts at `at` ends.
///
/// # Safety
/// As [`FindEnd`] says, but for the CPU.
#[inline(always)]
pub(super) unsafe fn plain_end(at: *const u8, wider: Search) -> *const u8 {
    const { assert!(IN_PLACE.is_multiple_of(Baseline::BYTES)) };
    let mut done = 0;
    while done < IN_PLACE {
        // SAFETY: as in `find`; every CPU of the architecture has the baseline register.
        unsafe {
            if let Some(first) = Baseline::load(at.add(done)).first_end() {
                return at.add(done + first);
            }
        }
        done += Baseline::BYTES;
    }
    // SAFETY: the end is not before `at + done`; the rest is the caller's promise, and this CPU can do the search.
    unsafe { (wider.0)(at.add(done)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(&'static str, FindEnd)> {
        let mut all: Vec<(&str, FindEnd)> = vec![("scalar", find::<scalar::Eight>), ("baseline", find::<Baseline>)];
        all.push(("widest", Search::widest().0));
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if std::is_x86_feature_detected!("avx2") {
            all.push(("avx2", x86_64::find_avx2));
        }
        all
    }

    #[track_caller]
    fn check(text: &[u8], from: usize, end: usize) {
        for (name, find) in all() {
            // SAFETY: `end` holds a byte that ends content, and the callers put `PADDING` bytes behind it.
            let (found, in_place) = unsafe {
                let at = text.as_ptr().add(from);
                (find(at).offset_from(at) as usize, plain_end(at, Search(find)).offset_from(at) as usize)
            };
            assert_eq!(from + found, end, "{name} in {text:?}");
            assert_eq!(from + in_place, end, "in place, then {name}, in {text:?}");
        }
    }

    /// Every byte value at every distance, from every alignment, ends the content exactly if it should.
    #[test]
    fn every_byte_at_every_distance() {
        let distances = if cfg!(miri) { vec![0, 1, 7, 8, 31, 32, 33] } else { (0..150).collect() };
        for distance in distances {
            for byte in 0..=255u8 {
                let from = usize::from(byte) % 9;
                let mut text = vec![b'a'; from];
                text.extend((0..distance).map(|i| [0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'][(i + from) % 8]));
                text.push(byte);
                let ends = byte < 0x20 || byte == b'"' || byte == b'\\';
                text.extend_from_slice(&[b'\n'; 1 + crate::PADDING]);
                check(&text, from, from + distance + usize::from(!ends));
            }
        }
    }

    /// The first of several counts, wherever the others are.
    #[test]
    fn the_first_counts() {
        for first in 0..66 {
            for second in first..first + 66 {
                let mut text = vec![b'x'; second + 1];
                text[second] = b'\\';
                text[first] = b'"';
                text.extend_from_slice(&[b'\n'; crate::PADDING]);
                check(&text, 0, first);
            }
        }
    }
}
