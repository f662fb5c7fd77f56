//! The page of a run that has something of everything, one of many files, and what it says where figures do not agree.

use std::collections::BTreeMap;

use lakehaul_load::{
    ExportRecord, Format, LakeSettings, Layout, LoadOptions, OutputFile, PartRecord, Problem, RunStatus, TableRecord,
    Totals,
};

use super::claims::{claims, marks};
use super::*;

const RUN: &str = "20261122T074157Z-1f2e3d4c";

fn settings() -> LakeSettings {
    let LoadOptions { annotations, .. } = LoadOptions::default();
    LakeSettings {
        annotations: annotations.unwrap_or_default(),
        layout: Layout::Plain,
        format: Format::Parquet,
        keep_json: false,
    }
}

fn file(name: &str, declared_type: &str, resources: u64) -> OutputFile {
    OutputFile {
        name: name.to_owned(),
        url: Some(format!("https://files.example.com/{name}?…")),
        declared_type: Some(declared_type.to_owned()),
        bytes: resources * 1000,
        content_bytes: resources * 1000,
        blake3: "0123456789abcdef".repeat(4),
        lines: resources,
        resources,
        stated_bytes: Some(resources * 1000),
        ..OutputFile::default()
    }
}

fn table(name: &str, rows: u64) -> TableRecord {
    let part = PartRecord {
        path: format!("{name}/part-{RUN}-00000.parquet"),
        rows,
        bytes: rows * 71,
        blake3: "fedcba9876543210".repeat(4),
    };
    TableRecord { resource_type: name.to_owned(), rows, files: vec![part], ..TableRecord::default() }
}

fn record(output_files: Vec<OutputFile>, tables: Vec<TableRecord>, problems: Vec<Problem>) -> RunRecord {
    let sum = |figure: fn(&OutputFile) -> u64| output_files.iter().map(figure).sum();
    let totals = Totals {
        files: output_files.len() as u64,
        bytes: sum(|f| f.bytes),
        content_bytes: sum(|f| f.content_bytes),
        lines: sum(|f| f.lines),
        resources: sum(|f| f.resources),
        blank: sum(|f| f.blank),
        rejected: sum(|f| f.rejected),
        outcomes: sum(|f| f.outcomes),
        headers: sum(|f| f.headers),
        deletions: sum(|f| f.deletions),
        other_type: sum(|f| f.other_type),
        tables: tables.len() as u64,
        rows: tables.iter().map(|t| t.rows).sum(),
        parts: tables.iter().map(|t| t.files.len() as u64).sum(),
        part_bytes: tables.iter().flat_map(|t| &t.files).map(|part| part.bytes).sum(),
    };
    RunRecord {
        run: RUN.to_owned(),
        status: RunStatus::from(problems.as_slice()),
        source: "oneup-provider gateway.1up.health/bison".to_owned(),
        transaction_time: Some("2026-11-22T07:40:00Z".to_owned()),
        started: "2026-11-22T07:41:57Z".to_owned(),
        finished: "2026-11-22T09:02:01.123456789Z".to_owned(),
        plan: "1f2e3d4c5b6a79880123456789abcdef".to_owned(),
        output_files,
        tables,
        deleted_resources: None,
        export: None,
        search: None,
        totals,
        problems,
    }
}

/// Something of everything, and names that are meant to do harm.
fn eventful() -> RunRecord {
    let hostile = "<script>alert(1)</script>\u{202e}nosjdn.\"'&.ndjson";
    let lost = OutputFile { bytes: 900_000, resources: 900, lines: 900, ..file("Claim.002.ndjson", "Claim", 1000) };
    let rejects = OutputFile {
        lines: 1006,
        rejected: 3,
        blank: 2,
        headers: 1,
        other_type: 4,
        declared_count: Some(1000),
        ..file(hostile, "Patient", 1000)
    };
    let fewer = OutputFile {
        declared_count: Some(30),
        unverified_length: false,
        ..file("Coverage.001.ndjson", "Coverage", 20)
    };
    let unverified =
        OutputFile { unverified_length: true, stated_bytes: None, ..file("Claim.001.ndjson", "Claim", 500) };
    let errors = OutputFile { resources: 0, outcomes: 2, ..file("errors.ndjson", "OperationOutcome", 2) };
    let deleted = OutputFile { resources: 0, deletions: 1, ..file("deleted.ndjson", "Bundle", 1) };
    let problems = vec![
        Problem::Lost {
            output_file: "Claim.002.ndjson".into(),
            why: "the output file was answered with 410 Gone".into(),
        },
        Problem::FewerThanDeclared { output_file: "Coverage.001.ndjson".into(), declared: 30, resources: 20 },
        Problem::FewerThanExported { exported: 3000, resources: 2420 },
        Problem::FailedBatches { failed: 1, total: 6 },
        Problem::Outcomes { lines: 2 },
        Problem::Rejected { lines: 3 },
    ];
    let files = vec![lost, rejects, fewer, unverified, errors, deleted];
    let tables = vec![table("Claim", 1400), table("Coverage", 20), table("Patient", 1000)];
    let export = ExportRecord {
        kind: "oneup-provider".to_owned(),
        lineage: "00112233445566778899aabbccddeeff".to_owned(),
        since: Some("2026-10-01T00:00:00Z".to_owned()),
        resource_count: Some(3000),
        failed_batches: Some(1),
        total_batches: Some(6),
    };
    RunRecord {
        export: Some(export),
        deleted_resources: Some(table("deleted_resources", 2)),
        ..record(files, tables, problems)
    }
}

fn quiet(files: usize) -> RunRecord {
    let all = (0..files).map(|n| file(&format!("Patient.{n:05}.ndjson"), "Patient", 10)).collect();
    record(all, vec![table("Patient", files as u64 * 10)], vec![])
}

fn reasons() -> BTreeMap<String, u64> {
    [("not_json".to_owned(), 2), ("invalid_utf8".to_owned(), 1)].into()
}

fn shown(record: &RunRecord, reasons: Result<&BTreeMap<String, u64>, String>, unfinished: &[String]) -> String {
    page(&Subject { lake: "/data/lake & co", record, settings: &settings(), reasons, replaced: 0, unfinished })
}

#[test]
fn an_eventful_run() {
    let page = shown(&eventful(), Ok(&reasons()), &["20261123T000000Z-2a3b4c5d".to_owned()]);
    insta::assert_snapshot!(unstyled(&page));
}

#[test]
fn a_complete_run() {
    let mut record = quiet(2);
    // As long as a plan's hash is.
    record.plan = "1f2e3d4c".repeat(4);
    let page = shown(&record, Ok(&BTreeMap::new()), &[]);
    assert!(page.contains("All of it adds up.") && !page.contains("✗"));
    insta::assert_snapshot!(unstyled(&page));
}

/// An element a line, without the style, which is a file of its own.
fn unstyled(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").expect("there is a style");
    let (_, body) = rest.split_once("</style>").expect("it ends");
    format!("{head}{body}").replace("><", ">\n<")
}

#[test]
fn the_page_is_by_itself() {
    for record in [eventful(), quiet(3), quiet(100)] {
        let page = shown(&record, Ok(&reasons()), &[]);
        for word in ["<script", "src=", "href=", "url(", "@import", "onload", "\u{202e}", "<link", "<img", "<form"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
        assert_eq!(page.matches("<details").count(), page.matches("</details>").count());
    }
}

#[test]
fn many_files_are_folded_and_the_odd_ones_shown() {
    let few = shown(&quiet(3), Ok(&BTreeMap::new()), &[]);
    assert!(few.contains("Patient.00002.ndjson") && !few.contains("All 3 files"));
    let many = shown(&quiet(100), Ok(&BTreeMap::new()), &[]);
    assert!(many.contains("None of the 100 files has anything to tell.") && many.contains("<summary>All 100 files"));
    let mut odd = quiet(100);
    odd.output_files[7].rejected = 1;
    let odd = shown(&odd, Ok(&BTreeMap::new()), &[]);
    assert!(odd.contains("<details open><summary>1 file has something to tell"), "{odd}");
    assert!(odd.contains("The ledger does not agree with itself"));
}

#[test]
fn many_problems_are_folded() {
    let mut record = quiet(45);
    let lost = |file: &OutputFile| Problem::Lost { output_file: file.name.clone(), why: "410".to_owned() };
    record.problems = record.output_files.iter().map(lost).collect();
    assert!(shown(&record, Ok(&BTreeMap::new()), &[]).contains("<summary>and 5 more</summary>"));
}

#[test]
fn what_cannot_be_read_is_told() {
    let page = shown(&eventful(), Err("cannot read the index".to_owned()), &[]);
    assert!(page.contains("Its index cannot be read: <bdi>cannot read the index"));
    assert!(!page.contains("Every rejected line is in quarantine"));
    let mut record = quiet(1);
    record.started = "soon".to_owned();
    assert!(shown(&record, Ok(&BTreeMap::new()), &[]).contains("<bdi>soon</bdi>"));
}

/// The claims that do not hold, and those that are made.
#[track_caller]
fn check(record: &RunRecord, reasons: Option<&BTreeMap<String, u64>>, broken: &[&str]) {
    let claims = claims(record, &marks(record), reasons);
    let wrong: Vec<String> =
        claims.iter().filter(|claim| !claim.holds).map(|claim| format!("{}: {}", claim.what, claim.figures)).collect();
    assert_eq!(wrong, broken);
}

#[test]
fn every_claim_can_fail() {
    check(&quiet(2), Some(&BTreeMap::new()), &[]);
    check(
        &eventful(),
        Some(&reasons()),
        &[
            "Each output file was read to its end: 5 of 6 output files",
            "As many bytes came as the server stated: 4 of 5 output files with a stated length",
            "No fewer resources came than the manifest counts: 1 of 2 output files with a count; rejected lines did come",
            "No fewer resources came than the server counts in the export: 2,420 + 3 rejected < 3,000",
            "The server failed no batch: 1 of 6 failed",
        ],
    );
    type Spoil = fn(&mut RunRecord);
    let follows = "Figures that follow from others are what these make them";
    let cases: [(Spoil, &[&str]); 4] = [
        (
            |record| record.totals.lines += 1,
            &[
                "Every line is accounted for: 21 lines = 20 resources + 0 rejected + 0 blank + 0 outcomes + 0 headers + 0 deletions",
                "1 does not",
            ],
        ),
        (
            |record| record.output_files[1].blank += 1,
            &["Each output file adds up by itself: 1 of 2 output files", "3 do not"],
        ),
        (|record| record.totals.rows += 1, &["Every resource is a row: 20 resources = 21 rows", "1 does not"]),
        (
            |record| record.tables[0].files[0].rows += 1,
            &["Each table has the rows of its Parquet files: 0 of 1 table", "1 does not"],
        ),
    ];
    for (spoil, told) in cases {
        let mut record = quiet(2);
        spoil(&mut record);
        let last = told.len() - 1;
        let follows = format!("{follows}: {}", told[last]);
        check(&record, None, &[&told[..last], &[follows.as_str()]].concat());
    }
    check(&quiet(2), Some(&reasons()), &["Every rejected line is in quarantine: 0 rejected = 3 in its index"]);
}

#[test]
fn the_run_is_the_one_that_was_named_or_the_newest() {
    let named = |name: &str| RunRecord { run: name.to_owned(), ..quiet(1) };
    let runs = [named("1"), named("2")];
    let waiting = ["3".to_owned()];
    let chosen = |runs: &[RunRecord], waiting: &[String], name| {
        chosen("lake", runs, waiting, name).map_err(|why| why.to_string())
    };
    assert_eq!(chosen(&runs, &waiting, None), Ok(1));
    assert_eq!(chosen(&runs, &waiting, Some("1")), Ok(0));
    let unfinished = "run 3 has not finished, so it has no ledger yet; the command that began it finishes it";
    assert_eq!(chosen(&runs, &waiting, Some("3")), Err(unfinished.to_owned()));
    assert_eq!(chosen(&runs, &waiting, Some("4")), Err("lake has no run 4; it has 3, 2, 1".to_owned()));
    assert_eq!(chosen(&[], &[], Some("4")), Err("lake has no run 4; it has none".to_owned()));
    let many: Vec<RunRecord> = (10..30).map(|n| named(&n.to_string())).collect();
    let newest = "its newest are 29, 28, 27, 26, 25, 24, 23, 22, 21, 20; `lakehaul runs` lists all";
    assert_eq!(chosen(&many, &[], Some("4")), Err(format!("lake has no run 4; {newest}")));
    assert_eq!(chosen(&[], &waiting, None), Err(format!("lake has no finished run: {unfinished}")));
    assert_eq!(chosen(&[], &[], None), Err("lake has no finished run".to_owned()));
}

#[test]
fn a_file_is_written_whole_and_for_the_owner_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.html");
    for text in ["a longer text", "short"] {
        write(&path, text).expect("is written");
        assert_eq!(std::fs::read_to_string(&path).expect("is there"), text);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().expect("is there").permissions().mode() & 0o777, 0o600);
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1);
    assert!(write(&folder.path().join("nowhere/report.html"), "").is_err());
    #[cfg(unix)]
    write(Path::new("/dev/null"), "text").expect("is swallowed");
}
