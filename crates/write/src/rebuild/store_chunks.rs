//! The parquet crate's view of a stored file: positioned reads, no shared cursor.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, Length};

use crate::store::StoreRead;

/// How much is fetched at a time where the reader does not say how long the thing is: page headers, which are tens of
/// bytes, or a few hundred with statistics.
const HEADER_READ_BYTES: u64 = 1024;

/// A [`StoreRead`] as a [`ChunkReader`]; cheap to clone.
#[derive(Clone)]
pub(crate) struct StoreChunks {
    file: Arc<dyn StoreRead>,
    /// A stretch of the file that is in memory, and where it begins.
    held: (u64, Bytes),
}

impl StoreChunks {
    pub(crate) fn new(file: Box<dyn StoreRead>) -> Self {
        Self { file: Arc::from(file), held: (0, Bytes::new()) }
    }

    /// The same file, with a stretch of it fetched by one read: the parquet crate asks for each page's header and for each
    /// page, and where the file is an object, every read is a request.
    pub(crate) fn holding(&self, stretch: Range<u64>) -> Result<Self> {
        let bytes = self.file.read_at(stretch.start, (stretch.end - stretch.start) as usize)?;
        Ok(Self { file: Arc::clone(&self.file), held: (stretch.start, bytes) })
    }

    /// What is held from `start` on; nothing where that is not in the stretch.
    fn held_from(&self, start: u64) -> Bytes {
        let (begin, bytes) = &self.held;
        let at = start.checked_sub(*begin).and_then(|at| usize::try_from(at).ok()).filter(|at| *at < bytes.len());
        at.map_or_else(Bytes::new, |at| bytes.slice(at..))
    }
}

impl fmt::Debug for StoreChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreChunks").field(&self.len()).finish()
    }
}

impl Length for StoreChunks {
    fn len(&self) -> u64 {
        self.file.len_bytes()
    }
}

impl ChunkReader for StoreChunks {
    type T = SequentialRead;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let ahead = self.held_from(start);
        Ok(SequentialRead { file: self.file.clone(), offset: start + ahead.len() as u64, ahead })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut held = self.held_from(start);
        if held.len() >= length {
            held.truncate(length);
            return Ok(held);
        }
        Ok(self.file.read_at(start, length)?)
    }
}

/// Reads on from an offset to the end of the file.
pub(crate) struct SequentialRead {
    file: Arc<dyn StoreRead>,
    /// Of the first byte that is not in `ahead`.
    offset: u64,
    ahead: Bytes,
}

impl Read for SequentialRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            let left = self.file.len_bytes().saturating_sub(self.offset);
            // At most HEADER_READ_BYTES, so it fits a usize.
            self.ahead = self.file.read_at(self.offset, left.min(HEADER_READ_BYTES) as usize)?;
            self.offset += self.ahead.len() as u64;
        }
        let len = buffer.len().min(self.ahead.len());
        self.ahead.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}
