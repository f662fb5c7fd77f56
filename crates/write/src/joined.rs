//! Published parts made into one: row groups of some size are spliced as bytes, row groups of a few rows are gathered
//! into one of some size. Every row goes over as it is, in order, and all get the table's schema.

use std::sync::Arc;

use lakehaul_schema::TableSchema;
use parquet::file::reader::Length;

use crate::error::WriteError;
use crate::parquet_schema::CompiledSchema;
use crate::part::{FinishedPart, PartWriter};
use crate::regroup::Gathered;
use crate::run_tables::{FileReceipt, TableOptions};
use crate::store::Store;
use crate::widen::{Source, splice};

/// A row group of fewer rows is tiny, if it has few bytes as well. With so many rows, what each column chunk costs by itself
/// (a header, a dictionary, two index entries) is small beside its values.
const TINY_ROWS: u64 = 8192;

/// Bytes before compression that make a row group of few rows one of some size.
const TINY_BYTES: u64 = 4 << 20;

/// Memory that gathered rows may take: a row group is written then. Twice what a load gives one, for levels are held a
/// byte a slot of every column.
const GATHERED_BYTES: usize = 128 << 20;

/// How a part is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartShape {
    /// Its rows.
    pub rows: u64,
    /// The columns that the table's schema has and the part has not.
    pub missing_leaves: usize,
    /// Row groups that are tiny and follow one that is.
    pub tiny_row_groups: usize,
}

impl PartShape {
    /// Reads a part's footer.
    ///
    /// # Errors
    /// The store failed; it is no part; it has a column that the schema lacks.
    pub fn of(store: &dyn Store, path: &str, schema: &TableSchema) -> Result<PartShape, WriteError> {
        let compiled = CompiledSchema::new(schema.clone()).map_err(WriteError::parquet(path))?;
        let file = store.open(path).map_err(WriteError::store("open", path))?;
        let source = Source::open(file, path)?;
        check_columns(&source, &compiled)?;
        let row_groups = source.metadata.num_row_groups();
        let tiny: Vec<bool> = (0..row_groups).map(|index| is_tiny(&source, index)).collect();
        Ok(PartShape {
            rows: (0..row_groups).map(|index| source.rows(index)).sum(),
            missing_leaves: compiled.columns.num_columns() - source.columns.len(),
            tiny_row_groups: tiny.windows(2).filter(|pair| pair[0] && pair[1]).count(),
        })
    }
}

/// A part that is made of others.
pub struct JoinedPart<'a> {
    store: &'a dyn Store,
    schema: Arc<CompiledSchema>,
    out: PartWriter,
    gathered: Gathered,
    /// Of the row groups that were gathered, in their parts.
    waiting_bytes: u64,
    /// What the footer will have to say, by what those of the parts say of as many row groups.
    footer_bytes: u64,
    /// The same of one row group, by the newest part.
    row_group_footer_bytes: u64,
    options: TableOptions,
}

impl std::fmt::Debug for JoinedPart<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinedPart").field("out", &self.out).finish_non_exhaustive()
    }
}

impl<'a> JoinedPart<'a> {
    /// A part at `path`, a staging name, with this schema.
    ///
    /// # Errors
    /// The store failed.
    pub fn create(store: &'a dyn Store, path: String, schema: &TableSchema) -> Result<Self, WriteError> {
        let schema = Arc::new(CompiledSchema::new(schema.clone()).map_err(WriteError::parquet(&path))?);
        let options = TableOptions::default();
        let out = PartWriter::create(store, path, schema.clone(), options.compression_level)?;
        let gathered = Gathered::new(schema.clone());
        Ok(JoinedPart {
            store,
            schema,
            out,
            gathered,
            waiting_bytes: 0,
            footer_bytes: 0,
            row_group_footer_bytes: 0,
            options,
        })
    }

    /// Adds all rows of the part at `path`.
    ///
    /// # Errors
    /// The store failed; the other part is damaged, or has a column that the schema lacks.
    pub fn add(&mut self, path: &str) -> Result<(), WriteError> {
        let file = self.store.open(path).map_err(WriteError::store("open", path))?;
        let source = Source::open(file, path)?;
        check_columns(&source, &self.schema)?;
        let row_groups = 0..source.metadata.num_row_groups();
        let data: u64 = row_groups.clone().map(|index| compressed_bytes(&source, index)).sum();
        self.row_group_footer_bytes = source.file.len().saturating_sub(data) / row_groups.len().max(1) as u64;
        for index in row_groups {
            if !is_tiny(&source, index) {
                self.settle()?;
                splice(&source, index, &mut self.out, self.options.compression_level)?;
                self.footer_bytes += self.row_group_footer_bytes;
                continue;
            }
            if self.gathered.rows() + source.rows(index) > self.options.row_group_rows as u64 {
                self.settle()?;
            }
            self.gathered.add(&source, index)?;
            self.waiting_bytes += compressed_bytes(&source, index);
            if self.gathered.bytes() >= GATHERED_BYTES {
                self.settle()?;
            }
        }
        Ok(())
    }

    /// About how long it is by now.
    pub fn bytes(&self) -> u64 {
        self.out.bytes() + self.waiting_bytes + self.footer_bytes
    }

    /// Writes the rows that wait for others; then its length is known.
    ///
    /// # Errors
    /// The store failed.
    pub fn settle(&mut self) -> Result<(), WriteError> {
        let rows = self.gathered.rows();
        if rows == 0 {
            return Ok(());
        }
        self.waiting_bytes = 0;
        self.footer_bytes += self.row_group_footer_bytes;
        let chunks = self.gathered.encode(self.options.compression_level);
        let chunks = chunks.map_err(WriteError::parquet(self.out.path()))?;
        self.out.append(rows, chunks)
    }

    /// Completes it and makes it durable.
    ///
    /// # Errors
    /// The store failed.
    pub fn finish(mut self) -> Result<FileReceipt, WriteError> {
        self.settle()?;
        let resource_type = self.schema.table.resource_type().to_owned();
        let FinishedPart { path, rows, bytes, blake3, .. } = self.out.finish()?;
        Ok(FileReceipt { resource_type, path, rows, bytes, blake3 })
    }
}

/// A column that the table does not know would be lost.
fn check_columns(source: &Source<'_>, schema: &CompiledSchema) -> Result<(), WriteError> {
    let known: std::collections::HashSet<&[String]> =
        schema.columns.columns().iter().map(|column| column.path().parts()).collect();
    match source.columns.keys().find(|path| !known.contains(path.as_slice())) {
        None => Ok(()),
        Some(path) => {
            let why = format!("it has the column {}, which the table's schema lacks", path.join("."));
            Err(WriteError::not_a_lake_file(source.path, why))
        }
    }
}

fn is_tiny(source: &Source<'_>, row_group: usize) -> bool {
    let bytes = u64::try_from(source.metadata.row_group(row_group).total_byte_size()).unwrap_or(u64::MAX);
    source.rows(row_group) < TINY_ROWS && bytes < TINY_BYTES
}

fn compressed_bytes(source: &Source<'_>, row_group: usize) -> u64 {
    u64::try_from(source.metadata.row_group(row_group).compressed_size()).unwrap_or(0)
}
