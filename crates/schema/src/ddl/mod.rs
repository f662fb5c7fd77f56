//! Table definitions for query engines.
//!
//! In comes a [`crate::TableSchema`] and where its files are; out goes one statement in the engine's dialect. Pure
//! text: nothing is run, no file is looked at. One file a dialect states its types and syntax; what they share is here.
//! A statement ends with `;` and a line feed. Every identifier is quoted and every location escaped, so that neither
//! can end the statement early. A location is a folder, with or without a slash at its end; the files are the
//! `.parquet` in it.

mod spark;
mod athena;
mod trino;
mod bigquery;
mod duckdb;
mod deleted_resources;

use crate::field::{Field, FieldNode, LeafType};

pub use athena::athena_ddl;
pub use bigquery::bigquery_ddl;
pub use deleted_resources::{
    DELETED_RESOURCES, athena_deleted_ddl, bigquery_deleted_ddl, duckdb_deleted_view, spark_deleted_ddl,
    trino_deleted_ddl,
};
pub use duckdb::{duckdb_current_view, duckdb_view};
pub use spark::spark_ddl;
pub use trino::trino_ddl;

/// How an engine with types for lists and structs spells a column.
struct Dialect {
    leaf: fn(LeafType) -> &'static str,
    identifier: fn(&str) -> String,
    /// Around the type of an element.
    list: [&'static str; 2],
    /// Around a struct's fields.
    group: [&'static str; 2],
    /// Between the name and the type of a struct's field.
    field_separator: &'static str,
    map: &'static str,
}

impl Dialect {
    /// Spark's and Hive's forms, which others have taken over.
    const HIVE: Dialect = Dialect {
        leaf: hive_leaf,
        identifier: backquoted,
        list: ["ARRAY<", ">"],
        group: ["STRUCT<", ">"],
        field_separator: ":",
        map: "MAP<STRING, STRING>",
    };

    /// One line a column, in file order, without the parentheses around.
    fn columns(&self, fields: &[Field]) -> String {
        let column = |field: &Field| format!("  {} {}", (self.identifier)(&field.name), self.type_of(field));
        fields.iter().map(column).collect::<Vec<_>>().join(",\n")
    }

    fn type_of(&self, field: &Field) -> String {
        let element = match &field.node {
            FieldNode::Leaf(leaf_type) => (self.leaf)(*leaf_type).to_owned(),
            FieldNode::Map => self.map.to_owned(),
            FieldNode::Group(children) => {
                let child = |child: &Field| {
                    format!("{}{}{}", (self.identifier)(&child.name), self.field_separator, self.type_of(child))
                };
                self.group.join(&children.iter().map(child).collect::<Vec<_>>().join(", "))
            }
        };
        if field.list { self.list.join(&element) } else { element }
    }
}

fn hive_leaf(leaf_type: LeafType) -> &'static str {
    match leaf_type {
        LeafType::Boolean => "BOOLEAN",
        LeafType::Int32 => "INT",
        LeafType::Int64 => "BIGINT",
        LeafType::String => "STRING",
        LeafType::Binary => "BINARY",
        LeafType::Decimal => "DECIMAL(38,6)",
        LeafType::Timestamp => "TIMESTAMP",
    }
}

fn backquoted(identifier: &str) -> String {
    format!("`{}`", identifier.replace('`', "``"))
}

/// An identifier as the standard has it.
fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A string literal as the standard has it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A string literal of the dialects that escape with a backslash.
fn backslash_escaped(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The folder without slashes at its end.
fn folder(location: &str) -> &str {
    location.trim_end_matches('/')
}
