//! `pages/`: which pages a search has had so far, so that another process goes on at the page after the last one.
//!
//! A page's file is durable before its lines are on the schedule. It holds the URL of the next page, which may name a
//! patient or be as good as a password; it goes with the staging folder.

use std::collections::BTreeMap;

use lakehaul_write::store::Store;
use serde::{Deserialize, Serialize};

use super::{VERSION, put, read, staging};
use crate::LoadError;
use crate::lake::Lake;
use crate::ledger::pretty;

/// In the run's staging folder.
pub(super) const FOLDER: &str = "pages/";

/// A page that was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageFile {
    pub(crate) version: u32,
    /// As the ledger has it.
    pub(crate) url: Option<String>,
    /// The hash of its lines, in hex.
    pub(crate) lines_blake3: String,
    pub(crate) matches: u64,
    pub(crate) empty_entries: u64,
    pub(crate) total: Option<u64>,
    /// It has a second file, of failures.
    pub(crate) failures: bool,
    /// Where the next page is. None: it was the last one.
    pub(crate) next: Option<String>,
}

/// Pages of a search, by number, from 1 on.
pub(crate) type Pages = BTreeMap<u64, PageFile>;

impl PageFile {
    pub(crate) const VERSION: u32 = VERSION;

    /// Keeps page `number` of a search; durable when this returns. `store`: nobody else may read it.
    pub(crate) fn put(&self, store: &dyn Store, run: &str, search: &str, number: u64) -> Result<(), LoadError> {
        put(store, &format!("{}{number}.json", folder(run, search)), &pretty(self))
    }
}

fn folder(run: &str, search: &str) -> String {
    format!("{}/{FOLDER}{search}/", staging(run))
}

/// The pages of a search that are kept.
pub(crate) fn of(lake: &Lake, run: &str, search: &str) -> Result<Pages, LoadError> {
    let folder = folder(run, search);
    let mut pages = Pages::new();
    for (path, _) in lake.list(folder.trim_end_matches('/'))? {
        let number = path.strip_prefix(&folder).and_then(|name| name.strip_suffix(".json")?.parse().ok());
        if let Some(number) = number {
            pages.insert(number, read(lake, &path)?);
        }
    }
    Ok(pages)
}

/// Forgets the pages of a search: it starts over.
pub(crate) fn forget(store: &dyn Store, run: &str, search: &str) -> Result<(), LoadError> {
    let folder = folder(run, search);
    let path = folder.trim_end_matches('/');
    let removed = store.remove(path).and_then(|()| store.sync());
    removed.map_err(|source| LoadError::destination("remove", path, source))
}
