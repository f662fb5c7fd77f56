//! Trino. In comes a schema; out goes a table over its files, in the session's catalog and schema. It never copies a row.

use super::{Dialect, folder, literal, quoted};
use crate::Format;
use crate::field::{Field, LeafType};
use crate::table_schema::TableSchema;

const TRINO: Dialect = Dialect {
    leaf,
    identifier: quoted,
    list: ["ARRAY(", ")"],
    group: ["ROW(", ")"],
    field_separator: " ",
    map: "MAP(VARCHAR, VARCHAR)",
};

/// `CREATE TABLE … WITH (external_location = …)` in a catalog of the Hive connector, which finds columns by their names without
/// regard to case. A Delta table is made known to a catalog of the Delta Lake connector, whose log has its columns; the
/// procedure wants a schema's name, so it is `default`.
pub fn trino_ddl(schema: &TableSchema, location: &str, format: Format) -> String {
    table(schema.resource_type(), &schema.fields(), location, format)
}

pub(super) fn table(name: &str, fields: &[Field], location: &str, format: Format) -> String {
    let location = literal(folder(location));
    if format == Format::Delta {
        // Registered as it stands here, and looked for in small letters.
        let name = literal(&name.to_lowercase());
        return format!(
            "CALL system.register_table(\n  schema_name => 'default',\n  table_name => {name},\n  table_location => \
             {location}\n);\n"
        );
    }
    format!(
        "CREATE TABLE {} (\n{}\n)\nWITH (\n  format = 'PARQUET',\n  external_location = {location}\n);\n",
        quoted(name),
        TRINO.columns(fields),
    )
}

fn leaf(leaf_type: LeafType) -> &'static str {
    match leaf_type {
        LeafType::Boolean => "BOOLEAN",
        LeafType::Int32 => "INTEGER",
        LeafType::Int64 => "BIGINT",
        LeafType::String => "VARCHAR",
        LeafType::Binary => "VARBINARY",
        LeafType::Decimal => "DECIMAL(38, 6)",
        // With the catalog's precision (`hive.timestamp-precision`); any other is refused.
        LeafType::Timestamp => "TIMESTAMP",
    }
}
