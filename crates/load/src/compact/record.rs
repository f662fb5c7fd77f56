//! A compaction's record: `_lake/compactions/<name>.json`, which parts have taken the place of which. Other programs read
//! it. Run records stay as they are: what was loaded is not changed by where its rows are.
//!
//! What it says is checked against itself and against the parts that were there before: a part has exactly the rows of
//! those that it replaces. The record may be anybody's text: no figure in it can make this panic.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::current::{CurrentPart, Tables};
use crate::{Layout, PartRecord};

/// What one compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactionRecord {
    /// Its name; begins with the time at which it began, and sorts among those of the runs.
    pub compaction: String,
    /// RFC 3339.
    pub started: String,
    /// RFC 3339, when its parts were ready.
    pub finished: String,
    /// Those in which something was done, sorted by type. Among them may be that of deletions, `deleted_resources`.
    pub tables: Vec<CompactedTable>,
    /// Sums of the above.
    pub totals: CompactionTotals,
}

/// One table's parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactedTable {
    /// The table's type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Of all its parts here.
    pub rows: u64,
    /// The new ones.
    pub files: Vec<CompactedPart>,
    /// The version of the Delta table that has them. None: it is no Delta table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// A part that took the place of others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactedPart {
    /// Itself.
    #[serde(flatten)]
    pub part: PartRecord,
    /// How many of its rows each run has loaded, sorted by run.
    pub runs: Vec<RowsOfRun>,
    /// What it is made of, in the order of its rows.
    pub replaces: Vec<ReplacedPart>,
}

/// Rows of a part that one run has loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowsOfRun {
    /// The run's name: the rows' `__run`.
    pub run: String,
    /// How many.
    pub rows: u64,
}

/// A part that is no longer there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedPart {
    /// As the record has it that named it.
    #[serde(flatten)]
    pub part: PartRecord,
    /// The run or the compaction whose record that is.
    pub of: String,
}

/// Sums over the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactionTotals {
    /// Tables in which something was done.
    pub tables: u64,
    /// Rows that have another part now.
    pub rows: u64,
    /// Parts that have gone.
    pub replaced_parts: u64,
    /// Their lengths together.
    pub replaced_bytes: u64,
    /// Parts that have come.
    pub parts: u64,
    /// Their lengths together.
    pub part_bytes: u64,
}

impl CompactionRecord {
    /// The new parts, each with its table's type.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &CompactedPart)> {
        self.tables.iter().flat_map(|table| table.files.iter().map(|part| (table.resource_type.as_str(), part)))
    }

    /// What in it does not agree with itself, or with the tables as they were: a sentence each.
    pub(crate) fn faults(&self, before: &Tables) -> Vec<String> {
        let mut faults = Vec::new();
        for (what, time) in [("began", &self.started), ("was finished", &self.finished)] {
            if time.parse::<Timestamp>().is_err() {
                faults.push(format!("when it {what} is no time"));
            }
        }
        if !self.tables.is_sorted_by(|one, next| one.resource_type < next.resource_type) {
            faults.push("the tables are not sorted by type, each once".to_owned());
        }
        let sums = CompactionTotals::of(&self.tables);
        if self.totals != sums {
            faults.push("its totals are not the sums of its tables".to_owned());
        }
        let (mut added, mut replaced) = (BTreeSet::new(), BTreeSet::new());
        for table in &self.tables {
            let rows = sum(table.files.iter().map(|part| part.part.rows));
            if rows != table.rows {
                faults.push(format!("{} has {} rows, its parts have {rows}", table.resource_type, table.rows));
            }
            for part in &table.files {
                self.check_part(&table.resource_type, part, before, &mut faults);
                if !added.insert(&part.part.path) {
                    faults.push(format!("it names {} twice", part.part.path));
                }
                for gone in &part.replaces {
                    if !replaced.insert(&gone.part.path) {
                        faults.push(format!("it replaces {} twice", gone.part.path));
                    }
                }
            }
        }
        faults
    }

    fn check_part(&self, resource_type: &str, part: &CompactedPart, before: &Tables, faults: &mut Vec<String>) {
        let CompactedPart { part: PartRecord { path, rows, bytes, blake3 }, runs, replaces } = part;
        let folders = [Layout::Plain, Layout::Hive].map(|layout| layout.folder(resource_type));
        let file = folders.iter().find_map(|folder| path.strip_prefix(folder.as_str())?.strip_prefix('/'));
        let own = |file: &str| file.ends_with(".parquet") && !file.contains('/') && file.contains(&self.compaction);
        if !file.is_some_and(own) {
            faults.push(format!("{path} is not where a part of {resource_type} of this compaction would be"));
        }
        if *rows == 0 || *bytes == 0 || blake3.is_empty() {
            faults.push(format!("{path} lacks rows, length or hash"));
        }
        if replaces.is_empty() {
            faults.push(format!("{path} replaces nothing"));
        }
        let replaced = sum(replaces.iter().map(|gone| gone.part.rows));
        if replaced != *rows {
            faults.push(format!("{path} has {rows} rows, those that it replaces have {replaced}"));
        }
        let mut of_runs = BTreeMap::new();
        for gone in replaces {
            match before.part(resource_type, &gone.part.path) {
                Some(there) if there.part == gone.part && there.of == gone.of => add_rows(&mut of_runs, &there.runs),
                Some(_) => faults.push(format!("{} was another part than it says", gone.part.path)),
                None => faults.push(format!("{} was no part of {resource_type}", gone.part.path)),
            }
        }
        let told = runs.iter().map(|of_run| (of_run.run.as_str(), of_run.rows));
        if !told.eq(of_runs.iter().map(|(run, rows)| (run.as_str(), *rows))) {
            faults.push(format!("{path} has not the rows of each run that those have which it replaces"));
        }
    }
}

/// The rows of each run that these parts have together.
pub(super) fn rows_of_runs<'p>(parts: impl IntoIterator<Item = &'p CurrentPart>) -> Vec<RowsOfRun> {
    let mut rows = BTreeMap::new();
    for part in parts {
        add_rows(&mut rows, &part.runs);
    }
    rows.into_iter().map(|(run, rows)| RowsOfRun { run, rows }).collect()
}

fn add_rows(rows: &mut BTreeMap<String, u64>, of_runs: &[RowsOfRun]) {
    for of_run in of_runs {
        let rows = rows.entry(of_run.run.clone()).or_default();
        *rows = rows.saturating_add(of_run.rows);
    }
}

impl CompactionTotals {
    pub(crate) fn of(tables: &[CompactedTable]) -> CompactionTotals {
        let parts = || tables.iter().flat_map(|table| &table.files);
        let replaced = || parts().flat_map(|part| &part.replaces);
        CompactionTotals {
            tables: tables.len() as u64,
            rows: sum(tables.iter().map(|table| table.rows)),
            replaced_parts: replaced().count() as u64,
            replaced_bytes: sum(replaced().map(|gone| gone.part.bytes)),
            parts: parts().count() as u64,
            part_bytes: sum(parts().map(|part| part.part.bytes)),
        }
    }
}

fn sum(figures: impl IntoIterator<Item = u64>) -> u64 {
    figures.into_iter().fold(0, u64::saturating_add)
}
