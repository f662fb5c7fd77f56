//! The promise, and the body of the fuzz target `round_trip`: a resource that is loaded comes back.
//!
//! In come bytes, which make lines and settings; the lines are loaded by some workers in two runs into a store in
//! memory, settled, and read back, and again once each table's parts are joined into one. Each sound line must be there once, as the value it was: numbers by their text,
//! members in any order, strings that are no Unicode by their raw text. Each broken one must have been refused and left
//! nothing. The comparison has its own reader of JSON, which shares nothing with the loader's.

mod memory_store;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use lakehaul_parse::{Chunk, DirectCursor, Scratch, TapeCursor, TapeScratch};
use lakehaul_schema::{Annotations, TableSchema};
use lakehaul_write::rebuild::PartReader;
use lakehaul_write::store::Store;
use lakehaul_write::{AppendError, FileReceipt, JoinedPart, Origin, RunTables, TableOptions, TableSet};

use super::generator::{self, Choices, Line};
use memory_store::MemoryStore;
use value::Value;

/// As `--max-depth` has it by default.
const MAX_DEPTH: u32 = 100;

const RUNS: [&str; 2] = ["run-1", "run-2"];
const OUTPUT_FILE: &str = "there/and \"back\".ndjson";

/// Lines out of bytes, loaded with settings out of the same bytes.
pub(crate) fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let settings = Settings::new(&mut choices);
    check_lines(&settings, &generator::lines(&mut choices, 40));
}

/// How lines are loaded: what must make no difference.
#[derive(Debug)]
pub(crate) struct Settings {
    options: TableOptions,
    workers: usize,
    /// Of ten lines, how many the first run gets.
    first_run_tenths: usize,
    tape: bool,
}

impl Settings {
    pub(crate) fn new(choices: &mut Choices<'_>) -> Self {
        let options = TableOptions {
            annotations: Annotations {
                numeric: !choices.one_in(4),
                dates: !choices.one_in(4),
                references: choices.one_in(4),
            },
            keep_json: choices.one_in(4),
            row_group_rows: choices.pick(&[1000, 1, 2, 3, 7]),
            row_group_bytes: choices.pick(&[128 << 20, 1]),
            part_bytes: choices.pick(&[384 << 20, 1, 20_000]),
            builder_bytes: choices.pick(&[256 << 20, 0, 100_000]),
            compression_level: 1,
        };
        let tenths = choices.pick(&[10, 0, 3, 5, 9]);
        Self { options, workers: choices.pick(&[1, 2, 3]), first_run_tenths: tenths, tape: choices.one_in(2) }
    }
}

/// Loads, reads back, compares.
pub(crate) fn check_lines(settings: &Settings, lines: &[Line]) {
    let store = Arc::new(MemoryStore::default());
    let first = lines.len() * settings.first_run_tenths / 10;
    let (mut receipts, known) = load(settings, &store, RUNS[0], Vec::new(), lines, 0..first);
    check_parts(&store, |_| RUNS[0], &receipts, lines, 0..first);
    let (later, grown) = load(settings, &store, RUNS[1], known.clone(), lines, first..lines.len());
    check_parts(&store, |_| RUNS[1], &later, lines, first..lines.len());
    receipts.extend(later);
    let joined: Vec<FileReceipt> = grown.iter().map(|schema| join(&store, schema, &receipts)).collect();
    check_parts(&store, |line| RUNS[usize::from(line >= first)], &joined, lines, 0..lines.len());
    for schema in &known {
        let later = grown.iter().find(|later| later.resource_type() == schema.resource_type());
        assert!(later.is_some_and(|later| later.covers(schema)), "{} has lost columns", schema.resource_type());
    }
}

/// All parts of a table as one.
fn join(store: &MemoryStore, schema: &TableSchema, receipts: &[FileReceipt]) -> FileReceipt {
    let resource_type = schema.resource_type();
    let mut joined = JoinedPart::create(store, format!("{resource_type}/joined"), schema).expect("a part is begun");
    for receipt in receipts.iter().filter(|receipt| receipt.resource_type == resource_type) {
        joined.add(&receipt.path).expect("the part is sound");
    }
    joined.finish().expect("the store does not fail")
}

/// Loads some of the lines as one run. Returns its parts and the schemas after it.
fn load(
    settings: &Settings,
    store: &Arc<MemoryStore>,
    run: &str,
    known: Vec<TableSchema>,
    lines: &[Line],
    range: std::ops::Range<usize>,
) -> (Vec<FileReceipt>, Vec<TableSchema>) {
    let tables =
        RunTables::new(store.clone(), format!("_lake/staging/{run}"), run.to_owned(), settings.options.clone(), known);
    let mut parts = Vec::new();
    for worker in 0..settings.workers {
        let mut set = TableSet::new(tables.clone(), format!("w{worker}"));
        for number in range.clone().filter(|number| number * settings.workers / lines.len() == worker) {
            append(settings, &mut set, &lines[number], number);
        }
        parts.extend(set.finish().expect("the store does not fail").closed);
    }
    (tables.settle(parts).expect("the parts are sound"), tables.schemas())
}

fn append(settings: &Settings, set: &mut TableSet, line: &Line, number: usize) {
    let mut text = line.text.clone();
    text.push(b'\n');
    let chunk = Chunk::copy_of(&text);
    let framed = chunk.lines().next().expect("a line");
    let json = String::from_utf8_lossy(framed.bytes());
    let origin = Origin { output_file: OUTPUT_FILE, line: number as u64 + 1, json: &json };
    let appended = if settings.tape {
        let mut scratch = TapeScratch::new();
        TapeCursor::new(&framed, MAX_DEPTH, &mut scratch)
            .map_err(AppendError::from)
            .and_then(|mut cursor| set.append(&line.resource_type, &mut cursor, origin))
    } else {
        let mut scratch = Scratch::new();
        DirectCursor::new(&framed, MAX_DEPTH, &mut scratch)
            .map_err(AppendError::from)
            .and_then(|mut cursor| set.append(&line.resource_type, &mut cursor, origin))
    };
    match appended {
        Ok(()) => assert!(line.sound, "kept, but it is broken: {json}"),
        Err(AppendError::Reject(reject)) => assert!(!line.sound, "{reject}: {json}"),
        Err(error) => panic!("{error}: {json}"),
    }
}

/// Every sound line is in a part of its table, and nothing else is; all parts of a table have the same columns. `run_of`: the
/// run of a line.
fn check_parts(
    store: &MemoryStore,
    run_of: impl Fn(usize) -> &'static str,
    receipts: &[FileReceipt],
    lines: &[Line],
    range: std::ops::Range<usize>,
) {
    let mut missing: BTreeMap<usize, &Line> = range.map(|at| (at, &lines[at])).filter(|(_, line)| line.sound).collect();
    let mut columns = BTreeMap::new();
    for receipt in receipts {
        let file = store.open(&receipt.path).expect("a receipt's file is there");
        assert_eq!(file.len_bytes(), receipt.bytes);
        let mut reader = PartReader::open(&receipt.path, file).expect("a part");
        assert_eq!((reader.resource_type(), reader.rows()), (receipt.resource_type.as_str(), receipt.rows));
        let root = reader.parquet_schema().root_schema().clone();
        assert_eq!(columns.entry(&receipt.resource_type).or_insert_with(|| root.clone()), &root);

        let mut rows = 0;
        let read = reader.for_each_row(&mut |row| {
            rows += 1;
            let number = usize::try_from(row.line - 1).expect("a small number");
            assert_eq!((row.run, row.output_file), (run_of(number), OUTPUT_FILE));
            let line = missing.remove(&number).expect("a line of this run that was not there yet");
            assert_eq!(line.resource_type, receipt.resource_type);
            assert_same(&line.text, row.json);
            Ok(())
        });
        read.expect("the part is sound");
        assert_eq!(rows, receipt.rows);
    }
    let lost: Vec<_> = missing.keys().collect();
    assert!(lost.is_empty(), "lines {lost:?} are in no part");
}

#[track_caller]
pub(crate) fn assert_same(source: &[u8], rebuilt: &[u8]) {
    let legal = serde_json::from_slice::<&serde_json::value::RawValue>(rebuilt);
    assert!(legal.is_ok(), "{legal:?}: {}", String::from_utf8_lossy(rebuilt));
    if Value::read(source) != Value::read(rebuilt) {
        let (source, rebuilt) = (String::from_utf8_lossy(source), String::from_utf8_lossy(rebuilt));
        panic!("a resource came back altered\n source: {source}\nrebuilt: {rebuilt}");
    }
}
