//! The schema file of a table, `_lake/<Type>.schema.json`.
//!
//! Out goes the whole physical tree as JSON that people, diffs and DDL generators can read: one line a leaf. In comes
//! that text again; from it the present paths are rebuilt by name, so a file survives a new element table as long as the
//! table still has every path. Nothing is repaired: a column that does not fit is an error with its path.

use std::fmt::Write;

use serde::Deserialize;

use crate::element_table::{ElementTable, MemberKind, TypeId};
use crate::error::SchemaError;
use crate::field::{Field, FieldNode};
use crate::table_schema::TableSchema;

/// The version of the lake schema, in schema files and in Parquet footers.
pub const LAKE_SCHEMA: u32 = 1;

/// What is looked at first: a file of another version may have any other form.
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "lake.schema")]
    lake_schema: u32,
}

#[derive(Deserialize)]
struct SchemaFile {
    #[serde(rename = "fhir.version")]
    fhir_version: String,
    #[serde(rename = "fhir.resourceType")]
    resource_type: String,
    annotations: Vec<String>,
    keep_json: bool,
    columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default)]
    list: bool,
    #[serde(default)]
    fields: Vec<Column>,
}

impl TableSchema {
    /// The schema file's text: the same for equal schemas, ends with a line feed.
    pub fn to_json(&self) -> String {
        let annotations: Vec<_> = self.annotations().names().collect();
        let mut out = String::from("{\n");
        for (name, value) in [
            ("lake.schema", serde_json::json!(LAKE_SCHEMA)),
            ("fhir.version", self.table().fhir_version().into()),
            ("fhir.resourceType", self.resource_type().into()),
            ("element_table_sha256", self.table().sha256().into()),
            ("annotations", annotations.into()),
            ("keep_json", self.keep_json().into()),
        ] {
            push(&mut out, format_args!("  \"{name}\": {value},\n"));
        }
        out.push_str("  \"columns\": [");
        push_columns(&mut out, &self.fields(), 2);
        out.push_str("]\n}\n");
        out
    }

    /// Reads a schema file.
    ///
    /// # Errors
    /// If the text is not of this form or version, or a column is unknown, of another type, or a group without fields.
    /// Another `element_table_sha256` is no error by itself. Columns that follow from others (annotations, provenance)
    /// may be missing in the file; they are back in the result.
    pub fn from_json(table: &'static ElementTable, text: &str) -> Result<Self, SchemaError> {
        let Version { lake_schema } = serde_json::from_str(text)?;
        if lake_schema != LAKE_SCHEMA {
            return Err(SchemaError::Version { found: lake_schema, known: LAKE_SCHEMA });
        }
        let file: SchemaFile = serde_json::from_str(text)?;
        let known = table.fhir_version();
        if file.fhir_version != known {
            return Err(SchemaError::FhirVersion { found: file.fhir_version, known: known.to_owned() });
        }
        let annotations = match file.annotations.join(",") {
            kinds if kinds.is_empty() => "none".parse()?,
            kinds => kinds.parse()?,
        };
        let mut schema = Self::without_members(table, &file.resource_type, annotations, file.keep_json)
            .ok_or(SchemaError::ResourceType { name: file.resource_type })?;
        place_columns(&mut schema, &file.columns)?;
        check_columns(&file.columns, &schema.fields(), "")?;
        Ok(schema)
    }
}

/// Makes present what the columns name, below the group that the path leads to.
fn place_columns(schema: &mut TableSchema, columns: &[Column]) -> Result<(), SchemaError> {
    let root = schema.root().type_id;
    let mut paths = Vec::new();
    collect_paths(schema.table(), root, columns, "", &mut Vec::new(), &mut paths)?;
    for path in paths {
        schema.place(&path);
    }
    Ok(())
}

fn collect_paths(
    table: &ElementTable,
    type_id: TypeId,
    columns: &[Column],
    prefix: &str,
    path: &mut Vec<u16>,
    paths: &mut Vec<Vec<u16>>,
) -> Result<(), SchemaError> {
    let object = table.object(type_id);
    for column in columns.iter().filter(|column| !follows_from_others(column, prefix)) {
        let name = format!("{prefix}{}", column.name);
        let Some(index) = object.position(&column.name) else {
            return Err(SchemaError::UnknownColumn { path: name });
        };
        path.push(index);
        match object.members[usize::from(index)].kind {
            MemberKind::Object(_) if column.fields.is_empty() => return Err(SchemaError::EmptyGroup { path: name }),
            MemberKind::Object(child) => {
                collect_paths(table, child, &column.fields, &format!("{name}."), path, paths)?;
            }
            MemberKind::Primitive(_) | MemberKind::Resource => paths.push(path.clone()),
        }
        path.pop();
    }
    Ok(())
}

/// Whether a column is no member of the resource: `resourceType`, an annotation, one of the fixed last columns.
fn follows_from_others(column: &Column, prefix: &str) -> bool {
    column.name.starts_with("__") || (prefix.is_empty() && column.name == "resourceType")
}

/// Every column of the file must be a field of the rebuilt schema, and of its type.
fn check_columns(columns: &[Column], fields: &[Field], prefix: &str) -> Result<(), SchemaError> {
    for column in columns {
        let path = format!("{prefix}{}", column.name);
        let Some(field) = fields.iter().find(|field| field.name == column.name) else {
            return Err(SchemaError::UnknownColumn { path });
        };
        let found = spelled(&column.type_name, column.list);
        let expected = spelled(&field.node.to_string(), field.list);
        if found != expected {
            return Err(SchemaError::ColumnType { path, found, expected });
        }
        let children: &[Field] = if let FieldNode::Group(children) = &field.node { children } else { &[] };
        check_columns(&column.fields, children, &format!("{path}."))?;
    }
    Ok(())
}

fn spelled(type_name: &str, list: bool) -> String {
    if list { format!("list of {type_name}") } else { type_name.to_owned() }
}

/// The columns, each on lines of its own, without the bracket before and behind.
fn push_columns(out: &mut String, fields: &[Field], depth: usize) {
    let indent = "  ".repeat(depth);
    for (at, field) in fields.iter().enumerate() {
        let separator = if at == 0 { "" } else { "," };
        let name = serde_json::Value::from(field.name.as_str());
        push(out, format_args!("{separator}\n{indent}{{\"name\": {name}, \"type\": \"{}\"", field.node));
        if field.list {
            out.push_str(", \"list\": true");
        }
        if let FieldNode::Group(children) = &field.node {
            out.push_str(", \"fields\": [");
            push_columns(out, children, depth + 1);
            out.push(']');
        }
        out.push('}');
    }
    push(out, format_args!("\n{}", "  ".repeat(depth - 1)));
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String never fails");
}
