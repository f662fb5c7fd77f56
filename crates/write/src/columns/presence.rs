//! Which of a parent's instances have this child: runs of ordinals.
//!
//! In: ordinals in strictly ascending order, one call a value. Out: runs, from which definition levels are made when
//! the row group is encoded. What is absent costs nothing; a child that every parent has costs one run in all.

use super::size::Size;

/// The ordinals, within the parent, of the instances that have a value.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// The open run; `start == end`: none.
    start: u32,
    end: u32,
    count: u32,
    /// Closed runs as (first ordinal, one past the last).
    closed: Vec<(u32, u32)>,
}

impl Presence {
    /// Adds `ordinal`, which is greater than all before, and returns how many came before it.
    #[inline(always)]
    pub(crate) fn push(&mut self, ordinal: u32) -> u32 {
        if ordinal == self.end && self.start != self.end {
            self.end += 1;
        } else {
            self.open(ordinal);
        }
        let before = self.count;
        self.count += 1;
        before
    }

    #[inline(never)]
    fn open(&mut self, ordinal: u32) {
        if self.start != self.end {
            self.closed.push((self.start, self.end));
        }
        self.start = ordinal;
        self.end = ordinal + 1;
    }

    /// How many instances have the child.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The runs in ascending order, as (first ordinal, one past the last).
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let open = (self.start != self.end).then_some((self.start, self.end));
        self.closed.iter().copied().chain(open)
    }

    /// Forgets every ordinal from `limit` on.
    pub(crate) fn truncate(&mut self, limit: u32) {
        while self.start != self.end && self.end > limit {
            if self.start < limit {
                self.count -= self.end - limit;
                self.end = limit;
                return;
            }
            self.count -= self.end - self.start;
            (self.start, self.end) = self.closed.pop().unwrap_or((0, 0));
        }
    }

    /// Forgets everything; buffers are kept.
    pub(crate) fn clear(&mut self) {
        self.closed.clear();
        (self.start, self.end, self.count) = (0, 0, 0);
    }

    pub(crate) fn size(&self) -> Size {
        Size::of(&self.closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ordinals: &[u32]) -> Presence {
        let mut presence = Presence::default();
        for (before, &ordinal) in ordinals.iter().enumerate() {
            assert_eq!(presence.push(ordinal) as usize, before);
        }
        presence
    }

    #[test]
    fn runs_join_neighbours() {
        assert_eq!(of(&[]).runs().collect::<Vec<_>>(), []);
        assert_eq!(of(&[0, 1, 2, 5, 7, 8]).runs().collect::<Vec<_>>(), [(0, 3), (5, 6), (7, 9)]);
    }

    #[test]
    fn truncation_equals_never_having_pushed() {
        let all = [0, 1, 2, 5, 7, 8, 9, 20];
        for limit in 0..22 {
            let mut presence = of(&all);
            presence.truncate(limit);
            let kept: Vec<u32> = all.iter().copied().filter(|&ordinal| ordinal < limit).collect();
            let expected = of(&kept);
            assert_eq!(presence.runs().collect::<Vec<_>>(), expected.runs().collect::<Vec<_>>(), "limit {limit}");
            assert_eq!(presence.count(), expected.count());
            presence.push(30);
            assert_eq!(presence.count() as usize, kept.len() + 1);
        }
    }
}
