//! Athena, and Hive itself; whatever shares the metastore sees the table, too. In comes a schema; out goes an external
//! table. Names keep their case in the text, the engine folds them: columns are matched without regard to case,
//! and no FHIR type has two that differ only in it.

use super::{Dialect, backquoted, backslash_escaped, folder};
use crate::Format;
use crate::field::Field;
use crate::table_schema::TableSchema;

/// `CREATE EXTERNAL TABLE … STORED AS PARQUET LOCATION …`. Hive takes a folder only with a slash at its end. Of a Delta table
/// Athena reads the columns from the log.
pub fn athena_ddl(schema: &TableSchema, location: &str, format: Format) -> String {
    table(schema.resource_type(), &schema.fields(), location, format)
}

pub(super) fn table(name: &str, fields: &[Field], location: &str, format: Format) -> String {
    if format == Format::Delta {
        let (name, location) = (backquoted(name), backslash_escaped(&format!("{}/", folder(location))));
        return format!("CREATE EXTERNAL TABLE {name}\nLOCATION {location}\nTBLPROPERTIES ('table_type' = 'DELTA');\n");
    }
    format!(
        "CREATE EXTERNAL TABLE {} (\n{}\n)\nSTORED AS PARQUET\nLOCATION {};\n",
        backquoted(name),
        Dialect::HIVE.columns(fields),
        backslash_escaped(&format!("{}/", folder(location))),
    )
}
