//! Which leaves of a row group are worth reading.
//!
//! A table has many columns that a row group never fills: core columns without data, annotations. The footer tells how
//! deep each leaf's definition levels go, and from that it follows which objects, lists and values exist at all. A leaf
//! without a value is read only where it alone shows that its group or list is there.

use parquet::arrow::ProjectionMask;
use parquet::basic::Repetition;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::{SchemaDescriptor, Type};

use super::values::{EXTRA, LINE, OUTPUT_FILE, RUN};

/// What is read of one row group.
pub(super) struct Projection {
    pub(super) mask: ProjectionMask,
    /// Estimated bytes of a row in memory, at least 1.
    pub(super) row_bytes: u64,
}

/// Chooses the leaves to read.
pub(super) fn project(schema: &SchemaDescriptor, row_group: &RowGroupMetaData) -> Projection {
    let mut leaves = Leaves { chunks: row_group.columns(), next: 0, kept: Vec::new() };
    for field in schema.root_schema().get_fields() {
        let fixed = [RUN, OUTPUT_FILE, LINE, EXTRA].contains(&field.name());
        if fixed { leaves.keep_all(field) } else { leaves.keep(field, 0) }
    }
    let bytes: u64 = leaves.kept.iter().map(|&leaf| chunk_bytes(&row_group.columns()[leaf])).sum();
    let rows = u64::try_from(row_group.num_rows()).unwrap_or(0).max(1);
    Projection { mask: ProjectionMask::leaves(schema, leaves.kept), row_bytes: (bytes / rows).max(1) }
}

/// The leaves in file order, being chosen from.
struct Leaves<'m> {
    chunks: &'m [ColumnChunkMetaData],
    /// The leaf that the walk comes to next.
    next: usize,
    kept: Vec<usize>,
}

impl Leaves<'_> {
    /// Walks a field whose parent's definition level is `parent_level`; keeps what holds something.
    fn keep(&mut self, field: &Type, parent_level: i16) {
        let (first, kept_before) = (self.next, self.kept.len());
        let level = parent_level + i16::from(field.is_optional() || is_repeated(field));
        if field.is_group() {
            field.get_fields().iter().for_each(|child| self.keep(child, level));
        } else {
            self.next += 1;
        }
        if field.name().starts_with("__") {
            self.kept.truncate(kept_before);
        } else if self.kept.len() == kept_before
            && self.chunks[first..self.next].iter().any(|chunk| deepest_level(chunk) >= level)
        {
            self.kept.push(first);
        }
    }

    fn keep_all(&mut self, field: &Type) {
        if field.is_group() {
            field.get_fields().iter().for_each(|child| self.keep_all(child));
        } else {
            self.kept.push(self.next);
            self.next += 1;
        }
    }
}

fn is_repeated(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

/// The deepest definition level that occurs in the chunk, or a level above it where the footer does not say exactly.
fn deepest_level(chunk: &ColumnChunkMetaData) -> i16 {
    let max = chunk.column_descr().max_def_level();
    if let Some(histogram) = chunk.definition_level_histogram() {
        let counts = histogram.values();
        if counts.iter().sum::<i64>() == chunk.num_values() {
            let deepest = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
            return i16::try_from(deepest).unwrap_or(max);
        }
    }
    let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
    let all_null = nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(chunk.num_values()));
    if all_null { max - 1 } else { max }
}

/// Bytes of a chunk's values and levels once decoded, roughly.
fn chunk_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    /// Two levels, a view's share, a validity bit; what a slot costs whatever is in it.
    const SLOT_BYTES: i64 = 8;
    let values = chunk.unencoded_byte_array_data_bytes().unwrap_or(0).max(chunk.uncompressed_size());
    u64::try_from(values.saturating_add(chunk.num_values().saturating_mul(SLOT_BYTES))).unwrap_or(0)
}
