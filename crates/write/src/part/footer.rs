//! What a part's footer says of its row groups, kept apart from the part until it is finished.
//!
//! A row group's own footer can be laid down beside the part: as bytes that are a Parquet footer of one row group, with
//! its page indexes (Parquet format, "File Format" and "Page Index"). It holds statistics, that is, values of rows. Out
//! of all of them comes the file's footer, byte for byte the same whether they were laid down in between or not.

use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::page_index::PageIndexBuilder;
use parquet::file::metadata::{
    FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::TrackedWrite;

use crate::parquet_schema::CompiledSchema;

/// What a footer says of one row group.
#[derive(Debug, Clone)]
pub(crate) struct RowGroupFooter {
    pub(crate) metadata: RowGroupMetaData,
    /// By column.
    pub(crate) column_indexes: Vec<Option<ColumnIndexMetaData>>,
    /// By column.
    pub(crate) offset_indexes: Vec<Option<OffsetIndexMetaData>>,
}

impl RowGroupFooter {
    pub(crate) fn rows(&self) -> u64 {
        self.metadata.num_rows() as u64
    }

    /// To be laid down.
    pub(crate) fn to_bytes(
        &self,
        schema: &CompiledSchema,
        properties: &WriterProperties,
    ) -> Result<Vec<u8>, ParquetError> {
        file_footer(schema, properties, 0, vec![self.clone()])
    }

    /// What was laid down.
    pub(crate) fn from_bytes(bytes: &Bytes) -> Result<RowGroupFooter, ParquetError> {
        // As a mask they could not be written again.
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let metadata = ParquetMetaDataReader::new()
            .with_metadata_options(Some(options))
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(bytes)?;
        let [row_group] = metadata.row_groups() else {
            return Err(ParquetError::General("a row group's footer has another number of row groups".to_owned()));
        };
        let columns = 0..row_group.num_columns();
        let index = metadata.page_index();
        let column_index = |column| index.and_then(|index| index.column_index(0, column)).cloned();
        let offset_index = |column| index.and_then(|index| index.offset_index(0, column)).cloned();
        Ok(RowGroupFooter {
            column_indexes: columns.clone().map(column_index).collect(),
            offset_indexes: columns.map(offset_index).collect(),
            metadata: row_group.clone(),
        })
    }
}

/// The footer of a file whose row groups end at byte `at`: page indexes, metadata, and what ends a Parquet file.
pub(super) fn file_footer(
    schema: &CompiledSchema,
    properties: &WriterProperties,
    at: u64,
    row_groups: Vec<RowGroupFooter>,
) -> Result<Vec<u8>, ParquetError> {
    let mut index = PageIndexBuilder::new(row_groups.len(), schema.columns.num_columns());
    let mut metadata = Vec::with_capacity(row_groups.len());
    for (row_group, footer) in row_groups.into_iter().enumerate() {
        for (column, column_index) in footer.column_indexes.into_iter().enumerate() {
            if let Some(column_index) = column_index {
                index.put_column_index(column_index, row_group, column);
            }
        }
        for (column, offset_index) in footer.offset_indexes.into_iter().enumerate() {
            if let Some(offset_index) = offset_index {
                index.put_offset_index(offset_index, row_group, column);
            }
        }
        metadata.push(footer.metadata);
    }
    let file = FileMetaData::new(
        properties.writer_version().as_num(),
        metadata.iter().map(RowGroupMetaData::num_rows).sum(),
        Some(properties.created_by().to_owned()),
        properties.key_value_metadata().cloned(),
        schema.columns.clone(),
        // The writer derives them from the schema.
        None,
    );
    let metadata =
        ParquetMetaData::new(file, metadata).into_builder().set_page_index(Some(Arc::new(index.build()))).build();
    // Written to memory: the library's writer ends well over a file that took nothing, as it does not flush.
    let mut bytes = Vec::new();
    let mut out = TrackedWrite::new(Behind { left: at, bytes: &mut bytes });
    pass(&mut out, at)?;
    ParquetMetaDataWriter::new_with_tracked(out, &metadata).with_preserve_page_index_locations(false).finish()?;
    Ok(bytes)
}

/// Lets a writer believe that `at` bytes are behind it: its offsets count from there.
fn pass(out: &mut impl std::io::Write, at: u64) -> Result<(), ParquetError> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut left = at;
    while left > 0 {
        let piece = left.min(ZEROS.len() as u64);
        out.write_all(&ZEROS[..piece as usize])?;
        left -= piece;
    }
    Ok(())
}

/// Keeps what is written, but for the first bytes.
struct Behind<'b> {
    left: u64,
    bytes: &'b mut Vec<u8>,
}

impl std::io::Write for Behind<'_> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let dropped = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= dropped as u64;
        self.bytes.extend_from_slice(&buf[dropped..]);
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
