//! `$member-match`, and groups with files of their own.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

mod client;

use client::{Ask, Got, urls};
use lakehaul_sim::{Answer, Endpoint, Fault, GroupAt, MatchAnswer, Personality, Scenario, ServedFile, Sim, When};
use serde_json::{Value, json};

use Personality::{OneupPayer, Smart};

fn start(scenario: Scenario) -> Sim {
    Sim::start(scenario).unwrap()
}

fn body() -> Value {
    json!({"resourceType": "Parameters", "parameter": [
        {"name": "MemberPatient", "resource": {"resourceType": "Patient", "birthDate": "1950-10-19",
            "name": [{"family": "Allen", "given": ["John"]}]}},
        {"name": "CoverageToMatch", "resource": {"resourceType": "Coverage", "identifier": [{"value": "1"}]}},
        {"name": "Consent", "resource": {"resourceType": "Consent", "status": "active",
            "policy": [{"uri": "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular"}],
            "provision": {"type": "permit", "period": {"start": "2026-01-01", "end": "2026-12-31"}}}},
    ]})
}

fn url(sim: &Sim, personality: Personality) -> String {
    match personality {
        Smart => format!("{}/Patient/$member-match", sim.base_url()),
        _ => format!("{}/v1/bison/member-match/$member-match", sim.base_url()),
    }
}

fn ask(sim: &Sim, personality: Personality, body: &Value) -> Got {
    let ask = Ask::new("POST", url(sim, personality)).bearer(&sim.credentials().token);
    ask.header("Content-Type", "application/fhir+json").body(body.to_string()).send()
}

#[test]
fn a_member_comes_to_a_group() {
    for personality in [OneupPayer, Smart] {
        let sim = start(Scenario::new(personality));
        assert_eq!(ask(&sim, personality, &body()).expect(200).json()["groupId"], "group-1");
        assert_eq!((sim.match_count(), sim.seen(Endpoint::MemberMatch).len()), (1, 1));
        let bare = Ask::new("POST", url(&sim, personality)).header("Content-Type", "application/json");
        bare.body(body().to_string()).send().expect(401);
        assert_eq!(sim.match_count(), 1);
    }
}

#[test]
fn a_request_that_is_none_is_told_why() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 14] = [
        (|body| body["resourceType"] = "Bundle".into(), "no Parameters"),
        (|body| body["parameter"][0]["name"] = "memberPatient".into(), "MemberPatient; there are 0"),
        (|body| body["parameter"][1]["name"] = "MemberPatient".into(), "MemberPatient; there are 2"),
        (|body| body["parameter"][1]["name"] = "x".into(), "CoverageToMatch; there are 0"),
        (|body| body["parameter"][2]["name"] = "x".into(), "Consent; there are 0"),
        (|body| body["parameter"] = Value::Null, "there are 0"),
        (|body| body["parameter"][0]["resource"]["resourceType"] = Value::Null, "no resourceType Patient"),
        (|body| body["parameter"][1]["resource"] = json!({}), "no resourceType Coverage"),
        (|body| body["parameter"][2]["resource"]["status"] = "draft".into(), "not active"),
        (|body| body["parameter"][2]["resource"]["policy"] = json!([]), "policy"),
        (|body| body["parameter"][2]["resource"]["policy"][0]["uri"] = "x".into(), "policy"),
        (|body| body["parameter"][2]["resource"]["provision"]["type"] = "deny".into(), "permit"),
        (|body| body["parameter"][2]["resource"]["provision"]["period"]["end"] = Value::Null, "period"),
        (
            |body| {
                let link = json!({"name": "CoverageToLink", "resource": {"resourceType": "Coverage"}});
                body["parameter"].as_array_mut().unwrap().extend([link.clone(), link]);
            },
            "at most one parameter CoverageToLink",
        ),
    ];
    let sim = start(Scenario::new(OneupPayer));
    for (change, why) in changes {
        let mut body = body();
        change(&mut body);
        let outcome = ask(&sim, OneupPayer, &body).expect(400).json();
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        let text = outcome["issue"][0]["details"]["text"].as_str().unwrap();
        assert!(text.contains(why), "{text:?} {why:?}");
    }
    let plain = Ask::new("POST", url(&sim, OneupPayer)).bearer(&sim.credentials().token);
    plain.header("Content-Type", "text/plain").body(body().to_string()).send().expect(400);
    assert_eq!(sim.match_count(), 0);
}

#[test]
fn a_groups_id_is_in_five_places() {
    for (at, place, expected) in [
        (GroupAt::TopLevel, "/groupId", json!("g")),
        (GroupAt::ValueString, "/parameter/0", json!({"name": "groupId", "valueString": "g"})),
        (GroupAt::ValueId, "/parameter/0", json!({"name": "GroupId", "valueId": "g"})),
        (
            GroupAt::ValueReference,
            "/parameter/0",
            json!({"name": "groupId", "valueReference": {"reference": "Group/g"}}),
        ),
        (GroupAt::Contained, "/contained/0/id", json!("g")),
    ] {
        let matcher = move |_: &Value| MatchAnswer::Group { id: "g".to_owned(), at };
        let sim = start(Scenario::new(OneupPayer).match_members(matcher));
        let answer = ask(&sim, OneupPayer, &body()).expect(200).json();
        assert_eq!(answer["resourceType"], "Parameters");
        assert_eq!(answer.pointer(place), Some(&expected), "{at:?}");
    }
}

#[test]
fn members_come_to_what_the_scenario_says() {
    let sim = start(Scenario::new(Smart).match_members(|body| {
        match body["parameter"][0]["resource"]["name"][0]["family"].as_str().unwrap() {
            "Nobody" => MatchAnswer::NoMatch,
            "Many" => MatchAnswer::Ambiguous,
            "Shut" => MatchAnswer::Refused { status: 403, text: "Not here.".to_owned() },
            "Odd" => MatchAnswer::Answer(Answer::new(204)),
            family => MatchAnswer::Identifier(family.to_owned()),
        }
    }));
    let answer = |family: &str| {
        let mut body = body();
        body["parameter"][0]["resource"]["name"][0]["family"] = family.into();
        ask(&sim, Smart, &body)
    };
    for (family, status, code, text) in [
        ("Nobody", 422, "not-found", "No match found."),
        ("Many", 422, "multiple-matches", "More than one member matches."),
        ("Shut", 403, "processing", "Not here."),
    ] {
        let issue = answer(family).expect(status).json()["issue"][0].clone();
        assert_eq!((&issue["code"], &issue["details"]["text"]), (&code.into(), &text.into()));
    }
    answer("Odd").expect(204);
    let parameter = answer("Allen").expect(200).json()["parameter"][0].clone();
    assert_eq!(parameter["name"], "MemberIdentifier");
    assert_eq!(parameter["valueIdentifier"]["value"], "Allen");
    assert_eq!(sim.match_count(), 5);
}

#[test]
fn faults_reach_a_match() {
    let scenario = Scenario::new(OneupPayer).fault(Endpoint::MemberMatch, When::First(1), Fault::status(503));
    let sim = start(scenario);
    ask(&sim, OneupPayer, &body()).expect(503);
    ask(&sim, OneupPayer, &body()).expect(200);
    assert_eq!(sim.match_count(), 1);
}

#[test]
fn a_group_has_its_own_files() {
    let patient = |id: &str| ServedFile::new("Patient", format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\"}}\n"));
    for personality in [OneupPayer, Smart] {
        let scenario = Scenario::new(personality).group("a", [patient("1"), patient("2")]).group("b", [patient("3")]);
        let sim = start(scenario.group("empty", []));
        let kick_off = |group: &str| {
            let ask = Ask::get(format!("{}/Group/{group}/$export", sim.fhir_base())).bearer(&sim.credentials().token);
            ask.header("Prefer", "respond-async").send()
        };
        let bodies = |group: &str| {
            let got = kick_off(group).expect(202);
            let location = got.header("content-location").map(str::to_owned).unwrap_or_else(|| {
                let text = got.json()["issue"][0]["details"]["text"].as_str().unwrap().to_owned();
                text.split(' ').next_back().unwrap().replace(&sim.other_origin(), &sim.origin())
            });
            let manifest = client::status(&sim, &location).expect(200).json();
            let file = |url: String| Ask::get(url).bearer(&sim.credentials().token).send().expect(200).text();
            urls(&manifest).into_iter().map(file).collect::<String>()
        };
        let (a, b) = (bodies("a"), bodies("b"));
        assert_eq!([a.lines().count(), b.lines().count(), bodies("empty").lines().count()], [2, 1, 0]);
        assert!(b.contains("\"3\"") && !a.contains("\"3\""));
        kick_off("c").expect(404);
        assert_eq!((sim.export_count(), sim.model().resources()), (3, 3));
    }
}
