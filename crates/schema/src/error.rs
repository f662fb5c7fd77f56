//! Why a schema file, an option or the element table was not understood. Names and paths only, never a resource's
//! content.

use thiserror::Error;

/// Why a schema file was not understood. Reads on from "failed to read the schema file: ".
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// No JSON, or a member is missing or of another type; the source says where.
    #[error("it is no schema file")]
    Json(#[from] serde_json::Error),
    /// Made by another version of the program.
    #[error("lake.schema is {found}, this program knows {known}")]
    Version {
        /// The file's `lake.schema`.
        found: u32,
        /// What this program writes.
        known: u32,
    },
    /// Of another FHIR version than the element table.
    #[error("it is of FHIR {found}, not {known}")]
    FhirVersion {
        /// The file's `fhir.version`.
        found: String,
        /// The element table's.
        known: String,
    },
    /// The element table has no such resource type.
    #[error("{name:?} is no resource type")]
    ResourceType {
        /// The file's `fhir.resourceType`.
        name: String,
    },
    /// A kind of annotation is not known.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// No element, no annotation that is on, and no fixed column has this path.
    #[error("column {path} is unknown")]
    UnknownColumn {
        /// The column's names from the root, joined by dots.
        path: String,
    },
    /// A column has another type or list-ness than its path says.
    #[error("column {path} is {found}, it should be {expected}")]
    ColumnType {
        /// The column's names from the root, joined by dots.
        path: String,
        /// As the file spells it.
        found: String,
        /// What the path says.
        expected: String,
    },
    /// A group without fields, which Parquet does not have.
    #[error("group {path} has no fields")]
    EmptyGroup {
        /// The group's names from the root, joined by dots.
        path: String,
    },
}

/// A name that is no kind of annotation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name:?} is no annotation: there are numeric, dates, references, or none")]
pub struct AnnotationError {
    /// What was given instead.
    pub name: String,
}

/// A row of the element table that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("line {line}: {fault}")]
pub(crate) struct TableError {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) fault: TableFault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum TableFault {
    #[error("not four columns")]
    Columns,
    #[error("the path has no dot")]
    Path,
    #[error("the maximum is neither 1 nor *")]
    Max,
    #[error("a type or content reference is not in the table")]
    UnknownType,
}
