//! From bytes as they arrive to chunks of whole lines.
//!
//! In: the decompressed bytes of one output file, in any split, read straight into the framer's buffer. Out:
//! [`Framed`]: chunks of whole lines, and in pieces the lines that are too long to be held. Never: I/O; a byte lost or
//! looked at as JSON.
//!
//! A chunk is cut behind the last LF of what is there; the rest is carried into the next buffer. So a byte is copied
//! once at most, or again for as long as its line fills more than a chunk. What comes out depends on the bytes only,
//! but for where chunks and pieces are cut.
//!
//! Lines end with LF, and one CR before it belongs to the end. The last line may lack its LF; an empty rest is no line.
//! A byte order mark at the start of the file is not part of its first line.

use std::mem;

use crate::chunk::{Chunk, PADDING};

/// How many buffers wait for reuse. As many as are under way between one framing thread and a small pool of parsers;
/// what is beyond that comes from an allocator that, at this size, pays a page fault for every 4 KiB.
const KEPT_BUFFERS: usize = 8;

/// The byte order mark in UTF-8.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What the framer has cut off.
#[derive(Debug)]
pub enum Framed {
    /// Whole lines, none of them longer than the limit.
    Chunk(Chunk),
    /// A part of a line that is longer than the limit. Nothing else comes between the parts of one line.
    LongLine(LongLinePiece),
}

/// A part of a line that is too long: enough to put its bytes aside without holding them.
pub struct LongLinePiece {
    /// The line's number in the output file, from 1.
    pub line: u64,
    /// Offset of the line's first byte in the decompressed output file.
    pub offset: u64,
    /// At most a chunk; without the line's end. May be empty in the last piece.
    pub bytes: Vec<u8>,
    /// It is the line's first part.
    pub first: bool,
    /// It is the line's last part.
    pub last: bool,
    /// The line's bytes up to here, these ones counted: in the last piece the line's length.
    pub length: u64,
}

/// Says which line it is, and none of its content.
impl std::fmt::Debug for LongLinePiece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LongLinePiece")
            .field("line", &self.line)
            .field("offset", &self.offset)
            .field("bytes", &self.bytes.len())
            .field("first", &self.first)
            .field("last", &self.last)
            .field("length", &self.length)
            .finish()
    }
}

/// Cuts one output file into chunks.
///
/// ```
/// # use lakehaul_parse::{Framed, Framer};
/// let mut framer = Framer::new(64 << 20, 4 << 20);
/// let mut lines = Vec::new();
/// for arrived in [&b"{\"a\":"[..], b"1}\r\n{}"] {
///     framer.space(arrived.len())[..arrived.len()].copy_from_slice(arrived);
///     framer.filled(arrived.len());
///     while let Some(framed) = framer.next() {
///         unreachable!("4 MiB have not come together: {framed:?}");
///     }
/// }
/// framer.finish();
/// while let Some(framed) = framer.next() {
///     let Framed::Chunk(chunk) = framed else { continue };
///     lines.extend(chunk.lines().map(|line| (line.number(), line.offset(), line.bytes().to_vec())));
///     framer.recycle(chunk);
/// }
/// assert_eq!(lines, [(1, 0, b"{\"a\":1}".to_vec()), (2, 9, b"{}".to_vec())]);
/// ```
pub struct Framer {
    max_line_bytes: usize,
    chunk_bytes: usize,
    /// `start..filled` has arrived and is not handed out; all of it is initialised, and `PADDING` at its end is not
    /// read into.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    /// No LF in `start..searched`.
    searched: usize,
    /// Of the byte at `start`.
    offset: u64,
    /// Number of the line that `start` is in.
    line: u64,
    bom: Bom,
    /// Set while `start` is inside a line that is too long.
    long: Option<Long>,
    finished: bool,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug, PartialEq)]
enum Bom {
    MayCome,
    Settled,
}

#[derive(Debug, Clone, Copy)]
struct Long {
    offset: u64,
    length: u64,
    first: bool,
}

impl Framer {
    /// Lines longer than `max_line_bytes` (line end not counted) come in pieces; it is capped to what 32 bits count.
    /// A chunk is handed out once `chunk_bytes` have come together. Holds at most about a line and two chunks.
    pub fn new(max_line_bytes: usize, chunk_bytes: usize) -> Framer {
        Framer {
            max_line_bytes: max_line_bytes.min(u32::MAX as usize - PADDING),
            chunk_bytes: chunk_bytes.max(1),
            buffer: Vec::new(),
            start: 0,
            filled: 0,
            searched: 0,
            offset: 0,
            line: 1,
            bom: Bom::MayCome,
            long: None,
            finished: false,
            spare: Vec::new(),
        }
    }

    /// Starts over for another output file, or inside one: the next byte filled in is at `offset`, the first of line
    /// `line`. What was not handed out is dropped; buffers are kept.
    pub fn restart(&mut self, offset: u64, line: u64) {
        (self.start, self.filled, self.searched) = (0, 0, 0);
        (self.offset, self.line) = (offset, line);
        self.bom = if offset == 0 { Bom::MayCome } else { Bom::Settled };
        self.long = None;
        self.finished = false;
    }

    /// Offset of the next byte to be handed out.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where to read bytes into: `at_least` so many, and what else a chunk has room for. Say with
    /// [`filled`](Self::filled) how many came.
    pub fn space(&mut self, at_least: usize) -> &mut [u8] {
        let at_least = at_least.max(1);
        if self.buffer.is_empty() {
            self.buffer = self.spare.pop().unwrap_or_default();
        }
        if self.buffer.len() < self.filled + at_least + PADDING {
            self.make_room(at_least);
        }
        let room = self.buffer.len() - PADDING - self.filled;
        // A buffer that a long line has grown is not to be filled with short ones.
        let wanted = self.chunk_bytes.saturating_sub(self.filled - self.start).max(at_least);
        &mut self.buffer[self.filled..][..room.min(wanted)]
    }

    #[cold]
    fn make_room(&mut self, at_least: usize) {
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.searched -= self.start;
        self.start = 0;
        // Doubled, so that a line that is growing is not copied for every read; in one step to the longest line there
        // may be once that is near, so that old and new buffer together stay near it too.
        let most = self.max_line_bytes + self.chunk_bytes;
        let grown = match self.filled {
            filled if filled < self.chunk_bytes => 0,
            filled if filled > most / 8 => most,
            filled => 2 * filled,
        };
        let wanted = (self.filled + at_least).max(self.chunk_bytes).max(grown) + PADDING;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
    }

    /// `n` bytes have been read into the front of [`space`](Self::space). Call [`next`](Iterator::next) until it is
    /// `None` then.
    pub fn filled(&mut self, n: usize) {
        assert!(n <= self.buffer.len().saturating_sub(self.filled + PADDING), "more than there was space for");
        self.filled += n;
    }

    /// No more bytes come: what is left is the last line.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Gives a chunk's buffer back for reuse, if it has the usual size.
    pub fn recycle(&mut self, chunk: Chunk) {
        self.keep(chunk.into_buffer());
    }

    fn keep(&mut self, buffer: Vec<u8>) {
        let usual = self.chunk_bytes..=2 * self.chunk_bytes + PADDING;
        if self.spare.len() < KEPT_BUFFERS && usual.contains(&buffer.len()) {
            self.spare.push(buffer);
        }
    }

    /// Skips a byte order mark. False: more bytes are needed to tell.
    fn settle_bom(&mut self) -> bool {
        let text = &self.buffer[self.start..self.filled];
        if text.len() < BOM.len() && !self.finished && BOM.starts_with(text) {
            return false;
        }
        if text.starts_with(BOM) {
            self.advance(BOM.len());
        }
        self.bom = Bom::Settled;
        true
    }

    fn advance(&mut self, n: usize) {
        self.start += n;
        self.offset += n as u64;
        self.searched = self.searched.max(self.start);
    }

    /// The position of the first line that is too long, as far as can be told.
    fn first_long_line(&self) -> Option<usize> {
        let mut at = self.start;
        while self.filled - at > self.max_line_bytes {
            let text = &self.buffer[at..self.filled];
            let feed = memchr::memchr(b'\n', text);
            let line = &text[..feed.unwrap_or(text.len())];
            // A CR at the end of what is there may yet turn out to be part of the line's end.
            let may_be_cut = line.ends_with(b"\r") && (feed.is_some() || !self.finished);
            if line.len() - usize::from(may_be_cut) > self.max_line_bytes {
                return Some(at);
            }
            at += feed? + 1;
        }
        None
    }

    /// Like [`next`](Iterator::next), but does not wait for a chunk to be full: for lines that have waited long enough.
    /// `None`: no whole line is there.
    pub fn next_early(&mut self) -> Option<Framed> {
        if self.bom == Bom::MayCome && !self.settle_bom() {
            return None;
        }
        if self.long.is_some() { self.long_piece() } else { self.cut() }
    }

    fn cut(&mut self) -> Option<Framed> {
        let long = self.first_long_line();
        if long == Some(self.start) {
            self.long = Some(Long { offset: self.offset, length: 0, first: true });
            return self.long_piece();
        }
        let end = if let Some(long) = long {
            long
        } else if self.finished {
            self.filled
        } else {
            let feed = memchr::memrchr(b'\n', &self.buffer[self.searched..self.filled]);
            let searched = mem::replace(&mut self.searched, self.filled);
            searched + feed? + 1
        };
        if end == self.start {
            return None;
        }
        Some(Framed::Chunk(self.chunk_to(end)))
    }

    fn chunk_to(&mut self, end: usize) -> Chunk {
        let carried = self.filled - end;
        let mut next = Vec::new();
        if carried > 0 {
            next = self.spare.pop().unwrap_or_default();
            if next.len() < carried.max(self.chunk_bytes) + PADDING {
                next.resize(carried.max(self.chunk_bytes) + PADDING, 0);
            }
            next[..carried].copy_from_slice(&self.buffer[end..self.filled]);
        }
        let bytes = mem::replace(&mut self.buffer, next);
        let (offset, first_line) = (self.offset, self.line);
        let chunk = Chunk::new(bytes, self.start, end, offset, first_line);
        self.offset += chunk.bytes().len() as u64;
        self.line += chunk.line_feeds();
        (self.start, self.filled, self.searched) = (0, carried, 0);
        chunk
    }

    /// The next part of the line that is too long. `None`: more bytes are needed.
    fn long_piece(&mut self) -> Option<Framed> {
        let long = self.long?;
        let text = &self.buffer[self.start..self.filled];
        // Two at least, so that a CR is seen with what follows it.
        let window = &text[..text.len().min(self.chunk_bytes.max(2))];
        let feed = memchr::memchr(b'\n', window);
        let (bytes, taken) = match feed {
            Some(feed) => (window[..feed].strip_suffix(b"\r").unwrap_or(&window[..feed]), feed + 1),
            None if self.finished && window.len() == text.len() => (window, window.len()),
            None => {
                let bytes = window.strip_suffix(b"\r").unwrap_or(window);
                (!bytes.is_empty()).then_some((bytes, bytes.len()))?
            }
        };
        let last = feed.is_some() || (self.finished && taken == text.len());
        let length = long.length + bytes.len() as u64;
        let bytes = bytes.to_vec();
        let piece = LongLinePiece { line: self.line, offset: long.offset, bytes, first: long.first, last, length };
        self.advance(taken);
        self.line += u64::from(last);
        self.long = (!last).then_some(Long { length, first: false, ..long });
        Some(Framed::LongLine(piece))
    }
}

/// Says where it is, and none of the content.
impl std::fmt::Debug for Framer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Framer").field("offset", &self.offset).field("line", &self.line).finish_non_exhaustive()
    }
}

/// Yields what can be cut off by now. `None` is not the end: after more bytes, or [`finish`](Framer::finish), there may
/// be more.
impl Iterator for Framer {
    type Item = Framed;

    fn next(&mut self) -> Option<Framed> {
        if !self.finished && self.long.is_none() && self.filled - self.start < self.chunk_bytes {
            return None;
        }
        self.next_early()
    }
}
