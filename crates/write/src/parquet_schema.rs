//! A table's physical fields as a Parquet schema (LogicalTypes.md: LIST in three levels, MAP with `key_value`).

use std::sync::Arc;

use lakehaul_schema::{Field, FieldNode, LeafType, TableSchema};
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type, TypePtr};

/// A table schema with the Parquet schema that follows from it.
#[derive(Debug)]
pub(crate) struct CompiledSchema {
    pub(crate) table: TableSchema,
    pub(crate) columns: SchemaDescPtr,
}

impl CompiledSchema {
    pub(crate) fn new(table: TableSchema) -> Result<Self, ParquetError> {
        let fields = table.fields().iter().map(field).collect::<Result<_, _>>()?;
        let message = Arc::new(Type::group_type_builder("resource").with_fields(fields).build()?);
        let columns = Arc::new(SchemaDescriptor::new(message));
        Ok(CompiledSchema { table, columns })
    }
}

fn field(field: &Field) -> Result<TypePtr, ParquetError> {
    let repetition = if field.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    if !field.list {
        return node(&field.name, repetition, &field.node);
    }
    let element = node("element", Repetition::OPTIONAL, &field.node)?;
    let list =
        Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]).build()?;
    let column = Type::group_type_builder(&field.name)
        .with_repetition(repetition)
        .with_logical_type(Some(LogicalType::List))
        .with_converted_type(ConvertedType::LIST)
        .with_fields(vec![Arc::new(list)])
        .build()?;
    Ok(Arc::new(column))
}

fn node(name: &str, repetition: Repetition, node: &FieldNode) -> Result<TypePtr, ParquetError> {
    let group = Type::group_type_builder(name).with_repetition(repetition);
    let built = match node {
        FieldNode::Leaf(leaf_type) => return leaf(name, repetition, *leaf_type),
        FieldNode::Group(fields) => group.with_fields(fields.iter().map(field).collect::<Result<_, _>>()?).build()?,
        FieldNode::Map => {
            let key = leaf("key", Repetition::REQUIRED, LeafType::String)?;
            let value = leaf("value", Repetition::OPTIONAL, LeafType::String)?;
            let entries = Type::group_type_builder("key_value")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![key, value])
                .build()?;
            group
                .with_logical_type(Some(LogicalType::Map))
                .with_converted_type(ConvertedType::MAP)
                .with_fields(vec![Arc::new(entries)])
                .build()?
        }
    };
    Ok(Arc::new(built))
}

fn leaf(name: &str, repetition: Repetition, leaf_type: LeafType) -> Result<TypePtr, ParquetError> {
    let physical = match leaf_type {
        LeafType::Boolean => PhysicalType::BOOLEAN,
        LeafType::Int32 => PhysicalType::INT32,
        LeafType::Int64 | LeafType::Timestamp => PhysicalType::INT64,
        LeafType::String | LeafType::Binary => PhysicalType::BYTE_ARRAY,
        LeafType::Decimal => PhysicalType::FIXED_LEN_BYTE_ARRAY,
    };
    let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
    let builder = match leaf_type {
        LeafType::String => {
            builder.with_logical_type(Some(LogicalType::String)).with_converted_type(ConvertedType::UTF8)
        }
        LeafType::Timestamp => builder
            .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
            .with_converted_type(ConvertedType::TIMESTAMP_MICROS),
        LeafType::Decimal => builder
            .with_length(16)
            .with_precision(38)
            .with_scale(6)
            .with_logical_type(Some(LogicalType::decimal(6, 38)))
            .with_converted_type(ConvertedType::DECIMAL),
        LeafType::Boolean | LeafType::Int32 | LeafType::Int64 | LeafType::Binary => builder,
    };
    Ok(Arc::new(builder.build()?))
}
