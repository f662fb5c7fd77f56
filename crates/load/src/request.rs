//! What is asked of a load: the inputs, the lake, and the options as meant (no option is text any more).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use lakehaul_schema::{Annotations, Format};
use lakehaul_write::DeletedResources;
use lakehaul_write::store::Store;
use serde::{Deserialize, Serialize};

/// One load: `lakehaul load PATH… --to LAKE`.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// What is read, in the order given. Empty is a usage error.
    pub inputs: Vec<Input>,
    /// The lake's folder.
    pub lake: String,
    /// How it goes.
    pub options: LoadOptions,
}

/// One `PATH` of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// An NDJSON file, plain or compressed; a folder of such; or a bulk manifest (`.json`).
    Path(PathBuf),
    /// The same in a store, by its URL.
    Url(String),
    /// The process's standard input; its output file is named `-`.
    Stdin,
}

/// How a load goes. [`LoadOptions::default`] is the command line's default.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The budget of the whole load; peak RSS stays within it plus 64 MiB. At least [`LoadOptions::MEMORY_BYTES_MIN`].
    pub memory_bytes: u64,
    /// Workers, at least one; fewer are started where the memory is too little for so many.
    pub threads: usize,
    /// Lines longer than this are rejected (`too_long`). None: a twelfth of the memory, at most 96 MiB.
    pub max_line_bytes: Option<usize>,
    /// Lines nested deeper than this are rejected (`too_deep`).
    pub max_depth: u32,
    /// Helper columns. None: as the lake has them, else [`Annotations::default`]. Fixed when a lake is made.
    pub annotations: Option<Annotations>,
    /// Names of the tables' folders. None: as the lake has them, else plain. Fixed when a lake is made.
    pub layout: Option<Layout>,
    /// What the tables are to others. None: as the lake has them, else plain Parquet. Fixed when a lake is made.
    pub format: Option<Format>,
    /// A `__json` column with each line's text. None: as the lake has it, else no. Fixed when a lake is made.
    pub keep_json: Option<bool>,
    /// Permission bits of what is written (as in `0o640`). None: `0o600`; folders get the matching execute bits.
    pub mode: Option<u32>,
    /// Load even if the same plan was loaded before; the rows are appended.
    pub new_run: bool,
    /// The rows take the place of those that the tables have, of all types or of those that an export asks for. Only Delta
    /// tables can do that in one step; for others it is a usage error.
    pub replace: bool,
    /// What reads the JSON. The tape is the independent second opinion, slower.
    pub engine: Engine,
    /// So much work is lost at most if the process dies: rows wait no longer to become durable. Zero: after each chunk.
    /// [`LoadOptions::NEVER`]: nothing is kept, and all of it is done again.
    pub checkpoint: Duration,
    /// Lines are taken in chunks of about so many bytes; fewer where the memory says so.
    pub chunk_bytes: usize,
    /// Ends the load early, with its state saved.
    pub interrupt: Interrupt,
    /// What stands between the load and its lake's storage.
    pub store_layer: Option<StoreLayer>,
}

/// Asks a load to save its state and to leave: from another thread, or a signal's.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the load leaves as soon as it can; it ends with [`LoadError::Interrupted`](crate::LoadError).
    pub fn set(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether it is asked to leave.
    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Puts another store between a load and its lake's: one that counts calls, or fails at one of them.
#[derive(Clone)]
pub struct StoreLayer(Arc<Over>);

type Over = dyn Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync;

impl StoreLayer {
    /// `over` gets a store of the lake and gives the one that is used in its place. It is asked more than once.
    pub fn new(over: impl Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync + 'static) -> StoreLayer {
        StoreLayer(Arc::new(over))
    }

    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        self.0(store)
    }
}

impl fmt::Debug for StoreLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreLayer")
    }
}

impl LoadOptions {
    /// 1 GiB.
    pub const MEMORY_BYTES: u64 = 1 << 30;
    /// 128 MiB. Below, what does not depend on the budget (code, stacks, a row group of each type) weighs more than the
    /// budget.
    pub const MEMORY_BYTES_MIN: u64 = 128 << 20;
    /// FHIR nests a dozen levels; this leaves room for extensions of extensions and keeps recursion bounded.
    pub const MAX_DEPTH: u32 = 128;
    /// Deeper lines are not worth the stack that comparing them takes.
    pub const MAX_DEPTH_MAX: u32 = 100_000;
    /// A minute.
    pub const CHECKPOINT: Duration = Duration::from_secs(60);
    /// No checkpoint at all.
    pub const NEVER: Duration = Duration::MAX;
    /// A chunk fits a core's second-level cache; beyond a megabyte nothing gets faster, below 256 KiB the locks show.
    pub const CHUNK_BYTES: usize = 1 << 20;
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            memory_bytes: Self::MEMORY_BYTES,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            max_line_bytes: None,
            max_depth: Self::MAX_DEPTH,
            annotations: None,
            layout: None,
            format: None,
            keep_json: None,
            mode: None,
            new_run: false,
            replace: false,
            engine: Engine::Direct,
            checkpoint: Self::CHECKPOINT,
            chunk_bytes: Self::CHUNK_BYTES,
            interrupt: Interrupt::default(),
            store_layer: None,
        }
    }
}

/// How a table's folder is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `Patient/part-….parquet`
    #[default]
    Plain,
    /// `resource_type=Patient/part-….parquet`
    Hive,
}

impl Layout {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Plain => "plain",
            Layout::Hive => "hive",
        }
    }

    /// The folder of a table's parts, relative to the lake. That of deletions has its name in all layouts.
    pub fn folder(self, table: &str) -> String {
        match self {
            Layout::Hive if table != DeletedResources::TABLE => format!("resource_type={table}"),
            Layout::Plain | Layout::Hive => table.to_owned(),
        }
    }
}

/// Which JSON engine is behind the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// One pass over the text.
    #[default]
    Direct,
    /// simd-json.
    Tape,
}
