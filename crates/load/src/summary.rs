//! What a load comes back with: the ledger's figures, and what is not as it should be.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{OutputFile, RunStatus, Totals, Warning};

/// The end of a load whose rows are in the lake. It may have problems; an error it is not.
#[derive(Debug, Clone)]
pub struct LoadSummary {
    /// Its name.
    pub run: String,
    /// The gravest of the problems.
    pub status: RunStatus,
    /// This plan was loaded before, as `run`; nothing was read or written. The figures are that run's.
    pub already_complete: bool,
    /// Sorted by type. A type that only has rejects is there too.
    pub tables: Vec<TableSummary>,
    /// In the order of the inputs.
    pub files: Vec<OutputFile>,
    /// Rows of the table of deletions.
    pub deleted_resources: u64,
    /// As of when the data are: what the next export's `_since` is.
    pub transaction_time: Option<String>,
    /// Sums over files and tables.
    pub totals: Totals,
    /// From the first step to the last. Zero if `already_complete`.
    pub seconds: f64,
    /// What keeps the run from being complete, all of it.
    pub problems: Vec<Problem>,
    /// What was told on the way, once more.
    pub warnings: Vec<Warning>,
}

/// One row of the closing table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableSummary {
    /// For rejects whose line names no known type: the file's declared type, else empty.
    pub resource_type: String,
    /// Rows and rejects.
    pub lines: u64,
    /// Lines that became rows.
    pub rows: u64,
    /// Lines in quarantine.
    pub rejected: u64,
    /// The lines' bytes.
    pub content_bytes: u64,
    /// The parts' bytes.
    pub bytes: u64,
    /// Parts.
    pub files: usize,
    /// Time that workers spent on this type's lines, summed over the workers.
    pub work_seconds: f64,
}

/// Something that keeps a run from being complete. The command line makes an exit code of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// Lines are in quarantine (exit code 7).
    Rejected {
        /// How many.
        lines: u64,
    },
    /// A file has fewer resources than its manifest promises (exit code 6).
    FewerThanDeclared {
        /// The file's name.
        output_file: String,
        /// By the manifest.
        declared: u64,
        /// Lines that came and are not in quarantine.
        resources: u64,
    },
    /// The manifest lists `error` or `outcome` files with lines in them, or pages of a search have OperationOutcomes of
    /// failures: the server says that something is missing (6).
    Outcomes {
        /// How many.
        lines: u64,
    },
    /// The server refuses a file that its manifest names (exit code 6); what came of it before is loaded.
    Lost {
        /// The file's name.
        output_file: String,
        /// A clause.
        why: String,
    },
    /// All files together have fewer resources than the server says the export has (6).
    FewerThanExported {
        /// By the server (`resourceCount`).
        exported: u64,
        /// Lines that came and are not in quarantine.
        resources: u64,
    },
    /// The pages of a search have fewer resources than it found (exit code 6).
    FewerThanFound {
        /// The type, or `everything`.
        search: String,
        /// By the server (`Bundle.total`).
        total: u64,
        /// That came.
        resources: u64,
    },
    /// The server does not do one of several searches (exit code 6).
    SearchRefused {
        /// The type, or `everything`.
        search: String,
        /// A clause.
        why: String,
    },
    /// The server finished the export although some of its batches failed (6).
    FailedBatches {
        /// How many.
        failed: u64,
        /// Of how many.
        total: u64,
    },
    /// A file could not be read to its end; what came before is loaded (exit code 11).
    Unreadable {
        /// The file's name.
        output_file: String,
        /// A clause.
        why: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Rejected { lines: 1 } => f.write_str("1 line was rejected into quarantine"),
            Problem::Rejected { lines } => write!(f, "{lines} lines were rejected into quarantine"),
            Problem::FewerThanDeclared { output_file, declared, resources } => {
                write!(f, "{output_file} has {resources} resources where the manifest counts {declared}")
            }
            Problem::Outcomes { lines } => {
                let s = if *lines == 1 { "" } else { "s" };
                write!(f, "the server reports {lines} outcome{s} of what went wrong")
            }
            Problem::Lost { output_file, why } => write!(f, "{output_file} could not be fetched whole: {why}"),
            Problem::FewerThanExported { exported, resources } => {
                write!(f, "{resources} resources came where the server counts {exported} in the export")
            }
            Problem::FewerThanFound { search, total, resources } => {
                write!(f, "{resources} resources came where the search for {search} finds {total}")
            }
            Problem::SearchRefused { search, why } => write!(f, "there is nothing of the search for {search}: {why}"),
            Problem::FailedBatches { failed, total } => {
                write!(f, "the server failed {failed} of the export's {total} batches")
            }
            Problem::Unreadable { output_file, why } => write!(f, "{output_file} could not be read whole: {why}"),
        }
    }
}
