//! Members of a manifest that are not what they should be: counts, lists, links, free text.

use lakehaul_sim::{Count, Endpoint, Fault, Scenario, When};
use serde_json::{Value, json};

use super::super::{Case, FAILED, REFUSED, WHOLE, check, check_each, two_files};
use super::{GATEWAY, first_entry, is_printable};
use crate::lakehaul::Outcome;
use crate::payer::{LAKE, Payer};

#[test]
fn counts_that_cannot_be_are_believed_as_far_as_they_are_counts() {
    let too_many: fn(&Payer, &Outcome) = |payer, outcome| {
        assert_eq!(payer.problems(), ["fewer_than_declared"], "{outcome}");
        assert_eq!(payer.record()["totals"]["rows"], 5);
    };
    let none: fn(&Payer, &Outcome) = |payer, outcome| payer.is_whole(outcome);
    let cases = [
        (json!(u64::MAX), 6, too_many),
        (json!(u64::MAX.to_string()), 6, too_many),
        (json!(" 3 "), 0, none),
        (json!(1e300), 0, none),
        (json!(-5), 0, none),
        (json!(3.5), 0, none),
        (json!("many"), 0, none),
        (json!(null), 0, none),
        (json!([3]), 0, none),
    ];
    check_each(cases.map(|case| (case.0.to_string(), case)), |(count, code, then)| {
        let payer = first_entry(move |entry| {
            entry["count"] = count.clone();
            entry["fileSize"] = count.clone();
        });
        let outcome = payer.export(&[]);
        outcome.exits_with(code);
        then(&payer, &outcome);
    });
}

#[test]
fn members_of_another_type_are_told_or_do_no_harm() {
    const TELLS: &[&str] = &["neither a status nor a manifest"];
    const HARMLESS: Case = Case { personality: GATEWAY, ..WHOLE };
    const NONSENSE: Case = Case { personality: GATEWAY, arguments: &["--retries", "1"], tells: TELLS, ..FAILED };
    /// Every status request is answered with this.
    fn answered(scenario: Scenario, manifest: &str) -> Scenario {
        two_files(scenario).fault(Endpoint::Status, When::Always, Fault::manifest(manifest))
    }
    check(&[
        Case { name: "an empty answer", scene: |s| answered(s, ""), ..NONSENSE },
        Case { name: "null", scene: |s| answered(s, "null"), ..NONSENSE },
        Case { name: "a list", scene: |s| answered(s, "[]"), ..NONSENSE },
        Case { name: "a text", scene: |s| answered(s, "\"Successful\""), ..NONSENSE },
        Case { name: "half of it", scene: |s| answered(s, "{\"output\":[{\"type\":"), ..NONSENSE },
        Case { name: "output is an object", scene: |s| answered(s, "{\"output\":{}}"), ..NONSENSE },
        Case { name: "output is a text", scene: |s| answered(s, "{\"output\":\"{origin}/a.ndjson\"}"), ..NONSENSE },
        Case { name: "output has a number", scene: |s| answered(s, "{\"output\":[7]}"), ..NONSENSE },
        Case { name: "nested without end", scene: |s| answered(s, &"{\"output\":[".repeat(100_000)), ..NONSENSE },
        Case {
            name: "an entry without a URL",
            scene: |s| answered(s, "{\"output\":[{\"type\":\"Patient\"}]}"),
            tells: &["output entry 1 has no URL"],
            ..NONSENSE
        },
        Case {
            name: "a finished export whose list cannot be read",
            scene: |scenario| {
                two_files(scenario).resource_count(Count::Missing).edit_manifest(|manifest| {
                    manifest["output"].as_array_mut().expect("a list").push(json!(7));
                })
            },
            tells: &["a list of files that cannot be read"],
            ..NONSENSE
        },
        Case {
            name: "a status that is a number",
            scene: |s| two_files(s).edit_manifest(|manifest| manifest["status"] = json!(7)),
            ..HARMLESS
        },
        Case {
            name: "batches that are a text",
            scene: |s| two_files(s).edit_manifest(|manifest| manifest["batches"] = json!("6 of 6")),
            ..HARMLESS
        },
        Case {
            name: "a resourceCount that is a list",
            scene: |s| two_files(s).edit_manifest(|manifest| manifest["resourceCount"] = json!([5])),
            ..HARMLESS
        },
        Case {
            name: "a transactionTime that is a number",
            scene: |s| two_files(s).edit_manifest(|manifest| manifest["transactionTime"] = json!(0)),
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(payer.record()["transaction_time"], Value::Null);
            },
            ..HARMLESS
        },
        Case {
            name: "links that are a text",
            scene: |s| two_files(s).edit_manifest(|manifest| manifest["link"] = json!("next")),
            ..HARMLESS
        },
        Case {
            name: "an error that is a text",
            scene: |s| two_files(s).edit_manifest(|manifest| manifest["error"] = json!("none")),
            ..HARMLESS
        },
        Case {
            name: "members that nobody knows",
            scene: |s| two_files(s).edit_manifest(|manifest| manifest["__proto__"] = json!({"output": []})),
            ..HARMLESS
        },
        Case {
            name: "batches that overflow",
            scene: |scenario| {
                two_files(scenario).edit_manifest(|manifest| {
                    manifest["batches"] = json!({"running": 0, "complete": u64::MAX, "failed": u64::MAX, "total": 1});
                })
            },
            code: 6,
            tells: &["batches"],
            then: |payer, _| assert_eq!(payer.problems(), ["failed_batches"]),
            ..HARMLESS
        },
        Case {
            name: "a resourceCount beyond all counting",
            scene: |s| two_files(s).edit_manifest(|manifest| manifest["resourceCount"] = json!(u64::MAX)),
            code: 6,
            tells: &["the server counts 18446744073709551615"],
            then: |payer, _| assert_eq!(payer.problems(), ["fewer_than_exported"]),
            ..HARMLESS
        },
    ]);
}

#[test]
fn links_that_lead_nowhere_are_told() {
    /// Where the page is, without `/files/…` of its first entry.
    fn export_of(manifest: &Value) -> String {
        let url = manifest["output"][0]["url"].as_str().expect("a URL");
        url.split("/files/").next().expect("a part").to_owned()
    }
    fn next(scenario: Scenario, url: fn(&Value) -> Value) -> Scenario {
        two_files(scenario).page_size(1).edit_manifest(move |manifest| {
            manifest["link"] = json!([{"relation": "next", "url": url(manifest)}]);
        })
    }
    const CIRCLE: Case = Case { tells: &["go round in a circle"], ..FAILED };
    check(&[
        Case { name: "to the first page", scene: |s| next(s, |m| json!(export_of(m))), ..CIRCLE },
        Case { name: "to the same page", scene: |s| next(s, |m| json!(format!("{}/pages/1", export_of(m)))), ..CIRCLE },
        Case {
            name: "to the same page by a fragment",
            scene: |s| next(s, |m| json!(format!("{}#again", export_of(m)))),
            ..CIRCLE
        },
        Case {
            name: "to a page that is not there",
            scene: |s| next(s, |m| json!(format!("{}/pages/9", export_of(m)))),
            tells: &["404"],
            ..FAILED
        },
        Case {
            name: "to a file of this machine",
            scene: |s| next(s, |_| json!("file:///etc/passwd")),
            tells: &["next page", "scheme file"],
            ..REFUSED
        },
        Case { name: "to what is no URL", scene: |s| next(s, |_| json!("http://[")), tells: &["next page"], ..FAILED },
    ]);
}

/// What a server says goes to a terminal: it cannot move the cursor there, nor turn the reading direction.
#[test]
fn a_server_s_words_are_made_harmless() {
    const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;sesame\u{7}\u{202e}x\r\nnot json\u{0}";
    fn hostile(scenario: Scenario) -> Scenario {
        two_files(scenario).running(1).edit_manifest(|manifest| {
            for member in ["transactionTime", "request", "id", "lastUpdated", "message"] {
                manifest[member] = json!(HOSTILE);
            }
            for entry in manifest["output"].as_array_mut().expect("a list") {
                entry["type"] = json!(HOSTILE);
            }
        })
    }
    let payer = Payer::new(GATEWAY, hostile);
    for arguments in [&["--log", "debug"][..], &["--json", "--new-run"]] {
        let outcome = payer.export(arguments);
        outcome.exits_with(0);
        is_printable(&outcome);
    }
    is_printable(&payer.place.run(&["runs", LAKE]));
    let payer = Payer::smart(|scenario| {
        let fault = Fault::operation_outcome(400, HOSTILE);
        two_files(scenario).fault(Endpoint::Status, When::Always, fault)
    });
    let outcome = payer.export(&["--log", "debug"]);
    outcome.exits_with(4);
    is_printable(&outcome);
}
