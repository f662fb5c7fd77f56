//! Which parts the tables consist of now: those that the run records name, but for parts that compactions have replaced.
//!
//! In go the records of runs and compactions, out come a table's parts, oldest first. A part that was made of others has
//! the place of the first of them.

use std::collections::{BTreeMap, HashSet};

use crate::compact::RowsOfRun;
use crate::lake::{COMPACTIONS, Lake};
use crate::{CompactionRecord, LoadError, PartRecord, RunRecord};

/// Whoever reads while a compaction is published looks again, so often at most.
const LOOKS: usize = 10;

/// The records of a lake, of one moment.
pub(crate) struct Ledger {
    /// Oldest first.
    pub(crate) runs: Vec<RunRecord>,
    /// Oldest first.
    pub(crate) compactions: Vec<CompactionRecord>,
}

/// A part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CurrentPart {
    pub(crate) part: PartRecord,
    /// The run or the compaction whose record names it.
    pub(crate) of: String,
    /// How many of its rows each run has loaded.
    pub(crate) runs: Vec<RowsOfRun>,
}

/// All tables but the one of deletions, whose parts stay as runs have written them.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// By type.
    pub(crate) parts: BTreeMap<String, Vec<CurrentPart>>,
    /// What in the compactions' records is not so: name and sentence.
    pub(crate) faults: Vec<(String, String)>,
}

impl Ledger {
    pub(crate) fn read(lake: &Lake) -> Result<Ledger, LoadError> {
        let mut before = lake.list(COMPACTIONS)?;
        let mut look = 0;
        loop {
            // In this order: what a compaction has replaced was named before by a record that is read here.
            let ledger = Ledger { compactions: lake.compactions()?, runs: lake.records()? };
            let after = lake.list(COMPACTIONS)?;
            look += 1;
            if before == after || look == LOOKS {
                return Ok(ledger);
            }
            before = after;
        }
    }

    /// The runs, each once: a copy of a record says nothing of its own.
    pub(crate) fn distinct_runs(&self) -> impl Iterator<Item = &RunRecord> {
        let mut names = HashSet::new();
        self.runs.iter().filter(move |record| names.insert(record.run.as_str()))
    }

    /// The tables after all compactions.
    pub(crate) fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        for record in self.distinct_runs() {
            for table in &record.tables {
                let parts = tables.parts.entry(table.resource_type.clone()).or_default();
                parts.extend(table.files.iter().map(|part| CurrentPart {
                    part: part.clone(),
                    of: record.run.clone(),
                    runs: vec![RowsOfRun { run: record.run.clone(), rows: part.rows }],
                }));
            }
        }
        for compaction in &self.compactions {
            tables.replace(compaction);
        }
        tables
    }
}

impl Tables {
    /// The part at `path`, if the table has it.
    pub(crate) fn part(&self, resource_type: &str, path: &str) -> Option<&CurrentPart> {
        self.parts.get(resource_type)?.iter().find(|there| there.part.path == path)
    }

    /// All parts, each with its table's type.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &CurrentPart)> {
        self.parts.iter().flat_map(|(name, parts)| parts.iter().map(move |part| (name.as_str(), part)))
    }

    fn replace(&mut self, compaction: &CompactionRecord) {
        let name = &compaction.compaction;
        let faults = compaction.faults(self);
        self.faults.extend(faults.into_iter().map(|fault| (name.clone(), fault)));
        for (resource_type, part) in compaction.parts() {
            let parts = self.parts.entry(resource_type.to_owned()).or_default();
            let gone: HashSet<&str> = part.replaces.iter().map(|gone| gone.part.path.as_str()).collect();
            let is_gone = |there: &CurrentPart| gone.contains(there.part.path.as_str());
            let at = parts.iter().position(is_gone).unwrap_or(parts.len());
            parts.retain(|there| !is_gone(there));
            let new = CurrentPart { part: part.part.clone(), of: name.clone(), runs: part.runs.clone() };
            parts.insert(at.min(parts.len()), new);
        }
    }
}
