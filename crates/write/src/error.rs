//! What can go wrong between a row and its file.

use std::io;

use lakehaul_parse::Reject;
use parquet::errors::ParquetError;

/// A lake file could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The store refused an operation.
    #[error("{action} {path}: {source}")]
    Store {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The path within the lake.
        path: String,
        /// The store's reason.
        source: io::Error,
    },
    /// Parquet's library refused something: a damaged file, or a fault of ours.
    #[error("handle the Parquet file {path}: {source}")]
    Parquet {
        /// The path within the lake.
        path: String,
        /// The library's reason.
        source: ParquetError,
    },
    /// The file is Parquet, but not one of a lake's parts.
    #[error("read {path} as a part of the lake: {why}")]
    NotALakeFile {
        /// The path within the lake.
        path: String,
        /// What is missing or other than expected.
        why: String,
    },
}

impl WriteError {
    pub(crate) fn store(action: &'static str, path: &str) -> impl FnOnce(io::Error) -> WriteError {
        move |source| WriteError::Store { action, path: path.to_owned(), source }
    }

    /// Parquet's library wraps what a store's writer said: that is told as the store's error, so that a full disk is
    /// told as one.
    pub(crate) fn parquet(path: &str) -> impl Fn(ParquetError) -> WriteError {
        move |source| match source {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(io) => WriteError::Store { action: "write", path: path.to_owned(), source: *io },
                Err(other) => WriteError::Parquet { path: path.to_owned(), source: ParquetError::External(other) },
            },
            source => WriteError::Parquet { path: path.to_owned(), source },
        }
    }

    pub(crate) fn not_a_lake_file(path: &str, why: impl Into<String>) -> WriteError {
        WriteError::NotALakeFile { path: path.to_owned(), why: why.into() }
    }
}

/// Why a line did not become a row.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The line is at fault; it left no trace in the columns.
    #[error("take the line as a resource: {0:?}")]
    Reject(Reject),
    /// The destination is at fault.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<Reject> for AppendError {
    fn from(reject: Reject) -> Self {
        AppendError::Reject(reject)
    }
}
