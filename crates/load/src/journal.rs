//! What a run leaves behind for the case that it dies: `_lake/staging/<run>/`.
//!
//! `plan.json` says which plan the run is; it is written before any work. `export.json` says where a server tells the
//! status of the export that is loaded; `pages/` says which page of a search followed which. `journal` says which lines are in which durable row group ([`record`]); it is
//! written all the while, and whoever takes the run up believes it and nothing else. `commit.json` says what the lake will
//! be and is written once all parts are durable: from then on the run is finished, and whoever opens the lake next carries
//! out what is left of it. A compaction has a folder of the same kind, with parts and at last a `commit.json`.

pub(crate) mod record;
pub(crate) mod log;
pub(crate) mod replay;
pub(crate) mod keeper;
pub(crate) mod pages;

use std::collections::HashSet;
use std::sync::Arc;

use lakehaul_write::store::Store;
use rayon::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::delta;
use crate::lake::{COMPACTIONS, Lake, RUNS, at_once, compaction_path, is_compaction, read_text, record_path};
use crate::ledger::{pretty, terse};
use crate::{CompactionRecord, Layout, LoadError, RunRecord, Warning};

const STAGING: &str = "_lake/staging";
const PLAN: &str = "plan.json";
const COMMIT: &str = "commit";
const FENCE: &str = "fence-";
const EXPORT: &str = "export.json";

/// Version of these files; another one is not understood.
const VERSION: u32 = 1;

/// The staging folder of a run.
pub(crate) fn staging(run: &str) -> String {
    format!("{STAGING}/{run}")
}

/// `plan.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanFile {
    pub(crate) version: u32,
    pub(crate) run: String,
    /// The plan's hash, in hex.
    pub(crate) plan: String,
    /// The hash of what was asked for, whatever the files were like.
    #[serde(default)]
    pub(crate) command: String,
    /// False if an input can be read only once.
    pub(crate) repeatable: bool,
    pub(crate) started: String,
    pub(crate) source: String,
}

/// `export.json`: what is known of the server's export. It holds URLs that may be secrets; it goes with the staging
/// folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExportFile {
    version: u32,
    pub(crate) export: ExportState,
}

/// How far the kick-off is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum ExportState {
    /// It may have been sent; its answer is not known.
    KickOffSent,
    /// The server has begun an export.
    Accepted {
        /// Where its status is told.
        polling_location: String,
    },
}

impl ExportFile {
    /// Keeps it for the run; durable when this returns.
    pub(crate) fn put(store: &dyn Store, run: &str, export: ExportState) -> Result<(), LoadError> {
        let file = ExportFile { version: VERSION, export };
        put(store, &format!("{}/{EXPORT}", staging(run)), &pretty(&file))
    }

    /// Forgets what was kept.
    pub(crate) fn remove(store: &dyn Store, run: &str) -> Result<(), LoadError> {
        let path = format!("{}/{EXPORT}", staging(run));
        store.remove(&path).map_err(|source| LoadError::destination("remove", &path, source))
    }

    /// What is kept for the run.
    pub(crate) fn of(lake: &Lake, run: &str) -> Result<Option<ExportState>, LoadError> {
        let path = format!("{}/{EXPORT}", staging(run));
        let there = lake.list(&staging(run))?.iter().any(|(file, _)| *file == path);
        Ok(if there { Some(read::<ExportFile>(lake, &path)?.export) } else { None })
    }
}

/// `commit.json`, or `commit-<fence>.json`: everything that publishes a run, or a compaction, in the order in which it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommitFile {
    version: u32,
    /// From and to.
    moves: Vec<(String, String)>,
    /// Path and text: settings, schema files.
    texts: Vec<(String, String)>,
    #[serde(flatten)]
    record: Committed,
    /// What the record has no place for any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removals: Vec<String>,
    /// The tables are Delta tables, in folders that are named so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delta: Option<Layout>,
}

/// What was published.
#[derive(Debug)]
pub(crate) struct Published {
    /// As it is in the lake.
    pub(crate) record: Committed,
    /// What a person should know of it.
    pub(crate) warnings: Vec<Warning>,
}

/// What is written once all is in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Committed {
    #[serde(rename = "record")]
    Run(Box<RunRecord>),
    /// A program that knows no compactions finds no record, and refuses the lake.
    #[serde(rename = "compaction")]
    Compaction(Box<CompactionRecord>),
}

impl Committed {
    /// The run's name, or the compaction's.
    pub(crate) fn name(&self) -> &str {
        match self {
            Committed::Run(record) => &record.run,
            Committed::Compaction(record) => &record.compaction,
        }
    }

    fn put(&self, store: &dyn Store) -> Result<(), LoadError> {
        match self {
            Committed::Run(record) => put(store, &record_path(&record.run), &pretty(record)),
            Committed::Compaction(record) => put(store, &compaction_path(&record.compaction), &pretty(record)),
        }
    }
}

/// A run whose staging folder is there.
#[derive(Debug, PartialEq)]
pub(crate) enum Unfinished {
    /// It has finished; only its staging folder has not gone, or not wholly.
    Left(String),
    /// Its work is not done. None: it died before its plan was written.
    Working(String, Option<PlanFile>),
    /// A compaction whose work is not done. It has changed nothing, and begins anew.
    Compacting(String),
    /// It has to be published.
    Committing(Box<CommitFile>),
}

impl PlanFile {
    pub(crate) const VERSION: u32 = VERSION;

    /// Whether it is this plan, or the same command with other files.
    pub(crate) fn is(&self, plan: &str, command: &str) -> bool {
        self.plan == plan || self.command == command
    }

    /// Keeps the plan, before any work.
    pub(crate) fn put(&self, store: &dyn Store) -> Result<(), LoadError> {
        put(store, &format!("{}/{PLAN}", staging(&self.run)), &pretty(self))
    }
}

impl CommitFile {
    pub(crate) fn new(
        moves: Vec<(String, String)>,
        texts: Vec<(String, String)>,
        record: RunRecord,
        delta: Option<Layout>,
    ) -> CommitFile {
        let record = Committed::Run(Box::new(record));
        CommitFile { version: VERSION, moves, texts, record, removals: Vec::new(), delta }
    }

    /// Moves what a compaction has made, and removes what it is made of. Of a Delta table earlier versions need that.
    pub(crate) fn of_compaction(
        moves: Vec<(String, String)>,
        record: CompactionRecord,
        delta: Option<Layout>,
    ) -> CommitFile {
        let removals = match delta {
            None => {
                let replaced = record.parts().flat_map(|(_, part)| &part.replaces);
                replaced.map(|replaced| replaced.part.path.clone()).collect()
            }
            Some(_) => Vec::new(),
        };
        let record = Committed::Compaction(Box::new(record));
        CommitFile { version: VERSION, moves, texts: Vec::new(), record, removals, delta }
    }

    pub(crate) fn record(&self) -> &Committed {
        &self.record
    }

    pub(crate) fn into_record(self) -> Committed {
        self.record
    }

    /// From now on it is finished, whatever happens to this process.
    pub(crate) fn put(&self, store: &dyn Store, fence: u64) -> Result<(), LoadError> {
        put(store, &commit_path(self.record.name(), fence), &terse(self))
    }

    /// Makes it visible; doing it again, or the rest of it, comes to the same. Until the record is there nothing goes that
    /// was there before.
    pub(crate) fn publish(self, shared: &Arc<dyn Store>) -> Result<Published, LoadError> {
        let store = &**shared;
        at_once(|| {
            self.texts.par_iter().try_for_each(|(path, text)| put(store, path, text))?;
            self.moves.par_iter().try_for_each(|(from, to)| match store.rename(from, to) {
                // An earlier attempt has moved it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && store.open(to).is_ok() => Ok(()),
                moved => moved.map_err(|source| LoadError::destination("publish", to, source)),
            })
        })?;
        let name = self.record.name().to_owned();
        store.sync().map_err(|source| LoadError::destination("sync", &name, source))?;
        let published = match self.delta {
            None => Published { record: self.record, warnings: Vec::new() },
            Some(layout) => delta::commit(shared, self.record, layout)?,
        };
        published.record.put(store)?;
        for path in &self.removals {
            store.remove(path).map_err(|source| LoadError::destination("remove", path, source))?;
        }
        // Before it is forgotten that they have to go.
        if !self.removals.is_empty() {
            store.sync().map_err(|source| LoadError::destination("sync", &name, source))?;
        }
        discard(store, &name)?;
        Ok(published)
    }
}

fn put(store: &dyn Store, path: &str, text: &str) -> Result<(), LoadError> {
    store.put(path, text.as_bytes()).map_err(|source| LoadError::destination("write", path, source))
}

/// A commit says by its name who has written it.
fn commit_path(run: &str, fence: u64) -> String {
    match fence {
        0 => format!("{}/{COMMIT}.json", staging(run)),
        fence => format!("{}/{COMMIT}-{fence}.json", staging(run)),
    }
}

/// Takes up a run that another holder of the lake has begun: from now on no commit counts that such a one may still write. A
/// lock that dies with its holder leaves nobody who could.
pub(crate) fn fence_off(lake: &Lake, run: &str) -> Result<(), LoadError> {
    match lake.fence() {
        0 => Ok(()),
        fence => put(&*lake.store, &format!("{}/{FENCE}{fence}", staging(run)), ""),
    }
}

/// Says that a compaction is still its process's: a commit that comes once its folder has gone is alone, and does not count.
pub(crate) fn mark_compaction(lake: &Lake, name: &str) -> Result<(), LoadError> {
    match lake.fence() {
        0 => Ok(()),
        _ => put(&*lake.store, &format!("{}/{PLAN}", staging(name)), ""),
    }
}

/// The commit of a run that counts, among what is staged.
fn valid_commit(run: &str, files: &[(String, u64)]) -> Option<String> {
    let folder = staging(run);
    let names = || files.iter().filter_map(|(path, _)| path.strip_prefix(&folder)?.strip_prefix('/'));
    let fenced_off = names().filter_map(|name| name.strip_prefix(FENCE)?.parse::<u64>().ok()).max().unwrap_or(0);
    // Without its plan it is of a run that was given up: it has come too late.
    let has_plan = names().any(|name| name == PLAN);
    let commits = names().filter_map(|name| {
        let fence = name.strip_prefix(COMMIT)?.strip_suffix(".json")?;
        let fence = if fence.is_empty() { 0 } else { fence.strip_prefix('-')?.parse::<u64>().ok()? };
        (fence >= fenced_off && (fence == 0 || has_plan)).then(|| (fence, format!("{folder}/{name}")))
    });
    commits.max().map(|(_, path)| path)
}

/// Removes what a run has staged.
pub(crate) fn discard(store: &dyn Store, run: &str) -> Result<(), LoadError> {
    let folder = staging(run);
    let removed = store.remove(&folder).and_then(|()| store.sync());
    removed.map_err(|source| LoadError::destination("remove", &folder, source))
}

/// Removes the folder of all staging, in which no run is.
pub(crate) fn discard_empty(store: &dyn Store) -> Result<(), LoadError> {
    store.remove(STAGING).map_err(|source| LoadError::destination("remove", STAGING, source))
}

/// Removes what a run has staged and nothing refers to: all but its journal, what is beside it, and what is needed.
pub(crate) fn discard_all_but(lake: &Lake, run: &str, needed: &HashSet<String>) -> Result<(), LoadError> {
    let folder = staging(run);
    for (path, _) in lake.list(&folder)? {
        let name = path.strip_prefix(&folder).and_then(|name| name.strip_prefix('/')).unwrap_or_default();
        let own = [PLAN, EXPORT, "journal"].contains(&name) || name.starts_with("row_groups-");
        // Files kept as they came are looked at one by one (see `kept`).
        let own = own || name.starts_with(pages::FOLDER) || name.starts_with(FENCE);
        if !own && !name.starts_with("raw/") && !needed.contains(&path) {
            lake.store.remove(&path).map_err(|source| LoadError::destination("remove", &path, source))?;
        }
    }
    lake.store.sync().map_err(|source| LoadError::destination("sync", &folder, source))
}

/// The names of the runs that have not finished, oldest first.
pub(crate) fn names(lake: &Lake) -> Result<Vec<String>, LoadError> {
    Ok(names_in(&lake.list(STAGING)?))
}

/// The runs that these files are staged of.
fn names_in(files: &[(String, u64)]) -> Vec<String> {
    let run = |path: &str| Some(path.strip_prefix(STAGING)?.strip_prefix('/')?.split_once('/')?.0.to_owned());
    let mut runs: Vec<String> = files.iter().filter_map(|(path, _)| run(path)).collect();
    runs.dedup();
    runs
}

/// The runs that have not finished, oldest first.
pub(crate) fn unfinished(lake: &Lake) -> Result<Vec<Unfinished>, LoadError> {
    let files = lake.list(STAGING)?;
    let there = |path: &str| files.iter().any(|(file, _)| file == path);
    let mut records = lake.list(RUNS)?;
    records.extend(lake.list(COMPACTIONS)?);
    names_in(&files)
        .into_iter()
        .map(|run| {
            let record = if is_compaction(&run) { compaction_path(&run) } else { record_path(&run) };
            let is_recorded = records.iter().any(|(there, _)| *there == record);
            // A run's record is the last thing that is written: what died after it died while it tidied up, and a commit that
            // is still there, or has come since from one who had lost the lake, is done.
            if let Some(commit) = valid_commit(&run, &files).filter(|_| is_compaction(&run) || !is_recorded) {
                return Ok(Unfinished::Committing(Box::new(read(lake, &commit)?)));
            }
            if is_recorded {
                return Ok(Unfinished::Left(run));
            }
            if is_compaction(&run) {
                return Ok(Unfinished::Compacting(run));
            }
            let plan = format!("{}/{PLAN}", staging(&run));
            let plan = if there(&plan) { Some(read::<PlanFile>(lake, &plan)?) } else { None };
            Ok(Unfinished::Working(run, plan))
        })
        .collect()
}

/// Looked at before the rest.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

fn read<T: DeserializeOwned>(lake: &Lake, path: &str) -> Result<T, LoadError> {
    let damaged = |why: String| LoadError::LakeDamaged { path: path.to_owned(), why };
    let text = read_text(&*lake.store, path)?;
    let versioned: Versioned = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    if versioned.version != VERSION {
        return Err(damaged(format!("it has version {}, this program knows {VERSION}", versioned.version)));
    }
    serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))
}
