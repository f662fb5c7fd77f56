//! The end of a load or an export: a table per resource type, a verdict, and what to try next; for each problem a sentence
//! and what to do about it.

use lakehaul_load::{Format, LakeSettings, LoadSummary, Problem, TableSummary};

use super::figures;
use super::table::{Sums, Table};
use crate::exit::{Allowed, Exit};

/// What the closing words need to know besides the summary.
#[derive(Debug, Clone, Copy)]
pub struct Closing<'a> {
    /// The lake as it was named.
    pub lake: &'a str,
    /// What its tables are.
    pub settings: LakeSettings,
    /// Where it came from.
    pub origin: Origin<'a>,
    /// The process's largest resident memory so far.
    pub peak_memory_bytes: Option<u64>,
}

/// Where the lines came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// Files.
    Files {
        /// The first input as it was named, for the command that proves the load; none if it cannot be read again.
        source: Option<&'a str>,
    },
    /// A server's export.
    Server,
    /// Searches at a server.
    Search,
}

/// Table, verdict and what to try next.
pub fn render(summary: &LoadSummary, closing: &Closing<'_>) -> String {
    let mut text = String::new();
    if !summary.tables.is_empty() && !summary.already_complete {
        text.push_str(&table(summary));
        text.push('\n');
    }
    text.push_str(&verdict(summary, closing));
    text.push('\n');
    let next = what_next(summary, closing);
    if !next.is_empty() {
        text.push('\n');
        text.push_str(&next);
    }
    text
}

fn table(summary: &LoadSummary) -> String {
    let mut table = Table::new(&["type", "lines", "rows", "rejects", "read", "written", "seconds", "MB/s"], 1);
    for t in &summary.tables {
        let name = if t.resource_type.is_empty() { "(no type)" } else { &t.resource_type };
        table.row(cells(name.to_owned(), t));
    }
    let totals = &summary.totals;
    let types = summary.tables.iter().filter(|t| t.rows > 0).count();
    table.row(cells(
        figures::counted(types as u64, "type", "types"),
        &TableSummary {
            lines: totals.lines,
            rows: totals.rows,
            rejected: totals.rejected,
            content_bytes: totals.content_bytes,
            bytes: totals.part_bytes,
            work_seconds: summary.seconds,
            ..TableSummary::default()
        },
    ));
    table.render(Sums::LastRow)
}

/// The last row's time is the clock's; a type's is what its lines took of the workers' time.
fn cells(name: String, t: &TableSummary) -> [String; 8] {
    [
        name,
        figures::count(t.lines),
        figures::count(t.rows),
        if t.rejected == 0 { "–".to_owned() } else { figures::count(t.rejected) },
        figures::bytes(t.content_bytes),
        figures::bytes(t.bytes),
        figures::seconds(t.work_seconds),
        figures::megabytes_per_second(t.content_bytes, t.work_seconds),
    ]
}

fn verdict(summary: &LoadSummary, closing: &Closing<'_>) -> String {
    let totals = &summary.totals;
    let (lake, run) = (closing.lake, &summary.run);
    if summary.already_complete {
        let rows = figures::counted(totals.rows, "row", "rows");
        return match closing.origin {
            Origin::Files { .. } => format!(
                "This load has already finished as run {run}: its {rows} are in {lake}, and nothing was read or written.\n\
                 --new-run loads the same again and appends it."
            ),
            Origin::Search => format!(
                "These searches have already finished as run {run}: their {rows} are in {lake}, and the server was not \
                 asked.\n--new-run searches again and appends what is found."
            ),
            Origin::Server => format!(
                "This export has already finished as run {run}: its {rows} are in {lake}{}, and the server was not asked.\n\
                 --since last exports what has changed after it; --new-run exports all of it again and appends it.",
                summary.transaction_time.as_ref().map(|time| format!(", as of {time}")).unwrap_or_default()
            ),
        };
    }
    let rows = figures::counted(totals.rows, "row", "rows");
    let files = match closing.origin {
        Origin::Search => figures::counted(totals.files, "page", "pages"),
        Origin::Files { .. } | Origin::Server => figures::counted(totals.files, "file", "files"),
    };
    let parts = figures::counted(totals.parts, "Parquet file", "Parquet files");
    let mut text = if summary.problems.is_empty() {
        format!("Every line of {files} is accounted for: {rows} in {parts}.")
    } else {
        format!("Loaded {rows} from {files} into {parts}, but not all is well (see below).")
    };
    if summary.deleted_resources > 0 {
        let deleted = figures::counted(summary.deleted_resources, "resource is", "resources are");
        text.push_str(&format!("\n{deleted} reported as deleted, in the table deleted_resources."));
    }
    text.push_str(&format!("\nLake: {lake}; run: {run}"));
    if let Some(peak) = closing.peak_memory_bytes {
        text.push_str(&format!("; peak memory: {}", figures::bytes(peak)));
    }
    if let (Origin::Server, Some(time)) = (closing.origin, &summary.transaction_time) {
        text.push_str(&format!(
            "\nData as of {time}; the same command with --since last brings what changes after it."
        ));
    }
    text
}

fn what_next(summary: &LoadSummary, closing: &Closing<'_>) -> String {
    let Some(largest) = summary.tables.iter().filter(|t| t.rows > 0).max_by_key(|t| t.rows) else {
        return String::new();
    };
    let folder = closing.settings.layout.folder(&largest.resource_type);
    let lake = closing.lake.trim_end_matches('/');
    let quoted = lake.replace('\'', "''");
    let rows = match closing.settings.format {
        Format::Parquet => format!("'{quoted}/{folder}/*.parquet'"),
        Format::Delta => format!("delta_scan('{quoted}/{folder}')"),
    };
    let mut text = format!("Query it with DuckDB:  SELECT * FROM {rows} LIMIT 10;\n");
    if let (Origin::Files { source: Some(source) }, false) = (closing.origin, summary.already_complete) {
        text.push_str(&format!(
            "Prove it:              lakehaul verify {} --roundtrip {}\n",
            shell_word(lake),
            shell_word(source)
        ));
    }
    if let (Origin::Server | Origin::Search, false) = (closing.origin, summary.already_complete) {
        text.push_str(&format!("Check it:              lakehaul verify {}\n", shell_word(lake)));
    }
    text
}

/// The text as one word of a POSIX shell.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// What to do about a problem; whether it counts is `exit`.
pub fn advice(
    problem: &Problem,
    (lake, origin): (&str, Origin<'_>),
    run: &str,
    exit: Exit,
    allowed: Allowed,
) -> String {
    let lake = lake.trim_end_matches('/');
    let accepted = exit == Exit::Complete;
    match problem {
        Problem::Rejected { .. } if accepted => format!("allowed; see {lake}/_lake/quarantine/{run}/index.ndjson"),
        Problem::Rejected { .. } => format!(
            "{lake}/_lake/quarantine/{run}/index.ndjson says where and why; --allow-rejects {} success",
            if allowed == Allowed::default() { "counts them as" } else { "with a larger number counts them as" }
        ),
        Problem::FewerThanDeclared { .. }
        | Problem::Lost { .. }
        | Problem::FewerThanExported { .. }
        | Problem::FewerThanFound { .. }
        | Problem::SearchRefused { .. }
        | Problem::FailedBatches { .. }
            if accepted =>
        {
            "allowed".to_owned()
        }
        Problem::FewerThanDeclared { .. } if origin != Origin::Server => {
            "get the file anew, or accept it with --allow-partial".to_owned()
        }
        Problem::FewerThanDeclared { .. }
        | Problem::Lost { .. }
        | Problem::FewerThanExported { .. }
        | Problem::FailedBatches { .. } => {
            "what came is loaded; --new-run exports all of it again, --allow-partial accepts it".to_owned()
        }
        Problem::FewerThanFound { .. } | Problem::SearchRefused { .. } => {
            "what came is loaded; --new-run searches again, --allow-partial accepts it".to_owned()
        }
        Problem::Outcomes { .. } if accepted => format!("allowed; see {lake}/_lake/outcomes/{run}.ndjson"),
        Problem::Outcomes { .. } => {
            format!("{lake}/_lake/outcomes/{run}.ndjson has what it says; --allow-partial accepts it")
        }
        Problem::Unreadable { .. } if origin == Origin::Server => {
            "what came before is loaded; --new-run exports all of it again".to_owned()
        }
        Problem::Unreadable { .. } => {
            "what came before is loaded; get the file anew and load it into a new lake".to_owned()
        }
        _ => "the run record has the details".to_owned(),
    }
}
