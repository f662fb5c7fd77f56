//! Promise: what the framer yields depends on the bytes, not on how they arrive.
//!
//! In: four bytes that choose limits and splits, then a file. Oracle: the file split at its LFs in one plain loop.

use lakehaul_parse::{Framed, Framer};

/// A line as the framer should yield it.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole {
    /// From 1.
    pub number: u64,
    /// Of its first byte.
    pub offset: u64,
    /// Without its end.
    pub bytes: Vec<u8>,
    /// Longer than the limit.
    pub long: bool,
}

/// Frames `data[4..]` in one go and in pieces, and compares with the oracle.
pub fn check(data: &[u8]) {
    let Some((choices, file)) = data.split_first_chunk::<4>() else { return };
    let (max_line, chunk) = (usize::from(choices[0] % 40), usize::from(choices[1] % 50));
    let wanted = plain(file, max_line);
    assert_eq!(frame(file, max_line, chunk, |_| file.len()), wanted, "in one go");
    let pieces = |i: usize| usize::from(choices[2 + i % 2] % 9);
    assert_eq!(frame(file, max_line, chunk, pieces), wanted, "in pieces");
}

/// The oracle.
pub fn plain(file: &[u8], max_line: usize) -> Vec<Whole> {
    let mut lines = Vec::new();
    let mut offset = if file.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    while offset < file.len() {
        let rest = &file[offset..];
        let (line, taken) = match rest.iter().position(|&b| b == b'\n') {
            Some(feed) => (rest[..feed].strip_suffix(b"\r").unwrap_or(&rest[..feed]), feed + 1),
            None => (rest, rest.len()),
        };
        let (number, long) = (lines.len() as u64 + 1, line.len() > max_line);
        lines.push(Whole { number, offset: offset as u64, bytes: line.to_vec(), long });
        offset += taken;
    }
    lines
}

/// The framer, filled with `piece(0)`, `piece(1)`, … bytes at a time.
pub fn frame(file: &[u8], max_line: usize, chunk: usize, piece: impl Fn(usize) -> usize) -> Vec<Whole> {
    let mut framer = Framer::new(max_line, chunk);
    let (mut lines, mut rest) = (Vec::new(), file);
    for i in 0.. {
        let n = piece(i).min(rest.len());
        let (head, tail) = rest.split_at(n);
        framer.space(n)[..n].copy_from_slice(head);
        framer.filled(n);
        rest = tail;
        if rest.is_empty() || (n == 0 && i > file.len()) {
            break;
        }
        drain(&mut framer, &mut lines);
    }
    if !rest.is_empty() {
        framer.space(rest.len())[..rest.len()].copy_from_slice(rest);
        framer.filled(rest.len());
    }
    framer.finish();
    drain(&mut framer, &mut lines);
    assert!(framer.next().is_none(), "nothing after the end");
    lines
}

fn drain(framer: &mut Framer, lines: &mut Vec<Whole>) {
    while let Some(framed) = framer.next() {
        match framed {
            Framed::Chunk(chunk) => {
                let mut at = chunk.offset();
                assert_eq!(chunk.first_line(), lines.len() as u64 + 1);
                assert!(!chunk.bytes().is_empty());
                for line in chunk.lines() {
                    let bytes = line.bytes().to_vec();
                    assert_eq!(line.is_blank(), bytes.iter().all(|b| b" \t\r\n".contains(b)));
                    assert!(
                        line.offset() >= at
                            && line.offset() + bytes.len() as u64 <= chunk.offset() + chunk.bytes().len() as u64
                    );
                    at = line.offset() + bytes.len() as u64;
                    lines.push(Whole { number: line.number(), offset: line.offset(), bytes, long: false });
                }
                framer.recycle(chunk);
            }
            Framed::LongLine(piece) => {
                if piece.first {
                    lines.push(Whole { number: piece.line, offset: piece.offset, bytes: Vec::new(), long: true });
                }
                let line = lines.last_mut().expect("a first piece comes first");
                line.bytes.extend_from_slice(&piece.bytes);
                assert_eq!((line.number, line.offset, line.long), (piece.line, piece.offset, true));
                assert_eq!(line.bytes.len() as u64, piece.length);
            }
        }
    }
}
