//! A file, line by line: resources, and between them what is bad or blank.
//!
//! Nothing is kept of a line that was handed out, and a line that is made long on purpose comes in pieces, so memory
//! depends on neither the file nor its longest line.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;

use super::chance::{Stream, mix, rng};
use super::draft::{Draft, TypeMember};
use super::json::{Escapes, JsonWriter};
use super::plan::{Content, DELETIONS_A_BUNDLE, Plan};
use super::resource::{self, Narrative};
use super::{BadKind, ByteOrderMark, FinalNewline, LineEnding, MemberOrder, asides, damage};

/// How long a piece of a long line is, and how much a reader has ready. Any size of this order does.
const PIECE_BYTES: usize = 64 << 10;

/// What a long line is filled with.
const FILLER: &[u8; 64] = b"Long text, of which each line has sixty-four bytes, to the end.\x20";

const NARRATIVE: &[u8] =
    b"{\"text\":{\"status\":\"additional\",\"div\":\"<div xmlns=\\\"http://www.w3.org/1999/xhtml\\\">";
const NARRATIVE_END: &[u8] = b"</div>\"},";

/// One file's lines, in order. Each is generated as it is asked for.
pub struct GeneratedLines {
    plan: Arc<Plan>,
    file: usize,
    json: JsonWriter,
    /// In a file of resources: twice the resources so far, and one more while the one is written and lines behind it
    /// may follow. In the others: lines so far.
    place: u64,
    /// Blank lines that stand before the next resource.
    blanks: u64,
    /// The next bad line and its place; the place is beyond all, if there is none.
    bad: u64,
    bad_place: u64,
    lines_left: u64,
    /// The rest of a long line.
    long: Option<Long>,
    line: LineFacts,
    /// Bytes handed out.
    bytes: u64,
}

/// What the line is that was handed out last, or is being.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineFacts {
    /// From 1.
    pub(crate) number: u64,
    /// Of its first byte, a byte order mark not counted to it.
    pub(crate) offset: u64,
    /// Without its end.
    pub(crate) length: u64,
    pub(crate) kind: LineKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    Resource {
        payment_cents: i64,
    },
    Bad(BadKind),
    Blank,
    /// A Bundle or an OperationOutcome.
    Aside,
}

/// What has been appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A line up to its end, or the last piece of one.
    Line,
    /// A piece of a long line.
    Part,
    /// Nothing: there are no more lines.
    End,
}

struct Long {
    filler_left: u64,
    rest: Vec<u8>,
}

/// Which line is next.
enum Step {
    Blank,
    Bad(u64),
    Resource(u64),
    Aside(u64),
}

impl GeneratedLines {
    pub(crate) fn new(plan: Arc<Plan>, file: usize) -> GeneratedLines {
        let lines_left = plan.files[file].lines();
        let mut lines = GeneratedLines {
            file,
            json: JsonWriter::new(),
            place: 0,
            blanks: 0,
            bad: 0,
            bad_place: u64::MAX,
            lines_left,
            long: None,
            line: LineFacts { number: 0, offset: 0, length: 0, kind: LineKind::Blank },
            bytes: 0,
            plan,
        };
        if let Content::Resources(stretch) = &lines.plan.contents[file] {
            let (before, bad) = (stretch.before, stretch.bad.start);
            lines.place = 2 * before;
            lines.set_blanks();
            lines.set_bad(bad);
        }
        lines
    }

    /// Appends the next line with its end; false if there is none.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> bool {
        loop {
            match self.next_piece(out) {
                Piece::Line => return true,
                Piece::Part => {}
                Piece::End => return false,
            }
        }
    }

    /// The rest of the file as a stream.
    pub fn into_reader(self) -> GeneratedReader {
        GeneratedReader { lines: self, ready: Vec::new(), at: 0 }
    }

    /// Appends a line, or a piece of a long one: the most there is to hold at a time.
    pub(crate) fn next_piece(&mut self, out: &mut Vec<u8>) -> Piece {
        let begin = out.len();
        let piece = match self.long.take() {
            Some(mut long) if long.filler_left > 0 => {
                let most = long.filler_left.min(PIECE_BYTES as u64) as usize;
                (0..most / FILLER.len()).for_each(|_| out.extend_from_slice(FILLER));
                out.extend_from_slice(&FILLER[..most % FILLER.len()]);
                long.filler_left -= most as u64;
                self.long = Some(long);
                Piece::Part
            }
            Some(long) => {
                out.extend_from_slice(&long.rest);
                Piece::Line
            }
            None => self.begin_line(out),
        };
        let content = (out.len() - begin) as u64;
        // A byte order mark has been counted already.
        self.line.length += content - (self.line.offset.saturating_sub(self.bytes)).min(content);
        if piece == Piece::Line {
            self.end_line(out);
        }
        self.bytes += (out.len() - begin) as u64;
        piece
    }

    pub(crate) fn line(&self) -> LineFacts {
        self.line
    }

    /// Bytes handed out.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the next line, or the beginning of a long one.
    fn begin_line(&mut self, out: &mut Vec<u8>) -> Piece {
        let Some(step) = self.step() else { return Piece::End };
        let begin = out.len();
        self.lines_left -= 1;
        if self.line.number == 0 && self.plan.options.byte_order_mark == ByteOrderMark::Present {
            out.extend_from_slice("\u{FEFF}".as_bytes());
        }
        let offset = self.bytes + (out.len() - begin) as u64;
        let kind = match step {
            Step::Blank => {
                let blank = mix(self.plan.options.seed, Stream::BadContent, 1, self.place) % 3;
                out.extend_from_slice(["", "  ", "\t"][blank as usize].as_bytes());
                LineKind::Blank
            }
            Step::Bad(bad) => LineKind::Bad(self.write_bad(bad, out)),
            Step::Aside(ordinal) => {
                self.write_aside(ordinal, out);
                LineKind::Aside
            }
            Step::Resource(nth) => LineKind::Resource { payment_cents: self.write_resource(nth, out) },
        };
        self.line = LineFacts { number: self.line.number + 1, offset, length: 0, kind };
        if self.long.is_some() { Piece::Part } else { Piece::Line }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        let options = &self.plan.options;
        if self.lines_left == 0 && options.final_newline == FinalNewline::Missing {
            return;
        }
        let end: &[u8] = match options.line_ending {
            LineEnding::Lf => b"\n",
            LineEnding::CrLf => b"\r\n",
            LineEnding::Mixed => {
                let crlf = mix(options.seed, Stream::LineEnding, self.file as u64, self.line.number).is_multiple_of(2);
                if crlf { b"\r\n" } else { b"\n" }
            }
        };
        out.extend_from_slice(end);
    }

    /// Goes to the next line.
    fn step(&mut self) -> Option<Step> {
        let stretch = match &self.plan.contents[self.file] {
            Content::Resources(stretch) => stretch,
            Content::Deletions | Content::Outcomes => {
                self.place += 1;
                return (self.lines_left > 0).then_some(Step::Aside(self.place - 1));
            }
        };
        let (before, end) = (stretch.before, stretch.before + (stretch.ordinals.end - stretch.ordinals.start));
        loop {
            if self.blanks > 0 {
                self.blanks -= 1;
                return Some(Step::Blank);
            }
            if self.bad_place == self.place {
                let bad = self.bad;
                self.set_bad(bad + 1);
                return Some(Step::Bad(bad));
            }
            if self.place == 2 * end {
                return None;
            }
            self.place += 1;
            if self.place % 2 == 1 {
                return Some(Step::Resource(self.place / 2 - before));
            }
            if self.place < 2 * end {
                self.set_blanks();
            }
        }
    }

    fn set_blanks(&mut self) {
        let (blanks, resource) = (self.plan.blanks(), self.place / 2);
        self.blanks = blanks.count(resource + 1) - blanks.count(resource);
    }

    fn set_bad(&mut self, bad: u64) {
        let Content::Resources(stretch) = &self.plan.contents[self.file] else { return };
        self.bad = bad;
        self.bad_place = if bad < stretch.bad.end { self.plan.bad_place(bad) } else { u64::MAX };
    }

    /// Writes the file's `nth` resource, or the beginning of it, and gives what was paid.
    fn write_resource(&mut self, nth: u64, out: &mut Vec<u8>) -> i64 {
        let Content::Resources(stretch) = &self.plan.contents[self.file] else { return 0 };
        let ordinal = stretch.ordinals.start + nth;
        let long = self.plan.options.long_line;
        let long = long.filter(|long| long.resource_type == stretch.of && long.ordinal == ordinal);
        let Some(long) = long else {
            return resource::write(&self.plan, stretch, nth, &mut self.json, out, Narrative::May, TypeMember::Real);
        };
        let mut rest = Vec::new();
        let payment_cents =
            resource::write(&self.plan, stretch, nth, &mut self.json, &mut rest, Narrative::No, TypeMember::Real);
        out.extend_from_slice(NARRATIVE);
        rest.splice(..1, NARRATIVE_END.iter().copied());
        self.long = Some(Long { filler_left: long.bytes, rest });
        payment_cents
    }

    fn write_bad(&mut self, bad: u64, out: &mut Vec<u8>) -> BadKind {
        let kind = self.plan.bad_kind(bad);
        let Content::Resources(stretch) = &self.plan.contents[self.file] else { return kind };
        let (plan, json) = (&self.plan, &mut self.json);
        // It is the resource beside it that was damaged.
        let nth = plan.bad_place(bad) / 2 - stretch.before;
        let mut rng = rng(plan.options.seed, Stream::BadContent, 0, bad);
        damage::write(kind, &mut rng, out, &mut |out, type_member| {
            resource::write(plan, stretch, nth, json, out, Narrative::May, type_member);
        });
        kind
    }

    fn write_aside(&mut self, ordinal: u64, out: &mut Vec<u8>) {
        let plan = &self.plan;
        self.json.swap(out);
        self.json.escapes = Escapes::Needed;
        let stream = self.file as u64;
        let shuffled = plan.options.member_order == MemberOrder::Shuffled;
        self.json.shuffle = shuffled.then(|| rng(plan.options.seed, Stream::Order, stream, ordinal));
        let mut draft = Draft {
            json: &mut self.json,
            world: &plan.world,
            rng: rng(plan.options.seed, Stream::Body, u64::MAX, ordinal),
            version: 1,
            updated: (plan.transaction_time().as_second() - 1, 0),
            late: false,
            narrative: false,
            type_member: TypeMember::Real,
            payment_cents: 0,
        };
        if plan.contents[self.file] == Content::Deletions {
            asides::begin_bundle(&mut draft, ordinal);
            let first = ordinal * DELETIONS_A_BUNDLE;
            for deletion in first..(first + DELETIONS_A_BUNDLE).min(plan.options.deletions) {
                let (of, index) = plan.deleted(deletion);
                asides::deletion(&mut draft, of, index);
            }
            asides::end_bundle(&mut draft);
        } else {
            asides::outcome(&mut draft);
        }
        self.json.swap(out);
    }
}

/// With their ends.
impl Iterator for GeneratedLines {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        self.next_into(&mut line).then_some(line)
    }
}

/// One file's bytes.
pub struct GeneratedReader {
    lines: GeneratedLines,
    ready: Vec<u8>,
    at: usize,
}

/// Never errs.
impl Read for GeneratedReader {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.at == self.ready.len() && !space.is_empty() {
            self.at = 0;
            self.ready.clear();
            let mut ready = mem::take(&mut self.ready);
            while ready.len() < PIECE_BYTES && self.lines.next_piece(&mut ready) != Piece::End {}
            self.ready = ready;
        }
        let read = space.len().min(self.ready.len() - self.at);
        space[..read].copy_from_slice(&self.ready[self.at..self.at + read]);
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LongLine, MembersOptions, ResourceType};
    use super::*;

    #[test]
    fn a_long_line_comes_in_pieces() {
        let bytes = (20 << 20) + 7;
        let long_line = Some(LongLine { resource_type: ResourceType::Patient, ordinal: 2, bytes });
        let options = MembersOptions { members: 5, long_line, ..MembersOptions::default() };
        let mut lines = GeneratedLines::new(Arc::new(Plan::new(options)), 0);
        let (mut piece, mut length) = (Vec::new(), 0);
        while lines.next_piece(&mut piece) != Piece::End {
            assert!(piece.len() <= PIECE_BYTES, "{}", piece.len());
            length += piece.len() as u64;
            piece.clear();
        }
        assert!((bytes..bytes + 20_000).contains(&length), "{length}");
        assert_eq!(lines.bytes(), length);
    }
}
