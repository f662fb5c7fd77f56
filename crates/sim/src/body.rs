//! The bytes of an output file, piece by piece: from one block in memory, a block over and over, or made while they are
//! sent. What goes out is never copied where it exists already; memory does not grow with the file.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A body in pieces of any size.
pub(crate) type Pieces = Box<dyn Iterator<Item = Bytes> + Send>;

/// Blocks are made at least so large: a system call for each of them costs less than copying its bytes to a socket.
const BLOCK_BYTES: usize = 1 << 20;

/// How much is compressed before something is sent.
const GZIP_INPUT_BYTES: usize = 256 << 10;

/// What an output file holds.
#[derive(Clone)]
pub(crate) enum Content {
    /// A block, `times` over, and a tail. Fixed bytes are a block once.
    Blocks { block: Bytes, times: u64, tail: Bytes },
    /// Made anew by each call, always the same.
    Streamed(Arc<dyn Fn() -> Pieces + Send + Sync>),
}

/// What gzip makes of a body (RFC 1952).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gzip {
    /// One member. A repeated or generated file is compressed while it is sent: its length is not known before.
    OneMember,
    /// Several members, one after the other, each of whole lines where they are shorter than a mebibyte. A repeated
    /// file is compressed once, a block of it, so that it costs no more to send than an uncompressed one.
    ManyMembers,
}

impl Content {
    pub(crate) fn fixed(bytes: Bytes) -> Content {
        Content::Blocks { block: bytes, times: 1, tail: Bytes::new() }
    }

    /// `seed`, `times` over.
    pub(crate) fn repeated(seed: &Bytes, times: u64) -> Content {
        let seeds_a_block = (BLOCK_BYTES / seed.len().max(1)).max(1);
        if times <= seeds_a_block as u64 {
            return Content::fixed(seed.repeat(usize::try_from(times).expect("as many fit into one block")).into());
        }
        let tail_seeds = usize::try_from(times % seeds_a_block as u64).expect("fewer than fit into one block");
        let block = if seeds_a_block == 1 { seed.clone() } else { seed.repeat(seeds_a_block).into() };
        let tail = seed.repeat(tail_seeds).into();
        Content::Blocks { block, times: times / seeds_a_block as u64, tail }
    }

    /// None where only making it tells.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Content::Blocks { block, times, tail } => Some(block.len() as u64 * times + tail.len() as u64),
            Content::Streamed(_) => None,
        }
    }

    /// Bytes `start..end`; to the end without one.
    pub(crate) fn pieces(&self, start: u64, end: Option<u64>) -> Pieces {
        let whole: Pieces = match self {
            Content::Blocks { block, times, tail } => {
                // No byte of the blocks before `start` is touched.
                let skipped = if block.is_empty() { *times } else { (start / block.len() as u64).min(*times) };
                let left = usize::try_from(times - skipped).unwrap_or(usize::MAX);
                let blocks = std::iter::repeat_n(block.clone(), left).chain(std::iter::once(tail.clone()));
                return cut(Box::new(blocks), start - skipped * block.len() as u64, end.map(|end| end - start));
            }
            Content::Streamed(open) => open(),
        };
        cut(whole, start, end.map(|end| end - start))
    }

    /// The same, compressed.
    pub(crate) fn gzip(&self, gzip: Gzip) -> Content {
        match (self, gzip) {
            (Content::Blocks { block, times: 1, tail }, Gzip::OneMember) if tail.is_empty() => {
                Content::fixed(member(block).into())
            }
            (Content::Blocks { block, times: 1, tail }, Gzip::ManyMembers) if tail.is_empty() => {
                Content::fixed(members(block).into())
            }
            (Content::Blocks { block, times, tail }, Gzip::ManyMembers) => {
                let tail = if tail.is_empty() { Vec::new() } else { member(tail) };
                Content::Blocks { block: member(block).into(), times: *times, tail: tail.into() }
            }
            (_, gzip) => {
                let plain = self.clone();
                Content::Streamed(Arc::new(move || {
                    Box::new(GzipPieces { source: plain.pieces(0, None), encoder: None, gzip, done: false })
                }))
            }
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(bytes) => write!(formatter, "{bytes} bytes"),
            None => formatter.write_str("streamed"),
        }
    }
}

/// Skips and takes bytes of a sequence of pieces.
fn cut(pieces: Pieces, skip: u64, take: Option<u64>) -> Pieces {
    let (mut skip, mut take) = (skip, take.unwrap_or(u64::MAX));
    let kept = pieces.map_while(move |mut piece| {
        if take == 0 {
            return None;
        }
        let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
        let _ = piece.split_to(skipped);
        skip -= skipped as u64;
        piece.truncate(usize::try_from(take).unwrap_or(usize::MAX));
        take -= piece.len() as u64;
        Some(piece)
    });
    Box::new(kept.filter(|piece| !piece.is_empty()))
}

fn member(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

/// Three members of about a third each, cut behind a line end; fewer where there are fewer lines.
fn members(text: &[u8]) -> Vec<u8> {
    let (mut compressed, mut rest) = (Vec::new(), text);
    for left in [3, 2, 1] {
        let aim = rest.len() / left;
        let end =
            rest[aim.min(rest.len())..].iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| aim + at + 1);
        let (now, later) = rest.split_at(if left == 1 { rest.len() } else { end });
        if !now.is_empty() || compressed.is_empty() {
            compressed.extend_from_slice(&member(now));
        }
        rest = later;
    }
    compressed
}

/// Compresses while it is read.
struct GzipPieces {
    source: Pieces,
    encoder: Option<GzEncoder<Vec<u8>>>,
    gzip: Gzip,
    done: bool,
}

impl Iterator for GzipPieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let mut encoder =
            self.encoder.take().unwrap_or_else(|| GzEncoder::new(Vec::with_capacity(64 << 10), Compression::fast()));
        let mut taken = 0;
        while taken < GZIP_INPUT_BYTES {
            let Some(piece) = self.source.next() else {
                self.done = true;
                break;
            };
            encoder.write_all(&piece).expect("a Vec takes all");
            taken += piece.len();
        }
        // The end of the source may fall on the end of a member; an empty member more is legal.
        if self.done || self.gzip == Gzip::ManyMembers {
            return Some(encoder.finish().expect("a Vec takes all").into());
        }
        let ready = std::mem::take(encoder.get_mut());
        self.encoder = Some(encoder);
        Some(ready.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn whole(content: &Content, start: u64, end: Option<u64>) -> Vec<u8> {
        content.pieces(start, end).flat_map(|piece| piece.to_vec()).collect()
    }

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text).unwrap();
        text
    }

    /// Every content that should hold `text`.
    #[track_caller]
    fn check(content: &Content, text: &[u8]) {
        assert_eq!(content.length().unwrap_or(text.len() as u64), text.len() as u64);
        let last = text.len() as u64;
        for start in [0, 1, last / 2, last.saturating_sub(1), last] {
            let start = start.min(last);
            assert_eq!(whole(content, start, None), text[usize::try_from(start).unwrap()..], "from {start}");
            let end = (start + last / 3).min(last);
            let expected = &text[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
            assert_eq!(whole(content, start, Some(end)), expected, "{start}..{end}");
        }
        for gzip in [Gzip::OneMember, Gzip::ManyMembers] {
            let compressed = content.gzip(gzip);
            let bytes = whole(&compressed, 0, None);
            assert!(compressed.length().is_none_or(|length| length == bytes.len() as u64));
            assert_eq!(gunzip(&bytes), text, "{gzip:?}");
        }
    }

    #[test]
    fn every_content_gives_its_bytes() {
        let line = Bytes::from_static(b"{\"resourceType\":\"Patient\",\"id\":\"1\"}\n");
        for text in [&b""[..], b"\n", b"{}\n{}\n{}\n{}\n", b"no end", &line] {
            check(&Content::fixed(Bytes::copy_from_slice(text)), text);
        }
        for times in [0, 1, 3, 100_000] {
            check(&Content::repeated(&line, times), &line.repeat(usize::try_from(times).unwrap()));
        }
        let large = Bytes::from(line.repeat(40_000));
        check(&Content::repeated(&large, 3), &large.repeat(3));
        let pieces = [line.clone(), Bytes::new(), large.clone(), line.clone()];
        let text = pieces.concat();
        check(&Content::Streamed(Arc::new(move || Box::new(pieces.clone().into_iter()))), &text);
    }

    #[test]
    fn a_hundred_gigabytes_take_a_block_of_memory() {
        let seed = Bytes::from(vec![b'\n'; 1000]);
        let content = Content::repeated(&seed, 100_000_000);
        assert_eq!(content.length(), Some(100_000_000_000));
        let Content::Blocks { block, .. } = &content else { panic!("not repeated") };
        assert!(block.len() <= BLOCK_BYTES);
        assert_eq!(whole(&content, 99_999_999_990, None).len(), 10);
        assert!(content.gzip(Gzip::ManyMembers).length().is_some_and(|length| length < 1_000_000_000));
    }

    #[test]
    fn many_members_are_many() {
        let magic = [0x1f, 0x8b, 8];
        let count = |bytes: &[u8]| bytes.windows(3).filter(|window| *window == magic).count();
        assert_eq!(count(&members(b"{}\n{}\n{}\n{}\n{}\n{}\n")), 3);
        assert_eq!(count(&members(b"one")), 1);
        assert_eq!(count(&members(b"")), 1);
        assert_eq!(count(&member(b"{}\n{}\n{}\n{}\n{}\n{}\n")), 1);
    }
}
