//! The parquet crate's view of a stored file: positioned reads, no shared cursor.

use std::fmt;
use std::io::{self, Read};
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
pub(crate) struct StoreChunks(Arc<dyn StoreRead>);

impl StoreChunks {
    pub(crate) fn new(file: Box<dyn StoreRead>) -> Self {
        Self(Arc::from(file))
    }
}

impl fmt::Debug for StoreChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreChunks").field(&self.0.len_bytes()).finish()
    }
}

impl Length for StoreChunks {
    fn len(&self) -> u64 {
        self.0.len_bytes()
    }
}

impl ChunkReader for StoreChunks {
    type T = SequentialRead;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(SequentialRead { file: self.0.clone(), offset: start, ahead: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        Ok(self.0.read_at(start, length)?)
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
