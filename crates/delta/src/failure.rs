//! What a table's refusal means: a sentence that says what to do.
//!
//! In goes an error of the kernel, out comes a [`DeltaError`] whose kind callers decide by and whose text people read.
//! A log holds bounds of values, and so may the kernel's text on a broken one: that text is the error's source, and not
//! in its sentence.

use std::error::Error;
use std::fmt;
use std::io;

use delta_kernel::KernelError;
use delta_kernel::arrow::error::ArrowError;
use delta_kernel::object_store;
use delta_kernel::parquet::errors::ParquetError;

/// What kind of failure it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeltaErrorKind {
    /// The store failed, in this way.
    Io(io::ErrorKind),
    /// Others have changed the table in a way that does not go together with the commit.
    Conflict,
    /// The table has something, or is asked for something, that this program cannot do.
    Unsupported,
    /// The table's log cannot be read.
    Damaged,
    /// A column's type contradicts the table's.
    Schema {
        /// The column, its parents before it, with dots.
        path: String,
    },
}

/// A failure with a Delta table.
#[derive(Debug)]
pub struct DeltaError {
    table: String,
    action: Action,
    kind: DeltaErrorKind,
    why: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What was about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Read,
    Commit,
    Checkpoint,
}

impl DeltaError {
    /// What kind of failure it is.
    pub fn kind(&self) -> &DeltaErrorKind {
        &self.kind
    }

    /// The table's folder.
    pub fn table(&self) -> &str {
        &self.table
    }

    pub(crate) fn new(table: &str, action: Action, kind: DeltaErrorKind, why: impl Into<String>) -> DeltaError {
        DeltaError { table: table.to_owned(), action, kind, why: why.into(), source: None }
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> DeltaError {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn io(table: &str, action: Action, error: io::Error) -> DeltaError {
        DeltaError::new(table, action, DeltaErrorKind::Io(error.kind()), error.to_string()).with_source(error)
    }

    pub(crate) fn kernel(table: &str, action: Action, error: KernelError) -> DeltaError {
        let (kind, why) = judged(&error, action);
        DeltaError::new(table, action, kind, why).with_source(error)
    }
}

impl fmt::Display for DeltaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeltaError { table, why, .. } = self;
        let what = match self.action {
            Action::Read => "cannot be read",
            Action::Commit => "took no commit",
            Action::Checkpoint => "got no checkpoint",
        };
        let help = match &self.kind {
            DeltaErrorKind::Io(_) if self.action == Action::Checkpoint => {
                "its commits are safe, and the next commit that is due for one writes it"
            }
            DeltaErrorKind::Io(io::ErrorKind::Unsupported) => {
                "keep the lake where an object can be written only if it is new"
            }
            DeltaErrorKind::Io(io::ErrorKind::InvalidInput) => "this is a mistake in the program, please report it",
            DeltaErrorKind::Io(_) => "run the command again once the lake's storage answers",
            DeltaErrorKind::Conflict => "run the command again on the table as it is now",
            DeltaErrorKind::Unsupported => {
                "undo with the program that made the table what this one cannot do, or load into another folder"
            }
            DeltaErrorKind::Damaged => {
                "restore the files of its _delta_log folder, or move the table away and load again"
            }
            DeltaErrorKind::Schema { .. } => "load into another folder, or give the column its old type",
        };
        write!(f, "the Delta table {table} {what}: {why}; {help}")
    }
}

impl Error for DeltaError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

fn judged(error: &KernelError, action: Action) -> (DeltaErrorKind, String) {
    if let KernelError::Backtraced { source, .. } = error {
        return judged(source, action);
    }
    if let Some((kind, why)) = store_failure(error) {
        return (DeltaErrorKind::Io(kind), why);
    }
    let damaged = |why: String| (DeltaErrorKind::Damaged, why);
    match error {
        KernelError::Unsupported(why) | KernelError::InvalidColumnMappingMode(why) => {
            (DeltaErrorKind::Unsupported, why.clone())
        }
        KernelError::FileNotFound(path) => {
            (DeltaErrorKind::Io(io::ErrorKind::NotFound), format!("the file {path} is missing"))
        }
        KernelError::MissingVersion(version) => damaged(format!("its log lacks version {version}")),
        KernelError::StartVersionNotFound { .. } | KernelError::EmptyLog => {
            damaged("its log does not have this version".to_owned())
        }
        KernelError::MissingMetadata | KernelError::MissingProtocol | KernelError::MissingMetadataAndProtocol => {
            damaged("its log does not say what the table is".to_owned())
        }
        KernelError::InvalidProtocol(_) => damaged("its log names a protocol that there is not".to_owned()),
        // What the kernel refuses when it was able to read the table is what it cannot write.
        KernelError::Generic(why)
        | KernelError::Schema(why)
        | KernelError::InvalidTransactionState(why)
        | KernelError::StatsValidation(why)
        | KernelError::CheckpointWrite(why)
            if action != Action::Read =>
        {
            (DeltaErrorKind::Unsupported, why.trim_end_matches('.').to_owned())
        }
        _ => damaged("its log holds what is not Delta's".to_owned()),
    }
}

/// The store's failure that `error` comes from.
fn store_failure(error: &(dyn Error + 'static)) -> Option<(io::ErrorKind, String)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        let inner = error.get_ref().and_then(|inner| store_failure(inner));
        return inner.or_else(|| Some((error.kind(), error.to_string())));
    }
    if let Some(error) = error.downcast_ref::<object_store::Error>() {
        return match error {
            object_store::Error::Generic { source, .. }
            | object_store::Error::NotFound { source, .. }
            | object_store::Error::AlreadyExists { source, .. }
            | object_store::Error::PermissionDenied { source, .. }
            | object_store::Error::NotSupported { source } => store_failure(&**source),
            _ => None,
        };
    }
    if let Some(error) = error.downcast_ref::<KernelError>() {
        return match error {
            KernelError::Backtraced { source, .. } => store_failure(&**source),
            KernelError::GenericError { source } => store_failure(&**source),
            KernelError::IOError(error) => store_failure(error),
            KernelError::ObjectStore(error) => store_failure(error),
            KernelError::Parquet(error) => store_failure(error),
            KernelError::Arrow(error) => store_failure(error),
            _ => None,
        };
    }
    match (error.downcast_ref::<ArrowError>(), error.downcast_ref::<ParquetError>()) {
        (Some(ArrowError::ExternalError(source)), _) => store_failure(&**source),
        (Some(ArrowError::IoError(_, error)), _) => store_failure(error),
        (_, Some(ParquetError::External(source))) => store_failure(&**source),
        _ => error.source().and_then(store_failure),
    }
}
