//! `member_match/part-<id>.parquet`: what became of each line of a roster.
//!
//! It has the members' ids, as the lake itself has, and no name. It is made anew as a whole: what the lake's readers see
//! is the state after the last command.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use lakehaul_write::store::Store;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::MatchOutcome;
use crate::LoadError;

/// The table's folder.
pub(crate) const FOLDER: &str = "member_match/";

/// So many lines are in memory as columns.
const BATCH_ROWS: usize = 8192;

/// One line of a roster.
#[derive(Default)]
pub(super) struct Row<'r> {
    pub(super) roster_line: u64,
    pub(super) member_key: Option<&'r str>,
    pub(super) member_id: Option<&'r str>,
    pub(super) outcome: Option<MatchOutcome>,
    pub(super) reason: Option<&'r str>,
    pub(super) group_id: Option<&'r str>,
    pub(super) run: Option<&'r str>,
    pub(super) answered: Option<&'r str>,
}

/// The table while it is made.
pub(super) struct StatusTable {
    writer: ArrowWriter<Vec<u8>>,
    lines: Int64Builder,
    texts: [StringBuilder; TEXTS.len()],
    rows: usize,
    path: String,
}

/// The columns that are text.
const TEXTS: [&str; 7] = ["member_key", "member_id", "outcome", "reason", "group_id", "run", "answered"];

fn schema() -> Arc<Schema> {
    let line = Field::new("roster_line", DataType::Int64, false);
    let texts = TEXTS.iter().map(|name| Field::new(*name, DataType::Utf8, true));
    Arc::new(Schema::new(std::iter::once(line).chain(texts).collect::<Vec<_>>()))
}

impl StatusTable {
    pub(super) fn new(id: &str) -> Result<StatusTable, LoadError> {
        let path = format!("{FOLDER}part-{id}.parquet");
        let level = ZstdLevel::try_new(1).unwrap_or_default();
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties));
        let writer = writer.map_err(|error| not_made(&path, error))?;
        Ok(StatusTable { writer, lines: Int64Builder::new(), texts: Default::default(), rows: 0, path })
    }

    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<(), LoadError> {
        self.lines.append_value(i64::try_from(row.roster_line).unwrap_or(i64::MAX));
        let outcome = row.outcome.map(MatchOutcome::name);
        let texts = [row.member_key, row.member_id, outcome, row.reason, row.group_id, row.run, row.answered];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_option(text);
        }
        self.rows += 1;
        if self.rows.is_multiple_of(BATCH_ROWS) { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LoadError> {
        let lines: ArrayRef = Arc::new(self.lines.finish());
        let texts = self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let columns = std::iter::once(lines).chain(texts).collect();
        let written =
            RecordBatch::try_new(schema(), columns).map_err(Into::into).and_then(|batch| self.writer.write(&batch));
        written.map_err(|error| not_made(&self.path, error))
    }

    /// Replaces the table that is there. Gives its path.
    pub(super) fn put(mut self, store: &dyn Store) -> Result<String, LoadError> {
        self.flush()?;
        let bytes = self.writer.into_inner().map_err(|error| not_made(&self.path, error))?;
        store.put(&self.path, &bytes).map_err(|source| LoadError::destination("write", &self.path, source))?;
        Ok(self.path)
    }
}

fn not_made(path: &str, error: parquet::errors::ParquetError) -> LoadError {
    LoadError::destination("make", path, std::io::Error::other(error))
}
