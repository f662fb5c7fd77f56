//! Every quirk of a payer's bulk export that is known: what 1upHealth's documents leave open, what they show, and what the
//! editions of the Bulk Data guide differ in. One row each.

use lakehaul_sim::{
    Answer, Authorization, Count, Door, Edition, Endpoint, Fault, Host, Listed, LocationIn, Personality, RetryAfter,
    Role, Scenario, Seen, ServedFile, Sim, Target, When,
};
use serde_json::{Value, json};

use super::{Case, FAILED, REFUSED, WHOLE, check, check_each, two_files};
use crate::lakehaul::Outcome;
use crate::payer::{LAKE, Payer, patient_file, patients};
use Personality::{OneupPayer, OneupPopulation, OneupProvider, Smart};

/// The one request to this endpoint.
#[track_caller]
fn only(sim: &Sim, target: impl Into<Target>) -> Seen {
    let mut seen = sim.seen(target);
    assert_eq!(seen.len(), 1, "{seen:#?}");
    seen.remove(0)
}

/// The text of its body.
fn body(seen: &Seen) -> String {
    String::from_utf8_lossy(&seen.body.0).into_owned()
}

#[test]
fn requests_are_what_the_documents_show() {
    check(&[
        Case {
            name: "a scope with a pipe is one value of the form",
            personality: OneupProvider,
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let token = only(&payer.sim, Endpoint::Token);
                assert_eq!(token.path, "/auth/realms/dev-portal/protocol/openid-connect/token");
                let form = body(&token);
                for field in ["grant_type=client_credentials", "scope=bulk-data%7Cuser%2F*.rs", "client_id=", "client_secret="] {
                    assert_eq!(form.matches(field).count(), 1, "{form}");
                }
            },
            ..WHOLE
        },
        Case {
            name: "and so is the other one",
            personality: OneupPayer,
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert!(body(&only(&payer.sim, Endpoint::Token)).contains("scope=member-match%7Cread"));
            },
            ..WHOLE
        },
        Case {
            name: "the population's realm is the tenant, and no scope is asked for",
            personality: OneupPopulation,
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let token = only(&payer.sim, Endpoint::Token);
                assert_eq!(token.path, "/auth/realms/bison/protocol/openid-connect/token");
                assert!(!body(&token).contains("scope"), "{}", body(&token));
            },
            ..WHOLE
        },
        Case {
            name: "a dollar sign stays one",
            personality: OneupProvider,
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(only(&payer.sim, Endpoint::KickOff).path, "/v1/bison/bulk-data/r4/$export");
                assert!(only(&payer.sim, Endpoint::Status).path.starts_with("/v1/bison/bulk-data/r4/$export/job/"));
                assert_eq!(only(&payer.sim, "a.ndjson").path, "/v1/bison/bulk-data/r4/$export/file/a.ndjson");
            },
            ..WHOLE
        },
        Case {
            name: "a group's id is a segment of the path",
            personality: OneupPayer,
            arguments: &["--group", "cmk1cuald0005l701sdo7gs8c"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let path = only(&payer.sim, Endpoint::KickOff).path;
                assert_eq!(path, "/v1/bison/bulk-data/r4/Group/cmk1cuald0005l701sdo7gs8c/$export");
            },
            ..WHOLE
        },
        Case {
            name: "headers of kick-off, status and file",
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let kick_off = only(&payer.sim, Endpoint::KickOff);
                assert_eq!(kick_off.method, "GET");
                assert_eq!(kick_off.accept.as_deref(), Some("application/fhir+json"));
                assert_eq!(kick_off.prefer.as_deref(), Some("respond-async"));
                assert_eq!(only(&payer.sim, Endpoint::Status).accept.as_deref(), Some("application/json"));
                let file = only(&payer.sim, "a.ndjson");
                assert_eq!(file.accept.as_deref(), Some("application/fhir+ndjson"));
                assert!(file.accept_encoding.is_some_and(|accepted| accepted.contains("gzip")));
                assert!(matches!(file.authorization, Authorization::Token(_)));
                assert!(file.user_agent.is_some_and(|agent| agent.starts_with("lakehaul/")));
            },
            ..WHOLE
        },
        Case {
            name: "file URLs are asked as they are",
            scene: |scenario| {
                scenario.file(ServedFile::new("Patient", patients("a", 3)).named("%24a%2fb~;c=1,d@e!f('g')*+%7C.ndjson"))
            },
            then: |payer, outcome| {
                outcome.exits_with(0);
                payer.is_well_behaved();
                let path = only(&payer.sim, Target::AnyFile).path;
                assert!(path.ends_with("/%24a%2fb~;c=1,d@e!f('g')*+%7C.ndjson"), "{path}");
            },
            ..WHOLE
        },
    ]);
}

#[test]
fn parameters_are_sent_as_the_guide_has_them() {
    const PARAMETERS: &[&str] = &[
        "--type", "Patient,Claim", "--since", "2026-01-31T00:00:00Z", "--until", "2026-02-28T00:00:00Z", "--elements",
        "id,Patient.name", "--type-filter", "Claim?status=active,draft", "--include-associated-data",
        "LatestProvenanceResources", "--organize-output-by", "Patient", "--output-format", "application/fhir+ndjson",
        "--allow-partial-manifests", "--param", "_x=a b&c", "--group", "g/1",
    ];
    let payer = Payer::smart(two_files);
    payer.is_whole(&payer.export(PARAMETERS));
    let kick_off = only(&payer.sim, Endpoint::KickOff);
    assert_eq!(kick_off.path, "/fhir/Group/g%2F1/$export");
    assert_eq!(kick_off.method, "GET");
    let query = kick_off.query.expect("parameters");
    for part in [
        "_type=Patient%2CClaim",
        "_since=2026-01-31T00%3A00%3A00Z",
        "_until=2026-02-28T00%3A00%3A00Z",
        "_elements=id%2CPatient.name",
        "_typeFilter=Claim%3Fstatus%3Dactive%2Cdraft",
        "includeAssociatedData=LatestProvenanceResources",
        "organizeOutputBy=Patient",
        "_outputFormat=application%2Ffhir%2Bndjson",
        "allowPartialManifests=true",
        "_x=a%20b%26c",
    ] {
        let parts: Vec<&str> = query.split('&').filter(|sent| *sent == part).collect();
        assert_eq!(parts.len(), 1, "{part} in {query}");
    }

    let payer = Payer::smart(two_files);
    payer.is_whole(&payer.export(&[PARAMETERS, &["--patient", "p1,Patient/p2"]].concat()));
    let kick_off = only(&payer.sim, Endpoint::KickOff);
    assert_eq!((kick_off.method.as_str(), &kick_off.query), ("POST", &None));
    let sent: Value = serde_json::from_str(&body(&kick_off)).expect("a resource");
    assert_eq!(sent["resourceType"], "Parameters");
    let sent = sent["parameter"].as_array().expect("parameters");
    for parameter in [
        json!({"name": "_type", "valueString": "Patient,Claim"}),
        json!({"name": "_since", "valueInstant": "2026-01-31T00:00:00Z"}),
        json!({"name": "_typeFilter", "valueString": "Claim?status=active,draft"}),
        json!({"name": "allowPartialManifests", "valueBoolean": true}),
        json!({"name": "patient", "valueReference": {"reference": "Patient/p1"}}),
        json!({"name": "patient", "valueReference": {"reference": "Patient/p2"}}),
        json!({"name": "_x", "valueString": "a b&c"}),
    ] {
        assert!(sent.contains(&parameter), "{parameter} in {sent:?}");
    }
}

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
    let words = [None, Some("Running"), Some("PENDING"), Some("queued"), Some("in-progress"), Some("Processing")];
    let cases = words.iter().flat_map(|word| [200, 202].map(|status| (format!("{status}, {word:?}"), (status, *word))));
    check_each(cases, |(status, word)| {
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
                let answer = r#"{"status":"Successful","batches":{"running":0,"complete":1,"failed":0,"total":3},"output":[]}"#;
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
    let words = [json!("Successful"), json!("COMPLETED"), json!("done"), json!("Completed with warnings"), json!(null), json!("Okay")];
    check_each(words.map(|word| (word.to_string(), word)), |word| {
        let payer = Payer::provider(|scenario| two_files(scenario).edit_manifest(move |body| body["status"] = word.clone()));
        payer.is_whole(&payer.export(&[]));
    });
    check(&[
        Case {
            name: "without batches and resourceCount",
            personality: OneupProvider,
            scene: |scenario| {
                two_files(scenario).edit_manifest(|manifest| {
                    let members = manifest.as_object_mut().expect("an object");
                    members.retain(|name, _| ["transactionTime", "output", "requiresAccessToken"].contains(&name.as_str()));
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

#[test]
fn the_population_export_refuses_post_and_delete() {
    check(&[
        Case {
            name: "GET, and a DELETE that is refused",
            personality: OneupPopulation,
            tells: &["does not delete exports when asked to (403)", "does no harm"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(only(&payer.sim, Endpoint::KickOff).method, "GET");
                assert_eq!(only(&payer.sim, Endpoint::Delete).status, 403);
            },
            ..WHOLE
        },
        Case {
            name: "POST where the user wants it",
            personality: OneupPopulation,
            arguments: &["--post"],
            tells: &["POST is not supported", "403"],
            ..REFUSED
        },
        Case {
            name: "_since is a date",
            personality: OneupPopulation,
            arguments: &["--since", "2026-01-31", "--type", "Patient"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let query = only(&payer.sim, Endpoint::KickOff).query;
                assert_eq!(query.as_deref(), Some("_since=2026-01-31&_type=Patient"));
            },
            ..WHOLE
        },
        Case {
            name: "a group",
            personality: OneupPopulation,
            arguments: &["--group", "g1"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let path = only(&payer.sim, Endpoint::KickOff).path;
                assert_eq!(path, "/v1/bison/bulk-export/bulk-data/r4/Group/g1/$export");
            },
            ..WHOLE
        },
        Case {
            name: "an older host answers with the files",
            personality: OneupPopulation,
            scene: |scenario| two_files(scenario).kick_off(200, LocationIn::Nowhere, Host::Here),
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(payer.sim.seen(Endpoint::Delete).len(), 0, "there is no export to be deleted");
            },
            ..WHOLE
        },
    ]);
}

#[test]
fn every_edition_of_the_guide_is_read() {
    const OUTCOME: &str = "{\"resourceType\":\"OperationOutcome\",\"issue\":[]}\n";
    const BUNDLE: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/x1"}},{"request":{"method":"DELETE","url":"Claim/x2"}}]}"#;
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
            ServedFile::new("Bundle", patients("x", 1)).role(Role::Deleted).named("deleted.ndjson").count(Count::Missing),
        )
    });
    payer.export(&[]).exits_with(7).tells("1 line was rejected");
}

#[test]
fn lines_may_be_framed_in_any_normal_way() {
    const HEADER: &str = "{\"resourceType\":\"Parameters\",\"parameter\":[{\"name\":\"header\",\"valueReference\":{\"reference\":\"Patient/1\"}}]}\n";
    fn one(scenario: Scenario, bytes: String) -> Scenario {
        scenario.file(ServedFile::new("Patient", bytes).named("x.ndjson"))
    }
    check(&[
        Case { name: "CRLF", scene: |scenario| one(scenario, patients("x", 3).replace('\n', "\r\n")), ..WHOLE },
        Case { name: "no last line end", scene: |scenario| one(scenario, patients("x", 3).trim_end().to_owned()), ..WHOLE },
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
                let file = ServedFile::new("Patient", format!("{HEADER}{}{HEADER}{}", patients("x", 2), patients("y", 1)));
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

#[test]
fn a_server_that_is_open_is_asked_without_a_token() {
    let payer = Payer::smart(|scenario| two_files(scenario).door(Door::Open).running(1));
    let mut command = payer.command(&["export", "--no-auth"]);
    command.env_remove("LAKEHAUL_CLIENT_SECRET");
    let outcome = crate::lakehaul::outcome(command.output().expect("the binary starts"));
    payer.is_whole(&outcome);
    assert!(payer.sim.log().iter().all(|seen| !seen.carries_secret));
    assert_eq!(payer.sim.seen(Endpoint::SmartConfiguration).len(), 0, "nothing has to be discovered");
}
