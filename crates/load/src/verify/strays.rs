//! Files of a lake that no run accounts for: a reader would take them for data, or a person for evidence.

use std::collections::BTreeSet;

use lakehaul_write::DeletedResources;

use super::VerifyFinding;
use super::asides::{deletions_path, outcomes_path, raw_folder};
use super::quarantine;
use crate::member_match::TABLE_FOLDER;
use crate::{Layout, RunRecord};

/// Where a run keeps what is no table.
const ASIDES: [&str; 4] = ["_lake/quarantine/", "_lake/outcomes/", "_lake/deletions/", "_lake/raw/"];

/// What the runs' records name.
#[derive(Default)]
pub(super) struct Named {
    paths: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Named {
    /// Tables that the lake has schemas of.
    pub(super) fn of_tables<'t>(types: impl IntoIterator<Item = &'t str>) -> Named {
        let mut named = Named::default();
        named.folders.insert(DeletedResources::TABLE.to_owned());
        for name in types {
            named.folders.extend([Layout::Plain, Layout::Hive].map(|layout| layout.folder(name)));
        }
        named
    }

    pub(super) fn add(&mut self, record: &RunRecord) {
        let run = record.run.as_str();
        for table in record.tables.iter().chain(&record.deleted_resources) {
            self.paths.extend(table.files.iter().map(|part| part.path.clone()));
            self.folders.extend([Layout::Plain, Layout::Hive].map(|layout| layout.folder(&table.resource_type)));
        }
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

    /// What nobody names, where only what is named may be: in a table's folder, among what runs keep, and any Parquet
    /// file outside of `_lake`.
    pub(super) fn strays(&self, files: &[(String, u64)]) -> Vec<VerifyFinding> {
        let guarded = |path: &str| {
            ASIDES.iter().any(|folder| path.starts_with(folder))
                || path.split_once('/').is_some_and(|(folder, _)| self.folders.contains(folder))
                || (path.ends_with(".parquet") && !path.starts_with("_lake/") && !path.starts_with(TABLE_FOLDER))
        };
        files
            .iter()
            .filter(|(path, _)| guarded(path) && !self.paths.contains(path))
            .map(|(path, _)| VerifyFinding { path: path.clone(), what: "no run record names it".to_owned() })
            .collect()
    }
}
