//! A store whose journal takes only so many bytes and then breaks: the run dies there, with what came before kept.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use lakehaul_load::StoreLayer;
use lakehaul_write::store::{Store, StoreLock, StoreRead, StoreSync, StoreWrite};

/// The journal takes `bytes` more bytes.
pub(crate) fn journal_breaks_after(bytes: usize) -> StoreLayer {
    let left = Arc::new(AtomicUsize::new(bytes));
    StoreLayer::new(move |inner| Arc::new(Limited { inner, left: Arc::clone(&left) }))
}

#[derive(Debug)]
struct Limited {
    inner: Arc<dyn Store>,
    left: Arc<AtomicUsize>,
}

impl Limited {
    fn limit(&self, path: &str, file: Box<dyn StoreWrite>) -> Box<dyn StoreWrite> {
        if !path.ends_with("/journal") {
            return file;
        }
        Box::new(LimitedFile { inner: file, left: Arc::clone(&self.left) })
    }
}

struct LimitedFile {
    inner: Box<dyn StoreWrite>,
    left: Arc<AtomicUsize>,
}

impl Write for LimitedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::SeqCst);
        let taken = bytes.len().min(left);
        self.inner.write_all(&bytes[..taken])?;
        self.left.store(left - taken, Ordering::SeqCst);
        if taken < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl StoreWrite for LimitedFile {
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.inner.finish()
    }

    fn syncer(&self) -> io::Result<Box<dyn StoreSync>> {
        self.inner.syncer()
    }
}

impl Store for Limited {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        Ok(self.limit(path, self.inner.create(path)?))
    }

    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>> {
        Ok(self.limit(path, self.inner.extend(path, len)?))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        self.inner.open(path)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.inner.put(path, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        self.inner.list(path)
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn StoreLock>>> {
        self.inner.lock(path)
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        self.inner.read(path)
    }
}
