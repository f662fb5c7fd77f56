//! Columns that come later.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, SchemaRef, TimeUnit};
use lakehaul_delta::{Change, Commit, DeltaErrorKind, DeltaTable, DeltaTables};
use serde_json::Value;

use crate::stores::Memory;
use crate::{FOLDER, commit_of, schema_of};

fn list_of(fields: Vec<Field>) -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Struct(fields.into()), false)))
}

fn with(schema: SchemaRef, number: i64) -> Commit {
    Commit { schema, ..commit_of(number, Change::Append, &[&number.to_string()]) }
}

fn table(memory: &Memory) -> DeltaTable {
    DeltaTables::new(Arc::new(memory.clone())).unwrap().table(FOLDER)
}

/// The columns that a commit gave the table; None: it gave none.
fn columns(memory: &Memory, version: u64) -> Option<Value> {
    let log = memory.text(&format!("{FOLDER}/_delta_log/{version:020}.json"));
    let metadata =
        log.lines().find_map(|line| serde_json::from_str::<Value>(line).unwrap().get("metaData").cloned())?;
    Some(serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap())
}

#[test]
fn columns_come_with_the_rows_that_have_them() {
    let memory = Memory::default();
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let code = || text("code").with_metadata([("PARQUET:field_id".to_owned(), "7".to_owned())]);
    let first = schema_of(&[("id", DataType::Utf8), ("name", list_of(vec![code()]))]);
    table(&memory).commit(&with(first.clone(), 0)).unwrap();

    let entries = DataType::Struct(Fields::from(vec![text("key"), text("value")]));
    let map = DataType::Map(Arc::new(Field::new("entries", entries, false)), false);
    let second = schema_of(&[
        ("id", DataType::Utf8),
        ("name", list_of(vec![code(), Field::new("given", list_of(vec![text("x")]), true)])),
        ("at", DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))),
        ("amount", DataType::Decimal128(38, 9)),
        ("extension", map),
        ("active", DataType::Boolean),
        ("count", DataType::Int32),
        ("long", DataType::Int64),
    ]);
    assert_eq!(table(&memory).commit(&with(second.clone(), 1)).unwrap().version, 1);
    let grown = columns(&memory, 1).unwrap();
    let names: Vec<_> = grown["fields"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["id", "name", "at", "amount", "extension", "active", "count", "long"]);
    let element = &grown["fields"][1]["type"]["elementType"]["fields"];
    assert_eq!((&element[0]["name"], &element[1]["name"]), (&"code".into(), &"given".into()));
    assert_eq!(grown["fields"][2]["type"], "timestamp");
    assert_eq!(grown["fields"][3]["type"], "decimal(38,9)");
    assert!(!grown.to_string().contains(r#""nullable":false"#), "{grown}");
    assert!(!grown.to_string().contains("field_id"), "{grown}");

    // And nested once more; what is missing in what comes stays.
    let third = schema_of(&[("name", list_of(vec![Field::new("given", list_of(vec![text("x"), text("y")]), true)]))]);
    table(&memory).commit(&with(third, 2)).unwrap();
    let grown = columns(&memory, 2).unwrap();
    let given = &grown["fields"][1]["type"]["elementType"]["fields"][1]["type"]["elementType"]["fields"];
    assert_eq!((&given[0]["name"], &given[1]["name"]), (&"x".into(), &"y".into()));
    assert_eq!(grown["fields"].as_array().unwrap().len(), 8);

    // Nothing new: no new columns are written.
    for (number, schema) in [(3, first), (4, second)] {
        table(&memory).commit(&with(schema, number)).unwrap();
        assert_eq!(columns(&memory, number as u64), None);
    }
    assert_eq!(table(&memory).files(None).unwrap().len(), 5);
    for version in 0..5 {
        let log = memory.text(&format!("{FOLDER}/_delta_log/{version:020}.json"));
        assert_eq!(log.contains("protocol"), version == 0);
    }
}

#[test]
fn another_type_is_refused_by_the_name_of_its_column() {
    let memory = Memory::default();
    let nested = |kind| schema_of(&[("a", list_of(vec![Field::new("b", kind, true)]))]);
    table(&memory).commit(&with(nested(DataType::Int32), 0)).unwrap();
    let error = table(&memory).commit(&with(nested(DataType::Utf8), 1)).unwrap_err();
    assert_eq!(error.kind(), &DeltaErrorKind::Schema { path: "a.element.b".to_owned() });
    let expected = "the Delta table resource_type=Patient took no commit: the column a.element.b does not fit: \
                    it is integer in the table and string in what comes; \
                    load into another folder, or give the column its old type";
    assert_eq!(error.to_string(), expected);
    assert_eq!(table(&memory).version().unwrap(), Some(0));
    let local = schema_of(&[("t", DataType::Timestamp(TimeUnit::Microsecond, None))]);
    let error = table(&memory).commit(&with(local, 1)).unwrap_err();
    assert_eq!(error.kind(), &DeltaErrorKind::Schema { path: "t".to_owned() });
}
