//! DuckDB. In comes a schema; out go views over its files, of every row or of the current state. A view holds no
//! rows and sees files that are published later.

use super::{folder, literal, quoted};
use crate::Format;
use crate::field::Field;
use crate::table_schema::TableSchema;

/// A view of every row, named like the type, the columns in file order.
///
/// `union_by_name` lets files of earlier runs lack columns. A glob pattern in the location keeps its meaning.
pub fn duckdb_view(schema: &TableSchema, location: &str, format: Format) -> String {
    all_rows(schema.resource_type(), &schema.fields(), location, format)
}

pub(super) fn all_rows(name: &str, fields: &[Field], location: &str, format: Format) -> String {
    let (name, columns, files) = (quoted(name), column_list(fields), files(location, format));
    format!("CREATE OR REPLACE VIEW {name} AS\nSELECT\n{columns}\nFROM {files};\n")
}

/// A view of the current state, `<Type>_current`: of each id the newest row.
///
/// Newest is by `meta.lastUpdated`, then run, output file and line; a row tagged SUBSETTED (an export with `_elements`
/// cuts resources) stands behind every whole one. Rows without an id all stay: nothing says that they
/// are the same resource. `deleted_resources` names a table or view with the columns `resourceType`, `id` and `__run`,
/// the deletions that each run's manifest reported; they hide the rows of that run and of those before. (A manifest
/// lists no resource both as output and as deleted, says the Bulk Data guide.) Runs are compared as text: their names
/// must sort by time.
pub fn duckdb_current_view(
    schema: &TableSchema,
    location: &str,
    format: Format,
    deleted_resources: Option<&str>,
) -> String {
    let name = quoted(&format!("{}_current", schema.resource_type()));
    let last_updated = if schema.annotations().dates {
        "resource.\"meta\".\"__lastUpdated_start\""
    } else {
        "TRY_CAST(resource.\"meta\".\"lastUpdated\" AS TIMESTAMPTZ)"
    };
    let deletions = match deleted_resources {
        Some(table) => format!(
            "WHERE NOT EXISTS (\n  FROM {} AS deleted\n  WHERE deleted.\"resourceType\" = {}\n    \
             AND deleted.\"id\" = resource.\"id\"\n    AND deleted.\"__run\" >= resource.\"__run\"\n)\n",
            quoted(table),
            literal(schema.resource_type()),
        ),
        None => String::new(),
    };
    format!(
        "CREATE OR REPLACE VIEW {name} AS\nSELECT\n{}\nFROM {} AS resource\n{deletions}QUALIFY \"id\" IS NULL OR \
         row_number() OVER (\n  PARTITION BY \"id\"\n  ORDER BY {SUBSETTED}, {last_updated} DESC NULLS LAST, \"__run\" DESC, \
         \"__output_file\" DESC, \"__line\" DESC\n) = 1;\n",
        column_list(&schema.fields()),
        files(location, format),
    )
}

/// `meta` is one of the columns that every table has.
const SUBSETTED: &str =
    "coalesce(list_contains([tag.\"code\" FOR tag IN resource.\"meta\".\"tag\"], 'SUBSETTED'), false)";

fn column_list(fields: &[Field]) -> String {
    fields.iter().map(|field| format!("  {}", quoted(&field.name))).collect::<Vec<_>>().join(",\n")
}

fn files(location: &str, format: Format) -> String {
    if format == Format::Delta {
        // The extension of that name; DuckDB gets it by itself.
        return format!("delta_scan({})", literal(folder(location)));
    }
    format!("read_parquet({}, union_by_name = true)", literal(&format!("{}/*.parquet", folder(location))))
}
