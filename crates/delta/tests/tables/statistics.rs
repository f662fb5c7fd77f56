//! Statistics of real Parquet files, as they are made and as they stand in a log.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int32Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use lakehaul_delta::{AddedFile, Change, DeltaTables, stats};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::stores::Memory;
use crate::{FOLDER, commit_of, schema_of};

/// Writes batches as row groups of one file.
fn written(batches: &[RecordBatch]) -> (Bytes, ParquetMetaData) {
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder().set_statistics_truncate_length(Some(64)).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
    let bytes = Bytes::from(bytes);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    (bytes, metadata)
}

fn schema() -> SchemaRef {
    let period = Fields::from(vec![
        Field::new("start", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("note", DataType::Utf8, true),
    ]);
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    schema_of(&[
        ("id", DataType::Utf8),
        ("long", DataType::Utf8),
        ("tags", DataType::List(item)),
        ("period", DataType::Struct(period)),
        ("amount", DataType::Decimal128(38, 9)),
        ("small", DataType::Decimal128(9, 2)),
        ("active", DataType::Boolean),
        ("count", DataType::Int32),
        ("nothing", DataType::Utf8),
    ])
}

fn batch(shift: i64) -> RecordBatch {
    let schema = schema();
    let DataType::Struct(period) = schema.field(3).data_type() else { unreachable!() };
    let times =
        TimestampMicrosecondArray::from(vec![Some(1_704_067_200_000_001 + shift), None, Some(-1)]).with_timezone("UTC");
    let notes = StringArray::from(vec![Some("n"), None, Some("m")]);
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("x"), Some("y")]);
    tags.append_null();
    tags.append_value([None::<&str>]);
    let amount = Decimal128Array::from(vec![Some(12_345_678_901_234_567_890_123_456_789_012_345_678), Some(-1), None]);
    let small = Decimal128Array::from(vec![Some(150), Some(-5), Some(0)]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![format!("p{shift}"), "\"q\"\\ü".to_owned(), "a".to_owned()])),
        Arc::new(StringArray::from(vec!["z".repeat(100), "b".repeat(33), "c".to_owned()])),
        Arc::new(tags.finish()),
        Arc::new(StructArray::new(
            period.clone(),
            vec![Arc::new(times), Arc::new(notes)],
            Some(vec![true, false, true].into()),
        )),
        Arc::new(amount.with_precision_and_scale(38, 9).unwrap()),
        Arc::new(small.with_precision_and_scale(9, 2).unwrap()),
        Arc::new(BooleanArray::from(vec![Some(true), None, None])),
        Arc::new(Int32Array::from(vec![Some(7), Some(-7), None])),
        Arc::new(StringArray::from(vec![None::<&str>; 3])),
    ];
    RecordBatch::try_new(schema, columns).unwrap()
}

/// All that have statistics, and a list, which has none.
fn columns() -> Vec<String> {
    let names = ["id", "long", "tags", "period.start", "period.note", "amount", "small", "active", "count", "nothing"];
    names.map(str::to_owned).to_vec()
}

#[test]
fn a_footer_is_told_with_bounds_that_hold() {
    let (_, metadata) = written(&[batch(0), batch(3_000)]);
    let told = stats(&metadata, &schema(), &columns());
    // Text, because a decimal loses digits in a JSON number of a program.
    let long = format!(r#""long":"{}\u007f""#, "z".repeat(32)).replace("\\u007f", "\u{7f}");
    for part in [
        r#"{"numRecords":6,"#,
        r#""minValues":{"id":"\"q\"\\ü","#,
        &format!(r#""long":"{}","#, "b".repeat(32)),
        r#""period":{"start":"1969-12-31T23:59:59.999Z","note":"m"},"amount":-0.000000001,"small":-0.05,"count":-7}"#,
        &long,
        r#""period":{"start":"2024-01-01T00:00:00.004Z","note":"n"},"#,
        r#""amount":12345678901234567890123456789.012345678,"small":1.50,"count":7}"#,
        r#""nullCount":{"id":0,"long":0,"period":{"start":2,"note":2},"amount":2,"#,
        r#""small":0,"active":4,"count":2,"nothing":6}}"#,
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    serde_json::from_str::<Value>(&told).unwrap();
}

#[test]
fn the_named_columns_are_told_of_and_no_more() {
    let inner = Fields::from(vec![Field::new("x", DataType::Int32, true), Field::new("y", DataType::Int32, true)]);
    let tags = DataType::List(Arc::new(Field::new("item", DataType::Struct(inner.clone()), true)));
    let mut fields = vec![Field::new("s", DataType::Struct(inner.clone()), true), Field::new("l", tags, true)];
    fields.extend((0..40).map(|n| Field::new(format!("c{n}"), DataType::Int32, true)));
    let schema = Schema::new(fields);
    let columns = schema.fields().iter().map(|field| arrow::array::new_null_array(field.data_type(), 2)).collect();
    let (_, metadata) = written(&[RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap()]);
    let named = ["c39", "s.y", "l", "c40"].map(str::to_owned);
    let told: Value = serde_json::from_str(&stats(&metadata, &schema, &named)).unwrap();
    assert_eq!(told["nullCount"], json!({"s": {"y": 2}, "c39": 2}));
    assert_eq!((&told["minValues"], &told["maxValues"]), (&json!({}), &json!({})));
}

#[test]
fn a_log_has_them_digit_by_digit() {
    let memory = Memory::default();
    let (bytes, metadata) = written(&[batch(0)]);
    let told = stats(&metadata, &schema(), &columns());
    let mut commit = commit_of(1, Change::Append, &[]);
    commit.schema = schema();
    commit.statistics = columns();
    let path = format!("{FOLDER}/part.parquet");
    commit.adds = vec![AddedFile { path, bytes: bytes.len() as u64, modified_ms: 1, stats: told.clone() }];
    DeltaTables::new(Arc::new(memory.clone())).unwrap().table(FOLDER).commit(&commit).unwrap();
    let log = memory.text(&format!("{FOLDER}/_delta_log/00000000000000000000.json"));
    let action = |name| log.lines().find_map(|line| serde_json::from_str::<Value>(line).unwrap().get(name).cloned());
    let property = action("metaData").unwrap()["configuration"]["delta.dataSkippingStatsColumns"].clone();
    assert_eq!(property, "id,long,tags,period.start,period.note,amount,small,active,count,nothing");
    let add = action("add").unwrap();
    let logged = add["stats"].as_str().unwrap();
    for part in [
        r#""amount":12345678901234567890123456789.012345678"#,
        r#""start":"2024-01-01T00:00:00.001Z""#,
        r#""start":"1969-12-31T23:59:59.999Z""#,
        r#""numRecords":3"#,
        r#""nothing":3"#,
    ] {
        assert!(logged.contains(part) && told.contains(part), "{part} is not in {logged}");
    }
    assert_eq!(logged, told);
}

/// What comes with a column that is searched by is told in the commit that brings it, and the table says so from then on.
#[test]
fn a_column_that_comes_later_has_statistics_at_once() {
    let memory = Memory::default();
    let table = DeltaTables::new(Arc::new(memory.clone())).unwrap().table(FOLDER);
    table.commit(&commit_of(1, Change::Append, &["first.parquet"])).unwrap();
    let (bytes, metadata) = written(&[batch(0)]);
    let mut commit = commit_of(2, Change::Append, &[]);
    commit.schema = schema();
    commit.statistics = vec!["id".to_owned(), "period.start".to_owned()];
    let told = stats(&metadata, &schema(), &commit.statistics);
    let path = format!("{FOLDER}/part.parquet");
    commit.adds = vec![AddedFile { path, bytes: bytes.len() as u64, modified_ms: 1, stats: told.clone() }];
    table.commit(&commit).unwrap();
    let log = memory.text(&format!("{FOLDER}/_delta_log/00000000000000000001.json"));
    let actions: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = |pointer: &str| actions.iter().find_map(|action| action.pointer(pointer)).cloned();
    assert_eq!(found("/metaData/configuration/delta.dataSkippingStatsColumns").unwrap(), "id,period.start");
    assert_eq!(found("/add/stats").unwrap(), told.as_str());
    assert!(told.contains(r#""period":{"start":"#), "{told}");
}
