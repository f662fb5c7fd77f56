//! What each column is in JSON: a tree compiled once a row group from the element table and the columns that are read.
//!
//! The file says where a column is and how it is stored; the element table says what it means. Both must agree.

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use lakehaul_schema::{ElementTable, MemberKind, ObjectType, Primitive};

use super::fault::Fault;
use super::json_text::push_string;

/// How the slots of a column become JSON.
#[derive(Debug)]
pub(super) enum Shape {
    /// A string, quoted and escaped.
    Text,
    /// Text that is JSON already: a decimal's digits, a contained resource.
    Verbatim,
    Integer,
    Boolean,
    /// Bytes, as a string of RFC 4648 base64 with padding.
    Base64,
    Group(Vec<Child>),
    List(Box<Shape>),
}

/// A member of a group.
#[derive(Debug)]
pub(super) struct Child {
    /// Which of the group's arrays it is.
    pub(super) array: usize,
    /// The name as it stands in a JSON Pointer: FHIR names have nothing to escape.
    pub(super) name: String,
    /// `"name":`
    pub(super) label: Vec<u8>,
    pub(super) shape: Shape,
}

/// The shape of a resource; its first member is `resourceType`.
pub(super) fn resource_shape(
    table: &ElementTable,
    resource_type: &ObjectType,
    schema: &Schema,
) -> Result<Vec<Child>, Fault> {
    const RESOURCE_TYPE: &str = "resourceType";
    let position = schema.index_of(RESOURCE_TYPE).map_err(|_| Fault::FixedColumn(RESOURCE_TYPE))?;
    if *schema.field(position).data_type() != DataType::Utf8View {
        return Err(Fault::FixedColumn(RESOURCE_TYPE));
    }
    let mut children = vec![Child::new(position, RESOURCE_TYPE, Shape::Text)];
    let members = schema.fields().iter().enumerate().filter(|(array, _)| *array != position);
    push_children(table, resource_type, members, "", &mut children)?;
    Ok(children)
}

/// The same schema with the string and binary types that borrow from the pages instead of copying; a dictionary's value
/// is then in memory once, however many rows have it.
pub(super) fn with_views(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(field_with_views).collect::<Fields>())
}

fn field_with_views(field: &FieldRef) -> Field {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field_with_views).collect()),
        DataType::List(element) => DataType::List(field_with_views(element).into()),
        DataType::Map(entries, sorted) => DataType::Map(field_with_views(entries).into(), *sorted),
        other => other.clone(),
    };
    field.as_ref().clone().with_data_type(data_type)
}

fn push_children<'f>(
    table: &ElementTable,
    object: &ObjectType,
    fields: impl Iterator<Item = (usize, &'f FieldRef)>,
    parent: &str,
    children: &mut Vec<Child>,
) -> Result<(), Fault> {
    for (array, field) in fields {
        let name = field.name();
        if name.starts_with("__") {
            continue;
        }
        let column = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
        let Some(member) = object.members.iter().find(|member| member.name == *name) else {
            return Err(Fault::UnknownColumn { column });
        };
        let shape = match (member.list, field.data_type()) {
            (true, DataType::List(element)) => {
                Shape::List(Box::new(slot_shape(table, member.kind, element.data_type(), &column)?))
            }
            (false, data_type) => slot_shape(table, member.kind, data_type, &column)?,
            (true, _) => return Err(Fault::ColumnType { column }),
        };
        children.push(Child::new(array, name, shape));
    }
    Ok(())
}

/// The map of types: what an element is, how it is stored, what it becomes.
fn slot_shape(table: &ElementTable, kind: MemberKind, stored: &DataType, column: &str) -> Result<Shape, Fault> {
    Ok(match (kind, stored) {
        (MemberKind::Primitive(Primitive::Boolean), DataType::Boolean) => Shape::Boolean,
        (MemberKind::Primitive(Primitive::Integer), DataType::Int32) => Shape::Integer,
        (MemberKind::Primitive(Primitive::Decimal), DataType::Utf8View) => Shape::Verbatim,
        (MemberKind::Primitive(Primitive::Base64Binary), DataType::BinaryView) => Shape::Base64,
        (MemberKind::Primitive(Primitive::DateTime | Primitive::Xhtml | Primitive::String), DataType::Utf8View) => {
            Shape::Text
        }
        (MemberKind::Resource, DataType::Utf8View) => Shape::Verbatim,
        (MemberKind::Object(type_id), DataType::Struct(fields)) => {
            let mut children = Vec::with_capacity(fields.len());
            push_children(table, table.object(type_id), fields.iter().enumerate(), column, &mut children)?;
            Shape::Group(children)
        }
        _ => return Err(Fault::ColumnType { column: column.to_owned() }),
    })
}

impl Child {
    fn new(array: usize, name: &str, shape: Shape) -> Self {
        let mut label = Vec::with_capacity(name.len() + 3);
        push_string(name, &mut label);
        label.push(b':');
        Self { array, name: name.to_owned(), label, shape }
    }
}
