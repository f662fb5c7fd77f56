//! What a lake holds, so that two lakes can be told to be the same; and what every lake must be.
//!
//! In goes a lake's folder, out comes its [`Contents`]: the multiset of rows of each table, each with the output file and
//! line that it came from, the quarantine, outcomes and deletions, the schemas, and the figures of the run records. What
//! differs between two undisturbed runs is left out: names of runs, times, the parts' number and bytes, URLs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use lakehaul_delta::DeltaTables;
use lakehaul_load::{RunRecord, Silent};
use lakehaul_write::rebuild::PartReader;
use lakehaul_write::store::{LocalStore, Store};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

/// All that two lakes have in common if they are the same. Lists are sorted: no order is promised.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// By table: output file, line, resource.
    rows: BTreeMap<String, Vec<(String, u64, String)>>,
    /// A record of the index and the bytes of its line.
    quarantine: Vec<(String, Vec<u8>)>,
    outcomes: Vec<String>,
    deletions: Vec<String>,
    deleted_resources: Vec<String>,
    /// By type, the text.
    schemas: BTreeMap<String, String>,
    /// How many files are kept as they came.
    raw: usize,
    /// The run records' figures, problems and status.
    records: Vec<Value>,
}

impl Contents {
    /// What a lake holds in which no run is unfinished. It must be what its run records say, and nothing else may be in it.
    #[track_caller]
    pub(crate) fn of(lake: &Path) -> Contents {
        let name = lake.to_str().expect("the test's paths are text");
        let report = lakehaul_load::verify(name, &Silent).expect("the lake can be verified");
        assert_eq!(report.findings, []);
        let records = lakehaul_load::runs(name).expect("the lake has run records");
        nothing_else_is_there(lake, &records);
        let mut rows = BTreeMap::<String, Vec<_>>::new();
        for table in records.iter().flat_map(|record| &record.tables) {
            rows.entry(table.resource_type.clone()).or_default();
        }
        for (table, rows) in &mut rows {
            // What a reader finds; that it is what records name was seen to above.
            for part in parts(lake, table) {
                rows.extend(rows_of_part(lake, &part));
            }
            rows.sort();
            assert_eq!(cat(name, table), resources(rows), "cat and the rows of {table}");
        }
        let below = |folder: &str, ending: &str| {
            let files = records.iter().map(|record| lake.join(folder).join(format!("{}{ending}", record.run)));
            let mut lines: Vec<String> = files.flat_map(|path| lines(&path)).collect();
            lines.sort();
            lines
        };
        Contents {
            quarantine: quarantine(lake, &records),
            outcomes: below("_lake/outcomes", ".ndjson"),
            deletions: below("_lake/deletions", ".ndjson"),
            deleted_resources: deleted_resources(lake),
            schemas: schemas(lake),
            raw: files_below(&lake.join("_lake/raw")).len(),
            records: records.iter().map(figures).collect(),
            rows,
        }
    }

    /// Fails with the first difference; `told` says what was done to the lake.
    #[track_caller]
    pub(crate) fn is_the_same_as(&self, expected: &Contents, told: &str) {
        for (table, rows) in &expected.rows {
            let found = self.rows.get(table).map_or(&[][..], Vec::as_slice);
            let place = |row: &(String, u64, String)| format!("{} line {}: {}", row.0, row.1, row.2);
            same_list(rows, found, place, &format!("rows of {table} ({told})"));
        }
        let quarantined = |(index, bytes): &(String, Vec<u8>)| format!("{index} {}", String::from_utf8_lossy(bytes));
        same_list(&expected.quarantine, &self.quarantine, quarantined, &format!("the quarantine ({told})"));
        assert_eq!(self.records, expected.records, "the run records' figures ({told})");
        assert_eq!(self.schemas, expected.schemas, "schemas ({told})");
        assert!(self == expected, "outcomes, deletions or tables differ ({told}):\n{self:#?}\n{expected:#?}");
    }
}

/// Fails with what only one of two sorted lists has.
#[track_caller]
fn same_list<T: Ord>(expected: &[T], found: &[T], show: impl Fn(&T) -> String, what: &str) {
    if expected == found {
        return;
    }
    let counted = |list: &[T], item: &T| list.iter().filter(|other| *other == item).count();
    for item in expected.iter().chain(found) {
        let (wanted, had) = (counted(expected, item), counted(found, item));
        assert_eq!(had, wanted, "{what}: {} of {} are there; so often is\n{}", found.len(), expected.len(), show(item));
    }
}

/// The parts of a table as others see it: what its log says, or what is in its folder.
fn parts(lake: &Path, table: &str) -> Vec<String> {
    let in_folder = files_below(&lake.join(table));
    if !in_folder.iter().any(|file| is_log(file)) {
        return in_folder.into_iter().map(|part| format!("{table}/{part}")).collect();
    }
    let tables = DeltaTables::new(Arc::new(LocalStore::new(lake, LocalStore::PRIVATE))).expect("threads can be had");
    let files = tables.table(table).files(None).expect("the table can be read");
    files.into_iter().map(|file| file.path).collect()
}

fn is_log(path: &str) -> bool {
    path.split('/').any(|folder| folder == "_delta_log")
}

fn rows_of_part(lake: &Path, path: &str) -> Vec<(String, u64, String)> {
    let store = LocalStore::new(lake, LocalStore::PRIVATE);
    let mut reader = PartReader::open(path, store.open(path).expect("a part is there")).expect("a part can be read");
    let mut rows = Vec::new();
    let read = reader.for_each_row(&mut |row| {
        let json = String::from_utf8(row.json.to_vec()).expect("a resource is text");
        rows.push((row.output_file.to_owned(), row.line, json));
        Ok(())
    });
    read.expect("every row can be rebuilt");
    rows
}

fn resources(rows: &[(String, u64, String)]) -> Vec<String> {
    let mut resources: Vec<_> = rows.iter().map(|(_, _, json)| json.clone()).collect();
    resources.sort();
    resources
}

fn cat(lake: &str, table: &str) -> Vec<String> {
    let mut text = Vec::new();
    lakehaul_load::cat(lake, table, &mut text).expect("the table can be printed");
    let mut lines: Vec<_> = String::from_utf8(text).expect("NDJSON is text").lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A file's lines; none if it is not there.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

fn quarantine(lake: &Path, records: &[RunRecord]) -> Vec<(String, Vec<u8>)> {
    let mut rejects = Vec::new();
    for record in records.iter().filter(|record| record.totals.rejected > 0) {
        let folder = lake.join("_lake/quarantine").join(&record.run);
        let bytes = fs::read(folder.join("lines.ndjson")).expect("rejected lines are kept");
        let mut at = 0;
        for entry in lines(&folder.join("index.ndjson")) {
            let value: Value = serde_json::from_str(&entry).expect("the index is JSON");
            let length = value["length"].as_u64().expect("a length") as usize;
            assert_eq!(bytes[at + length], b'\n', "every rejected line ends with LF");
            rejects.push((entry, bytes[at..at + length].to_vec()));
            at += length + 1;
        }
        assert_eq!(at, bytes.len(), "the index names all rejected lines");
    }
    rejects.sort();
    rejects
}

/// The rows of the table of deletions, without the run's name.
fn deleted_resources(lake: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    for part in parts(lake, "deleted_resources") {
        let file = File::open(lake.join(part)).expect("a part is there");
        let reader = SerializedFileReader::new(file).expect("a part can be read");
        for row in reader.get_row_iter(None).expect("its rows can be read") {
            let row = row.expect("a row can be read");
            let columns = row.get_column_iter().filter(|(name, _)| *name != "__run");
            rows.push(columns.map(|(name, field)| format!("{name}={field}")).collect::<Vec<_>>().join(" "));
        }
    }
    rows.sort();
    rows
}

fn schemas(lake: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(lake.join("_lake")).expect("the lake has its own folder");
    let names = files.map(|file| file.expect("an entry").file_name().into_string().expect("a plain name"));
    let schemas = names.filter(|name| name.ends_with(".schema.json"));
    schemas
        .map(|name| {
            let text = fs::read_to_string(lake.join("_lake").join(&name)).expect("a schema is text");
            (name, text)
        })
        .collect()
}

/// What of a run record two runs over the same data have in common.
fn figures(record: &RunRecord) -> Value {
    let mut record = record.clone();
    record.output_files.sort_by(|one, other| one.name.cmp(&other.name));
    record.output_files.iter_mut().for_each(|file| file.url = None);
    for table in record.tables.iter_mut().chain(&mut record.deleted_resources) {
        table.files.clear();
        table.replaced.iter_mut().for_each(Vec::clear);
    }
    (record.totals.parts, record.totals.part_bytes) = (0, 0);
    if let Some(export) = &mut record.export {
        // It names the server's port.
        export.lineage.clear();
    }
    record.problems.sort_by_key(ToString::to_string);
    let mut figures = serde_json::to_value(&record).expect("a run record is JSON");
    let members = figures.as_object_mut().expect("a run record is an object");
    for own in ["run", "source", "started", "finished", "plan"] {
        members.remove(own);
    }
    figures
}

/// Every file is one that a run record names, or one of the few that each lake has.
#[track_caller]
fn nothing_else_is_there(lake: &Path, records: &[RunRecord]) {
    let mut known: BTreeSet<String> = ["_lake/lake.json", "_lake/lock"].map(str::to_owned).into();
    let compactions = lakehaul_load::compactions(lake.to_str().expect("the test's paths are text"));
    let compactions = compactions.expect("the records can be read");
    for record in records {
        let run = &record.run;
        known.insert(format!("_lake/runs/{run}.json"));
        for table in record.tables.iter().chain(&record.deleted_resources) {
            known.insert(format!("_lake/{}.schema.json", table.resource_type));
            known.extend(table.files.iter().map(|part| part.path.clone()));
        }
        for file in &record.output_files {
            let raw = format!("_lake/raw/{run}/{}", file.name);
            if let Ok(bytes) = fs::read(lake.join(&raw)) {
                assert_eq!(blake3::hash(&bytes).to_hex().as_str(), file.blake3, "{raw} is what came");
                known.insert(raw);
            }
        }
        if record.totals.rejected > 0 {
            known.extend(["index", "lines"].map(|name| format!("_lake/quarantine/{run}/{name}.ndjson")));
        }
        if record.totals.outcomes > 0 {
            known.insert(format!("_lake/outcomes/{run}.ndjson"));
        }
        if record.totals.deletions > 0 {
            known.insert(format!("_lake/deletions/{run}.ndjson"));
        }
    }
    for compaction in &compactions {
        known.insert(format!("_lake/compactions/{}.json", compaction.compaction));
        for (_, part) in compaction.parts() {
            // Of Delta tables it stays for earlier versions.
            let gone = part.replaces.iter().filter(|gone| !is_log_there(lake, &gone.part.path));
            gone.for_each(|gone| {
                known.remove(&gone.part.path);
            });
            known.insert(part.part.path.clone());
        }
    }
    let there = files_below(lake);
    let unknown: Vec<_> = there.iter().filter(|path| !known.contains(*path) && !is_log(path)).collect();
    assert!(unknown.is_empty(), "files that no run record names: {unknown:#?}");
    let staged = fs::read_dir(lake.join("_lake/staging")).into_iter().flatten().count();
    assert_eq!(staged, 0, "folders are left in _lake/staging");
}

/// Whether a part is in a Delta table's folder.
fn is_log_there(lake: &Path, part: &str) -> bool {
    part.rsplit_once('/').is_some_and(|(folder, _)| lake.join(folder).join("_delta_log").is_dir())
}

/// All files below a folder, relative to it.
pub(crate) fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(folder, "", &mut found);
    found
}

fn walk(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    // A folder may go while it is walked.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert(name);
        }
    }
}

/// What a reader finds who globs `*.parquet` outside `_lake` can be read, every row of it. How many files there are.
#[track_caller]
pub(crate) fn all_that_is_visible_is_whole(lake: &Path) -> usize {
    let mut files = 0;
    for path in files_below(lake) {
        if path.starts_with("_lake/") || !path.ends_with(".parquet") {
            continue;
        }
        files += 1;
        let rows = File::open(lake.join(&path)).map_err(|error| error.to_string()).and_then(rows_that_can_be_read);
        rows.unwrap_or_else(|error| panic!("a reader meets {path}, which cannot be read: {error}"));
    }
    files
}

fn rows_that_can_be_read(file: File) -> Result<u64, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    let promised = builder.metadata().file_metadata().num_rows() as u64;
    let mut rows = 0;
    for batch in builder.build().map_err(|error| error.to_string())? {
        rows += batch.map_err(|error| error.to_string())?.num_rows() as u64;
    }
    if rows == promised { Ok(rows) } else { Err(format!("it has {rows} rows, its footer says {promised}")) }
}
