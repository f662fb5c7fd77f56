//! One Parquet file of a table while it is written, under a staging name.
//!
//! In: row groups as encoded chunks. Out: a complete file, durable, with its hash; or an error and a file that nothing
//! refers to.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::ChunkReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use lakehaul_schema::{ElementTable, LAKE_SCHEMA, TableSchema};

use crate::encode::EncodedChunk;
use crate::error::WriteError;
use crate::parquet_schema::CompiledSchema;
use crate::store::{Store, StoreWrite};

/// A part that is complete and durable under its staging name.
#[derive(Debug, Clone)]
pub(crate) struct FinishedPart {
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) blake3: String,
    pub(crate) schema: Arc<CompiledSchema>,
}

/// A worker's part that is complete and durable, and not yet visible.
#[derive(Debug, Clone)]
pub struct StagedPart {
    pub(crate) resource_type: &'static str,
    pub(crate) worker: usize,
    pub(crate) part: FinishedPart,
}

/// A part being written.
pub(crate) struct PartWriter {
    path: String,
    schema: Arc<CompiledSchema>,
    writer: SerializedFileWriter<HashedFile>,
    failure: FirstFailure,
    rows: u64,
}

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartWriter").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// The store's first error. Parquet's library turns I/O errors into text or loses them; here it is kept as it was.
pub(crate) type FirstFailure = Arc<Mutex<Option<io::Error>>>;

impl PartWriter {
    pub(crate) fn create(
        store: &dyn Store,
        path: String,
        schema: Arc<CompiledSchema>,
        compression_level: i32,
    ) -> Result<Self, WriteError> {
        let file = store.create(&path).map_err(WriteError::store("create", &path))?;
        let failure = FirstFailure::default();
        let file = HashedFile::new(file, failure.clone());
        let properties = properties(&schema.table, compression_level).map_err(WriteError::parquet(&path))?;
        let writer = SerializedFileWriter::new(file, schema.message.clone(), properties);
        Ok(PartWriter { writer: writer.map_err(WriteError::parquet(&path))?, failure, path, schema, rows: 0 })
    }

    pub(crate) fn schema(&self) -> &Arc<CompiledSchema> {
        &self.schema
    }

    /// Bytes that the finished row groups take.
    pub(crate) fn bytes(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Appends a row group. `fill` appends each of the schema's columns, in order, to the row group's writer.
    pub(crate) fn row_group(
        &mut self,
        rows: u64,
        fill: impl FnOnce(&mut SerializedRowGroupWriter<'_, HashedFile>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let written = (|| {
            let mut row_group = self.writer.next_row_group().map_err(WriteError::parquet(&self.path))?;
            fill(&mut row_group)?;
            row_group.close().map_err(WriteError::parquet(&self.path))?;
            self.writer.flush().map_err(WriteError::store("write", &self.path))
        })();
        self.rows += rows;
        written.map_err(|error| store_failure(&self.failure, &self.path).unwrap_or(error))
    }

    /// Appends a row group that is in memory.
    pub(crate) fn append(&mut self, rows: u64, chunks: Vec<EncodedChunk>) -> Result<(), WriteError> {
        let path = self.path.clone();
        self.row_group(rows, |row_group| {
            for chunk in chunks {
                row_group.append_column(&chunk.bytes, chunk.close).map_err(WriteError::parquet(&path))?;
            }
            Ok(())
        })
    }

    /// Writes the footer and makes the file durable.
    pub(crate) fn finish(self) -> Result<FinishedPart, WriteError> {
        let written = self.writer.into_inner().map_err(WriteError::parquet(&self.path));
        if let Some(failure) = store_failure(&self.failure, &self.path) {
            return Err(failure);
        }
        let (file, bytes, blake3) = written?.into_parts();
        file.finish().map_err(WriteError::store("finish", &self.path))?;
        Ok(FinishedPart { path: self.path, rows: self.rows, bytes, blake3, schema: self.schema })
    }
}

pub(crate) fn store_failure(failure: &FirstFailure, path: &str) -> Option<WriteError> {
    let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some(WriteError::Store { action: "write", path: path.to_owned(), source: failure })
}

fn properties(table: &TableSchema, compression_level: i32) -> Result<WriterPropertiesPtr, ParquetError> {
    let elements = ElementTable::r4();
    let entry = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(compression_level)?))
        .set_created_by(concat!("lakehaul ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![
            entry("fhir.version", elements.fhir_version()),
            entry("fhir.resourceType", table.resource_type()),
            entry("lake.schema", &LAKE_SCHEMA.to_string()),
            entry("lake.elements.sha256", elements.sha256()),
            entry("lake.annotations", &table.annotations().to_string()),
        ]))
        .build();
    Ok(Arc::new(properties))
}

/// A store's file that hashes what is written and remembers its first error.
pub(crate) struct HashedFile {
    file: Box<dyn StoreWrite>,
    hasher: blake3::Hasher,
    bytes: u64,
    failure: FirstFailure,
}

impl HashedFile {
    pub(crate) fn new(file: Box<dyn StoreWrite>, failure: FirstFailure) -> HashedFile {
        HashedFile { file, hasher: blake3::Hasher::new(), bytes: 0, failure }
    }

    /// The file, its length, and the BLAKE3 of its bytes in hex.
    pub(crate) fn into_parts(self) -> (Box<dyn StoreWrite>, u64, String) {
        (self.file, self.bytes, self.hasher.finalize().to_hex().to_string())
    }

    fn remember(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        kind.into()
    }
}

impl Write for HashedFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.file.write(buf) {
            Ok(written) => {
                self.hasher.update(&buf[..written]);
                self.bytes += written as u64;
                Ok(written)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.remember(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| self.remember(error))
    }
}

/// A column chunk's bytes, addressed by where they stood in their file.
pub(crate) struct ChunkAt {
    pub(crate) offset: u64,
    pub(crate) bytes: bytes::Bytes,
}

impl parquet::file::reader::Length for ChunkAt {
    fn len(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

impl ChunkReader for ChunkAt {
    type T = bytes::buf::Reader<bytes::Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let skipped = self.within(start, 0)?;
        Ok(bytes::Buf::reader(self.bytes.slice(skipped..)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        let skipped = self.within(start, length)?;
        Ok(self.bytes.slice(skipped..skipped + length))
    }
}

impl ChunkAt {
    fn within(&self, start: u64, length: usize) -> parquet::errors::Result<usize> {
        let skipped = start.checked_sub(self.offset).map(|skipped| skipped as usize);
        skipped
            .filter(|skipped| skipped + length <= self.bytes.len())
            .ok_or_else(|| ParquetError::EOF(format!("byte {start} is outside the column chunk")))
    }
}
