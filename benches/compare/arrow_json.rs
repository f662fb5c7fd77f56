//! The yardstick: NDJSON to Parquet as one would do it with arrow-json, schema from a sample, and `ArrowWriter`.
//!
//! Usage: `compare-arrow-json FOLDER OUT [THREADS]`. Each `.ndjson` file of the folder becomes one Parquet file (zstd
//! 1), the largest first, two files at a time; how many rows there are is printed. The schema is inferred from a file's first 1,000 lines: what comes later
//! and does not fit it is dropped or cut (`9.9463` in an integer column becomes `9`), so this is the fastest honest use
//! of the library, not a lossless one.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_json::ReaderBuilder;
use arrow_json::reader::infer_json_schema;
use lakehaul_benches::ndjson_files;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;

type Failure = Box<dyn Error + Send + Sync>;

const SAMPLED_LINES: usize = 1000;

/// arrow-json's default is 1,024.
const BATCH_ROWS: usize = 8192;

/// Far above the 8 KiB of a default `BufReader`: system calls then cost nothing.
const READ_BYTES: usize = 1 << 20;

#[expect(clippy::disallowed_methods, reason = "a program of its own, which takes its own arguments")]
#[expect(clippy::print_stdout, reason = "what it has found")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: compare-arrow-json FOLDER OUT [THREADS]".into());
    };
    let threads = rest.first().map_or(Ok(2), |text| text.parse())?;
    fs::create_dir_all(out)?;

    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let files = ndjson_files(Path::new(folder))?;
    // One file at a time per thread: rayon's splitting in halves would start the small ones early.
    let convert = |file: &PathBuf| convert(file, Path::new(out));
    let rows = pool.install(|| files.par_iter().with_max_len(1).map(convert).sum::<Result<i64, _>>())?;
    println!("rows {rows}");
    Ok(())
}

/// How many rows the file has.
fn convert(source: &Path, out: &Path) -> Result<i64, Failure> {
    let mut file = File::open(source)?;
    let (schema, _) = infer_json_schema(BufReader::new(&file), Some(SAMPLED_LINES))?;
    file.rewind()?;
    let schema = Arc::new(schema);
    let batches = ReaderBuilder::new(schema.clone())
        .with_batch_size(BATCH_ROWS)
        .build(BufReader::with_capacity(READ_BYTES, file))?;

    let name = source.file_name().ok_or("a file without a name")?;
    let target = File::create(out.join(name).with_extension("parquet"))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
    let mut writer = ArrowWriter::try_new(target, schema, Some(properties))?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    Ok(writer.close()?.file_metadata().num_rows())
}
