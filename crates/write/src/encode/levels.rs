//! Definition and repetition levels (Dremel; Parquet's Nested Encoding) of a node, made from presence when a row group
//! is encoded.
//!
//! A *slot* is one (repetition, definition) entry. A node's levels have a slot for each of its instances and for each
//! place where an ancestor is absent; the instances' slots are the *positions*.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::hybrid;
use crate::columns::Presence;

/// Slots at which a page ends, at the next row's start. Pruning needs pages smaller than the row group's 131,072 rows; each
/// page costs a header and two index entries.
pub(super) const PAGE_SLOTS: usize = 1 << 15;

/// The levels of a node; its children's follow from them.
#[derive(Debug)]
pub(crate) struct Levels {
    /// Repetition levels; empty where nothing repeats. A group has those of its parent.
    pub(crate) repetition: Arc<Vec<u8>>,
    /// Definition levels: `max_definition` where the node is present.
    pub(crate) definition: Vec<u8>,
    /// The slot of each instance.
    positions: Vec<u32>,
    pub(crate) max_definition: u8,
    pub(crate) max_repetition: u8,
    full: OnceLock<Full>,
}

/// What all leaves have in common that each of their node's instances has.
#[derive(Debug)]
struct Full {
    definition: Vec<u8>,
    pages: Vec<UsualPage>,
}

/// A page of [`PAGE_SLOTS`] of a leaf right below a node: what does not depend on its values. Most leaves' pages are such.
#[derive(Debug)]
pub(crate) struct UsualPage {
    pub(super) slots: Range<usize>,
    pub(super) rows: usize,
    /// Instances of the node.
    pub(super) instances: usize,
    /// Repetition levels as they stand in the page.
    pub(super) repetition: Vec<u8>,
    /// Definition levels as they stand in the page, if each instance has the leaf.
    pub(super) definition: Vec<u8>,
}

impl Levels {
    /// The levels of the rows themselves.
    pub(crate) fn root(rows: u32) -> Self {
        Levels {
            repetition: Arc::default(),
            definition: vec![0; rows as usize],
            positions: (0..rows).collect(),
            max_definition: 0,
            max_repetition: 0,
            full: OnceLock::new(),
        }
    }

    /// Number of slots.
    pub(crate) fn slots(&self) -> usize {
        self.definition.len()
    }

    /// The levels of an optional group that `presence` says which instances have.
    pub(crate) fn group(&self, presence: &Presence) -> Levels {
        let mut definition = self.definition.clone();
        let mut positions = Vec::with_capacity(presence.count() as usize);
        for (start, end) in presence.runs() {
            let run = &self.positions[start as usize..end as usize];
            run.iter().for_each(|&slot| definition[slot as usize] = self.max_definition + 1);
            positions.extend_from_slice(run);
        }
        Levels {
            repetition: self.repetition.clone(),
            definition,
            positions,
            max_definition: self.max_definition + 1,
            max_repetition: self.max_repetition,
            full: OnceLock::new(),
        }
    }

    /// The levels of the slots of an optional list's elements. `ends`: elements up to and including each list. No list
    /// is empty.
    pub(crate) fn list(&self, presence: &Presence, ends: &[u32]) -> Levels {
        let total = ends.last().copied().unwrap_or(0) as usize;
        let slots = self.slots() + total - ends.len();
        let (max_definition, max_repetition) = (self.max_definition + 2, self.max_repetition + 1);
        // Most slots are elements that follow another; the others are written over.
        let mut repetition = vec![max_repetition; slots];
        let mut definition = vec![max_definition; slots];
        let mut positions = Vec::with_capacity(total);
        let mut copy = |from: Range<usize>, to: usize, repetition: &mut [u8]| {
            let to = to..to + from.len();
            match self.repetition.get(from.clone()) {
                Some(parents) => repetition[to.clone()].copy_from_slice(parents),
                None => repetition[to.clone()].fill(0),
            }
            definition[to].copy_from_slice(&self.definition[from]);
        };
        let (mut copied, mut at, mut element) = (0, 0, 0);
        let lists = presence.runs().flat_map(|(start, end)| start..end);
        for (ordinal, &end) in lists.zip(ends) {
            let slot = self.positions[ordinal as usize] as usize;
            if slot > copied {
                copy(copied..slot, at, &mut repetition);
                at += slot - copied;
            }
            copied = slot + 1;
            repetition[at] = self.repetition.get(slot).copied().unwrap_or(0);
            let length = (end - element) as usize;
            element = end;
            positions.extend(at as u32..(at + length) as u32);
            at += length;
        }
        copy(copied..self.slots(), at, &mut repetition);
        let full = OnceLock::new();
        Levels { repetition: repetition.into(), definition, positions, max_definition, max_repetition, full }
    }

    /// Whether `presence` has each instance.
    pub(crate) fn has_all(&self, presence: &Presence) -> bool {
        presence.count() as usize == self.positions.len()
    }

    /// The definition levels of an optional leaf that each instance has.
    pub(crate) fn full(&self) -> &[u8] {
        &self.shared().definition
    }

    /// The pages of the leaves right below, in order.
    pub(crate) fn usual_pages(&self) -> &[UsualPage] {
        &self.shared().pages
    }

    fn shared(&self) -> &Full {
        self.full.get_or_init(|| {
            let mut definition = self.definition.clone();
            self.positions.iter().for_each(|&slot| definition[slot as usize] = self.max_definition + 1);
            let mut pages = Vec::with_capacity(self.slots() / PAGE_SLOTS + 1);
            let mut start = 0;
            let mut first_instance = 0;
            while start < self.slots() {
                let end = row_start(&self.repetition, start + PAGE_SLOTS, self.slots());
                let instances = self.positions[first_instance..].partition_point(|&slot| (slot as usize) < end);
                let (mut repetition_bytes, mut definition_bytes) = (Vec::new(), Vec::new());
                encode_levels(&self.repetition, start..end, self.max_repetition, &mut repetition_bytes);
                encode_levels(&definition, start..end, self.max_definition + 1, &mut definition_bytes);
                pages.push(UsualPage {
                    rows: rows(&self.repetition, start..end),
                    slots: start..end,
                    instances,
                    repetition: repetition_bytes,
                    definition: definition_bytes,
                });
                first_instance += instances;
                start = end;
            }
            Full { definition, pages }
        })
    }

    /// The definition levels of an optional leaf, into `out`. `kept` says for each present value whether it has one
    /// (annotations may lack it).
    pub(crate) fn leaf(&self, presence: &Presence, kept: Option<&[bool]>, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.definition);
        let mut value = 0;
        for (start, end) in presence.runs() {
            for &slot in &self.positions[start as usize..end as usize] {
                if kept.is_none_or(|kept| kept[value]) {
                    out[slot as usize] = self.max_definition + 1;
                }
                value += 1;
            }
        }
    }
}

/// The first slot from `at` on, of `total`, where a row begins.
pub(super) fn row_start(repetition: &[u8], at: usize, total: usize) -> usize {
    let at = at.min(total);
    let ahead = repetition.get(at..).unwrap_or_default();
    at + ahead.iter().position(|&level| level == 0).unwrap_or(ahead.len())
}

/// How many rows begin in some slots.
pub(super) fn rows(repetition: &[u8], slots: Range<usize>) -> usize {
    if repetition.is_empty() { slots.len() } else { memchr::memchr_iter(0, &repetition[slots]).count() }
}

/// Appends the levels of some slots, none of which is above `max`, as they stand in a page: with their length in front, or
/// nothing where `max` is 0. No levels: all zeros.
pub(super) fn encode_levels(levels: &[u8], slots: Range<usize>, max: u8, out: &mut Vec<u8>) {
    if max == 0 {
        return;
    }
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    match levels {
        [] => {
            hybrid::varint((slots.len() as u64) << 1, out);
            out.push(0);
        }
        levels => hybrid::encode(&levels[slots], hybrid::bit_width(u64::from(max)), out),
    }
    let length = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(ordinals: &[u32]) -> Presence {
        let mut presence = Presence::default();
        for &ordinal in ordinals {
            presence.push(ordinal);
        }
        presence
    }

    /// The nested example: rows `[[a, b], null, [null]]`, then a list in each element.
    #[test]
    fn lists_within_lists() {
        let elements = Levels::root(3).list(&presence(&[0, 2]), &[2, 3]);
        assert_eq!(*elements.repetition, [0, 1, 0, 0]);
        assert_eq!(*elements.definition, [2, 2, 0, 2]);
        let groups = elements.group(&presence(&[0, 1]));
        assert_eq!(*groups.definition, [3, 3, 0, 2]);
        let inner = groups.list(&presence(&[1]), &[3]);
        assert_eq!(*inner.repetition, [0, 1, 2, 2, 0, 0]);
        assert_eq!(*inner.definition, [3, 5, 5, 5, 0, 2]);
        let mut leaf = Vec::new();
        inner.leaf(&presence(&[0, 2]), None, &mut leaf);
        assert_eq!(leaf, [3, 6, 5, 6, 0, 2]);
        inner.leaf(&presence(&[0, 2]), Some(&[false, true]), &mut leaf);
        assert_eq!(leaf, [3, 5, 5, 6, 0, 2]);
    }
}
