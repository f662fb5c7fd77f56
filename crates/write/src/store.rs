//! Where a lake lives: paths in, bytes out. Nothing above this module may assume a file system.
//!
//! Paths are relative to the lake, `/` between their parts. Buckets are behind the same trait, in a crate of their own.

mod local;

use bytes::Bytes;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::time::SystemTime;

pub use local::LocalStore;

/// What is wrong with a store in which [`Store::put_new`] writes over what is there: a sentence that says so.
pub const WRITES_OVER: &str = "the store writes over what was to be written only if it is not there (If-None-Match); two commands could \
                               write one lake at once, so it is no place for one";

/// A lake's storage.
pub trait Store: Send + Sync + Debug {
    /// Opens `path` for writing from its start; what was there is replaced. Missing folders are made.
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>>;
    /// Opens a file that was written before, to go on behind its first `len` bytes; what is behind them is cut off. A file
    /// shorter than that is [`io::ErrorKind::UnexpectedEof`].
    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>>;
    /// Opens `path` for positioned reads.
    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>>;
    /// Writes a small file whole or not at all, durably.
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Writes a small file whole, durably, where nothing is: else [`io::ErrorKind::AlreadyExists`], and what is there stays. A
    /// store that cannot tell in one step says [`io::ErrorKind::Unsupported`].
    fn put_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let _ = bytes;
        Err(io::Error::new(io::ErrorKind::Unsupported, format!("this store cannot write {path} only if it is new")))
    }
    /// Makes a finished file visible under another name, replacing what is there. Durable after [`Store::sync`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes renames and removals so far durable.
    fn sync(&self) -> io::Result<()>;
    /// Removes a file, or a folder with all in it. Absent is fine.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Every file under the folder `path` with its length, sorted by path. Absent: empty.
    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>>;
    /// Keeps other processes out for as long as the guard lives; `None` if another one holds `path`. A process that dies
    /// lets go. A store without locks says [`io::ErrorKind::Unsupported`].
    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn StoreLock>>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, format!("this store cannot lock {path}")))
    }
    /// Whether others can read what was flushed of a file that is not finished, and whether such a file can be
    /// [extended](Self::extend) cheaply. Where not, files are better finished than synced.
    fn shows_unfinished(&self) -> bool {
        true
    }
    /// As [`list`](Self::list), and when each file was last written.
    fn list_dated(&self, path: &str) -> io::Result<Vec<DatedFile>> {
        let dated = |(path, bytes): (String, u64)| {
            let modified = match self.dated(&path) {
                // It has gone since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                dated => dated.map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?.modified,
            };
            Ok(DatedFile { path, bytes, modified })
        };
        self.list(path)?.into_iter().map(dated).collect()
    }
    /// How long a file is, and when it was last written, if the store can tell.
    fn dated(&self, path: &str) -> io::Result<DatedFile> {
        Ok(DatedFile { path: path.to_owned(), bytes: self.open(path)?.len_bytes(), modified: None })
    }
    /// Opens a file to be read from its byte `from` on to its end. One that is no longer than that has no bytes.
    fn stream(&self, path: &str, from: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Positioned { file: self.open(path)?, at: from }))
    }
    /// A small file's bytes.
    fn read(&self, path: &str) -> io::Result<Bytes> {
        let file = self.open(path)?;
        let len = usize::try_from(file.len_bytes()).map_err(io::Error::other)?;
        file.read_at(0, len)
    }
}

/// A file as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DatedFile {
    /// Relative to the store.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// When it was last written. None: the store cannot tell.
    pub modified: Option<SystemTime>,
}

/// Reads on by positions.
struct Positioned {
    file: Box<dyn StoreRead>,
    at: u64,
}

impl Read for Positioned {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.file.len_bytes().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = left.min(space.len());
        space[..len].copy_from_slice(&self.file.read_at(self.at, len)?);
        self.at += len as u64;
        Ok(len)
    }
}

/// Holds a lock until it is dropped.
pub trait StoreLock: Send + Sync + Debug {
    /// Higher each time the lock is taken; 0 where its holder's death is sure to be its end.
    fn fence(&self) -> u64 {
        0
    }
}

/// A file being written.
pub trait StoreWrite: Write + Send {
    /// All bytes are out and durable.
    fn finish(self: Box<Self>) -> io::Result<()>;
    /// Another hold on the file: through it another thread makes durable what has been written, while this one writes on.
    fn syncer(&self) -> io::Result<Box<dyn StoreSync>>;
}

/// Makes a file durable that is still written.
pub trait StoreSync: Send + Sync {
    /// All bytes that were written before the call are durable; their file's name is after [`Store::sync`].
    fn sync(&self) -> io::Result<()>;
}

/// A file being read.
pub trait StoreRead: Send + Sync {
    /// The file's length in bytes.
    fn len_bytes(&self) -> u64;
    /// `len` bytes from `offset`; fewer are an error.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;
}
