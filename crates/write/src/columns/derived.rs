//! What an annotation makes of a column's values: computed once for each dictionary entry, not for each value.

use std::borrow::Cow;

use super::bytes_leaf::{BytesLeaf, Storage};

/// Something, or nothing, of each value of a leaf.
#[derive(Debug)]
pub(crate) struct Derived<'a, T> {
    /// An entry a value, for the values before the plain ones.
    ids: &'a [u32],
    of_entries: Vec<Option<T>>,
    /// What was made of the plain values.
    of_plain: Vec<T>,
    /// Of which plain values.
    plain_kept: Vec<bool>,
}

impl<'a, T: Copy> Derived<'a, T> {
    /// What `annotate` makes of the values of `leaf`.
    pub(crate) fn of(leaf: &'a BytesLeaf, annotate: impl Fn(&'a [u8]) -> Option<T>) -> Self {
        let plain = leaf.plain().values(0, leaf.plain().len());
        let mut of_plain = Vec::with_capacity(plain.len());
        let plain_kept = plain.map(|value| {
            let made = annotate(value);
            of_plain.extend(made);
            made.is_some()
        });
        let plain_kept = plain_kept.collect();
        Derived { ids: leaf.ids(), of_entries: leaf.entries().map(annotate).collect(), of_plain, plain_kept }
    }

    /// Whether something was made of each value. None: of all.
    pub(crate) fn kept(&self) -> Option<Vec<bool>> {
        let all = self.of_plain.len() == self.plain_kept.len() && self.of_entries.iter().all(Option::is_some);
        let of_ids = || self.ids.iter().map(|&id| self.of_entries[id as usize].is_some());
        (!all).then(|| of_ids().chain(self.plain_kept.iter().copied()).collect())
    }

    /// What was made, in the order of the values.
    pub(crate) fn values(&self) -> impl Iterator<Item = T> {
        self.ids.iter().filter_map(|&id| self.of_entries[id as usize]).chain(self.of_plain.iter().copied())
    }

    /// The same in a row.
    pub(crate) fn slice(&self) -> Cow<'_, [T]> {
        if self.ids.is_empty() { Cow::Borrowed(&self.of_plain) } else { Cow::Owned(self.values().collect()) }
    }

    /// What the dictionary's entries gave and an entry a value, if there is no value besides.
    pub(crate) fn dictionary(&self) -> Option<(&[Option<T>], &'a [u32])> {
        self.plain_kept.is_empty().then_some((&self.of_entries, self.ids))
    }

    /// A leaf of the texts that `text` takes from what was made. Of the dictionary's values only the first of an entry is
    /// hashed.
    pub(crate) fn texts<'t>(&self, text: impl Fn(T) -> &'t str) -> BytesLeaf {
        let mut texts = BytesLeaf::new(Storage::Dictionary);
        let mut known = vec![None; self.of_entries.len()];
        for &id in self.ids {
            let Some(value) = self.of_entries[id as usize] else { continue };
            if !known[id as usize].is_some_and(|entry| texts.push_again(entry)) {
                texts.push(text(value).as_bytes(), true);
                known[id as usize] = texts.newest();
            }
        }
        self.of_plain.iter().for_each(|&value| texts.push_expected(text(value).as_bytes()));
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the second half of a text of two letters.
    fn halves(text: &[u8]) -> Option<(&str, &str)> {
        let text = std::str::from_utf8(text).ok()?;
        (text.len() == 2).then(|| text.split_at(1))
    }

    #[track_caller]
    fn check(values: &[&str], plain: bool) {
        let mut leaf = BytesLeaf::new(if plain { Storage::Plain } else { Storage::Dictionary });
        values.iter().for_each(|value| leaf.push_expected(value.as_bytes()));
        let derived = Derived::of(&leaf, halves);
        let expected: Vec<_> = values.iter().map(|value| halves(value.as_bytes())).collect();
        assert_eq!(derived.values().collect::<Vec<_>>(), expected.iter().copied().flatten().collect::<Vec<_>>());
        match derived.kept() {
            None => assert!(expected.iter().all(Option::is_some)),
            Some(kept) => assert_eq!(kept, expected.iter().map(Option::is_some).collect::<Vec<_>>()),
        }
        assert_eq!(derived.dictionary().is_some(), !plain || values.is_empty());
        let texts = derived.texts(|(first, _)| first);
        let first = expected.iter().flatten().map(|(first, _)| first.as_bytes());
        assert!(texts.values().eq(first), "{values:?}");
    }

    #[test]
    fn each_value_gives_its_own() {
        for plain in [false, true] {
            check(&[], plain);
            check(&["ax", "bx", "ay", "ax", "ax", "bx"], plain);
            check(&["ax", "none", "ay", "none", "bx", "ay"], plain);
        }
    }

    #[test]
    fn texts_may_outgrow_their_dictionary() {
        let values: Vec<String> = (0..3_000).map(|i| format!("{i}/{i}")).collect();
        let mut leaf = BytesLeaf::new(Storage::Dictionary);
        // As many values as keep the leaf's own dictionary; of most nothing is made.
        for value in &values {
            leaf.push_expected(value.as_bytes());
            leaf.push_expected(b"x");
            leaf.push_expected(b"x");
        }
        let derived = Derived::of(&leaf, |text| std::str::from_utf8(text).ok()?.split_once('/'));
        assert!(derived.dictionary().is_some());
        let texts = derived.texts(|(first, _)| first);
        assert!(texts.plain().len() > 0, "what never repeats is plain");
        assert!(texts.values().eq(values.iter().map(|value| value.split_once('/').expect("has one").0.as_bytes())));
    }
}
