//! `lakehaul runs`: the lake's run records, oldest first, as a table or as they are; then the runs that have not finished.

use std::io::Write;

use lakehaul_load::{RunRecord, RunStatus};
use serde_json::json;

use crate::args::RunsArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::figures;
use crate::report::table::{Sums, Table};
use crate::resolve::{self, Form, Manner};

pub(super) fn run(args: &RunsArgs, manner: Manner) -> Result<Exit, Failure> {
    let lake = resolve::lake(&args.lake)?;
    let failed = || Failure::to(format!("list the runs of {lake}"));
    let runs = lakehaul_load::runs(&lake).map_err(failed())?;
    let unfinished = lakehaul_load::unfinished(&lake).map_err(failed())?;
    let mut out = std::io::stdout().lock();
    match manner.form {
        Form::Json => {
            for run in &runs {
                let record = serde_json::to_string(run).expect("a run record is plain data");
                writeln!(out, "{record}")?;
            }
            for (run, source) in &unfinished {
                writeln!(out, "{}", json!({"run": run, "status": UNFINISHED, "source": source}))?;
            }
        }
        Form::Text if runs.is_empty() && unfinished.is_empty() => writeln!(out, "{lake} has no run.")?,
        Form::Text => {
            out.write_all(table(&runs, &unfinished).as_bytes())?;
            if !unfinished.is_empty() {
                writeln!(out, "\nThe command that began a run finishes it; `lakehaul cancel RUN` gives an export up.")?;
            }
        }
    }
    out.flush()?;
    Ok(Exit::Complete)
}

/// The status of a run that has no record yet.
const UNFINISHED: &str = "unfinished";

/// `unfinished`: names and sources.
fn table(runs: &[RunRecord], unfinished: &[(String, String)]) -> String {
    let mut table =
        Table::new(&["run", "status", "finished", "source", "files", "rows", "rejects", "read", "written"], 4);
    for run in runs {
        let totals = &run.totals;
        table.row([
            run.run.clone(),
            status(run.status).to_owned(),
            to_seconds(&run.finished),
            run.source.clone(),
            figures::count(totals.files),
            figures::count(totals.rows),
            figures::count(totals.rejected),
            figures::bytes(totals.content_bytes),
            figures::bytes(totals.part_bytes),
        ]);
    }
    for (run, source) in unfinished {
        let dash = || "–".to_owned();
        let known = [run.clone(), UNFINISHED.to_owned(), dash(), source.clone()];
        table.row(known.into_iter().chain(std::iter::repeat_with(dash).take(5)));
    }
    table.render(Sums::None)
}

/// `2026-11-22T08:42:01.993623458Z` without what follows the seconds.
fn to_seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Complete => "complete",
        RunStatus::Rejected => "rejected",
        RunStatus::Partial => "partial",
        RunStatus::Unreadable => "unreadable",
    }
}

#[cfg(test)]
mod tests {
    use lakehaul_load::Totals;

    use super::*;

    #[test]
    fn runs_line_up() {
        let run = RunRecord {
            run: "20261122-074157-1f2e".into(),
            status: RunStatus::Complete,
            source: "export/manifest.json".into(),
            transaction_time: None,
            started: "2026-11-22T07:41:57Z".into(),
            finished: "2026-11-22T07:41:58.123456789Z".into(),
            plan: "0a".into(),
            output_files: vec![],
            tables: vec![],
            deleted_resources: None,
            export: None,
            search: None,
            totals: Totals {
                files: 18,
                rows: 38_473,
                content_bytes: 146_100_000,
                part_bytes: 3_900_000,
                ..Totals::default()
            },
            problems: vec![],
        };
        let totals =
            Totals { files: 1, rows: 9, rejected: 1, content_bytes: 12_000, part_bytes: 9_000, ..Totals::default() };
        let other = RunRecord { status: RunStatus::Rejected, source: "-".into(), totals, ..run.clone() };
        let unfinished = ("20261123T000000Z-2a3b4c5d".to_owned(), "oneup-provider gateway.1up.health/bison".to_owned());
        insta::assert_snapshot!(table(&[run, other], &[unfinished]));
    }
}
