//! The tokens of a line that is known to be JSON, as slices of it.
//!
//! In: the line. Out: one token after the other, commas and colons left out. Never: a check.

/// A walk over a line's tokens.
#[derive(Clone, Copy)]
pub(super) struct Spans<'c> {
    text: &'c str,
    at: usize,
}

impl<'c> Spans<'c> {
    pub(super) fn new(text: &'c str) -> Self {
        Spans { text, at: 0 }
    }

    /// How far in the line.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next token; empty at the end.
    pub(super) fn peek(&self) -> &'c str {
        Spans { ..*self }.next()
    }

    /// Moves over the next token: a bracket, a string with its quotes, a number or a literal.
    pub(super) fn next(&mut self) -> &'c str {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\r', ',', ':']);
        let len = match rest.as_bytes().first() {
            None => 0,
            Some(b'{' | b'}' | b'[' | b']') => 1,
            Some(b'"') => string_len(rest),
            Some(_) => rest.find([' ', '\t', '\r', ',', ']', '}']).unwrap_or(rest.len()),
        };
        self.at = self.text.len() - rest.len() + len;
        &rest[..len]
    }

    /// Moves over a value; says its text and how many levels of containers it has.
    pub(super) fn value(&mut self) -> (&'c str, usize) {
        let first = self.next();
        let start = self.at - first.len();
        let (mut open, mut deepest) = (0, 0);
        let mut token = first;
        loop {
            match token {
                "{" | "[" => open += 1,
                "}" | "]" => open -= 1,
                _ => {}
            }
            deepest = deepest.max(open);
            if open == 0 || token.is_empty() {
                return (&self.text[start..self.at], deepest);
            }
            token = self.next();
        }
    }
}

/// The length of the string that `text` starts with, quotes counted.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (i, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::Spans;

    #[test]
    fn tokens_and_values() {
        let text = r#" {"a\"}" : [1.5e3,{} ,"" ] , "b":null}"#;
        let mut spans = Spans::new(text);
        let mut tokens = Vec::new();
        while !spans.peek().is_empty() {
            tokens.push(spans.next());
        }
        assert_eq!(tokens, ["{", r#""a\"}""#, "[", "1.5e3", "{", "}", r#""""#, "]", r#""b""#, "null", "}"]);
        assert_eq!(Spans::new(text).value(), (&text[1..], 3));
        assert_eq!(Spans::new(" 12 ").value(), ("12", 0));
    }
}
