//! An output file's bytes: as they came, hashed and counted; as text, decompressed.
//!
//! In goes any [`Read`]: a file, standard input, what arrives from a socket. [`io::ErrorKind::WouldBlock`] from it comes
//! out as such and loses nothing. What the bytes are is told by their first ones, never by a name. A compressed stream
//! must be whole, to its trailer; gzip may have several members and zstd several frames.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use flate2::bufread::MultiGzDecoder;

use crate::Progress;
use crate::block_hash::{BlockHash, Blocks, Known, Prefix};
use crate::hashing::{Hashing, PieceHash};

/// RFC 1952, section 2.3.1.
const GZIP: &[u8] = b"\x1f\x8b";
/// RFC 8878, section 3.1.1.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// RFC 8878, section 3.1.2: the last three bytes of a skippable frame's magic number; the first is 0x50 to 0x5f.
const ZSTD_SKIPPABLE: &[u8] = b"\x2a\x4d\x18";

/// The byte order mark in UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The longest of them.
const MAGIC_BYTES: usize = 4;

/// How much is read at a time of a compressed file. Larger gains nothing: decompression is far slower.
const READ_BYTES: usize = 128 << 10;

/// What comes, behind the first bytes where these are to be read again.
type Raw = Chain<Cursor<Vec<u8>>, Counted>;

/// The decompressed bytes of one output file.
pub(crate) struct Content {
    state: State,
    zstd_window_log_max: u32,
    /// It was announced as compressed.
    compressed_name: bool,
    /// Its bytes are handed out to be hashed, if they are its text.
    hand_out: bool,
}

enum State {
    /// The first bytes have not come yet, or too few of them.
    Sniffing(Counted, Vec<u8>),
    /// Without a buffer: who reads text has one, and two thousand small files would each need another.
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<BufReader<Raw>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Raw>>>),
    /// While one state becomes another, and after an error.
    Broken,
}

impl Content {
    /// `name` only tells that an empty file should not be empty.
    pub(crate) fn new(
        source: Box<dyn Read + Send>,
        name: &str,
        progress: Arc<Progress>,
        zstd_window_log_max: u32,
    ) -> Content {
        Content::from_block(source, name, progress, zstd_window_log_max, (0, Known::default()))
    }

    /// A file of which `source` begins with the block `first_block`; one that does not begin with the file's first byte is
    /// plain text. `known`: the blocks before that one are among them.
    pub(crate) fn from_block(
        source: Box<dyn Read + Send>,
        name: &str,
        progress: Arc<Progress>,
        zstd_window_log_max: u32,
        (first_block, known): (u64, Known),
    ) -> Content {
        let hash = Hashing::AsRead(BlockHash::new(first_block, known));
        let counted = Counted { source, hash, progress };
        let compressed_name = name.ends_with(".gz") || name.ends_with(".zst");
        let state = match first_block {
            0 => State::Sniffing(counted, Vec::new()),
            _ => State::Plain(Cursor::default().chain(counted)),
        };
        Content { state, zstd_window_log_max, compressed_name, hand_out: false }
    }

    /// Lets its bytes be hashed by those that they are [handed out](Self::hand_out) to, all of them, if they are its text. Of a
    /// file of which nothing is known, before its first byte is read.
    pub(crate) fn handing_out(self) -> Content {
        Content { hand_out: true, ..self }
    }

    /// See [`Hashing::hand_out`].
    pub(crate) fn hand_out(&mut self, len: usize) -> Option<(&Arc<PieceHash>, u64)> {
        self.counted_mut()?.hash.hand_out(len)
    }

    /// The file is text as it comes, as far as is known yet.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.state, State::Sniffing(..) | State::Plain(_))
    }

    /// Bytes that came again were other ones than before.
    pub(crate) fn has_changed(&self) -> bool {
        self.counted().is_some_and(|counted| counted.hash.has_changed())
    }

    /// Not all has come again that came before.
    pub(crate) fn is_short(&self) -> bool {
        self.counted().is_some_and(|counted| counted.hash.is_short())
    }

    /// What has come so far.
    pub(crate) fn prefix(&self) -> Option<Prefix> {
        Some(self.counted()?.hash.prefix())
    }

    /// Chaining values that have come since the last time.
    pub(crate) fn new_blocks(&mut self) -> Blocks {
        self.counted_mut().map(|counted| counted.hash.untold()).unwrap_or_default()
    }

    /// What has come so far: all of it, once a read has returned 0. None after an error in the first bytes.
    pub(crate) fn received(&self) -> Option<Prefix> {
        let received = self.prefix()?;
        debug_assert_eq!(received.bytes, self.bytes_read(), "all that was read was handed out");
        Some(received)
    }

    /// Reads bytes as they come, past what makes text of them: only for their hash.
    pub(crate) fn read_raw(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Sniffing(counted, _) => counted.read(space),
            State::Plain(raw) => raw.read(space),
            State::Gzip(decoder) => decoder.get_mut().read(space),
            State::Zstd(decoder) => decoder.get_mut().read(space),
            State::Broken => Err(io::ErrorKind::Other.into()),
        }
    }

    /// Bytes that have come so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.counted().map_or(0, |counted| counted.hash.bytes())
    }

    fn counted(&self) -> Option<&Counted> {
        match &self.state {
            State::Sniffing(counted, _) => Some(counted),
            State::Plain(raw) => Some(raw.get_ref().1),
            State::Gzip(decoder) => Some(decoder.get_ref().get_ref().get_ref().1),
            State::Zstd(decoder) => Some(decoder.get_ref().get_ref().get_ref().1),
            State::Broken => None,
        }
    }

    fn counted_mut(&mut self) -> Option<&mut Counted> {
        match &mut self.state {
            State::Sniffing(counted, _) => Some(counted),
            State::Plain(raw) => Some(raw.get_mut().1),
            State::Gzip(decoder) => Some(decoder.get_mut().get_mut().get_mut().1),
            State::Zstd(decoder) => Some(decoder.get_mut().get_mut().get_mut().1),
            State::Broken => None,
        }
    }

    /// Reads the first bytes and settles what they begin. They are in `space` if they are text: so many; `None`: what they
    /// are can be read now.
    fn sniff(&mut self, space: &mut [u8]) -> io::Result<Option<usize>> {
        while let State::Sniffing(counted, first) = &mut self.state {
            // What is handed out is hashed elsewhere: here no more of it than tells what it is.
            let wanted = if self.hand_out { space.len().min(MAGIC_BYTES) } else { space.len() };
            let read = match counted.read(&mut space[..wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if !first.is_empty() || read < MAGIC_BYTES {
                first.extend_from_slice(&space[..read]);
            }
            let seen = if first.is_empty() { &space[..read] } else { first.as_slice() };
            if read > 0 && seen.len() < MAGIC_BYTES {
                continue;
            }
            if seen.is_empty() && self.compressed_name {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty, which no compressed file is"));
            }
            let form = Form::of(seen);
            // A byte order mark is in no line, so in nothing that is handed out.
            if self.hand_out && form == Form::Plain && !seen.starts_with(BOM) {
                counted.hash = Hashing::handed_out(seen.len() as u64);
            }
            let State::Sniffing(counted, mut first) = std::mem::replace(&mut self.state, State::Broken) else { break };
            if first.is_empty() && form == Form::Plain {
                self.state = State::Plain(Cursor::default().chain(counted));
                return Ok(Some(read));
            }
            if first.is_empty() {
                first = space[..read].to_vec();
            }
            let raw = Cursor::new(first).chain(counted);
            let buffered = |raw| BufReader::with_capacity(READ_BYTES, raw);
            self.state = match form {
                Form::Plain => State::Plain(raw),
                Form::Gzip => State::Gzip(Box::new(MultiGzDecoder::new(buffered(raw)))),
                Form::Zstd => {
                    let mut decoder = zstd::Decoder::with_buffer(buffered(raw))?;
                    decoder.window_log_max(self.zstd_window_log_max)?;
                    State::Zstd(Box::new(decoder))
                }
            };
        }
        Ok(None)
    }
}

/// What a file's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Gzip,
    Zstd,
}

impl Form {
    fn of(first: &[u8]) -> Form {
        let skippable = first.first().is_some_and(|first| first >> 4 == 5) && first[1..].starts_with(ZSTD_SKIPPABLE);
        if first.starts_with(GZIP) {
            Form::Gzip
        } else if first.starts_with(ZSTD) || skippable {
            Form::Zstd
        } else {
            Form::Plain
        }
    }
}

impl Read for Content {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if space.is_empty() {
            return Ok(0);
        }
        if let Some(read) = self.sniff(space)? {
            return Ok(read);
        }
        match &mut self.state {
            State::Plain(raw) => raw.read(space),
            State::Gzip(decoder) => decoder.read(space).map_err(|error| damaged("gzip", error)),
            State::Zstd(decoder) => {
                let read = decoder.read(space).map_err(|error| damaged("zstd", error))?;
                // The decoder calls a frame's end the end where nothing follows; then nothing may follow.
                if read == 0 && !decoder.get_mut().fill_buf()?.is_empty() {
                    return Err(damaged("zstd", io::Error::new(io::ErrorKind::InvalidData, "bytes follow its end")));
                }
                Ok(read)
            }
            State::Sniffing(..) | State::Broken => Ok(0),
        }
    }
}

/// A decoder's error, said in a way that tells damage from a failing disk.
fn damaged(format: &str, error: io::Error) -> io::Error {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("the {format} stream is cut off"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            format!("the {format} stream is damaged: {error}")
        }
        _ => return error,
    };
    io::Error::new(error.kind(), what)
}

/// Hashes and counts what it reads.
struct Counted {
    source: Box<dyn Read + Send>,
    hash: Hashing,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(space)?;
        self.hash.read(&space[..read]);
        self.progress.bytes_read.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"{\"resourceType\":\"Patient\"}\n{\"resourceType\":\"Claim\"}\n";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).unwrap()
    }

    /// Hands out a byte at a time, and has nothing there every other time.
    struct Drip(Vec<u8>, usize, bool);

    impl Read for Drip {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            self.2 = !self.2;
            if self.2 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let Some(&byte) = self.0.get(self.1) else { return Ok(0) };
            space[0] = byte;
            self.1 += 1;
            Ok(1)
        }
    }

    fn read_all(source: Box<dyn Read + Send>, name: &str) -> (Vec<u8>, io::Result<Prefix>) {
        let mut content = Content::new(source, name, Arc::default(), 23);
        let (mut text, mut space) = (Vec::new(), [0; 1000]);
        loop {
            match content.read(&mut space) {
                Ok(0) => return (text, Ok(content.received().unwrap())),
                Ok(read) => text.extend_from_slice(&space[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return (text, Err(error)),
            }
        }
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &[u8]) {
        for drip in [false, true] {
            let source: Box<dyn Read + Send> =
                if drip { Box::new(Drip(bytes.to_vec(), 0, false)) } else { Box::new(Cursor::new(bytes.to_vec())) };
            let (text, received) = read_all(source, "x");
            let received = received.unwrap();
            assert_eq!(text, expected, "drip: {drip}");
            assert_eq!(received.bytes, bytes.len() as u64);
            assert_eq!(received.blake3, blake3::hash(bytes).to_hex().to_string());
        }
    }

    #[test]
    fn every_form_gives_the_same_text() {
        check(TEXT, TEXT);
        check(&gzip(TEXT), TEXT);
        check(&[gzip(TEXT), gzip(b""), gzip(TEXT)].concat(), &[TEXT, TEXT].concat());
        check(&zstd(TEXT), TEXT);
        check(&[zstd(TEXT), zstd(b""), zstd(TEXT)].concat(), &[TEXT, TEXT].concat());
        check(&[&b"\x50\x2a\x4d\x18\x02\x00\x00\x00ab"[..], &zstd(TEXT)].concat(), TEXT);
        for short in [&b""[..], b"\x1f", b"\x28\xb5", b"{", b"{}\n", b"P*M"] {
            check(short, short);
        }
    }

    #[test]
    fn what_is_cut_off_is_no_end() {
        for (name, whole) in [("gzip", gzip(TEXT)), ("zstd", zstd(TEXT))] {
            for end in MAGIC_BYTES..whole.len() {
                let (text, received) = read_all(Box::new(Cursor::new(whole[..end].to_vec())), "x");
                assert!(TEXT.starts_with(&text));
                let error = received.unwrap_err().to_string();
                assert!(error.contains("cut off"), "{name} cut at {end}: {error}");
            }
            let (_, received) =
                read_all(Box::new(Cursor::new([&whole[..], b"rubbish, and more than a header"].concat())), "x");
            assert!(received.unwrap_err().to_string().contains("damaged"), "{name} with a tail");
        }
        assert!(read_all(Box::new(io::empty()), "x.ndjson.gz").1.is_err());
    }
}
