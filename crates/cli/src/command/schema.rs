//! `lakehaul schema`: each table's definition in each dialect, on stdout, as text that the engine runs as it is.

use std::io::Write;

use clap::ValueEnum;
use lakehaul_load::{LakeSettings, Layout};
use lakehaul_schema::{
    DELETED_RESOURCES, Format, TableSchema, athena_ddl, athena_deleted_ddl, bigquery_ddl, bigquery_deleted_ddl,
    duckdb_current_view, duckdb_deleted_view, duckdb_view, spark_ddl, spark_deleted_ddl, trino_ddl, trino_deleted_ddl,
};
use serde_json::json;

use crate::args::{Dialect, SchemaArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::resolve::{self, Form, Manner};

pub(super) fn run(args: &SchemaArgs, manner: Manner) -> Result<Exit, Failure> {
    let lake = resolve::lake(&args.lake)?;
    let failed = || Failure::to(format!("read the schemas of {lake}"));
    let schemas = lakehaul_load::schemas(&lake).map_err(failed())?;
    let settings = lakehaul_load::settings(&lake).map_err(failed())?;
    let runs = lakehaul_load::runs(&lake).map_err(failed())?;
    let deletions = match runs.iter().any(|run| run.deleted_resources.is_some()) {
        true => Deletions::Told,
        false => Deletions::None,
    };
    let schemas = chosen(schemas, &args.types)?;
    let location = match &args.location {
        Some(location) => location.clone(),
        None if lakehaul_load::stores::is_url(&lake) => lake.clone(),
        None => std::path::absolute(&lake)?.to_string_lossy().into_owned(),
    };
    let dialects = match &args.dialect {
        Some(dialect) => std::slice::from_ref(dialect),
        None => Dialect::value_variants(),
    };
    let mut out = std::io::stdout().lock();
    for &dialect in dialects {
        if manner.form == Form::Text {
            writeln!(out, "-- {}\n", title(dialect, settings.format))?;
        }
        // The table of deletions first: the views of the current state read it.
        let deleted = (deletions == Deletions::Told)
            .then(|| (DELETED_RESOURCES.to_owned(), deletions_statement(dialect, &location, settings)));
        let tables = schemas.iter().map(|schema| {
            (schema.resource_type().to_owned(), statements(dialect, schema, &location, settings, deletions))
        });
        for (table, statements) in deleted.into_iter().chain(tables) {
            match manner.form {
                Form::Text => writeln!(out, "{statements}")?,
                Form::Json => {
                    let object = json!({"type": table, "dialect": name(dialect), "statements": statements});
                    writeln!(out, "{object}")?;
                }
            }
        }
    }
    out.flush()?;
    Ok(Exit::Complete)
}

/// The tables asked for; all, if none is.
fn chosen(schemas: Vec<TableSchema>, types: &[String]) -> Result<Vec<TableSchema>, Failure> {
    let there: Vec<_> = schemas.iter().map(|s| s.resource_type().to_owned()).collect();
    if let Some(missing) = types.iter().find(|t| !there.contains(t)) {
        return Err(Failure::Usage(format!("the lake has no table {missing}; it has {}", there.join(", "))));
    }
    Ok(schemas.into_iter().filter(|s| types.is_empty() || types.iter().any(|t| t == s.resource_type())).collect())
}

/// Whether an export has reported deletions to the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deletions {
    None,
    Told,
}

/// Where a table's files are.
fn location_of(table: &str, lake: &str, layout: Layout) -> String {
    format!("{}/{}", lake.trim_end_matches('/'), layout.folder(table))
}

fn deletions_statement(dialect: Dialect, lake: &str, LakeSettings { layout, format, .. }: LakeSettings) -> String {
    let location = location_of(DELETED_RESOURCES, lake, layout);
    match dialect {
        Dialect::Spark => spark_deleted_ddl(&location, format),
        Dialect::Athena => athena_deleted_ddl(&location, format),
        Dialect::Trino => trino_deleted_ddl(&location, format),
        Dialect::BigQuery => bigquery_deleted_ddl(&location, format),
        Dialect::DuckDb => duckdb_deleted_view(&location, format),
    }
}

fn statements(
    dialect: Dialect,
    schema: &TableSchema,
    lake: &str,
    LakeSettings { layout, format, .. }: LakeSettings,
    deletions: Deletions,
) -> String {
    let location = location_of(schema.resource_type(), lake, layout);
    match dialect {
        Dialect::Spark => spark_ddl(schema, &location, format),
        Dialect::Athena => athena_ddl(schema, &location, format),
        Dialect::Trino => trino_ddl(schema, &location, format),
        Dialect::BigQuery => bigquery_ddl(schema, &location, format),
        Dialect::DuckDb => {
            let deleted = (deletions == Deletions::Told).then_some(DELETED_RESOURCES);
            let current = duckdb_current_view(schema, &location, format, deleted);
            format!("{}\n{current}", duckdb_view(schema, &location, format))
        }
    }
}

fn title(dialect: Dialect, format: Format) -> &'static str {
    match dialect {
        Dialect::Spark => "Spark: tables over the lake's files",
        Dialect::Athena => "Athena: external tables",
        Dialect::Trino if format == Format::Delta => {
            "Trino: tables of a Delta Lake catalog (delta.register-table-procedure.enabled), in its schema default; USE that first"
        }
        Dialect::Trino => "Trino: tables of a Hive catalog; USE one of its schemas first",
        Dialect::BigQuery => "BigQuery: external tables",
        Dialect::DuckDb => "DuckDB: a view of all rows of a type, and one of the newest row of each id",
    }
}

/// As it is typed.
fn name(dialect: Dialect) -> String {
    dialect.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
