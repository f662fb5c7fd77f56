//! What a load tells while it runs. Events come from any worker; counters are read whenever somebody likes to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lakehaul_fetch::{Cancelled, FetchEvent};

use crate::OutputFile;

/// Listens to a load. Called from several threads; should return soon.
pub trait Observer: Send + Sync {
    /// Something has happened.
    fn event(&self, event: Event<'_>);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}

/// Something happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What will be read is known; work starts. `bytes` is the sum of the inputs' sizes as they lie on disk
    /// (compressed, if they are), `None` if one of them has no size (stdin).
    Planned {
        /// The run's name.
        run: &'a str,
        /// How many will be read.
        files: usize,
        /// Their sizes together.
        bytes: Option<u64>,
        /// Counters to be looked at from now on.
        progress: &'a Arc<Progress>,
    },
    /// An output file's first bytes are asked for.
    FileStarted {
        /// The file's name.
        output_file: &'a str,
        /// Its size.
        bytes: Option<u64>,
    },
    /// An output file has been read to its end (or as far as it goes) and its last line is in a row group or rejected.
    FileFinished {
        /// Its account.
        file: &'a OutputFile,
    },
    /// The manifest lists so many files by now.
    FilesListed {
        /// All that are known.
        files: usize,
    },
    /// The first page of a search has come.
    PagesBegin,
    /// What happens between here and the server.
    Server(FetchEvent<'a>),
    /// All is published, and the server was told that its export may go.
    ExportDeleted {
        /// What came of it.
        cancelled: &'a Cancelled,
    },
    /// A member of a roster is asked for.
    MemberAsked {
        /// Which one of the roster's members, from 1 on.
        line: u64,
        /// How many there are.
        of: u64,
    },
    /// The export of a group of members begins.
    GroupStarted {
        /// `Group.id`
        group: &'a str,
        /// From 1 on.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// All files are read; `parts` are about to become visible.
    Publishing {
        /// Parquet files.
        parts: usize,
        /// Their rows together.
        rows: u64,
        /// Their lengths together.
        bytes: u64,
    },
    /// [`verify`](crate::verify) has found a part to be what the ledger says.
    PartVerified {
        /// Relative to the lake.
        path: &'a str,
        /// Its length.
        bytes: u64,
    },
    /// [`compact`](crate::compact) has taken all rows of a part over into another one.
    PartTakenOver {
        /// Relative to the lake.
        path: &'a str,
        /// Its length.
        bytes: u64,
    },
    /// [`Vacuum::remove`](crate::Vacuum::remove) has removed something.
    StrayRemoved {
        /// Relative to the lake.
        path: &'a str,
        /// Its length.
        bytes: u64,
    },
    /// [`roundtrip`](crate::roundtrip) has read a file of the source.
    FileCompared {
        /// The file's name.
        output_file: &'a str,
    },
    /// Something that a person should know; the load goes on.
    Warning(Warning),
}

/// Counters of the run so far. Loads may be `Relaxed`; they only grow.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read from the inputs, as they came; comparable with [`Event::Planned`]'s `bytes`.
    pub bytes_read: AtomicU64,
    /// The same, decompressed, as far as lines have been taken from them.
    pub content_bytes: AtomicU64,
    /// Lines that have been sorted.
    pub lines: AtomicU64,
    /// Lines that have become rows.
    pub rows: AtomicU64,
    /// Lines that are in quarantine.
    pub rejected: AtomicU64,
    /// Output files that are known; of an export, as far as the server has listed them.
    pub files: AtomicU64,
    /// Files whose lines are all accounted for.
    pub files_finished: AtomicU64,
}

/// What is told and is no [`Problem`](crate::Problem): the exit code does not depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Lines of another type than their file was declared as.
    OtherType {
        /// The file's name.
        output_file: String,
        /// By the manifest or the name.
        declared_type: String,
        /// How many.
        lines: u64,
    },
    /// More resources came than the manifest counts.
    MoreThanDeclared {
        /// The file's name.
        output_file: String,
        /// By the manifest.
        declared: u64,
        /// That came.
        resources: u64,
    },
    /// More resources came than the server says the export has.
    MoreThanExported {
        /// By the server.
        exported: u64,
        /// That came.
        resources: u64,
    },
    /// A file came without any length, and the server could not tell it either: what is cut off cannot be noticed.
    UnverifiedLength {
        /// The file's name.
        output_file: String,
    },
    /// An earlier attempt died between sending a kick-off and keeping its answer: the server may run an export that
    /// nobody takes.
    KickOffUnknown,
    /// `--since last`, but there is no earlier run to begin at.
    NoEarlierRun,
    /// A file is not the one that was begun: what came of it is forgotten, and it is loaded anew.
    FileChanged {
        /// What was noticed, as a clause.
        why: String,
    },
    /// Something in the server's answers, as a sentence.
    Server(String),
    /// A manifest names a file twice, or two inputs name the same file; it is loaded once.
    NamedTwice {
        /// The file's name.
        output_file: String,
    },
    /// Columns of a roster that mean nothing to lakehaul.
    ColumnsPassedOver {
        /// Their names.
        columns: Vec<String>,
    },
    /// Lines of a roster that cannot be asked.
    LinesSkipped {
        /// How many.
        lines: u64,
        /// The first of them, and why.
        said: String,
    },
    /// A group could not be exported; the next one is.
    GroupFailed {
        /// `Group.id`
        group: String,
        /// A clause.
        why: String,
    },
    /// Pages of a search have entries without a resource.
    EmptyEntries {
        /// The type, or `everything`.
        search: String,
        /// How many.
        entries: u64,
    },
    /// Values went to `__extra` since their path lies beyond the table's caps.
    BeyondCaps {
        /// The table's type.
        resource_type: String,
        /// How many.
        values: u64,
    },
    /// A run of another command has not finished; its staged files stay where they are.
    Unfinished {
        /// Its name.
        run: String,
        /// What it was to load.
        source: String,
    },
    /// A run of the same command had not finished; it goes on.
    TakenUp {
        /// Its name.
        run: String,
        /// Lines that are done.
        lines: u64,
    },
    /// A run had died while it was being published; the rest of it has been published now.
    PublishedLate {
        /// Its name.
        run: String,
    },
    /// A Delta table's commit is done, but not the checkpoint that was due: readers have more of its log to read.
    NoTableCheckpoint {
        /// The table's type.
        resource_type: String,
        /// A sentence.
        why: String,
    },
    /// Another program has changed a Delta table since its parts were looked at: it stays as it is.
    TableChanged {
        /// The table's type.
        resource_type: String,
        /// A sentence.
        why: String,
    },
    /// A compaction had died while its parts took the place of others; the rest of it has been done now.
    CompactedLate {
        /// Its name.
        compaction: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::OtherType { output_file, declared_type, lines } => {
                write!(f, "{output_file}: {lines} lines are not of the declared type {declared_type}")
            }
            Warning::MoreThanDeclared { output_file, declared, resources } => {
                write!(f, "{output_file}: {resources} resources, the manifest counts {declared}")
            }
            Warning::MoreThanExported { exported, resources } => {
                write!(f, "{resources} resources came, the server counts {exported} in the export")
            }
            Warning::UnverifiedLength { output_file } => write!(
                f,
                "{output_file} came without a length and the server could not tell it: its end could not be verified"
            ),
            Warning::KickOffUnknown => f.write_str(
                "an earlier attempt died before it could keep the answer to its kick-off; the server may be running a second export",
            ),
            Warning::NoEarlierRun => {
                f.write_str("the lake has no complete run of this export yet: all of it is asked for, not what is new")
            }
            Warning::FileChanged { why } => write!(f, "{why}; what came of it is forgotten, and it is loaded anew"),
            Warning::Server(text) => f.write_str(text),
            Warning::NamedTwice { output_file } => write!(f, "{output_file} is named twice; it is loaded once"),
            Warning::ColumnsPassedOver { columns } => {
                write!(f, "columns of the roster are passed over: {}", columns.join(", "))
            }
            Warning::LinesSkipped { lines, said } => {
                write!(f, "lines of the roster that cannot be asked are skipped ({lines}): {said}")
            }
            Warning::GroupFailed { group, why } => write!(f, "group {group}: {why}"),
            Warning::EmptyEntries { search, entries } => {
                write!(f, "search for {search}: {entries} entries have no resource")
            }
            Warning::BeyondCaps { resource_type, values } => {
                write!(f, "{resource_type}: {values} values lie beyond the table's caps and went to __extra")
            }
            Warning::Unfinished { run, source } => {
                write!(f, "run {run} of {source} has not finished; the command that began it finishes it")
            }
            Warning::TakenUp { run, lines } => {
                write!(f, "run {run} had not finished; it goes on, {lines} of its lines are there already")
            }
            Warning::PublishedLate { run } => {
                write!(f, "run {run} had died while it was being published; the rest has been published now")
            }
            Warning::NoTableCheckpoint { resource_type, why } => {
                write!(f, "{resource_type}: no checkpoint of the Delta table's log could be written, and the next is tried in time: {why}")
            }
            Warning::TableChanged { resource_type, why } => {
                write!(f, "{resource_type} was not compacted, as another program has changed the table meanwhile: {why}")
            }
            Warning::CompactedLate { compaction } => {
                write!(f, "compaction {compaction} had died while it was being published; the rest has been done now")
            }
        }
    }
}
