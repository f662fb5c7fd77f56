//! What a run's ledger claims, each claim worked out from its figures: the equations that must add up, and whether they do.
//!
//! In comes a run record, out come sentences with a yes or a no. Nothing of the lake is read; that is what `verify` is for.

use std::collections::{BTreeMap, BTreeSet};

use lakehaul_load::{OutputFile, Problem, RunRecord, SearchedRecord, Totals};

use crate::report::figures::{count, counted};

/// Something that holds, or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) holds: bool,
    pub(super) what: String,
    /// The figures that it rests on.
    pub(super) figures: String,
}

/// How one output file's figures agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// Its lines are of the kinds that are counted.
    pub(super) lines: bool,
    /// As many bytes as the server stated, if it stated any.
    pub(super) bytes: Option<bool>,
    /// No fewer resources than the manifest counts, if it counts them.
    pub(super) count: Option<bool>,
    /// It was read to its end.
    pub(super) whole: bool,
}

/// The marks of each file, in the record's order.
pub(super) fn marks(record: &RunRecord) -> Vec<Marks> {
    let broken_off: BTreeSet<&str> = record
        .problems
        .iter()
        .filter_map(|problem| match problem {
            Problem::Lost { output_file, .. } | Problem::Unreadable { output_file, .. } => Some(output_file.as_str()),
            _ => None,
        })
        .collect();
    let marks = |file: &OutputFile| Marks {
        lines: file.lines == kinds(file),
        bytes: file.stated_bytes.map(|stated| file.bytes == stated),
        count: file.declared_count.map(|declared| came(file).saturating_add(file.rejected) >= declared),
        whole: !broken_off.contains(file.name.as_str()),
    };
    record.output_files.iter().map(marks).collect()
}

impl Marks {
    /// All is well, as far as there is something to tell it by.
    pub(super) fn hold(self) -> bool {
        self.lines && self.whole && self.bytes != Some(false) && self.count != Some(false)
    }
}

/// All claims, in the order in which they are read. `reasons`: the quarantine's, if it can be read.
pub(super) fn claims(record: &RunRecord, marks: &[Marks], reasons: Option<&BTreeMap<String, u64>>) -> Vec<Claim> {
    let totals = &record.totals;
    let claim = |holds, what: &str, figures: String| Claim { holds, what: what.to_owned(), figures };
    let share = |good: usize, all: usize, of: &str| format!("{} of {} {of}", count(good as u64), count(all as u64));
    let files = if marks.len() == 1 { "output file" } else { "output files" };
    let each = |what: &str, figure: fn(&Marks) -> Option<bool>, of: &str| {
        let known: Vec<bool> = marks.iter().filter_map(figure).collect();
        let good = known.iter().filter(|&&good| good).count();
        (!known.is_empty()).then(|| claim(good == known.len(), what, share(good, known.len(), &format!("{files}{of}"))))
    };

    let mut claims = vec![claim(
        totals.lines == all_kinds(totals),
        "Every line is accounted for",
        format!("{} = {}", counted(totals.lines, "line", "lines"), sum_of_kinds(totals)),
    )];
    claims.extend(each("Each output file adds up by itself", |marks| Some(marks.lines), ""));
    claims.extend(each("Each output file was read to its end", |marks| Some(marks.whole), ""));
    claims.extend(each("As many bytes came as the server stated", |marks| marks.bytes, " with a stated length"));
    claims.extend(each(
        "No fewer resources came than the manifest counts",
        |marks| marks.count,
        " with a count; rejected lines did come",
    ));
    claims.push(claim(
        totals.resources == totals.rows,
        "Every resource is a row",
        format!("{} = {}", counted(totals.resources, "resource", "resources"), counted(totals.rows, "row", "rows")),
    ));
    let sound = |table: &&lakehaul_load::TableRecord| {
        table.rows == table.files.iter().fold(0, |sum: u64, part| sum.saturating_add(part.rows))
    };
    let tables = || record.tables.iter().chain(&record.deleted_resources);
    if tables().next().is_some() {
        let (good, all) = (tables().filter(sound).count(), tables().count());
        let name = if all == 1 { "table" } else { "tables" };
        claims.push(claim(good == all, "Each table has the rows of its Parquet files", share(good, all, name)));
    }
    if let Some(reasons) = reasons {
        let index = reasons.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
        claims.push(claim(
            index == totals.rejected,
            "Every rejected line is in quarantine",
            format!("{} rejected = {} in its index", count(totals.rejected), count(index)),
        ));
    }
    if let Some(export) = &record.export {
        if let Some(exported) = export.resource_count {
            let holds = totals.resources.saturating_add(totals.rejected) >= exported;
            let (resources, sign) = (count(totals.resources), if holds { '≥' } else { '<' });
            claims.push(claim(
                holds,
                "No fewer resources came than the server counts in the export",
                format!("{resources} + {} rejected {sign} {}", count(totals.rejected), count(exported)),
            ));
        }
        if let Some(failed) = export.failed_batches {
            let of = export.total_batches.map(|total| format!(" of {}", count(total))).unwrap_or_default();
            claims.push(claim(failed == 0, "The server failed no batch", format!("{}{of} failed", count(failed))));
        }
    }
    claims.extend(record.search.iter().flat_map(|search| &search.searches).filter_map(of_search));
    let faults = record.faults().len() as u64;
    let figures = if faults == 0 { "all of them".to_owned() } else { counted(faults, "does not", "do not") };
    claims.push(claim(faults == 0, "Figures that follow from others are what these make them", figures));
    claims
}

/// What is claimed of one search, if the server says how much it finds.
fn of_search(search: &SearchedRecord) -> Option<Claim> {
    let SearchedRecord { name, pages, matches, total, refused, .. } = search;
    if refused.is_some() {
        let what = format!("The server does the search for {name}");
        return Some(Claim { holds: false, what, figures: "refused".to_owned() });
    }
    let total = (*total)?;
    let (holds, sign) = (*matches >= total, if *matches >= total { '≥' } else { '<' });
    let pages = counted(*pages, "page", "pages");
    Some(Claim {
        holds,
        what: format!("No fewer resources came than the search for {name} finds"),
        figures: format!("{} in {pages} {sign} {}", count(*matches), count(total)),
    })
}

/// What a file is counted by: it has lines of one of these kinds only.
fn came(file: &OutputFile) -> u64 {
    file.resources.saturating_add(file.outcomes).saturating_add(file.deletions)
}

fn kinds(file: &OutputFile) -> u64 {
    [file.resources, file.rejected, file.blank, file.outcomes, file.headers, file.deletions]
        .into_iter()
        .fold(0, u64::saturating_add)
}

fn all_kinds(totals: &Totals) -> u64 {
    named_kinds(totals).into_iter().fold(0, |sum, (_, lines)| sum.saturating_add(lines))
}

fn named_kinds(totals: &Totals) -> [(&'static str, u64); 6] {
    [
        ("resources", totals.resources),
        ("rejected", totals.rejected),
        ("blank", totals.blank),
        ("outcomes", totals.outcomes),
        ("headers", totals.headers),
        ("deletions", totals.deletions),
    ]
}

fn sum_of_kinds(totals: &Totals) -> String {
    named_kinds(totals).map(|(name, lines)| format!("{} {name}", count(lines))).join(" + ")
}
