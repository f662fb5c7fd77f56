//! Which members an object has had: two of one name make the line a reject.

use std::collections::HashSet;

use super::shape::Shape;

/// The members that an object has had so far.
pub(super) struct Seen {
    low: u128,
    /// For shapes with more than 128 members.
    high: Vec<u64>,
    /// Names that the type does not have; mostly there are none.
    unknown: Option<HashSet<String>>,
}

impl Seen {
    #[inline(always)]
    pub(super) fn new(shape: &Shape) -> Self {
        let beyond = shape.members.len().saturating_sub(128);
        Seen { low: 0, high: vec![0; beyond.div_ceil(64)], unknown: None }
    }

    /// Whether member `index` has not been there before.
    #[inline(always)]
    pub(super) fn first(&mut self, index: u16) -> bool {
        if index < 128 {
            let bit = 1 << index;
            let first = self.low & bit == 0;
            self.low |= bit;
            first
        } else {
            let index = index as usize - 128;
            let bit = 1 << (index % 64);
            let first = self.high[index / 64] & bit == 0;
            self.high[index / 64] |= bit;
            first
        }
    }

    pub(super) fn first_unknown(&mut self, name: String) -> bool {
        self.unknown.get_or_insert_default().insert(name)
    }
}
