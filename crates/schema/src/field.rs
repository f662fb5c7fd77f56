//! The physical columns of a table.
//!
//! In comes a [`TableSchema`]; out goes the tree of fields, in file order, with helper columns and fixed columns in
//! their places. Names are exact; a field knows nothing of Arrow, Parquet or an engine.

use std::fmt;

use crate::annotations::Annotations;
use crate::element_table::{Member, MemberKind, Primitive};
use crate::table_schema::{Group, TableSchema};

/// A column or a field of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The exact JSON name, or `__…` for helper and fixed columns.
    pub name: String,
    /// Only `resourceType` is; everything else may be null.
    pub required: bool,
    /// A 3-level Parquet LIST of nullable elements.
    pub list: bool,
    /// The column's type; of the element, if it is a list.
    pub node: FieldNode,
}

/// What a field, or each element of its list, is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldNode {
    /// An optional group of at least one field.
    Group(Vec<Field>),
    /// One Parquet leaf.
    Leaf(LeafType),
    /// MAP<STRING, STRING>: `__extra`.
    Map,
}

/// The Parquet types in use ("Types" of the lake schema).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafType {
    /// BOOLEAN
    Boolean,
    /// INT32, signed
    Int32,
    /// INT64, signed
    Int64,
    /// `BYTE_ARRAY` of UTF-8 text
    String,
    /// `BYTE_ARRAY`
    Binary,
    /// DECIMAL(38,6)
    Decimal,
    /// TIMESTAMP, microseconds, adjusted to UTC
    Timestamp,
}

/// The whole tree: `resourceType`, the members in definition order with their annotations, then the fixed columns.
pub(crate) fn fields(schema: &TableSchema) -> Vec<Field> {
    let mut fields = vec![Field { required: true, ..leaf("resourceType", LeafType::String) }];
    push_members(schema, schema.root(), &mut fields);
    fields.extend(trailing(schema.keep_json()));
    fields
}

/// How many leaves the fixed columns behind the members have.
pub(crate) fn trailing_leaves(keep_json: bool) -> usize {
    let extra_leaves = 2;
    trailing(keep_json).count() - 1 + extra_leaves
}

/// The helper columns behind a member of the type `owner`: whole names and types.
pub(crate) fn annotation_leaves(
    owner: &str,
    member: &Member,
    annotations: Annotations,
) -> impl Iterator<Item = (String, LeafType)> + use<> {
    let kinds: &[(&str, LeafType)] = match member.kind {
        MemberKind::Primitive(Primitive::Decimal) if annotations.numeric => &[("numeric", LeafType::Decimal)],
        MemberKind::Primitive(Primitive::DateTime) if annotations.dates => {
            &[("start", LeafType::Timestamp), ("end", LeafType::Timestamp)]
        }
        _ if annotations.references && owner == "Reference" && member.name == "reference" => {
            &[("type", LeafType::String), ("id", LeafType::String)]
        }
        _ => &[],
    };
    let name = member.name.clone();
    kinds.iter().map(move |(kind, leaf)| (format!("__{name}_{kind}"), *leaf))
}

fn push_members(schema: &TableSchema, group: &Group, fields: &mut Vec<Field>) {
    let object = schema.table().object(group.type_id);
    for present in &group.members {
        let member = &object.members[usize::from(present.member)];
        let node = match (&present.group, member.kind) {
            (Some(child), _) => {
                let mut children = Vec::new();
                push_members(schema, child, &mut children);
                FieldNode::Group(children)
            }
            (None, MemberKind::Primitive(primitive)) => FieldNode::Leaf(LeafType::from(primitive)),
            (None, _) => FieldNode::Leaf(LeafType::String),
        };
        fields.push(Field { name: member.name.clone(), required: false, list: member.list, node });
        for (name, leaf_type) in annotation_leaves(&object.name, member, schema.annotations()) {
            fields.push(Field { list: member.list, ..leaf(&name, leaf_type) });
        }
    }
}

/// Where the row came from, its text if kept, and what has no typed place.
fn trailing(keep_json: bool) -> impl Iterator<Item = Field> {
    let provenance =
        [leaf("__run", LeafType::String), leaf("__output_file", LeafType::String), leaf("__line", LeafType::Int64)];
    let json = keep_json.then(|| leaf("__json", LeafType::String));
    let extra = Field { name: "__extra".to_owned(), required: false, list: false, node: FieldNode::Map };
    provenance.into_iter().chain(json).chain([extra])
}

fn leaf(name: &str, leaf_type: LeafType) -> Field {
    Field { name: name.to_owned(), required: false, list: false, node: FieldNode::Leaf(leaf_type) }
}

impl From<Primitive> for LeafType {
    fn from(primitive: Primitive) -> Self {
        match primitive {
            Primitive::Boolean => LeafType::Boolean,
            Primitive::Integer => LeafType::Int32,
            Primitive::Base64Binary => LeafType::Binary,
            // The exact text: a number's digits and a date's precision are part of the value.
            Primitive::Decimal | Primitive::DateTime | Primitive::Xhtml | Primitive::String => LeafType::String,
        }
    }
}

/// As the schema file spells it.
impl fmt::Display for LeafType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeafType::Boolean => "BOOLEAN",
            LeafType::Int32 => "INT32",
            LeafType::Int64 => "INT64",
            LeafType::String => "STRING",
            LeafType::Binary => "BINARY",
            LeafType::Decimal => "DECIMAL(38,6)",
            LeafType::Timestamp => "TIMESTAMP(MICROS,UTC)",
        })
    }
}

/// As the schema file spells it; a group's fields are spelled apart.
impl fmt::Display for FieldNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldNode::Group(_) => f.write_str("GROUP"),
            FieldNode::Leaf(leaf_type) => leaf_type.fmt(f),
            FieldNode::Map => f.write_str("MAP<STRING,STRING>"),
        }
    }
}
