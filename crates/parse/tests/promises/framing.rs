//! Framing: each file at every split and at small limits, against the file split in one loop.

use lakehaul_parse::{Framed, Framer, PADDING};

use crate::frame_body::{Whole, frame, plain};

const FILES: &[&[u8]] = &[
    b"",
    b"\n",
    b"\r\n",
    b"\r",
    b"a",
    b"a\n",
    b"a\r\n",
    b"a\r",
    b"a\r\r\n",
    b"a\rb\n",
    b"\n\na\n\nb",
    b" \t\r\n{}\n \n",
    b"\xEF\xBB\xBF",
    b"\xEF\xBB\xBF\n",
    b"\xEF\xBB\xBF{}\r\n\xEF\xBB\xBF{}",
    b"\xEF\xBB",
    b"\xEFab\n",
    b"\xEF\xBB\xBF\xEF\xBB\xBFab\n",
    b"0123456789\r\n01234567\r\n0123456789abcdef",
    b"0123456789abcdef\r",
    b"01234567\r\r\r\r\n\r\r\r\r\r\r\r\r\r\r\n1",
    "für\nalle \u{1F600}\n\u{2028}\n".as_bytes(),
    b"\xFF\xFE\n{}\n",
];

/// Every file in two pieces at every split, and in pieces of one size, at small and roomy limits.
#[test]
fn lines_do_not_depend_on_splits() {
    for file in FILES {
        let limits = [(8, 5), (1000, 7), (0, 1), (1, 1), (8, 1), (9, 64), (1000, 1), (1000, 4096)];
        for &(max_line, chunk) in if cfg!(miri) { &limits[..2] } else { &limits[..] } {
            let wanted = plain(file, max_line);
            for split in 0..=file.len() {
                let found = frame(file, max_line, chunk, |i| if i == 0 { split } else { file.len() });
                assert_eq!(found, wanted, "{} at {split}, {max_line}, {chunk}", file.escape_ascii());
            }
            for size in 1..9 {
                let found = frame(file, max_line, chunk, |_| size);
                assert_eq!(found, wanted, "{} by {size}, {max_line}, {chunk}", file.escape_ascii());
            }
        }
    }
}

#[track_caller]
fn check(file: &[u8], max_line: usize, wanted: &[(u64, u64, &[u8], bool)]) {
    let line = |&(number, offset, bytes, long): &(u64, u64, &[u8], bool)| Whole {
        number,
        offset,
        bytes: bytes.to_vec(),
        long,
    };
    let wanted: Vec<Whole> = wanted.iter().map(line).collect();
    assert_eq!(frame(file, max_line, 16, |_| 3), wanted, "{}", file.escape_ascii());
}

/// The rules themselves, spelled out once.
#[test]
fn what_a_line_is() {
    check(b"a\r\nb\n", 9, &[(1, 0, b"a", false), (2, 3, b"b", false)]);
    check(b"a\n\nb", 9, &[(1, 0, b"a", false), (2, 2, b"", false), (3, 3, b"b", false)]);
    check(b"a\r", 9, &[(1, 0, b"a\r", false)]);
    check(b"a\r\r\n", 9, &[(1, 0, b"a\r", false)]);
    check(b"\xEF\xBB\xBFa\nb", 9, &[(1, 3, b"a", false), (2, 5, b"b", false)]);
    check(b"\xEF\xBB\xBF", 9, &[]);
    check(b"a\n\xEF\xBB\xBFb", 9, &[(1, 0, b"a", false), (2, 2, b"\xEF\xBB\xBFb", false)]);
    check(b"abc\r\nabcd\r\nabcd", 3, &[(1, 0, b"abc", false), (2, 5, b"abcd", true), (3, 11, b"abcd", true)]);
}

/// A line that is too long passes through in pieces, and its memory does not grow with it.
#[test]
#[cfg_attr(miri, ignore = "slow")]
fn a_long_line_is_not_held() {
    let (max_line, chunk, read) = (64 << 10, 16 << 10, 4 << 10);
    let mut framer = Framer::new(max_line, chunk);
    let (mut total, mut largest_space, mut last) = (0, 0, None);
    for i in 0..256 {
        let space = framer.space(read);
        largest_space = largest_space.max(space.len());
        space[..read].fill(b'x');
        if i == 255 {
            space[read - 2..read].copy_from_slice(b"\r\n");
        }
        framer.filled(read);
        for framed in framer.by_ref() {
            let Framed::LongLine(piece) = framed else { panic!("no chunk is due") };
            assert!(piece.bytes.len() <= chunk);
            assert_eq!(piece.first, total == 0);
            total += piece.bytes.len() as u64;
            assert_eq!(piece.length, total);
            last = Some(piece.last);
        }
    }
    assert_eq!((total, last), (256 * read as u64 - 2, Some(true)));
    assert!(largest_space <= max_line + 2 * chunk, "{largest_space}");
}

/// A buffer comes back as space, from another thread too; one that a long line has grown does not.
#[test]
fn buffers_are_reused_but_not_big_ones() {
    let chunk = 1 << 10;
    for (line, reused) in [(chunk, true), (64 * chunk, false)] {
        let mut framer = Framer::new(1 << 20, chunk);
        let space = framer.space(line);
        let place = space.as_ptr() as usize;
        space[..line].fill(b'x');
        space[line - 1] = b'\n';
        framer.filled(line);
        let Some(Framed::Chunk(sent)) = framer.next() else { panic!("a chunk is due") };
        let sent = std::thread::spawn(move || sent).join().expect("a chunk goes anywhere");
        framer.recycle(sent);
        let space = framer.space(1);
        assert_eq!(space.as_ptr() as usize == place && space.len() >= line, reused, "{line}");
        assert!(space.len() <= 2 * chunk);
    }
}

/// A load that is taken up inside a file goes on counting where it was, and looks for no byte order mark.
#[test]
fn restart_inside_a_file() {
    let mut framer = Framer::new(100, 100);
    framer.space(3)[..3].copy_from_slice(b"old");
    framer.filled(3);
    framer.restart(700, 8);
    framer.space(5)[..5].copy_from_slice(b"\xEF\xBB\xBF\nb");
    framer.filled(5);
    framer.finish();
    let Some(Framed::Chunk(chunk)) = framer.next() else { panic!("a chunk is due") };
    let lines: Vec<_> = chunk.lines().map(|line| (line.number(), line.offset(), line.bytes().len())).collect();
    assert_eq!(lines, [(8, 700, 3), (9, 704, 1)]);
    assert!(framer.next().is_none());
}

/// Neither chunks nor lines show what they hold.
#[test]
fn debug_shows_no_content() {
    let chunk = lakehaul_parse::Chunk::copy_of(b"secret\n");
    let line = chunk.lines().next().expect("one line");
    assert_eq!(format!("{chunk:?}"), "Chunk { offset: 0, first_line: 1, bytes: 7 }");
    assert_eq!(format!("{line:?}"), "Line { number: 1, offset: 0, bytes: 6 }");
    assert_eq!(PADDING, 64);
}
