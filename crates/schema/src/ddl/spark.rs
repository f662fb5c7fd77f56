//! Spark SQL. In comes a schema; out goes a table over its files. It never copies a row.

use super::{Dialect, backquoted, backslash_escaped, folder};
use crate::Format;
use crate::field::{Field, LeafType};
use crate::table_schema::TableSchema;

const SPARK: Dialect = Dialect { leaf, field_separator: ": ", map: "MAP<STRING, STRING>" };

/// `CREATE TABLE … USING PARQUET LOCATION …`: the columns are stated, so files that lack some read as null there,
/// which `spark.read.parquet` of the folder does only with `mergeSchema`. A Delta table's log has its columns.
pub fn spark_ddl(schema: &TableSchema, location: &str, format: Format) -> String {
    table(schema.resource_type(), &schema.fields(), location, format)
}

pub(super) fn table(name: &str, fields: &[Field], location: &str, format: Format) -> String {
    if format == Format::Delta {
        let (name, location) = (backquoted(name), backslash_escaped(folder(location)));
        return format!("CREATE TABLE {name}\nUSING DELTA\nLOCATION {location};\n");
    }
    format!(
        "CREATE TABLE {} (\n{}\n)\nUSING PARQUET\nLOCATION {};\n",
        backquoted(name),
        SPARK.columns(fields),
        backslash_escaped(folder(location)),
    )
}

fn leaf(leaf_type: LeafType) -> &'static str {
    match leaf_type {
        LeafType::Boolean => "BOOLEAN",
        LeafType::Int32 => "INT",
        LeafType::Int64 => "BIGINT",
        LeafType::String => "STRING",
        LeafType::Binary => "BINARY",
        LeafType::Decimal => "DECIMAL(38, 6)",
        LeafType::Timestamp => "TIMESTAMP",
    }
}
