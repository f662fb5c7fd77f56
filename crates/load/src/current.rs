//! Which parts the tables consist of now: those that the run records name, but for parts that compactions or runs have
//! replaced.
//!
//! In go the records of runs and compactions, out come a table's parts, oldest first. A part that was made of others has
//! the place of the first of them.

use std::collections::{BTreeMap, HashSet};

use lakehaul_write::DeletedResources;

use crate::compact::RowsOfRun;
use crate::lake::{COMPACTIONS, Lake, compaction_path, record_path};
use crate::{CompactionRecord, LoadError, PartRecord, RunRecord, TableRecord};

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

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// Of resources, by type.
    pub(crate) parts: BTreeMap<String, Vec<CurrentPart>>,
    /// Of deletions. No run takes the place of others here: what was deleted stays so.
    pub(crate) deleted_resources: Vec<CurrentPart>,
    /// Runs whose rows are no longer in the tables, or not all of them: a later run has replaced them.
    pub(crate) replaced_runs: HashSet<String>,
    /// What in records is not so: a record's path and a sentence.
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
            for table in record.tables.iter().chain(&record.deleted_resources) {
                let parts = tables.of_mut(&table.resource_type);
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
        // Last, whatever the names say: a run may be published long after it was named. Names of parts are never used again.
        for record in self.distinct_runs() {
            for table in record.tables.iter().filter(|table| table.replaced.is_some()) {
                tables.leave_out(&record.run, table);
            }
        }
        tables
    }
}

impl Tables {
    /// The part at `path`, if the table has it.
    pub(crate) fn part(&self, table: &str, path: &str) -> Option<&CurrentPart> {
        let parts = if table == DeletedResources::TABLE { &self.deleted_resources } else { self.parts.get(table)? };
        parts.iter().find(|there| there.part.path == path)
    }

    /// All parts of resources, each with its table's type.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &CurrentPart)> {
        self.parts.iter().flat_map(|(name, parts)| parts.iter().map(move |part| (name.as_str(), part)))
    }

    /// All tables that are there, by name; the one of deletions last.
    pub(crate) fn with_deletions(&self) -> impl Iterator<Item = (&str, &[CurrentPart])> {
        let deletions =
            Some((DeletedResources::TABLE, &*self.deleted_resources)).filter(|(_, parts)| !parts.is_empty());
        self.parts.iter().map(|(name, parts)| (name.as_str(), &**parts)).chain(deletions)
    }

    fn of_mut(&mut self, table: &str) -> &mut Vec<CurrentPart> {
        match table {
            DeletedResources::TABLE => &mut self.deleted_resources,
            resource_type => self.parts.entry(resource_type.to_owned()).or_default(),
        }
    }

    /// Whether all rows are of this run, and there is none that has been replaced.
    pub(crate) fn are_all_of(&self, run: &str) -> bool {
        !self.replaced_runs.contains(run)
            && self.all().all(|(_, part)| part.runs.iter().all(|of_run| of_run.run == run))
    }

    /// Takes out what a run has taken the place of.
    fn leave_out(&mut self, run: &str, table: &TableRecord) {
        let mut replaced: HashSet<&str> = table.replaced.iter().flatten().map(String::as_str).collect();
        let parts = self.parts.entry(table.resource_type.clone()).or_default();
        let gone: Vec<_> = parts.extract_if(.., |there| replaced.remove(there.part.path.as_str())).collect();
        self.replaced_runs.extend(gone.into_iter().flat_map(|part| part.runs).map(|of_run| of_run.run));
        let told = |path| (record_path(run), format!("it replaces {path}, which was no part of the table"));
        self.faults.extend(replaced.into_iter().map(told));
    }

    fn replace(&mut self, compaction: &CompactionRecord) {
        let name = &compaction.compaction;
        let faults = compaction.faults(self);
        self.faults.extend(faults.into_iter().map(|fault| (compaction_path(name), fault)));
        for (resource_type, part) in compaction.parts() {
            let parts = self.of_mut(resource_type);
            let gone: HashSet<&str> = part.replaces.iter().map(|gone| gone.part.path.as_str()).collect();
            let is_gone = |there: &CurrentPart| gone.contains(there.part.path.as_str());
            let at = parts.iter().position(is_gone).unwrap_or(parts.len());
            parts.retain(|there| !is_gone(there));
            let new = CurrentPart { part: part.part.clone(), of: name.clone(), runs: part.runs.clone() };
            parts.insert(at.min(parts.len()), new);
        }
    }
}
