//! Row groups of a few rows, decoded and encoded anew as one.
//!
//! In: row groups of finished parts, one after the other, narrow or not. Out: one row group of the table's schema. Levels
//! and values go over leaf by leaf as they are, whatever they mean: provenance, kept lines and `__extra` among them. No
//! resource is put together on the way, so nothing of a row can change. What has been decoded is all that is held: a
//! lake that is fed often has thousands of parts, too many to keep open.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;
use rayon::prelude::*;

use crate::columns::{BytesLeaf, Storage};
use crate::encode::{Booleans, ChunkLevels, Deltas, EncodedChunk, Fixed, NoValues, PageValues, StatisticsLevel};
use crate::error::WriteError;
use crate::parquet_schema::CompiledSchema;
use crate::part::ChunkAt;
use crate::row_group::with_encoder;
use crate::widen::{Missing, Source};

/// Rows that wait to become one row group.
pub(crate) struct Gathered {
    schema: Arc<CompiledSchema>,
    leaves: Vec<Leaf>,
    rows: u64,
}

/// One leaf of all rows.
struct Leaf {
    /// Empty where nothing of the column can repeat.
    repetition: Vec<u8>,
    /// Empty where nothing of it is optional.
    definition: Vec<u8>,
    values: Values,
    /// As its source has them, once there is a value.
    statistics: StatisticsLevel,
}

/// Values that are present.
enum Values {
    /// None yet.
    None,
    Booleans(Vec<bool>),
    Int32(Vec<i32>),
    /// Timestamps, and line numbers.
    Int64(Vec<i64>),
    Bytes(Box<BytesLeaf>),
    /// Sixteen bytes each.
    Decimals(Vec<i128>),
}

impl Gathered {
    pub(crate) fn new(schema: Arc<CompiledSchema>) -> Gathered {
        let leaf = |_: &ColumnDescPtr| Leaf {
            repetition: Vec::new(),
            definition: Vec::new(),
            values: Values::None,
            statistics: StatisticsLevel::Page,
        };
        let leaves = schema.columns.columns().iter().map(leaf).collect();
        Gathered { schema, leaves, rows: 0 }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// About the memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.leaves.iter().map(Leaf::bytes).sum()
    }

    /// Decodes a row group, which is read in one piece.
    pub(crate) fn add(&mut self, source: &Source<'_>, row_group: usize) -> Result<(), WriteError> {
        let rows = source.rows(row_group);
        let bytes = RowGroupBytes::read(source, row_group)?;
        let mut missing = Missing::new(source, row_group);
        for (column, leaf) in self.schema.columns.columns().iter().zip(&mut self.leaves) {
            let Some(&at) = source.columns.get(column.path().parts()) else {
                let levels = missing.levels(column)?;
                leaf.add_levels(column, &levels.repetition, &levels.definition);
                continue;
            };
            let there = source.metadata.row_group(row_group).column(at).column_descr();
            let form =
                |column: &ColumnDescPtr| (column.physical_type(), column.max_def_level(), column.max_rep_level());
            if form(column) != form(&source.metadata.file_metadata().schema_descr().column(at)) {
                let why = format!("its column {} is of another type than the table's", there.path());
                return Err(WriteError::not_a_lake_file(source.path, why));
            }
            let reader = bytes.reader(source, row_group, at).map_err(WriteError::parquet(source.path))?;
            let has_bounds =
                source.metadata.page_index().is_some_and(|index| index.column_index(row_group, at).is_some());
            leaf.decode(column, reader, rows, has_bounds).map_err(WriteError::parquet(source.path))?;
        }
        self.rows += rows;
        Ok(())
    }

    /// The row group, in the order of the schema's columns; nothing waits any more.
    pub(crate) fn encode(&mut self, compression_level: i32) -> Result<Vec<EncodedChunk>, ParquetError> {
        let rows = self.rows as u32;
        let schema = self.schema.clone();
        let Gathered { leaves, .. } = std::mem::replace(self, Gathered::new(schema.clone()));
        let columns: Vec<(&ColumnDescPtr, Leaf)> = schema.columns.columns().iter().zip(leaves).collect();
        columns.into_par_iter().map(|(column, leaf)| leaf.encode(column, rows, compression_level)).collect()
    }
}

impl Leaf {
    fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::None => 0,
            Values::Booleans(values) => values.len(),
            Values::Int32(values) => 4 * values.len(),
            Values::Int64(values) => 8 * values.len(),
            Values::Decimals(values) => 16 * values.len(),
            Values::Bytes(leaf) => leaf.size().allocated,
        };
        self.repetition.len() + self.definition.len() + values
    }

    /// `repetition` may be empty: all zeros.
    fn add_levels(&mut self, column: &ColumnDescPtr, repetition: &[u8], definition: &[u8]) {
        if column.max_rep_level() > 0 {
            self.repetition.extend_from_slice(repetition);
            if repetition.is_empty() {
                self.repetition.resize(self.repetition.len() + definition.len(), 0);
            }
        }
        self.definition.extend_from_slice(definition);
    }

    fn decode(
        &mut self,
        column: &ColumnDescPtr,
        reader: ColumnReader,
        rows: u64,
        has_bounds: bool,
    ) -> Result<(), ParquetError> {
        let levels = match reader {
            ColumnReader::BoolColumnReader(reader) => {
                let (levels, values) = read(reader, rows)?;
                if let Values::Booleans(all) = self.of(has_bounds, &values, || Values::Booleans(Vec::new())) {
                    all.extend(values);
                }
                levels
            }
            ColumnReader::Int32ColumnReader(reader) => {
                let (levels, values) = read(reader, rows)?;
                if let Values::Int32(all) = self.of(has_bounds, &values, || Values::Int32(Vec::new())) {
                    all.extend(values);
                }
                levels
            }
            ColumnReader::Int64ColumnReader(reader) => {
                let (levels, values) = read(reader, rows)?;
                if let Values::Int64(all) = self.of(has_bounds, &values, || Values::Int64(Vec::new())) {
                    all.extend(values);
                }
                levels
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                let (levels, values): (_, Vec<ByteArray>) = read(reader, rows)?;
                // What has no bounds is long text, and hardly repeats.
                let storage = if has_bounds { Storage::Dictionary } else { Storage::Plain };
                let leaf = || Values::Bytes(Box::new(BytesLeaf::new(storage)));
                if let Values::Bytes(all) = self.of(has_bounds, &values, leaf) {
                    values.iter().for_each(|value| all.push(value.data(), false));
                }
                levels
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                let (levels, values): (_, Vec<FixedLenByteArray>) = read(reader, rows)?;
                let decimals: Result<Vec<i128>, ParquetError> = values.iter().map(decimal).collect();
                let decimals = decimals?;
                if let Values::Decimals(all) = self.of(has_bounds, &decimals, || Values::Decimals(Vec::new())) {
                    all.extend(decimals);
                }
                levels
            }
            ColumnReader::Int96ColumnReader(_)
            | ColumnReader::FloatColumnReader(_)
            | ColumnReader::DoubleColumnReader(_) => {
                let why = format!("the column {} is of a type that no table has", column.path());
                return Err(ParquetError::General(why));
            }
        };
        self.add_levels(column, &levels.repetition, &levels.definition);
        Ok(())
    }

    /// Where `values` go to; the first that there are make the place.
    fn of<T>(&mut self, has_bounds: bool, values: &[T], place: impl FnOnce() -> Values) -> &mut Values {
        if !values.is_empty() && matches!(self.values, Values::None) {
            self.values = place();
            self.statistics = if has_bounds { StatisticsLevel::Page } else { StatisticsLevel::NullCount };
        }
        &mut self.values
    }

    fn encode(self, column: &ColumnDescPtr, rows: u32, compression_level: i32) -> Result<EncodedChunk, ParquetError> {
        let Leaf { repetition, definition, values, statistics } = self;
        let slots = if column.max_def_level() > 0 { definition.len() } else { rows as usize };
        let (repetition, definition) = (&*repetition, &*definition);
        let levels = ChunkLevels { repetition, definition, slots, rows, usual: &[], full: false };
        let encode = |values: &dyn PageValues| {
            with_encoder(compression_level, |encoder| encoder.encode(column, levels, values, statistics))
        };
        match values {
            Values::None => encode(&NoValues),
            Values::Booleans(values) => encode(&Booleans(&values)),
            Values::Int32(values) => encode(&Fixed::new(&values)),
            Values::Int64(values) => encode(&Deltas(&values)),
            Values::Decimals(values) => encode(&Fixed::new(&values)),
            Values::Bytes(leaf) => encode(&*leaf),
        }
    }
}

/// A leaf's levels in one row group.
struct Levels {
    repetition: Vec<u8>,
    definition: Vec<u8>,
}

/// All of a column chunk.
fn read<T: DataType>(mut reader: ColumnReaderImpl<T>, rows: u64) -> Result<(Levels, Vec<T::T>), ParquetError> {
    let (mut repetition, mut definition, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut left = rows as usize;
    while left > 0 {
        let (records, _, _) = reader.read_records(left, Some(&mut definition), Some(&mut repetition), &mut values)?;
        if records == 0 {
            return Err(ParquetError::EOF(format!("a column chunk has {left} of {rows} rows too few")));
        }
        left -= records;
    }
    // No level of a table's column is greater than some dozens.
    let bytes = |levels: Vec<i16>| levels.into_iter().map(|level| level as u8).collect();
    Ok((Levels { repetition: bytes(repetition), definition: bytes(definition) }, values))
}

fn decimal(value: &FixedLenByteArray) -> Result<i128, ParquetError> {
    let bytes = value.data().try_into();
    bytes.map(i128::from_be_bytes).map_err(|_| ParquetError::General("a decimal has not sixteen bytes".to_owned()))
}

/// A row group's bytes.
struct RowGroupBytes {
    start: u64,
    bytes: Bytes,
}

impl RowGroupBytes {
    fn read(source: &Source<'_>, row_group: usize) -> Result<RowGroupBytes, WriteError> {
        let ranges = source.metadata.row_group(row_group).columns().iter().map(ColumnChunkMetaData::byte_range);
        let (start, end) =
            ranges.fold((u64::MAX, 0), |(start, end), (offset, length)| (start.min(offset), end.max(offset + length)));
        let length = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let bytes = source.file.get_bytes(start, length).map_err(WriteError::parquet(source.path))?;
        Ok(RowGroupBytes { start, bytes })
    }

    fn reader(&self, source: &Source<'_>, row_group: usize, column: usize) -> Result<ColumnReader, ParquetError> {
        let metadata = source.metadata.row_group(row_group);
        let chunk = Arc::new(ChunkAt { offset: self.start, bytes: self.bytes.clone() });
        let pages = SerializedPageReader::new(chunk, metadata.column(column), metadata.num_rows() as usize, None)?;
        let descriptor = source.metadata.file_metadata().schema_descr().column(column);
        if descriptor.physical_type() == Type::INT96 {
            return Err(ParquetError::General("no table has such a type".to_owned()));
        }
        Ok(get_column_reader(descriptor, Box::new(pages)))
    }
}
