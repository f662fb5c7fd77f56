//! Output files kept as they came (`--keep-raw`): what is read on the way to the workers is also written.
//!
//! In goes a source, out comes the same source; its bytes end up in a staged file that moves to its place with the
//! commit. A lake that takes no more is told as such, not as a source that cannot be read.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lakehaul_write::store::{Store, StoreWrite};

use crate::LoadError;

/// The kept files of a run.
pub(crate) struct Kept {
    store: Arc<dyn Store>,
    /// Staging.
    folder: String,
    files: Mutex<BTreeMap<usize, Arc<KeptFile>>>,
}

struct KeptFile {
    name: String,
    path: String,
    state: Mutex<State>,
}

enum State {
    Open(Box<dyn StoreWrite>),
    Failed(io::Error),
    Finished,
}

impl Kept {
    pub(crate) fn new(store: Arc<dyn Store>, folder: &str) -> Kept {
        Kept { store, folder: format!("{folder}/raw"), files: Mutex::default() }
    }

    /// `source`, kept as the file of this number and name while it is read.
    pub(crate) fn keep(
        &self,
        at: usize,
        name: &str,
        source: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, LoadError> {
        let path = format!("{}/{at}", self.folder);
        let file = self.store.create(&path).map_err(|source| LoadError::destination("make", &path, source))?;
        let kept = Arc::new(KeptFile { name: name.to_owned(), path, state: Mutex::new(State::Open(file)) });
        self.files().insert(at, Arc::clone(&kept));
        Ok(Box::new(Keeping { source, kept }))
    }

    /// Why the lake did not take what was read of this file, if it did not.
    pub(crate) fn check(&self, at: usize) -> Result<(), LoadError> {
        let files = self.files();
        let Some(kept) = files.get(&at) else { return Ok(()) };
        let mut state = kept.state();
        match std::mem::replace(&mut *state, State::Finished) {
            State::Failed(error) => Err(LoadError::destination("write", &kept.path, error)),
            as_before => {
                *state = as_before;
                Ok(())
            }
        }
    }

    /// Makes a file durable that has been read to its end.
    pub(crate) fn finish(&self, at: usize) -> Result<(), LoadError> {
        let Some(kept) = self.files().get(&at).cloned() else { return Ok(()) };
        let state = std::mem::replace(&mut *kept.state(), State::Finished);
        let finished = match state {
            State::Open(file) => file.finish(),
            State::Failed(error) => Err(error),
            State::Finished => Ok(()),
        };
        finished.map_err(|source| LoadError::destination("write", &kept.path, source))
    }

    /// Staged paths and the files' names.
    pub(crate) fn into_files(self) -> Vec<(String, String)> {
        let files = self.files.into_inner().unwrap_or_else(PoisonError::into_inner);
        files.into_values().map(|kept| (kept.path.clone(), kept.name.clone())).collect()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<KeptFile>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptFile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Keeping {
    source: Box<dyn Read + Send>,
    kept: Arc<KeptFile>,
}

impl Read for Keeping {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(space)?;
        let mut state = self.kept.state();
        if let State::Open(file) = &mut *state
            && let Err(error) = file.write_all(&space[..read])
        {
            let kind = error.kind();
            *state = State::Failed(error);
            return Err(kind.into());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use lakehaul_write::store::{LocalStore, StoreSync};

    use super::*;

    #[test]
    fn what_is_read_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        let kept = Kept::new(Arc::clone(&store), "staging");
        let mut text = Vec::new();
        kept.keep(3, "a.ndjson", Box::new(io::Cursor::new(b"{}\n{}"))).unwrap().read_to_end(&mut text).unwrap();
        kept.check(3).unwrap();
        kept.finish(3).unwrap();
        kept.finish(4).unwrap();
        assert_eq!(text, b"{}\n{}");
        assert_eq!(store.read("staging/raw/3").unwrap(), text);
        assert_eq!(kept.into_files(), [("staging/raw/3".to_owned(), "a.ndjson".to_owned())]);
    }

    /// Takes nothing.
    struct Full;

    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl StoreWrite for Full {
        fn finish(self: Box<Self>) -> io::Result<()> {
            Ok(())
        }

        fn syncer(&self) -> io::Result<Box<dyn StoreSync>> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_full_disk_is_told_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        let kept = Kept::new(store, "staging");
        let mut source = kept.keep(0, "a", Box::new(io::Cursor::new(b"{}"))).unwrap();
        *kept.files()[&0].state() = State::Open(Box::new(Full));
        assert!(source.read(&mut [0; 8]).is_err());
        assert_eq!(kept.check(0).unwrap_err().kind(), crate::ErrorKind::Destination);
        kept.check(0).unwrap();
    }
}
