//! What is published although something is missing: each reason has its sentence, its place in the run record and its
//! exit code, and of several the contract's first wins.

use lakehaul_sim::{Count, ExportEnd, Fault, Personality, Role, Scenario, ServedFile, Target, When};

use super::{Case, check, check_each, is_left_alone, two_files};
use crate::inputs::gzip;
use crate::payer::{LAKE, Payer, patient_file, patients};

/// What is published although something is missing.
struct Partial {
    name: &'static str,
    personality: Personality,
    scene: fn(Scenario) -> Scenario,
    code: i32,
    /// The same with `--allow-partial`, and with `--allow-rejects` too.
    allowed: [i32; 2],
    /// Of the run record.
    status: &'static str,
    /// The kinds of the run record's problems.
    problems: &'static [&'static str],
    /// Stderr has each of them.
    tells: &'static [&'static str],
}

fn check_partial(case: &Partial) {
    let payer = Payer::new(case.personality, case.scene);
    let outcome = payer.export(&[]);
    outcome.exits_with(case.code);
    for part in case.tells {
        outcome.tells(part);
    }
    let mut problems = payer.problems();
    problems.sort();
    assert_eq!(problems, case.problems, "{outcome}");
    assert_eq!(payer.record()["status"], case.status);
    payer.place.run(&["verify", LAKE]).exits_with(0);
    payer.is_well_behaved();
    assert_eq!(payer.sim.deleted_count(), 0, "an export that is not all in the lake is not deleted");

    // The same again asks for nothing, and is not better for it.
    let requests = payer.sim.log().len();
    payer.export(&[]).exits_with(case.code);
    payer.export(&["--allow-partial"]).exits_with(case.allowed[0]);
    payer.export(&["--allow-partial", "--allow-rejects"]).exits_with(case.allowed[1]);
    assert_eq!(payer.sim.log().len(), requests);
}

const OUTCOME: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"}]}"#;
const FEWER: &[&str] = &["fewer_than_declared"];
/// Both are true.
const LOST: &[&str] = &["fewer_than_declared", "lost"];

fn outcomes(lines: usize) -> ServedFile {
    ServedFile::new("OperationOutcome", format!("{OUTCOME}\n").repeat(lines)).role(Role::Outcome).named("o.ndjson")
}

fn bad_lines() -> ServedFile {
    ServedFile::new("Patient", "not json\n{}\n").named("bad.ndjson")
}

/// As an object store keeps it: without `Content-Encoding`, so that its end is the file's own.
fn torn_gzip() -> ServedFile {
    let mut bytes = gzip(patients("torn", 9).as_bytes());
    bytes.truncate(bytes.len() - 9);
    ServedFile::new("Patient", bytes).named("torn.ndjson.gz").count(Count::Missing)
}

fn gone(scenario: Scenario, status: u16) -> Scenario {
    two_files(scenario).fault("a.ndjson", When::Always, Fault::operation_outcome(status, "no such file"))
}

#[test]
fn what_is_missing_is_told_by_its_reason() {
    use Personality::{OneupProvider, Smart};
    const PARTIAL: Partial = Partial {
        name: "",
        personality: Smart,
        scene: two_files,
        code: 6,
        allowed: [0, 0],
        status: "partial",
        problems: &[],
        tells: &["--allow-partial"],
    };
    let cases = [
        Partial {
            name: "failed batches",
            personality: OneupProvider,
            scene: |scenario| two_files(scenario).ending(ExportEnd::Partial(2)),
            problems: &["failed_batches"],
            tells: &["failed 2 of the export's 4 batches", "--allow-partial"],
            ..PARTIAL
        },
        Partial {
            name: "error files with lines",
            scene: |scenario| two_files(scenario).file(outcomes(3)),
            problems: &["outcomes"],
            tells: &["reports 3 outcomes", "_lake/outcomes/", "--allow-partial"],
            ..PARTIAL
        },
        Partial {
            name: "a file's count is higher",
            scene: |scenario| two_files(scenario).each_file(|file| file.count(Count::Off(4))),
            problems: &["fewer_than_declared", "fewer_than_declared"],
            tells: &["a.ndjson has 3 resources where the manifest counts 7"],
            ..PARTIAL
        },
        Partial {
            name: "resourceCount is higher",
            personality: OneupProvider,
            scene: |scenario| two_files(scenario).resource_count(Count::Off(1)),
            problems: &["fewer_than_exported"],
            tells: &["5 resources came where the server counts 6"],
            ..PARTIAL
        },
        Partial {
            name: "a file is not found, whatever manifest is asked",
            scene: |scenario| gone(scenario, 404),
            problems: LOST,
            tells: &["a.ndjson could not be fetched whole", "404", "--new-run"],
            ..PARTIAL
        },
        Partial {
            name: "a file is gone",
            scene: |scenario| gone(scenario, 410),
            problems: LOST,
            tells: &["410"],
            ..PARTIAL
        },
        Partial {
            name: "a file is refused",
            scene: |scenario| gone(scenario, 403),
            problems: LOST,
            tells: &["403"],
            ..PARTIAL
        },
        Partial {
            name: "bad lines",
            scene: |scenario| two_files(scenario).file(bad_lines()),
            code: 7,
            allowed: [7, 0],
            status: "rejected",
            problems: &["rejected"],
            tells: &["2 lines were rejected", "index.ndjson", "--allow-rejects"],
            ..PARTIAL
        },
        Partial {
            name: "a torn gzip file",
            scene: |scenario| two_files(scenario).file(torn_gzip()),
            code: 11,
            allowed: [11, 11],
            status: "unreadable",
            problems: &["unreadable"],
            tells: &["torn.ndjson.gz could not be read whole"],
            ..PARTIAL
        },
        Partial {
            name: "partial before rejected",
            personality: OneupProvider,
            scene: |scenario| two_files(scenario).file(bad_lines()).ending(ExportEnd::Partial(1)),
            allowed: [7, 0],
            problems: &["failed_batches", "rejected"],
            tells: &["--allow-partial", "--allow-rejects"],
            ..PARTIAL
        },
        Partial {
            name: "unreadable before all of it",
            personality: OneupProvider,
            scene: |scenario| {
                gone(scenario, 404)
                    .file(torn_gzip())
                    .file(bad_lines())
                    .file(outcomes(1))
                    .ending(ExportEnd::Partial(1))
                    .resource_count(Count::Off(9))
            },
            code: 11,
            allowed: [11, 11],
            status: "unreadable",
            problems: &["failed_batches", "fewer_than_exported", "lost", "outcomes", "rejected", "unreadable"],
            ..PARTIAL
        },
        Partial {
            name: "an empty file that should not be",
            scene: |scenario| two_files(scenario).fault("a.ndjson", When::Always, Fault::empty()),
            problems: FEWER,
            tells: &["a.ndjson has 0 resources where the manifest counts 3"],
            ..PARTIAL
        },
    ];
    check_each(cases.iter().map(|case| (case.name, case)), check_partial);
}

#[test]
fn more_than_was_promised_is_told_and_complete() {
    use Personality::{OneupProvider, Smart};
    check(&[
        Case {
            name: "a file's count is lower",
            personality: Smart,
            scene: |scenario| two_files(scenario).each_file(|file| file.count(Count::Off(-1))),
            tells: &["a.ndjson: 3 resources, the manifest counts 2"],
            ..super::WHOLE
        },
        Case {
            name: "resourceCount is lower",
            personality: OneupProvider,
            scene: |scenario| two_files(scenario).resource_count(Count::Off(-1)),
            tells: &["5 resources came, the server counts 4"],
            ..super::WHOLE
        },
        Case {
            name: "an error file without a line",
            scene: |scenario| two_files(scenario).file(outcomes(0)),
            ..super::WHOLE
        },
    ]);
}

/// Everything is wrong at once, and nothing is published: an error outweighs whatever the files would have said.
#[test]
fn an_error_outweighs_what_is_only_incomplete() {
    let payer = Payer::provider(|scenario| {
        gone(scenario, 404).file(bad_lines()).file(patient_file("c", 2)).ending(ExportEnd::Partial(1)).fault(
            "c.ndjson",
            When::Always,
            Fault::status(500),
        )
    });
    payer.export(&["--retries", "1", "--allow-partial", "--allow-rejects"]).exits_with(5);
    is_left_alone(&payer);
    assert!(!payer.sim.seen(Target::AnyFile).is_empty());
}

/// Programs read the same: the code in the last event, and each problem's own in the summary.
#[test]
fn programs_are_told_the_code_and_the_reasons() {
    let json = |outcome: &crate::lakehaul::Outcome, event: &str| {
        let lines = outcome.stderr.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        lines.filter(|line| line["event"] == event).collect::<Vec<_>>()
    };
    let payer = Payer::provider(|scenario| two_files(scenario).file(bad_lines()).ending(ExportEnd::Partial(1)));
    let outcome = payer.export(&["--json"]);
    outcome.exits_with(6);
    let problems = json(&outcome, "problem");
    let told: Vec<_> = problems.iter().map(|problem| (problem["kind"].as_str(), problem["exit"].as_u64())).collect();
    assert_eq!(told, [(Some("failed_batches"), Some(6)), (Some("rejected"), Some(7))], "{outcome}");
    let summary: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("one object");
    assert_eq!((&summary["exit"], &summary["status"]), (&6.into(), &"partial".into()));

    let payer = Payer::provider(|scenario| two_files(scenario).ending(ExportEnd::Failed("no space".to_owned())));
    let outcome = payer.export(&["--json"]);
    outcome.exits_with(4);
    let errors = json(&outcome, "error");
    assert_eq!(errors.len(), 1, "{outcome}");
    assert_eq!(errors[0]["exit"], 4);
    assert!(errors[0]["message"].as_str().is_some_and(|message| message.contains("no space")), "{outcome}");
    assert!(errors[0]["hint"].as_str().is_some_and(|hint| hint.contains("--fresh")), "{outcome}");
    assert_eq!(outcome.stdout, "");
}
