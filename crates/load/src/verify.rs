//! Ledger against files: whether a lake is what its run records say.
//!
//! In goes a lake; out comes what is not as it should be. Every published byte is read; nothing is changed.

use std::collections::{BTreeMap, BTreeSet};

use lakehaul_schema::{Field, FieldNode, TableSchema};
use rayon::prelude::*;

use crate::asides::Asides;
use crate::cat::open_part;
use crate::lake::{Lake, schema_path};
use crate::{Event, LoadError, Observer, PartRecord, RunRecord};

/// How much is read and hashed at a time.
const READ_BYTES: usize = 1 << 20;

/// The outcome of [`verify`]: good if there are no findings.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Run records.
    pub runs: usize,
    /// Tables that have parts.
    pub tables: usize,
    /// Parquet files that the ledger names.
    pub parts: usize,
    /// Rows in them, by the ledger.
    pub rows: u64,
    /// Their lengths, by the ledger.
    pub bytes: u64,
    /// Sorted by path.
    pub findings: Vec<VerifyFinding>,
}

/// One thing in a lake that is not as its ledger says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifyFinding {
    /// The file in the lake, relative to it.
    pub path: String,
    /// A sentence without the path.
    pub what: String,
}

/// Checks every run record of the lake against the files.
pub fn verify(lake: &str, observer: &dyn Observer) -> Result<VerifyReport, LoadError> {
    let lake = Lake::open_to_read(lake)?;
    let records = lake.records()?;
    let schemas: BTreeMap<String, BTreeSet<String>> =
        lake.schemas()?.iter().map(|schema| (schema.resource_type().to_owned(), leaves(schema))).collect();
    let mut report = VerifyReport { runs: records.len(), ..VerifyReport::default() };
    let mut tables = BTreeSet::new();
    let mut known = BTreeSet::new();
    let finding = |path: &str, what: String| VerifyFinding { path: path.to_owned(), what };

    for record in &records {
        let record_path = crate::lake::record_path(&record.run);
        if let Err(what) = record.check() {
            report.findings.push(finding(&record_path, what));
        }
        report.findings.extend(check_quarantine(&lake, record));
        for table in &record.tables {
            tables.insert(table.resource_type.as_str());
            known.extend(table.files.iter().map(|part| part.path.as_str()));
            report.parts += table.files.len();
            report.rows += table.rows;
            report.bytes += table.files.iter().map(|part| part.bytes).sum::<u64>();
            let checked: Vec<_> =
                table.files.par_iter().map(|part| check_part(&lake, &table.resource_type, part, observer)).collect();
            let mut columns = Vec::new();
            for (part, checked) in table.files.iter().zip(checked) {
                match checked {
                    Ok(leaves) => columns.push((part, leaves)),
                    Err(what) => report.findings.push(finding(&part.path, what)),
                }
            }
            report.findings.extend(check_columns(&columns, schemas.get(&table.resource_type), &table.resource_type));
        }
        for part in record.deleted_resources.iter().flat_map(|table| &table.files) {
            known.insert(part.path.as_str());
            report.parts += 1;
            report.bytes += part.bytes;
            match check_bytes(&lake, part) {
                Ok(()) => observer.event(Event::PartVerified { path: &part.path, bytes: part.bytes }),
                Err(what) => report.findings.push(finding(&part.path, what)),
            }
        }
    }
    report.tables = tables.len();
    for (path, _) in lake.list("")? {
        if path.ends_with(".parquet") && !path.starts_with("_lake/") && !known.contains(path.as_str()) {
            report.findings.push(finding(&path, "no run record names it".to_owned()));
        }
    }
    report.findings.sort();
    Ok(report)
}

/// Length and hash of a file. The error is a sentence.
fn check_bytes(lake: &Lake, part: &PartRecord) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("it cannot be read: {error}");
    let file = lake.store.open(&part.path).map_err(unreadable)?;
    if file.len_bytes() != part.bytes {
        return Err(format!("it has {} bytes, the ledger says {}", file.len_bytes(), part.bytes));
    }
    let mut hasher = blake3::Hasher::new();
    let mut offset = 0;
    while offset < part.bytes {
        let piece = file.read_at(offset, (part.bytes - offset).min(READ_BYTES as u64) as usize).map_err(unreadable)?;
        hasher.update(&piece);
        offset += piece.len() as u64;
    }
    if hasher.finalize().to_hex().as_str() != part.blake3 {
        return Err("its bytes are not those that were written: the hash differs".to_owned());
    }
    Ok(())
}

/// Length, hash and row count of a part; its leaves. The error is a sentence.
fn check_part(
    lake: &Lake,
    resource_type: &str,
    part: &PartRecord,
    observer: &dyn Observer,
) -> Result<BTreeSet<String>, String> {
    check_bytes(lake, part)?;
    let reader = open_part(lake, &part.path).map_err(|error| error.to_string())?;
    if reader.rows() != part.rows {
        return Err(format!("it has {} rows, the ledger says {}", reader.rows(), part.rows));
    }
    if reader.resource_type() != resource_type {
        return Err(format!("it is a part of {}, the ledger says {resource_type}", reader.resource_type()));
    }
    let leaves = reader.parquet_schema().columns().iter().map(|column| column.path().string()).collect();
    observer.event(Event::PartVerified { path: &part.path, bytes: part.bytes });
    Ok(leaves)
}

/// All parts of a run have the same columns, and the schema file knows them.
fn check_columns(
    parts: &[(&PartRecord, BTreeSet<String>)],
    known: Option<&BTreeSet<String>>,
    resource_type: &str,
) -> Vec<VerifyFinding> {
    let mut findings = Vec::new();
    let Some((_, first)) = parts.first() else { return findings };
    let mut tell = |path: &str, what: String| findings.push(VerifyFinding { path: path.to_owned(), what });
    match known {
        None => tell(&schema_path(resource_type), "it is missing".to_owned()),
        Some(known) => {
            for leaf in first.difference(known) {
                tell(&schema_path(resource_type), format!("it lacks the column {leaf}, which parts have"));
            }
        }
    }
    for (part, leaves) in &parts[1..] {
        let differing = first.symmetric_difference(leaves).count();
        if differing > 0 {
            tell(&part.path, format!("it differs in {differing} columns from the other parts of its run"));
        }
    }
    findings
}

/// The quarantine has as many records as the ledger counts, and their bytes.
fn check_quarantine(lake: &Lake, record: &RunRecord) -> Option<VerifyFinding> {
    let folder = format!("_lake/quarantine/{}", record.run);
    let index_path = format!("{folder}/{}", Asides::INDEX);
    let lines_path = format!("{folder}/{}", Asides::LINES);
    if record.totals.rejected == 0 && lake.store.open(&index_path).is_err() {
        return None;
    }
    let tell = |path: &str, what: String| Some(VerifyFinding { path: path.to_owned(), what });
    let entries = match rejected_lines(lake, &record.run) {
        Ok(entries) => entries,
        Err(error) => return tell(&index_path, error.to_string()),
    };
    if entries.len() as u64 != record.totals.rejected {
        return tell(
            &index_path,
            format!("it has {} records, the ledger says {}", entries.len(), record.totals.rejected),
        );
    }
    let bytes: u64 = entries.iter().map(|entry| entry.length + 1).sum();
    match lake.store.open(&lines_path) {
        Err(error) => tell(&lines_path, format!("it cannot be read: {error}")),
        Ok(lines) if lines.len_bytes() != bytes => {
            tell(&lines_path, format!("it has {} bytes, its index says {bytes}", lines.len_bytes()))
        }
        Ok(_) => None,
    }
}

/// What of a quarantine's index is needed.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct RejectedRecord {
    pub(crate) output_file: String,
    pub(crate) line: u64,
    pub(crate) length: u64,
}

/// A run's rejects; none if it has no quarantine.
pub(crate) fn rejected_lines(lake: &Lake, run: &str) -> Result<Vec<RejectedRecord>, LoadError> {
    let path = format!("_lake/quarantine/{run}/{}", Asides::INDEX);
    let text = match lake.store.read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(|source| LoadError::LakeUnreadable { path: path.clone(), source })?,
    };
    let records = serde_json::Deserializer::from_slice(&text).into_iter();
    records
        .collect::<Result<_, _>>()
        .map_err(|error| LoadError::LakeDamaged { path, why: format!("line {} is no index record", error.line()) })
}

/// The paths of a schema's Parquet leaves.
fn leaves(schema: &TableSchema) -> BTreeSet<String> {
    let mut leaves = BTreeSet::new();
    add_leaves("", &schema.fields(), &mut leaves);
    leaves
}

fn add_leaves(prefix: &str, fields: &[Field], leaves: &mut BTreeSet<String>) {
    for field in fields {
        let mut path = format!("{prefix}{}", field.name);
        if field.list {
            path.push_str(".list.element");
        }
        match &field.node {
            FieldNode::Group(fields) => add_leaves(&format!("{path}."), fields, leaves),
            FieldNode::Leaf(_) => {
                leaves.insert(path);
            }
            FieldNode::Map => leaves.extend(["key", "value"].map(|leaf| format!("{path}.key_value.{leaf}"))),
        }
    }
}
