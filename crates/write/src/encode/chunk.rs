//! One leaf of a row group as an encoded column chunk: a dictionary page where there is one, data pages (version 1),
//! statistics and indexes.
//!
//! Nothing here writes to a file: a chunk is a buffer and its metadata, with offsets from the buffer's start, ready to
//! be spliced into a row group.

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::levels::{PAGE_SLOTS, UsualPage, encode_levels, row_start, rows};
use super::values::{Bounds, PageValues, sorts_before};

/// Bytes of values at which a page ends: the usual page size of other writers.
const PAGE_BYTES: usize = 1 << 20;
/// Bytes to which byte-array statistics are cut.
const STATISTICS_BYTES: usize = 64;

/// A chunk, ready for `SerializedRowGroupWriter::append_column`.
#[derive(Debug)]
pub(crate) struct EncodedChunk {
    pub(crate) bytes: Bytes,
    pub(crate) close: ColumnCloseResult,
}

/// Levels of the chunk's slots.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkLevels<'a> {
    /// Empty where nothing repeats: all zeros.
    pub(crate) repetition: &'a [u8],
    /// Empty where nothing is optional.
    pub(crate) definition: &'a [u8],
    pub(crate) slots: usize,
    pub(crate) rows: u32,
    /// Pages whose repetition levels are these, where there are some.
    pub(crate) usual: &'a [UsualPage],
    /// Whether their definition levels are these too.
    pub(crate) full: bool,
}

impl<'a> ChunkLevels<'a> {
    /// The usual page that begins at `slot`.
    fn usual_page(&self, slot: usize) -> Option<&'a UsualPage> {
        let at = self.usual.binary_search_by_key(&slot, |page| page.slots.start).ok()?;
        Some(&self.usual[at])
    }
}

/// Which statistics a chunk carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatisticsLevel {
    /// Bounds for the chunk and for each page.
    Page,
    /// Only the null count: long texts, whose bounds nobody asks for.
    NullCount,
}

/// Reusable buffers and a compressor: one a thread.
pub(crate) struct ChunkEncoder {
    compressor: zstd::bulk::Compressor<'static>,
    level: i32,
    raw: Vec<u8>,
    compressed: Vec<u8>,
}

impl ChunkEncoder {
    /// # Panics
    /// If zstd cannot allocate a context.
    pub(crate) fn new(level: i32) -> Self {
        let compressor = zstd::bulk::Compressor::new(level).expect("zstd allocates a compression context");
        ChunkEncoder { compressor, level, raw: Vec::new(), compressed: Vec::new() }
    }

    pub(crate) fn level(&self) -> i32 {
        self.level
    }

    /// Encodes one chunk. There are as many values as slots whose definition level is the column's greatest.
    pub(crate) fn encode(
        &mut self,
        column: &ColumnDescPtr,
        levels: ChunkLevels<'_>,
        values: &dyn PageValues,
        statistics: StatisticsLevel,
    ) -> Result<EncodedChunk, ParquetError> {
        let mut chunk = Chunk::new(column, statistics);
        let mut sink = TrackedWrite::new(Vec::new());
        let mut pages = SerializedPageWriter::new(&mut sink);
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        let entries = values.dictionary(&mut raw);
        if entries > 0 {
            let buf = self.compress(&raw)?;
            let page =
                Page::DictionaryPage { buf, num_values: entries as u32, encoding: Encoding::PLAIN, is_sorted: false };
            chunk.dictionary(&pages.write_page(CompressedPage::new(page, raw.len()))?);
        }
        let (max_definition, max_repetition) = (column.max_def_level() as u8, column.max_rep_level() as u8);
        let (mut slot, mut value) = (0, 0);
        loop {
            let (slots, end) = page_end(levels, max_definition, values, slot, value);
            let usual = levels.usual_page(slot).filter(|page| page.slots.end == slots);
            raw.clear();
            match usual {
                Some(page) => raw.extend_from_slice(&page.repetition),
                None => encode_levels(levels.repetition, slot..slots, max_repetition, &mut raw),
            }
            match usual {
                Some(page) if levels.full => raw.extend_from_slice(&page.definition),
                _ => encode_levels(levels.definition, slot..slots, max_definition, &mut raw),
            }
            let encoding = values.encode(value, end, &mut raw);
            let buf = self.compress(&raw)?;
            let page = Page::DataPage {
                buf,
                num_values: (slots - slot) as u32,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let spec = pages.write_page(CompressedPage::new(page, raw.len()))?;
            // A page that holds a 64 MB text is no reason to keep 64 MB for all the next.
            raw.shrink_to(4 * PAGE_BYTES);
            let rows = match usual {
                Some(page) => page.rows,
                None => rows(levels.repetition, slot..slots),
            };
            let bounds = (end > value && statistics == StatisticsLevel::Page).then(|| values.bounds(value, end));
            chunk.data_page(&spec, encoding, rows, slots - slot, end - value, bounds);
            (slot, value) = (slots, end);
            if slot == levels.slots {
                break;
            }
        }
        self.raw = raw;
        pages.close()?;
        let bytes = Bytes::from(sink.into_inner()?);
        let close = chunk.close(bytes.len() as u64, u64::from(levels.rows), self.level)?;
        Ok(EncodedChunk { bytes, close })
    }

    fn compress(&mut self, raw: &[u8]) -> Result<Bytes, ParquetError> {
        self.compressed.clear();
        self.compressed.shrink_to(4 * PAGE_BYTES);
        self.compressed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.compressor
            .compress_to_buffer(raw, &mut self.compressed)
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(Bytes::copy_from_slice(&self.compressed))
    }
}

/// Where the page that begins at `slot` and `value` ends, in slots and in values: at a row's start.
fn page_end(levels: ChunkLevels<'_>, max: u8, values: &dyn PageValues, slot: usize, value: usize) -> (usize, usize) {
    let total = levels.slots;
    let usual = levels.usual_page(slot);
    let present = |to: usize| match (levels.definition, usual) {
        _ if to == total => values.len() - value,
        (_, Some(page)) if levels.full && page.slots.end == to => page.instances,
        ([], _) => to - slot,
        (definition, _) => memchr::memchr_iter(max, &definition[slot..to]).count(),
    };
    let mut slots = PAGE_SLOTS;
    loop {
        let end = match usual {
            Some(page) if slots == PAGE_SLOTS => page.slots.end,
            _ => row_start(levels.repetition, slot + slots, total),
        };
        let to = value + present(end);
        let stretch = values.stretch(value);
        let fits = to <= stretch && values.page_bytes(value, to) <= PAGE_BYTES;
        if fits || slots == 1 {
            return (end, to);
        }
        slots = (slots.min(end - slot) / 2).max(1);
    }
}

/// A chunk's metadata as its pages come.
struct Chunk {
    column: ColumnDescPtr,
    physical: Type,
    dictionary_offset: Option<i64>,
    data_offset: Option<i64>,
    uncompressed: i64,
    compressed: i64,
    slots: i64,
    nulls: i64,
    bounds: Option<Bounds>,
    /// Whether the pages' lower and upper bounds have only grown, or only fallen, so far.
    order: (bool, bool),
    newest: Option<Bounds>,
    encodings: Vec<(PageType, Encoding, i32)>,
    statistics: StatisticsLevel,
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
}

impl Chunk {
    fn new(column: &ColumnDescPtr, statistics: StatisticsLevel) -> Self {
        let physical = column.physical_type();
        Chunk {
            column: column.clone(),
            physical,
            dictionary_offset: None,
            data_offset: None,
            uncompressed: 0,
            compressed: 0,
            slots: 0,
            nulls: 0,
            bounds: None,
            order: (true, true),
            newest: None,
            encodings: Vec::new(),
            statistics,
            column_index: ColumnIndexBuilder::new(physical),
            offset_index: OffsetIndexBuilder::new(),
        }
    }

    fn dictionary(&mut self, spec: &PageWriteSpec) {
        self.dictionary_offset = Some(spec.offset as i64);
        self.page(PageType::DICTIONARY_PAGE, Encoding::PLAIN, spec);
    }

    fn page(&mut self, page: PageType, encoding: Encoding, spec: &PageWriteSpec) {
        self.uncompressed += spec.uncompressed_size as i64;
        self.compressed += spec.compressed_size as i64;
        match self.encodings.iter_mut().find(|(known, with, _)| (*known, *with) == (page, encoding)) {
            Some((_, _, count)) => *count += 1,
            None => self.encodings.push((page, encoding, 1)),
        }
    }

    fn data_page(
        &mut self,
        spec: &PageWriteSpec,
        encoding: Encoding,
        rows: usize,
        slots: usize,
        values: usize,
        bounds: Option<Bounds>,
    ) {
        self.page(PageType::DATA_PAGE, encoding, spec);
        self.data_offset.get_or_insert(spec.offset as i64);
        let nulls = (slots - values) as i64;
        self.slots += slots as i64;
        self.nulls += nulls;
        self.offset_index.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
        self.offset_index.append_row_count(rows as i64);
        if self.statistics == StatisticsLevel::NullCount {
            return;
        }
        let Some(bounds) = bounds else {
            self.column_index.append(true, Vec::new(), Vec::new(), nulls, None);
            return;
        };
        let (min, max) = (self.lower(&bounds.min), self.upper(&bounds.max));
        // Without an upper bound in 64 bytes (a string of the last code point) the page's own greatest value is given
        // whole.
        let page = Bounds { min: min.0, max: max.map_or_else(|| bounds.max.clone(), |max| max.0) };
        self.column_index.append(false, page.min.clone(), page.max.clone(), nulls, None);
        let before = |a: &[u8], b: &[u8]| sorts_before(self.physical, a, b);
        if let Some(newest) = &self.newest {
            self.order.0 &= !before(&page.min, &newest.min) && !before(&page.max, &newest.max);
            self.order.1 &= !before(&newest.min, &page.min) && !before(&newest.max, &page.max);
        }
        self.newest = Some(page);
        self.bounds = Some(match self.bounds.take() {
            None => bounds,
            Some(known) => Bounds {
                min: if before(&bounds.min, &known.min) { bounds.min } else { known.min },
                max: if before(&known.max, &bounds.max) { bounds.max } else { known.max },
            },
        });
    }

    /// A lower bound of at most [`STATISTICS_BYTES`], and whether it is the value itself.
    fn lower(&self, value: &[u8]) -> (Vec<u8>, bool) {
        if self.physical != Type::BYTE_ARRAY || value.len() <= STATISTICS_BYTES {
            return (value.to_vec(), true);
        }
        (value[..cut(value)].to_vec(), false)
    }

    /// An upper bound of at most [`STATISTICS_BYTES`], if there is one, and whether it is the value itself.
    fn upper(&self, value: &[u8]) -> Option<(Vec<u8>, bool)> {
        if self.physical != Type::BYTE_ARRAY || value.len() <= STATISTICS_BYTES {
            return Some((value.to_vec(), true));
        }
        let prefix = &value[..cut(value)];
        let text = std::str::from_utf8(prefix).ok()?;
        // The last character that has a successor is raised, and what follows it is dropped.
        for (at, character) in text.char_indices().rev() {
            let next = char::from_u32(character as u32 + 1).filter(|next| next.len_utf8() == character.len_utf8());
            if let Some(next) = next {
                let mut bound = text[..at].to_owned();
                bound.push(next);
                return Some((bound.into_bytes(), false));
            }
        }
        None
    }

    fn close(mut self, bytes: u64, rows: u64, level: i32) -> Result<ColumnCloseResult, ParquetError> {
        let mut encodings = vec![Encoding::RLE];
        for &(_, encoding, _) in &self.encodings {
            if !encodings.contains(&encoding) {
                encodings.push(encoding);
            }
        }
        let stats =
            self.encodings.iter().map(|&(page_type, encoding, count)| PageEncodingStats { page_type, encoding, count });
        let metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_encodings(encodings)
            .set_page_encoding_stats(stats.collect())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(level)?))
            .set_total_compressed_size(self.compressed)
            .set_total_uncompressed_size(self.uncompressed)
            .set_num_values(self.slots)
            .set_data_page_offset(self.data_offset.unwrap_or(0))
            .set_dictionary_page_offset(self.dictionary_offset)
            .set_statistics(self.chunk_statistics())
            .build()?;
        let column_index = match self.statistics {
            StatisticsLevel::NullCount => None,
            StatisticsLevel::Page => {
                self.column_index.set_boundary_order(match self.order {
                    (true, _) => BoundaryOrder::ASCENDING,
                    (false, true) => BoundaryOrder::DESCENDING,
                    (false, false) => BoundaryOrder::UNORDERED,
                });
                Some(self.column_index.build()?)
            }
        };
        Ok(ColumnCloseResult {
            bytes_written: bytes,
            rows_written: rows,
            metadata,
            bloom_filter: None,
            column_index,
            offset_index: Some(self.offset_index.build()),
        })
    }

    fn chunk_statistics(&self) -> Statistics {
        let nulls = Some(self.nulls as u64);
        let (min, max) = match &self.bounds {
            Some(bounds) => (Some(self.lower(&bounds.min)), self.upper(&bounds.max)),
            None => (None, None),
        };
        let exact = |bound: &Option<(Vec<u8>, bool)>| bound.as_ref().is_some_and(|(_, exact)| *exact);
        let (min_exact, max_exact) = (exact(&min), exact(&max));
        let (min, max) = (min.map(|(min, _)| min), max.map(|(max, _)| max));
        fn integer<const N: usize>(bytes: Option<Vec<u8>>) -> Option<[u8; N]> {
            bytes.and_then(|bytes| bytes.try_into().ok())
        }
        match self.physical {
            Type::BOOLEAN => {
                let bit = |bytes: Option<Vec<u8>>| bytes.map(|bytes| bytes == [1]);
                Statistics::Boolean(ValueStatistics::new(bit(min), bit(max), None, nulls, false))
            }
            Type::INT32 => {
                let value = |bytes| integer(bytes).map(i32::from_le_bytes);
                Statistics::Int32(ValueStatistics::new(value(min), value(max), None, nulls, false))
            }
            Type::INT64 => {
                let value = |bytes| integer(bytes).map(i64::from_le_bytes);
                Statistics::Int64(ValueStatistics::new(value(min), value(max), None, nulls, false))
            }
            Type::FIXED_LEN_BYTE_ARRAY => {
                let value = |bytes: Option<Vec<u8>>| bytes.map(|bytes| FixedLenByteArray::from(ByteArray::from(bytes)));
                Statistics::FixedLenByteArray(ValueStatistics::new(value(min), value(max), None, nulls, false))
            }
            _ => Statistics::ByteArray(
                ValueStatistics::new(min.map(ByteArray::from), max.map(ByteArray::from), None, nulls, false)
                    .with_min_is_exact(min_exact)
                    .with_max_is_exact(max_exact),
            ),
        }
    }
}

/// Where to cut a long value: at most [`STATISTICS_BYTES`], between two characters.
fn cut(value: &[u8]) -> usize {
    let mut at = STATISTICS_BYTES;
    while at > 0 && value[at] & 0xC0 == 0x80 {
        at -= 1;
    }
    at
}
