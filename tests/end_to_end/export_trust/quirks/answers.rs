//! What comes back: where a polling location is, how running and done are said, when to ask again.

use lakehaul_sim::{Answer, Endpoint, Fault, Host, Listed, LocationIn, Personality, RetryAfter, Target, When};
use serde_json::json;

use super::super::{Case, WHOLE, check, check_each, two_files};
use crate::payer::{Payer, patient_file};
use Personality::{OneupProvider, Smart};

/// Whether a kick-off is answered with 200 or 202, and where it tells the polling location, is not documented.
#[test]
fn the_polling_location_is_found_wherever_it_is() {
    let locations = [
        LocationIn::ContentLocation,
        LocationIn::Location,
        LocationIn::DetailsText,
        LocationIn::Diagnostics,
        LocationIn::IdOnly,
        LocationIn::Nowhere,
    ];
    let mut cases = Vec::new();
    for location in locations {
        for status in [200, 202] {
            cases.push((format!("1up: {status}, {location:?}"), (OneupProvider, status, location, Host::OtherOrigin)));
            // An id alone is 1upHealth's.
            if location != LocationIn::IdOnly {
                cases.push((format!("SMART: {status}, {location:?}"), (Smart, status, location, Host::Here)));
            }
        }
    }
    cases.push(("1up: 201, Location".to_owned(), (OneupProvider, 201, LocationIn::Location, Host::Here)));
    check_each(cases, |(personality, status, location, host)| {
        let payer = Payer::new(personality, |scenario| two_files(scenario).kick_off(status, location, host));
        payer.is_whole(&payer.export(&[]));
        let asked = payer.sim.seen(Endpoint::Status).len();
        assert_eq!(asked, usize::from(location != LocationIn::Nowhere), "status requests");
    });
}

#[test]
fn an_export_is_seen_to_run_however_that_is_said() {
    let words = [Some("Running"), Some("PENDING"), Some("queued"), Some("in-progress"), Some("Processing"), None];
    let cases = words.map(|word| (200, word)).into_iter().chain([(202, None)]);
    check_each(cases.map(|case| (format!("{case:?}"), case)), |(status, word)| {
        let payer = Payer::provider(|scenario| {
            two_files(scenario).running(2).running_as(|running| {
                running.status = status;
                running.word = word.map(str::to_owned);
            })
        });
        let outcome = payer.export(&[]);
        payer.is_whole(&outcome);
        outcome.tells("0 of 2 batches").tells("1 of 2 batches");
        assert_eq!(payer.sim.seen(Endpoint::Status).len(), 3);
    });
    check(&[
        Case {
            name: "200 with batches that have not begun",
            personality: OneupProvider,
            scene: |scenario| {
                let answer =
                    r#"{"status":"Successful","batches":{"running":0,"complete":1,"failed":0,"total":3},"output":[]}"#;
                two_files(scenario).fault(Endpoint::Status, When::First(2), Fault::manifest(answer))
            },
            tells: &["1 of 3 batches"],
            ..WHOLE
        },
        Case {
            name: "202 with nothing but X-Progress",
            scene: |scenario| two_files(scenario).running(1),
            tells: &["50% complete"],
            ..WHOLE
        },
        Case {
            name: "202 with words that are no JSON",
            scene: |scenario| {
                let answer = Answer::new(202).body("text/plain", "still working on it");
                two_files(scenario).fault(Endpoint::Status, When::First(1), Fault::answer(answer))
            },
            ..WHOLE
        },
        Case {
            name: "200 with an OperationOutcome that says so",
            personality: OneupProvider,
            scene: |scenario| {
                let fault = Fault::operation_outcome(200, "Asynchronous export running.");
                two_files(scenario).fault(Endpoint::Status, When::First(1), fault)
            },
            ..WHOLE
        },
        Case {
            name: "failures that say that they pass",
            scene: |scenario| {
                let transient =
                    r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"transient"}]}"#;
                let answer = |status| Answer::new(status).body("application/fhir+json", transient);
                two_files(scenario).fault(Endpoint::Status, When::Nth(1), Fault::answer(answer(500))).fault(
                    Endpoint::Status,
                    When::Nth(2),
                    Fault::answer(answer(400)),
                )
            },
            tells: &["error transient (500); sent again", "error transient (400); sent again"],
            ..WHOLE
        },
        Case {
            name: "files that are listed while it runs are each loaded once",
            personality: OneupProvider,
            scene: |scenario| {
                let files = (0..6).map(|n| patient_file(&format!("f{n}"), 2));
                scenario.files(files).running(3).running_as(|running| {
                    running.listed = Listed::Finished;
                    running.status = 200;
                })
            },
            tells: &["the server lists 1 file", "the server lists 6 files"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(payer.sim.seen(Target::AnyFile).len(), 6);
            },
            ..WHOLE
        },
    ]);
}

#[test]
fn success_is_seen_however_it_is_said() {
    let words = [
        json!("Successful"),
        json!("COMPLETED"),
        json!("done"),
        json!("Completed with warnings"),
        json!(null),
        json!("Okay"),
    ];
    check_each(words.map(|word| (word.to_string(), word)), |word| {
        let payer =
            Payer::provider(|scenario| two_files(scenario).edit_manifest(move |body| body["status"] = word.clone()));
        payer.is_whole(&payer.export(&[]));
    });
    check(&[
        Case {
            name: "without batches and resourceCount",
            personality: OneupProvider,
            scene: |scenario| {
                two_files(scenario).edit_manifest(|manifest| {
                    let members = manifest.as_object_mut().expect("an object");
                    members.retain(|name, _| {
                        ["transactionTime", "output", "requiresAccessToken"].contains(&name.as_str())
                    });
                })
            },
            ..WHOLE
        },
        Case {
            name: "counts as texts",
            personality: OneupProvider,
            scene: |scenario| {
                two_files(scenario).edit_manifest(|manifest| {
                    manifest["resourceCount"] = json!("5");
                    manifest["batches"] = json!({"running": "0", "complete": "2", "failed": "0", "total": "2"});
                    manifest["output"][0]["count"] = json!("3");
                })
            },
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(payer.file("a.ndjson")["declared_count"], 3);
                assert_eq!(payer.record()["export"]["resource_count"], 5);
                assert_eq!(payer.record()["export"]["total_batches"], 2);
            },
            ..WHOLE
        },
        Case {
            name: "a count as a text that is too high",
            personality: OneupProvider,
            scene: |scenario| two_files(scenario).edit_manifest(|manifest| manifest["resourceCount"] = json!("6")),
            code: 6,
            then: |payer, _| assert_eq!(payer.problems(), ["fewer_than_exported"]),
            ..WHOLE
        },
    ]);
}

/// Status requests come no earlier than they were asked to, in seconds or by a date, and not much later.
#[test]
fn retry_after_is_kept_to() {
    let cases = [("seconds", RetryAfter::Seconds(1)), ("a date", RetryAfter::Date(std::time::Duration::from_secs(2)))];
    check_each(cases, |after| {
        let payer = Payer::smart(|scenario| two_files(scenario).running(1).retry_after(after));
        payer.is_whole(&payer.export(&["--max-wait", "10s"]));
        let seen = payer.sim.seen(Endpoint::Status);
        assert_eq!(seen.len(), 2);
        let waited = (seen[1].at - seen[0].at).as_secs_f64();
        assert!((0.9..4.0).contains(&waited), "{waited}");
    });
    let payer = Payer::provider(|scenario| {
        two_files(scenario).fault(Endpoint::KickOff, When::First(1), Fault::status(429).retry_after(1))
    });
    payer.is_whole(&payer.export(&["--max-wait", "10s"]));
    assert_eq!(payer.sim.seen(Endpoint::KickOff).len(), 2);
}
