//! `lakehaul verify`: the lake against its ledger, or with `--roundtrip` the source against its rows. What was checked
//! and each finding go to stdout: they are the result.

use std::io::Write;

use lakehaul_load::{RoundtripReport, VerifyReport};
use serde_json::json;

use crate::args::VerifyArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::plain::plain;
use crate::report::{Reporter, figures};
use crate::resolve::{self, Form, Manner};

pub(super) fn run(args: &VerifyArgs, manner: Manner) -> Result<Exit, Failure> {
    let lake = resolve::lake(&args.lake)?;
    let reporter = Reporter::to_stderr(manner);
    let (text, good) = if args.roundtrip.is_empty() {
        let report = reporter
            .during(|| lakehaul_load::verify(&lake, &reporter))
            .map_err(Failure::to(format!("verify {lake}")))?;
        let good = report.findings.is_empty();
        (
            match manner.form {
                Form::Json => ledger_object(&report),
                Form::Text => ledger_text(&report, &lake),
            },
            good,
        )
    } else {
        let inputs = resolve::inputs(&args.roundtrip)?;
        let options = resolve::roundtrip_options(args);
        let report = reporter
            .during(|| lakehaul_load::roundtrip(&lake, &inputs, &options, &reporter))
            .map_err(Failure::to(format!("compare {lake} with its source")))?;
        let good = report.differences == 0;
        (
            match manner.form {
                Form::Json => roundtrip_object(&report),
                Form::Text => roundtrip_text(&report, &lake),
            },
            good,
        )
    };
    let exit = if good { Exit::Complete } else { Exit::Verification };
    if good && manner.quiet && manner.form == Form::Text {
        return Ok(exit);
    }
    let mut out = std::io::stdout().lock();
    Failure::unless_left(out.write_all(text.as_bytes()).and_then(|()| out.flush()), exit)
}

fn ledger_text(report: &VerifyReport, lake: &str) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&format!("{}: {}\n", plain(&finding.path), plain(&finding.what)));
    }
    for run in &report.unfinished {
        let what = if run.ends_with("-compact") { "Compaction" } else { "Run" };
        let run = plain(run);
        text.push_str(&format!("{what} {run} has not finished; what it has staged is no part of the lake.\n"));
    }
    let checked = format!(
        "{}, {}, {} ({}), {}",
        figures::counted(report.runs as u64, "run", "runs"),
        figures::counted(report.tables as u64, "table", "tables"),
        figures::counted(report.parts as u64, "Parquet file", "Parquet files"),
        figures::bytes(report.bytes),
        figures::counted(report.rows, "row", "rows"),
    );
    text.push_str(&match report.findings.len() as u64 {
        0 => format!("{lake} is as its ledger says: {checked}.\n"),
        n => {
            format!("{lake} is not as its ledger says: {} in {checked}.\n", figures::counted(n, "finding", "findings"))
        }
    });
    text
}

fn ledger_object(report: &VerifyReport) -> String {
    let findings: Vec<_> = report.findings.iter().map(|f| json!({"path": f.path, "what": f.what})).collect();
    let object = json!({
        "good": findings.is_empty(), "runs": report.runs, "tables": report.tables, "parts": report.parts,
        "rows": report.rows, "bytes": report.bytes, "unfinished": report.unfinished, "findings": findings,
    });
    format!("{object}\n")
}

fn roundtrip_text(report: &RoundtripReport, lake: &str) -> String {
    let mut text = String::new();
    for difference in &report.examples {
        let line = if difference.line == 0 { String::new() } else { format!(" line {}", difference.line) };
        text.push_str(&format!("{}{line}: {}\n", difference.output_file, difference.what));
    }
    let untold = report.differences.saturating_sub(report.examples.len() as u64);
    if untold > 0 {
        text.push_str(&format!("… and {} more\n", figures::count(untold)));
    }
    let rejected = match report.rejected {
        0 => String::new(),
        n => format!(" ({} in quarantine)", figures::counted(n, "line", "lines")),
    };
    text.push_str(&format!(
        "{}: {} of {} in {} compared with their rows in {lake}{rejected}.\n",
        figures::counted(report.differences, "difference", "differences"),
        figures::counted(report.resources, "resource", "resources"),
        figures::counted(report.lines, "line", "lines"),
        figures::counted(report.files as u64, "file", "files"),
    ));
    text
}

fn roundtrip_object(report: &RoundtripReport) -> String {
    let examples: Vec<_> =
        report.examples.iter().map(|d| json!({"output_file": d.output_file, "line": d.line, "what": d.what})).collect();
    let object = json!({
        "good": report.differences == 0, "files": report.files, "lines": report.lines, "resources": report.resources,
        "rejected": report.rejected, "differences": report.differences, "examples": examples,
    });
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use lakehaul_load::{Difference, VerifyFinding};

    use super::*;

    #[test]
    fn a_good_lake_and_a_bad_one() {
        let mut report = VerifyReport {
            runs: 1,
            tables: 18,
            parts: 18,
            rows: 38_473,
            bytes: 3_912_000,
            unfinished: vec![],
            findings: vec![],
        };
        insta::assert_snapshot!("ledger_good", ledger_text(&report, "lake"));
        report
            .findings
            .push(VerifyFinding { path: "Patient/part-\u{1b}[2J1.parquet".into(), what: "the file is missing".into() });
        report.unfinished.push("20261123T000000Z-2a3b4c5d".into());
        insta::assert_snapshot!("ledger_bad", ledger_text(&report, "lake"));
        insta::assert_snapshot!("ledger_object", ledger_object(&report));
    }

    #[test]
    fn no_difference_and_some() {
        let mut report = RoundtripReport { files: 18, lines: 38_473, resources: 38_473, ..RoundtripReport::default() };
        insta::assert_snapshot!("roundtrip_good", roundtrip_text(&report, "lake"));
        report.rejected = 1;
        report.differences = 3;
        report.examples = vec![
            Difference { output_file: "Patient.ndjson".into(), line: 7, what: "name[0].given[1] differs".into() },
            Difference { output_file: "Claim.ndjson".into(), line: 0, what: "no run has loaded this file".into() },
        ];
        insta::assert_snapshot!("roundtrip_bad", roundtrip_text(&report, "lake"));
        insta::assert_snapshot!("roundtrip_object", roundtrip_object(&report));
    }
}
