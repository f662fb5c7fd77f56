//! The front of an output file: from its bytes to whole lines, one [`Pulled`] at a time.
//!
//! In goes a file's [`Content`], and which stretches of it are still to be done; out come the chunks of these, and lines
//! that are too long, put aside in the store. What an earlier process has done is read for its hash alone. A front is
//! behind a lock: who pulls reads, decompresses, frames, hashes what is not large, and parses what it got after letting go. Lines
//! that are large are in memory one at a time in the whole run (`large_lines`).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lakehaul_parse::{Chunk, Framed, Framer, LongLinePiece};
use lakehaul_write::store::{Store, StoreWrite};

use crate::LoadError;
use crate::block_hash::{Blocks, Prefix};
use crate::content::Content;
use crate::hashing::PieceHash;
use crate::inputs::{Place, StoredFile};
use crate::journal::replay::Gap;
use crate::large_lines::{LargeLineGate, LargeLinePass};
use crate::pipe::PipeReader;

/// The least space that is worth a read.
const READ_BYTES_MIN: usize = 64 << 10;

/// How long whole lines wait for their chunk to be full while nothing else comes: a slow link's rows are not to be late,
/// and a fast one's chunks not to be small.
const WAIT_MOST: Duration = Duration::from_millis(250);

/// How much of a file that has failed is read at a time, for its hash.
const DRAINED_BYTES: usize = 64 << 10;

/// An output file that is being read.
pub(crate) struct Front {
    content: Content,
    framer: Framer,
    /// What is to be done, the first one now.
    gaps: VecDeque<Gap>,
    within: Within,
    /// Of the next decompressed byte.
    content_bytes: u64,
    /// Where the line begins that is not framed yet.
    framed_to: u64,
    /// Since when bytes are in the framer that no chunk has taken; `None` also where no whole line is among them.
    waiting_since: Option<Instant>,
    gate: Arc<LargeLineGate>,
    /// A line that grows beyond this waits until no other such line is in memory.
    large_line_bytes: u64,
    /// Held while a large line is in the framer.
    pass: Option<LargeLinePass>,
    aside: Aside,
    /// Chaining values that nobody has been told of.
    blocks: Blocks,
    /// Where the newest chunk is to be added to.
    unhashed: Option<Arc<PieceHash>>,
    /// Why the text broke off; the rest is read for the file's hash.
    failure: Option<String>,
    /// What is known of its end, but for what was received: the last lines may yet be handed out.
    ended: Option<End>,
}

/// Where a front is in the first of its gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Before it.
    Before,
    /// In it.
    Inside,
    /// All its bytes are in the framer.
    Ending,
}

/// What a pull gives.
pub(crate) enum Pulled {
    /// Lines; the pass is to be kept until nothing holds their bytes any more.
    Chunk(Chunk, Option<LargeLinePass>),
    /// A line that is too long, put aside.
    LongLine(LongLine),
    /// Nothing is there now, but will be.
    Later,
    /// A large line must wait for another.
    Gated,
    /// It is not the file that was begun.
    Changed,
    /// The file has ended.
    End(End),
}

/// A line that is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LongLine {
    pub(crate) line: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Behind its line end.
    pub(crate) end: u64,
    /// Where its bytes are, in the store.
    pub(crate) path: String,
}

/// How a file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) received: Option<Prefix>,
    pub(crate) content_bytes: u64,
    /// Why not at its end.
    pub(crate) failure: Option<String>,
}

impl Front {
    /// `gaps`: at least one, the last without an end. The content begins before the first.
    pub(crate) fn new(
        content: Content,
        framer: Framer,
        gate: Arc<LargeLineGate>,
        large_line_bytes: u64,
        aside: Aside,
        gaps: Vec<Gap>,
    ) -> Front {
        Front {
            // Content that does not begin with the file's first byte is plain: its bytes are those that came.
            content_bytes: content.bytes_read(),
            framed_to: content.bytes_read(),
            waiting_since: None,
            content,
            framer,
            gaps: gaps.into(),
            within: Within::Before,
            gate,
            large_line_bytes,
            pass: None,
            aside,
            blocks: Blocks::new(),
            unhashed: None,
            failure: None,
            ended: None,
        }
    }

    /// The next lines. `used`: a chunk that is done with. An error is the store's; the file's own comes with its end.
    pub(crate) fn pull(&mut self, used: Option<Chunk>) -> Result<Pulled, LoadError> {
        if let Some(used) = used {
            self.framer.recycle(used);
        }
        loop {
            while let Some(framed) = self.framer.next() {
                if let Some(pulled) = self.framed(framed)? {
                    return Ok(pulled);
                }
            }
            if self.gap_is_done() {
                continue;
            }
            if let Some(end) = self.ended.clone() {
                return Ok(Pulled::End(End { received: self.content.received(), ..end }));
            }
            if self.failure.is_some() {
                match self.drain() {
                    true => continue,
                    false => return Ok(Pulled::Later),
                }
            }
            let large = self.within == Within::Inside && self.content_bytes - self.framed_to > self.large_line_bytes;
            if large && self.pass.is_none() {
                match LargeLineGate::enter(&self.gate) {
                    None => return Ok(Pulled::Gated),
                    pass => self.pass = pass,
                }
            }
            match self.read() {
                Ok(0) if self.is_done_before() => return Ok(Pulled::Changed),
                Ok(0) => self.end(),
                Ok(_) if self.content.has_changed() => return Ok(Pulled::Changed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.has_waited() {
                        return Ok(Pulled::Later);
                    }
                    self.waiting_since = None;
                    let Some(framed) = self.framer.next_early() else { return Ok(Pulled::Later) };
                    if let Some(pulled) = self.framed(framed)? {
                        return Ok(pulled);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.framer.finish();
                    self.waiting_since = None;
                    self.failure = Some(error.to_string());
                }
            }
        }
    }

    /// What comes of something that was cut off; nothing of a part of a line.
    fn framed(&mut self, framed: Framed) -> Result<Option<Pulled>, LoadError> {
        self.waiting_since = None;
        match framed {
            Framed::Chunk(chunk) => {
                self.framed_to = chunk.offset() + chunk.bytes().len() as u64;
                self.unhashed = self.content.hand_out(chunk.bytes().len()).map(|(hash, _)| Arc::clone(hash));
                Ok(Some(Pulled::Chunk(chunk, self.pass.take())))
            }
            Framed::LongLine(piece) => {
                // Behind its bytes is no line end, or LF, or CR and LF.
                let ending = (self.framer.offset() - piece.offset - piece.length) as usize;
                if let Some((hash, start)) = self.content.hand_out(piece.bytes.len() + ending) {
                    self.blocks.extend(hash.add(start, &[&piece.bytes[..], &b"\r\n"[2 - ending..]].concat()));
                }
                let Some(line) = self.aside.add(&piece)? else { return Ok(None) };
                let line = LongLine { end: self.framer.offset(), ..line };
                self.framed_to = line.end;
                Ok(Some(Pulled::LongLine(line)))
            }
        }
    }

    /// Lines have waited long enough for what does not come.
    pub(crate) fn has_waited(&self) -> bool {
        self.waiting_since.is_some_and(|since| since.elapsed() >= WAIT_MOST)
    }

    /// Reads on: what is to be done into the framer, what is done past it.
    fn read(&mut self) -> io::Result<usize> {
        let Some(gap) = self.gaps.front().copied() else { return Ok(0) };
        let left = |to: u64| usize::try_from(to - self.content_bytes).unwrap_or(usize::MAX);
        let read = if self.content_bytes < gap.start {
            let mut space = [0; DRAINED_BYTES];
            let wanted = left(gap.start).min(DRAINED_BYTES);
            self.content.read(&mut space[..wanted])?
        } else {
            if self.within == Within::Before {
                self.within = Within::Inside;
                self.framer.restart(gap.start, gap.line);
                self.framed_to = gap.start;
            }
            let space = self.framer.space(READ_BYTES_MIN);
            let wanted = gap.end.map_or(space.len(), left).min(space.len());
            let read = self.content.read(&mut space[..wanted])?;
            self.framer.filled(read);
            if read > 0 {
                self.waiting_since.get_or_insert_with(Instant::now);
            }
            read
        };
        self.content_bytes += read as u64;
        Ok(read)
    }

    /// Goes to the next gap, if this one's bytes are in the framer and nothing more comes of them. True if something may.
    fn gap_is_done(&mut self) -> bool {
        let Some(Gap { end: Some(end), .. }) = self.gaps.front() else { return false };
        match self.within {
            // Its last line has its end: what follows was done.
            Within::Inside if self.content_bytes >= *end && self.failure.is_none() => {
                self.framer.finish();
                self.within = Within::Ending;
                true
            }
            Within::Ending => {
                self.gaps.pop_front();
                self.within = Within::Before;
                false
            }
            Within::Before | Within::Inside => false,
        }
    }

    /// Something was done behind what the file is to be now.
    fn is_done_before(&self) -> bool {
        let before = |gap: &Gap| self.content_bytes < gap.start || gap.end.is_some();
        self.content.is_short() || self.gaps.front().is_some_and(before)
    }

    /// The file is text as it comes, as far as is known yet.
    pub(crate) fn is_plain(&self) -> bool {
        self.content.is_plain()
    }

    /// What has come so far, as it came.
    pub(crate) fn prefix(&self) -> Option<Prefix> {
        self.content.prefix()
    }

    /// Chaining values of its bytes that have come since the last time.
    pub(crate) fn new_blocks(&mut self) -> Blocks {
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.extend(self.content.new_blocks());
        blocks
    }

    /// Where the chunk is to be added to that was pulled last, if it was not hashed when it was read.
    pub(crate) fn unhashed(&mut self) -> Option<Arc<PieceHash>> {
        self.unhashed.take()
    }

    /// Bytes that have come so far, as they came.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.content.bytes_read()
    }

    /// The framer's buffers, for the next file.
    pub(crate) fn into_framer(self) -> Framer {
        self.framer
    }

    /// Reads what is left of a file whose text has broken off: the hash is of the whole file. False: nothing is there
    /// now.
    fn drain(&mut self) -> bool {
        let mut space = [0; DRAINED_BYTES];
        match self.content.read_raw(&mut space) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => self.end(),
            Ok(read) => {
                if let Some((hash, start)) = self.content.hand_out(read) {
                    self.blocks.extend(hash.add(start, &space[..read]));
                }
            }
        }
        true
    }

    fn end(&mut self) {
        if self.failure.is_none() {
            self.framer.finish();
        }
        let failure = self.failure.clone();
        // Of a file that breaks off now, an earlier process may have seen more.
        let seen = self.gaps.back().map_or(0, |gap| gap.start);
        self.ended = Some(End { received: None, content_bytes: self.content_bytes.max(seen), failure });
    }
}

/// Opens what a planned file's bytes come from, at this byte of it. A server's file is where it is.
pub(crate) fn open(place: &Place, start: u64) -> io::Result<Box<dyn Read + Send>> {
    match place {
        Place::Stdin => Ok(Box::new(io::stdin())),
        Place::Nowhere => Ok(Box::new(io::empty())),
        Place::Remote(pipe) => Ok(Box::new(PipeReader::new(Arc::clone(pipe)))),
        Place::Stored(StoredFile { store, path, .. }) => store.stream(path, start),
        Place::File(path) => {
            let mut file = File::open(path)?;
            // A folder is told by its first read. To ask here would cost a call for each of thousands of files.
            if start > 0 {
                file.seek(SeekFrom::Start(start))?;
            }
            Ok(Box::new(file))
        }
    }
}

/// A source that could not be opened: its first read says why.
pub(crate) struct Unopened {
    error: Option<io::Error>,
}

impl Unopened {
    pub(crate) fn new(error: io::Error) -> Unopened {
        Unopened { error: Some(error) }
    }
}

impl Read for Unopened {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.error.take().map_or(Ok(0), Err)
    }
}

/// Where the pieces of a front's long lines go until a line is whole.
pub(crate) struct Aside {
    store: Arc<dyn Store>,
    /// The paths' beginning; no other front has it.
    prefix: String,
    made: u64,
    open: Option<(String, Box<dyn StoreWrite>)>,
}

impl Aside {
    pub(crate) fn new(store: Arc<dyn Store>, prefix: String) -> Aside {
        Aside { store, prefix, made: 0, open: None }
    }

    /// The line, if this piece is its last.
    fn add(&mut self, piece: &LongLinePiece) -> Result<Option<LongLine>, LoadError> {
        if piece.first {
            let path = format!("{}-{}", self.prefix, self.made);
            self.made += 1;
            let file = self.store.create(&path).map_err(|source| LoadError::destination("make", &path, source))?;
            self.open = Some((path, file));
        }
        let Some((path, file)) = &mut self.open else { return Ok(None) };
        file.write_all(&piece.bytes).map_err(|source| LoadError::destination("write", path, source))?;
        if !piece.last {
            return Ok(None);
        }
        // Not made durable: it is copied into the quarantine before the run believes in anything.
        let Some((path, file)) = self.open.take() else { return Ok(None) };
        if !self.store.shows_unfinished() {
            file.finish().map_err(|source| LoadError::destination("write", &path, source))?;
        }
        let LongLinePiece { line, offset, length, .. } = *piece;
        Ok(Some(LongLine { line, offset, length, end: offset + length, path }))
    }
}

#[cfg(test)]
mod tests {
    use lakehaul_write::store::LocalStore;

    use super::*;

    /// Lines as (number, offset, bytes), long ones as (number, offset, length), and the end.
    type Read = (Vec<(u64, u64, Vec<u8>)>, Vec<(u64, u64, u64)>, End);

    fn read(text: &[u8], max_line_bytes: usize, chunk_bytes: usize) -> Read {
        read_gaps(text, max_line_bytes, chunk_bytes, vec![Gap::WHOLE])
    }

    fn read_gaps(text: &[u8], max_line_bytes: usize, chunk_bytes: usize, gaps: Vec<Gap>) -> Read {
        let content = || Content::new(Box::new(io::Cursor::new(text.to_vec())), "x", Arc::default(), 23);
        let as_read = read_content(content(), text, max_line_bytes, chunk_bytes, gaps.clone());
        if gaps == [Gap::WHOLE] {
            let handed_out = read_content(content().handing_out(), text, max_line_bytes, chunk_bytes, gaps);
            assert_eq!(handed_out, as_read);
        }
        as_read
    }

    fn read_content(content: Content, text: &[u8], max_line_bytes: usize, chunk_bytes: usize, gaps: Vec<Gap>) -> Read {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        let aside = Aside::new(Arc::clone(&store), "staging/aside-0".to_owned());
        let framer = Framer::new(max_line_bytes, chunk_bytes);
        let mut front = Front::new(content, framer, Arc::default(), 8 << 20, aside, gaps);
        let (mut lines, mut long, mut used) = (Vec::new(), Vec::new(), None);
        loop {
            match front.pull(used.take()).unwrap() {
                Pulled::Chunk(chunk, _) => {
                    if let Some(hash) = front.unhashed() {
                        hash.add(chunk.offset(), chunk.bytes());
                    }
                    lines.extend(chunk.lines().map(|line| (line.number(), line.offset(), line.bytes().to_vec())));
                    used = Some(chunk);
                }
                Pulled::LongLine(line) => {
                    let kept = store.read(&line.path).unwrap();
                    assert_eq!(kept[..], text[line.offset as usize..][..line.length as usize]);
                    long.push((line.line, line.offset, line.length));
                }
                Pulled::Later | Pulled::Gated | Pulled::Changed => panic!("a file has nothing to wait for"),
                Pulled::End(end) => return (lines, long, end),
            }
        }
    }

    #[test]
    fn lines_come_in_order_and_long_ones_are_put_aside() {
        let text = b"{}\nlonger than ten bytes\r\n[1]\n\nalso longer than ten";
        for chunk_bytes in [1, 3, 16, 1000] {
            let (lines, long, end) = read(text, 10, chunk_bytes);
            let expected = [(1, 0, b"{}".to_vec()), (3, 26, b"[1]".to_vec()), (4, 30, Vec::new())];
            assert_eq!(lines, expected, "chunks of {chunk_bytes}");
            assert_eq!(long, [(2, 3, 21), (5, 31, 20)], "chunks of {chunk_bytes}");
            assert_eq!(end.content_bytes, text.len() as u64);
            assert_eq!(end.received.unwrap().blake3, blake3::hash(text).to_hex().to_string());
            assert_eq!(end.failure, None);
        }
    }

    #[test]
    fn what_is_read_when_a_file_breaks_off_is_hashed() {
        let text: Vec<u8> = [&b"{}\n[1"[..], &[b'x'; 300_000]].concat();
        for handing_out in [false, true] {
            let [whole, rest] = [&text[..100_000], &text[100_000..]].map(|part| io::Cursor::new(part.to_vec()));
            let source = io::Read::chain(whole, Unopened::new(io::Error::other("it is gone")));
            let source = io::Read::chain(source, rest);
            let content = Content::new(Box::new(source), "x", Arc::default(), 23);
            let content = if handing_out { content.handing_out() } else { content };
            let (lines, _, end) = read_content(content, &text, 200_000, 1000, vec![Gap::WHOLE]);
            assert_eq!((lines.len(), end.failure.as_deref()), (2, Some("it is gone")));
            let received = end.received.unwrap();
            assert_eq!(received.bytes, text.len() as u64, "handing out: {handing_out}");
            assert_eq!(received.blake3, blake3::hash(&text).to_hex().as_str());
        }
    }

    #[test]
    fn lines_do_not_wait_for_what_does_not_come() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        let pipe = Arc::new(crate::pipe::Pipe::new(1000, Arc::default(), None, 0));
        let content = Content::new(Box::new(PipeReader::new(Arc::clone(&pipe))), "x", Arc::default(), 23);
        let aside = Aside::new(store, "staging/aside-0".to_owned());
        let gaps = vec![Gap::WHOLE];
        let mut front = Front::new(content, Framer::new(100, 1000), Arc::default(), 8 << 20, aside, gaps);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut look = |bytes: &[u8], ago: Duration| {
            runtime.block_on(pipe.push(bytes.to_vec().into()));
            let first = front.pull(None).unwrap();
            assert!(matches!(first, Pulled::Later) && !front.has_waited(), "they may yet become a chunk");
            front.waiting_since = Instant::now().checked_sub(ago);
            match front.pull(None).unwrap() {
                Pulled::Chunk(chunk, _) => Some(chunk.bytes().to_vec()),
                Pulled::Later => None,
                _ => panic!("no other thing has come"),
            }
        };
        assert_eq!(look(b"{}\n[1", WAIT_MOST / 2), None);
        assert_eq!(look(b",2]\n{", WAIT_MOST), Some(b"{}\n[1,2]\n".to_vec()));
        assert_eq!(look(b"\"a\"", WAIT_MOST), None);
        assert!(!front.has_waited(), "a part of a line is not looked at again and again");
    }

    #[test]
    fn what_is_done_is_only_hashed() {
        let text = b"{}\nlonger than ten bytes\r\n[1]\n\nalso longer than ten\n[2]";
        let starts = [0, 3, 26, 30, 31, 52, 55];
        // Every way to have done some of the lines.
        for done in 0..64_u32 {
            let is_done = |line: usize| done >> line & 1 == 1;
            let mut gaps: Vec<Gap> = Vec::new();
            let mut previous = true;
            for line in 0..6 {
                let (start, end) = (starts[line], starts[line + 1]);
                match gaps.last_mut().filter(|_| !previous) {
                    _ if is_done(line) => {}
                    Some(gap) => gap.end = Some(end),
                    None => gaps.push(Gap { start, end: Some(end), line: line as u64 + 1 }),
                }
                previous = is_done(line);
            }
            let open = Gap { start: 55, end: None, line: 7 };
            match gaps.last_mut().filter(|gap| gap.end == Some(55)) {
                Some(last) => last.end = None,
                None => gaps.push(open),
            }
            for chunk_bytes in [1, 3, 16, 1000] {
                let (lines, long, end) = read_gaps(text, 10, chunk_bytes, gaps.clone());
                let mut numbers: Vec<u64> = lines.iter().map(|line| line.0).chain(long.iter().map(|l| l.0)).collect();
                numbers.sort_unstable();
                let expected: Vec<u64> = (0..6).filter(|&line| !is_done(line)).map(|line| line as u64 + 1).collect();
                assert_eq!(numbers, expected, "done {done:b}, chunks of {chunk_bytes}");
                let (whole_lines, whole_long, whole_end) = read(text, 10, chunk_bytes);
                assert!(lines.iter().all(|line| whole_lines.contains(line)));
                assert!(long.iter().all(|line| whole_long.contains(line)));
                assert_eq!(end, whole_end);
            }
        }
    }

    #[test]
    fn a_large_line_waits_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        let gate: Arc<LargeLineGate> = Arc::default();
        let text = vec![b'x'; 9 << 20];
        let content = Content::new(Box::new(io::Cursor::new(text)), "x", Arc::default(), 23);
        let aside = Aside::new(store, "aside".to_owned());
        let framer = Framer::new(16 << 20, 1 << 20);
        let mut front = Front::new(content, framer, Arc::clone(&gate), 8 << 20, aside, vec![Gap::WHOLE]);
        let pass = LargeLineGate::enter(&gate);
        assert!(matches!(front.pull(None), Ok(Pulled::Gated)));
        drop(pass);
        let Ok(Pulled::Chunk(_, pass)) = front.pull(None) else { panic!("a chunk") };
        assert!(pass.is_some());
    }
}
