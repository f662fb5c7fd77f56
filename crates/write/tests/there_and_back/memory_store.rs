//! A store in memory, for tests that make thousands of parts.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use lakehaul_write::store::{Store, StoreRead, StoreSync, StoreWrite};

#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    files: Arc<Mutex<BTreeMap<String, Bytes>>>,
}

type Files = BTreeMap<String, Bytes>;

fn locked(files: &Mutex<Files>) -> MutexGuard<'_, Files> {
    files.lock().expect("no other thread has panicked")
}

impl Store for MemoryStore {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        Ok(Box::new(Unfinished { path: path.to_owned(), bytes: Vec::new(), files: self.files.clone() }))
    }

    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>> {
        let bytes = self.open(path)?.read_at(0, usize::try_from(len).map_err(io::Error::other)?)?.to_vec();
        Ok(Box::new(Unfinished { path: path.to_owned(), bytes, files: self.files.clone() }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        let bytes = locked(&self.files).get(path).cloned().ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(Stored(bytes)))
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        locked(&self.files).insert(path.to_owned(), Bytes::copy_from_slice(bytes));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let bytes = locked(&self.files).remove(from).ok_or(ErrorKind::NotFound)?;
        locked(&self.files).insert(to.to_owned(), bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        locked(&self.files).retain(|name, _| name != path && !name.starts_with(&format!("{path}/")));
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        let prefix = format!("{path}/");
        let files = locked(&self.files);
        let inside = files.iter().filter(|(name, _)| name.starts_with(&prefix));
        Ok(inside.map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect())
    }
}

struct Unfinished {
    path: String,
    bytes: Vec<u8>,
    files: Arc<Mutex<Files>>,
}

impl Write for Unfinished {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StoreWrite for Unfinished {
    fn finish(self: Box<Self>) -> io::Result<()> {
        locked(&self.files).insert(self.path, self.bytes.into());
        Ok(())
    }

    fn syncer(&self) -> io::Result<Box<dyn StoreSync>> {
        Ok(Box::new(Nothing))
    }
}

/// Memory is never durable.
struct Nothing;

impl StoreSync for Nothing {
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

struct Stored(Bytes);

impl StoreRead for Stored {
    fn len_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        if from + len > self.0.len() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(self.0.slice(from..from + len))
    }
}
