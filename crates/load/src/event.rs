//! What a load tells while it runs. Events come from any worker; counters are read whenever somebody likes to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::OutputFile;

/// Listens to a load. Called from several threads; should return soon.
pub trait Observer: Sync {
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
    Planned { run: &'a str, files: usize, bytes: Option<u64>, progress: &'a Arc<Progress> },
    /// An output file's first bytes are asked for.
    FileStarted { output_file: &'a str, bytes: Option<u64> },
    /// An output file has been read to its end (or as far as it goes) and its last line is in a row group or rejected.
    FileFinished { file: &'a OutputFile },
    /// All files are read; `parts` are about to become visible.
    Publishing { parts: usize, rows: u64, bytes: u64 },
    /// [`verify`](crate::verify) has found a part to be what the ledger says.
    PartVerified { path: &'a str, bytes: u64 },
    /// [`roundtrip`](crate::roundtrip) has read a file of the source.
    FileCompared { output_file: &'a str },
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
    pub lines: AtomicU64,
    /// Lines that have become rows.
    pub rows: AtomicU64,
    pub rejected: AtomicU64,
    pub files_finished: AtomicU64,
}

/// What is told and is no [`Problem`](crate::Problem): the exit code does not depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Lines of another type than their file was declared as.
    OtherType { output_file: String, declared_type: String, lines: u64 },
    /// More resources came than the manifest counts.
    MoreThanDeclared { output_file: String, declared: u64, resources: u64 },
    /// A manifest names a file twice, or two inputs name the same file; it is loaded once.
    NamedTwice { output_file: String },
    /// Values went to `__extra` since their path lies beyond the table's caps.
    BeyondCaps { resource_type: String, values: u64 },
    /// A run of another command has not finished; its staged files stay where they are.
    Unfinished { run: String, source: String },
    /// A run of the same plan had not finished; its work starts over.
    StartedOver { run: String },
    /// A run had died while it was being published; the rest of it has been published now.
    PublishedLate { run: String },
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
            Warning::NamedTwice { output_file } => write!(f, "{output_file} is named twice; it is loaded once"),
            Warning::BeyondCaps { resource_type, values } => {
                write!(f, "{resource_type}: {values} values lie beyond the table's caps and went to __extra")
            }
            Warning::Unfinished { run, source } => {
                write!(f, "run {run} of {source} has not finished; the command that began it finishes it")
            }
            Warning::StartedOver { run } => write!(f, "run {run} had not finished; its work starts over"),
            Warning::PublishedLate { run } => {
                write!(f, "run {run} had died while it was being published; the rest has been published now")
            }
        }
    }
}
