//! `check`, `export --dry-run` and `cancel`: what they say, and what they ask a payer for.

use lakehaul_sim::{Answer, Authorization, Endpoint, Fault, Host, Personality, Rule, Scenario, Tls, When};
use serde_json::Value;

use super::{below, check_each, filled_in, two_files};
use crate::lakehaul::{Outcome, outcome};
use crate::payer::{LAKE, Payer};

/// Runs a command that knows the payer from its environment.
fn run(payer: &Payer, arguments: &[&str]) -> Outcome {
    outcome(payer.command(arguments).output().expect("the binary starts"))
}

/// No export was asked for, and there is no lake.
#[track_caller]
fn nothing_was_begun(payer: &Payer) {
    assert_eq!(payer.sim.seen(Endpoint::KickOff).len(), 0, "kick-offs");
    assert!(!payer.place.path(LAKE).exists(), "{:?}", below(&payer.place.path(LAKE)));
    payer.is_well_behaved();
}

#[test]
fn check_tells_what_an_export_would_meet() {
    use Personality::{OneupPopulation, OneupProvider, Smart};
    struct Look {
        name: &'static str,
        personality: Personality,
        scene: fn(Scenario) -> Scenario,
        arguments: &'static [&'static str],
        code: i32,
        prints: &'static [&'static str],
    }
    const LOOK: Look = Look { name: "", personality: Smart, scene: two_files, arguments: &[], code: 0, prints: &[] };
    let looks = [
        Look {
            name: "all is well",
            prints: &["obtained at {origin}/auth/token", "5 min", "FHIR 4.0.1", "All is well"],
            ..LOOK
        },
        Look {
            name: "a gateway",
            personality: OneupProvider,
            prints: &["the kind's own", "as is usual", "All is well"],
            ..LOOK
        },
        Look { name: "a population's gateway", personality: OneupPopulation, prints: &["/auth/realms/bison/"], ..LOOK },
        Look {
            name: "where a value comes from",
            arguments: &["--scope", "system/Patient.rs"],
            prints: &["LAKEHAUL_BASE_URL", "system/Patient.rs", "client-secret", "max-wait"],
            ..LOOK
        },
        Look {
            name: "another client",
            arguments: &["--client-id", "another"],
            code: 3,
            prints: &["problem  token", "invalid_client", "client id and secret", "1 problem"],
            ..LOOK
        },
        Look {
            name: "a scope that is refused",
            personality: OneupProvider,
            arguments: &["--scope", "system/*.read"],
            code: 3,
            prints: &["invalid_scope", "--scope", "Attributed members claims data"],
            ..LOOK
        },
        Look {
            name: "a token endpoint elsewhere",
            scene: |scenario| two_files(scenario).token_endpoint_at(Host::OtherOrigin),
            code: 3,
            prints: &["problem  token", "--trust-origin {other_origin}"],
            ..LOOK
        },
        Look {
            name: "nobody there",
            arguments: &["--base-url", "http://127.0.0.1:1/fhir", "--retries", "0"],
            code: 5,
            prints: &["cannot connect to http://127.0.0.1:1"],
            ..LOOK
        },
        Look {
            name: "an authority that nobody knows",
            scene: |scenario| two_files(scenario).tls(Tls::Good),
            code: 5,
            prints: &["cannot trust {origin}", "--ca-cert"],
            ..LOOK
        },
        Look {
            name: "plain http elsewhere",
            arguments: &["--base-url", "http://payer.example/fhir"],
            code: 2,
            prints: &["problem  settings", "plain http", "--allow-http"],
            ..LOOK
        },
        Look {
            name: "no R4",
            scene: |scenario| {
                let body = r#"{"resourceType":"CapabilityStatement","fhirVersion":"3.0.2"}"#;
                let answer = Answer::new(200).body("application/fhir+json", body);
                two_files(scenario).fault(Endpoint::Metadata, When::Always, Fault::answer(answer))
            },
            prints: &["warning  server", "FHIR 3.0.2", "not FHIR R4", "no problem"],
            ..LOOK
        },
        Look {
            name: "no statement",
            scene: |scenario| two_files(scenario).fault(Endpoint::Metadata, When::Always, Fault::status(404)),
            prints: &["warning  server", "404", "--base-url"],
            ..LOOK
        },
    ];
    check_each(looks.iter().map(|look| (look.name, look)), |look| {
        let payer = Payer::new(look.personality, look.scene);
        let outcome = run(&payer, &[&["check"], look.arguments].concat());
        outcome.exits_with(look.code);
        for part in look.prints {
            outcome.prints(&filled_in(&payer, part));
        }
        nothing_was_begun(&payer);
    });
}

#[test]
fn check_tells_programs_the_same() {
    let payer = Payer::smart(two_files);
    let object = |outcome: &Outcome| serde_json::from_str::<Value>(&outcome.stdout).expect("one object");
    let good = object(run(&payer, &["check", "--json"]).exits_with(0));
    assert_eq!((&good["good"], &good["exit"]), (&true.into(), &0.into()), "{good}");
    let bad = object(run(&payer, &["check", "--json", "--client-id", "another"]).exits_with(3));
    assert_eq!((&bad["good"], &bad["exit"]), (&false.into(), &3.into()), "{bad}");
    let findings = bad["findings"].as_array().expect("findings");
    let token = findings.iter().find(|finding| finding["about"] == "token").expect("a finding about the token");
    assert_eq!((&token["grade"], &token["exit"]), (&"problem".into(), &3.into()));
    nothing_was_begun(&payer);
}

#[test]
fn check_looks_at_the_lake() {
    let payer = Payer::smart(two_files);
    payer.place.write(LAKE, "no folder");
    run(&payer, &["check"]).exits_with(2).prints("is a file");
    let payer =
        Payer::smart(|scenario| two_files(scenario).fault(Endpoint::Status, When::First(1), Fault::status(503)));
    payer.export(&["--retries", "0"]).exits_with(5);
    run(&payer, &["check"]).exits_with(0).prints("has not finished").prints("lakehaul cancel");
    payer.is_whole(&payer.export(&[]));
    run(&payer, &["check"]).exits_with(0).prints("1 finished run").prints("All is well");
    run(&payer, &["check", "--layout", "hive"]).exits_with(2).prints("layout");
    assert_eq!(payer.sim.export_count(), 1);
}

#[test]
fn a_dry_run_says_what_it_would_send_and_sends_nothing() {
    type DryRun<'d> = (Personality, &'d [&'d str], i32, &'d [&'d str]);
    let cases: [(&str, DryRun<'_>); 6] = [
        (
            "all there is",
            (Personality::Smart, &[], 0, &["GET {origin}/fhir/$export", "parameters: none", "into: lake"]),
        ),
        (
            "some of it",
            (
                Personality::Smart,
                &["--type", "Patient,Claim", "--since", "2026-01-31"],
                0,
                &["GET {origin}/fhir/$export?…", "_since=2026-01-31", "_type=Patient,Claim"],
            ),
        ),
        (
            "some patients",
            (
                Personality::Smart,
                &["--patient", "a,b"],
                0,
                &["POST {origin}/fhir/Patient/$export", "patient (2, not shown)"],
            ),
        ),
        (
            "a group of a gateway",
            (
                Personality::OneupPayer,
                &[],
                0,
                &["GET {origin}/v1/bison/bulk-data/r4/Group/g1/$export", "lakehaul-sim-client"],
            ),
        ),
        (
            "for programs",
            (Personality::OneupProvider, &["--json"], 0, &["\"dry_run\":true", "\"method\":\"GET\"", "$export\""]),
        ),
        ("a group that no path can hold", (Personality::Smart, &["--group", ".."], 2, &[])),
    ];
    check_each(cases, |(personality, arguments, code, prints)| {
        let payer = Payer::new(personality, two_files);
        let outcome = payer.export(&[&["--dry-run"], arguments].concat());
        outcome.exits_with(code);
        for part in prints {
            outcome.prints(&filled_in(&payer, part));
        }
        assert_eq!(payer.sim.log().len(), 0, "{outcome}");
        nothing_was_begun(&payer);
    });
}

/// The name of the one run that has not finished.
#[track_caller]
fn unfinished(payer: &Payer) -> String {
    let runs = payer.place.records(LAKE);
    let names: Vec<&str> =
        runs.iter().filter(|run| run["status"] == "unfinished").filter_map(|run| run["run"].as_str()).collect();
    assert_eq!(names.len(), 1, "{runs:?}");
    names[0].to_owned()
}

#[test]
fn cancel_stops_an_export_once_and_forgets_it() {
    use Personality::{OneupPopulation, OneupProvider, Smart};
    let gone = || Some(Rule::new(Endpoint::Delete, When::Always, Fault::status(404)));
    let busy = || Some(Rule::new(Endpoint::Delete, When::First(2), Fault::status(503)));
    type Cancel = (Personality, Option<Rule>, usize, &'static str);
    let cases: [(&str, Cancel); 5] = [
        ("SMART", (Smart, None, 1, "The server stops the export")),
        ("1upHealth", (OneupProvider, None, 1, "The server stops the export")),
        ("a population export, which refuses", (OneupPopulation, None, 1, "does not stop exports when asked to (403)")),
        ("one that is gone", (Smart, gone(), 1, "does not know the export any more")),
        ("a server that is busy", (Smart, busy(), 3, "The server stops the export")),
    ];
    check_each(cases, |(personality, rule, deletes, sentence)| {
        let payer = Payer::new(personality, |scenario| {
            two_files(scenario).fault(Endpoint::Status, When::First(1), Fault::status(503))
        });
        payer.export(&["--retries", "0"]).exits_with(5);
        let name = unfinished(&payer);
        payer.sim.set_faults(rule.into_iter().collect());
        run(&payer, &["cancel", &name]).exits_with(0).prints(sentence).prints(&format!("Run {name} is forgotten"));
        let sent = payer.sim.seen(Endpoint::Delete);
        assert_eq!(sent.len(), deletes);
        let status = payer.sim.seen(Endpoint::Status);
        assert!(sent.iter().all(|seen| seen.path == status[0].path), "the polling location is what is deleted");
        assert!(sent.iter().all(|seen| matches!(seen.authorization, Authorization::Token(_))));
        payer.nothing_is_published();
        // It is forgotten: not found again, and the same command starts another.
        run(&payer, &["cancel", &name]).exits_with(2).tells("no unfinished run");
        payer.sim.set_faults(Vec::new());
        payer.is_whole_after(2, &payer.export(&[]));
    });
}

#[test]
fn cancel_forgets_nothing_that_the_server_was_not_told() {
    let payer =
        Payer::smart(|scenario| two_files(scenario).fault(Endpoint::Status, When::First(1), Fault::status(503)));
    run(&payer, &["cancel", "20260101T000000Z-00000000"]).exits_with(2);
    payer.export(&["--retries", "0"]).exits_with(5);
    let name = unfinished(&payer);
    payer.sim.set_faults(vec![Rule::new(Endpoint::Delete, When::Always, Fault::status(503))]);
    run(&payer, &["cancel", &name, "--retries", "1"]).exits_with(5);
    run(&payer, &["cancel", &name, "--client-id", "another"]).exits_with(3).tells("invalid_client");
    assert_eq!(unfinished(&payer), name);
    payer.sim.set_faults(Vec::new());
    payer.is_whole(&payer.export(&[]));
    // What has finished is no export any more.
    run(&payer, &["cancel", &name]).exits_with(2).tells("no unfinished run");
    assert_eq!(payer.sim.export_count(), 1);
}

#[test]
fn cancel_tells_programs_what_came_of_it() {
    let payer = Payer::new(Personality::OneupPopulation, |scenario| {
        two_files(scenario).fault(Endpoint::Status, When::First(1), Fault::status(503))
    });
    payer.export(&["--retries", "0"]).exits_with(5);
    let name = unfinished(&payer);
    let outcome = run(&payer, &["cancel", &name, "--json"]);
    outcome.exits_with(0);
    let object: Value = serde_json::from_str(&outcome.stdout).expect("one object");
    assert_eq!(object, serde_json::json!({"run": name, "server": "refused", "status": 403, "forgotten": true}));
}
