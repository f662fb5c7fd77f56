//! The table of deletions, which is the same in every lake. In comes where its files are; out goes its definition in each
//! dialect. `duckdb_current_view` reads it.

use super::duckdb::all_rows;
use super::{athena, bigquery, spark, trino};
use crate::Format;
use crate::field::{Field, FieldNode, LeafType};

/// The table's name, and its folder's: it is no resource type, so that none can be confused with it.
pub const DELETED_RESOURCES: &str = "deleted_resources";

/// One row a resource that an export reports as deleted: its type and id, the manifest's `transactionTime`, the run.
fn fields() -> Vec<Field> {
    ["resourceType", "id", "transactionTime", "__run"]
        .map(|name| Field {
            name: name.to_owned(),
            required: name != "transactionTime",
            list: false,
            node: FieldNode::Leaf(LeafType::String),
        })
        .to_vec()
}

/// As [`spark_ddl`](crate::spark_ddl).
pub fn spark_deleted_ddl(location: &str, format: Format) -> String {
    spark::table(DELETED_RESOURCES, &fields(), location, format)
}

/// As [`athena_ddl`](crate::athena_ddl).
pub fn athena_deleted_ddl(location: &str, format: Format) -> String {
    athena::table(DELETED_RESOURCES, &fields(), location, format)
}

/// As [`trino_ddl`](crate::trino_ddl).
pub fn trino_deleted_ddl(location: &str, format: Format) -> String {
    trino::table(DELETED_RESOURCES, &fields(), location, format)
}

/// As [`bigquery_ddl`](crate::bigquery_ddl).
pub fn bigquery_deleted_ddl(location: &str, format: Format) -> String {
    bigquery::table(DELETED_RESOURCES, &fields(), location, format)
}

/// As [`duckdb_view`](crate::duckdb_view).
pub fn duckdb_deleted_view(location: &str, format: Format) -> String {
    all_rows(DELETED_RESOURCES, &fields(), location, format)
}
