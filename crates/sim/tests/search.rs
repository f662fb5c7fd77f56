//! Search and `$everything`, page by page.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

mod client;

use client::{Ask, Got};
use lakehaul_sim::members::{Members, MembersOptions};
use lakehaul_sim::{
    BundleLayout, Door, Endpoint, Fault, NextLink, Personality, Scenario, ServedFile, Sim, Total, When,
};
use serde_json::{Value, json};

use Personality::{OneupConnect, OneupPatient, Smart};

/// What no parser may tidy up.
const ODD: &str = "{ \"resourceType\" : \"Claim\",\t\"id\":\"odd\",\n \"total\":{\"value\":1.50},\"n\":[1e+2,-0.0,1e999],\
                   \"text\":\"\\u00e9\\/{origin}\", \"patient\":{\"reference\":\"Patient/p1\"} }";

fn claim(id: usize, patient: &str) -> String {
    json!({"resourceType": "Claim", "id": format!("c{id}"), "patient": {"reference": format!("Patient/{patient}")}})
        .to_string()
}

fn scenario(personality: Personality) -> Scenario {
    let patients = ["p1", "p2"].map(|id| json!({"resourceType": "Patient", "id": id}).to_string());
    Scenario::new(personality)
        .resources(patients)
        .resources((0..5).map(|id| claim(id, "p1")))
        .resources((5..7).map(|id| claim(id, "p2")))
}

fn start(scenario: Scenario) -> Sim {
    Sim::start(scenario).unwrap()
}

fn get(sim: &Sim, url: &str) -> Got {
    let url = if url.starts_with("http") { url.to_owned() } else { format!("{}{url}", sim.base_url()) };
    Ask::get(url).bearer(&sim.credentials().token).send()
}

fn next(bundle: &Value) -> Option<String> {
    let links = bundle["link"].as_array().unwrap();
    let next = links.iter().find(|link| link["relation"] == "next")?;
    Some(next["url"].as_str().unwrap().to_owned())
}

fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    entries.map(|entry| entry["resource"]["id"].as_str().unwrap_or("-").to_owned()).collect()
}

/// All ids that the pages from `path` on hold, each page by itself.
fn pages(sim: &Sim, path: &str) -> Vec<Vec<String>> {
    let mut url = Some(path.to_owned());
    let mut all = Vec::new();
    while let Some(page) = url {
        let bundle = get(sim, &page).expect(200).json();
        all.push(ids(&bundle));
        url = next(&bundle);
    }
    all
}

#[test]
fn a_search_goes_page_by_page() {
    for personality in [OneupPatient, OneupConnect, Smart] {
        let sim = start(scenario(personality).search_page_size(3));
        let base = sim.base_url();
        assert!(base.ends_with(if personality == Smart { "/fhir" } else { "/r4" }), "{base}");
        let first = get(&sim, "/Claim").expect(200);
        assert_eq!(first.header("content-type"), Some("application/fhir+json"));
        let first = first.json();
        assert_eq!((&first["resourceType"], &first["type"]), (&json!("Bundle"), &json!("searchset")));
        assert_eq!(first["total"], 7);
        assert_eq!(first["entry"][0]["fullUrl"], format!("{base}/Claim/c0"));
        assert_eq!(first["entry"][0]["search"], json!({"mode": "match"}));
        let url = next(&first).unwrap();
        assert!(url.starts_with(&format!("{base}?_getpages=")), "{url}");
        assert_eq!(pages(&sim, "/Claim"), [vec!["c0", "c1", "c2"], vec!["c3", "c4", "c5"], vec!["c6"]]);
        assert_eq!(pages(&sim, "/Claim?_count=2").len(), 4);
        assert_eq!(pages(&sim, "/Claim?_count=500").len(), 3, "_count only lowers");
        assert!(get(&sim, "/Coverage").expect(200).json().get("entry").is_none());
        assert_eq!(sim.seen(Endpoint::Search).len(), 5);
        assert_eq!(sim.seen(Endpoint::SearchPage).len(), 7);
        assert!(sim.unscripted().is_empty());
    }
}

#[test]
fn a_query_says_which() {
    let sim = start(scenario(Smart));
    for (path, expected) in [
        ("/Claim?patient=p2", vec!["c5", "c6"]),
        ("/Claim?patient=Patient/p2", vec!["c5", "c6"]),
        ("/Claim?patient=Patient%2Fp2&_id=c6", vec!["c6"]),
        ("/Claim?_id=c1,c3&whatever=1", vec!["c1", "c3"]),
        ("/Claim?_id=p1", vec![]),
        ("/Patient", vec!["p1", "p2"]),
        ("/Patient/p2/$everything", vec!["p2", "c5", "c6"]),
    ] {
        assert_eq!(pages(&sim, path).concat(), expected, "{path}");
    }
    let missing = get(&sim, "/Patient/p3/$everything").expect(404).json();
    assert_eq!(missing["issue"][0]["code"], "not-found");
    assert_eq!(pages(&start(scenario(Smart).search_page_size(2)), "/Patient/p1/$everything").len(), 3);
}

#[test]
fn resources_are_sent_byte_for_byte() {
    for layout in [BundleLayout::Compact, BundleLayout::Indented] {
        let sim = start(scenario(OneupPatient).resources([ODD.to_owned()]).bundle_layout(layout));
        let text = get(&sim, "/Claim?_id=odd").expect(200).text();
        assert!(text.contains(ODD), "{text}");
        assert_eq!(text.lines().count() > 8, layout == BundleLayout::Indented, "{text}");
        let bundle = get(&sim, "/Claim").expect(200).text();
        assert!(serde_json::from_str::<Box<serde_json::value::RawValue>>(&bundle).is_ok());
    }
}

#[test]
fn next_links_have_four_forms() {
    let url = |next_link| {
        let sim = start(scenario(Smart).search_page_size(3).next_link(next_link));
        let asked = format!("{}/Claim?_count=2", sim.base_url());
        (next(&get(&sim, &asked).expect(200).json()).unwrap(), asked, sim)
    };
    let (absolute, _, sim) = url(NextLink::Absolute);
    assert!(absolute.starts_with(&format!("{}?_getpages=", sim.base_url())), "{absolute}");
    let (relative, _, _) = url(NextLink::Relative);
    assert!(relative.starts_with("/fhir?_getpages="), "{relative}");
    let (itself, asked, _) = url(NextLink::ToItself);
    assert_eq!(itself, asked);
    let (other, _, sim) = url(NextLink::OtherOrigin);
    assert!(other.starts_with(&format!("{}/fhir?", sim.other_origin())), "{other}");
    assert_eq!(ids(&Ask::get(other).send().expect(200).json()), ["c2", "c3"]);
}

#[test]
fn totals_tell_the_truth_or_not() {
    for (total, told) in [(Total::True, json!(7)), (Total::Missing, Value::Null), (Total::Off(3), json!(10))] {
        let sim = start(scenario(Smart).search_total(total));
        assert_eq!(get(&sim, "/Claim").expect(200).json()["total"], told, "{total:?}");
    }
}

#[test]
fn an_outcome_comes_on_the_first_page_alone() {
    let sim = start(scenario(OneupConnect).search_page_size(4).entry_outcome("warning", "incomplete", "Not all."));
    let first = get(&sim, "/Claim").expect(200).json();
    let outcome = &first["entry"][0];
    assert_eq!(outcome["search"]["mode"], "outcome");
    let issue = json!([{"severity": "warning", "code": "incomplete", "details": {"text": "Not all."}}]);
    assert_eq!(outcome["resource"], json!({"resourceType": "OperationOutcome", "issue": issue}));
    assert_eq!(pages(&sim, "/Claim"), [vec!["-", "c0", "c1", "c2", "c3"], vec!["c4", "c5", "c6"]]);
}

#[test]
fn a_search_needs_a_token() {
    let sim = start(scenario(OneupPatient).search_page_size(1));
    let page = next(&get(&sim, "/Claim").expect(200).json()).unwrap();
    let urls = [format!("{}/Claim", sim.base_url()), format!("{}/Patient/p1/$everything", sim.base_url()), page];
    for url in &urls {
        assert_eq!(Ask::get(url).send().status, 401, "{url}");
    }
    sim.revoke_tokens();
    assert_eq!(get(&sim, &urls[2]).status, 401);
    let open = start(scenario(OneupPatient).door(Door::Open));
    Ask::get(format!("{}/Claim", open.base_url())).send().expect(200);
}

#[test]
fn pages_expire_and_faults_reach_them() {
    let sim = start(
        scenario(Smart).search_page_size(3).fault(Endpoint::SearchPage, When::Nth(2), Fault::expire_cursors()).fault(
            Endpoint::Everything,
            When::First(1),
            Fault::status(503).retry_after(1),
        ),
    );
    let second = next(&get(&sim, "/Claim").expect(200).json()).unwrap();
    let third = next(&get(&sim, &second).expect(200).json()).unwrap();
    assert_eq!(get(&sim, &third).expect(410).json()["resourceType"], "OperationOutcome");
    get(&sim, &second).expect(410);
    assert_eq!(pages(&sim, "/Claim").len(), 3, "a new search has new pages");
    get(&sim, "?_getpages=made-up&_offset=3").expect(404);
    get(&sim, "/Patient/p1/$everything").expect(503);
    get(&sim, "/Patient/p1/$everything").expect(200);
}

#[test]
fn members_can_be_searched() {
    let members = Members::new(MembersOptions { members: 3, ..MembersOptions::default() });
    let sim = start(Scenario::new(OneupPatient).searchable(&members).search_page_size(10));
    let model = members.model().resources();
    for (resource_type, count) in &model {
        let found = pages(&sim, &format!("/{resource_type}")).concat();
        assert_eq!(found.len() as u64, *count, "{resource_type}");
    }
    let patient = pages(&sim, "/Patient").concat().remove(0);
    let all = pages(&sim, &format!("/Patient/{patient}/$everything")).concat();
    assert_eq!(all[0], patient);
    assert!(all.len() > 1);
}

#[test]
fn a_payer_for_patients_has_no_export() {
    for personality in [OneupPatient, OneupConnect] {
        let sim = start(scenario(personality).file(ServedFile::new("Patient", "{}\n")));
        get(&sim, "/$export").expect(599);
        assert_eq!(sim.unscripted().len(), 1);
    }
}
