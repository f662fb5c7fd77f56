//! One Parquet file of a table while it is written, under a staging name.
//!
//! In: row groups as encoded chunks. Out: a complete file, durable, with its hash; or an error and a file that nothing
//! refers to. After each row group the file can be cut there and finished by another process: what its footer has to say
//! of the row group is handed out (see [`footer`]), and a part is restored from that.

mod footer;

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::ChunkReader;
use parquet::file::writer::{SerializedRowGroupWriter, TrackedWrite};

use lakehaul_schema::{ElementTable, LAKE_SCHEMA, TableSchema};

use crate::encode::EncodedChunk;
use crate::error::WriteError;
use crate::parquet_schema::CompiledSchema;
use crate::store::{Store, StoreSync, StoreWrite};

pub(crate) use footer::RowGroupFooter;

/// The first and the last bytes of a Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";

/// In the form that Parquet's format gives (`created_by` of `FileMetaData`). What parquet-java cannot take apart it takes for
/// the work of an early version of its own, from which it reads `DELTA_BYTE_ARRAY` only where files are not split (PARQUET-246).
const CREATED_BY: &str = concat!("lakehaul version ", env!("CARGO_PKG_VERSION"));

/// How much of a part that is restored is read at a time.
const READ_BYTES: usize = 1 << 20;

/// How much is written at a time: most column chunks are far smaller, and a part has thousands.
const WRITE_BYTES: usize = 256 << 10;

/// Where a part's bytes go.
pub(crate) type PartFile = BufWriter<HashedFile>;

/// A part that is complete and durable under its staging name.
#[derive(Debug, Clone)]
pub(crate) struct FinishedPart {
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) blake3: String,
    pub(crate) schema: Arc<CompiledSchema>,
}

/// A part being written.
pub(crate) struct PartWriter {
    path: String,
    schema: Arc<CompiledSchema>,
    properties: WriterPropertiesPtr,
    out: TrackedWrite<PartFile>,
    failure: FirstFailure,
    row_groups: Vec<Arc<RowGroupFooter>>,
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
        let mut part = PartWriter::over(file, path, schema, compression_level)?;
        part.out.write_all(MAGIC).map_err(|source| part.failed("write", source))?;
        Ok(part)
    }

    /// Opens a part that another process has left, cut back to the last of `row_groups`, which ends at `end` and up to
    /// which the part had the hash `blake3`. `None`: the file is not what it is said to be.
    pub(crate) fn restore(
        store: &dyn Store,
        path: &str,
        schema: Arc<CompiledSchema>,
        compression_level: i32,
        row_groups: Vec<RowGroupFooter>,
        (end, blake3): (u64, &str),
    ) -> Result<Option<Self>, WriteError> {
        let there = match store.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(WriteError::store("open", path))?,
        };
        if there.len_bytes() < end {
            return Ok(None);
        }
        let file = store.extend(path, end).map_err(WriteError::store("open", path))?;
        let mut part = PartWriter::over(file, path.to_owned(), schema, compression_level)?;
        part.out.inner_mut().get_mut().already = end;
        let mut offset = 0;
        while offset < end {
            let piece = there.read_at(offset, (end - offset).min(READ_BYTES as u64) as usize);
            let piece = piece.map_err(WriteError::store("read", path))?;
            part.out.write_all(&piece).map_err(|source| part.failed("write", source))?;
            offset += piece.len() as u64;
        }
        part.out.flush().map_err(|source| part.failed("write", source))?;
        part.rows = row_groups.iter().map(RowGroupFooter::rows).sum();
        part.row_groups = row_groups.into_iter().map(Arc::new).collect();
        Ok((part.blake3() == blake3).then_some(part))
    }

    fn over(
        file: Box<dyn StoreWrite>,
        path: String,
        schema: Arc<CompiledSchema>,
        compression_level: i32,
    ) -> Result<Self, WriteError> {
        let failure = FirstFailure::default();
        let out = TrackedWrite::new(BufWriter::with_capacity(WRITE_BYTES, HashedFile::new(file, failure.clone())));
        let properties = properties(&schema.table, compression_level).map_err(WriteError::parquet(&path))?;
        Ok(PartWriter { path, schema, properties, out, failure, row_groups: Vec::new(), rows: 0 })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn schema(&self) -> &Arc<CompiledSchema> {
        &self.schema
    }

    /// Bytes that the finished row groups take.
    pub(crate) fn bytes(&self) -> u64 {
        self.out.bytes_written() as u64
    }

    /// The BLAKE3 of the bytes so far, in hex.
    pub(crate) fn blake3(&self) -> String {
        self.out.inner().get_ref().hasher.finalize().to_hex().to_string()
    }

    /// What the footer will say of the row group that was last written.
    pub(crate) fn newest(&self) -> Option<&Arc<RowGroupFooter>> {
        self.row_groups.last()
    }

    pub(crate) fn properties(&self) -> &WriterPropertiesPtr {
        &self.properties
    }

    /// Makes the row groups so far durable, from another thread.
    pub(crate) fn syncer(&self) -> Result<Box<dyn StoreSync>, WriteError> {
        self.out.inner().get_ref().file.syncer().map_err(WriteError::store("sync", &self.path))
    }

    /// Appends a row group. `fill` appends each of the schema's columns, in order, to the row group's writer.
    pub(crate) fn row_group(
        &mut self,
        rows: u64,
        fill: impl FnOnce(&mut SerializedRowGroupWriter<'_, PartFile>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let ordinal = self.row_groups.len() as i32;
        let mut footer = None;
        let written = (|| {
            let columns = self.schema.columns.clone();
            let kept = &mut footer;
            let keep = Box::new(move |_: &mut _, metadata, _, column_indexes, offset_indexes| {
                *kept = Some(RowGroupFooter { metadata, column_indexes, offset_indexes });
                Ok(())
            });
            let mut row_group =
                SerializedRowGroupWriter::new(columns, self.properties.clone(), &mut self.out, ordinal, Some(keep));
            fill(&mut row_group)?;
            row_group.close().map_err(WriteError::parquet(&self.path))?;
            self.out.flush().map_err(WriteError::store("write", &self.path))
        })();
        self.rows += rows;
        self.row_groups.extend(footer.map(Arc::new));
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
    pub(crate) fn finish(mut self) -> Result<FinishedPart, WriteError> {
        let row_groups = std::mem::take(&mut self.row_groups).into_iter().map(Arc::unwrap_or_clone).collect();
        let footer = footer::file_footer(&self.schema, &self.properties, self.bytes(), row_groups);
        let footer = footer.map_err(WriteError::parquet(&self.path))?;
        let written = self.out.write_all(&footer).and_then(|()| self.out.flush());
        written.map_err(|source| self.failed("write", source))?;
        let out = self.out.into_inner().map_err(WriteError::parquet(&self.path))?;
        let out = out.into_inner().map_err(|error| WriteError::store("write", &self.path)(error.into_error()))?;
        let (file, bytes, blake3) = out.into_parts();
        file.finish().map_err(WriteError::store("finish", &self.path))?;
        Ok(FinishedPart { path: self.path, rows: self.rows, bytes, blake3, schema: self.schema })
    }

    fn failed(&self, action: &'static str, source: io::Error) -> WriteError {
        store_failure(&self.failure, &self.path).unwrap_or_else(|| WriteError::store(action, &self.path)(source))
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
        .set_created_by(CREATED_BY.to_owned())
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
    /// Of the bytes to come, so many are in the file: they are only hashed.
    already: u64,
    failure: FirstFailure,
}

impl HashedFile {
    pub(crate) fn new(file: Box<dyn StoreWrite>, failure: FirstFailure) -> HashedFile {
        HashedFile { file, hasher: blake3::Hasher::new(), bytes: 0, already: 0, failure }
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
        let there = buf.len().min(usize::try_from(self.already).unwrap_or(usize::MAX));
        let written = if there > 0 { Ok(there) } else { self.file.write(buf) };
        self.already -= there as u64;
        match written {
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
