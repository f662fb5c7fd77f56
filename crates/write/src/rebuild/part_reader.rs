//! A Parquet part, read row by row as JSON.

use std::io;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchReader};
use lakehaul_schema::{ElementTable, ObjectType};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::Length;
use parquet::schema::types::SchemaDescriptor;

use super::emit::push_object;
use super::extras::Extras;
use super::fault::Fault;
use super::projection::project;
use super::shape::{Child, resource_shape, with_views};
use super::store_chunks::StoreChunks;
use super::values::{LINE, OUTPUT_FILE, RUN, Rows};
use super::weave::Weaver;
use crate::WriteError;
use crate::store::StoreRead;

/// A batch holds about this much, or one row. Chosen, not tuned: small beside a load's memory even when every core reads
/// a part, and large enough that ExplanationOfBenefit comes back at about 1 GB of JSON a second and core.
const BATCH_BYTES: u64 = 8 << 20;

/// The most rows of a batch: bounds what the estimate of a row's width can get wrong.
const BATCH_ROWS: u64 = 4096;

/// Row groups of up to this many bytes in the file are fetched whole.
const HELD_BYTES: u64 = 16 << 20;

/// The row buffer is not kept larger than this for the sake of one large row.
const ROW_BUFFER_BYTES: usize = 4 << 20;

/// An open part of a table.
#[derive(Debug)]
pub struct PartReader {
    path: String,
    file: StoreChunks,
    metadata: ArrowReaderMetadata,
    resource_type: &'static ObjectType,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The run that wrote it.
    pub run: &'a str,
    /// The output file that the resource came in.
    pub output_file: &'a str,
    /// The line of that file, from 1.
    pub line: u64,
    /// The resource: one JSON object in UTF-8, on one line unless its source had a CR in text that is kept raw.
    pub json: &'a [u8],
}

impl PartReader {
    /// Reads the footer of a part. `path` is for messages.
    pub fn open(path: impl Into<String>, file: Box<dyn StoreRead>) -> Result<Self, WriteError> {
        let path = path.into();
        let file = StoreChunks::new(file);
        let parquet = |source| read_error(&path, source);

        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let plain = ArrowReaderMetadata::load(&file, options.clone()).map_err(parquet)?;
        let schema = Arc::new(with_views(plain.schema()));
        let metadata =
            ArrowReaderMetadata::try_new(plain.metadata().clone(), options.with_schema(schema)).map_err(parquet)?;

        let table = ElementTable::r4();
        let named = key_values(&metadata).find(|(key, _)| *key == "fhir.resourceType");
        let Some(type_id) = named.and_then(|(_, name)| table.resource(name)) else {
            return Err(WriteError::NotALakeFile { path, why: Fault::ResourceType.to_string() });
        };
        Ok(Self { path, file, metadata, resource_type: table.object(type_id) })
    }

    /// The type of every resource in the part.
    pub fn resource_type(&self) -> &str {
        &self.resource_type.name
    }

    /// How many rows the footer says there are.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The footer's key-values.
    pub fn key_values(&self) -> impl Iterator<Item = (&str, &str)> {
        key_values(&self.metadata)
    }

    /// The part's columns.
    pub fn parquet_schema(&self) -> &SchemaDescriptor {
        self.metadata.parquet_schema()
    }

    /// Rebuilds every row, in file order. An error of `each` ends the reading and is returned.
    ///
    /// Holds one row group as it is in the file if that is not large, one batch (a few megabytes, or one row) and one row's text
    /// at a time.
    pub fn for_each_row(&mut self, each: &mut dyn FnMut(Row<'_>) -> Result<(), WriteError>) -> Result<(), WriteError> {
        let mut json = Vec::new();
        let mut first_row = 0;
        for row_group in 0..self.metadata.metadata().num_row_groups() {
            let footer = self.metadata.metadata().row_group(row_group);
            let projection = project(self.metadata.parquet_schema(), footer);
            let batch_rows = (BATCH_BYTES / projection.row_bytes).clamp(1, BATCH_ROWS);
            let file = self.held(footer).map_err(|source| self.parquet_error(source))?;
            let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![row_group])
                .with_projection(projection.mask)
                .with_batch_size(batch_rows as usize)
                .build()
                .map_err(|source| self.parquet_error(source))?;
            let shape = resource_shape(ElementTable::r4(), self.resource_type, &batches.schema())
                .map_err(|fault| self.fault_error(&fault))?;
            for batch in batches {
                let batch = batch.map_err(|source| self.parquet_error(ParquetError::from(source)))?;
                self.for_each_row_of(&batch, &shape, first_row, &mut json, each)?;
                first_row += batch.num_rows() as u64;
            }
        }
        Ok(())
    }

    /// The file, with a row group's bytes in memory if they are not many.
    fn held(&self, row_group: &RowGroupMetaData) -> Result<StoreChunks, ParquetError> {
        let stretches = || row_group.columns().iter().map(ColumnChunkMetaData::byte_range);
        let start = stretches().map(|(start, _)| start).min().unwrap_or(0);
        let end = stretches().map(|(start, length)| start.saturating_add(length)).max().unwrap_or(0);
        // A footer that is wrong is told by whoever reads by it.
        let held = start < end && end <= self.file.len() && end - start <= HELD_BYTES;
        if held { self.file.holding(start..end) } else { Ok(self.file.clone()) }
    }

    fn for_each_row_of(
        &self,
        batch: &RecordBatch,
        shape: &[Child],
        first_row: u64,
        json: &mut Vec<u8>,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let rows = Rows::bind(shape, batch).map_err(|fault| self.fault_error(&fault))?;
        let mut extras = Extras::default();
        for at in 0..batch.num_rows() {
            let row = first_row + at as u64;
            json.clear();
            json.shrink_to(ROW_BUFFER_BYTES);
            push_row(&rows, at, row, &mut extras, json).map_err(|fault| self.fault_error(&fault))?;
            each(Row {
                run: rows.run.value(at),
                output_file: rows.output_file.value(at),
                line: u64::try_from(rows.line.value(at)).unwrap_or(0),
                json,
            })?;
        }
        Ok(())
    }

    fn parquet_error(&self, source: ParquetError) -> WriteError {
        read_error(&self.path, source)
    }

    fn fault_error(&self, fault: &Fault) -> WriteError {
        WriteError::NotALakeFile { path: self.path.clone(), why: fault.to_string() }
    }
}

/// The parquet crate wraps what the store said: that is told as the store's error.
fn read_error(path: &str, source: ParquetError) -> WriteError {
    let path = path.to_owned();
    match source {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(source) => WriteError::Store { action: "read", path, source: *source },
            Err(other) => WriteError::Parquet { path, source: ParquetError::External(other) },
        },
        source => WriteError::Parquet { path, source },
    }
}

/// What a Parquet file's footer says.
///
/// # Errors
/// The store failed, or it is no Parquet file.
pub fn footer(path: &str, file: Box<dyn StoreRead>) -> Result<ParquetMetaData, WriteError> {
    ParquetMetaDataReader::new().parse_and_finish(&StoreChunks::new(file)).map_err(|source| read_error(path, source))
}

/// Appends a row's resource. `at` counts in the batch, `row` in the part.
fn push_row<'b>(
    rows: &Rows<'b>,
    at: usize,
    row: u64,
    extras: &mut Extras<'b>,
    json: &mut Vec<u8>,
) -> Result<(), Fault> {
    let provenance: [(&dyn Array, _); 3] = [(rows.run, RUN), (rows.output_file, OUTPUT_FILE), (rows.line, LINE)];
    if let Some((_, column)) = provenance.into_iter().find(|(array, _)| array.is_null(at)) {
        return Err(Fault::Null { row, column });
    }
    match extras.read(&rows.extra, at, row)? {
        None => push_object(&rows.members, at, json),
        Some(resource) => {
            let woven = Weaver { extras, out: json }.push_object(&rows.members, at, &resource);
            woven.map_err(|misplaced| Fault::NoPlace { row, place: extras.path(&misplaced.0) })?;
        }
    }
    Ok(())
}

fn key_values(metadata: &ArrowReaderMetadata) -> impl Iterator<Item = (&str, &str)> {
    let pairs = metadata.metadata().file_metadata().key_value_metadata();
    pairs.into_iter().flatten().map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap_or_default()))
}
