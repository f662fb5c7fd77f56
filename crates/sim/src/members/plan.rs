//! Which file has what, before a single resource is written: files, counts, and the places of bad and blank lines.
//!
//! Resources of all files are counted through, type after type and file after file. Where a bad or a blank line stands
//! follows from that number, so that any file can be planned and written without the others.

use std::ops::Range;

use jiff::Timestamp;

use super::calendar::DAY;
use super::chance::{Stream, mix};
use super::world::World;
use super::{BadKind, BadLines, GeneratedFile, LateColumns, MembersOptions, ResourceType, Role, Split};

/// Deletions of one Bundle, which is one line.
pub(crate) const DELETIONS_A_BUNDLE: u64 = 5;

/// What a since-export's changes are spread over, after the time that was asked for.
pub(crate) const CHANGES_SECONDS: i64 = 30 * DAY;

/// The options, settled.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) options: MembersOptions,
    pub(crate) world: World,
    /// Without repetitions.
    types: Vec<ResourceType>,
    pub(crate) files: Vec<GeneratedFile>,
    pub(crate) contents: Vec<Content>,
    /// Resources and bad lines of all files of resources.
    resources: u64,
    bad: u64,
}

/// What a file has in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Resources(Stretch),
    Deletions,
    Outcomes,
}

/// A file's part of a type's resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) of: ResourceType,
    /// Ordinals among the export's resources of that type.
    pub(crate) ordinals: Range<u64>,
    /// Resources of the files before it.
    pub(crate) before: u64,
    /// Which of the bad lines are its.
    pub(crate) bad: Range<u64>,
}

impl Plan {
    pub(crate) fn new(options: MembersOptions) -> Plan {
        let world = World::new(options.seed, options.members, options.transaction_time);
        let mut types: Vec<ResourceType> = Vec::new();
        for &of in &options.types {
            if !types.contains(&of) {
                types.push(of);
            }
        }
        let mut plan = Plan { options, world, types, files: Vec::new(), contents: Vec::new(), resources: 0, bad: 0 };
        plan.resources = plan.types.iter().map(|&of| plan.exported(of)).sum();
        plan.bad = match plan.options.bad_lines {
            _ if plan.resources == 0 || plan.options.bad_kinds.is_empty() => 0,
            BadLines::None => 0,
            BadLines::PerMillion(share) => scaled(plan.resources, share, 1_000_000),
            BadLines::Exactly(count) => count,
        };
        let mut before = 0;
        for of in plan.types.clone() {
            let exported = plan.exported(of);
            for (ordinals, number) in parts(exported, plan.options.split).zip(1..) {
                before += plan.add(of, ordinals, before, number);
            }
        }
        plan.add_asides();
        plan
    }

    /// Plans a file and gives how many resources it has.
    fn add(&mut self, of: ResourceType, ordinals: Range<u64>, before: u64, number: u64) -> u64 {
        let resources = ordinals.end - ordinals.start;
        let bad = self.first_bad(2 * before)..self.first_bad(2 * (before + resources));
        let blanks = self.blanks();
        self.files.push(GeneratedFile {
            resource_type: of.name(),
            role: Role::Output,
            name: format!("{}.{number:04}.ndjson", of.name()),
            resources,
            bad: bad.end - bad.start,
            blank: blanks.count(before + resources) - blanks.count(before),
        });
        self.contents.push(Content::Resources(Stretch { of, ordinals, before, bad }));
        resources
    }

    fn add_asides(&mut self) {
        let bundles = if self.types.is_empty() { 0 } else { self.options.deletions.div_ceil(DELETIONS_A_BUNDLE) };
        let asides = [
            (Role::Deleted, "Bundle", "Bundle.deleted.0001.ndjson", bundles, Content::Deletions),
            (
                Role::Outcome,
                "OperationOutcome",
                "OperationOutcome.0001.ndjson",
                self.options.outcomes,
                Content::Outcomes,
            ),
        ];
        for (role, resource_type, name, resources, content) in asides {
            if resources > 0 {
                let name = name.to_owned();
                self.files.push(GeneratedFile { resource_type, role, name, resources, bad: 0, blank: 0 });
                self.contents.push(content);
            }
        }
    }

    /// How many resources of a type the export has.
    fn exported(&self, of: ResourceType) -> u64 {
        let all = self.world.count(of);
        self.changed(of).map_or(all, |changed| changed.count(all))
    }

    /// The index of the type's `ordinal`th resource in the export.
    pub(crate) fn index(&self, of: ResourceType, ordinal: u64) -> u64 {
        self.changed(of).map_or(ordinal, |changed| changed.nth(ordinal))
    }

    /// Which resources of a type are in a since-export; none for a full one.
    fn changed(&self, of: ResourceType) -> Option<Spread> {
        let since = self.options.since?;
        let phase = mix(self.options.seed, Stream::Changed, of as u64, u64::from(since.version)) % 1000;
        Some(Spread { per_mille: u64::from(since.changed_per_mille.min(1000)), phase })
    }

    /// `meta.versionId` of all resources.
    pub(crate) fn version(&self) -> u64 {
        self.options.since.map_or(1, |since| u64::from(since.version))
    }

    /// `meta.lastUpdated` of a resource: seconds and milliseconds. Of the full export the four years before it.
    pub(crate) fn updated(&self, of: ResourceType, index: u64) -> (i64, u32) {
        let variant = self.version() << 8 | of as u64;
        let number = mix(self.options.seed, Stream::LastUpdated, variant, index);
        let seconds = match self.options.since {
            Some(since) => since.after.as_second() + 1 + (number % CHANGES_SECONDS as u64) as i64,
            None => self.options.transaction_time.as_second() - 1 - (number % (1461 * DAY) as u64) as i64,
        };
        (seconds, (number >> 32) as u32 % 1000)
    }

    /// When the export was made.
    pub(crate) fn transaction_time(&self) -> Timestamp {
        match self.options.since {
            // Later than all changes. A time of which that cannot be said is beyond the year 9999.
            Some(since) => {
                let seconds = since.after.as_second() + CHANGES_SECONDS + DAY;
                Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
            }
            None => self.options.transaction_time,
        }
    }

    /// Blank lines before resources, by the resources counted through.
    pub(crate) fn blanks(&self) -> Spread {
        Spread { per_mille: u64::from(self.options.blank_per_mille), phase: 500 }
    }

    /// What is wrong with the `bad`th bad line.
    pub(crate) fn bad_kind(&self, bad: u64) -> BadKind {
        self.options.bad_kinds[(bad % self.options.bad_kinds.len() as u64) as usize]
    }

    /// Where the `bad`th bad line stands: before the nth resource of all for 2n, behind it for 2n + 1. There are as
    /// many stretches of equal length as bad lines, and each has one at a random place.
    pub(crate) fn bad_place(&self, bad: u64) -> u64 {
        let places = 2 * self.resources;
        let from = scaled(places, bad, self.bad);
        let room = scaled(places, bad + 1, self.bad) - from;
        from + mix(self.options.seed, Stream::BadPlace, 0, bad) % room.max(1)
    }

    /// The first bad line at that place or behind it.
    fn first_bad(&self, place: u64) -> u64 {
        let (mut from, mut to) = (0, self.bad);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.bad_place(middle) < place {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    /// The ordinal from which on a file's resources have the late elements.
    pub(crate) fn late_from(&self, resources: u64) -> u64 {
        match self.options.late_columns {
            LateColumns::Absent => u64::MAX,
            LateColumns::LastPerMille(share) => resources - (resources * u64::from(share.min(1000))).div_ceil(1000),
        }
    }

    /// What the `ordinal`th deletion deletes.
    pub(crate) fn deleted(&self, ordinal: u64) -> (ResourceType, u64) {
        let types = self.types.len() as u64;
        let (of, nth) = (self.types[(ordinal % types) as usize], ordinal / types);
        let all = self.world.count(of);
        let kept = self.changed(of).map(Spread::others);
        match kept {
            Some(kept) if nth < kept.count(all) => (of, kept.nth(nth)),
            _ => (of, all + nth),
        }
    }
}

/// A type's resources, by files.
fn parts(resources: u64, split: Split) -> impl Iterator<Item = Range<u64>> {
    let (files, lines) = match split {
        Split::Files(files) => (files.clamp(1, resources.max(1)), None),
        Split::Lines(lines) => (resources.div_ceil(lines.max(1)), Some(lines.max(1))),
    };
    let files = if resources == 0 { 0 } else { files };
    (0..files).map(move |file| match lines {
        Some(lines) => file * lines..((file + 1) * lines).min(resources),
        None => scaled(resources, file, files)..scaled(resources, file + 1, files),
    })
}

/// `number * share / of`, rounded down.
fn scaled(number: u64, share: u64, of: u64) -> u64 {
    (u128::from(number) * u128::from(share) / u128::from(of)) as u64
}

/// So many per thousand of a row of things, at even distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    per_mille: u64,
    /// Below 1000.
    phase: u64,
}

impl Spread {
    /// How many of the first so many things.
    pub(crate) fn count(self, things: u64) -> u64 {
        (things * self.per_mille + self.phase) / 1000
    }

    /// The `nth` of them, from 0; there is one.
    fn nth(self, nth: u64) -> u64 {
        (1000 * (nth + 1) - self.phase).div_ceil(self.per_mille) - 1
    }

    /// The things that are not of them.
    fn others(self) -> Spread {
        Spread { per_mille: 1000 - self.per_mille, phase: 999 - self.phase }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_and_its_others_are_all() {
        for (per_mille, phase) in [(100, 0), (100, 999), (333, 17), (1000, 5), (0, 5), (999, 500)] {
            let spread = Spread { per_mille, phase };
            let mut all: Vec<u64> = (0..spread.count(5000)).map(|nth| spread.nth(nth)).collect();
            let others = spread.others();
            all.extend((0..others.count(5000)).map(|nth| others.nth(nth)));
            all.sort_unstable();
            assert!(all.into_iter().eq(0..5000), "{spread:?}");
        }
    }

    #[track_caller]
    fn check(resources: u64, split: Split, expected: &[(u64, u64)]) {
        let parts: Vec<_> = parts(resources, split).map(|part| (part.start, part.end)).collect();
        assert_eq!(parts, expected);
    }

    #[test]
    fn parts_are_all_resources_once() {
        check(10, Split::Files(3), &[(0, 3), (3, 6), (6, 10)]);
        check(2, Split::Files(3), &[(0, 1), (1, 2)]);
        check(2, Split::Files(0), &[(0, 2)]);
        check(10, Split::Lines(4), &[(0, 4), (4, 8), (8, 10)]);
        check(3, Split::Lines(0), &[(0, 1), (1, 2), (2, 3)]);
        check(0, Split::Lines(4), &[]);
        check(0, Split::Files(4), &[]);
    }
}
