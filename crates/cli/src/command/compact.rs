//! `lakehaul compact`: what was joined and widened, a row a table, on stdout.

use std::io::Write;
use std::sync::Arc;

use lakehaul_load::{CompactSummary, CompactionRecord, SystemClock};
use serde_json::json;

use crate::args::CompactArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::table::{Sums, Table};
use crate::report::{Reporter, figures};
use crate::resolve::{self, Form, Manner};
use crate::signals::{Again, Watch};

const BEGINS_ANEW: Again = "run the same command again: it begins anew; the lake's rows are what they were";

pub(super) fn run(args: &CompactArgs, manner: Manner) -> Result<Exit, Failure> {
    let request = resolve::compact(args)?;
    let lake = &request.lake;
    let reporter = Arc::new(Reporter::to_stderr(manner));
    let told = Arc::clone(&reporter);
    let watch = Watch::new(&request.options.interrupt, BEGINS_ANEW, move |notice| told.notice(notice));
    let summary = reporter
        .during(|| lakehaul_load::compact(&request, &SystemClock, &*reporter))
        .map_err(watch.failure(format!("compact {lake}")))?;
    if manner.quiet && manner.form == Form::Text {
        return Ok(Exit::Complete);
    }
    let text = match manner.form {
        Form::Json => object(&summary),
        Form::Text => text(&summary, lake),
    };
    let mut out = std::io::stdout().lock();
    Failure::unless_left(out.write_all(text.as_bytes()).and_then(|()| out.flush()), Exit::Complete)
}

fn text(summary: &CompactSummary, lake: &str) -> String {
    let files = |n| figures::counted(n, "Parquet file", "Parquet files");
    let Some(record) = &summary.record else {
        return format!("{lake} needs no compaction: {}.\n", stay(summary.kept_parts));
    };
    let mut text = table(record);
    let totals = &record.totals;
    let kept = match summary.kept_parts {
        0 => String::new(),
        n => format!("; {}", stay(n)),
    };
    text.push_str(&format!(
        "\nCompaction {}: {} in the place of {}{kept}. {}.\n",
        record.compaction,
        files(totals.parts),
        figures::count(totals.replaced_parts),
        figures::duration(summary.seconds),
    ));
    text
}

/// Of so many parts nothing was made.
fn stay(parts: u64) -> String {
    match parts {
        1 => "1 Parquet file stays as it is".to_owned(),
        n => format!("{} Parquet files stay as they are", figures::count(n)),
    }
}

/// Before and after, of what was done something to.
fn table(record: &CompactionRecord) -> String {
    let mut table = Table::new(&["table", "rows", "files", "now", "bytes", "now"], 1);
    for of_type in &record.tables {
        let replaced = || of_type.files.iter().flat_map(|part| &part.replaces);
        table.row([
            of_type.resource_type.clone(),
            figures::count(of_type.rows),
            figures::count(replaced().count() as u64),
            figures::count(of_type.files.len() as u64),
            figures::bytes(replaced().map(|gone| gone.part.bytes).sum()),
            figures::bytes(of_type.files.iter().map(|part| part.part.bytes).sum()),
        ]);
    }
    let totals = &record.totals;
    if record.tables.len() < 2 {
        return table.render(Sums::None);
    }
    table.row([
        figures::counted(totals.tables, "table", "tables"),
        figures::count(totals.rows),
        figures::count(totals.replaced_parts),
        figures::count(totals.parts),
        figures::bytes(totals.replaced_bytes),
        figures::bytes(totals.part_bytes),
    ]);
    table.render(Sums::LastRow)
}

fn object(summary: &CompactSummary) -> String {
    let warnings: Vec<String> = summary.warnings.iter().map(ToString::to_string).collect();
    let object = json!({
        "compaction": summary.record.as_ref().map(|record| &record.compaction),
        "tables": summary.record.as_ref().map(|record| &record.tables),
        "totals": summary.record.as_ref().map(|record| &record.totals),
        "kept_parts": summary.kept_parts, "seconds": summary.seconds, "warnings": warnings,
    });
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use lakehaul_load::{CompactedPart, CompactedTable, CompactionTotals, PartRecord, ReplacedPart};

    use super::*;

    #[test]
    fn what_was_done_reads_well() {
        let part = |rows, bytes| PartRecord { rows, bytes, ..PartRecord::default() };
        let replaces = |bytes| ReplacedPart { part: part(100, bytes), of: "20261122T074157Z-1f2e3d4c".to_owned() };
        let table = |name: &str, parts: usize| CompactedTable {
            resource_type: name.to_owned(),
            rows: 100 * parts as u64,
            files: vec![CompactedPart {
                part: part(100 * parts as u64, 64_000),
                replaces: vec![replaces(40_000); parts],
                ..CompactedPart::default()
            }],
            version: None,
        };
        let tables = vec![table("ExplanationOfBenefit", 30), table("Patient", 3)];
        let totals = CompactionTotals {
            tables: 2,
            rows: 3300,
            replaced_parts: 33,
            replaced_bytes: 1_320_000,
            parts: 2,
            part_bytes: 128_000,
        };
        let compaction = "20261124T221400Z-compact".to_owned();
        let record = CompactionRecord { compaction, tables, totals, ..CompactionRecord::default() };
        let mut summary = CompactSummary { record: Some(record), kept_parts: 4, seconds: 1.25, warnings: Vec::new() };
        insta::assert_snapshot!("compacted", text(&summary, "lake"));
        summary.record = None;
        insta::assert_snapshot!("compacted_nothing", text(&summary, "lake"));
        assert_eq!(stay(1), "1 Parquet file stays as it is");
        insta::assert_snapshot!("compacted_nothing_object", object(&summary));
    }
}
