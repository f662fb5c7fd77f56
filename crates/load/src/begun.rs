//! What an earlier process has left of a run, taken up: parts that are there, files that are begun.
//!
//! In goes a plan, and which files are not the ones that were begun; out comes what counts. The journal is believed, the
//! parts are held against it. What does not agree is forgotten, and that is written down before anything is read: lines
//! whose rows are gone, or are another version's, are done again. What nothing refers to is removed.

use std::collections::HashMap;
use std::sync::Arc;

use lakehaul_write::{RunTables, StagedPart, TableOptions, WriteError};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::LoadError;
use crate::asides::Segment;
use crate::block_hash::BlockHash;
use crate::journal::log::{self, Log};
use crate::journal::record::{FileEnd, FileRecord, Record, TypeCounts};
use crate::journal::replay::{BegunFile, Replay};
use crate::journal::{discard_all_but, staging};
use crate::kept::Kept;
use crate::plan::Plan;

/// What counts of an earlier process's work; empty if there was none.
pub(crate) struct Begun {
    pub(crate) tables: Arc<RunTables>,
    pub(crate) parts: Vec<StagedPart>,
    pub(crate) types: Vec<TypeCounts>,
    pub(crate) asides: Vec<Segment>,
    pub(crate) files: Arc<BegunFiles>,
    /// How many processes have written, and how much of the journal is whole.
    pub(crate) attempt: usize,
    pub(crate) journal_bytes: u64,
    pub(crate) file_records: usize,
    pub(crate) part_records: usize,
}

/// The output files among it.
pub(crate) struct BegunFiles {
    by_key: HashMap<String, BegunFile>,
    pub(crate) kept: Option<Kept>,
}

/// How a file is to be begun.
pub(crate) enum Start {
    /// As if for the first time.
    Anew,
    /// In the middle.
    Within(BegunFile),
    /// Not at all: it is done.
    Done(BegunFile, FileEnd),
}

impl BegunFiles {
    /// How the file of this key and name is to be begun.
    pub(crate) fn start(&self, key: &str, name: &str) -> Start {
        let Some(begun) = self.by_key.get(key) else { return Start::Anew };
        match begun.complete() {
            Some(end) if self.kept.as_ref().is_none_or(|kept| kept.has_whole(key, name, end.bytes)) => {
                Start::Done(begun.clone(), end.clone())
            }
            _ if begun.ranges.is_empty() => Start::Anew,
            _ => Start::Within(begun.clone()),
        }
    }

    /// The block from which a file that was begun is read on. Compressed bytes make sense only from the first one on, and
    /// a file that is kept is kept whole.
    pub(crate) fn first_block(&self, begun: &BegunFile) -> u64 {
        let needed_from = begun.gaps().first().map_or(0, |gap| gap.start);
        if begun.plain && self.kept.is_none() { BlockHash::first_block(needed_from, &begun.blocks) } else { 0 }
    }

    /// Names that files were given, by key.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_key.iter().map(|(key, file)| (key.as_str(), file.name.as_str()))
    }

    /// The keys of files of which rows count.
    pub(crate) fn with_rows(&self) -> impl Iterator<Item = &str> {
        self.by_key.iter().filter(|(_, file)| !file.ranges.is_empty()).map(|(key, _)| key.as_str())
    }

    /// Lines that are done.
    pub(crate) fn lines(&self) -> u64 {
        self.by_key.values().map(|file| file.counts.lines).sum()
    }
}

/// Takes up what was left of the run. `gone`: files that are not what they were, of which no row may appear.
pub(crate) fn take_up(plan: &Plan, pool: &ThreadPool, gone: impl Fn(&FileRecord) -> bool) -> Result<Begun, LoadError> {
    let journal = log::path(&plan.run);
    let damaged = |why: String| LoadError::LakeDamaged { path: journal.clone(), why };
    let store = &plan.lake.store;
    let (records, mut journal_bytes) = log::read(&plan.lake, &plan.run)?;
    let count = |of: fn(&Record) -> bool| records.iter().filter(|record| of(record)).count();
    let file_records = count(|record| matches!(record, Record::File(_)));
    let part_records = count(|record| matches!(record, Record::Part(_)));
    let mut replay = Replay::of(records).map_err(damaged)?;

    let mut forgotten = replay.with_files(gone);
    let (tables, parts) = loop {
        if !forgotten.is_empty() {
            let record = replay.forget(std::mem::take(&mut forgotten));
            Log::open(&*plan.lake.private, &plan.run, journal_bytes)?.add(&[record])?;
            journal_bytes = log::read(&plan.lake, &plan.run)?.1;
        }
        discard_all_but(&plan.lake, &plan.run, &replay.needs())?;
        let tables = run_tables(plan)?;
        let laid_down = replay.parts(&**store, &plan.run).map_err(damaged)?;
        let restored: Result<Vec<Option<StagedPart>>, WriteError> =
            pool.install(|| laid_down.par_iter().map(|part| tables.restore(part)).collect());
        let restored = restored?;
        let missing = laid_down.iter().zip(&restored).filter(|(_, restored)| restored.is_none());
        forgotten = missing.flat_map(|(part, _)| replay.with_part(&part.path)).collect();
        forgotten.sort_unstable();
        forgotten.dedup();
        if forgotten.is_empty() {
            break (tables, restored.into_iter().flatten().collect());
        }
    };
    let kept = plan.keep_raw.then(|| Kept::new(Arc::clone(store), &staging(&plan.run)));
    let by_key = replay.files().map_err(damaged)?;
    Ok(Begun {
        tables,
        parts,
        types: replay.types(),
        asides: replay.asides(),
        files: Arc::new(BegunFiles { by_key, kept }),
        attempt: replay.attempts(),
        journal_bytes,
        file_records,
        part_records,
    })
}

fn run_tables(plan: &Plan) -> Result<Arc<RunTables>, LoadError> {
    let options = TableOptions {
        annotations: plan.settings.annotations,
        keep_json: plan.settings.keep_json,
        builder_bytes: plan.budget.builder_bytes,
        ..TableOptions::default()
    };
    let store = Arc::clone(&plan.lake.store);
    Ok(RunTables::new(store, staging(&plan.run), plan.run.clone(), options, plan.lake.schemas()?))
}
