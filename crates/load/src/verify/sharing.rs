//! Which runs have rows in the same parts: only these have to be looked at together.
//!
//! Without compactions each run is by itself.

use std::collections::BTreeMap;

use crate::RunRecord;
use crate::current::{CurrentPart, Tables};

/// Runs that share parts, and all parts that have rows of them.
#[derive(Default)]
pub(super) struct Sharing<'l> {
    pub(super) runs: Vec<&'l RunRecord>,
    /// With the table's type.
    pub(super) parts: Vec<(&'l str, &'l CurrentPart)>,
}

/// The runs and parts, in as small groups as may be, each in the order of its first run. Parts of no run that there is
/// come last.
pub(super) fn sharing<'l>(records: &[&'l RunRecord], tables: &'l Tables) -> Vec<Sharing<'l>> {
    let number: BTreeMap<&str, usize> =
        records.iter().enumerate().map(|(at, record)| (record.run.as_str(), at)).collect();
    let runs_of =
        |part: &'l CurrentPart| part.runs.iter().filter_map(|of_run| number.get(of_run.run.as_str()).copied());
    // Each run points to an earlier one of its group, or to itself.
    let mut earlier: Vec<usize> = (0..records.len()).collect();
    for (_, part) in tables.all() {
        let mut runs = runs_of(part);
        let Some(first) = runs.next() else { continue };
        for other in runs {
            let (one, other) = (first_of(&mut earlier, first), first_of(&mut earlier, other));
            earlier[one.max(other)] = one.min(other);
        }
    }
    let mut groups: BTreeMap<usize, Sharing<'l>> = BTreeMap::new();
    for (at, &record) in records.iter().enumerate() {
        groups.entry(first_of(&mut earlier, at)).or_default().runs.push(record);
    }
    for (resource_type, part) in tables.all() {
        let group = runs_of(part).next().map_or(usize::MAX, |run| first_of(&mut earlier, run));
        groups.entry(group).or_default().parts.push((resource_type, part));
    }
    groups.into_values().collect()
}

fn first_of(earlier: &mut [usize], mut run: usize) -> usize {
    while earlier[run] != run {
        earlier[run] = earlier[earlier[run]];
        run = earlier[run];
    }
    run
}
