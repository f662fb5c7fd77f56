//! What is not data is named, and never becomes a row.

use lakehaul_sim::{Answer, Count, Endpoint, Fault, Personality, Scenario, ServedFile, Target, When};

use super::{Case, FAILED, GIVES_OUT, REFUSED, WHOLE, check, two_files};
use crate::lakehaul::Outcome;
use crate::payer::{LAKE, Payer, patients};

/// 200, NDJSON by its content type, and this body.
fn answered(body: &str) -> Fault {
    Fault::answer(Answer::new(200).body("application/fhir+ndjson", body.to_owned()))
}

#[test]
fn a_page_instead_of_an_answer_is_no_answer() {
    check(&[
        Case {
            name: "HTML as a file, for ever",
            scene: |scenario| two_files(scenario).fault("a.ndjson", When::Always, Fault::html()),
            tells: &["output file", "HTML page", "no data"],
            ..GIVES_OUT
        },
        Case {
            name: "HTML as a file, twice",
            scene: |scenario| two_files(scenario).fault(Target::EachFile, When::First(2), Fault::html()),
            tells: &["HTML page"],
            ..WHOLE
        },
        Case {
            name: "HTML that says to be NDJSON, for ever",
            scene: |scenario| two_files(scenario).fault("a.ndjson", When::Always, answered("\n <html>\n</html>\n")),
            tells: &["markup, not NDJSON"],
            ..GIVES_OUT
        },
        Case {
            name: "an object store's XML with 200, once",
            scene: |scenario| {
                let xml = "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code></Error>";
                two_files(scenario).fault("a.ndjson", When::First(1), answered(xml))
            },
            tells: &["markup, not NDJSON"],
            ..WHOLE
        },
        Case {
            name: "HTML as a status, for ever",
            scene: |scenario| two_files(scenario).fault(Endpoint::Status, When::Always, Fault::html()),
            tells: &["status request", "text/html", "neither a status nor a manifest"],
            ..GIVES_OUT
        },
        Case {
            name: "HTML as a status, once",
            scene: |scenario| two_files(scenario).fault(Endpoint::Status, When::First(1), Fault::html()),
            ..WHOLE
        },
        Case {
            name: "HTML as a page of the manifest, once",
            scene: |scenario| {
                two_files(scenario).page_size(1).fault(Endpoint::ManifestPage, When::First(1), Fault::html())
            },
            ..WHOLE
        },
        Case {
            name: "HTML as a kick-off's answer",
            scene: |scenario| two_files(scenario).fault(Endpoint::KickOff, When::Always, Fault::html()),
            tells: &["kick-off", "200"],
            ..FAILED
        },
        Case {
            name: "HTML as a token",
            scene: |scenario| two_files(scenario).fault(Endpoint::Token, When::Always, Fault::html()),
            tells: &["token endpoint", "not a JSON object", "--token-url"],
            ..REFUSED
        },
        Case {
            name: "HTML as smart-configuration, and nothing in metadata",
            scene: |scenario| {
                two_files(scenario).fault(Endpoint::SmartConfiguration, When::Always, Fault::html()).fault(
                    Endpoint::Metadata,
                    When::Always,
                    Fault::html(),
                )
            },
            tells: &["no token endpoint", "--token-url"],
            ..REFUSED
        },
    ]);
}

#[test]
fn lines_that_are_no_resources_of_the_export_are_rejected() {
    const OUTCOME: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}"#;
    /// The file `x` beside two good ones: this much of it is in tables, this in quarantine, and the rest is published.
    fn x_has(payer: &Payer, outcome: &Outcome, resources: u64, reasons: &[&str]) {
        let file = payer.file("x.ndjson");
        assert_eq!((&file["resources"], &file["rejected"]), (&resources.into(), &reasons.len().into()), "{outcome}");
        let found: Vec<_> = payer.place.quarantine(LAKE).iter().map(|reject| reject["reason"].clone()).collect();
        assert_eq!(found, reasons, "{outcome}");
        let tables: Vec<_> =
            payer.record()["tables"].as_array().expect("tables").iter().map(|t| t["type"].clone()).collect();
        assert_eq!(tables, ["Patient"], "{outcome}");
        assert_eq!(payer.place.sorted_rows(LAKE, "Patient").len() as u64, 5 + resources);
        payer.place.run(&["verify", LAKE]).exits_with(0);
        payer.is_well_behaved();
    }
    fn x(scenario: Scenario, body: impl Into<String>) -> Scenario {
        two_files(scenario).file(ServedFile::new("Patient", body.into()).named("x.ndjson").count(Count::Missing))
    }
    /// The file x, answered with an OperationOutcome.
    fn x_is_an_outcome(scenario: Scenario) -> Scenario {
        x(scenario, patients("x", 1)).fault("x.ndjson", When::Always, Fault::operation_outcome(200, "no such file"))
    }
    const REJECTED: Case = Case { code: 7, tells: &["rejected into quarantine"], ..WHOLE };
    check(&[
        Case {
            name: "OperationOutcome lines among data",
            scene: |scenario| x(scenario, format!("{OUTCOME}\n{}{OUTCOME}\n", patients("x", 2))),
            then: |payer, outcome| x_has(payer, outcome, 2, &["operation_outcome"; 2]),
            ..REJECTED
        },
        Case {
            name: "an OperationOutcome instead of a file",
            scene: x_is_an_outcome,
            then: |payer, outcome| x_has(payer, outcome, 0, &["operation_outcome"]),
            ..REJECTED
        },
        Case {
            name: "the same, of 1upHealth",
            personality: Personality::OneupProvider,
            scene: x_is_an_outcome,
            then: |payer, outcome| x_has(payer, outcome, 0, &["operation_outcome"]),
            ..REJECTED
        },
        Case {
            name: "a pretty-printed resource",
            scene: |scenario| x(scenario, "{\n  \"resourceType\": \"Patient\",\n  \"id\": \"1\"\n}\n"),
            then: |payer, outcome| {
                let reasons = ["unexpected_end", "two_values", "two_values", "not_json"];
                x_has(payer, outcome, 0, &reasons);
            },
            ..REJECTED
        },
        Case {
            name: "a pretty-printed OperationOutcome",
            scene: |scenario| x(scenario, "{\n\"resourceType\": \"OperationOutcome\"\n}\n"),
            then: |payer, outcome| x_has(payer, outcome, 0, &["unexpected_end", "two_values", "not_json"]),
            ..REJECTED
        },
        Case {
            name: "an array of resources",
            scene: |scenario| {
                x(scenario, r#"[{"resourceType":"Patient","id":"1"},{"resourceType":"Patient","id":"2"}]"#)
            },
            then: |payer, outcome| x_has(payer, outcome, 0, &["not_an_object"]),
            ..REJECTED
        },
        Case {
            name: "a sentence",
            scene: |scenario| x(scenario, "upstream connect error or disconnect"),
            then: |payer, outcome| x_has(payer, outcome, 0, &["not_json"]),
            ..REJECTED
        },
        Case {
            name: "a status answer",
            scene: |scenario| x(scenario, r#"{"status":"Running","batches":{"running":1}}"#),
            then: |payer, outcome| x_has(payer, outcome, 0, &["missing_resource_type"]),
            ..REJECTED
        },
    ]);
}

#[test]
fn an_empty_file_is_a_file_unless_it_should_not_be() {
    fn empty(scenario: Scenario, count: Count, body: &'static str) -> Scenario {
        two_files(scenario).file(ServedFile::new("Patient", body).named("x.ndjson").count(count))
    }
    check(&[
        Case { name: "count 0", scene: |scenario| empty(scenario, Count::True, ""), ..WHOLE },
        Case { name: "no count", scene: |scenario| empty(scenario, Count::Missing, ""), ..WHOLE },
        Case { name: "blank lines alone", scene: |scenario| empty(scenario, Count::True, "\n \r\n\n"), ..WHOLE },
        Case {
            name: "of 1upHealth",
            personality: Personality::OneupProvider,
            scene: |scenario| empty(scenario, Count::Missing, ""),
            ..WHOLE
        },
        Case {
            name: "204",
            scene: |scenario| empty(scenario, Count::True, "").fault("x.ndjson", When::Always, Fault::status(204)),
            ..WHOLE
        },
        Case {
            name: "count above 0",
            scene: |scenario| empty(scenario, Count::Off(2), ""),
            code: 6,
            tells: &["x.ndjson has 0 resources where the manifest counts 2"],
            then: |payer, _| assert_eq!(payer.problems(), ["fewer_than_declared"]),
            ..WHOLE
        },
        Case {
            name: "204 where the manifest counts resources",
            scene: |scenario| two_files(scenario).fault("a.ndjson", When::Always, Fault::status(204)),
            code: 6,
            tells: &["a.ndjson has 0 resources where the manifest counts 3"],
            then: |payer, _| assert_eq!(payer.problems(), ["fewer_than_declared"]),
            ..WHOLE
        },
        Case { name: "an export without a file", scene: |scenario| scenario, ..WHOLE },
        Case {
            name: "an export of 1upHealth without a file",
            personality: Personality::OneupProvider,
            scene: |scenario| scenario,
            ..WHOLE
        },
    ]);
}
