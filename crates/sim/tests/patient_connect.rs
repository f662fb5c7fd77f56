//! Patient Connect's systems, users and codes.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

mod client;

use std::time::Duration;

use client::{Ask, Got};
use lakehaul_sim::{Endpoint, Fault, Personality, Scenario, Sim, When};
use serde_json::{Value, json};

fn start(change: impl FnOnce(Scenario) -> Scenario) -> Sim {
    Sim::start(change(Scenario::new(Personality::OneupConnect))).unwrap()
}

fn search(sim: &Sim, query: &str) -> Got {
    Ask::new("POST", format!("{}/api/search?{query}", sim.origin())).bearer(&sim.credentials().token).send()
}

fn names(rows: &Value) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

fn user(sim: &Sim, path: &str, name: &str) -> Got {
    let credentials = sim.credentials();
    let fields =
        [("app_user_id", name), ("client_id", &credentials.client_id), ("client_secret", &credentials.client_secret)];
    Ask::form(format!("{}/user-management/v1/{path}", sim.origin()), &fields).send()
}

#[test]
fn systems_come_twenty_at_a_time() {
    let sim = start(|scenario| scenario.systems(45));
    let mut all = Vec::new();
    for (offset, rows) in [(0, 20), (20, 20), (40, 5), (60, 0)] {
        let page = search(&sim, &format!("query=&offset={offset}")).expect(201).json();
        assert_eq!(names(&page).len(), rows, "{offset}");
        all.extend(names(&page));
    }
    assert!(all.is_sorted());
    let row = search(&sim, "query=").expect(201).json()[0].clone();
    for member in ["id", "name", "logo", "resource_url", "api_version", "status", "ehr", "locations"] {
        assert!(!row[member].is_null(), "{member}");
    }
    let address = &row["locations"][0]["address"];
    assert!(address["line"].is_array() && address["city"].is_string() && address["state"].is_string());

    let found = search(&sim, "query=MEMORIAL").expect(201).json();
    assert!(!names(&found).is_empty() && names(&found).iter().all(|name| name.contains("Memorial")));
    assert!(!names(&search(&sim, "query=harper%27s+mill").expect(201).json()).is_empty());
    for query in ["query=a-b", "query=%25", "query=&offset=x", "query=&system_type=Other"] {
        search(&sim, query).expect(400);
    }
    let sorts = ["HealthSystem", "Payer2Payer", "PayerPatientAccess"].map(|sort| {
        let mut rows = 0;
        for offset in (0..60).step_by(20) {
            let page = search(&sim, &format!("system_type={sort}&offset={offset}")).expect(201).json();
            rows += names(&page).len();
        }
        rows
    });
    assert_eq!(sorts.iter().sum::<usize>(), 45);

    let get = |path: &str| Ask::get(format!("{}{path}", sim.origin())).bearer(&sim.credentials().token).send();
    assert_eq!(names(&get("/api/all-systems").expect(200).json()), all);
    let zip = address["postalCode"].as_str().unwrap();
    let near = get(&format!("/api/systems/{zip}")).expect(200).json();
    assert!(near.as_array().unwrap().iter().all(|row| row["locations"][0]["address"]["postalCode"] == zip));
    assert!(names(&near).len() > 1);
    Ask::new("POST", format!("{}/api/search?query=", sim.origin())).send().expect(401);
    assert!(sim.unscripted().is_empty());
}

#[test]
fn systems_may_come_inside_a_member_and_follow_the_seed() {
    let rows = |seed| {
        let sim = start(|scenario| scenario.systems(3).systems_wrapped(true).seed(seed));
        search(&sim, "query=").expect(201).json()["results"].clone()
    };
    assert_eq!(names(&rows(1)).len(), 3);
    assert_eq!(rows(1), rows(1));
    assert_ne!(rows(1), rows(2));
    let many = start(|scenario| scenario.systems(500));
    let url = format!("{}/api/all-systems", many.origin());
    let all = names(&Ask::get(url).bearer(&many.credentials().token).send().expect(200).json());
    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 500, "no two have one name");
}

#[test]
fn a_user_gets_a_code_and_a_token() {
    let sim = start(|scenario| scenario);
    let made = user(&sim, "user", "anna").expect(200).json();
    assert_eq!((&made["success"], &made["app_user_id"], &made["active"]), (&json!(true), &json!("anna"), &json!(true)));
    let again = user(&sim, "user", "anna").expect(200).json();
    assert_eq!(again, json!({"success": false, "error": "this user already exists"}));
    let code = user(&sim, "user/auth-code", "anna").expect(200).json();
    assert_eq!(code["oneup_user_id"], made["oneup_user_id"]);
    assert_ne!(code["code"], made["code"]);
    assert_eq!(user(&sim, "user/auth-code", "bert").expect(200).json()["success"], false);

    let credentials = sim.credentials();
    let exchange = |code: &Value| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str().unwrap()),
            ("client_id", &credentials.client_id),
            ("client_secret", &credentials.client_secret),
        ];
        Ask::form(sim.token_url(), &fields).send()
    };
    for code in [&made["code"], &code["code"]] {
        let token = exchange(code).expect(200).json();
        assert_eq!((&token["scope"], &token["expires_in"]), (&json!("user/*.*"), &json!(7200)));
        assert!(token["refresh_token"].is_string());
    }
    exchange(&made["code"]).expect(400);
    assert_eq!((sim.seen(Endpoint::User).len(), sim.seen(Endpoint::AuthCode).len()), (2, 2));
}

#[test]
fn a_client_may_show_who_it_is_in_headers() {
    let sim = start(|scenario| scenario.client("me", "marker"));
    let url = format!("{}/user-management/v1/user", sim.origin());
    let ask = |id: &str, secret: &str, name: &str| {
        let ask = Ask::form(&url, &[("app_user_id", name)]);
        ask.header("client_id", id).header("client_secret", secret).send()
    };
    assert_eq!(ask("me", "marker", "anna").expect(200).json()["success"], true);
    assert_eq!(ask("me", "wrong", "bert").expect(401).json()["success"], false);
    ask("me", "marker", "").expect(400);
}

#[test]
fn too_many_calls_about_users_are_refused_for_a_while() {
    let sim = start(|scenario| scenario.user_calls(2).user_calls_retry_after(1));
    user(&sim, "user", "anna").expect(200);
    user(&sim, "user/auth-code", "anna").expect(200);
    let got = user(&sim, "user", "bert").expect(429);
    assert_eq!(got.header("retry-after"), Some("1"));
    assert!(!sim.wait_until(Duration::from_millis(1_050), |_| false), "time goes by");
    assert_eq!(user(&sim, "user", "bert").expect(200).json()["success"], true);
}

#[test]
fn connecting_leads_to_a_login_elsewhere() {
    let sim = start(|scenario| scenario.fault(Endpoint::Connect, When::Nth(1), Fault::status(502)));
    let credentials = sim.credentials();
    let url = |token: &str| {
        format!(
            "{}/connect/system/clinical/4706?client_id={}&access_token={token}",
            sim.origin(),
            credentials.client_id
        )
    };
    Ask::get(url(&credentials.token)).send().expect(502);
    let got = Ask::get(url(&credentials.token)).send().expect(302);
    let location = got.header("location").unwrap().to_owned();
    assert!(location.starts_with(&sim.other_origin()), "{location}");
    Ask::get(location).send().expect(200);
    Ask::get(url("made-up")).send().expect(401);
    assert!(sim.unscripted().is_empty());
}
