//! Table definitions for engines, of a small type that has every kind of column.

use lakehaul_schema::{
    ElementTable, Format, MemberKind, TableSchema, athena_ddl, athena_deleted_ddl, bigquery_ddl, bigquery_deleted_ddl,
    duckdb_current_view, duckdb_deleted_view, duckdb_view, spark_ddl, spark_deleted_ddl, trino_ddl, trino_deleted_ddl,
};

/// Linkage with decimals in lists, an extension of a primitive, and raw resources.
fn linkage(annotations: &str) -> TableSchema {
    let table = ElementTable::r4();
    let annotations = annotations.parse().expect("kinds of annotations");
    let mut schema = TableSchema::core(table, "Linkage", annotations, false).expect("a resource type");
    for names in ["contained", "item.extension.valueDecimal", "item._type.extension.url", "extension.valueBase64Binary"]
    {
        let mut object = table.object(schema.root().type_id);
        let mut path = Vec::new();
        for name in names.split('.') {
            let index = object.position(name).expect("a member");
            path.push(index);
            if let MemberKind::Object(id) = object.members[usize::from(index)].kind {
                object = table.object(id);
            }
        }
        assert!(schema.insert(&path), "{names}");
    }
    schema
}

#[test]
fn spark() {
    insta::assert_snapshot!(spark_ddl(&linkage("numeric,dates"), "s3a://lake/Linkage/", Format::Parquet));
}

#[test]
fn athena() {
    insta::assert_snapshot!(athena_ddl(&linkage("numeric,dates"), "s3://lake/Linkage", Format::Parquet));
}

#[test]
fn trino() {
    insta::assert_snapshot!(trino_ddl(&linkage("numeric,dates"), "s3://lake/Linkage/", Format::Parquet));
}

#[test]
fn bigquery() {
    insta::assert_snapshot!(bigquery_ddl(&linkage("numeric,dates"), "gs://lake/Linkage", Format::Parquet));
}

#[test]
fn duckdb() {
    insta::assert_snapshot!(duckdb_view(&linkage("numeric,dates"), "lake/Linkage", Format::Parquet));
}

#[test]
fn duckdb_current() {
    insta::assert_snapshot!(duckdb_current_view(
        &linkage("numeric,dates"),
        "lake/Linkage",
        Format::Parquet,
        Some("deleted_resources")
    ));
}

#[test]
fn deletions() {
    let statements = [
        spark_deleted_ddl("s3a://lake/deleted_resources", Format::Parquet),
        athena_deleted_ddl("s3://lake/deleted_resources", Format::Parquet),
        trino_deleted_ddl("s3://lake/deleted_resources", Format::Parquet),
        bigquery_deleted_ddl("gs://lake/deleted_resources", Format::Parquet),
        duckdb_deleted_view("lake/deleted_resources/", Format::Parquet),
    ];
    insta::assert_snapshot!(statements.join("\n"));
}

#[test]
fn tables_that_have_logs_say_their_columns_themselves() {
    let schema = linkage("none");
    let view = duckdb_view(&schema, "lake/Linkage/", Format::Delta);
    let all = [
        spark_ddl(&schema, "s3a://lake/Linkage/", Format::Delta),
        athena_ddl(&schema, "s3://lake/Linkage", Format::Delta),
        trino_ddl(&schema, "s3://lake/Linkage", Format::Delta),
        bigquery_ddl(&schema, "gs://lake/Linkage", Format::Delta),
        format!("…{}", view.split_once("FROM ").expect("it is from a table").1),
        spark_deleted_ddl("lake/deleted_resources", Format::Delta),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_current_view_needs_neither_annotations_nor_deletions() {
    let view = duckdb_current_view(&linkage("none"), "lake/Linkage", Format::Parquet, None);
    assert!(view.contains("TRY_CAST(resource.\"meta\".\"lastUpdated\" AS TIMESTAMPTZ) DESC NULLS LAST"), "{view}");
    assert!(!view.contains("EXISTS"), "{view}");
}

/// A location may hold what ends a string; it stays a string.
#[test]
fn locations_are_escaped() {
    let schema = linkage("none");
    let location = "/la'ke\\x/";
    for (statement, literal) in [
        (spark_ddl(&schema, location, Format::Parquet), r"LOCATION '/la\'ke\\x';"),
        (athena_ddl(&schema, location, Format::Parquet), r"LOCATION '/la\'ke\\x/';"),
        (trino_ddl(&schema, location, Format::Parquet), r"external_location = '/la''ke\x'"),
        (bigquery_ddl(&schema, location, Format::Parquet), r"uris = ['/la\'ke\\x/*.parquet']"),
        (
            duckdb_view(&schema, location, Format::Parquet),
            r"read_parquet('/la''ke\x/*.parquet', union_by_name = true);",
        ),
    ] {
        assert!(statement.contains(literal), "{statement}");
        assert!(statement.ends_with(";\n"));
    }
}
