//! What columns a FHIR R4 resource type has.
//!
//! In comes the checked-in element table (path, types, cardinality) and, per resource type, which paths the data showed;
//! out goes a [`TableSchema`]: the Parquet columns, their types and order, the schema file, and DDL for query engines.
//! A column's type, list-ness and place follow from its path alone; the data only decide whether it is present. This
//! crate never sees a resource, a Parquet file or a network: it knows no other crate of the workspace.

#![forbid(unsafe_code)]

mod element_table;
mod element_rows;
mod table_schema;
mod core_columns;
mod annotations;
mod field;
mod searched_first;
mod format;
mod schema_file;
mod ddl;
mod error;

pub use annotations::Annotations;
pub use ddl::{
    DELETED_RESOURCES, athena_ddl, athena_deleted_ddl, bigquery_ddl, bigquery_deleted_ddl, duckdb_current_view,
    duckdb_deleted_view, duckdb_view, spark_ddl, spark_deleted_ddl, trino_ddl, trino_deleted_ddl,
};
pub use element_table::{ElementTable, Member, MemberKind, ObjectType, Primitive, TypeId};
pub use error::{AnnotationError, SchemaError};
pub use field::{Field, FieldNode, LeafType};
pub use format::Format;
pub use schema_file::LAKE_SCHEMA;
pub use table_schema::{Group, MAX_GROUPS, MAX_LEAVES, Present, TableSchema};
