//! Lakes that are not folders: which store a lake's name means, and with which options stores are opened.
//!
//! Options are the process's, as credentials are: `cli` gathers them from the environment and the command line, once.

use std::io::{self, ErrorKind};
use std::sync::{Arc, OnceLock};

use lakehaul_write::store::{Store, WRITES_OVER};

use crate::LoadError;

static OPTIONS: OnceLock<Vec<(String, String)>> = OnceLock::new();

/// Sets keys and values that stores are opened with from now on; the last of a key counts. Only the first call does anything.
pub fn configure(options: Vec<(String, String)>) {
    // A second call is a second command in one process: there is none.
    let _ = OPTIONS.set(options);
}

/// Whether a name means a place in a store, not a path.
pub fn is_url(name: &str) -> bool {
    name.contains("://")
}

/// Whether some kind of store knows an option of this name.
#[cfg(feature = "cloud")]
pub fn knows_option(key: &str) -> bool {
    lakehaul_bucket::Bucket::knows_option(key)
}

/// Whether some kind of store knows an option of this name.
#[cfg(not(feature = "cloud"))]
pub fn knows_option(_: &str) -> bool {
    false
}

/// A place that inputs are in.
pub(crate) struct Source {
    pub(crate) store: Arc<dyn Store>,
    /// It can tell what it has; a web server cannot.
    pub(crate) lists: bool,
}

/// The store that a lake's name means; None: it is a path.
pub(crate) fn open(name: &str) -> Result<Option<Arc<dyn Store>>, LoadError> {
    if !is_url(name) {
        return Ok(None);
    }
    let source = open_source(name)?;
    if !source.lists {
        let why = "a lake is in a folder or in a store (s3://, gs://, az://)";
        return Err(LoadError::Usage(format!("{name} is on a web server, from which files can only be loaded; {why}")));
    }
    Ok(Some(source.store))
}

/// Writes a small object where the lake `name` is to be, and removes it: an error says why no lake can be made there. Only for
/// places in a store.
pub fn try_to_write(name: &str) -> Result<(), LoadError> {
    let Some(store) = open(name)? else { return Ok(()) };
    let path = format!("_lake/check-{:016x}", fastrand::u64(..));
    let failed = |source| LoadError::destination("write", &path, source);
    store.put_new(&path, b"one").map_err(failed)?;
    let again = store.put_new(&path, b"another");
    store.remove(&path).map_err(|source| LoadError::destination("remove", &path, source))?;
    match again {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(failed(source)),
        Ok(()) => Err(failed(io::Error::new(ErrorKind::Unsupported, WRITES_OVER))),
    }
}

/// The store that an input's URL means.
#[cfg(feature = "cloud")]
pub(crate) fn open_source(name: &str) -> Result<Source, LoadError> {
    let options = OPTIONS.get().map_or(&[][..], Vec::as_slice);
    let opened = lakehaul_bucket::Bucket::open(name, options);
    match opened {
        Ok(bucket) => {
            let lists = !bucket.is_web();
            let store = Arc::new(lakehaul_bucket::BucketStore::new(bucket, lakehaul_bucket::Habits::default()));
            Ok(Source { store, lists })
        }
        Err(error) if error.kind() == ErrorKind::InvalidInput => Err(LoadError::Usage(error.to_string())),
        Err(source) => Err(LoadError::destination("open", name, source)),
    }
}

/// The store that an input's URL means.
#[cfg(not(feature = "cloud"))]
pub(crate) fn open_source(name: &str) -> Result<Source, LoadError> {
    let why = "this build knows only local folders; build it with the feature `cloud`";
    Err(LoadError::Usage(format!("{name} is a place in a store; {why}")))
}
