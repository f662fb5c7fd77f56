//! A row that has entries in `__extra`: typed values and pointers woven into one text.
//!
//! The loader stores each member once, either in its column or under its pointer, and the parents of a pointed-at value
//! always exist in the columns: as a group, or as a list with a slot for it (null, if the slot's very value is pointed
//! at). So on the way down every place either has entries below it, and goes on here, or has none, and is written by
//! [`super::emit`]. An entry that fits nowhere means that the part is damaged.

use super::emit::{close, list_slots, push_slot, push_value};
use super::extras::{Extras, Place};
use super::json_text::push_string;
use super::values::{Member, Values};

/// A place below which an entry has none of its own.
pub(super) struct Misplaced(pub(super) Place);

/// Writes one row.
pub(super) struct Weaver<'w, 'b> {
    pub(super) extras: &'w mut Extras<'b>,
    pub(super) out: &'w mut Vec<u8>,
}

impl Weaver<'_, '_> {
    /// Appends an object: the members that are not null in `slot`, then those of which only `__extra` knows.
    pub(super) fn push_object(&mut self, members: &[Member<'_>], slot: usize, place: &Place) -> Result<(), Misplaced> {
        self.out.push(b'{');
        for member in members {
            if member.values.is_null(slot) {
                continue;
            }
            self.out.extend_from_slice(member.label);
            match self.extras.step(place, member.name) {
                Some(below) => self.push_value(&member.values, slot, &below)?,
                None => push_value(&member.values, slot, self.out),
            }
            self.out.push(b',');
        }
        for member in self.extras.take_members(place) {
            let (name, raw) = member.ok_or_else(|| Misplaced(place.clone()))?;
            push_string(&name, self.out);
            self.out.push(b':');
            self.out.extend_from_slice(raw.as_bytes());
            self.out.push(b',');
        }
        close(b'}', self.out);
        Ok(())
    }

    /// Appends a value that is not null and has entries below it.
    fn push_value(&mut self, values: &Values<'_>, slot: usize, place: &Place) -> Result<(), Misplaced> {
        match values {
            Values::Group { members, .. } => self.push_object(members, slot, place),
            Values::List { offsets, slots, .. } => self.push_list(slots, list_slots(offsets, slot), place),
            _ => Err(Misplaced(place.clone())),
        }
    }

    fn push_list(
        &mut self,
        values: &Values<'_>,
        slots: std::ops::Range<usize>,
        place: &Place,
    ) -> Result<(), Misplaced> {
        self.out.push(b'[');
        for (index, slot) in slots.enumerate() {
            match self.extras.step(place, &index.to_string()) {
                None => push_slot(values, slot, self.out),
                Some(below) if values.is_null(slot) => {
                    let raw = self.extras.take(&below).ok_or(Misplaced(below))?;
                    self.out.extend_from_slice(raw.as_bytes());
                }
                Some(below) => self.push_value(values, slot, &below)?,
            }
            self.out.push(b',');
        }
        close(b']', self.out);
        if self.extras.all_woven(place) { Ok(()) } else { Err(Misplaced(place.clone())) }
    }
}
