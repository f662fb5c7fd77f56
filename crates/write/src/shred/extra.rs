//! The `__extra` column: what has no typed place, as JSON Pointer (RFC 6901) → raw JSON text.

use super::shape::ShapeMember;
use crate::columns::{BytesLeaf, Presence, Size, Storage};

/// Where in a resource a value stands. A chain on the stack: it costs nothing until a pointer is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) parent: Option<&'p Place<'p>>,
    pub(crate) step: Step<'p>,
}

/// The last step to a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'p> {
    Member(&'static ShapeMember),
    Name(&'p str),
    Index(u32),
}

impl Place<'_> {
    fn write_pointer(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write_pointer(out);
        }
        out.push('/');
        match self.step {
            Step::Index(index) => out.push_str(&index.to_string()),
            // No member of FHIR's has a character that a pointer escapes.
            Step::Member(member) => out.push_str(member.name),
            Step::Name(name) => {
                for character in name.chars() {
                    match character {
                        '~' => out.push_str("~0"),
                        '/' => out.push_str("~1"),
                        other => out.push(other),
                    }
                }
            }
        }
    }
}

/// The column under construction: for some rows, entries of key and value.
#[derive(Debug)]
pub(crate) struct Extra {
    pub(crate) presence: Presence,
    /// Entries up to and including each row that has any.
    pub(crate) ends: Vec<u32>,
    pub(crate) keys: BytesLeaf,
    pub(crate) values: BytesLeaf,
    pointer: String,
}

impl Extra {
    pub(crate) fn new() -> Self {
        Extra {
            presence: Presence::default(),
            ends: Vec::new(),
            keys: BytesLeaf::new(Storage::Plain),
            values: BytesLeaf::new(Storage::Plain),
            pointer: String::new(),
        }
    }

    /// Adds an entry to `row`, which is the newest row that has any, or newer.
    pub(crate) fn push(&mut self, row: u32, place: &Place<'_>, raw: &str) {
        self.pointer.clear();
        place.write_pointer(&mut self.pointer);
        self.keys.push(self.pointer.as_bytes(), false);
        self.values.push(raw.as_bytes(), false);
        let total = self.keys.len() as u32;
        let is_open = self.presence.runs().last().is_some_and(|(_, end)| end == row + 1);
        match self.ends.last_mut() {
            Some(end) if is_open => *end = total,
            _ => {
                self.presence.push(row);
                self.ends.push(total);
            }
        }
    }

    /// Forgets the rows from `limit` on.
    pub(crate) fn truncate(&mut self, limit: u32) {
        self.presence.truncate(limit);
        self.ends.truncate(self.presence.count() as usize);
        let total = self.ends.last().copied().unwrap_or(0) as usize;
        self.keys.truncate(total);
        self.values.truncate(total);
    }

    pub(crate) fn clear(&mut self) {
        self.truncate(0);
    }

    pub(crate) fn size(&self) -> Size {
        self.presence.size() + Size::of(&self.ends) + self.keys.size() + self.values.size()
    }
}
