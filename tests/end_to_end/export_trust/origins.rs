//! A credential goes to the configured origin and to those that are trusted by name, whoever says otherwise: polling
//! locations, manifests, links, discovery documents.

use lakehaul_sim::{
    Answer, Authorization, Endpoint, Fault, FileAccess, Host, LocationIn, Personality, Place, Scenario, Target, Tls,
    When,
};
use serde_json::{Value, json};

use super::{Case, FAILED, REFUSED, WHOLE, asked_at_other_origin, check, is_left_alone, two_files};
use crate::lakehaul::Outcome;
use crate::payer::{LAKE, Payer};

#[test]
fn a_polling_location_elsewhere_is_asked_without_a_token() {
    const ELSEWHERE: Case = Case {
        scene: |scenario| two_files(scenario).kick_off(202, LocationIn::ContentLocation, Host::OtherOrigin).running(1),
        ..WHOLE
    };
    check(&[
        Case {
            name: "not trusted",
            tells: &["the polling location is at {other_origin}", "without the access token"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                // Two status requests and the delete.
                assert_eq!(asked_at_other_origin(payer).len(), 3);
            },
            ..ELSEWHERE
        },
        Case {
            name: "trusted",
            arguments: &["--trust-origin", "{other_origin}"],
            then: |payer, outcome| is_whole_with_tokens_elsewhere(payer, outcome, 3),
            ..ELSEWHERE
        },
        Case {
            name: "with user name and password",
            scene: |scenario| {
                let answer = Answer::new(202).header("Content-Location", "http://user:sesame@127.0.0.1:1/job");
                two_files(scenario).fault(Endpoint::KickOff, When::Always, Fault::answer(answer))
            },
            tells: &["user name or password"],
            ..REFUSED
        },
        Case {
            name: "off this machine in the clear",
            scene: |scenario| {
                let answer = Answer::new(202).header("Content-Location", "http://192.0.2.1/job");
                two_files(scenario).fault(Endpoint::KickOff, When::Always, Fault::answer(answer))
            },
            tells: &["plain http", "--allow-http"],
            ..REFUSED
        },
    ]);
}

#[test]
fn files_elsewhere_get_a_token_only_where_that_is_said() {
    fn elsewhere(scenario: Scenario) -> Scenario {
        two_files(scenario).each_file(|file| file.place(Place::OtherOrigin))
    }
    /// The manifest's word on tokens; `None` takes it out.
    fn saying(manifest: &mut Value, requires: Option<Value>) {
        let members = manifest.as_object_mut().expect("a manifest is an object");
        match requires {
            Some(requires) => members.insert("requiresAccessToken".to_owned(), requires),
            None => members.remove("requiresAccessToken"),
        };
    }
    check(&[
        Case {
            name: "false",
            scene: |scenario| elsewhere(scenario).file_access(FileAccess::NoToken),
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(asked_at_other_origin(payer).len(), 2);
            },
            ..WHOLE
        },
        Case {
            name: "false, at a trusted origin",
            scene: |scenario| elsewhere(scenario).file_access(FileAccess::NoToken),
            arguments: &["--trust-origin", "{other_origin}"],
            ..WHOLE
        },
        Case {
            name: "false, as a text",
            scene: |scenario| {
                elsewhere(scenario)
                    .file_access(FileAccess::NoToken)
                    .edit_manifest(|manifest| saying(manifest, Some(json!("false"))))
            },
            ..WHOLE
        },
        Case {
            name: "false, at the payer's own origin",
            scene: |scenario| two_files(scenario).file_access(FileAccess::NoToken),
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let files = payer.sim.seen(Target::AnyFile);
                assert!(files.iter().all(|seen| seen.authorization == Authorization::None), "{files:?}");
            },
            ..WHOLE
        },
        Case {
            name: "not said",
            scene: |scenario| {
                elsewhere(scenario).file_access(FileAccess::NoToken).edit_manifest(|manifest| saying(manifest, None))
            },
            ..WHOLE
        },
        Case {
            name: "not said, at the payer's own origin",
            scene: |scenario| two_files(scenario).edit_manifest(|manifest| saying(manifest, None)),
            ..WHOLE
        },
        Case {
            name: "true",
            scene: elsewhere,
            tells: &["requiresAccessToken is true", "--trust-origin {other_origin}"],
            then: |payer, _| {
                is_left_alone(payer);
                assert_eq!(asked_at_other_origin(payer), [""; 0]);
            },
            ..REFUSED
        },
        Case {
            name: "true, at an origin that differs by its port",
            scene: elsewhere,
            arguments: &["--trust-origin", "http://127.0.0.1:1"],
            tells: &["--trust-origin {other_origin}"],
            ..REFUSED
        },
        Case {
            name: "true, at a trusted origin",
            scene: elsewhere,
            arguments: &["--trust-origin", "{other_origin}"],
            then: |payer, outcome| is_whole_with_tokens_elsewhere(payer, outcome, 2),
            ..WHOLE
        },
        Case {
            name: "true, and plain http beside https",
            scene: |scenario| {
                two_files(scenario).tls(Tls::Good).edit_manifest(|manifest| {
                    let url =
                        manifest["output"][0]["url"].as_str().map(|url| url.replace("{origin}", "{plain_origin}"));
                    manifest["output"][0]["url"] = json!(url);
                })
            },
            arguments: &["--ca-cert", "ca.pem"],
            tells: &["--trust-origin {plain_origin}"],
            ..REFUSED
        },
    ]);
}

#[test]
fn a_next_link_elsewhere_gets_no_token() {
    fn next_elsewhere(manifest: &mut Value) {
        if let Some(url) = manifest["link"][0]["url"].as_str() {
            manifest["link"][0]["url"] = json!(url.replace("{origin}", "{other_origin}"));
        }
    }
    check(&[
        Case {
            name: "of a manifest whose files demand a token",
            scene: |scenario| two_files(scenario).page_size(1).edit_manifest(next_elsewhere),
            tells: &["next page", "--trust-origin {other_origin}"],
            ..REFUSED
        },
        Case {
            name: "of one whose files do not",
            scene: |scenario| {
                two_files(scenario).page_size(1).file_access(FileAccess::NoToken).edit_manifest(next_elsewhere)
            },
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(asked_at_other_origin(payer).len(), 1);
            },
            ..WHOLE
        },
        Case {
            name: "trusted",
            scene: |scenario| two_files(scenario).page_size(1).edit_manifest(next_elsewhere),
            arguments: &["--trust-origin", "{other_origin}"],
            then: |payer, outcome| is_whole_with_tokens_elsewhere(payer, outcome, 1),
            ..WHOLE
        },
    ]);
}

#[test]
fn a_token_endpoint_elsewhere_gets_no_secret_unasked() {
    fn by_configuration(scenario: Scenario) -> Scenario {
        two_files(scenario).token_endpoint_at(Host::OtherOrigin)
    }
    fn by_metadata(scenario: Scenario) -> Scenario {
        by_configuration(scenario).fault(Endpoint::SmartConfiguration, When::Always, Fault::status(404))
    }
    const TELLS: &[&str] = &["token endpoint", "client's secret", "--trust-origin {other_origin}"];
    check(&[
        Case { name: "smart-configuration", scene: by_configuration, tells: TELLS, ..REFUSED },
        Case { name: "metadata", scene: by_metadata, tells: TELLS, ..REFUSED },
        Case {
            name: "smart-configuration, trusted",
            scene: by_configuration,
            arguments: &["--trust-origin", "{other_origin}"],
            then: |payer, outcome| is_whole_with_tokens_elsewhere(payer, outcome, 1),
            ..WHOLE
        },
        Case {
            name: "metadata, trusted",
            scene: by_metadata,
            arguments: &["--trust-origin", "{other_origin}"],
            then: |payer, outcome| is_whole_with_tokens_elsewhere(payer, outcome, 1),
            ..WHOLE
        },
        Case {
            name: "named by the user",
            arguments: &["--token-url", "{other_origin}/auth/token"],
            then: |payer, outcome| is_whole_with_tokens_elsewhere(payer, outcome, 1),
            ..WHOLE
        },
        Case {
            name: "named by the user, in the clear",
            arguments: &["--token-url", "http://192.0.2.1/auth/token"],
            code: 2,
            tells: &["token endpoint", "plain http", "--allow-http"],
            then: |payer, _| assert_eq!(payer.sim.log().len(), 0),
            ..WHOLE
        },
        Case {
            name: "of a scheme that is none",
            scene: |scenario| {
                let body = r#"{"token_endpoint":"file:///etc/passwd"}"#;
                let answer = Answer::new(200).body("application/json", body);
                two_files(scenario).fault(Endpoint::SmartConfiguration, When::Always, Fault::answer(answer))
            },
            tells: &["token endpoint", "scheme file"],
            ..REFUSED
        },
    ]);
}

/// 1upHealth's documents show URLs of another host than the one that is asked.
#[test]
fn a_gateway_that_names_itself_otherwise_is_asked_where_it_was_configured() {
    fn wrong_host(scenario: Scenario) -> Scenario {
        two_files(scenario).running(1).each_file(|file| file.place(Place::WrongHost))
    }
    const PROVIDER: Case = Case { personality: Personality::OneupProvider, scene: wrong_host, ..WHOLE };
    check(&[
        Case {
            name: "of this tenant",
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(asked_at_other_origin(payer), [""; 0]);
            },
            ..PROVIDER
        },
        Case {
            name: "trusted by name",
            arguments: &["--trust-origin", "{other_origin}"],
            // Two status requests, two files, the delete.
            then: |payer, outcome| is_whole_with_tokens_elsewhere(payer, outcome, 5),
            ..PROVIDER
        },
        Case {
            name: "a file of no tenant",
            scene: |scenario| two_files(scenario).each_file(|file| file.place(Place::OtherOrigin)),
            tells: &["--trust-origin {other_origin}"],
            personality: Personality::OneupProvider,
            ..REFUSED
        },
        Case {
            name: "a file of another tenant",
            scene: |scenario| {
                two_files(scenario).edit_manifest(|manifest| {
                    manifest["output"][0]["url"] = json!("{other_origin}/v1/otter/bulk-data/r4/$export/file/a.ndjson");
                })
            },
            tells: &["--trust-origin {other_origin}"],
            personality: Personality::OneupProvider,
            ..REFUSED
        },
        Case {
            name: "a job of another tenant",
            scene: |scenario| {
                let url = "{other_origin}/v1/otter/bulk-data/r4/$export/job/1";
                let fault = Fault::operation_outcome(202, &format!("Track job at {url}"));
                two_files(scenario).fault(Endpoint::KickOff, When::Always, fault)
            },
            tells: &["without the access token"],
            personality: Personality::OneupProvider,
            then: |payer, _| {
                payer.nothing_is_published();
                assert!(payer.sim.tokens_seen_at_other_origin().is_empty());
            },
            ..FAILED
        },
    ]);
}

/// All of it arrives, and so many requests took a secret to the other origin, which is trusted.
#[track_caller]
fn is_whole_with_tokens_elsewhere(payer: &Payer, outcome: &Outcome, requests: usize) {
    outcome.exits_with(0);
    assert_eq!(payer.record()["status"], "complete", "{outcome}");
    payer.place.run(&["verify", LAKE]).exits_with(0);
    assert_eq!(payer.sim.tokens_seen_at_other_origin().len(), requests, "{:#?}", asked_at_other_origin(payer));
    assert_eq!(payer.sim.unscripted().len(), 0);
}
