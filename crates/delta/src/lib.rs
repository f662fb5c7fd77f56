//! Delta tables in a lake.
//!
//! In go files that lie in a table's folder already and what is known of them; out comes a commit in its log, once and
//! only once however often it is tried. The log is read and written by the Delta kernel, over `write`'s `Store`: in a
//! folder and in a bucket alike.
//!
//! - A commit is one object that is written if it is new (`commit.rs`). Who comes second looks again and builds a new
//!   one.
//! - Each commit names its application and a number (`txn`): what the table has is not committed again.
//! - Tables are as plain as Delta has them (reader 1, writer 2), so that every reader reads them.
//!
//! Calls block, and must not come from a task of an async runtime.

#![forbid(unsafe_code)]

mod columns;
mod commit;
mod failure;
mod log;
mod objects;
mod path;
mod stats;

use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use delta_kernel::snapshot::{Snapshot, SnapshotRef};
use delta_kernel::{Engine, KernelError};
use delta_kernel_default_engine::DefaultEngineBuilder;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use lakehaul_write::store::Store;

pub use failure::{DeltaError, DeltaErrorKind};
pub use stats::stats;

use failure::Action;
use log::Log;
use objects::Objects;

/// Where each table's engine finds the table: its store begins at the table's folder, so no name of it can be misread.
const ROOT: &str = "lake:///";

/// Threads that drive the engine's tasks: one of them may wait for the others.
const TASK_THREADS: usize = 2;

/// Calls of the store at a time.
const BLOCKED_THREADS: usize = 32;

/// Files of a log that are read at a time.
const FILES_AT_ONCE: NonZero<usize> = NonZero::new(16).expect("not zero");

/// The Delta tables of one lake.
#[derive(Debug, Clone)]
pub struct DeltaTables {
    store: Arc<dyn Store>,
    executor: Arc<TokioMultiThreadExecutor>,
}

impl DeltaTables {
    /// The tables of the lake in `store`. An error: the process gets no threads.
    pub fn new(store: Arc<dyn Store>) -> Result<DeltaTables, DeltaError> {
        Ok(DeltaTables { store, executor: executor()? })
    }

    /// The table in `folder`, a path relative to the lake. Nothing is read or written.
    pub fn table(&self, folder: &str) -> DeltaTable {
        let folder = folder.trim_matches('/');
        let objects = Arc::new(Objects::new(Arc::clone(&self.store), folder));
        let engine = DefaultEngineBuilder::new(objects)
            .with_task_executor(Arc::clone(&self.executor))
            .with_buffer_size(FILES_AT_ONCE)
            .build();
        DeltaTable { store: Arc::clone(&self.store), folder: folder.to_owned(), engine: Arc::new(engine) }
    }
}

/// The process's threads for all tables.
fn executor() -> Result<Arc<TokioMultiThreadExecutor>, DeltaError> {
    static EXECUTOR: OnceLock<Result<Arc<TokioMultiThreadExecutor>, String>> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| {
        TokioMultiThreadExecutor::new_owned_runtime(Some(TASK_THREADS), Some(BLOCKED_THREADS))
            .map(Arc::new)
            .map_err(|error| error.to_string())
    });
    executor.clone().map_err(|why| {
        DeltaError::new("", Action::Read, DeltaErrorKind::Io(std::io::ErrorKind::Other), "no threads can be started")
            .with_source(why)
    })
}

/// A Delta table, or the place where one will be.
#[derive(Clone)]
pub struct DeltaTable {
    store: Arc<dyn Store>,
    folder: String,
    engine: Arc<dyn Engine>,
}

impl fmt::Debug for DeltaTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeltaTable").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// Its path, relative to the lake. A file that the table shares with another one elsewhere has a URL.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// How many rows it has, where the log says so.
    pub rows: Option<u64>,
}

/// A file that some version of a table refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referenced {
    /// Its path, relative to the lake.
    pub path: String,
    /// When it left the table, in milliseconds since 1970, 0 if the log does not say; `None`: the newest version has
    /// it.
    pub removed_ms: Option<i64>,
}

/// One transaction on a table.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Who commits; together with `app_version` it names the commit.
    pub app_id: String,
    /// Grows with each commit of the application.
    pub app_version: i64,
    /// Files that the table gets. They are there, and durable.
    pub adds: Vec<AddedFile>,
    /// The columns of the files; the table gets those that it lacks.
    pub schema: SchemaRef,
    /// The leaf columns that statistics are told of, each as its path with dots. The table says so in
    /// `delta.dataSkippingStatsColumns`, so that readers use them, however many there are, and other writers tell of
    /// them, too; without it, statistics are of the first 32 columns.
    pub statistics: Vec<String>,
    /// What happens to the files that the table has.
    pub change: Change,
    /// What the table's history calls it: `WRITE`, `OPTIMIZE`.
    pub operation: String,
    /// The run it belongs to, for the table's history.
    pub run: String,
    /// The time of the commit, in milliseconds since 1970.
    pub now_ms: i64,
}

/// What happens to the files that a table has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// They stay; rows come.
    Append,
    /// All are removed, in the same commit.
    Replace,
    /// The added files have the rows of these, which are removed. Readers of changes see none.
    Rearrange {
        /// Paths relative to the lake.
        removes: Vec<String>,
    },
}

/// A file that comes to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedFile {
    /// Its path, relative to the lake, in the table's folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written, in milliseconds since 1970.
    pub modified_ms: i64,
    /// What [`stats()`] says of it.
    pub stats: String,
}

/// A commit that is in the table.
#[derive(Debug)]
pub struct Committed {
    /// The version that has it.
    pub version: u64,
    /// It was there before, and nothing was written.
    pub already: bool,
    /// A checkpoint was due and could not be written. The commit does not need it.
    pub checkpoint_error: Option<DeltaError>,
}

impl DeltaTable {
    /// The newest version; `None`: there is no table yet. One listing.
    pub fn version(&self) -> Result<Option<u64>, DeltaError> {
        Ok(self.log()?.newest())
    }

    /// The files of a version, or of the newest one. No table: none.
    pub fn files(&self, version: Option<u64>) -> Result<Vec<TableFile>, DeltaError> {
        let Some(snapshot) = self.snapshot(version)? else {
            return Ok(Vec::new());
        };
        let found = self.scan(&snapshot).map_err(|error| self.unread(error))?;
        found
            .into_iter()
            .map(|file| {
                let path = path::in_lake(&self.folder, &file.path).ok_or_else(|| self.damaged_path())?;
                Ok(TableFile {
                    path,
                    bytes: u64::try_from(file.size).unwrap_or(0),
                    rows: file.stats.map(|s| s.num_records),
                })
            })
            .collect()
    }

    /// The version whose commit is the one of this application and number. `None`: there is no such commit, or others
    /// have followed it and its part of the log is gone.
    pub fn version_of(&self, app_id: &str, app_version: i64) -> Result<Option<u64>, DeltaError> {
        let Some(snapshot) = self.snapshot(None)? else {
            return Ok(None);
        };
        let newest = snapshot.get_app_id_version(app_id, self.engine.as_ref()).map_err(|error| self.unread(error))?;
        match newest {
            Some(newest) if newest >= app_version => {
                let found = self.log()?.version_of(app_id, app_version)?;
                Ok(found.or_else(|| (newest == app_version).then(|| snapshot.version())))
            }
            _ => Ok(None),
        }
    }

    /// Every file that a version still in the log refers to, sorted by path.
    pub fn referenced(&self) -> Result<Vec<Referenced>, DeltaError> {
        self.log()?.referenced()
    }

    /// Commits, if the table does not have the commit yet.
    ///
    /// A failure leaves either the commit in the table or nothing of it; to call again is always right. `already` says
    /// whether it was there: by its number, so a lower number than the application's last one counts as there.
    pub fn commit(&self, commit: &Commit) -> Result<Committed, DeltaError> {
        commit::commit(self, commit)
    }

    fn log(&self) -> Result<Log<'_>, DeltaError> {
        Log::list(self.store.as_ref(), self.engine.as_ref(), &self.folder)
    }

    /// The table at a version, or as it is now.
    fn snapshot(&self, version: Option<u64>) -> Result<Option<SnapshotRef>, DeltaError> {
        let builder = Snapshot::builder_for(ROOT);
        let builder = match version {
            Some(version) => builder.at_version(version),
            None => builder,
        };
        match builder.build(self.engine.as_ref()) {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(KernelError::EmptyLog) if version.is_none() => Ok(None),
            Err(error) => Err(self.unread(error)),
        }
    }

    fn scan(&self, snapshot: &SnapshotRef) -> Result<Vec<delta_kernel::scan::state::ScanFile>, KernelError> {
        let mut files = Vec::new();
        for batch in Arc::clone(snapshot).scan_builder().build()?.scan_metadata(self.engine.as_ref())? {
            files = batch?.visit_scan_files(files, Vec::push)?;
        }
        Ok(files)
    }

    fn unread(&self, error: KernelError) -> DeltaError {
        DeltaError::kernel(&self.folder, Action::Read, error)
    }

    fn damaged_path(&self) -> DeltaError {
        let why = "its log names a file in a way that is no text";
        DeltaError::new(&self.folder, Action::Read, DeltaErrorKind::Damaged, why)
    }
}
