//! The member's login, codes and refresh tokens.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

mod client;

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use client::{Ask, Got};
use lakehaul_sim::{Endpoint, Fault, Login, Personality, Scenario, Sim, When};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use Personality::{OneupConnect, OneupPatient, OneupProvider, Smart};

const REDIRECT: &str = "http://127.0.0.1:9/callback";

fn start(scenario: Scenario) -> Sim {
    Sim::start(scenario).unwrap()
}

/// Asks the authorize endpoint with these fields beside client and redirect.
fn authorize(sim: &Sim, fields: &[(&str, &str)]) -> Got {
    let id = sim.credentials().client_id;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([("client_id", id.as_str()), ("redirect_uri", REDIRECT)]).extend_pairs(fields);
    Ask::get(format!("{}?{}", sim.authorize_url().unwrap(), query.finish())).send()
}

/// What the redirect says.
#[track_caller]
fn said(got: &Got) -> HashMap<String, String> {
    assert_eq!(got.status, 302, "{got:?}");
    let location = got.header("location").unwrap();
    let query = location.strip_prefix(REDIRECT).and_then(|rest| rest.strip_prefix('?')).unwrap();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn code(sim: &Sim, fields: &[(&str, &str)]) -> String {
    let all = [&[("response_type", "code")], fields].concat();
    said(&authorize(sim, &all)).remove("code").unwrap()
}

fn exchange(sim: &Sim, fields: &[(&str, &str)]) -> Got {
    let credentials = sim.credentials();
    let client = [("client_id", &*credentials.client_id), ("client_secret", &*credentials.client_secret)];
    Ask::form(sim.token_url(), &[&client, fields].concat()).send()
}

fn by_code(sim: &Sim, code: &str, fields: &[(&str, &str)]) -> Got {
    exchange(sim, &[&[("grant_type", "authorization_code"), ("code", code)], fields].concat())
}

fn by_refresh(sim: &Sim, token: &Value) -> Got {
    exchange(sim, &[("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap())])
}

#[track_caller]
fn refused(got: &Got, error: &str) {
    assert_eq!((got.status, got.json()["error"].as_str()), (400, Some(error)), "{got:?}");
}

#[test]
fn a_login_goes_from_code_to_search() {
    for personality in [OneupPatient, OneupConnect, Smart] {
        let patient = r#"{"resourceType":"Patient","id":"p"}"#.to_owned();
        let sim = start(Scenario::new(personality).resources([patient]).patient_in_context("p"));
        let said = said(&authorize(&sim, &[("response_type", "code"), ("state", "a b&c"), ("scope", "patient/*.rs")]));
        assert_eq!(said["state"], "a b&c");
        let answer = by_code(&sim, &said["code"], &[("redirect_uri", REDIRECT)]).expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let answer = answer.json();
        assert_eq!((&answer["token_type"], &answer["scope"]), (&"Bearer".into(), &"patient/*.rs".into()));
        assert_eq!(answer["patient"], "p");
        assert_eq!(answer["expires_in"], if personality == OneupConnect { 7200 } else { 300 });
        let token = answer["access_token"].as_str().unwrap();
        Ask::get(format!("{}/Patient", sim.base_url())).bearer(token).send().expect(200);
        assert_eq!(sim.tokens(), [token]);
        assert_eq!(sim.seen(Endpoint::Authorize).len(), 1);
        assert!(sim.unscripted().is_empty());
    }
}

#[test]
fn the_demos_login_needs_neither_response_type_nor_state() {
    let sim = start(Scenario::new(OneupPatient));
    let url = sim.authorize_url().unwrap();
    assert!(url.ends_with("/oauth2/authorize/test"), "{url}");
    let said = said(&authorize(&sim, &[]));
    assert_eq!(said.keys().collect::<Vec<_>>(), ["code"]);
    by_code(&sim, &said["code"], &[]).expect(200);
    let plain = format!("{}/oauth2/authorize", sim.origin());
    let id = sim.credentials().client_id;
    let got = Ask::get(format!("{plain}?client_id={id}&redirect_uri={REDIRECT}?x=1")).send().expect(302);
    assert!(got.header("location").unwrap().starts_with(&format!("{REDIRECT}?x=1&code=")), "{got:?}");
    for personality in [OneupConnect, Smart] {
        let sim = start(Scenario::new(personality));
        assert_eq!(self::said(&authorize(&sim, &[]))["error"], "unsupported_response_type");
    }
}

#[test]
fn a_member_may_not_do_what_is_hoped() {
    for (login, expected) in [
        (Login::Consents, [true, false]),
        (Login::WrongState, [true, false]),
        (Login::NoState, [true, false]),
        (Login::Denies, [false, true]),
        (Login::NoCode, [false, false]),
    ] {
        let sim = start(Scenario::new(OneupConnect).login(login));
        let said = said(&authorize(&sim, &[("response_type", "code"), ("state", "mine")]));
        assert_eq!([said.contains_key("code"), said.get("error") == Some(&"access_denied".to_owned())], expected);
        let state = said.get("state").map(String::as_str);
        assert_eq!(state == Some("mine"), !matches!(login, Login::WrongState | Login::NoState), "{login:?}");
        assert_eq!(state.is_none(), login == Login::NoState, "{login:?}");
    }
}

#[test]
fn nobody_is_sent_to_an_unknown_place() {
    let sim = start(Scenario::new(Smart));
    let url = sim.authorize_url().unwrap();
    let id = sim.credentials().client_id;
    for query in [
        format!("client_id=you&redirect_uri={REDIRECT}&response_type=code"),
        format!("client_id={id}&response_type=code"),
        format!("client_id={id}&response_type=code&redirect_uri=nowhere"),
    ] {
        assert_eq!(Ask::get(format!("{url}?{query}")).send().expect(400).header("location"), None, "{query}");
    }
}

#[test]
fn a_code_is_good_for_once_and_not_for_long() {
    let sim = start(Scenario::new(OneupPatient));
    let first = code(&sim, &[]);
    by_code(&sim, &first, &[]).expect(200);
    refused(&by_code(&sim, &first, &[]), "invalid_grant");
    refused(&by_code(&sim, "made-up", &[]), "invalid_grant");
    refused(&by_code(&sim, &code(&sim, &[]), &[("redirect_uri", "http://elsewhere/")]), "invalid_grant");
    let sim = start(Scenario::new(OneupPatient).code_lifetime(Duration::ZERO));
    refused(&by_code(&sim, &code(&sim, &[]), &[]), "invalid_grant");
}

#[test]
fn a_verifier_has_to_fit() {
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    // RFC 7636, appendix B.
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let sim = start(Scenario::new(Smart));
    let asked = [("code_challenge", &*challenge), ("code_challenge_method", "S256")];
    by_code(&sim, &code(&sim, &asked), &[("code_verifier", verifier)]).expect(200);
    refused(&by_code(&sim, &code(&sim, &asked), &[("code_verifier", "another")]), "invalid_grant");
    refused(&by_code(&sim, &code(&sim, &asked), &[]), "invalid_grant");
    for method in [&[][..], &[("code_challenge_method", "plain")]] {
        let fields = [&[("response_type", "code"), ("code_challenge", verifier)], method].concat();
        assert_eq!(said(&authorize(&sim, &fields))["error"], "invalid_request");
    }
}

#[test]
fn refresh_tokens_turn() {
    let sim = start(Scenario::new(OneupConnect));
    let first = by_code(&sim, &code(&sim, &[]), &[]).expect(200).json()["refresh_token"].clone();
    let second = by_refresh(&sim, &first).expect(200).json();
    assert_eq!(second["scope"], "user/*.*");
    assert_ne!(second["refresh_token"], first);
    refused(&by_refresh(&sim, &first), "invalid_grant");
    by_refresh(&sim, &second["refresh_token"]).expect(200);

    let sim = start(Scenario::new(OneupConnect).rotate_refresh(false));
    let first = by_code(&sim, &code(&sim, &[]), &[]).expect(200).json()["refresh_token"].clone();
    for _ in 0..2 {
        assert_eq!(by_refresh(&sim, &first).expect(200).json()["refresh_token"], Value::Null);
    }
    let sim = start(Scenario::new(OneupConnect).refresh_lifetime(Duration::ZERO));
    let first = by_code(&sim, &code(&sim, &[]), &[]).expect(200).json()["refresh_token"].clone();
    refused(&by_refresh(&sim, &first), "invalid_grant");
}

#[test]
fn grant_types_are_those_of_the_personality() {
    for (personality, grant_type, status) in [
        (OneupPatient, "client_credentials", 400),
        (OneupConnect, "client_credentials", 400),
        (Smart, "client_credentials", 200),
        (OneupProvider, "authorization_code", 400),
        (OneupProvider, "refresh_token", 400),
        (Smart, "password", 400),
    ] {
        let sim = start(Scenario::new(personality));
        let got = exchange(&sim, &[("grant_type", grant_type), ("scope", "system/*.rs")]);
        assert_eq!(got.status, status, "{personality:?} {grant_type}");
        if status == 400 {
            refused(&got, "unsupported_grant_type");
        }
    }
    assert_eq!(start(Scenario::new(OneupProvider)).authorize_url(), None);
}

#[test]
fn a_client_shows_who_it_is() {
    for personality in [OneupPatient, OneupConnect, Smart] {
        for public in [false, true] {
            let scenario = Scenario::new(personality);
            let sim = start(if public { scenario.public_client() } else { scenario });
            let credentials = sim.credentials();
            let (id, secret) = (&*credentials.client_id, &*credentials.client_secret);
            let ask = |fields: &[(&str, &str)]| {
                let code = code(&sim, &[]);
                let grant = [("grant_type", "authorization_code"), ("code", &*code)];
                Ask::form(sim.token_url(), &[&grant, fields].concat())
            };
            assert_eq!(ask(&[("client_id", id)]).send().status, if public { 200 } else { 401 });
            assert_eq!(ask(&[("client_id", id), ("client_secret", "wrong")]).send().status, 401);
            assert_eq!(ask(&[("client_id", "you")]).send().status, 401);
            let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
            ask(&[]).header("Authorization", basic).send().expect(200);
        }
    }
}

#[test]
fn discovery_names_the_login() {
    for personality in [OneupConnect, Smart] {
        let sim = start(Scenario::new(personality));
        let url = format!("{}/.well-known/smart-configuration", sim.base_url());
        let found = Ask::get(url).send().expect(200).json();
        assert_eq!(found["authorization_endpoint"], sim.authorize_url().unwrap());
        assert_eq!(found["token_endpoint"], sim.token_url());
        assert_eq!(found["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    }
}

#[test]
fn faults_reach_the_login_and_secrets_are_seen() {
    let sim = start(Scenario::new(OneupPatient).fault(Endpoint::Authorize, When::First(1), Fault::status(500)));
    assert_eq!(authorize(&sim, &[]).status, 500);
    let code = code(&sim, &[]);
    Ask::get(format!("{}/r4/Patient?leak={code}", sim.other_origin())).send().expect(200);
    assert_eq!(sim.tokens_seen_at_other_origin().len(), 1, "a code");
}
