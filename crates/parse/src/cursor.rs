//! The seam between parsing and shredding: a validating pull cursor over one line of NDJSON.
//!
//! The caller drives: it looks at the next value's first byte with [`Cursor::peek`] and then pulls that value in the
//! form it wants. Whatever is pulled or skipped is checked against RFC 8259; [`Cursor::finish`] checks the rest of the
//! line.

use crate::Reject;

/// What the next value is, told from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    String,
    /// `-` or a digit
    Number,
    /// `t`
    True,
    /// `f`
    False,
    /// `n`
    Null,
}

/// A JSON string's content, its escapes undone. `'c`: the chunk; `'t`: the cursor's scratch buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'c, 't> {
    /// No escapes: a slice of the chunk (UTF-8, and free of `"`, `\` and control characters).
    Borrowed(&'c str),
    /// Had escapes: a slice of the cursor's scratch buffer, valid until the cursor is used again.
    Unescaped(&'t str),
    /// Has an escaped surrogate without its partner: no Unicode text. `raw` is the value's JSON text with its quotes.
    LoneSurrogate {
        /// With quotes and escapes.
        raw: &'c str,
    },
}

/// What [`Cursor::next_member`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member<'c, 't> {
    /// The member's name is the guess.
    Guessed,
    /// Another name. (`Text::LoneSurrogate` never: such a name is the reject
    /// [`Reason::LoneSurrogateName`](crate::Reason::LoneSurrogateName).)
    Named(Text<'c, 't>),
    /// The object has ended; its `}` is consumed.
    End,
}

/// A member name as it is expected to stand in the text: `"name":`, padded so that it compares in whole words.
#[derive(Debug, Clone)]
pub struct MemberGuess {
    pub(crate) text: [u8; MemberGuess::CAPACITY],
    pub(crate) len: u8,
}

impl MemberGuess {
    /// Longest `"name":` that can be guessed, in bytes.
    pub const CAPACITY: usize = 48;

    /// A guess that never matches, because no UTF-8 has its byte: for names that need escapes or are too long.
    pub const NEVER: MemberGuess = MemberGuess { text: [0xFF; Self::CAPACITY], len: 1 };

    /// The guess for `name`.
    pub fn new(name: &str) -> Self {
        let plain = name.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
        let len = name.len() + 3;
        if !plain || len > Self::CAPACITY {
            return Self::NEVER;
        }
        let mut text = [0; Self::CAPACITY];
        text[0] = b'"';
        text[1..=name.len()].copy_from_slice(name.as_bytes());
        text[len - 2] = b'"';
        text[len - 1] = b':';
        MemberGuess { text, len: len as u8 }
    }

    /// The name that is guessed; `None` if the guess never matches.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        (self.len >= 3).then(|| &self.text[1..usize::from(self.len) - 2])
    }
}

/// A validating pull parser over one line. `'c` is the chunk's lifetime.
///
/// Every method that can meet bad text returns [`Reject`], small and `Copy`. After an error the cursor is spent.
/// White space before a token is skipped by the method that needs the token.
pub trait Cursor<'c> {
    /// Classifies the next value without consuming it.
    fn peek(&mut self) -> Result<Token, Reject>;

    /// Consumes `{`. Call only after `peek` said [`Token::Object`]. Counts one level of depth.
    fn begin_object(&mut self) -> Result<(), Reject>;

    /// The next member of the object entered last: consumes the comma, the name and the colon, or the closing `}`.
    /// `guess` is compared first; the name is decoded only where it does not match.
    fn next_member(&mut self, guess: &MemberGuess) -> Result<Member<'c, '_>, Reject>;

    /// Consumes `[`. Call only after `peek` said [`Token::Array`]. Counts one level of depth.
    fn begin_array(&mut self) -> Result<(), Reject>;

    /// Consumes the comma before a further element and returns true, or consumes `]` and returns false.
    fn next_element(&mut self) -> Result<bool, Reject>;

    /// Consumes the next value if it is the string `guess` (its content, which must be free of `"`, `\` and control
    /// characters). False: nothing is consumed. White space before the value may hide it from the guess.
    fn guess_string(&mut self, guess: &[u8]) -> bool;

    /// Consumes a string.
    fn string(&mut self) -> Result<Text<'c, '_>, Reject>;

    /// Consumes a number and returns its exact text.
    fn number(&mut self) -> Result<&'c str, Reject>;

    /// Consumes `true` or `false`.
    fn boolean(&mut self) -> Result<bool, Reject>;

    /// Consumes `null`.
    fn null(&mut self) -> Result<(), Reject>;

    /// Consumes any value, checked in full (nesting counts as depth), and returns its exact text without surrounding
    /// white space.
    fn raw(&mut self) -> Result<&'c str, Reject>;

    /// Checks that nothing but white space is left on the line.
    fn finish(&mut self) -> Result<(), Reject>;

    /// The byte position in the line that has been reached, for a [`Reject`] that the caller makes.
    fn position(&self) -> u32;
}
