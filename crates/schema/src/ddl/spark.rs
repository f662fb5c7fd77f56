//! Spark SQL. In comes a schema; out goes a table over its files. It never copies a row.

use super::{Dialect, backquoted, backslash_escaped, folder};
use crate::Format;
use crate::field::Field;
use crate::table_schema::TableSchema;

/// `CREATE TABLE … USING PARQUET LOCATION …`: the columns are stated, so files that lack some read as null there,
/// which `spark.read.parquet` of the folder does only with `mergeSchema`. A Delta table's log has its columns.
pub fn spark_ddl(schema: &TableSchema, location: &str, format: Format) -> String {
    table(schema.resource_type(), &schema.fields(), location, format)
}

pub(super) fn table(name: &str, fields: &[Field], location: &str, format: Format) -> String {
    if format == Format::Delta {
        let (name, location) = (backquoted(name), backslash_escaped(folder(location)));
        return format!("CREATE TABLE {name}\nUSING DELTA\nLOCATION {location};\n");
    }
    format!(
        "CREATE TABLE {} (\n{}\n)\nUSING PARQUET\nLOCATION {};\n",
        backquoted(name),
        Dialect::HIVE.columns(fields),
        backslash_escaped(folder(location)),
    )
}
