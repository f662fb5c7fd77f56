//! Why a load, or a look at a lake, ends without a result.

use std::io;
use std::time::Duration;

use lakehaul_fetch::{ErrorKind as FetchErrorKind, FetchError};
use lakehaul_write::WriteError;

/// Its texts fit after "failed to load: "; no resource's content is in any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The request cannot be carried out as it is; nothing has been touched.
    #[error("{0}")]
    Usage(String),
    /// No file, or a folder without any.
    #[error("there is nothing to load: {0}")]
    NothingToLoad(String),
    /// Another process writes it.
    #[error("another run holds the lake {lake}")]
    LakeHeld {
        /// As it was named.
        lake: String,
    },
    /// What is fixed since the lake was made is asked for otherwise.
    #[error(
        "the lake was made with {what}{has} and {what}{asked} was asked for; leave the option out or load into another lake"
    )]
    SettingFixed {
        /// Which setting; ends with a blank, if there is anything.
        what: &'static str,
        /// The lake's.
        has: String,
        /// The request's.
        asked: String,
    },
    /// The lake's tables are as they were.
    #[error("cannot {action} {path} in the lake: {source}")]
    Destination {
        /// What was tried, such as `write`.
        action: &'static str,
        /// Relative to the lake.
        path: String,
        /// The store's reason.
        source: io::Error,
    },
    /// What is to be loaded is in a store that does not give it.
    #[error("cannot read {url}: {source}")]
    Source {
        /// What was typed, or what it leads to.
        url: String,
        /// The store's reason.
        source: io::Error,
    },
    /// A file of the lake cannot be read.
    #[error("cannot read {path} in the lake: {source}")]
    LakeUnreadable {
        /// Relative to the lake.
        path: String,
        /// The store's reason.
        source: io::Error,
    },
    /// A file of the lake is not what it should be.
    #[error("{path} in the lake is damaged: {why}")]
    LakeDamaged {
        /// Relative to the lake.
        path: String,
        /// A clause.
        why: String,
    },
    /// Nothing was published.
    #[error("the run's counts do not add up: {0}; this is a fault of the program, please report it")]
    Unbalanced(String),
    /// A Parquet file could not be made or read.
    #[error(transparent)]
    Part(WriteError),
    /// The server, or the way to it. Nothing was published; what the run needs to be taken up is kept.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The server does none of the searches. Nothing was published, and there is nothing to be taken up.
    #[error(transparent)]
    NothingSearched(FetchError),
    /// Files are not the ones that were begun. The work goes on without what came of them, a few times; then this ends it.
    #[error("{why}, again and again")]
    Changed {
        /// What they are known by.
        keys: Vec<String>,
        /// A clause.
        why: String,
    },
    /// The export took longer than it was allowed to.
    #[error("the export has not come within {0:?}, as --max-duration says")]
    TookTooLong(Duration),
    /// It was asked to leave; the same request goes on.
    #[error("it was interrupted; its state is saved")]
    Interrupted,
    /// Where the rows were to go: standard output, of `cat`.
    #[error("cannot write the rows: {0}")]
    Output(io::Error),
}

/// What an error means for the one who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Exit code 2.
    Usage,
    /// Exit code 3: the server refuses who asks.
    Refused,
    /// Exit code 4: the server failed the export, or does not know it.
    Export,
    /// Exit code 5: the way to the server gave out.
    Transport,
    /// Exit code 8.
    Destination,
    /// Exit code 9.
    LakeHeld,
    /// Exit code 10: what is in the lake is not what its ledger says.
    Verification,
    /// Exit code 130 or 143, as the signal was.
    Interrupted,
}

impl LoadError {
    /// What it means for the one who calls.
    pub fn kind(&self) -> ErrorKind {
        match self {
            LoadError::Usage(_) | LoadError::NothingToLoad(_) | LoadError::SettingFixed { .. } => ErrorKind::Usage,
            LoadError::Fetch(error) | LoadError::NothingSearched(error) => match error.kind() {
                FetchErrorKind::Usage => ErrorKind::Usage,
                FetchErrorKind::Auth | FetchErrorKind::UntrustedOrigin => ErrorKind::Refused,
                FetchErrorKind::ExportFailed | FetchErrorKind::NoSuchExport => ErrorKind::Export,
                FetchErrorKind::Transport
                | FetchErrorKind::FileExpired
                | FetchErrorKind::FileChanged
                | FetchErrorKind::NotData
                | FetchErrorKind::Tls => ErrorKind::Transport,
            },
            LoadError::TookTooLong(_) | LoadError::Changed { .. } => ErrorKind::Transport,
            LoadError::LakeHeld { .. } => ErrorKind::LakeHeld,
            LoadError::Interrupted => ErrorKind::Interrupted,
            LoadError::Destination { .. }
            | LoadError::Source { .. }
            | LoadError::LakeUnreadable { .. }
            | LoadError::Output(_)
            | LoadError::Part(WriteError::Store { .. }) => ErrorKind::Destination,
            LoadError::LakeDamaged { .. } | LoadError::Unbalanced(_) | LoadError::Part(_) => ErrorKind::Verification,
        }
    }

    pub(crate) fn destination(action: &'static str, path: &str, source: io::Error) -> LoadError {
        LoadError::Destination { action, path: path.to_owned(), source }
    }
}

/// A store's refusal is told as one, so that a full disk reads the same wherever it is met.
impl From<WriteError> for LoadError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store { action, path, source } => LoadError::Destination { action, path, source },
            other => LoadError::Part(other),
        }
    }
}
