//! Parts made fit to be seen together: widened to the run's final schema, and small ones joined.
//!
//! In: finished parts of one worker, in the order of their lines. Out: parts that all have the final schema. Column
//! chunks are copied as bytes (Parquet's row groups are relocatable); only levels are decoded, where a missing leaf
//! needs those of its ancestors. A part that has the final schema and no small neighbour stays as it is.

use std::collections::HashMap;
use std::sync::Arc;

use parquet::basic::Repetition;
use parquet::column::page::{Page, PageReader};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use crate::encode::{ChunkLevels, NoValues, StatisticsLevel, decode_levels};
use crate::error::WriteError;
use crate::parquet_schema::CompiledSchema;
use crate::part::{ChunkAt, FinishedPart, PartWriter};
use crate::rebuild::StoreChunks;
use crate::row_group::with_encoder;
use crate::store::{Store, StoreRead};

/// How parts are made fit.
pub(crate) struct Widening<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) schema: Arc<CompiledSchema>,
    pub(crate) part_bytes: u64,
    pub(crate) compression_level: i32,
}

impl Widening<'_> {
    /// Fits `parts`. New parts get the path of the first they are made of, with `.wide` behind it.
    pub(crate) fn fit(&self, parts: Vec<FinishedPart>) -> Result<Vec<FinishedPart>, WriteError> {
        let mut fitted = Vec::new();
        let mut waiting: Vec<FinishedPart> = Vec::new();
        for part in parts {
            let together = waiting.iter().map(|part| part.bytes).sum::<u64>() + part.bytes;
            if !waiting.is_empty() && together > self.part_bytes {
                fitted.push(self.join(std::mem::take(&mut waiting))?);
            }
            waiting.push(part);
        }
        if !waiting.is_empty() {
            fitted.push(self.join(waiting)?);
        }
        Ok(fitted)
    }

    fn join(&self, mut parts: Vec<FinishedPart>) -> Result<FinishedPart, WriteError> {
        if let [part] = parts.as_slice()
            && part.schema.table == self.schema.table
        {
            return Ok(parts.remove(0));
        }
        let path = format!("{}.wide", parts[0].path);
        let mut out = PartWriter::create(self.store, path, self.schema.clone(), self.compression_level)?;
        for part in &parts {
            self.copy(&part.path, |_| true, &mut out)?;
        }
        // What it is made of stays: until the run is committed, a process that takes it up makes the same of them.
        out.finish()
    }

    /// Copies the row groups of the part at `path` that `keep` is true of.
    pub(crate) fn copy(
        &self,
        path: &str,
        keep: impl Fn(usize) -> bool,
        out: &mut PartWriter,
    ) -> Result<(), WriteError> {
        let file = self.store.open(path).map_err(WriteError::store("open", path))?;
        let source = Source::open(file, path)?;
        for index in (0..source.metadata.num_row_groups()).filter(|&index| keep(index)) {
            splice(&source, index, out, self.compression_level)?;
        }
        Ok(())
    }
}

/// Copies a row group to `out`, widened to the schema that `out` has.
pub(crate) fn splice(
    source: &Source<'_>,
    index: usize,
    out: &mut PartWriter,
    compression_level: i32,
) -> Result<(), WriteError> {
    let schema = out.schema().clone();
    out.row_group(source.rows(index), |row_group| {
        let mut missing = Missing::new(source, index);
        for column in schema.columns.columns() {
            let (bytes, close) = match source.columns.get(column.path().parts()) {
                Some(&at) => source.chunk(index, at)?,
                None => missing.chunk(column, compression_level)?,
            };
            row_group.append_column(&bytes, close).map_err(WriteError::parquet(source.path))?;
        }
        Ok(())
    })
}

/// A finished part, open for copying.
pub(crate) struct Source<'a> {
    pub(crate) file: StoreChunks,
    pub(crate) path: &'a str,
    pub(crate) metadata: ParquetMetaData,
    /// Column index by path.
    pub(crate) columns: HashMap<Vec<String>, usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn open(file: Box<dyn StoreRead>, path: &'a str) -> Result<Self, WriteError> {
        let file = StoreChunks::new(file);
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let metadata = ParquetMetaDataReader::new()
            .with_metadata_options(Some(options))
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&file)
            .map_err(WriteError::parquet(path))?;
        let paths =
            metadata.file_metadata().schema_descr().columns().iter().map(|column| column.path().parts().to_vec());
        let columns = paths.enumerate().map(|(at, path)| (path, at)).collect();
        Ok(Source { file, path, metadata, columns })
    }

    /// Rows of a row group.
    pub(crate) fn rows(&self, row_group: usize) -> u64 {
        self.metadata.row_group(row_group).num_rows() as u64
    }

    /// Column chunk `column` of a row group with all its metadata.
    fn chunk(&self, row_group: usize, column: usize) -> Result<(ChunkAt, ColumnCloseResult), WriteError> {
        let metadata = self.metadata.row_group(row_group).column(column).clone();
        let (offset, length) = metadata.byte_range();
        let bytes = self.file.get_bytes(offset, length as usize).map_err(WriteError::parquet(self.path))?;
        let close = ColumnCloseResult {
            bytes_written: length,
            rows_written: self.metadata.row_group(row_group).num_rows() as u64,
            bloom_filter: None,
            column_index: self.metadata.page_index().and_then(|index| index.column_index(row_group, column)).cloned(),
            offset_index: self.metadata.page_index().and_then(|index| index.offset_index(row_group, column)).cloned(),
            metadata,
        };
        Ok((ChunkAt { offset, bytes }, close))
    }
}

/// Levels of an ancestor that a missing leaf has in common with the part's own leaves.
pub(crate) struct AncestorLevels {
    /// Empty where nothing repeats.
    pub(crate) repetition: Vec<u8>,
    pub(crate) definition: Vec<u8>,
}

/// All-null chunks for the leaves that a row group does not have.
pub(crate) struct Missing<'a> {
    source: &'a Source<'a>,
    row_group: usize,
    /// By the ancestor's path.
    levels: HashMap<Vec<String>, AncestorLevels>,
}

impl<'a> Missing<'a> {
    pub(crate) fn new(source: &'a Source<'a>, row_group: usize) -> Self {
        Missing { source, row_group, levels: HashMap::new() }
    }

    fn chunk(
        &mut self,
        column: &ColumnDescPtr,
        compression_level: i32,
    ) -> Result<(ChunkAt, ColumnCloseResult), WriteError> {
        let source = self.source;
        let rows = source.rows(self.row_group) as u32;
        let AncestorLevels { repetition, definition } = self.levels(column)?;
        let levels = ChunkLevels { repetition, definition, slots: definition.len(), rows, usual: &[], full: false };
        let encoded =
            with_encoder(compression_level, |encoder| encoder.encode(column, levels, &NoValues, StatisticsLevel::Page));
        let encoded = encoded.map_err(WriteError::parquet(source.path))?;
        Ok((ChunkAt { offset: 0, bytes: encoded.bytes }, encoded.close))
    }

    /// The levels of a leaf that the part does not have.
    pub(crate) fn levels(&mut self, column: &ColumnDescPtr) -> Result<&AncestorLevels, WriteError> {
        let source = self.source;
        let (ancestor, sibling) = source.nearest(column.path().parts());
        if !self.levels.contains_key(ancestor) {
            let levels = match sibling {
                Some(sibling) => source.levels_of(self.row_group, ancestor, sibling)?,
                // The root: a slot a row.
                None => {
                    AncestorLevels { repetition: Vec::new(), definition: vec![0; source.rows(self.row_group) as usize] }
                }
            };
            self.levels.insert(ancestor.to_vec(), levels);
        }
        Ok(&self.levels[ancestor])
    }
}

impl Source<'_> {
    /// The deepest ancestor of `path` that the part has, and the shallowest leaf below it. No leaf: the ancestor is the
    /// root.
    fn nearest<'p>(&self, path: &'p [String]) -> (&'p [String], Option<usize>) {
        let columns = self.metadata.file_metadata().schema_descr().columns();
        for length in (1..path.len()).rev() {
            let ancestor = &path[..length];
            let below = columns.iter().enumerate().filter(|(_, column)| column.path().parts().starts_with(ancestor));
            if let Some((sibling, _)) = below.min_by_key(|(_, column)| column.max_rep_level()) {
                return (ancestor, Some(sibling));
            }
        }
        (&[], None)
    }

    /// An ancestor's levels, from those of a leaf below it: slots that repeat below the ancestor are dropped, and
    /// definition ends at the ancestor's own.
    fn levels_of(&self, row_group: usize, ancestor: &[String], sibling: usize) -> Result<AncestorLevels, WriteError> {
        let (max_definition, max_repetition) = self.ancestor_levels(ancestor)?;
        let (repetition, definition) = self.decode_levels(row_group, sibling)?;
        let mut levels = AncestorLevels { repetition: Vec::new(), definition: Vec::new() };
        for (slot, &definition) in definition.iter().enumerate() {
            let repeats = repetition.get(slot).copied().unwrap_or(0);
            if repeats <= max_repetition {
                levels.definition.push(definition.min(max_definition));
                if max_repetition > 0 {
                    levels.repetition.push(repeats);
                }
            }
        }
        Ok(levels)
    }

    /// The greatest definition and repetition level at a node.
    fn ancestor_levels(&self, ancestor: &[String]) -> Result<(u8, u8), WriteError> {
        let mut node = self.metadata.file_metadata().schema_descr().root_schema();
        let (mut definition, mut repetition) = (0, 0);
        for name in ancestor {
            let child = node.get_fields().iter().find(|field| field.name() == name);
            node = child.ok_or_else(|| WriteError::not_a_lake_file(self.path, "a column's path leads nowhere"))?;
            match node.get_basic_info().repetition() {
                Repetition::REQUIRED => {}
                Repetition::OPTIONAL => definition += 1,
                Repetition::REPEATED => {
                    definition += 1;
                    repetition += 1;
                }
            }
        }
        Ok((definition, repetition))
    }

    /// All levels of a leaf in a row group, from the pages as the encoder of this crate lays them out.
    fn decode_levels(&self, row_group: usize, column: usize) -> Result<(Vec<u8>, Vec<u8>), WriteError> {
        let metadata = self.metadata.row_group(row_group);
        let (chunk, _) = self.chunk(row_group, column)?;
        let chunk_metadata = metadata.column(column);
        let descriptor = chunk_metadata.column_descr();
        let (max_repetition, max_definition) = (descriptor.max_rep_level(), descriptor.max_def_level());
        let damaged = || WriteError::not_a_lake_file(self.path, "a page's levels are damaged");
        let mut pages = SerializedPageReader::new(Arc::new(chunk), chunk_metadata, metadata.num_rows() as usize, None)
            .map_err(WriteError::parquet(self.path))?;
        let (mut repetition, mut definition) = (Vec::new(), Vec::new());
        while let Some(page) = pages.get_next_page().map_err(WriteError::parquet(self.path))? {
            let Page::DataPage { buf, num_values, .. } = page else { continue };
            let mut rest: &[u8] = &buf;
            for (max, levels) in [(max_repetition, &mut repetition), (max_definition, &mut definition)] {
                if max > 0 {
                    let (length, after) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
                    let (encoded, after) =
                        after.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
                    decode_levels(encoded, max, num_values as usize, levels).ok_or_else(damaged)?;
                    rest = after;
                }
            }
        }
        Ok((repetition, definition))
    }
}
