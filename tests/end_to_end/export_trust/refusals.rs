//! What ends an export without a run: the server failed it, refuses who asks or has forgotten it, or the way to it
//! gives out. Nothing is published, and `--allow-partial` changes nothing about it.

use lakehaul_sim::{Answer, Endpoint, ExportEnd, Fault, Hangup, Personality, Rule, When};
use serde_json::json;

use super::{Case, FAILED, GIVES_OUT, REFUSED, check, is_left_alone, two_files};
use crate::payer::Payer;

#[test]
fn the_server_s_failure_is_told_in_its_own_words() {
    const WORDS: &str = "the attribution list has no members";
    check(&[
        Case {
            name: "status Failed",
            personality: Personality::OneupProvider,
            scene: |scenario| two_files(scenario).running(1).ending(ExportEnd::Failed(WORDS.to_owned())),
            arguments: &["--allow-partial"],
            tells: &["the server says that the export failed", "Failed", WORDS, "--fresh"],
            ..FAILED
        },
        Case {
            name: "500 with an OperationOutcome, for ever",
            scene: |scenario| two_files(scenario).ending(ExportEnd::Failed(WORDS.to_owned())),
            arguments: &["--retries", "1"],
            tells: &["the server says that the export failed", WORDS, "--fresh"],
            ..FAILED
        },
        Case {
            name: "a final 4xx of the status",
            scene: |scenario| {
                two_files(scenario).fault(Endpoint::Status, When::Always, Fault::operation_outcome(422, WORDS))
            },
            tells: &["the server says that the export failed", WORDS, "422", "--fresh"],
            ..FAILED
        },
        Case {
            name: "a final 4xx of the kick-off",
            scene: |scenario| {
                two_files(scenario).fault(Endpoint::KickOff, When::Always, Fault::operation_outcome(400, WORDS))
            },
            tells: &["the server refuses the export", WORDS, "400"],
            ..FAILED
        },
        Case {
            name: "an error in a kick-off that is answered with 200",
            scene: |scenario| {
                let issue = json!([{"severity": "error", "code": "invalid", "diagnostics": WORDS}]);
                let outcome = json!({"resourceType": "OperationOutcome", "issue": issue});
                let answer = Answer::new(200).body("application/fhir+json", outcome.to_string());
                two_files(scenario).fault(Endpoint::KickOff, When::Always, Fault::answer(answer))
            },
            tells: &["the server refuses the export", WORDS],
            ..FAILED
        },
        Case {
            name: "a tenant that the server does not know",
            personality: Personality::OneupProvider,
            scene: |scenario| {
                let fault = Fault::operation_outcome(404, "Unknown tenant");
                two_files(scenario).fault(Endpoint::KickOff, When::Always, fault)
            },
            tells: &["Unknown tenant", "404", "the tenant"],
            ..FAILED
        },
    ]);
}

#[test]
fn who_is_refused_is_told_what_to_mend() {
    use Personality::{OneupPopulation, OneupProvider};
    check(&[
        Case {
            name: "another client id",
            personality: OneupProvider,
            arguments: &["--client-id", "another"],
            tells: &["invalid_client", "client id and secret", "Attributed members claims data"],
            ..REFUSED
        },
        Case {
            name: "a scope that the client may not have",
            personality: OneupProvider,
            arguments: &["--scope", "system/*.read"],
            tells: &["invalid_scope", "--scope"],
            ..REFUSED
        },
        Case {
            name: "a tenant that is not the client's",
            personality: OneupProvider,
            scene: |scenario| {
                let fault = Fault::operation_outcome(403, "This client has no access to the tenant");
                two_files(scenario).fault(Endpoint::KickOff, When::Always, fault)
            },
            tells: &["no access to the tenant", "403", "Attributed members claims data"],
            ..REFUSED
        },
        Case {
            name: "a realm that is not there",
            personality: OneupPopulation,
            scene: |scenario| {
                let answer = Answer::new(404).body("application/json", r#"{"error":"Realm does not exist"}"#);
                two_files(scenario).fault(Endpoint::Token, When::Always, Fault::answer(answer))
            },
            tells: &["404", "Realm does not exist"],
            ..REFUSED
        },
        Case {
            name: "401 of the kick-off, with every token",
            scene: |scenario| two_files(scenario).fault(Endpoint::KickOff, When::Always, Fault::status(401)),
            tells: &["kick-off", "401", "--scope"],
            ..REFUSED
        },
        Case {
            name: "401 of the status, with every token",
            scene: |scenario| two_files(scenario).fault(Endpoint::Status, When::Always, Fault::status(401)),
            tells: &["status request", "401"],
            ..REFUSED
        },
        Case {
            name: "403 of the status",
            scene: |scenario| {
                two_files(scenario).fault(Endpoint::Status, When::Always, Fault::operation_outcome(403, "not yours"))
            },
            tells: &["the server refuses the status request", "not yours"],
            ..REFUSED
        },
        Case {
            name: "401 of a file, with every token",
            scene: |scenario| two_files(scenario).fault("a.ndjson", When::Always, Fault::status(401)),
            tells: &["output file", "401"],
            ..REFUSED
        },
    ]);
}

/// The secret comes from the environment, which the scene has filled.
#[test]
fn a_wrong_secret_is_refused_and_not_repeated() {
    let payer = Payer::provider(two_files);
    let mut command = payer.command(&["export", "--log", "debug"]);
    command.env("LAKEHAUL_CLIENT_SECRET", "sesame-not-yours");
    let outcome = crate::lakehaul::outcome(command.output().expect("the binary starts"));
    outcome.exits_with(3).tells("invalid_client").tells("client id and secret");
    assert!(!outcome.stderr.contains("sesame"), "{outcome}");
    assert_eq!(payer.sim.seen(Endpoint::Token).len(), 1, "a refusal is final");
    is_left_alone(&payer);
}

#[test]
fn a_way_that_gives_out_is_worth_another_try() {
    check(&[
        Case {
            name: "token",
            scene: |scenario| two_files(scenario).fault(Endpoint::Token, When::Always, Fault::status(503)),
            ..GIVES_OUT
        },
        Case {
            name: "kick-off",
            scene: |scenario| two_files(scenario).fault(Endpoint::KickOff, When::Always, Fault::status(503)),
            ..GIVES_OUT
        },
        Case {
            name: "kick-off, since another export runs",
            scene: |scenario| {
                let fault = Fault::operation_outcome(429, "Too many exports");
                two_files(scenario).fault(Endpoint::KickOff, When::Always, fault)
            },
            tells: &["Too many exports", "An export may be running already"],
            ..GIVES_OUT
        },
        Case {
            name: "status",
            scene: |scenario| two_files(scenario).fault(Endpoint::Status, When::Always, Fault::status(502)),
            ..GIVES_OUT
        },
        Case {
            name: "page",
            scene: |scenario| {
                let fault = Fault::no_answer(Hangup::Reset);
                two_files(scenario).page_size(1).fault(Endpoint::ManifestPage, When::Always, fault)
            },
            ..GIVES_OUT
        },
        Case {
            name: "file",
            scene: |scenario| two_files(scenario).fault("b.ndjson", When::Always, Fault::reset_at(1)),
            ..GIVES_OUT
        },
        Case {
            name: "smart configuration",
            scene: |scenario| two_files(scenario).fault(Endpoint::SmartConfiguration, When::Always, Fault::status(500)),
            ..GIVES_OUT
        },
        Case {
            name: "an export that does not end in time",
            scene: |scenario| two_files(scenario).running(1000),
            arguments: &["--max-duration", "300ms"],
            tells: &["--max-duration", "run the same command again"],
            ..GIVES_OUT
        },
    ]);
}

/// A run that was interrupted comes back to a server that has forgotten its export.
#[test]
fn an_export_that_the_server_has_forgotten_is_started_over_on_request() {
    for status in [404, 410] {
        let payer =
            Payer::provider(|scenario| two_files(scenario).fault(Endpoint::Status, When::First(1), Fault::status(503)));
        payer.export(&["--retries", "0"]).exits_with(5);
        let forgotten = Fault::operation_outcome(status, "there is no such job");
        payer.sim.set_faults(vec![Rule::new(Endpoint::Status, When::Always, forgotten)]);
        for _ in 0..2 {
            let outcome = payer.export(&["--allow-partial"]);
            outcome.exits_with(4).tells("does not know the export").tells("no such job").tells("--fresh");
            payer.nothing_is_published();
        }
        assert_eq!(payer.sim.export_count(), 1);
        payer.sim.set_faults(Vec::new());
        payer.is_whole_after(2, &payer.export(&["--fresh"]));
    }
}
