//! A run's ledger as one HTML page: for people, on screen and on paper, with nothing but a browser.
//!
//! In comes what is known of a run, out goes the text. Names are a server's and may be hostile: they are escaped, and shown
//! as [`plain`] has them. The page loads nothing, runs nothing and links nowhere.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lakehaul_load::{LakeSettings, OutputFile, Problem, RunRecord, RunStatus, TableRecord};
use lakehaul_schema::LAKE_SCHEMA;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::claims::{Claim, Marks, claims, marks};
use crate::report::figures::{self, count, counted};
use crate::report::plain::plain;

/// Up to so many files are shown unasked, on screen or on paper: about a page.
const SHOWN: usize = 40;

const STYLE: &str = include_str!("page.css");

/// No script, no request: also if an escape were forgotten.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// What the page is about.
#[derive(Debug)]
pub(super) struct Subject<'s> {
    /// As it was named.
    pub(super) lake: &'s str,
    pub(super) record: &'s RunRecord,
    pub(super) settings: &'s LakeSettings,
    /// How often each reason is in quarantine, or why that is not known.
    pub(super) reasons: Result<&'s BTreeMap<String, u64>, String>,
    /// How many of its Parquet files compactions have replaced.
    pub(super) replaced: usize,
    /// Runs that have no ledger yet.
    pub(super) unfinished: &'s [String],
}

pub(super) fn page(subject: &Subject<'_>) -> String {
    let Subject { lake, record, unfinished, .. } = subject;
    let marks = marks(record);
    let claims = claims(record, &marks, subject.reasons.as_ref().ok().copied());
    let title = format!("Run {} of {lake}", record.run);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (plain(&title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head(subject))
                @if !unfinished.is_empty() {
                    p.aside {
                        "The lake also has " (counted(unfinished.len() as u64, "run that has", "runs that have"))
                        " not finished, and no ledger yet: " (list(unfinished)) "."
                    }
                }
                (problems(record))
                (account(&claims, record))
                (tables(record, subject.replaced))
                (files(record, &marks))
                (quarantine(subject))
                (provenance(subject))
            }
        }
    };
    page.into_string() + "\n"
}

fn head(subject: &Subject<'_>) -> Markup {
    let Subject { lake, record, .. } = subject;
    let totals = &record.totals;
    let (word, class) = status(record.status);
    let (began, finished) = (time(&record.started), time(&record.finished));
    html! {
        header {
            p.kicker { "lakehaul · ledger of a run" }
            h1 { (name(&record.run)) " " span.status.(class) { (word) } }
            p.source { (name(&record.source)) " → " (name(lake)) }
            dl.figures {
                div { dt { "Rows" } dd { (count(totals.rows)) } }
                div { dt { "Lines" } dd { (count(totals.lines)) } }
                div { dt { "Rejected" } dd.bad[totals.rejected > 0] { (count(totals.rejected)) } }
                div { dt { "Output files" } dd { (count(totals.files)) } }
                div { dt { "Read" } dd { (figures::bytes(totals.bytes)) } }
                div { dt { "Written" } dd { (figures::bytes(totals.part_bytes)) } }
            }
            dl.facts {
                dt { "Began" } dd { (began) }
                dt { "Ready to publish" } dd { (finished) (took(record)) }
                @if let Some(time) = &record.transaction_time { dt { "Data as of" } dd { (name(time)) } }
            }
        }
    }
}

fn problems(record: &RunRecord) -> Markup {
    let faults = record.faults();
    html! {
        @if !faults.is_empty() {
            section.box.broken {
                h2 { "The ledger does not agree with itself" }
                (folded(&faults.iter().map(|fault| name(fault)).collect::<Vec<_>>()))
            }
        }
        @if !record.problems.is_empty() {
            section.box {
                h2 { "What keeps the run from being complete" }
                (folded(&record.problems.iter().map(|problem| sentence(problem, &record.run)).collect::<Vec<_>>()))
            }
        }
    }
}

/// A list of which the first are shown, and the rest where it is asked for: each file of an export may have a problem.
fn folded(items: &[Markup]) -> Markup {
    let (first, rest) = items.split_at(items.len().min(SHOWN));
    html! {
        ul { @for item in first { li { (item) } } }
        @if !rest.is_empty() {
            details {
                summary { "and " (count(rest.len() as u64)) " more" }
                ul { @for item in rest { li { (item) } } }
            }
        }
    }
}

fn sentence(problem: &Problem, run: &str) -> Markup {
    html! { (name(&problem.to_string())) (place(problem, run)) }
}

/// Where in the lake more is to be read about a problem.
fn place(problem: &Problem, run: &str) -> Markup {
    let path = match problem {
        Problem::Rejected { .. } => format!("_lake/quarantine/{run}/index.ndjson"),
        Problem::Outcomes { .. } => format!("_lake/outcomes/{run}.ndjson"),
        _ => return html! {},
    };
    html! { ": see " code { (plain(&path)) } }
}

fn account(claims: &[Claim], record: &RunRecord) -> Markup {
    let wrong = claims.iter().filter(|claim| !claim.holds).count();
    html! {
        section {
            h2 { "The account" }
            p.note {
                @if wrong == 0 { "All of it adds up." }
                @else { (counted(wrong as u64, "claim does", "claims do")) " not hold." }
                " Worked out from the ledger’s own figures; " code { "lakehaul verify" } " checks them against the files."
            }
            ul.claims {
                @for claim in claims {
                    li {
                        (mark(claim.holds))
                        div { (claim.what) div.sum { (claim.figures) } }
                    }
                }
            }
            @if record.output_files.iter().any(|file| file.unverified_length) {
                p.note {
                    "Some output files came without any length or count: if one was cut off at a line’s end, nobody can tell."
                }
            }
        }
    }
}

fn tables(record: &RunRecord, replaced: usize) -> Markup {
    let all: Vec<&TableRecord> = record.tables.iter().chain(&record.deleted_resources).collect();
    let parts: usize = all.iter().map(|table| table.files.len()).sum();
    let bytes = |table: &TableRecord| table.files.iter().fold(0, |sum: u64, part| sum.saturating_add(part.bytes));
    html! {
        section {
            h2 { "Tables" }
            @if all.is_empty() { p.note { "The run added no row." } }
            @else {
                div.wide { table {
                    thead { tr { th scope="col" { "Table" } th.n scope="col" { "Rows" } th.n scope="col" { "Parquet files" } th.n scope="col" { "Bytes" } } }
                    tbody {
                        @for table in &all {
                            tr {
                                td { (name(&table.resource_type)) }
                                td.n { (count(table.rows)) }
                                td.n { (count(table.files.len() as u64)) }
                                td.n { (figures::bytes(bytes(table))) }
                            }
                        }
                    }
                    @if record.tables.len() > 1 {
                        tfoot { tr {
                            td { (counted(record.totals.tables, "resource type", "resource types")) }
                            td.n { (count(record.totals.rows)) }
                            td.n { (count(record.totals.parts)) }
                            td.n { (figures::bytes(record.totals.part_bytes)) }
                        } }
                    }
                } }
                @if replaced > 0 {
                    p.note {
                        "A compaction has put the rows of " (counted(replaced as u64, "of these Parquet files", "of these Parquet files"))
                        " into others since; " code { "_lake/compactions" } " says which. The rows are the same."
                    }
                }
                details.paper[parts <= SHOWN] {
                    summary { (counted(parts as u64, "Parquet file", "Parquet files")) ", with length and BLAKE3 hash" }
                    div.wide { table {
                        thead { tr { th scope="col" { "Parquet file" } th.n scope="col" { "Rows" } th.n scope="col" { "Bytes" } } }
                        tbody {
                            @for part in all.iter().flat_map(|table| &table.files) {
                                tr {
                                    td { (name(&part.path)) (hash(&part.blake3)) }
                                    td.n { (count(part.rows)) }
                                    td.n { (count(part.bytes)) }
                                }
                            }
                        }
                    } }
                }
            }
        }
    }
}

/// Those that have something to tell first; all of them, folded where they are many.
fn files(record: &RunRecord, marks: &[Marks]) -> Markup {
    let all: Vec<(&OutputFile, Marks)> = record.output_files.iter().zip(marks.iter().copied()).collect();
    let odd: Vec<_> = all
        .iter()
        .copied()
        .filter(|(file, marks)| !marks.hold() || file.rejected > 0 || file.other_type > 0 || file.unverified_length)
        .collect();
    let few = all.len() <= SHOWN;
    html! {
        section {
            h2 { "Output files" }
            p.note {
                "For each: lines = resources + rejected + blank + outcomes + headers + deletions. "
                "“Counted” is what the manifest says; “stated”, the length that the server stated."
            }
            @if few { (file_table(&all)) }
            @else {
                @if odd.is_empty() { p { "None of the " (count(all.len() as u64)) " files has anything to tell." } }
                @else {
                    details open[odd.len() <= SHOWN] {
                        summary { (counted(odd.len() as u64, "file has", "files have")) " something to tell" }
                        (file_table(&odd))
                    }
                }
                // Where all are odd, they are above.
                @if odd.len() < all.len() {
                    details {
                        summary { "All " (counted(all.len() as u64, "file", "files")) }
                        (file_table(&all))
                    }
                }
            }
        }
    }
}

fn file_table(files: &[(&OutputFile, Marks)]) -> Markup {
    // A column that is nothing in every row says nothing.
    let any = |figure: fn(&OutputFile) -> u64| files.iter().any(|(file, _)| figure(file) > 0);
    let (outcomes, headers, deletions) = (any(|f| f.outcomes), any(|f| f.headers), any(|f| f.deletions));
    let counted_by = files.iter().any(|(file, _)| file.declared_count.is_some());
    let stated = files.iter().any(|(file, _)| file.stated_bytes.is_some());
    html! {
        div.wide { table.files {
            thead { tr {
                th scope="col" { "Output file" }
                th.n scope="col" { "Bytes" } @if stated { th.n scope="col" { "Stated" } }
                th.n scope="col" { "Lines" } th.n scope="col" { "Resources" } th.n scope="col" { "Rejected" } th.n scope="col" { "Blank" }
                @if outcomes { th.n scope="col" { "Outcomes" } }
                @if headers { th.n scope="col" { "Headers" } }
                @if deletions { th.n scope="col" { "Deletions" } }
                @if counted_by { th.n scope="col" { "Counted" } }
            } }
            tbody {
                @for (file, marks) in files {
                    tr {
                        td { (file_name(file, *marks)) }
                        td.n { (count(file.bytes)) }
                        @if stated { (figure(file.stated_bytes, marks.bytes)) }
                        td.n { (count(file.lines)) " " (mark(marks.lines)) }
                        td.n { (count(file.resources)) }
                        td.n.bad[file.rejected > 0] { (count(file.rejected)) }
                        td.n { (count(file.blank)) }
                        @if outcomes { td.n { (count(file.outcomes)) } }
                        @if headers { td.n { (count(file.headers)) } }
                        @if deletions { td.n { (count(file.deletions)) } }
                        @if counted_by { (figure(file.declared_count, marks.count)) }
                    }
                }
            }
        } }
    }
}

fn file_name(file: &OutputFile, marks: Marks) -> Markup {
    let of_type = file.declared_type.as_deref();
    html! {
        (name(&file.name))
        @if let Some(of_type) = of_type { " " span.type { (name(of_type)) } }
        @if !marks.whole { " " span.flag { "not whole" } }
        @if file.unverified_length { " " span.flag { "length not verified" } }
        @if file.other_type > 0 { " " span.flag { (count(file.other_type)) " of another type" } }
        @if let Some(url) = file.url.as_deref().filter(|url| *url != file.name) { div.small { (name(url)) } }
        (hash(&file.blake3))
    }
}

/// A figure that there need not be, and whether it agrees.
fn figure(figure: Option<u64>, holds: Option<bool>) -> Markup {
    html! {
        td.n {
            @match figure {
                Some(figure) => { (count(figure)) @if let Some(holds) = holds { " " (mark(holds)) } }
                None => { span.none { "–" } }
            }
        }
    }
}

fn quarantine(subject: &Subject<'_>) -> Markup {
    let rejected = subject.record.totals.rejected;
    html! {
        @if rejected > 0 {
            section {
                h2 { "Quarantine" }
                @match &subject.reasons {
                    Err(why) => { p { (mark(false)) " Its index cannot be read: " (name(why)) } }
                    Ok(reasons) => {
                        div.wide { table.narrow {
                            thead { tr { th scope="col" { "Reason" } th.n scope="col" { "Lines" } } }
                            tbody { @for (reason, lines) in *reasons { tr { td { code { (plain(reason)) } } td.n { (count(*lines)) } } } }
                            @if reasons.len() > 1 { tfoot { tr { td { "All reasons" } td.n { (count(rejected)) } } } }
                        } }
                        p.note {
                            "Where each line is and what is wrong with it: "
                            code { (plain(&format!("_lake/quarantine/{}/index.ndjson", subject.record.run))) }
                        }
                    }
                }
            }
        }
    }
}

fn provenance(subject: &Subject<'_>) -> Markup {
    let Subject { record, settings, .. } = subject;
    let json = if settings.keep_json { "kept in a column" } else { "not kept" };
    html! {
        section {
            h2 { "Provenance" }
            dl.facts {
                dt { "Plan" } dd { code { (plain(&record.plan)) } }
                @if let Some(export) = &record.export {
                    dt { "Server’s kind" } dd { (name(&export.kind)) }
                    dt { "Export’s lineage" } dd { code { (plain(&export.lineage)) } }
                    dt { "Changed since" } dd { @match &export.since { Some(since) => (name(since)), None => "ever: all of it" } }
                }
                @if let Some(search) = &record.search {
                    dt { "Server’s kind" } dd { (name(&search.kind)) }
                }
                // No lake of another version is opened.
                dt { "Lake’s schemas" } dd { "version " (LAKE_SCHEMA) }
                dt { "Lake’s format" } dd { (settings.format.name()) }
                dt { "Lake’s layout" } dd { (settings.layout.name()) }
                dt { "Helper columns" } dd { (settings.annotations) }
                dt { "Lines’ text" } dd { (json) }
                dt { "Page by" } dd { "lakehaul " (env!("CARGO_PKG_VERSION")) }
            }
        }
    }
}

/// ✓ or ✗, in words for those who hear the page.
fn mark(holds: bool) -> Markup {
    let (class, sign, word) = if holds { ("yes", "✓", "holds") } else { ("no", "✗", "does not hold") };
    html! { span.mark.(class) role="img" aria-label=(word) { (sign) } }
}

fn hash(blake3: &str) -> Markup {
    html! { @if !blake3.is_empty() { div.small.hash { (plain(blake3)) } } }
}

/// A text that is not ours, by itself: what it is written in does not turn what is beside it.
fn name(text: &str) -> Markup {
    html! { bdi { (plain(text)) } }
}

fn list(names: &[String]) -> Markup {
    html! { @for (at, text) in names.iter().enumerate() { @if at > 0 { ", " } (name(text)) } }
}

fn status(status: RunStatus) -> (&'static str, &'static str) {
    match status {
        RunStatus::Complete => ("complete", "yes"),
        RunStatus::Rejected => ("lines rejected", "warn"),
        RunStatus::Partial => ("partial", "warn"),
        RunStatus::Unreadable => ("an input was not read whole", "no"),
    }
}

/// `2026-11-22 07:41:57 UTC`; as it is, if it is no time.
fn time(text: &str) -> Markup {
    match text.parse::<Timestamp>() {
        Ok(time) => html! { (time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC")) },
        Err(_) => name(text),
    }
}

/// Between its beginning and its end there may have been interruptions.
fn took(record: &RunRecord) -> Markup {
    let (Ok(began), Ok(finished)) = (record.started.parse::<Timestamp>(), record.finished.parse::<Timestamp>()) else {
        return html! {};
    };
    let seconds = finished.duration_since(began).as_secs_f64();
    html! { @if seconds >= 0.0 { ", " (figures::duration(seconds)) " after it began" } }
}
