//! A table's columns as an Arrow schema.
//!
//! In come the fields of a [`lakehaul_schema::TableSchema`]; out goes what the Parquet writer is given. Readers depend
//! on the inner names: a list's child is `element` (Arrow's own default is `item`), a map's entries are `key_value`
//! with `key` and `value`.

use arrow::datatypes::{DataType, Field as ArrowField, Fields, Schema, TimeUnit};
use lakehaul_schema::{Field, FieldNode, LeafType};

/// The schema of a table with these fields, in their order, without metadata.
pub fn arrow_schema(fields: &[Field]) -> Schema {
    Schema::new(arrow_fields(fields))
}

fn arrow_fields(fields: &[Field]) -> Fields {
    fields.iter().map(arrow_field).collect()
}

fn arrow_field(field: &Field) -> ArrowField {
    let data_type = match &field.node {
        FieldNode::Group(children) => DataType::Struct(arrow_fields(children)),
        FieldNode::Leaf(leaf) => leaf_type(*leaf),
        FieldNode::Map => text_map(),
    };
    let data_type = if field.list { list_of(data_type) } else { data_type };
    ArrowField::new(&field.name, data_type, !field.required)
}

fn list_of(element: DataType) -> DataType {
    DataType::List(ArrowField::new("element", element, true).into())
}

fn leaf_type(leaf: LeafType) -> DataType {
    match leaf {
        LeafType::Boolean => DataType::Boolean,
        LeafType::Int32 => DataType::Int32,
        LeafType::Int64 => DataType::Int64,
        LeafType::String => DataType::Utf8,
        LeafType::Binary => DataType::Binary,
        LeafType::Decimal => DataType::Decimal128(38, 6),
        LeafType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// MAP<STRING, STRING>. Parquet demands that keys are not null; of the values it does not.
fn text_map() -> DataType {
    let key = ArrowField::new("key", DataType::Utf8, false);
    let value = ArrowField::new("value", DataType::Utf8, true);
    let entries = ArrowField::new("key_value", DataType::Struct(Fields::from(vec![key, value])), false);
    DataType::Map(entries.into(), false)
}

#[cfg(test)]
mod tests {
    use lakehaul_schema::{Annotations, ElementTable, TableSchema};
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::schema::printer::print_schema;

    use super::*;

    fn parquet_text(schema: &Schema) -> String {
        let descriptor = ArrowSchemaConverter::new().schema_root("table").convert(schema).unwrap();
        let mut text = Vec::new();
        print_schema(&mut text, descriptor.root_schema());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn names_and_types_are_the_lake_schema_s() {
        let leaf = |name: &str, leaf| Field {
            name: name.to_owned(),
            required: name == "resourceType",
            list: name.ends_with('s'),
            node: FieldNode::Leaf(leaf),
        };
        let group = Field {
            name: "items".to_owned(),
            required: false,
            list: true,
            node: FieldNode::Group(vec![
                leaf("value", LeafType::String),
                leaf("__value_numeric", LeafType::Decimal),
                leaf("notes", LeafType::String),
            ]),
        };
        let extra = Field { name: "__extra".to_owned(), required: false, list: false, node: FieldNode::Map };
        let fields = [
            leaf("resourceType", LeafType::String),
            leaf("active", LeafType::Boolean),
            leaf("__birthDate_start", LeafType::Timestamp),
            leaf("multipleBirthInteger", LeafType::Int32),
            leaf("data", LeafType::Binary),
            group,
            leaf("__line", LeafType::Int64),
            extra,
        ];
        let expected = "\
message table {
  REQUIRED BYTE_ARRAY resourceType (STRING);
  OPTIONAL BOOLEAN active;
  OPTIONAL INT64 __birthDate_start (TIMESTAMP(MICROS,true));
  OPTIONAL INT32 multipleBirthInteger;
  OPTIONAL BYTE_ARRAY data;
  OPTIONAL group items (LIST) {
    REPEATED group list {
      OPTIONAL group element {
        OPTIONAL BYTE_ARRAY value (STRING);
        OPTIONAL FIXED_LEN_BYTE_ARRAY (16) __value_numeric (DECIMAL(38,6));
        OPTIONAL group notes (LIST) {
          REPEATED group list {
            OPTIONAL BYTE_ARRAY element (STRING);
          }
        }
      }
    }
  }
  OPTIONAL INT64 __line;
  OPTIONAL group __extra (MAP) {
    REPEATED group key_value {
      REQUIRED BYTE_ARRAY key (STRING);
      OPTIONAL BYTE_ARRAY value (STRING);
    }
  }
}
";
        assert_eq!(parquet_text(&arrow_schema(&fields)), expected);
    }

    /// Every core table is a Parquet schema, leaf for leaf.
    #[test]
    fn every_core_table_converts() {
        let table = ElementTable::r4();
        for resource_type in table.resource_types() {
            let core = TableSchema::core(table, resource_type, Annotations::default(), true).unwrap();
            let schema = arrow_schema(&core.fields());
            let descriptor = ArrowSchemaConverter::new().convert(&schema).unwrap();
            assert_eq!(descriptor.num_columns(), core.leaf_count(), "{resource_type}");
        }
    }
}
