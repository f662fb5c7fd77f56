//! Names that are hard to write, and tables that others made.

use std::sync::Arc;

use lakehaul_delta::{Change, DeltaErrorKind, DeltaTable, DeltaTables};
use lakehaul_write::store::{LocalStore, Store};
use tempfile::TempDir;

use crate::stores::Memory;
use crate::{commit_of, file_in};

fn table(memory: &Memory, folder: &str) -> DeltaTable {
    DeltaTables::new(Arc::new(memory.clone())).unwrap().table(folder)
}

#[test]
fn names_of_files_and_folders_come_back() {
    let lake = TempDir::new().unwrap();
    for folder in ["resource_type=Patient", "a b/100%/k=v", "a%20b", "ü#?", ""] {
        let table =
            DeltaTables::new(Arc::new(LocalStore::new(lake.path(), LocalStore::PRIVATE))).unwrap().table(folder);
        let files = ["part 1.parquet", "100%.parquet", "%41.parquet", "a=b/c+d.parquet", "é#?:.parquet"];
        let mut commit = commit_of(1, Change::Append, &[]);
        commit.adds = files.iter().map(|name| file_in(folder, name, 1)).collect();
        for file in &mut commit.adds {
            file.path = file.path.trim_start_matches('/').to_owned();
        }
        let mut expected: Vec<_> = commit.adds.iter().map(|file| file.path.clone()).collect();
        expected.sort();
        table.commit(&commit).unwrap();
        let mut found: Vec<_> = table.files(None).unwrap().into_iter().map(|file| file.path).collect();
        found.sort();
        assert_eq!(found, expected);
        let referenced: Vec<_> = table.referenced().unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(referenced, expected);
        let mut commit = commit_of(2, Change::Rearrange { removes: expected }, &[]);
        commit.adds = vec![file_in(folder, "all", 5)];
        commit.adds[0].path = commit.adds[0].path.trim_start_matches('/').to_owned();
        table.commit(&commit).unwrap();
        assert_eq!(table.files(None).unwrap().len(), 1);
    }
}

#[test]
fn a_file_of_another_folder_is_refused() {
    let mut commit = commit_of(1, Change::Append, &["a"]);
    commit.adds[0].path = "resource_type=Patients/a".to_owned();
    let error = table(&Memory::default(), "resource_type=Patient").commit(&commit).unwrap_err();
    assert_eq!(error.kind(), &DeltaErrorKind::Io(std::io::ErrorKind::InvalidInput));
}

/// A table's first commit, with this protocol, configuration and partition columns.
fn made_by_others(protocol: &str, configuration: &str, partitions: &str) -> Memory {
    let memory = Memory::default();
    let mapping = r#"{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"id"}"#;
    let column = format!(r#"{{"name":"id","type":"string","nullable":true,"metadata":{mapping}}}"#);
    let columns = format!(r#"{{"type":"struct","fields":[{column}]}}"#).replace('"', r#"\""#);
    let format = r#"{"provider":"parquet","options":{}}"#;
    let details = format!(r#""partitionColumns":[{partitions}],"configuration":{{{configuration}}},"createdTime":1"#);
    let metadata = format!(r#"{{"id":"x","format":{format},"schemaString":"{columns}",{details}}}"#);
    let log = format!("{{\"protocol\":{protocol}}}\n{{\"metaData\":{metadata}}}\n");
    memory.put("resource_type=Patient/_delta_log/00000000000000000000.json", log.as_bytes()).unwrap();
    memory
}

#[test]
fn a_table_with_what_cannot_be_written_is_unsupported() {
    let plain = r#"{"minReaderVersion":1,"minWriterVersion":2}"#;
    let unknown =
        r#"{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["tomorrow"],"writerFeatures":["tomorrow"]}"#;
    let mapped = r#"{"minReaderVersion":2,"minWriterVersion":5}"#;
    let mapping = r#""delta.columnMapping.mode":"name","delta.columnMapping.maxColumnId":"1""#;
    let checked = r#"{"minReaderVersion":1,"minWriterVersion":3}"#;
    let cases = [
        (unknown, "", "", "tomorrow"),
        (mapped, mapping, "", "other column names"),
        (plain, "", r#""id""#, "partition columns"),
        (checked, r#""delta.constraints.c":"id > 'a'""#, "", ""),
    ];
    for (protocol, configuration, partitions, why) in cases {
        let memory = made_by_others(protocol, configuration, partitions);
        let error = table(&memory, "resource_type=Patient").commit(&commit_of(1, Change::Append, &["a"])).unwrap_err();
        assert_eq!(error.kind(), &DeltaErrorKind::Unsupported, "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(memory.files().len(), 1);
    }
    let append_only = made_by_others(plain, r#""delta.appendOnly":"true""#, "");
    let table = table(&append_only, "resource_type=Patient");
    table.commit(&commit_of(1, Change::Append, &["a"])).unwrap();
    assert_eq!(table.commit(&commit_of(2, Change::Replace, &["b"])).unwrap_err().kind(), &DeltaErrorKind::Unsupported);
}

#[test]
fn a_tables_own_checkpoint_interval_counts() {
    let plain = r#"{"minReaderVersion":1,"minWriterVersion":2}"#;
    let memory = made_by_others(plain, r#""delta.checkpointInterval":"3""#, "");
    for number in 1..=3 {
        table(&memory, "resource_type=Patient").commit(&commit_of(number, Change::Append, &["a"])).unwrap();
    }
    assert!(memory.files().contains_key("resource_type=Patient/_delta_log/00000000000000000003.checkpoint.parquet"));
}

#[test]
fn a_broken_log_is_damaged_and_its_values_are_not_told() {
    let memory = Memory::default();
    let table = table(&memory, "resource_type=Patient");
    table.commit(&commit_of(1, Change::Append, &["a"])).unwrap();
    table.commit(&commit_of(2, Change::Append, &["b"])).unwrap();
    let path = "resource_type=Patient/_delta_log/00000000000000000001.json";
    let good = memory.text(path);
    memory.put(path, b"{\"add\": {\"path\": \"x\", \"secret: 4711").unwrap();
    for error in [table.files(None).unwrap_err(), table.referenced().unwrap_err()] {
        assert_eq!(error.kind(), &DeltaErrorKind::Damaged, "{error:?}");
        assert!(!error.to_string().contains("4711"), "{error}");
    }
    memory.put("resource_type=Patient/_delta_log/00000000000000000003.json", good.as_bytes()).unwrap();
    memory.remove(path).unwrap();
    let error = table.files(None).unwrap_err();
    assert_eq!(error.kind(), &DeltaErrorKind::Damaged, "{error:?}");
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn what_a_death_left_half_way_hinders_no_table() {
    let memory = Memory::default();
    memory.put("resource_type=Patient/_delta_log/.00000000000000000000.json.unfinished", b"{").unwrap();
    let table = table(&memory, "resource_type=Patient");
    assert_eq!(table.version().unwrap(), None);
    assert_eq!(table.commit(&commit_of(1, Change::Append, &["a"])).unwrap().version, 0);
}
