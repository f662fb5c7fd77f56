//! BigQuery. In comes a schema; out goes an external table over files in a bucket. It never loads a row.

use super::{Dialect, backquoted, backslash_escaped, folder};
use crate::Format;
use crate::field::{Field, LeafType};
use crate::table_schema::TableSchema;

/// A Parquet MAP reads as a repeated `key_value`, unless a table's options ask for another form.
const BIGQUERY: Dialect = Dialect {
    leaf,
    field_separator: " ",
    map: "STRUCT<`key_value` ARRAY<STRUCT<`key` STRING, `value` STRING>>>",
    ..Dialect::HIVE
};

/// `CREATE EXTERNAL TABLE … OPTIONS (format = 'PARQUET', …)`. With list inference a Parquet LIST is an ARRAY of its
/// elements; without, it is a struct `list` of structs `element`. Delta tables are read through a connection, the project's
/// default one, with the columns of their log.
pub fn bigquery_ddl(schema: &TableSchema, location: &str, format: Format) -> String {
    table(schema.resource_type(), &schema.fields(), location, format)
}

pub(super) fn table(name: &str, fields: &[Field], location: &str, format: Format) -> String {
    if format == Format::Delta {
        let (name, location) = (backquoted(name), backslash_escaped(folder(location)));
        return format!(
            "CREATE EXTERNAL TABLE {name}\nWITH CONNECTION DEFAULT\nOPTIONS (\n  format = 'DELTA_LAKE',\n  uris = [{location}]\n);\n"
        );
    }
    format!(
        "CREATE EXTERNAL TABLE {} (\n{}\n)\nOPTIONS (\n  format = 'PARQUET',\n  enable_list_inference = true,\n  \
         uris = [{}]\n);\n",
        backquoted(name),
        BIGQUERY.columns(fields),
        backslash_escaped(&format!("{}/*.parquet", folder(location))),
    )
}

fn leaf(leaf_type: LeafType) -> &'static str {
    match leaf_type {
        LeafType::Boolean => "BOOL",
        LeafType::Int32 | LeafType::Int64 => "INT64",
        LeafType::String => "STRING",
        LeafType::Binary => "BYTES",
        // NUMERIC has 29 digits before the point, this one needs 32.
        LeafType::Decimal => "BIGNUMERIC(38, 6)",
        LeafType::Timestamp => "TIMESTAMP",
    }
}
