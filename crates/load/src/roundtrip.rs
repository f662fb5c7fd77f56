//! Rows against their source: whether every resource of the source is in the lake, and the same, numbers by their text.
//!
//! In go a lake and the files that it was loaded from; out come the differences. The source is read with simd-json, the
//! engine that loads do not use, and the rows are rebuilt from their columns.
//!
//! Memory does not grow with the data: a line's fingerprint covers its number and its resource, and the fingerprints of
//! 1,024 lines are summed up, once from the source and once from the rows. Only where the sums differ are lines looked
//! at one by one.

mod source;
mod rows;
mod sums;
mod fingerprint;
mod difference;

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use crate::budget::Budget;
use crate::current::{CurrentPart, Ledger};
use crate::inputs::{PlannedFile, expand};
use crate::lake::Lake;
use crate::verify::rejected_lines;
use crate::work::start_workers;
use crate::{Event, Input, LoadError, LoadOptions, Observer, OutputFile, RunRecord};

use difference::examine;
use rows::{FileNumbers, collect_rows};
use source::{Reading, Seen, SourceFile, receive};
use sums::{Collect, Sums};

/// How many differences are described; all are counted.
const EXAMPLES: usize = 20;

/// The outcome of [`roundtrip`]: good if `differences` is zero.
#[derive(Debug, Clone, Default)]
pub struct RoundtripReport {
    /// Files of the source.
    pub files: usize,
    /// Lines of the source.
    pub lines: u64,
    /// Source lines that were compared with a row.
    pub resources: u64,
    /// Source lines that the ledger says are in quarantine.
    pub rejected: u64,
    /// Lines whose row is not there or another resource, and files that no run has loaded.
    pub differences: u64,
    /// The first of them.
    pub examples: Vec<Difference>,
}

/// A source line whose row is not the same resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The file's name.
    pub output_file: String,
    /// From 1; 0 if it is about the whole file.
    pub line: u64,
    /// What differs, no content: an element path, or that the row is missing.
    pub what: String,
}

/// A comparison under way.
struct Compared<'a> {
    lake: &'a Lake,
    files: &'a [SourceFile],
    /// Where rows of the runs are that the files are compared with.
    parts: Vec<&'a str>,
    numbers: FileNumbers<'a>,
    reading: Reading,
}

/// Compares every resource of the source with its row, numbers by their text, in the latest run that loaded its file.
/// Of the options only memory, threads, `max_line_bytes` and `max_depth` are of interest.
pub fn roundtrip(
    lake: &str,
    inputs: &[Input],
    options: &LoadOptions,
    observer: &dyn Observer,
) -> Result<RoundtripReport, LoadError> {
    if inputs.contains(&Input::Stdin) {
        return Err(LoadError::Usage("standard input cannot be compared: it can be read only once".to_owned()));
    }
    let reading = Reading { budget: Budget::divide(options, 0, "")?, max_depth: options.max_depth };
    let planned = expand(inputs)?.files;
    let lake = Lake::open_to_read(lake)?;
    let ledger = Ledger::read(&lake)?;
    start_workers(reading.budget.threads, reading.max_depth)?
        .install(|| compare(&lake, &ledger, planned, reading, observer))
}

fn compare(
    lake: &Lake,
    ledger: &Ledger,
    planned: Vec<PlannedFile>,
    reading: Reading,
    observer: &dyn Observer,
) -> Result<RoundtripReport, LoadError> {
    let records = ledger.runs.as_slice();
    let mut report = RoundtripReport { files: planned.len(), ..RoundtripReport::default() };
    let found: Vec<_> =
        planned.into_par_iter().map(|planned| (find_load(&planned, records, reading), planned)).collect();
    let mut rejected = rejected_by_file(lake, found.iter().filter_map(|(found, _)| found.as_ref().ok()))?;
    let mut files = Vec::new();
    for (found, planned) in found {
        match found {
            Err(what) => report.tell(&planned, 0, what),
            Ok((record, recorded)) => {
                let (run, recorded) = (record.run.clone(), recorded.clone());
                let rejected = rejected.remove(&(run.clone(), recorded.name.clone())).unwrap_or_default();
                files.push(SourceFile { planned, run, recorded, rejected });
            }
        }
    }
    let runs: HashSet<&str> = files.iter().map(|file| &*file.run).collect();
    let tables = ledger.tables();
    let has_rows = |part: &CurrentPart| part.runs.iter().any(|of_run| runs.contains(&*of_run.run));
    let compared = Compared {
        lake,
        parts: tables.all().filter(|(_, part)| has_rows(part)).map(|(_, part)| &*part.part.path).collect(),
        numbers: files.iter().enumerate().map(|(at, file)| ((&*file.run, &*file.recorded.name), at)).collect(),
        files: &files,
        reading,
    };

    let read: Vec<(Sums, Result<Seen, String>)> = files
        .par_iter()
        .enumerate()
        .map(|(at, file)| {
            let mut sums = Sums::default();
            let seen = file.collect(at, reading, &mut sums);
            observer.event(Event::FileCompared { output_file: &file.planned.name });
            (sums, seen)
        })
        .collect();
    let mut source = Sums::default();
    for (file, (sums, seen)) in files.iter().zip(read) {
        source.merge(sums);
        match seen {
            Err(what) => report.tell(&file.planned, 0, what),
            Ok(seen) => {
                report.lines += seen.lines;
                report.resources += seen.resources;
                report.rejected += seen.rejected;
                let max = reading.budget.max_line_bytes;
                for line in seen.too_long {
                    let what = format!("it is longer than {max} bytes; give more memory to have it compared");
                    report.tell(&file.planned, line, what);
                }
            }
        }
    }
    let rows = collect_rows(lake, &compared.parts, &compared.numbers, reading.max_depth, &Sums::default())?;
    let differing = source.differing(rows);
    if !differing.is_empty() {
        examine(&compared, &differing, &mut report)?;
    }
    Ok(report)
}

impl RoundtripReport {
    fn tell(&mut self, file: &PlannedFile, line: u64, what: String) {
        self.differences += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(Difference { output_file: file.name.clone(), line, what });
        }
    }
}

/// The latest run that loaded this file, by its hash; one that knew it by the same name, if there is any.
fn find_load<'r>(
    planned: &PlannedFile,
    records: &'r [RunRecord],
    reading: Reading,
) -> Result<(&'r RunRecord, &'r OutputFile), String> {
    let received = receive(planned, reading)?;
    let loads = || {
        let files = records.iter().rev().flat_map(|record| record.output_files.iter().map(move |file| (record, file)));
        files.filter(|(_, file)| file.blake3 == received.blake3)
    };
    let found = loads().find(|(_, file)| file.name == planned.name).or_else(|| loads().next());
    found.ok_or_else(|| "no run of the lake has loaded this file as it is now".to_owned())
}

/// The numbers of the lines in quarantine, ascending, by run and file.
fn rejected_by_file<'r>(
    lake: &Lake,
    loads: impl Iterator<Item = &'r (&'r RunRecord, &'r OutputFile)>,
) -> Result<HashMap<(String, String), Vec<u64>>, LoadError> {
    let mut rejected: HashMap<(String, String), Vec<u64>> = HashMap::new();
    let runs: HashSet<&str> = loads.filter(|(_, file)| file.rejected > 0).map(|(record, _)| &*record.run).collect();
    for run in runs {
        for record in rejected_lines(lake, run)? {
            rejected.entry((run.to_owned(), record.output_file)).or_default().push(record.line);
        }
    }
    rejected.values_mut().for_each(|lines| lines.sort_unstable());
    Ok(rejected)
}
