//! arrow-json as one would use it: the schema from a file's first 1,000 lines. What comes later and does not fit is
//! dropped or cut, so this is the fastest honest use of the library, not a lossless one.

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_json::ReaderBuilder;
use arrow_json::reader::infer_json_schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;

use crate::ExportFile;

const SAMPLED_LINES: usize = 1000;
const BATCH_ROWS: usize = 8192;

/// Whether the library reads all of the files; where it does not, what it says to the first.
///
/// It refuses, for one, a `null` beside objects in an array, which FHIR has in `_given`.
pub fn refusal<'f>(files: impl IntoIterator<Item = &'f ExportFile>) -> Option<String> {
    files.into_iter().find_map(|file| {
        let text = || Cursor::new(&file.text);
        let schema = infer_json_schema(text(), Some(SAMPLED_LINES)).map(|(schema, _)| Arc::new(schema));
        let batches = schema.and_then(|schema| ReaderBuilder::new(schema).with_batch_size(BATCH_ROWS).build(text()));
        let refused = batches.and_then(|mut batches| batches.try_for_each(|batch| batch.map(drop)));
        refused.err().map(|error| format!("{}: {error}", file.resource_type))
    })
}

fn batches(file: &ExportFile) -> (arrow::datatypes::SchemaRef, impl Iterator<Item = RecordBatch>) {
    let (schema, _) = infer_json_schema(Cursor::new(&file.text), Some(SAMPLED_LINES)).expect("a schema");
    let schema = Arc::new(schema);
    let reader = ReaderBuilder::new(schema.clone()).with_batch_size(BATCH_ROWS).build(Cursor::new(&file.text));
    (schema, reader.expect("a reader").map(|batch| batch.expect("sound lines")))
}

/// Decodes every line into record batches; how many rows.
pub fn record_batches(file: &ExportFile) -> usize {
    batches(file).1.map(|batch| batch.num_rows()).sum()
}

/// Writes a Parquet file to `out`, zstd 1.
pub fn write(file: &ExportFile, out: impl Write + Send) {
    let (schema, batches) = batches(file);
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("a level of zstd"));
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let mut writer = ArrowWriter::try_new(out, schema, Some(properties)).expect("a writer");
    batches.for_each(|batch| writer.write(&batch).expect("a sound disk"));
    writer.close().expect("a sound disk");
}

/// Reads and writes each file of a folder, one a thread, in the pool it is called in.
pub fn load(source: &Path, out: &Path) {
    let entries = std::fs::read_dir(source).expect("a folder that can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder that can be read").path()).collect();
    paths.sort_by_key(|path| std::cmp::Reverse(path.metadata().map_or(0, |metadata| metadata.len())));
    paths.par_iter().with_max_len(1).for_each(|path| {
        let text = std::fs::read(path).expect("a file that can be read");
        let name = path.file_stem().expect("a file has a name");
        let out = std::fs::File::create(out.join(name)).expect("a folder that can be written");
        write(&ExportFile { resource_type: String::new(), text }, out);
    });
}
