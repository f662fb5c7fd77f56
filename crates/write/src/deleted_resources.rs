//! The table of deletions: one row a resource that an export reports as deleted.
//!
//! In come types and ids, from any worker, or parts that are to be one; out comes one Parquet file, complete and durable
//! under its staging name. It is an ordinary flat table, so parquet's own Arrow reader and writer do for it.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::Length;

use crate::error::WriteError;
use crate::part::{FirstFailure, HashedFile, store_failure};
use crate::rebuild::StoreChunks;
use crate::run_tables::FileReceipt;
use crate::store::Store;

/// Rows of a row group: some ten megabytes of ids while it is open.
const ROW_GROUP_ROWS: usize = 128 << 10;

/// So much of a part that is read is fetched at once, which is mostly all of it: each read of an object is a request.
const READ_BYTES: u64 = 8 << 20;

/// The deletions of one run.
#[derive(Debug)]
pub struct DeletedResources {
    run: String,
    part: Mutex<Part>,
}

/// A part of the table; its file is made with the first row.
#[derive(Debug)]
struct Part {
    store: Arc<dyn Store>,
    path: String,
    writer: Option<Writer>,
}

struct Writer {
    parquet: ArrowWriter<HashedFile>,
    failure: FirstFailure,
    rows: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl DeletedResources {
    /// The table's name, which is also its folder's.
    pub const TABLE: &str = "deleted_resources";

    /// Its columns. `transactionTime` is the manifest's text, to the last digit; NULL if the manifest has none.
    pub fn schema() -> SchemaRef {
        let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
        Arc::new(Schema::new(vec![
            text("resourceType", false),
            text("id", false),
            text("transactionTime", true),
            text("__run", false),
        ]))
    }

    /// A file at `path` of the store; it is made with the first row. `run` is every row's `__run`.
    pub fn new(store: Arc<dyn Store>, path: String, run: String) -> DeletedResources {
        DeletedResources { run, part: Mutex::new(Part { store, path, writer: None }) }
    }

    /// Adds rows: types and ids.
    pub fn add(&self, deleted: Vec<(String, String)>, transaction_time: Option<&str>) -> Result<(), WriteError> {
        let count = deleted.len();
        if count == 0 {
            return Ok(());
        }
        let (types, ids): (Vec<_>, Vec<_>) = deleted.into_iter().unzip();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(types)),
            Arc::new(StringArray::from(ids)),
            Arc::new(StringArray::from(vec![transaction_time; count])),
            Arc::new(StringArray::from(vec![self.run.as_str(); count])),
        ];
        let batch =
            RecordBatch::try_new(Self::schema(), columns).expect("four columns of one length, as the schema has them");
        self.part.lock().unwrap_or_else(PoisonError::into_inner).write(&batch)
    }

    /// Makes the file durable; None if there was no deletion.
    pub fn finish(self) -> Result<Option<FileReceipt>, WriteError> {
        self.part.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
    }
}

/// Published parts of the table made into one: all their rows, in order.
#[derive(Debug)]
pub struct JoinedDeletions(Part);

impl JoinedDeletions {
    /// A part at `path` of the store, a staging name.
    pub fn new(store: Arc<dyn Store>, path: String) -> JoinedDeletions {
        JoinedDeletions(Part { store, path, writer: None })
    }

    /// Adds all rows of the part at `path`.
    ///
    /// # Errors
    /// The store failed; the other part is damaged, or has other columns.
    pub fn add(&mut self, path: &str) -> Result<(), WriteError> {
        let file = StoreChunks::new(self.0.store.open(path).map_err(WriteError::store("open", path))?);
        let failed = WriteError::parquet(path);
        let file = file.holding(0..file.len().min(READ_BYTES)).map_err(&failed)?;
        let options = ArrowReaderOptions::new().with_schema(DeletedResources::schema());
        let batches = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
        for batch in batches.and_then(ParquetRecordBatchReaderBuilder::build).map_err(&failed)? {
            self.0.write(&batch.map_err(|error| failed(ParquetError::from(error)))?)?;
        }
        Ok(())
    }

    /// About how long it is by now.
    pub fn bytes(&self) -> u64 {
        let written = |writer: &Writer| writer.parquet.bytes_written() + writer.parquet.in_progress_size();
        self.0.writer.as_ref().map_or(0, written) as u64
    }

    /// Makes the file durable; None if there was no row.
    ///
    /// # Errors
    /// The store failed.
    pub fn finish(self) -> Result<Option<FileReceipt>, WriteError> {
        self.0.finish()
    }
}

impl Writer {
    fn create(store: &dyn Store, path: &str) -> Result<Writer, WriteError> {
        let file = store.create(path).map_err(WriteError::store("create", path))?;
        let failure = FirstFailure::default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let file = HashedFile::new(file, failure.clone());
        let parquet = ArrowWriter::try_new(file, DeletedResources::schema(), Some(properties));
        Ok(Writer { parquet: parquet.map_err(WriteError::parquet(path))?, failure, rows: 0 })
    }
}

impl Part {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(Writer::create(&*self.store, &self.path)?),
        };
        writer.parquet.write(batch).map_err(|error| {
            store_failure(&writer.failure, &self.path).unwrap_or_else(|| WriteError::parquet(&self.path)(error))
        })?;
        writer.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(self) -> Result<Option<FileReceipt>, WriteError> {
        let Some(Writer { parquet, failure, rows }) = self.writer else { return Ok(None) };
        let written = parquet.into_inner().map_err(WriteError::parquet(&self.path));
        if let Some(failure) = store_failure(&failure, &self.path) {
            return Err(failure);
        }
        let (file, bytes, blake3) = written?.into_parts();
        file.finish().map_err(WriteError::store("finish", &self.path))?;
        let resource_type = DeletedResources::TABLE.to_owned();
        Ok(Some(FileReceipt { resource_type, path: self.path, rows, bytes, blake3 }))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::store::LocalStore;

    #[test]
    fn every_deletion_is_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        let table = DeletedResources::new(Arc::clone(&store), "staging/deleted".to_owned(), "r1".to_owned());
        let many = (0..ROW_GROUP_ROWS + 5).map(|n| ("Patient".to_owned(), n.to_string()));
        table.add(many.collect(), Some("2026-01-01T00:00:00Z")).unwrap();
        table.add(vec![("Claim".to_owned(), "c".to_owned())], None).unwrap();
        let receipt = table.finish().unwrap().unwrap();
        assert_eq!(receipt.rows, ROW_GROUP_ROWS as u64 + 6);
        let bytes = store.read(&receipt.path).unwrap();
        assert_eq!((bytes.len() as u64, blake3::hash(&bytes).to_hex().to_string()), (receipt.bytes, receipt.blake3));
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), ROW_GROUP_ROWS + 6);
        let last = batches.last().unwrap();
        let text = |column: usize| last.column(column).as_string::<i32>().iter().last().unwrap().map(str::to_owned);
        assert_eq!(
            (0..4).map(text).collect::<Vec<_>>(),
            [Some("Claim"), Some("c"), None, Some("r1")].map(|t| t.map(str::to_owned))
        );
    }

    #[test]
    fn no_deletion_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        let table = DeletedResources::new(Arc::clone(&store), "deleted".to_owned(), "r1".to_owned());
        assert!(table.finish().unwrap().is_none());
        assert_eq!(store.list("").unwrap(), []);
    }
}
