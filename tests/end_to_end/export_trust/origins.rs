//! A credential goes to the configured origin and to those that are trusted by name, whoever says otherwise: redirects,
//! polling locations, manifests, discovery documents.

use lakehaul_sim::{
    Answer, Authorization, ClientAuth, Edition, Endpoint, Fault, FileAccess, Host, LocationIn, Origin, Personality,
    Place, RedirectTo, Scenario, Target, Tls, When,
};
use serde_json::{Value, json};

use super::{Case, FAILED, REFUSED, WHOLE, asked_at_other_origin, check, check_each, is_left_alone, two_files};
use crate::lakehaul::Outcome;
use crate::payer::{LAKE, Payer};

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

#[test]
fn no_token_follows_a_redirect() {
    let targets: [(&str, Target); 7] = [
        ("kick-off", Endpoint::KickOff.into()),
        ("status", Endpoint::Status.into()),
        ("page", Endpoint::ManifestPage.into()),
        ("files", Target::EachFile),
        ("delete", Endpoint::Delete.into()),
        ("smart configuration", Endpoint::SmartConfiguration.into()),
        ("metadata", Endpoint::Metadata.into()),
    ];
    let cases = REDIRECTS.iter().flat_map(|status| {
        targets.iter().map(move |(name, target)| (format!("{status} of the {name}"), (*status, target.clone())))
    });
    check_each(cases, |(status, target)| {
        let of_metadata = target == Target::One(Endpoint::Metadata);
        let payer = Payer::smart(|scenario| {
            let scenario = two_files(scenario).page_size(1);
            let scenario = match of_metadata {
                true => scenario.fault(Endpoint::SmartConfiguration, When::Always, Fault::status(404)),
                false => scenario,
            };
            scenario.fault(target, When::First(1), Fault::redirect(status, RedirectTo::OtherOrigin))
        });
        let outcome = payer.export(&[]);
        payer.is_whole(&outcome);
        assert!(!asked_at_other_origin(&payer).is_empty(), "the redirect was not followed\n{outcome}");
    });
}

#[test]
fn no_secret_follows_a_redirect() {
    let ways = [("form", ClientAuth::Form), ("basic", ClientAuth::Basic)];
    let cases = REDIRECTS
        .iter()
        .flat_map(|status| ways.map(|(name, way)| (format!("{status} of a token request, {name}"), (*status, name, way))));
    check_each(cases, |(status, style, way)| {
        let payer = Payer::smart(|scenario| {
            let fault = Fault::redirect(status, RedirectTo::OtherOrigin);
            two_files(scenario).client_auth(&[way]).fault(Endpoint::Token, When::First(1), fault)
        });
        let outcome = payer.export(&["--client-secret-style", style]);
        let other = payer.sim.other_origin();
        outcome.exits_with(3).tells("client's secret").tells(&format!("--trust-origin {other}"));
        is_left_alone(&payer);
        assert_eq!(asked_at_other_origin(&payer), [""; 0]);
        // The user has the last word.
        payer.sim.set_faults(Vec::new());
        payer.is_whole(&payer.export(&["--client-secret-style", style]));
    });
}

/// What a kick-off's body asks for, and whom it names, goes nowhere else, and is never lost on the way: an export of
/// everything is not what was asked for.
#[test]
fn what_is_asked_for_follows_no_redirect() {
    let places = [("elsewhere", RedirectTo::OtherOrigin), ("the same place", RedirectTo::Itself)];
    let cases = REDIRECTS.iter().flat_map(|status| {
        places.iter().map(move |(name, to)| (format!("{status} to {name}"), (*status, to.clone())))
    });
    check_each(cases, |(status, to)| {
        let payer = Payer::smart(|scenario| {
            two_files(scenario).fault(Endpoint::KickOff, When::First(1), Fault::redirect(status, to.clone()))
        });
        let outcome = payer.export(&["--patient", "sesame-1"]);
        let named = |body: &[u8]| String::from_utf8_lossy(body).contains("sesame-1");
        assert!(payer.sim.log().iter().all(|seen| seen.origin == Origin::Main || !named(&seen.body.0)), "{outcome}");
        assert!(payer.sim.seen(Endpoint::KickOff).iter().all(|seen| named(&seen.body.0)), "{outcome}");
        if to == RedirectTo::OtherOrigin {
            outcome.exits_with(3).tells(&format!("--trust-origin {}", payer.sim.other_origin()));
            is_left_alone(&payer);
        } else if status == 303 {
            outcome.exits_with(4).tells("303");
            is_left_alone(&payer);
        } else {
            payer.is_whole(&outcome);
        }
    });
}

#[test]
fn redirects_end_somewhere() {
    check(&[
        Case {
            name: "two hops",
            scene: |scenario| {
                two_files(scenario)
                    .fault(Target::EachFile, When::Nth(1), Fault::redirect(302, RedirectTo::Itself))
                    .fault(Target::EachFile, When::Nth(2), Fault::redirect(307, RedirectTo::OtherOrigin))
            },
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(asked_at_other_origin(payer).len(), 2);
            },
            ..WHOLE
        },
        Case {
            name: "there and back",
            scene: |scenario| {
                let path = "{origin}/bucket/a.ndjson".to_owned();
                two_files(scenario)
                    .fault("a.ndjson", When::Nth(1), Fault::redirect(302, RedirectTo::OtherOrigin))
                    .fault("a.ndjson", When::Nth(2), Fault::redirect(302, RedirectTo::Url(path)))
            },
            ..WHOLE
        },
        Case {
            name: "for ever",
            scene: |scenario| {
                two_files(scenario).fault("a.ndjson", When::Always, Fault::redirect(302, RedirectTo::Itself))
            },
            code: 5,
            tells: &["redirected more than 5 times"],
            ..REFUSED
        },
        Case {
            name: "with user name and password",
            scene: |scenario| {
                two_files(scenario).fault("a.ndjson", When::First(1), Fault::redirect(302, RedirectTo::Userinfo))
            },
            tells: &["user name or password"],
            ..REFUSED
        },
        Case {
            name: "to a file of this machine",
            scene: |scenario| {
                let to = RedirectTo::Url("file:///etc/passwd".to_owned());
                two_files(scenario).fault("a.ndjson", When::First(1), Fault::redirect(302, to))
            },
            tells: &["scheme file"],
            ..REFUSED
        },
        Case {
            name: "off this machine in the clear",
            scene: |scenario| {
                let to = RedirectTo::Url("http://192.0.2.1/a.ndjson".to_owned());
                two_files(scenario).fault("a.ndjson", When::First(1), Fault::redirect(302, to))
            },
            tells: &["plain http", "--allow-http"],
            ..REFUSED
        },
        Case {
            name: "to what is no URL, once",
            scene: |scenario| {
                let to = RedirectTo::Url("http://[".to_owned());
                two_files(scenario).fault("a.ndjson", When::First(1), Fault::redirect(302, to))
            },
            ..WHOLE
        },
        Case {
            name: "from https to http",
            scene: |scenario| {
                two_files(scenario).tls(Tls::Good).fault(
                    "a.ndjson",
                    When::First(1),
                    Fault::redirect(302, RedirectTo::PlainHttp),
                )
            },
            arguments: &["--ca-cert", "ca.pem"],
            tells: &["from https to plain http", "--allow-http"],
            ..REFUSED
        },
        Case {
            name: "from https to http, allowed",
            scene: |scenario| {
                two_files(scenario).tls(Tls::Good).fault(
                    "a.ndjson",
                    When::First(1),
                    Fault::redirect(302, RedirectTo::PlainHttp),
                )
            },
            arguments: &["--ca-cert", "ca.pem", "--allow-http"],
            ..WHOLE
        },
    ]);
}

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
                elsewhere(scenario)
                    .file_access(FileAccess::NoToken)
                    .edit_manifest(|manifest| saying(manifest, None))
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
                    let url = manifest["output"][0]["url"].as_str().map(|url| url.replace("{origin}", "{plain_origin}"));
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

/// STU4's POST sends what it asks for to the configured origin; a manifest there may be elsewhere all the same.
#[test]
fn a_token_that_the_user_got_is_kept_like_any_other() {
    let payer = Payer::smart(|scenario| {
        two_files(scenario)
            .edition(Edition::Stu4)
            .fault(Target::EachFile, When::First(1), Fault::redirect(302, RedirectTo::OtherOrigin))
            .fault(Endpoint::Status, When::First(1), Fault::redirect(302, RedirectTo::OtherOrigin))
    });
    payer.place.write("token", payer.sim.credentials().token);
    let mut command = payer.command(&["export", "--post", "--token-file", "token"]);
    command.env_remove("LAKEHAUL_CLIENT_SECRET");
    let outcome = crate::lakehaul::outcome(command.output().expect("the binary starts"));
    payer.is_whole(&outcome);
    assert_eq!(asked_at_other_origin(&payer).len(), 3);
    assert_eq!(payer.sim.tokens().len(), 0, "tokens from the token endpoint");
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
