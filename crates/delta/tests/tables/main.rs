//! Tables in lakes: in a folder, in memory, and in stores that fail.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails that must not")]

mod commits;
mod failures;
mod growth;
mod layout;
mod statistics;
mod stores;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lakehaul_delta::{AddedFile, Change, Commit, DeltaTable};

/// Where most tables of these tests are.
const FOLDER: &str = "resource_type=Patient";

fn schema_of(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>()))
}

fn id_only() -> SchemaRef {
    schema_of(&[("id", DataType::Utf8)])
}

fn file_in(folder: &str, name: &str, rows: u64) -> AddedFile {
    let stats =
        format!(r#"{{"numRecords":{rows},"minValues":{{"id":"a"}},"maxValues":{{"id":"z"}},"nullCount":{{"id":0}}}}"#);
    AddedFile { path: format!("{folder}/{name}"), bytes: 10 * rows, modified_ms: 1_700_000_000_000, stats }
}

fn commit_of(number: i64, change: Change, names: &[&str]) -> Commit {
    Commit {
        app_id: "lakehaul".to_owned(),
        app_version: number,
        adds: names.iter().map(|name| file_in(FOLDER, name, 3)).collect(),
        schema: id_only(),
        statistics: vec!["id".to_owned()],
        change,
        operation: "WRITE".to_owned(),
        run: format!("run-{number}"),
        now_ms: 1_700_000_000_000 + number,
    }
}

/// The names of a version's files, sorted.
fn names(table: &DeltaTable, version: Option<u64>) -> Vec<String> {
    let mut names: Vec<_> = table.files(version).unwrap().into_iter().map(|file| file.path).collect();
    names.sort();
    names.iter().map(|name| name.strip_prefix(FOLDER).unwrap().trim_start_matches('/').to_owned()).collect()
}
