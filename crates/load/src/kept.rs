//! Output files kept as they came (`--keep-raw`): what is read on the way to the workers is also written.
//!
//! In goes a source, out comes the same source; its bytes end up in a staged file that moves to its place with the
//! commit. A lake that takes no more is told as such, not as a source that cannot be read. A file that an earlier process
//! has kept whole stays; one that it has begun is kept anew, from its first byte on.

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
    files: Mutex<BTreeMap<String, Arc<KeptFile>>>,
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

    /// `source`, kept as the file of this key and name while it is read.
    pub(crate) fn keep(
        &self,
        key: &str,
        name: &str,
        source: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, LoadError> {
        let path = self.path(key);
        let file = self.store.create(&path).map_err(|source| LoadError::destination("make", &path, source))?;
        let kept = self.insert(key, name, path, State::Open(file));
        Ok(Box::new(Keeping { source, kept }))
    }

    /// Whether an earlier process has kept the whole file, which has so many bytes. It is the run's then.
    pub(crate) fn has_whole(&self, key: &str, name: &str, bytes: u64) -> bool {
        let path = self.path(key);
        let whole = self.store.open(&path).is_ok_and(|file| file.len_bytes() == bytes);
        if whole {
            self.insert(key, name, path, State::Finished);
        }
        whole
    }

    fn insert(&self, key: &str, name: &str, path: String, state: State) -> Arc<KeptFile> {
        let kept = Arc::new(KeptFile { name: name.to_owned(), path, state: Mutex::new(state) });
        self.kept().insert(key.to_owned(), Arc::clone(&kept));
        kept
    }

    /// A key may have any characters.
    fn path(&self, key: &str) -> String {
        format!("{}/{}", self.folder, &blake3::hash(key.as_bytes()).to_hex()[..32])
    }

    /// Why the lake did not take what was read of this file, if it did not.
    pub(crate) fn check(&self, key: &str) -> Result<(), LoadError> {
        let files = self.kept();
        let Some(kept) = files.get(key) else { return Ok(()) };
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
    pub(crate) fn finish(&self, key: &str) -> Result<(), LoadError> {
        let Some(kept) = self.kept().get(key).cloned() else { return Ok(()) };
        let state = std::mem::replace(&mut *kept.state(), State::Finished);
        let finished = match state {
            State::Open(file) => file.finish(),
            State::Failed(error) => Err(error),
            State::Finished => Ok(()),
        };
        finished.map_err(|source| LoadError::destination("write", &kept.path, source))
    }

    /// Staged paths and the files' names.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        self.kept().values().map(|kept| (kept.path.clone(), kept.name.clone())).collect()
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Arc<KeptFile>>> {
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
        kept.keep("k", "a.ndjson", Box::new(io::Cursor::new(b"{}\n{}"))).unwrap().read_to_end(&mut text).unwrap();
        kept.check("k").unwrap();
        kept.finish("k").unwrap();
        kept.finish("other").unwrap();
        assert_eq!(text, b"{}\n{}");
        let path = kept.path("k");
        assert_eq!(store.read(&path).unwrap(), text);
        // The next process finds it, if it is whole.
        let next = Kept::new(Arc::clone(&store), "staging");
        assert!(!next.has_whole("k", "a.ndjson", 9) && !next.has_whole("l", "a.ndjson", 5));
        assert!(next.has_whole("k", "a.ndjson", 5));
        for kept in [kept, next] {
            assert_eq!(kept.files(), [(path.clone(), "a.ndjson".to_owned())]);
        }
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
        let mut source = kept.keep("k", "a", Box::new(io::Cursor::new(b"{}"))).unwrap();
        *kept.kept()["k"].state() = State::Open(Box::new(Full));
        assert!(source.read(&mut [0; 8]).is_err());
        assert_eq!(kept.check("k").unwrap_err().kind(), crate::ErrorKind::Destination);
        kept.check("k").unwrap();
    }
}
