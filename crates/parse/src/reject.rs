//! Why a line is refused: a reason with a stable code, and where on the line.
//!
//! Nothing here carries the line's content: rejects end up in logs and in the quarantine's index.
//!
//! The variants of [`Reason`] are the documented list.

use std::fmt;

/// A line is refused. Small and `Copy`: it is made on hot paths and counted by the million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (at byte {at} of the line)")]
pub struct Reject {
    /// Why.
    pub reason: Reason,
    /// Position in the line, from 0, where it was noticed; the line's length where it ended too early.
    pub at: u32,
}

const _: () = assert!(size_of::<Result<(), Reject>>() == 8);

/// The kinds of [`Reject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// RFC 8259 allows no such byte here: a missing comma, a misspelt literal, a single quote. Told by cursors, like
    /// all up to [`LoneSurrogateName`](Reason::LoneSurrogateName).
    NotJson,
    /// The line ends inside a value, as in a file that was cut off.
    UnexpectedEnd,
    /// `-`, `01`, `1.`, `1e` (section 6).
    BadNumber,
    /// `\x`, `\u12g4` (section 7).
    BadEscape,
    /// A byte below 0x20 inside a string (section 7).
    ControlCharacter,
    /// The line is not UTF-8 (section 8.1). Told when a cursor is made.
    InvalidUtf8,
    /// Something other than white space follows the value.
    TwoValues,
    /// Nesting beyond `--max-depth`.
    TooDeep,
    /// A member name with half a surrogate pair: legal JSON, but no name a column can have.
    LoneSurrogateName,
    /// Legal JSON, but no object. Told by [`begin_resource`](crate::begin_resource).
    NotAnObject,
    /// No `resourceType`, or it is no string. Told by [`resource_type`](crate::resource_type).
    MissingResourceType,
    /// A `resourceType` that FHIR R4 does not have. Told by those who know the types.
    UnknownResourceType,
    /// An object has two members of one name. Told by the shredder, for what becomes columns.
    DuplicateMember,
    /// An OperationOutcome inside a data file of another type. Told by the load.
    OperationOutcome,
    /// Longer than `--max-line`. Told by the load, of a [`LongLinePiece`](crate::LongLinePiece).
    TooLong,
    /// A line of a manifest's `deleted` file that names no deleted resources. Told by the load.
    NotADeletion,
}

impl Reason {
    /// All of them, in the order they are declared.
    pub const ALL: [Reason; 16] = [
        Reason::NotJson,
        Reason::UnexpectedEnd,
        Reason::BadNumber,
        Reason::BadEscape,
        Reason::ControlCharacter,
        Reason::InvalidUtf8,
        Reason::TwoValues,
        Reason::TooDeep,
        Reason::LoneSurrogateName,
        Reason::NotAnObject,
        Reason::MissingResourceType,
        Reason::UnknownResourceType,
        Reason::DuplicateMember,
        Reason::OperationOutcome,
        Reason::TooLong,
        Reason::NotADeletion,
    ];

    /// The code in the quarantine's index. Other programs rely on it: it matches `[a-z][a-z0-9_-]+` and never changes.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// Code and plain words, one row a reason.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Reason::NotJson => ("not_json", "not JSON"),
            Reason::UnexpectedEnd => ("unexpected_end", "the line ends inside a value"),
            Reason::BadNumber => ("bad_number", "not a JSON number"),
            Reason::BadEscape => ("bad_escape", "not a JSON escape"),
            Reason::ControlCharacter => ("control_character", "a bare control character in a string"),
            Reason::InvalidUtf8 => ("invalid_utf8", "not UTF-8"),
            Reason::TwoValues => ("two_values", "something follows the line's value"),
            Reason::TooDeep => ("too_deep", "nested too deeply"),
            Reason::LoneSurrogateName => ("lone_surrogate_name", "half a surrogate pair in a member name"),
            Reason::NotAnObject => ("not_an_object", "a JSON value, but no object"),
            Reason::MissingResourceType => ("missing_resource_type", "no resourceType"),
            Reason::UnknownResourceType => ("unknown_resource_type", "a resourceType that FHIR R4 does not have"),
            Reason::DuplicateMember => ("duplicate_member", "two members of one name in an object"),
            Reason::OperationOutcome => ("operation_outcome", "an OperationOutcome among other resources"),
            Reason::TooLong => ("too_long", "the line is too long"),
            Reason::NotADeletion => ("not_a_deletion", "no Bundle of deletions by type and id"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn codes_are_fit_for_the_index() {
        let mut seen = std::collections::BTreeSet::new();
        for reason in Reason::ALL {
            let code = reason.code();
            assert!(seen.insert(code), "{code} twice");
            assert!(code.starts_with(|c: char| c.is_ascii_lowercase()), "{code}");
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-'),
                "{code}"
            );
        }
    }
}
