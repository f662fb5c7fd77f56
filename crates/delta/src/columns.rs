//! A table's columns: what an Arrow schema is in Delta, and which columns a table lacks of it.
//!
//! Every column may be null: parts of one lake come from many servers, and what all of them sent so far says nothing
//! about the next one. Only types that a plain table has are known, so that no table feature is ever asked for.

use std::fmt::Display;

use arrow::datatypes::{DataType as ArrowType, Field, Fields, TimeUnit};
use delta_kernel::expressions::ColumnName;
use delta_kernel::schema::{ArrayType, DataType, MapType, StructField, StructType};

/// Why a schema cannot be the table's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// The column, its parents before it.
    pub(crate) path: String,
    pub(crate) why: String,
}

/// What a table's schema lacks.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Growth {
    /// New columns, each with the struct it belongs to; an empty path is the row.
    pub(crate) added: Vec<(ColumnName, StructField)>,
    /// Columns that may not be null in the table and may be in what comes.
    pub(crate) loosened: Vec<ColumnName>,
}

impl Growth {
    pub(crate) fn is_none(&self) -> bool {
        self.added.is_empty() && self.loosened.is_empty()
    }
}

/// Where in a schema one is.
#[derive(Clone, Default)]
struct At(Vec<String>);

impl At {
    fn below(&self, name: &str) -> At {
        let mut path = self.0.clone();
        path.push(name.to_owned());
        At(path)
    }

    fn contradiction(&self, why: impl Display) -> Contradiction {
        Contradiction { path: self.0.join("."), why: why.to_string() }
    }

    fn column(&self) -> ColumnName {
        self.0.iter().map(String::as_str).collect()
    }
}

/// The columns of an Arrow schema as a table's.
pub(crate) fn delta_columns(fields: &Fields) -> Result<StructType, Contradiction> {
    columns(fields, &At::default())
}

fn columns(fields: &Fields, at: &At) -> Result<StructType, Contradiction> {
    let columns: Result<Vec<_>, _> = fields.iter().map(|field| column(field, &at.below(field.name()))).collect();
    StructType::try_new(columns?).map_err(|error| at.contradiction(error))
}

fn column(field: &Field, at: &At) -> Result<StructField, Contradiction> {
    Ok(StructField::nullable(field.name(), delta_type(field.data_type(), at)?))
}

fn delta_type(arrow: &ArrowType, at: &At) -> Result<DataType, Contradiction> {
    Ok(match arrow {
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::STRING,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => DataType::BINARY,
        ArrowType::Boolean => DataType::BOOLEAN,
        ArrowType::Int8 => DataType::BYTE,
        ArrowType::Int16 => DataType::SHORT,
        ArrowType::Int32 => DataType::INTEGER,
        ArrowType::Int64 => DataType::LONG,
        ArrowType::Float32 => DataType::FLOAT,
        ArrowType::Float64 => DataType::DOUBLE,
        ArrowType::Date32 => DataType::DATE,
        ArrowType::Timestamp(TimeUnit::Microsecond | TimeUnit::Millisecond, Some(zone)) if is_utc(zone) => {
            DataType::TIMESTAMP
        }
        ArrowType::Decimal128(precision, scale) => {
            let scale = u8::try_from(*scale).map_err(|_| at.contradiction("decimals have no negative scale"))?;
            DataType::decimal(*precision, scale).map_err(|error| at.contradiction(error))?
        }
        ArrowType::Struct(fields) => columns(fields, at)?.into(),
        ArrowType::List(item) | ArrowType::LargeList(item) => {
            ArrayType::new(delta_type(item.data_type(), &at.below("element"))?, true).into()
        }
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(fields) if fields.len() == 2 => MapType::new(
                delta_type(fields[0].data_type(), &at.below("key"))?,
                delta_type(fields[1].data_type(), &at.below("value"))?,
                true,
            )
            .into(),
            _ => return Err(at.contradiction("its entries are no keys and values")),
        },
        other => return Err(at.contradiction(format_args!("plain Delta tables have no type for Arrow's {other}"))),
    })
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00" | "Z" | "Etc/UTC")
}

/// What `table` lacks of `wanted`.
pub(crate) fn growth(table: &StructType, wanted: &StructType) -> Result<Growth, Contradiction> {
    let mut growth = Growth::default();
    grow(table, wanted, &At::default(), &mut growth)?;
    Ok(growth)
}

fn grow(table: &StructType, wanted: &StructType, at: &At, growth: &mut Growth) -> Result<(), Contradiction> {
    for column in wanted.fields() {
        let at_column = at.below(column.name());
        let Some(old) = table.field(column.name()) else {
            let lowered = column.name().to_lowercase();
            if let Some(twin) = table.fields().find(|field| field.name().to_lowercase() == lowered) {
                let why = format!("the table has it as {}, and Delta's names do not differ by case alone", twin.name());
                return Err(at_column.contradiction(why));
            }
            growth.added.push((at.column(), column.clone()));
            continue;
        };
        if !old.is_nullable() {
            growth.loosened.push(at_column.column());
        }
        grow_type(old.data_type(), column.data_type(), &at_column, growth)?;
    }
    Ok(())
}

fn grow_type(table: &DataType, wanted: &DataType, at: &At, growth: &mut Growth) -> Result<(), Contradiction> {
    match (table, wanted) {
        (DataType::Struct(table), DataType::Struct(wanted)) => grow(table, wanted, at, growth),
        (DataType::Array(table), DataType::Array(wanted)) => {
            grow_type(table.element_type(), wanted.element_type(), &at.below("element"), growth)
        }
        (DataType::Map(table), DataType::Map(wanted)) => {
            grow_type(table.key_type(), wanted.key_type(), &at.below("key"), growth)?;
            grow_type(table.value_type(), wanted.value_type(), &at.below("value"), growth)
        }
        (DataType::Primitive(table), DataType::Primitive(wanted)) if table == wanted => Ok(()),
        (table, wanted) => Err(at.contradiction(format_args!(
            "it is {} in the table and {} in what comes",
            named(table),
            named(wanted)
        ))),
    }
}

/// A type's name without its columns.
fn named(data_type: &DataType) -> String {
    match data_type {
        DataType::Primitive(primitive) => primitive.to_string(),
        DataType::Array(_) => "an array".to_owned(),
        DataType::Struct(_) => "a struct".to_owned(),
        DataType::Map(_) => "a map".to_owned(),
        DataType::Variant(_) => "a variant".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType as ArrowType, Field, Fields, TimeUnit};
    use delta_kernel::expressions::ColumnName;

    use super::{Contradiction, delta_columns, growth};

    fn list_of(fields: Vec<Field>) -> ArrowType {
        ArrowType::List(Arc::new(Field::new("item", ArrowType::Struct(fields.into()), true)))
    }

    #[test]
    fn what_a_table_lacks_is_found_at_any_depth() {
        let code = Field::new("code", ArrowType::Utf8, false);
        let old = Fields::from(vec![
            Field::new("id", ArrowType::Utf8, true),
            Field::new("name", list_of(vec![code.clone()]), true),
        ]);
        let unit = Field::new("unit", ArrowType::Decimal128(38, 9), true);
        let new = Fields::from(vec![
            Field::new("name", list_of(vec![code, unit]), false),
            Field::new("at", ArrowType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), true),
        ]);
        let (old, new) = (delta_columns(&old).unwrap(), delta_columns(&new).unwrap());
        let lacking = growth(&old, &new).unwrap();
        let added: Vec<_> =
            lacking.added.iter().map(|(parent, field)| (parent.clone(), field.name().as_str())).collect();
        assert_eq!(added, [(ColumnName::new(["name", "element"]), "unit"), (ColumnName::default(), "at")]);
        assert!(lacking.loosened.is_empty());
        assert!(growth(&new, &new).unwrap().is_none());
    }

    #[test]
    fn a_contradiction_names_its_column() {
        let old = delta_columns(&Fields::from(vec![Field::new(
            "a",
            list_of(vec![Field::new("b", ArrowType::Int32, true)]),
            true,
        )]));
        let new = delta_columns(&Fields::from(vec![Field::new(
            "a",
            list_of(vec![Field::new("b", ArrowType::Utf8, true)]),
            true,
        )]));
        let found = growth(&old.unwrap(), &new.unwrap()).unwrap_err();
        let why = "it is integer in the table and string in what comes".to_owned();
        assert_eq!(found, Contradiction { path: "a.element.b".to_owned(), why });
    }

    #[test]
    fn what_would_need_a_table_feature_is_refused() {
        let local = Fields::from(vec![Field::new("t", ArrowType::Timestamp(TimeUnit::Microsecond, None), true)]);
        assert_eq!(delta_columns(&local).unwrap_err().path, "t");
        let upper = delta_columns(&Fields::from(vec![Field::new("ID", ArrowType::Utf8, true)])).unwrap();
        let lower = delta_columns(&Fields::from(vec![Field::new("id", ArrowType::Utf8, true)])).unwrap();
        assert_eq!(growth(&upper, &lower).unwrap_err().path, "id");
    }
}
