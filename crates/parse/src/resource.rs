//! What a line is, before it is shredded: an object, and the FHIR type it says it is.
//!
//! In: a fresh cursor. Out: the value of the top-level `resourceType`. Never: whether FHIR has such a type.

use crate::{Cursor, Line, Member, MemberGuess, Reason, Reject, Text, Token};

/// How a resource begins in nearly every export.
const LEADING: &[u8] = b"{\"resourceType\":\"";

/// Enters the line's object. A line that is legal JSON but no object is `not_an_object`; any other that is no object
/// says what is wrong with it.
#[inline]
pub fn begin_resource<'c, C: Cursor<'c>>(cursor: &mut C) -> Result<(), Reject> {
    if cursor.peek()? == Token::Object { cursor.begin_object() } else { Err(no_object(cursor)) }
}

#[cold]
fn no_object<'c, C: Cursor<'c>>(cursor: &mut C) -> Reject {
    let whole = cursor.raw().and_then(|_| cursor.finish());
    whole.err().unwrap_or(Reject { reason: Reason::NotAnObject, at: 0 })
}

/// The value of the line's `resourceType`, wherever it stands; the first one, if there are several. Uses up a fresh
/// cursor.
///
/// Reads no further than it must. Where there is none, or it is no string, it reads to the end: what is not JSON is
/// rejected as that, the rest as `missing_resource_type`.
pub fn resource_type<'c, 't, C: Cursor<'c>>(cursor: &'t mut C) -> Result<&'t str, Reject>
where
    'c: 't,
{
    const NAME: &str = "resourceType";
    let guess = MemberGuess::new(NAME);
    begin_resource(cursor)?;
    let mut found = false;
    loop {
        let is_type = match cursor.next_member(&guess)? {
            Member::Guessed => true,
            Member::Named(Text::Borrowed(name) | Text::Unescaped(name)) => name == NAME,
            Member::Named(Text::LoneSurrogate { .. }) => false,
            Member::End => break,
        };
        if is_type && !found {
            found = true;
            if cursor.peek()? == Token::String {
                return match cursor.string()? {
                    Text::Borrowed(name) | Text::Unescaped(name) => Ok(name),
                    Text::LoneSurrogate { .. } => Err(Reject { reason: Reason::UnknownResourceType, at: 0 }),
                };
            }
        }
        cursor.raw()?;
    }
    cursor.finish()?;
    Err(Reject { reason: Reason::MissingResourceType, at: 0 })
}

/// The value of `resourceType` where the line begins with it, without white space and without escapes; else `None`.
/// Looks at nothing else and checks nothing else.
#[inline]
pub fn leading_resource_type<'c>(line: &Line<'c>) -> Option<&'c str> {
    let value = line.bytes().strip_prefix(LEADING)?;
    // FHIR's types are letters; the longest of R4 has 33.
    let end = value.iter().position(|b| !b.is_ascii_alphabetic())?;
    let name = std::str::from_utf8(&value[..end]).ok()?;
    (value[end] == b'"').then_some(name)
}
