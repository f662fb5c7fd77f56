//! Whole lines in one buffer, and the lines of it.
//!
//! In: a buffer that the framer has cut behind a line feed. Out: [`Line`]s that know their number and their place in the
//! output file. Never: a copy, a line that is not whole.
//!
//! What cursors build on, for each line of a chunk:
//! - no byte of the line is LF, and the first LF at or behind its end comes after at most one CR;
//! - [`PADDING`] bytes from that LF on are readable.

use std::fmt;

use crate::{Reason, Reject};

/// Readable bytes behind the last line of a chunk; all of them LF. The widest register read at once is as wide.
pub const PADDING: usize = 64;

/// Whole lines of an output file, with the bytes they are made of. Goes from the thread that frames to one that parses.
#[derive(Clone)]
pub struct Chunk {
    /// `bytes[start..end]` is the text; at least `PADDING` bytes follow it, and the first `PADDING` of them are LF.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    first_line: u64,
    line_feeds: u64,
}

impl Chunk {
    /// The text `bytes[start..end]`, whole lines; `bytes` is extended by the padding where it is too short for it.
    pub(crate) fn new(mut bytes: Vec<u8>, start: usize, end: usize, offset: u64, first_line: u64) -> Chunk {
        assert!(start <= end && end <= bytes.len());
        let line_feeds = memchr::memchr_iter(b'\n', &bytes[start..end]).count() as u64;
        if bytes.len() < end + PADDING {
            bytes.resize(end + PADDING, b'\n');
        }
        bytes[end..end + PADDING].fill(b'\n');
        Chunk { bytes, start, end, offset, first_line, line_feeds }
    }

    /// A chunk of text that did not come through a [`Framer`](crate::Framer): line 1 at offset 0, any length, no BOM
    /// cut.
    pub fn copy_of(text: &[u8]) -> Chunk {
        let mut bytes = Vec::with_capacity(text.len() + PADDING);
        bytes.extend_from_slice(text);
        Chunk::new(bytes, 0, text.len(), 0, 1)
    }

    /// Offset of the chunk's first byte in the decompressed output file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Number of the chunk's first line in the output file, from 1.
    pub fn first_line(&self) -> u64 {
        self.first_line
    }

    /// How many lines there are, blank ones too.
    pub fn line_count(&self) -> u64 {
        self.line_feeds + u64::from(self.bytes().last().is_some_and(|&last| last != b'\n'))
    }

    /// The text: whole lines with their ends; only a file's last line may lack its own.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The lines. Checks the chunk's UTF-8 in one go, and line by line only where that fails.
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            rest: &self.bytes[self.start..self.end + PADDING],
            utf8: simdutf8::basic::from_utf8(self.bytes()).is_ok(),
            number: self.first_line,
            offset: self.offset,
        }
    }

    pub(crate) fn line_feeds(&self) -> u64 {
        self.line_feeds
    }

    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

/// Says where the chunk is from, and none of its content.
impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.end - self.start;
        f.debug_struct("Chunk")
            .field("offset", &self.offset)
            .field("first_line", &self.first_line)
            .field("bytes", &bytes)
            .finish()
    }
}

/// The lines of a [`Chunk`], blank ones too.
pub struct Lines<'c> {
    /// From the next line to the end of the padding.
    rest: &'c [u8],
    utf8: bool,
    number: u64,
    offset: u64,
}

impl<'c> Iterator for Lines<'c> {
    type Item = Line<'c>;

    #[inline]
    fn next(&mut self) -> Option<Line<'c>> {
        let left = self.rest.len() - PADDING;
        if left == 0 {
            return None;
        }
        let padded = self.rest;
        // Always found: the padding is LF.
        let feed = memchr::memchr(b'\n', padded).unwrap_or(left);
        let cut = feed > 0 && feed < left && padded[feed - 1] == b'\r';
        let len = feed - usize::from(cut);
        let utf8 = self.utf8 || simdutf8::basic::from_utf8(&padded[..len]).is_ok();
        let line = Line { padded, len, utf8, number: self.number, offset: self.offset };
        let taken = (feed + 1).min(left);
        self.rest = &padded[taken..];
        self.number += 1;
        self.offset += taken as u64;
        Some(line)
    }
}

/// Says where it is, and none of its content.
impl fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("number", &self.number).field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// One line of a [`Chunk`], without its LF or CRLF.
#[derive(Clone, Copy)]
pub struct Line<'c> {
    /// From the line's first byte to the end of the chunk's padding.
    padded: &'c [u8],
    len: usize,
    utf8: bool,
    number: u64,
    offset: u64,
}

impl<'c> Line<'c> {
    /// The line without LF or CRLF.
    #[inline]
    pub fn bytes(&self) -> &'c [u8] {
        &self.padded[..self.len]
    }

    /// Number in the output file, from 1; blank and rejected lines count.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Offset of the line's first byte in the decompressed output file, a BOM counted.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Nothing but JSON white space: no resource, and no reject either.
    #[inline]
    pub fn is_blank(&self) -> bool {
        self.bytes().iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
    }

    /// The line as text, without being checked again.
    ///
    /// # Errors
    /// `invalid_utf8`, at the first byte that is not UTF-8.
    #[inline]
    #[expect(unsafe_code, reason = "a second look at every line's UTF-8 costs more than the framing")]
    pub fn text(&self) -> Result<&'c str, Reject> {
        match self.utf8_error() {
            Some(at) => Err(Reject { reason: Reason::InvalidUtf8, at }),
            // SAFETY: `utf8` says that the line's bytes, or the chunk's, were found to be UTF-8; a line is cut out of
            // its chunk beside ASCII bytes only, so it is UTF-8 where the chunk is.
            None => Ok(unsafe { std::str::from_utf8_unchecked(self.bytes()) }),
        }
    }

    /// Where the line is not UTF-8: the position of the first byte that is not; else `None`.
    pub(crate) fn utf8_error(&self) -> Option<u32> {
        if self.utf8 {
            return None;
        }
        let valid = std::str::from_utf8(self.bytes()).map_or_else(|e| e.valid_up_to(), str::len);
        Some(valid as u32)
    }

    /// From the line's first byte on: the line, its end, and at least [`PADDING`] bytes from the LF that ends it.
    #[inline]
    pub(crate) fn padded(&self) -> &'c [u8] {
        self.padded
    }
}

/// Says which line it is, and none of its content.
impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("number", &self.number)
            .field("offset", &self.offset)
            .field("bytes", &self.len)
            .finish()
    }
}
