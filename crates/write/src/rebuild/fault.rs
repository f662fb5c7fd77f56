//! What can be wrong with a part's content, told without the content.

use std::fmt;

/// Why a part cannot be turned back into resources; becomes the `why` of [`crate::WriteError::NotALakeFile`].
///
/// Paths are of columns (`name.given`) or of typed places in a row (`name/0`); a member name that only the data know is
/// never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The footer names no R4 resource type.
    ResourceType,
    /// A column that every part has is missing or has another type.
    FixedColumn(&'static str),
    /// The element table has no such element.
    UnknownColumn { column: String },
    /// The column's Parquet type is not the one that its element has.
    ColumnType { column: String },
    /// A column that must not be null is.
    Null { row: u64, column: &'static str },
    /// A pointer of `__extra` is not a JSON Pointer, or it stands there twice.
    Pointer { row: u64 },
    /// A pointer of `__extra` leads below `place`, where the row has no object, no such list slot, or a typed value.
    NoPlace { row: u64, place: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::ResourceType => write!(f, "its footer names no FHIR R4 resource type"),
            Fault::FixedColumn(column) => write!(f, "column {column} is missing or of another type"),
            Fault::UnknownColumn { column } => write!(f, "column {column} is no element of the resource type"),
            Fault::ColumnType { column } => write!(f, "column {column} does not have its element's type"),
            Fault::Null { row, column } => write!(f, "row {row}: column {column} is null"),
            Fault::Pointer { row } => write!(f, "row {row}: column __extra has a bad or repeated pointer"),
            Fault::NoPlace { row, place } => {
                let place = if place.is_empty() { "the resource" } else { place };
                write!(f, "row {row}: a pointer of column __extra has no place in {place}")
            }
        }
    }
}
