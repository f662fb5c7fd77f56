//! What may be asked, and what the answers are.

use std::sync::Arc;

use super::*;
use crate::client::ClientOptions;
use crate::testing::{Listener, Notes, PaperClock, Reply};
use crate::token::Auth;

fn member() -> Member {
    Member {
        family: "Allen".to_owned(),
        given: vec!["John".to_owned()],
        birth_date: "1950-10-19".to_owned(),
        gender: Some("male".to_owned()),
        member_id: "123456789123".to_owned(),
    }
}

fn consent() -> Consent {
    Consent { policy: ConsentPolicy::Regular, start: "2026-01-01".to_owned(), end: "2026-12-31".to_owned() }
}

fn question() -> Value {
    serde_json::from_slice(MemberMatch::of(&member(), &consent()).unwrap().body()).unwrap()
}

#[test]
fn what_is_sent_has_every_part_once() {
    let question = question();
    let parts: Vec<_> = question["parameter"].as_array().unwrap().iter().map(|part| &part["name"]).collect();
    assert_eq!(parts, ["MemberPatient", "CoverageToMatch", "Consent"]);
    let resource = |at: usize| &question["parameter"][at]["resource"];
    assert_eq!(resource(0)["name"][0], json!({"family": "Allen", "given": ["John"]}));
    assert_eq!(resource(1)["identifier"][0]["value"], "123456789123");
    assert_eq!(resource(2)["policy"][0]["uri"], format!("{POLICY}regular"));
    assert_eq!(resource(2)["provision"]["period"], json!({"start": "2026-01-01", "end": "2026-12-31"}));
    assert!((0..3).all(|at| resource(at)["resourceType"].is_string()));
    let text = format!("{:?} {:?}", MemberMatch::of(&member(), &consent()).unwrap(), member());
    assert_eq!(text, "MemberMatch Member");
    // As one may have it already: other names, no types, more in it.
    let mut own = question.clone();
    own["parameter"][0]["name"] = "memberPatient".into();
    own["parameter"][1]["resource"].as_object_mut().unwrap().remove("resourceType");
    own["parameter"][0]["resource"]["telecom"] = json!([{"value": "x"}]);
    let sent: Value = serde_json::from_slice(MemberMatch::from_parameters(own).unwrap().body()).unwrap();
    assert_eq!(sent["parameter"][0]["name"], "MemberPatient");
    assert_eq!(sent["parameter"][1], question["parameter"][1]);
    assert_eq!(sent["parameter"][0]["resource"]["telecom"][0]["value"], "x");
}

#[test]
fn what_cannot_be_asked_is_told_without_a_value() {
    type Spoil = fn(&mut Value);
    let spoiled: [(Spoil, &str); 15] = [
        (|q| *q = json!([]), "no JSON object"),
        (|q| q["resourceType"] = "Patient".into(), "no Parameters"),
        (|q| q["parameter"] = json!({}), "no list"),
        (|q| drop(q["parameter"].as_array_mut().unwrap().remove(2)), "Consent is missing"),
        (
            |q| {
                let twice = q["parameter"][1].clone();
                q["parameter"].as_array_mut().unwrap().push(twice);
            },
            "more than once",
        ),
        (|q| q["parameter"][0]["resource"] = json!(1), "no resource"),
        (|q| q["parameter"][0]["resource"]["resourceType"] = "Person".into(), "another type"),
        (|q| q["parameter"][0]["resource"]["name"] = json!([{"family": " "}]), "family name is missing"),
        (|q| q["parameter"][0]["resource"]["birthDate"] = "1950".into(), "birth date is no date"),
        (|q| q["parameter"][0]["resource"]["gender"] = "m".into(), "gender"),
        (|q| q["parameter"][1]["resource"]["identifier"] = json!([]), "member's id is missing"),
        (|q| q["parameter"][2]["resource"]["status"] = "draft".into(), "not active"),
        (|q| q["parameter"][2]["resource"]["policy"] = json!([]), "policy is missing"),
        (|q| q["parameter"][2]["resource"]["provision"]["type"] = "deny".into(), "permits nothing"),
        (
            |q| q["parameter"][2]["resource"]["provision"]["period"] = json!({"start": "2026-01-01"}),
            "end of the consent",
        ),
    ];
    for (spoil, part) in spoiled {
        let mut question = question();
        spoil(&mut question);
        let error = MemberMatch::from_parameters(question).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("Allen"), "{part}: {error}");
    }
    for (start, end, part) in [
        ("2026-02-30", "2026-12-31", "no date"),
        ("2026", "2026-12-31", "no date"),
        ("2027-01-01", "2026-12-31", "ends before"),
        ("", "2026-12-31", "start of the consent"),
    ] {
        let consent = Consent { start: start.to_owned(), end: end.to_owned(), ..consent() };
        let error = MemberMatch::of(&member(), &consent).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    for (text, expected) in [("regular", true), ("sensitive", true), ("urn:x:y", true), ("all", false), ("", false)] {
        assert_eq!(text.parse::<ConsentPolicy>().is_ok(), expected, "{text}");
    }
}

/// The answer to the question, where the server answers so.
async fn asked(kind: Kind, status: u16, body: &str) -> (Result<MatchAnswer, FetchError>, Listener) {
    let body = body.to_owned();
    let server = Listener::start(move |_| Reply::new(status, body.clone())).await;
    let mut options = ClientOptions::new(kind, server.url("/"));
    options.tenant = kind.needs_tenant().then(|| "bison".to_owned());
    options.auth = Auth::Token("sesame".into());
    let http = Http::new(options, PaperClock::new(), Arc::new(Notes::default())).unwrap();
    let answer = send(&http, &MemberMatch::of(&member(), &consent()).unwrap()).await;
    (answer, server)
}

#[tokio::test]
async fn the_group_is_found_wherever_it_is() {
    for body in [
        r#"{"groupId":"g.1-a"}"#,
        r#"{"resourceType":"Parameters","group_id":"g.1-a","parameter":[]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"x"},{"name":"groupId","valueString":"g.1-a"}]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"GroupID","valueId":"g.1-a"}]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"group","valueReference":{"reference":"Group/g.1-a"}}]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"group","valueReference":{"reference":"https://h/Group/g.1-a"}}]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"r","part":[{"name":"group-id","valueIdentifier":{"value":"g.1-a"}}]}]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"MemberIdentifier","valueIdentifier":{"value":"1"}},
            {"name":"g","resource":{"resourceType":"Group","id":"g.1-a"}}]}"#,
        r#"{"resourceType":"Patient","id":"p","contained":[{"resourceType":"Group","id":"g.1-a"}]}"#,
        r#"{"resourceType":"Group","id":"g.1-a"}"#,
    ] {
        let (answer, server) = asked(Kind::OneupPayer, 200, body).await;
        assert_eq!(answer.unwrap(), MatchAnswer::Group { id: "g.1-a".to_owned() }, "{body}");
        let seen = server.seen().remove(0);
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/bison/member-match/$member-match"));
        assert_eq!((seen.header("content-type"), seen.authorization()), ("application/json", "Bearer sesame"));
    }
    let (_, server) = asked(Kind::Smart, 200, "{}").await;
    assert_eq!(server.seen()[0].path, "/Patient/$member-match");
}

#[tokio::test]
async fn other_answers_are_told_apart_and_repeat_no_member() {
    fn outcome(code: &str, text: &str) -> String {
        json!({"resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": code, "diagnostics": text}]})
        .to_string()
    }
    let name = |answer: &MatchAnswer| format!("{answer:?}").split([' ', '{']).next().unwrap().to_owned();
    let identifier =
        r#"{"resourceType":"Parameters","parameter":[{"name":"MemberIdentifier","valueIdentifier":{"value":"1"}}]}"#;
    for (status, body, expected) in [
        (200, identifier.to_owned(), "Identifier"),
        (422, outcome("not-found", "no John Allen, born 1950-10-19, 123456789123"), "NoMatch"),
        (404, String::new(), "NoMatch"),
        (422, outcome("multiple-matches", "Allen"), "Ambiguous"),
        (422, outcome("processing", "More than one member"), "Ambiguous"),
        (400, outcome("multiple-matches", ""), "Ambiguous"),
        (400, outcome("invalid", "multiple errors"), "Refused"),
        (403, outcome("forbidden", "no consent of Allen"), "Refused"),
        (200, r#"{"groupId":"../x"}"#.to_owned(), "Refused"),
        (200, "<html>".to_owned(), "Refused"),
    ] {
        let (answer, _) = asked(Kind::OneupPayer, status, &body).await;
        let answer = answer.unwrap();
        assert_eq!(name(&answer), expected, "{status} {body}");
        let text = format!("{answer:?}");
        assert!(["Allen", "John", "1950", "123456789123"].iter().all(|own| !text.contains(own)), "{text}");
    }
    assert_eq!(asked(Kind::OneupPayer, 401, "").await.0.unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(asked(Kind::OneupProvider, 200, "").await.0.unwrap_err().kind(), ErrorKind::Usage);
}
