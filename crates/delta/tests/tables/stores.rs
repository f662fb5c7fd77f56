//! Stores for tests: one in memory, and one that stops answering.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use lakehaul_write::store::{Store, StoreRead, StoreSync, StoreWrite};

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(pub(crate) Arc<Mutex<BTreeMap<String, Bytes>>>);

impl Memory {
    pub(crate) fn files(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.0.lock().unwrap()
    }

    pub(crate) fn text(&self, path: &str) -> String {
        String::from_utf8(self.files().get(path).unwrap().to_vec()).unwrap()
    }
}

struct MemoryRead(Bytes);

impl StoreRead for MemoryRead {
    fn len_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        if offset + len > self.0.len() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(self.0.slice(offset..offset + len))
    }
}

struct MemoryWrite {
    memory: Memory,
    path: String,
    bytes: Vec<u8>,
}

impl Write for MemoryWrite {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StoreWrite for MemoryWrite {
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.memory.put(&self.path, &self.bytes)
    }

    fn syncer(&self) -> io::Result<Box<dyn StoreSync>> {
        Err(ErrorKind::Unsupported.into())
    }
}

impl Store for Memory {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        Ok(Box::new(MemoryWrite { memory: self.clone(), path: path.to_owned(), bytes: Vec::new() }))
    }

    fn extend(&self, _path: &str, _len: u64) -> io::Result<Box<dyn StoreWrite>> {
        Err(ErrorKind::Unsupported.into())
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        let found = self.files().get(path).cloned();
        found.map(|bytes| Box::new(MemoryRead(bytes)) as Box<dyn StoreRead>).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.files().insert(path.to_owned(), Bytes::copy_from_slice(bytes));
        Ok(())
    }

    fn put_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.files();
        if files.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        files.insert(path.to_owned(), Bytes::copy_from_slice(bytes));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let bytes = self.files().remove(from).ok_or(ErrorKind::NotFound)?;
        self.put(to, &bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let folder = format!("{path}/");
        self.files().retain(|name, _| name != path && !name.starts_with(&folder));
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        let folder = if path.is_empty() { String::new() } else { format!("{path}/") };
        let files = self.files();
        let found = files.iter().filter(|(name, _)| name.starts_with(&folder));
        Ok(found.map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect())
    }
}

/// What becomes of a call that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// It is not done.
    Before,
    /// It is done, and nobody hears of it; what follows is not.
    After,
}

/// A store that answers `left` calls and then no more.
#[derive(Debug)]
pub(crate) struct Dying {
    pub(crate) store: Memory,
    pub(crate) left: AtomicUsize,
    pub(crate) death: Death,
}

impl Dying {
    fn call<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let left = self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        let refused = || io::Error::new(ErrorKind::BrokenPipe, "the process has died");
        match left {
            Ok(1) if self.death == Death::After => call().and_then(|_| Err(refused())),
            Ok(_) => call(),
            Err(_) => Err(refused()),
        }
    }
}

impl Store for Dying {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        self.call(|| self.store.create(path))
    }

    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>> {
        self.call(|| self.store.extend(path, len))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        self.call(|| self.store.open(path))
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.call(|| self.store.put(path, bytes))
    }

    fn put_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.call(|| self.store.put_new(path, bytes))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(|| self.store.rename(from, to))
    }

    fn sync(&self) -> io::Result<()> {
        self.call(|| self.store.sync())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.call(|| self.store.remove(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        self.call(|| self.store.list(path))
    }
}

/// A store whose first `put_new` lets another one do something first, and then arrives.
pub(crate) struct Late {
    pub(crate) store: Memory,
    pub(crate) meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// How `put_new` ended, each time.
    pub(crate) ends: Mutex<Vec<Option<ErrorKind>>>,
}

impl std::fmt::Debug for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Late")
    }
}

impl Store for Late {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        self.store.create(path)
    }

    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>> {
        self.store.extend(path, len)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        self.store.open(path)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.store.put(path, bytes)
    }

    fn put_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        let ended = self.store.put_new(path, bytes);
        self.ends.lock().unwrap().push(ended.as_ref().err().map(io::Error::kind));
        ended
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.store.rename(from, to)
    }

    fn sync(&self) -> io::Result<()> {
        self.store.sync()
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.store.remove(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        self.store.list(path)
    }
}
