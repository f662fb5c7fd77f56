//! Who and what there is: how many resources of each type, whose they are, their ids, and the facts that several
//! resources share.
//!
//! Everything follows from the seed and an index, in constant time. So each resource can be written alone and still
//! refers to the right others.
//!
//! Members come in blocks of 16, which have 32 episodes of care together: one member of a block has none, another six.
//! An episode has a fixed number of resources of each type, which refer to each other by their place in it.

use jiff::Timestamp;

use super::ResourceType;
use super::calendar::DAY;
use super::chance::{Stream, finalize, mix, pick, rng};
use super::codes::{Code, DIAGNOSES};
use super::json::{push_hex, push_number};
use super::names::{FAMILIES, FEMALE, MALE, PAYERS, PLACES, Place};

/// Members of a block, and the episodes that they have together.
const BLOCK_MEMBERS: u64 = 16;
const BLOCK_EPISODES: u64 = 32;

/// Whose a block's episodes are, before the block is turned by its own number: most members have one or two.
const OWNERS: [u8; BLOCK_EPISODES as usize] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 10, 11, 11, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 14, 15, 15, 15, 15, 15,
    15,
];

/// Which explanation of benefit of an episode is the pharmacy's for sure; it tells of the first prescription.
const PHARMACY_PLACE: u64 = 3;

/// The days before the first of which nothing happened: 2019-01-01.
const FIRST_DAY: i64 = 17_897;

/// All that is generated, as numbers.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    members: u64,
    /// No episode begins later; seconds.
    last_begin: i64,
}

/// The facts of a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) index: u64,
    pub(crate) family: &'static str,
    pub(crate) given: [&'static str; 2],
    pub(crate) gender: &'static str,
    /// From 1970-01-01.
    pub(crate) birth_day: i64,
    pub(crate) home: &'static Place,
    /// The payer's index among the organizations.
    pub(crate) payer: u64,
    /// The index of the practitioner of first resort.
    pub(crate) doctor: u64,
    /// What the payer calls the member.
    pub(crate) number: u64,
}

/// The facts of an episode of care.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Episode {
    pub(crate) index: u64,
    pub(crate) member: u64,
    /// Seconds.
    pub(crate) begin: i64,
    /// Days that an inpatient stays.
    pub(crate) days: i64,
    /// Of the place, in minutes from UTC.
    pub(crate) offset: i16,
    pub(crate) diagnosis: Code,
    pub(crate) doctor: u64,
    pub(crate) organization: u64,
    pub(crate) location: u64,
    /// Which drug is prescribed first.
    pub(crate) drug: u64,
}

/// What an explanation of benefit or a claim is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Inpatient,
    Outpatient,
    Professional,
    Pharmacy,
    Oral,
}

impl World {
    pub(crate) fn new(seed: u64, members: u64, transaction_time: Timestamp) -> World {
        // An episode and its paperwork take two months.
        let last_begin = (transaction_time.as_second() - 60 * DAY).max((FIRST_DAY + 1) * DAY);
        World { seed, members, last_begin }
    }

    /// How many resources of a type a full export has.
    pub(crate) fn count(&self, of: ResourceType) -> u64 {
        let members = self.members;
        if members == 0 {
            return 0;
        }
        match of {
            ResourceType::Patient => members,
            ResourceType::Coverage => members + members / 4,
            ResourceType::Organization => PAYERS.len() as u64 + self.providers(),
            ResourceType::Practitioner => (members / 20).max(8),
            ResourceType::Location => (members / 40).max(4),
            _ => self.episodes() * per_episode(of),
        }
    }

    fn providers(&self) -> u64 {
        (self.members / 50).max(4)
    }

    /// A block's 32, and two for each member of the last block, if it is not full.
    fn episodes(&self) -> u64 {
        self.members / BLOCK_MEMBERS * BLOCK_EPISODES + self.members % BLOCK_MEMBERS * 2
    }

    fn episode_owner(&self, episode: u64) -> u64 {
        let (block, place) = (episode / BLOCK_EPISODES, episode % BLOCK_EPISODES);
        let owner = if block < self.members / BLOCK_MEMBERS {
            let turn = mix(self.seed, Stream::EpisodeOwner, 0, block);
            (u64::from(OWNERS[place as usize]) + turn) % BLOCK_MEMBERS
        } else {
            place / 2
        };
        block * BLOCK_MEMBERS + owner
    }

    /// Whose coverage it is, and whether it is the second one. Of each four members the first has two.
    pub(crate) fn coverage_owner(&self, coverage: u64) -> (u64, bool) {
        let (four, place) = (coverage / 5, coverage % 5);
        if place == 4 { (four * 4, true) } else { (four * 4 + place, false) }
    }

    /// The first coverage of a member.
    pub(crate) fn coverage_of(&self, member: u64) -> u64 {
        member / 4 * 5 + member % 4
    }

    /// The facts of a member.
    pub(crate) fn member(&self, index: u64) -> Member {
        let mut rng = rng(self.seed, Stream::Member, 0, index);
        let (gender, given) = match rng.u8(..100) {
            0..=49 => ("female", &FEMALE),
            50..=97 => ("male", &MALE),
            98 => ("other", &FEMALE),
            _ => ("unknown", &MALE),
        };
        Member {
            index,
            family: pick(&mut rng, &FAMILIES),
            given: [pick(&mut rng, given), pick(&mut rng, given)],
            gender,
            birth_day: rng.i64(-14_610..FIRST_DAY),
            home: &PLACES[rng.usize(..PLACES.len())],
            payer: rng.u64(..PAYERS.len() as u64),
            doctor: rng.u64(..self.count(ResourceType::Practitioner)),
            number: 100_000_000 + mix(self.seed, Stream::Member, 1, index) % 900_000_000,
        }
    }

    /// The facts of the episode that a resource of a type belongs to, and the resource's place among its own in it.
    pub(crate) fn episode_of(&self, of: ResourceType, index: u64) -> (Episode, u64) {
        (self.episode(index / per_episode(of)), index % per_episode(of))
    }

    /// The facts of an episode.
    fn episode(&self, index: u64) -> Episode {
        let mut rng = rng(self.seed, Stream::Episode, 0, index);
        let location = rng.u64(..self.count(ResourceType::Location));
        Episode {
            index,
            member: self.episode_owner(index),
            begin: rng.i64(FIRST_DAY * DAY..self.last_begin),
            days: rng.i64(1..9),
            offset: PLACES[rng.usize(..PLACES.len())].offset,
            diagnosis: DIAGNOSES.at(rng.u64(..)),
            doctor: rng.u64(..self.count(ResourceType::Practitioner)),
            organization: self.organization_of(location),
            location,
            drug: rng.u64(..),
        }
    }

    /// Who runs a location; its index among the organizations.
    pub(crate) fn organization_of(&self, location: u64) -> u64 {
        PAYERS.len() as u64 + location % self.providers()
    }

    /// The index of the `place`th resource of a type in an episode.
    pub(crate) fn in_episode(&self, of: ResourceType, episode: &Episode, place: u64) -> u64 {
        episode.index * per_episode(of) + place % per_episode(of)
    }

    /// What the `place`th explanation of benefit of an episode is about, and the claim of the same place.
    pub(crate) fn kind(&self, episode: &Episode, place: u64) -> Kind {
        let percent = mix(self.seed, Stream::Kind, place, episode.index) % 100;
        match (place, percent) {
            (PHARMACY_PLACE, _) | (4, 0..70) => Kind::Pharmacy,
            (0, 0..20) => Kind::Inpatient,
            (0, 20..65) | (2, 0..40) => Kind::Outpatient,
            (4, _) => Kind::Oral,
            _ => Kind::Professional,
        }
    }

    /// Appends the id of a resource. Unique within its type; its form is one that FHIR's `id` allows, and not the same
    /// for all types, as with payers.
    pub(crate) fn push_id(&self, out: &mut Vec<u8>, of: ResourceType, index: u64) {
        match of {
            ResourceType::Practitioner => {
                out.extend_from_slice(b"npi-");
                push_number(out, self.npi(index));
            }
            ResourceType::Organization | ResourceType::Location => {
                out.extend_from_slice(if of == ResourceType::Location { b"loc." } else { b"org-" });
                push_hex(out, mix(self.seed, Stream::Id, of as u64, 0), 6);
                out.push(if of == ResourceType::Location { b'.' } else { b'-' });
                push_number(out, index + 1);
            }
            _ => push_uuid(out, mix(self.seed, Stream::Id, of as u64, index)),
        }
    }

    /// A practitioner's number: ten digits, each number once. Steps through a ring of 10^9 by a number that has no
    /// divisor in common with it.
    pub(crate) fn npi(&self, practitioner: u64) -> u64 {
        const RING: u64 = 1_000_000_000;
        const STEP: u64 = 387_420_489;
        let begin = mix(self.seed, Stream::Practitioner, 1, 0) % RING;
        RING + (begin + practitioner % RING * STEP) % RING
    }
}

/// How many resources of a type an episode has.
fn per_episode(of: ResourceType) -> u64 {
    match of {
        ResourceType::ExplanationOfBenefit => 5,
        ResourceType::Claim => 3,
        ResourceType::Observation => 8,
        _ => 2,
    }
}

/// A random UUID as text (RFC 9562, version 4), made of a number that is different for each.
fn push_uuid(out: &mut Vec<u8>, number: u64) {
    let high = finalize(number);
    push_hex(out, high >> 32, 8);
    out.push(b'-');
    push_hex(out, high >> 16, 4);
    out.extend_from_slice(b"-4");
    push_hex(out, high, 3);
    out.push(b'-');
    push_hex(out, 0x8000 | (number >> 48 & 0x3FFF), 4);
    out.push(b'-');
    push_hex(out, number, 12);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_member_has_episodes_and_coverages_of_its_own() {
        for members in [1, 4, 15, 16, 17, 100, 1000] {
            let world = World::new(7, members, Timestamp::constant(1_767_225_600, 0));
            let mut episodes = vec![0; members as usize];
            for index in 0..world.episodes() {
                episodes[world.episode(index).member as usize] += 1;
            }
            assert!(episodes.iter().all(|count| *count <= 6), "{episodes:?}");
            assert!(members < 16 || episodes.contains(&0));
            let mut coverages = vec![Vec::new(); members as usize];
            for index in 0..world.count(ResourceType::Coverage) {
                let (owner, second) = world.coverage_owner(index);
                coverages[owner as usize].push((second, index));
            }
            for (member, coverages) in (0..).zip(&coverages) {
                assert_eq!(coverages[0], (false, world.coverage_of(member)));
                assert!(coverages.len() == 1 || coverages[1..] == [(true, coverages[1].1)]);
            }
        }
    }

    #[test]
    fn ids_are_unique_and_legal() {
        let world = World::new(7, 10_000, Timestamp::constant(1_767_225_600, 0));
        for of in ResourceType::ALL {
            let mut ids = BTreeSet::new();
            for index in 0..world.count(of) {
                let mut id = Vec::new();
                world.push_id(&mut id, of, index);
                assert!(id.len() <= 64 && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(b)));
                ids.insert(id);
            }
            assert_eq!(ids.len() as u64, world.count(of));
        }
    }
}
