//! What people and programs read, as snapshots with fixed values.

use std::sync::atomic::Ordering::Relaxed;

use lakehaul_load::{
    Format, LakeSettings, Layout, LoadSummary, OutputFile, Problem, RunStatus, TableSummary, Totals, Warning,
};

use lakehaul_fetch::{Batches, Cancelled, Running};
use lakehaul_schema::Annotations;

use super::summary::{Closing, Origin, advice, render};
use super::*;
use crate::exit::{Allowed, Exit, RejectLimit};

const RUN: &str = "20261122T074157Z-1f2e3d4c";

/// Stderr as a test reads it.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic before").clone()).expect("messages are text")
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic before").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn summary() -> LoadSummary {
    let table = |resource_type: &str, rows, content_bytes, bytes, work_seconds| TableSummary {
        resource_type: resource_type.to_owned(),
        lines: rows,
        rows,
        rejected: 0,
        content_bytes,
        bytes,
        files: 1,
        work_seconds,
    };
    LoadSummary {
        run: RUN.to_owned(),
        status: RunStatus::Complete,
        already_complete: false,
        tables: vec![
            table("ExplanationOfBenefit", 1_234_567, 9_876_543_210, 456_789_012, 21.5),
            table("Observation", 16_315, 14_600_000, 812_345, 0.042),
            table("Patient", 1, 812, 23_456, 0.0),
        ],
        files: vec![],
        deleted_resources: 0,
        transaction_time: None,
        totals: Totals {
            files: 18,
            content_bytes: 9_891_144_022,
            lines: 1_250_883,
            rows: 1_250_883,
            tables: 3,
            parts: 4,
            part_bytes: 457_624_813,
            ..Totals::default()
        },
        seconds: 11.25,
        problems: vec![],
        warnings: vec![],
    }
}

const SETTINGS: LakeSettings = LakeSettings {
    annotations: Annotations { numeric: true, dates: true, references: false },
    layout: Layout::Plain,
    format: Format::Parquet,
    keep_json: false,
};

const CLOSING: Closing<'static> = Closing {
    lake: "lake",
    settings: SETTINGS,
    origin: Origin::Files { source: Some("export/manifest.json") },
    peak_memory_bytes: Some(412_000_000),
};

fn problems() -> Vec<Problem> {
    vec![
        Problem::Rejected { lines: 2 },
        Problem::FewerThanDeclared { output_file: "Claim.000.ndjson".into(), declared: 10, resources: 9 },
        Problem::Outcomes { lines: 3 },
        Problem::Unreadable { output_file: "Patient.000.ndjson.gz".into(), why: "the gzip data ends too early".into() },
        Problem::Lost {
            output_file: "Claim.001.ndjson".into(),
            why: "the output file was answered with 410 Gone".into(),
        },
        Problem::FewerThanExported { exported: 31, resources: 30 },
        Problem::FailedBatches { failed: 1, total: 6 },
    ]
}

#[test]
fn a_complete_load() {
    insta::assert_snapshot!(render(&summary(), &CLOSING));
}

#[test]
fn a_load_with_problems() {
    let mut summary = summary();
    summary.tables[0].rejected = 2;
    summary.tables[0].lines += 2;
    summary.totals.rejected = 2;
    summary.totals.lines += 2;
    summary.problems = problems();
    insta::assert_snapshot!(render(&summary, &Closing { peak_memory_bytes: None, ..CLOSING }));
}

#[test]
fn a_load_that_had_already_finished() {
    let summary = LoadSummary { already_complete: true, seconds: 0.0, ..summary() };
    insta::assert_snapshot!(render(&summary, &CLOSING));
}

#[test]
fn an_export_that_finishes_and_one_that_had() {
    let summary = LoadSummary {
        deleted_resources: 12,
        transaction_time: Some("2026-01-02T03:04:05.678Z".to_owned()),
        ..summary()
    };
    let closing = Closing { origin: Origin::Server, ..CLOSING };
    insta::assert_snapshot!("a_complete_export", render(&summary, &closing));
    let summary = LoadSummary { already_complete: true, seconds: 0.0, ..summary };
    insta::assert_snapshot!("an_export_that_had_already_finished", render(&summary, &closing));
}

#[test]
fn a_load_of_nothing_but_rejects() {
    let mut summary = summary();
    summary.tables = vec![TableSummary { lines: 1, rejected: 1, content_bytes: 9, ..TableSummary::default() }];
    summary.totals = Totals { files: 1, lines: 1, rejected: 1, content_bytes: 9, ..Totals::default() };
    summary.problems = vec![Problem::Rejected { lines: 1 }];
    insta::assert_snapshot!(render(&summary, &Closing { origin: Origin::Files { source: None }, ..CLOSING }));
}

#[test]
fn paths_are_quoted_and_the_layout_is_followed() {
    let closing = Closing {
        lake: "it's/my lake",
        settings: LakeSettings { layout: Layout::Hive, ..SETTINGS },
        origin: Origin::Files { source: Some("an export") },
        peak_memory_bytes: None,
    };
    let text = render(&summary(), &closing);
    assert!(text.contains("'it''s/my lake/resource_type=ExplanationOfBenefit/*.parquet'"), "{text}");
    assert!(text.contains(r"lakehaul verify 'it'\''s/my lake' --roundtrip 'an export'"), "{text}");
}

#[test]
fn problems_say_what_to_do() {
    let mut text = String::new();
    let few = Allowed { rejects: RejectLimit::UpTo(1), partial: false };
    let all = Allowed { rejects: RejectLimit::All, partial: true };
    let files = Origin::Files { source: None };
    for (origin, allowed) in [
        (files, Allowed::default()),
        (files, few),
        (files, all),
        (Origin::Server, Allowed::default()),
        (Origin::Server, all),
    ] {
        for problem in problems() {
            let exit = Exit::of_problem(&problem, allowed);
            let advice = advice(&problem, ("lake/", origin), RUN, exit, allowed);
            text.push_str(&format!("{:>2} {problem}: {advice}\n", exit.code()));
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn programs_read_objects() {
    let mut text = String::new();
    let mut line = |object: String| {
        text.push_str(&object);
        text.push('\n');
    };
    let progress: Arc<Progress> = Arc::default();
    line(json::event(&Event::Planned { run: RUN, files: 18, bytes: Some(2_000), progress: &progress }));
    line(json::event(&Event::FileStarted { output_file: "Claim.000.ndjson", bytes: None }));
    let file = OutputFile { name: "Claim.000.ndjson".into(), lines: 3, resources: 3, ..OutputFile::default() };
    line(json::event(&Event::FileFinished { file: &file }));
    line(json::event(&Event::Publishing { parts: 4, rows: 3, bytes: 9 }));
    line(json::event(&Event::Warning(Warning::NamedTwice { output_file: "a.ndjson".into() })));
    progress.files.store(18, Relaxed);
    line(json::pace(&Pace::read(&progress, Some(2_000), 1.5)));
    for event in server_events(&running()) {
        line(json::event(&event));
    }
    line(json::problem(&Problem::Rejected { lines: 2 }, Exit::Rejected, "look"));
    line(json::error("failed to load", Some("do"), Exit::Destination));
    let summary = LoadSummary { files: vec![file], problems: problems(), ..summary() };
    line(json::summary(&summary, "lake", Exit::Unreadable, Some(412_000_000)));
    insta::assert_snapshot!(text);
}

#[test]
fn a_log_has_lines_with_time_and_level() {
    let time: Timestamp = "2026-11-22T07:41:57.9Z".parse().expect("a timestamp");
    assert_eq!(log_line(time, Level::Warn, "odd"), "2026-11-22T07:41:57Z warn  odd");

    let tell = |level| {
        let buffer = Buffer::default();
        let reporter = Reporter::new(Voice::Lines, level, Box::new(buffer.clone()));
        let progress: Arc<Progress> = Arc::default();
        progress.rows.store(7, Relaxed);
        reporter.event(Event::Planned { run: RUN, files: 2, bytes: Some(2_000), progress: &progress });
        reporter.event(Event::FileStarted { output_file: "a.ndjson", bytes: None });
        reporter.event(Event::FileFinished {
            file: &OutputFile { name: "a.ndjson".into(), lines: 1, ..OutputFile::default() },
        });
        reporter.event(Event::Warning(Warning::NamedTwice { output_file: "a.ndjson".into() }));
        reporter.event(Event::Publishing { parts: 1, rows: 7, bytes: 9 });
        // Without the times, which are the clock's.
        buffer.text().lines().map(|line| format!("{}\n", &line[21..])).collect::<String>()
    };
    insta::assert_snapshot!("log_debug", tell(Level::Debug));
    insta::assert_snapshot!("log_warn", tell(Level::Warn));
    assert_eq!(tell(Level::Error), "");
}

fn running() -> Running {
    Running {
        progress: Some("45% done".to_owned()),
        batches: Some(Batches { running: 2, complete: 3, failed: 1, total: 6 }),
        so_far: None,
        next_in: Duration::from_secs(90),
    }
}

/// Those that a test can make; the others hold URLs.
fn server_events(running: &Running) -> Vec<Event<'_>> {
    vec![
        Event::Server(FetchEvent::TokenObtained { seconds: Some(300) }),
        Event::Server(FetchEvent::TokenObtained { seconds: None }),
        Event::Server(FetchEvent::StatusAnswered { running }),
        Event::FilesListed { files: 18 },
        Event::Server(FetchEvent::Retry {
            what: "output file",
            attempt: 1,
            of: 8,
            wait: Duration::from_millis(2_500),
            why: "the output file was answered with 503 Service Unavailable",
        }),
        Event::Server(FetchEvent::Concurrency { host: "gateway.1up.health", now: 4 }),
        Event::ExportDeleted { cancelled: &Cancelled::Done },
        Event::ExportDeleted { cancelled: &Cancelled::Refused { status: 403 } },
        Event::ExportDeleted { cancelled: &Cancelled::Gone },
    ]
}

#[test]
fn what_a_server_does_is_told_in_sentences() {
    let buffer = Buffer::default();
    let reporter = Reporter::new(Voice::Lines, Level::Debug, Box::new(buffer.clone()));
    let quiet = Running { progress: None, batches: None, ..running() };
    for event in
        server_events(&running()).into_iter().chain([Event::Server(FetchEvent::StatusAnswered { running: &quiet })])
    {
        reporter.event(event);
    }
    // Without the times, which are the clock's.
    let text: String = buffer.text().lines().map(|line| format!("{}\n", &line[21..])).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn nothing_is_paced_before_a_server_lists_files() {
    let buffer = Buffer::default();
    let reporter = Reporter::new(Voice::Lines, Level::Info, Box::new(buffer.clone()));
    let progress: Arc<Progress> = Arc::default();
    reporter.event(Event::Planned { run: RUN, files: 0, bytes: None, progress: &progress });
    reporter.tell_pace();
    assert_eq!(buffer.text().lines().count(), 1, "{}", buffer.text());
    assert!(buffer.text().contains("waiting for the server's output files"));
    progress.files.store(2, Relaxed);
    reporter.event(Event::FilesListed { files: 2 });
    reporter.tell_pace();
    assert!(buffer.text().contains("0 of 2 files"), "{}", buffer.text());
}

#[test]
fn the_pace_is_told_while_work_is_done_and_never_after() {
    let buffer = Buffer::default();
    let reporter = Reporter::new(Voice::Lines, Level::Info, Box::new(buffer.clone()));
    let answer = reporter.during(|| {
        let progress: Arc<Progress> = Arc::default();
        progress.files.store(1, Relaxed);
        reporter.event(Event::Planned { run: RUN, files: 1, bytes: None, progress: &progress });
        reporter.tell_pace();
        42
    });
    assert_eq!(answer, 42);
    let text = buffer.text();
    assert!(text.ends_with("rows/s\n") && text.contains("0 of 1 file, 0 B"), "{text}");
}
