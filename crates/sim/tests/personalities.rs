//! Each personality's course, as its documents show it, seen by a plain client.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

mod client;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::{Ask, End, Got, kick_off, manifest, status, token, urls};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lakehaul_sim::{
    ClientAuth, Count, Door, Edition, Endpoint, ExpiresIn, ExportEnd, Host, Listed, LocationIn, Personality, Role,
    Scenario, ServedFile, Sim,
};
use serde_json::{Value, json};

use Personality::{OneupPayer, OneupPopulation, OneupProvider, Smart};

const PATIENTS: &[u8] = b"{\"resourceType\":\"Patient\",\"id\":\"1\"}\n\n{\"resourceType\":\"Patient\",\"id\":\"2\"}\n";
const CLAIMS: &[u8] = b"{\"resourceType\":\"Claim\",\"id\":\"1\"}\n";

fn two_files(personality: Personality) -> Scenario {
    Scenario::new(personality).file(ServedFile::new("Patient", PATIENTS)).file(ServedFile::new("Claim", CLAIMS))
}

fn start(scenario: Scenario) -> Sim {
    Sim::start(scenario).unwrap()
}

#[test]
fn provider_access_goes_as_documented() {
    let sim = start(two_files(OneupProvider).running(2));
    assert_eq!(sim.token_url(), format!("{}/auth/realms/dev-portal/protocol/openid-connect/token", sim.base_url()));
    let token = token(&sim, "bulk-data|user/*.rs");

    let url = format!("{}/v1/bison/bulk-data/r4/$export", sim.base_url());
    let got = Ask::get(&url).bearer(&token).send().expect(202);
    assert_eq!(got.header("content-location"), None);
    let outcome = got.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome");
    let text = outcome["issue"][0]["details"]["text"].as_str().unwrap();
    let job =
        format!("Asynchronous export running. Track job at {}/v1/bison/bulk-data/r4/$export/job/", sim.other_origin());
    let id = text.strip_prefix(&job).unwrap_or_else(|| panic!("{text}"));

    let location = format!("{url}/job/{id}");
    for complete in [0, 1] {
        let got = Ask::get(&location).bearer(&token).send().expect(202).json();
        assert_eq!(got["status"], "Running");
        let running = 2 - complete;
        assert_eq!(got["batches"], json!({"running": running, "complete": complete, "failed": 0, "total": 2}));
        assert_eq!(got["output"], json!([]));
    }
    let done = Ask::get(&location).bearer(&token).send().expect(200).json();
    let file = |name: &str| format!("{url}/file/{name}");
    assert_eq!(
        done,
        json!({
            "id": id,
            "transactionTime": "2026-01-02T03:04:05.678Z",
            "request": url,
            "requiresAccessToken": true,
            "status": "Successful",
            "resourceCount": 3,
            "batches": {"running": 0, "complete": 2, "failed": 0, "total": 2},
            "lastUpdated": "2026-01-02T03:04:05.678Z",
            "output": [
                {"type": "Patient", "url": file("Patient.1.ndjson")},
                {"type": "Claim", "url": file("Claim.2.ndjson")},
            ],
        })
    );
    let got = Ask::get(file("Patient.1.ndjson")).bearer(&token).send().expect(200);
    assert_eq!(got.body, PATIENTS);
    assert_eq!(Ask::get(file("Patient.1.ndjson")).send().status, 401);
    assert_eq!(Ask::get(file("Patient.1.ndjson")).bearer("made-up").send().status, 401);
    assert_eq!(sim.export_count(), 1);
    assert!(sim.unscripted().is_empty());
}

#[test]
fn scopes_are_taken_to_the_letter() {
    for (personality, scope, good) in [
        (OneupProvider, "bulk-data|user/*.rs", true),
        (OneupProvider, "bulk-data user/*.rs", false),
        (OneupProvider, "", false),
        (OneupPayer, "member-match|read", true),
        (OneupPayer, "bulk-data|user/*.rs", false),
        (OneupPopulation, "", true),
        (Smart, "system/*.rs", true),
        (Smart, "user/*.rs", false),
    ] {
        let sim = start(Scenario::new(personality));
        let credentials = sim.credentials();
        let got = ask_token(&sim, &credentials.client_id, &credentials.client_secret, scope);
        assert_eq!(got.status == 200, good, "{personality:?} {scope:?}: {got:?}");
        let error = if good { Value::Null } else { "invalid_scope".into() };
        assert_eq!(got.json()["error"], error);
    }
}

fn ask_token(sim: &Sim, id: &str, secret: &str, scope: &str) -> Got {
    let fields = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret), ("scope", scope)];
    Ask::form(sim.token_url(), &fields).send()
}

#[test]
fn another_secret_gets_no_token() {
    let sim = start(Scenario::new(OneupProvider).client("me", "marker"));
    assert_eq!(ask_token(&sim, "me", "marker", "bulk-data|user/*.rs").status, 200);
    for (id, secret) in [("me", "wrong"), ("you", "marker"), ("", "")] {
        let got = ask_token(&sim, id, secret, "bulk-data|user/*.rs");
        assert_eq!((got.status, got.json()["error"].as_str()), (401, Some("invalid_client")), "{id} {secret}");
    }
    assert_eq!(sim.tokens().len(), 1);
}

#[test]
fn lifetimes_are_told_as_the_scenario_says() {
    for (expires_in, told) in
        [(ExpiresIn::True, json!(90)), (ExpiresIn::Missing, Value::Null), (ExpiresIn::Seconds(7), json!(7))]
    {
        let sim = start(Scenario::new(Smart).token_lifetime(Duration::from_secs(90)).expires_in(expires_in));
        let credentials = sim.credentials();
        let got = ask_token(&sim, &credentials.client_id, &credentials.client_secret, "system/*.rs");
        assert_eq!(got.expect(200).json()["expires_in"], told, "{expires_in:?}");
    }
}

#[test]
fn discovery_may_name_a_token_endpoint_elsewhere() {
    let sim = start(Scenario::new(Smart).token_endpoint_at(Host::OtherOrigin));
    let discovered = Ask::get(format!("{}/.well-known/smart-configuration", sim.base_url())).send().expect(200).json();
    let url = discovered["token_endpoint"].as_str().unwrap();
    assert_eq!(url, format!("{}/auth/token", sim.other_origin()));
    assert!(sim.tokens_seen_at_other_origin().is_empty());
    let credentials = sim.credentials();
    let fields = [("client_id", credentials.client_id.as_str()), ("client_secret", &credentials.client_secret)];
    Ask::form(url, &fields).send();
    assert_eq!(sim.tokens_seen_at_other_origin().len(), 1, "a secret in a form");
}

#[test]
fn a_port_is_had_by_one() {
    let sim = start(Scenario::new(Smart));
    let port = url::Url::parse(&sim.origin()).unwrap().port().unwrap();
    assert!(Sim::start(Scenario::new(Smart).port(port)).is_err());
    drop(sim);
    assert_eq!(start(Scenario::new(Smart).port(port)).origin(), format!("http://127.0.0.1:{port}"));
}

#[test]
fn payer_to_payer_exports_groups_alone() {
    let sim = start(two_files(OneupPayer));
    let token = token(&sim, "member-match|read");
    let base = format!("{}/v1/bison/bulk-data/r4", sim.base_url());
    assert_eq!(Ask::get(format!("{base}/$export")).bearer(&token).send().status, 403);
    assert_eq!(sim.export_count(), 0);
    let location = kick_off(&sim, OneupPayer);
    let done = status(&sim, &location).expect(200).json();
    assert_eq!(done["request"], format!("{base}/Group/g1/$export"));
    assert!(sim.unscripted().is_empty());
}

#[test]
fn population_export_refuses_post_and_delete_and_takes_put() {
    let scenario = two_files(OneupPopulation).tenant("otter").ending(ExportEnd::FailedUntilRetried("disk".to_owned()));
    let sim = start(scenario);
    assert!(sim.token_url().ends_with("/auth/realms/otter/protocol/openid-connect/token"));
    let base = format!("{}/v1/otter/bulk-export/bulk-data/r4", sim.base_url());
    let ready = sim.credentials().token;
    assert_eq!(Ask::new("POST", format!("{base}/$export")).bearer(&ready).send().status, 403);
    assert_eq!(sim.export_count(), 0);

    let location = kick_off(&sim, OneupPopulation);
    let failed = status(&sim, &location).expect(200).json();
    assert_eq!((&failed["status"], &failed["message"]), (&json!("Failed"), &json!("disk")));
    assert_eq!(failed["batches"]["failed"], 2);
    Ask::new("PUT", &location).bearer(&ready).send().expect(202);
    assert_eq!(status(&sim, &location).expect(200).json()["status"], "Successful");
    assert_eq!(Ask::new("DELETE", &location).bearer(&ready).send().status, 403);
    assert_eq!(status(&sim, &location).status, 200);

    let sim = start(two_files(OneupPopulation));
    let base = sim.fhir_base();
    let ready = sim.credentials().token;
    let got = Ask::get(format!("{base}/Claim")).bearer(&ready).send().expect(202).json();
    let text = got["issue"][0]["details"]["text"].as_str().unwrap().to_owned();
    let location = text.split(' ').next_back().unwrap().replace(&sim.other_origin(), &sim.origin());
    let done = status(&sim, &location).expect(200).json();
    assert_eq!(done["output"].as_array().unwrap().len(), 1);
    assert_eq!(done["output"][0]["type"], "Claim");
    assert!(sim.unscripted().is_empty());
}

#[test]
fn a_smart_server_goes_as_the_guide_says() {
    let sim = start(two_files(Smart).running(1).retry_after(7));
    assert_eq!(sim.base_url(), format!("{}/fhir", sim.origin()));
    let discovered = Ask::get(format!("{}/.well-known/smart-configuration", sim.base_url())).send().expect(200).json();
    assert_eq!(discovered["token_endpoint"], sim.token_url());
    let metadata = Ask::get(format!("{}/metadata", sim.base_url())).send().expect(200).json();
    assert_eq!((&metadata["resourceType"], &metadata["fhirVersion"]), (&json!("CapabilityStatement"), &json!("4.0.1")));
    let oauth = &metadata["rest"][0]["security"]["extension"][0]["extension"][0]["valueUri"];
    assert_eq!(*oauth, sim.token_url());

    let token = token(&sim, "system/*.rs");
    let url = format!("{}/Patient/$export", sim.base_url());
    assert_eq!(Ask::get(&url).bearer(&token).send().status, 400, "no Prefer");
    let got = Ask::get(&url).bearer(&token).header("Prefer", "respond-async").send().expect(202);
    assert_eq!(got.text(), "");
    let location = got.header("content-location").unwrap().to_owned();
    let running = Ask::get(&location).bearer(&token).send().expect(202);
    assert_eq!((running.header("x-progress"), running.header("retry-after")), (Some("50% complete"), Some("7")));
    assert_eq!(running.text(), "");
    let got = Ask::get(&location).bearer(&token).send().expect(200);
    let file = |name: &str| format!("{location}/files/{name}");
    assert_eq!(
        got.json(),
        json!({
            "transactionTime": "2026-01-02T03:04:05.678Z",
            "request": url,
            "requiresAccessToken": true,
            "output": [
                {"type": "Patient", "url": file("Patient.1.ndjson"), "count": 2},
                {"type": "Claim", "url": file("Claim.2.ndjson"), "count": 1},
            ],
            "error": [],
            "deleted": [],
        })
    );
    assert_eq!(Ask::get(file("Claim.2.ndjson")).bearer(&token).send().expect(200).body, CLAIMS);

    assert_eq!(Ask::new("DELETE", &location).bearer(&token).send().status, 202);
    for url in [&location, &file("Claim.2.ndjson")] {
        assert_eq!(Ask::get(url).bearer(&token).send().status, 404, "{url}");
    }
    assert_eq!(Ask::new("DELETE", &location).bearer(&token).send().status, 404);
    assert_eq!((sim.export_count(), sim.deleted_count()), (1, 1));
    assert_eq!(sim.early_polls().len(), 1, "the second status request came at once");
    assert!(sim.unscripted().is_empty());
}

#[test]
fn a_smart_server_takes_three_ways_to_authenticate() {
    let sim = start(Scenario::new(Smart));
    let credentials = sim.credentials();
    let basic = STANDARD.encode(format!("{}:{}", credentials.client_id, credentials.client_secret));
    let fields = [("grant_type", "client_credentials"), ("scope", "system/*.rs")];
    let with_basic = || Ask::form(sim.token_url(), &fields).header("Authorization", format!("Basic {basic}"));
    with_basic().send().expect(200);

    type Change<'a> = &'a dyn Fn(&mut Header, &mut Value);
    let assertion = |algorithm: Algorithm, change: Change<'_>| {
        let key = if algorithm == Algorithm::RS384 { credentials.rsa_key() } else { credentials.ec_key() };
        let pem = key.private_pem();
        let signing = if algorithm == Algorithm::RS384 {
            EncodingKey::from_rsa_pem(pem.as_bytes())
        } else {
            EncodingKey::from_ec_pem(pem.as_bytes())
        };
        let mut header = Header::new(algorithm);
        header.kid = Some(key.key_id().to_owned());
        let mut claims = json!({
            "iss": credentials.client_id,
            "sub": credentials.client_id,
            "aud": sim.token_url(),
            "exp": jsonwebtoken::get_current_timestamp() + 60,
            "jti": format!("{:016x}", fastrand::u64(..)),
        });
        change(&mut header, &mut claims);
        jsonwebtoken::encode(&header, &claims, &signing.unwrap()).unwrap()
    };
    let send = |assertion: &str| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let more = [("client_assertion_type", kind), ("client_assertion", assertion)];
        Ask::form(sim.token_url(), &[&fields[..], &more].concat()).send().status
    };
    for algorithm in [Algorithm::RS384, Algorithm::ES384] {
        let good = assertion(algorithm, &|_, _| {});
        assert_eq!(send(&good), 200, "{algorithm:?}");
        assert_eq!(send(&good), 401, "{algorithm:?}: the same jti again");
        let bad: [(&str, Change<'_>); 7] = [
            ("kid", &|header, _| header.kid = Some("other".to_owned())),
            ("iss", &|_, claims| claims["iss"] = "other".into()),
            ("sub", &|_, claims| claims["sub"] = "other".into()),
            ("aud", &|_, claims| claims["aud"] = "https://other.example/token".into()),
            ("exp past", &|_, claims| claims["exp"] = (jsonwebtoken::get_current_timestamp() - 5).into()),
            ("exp far", &|_, claims| claims["exp"] = (jsonwebtoken::get_current_timestamp() + 900).into()),
            ("jti", &|_, claims| claims["jti"] = Value::Null),
        ];
        for (what, change) in bad {
            assert_eq!(send(&assertion(algorithm, change)), 401, "{algorithm:?}: {what}");
        }
        let mut forged = assertion(algorithm, &|_, _| {}).into_bytes();
        let middle = forged.len() - 20;
        forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
        assert_eq!(send(std::str::from_utf8(&forged).unwrap()), 401, "{algorithm:?}: another signature");
    }

    let sim = start(Scenario::new(Smart).client_auth(&[ClientAuth::PrivateKeyJwt]));
    assert_eq!(
        ask_token(&sim, &sim.credentials().client_id, &sim.credentials().client_secret, "system/*.rs").status,
        401
    );
}

#[test]
fn every_form_of_kick_off_answer() {
    for (location, host, place) in [
        (LocationIn::ContentLocation, Host::Here, "/header/content-location"),
        (LocationIn::Location, Host::OtherOrigin, "/header/location"),
        (LocationIn::DetailsText, Host::OtherOrigin, "/issue/0/details/text"),
        (LocationIn::Diagnostics, Host::Here, "/issue/0/diagnostics"),
    ] {
        for status in [200, 202] {
            let sim = start(two_files(OneupProvider).kick_off(status, location, host));
            let url = format!("{}/$export", sim.fhir_base());
            let got = Ask::get(url).bearer(&sim.credentials().token).send().expect(status);
            let text = match place.strip_prefix("/header/") {
                Some(name) => got.header(name).unwrap().to_owned(),
                None => got.json().pointer(place).unwrap().as_str().unwrap().to_owned(),
            };
            let origin = if host == Host::Here { sim.origin() } else { sim.other_origin() };
            let expected = format!("{origin}/v1/bison/bulk-data/r4/$export/job/");
            assert!(text.contains(&expected), "{location:?}: {text}");
            // The other origin answers too, and asks for nothing.
            let url = text.split(' ').next_back().unwrap().replace(&sim.origin(), &sim.other_origin());
            assert_eq!(Ask::get(url).send().expect(200).json()["status"], "Successful");
        }
    }
    let sim = start(two_files(OneupProvider).kick_off(202, LocationIn::IdOnly, Host::Here));
    let got = Ask::get(format!("{}/$export", sim.fhir_base())).bearer(&sim.credentials().token).send().expect(202);
    let text = got.json()["issue"][0]["details"]["text"].as_str().unwrap().to_owned();
    assert!(!text.contains("://"), "{text}");
    let id = text.split(' ').next_back().unwrap();
    status(&sim, &format!("{}/$export/job/{id}", sim.fhir_base())).expect(200);

    let sim = start(two_files(OneupPopulation).kick_off(200, LocationIn::Nowhere, Host::Here));
    let got = Ask::get(format!("{}/$export", sim.fhir_base())).bearer(&sim.credentials().token).send().expect(200);
    assert_eq!(urls(&got.json()).len(), 2);
}

#[test]
fn running_answers_are_as_the_scenario_says() {
    let scenario = two_files(OneupProvider).running(1).running_as(|running| {
        running.status = 200;
        running.word = None;
        running.listed = Listed::Finished;
    });
    let sim = start(scenario);
    let location = kick_off(&sim, OneupProvider);
    let early = status(&sim, &location).expect(200).json();
    assert_eq!(early.get("status"), None);
    assert_eq!(early["batches"], json!({"running": 1, "complete": 1, "failed": 0, "total": 2}));
    let listed = urls(&early);
    assert_eq!(listed.len(), 1);
    let done = status(&sim, &location).expect(200).json();
    assert_eq!(urls(&done)[0], listed[0]);

    let sim = start(two_files(Smart).running(1).running_as(|running| running.listed = Listed::Finished));
    let location = kick_off(&sim, Smart);
    assert_eq!(urls(&status(&sim, &location).expect(202).json()).len(), 1);
}

#[test]
fn exports_end_as_the_scenario_says() {
    let failed = || ExportEnd::Failed("no space".to_owned());
    let sim = start(two_files(Smart).ending(failed()));
    let location = kick_off(&sim, Smart);
    let outcome = status(&sim, &location).expect(500).json();
    assert_eq!(outcome["issue"][0]["details"]["text"], "no space");

    let sim = start(two_files(OneupProvider).ending(failed()));
    assert_eq!(manifest(&sim, OneupProvider)["status"], "Failed");

    let sim = start(two_files(OneupProvider).ending(ExportEnd::Partial(3)));
    let partial = manifest(&sim, OneupProvider);
    assert_eq!(partial["status"], "Successful");
    assert_eq!(partial["batches"], json!({"running": 0, "complete": 2, "failed": 3, "total": 5}));
}

#[test]
fn counts_tell_the_truth_or_not() {
    for (count, oneup, smart) in [
        (Count::True, json!(3), json!(2)),
        (Count::Missing, Value::Null, Value::Null),
        (Count::Off(2), json!(5), json!(4)),
        (Count::Off(-2), json!(1), json!(0)),
    ] {
        let sim = start(two_files(OneupProvider).resource_count(count));
        assert_eq!(manifest(&sim, OneupProvider)["resourceCount"], oneup, "{count:?}");
        let sim = start(two_files(Smart).each_file(|file| file.count(count)));
        assert_eq!(manifest(&sim, Smart)["output"][0]["count"], smart, "{count:?}");
    }
}

#[test]
fn manifests_follow_their_edition() {
    let scenario = |edition| {
        let outcome =
            ServedFile::new("OperationOutcome", "{\"resourceType\":\"OperationOutcome\"}\n").role(Role::Outcome);
        let deleted = ServedFile::new("Bundle", "{\"resourceType\":\"Bundle\"}\n").role(Role::Deleted);
        two_files(Smart).edition(edition).file(outcome).file(deleted).organized_by("Patient")
    };
    for edition in [Edition::Stu1, Edition::Stu2, Edition::Stu3] {
        let sim = start(scenario(edition));
        let body = manifest(&sim, Smart);
        assert_eq!(body["error"][0]["type"], "OperationOutcome");
        assert_eq!(body["deleted"][0]["type"], "Bundle");
        assert_eq!(body["outputOrganizedBy"], "Patient");
        assert_eq!((body.get("outcome"), body["output"][0].get("fileSize")), (None, None));
    }
    let sim = start(scenario(Edition::Stu4));
    let url = format!("{}/$export", sim.fhir_base());
    let ask = |method| Ask::new(method, &url).bearer(&sim.credentials().token).header("Prefer", "respond-async");
    let got = ask("GET").send();
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
    let parameters = json!({
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueString": "Claim"}]
    });
    let got = ask("POST").header("Content-Type", "application/fhir+json").body(parameters.to_string()).send();
    let body = status(&sim, got.expect(202).header("content-location").unwrap()).expect(200).json();
    assert_eq!(body["output"].as_array().unwrap().len(), 1);
    assert_eq!(body["output"][0]["fileSize"], CLAIMS.len());
    assert_eq!((body["outcome"][0]["type"].as_str(), body.get("error")), (Some("OperationOutcome"), None));
    assert_eq!(ask("POST").body("[]").send().status, 400);
}

#[test]
fn manifests_come_in_pages() {
    let files = (0..5).map(|_| ServedFile::new("Claim", CLAIMS));
    let sim = start(Scenario::new(Smart).files(files).page_size(2));
    let mut page = manifest(&sim, Smart);
    let mut all = urls(&page);
    for left in [true, false] {
        assert_eq!(page["link"][0]["relation"], "next");
        let next = page["link"][0]["url"].as_str().unwrap().to_owned();
        page = status(&sim, &next).expect(200).json();
        all.extend(urls(&page));
        assert_eq!(page.get("link").is_some(), left);
    }
    assert_eq!(all.len(), 5);
    assert_eq!(sim.seen(Endpoint::ManifestPage).len(), 2);
    let beyond = kick_off(&sim, Smart) + "/pages/3";
    assert_eq!(status(&sim, &beyond).status, 404);
}

#[test]
fn a_manifest_passes_through_the_scenarios_hand() {
    let sim = start(two_files(OneupProvider).edit_manifest(|body| {
        body["output"][0]["type"] = "Patient/../..".into();
        body["output"][1]["url"] = "{other_origin}/elsewhere".into();
    }));
    let body = manifest(&sim, OneupProvider);
    assert_eq!(body["output"][0]["type"], "Patient/../..");
    assert_eq!(body["output"][1]["url"], format!("{}/elsewhere", sim.other_origin()));
}

#[test]
fn an_open_door_needs_no_token() {
    let sim = start(two_files(Smart).door(Door::Open));
    let got = Ask::get(format!("{}/$export", sim.base_url())).header("Prefer", "respond-async").send().expect(202);
    let body = Ask::get(got.header("content-location").unwrap()).send().expect(200).json();
    assert_eq!(body["requiresAccessToken"], false);
    Ask::get(&urls(&body)[0]).send().expect(200);
    assert_eq!(Ask::get(format!("{}/.well-known/smart-configuration", sim.base_url())).send().status, 404);
    assert_eq!(ask_token(&sim, "a", "b", "system/*.rs").status, 404);
}

#[test]
fn what_no_rule_knows_is_told() {
    let sim = start(two_files(OneupProvider));
    let got = Ask::get(format!("{}/v1/bison/bulk-data/r4/Patient?name=x", sim.base_url())).send();
    assert_eq!((got.status, got.end), (599, End::Whole));
    let unscripted = sim.unscripted();
    assert_eq!(unscripted.len(), 1);
    assert_eq!(
        (unscripted[0].path.as_str(), unscripted[0].query.as_deref()),
        ("/v1/bison/bulk-data/r4/Patient", Some("name=x"))
    );
    assert_eq!((unscripted[0].status, unscripted[0].finished), (599, true));
    // An export of another server's is known as what it is.
    assert_eq!(status(&sim, &format!("{}/$export/job/1", sim.fhir_base())).status, 404);
    assert_eq!(sim.unscripted().len(), 1);
}

#[test]
fn the_seed_decides() {
    let told = |seed| {
        let sim = start(two_files(OneupProvider).seed(seed));
        let location = kick_off(&sim, OneupProvider).replace(&sim.origin(), "");
        (location, token(&sim, "bulk-data|user/*.rs"), sim.credentials().client_secret)
    };
    assert_eq!(told(5), told(5));
    assert_ne!(told(5), told(6));
}
