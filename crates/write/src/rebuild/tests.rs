//! Hand-made parts: what their rows become, and what a damaged part is told as.

use std::io;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Int32Array, Int64Array, ListArray, MapArray,
    RecordBatch, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::PartReader;
use crate::store::StoreRead;

struct Memory(Bytes);

impl StoreRead for Memory {
    fn len_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let from = usize::try_from(offset).unwrap();
        if from + len > self.0.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.0.slice(from..from + len))
    }
}

type Column = (&'static str, ArrayRef);

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Lists of these lengths; `None` is a null list.
fn list(lengths: &[Option<usize>], slots: ArrayRef) -> ArrayRef {
    let element = Field::new("element", slots.data_type().clone(), true);
    let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
    let nulls = lengths.iter().map(Option::is_some).collect::<NullBuffer>();
    Arc::new(ListArray::new(element.into(), offsets, slots, Some(nulls)))
}

fn group(present: &[bool], children: Vec<Column>) -> ArrayRef {
    let (fields, arrays) = fields_of(children);
    Arc::new(StructArray::new(fields, arrays, Some(present.iter().copied().collect())))
}

fn fields_of(columns: Vec<Column>) -> (Fields, Vec<ArrayRef>) {
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    (fields, columns.into_iter().map(|(_, array)| array).collect())
}

/// `__extra` of these rows.
fn extra(rows: &[&[(&str, &str)]]) -> Column {
    let entries = rows.iter().copied().flatten();
    let keys = StringArray::from_iter_values(entries.clone().map(|(pointer, _)| pointer));
    let values = StringArray::from_iter_values(entries.map(|(_, raw)| raw));
    let fields =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
    let entries = StructArray::new(fields.clone(), vec![Arc::new(keys), Arc::new(values)], None);
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.len()));
    let nulls = rows.iter().map(|row| !row.is_empty()).collect::<NullBuffer>();
    let field = Field::new("key_value", DataType::Struct(fields), false);
    ("__extra", Arc::new(MapArray::new(field.into(), offsets, entries, Some(nulls), false)))
}

/// A part of these columns, the provenance added, in row groups of two rows.
fn part(resource_type: &str, mut columns: Vec<Column>) -> Result<PartReader, crate::WriteError> {
    let rows = columns[0].1.len();
    columns.push(("__run", texts(&vec![Some("run-1"); rows])));
    columns.push(("__output_file", texts(&vec![Some("a.ndjson"); rows])));
    columns.push(("__line", Arc::new(Int64Array::from_iter_values(1..=rows as i64))));
    columns.rotate_right(3);
    let (fields, arrays) = fields_of(columns);
    let batch = RecordBatch::try_new(Schema::new(fields).into(), arrays).unwrap();

    let resource_type = KeyValue::new("fhir.resourceType".to_owned(), resource_type.to_owned());
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![resource_type]))
        .set_max_row_group_row_count(Some(2))
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    PartReader::open("part-1.parquet", Box::new(Memory(file.into())))
}

fn rebuilt(resource_type: &str, columns: Vec<Column>) -> Result<Vec<String>, String> {
    let mut rows = Vec::new();
    let mut reader = part(resource_type, columns).map_err(|error| error.to_string())?;
    let read = reader.for_each_row(&mut |row| {
        rows.push(String::from_utf8(row.json.to_vec()).unwrap());
        assert_eq!((row.run, row.output_file, row.line), ("run-1", "a.ndjson", rows.len() as u64));
        Ok(())
    });
    read.map(|()| rows).map_err(|error| error.to_string())
}

#[track_caller]
fn check(resource_type: &str, columns: Vec<Column>, expected: &[&str]) {
    assert_eq!(rebuilt(resource_type, columns).unwrap(), expected);
}

#[track_caller]
fn check_fault(resource_type: &str, columns: Vec<Column>, expected: &str) {
    let error = rebuilt(resource_type, columns).unwrap_err();
    assert_eq!(error, format!("read part-1.parquet as a part of the lake: {expected}"));
}

#[test]
fn each_type_is_its_json() {
    let photo = group(&[true], vec![("data", Arc::new(BinaryArray::from_vec(vec![b"\x00\xff\x10"])))]);
    let extension = group(
        &[true, true],
        vec![
            ("url", texts(&[Some("a"), Some("b")])),
            ("valueDecimal", texts(&[Some("-0.50e+3"), Some("1234567890123456789012345678901234567890")])),
            ("__valueDecimal_numeric", Arc::new(Decimal128Array::from(vec![Some(-500), None]))),
        ],
    );
    let columns = vec![
        ("active", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])) as ArrayRef),
        ("resourceType", texts(&[Some("Patient"); 3])),
        ("id", texts(&[Some("1"), Some("a\"\\\n\u{0}\u{1f}\u{7f}é🜚"), None])),
        ("multipleBirthInteger", Arc::new(Int32Array::from(vec![Some(-2), Some(i32::MIN), None]))),
        ("birthDate", texts(&[Some("2024-02"), None, None])),
        ("photo", list(&[None, None, Some(1)], photo)),
        ("extension", list(&[Some(2), None, None], extension)),
        ("contained", list(&[Some(1), None, None], texts(&[Some("{ \"resourceType\":\"X\", \"n\":1.0 }")]))),
        extra(&[&[], &[], &[]]),
    ];
    check(
        "Patient",
        columns,
        &[
            concat!(
                r#"{"resourceType":"Patient","active":true,"id":"1","multipleBirthInteger":-2,"birthDate":"2024-02","#,
                r#""extension":[{"url":"a","valueDecimal":-0.50e+3},"#,
                r#"{"url":"b","valueDecimal":1234567890123456789012345678901234567890}],"#,
                r#""contained":[{ "resourceType":"X", "n":1.0 }]}"#
            ),
            concat!(
                r#"{"resourceType":"Patient","id":"a\"\\\n\u0000\u001f"#,
                "\u{7f}é🜚",
                r#"","multipleBirthInteger":-2147483648}"#
            ),
            r#"{"resourceType":"Patient","active":false,"photo":[{"data":"AP8Q"}]}"#,
        ],
    );
}

/// `name`, a list of lists and groups: row by row given names with their siblings.
fn names(extras: &[&[(&str, &str)]]) -> Vec<Column> {
    let given = list(&[Some(2), None, None, Some(1)], texts(&[Some("A"), None, None]));
    let sibling = list(&[None, None, Some(2), None], group(&[false, true], vec![("id", texts(&[None, Some("g")]))]));
    let family = texts(&[None, None, Some("F"), None]);
    let slots = group(&[true, false, true, true], vec![("family", family), ("given", given), ("_given", sibling)]);
    vec![
        ("resourceType", texts(&[Some("Patient"); 3])),
        ("id", texts(&[Some("1"), Some("2"), None])),
        ("name", list(&[Some(2), Some(1), Some(1)], slots)),
        ("maritalStatus", group(&[false, false, true], vec![("text", texts(&[None; 3]))])),
        extra(extras),
    ]
}

#[test]
fn nulls_stay_in_lists_and_vanish_elsewhere() {
    check(
        "Patient",
        names(&[&[], &[], &[]]),
        &[
            r#"{"resourceType":"Patient","id":"1","name":[{"given":["A",null]},null]}"#,
            r#"{"resourceType":"Patient","id":"2","name":[{"family":"F","_given":[null,{"id":"g"}]}]}"#,
            r#"{"resourceType":"Patient","name":[{"given":[null]}],"maritalStatus":{}}"#,
        ],
    );
}

#[test]
fn pointers_are_woven_in_at_every_level() {
    check(
        "Patient",
        names(&[
            &[("/name/1", "[ 7 ]"), ("/name/0/given/1", "1e400"), ("/name/0/text", "{}"), ("/name/0/period", "null")],
            &[("/", "0"), ("/é\"", "1"), ("/a~1b~0c~01", "2"), ("/name/0/_given/1/x y", "true"), ("/name-x", "[]")],
            &[("/maritalStatus/text", "\"\\ud800\""), ("/maritalStatus/coding", "[]"), ("/id", "5")],
        ]),
        &[
            concat!(
                r#"{"resourceType":"Patient","id":"1","#,
                r#""name":[{"given":["A",1e400],"period":null,"text":{}},[ 7 ]]}"#
            ),
            concat!(
                r#"{"resourceType":"Patient","id":"2","name":[{"family":"F","_given":[null,{"id":"g","x y":true}]}],"#,
                r#""":0,"a/b~c~1":2,"name-x":[],"é\"":1}"#
            ),
            concat!(
                r#"{"resourceType":"Patient","name":[{"given":[null]}],"#,
                r#""maritalStatus":{"coding":[],"text":"\ud800"},"id":5}"#
            ),
        ],
    );
}

#[test]
fn a_pointer_without_a_place_is_told() {
    for (pointers, expected) in [
        (&[("/name/2", "1")][..], "a pointer of column __extra has no place in name"),
        (&[("/name/00", "1")], "a pointer of column __extra has no place in name"),
        (&[("/name/1/secret", "1")], "a pointer of column __extra has no place in name/1"),
        (&[("/name/0", "1")], "a pointer of column __extra has no place in name/0"),
        (&[("/name/0/given/0", "1")], "a pointer of column __extra has no place in name/0/given/0"),
        (&[("/name", "1")], "a pointer of column __extra has no place in name"),
        (&[("/id", "1")], "a pointer of column __extra has no place in id"),
        (&[("/maritalStatus/secret", "1")], "a pointer of column __extra has no place in the resource"),
        (&[("/secret", "1"), ("/secret/a", "1")], "a pointer of column __extra has no place in the resource"),
        (&[("secret", "1")], "column __extra has a bad or repeated pointer"),
        (&[("", "1")], "column __extra has a bad or repeated pointer"),
        (&[("/a", "1"), ("/b", "1"), ("/a", "1")], "column __extra has a bad or repeated pointer"),
    ] {
        check_fault("Patient", names(&[pointers, &[], &[]]), &format!("row 0: {expected}"));
    }
}

#[test]
fn a_foreign_part_is_told() {
    let id = || ("id", texts(&[Some("1")]));
    let patient = || ("resourceType", texts(&[Some("Patient")]));
    let none = || extra(&[&[]]);
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    check_fault("Patience", vec![patient(), id(), none()], "its footer names no FHIR R4 resource type");
    check_fault("HumanName", vec![patient(), id(), none()], "its footer names no FHIR R4 resource type");
    check_fault("Patient", vec![id(), none()], "column resourceType is missing or of another type");
    check_fault("Patient", vec![patient(), id()], "column __extra is missing or of another type");
    let wrong: [(Column, &str); 4] = [
        (("colour", texts(&[Some("red")])), "column colour is no element of the resource type"),
        (("birthDate", numbers.clone()), "column birthDate does not have its element's type"),
        (("name", texts(&[Some("A")])), "column name does not have its element's type"),
        (
            ("maritalStatus", group(&[true], vec![("text", numbers)])),
            "column maritalStatus.text does not have its element's type",
        ),
    ];
    for (column, expected) in wrong {
        check_fault("Patient", vec![patient(), column, none()], expected);
    }
}

#[test]
fn a_file_that_is_no_parquet_is_told() {
    let error = PartReader::open("x", Box::new(Memory(Bytes::from_static(b"PAR1 but short")))).err().unwrap();
    assert!(matches!(error, crate::WriteError::Parquet { .. }), "{error}");
}
