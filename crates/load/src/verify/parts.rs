//! Parts against their records: bytes, rows, columns, and which line of which output file each row says it is.
//!
//! Every byte is hashed; of the columns, the three that say where a row came from are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::error::ArrowError;
use lakehaul_schema::{Field as TableField, FieldNode, TableSchema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::VerifyFinding;
use super::fault::Fault;
use super::lines::RunLines;
use super::stored::Stored;
use crate::cat::open_part;
use crate::current::CurrentPart;
use crate::lake::{Lake, schema_path};
use crate::{LoadError, PartRecord, RowsOfRun};

/// Where a row came from.
const RUN: &str = "__run";
const OUTPUT_FILE: &str = "__output_file";
const LINE: &str = "__line";

/// Rows read at a time: some hundred kilobytes of the three columns.
const BATCH_ROWS: usize = 8 << 10;

/// Length and hash of a file.
pub(super) fn check_bytes(lake: &Lake, path: &str, bytes: u64, blake3: &str) -> Result<Stored, Fault> {
    let file = Stored::open(&*lake.store, path)?;
    if file.len_bytes() != bytes {
        return Err(format!("it has {} bytes, the ledger says {bytes}", file.len_bytes()).into());
    }
    if file.blake3()? != blake3 {
        return Err("its bytes are not those that were written: the hash differs".into());
    }
    Ok(file)
}

/// Length, hash, row count and type of a part, and its rows' lines, which are added to `lines`; its leaves.
pub(super) fn check_part(
    lake: &Lake,
    resource_type: &str,
    CurrentPart { part, runs, .. }: &CurrentPart,
    lines: &BTreeMap<&str, RunLines<'_>>,
) -> Result<BTreeSet<String>, Fault> {
    let file = check_bytes(lake, &part.path, part.bytes, &part.blake3)?;
    let reader = open_part(lake, &part.path).map_err(|error| match error {
        LoadError::LakeUnreadable { source, .. } => source.into(),
        error => Fault::Finding(error.to_string()),
    })?;
    if reader.rows() != part.rows {
        return Err(format!("it has {} rows, the ledger says {}", reader.rows(), part.rows).into());
    }
    if reader.resource_type() != resource_type {
        return Err(format!("it is a part of {}, the ledger says {resource_type}", reader.resource_type()).into());
    }
    let leaves = reader.parquet_schema().columns().iter().map(|column| column.path().string()).collect();
    // In the order of `runs`.
    let lines: Vec<_> = runs.iter().map(|of_run| (of_run.run.as_str(), lines.get(of_run.run.as_str()))).collect();
    let origins = read_origins(&file, &lines)
        .map_err(|error| unread(&file, || format!("its columns cannot be read: {error}")))?;
    if origins.of_other_runs > 0 {
        return Err(format!("{} of its rows are of another run", origins.of_other_runs).into());
    }
    if origins.of_no_file > 0 {
        let of_no_file = origins.of_no_file;
        return Err(format!("{of_no_file} of its rows are of an output file that the run does not have").into());
    }
    check_rows_of_runs(runs, origins.of_runs)?;
    Ok(leaves)
}

/// The rows that a part has of each run, in the order of `runs`.
fn check_rows_of_runs(runs: &[RowsOfRun], found: impl IntoIterator<Item = u64>) -> Result<(), Fault> {
    match runs.iter().zip(found).find(|(of_run, rows)| of_run.rows != *rows) {
        None => Ok(()),
        Some((RowsOfRun { run, rows: told }, rows)) => {
            Err(format!("{rows} of its rows are of run {run}, the ledger says {told}").into())
        }
    }
}

/// Length, hash and row count of a part of the table of deletions, and the rows of each run.
pub(super) fn check_deleted(lake: &Lake, CurrentPart { part, runs, .. }: &CurrentPart) -> Result<(), Fault> {
    let file = check_bytes(lake, &part.path, part.bytes, &part.blake3)?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|error| unread(&file, || format!("it is no Parquet file: {error}")))?;
    let rows = metadata.metadata().file_metadata().num_rows();
    if u64::try_from(rows) != Ok(part.rows) {
        return Err(format!("it has {rows} rows, the ledger says {}", part.rows).into());
    }
    let mut found = count_runs(&file, metadata)
        .map_err(|error| unread(&file, || format!("its column {RUN} cannot be read: {error}")))?;
    check_rows_of_runs(runs, runs.iter().map(|of_run| found.remove(&of_run.run).unwrap_or(0)))?;
    match found.values().sum::<u64>() {
        0 => Ok(()),
        others => Err(format!("{others} of its rows are of another run").into()),
    }
}

/// How many rows name each run.
fn count_runs(file: &Stored, metadata: ArrowReaderMetadata) -> Result<BTreeMap<String, u64>, ParquetError> {
    let wanted = ProjectionMask::columns(metadata.parquet_schema(), [RUN]);
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata)
        .with_projection(wanted)
        .with_batch_size(BATCH_ROWS)
        .build()?;
    let mut counted = BTreeMap::new();
    for batch in batches {
        let batch = batch?;
        let column = batch.column_by_name(RUN).and_then(|column| column.as_string_opt::<i32>());
        let column = column.filter(|column| column.null_count() == 0);
        let names = column.ok_or_else(|| ParquetError::General("it is no text, or not always there".to_owned()))?;
        for name in names.iter().flatten() {
            match counted.get_mut(name) {
                Some(rows) => *rows += 1,
                None => {
                    counted.insert(name.to_owned(), 1);
                }
            }
        }
    }
    Ok(counted)
}

/// Why the parquet crate has not read on: its own reason, unless the store had one.
fn unread(file: &Stored, what: impl FnOnce() -> String) -> Fault {
    file.take_failure().map_or_else(|| Fault::Finding(what()), Fault::from)
}

/// Where a part's rows are from.
#[derive(Default)]
struct Origins {
    /// Rows of each run that the ledger names.
    of_runs: Vec<u64>,
    /// Rows that none of these can have written.
    of_other_runs: u64,
    of_no_file: u64,
}

/// A part's runs, each with its lines; none where the lake does not know it.
type Runs<'r> = [(&'r str, Option<&'r RunLines<'r>>)];

/// Reads where every row came from.
fn read_origins(file: &Stored, runs: &Runs<'_>) -> Result<Origins, ParquetError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let plain = ArrowReaderMetadata::load(file, options.clone())?;
    let options = options.with_schema(Arc::new(with_views(plain.schema())));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options)?;
    let wanted = ProjectionMask::columns(metadata.parquet_schema(), [RUN, OUTPUT_FILE, LINE]);
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata)
        .with_projection(wanted)
        .with_batch_size(BATCH_ROWS)
        .build()?;
    let mut origins = Origins { of_runs: vec![0; runs.len()], ..Origins::default() };
    for batch in batches {
        add_origins(&batch?, runs, &mut origins)?;
    }
    Ok(origins)
}

fn add_origins(batch: &RecordBatch, known: &Runs<'_>, origins: &mut Origins) -> Result<(), ArrowError> {
    let missing = |name: &str| ArrowError::SchemaError(format!("there is no fit column {name}"));
    let text = |name| -> Result<&StringViewArray, ArrowError> {
        let column = batch.column_by_name(name).and_then(|column| column.as_string_view_opt());
        column.filter(|column| column.null_count() == 0).ok_or_else(|| missing(name))
    };
    let numbers = batch.column_by_name(LINE).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let numbers = numbers.filter(|column| column.null_count() == 0).ok_or_else(|| missing(LINE))?;
    let (runs, names) = (text(RUN)?, text(OUTPUT_FILE)?);
    // Rows of one file follow each other, mostly.
    let mut at = 0;
    while at < batch.num_rows() {
        let (run, name) = (runs.value(at), names.value(at));
        let is_other = |&row: &usize| names.value(row) != name || runs.value(row) != run;
        let end = (at..batch.num_rows()).find(is_other).unwrap_or(batch.num_rows());
        let rows = (end - at) as u64;
        let which = known.iter().position(|(known, _)| *known == run);
        match which.and_then(|which| Some((which, known[which].1?))) {
            None => origins.of_other_runs += rows,
            Some((which, lines)) => {
                origins.of_runs[which] += rows;
                match lines.file(name) {
                    // A negative number is no line either.
                    Some(file) => {
                        file.add_rows(numbers.values()[at..end].iter().map(|&line| u64::try_from(line).unwrap_or(0)));
                    }
                    None => origins.of_no_file += rows,
                }
            }
        }
        at = end;
    }
    Ok(())
}

/// The schema with the texts that are looked at as views, which are not copied row by row.
fn with_views(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let text = [RUN, OUTPUT_FILE].contains(&field.name().as_str()) && *field.data_type() == DataType::Utf8;
        if text {
            Arc::new(Field::new(field.name(), DataType::Utf8View, field.is_nullable()))
        } else {
            Arc::clone(field)
        }
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// All parts of a table that a run has added have the same columns, and the schema file knows them.
pub(super) fn check_columns(
    parts: &[(&PartRecord, BTreeSet<String>)],
    known: Option<&BTreeSet<String>>,
    resource_type: &str,
) -> Vec<VerifyFinding> {
    let mut findings = Vec::new();
    let Some((_, first)) = parts.first() else { return findings };
    let mut tell = |path: &str, what: String| findings.push(VerifyFinding { path: path.to_owned(), what });
    match known {
        None => tell(&schema_path(resource_type), "it is missing".to_owned()),
        Some(known) => {
            for leaf in first.difference(known) {
                tell(&schema_path(resource_type), format!("it lacks the column {leaf}, which parts have"));
            }
        }
    }
    for (part, leaves) in &parts[1..] {
        let differing = first.symmetric_difference(leaves).count();
        if differing > 0 {
            tell(&part.path, format!("it differs in {differing} columns from the other parts of its run"));
        }
    }
    findings
}

/// The paths of a schema's Parquet leaves.
pub(super) fn leaves(schema: &TableSchema) -> BTreeSet<String> {
    let mut leaves = BTreeSet::new();
    add_leaves("", &schema.fields(), &mut leaves);
    leaves
}

fn add_leaves(prefix: &str, fields: &[TableField], leaves: &mut BTreeSet<String>) {
    for field in fields {
        let mut path = format!("{prefix}{}", field.name);
        if field.list {
            path.push_str(".list.element");
        }
        match &field.node {
            FieldNode::Group(fields) => add_leaves(&format!("{path}."), fields, leaves),
            FieldNode::Leaf(_) => {
                leaves.insert(path);
            }
            FieldNode::Map => leaves.extend(["key", "value"].map(|leaf| format!("{path}.key_value.{leaf}"))),
        }
    }
}
