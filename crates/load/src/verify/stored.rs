//! A stored file as other readers want it: from its start to its end, or as the parquet crate's chunks. Memory is what the
//! reader holds, not the file's length.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lakehaul_write::store::{Store, StoreRead};
use parquet::file::reader::{ChunkReader, Length};

/// How much is read at a time: what a disk or a network likes, and nothing beside a load's memory.
const READ_BYTES: usize = 1 << 20;

/// Where the parquet crate does not say how much it wants, it wants a page header: tens of bytes, some hundred with statistics.
const HEADER_READ_BYTES: usize = 1 << 10;

/// An open file of the lake; cheap to clone.
#[derive(Clone)]
pub(crate) struct Stored {
    file: Arc<dyn StoreRead>,
    /// Of the store's own, as the last read got it: the parquet crate hands on its text at most.
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Stored {
    pub(crate) fn open(store: &dyn Store, path: &str) -> io::Result<Stored> {
        store.open(path).map(|file| Stored { file: Arc::from(file), failure: Arc::default() })
    }

    #[cfg(test)]
    pub(crate) fn of(file: impl StoreRead + 'static) -> Stored {
        Stored { file: Arc::new(file), failure: Arc::default() }
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.file.len_bytes()
    }

    pub(crate) fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.file.read_at(offset, len).inspect_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        })
    }

    /// Why the store has not given what was last asked for.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// From its start.
    pub(crate) fn reader(&self) -> BufReader<Sequential> {
        BufReader::with_capacity(READ_BYTES, Sequential { file: self.clone(), offset: 0 })
    }

    /// In hex, of all its bytes.
    pub(crate) fn blake3(&self) -> io::Result<String> {
        let mut hasher = blake3::Hasher::new();
        self.reader().for_each_piece(|piece| {
            hasher.update(piece);
        })?;
        Ok(hasher.finalize().to_hex().to_string())
    }
}

/// Pieces of what is read, as they come.
pub(crate) trait Pieces: BufRead {
    fn for_each_piece(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let piece = self.fill_buf()?;
            let len = piece.len();
            if len == 0 {
                return Ok(());
            }
            each(piece);
            self.consume(len);
        }
    }
}

impl<R: BufRead> Pieces for R {}

/// Reads on from an offset to the end of the file.
pub(crate) struct Sequential {
    file: Stored,
    offset: u64,
}

impl Read for Sequential {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len_bytes().saturating_sub(self.offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(space.len());
        space[..len].copy_from_slice(&self.file.read_at(self.offset, len)?);
        self.offset += len as u64;
        Ok(len)
    }
}

impl Length for Stored {
    fn len(&self) -> u64 {
        self.len_bytes()
    }
}

impl ChunkReader for Stored {
    type T = BufReader<Sequential>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::with_capacity(HEADER_READ_BYTES, Sequential { file: self.clone(), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        Ok(self.read_at(start, length)?)
    }
}
