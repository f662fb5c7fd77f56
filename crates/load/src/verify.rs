//! Ledger against files: whether a lake is what its run records say.
//!
//! In goes a lake; out comes what is not as it should be. Every figure of every run record is checked: against the other
//! figures, against the files' bytes, and line by line against the rows. Every published byte is read; nothing is changed.

mod asides;
mod lines;
mod parts;
mod quarantine;
mod record;
mod stored;
mod strays;

use std::collections::{BTreeMap, BTreeSet};

use lakehaul_schema::TableSchema;
use rayon::prelude::*;

use crate::journal::{self, Unfinished};
use crate::lake::{Lake, record_path};
use crate::{Event, LoadError, Observer, RunRecord};
use lines::RunLines;
use strays::Named;

pub use quarantine::reject_reasons;

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
    /// Runs that have not finished, oldest first. What they have staged is no part of the lake, and no finding.
    pub unfinished: Vec<String>,
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

/// Checks every run record of the lake against the files. Memory: a bit a line of one run, and what reads parts.
pub fn verify(lake: &str, observer: &dyn Observer) -> Result<VerifyReport, LoadError> {
    let lake = Lake::open_to_read(lake)?;
    // In this order: a run that is published meanwhile has its record by the time that it is looked for.
    let files = lake.list("")?;
    let mut report = VerifyReport::default();
    let publishing = unfinished(&lake, &mut report)?;
    let records = lake.records()?;
    let schemas = lake.schemas()?;
    let mut named = Named::of_tables(schemas.iter().map(TableSchema::resource_type));
    let leaves: BTreeMap<String, BTreeSet<String>> =
        schemas.iter().map(|schema| (schema.resource_type().to_owned(), parts::leaves(schema))).collect();

    report.runs = records.len();
    let mut tables = BTreeSet::new();
    let mut runs = BTreeSet::new();
    for record in &records {
        if !runs.insert(record.run.as_str()) || lake.store.open(&record_path(&record.run)).is_err() {
            let what = "another file has this run's record".to_owned();
            report.findings.push(VerifyFinding { path: record_path(&record.run), what });
        }
        named.add(record);
        tables.extend(record.tables.iter().map(|table| table.resource_type.as_str()));
        report.findings.extend(check_run(&lake, record, &leaves, &files, observer));
        for table in record.tables.iter().chain(&record.deleted_resources) {
            report.parts += table.files.len();
            report.bytes = table.files.iter().map(|part| part.bytes).fold(report.bytes, u64::saturating_add);
        }
        report.rows = record.tables.iter().map(|table| table.rows).fold(report.rows, u64::saturating_add);
    }
    report.tables = tables.len();
    publishing.iter().for_each(|record| named.add(record));
    report.findings.extend(named.strays(&files));
    report.findings.sort();
    report.findings.dedup();
    Ok(report)
}

/// The records of runs that are being published: what is named there is as good as published. A journal that cannot be
/// read is a finding.
fn unfinished(lake: &Lake, report: &mut VerifyReport) -> Result<Vec<RunRecord>, LoadError> {
    report.unfinished = journal::names(lake)?;
    match journal::unfinished(lake) {
        Ok(runs) => Ok(runs
            .into_iter()
            .filter_map(|run| match run {
                Unfinished::Committing(commit) => Some(commit.into_record()),
                Unfinished::Working(..) | Unfinished::Left(_) => None,
            })
            .collect()),
        Err(LoadError::LakeDamaged { path, why }) => {
            report.findings.push(VerifyFinding { path, what: why });
            Ok(Vec::new())
        }
        // It has finished since it was listed.
        Err(LoadError::LakeUnreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn check_run(
    lake: &Lake,
    record: &RunRecord,
    known_leaves: &BTreeMap<String, BTreeSet<String>>,
    files: &[(String, u64)],
    observer: &dyn Observer,
) -> Vec<VerifyFinding> {
    let record_path = record_path(&record.run);
    let in_record = |what: String| VerifyFinding { path: record_path.clone(), what };
    let mut findings: Vec<VerifyFinding> = record.faults().into_iter().map(in_record).collect();

    let lines = RunLines::of(record);
    let all: Vec<_> =
        record.tables.iter().flat_map(|table| table.files.iter().map(move |part| (table, part))).collect();
    let checked: Vec<_> = all
        .par_iter()
        .map(|(table, part)| {
            let leaves = parts::check_part(lake, &record.run, &table.resource_type, part, &lines)?;
            observer.event(Event::PartVerified { path: &part.path, bytes: part.bytes });
            Ok(leaves)
        })
        .collect();
    let mut columns: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let mut all_read = true;
    for ((table, part), checked) in all.into_iter().zip(checked) {
        match checked {
            Ok(leaves) => columns.entry(&table.resource_type).or_default().push((part, leaves)),
            Err(what) => {
                all_read = false;
                findings.push(VerifyFinding { path: part.path.clone(), what });
            }
        }
    }
    for (resource_type, parts) in &columns {
        findings.extend(parts::check_columns(parts, known_leaves.get(*resource_type), resource_type));
    }
    // Rows of a part that is not what it was are missing, and that has been told.
    if all_read {
        findings.extend(lines.check_rows().into_iter().map(in_record));
    }
    for part in record.deleted_resources.iter().flat_map(|table| &table.files) {
        match parts::check_deleted(lake, part) {
            Ok(()) => observer.event(Event::PartVerified { path: &part.path, bytes: part.bytes }),
            Err(what) => findings.push(VerifyFinding { path: part.path.clone(), what }),
        }
    }
    findings.extend(quarantine::check(lake, record, &lines));
    findings.extend(asides::check(lake, record, files));
    findings
}

/// Of a run's reject, what a comparison with its source needs.
#[derive(Debug)]
pub(crate) struct RejectedRecord {
    pub(crate) output_file: String,
    pub(crate) line: u64,
}

/// A run's rejects; none if it has no quarantine.
pub(crate) fn rejected_lines(lake: &Lake, run: &str) -> Result<Vec<RejectedRecord>, LoadError> {
    let mut records = Vec::new();
    quarantine::for_each_rejected(lake, run, |entry| {
        records.push(RejectedRecord { output_file: entry.output_file.clone().into_owned(), line: entry.line });
        Ok(())
    })?;
    Ok(records)
}
