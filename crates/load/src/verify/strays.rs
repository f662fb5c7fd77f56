//! Files of a lake that no run accounts for: a reader would take them for data, or a person for evidence.

use std::collections::{BTreeMap, BTreeSet};

use lakehaul_write::DeletedResources;

use super::VerifyFinding;
use super::asides::{deletions_path, outcomes_path, raw_folder};
use super::quarantine;
use crate::current::Tables;
use crate::journal::Committed;
use crate::member_match::TABLE_FOLDER;
use crate::{Layout, RunRecord};

/// Where a run keeps what is no table.
const ASIDES: [&str; 4] = ["_lake/quarantine/", "_lake/outcomes/", "_lake/deletions/", "_lake/raw/"];

/// What the runs' records name.
#[derive(Default)]
pub(crate) struct Named {
    paths: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Named {
    /// Tables that the lake has schemas of.
    pub(crate) fn of_tables<'t>(types: impl IntoIterator<Item = &'t str>) -> Named {
        let mut named = Named::default();
        named.folders.insert(DeletedResources::TABLE.to_owned());
        for name in types {
            named.folders.extend([Layout::Plain, Layout::Hive].map(|layout| layout.folder(name)));
        }
        named
    }

    /// All parts that the tables have now.
    pub(crate) fn add_tables(&mut self, tables: &Tables) {
        for (name, parts) in tables.with_deletions() {
            parts.iter().for_each(|part| self.add_part(name, &part.part.path));
        }
    }

    /// A part of a table.
    fn add_part(&mut self, resource_type: &str, path: &str) {
        self.paths.insert(path.to_owned());
        self.folders.extend([Layout::Plain, Layout::Hive].map(|layout| layout.folder(resource_type)));
    }

    /// What earlier versions of a Delta table may need.
    pub(crate) fn add_replaced(&mut self, files: BTreeMap<String, Option<i64>>) {
        self.paths.extend(files.into_iter().filter(|(_, removed)| removed.is_some()).map(|(path, _)| path));
    }

    /// What is being published, and what goes with that: all of it may be there.
    pub(crate) fn add_committed(&mut self, committed: &Committed) {
        match committed {
            Committed::Run(record) => {
                for table in record.tables.iter().chain(&record.deleted_resources) {
                    table.files.iter().for_each(|part| self.add_part(&table.resource_type, &part.path));
                }
                self.add_run(record);
            }
            Committed::Compaction(record) => {
                for (resource_type, part) in record.parts() {
                    self.add_part(resource_type, &part.part.path);
                    part.replaces.iter().for_each(|gone| self.add_part(resource_type, &gone.part.path));
                }
            }
        }
    }

    /// What a run has besides its tables' parts.
    pub(crate) fn add_run(&mut self, record: &RunRecord) {
        let run = record.run.as_str();
        if record.totals.rejected > 0 {
            self.paths.extend(quarantine::paths(run));
        }
        if record.totals.outcomes > 0 {
            self.paths.insert(outcomes_path(run));
        }
        if record.totals.deletions > 0 {
            self.paths.insert(deletions_path(run));
        }
        let raw = raw_folder(run);
        self.paths.extend(record.output_files.iter().map(|file| format!("{raw}{}", file.name)));
    }

    /// Whether a file is in the folder of a table.
    pub(crate) fn is_in_a_table(&self, path: &str) -> bool {
        path.split_once('/').is_some_and(|(folder, _)| self.folders.contains(folder))
    }

    /// Whether something names the file.
    pub(crate) fn names(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// What nobody names, where only what is named may be: in a table's folder, among what runs keep, and any Parquet
    /// file outside of `_lake`.
    pub(super) fn strays(&self, files: &[(String, u64)]) -> Vec<VerifyFinding> {
        let guarded = |path: &str| {
            let is_data = path.ends_with(".parquet") && !path.starts_with("_lake/") && !path.starts_with(TABLE_FOLDER);
            ASIDES.iter().any(|folder| path.starts_with(folder))
                || ((self.is_in_a_table(path) || is_data) && !is_in_a_log(path))
        };
        files
            .iter()
            .filter(|(path, _)| guarded(path) && !self.paths.contains(path))
            .map(|(path, _)| VerifyFinding { path: path.clone(), what: "no run record names it".to_owned() })
            .collect()
    }
}

/// Whether a file is in a folder that a table's own folder has for something else, such as `_delta_log`.
pub(crate) fn is_in_a_log(path: &str) -> bool {
    path.split('/').skip(1).any(|name| name.starts_with('_'))
}
