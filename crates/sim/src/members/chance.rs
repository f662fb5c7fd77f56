//! Where randomness comes from: numbers that follow from the seed, a stream and an index, and from nothing else.

use fastrand::Rng;

/// What a number is drawn for. Each has numbers of its own, so that a change in one thing leaves the others as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Id = 1,
    Member,
    Episode,
    EpisodeOwner,
    Charges,
    Kind,
    Body,
    Order,
    LastUpdated,
    BadPlace,
    BadContent,
    LineEnding,
    Changed,
    Organization,
    Practitioner,
    Location,
}

/// A number for the `index`th thing of a `stream`, `variant` telling apart what has the same index: types, versions.
pub(crate) fn mix(seed: u64, stream: Stream, variant: u64, index: u64) -> u64 {
    finalize(key(seed, stream, variant) ^ index)
}

/// Different indexes give different numbers, for the same `seed`, `stream` and `variant`.
fn key(seed: u64, stream: Stream, variant: u64) -> u64 {
    finalize(finalize(seed ^ (stream as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)) ^ variant)
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood 2014, as given by Vigna): a bijection in which each bit of the input
/// changes about half of the output.
pub(crate) fn finalize(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// Draws for the `index`th thing.
pub(crate) fn rng(seed: u64, stream: Stream, variant: u64, index: u64) -> Rng {
    Rng::with_seed(mix(seed, stream, variant, index))
}

/// One of `choices`, which has at least one.
pub(crate) fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_differ_by_every_argument() {
        let mut seen = BTreeSet::new();
        for seed in 0..10 {
            for stream in [Stream::Id, Stream::Member, Stream::Body] {
                for variant in 0..10 {
                    seen.extend((0..100).map(|index| mix(seed, stream, variant, index)));
                }
            }
        }
        assert_eq!(seen.len(), 10 * 3 * 10 * 100);
    }
}
