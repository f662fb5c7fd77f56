//! A row's `__extra`: its JSON Pointers, sorted so that what lies under one place is one run of them.
//!
//! Sorted by their reference tokens (a shorter pointer first), the pointers under a prefix stand together, and within
//! them those of one next token. So a range of entries with the length of the prefix they share is a node of the trie
//! that the pointers spell, and no tree is built.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::Array;

use super::emit::list_slots;
use super::fault::Fault;
use super::values::ExtraMap;

/// The entries of one row's map. Reused from row to row.
#[derive(Default)]
pub(super) struct Extras<'b> {
    entries: Vec<Entry<'b>>,
}

struct Entry<'b> {
    pointer: &'b str,
    raw: &'b str,
    woven: bool,
}

/// The entries that begin with one pointer: a node of the trie.
#[derive(Clone)]
pub(super) struct Place {
    entries: Range<usize>,
    /// The length of that pointer, in bytes.
    pointer_bytes: usize,
}

impl<'b> Extras<'b> {
    /// Takes in the entries of a slot of the map; returns the place of the whole resource, or `None` if there are none.
    /// `row` is the slot's row in the part, for messages.
    pub(super) fn read(&mut self, map: &ExtraMap<'b>, slot: usize, row: u64) -> Result<Option<Place>, Fault> {
        self.entries.clear();
        if map.nulls.is_some_and(|nulls| nulls.is_null(slot)) {
            return Ok(None);
        }
        let bad = || Fault::Pointer { row };
        for slot in list_slots(map.offsets, slot) {
            let pointer = map.pointers.value(slot);
            if map.raws.is_null(slot) || !pointer.starts_with('/') {
                return Err(bad());
            }
            self.entries.push(Entry { pointer, raw: map.raws.value(slot), woven: false });
        }
        if self.entries.is_empty() {
            return Ok(None);
        }
        self.entries.sort_unstable_by(|a, b| a.pointer.split('/').cmp(b.pointer.split('/')));
        if self.entries.windows(2).any(|pair| pair[0].pointer == pair[1].pointer) {
            return Err(bad());
        }
        Ok(Some(Place { entries: 0..self.entries.len(), pointer_bytes: 0 }))
    }

    /// The place one reference token (as it stands in a pointer) further; `None` if no entry goes there.
    pub(super) fn step(&self, place: &Place, token: &str) -> Option<Place> {
        let entries = &self.entries[place.entries.clone()];
        let compare = |entry: &Entry<'_>| match next_token(entry.pointer, place.pointer_bytes) {
            Some(next) => next.cmp(token),
            None => Ordering::Less,
        };
        let from = entries.partition_point(|entry| compare(entry) == Ordering::Less);
        let len = entries[from..].partition_point(|entry| compare(entry) == Ordering::Equal);
        let start = place.entries.start + from;
        let pointer_bytes = place.pointer_bytes + 1 + token.len();
        (len > 0).then_some(Place { entries: start..start + len, pointer_bytes })
    }

    /// The raw JSON of the entry that is this very place, if no entry leads further; the entry then counts as woven.
    pub(super) fn take(&mut self, place: &Place) -> Option<&'b str> {
        let [entry] = &mut self.entries[place.entries.clone()] else { return None };
        if entry.pointer.len() != place.pointer_bytes {
            return None;
        }
        entry.woven = true;
        Some(entry.raw)
    }

    /// Whether every entry under the place has been taken.
    pub(super) fn all_woven(&self, place: &Place) -> bool {
        self.entries[place.entries.clone()].iter().all(|entry| entry.woven)
    }

    /// Takes the entries directly below an object that have not been taken yet: member names, their pointer escapes
    /// undone, with their raw JSON. `None` in place of one that leads further, or not at all.
    pub(super) fn take_members(&mut self, place: &Place) -> impl Iterator<Item = Option<(Cow<'b, str>, &'b str)>> {
        let pointer_bytes = place.pointer_bytes;
        self.entries[place.entries.clone()].iter_mut().filter(|entry| !entry.woven).map(move |entry| {
            let name = next_token(entry.pointer, pointer_bytes)?;
            entry.woven = true;
            (pointer_bytes + 1 + name.len() == entry.pointer.len()).then(|| (unescaped(name), entry.raw))
        })
    }

    /// The pointer of a place that has entries, as a path for people: `name/0`.
    pub(super) fn path(&self, place: &Place) -> String {
        let pointer = self.entries[place.entries.start].pointer;
        pointer[..place.pointer_bytes].trim_start_matches('/').to_owned()
    }
}

/// The reference token behind the first `at` bytes of a pointer; `None` at the pointer's end.
fn next_token(pointer: &str, at: usize) -> Option<&str> {
    pointer[at..].strip_prefix('/')?.split('/').next()
}

/// Undoes the escapes of RFC 6901: `~1` is `/`, `~0` is `~`.
fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') { token.replace("~1", "/").replace("~0", "~").into() } else { token.into() }
}
