//! What an export holds: the lists of each edition of the guide, deletions, and the framing of lines.

use lakehaul_sim::{Count, Edition, Endpoint, Personality, Role, Scenario, ServedFile, Target};
use serde_json::{Value, json};

use super::super::{Case, FAILED, WHOLE, check, two_files};
use crate::lakehaul::Outcome;
use crate::payer::{LAKE, Payer, patient_file, patients};
use Personality::OneupProvider;

#[test]
fn every_edition_of_the_guide_is_read() {
    const OUTCOME: &str = "{\"resourceType\":\"OperationOutcome\",\"issue\":[]}\n";
    const BUNDLE: &str = concat!(
        r#"{"resourceType":"Bundle","type":"transaction","entry":["#,
        r#"{"request":{"method":"DELETE","url":"Patient/x1"}},{"request":{"method":"DELETE","url":"Claim/x2"}}]}"#
    );
    fn all_lists(scenario: Scenario, edition: Edition) -> Scenario {
        two_files(scenario)
            .edition(edition)
            .file(ServedFile::new("OperationOutcome", OUTCOME).role(Role::Outcome).named("o.ndjson"))
            .file(ServedFile::new("Bundle", format!("{BUNDLE}\n")).role(Role::Deleted).named("d.ndjson"))
    }
    fn has_all(payer: &Payer, outcome: &Outcome) {
        outcome.exits_with(6);
        assert_eq!(payer.problems(), ["outcomes"]);
        assert_eq!(payer.file("a.ndjson")["declared_count"], 3);
        assert_eq!(payer.file("o.ndjson")["outcomes"], 1);
        assert_eq!(payer.file("d.ndjson")["deletions"], 1);
        assert_eq!(payer.record()["deleted_resources"]["rows"], 2);
        assert_eq!(payer.record()["totals"]["rows"], 5);
        payer.place.run(&["verify", LAKE]).exits_with(0);
        payer.is_well_behaved();
    }
    const ALL: Case = Case { code: 6, then: has_all, ..WHOLE };
    check(&[
        Case { name: "STU1", scene: |scenario| all_lists(scenario, Edition::Stu1), ..ALL },
        Case { name: "STU2", scene: |scenario| all_lists(scenario, Edition::Stu2), ..ALL },
        Case { name: "STU3", scene: |scenario| all_lists(scenario, Edition::Stu3), ..ALL },
        Case { name: "STU4", scene: |scenario| all_lists(scenario, Edition::Stu4), arguments: &["--post"], ..ALL },
        Case {
            name: "STU4 takes no GET",
            scene: |scenario| two_files(scenario).edition(Edition::Stu4),
            tells: &["sent by POST", "405"],
            ..FAILED
        },
        Case {
            name: "pages",
            scene: |scenario| scenario.files((0..5).map(|n| patient_file(&format!("f{n}"), 2))).page_size(2),
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(payer.sim.seen(Endpoint::ManifestPage).len(), 2);
                assert_eq!(payer.sim.seen(Target::AnyFile).len(), 5);
            },
            ..WHOLE
        },
        Case {
            name: "pages of 1upHealth",
            personality: OneupProvider,
            scene: |scenario| scenario.files((0..3).map(|n| patient_file(&format!("f{n}"), 2))).page_size(1),
            ..WHOLE
        },
        Case {
            name: "several files of a type, with all names alike",
            scene: |scenario| scenario.files((0..4).map(|n| ServedFile::new("Patient", patients(&format!("p{n}"), 2)))),
            ..WHOLE
        },
    ]);
}

/// Deletions are rows of a table of their own, with the time of the export that reports them.
#[test]
fn deletions_are_a_table() {
    let bundle = |urls: &[&str]| {
        let entries: Vec<Value> = urls.iter().map(|url| json!({"request": {"method": "DELETE", "url": url}})).collect();
        json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string()
    };
    let lines = [bundle(&["Patient/gone-1", "Claim/gone-2"]), bundle(&["Patient/gone-3"]), bundle(&[])].join("\r\n");
    let payer = Payer::smart(|scenario| {
        two_files(scenario)
            .transaction_time("2026-03-04T05:06:07.891Z")
            .file(ServedFile::new("Bundle", lines).role(Role::Deleted).named("deleted.ndjson"))
    });
    let outcome = payer.export(&[]);
    payer.is_whole(&outcome);
    outcome.prints("3 resources are reported as deleted");
    let table = payer.record()["deleted_resources"].clone();
    assert_eq!((&table["type"], &table["rows"]), (&json!("deleted_resources"), &json!(3)));
    // The part's footer holds each column's least and greatest value as it is.
    let part = payer.place.path(LAKE).join(table["files"][0]["path"].as_str().expect("a path"));
    let part = String::from_utf8_lossy(&std::fs::read(part).expect("a part")).into_owned();
    for value in ["Claim", "Patient", "gone-1", "gone-3", "2026-03-04T05:06:07.891Z"] {
        assert!(part.contains(value), "{value}");
    }
    let run = payer.record()["run"].as_str().expect("a name").to_owned();
    let kept = std::fs::read_to_string(payer.place.path(LAKE).join(format!("_lake/deletions/{run}.ndjson")));
    assert_eq!(kept.expect("the Bundles are kept").lines().count(), 3);
    // What cannot be told as a deletion is no deletion.
    let payer = Payer::smart(|scenario| {
        scenario.file(
            ServedFile::new("Bundle", patients("x", 1))
                .role(Role::Deleted)
                .named("deleted.ndjson")
                .count(Count::Missing),
        )
    });
    payer.export(&[]).exits_with(7).tells("1 line was rejected");
}

#[test]
fn lines_may_be_framed_in_any_normal_way() {
    const HEADER: &str = concat!(
        r#"{"resourceType":"Parameters","parameter":[{"name":"header","valueReference":{"reference":"Patient/1"}}]}"#,
        "\n"
    );
    fn one(scenario: Scenario, bytes: String) -> Scenario {
        scenario.file(ServedFile::new("Patient", bytes).named("x.ndjson"))
    }
    check(&[
        Case { name: "CRLF", scene: |scenario| one(scenario, patients("x", 3).replace('\n', "\r\n")), ..WHOLE },
        Case {
            name: "no last line end",
            scene: |scenario| one(scenario, patients("x", 3).trim_end().to_owned()),
            ..WHOLE
        },
        Case {
            name: "blank lines",
            scene: |scenario| one(scenario, format!("\n\n{}\r\n \t\n", patients("x", 3).replace('\n', "\n\n"))),
            ..WHOLE
        },
        Case {
            name: "a byte order mark",
            scene: |scenario| one(scenario, format!("\u{feff}{}", patients("x", 3))),
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let expected: Vec<String> = patients("x", 3).lines().map(str::to_owned).collect();
                assert_eq!(payer.place.sorted_rows(LAKE, "Patient"), expected);
            },
            ..WHOLE
        },
        Case {
            name: "headers of organized output",
            scene: |scenario| {
                let file =
                    ServedFile::new("Patient", format!("{HEADER}{}{HEADER}{}", patients("x", 2), patients("y", 1)));
                scenario.organized_by("Patient").file(file.undeclared().named("x.ndjson").count(Count::Missing))
            },
            arguments: &["--organize-output-by", "Patient"],
            then: |payer, outcome| {
                outcome.exits_with(0);
                let file = payer.file("x.ndjson");
                assert_eq!((&file["headers"], &file["resources"]), (&json!(2), &json!(3)));
                let tables = payer.record()["tables"].as_array().map(Vec::len);
                assert_eq!(tables, Some(1), "Parameters are no rows");
                payer.is_well_behaved();
            },
            ..WHOLE
        },
        Case {
            name: "a file of several types that says none",
            scene: |scenario| {
                let lines = format!("{}{{\"resourceType\":\"Claim\",\"id\":\"c\"}}\n", patients("x", 1));
                scenario.file(ServedFile::new("Patient", lines).undeclared().named("everything.ndjson"))
            },
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(payer.place.sorted_rows(LAKE, "Claim").len(), 1);
            },
            ..WHOLE
        },
    ]);
}
