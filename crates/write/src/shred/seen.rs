//! Which members an object has had: two of one name make the line a reject.

use std::collections::HashSet;

use super::shape::MEMBERS_MAX;

/// The members of its type that an object has had so far. Nearly all types have fewer than a word has bits, and that word can stay
/// in a register.
pub(super) struct Seen {
    first: u64,
    others: [u64; (MEMBERS_MAX - 64).div_ceil(64)],
}

impl Seen {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Seen { first: 0, others: [0; _] }
    }

    /// Whether member `index` has not been there before.
    #[inline(always)]
    pub(super) fn first(&mut self, index: u16) -> bool {
        let word = match index {
            0..64 => &mut self.first,
            _ => &mut self.others[index as usize / 64 - 1],
        };
        let bit = 1 << (index % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

/// Members that their object's type does not have: a set for each open object that has any, the innermost last. Mostly
/// there are none, so that an object needs no more than to know that.
#[derive(Debug, Default)]
pub(super) struct UnknownNames(Vec<HashSet<String>>);

impl UnknownNames {
    /// Whether `name` has not been there before in the object that is open. `set`: the object's set.
    #[cold]
    pub(super) fn first(&mut self, set: &mut Option<usize>, name: String) -> bool {
        let at = *set.get_or_insert_with(|| {
            self.0.push(HashSet::new());
            self.0.len() - 1
        });
        self.0[at].insert(name)
    }

    /// The object with this set has ended, and all within it.
    #[cold]
    pub(super) fn end(&mut self, set: usize) {
        self.0.truncate(set);
    }

    /// No object is open.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
