//! The second engine: simd-json's tape, behind the same trait.
//!
//! In: a [`Line`], and a [`TapeScratch`] that lines share. Out: what [`Cursor`] promises, so that it can be the oracle
//! of tests and fuzzing, the reader of `verify`, and the yardstick of benches. Never: a line of the direct cursor's
//! code.
//!
//! The whole line is parsed when the cursor is made, from a copy, because simd-json undoes escapes in place. So a line
//! that is not JSON is refused by [`TapeCursor::new`], and only depth and names by what comes after.
//!
//! The tape has neither the text of numbers nor that of raw values. Both are taken from the line: a walk over its tokens
//! ([`span`]) keeps pace with the tape. What simd-json cannot read is made neutral in the copy before ([`neutral`]).

mod neutral;
mod span;

use simd_json::{Buffers, Node, StaticNode, Tape};
use span::Spans;

use crate::{Cursor, Line, Member, MemberGuess, Reason, Reject, Text, Token};

/// What tape cursors keep from line to line.
pub struct TapeScratch {
    copy: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl TapeScratch {
    /// Empty buffers.
    pub fn new() -> TapeScratch {
        // The cursors count levels themselves, and only those that they enter.
        TapeScratch { copy: Vec::new(), buffers: Buffers::with_max_depth(0, usize::MAX), tape: Tape(Vec::new()) }
    }
}

impl Default for TapeScratch {
    fn default() -> Self {
        TapeScratch::new()
    }
}

/// Shows no content.
impl std::fmt::Debug for TapeScratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TapeScratch").finish_non_exhaustive()
    }
}

/// A [`Cursor`] over simd-json's tape of a line.
pub struct TapeCursor<'c, 's> {
    spans: Spans<'c>,
    tape: Tape<'s>,
    /// Index in the tape of the next value or name.
    next: usize,
    /// Members or elements still to come, for each open container.
    left: Vec<usize>,
    max_depth: usize,
    /// Where the tape's buffer goes back to.
    home: &'s mut Tape<'static>,
}

impl<'c, 's> TapeCursor<'c, 's> {
    /// Parses the line. Errs where it is not UTF-8 or not JSON; [`TooDeep`](Reason::TooDeep) comes later.
    pub fn new(line: &Line<'c>, max_depth: u32, scratch: &'s mut TapeScratch) -> Result<Self, Reject> {
        let text = std::str::from_utf8(line.bytes())
            .map_err(|e| Reject { reason: Reason::InvalidUtf8, at: e.valid_up_to() as u32 })?;
        let TapeScratch { copy, buffers, tape: home } = scratch;
        copy.clear();
        copy.extend_from_slice(line.bytes());
        neutral::make_neutral(copy)?;
        let mut tape = std::mem::replace(home, Tape(Vec::new())).reset();
        simd_json::fill_tape(copy, buffers, &mut tape)
            .map_err(|e| Reject { reason: Reason::NotJson, at: e.index().min(text.len()) as u32 })?;
        let max_depth = max_depth as usize;
        Ok(TapeCursor { spans: Spans::new(text), tape, next: 0, left: Vec::new(), max_depth, home })
    }

    fn reject(&self, reason: Reason) -> Reject {
        Reject { reason, at: self.position() }
    }

    fn node(&self) -> Result<Node<'s>, Reject> {
        self.tape.0.get(self.next).copied().ok_or_else(|| self.reject(Reason::UnexpectedEnd))
    }

    fn begin(&mut self, open: &str, len: usize) -> Result<(), Reject> {
        if self.left.len() == self.max_depth {
            return Err(self.reject(Reason::TooDeep));
        }
        debug_assert!(self.spans.peek() == open);
        self.spans.next();
        self.next += 1;
        self.left.push(len);
        Ok(())
    }

    /// Counts one member or element of the innermost container; false, and out of the container, if there is none left.
    fn count(&mut self, close: &str) -> Result<bool, Reject> {
        match self.left.last_mut() {
            Some(0) => {
                debug_assert!(self.spans.peek() == close);
                self.spans.next();
                self.left.pop();
                Ok(false)
            }
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => Err(self.reject(Reason::NotJson)),
        }
    }

    /// A string node and its token in the line, as a text.
    fn text(&mut self, decoded: &'s str) -> Text<'c, 's> {
        let raw = self.spans.next();
        self.next += 1;
        if !raw.contains('\\') {
            return Text::Borrowed(&raw[1..raw.len() - 1]);
        }
        if neutral::has_lone_surrogate(raw) { Text::LoneSurrogate { raw } } else { Text::Unescaped(decoded) }
    }

    /// A literal or a number: its token in the line.
    fn scalar(&mut self) -> &'c str {
        self.next += 1;
        self.spans.next()
    }
}

impl<'c> Cursor<'c> for TapeCursor<'c, '_> {
    fn peek(&mut self) -> Result<Token, Reject> {
        Ok(match self.node()? {
            Node::Object { .. } => Token::Object,
            Node::Array { .. } => Token::Array,
            Node::String(_) => Token::String,
            Node::Static(StaticNode::Bool(true)) => Token::True,
            Node::Static(StaticNode::Bool(false)) => Token::False,
            Node::Static(StaticNode::Null) => Token::Null,
            Node::Static(_) => Token::Number,
        })
    }

    fn begin_object(&mut self) -> Result<(), Reject> {
        match self.node()? {
            Node::Object { len, .. } => self.begin("{", len),
            _ => Err(self.reject(Reason::NotJson)),
        }
    }

    fn next_member(&mut self, guess: &MemberGuess) -> Result<Member<'c, '_>, Reject> {
        if !self.count("}")? {
            return Ok(Member::End);
        }
        let Node::String(decoded) = self.node()? else {
            return Err(self.reject(Reason::NotJson));
        };
        match self.text(decoded) {
            Text::LoneSurrogate { .. } => Err(self.reject(Reason::LoneSurrogateName)),
            _ if guess.name() == Some(decoded.as_bytes()) => Ok(Member::Guessed),
            name => Ok(Member::Named(name)),
        }
    }

    fn begin_array(&mut self) -> Result<(), Reject> {
        match self.node()? {
            Node::Array { len, .. } => self.begin("[", len),
            _ => Err(self.reject(Reason::NotJson)),
        }
    }

    fn next_element(&mut self) -> Result<bool, Reject> {
        self.count("]")
    }

    fn guess_string(&mut self, guess: &[u8]) -> bool {
        let raw = self.spans.peek().as_bytes();
        let hit = raw.len() == guess.len() + 2 && raw[0] == b'"' && &raw[1..raw.len() - 1] == guess;
        if hit {
            self.scalar();
        }
        hit
    }

    fn string(&mut self) -> Result<Text<'c, '_>, Reject> {
        match self.node()? {
            Node::String(decoded) => Ok(self.text(decoded)),
            _ => Err(self.reject(Reason::NotJson)),
        }
    }

    fn number(&mut self) -> Result<&'c str, Reject> {
        match self.peek()? {
            Token::Number => Ok(self.scalar()),
            _ => Err(self.reject(Reason::BadNumber)),
        }
    }

    fn boolean(&mut self) -> Result<bool, Reject> {
        match self.node()? {
            Node::Static(StaticNode::Bool(value)) => {
                self.scalar();
                Ok(value)
            }
            _ => Err(self.reject(Reason::NotJson)),
        }
    }

    fn null(&mut self) -> Result<(), Reject> {
        match self.node()? {
            Node::Static(StaticNode::Null) => {
                self.scalar();
                Ok(())
            }
            _ => Err(self.reject(Reason::NotJson)),
        }
    }

    fn raw(&mut self) -> Result<&'c str, Reject> {
        let nodes = match self.node()? {
            Node::Object { count, .. } | Node::Array { count, .. } => 1 + count,
            Node::String(_) | Node::Static(_) => 1,
        };
        let (raw, depth) = self.spans.value();
        if self.left.len() + depth > self.max_depth {
            return Err(self.reject(Reason::TooDeep));
        }
        self.next += nodes;
        Ok(raw)
    }

    fn finish(&mut self) -> Result<(), Reject> {
        if self.next == self.tape.0.len() { Ok(()) } else { Err(self.reject(Reason::TwoValues)) }
    }

    fn position(&self) -> u32 {
        self.spans.position() as u32
    }
}

/// Gives the tape's buffer back.
impl Drop for TapeCursor<'_, '_> {
    fn drop(&mut self) {
        *self.home = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
    }
}

/// Shows no content.
impl std::fmt::Debug for TapeCursor<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TapeCursor").field("position", &self.position()).finish_non_exhaustive()
    }
}
