//! The cursor that loads use: one pass over the text, no tape.
//!
//! In: a [`Line`], and a [`Scratch`] that lines share. Out: what [`Cursor`] promises. Never: a copy of a string without
//! escapes; an allocation for a line, once the scratch has grown.
//!
//! Each method looks at the byte it hopes for and moves on. White space, escapes, exponents and errors are out of line.

#[expect(unsafe_code, reason = "SIMD: reads whole registers of text, past the string's end and into the padding")]
mod find;
#[expect(unsafe_code, reason = "moves over text without bounds checks: the LF behind each line is the bound")]
mod scanner;
mod number;
mod escape;
mod raw;

use find::Search;
use scanner::{Mark, Scanner};

use crate::{Cursor, Line, Member, MemberGuess, Reason, Reject, Text, Token};

/// What direct cursors keep from line to line: buffers, and which search this CPU can do.
pub struct Scratch {
    content: String,
    open: Vec<u64>,
    wider: Search,
}

impl Scratch {
    /// Empty buffers; asks the CPU what it can do.
    pub fn new() -> Scratch {
        Scratch { content: String::new(), open: Vec::new(), wider: Search::widest() }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch::new()
    }
}

/// Shows no content.
impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

/// A [`Cursor`] that reads the line's text itself.
pub struct DirectCursor<'c, 's> {
    scan: Scanner<'c>,
    /// Behind the `{` or `[` that was consumed last: what comes there needs no comma.
    opened: Mark<'c>,
    depth_left: u32,
    scratch: &'s mut Scratch,
}

impl<'c, 's> DirectCursor<'c, 's> {
    /// A cursor before the line's value. Costs next to nothing. Errs where the line is not UTF-8.
    /// `max_depth` levels of objects and arrays are allowed.
    #[inline]
    pub fn new(line: &Line<'c>, max_depth: u32, scratch: &'s mut Scratch) -> Result<Self, Reject> {
        let scan = Scanner::new(line, scratch.wider)?;
        Ok(DirectCursor { scan, opened: Mark::NOWHERE, depth_left: max_depth, scratch })
    }

    #[inline(always)]
    fn open(&mut self) -> Result<(), Reject> {
        if self.depth_left == 0 {
            return Err(self.scan.reject(Reason::TooDeep));
        }
        self.depth_left -= 1;
        self.scan.step();
        self.opened = self.scan.mark();
        Ok(())
    }

    #[inline(always)]
    fn at_opened(&self) -> bool {
        self.opened == self.scan.mark()
    }

    #[inline(always)]
    fn close(&mut self) {
        self.depth_left = self.depth_left.saturating_add(1);
    }

    /// The next member where the guess did not stand right here: white space, another name, or the end.
    #[inline(never)]
    fn other_member(&mut self, first: bool, guess: &MemberGuess) -> Result<Member<'c, '_>, Reject> {
        let scan = &mut self.scan;
        match scan.behind_white() {
            b'}' => {
                scan.step();
                self.close();
                return Ok(Member::End);
            }
            b',' if !first => {
                scan.step();
                scan.behind_white();
            }
            b'"' if first => {}
            _ => return Err(scan.reject(Reason::NotJson)),
        }
        if scan.eat_member(true, guess) {
            return Ok(Member::Guessed);
        }
        let opened = scan.mark();
        if !scan.eat::<b'"'>() {
            return Err(scan.reject(Reason::NotJson));
        }
        let head = scan.plain();
        let mut name = Text::Borrowed(head);
        if !scan.eat::<b'"'>() {
            name = escape::unescape(scan, opened, head, &mut self.scratch.content)?;
            if let Text::LoneSurrogate { .. } = name {
                return Err(scan.reject(Reason::LoneSurrogateName));
            }
        }
        scan.behind_white();
        if !scan.eat::<b':'>() {
            return Err(scan.reject(Reason::NotJson));
        }
        Ok(Member::Named(name))
    }
}

/// Shows no content.
impl std::fmt::Debug for DirectCursor<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectCursor").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl<'c> Cursor<'c> for DirectCursor<'c, '_> {
    #[inline(always)]
    fn peek(&mut self) -> Result<Token, Reject> {
        Ok(match self.scan.behind_white() {
            b'"' => Token::String,
            b'{' => Token::Object,
            b'[' => Token::Array,
            b'-' | b'0'..=b'9' => Token::Number,
            b't' => Token::True,
            b'f' => Token::False,
            b'n' => Token::Null,
            _ => return Err(self.scan.reject(Reason::NotJson)),
        })
    }

    #[inline(always)]
    fn begin_object(&mut self) -> Result<(), Reject> {
        if self.scan.behind_white() != b'{' {
            return Err(self.scan.reject(Reason::NotJson));
        }
        self.open()
    }

    #[inline(always)]
    fn next_member(&mut self, guess: &MemberGuess) -> Result<Member<'c, '_>, Reject> {
        let first = self.at_opened();
        if self.scan.eat_member(first, guess) {
            return Ok(Member::Guessed);
        }
        if self.scan.eat::<b'}'>() {
            self.close();
            return Ok(Member::End);
        }
        self.other_member(first, guess)
    }

    #[inline(always)]
    fn begin_array(&mut self) -> Result<(), Reject> {
        if self.scan.behind_white() != b'[' {
            return Err(self.scan.reject(Reason::NotJson));
        }
        self.open()
    }

    #[inline(always)]
    fn next_element(&mut self) -> Result<bool, Reject> {
        let first = self.at_opened();
        match self.scan.behind_white() {
            b']' => {
                self.scan.step();
                self.close();
                Ok(false)
            }
            _ if first => Ok(true),
            b',' => {
                self.scan.step();
                Ok(true)
            }
            _ => Err(self.scan.reject(Reason::NotJson)),
        }
    }

    #[inline(always)]
    fn guess_string(&mut self, guess: &[u8]) -> bool {
        self.scan.eat_string(guess)
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Text<'c, '_>, Reject> {
        self.scan.behind_white();
        let opened = self.scan.mark();
        if !self.scan.eat::<b'"'>() {
            return Err(self.scan.reject(Reason::NotJson));
        }
        let head = self.scan.plain();
        if self.scan.eat::<b'"'>() {
            return Ok(Text::Borrowed(head));
        }
        escape::unescape(&mut self.scan, opened, head, &mut self.scratch.content)
    }

    #[inline(always)]
    fn number(&mut self) -> Result<&'c str, Reject> {
        self.scan.behind_white();
        number::number(&mut self.scan)
    }

    #[inline(always)]
    fn boolean(&mut self) -> Result<bool, Reject> {
        let value = self.scan.behind_white() == b't';
        let here = if value { self.scan.eat_word(b"true") } else { self.scan.eat_word(b"false") };
        if here { Ok(value) } else { Err(self.scan.reject_word(if value { b"true" } else { b"false" })) }
    }

    #[inline(always)]
    fn null(&mut self) -> Result<(), Reject> {
        self.scan.behind_white();
        if self.scan.eat_word(b"null") { Ok(()) } else { Err(self.scan.reject_word(b"null")) }
    }

    fn raw(&mut self) -> Result<&'c str, Reject> {
        self.scan.behind_white();
        let mark = self.scan.mark();
        raw::skip_value(&mut self.scan, self.depth_left, &mut self.scratch.open)?;
        Ok(self.scan.since(mark))
    }

    #[inline(always)]
    fn finish(&mut self) -> Result<(), Reject> {
        if self.scan.behind_white() == b'\n' { Ok(()) } else { Err(self.scan.reject(Reason::TwoValues)) }
    }

    #[inline(always)]
    fn position(&self) -> u32 {
        self.scan.position()
    }
}
