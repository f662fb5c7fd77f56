//! Ledger against files: whether a lake is what its run records say.
//!
//! In goes a lake; out comes what is not as it should be. Every figure of every run record is checked: against the other
//! figures, against the files' bytes, and line by line against the rows. Every published byte is read; nothing is changed.

mod asides;
mod fault;
mod lines;
mod parts;
mod quarantine;
mod record;
mod sharing;
pub(crate) mod stored;
pub(crate) mod strays;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use lakehaul_schema::TableSchema;
use rayon::prelude::*;

use crate::current::{CurrentPart, Ledger, Tables};
use crate::journal::{self, Committed, Unfinished};
use crate::lake::{COMPACTIONS, Lake, record_path};
use crate::{Event, Format, LoadError, Observer, delta};
use lines::RunLines;
use sharing::Sharing;
use strays::Named;

pub use quarantine::reject_reasons;

/// Where a compaction is published meanwhile, it looks again, so often at most.
const LOOKS: usize = 5;

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

/// Checks every record of the lake against the files. Memory: a bit a line of one run, or of those whose rows share a part;
/// and what reads parts.
pub fn verify(lake: &str, observer: &dyn Observer) -> Result<VerifyReport, LoadError> {
    let lake = Lake::open_to_read(lake)?;
    let mut look = 1;
    loop {
        let before = lake.list(COMPACTIONS)?;
        let report = verify_once(&lake, observer)?;
        // What a compaction has replaced meanwhile would be missed here, or be found in its old place.
        if report.findings.is_empty() || look == LOOKS || lake.list(COMPACTIONS)? == before {
            return Ok(report);
        }
        look += 1;
    }
}

fn verify_once(lake: &Lake, observer: &dyn Observer) -> Result<VerifyReport, LoadError> {
    // In this order: a run that is published meanwhile has its record by the time that it is looked for.
    let files = lake.list("")?;
    let mut report = VerifyReport::default();
    let publishing = unfinished(lake, &mut report)?;
    let ledger = Ledger::read(lake)?;
    let tables = ledger.tables();
    let schemas = lake.schemas()?;
    let mut named = Named::of_tables(schemas.iter().map(TableSchema::resource_type));
    let leaves: BTreeMap<String, BTreeSet<String>> =
        schemas.iter().map(|schema| (schema.resource_type().to_owned(), parts::leaves(schema))).collect();

    let delta_settings = lake.settings.filter(|settings| settings.format == Format::Delta);
    let is_delta = delta_settings.is_some();
    let records = &ledger.runs;
    (report.runs, report.tables) = (records.len(), tables.parts.values().filter(|parts| !parts.is_empty()).count());
    let mut runs = BTreeSet::new();
    for record in records {
        let path = record_path(&record.run);
        let is_misnamed = match lake.store.open(&path) {
            Ok(_) => false,
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(source) => return Err(LoadError::LakeUnreadable { path, source }),
        };
        if is_misnamed || !runs.insert(record.run.as_str()) {
            let what = "another file has this run's record".to_owned();
            report.findings.push(VerifyFinding { path, what });
        }
        named.add_run(record);
        let tables = record.tables.iter().chain(&record.deleted_resources);
        for table in tables.filter(|table| table.version.is_some() != is_delta) {
            let has = if is_delta { "no version of the Delta table" } else { "a version, and is no Delta table" };
            let what = format!("{} has {has}", table.resource_type);
            report.findings.push(VerifyFinding { path: record_path(&record.run), what });
        }
    }
    let told = |(path, what): &(String, String)| VerifyFinding { path: path.clone(), what: what.clone() };
    report.findings.extend(tables.faults.iter().map(told));
    if let Some(settings) = delta_settings {
        match delta::replaced(lake) {
            Ok(files) => named.add_replaced(files),
            Err(LoadError::LakeDamaged { path, why }) => report.findings.push(VerifyFinding { path, what: why }),
            Err(error) => return Err(error),
        }
        report.findings.extend(delta::differences(lake, settings.layout, &tables)?);
    }
    named.add_tables(&tables);
    for part in tables.with_deletions().flat_map(|(_, parts)| parts) {
        report.parts += 1;
        report.bytes = report.bytes.saturating_add(part.part.bytes);
    }
    report.rows = tables.all().fold(0, |rows: u64, (_, part)| rows.saturating_add(part.part.rows));
    report.findings.extend(check_deletions(lake, &tables.deleted_resources, observer)?);
    let distinct: Vec<_> = ledger.distinct_runs().collect();
    for together in sharing::sharing(&distinct, &tables) {
        report.findings.extend(check_runs(lake, &together, &tables, &leaves, &files, observer)?);
    }
    for committed in &publishing {
        named.add_committed(committed);
    }
    report.findings.extend(named.strays(&files));
    report.findings.sort();
    report.findings.dedup();
    Ok(report)
}

/// The records of what is being published: what is named there is as good as published. A journal that cannot be read is a
/// finding.
fn unfinished(lake: &Lake, report: &mut VerifyReport) -> Result<Vec<Committed>, LoadError> {
    report.unfinished = journal::names(lake)?;
    match journal::unfinished(lake) {
        Ok(runs) => Ok(runs
            .into_iter()
            .filter_map(|run| match run {
                Unfinished::Committing(commit) => Some(commit.into_record()),
                Unfinished::Working(..) | Unfinished::Left(_) | Unfinished::Compacting(_) => None,
            })
            .collect()),
        Err(LoadError::LakeDamaged { path, why }) => {
            report.findings.push(VerifyFinding { path, what: why });
            Ok(Vec::new())
        }
        // It has finished since it was listed.
        Err(LoadError::LakeUnreadable { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Checks the parts of the table of deletions.
fn check_deletions(
    lake: &Lake,
    parts: &[CurrentPart],
    observer: &dyn Observer,
) -> Result<Vec<VerifyFinding>, LoadError> {
    let checked = parts.par_iter().map(|part| match parts::check_deleted(lake, part) {
        Ok(()) => {
            observer.event(Event::PartVerified { path: &part.part.path, bytes: part.part.bytes });
            Ok(None)
        }
        Err(fault) => fault.at(&part.part.path).map(Some),
    });
    checked.filter_map(Result::transpose).collect()
}

/// Checks runs that have rows in the same parts, and these parts. Mostly it is one run.
fn check_runs(
    lake: &Lake,
    Sharing { runs, parts }: &Sharing<'_>,
    tables: &Tables,
    known_leaves: &BTreeMap<String, BTreeSet<String>>,
    files: &[(String, u64)],
    observer: &dyn Observer,
) -> Result<Vec<VerifyFinding>, LoadError> {
    let mut findings = Vec::new();
    let lines: BTreeMap<&str, RunLines<'_>> =
        runs.iter().map(|record| (record.run.as_str(), RunLines::of(record))).collect();
    let checked: Vec<_> = parts
        .par_iter()
        .map(|(resource_type, part)| {
            parts::check_part(lake, resource_type, part, &lines)
                .inspect(|_| observer.event(Event::PartVerified { path: &part.part.path, bytes: part.part.bytes }))
        })
        .collect();
    // Parts of one table that came together have the same columns.
    let mut columns: BTreeMap<(&str, &str), Vec<_>> = BTreeMap::new();
    let mut unread = BTreeSet::new();
    for ((resource_type, part), checked) in parts.iter().zip(checked) {
        match checked {
            Ok(leaves) => columns.entry((part.of.as_str(), resource_type)).or_default().push((&part.part, leaves)),
            Err(fault) => {
                unread.extend(part.runs.iter().map(|of_run| of_run.run.as_str()));
                findings.push(fault.at(&part.part.path)?);
            }
        }
    }
    for ((_, resource_type), parts) in &columns {
        findings.extend(parts::check_columns(parts, known_leaves.get(*resource_type), resource_type));
    }
    for record in runs {
        let record_path = record_path(&record.run);
        let in_record = |what: String| VerifyFinding { path: record_path.clone(), what };
        findings.extend(record.faults().into_iter().map(in_record));
        let Some(lines) = lines.get(record.run.as_str()) else { continue };
        // Rows of a part that is not what it was are missing, and that has been told; others have been replaced.
        let run = record.run.as_str();
        if !unread.contains(run) && !tables.replaced_runs.contains(run) {
            findings.extend(lines.check_rows().into_iter().map(in_record));
        }
        findings.extend(quarantine::check(lake, record, lines)?);
        findings.extend(asides::check(lake, record, files)?);
    }
    Ok(findings)
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
