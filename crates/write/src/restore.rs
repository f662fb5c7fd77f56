//! A part that another process has left behind, made complete.
//!
//! In goes what a journal says of it; out comes the part, whole and durable, with the row groups that still count. A file
//! that is not what the journal says is told, and left as it is.

use std::io::ErrorKind;
use std::sync::Arc;

use lakehaul_schema::TableSchema;

use crate::error::WriteError;
use crate::parquet_schema::CompiledSchema;
use crate::part::{FinishedPart, PartWriter, RowGroupFooter};
use crate::store::Store;
use crate::widen::Widening;

/// A part as a journal has it.
#[derive(Debug, Clone)]
pub struct LaidDownPart {
    /// Its path.
    pub path: String,
    /// Who wrote it: the name that its table set had.
    pub writer: String,
    /// Its table's schema when it was begun.
    pub schema: TableSchema,
    /// In the file's order.
    pub row_groups: Vec<LaidDownRowGroup>,
    /// Its length and hash, if it was completed.
    pub closed: Option<(u64, String)>,
}

/// A row group as a journal has it; its fields are those of [`WrittenRowGroup`](crate::WrittenRowGroup).
#[derive(Debug, Clone)]
pub struct LaidDownRowGroup {
    /// Its rows.
    pub rows: u64,
    /// Where in the part it ends.
    pub end: u64,
    /// The BLAKE3 of the part up to there, in hex.
    pub blake3: String,
    /// What the part's footer says of it.
    pub footer: Vec<u8>,
    /// Values beyond the table's caps.
    pub beyond_caps: u64,
    /// Whether its rows still count.
    pub keep: bool,
}

impl LaidDownPart {
    /// The row groups whose rows count.
    pub fn kept(&self) -> impl Iterator<Item = &LaidDownRowGroup> {
        self.row_groups.iter().filter(|row_group| row_group.keep)
    }
}

/// Completes the part. `None`: the file is not what the journal says, or nothing of it counts.
pub(crate) fn restore(
    store: &dyn Store,
    part: &LaidDownPart,
    compression_level: i32,
) -> Result<Option<FinishedPart>, WriteError> {
    let rows = part.kept().map(|row_group| row_group.rows).sum();
    let schema = CompiledSchema::new(part.schema.clone()).map_err(WriteError::parquet(&part.path))?;
    let schema = Arc::new(schema);
    let all_kept = part.row_groups.iter().all(|row_group| row_group.keep);
    if let (true, Some((bytes, blake3))) = (all_kept, &part.closed) {
        let there = match store.open(&part.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(WriteError::store("open", &part.path))?.len_bytes() == *bytes,
        };
        let (path, bytes, blake3) = (part.path.clone(), *bytes, blake3.clone());
        return Ok(there.then_some(FinishedPart { path, rows, bytes, blake3, schema }));
    }
    let Some(last) = part.row_groups.iter().rposition(|row_group| row_group.keep) else { return Ok(None) };
    let counted = &part.row_groups[..=last];
    let mut footers = Vec::with_capacity(counted.len());
    for row_group in counted {
        match RowGroupFooter::from_bytes(&row_group.footer.clone().into()) {
            Ok(footer) => footers.push(footer),
            Err(_) => return Ok(None),
        }
    }
    let end = (counted[last].end, counted[last].blake3.as_str());
    let restored = PartWriter::restore(store, &part.path, schema.clone(), compression_level, footers, end)?;
    let Some(restored) = restored else { return Ok(None) };
    let whole = restored.finish()?;
    if counted.iter().all(|row_group| row_group.keep) {
        return Ok(Some(whole));
    }
    // Row groups of a file must follow each other without a gap, so those that count move to a file of their own.
    let path = format!("{}.kept", part.path);
    let mut out = PartWriter::create(store, path, schema.clone(), compression_level)?;
    let widening = Widening { store, schema, part_bytes: u64::MAX, compression_level };
    widening.copy(&whole.path, |index| counted[index].keep, &mut out)?;
    Ok(Some(out.finish()?))
}
