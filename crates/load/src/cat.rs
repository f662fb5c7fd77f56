//! Rows back to NDJSON: a table's resources, each on a line, as they came.
//!
//! In goes a lake and a resource type; out come the rows of all published runs, part by part, oldest first, in file order.

use std::io::{self, Write};

use lakehaul_write::WriteError;
use lakehaul_write::rebuild::PartReader;

use crate::LoadError;
use crate::current::{CurrentPart, Ledger};
use crate::lake::Lake;

/// Writes a table's resources as NDJSON; returns how many. A type that the lake does not have is a usage error.
pub fn cat(lake: &str, resource_type: &str, out: &mut dyn Write) -> Result<u64, LoadError> {
    let lake = Lake::open_to_read(lake)?;
    let tables = Ledger::read(&lake)?.tables();
    let Some(parts) = tables.parts.get(resource_type) else {
        let types: Vec<&str> = tables.parts.keys().map(String::as_str).collect();
        let has = if types.is_empty() { "no tables".to_owned() } else { types.join(", ") };
        return Err(LoadError::Usage(format!("{} has no table {resource_type}; it has {has}", lake.name)));
    };
    let mut rows = 0;
    for CurrentPart { part, .. } in parts {
        let mut failed = None;
        let read = open_part(&lake, &part.path)?.for_each_row(&mut |row| {
            rows += 1;
            out.write_all(row.json).and_then(|()| out.write_all(b"\n")).map_err(|error| stop(&mut failed, error))
        });
        if let Some(error) = failed {
            return Err(LoadError::Output(error));
        }
        read.map_err(|error| unread(error, &part.path))?;
    }
    out.flush().map_err(LoadError::Output)?;
    Ok(rows)
}

/// Ends the reading; what the reader then says is of no interest.
fn stop(failed: &mut Option<io::Error>, error: io::Error) -> WriteError {
    let source = error.kind().into();
    *failed = Some(error);
    WriteError::Store { action: "write", path: String::new(), source }
}

/// Opens a published part.
pub(crate) fn open_part(lake: &Lake, path: &str) -> Result<PartReader, LoadError> {
    let file = lake.store.open(path).map_err(|source| LoadError::LakeUnreadable { path: path.to_owned(), source })?;
    PartReader::open(path, file).map_err(|error| unread(error, path))
}

/// A part that cannot be read is damage, or the store's failure.
pub(crate) fn unread(error: WriteError, path: &str) -> LoadError {
    match error {
        WriteError::Store { source, .. } => LoadError::LakeUnreadable { path: path.to_owned(), source },
        other => LoadError::LakeDamaged { path: path.to_owned(), why: other.to_string() },
    }
}
