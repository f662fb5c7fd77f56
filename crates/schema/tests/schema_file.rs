//! The schema file: what it looks like, and what is said of one that does not fit.

use lakehaul_schema::{Annotations, ElementTable, SchemaError, TableSchema};

fn binary() -> TableSchema {
    TableSchema::core(ElementTable::r4(), "Binary", Annotations::default(), false).expect("a resource type")
}

fn read(text: &str) -> Result<TableSchema, SchemaError> {
    TableSchema::from_json(ElementTable::r4(), text)
}

/// A good file with a part replaced.
#[track_caller]
fn altered(from: &str, to: &str) -> String {
    let good = binary().to_json();
    assert!(good.contains(from), "{good}");
    good.replacen(from, to, 1)
}

#[test]
fn the_file_of_a_small_type() {
    let text = binary().to_json().replace(ElementTable::r4().sha256(), "(sha256)");
    insta::assert_snapshot!(text);
}

#[test]
fn settings_round_trip() {
    for annotations in ["none", "references", "numeric,dates,references"] {
        for keep_json in [false, true] {
            let table = ElementTable::r4();
            let schema = TableSchema::core(table, "Claim", annotations.parse().unwrap(), keep_json).unwrap();
            let again = read(&schema.to_json()).unwrap();
            assert_eq!(again, schema);
            assert_eq!(again.annotations().to_string(), annotations);
            assert_eq!(again.keep_json(), keep_json);
            assert_eq!(again.resource_type(), "Claim");
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let content_type = r#"{"name": "contentType", "type": "STRING"}"#;
    for (from, to, message) in [
        ("\"lake.schema\": 1", "\"lake.schema\": 2", "lake.schema is 2, this program knows 1"),
        ("4.0.1", "5.0.0", "it is of FHIR 5.0.0, not 4.0.1"),
        ("\"Binary\"", "\"Coding\"", "\"Coding\" is no resource type"),
        ("\"dates\"", "\"codes\"", "\"codes\" is no annotation: there are numeric, dates, references, or none"),
        (content_type, r#"{"name": "url", "type": "STRING"}"#, "column url is unknown"),
        ("\"versionId\"", "\"_versionid\"", "column meta._versionid is unknown"),
        ("\"__line\"", "\"__lines\"", "column __lines is unknown"),
        ("\"resourceType\"", "\"resourcetype\"", "column resourcetype is unknown"),
        ("INT64", "INT32", "column __line is INT32, it should be INT64"),
        (
            r#""name": "profile", "type": "STRING", "list": true"#,
            r#""name": "profile", "type": "STRING""#,
            "column meta.profile is STRING, it should be list of STRING",
        ),
        (
            content_type,
            r#"{"name": "contentType", "type": "GROUP", "fields": []}"#,
            "column contentType is GROUP, it should be STRING",
        ),
        (
            content_type,
            r#"{"name": "_contentType", "type": "GROUP", "fields": []}"#,
            "group _contentType has no fields",
        ),
        ("\"keep_json\": false", "\"keep_json\": 0", "it is no schema file"),
    ] {
        assert_eq!(read(&altered(from, to)).unwrap_err().to_string(), message, "{to}");
    }
    for text in ["", "{}", "[]", "null", r#"{"lake.schema": 1}"#, r#"{"lake.schema": "1"}"#] {
        assert!(matches!(read(text), Err(SchemaError::Json(_))), "{text}");
    }
}

/// A later program may have another element table; the file's own columns decide.
#[test]
fn another_element_table_is_tolerated_as_long_as_the_paths_are_known() {
    let sha256 = ElementTable::r4().sha256();
    assert_eq!(read(&altered(sha256, &"0".repeat(64))).unwrap(), binary());
}

#[test]
fn columns_that_follow_from_others_may_be_missing() {
    assert_eq!(read(&altered(r#"{"name": "__line", "type": "INT64"},"#, "")).unwrap(), binary());
    let narrower = read(&altered(r#"{"name": "contentType", "type": "STRING"},"#, "")).unwrap();
    assert!(binary().covers(&narrower) && !narrower.covers(&binary()));
}

#[test]
fn files_that_differ_in_an_annotation_setting_say_so() {
    let error = read(&altered("\"numeric\",\"dates\"", "\"numeric\"")).unwrap_err();
    assert_eq!(error.to_string(), "column meta.__lastUpdated_start is unknown");
}
