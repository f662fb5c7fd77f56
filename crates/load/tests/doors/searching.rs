//! What a server finds, page by page.

use lakehaul_load::{ErrorKind, Input, LoadError, LoadOptions, Problem, RunStatus, Silent, Warning};
use lakehaul_sim::members::{Members, MembersOptions};
use lakehaul_sim::{BundleLayout, Endpoint, Fault, NextLink, Personality, Total, When};

use crate::scene::{Scene, resource, resources};

#[test]
fn every_resource_of_every_page_is_a_row() {
    for (next_link, layout) in [
        (NextLink::Absolute, BundleLayout::Compact),
        (NextLink::Relative, BundleLayout::Indented),
        (NextLink::Absolute, BundleLayout::Indented),
    ] {
        for personality in [Personality::OneupPatient, Personality::OneupConnect, Personality::Smart] {
            let scene = Scene::new(personality, |scenario| {
                let all = resources("Claim", 23).chain(resources("Patient", 3)).chain(resources("Coverage", 10));
                scenario.resources(all).search_page_size(5).next_link(next_link).bundle_layout(layout)
            });
            let summary = scene.search(&scene.search_for(&["Claim", "Patient", "Coverage", "Location"])).unwrap();
            assert_eq!((summary.status, summary.totals.resources), (RunStatus::Complete, 36));
            assert_eq!(scene.rows("Claim").len(), 23);
            scene.check_sound();
            let record = scene.records().remove(0);
            let names: Vec<_> = record.output_files.iter().map(|file| file.name.as_str()).collect();
            assert_eq!(names.iter().filter(|name| name.starts_with("Claim-")).count(), 5, "{names:?}");
            let searches = record.search.unwrap().searches;
            let figures: Vec<_> =
                searches.iter().map(|it| (it.name.as_str(), it.pages, it.matches, it.total)).collect();
            let expected = [("Claim", 5, 23), ("Patient", 1, 3), ("Coverage", 2, 10), ("Location", 1, 0)]
                .map(|(a, b, c)| (a, b, c, Some(c)));
            assert_eq!(figures, expected);
            // Again it does nothing; for somebody else it is another search.
            assert!(
                scene
                    .search(&scene.search_for(&["Claim", "Patient", "Coverage", "Location"]))
                    .unwrap()
                    .already_complete
            );
            let mut other = scene.search_for(&["Claim", "Patient", "Coverage", "Location"]);
            other.subject = "somebody else".to_owned();
            assert!(!scene.search(&other).unwrap().already_complete);
        }
    }
}

#[test]
fn resources_are_lossless() {
    let odd = [
        "{\"resourceType\":\"Observation\",\"id\":\"a\",\"valueQuantity\":{\"value\":1.50,\"unit\":\"\\u00b5g\"}}",
        "{ \"resourceType\" : \"Observation\",\n\t\"id\":\"b\",\r\n\"valueQuantity\": {\"value\":1e3},\"x\":[null,{}] }",
        "{\"resourceType\":\"Observation\",\"id\":\"c\",\"valueString\":\"a \\\"quoted\\\" \\n é \\ud83d\\ude00 / \\/\"}",
        "{\"id\":\"d\",\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":0.10000000000000000001}}",
    ];
    let scene = Scene::new(Personality::OneupPatient, |scenario| scenario.resources(odd.map(str::to_owned)));
    scene.search(&scene.search_for(&["Observation"])).unwrap();
    // The lines that the page is to the lake, compared number by number's text.
    let source = scene.path("Observation-1");
    std::fs::write(&source, odd.map(|text| text.replace(['\n', '\r'], " ") + "\n").concat()).unwrap();
    let lake = scene.lake();
    let report = lakehaul_load::roundtrip(&lake, &[Input::Path(source)], &LoadOptions::default(), &Silent).unwrap();
    assert_eq!((report.resources, report.differences), (4, 0), "{report:?}");
    scene.check_sound();
}

#[test]
fn members_are_found_whole() {
    let members = Members::new(MembersOptions { members: 30, ..MembersOptions::default() });
    let scene = Scene::new(Personality::Smart, |scenario| scenario.searchable(&members).search_page_size(20));
    let patients = scene.search(&scene.search_for(&["Patient", "ExplanationOfBenefit", "Coverage"])).unwrap();
    assert_eq!(patients.status, RunStatus::Complete, "{:?}", patients.problems);
    let id = scene.rows("Patient")[3]["id"].as_str().unwrap().to_owned();
    let summary = scene.search(&scene.everything(&id)).unwrap();
    assert_eq!(summary.status, RunStatus::Complete, "{:?}", summary.problems);
    assert!(summary.tables.iter().any(|table| table.resource_type == "ExplanationOfBenefit" && table.rows > 0));
    // Neither the ledger nor a name tells whose record it is.
    let text = serde_json::to_string(&scene.records().pop().unwrap()).unwrap();
    assert!(!text.contains(&id), "{text}");
    scene.check_sound();
}

#[test]
fn a_server_that_knows_nothing_is_told_from_one_that_has_nothing() {
    let scene = Scene::new(Personality::OneupPatient, |scenario| scenario);
    assert_eq!(scene.search(&scene.search_for(&["Claim"])).unwrap().status, RunStatus::Complete);
    let error = scene.search(&scene.everything("nobody")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Export, "{error}");
    assert!(!error.to_string().contains("nobody"), "{error}");
    assert_eq!(lakehaul_load::unfinished(&scene.lake()).unwrap(), []);
}

#[test]
fn a_search_that_is_refused_is_a_problem_and_all_of_them_an_error() {
    let refused = |when| {
        Scene::new(Personality::Smart, move |scenario| {
            let fault = Fault::operation_outcome(403, "not within your scope");
            scenario.resources(resources("Claim", 3)).fault(Endpoint::Search, when, fault)
        })
    };
    let scene = refused(When::First(1));
    let mut request = scene.search_for(&["Claim", "Patient", "Coverage"]);
    // One after the other.
    request.client.concurrency = 1;
    let summary = scene.search(&request).unwrap();
    assert_eq!(summary.status, RunStatus::Partial);
    let [Problem::SearchRefused { why, .. }] = &summary.problems[..] else { panic!("{:?}", summary.problems) };
    assert!(why.contains("403") && why.contains("scope"), "{why}");
    scene.check_sound();
    let scene = refused(When::Always);
    assert_eq!(scene.search(&scene.search_for(&["Claim", "Patient"])).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(lakehaul_load::unfinished(&scene.lake()).unwrap(), []);
}

#[test]
fn what_the_server_says_of_itself_is_held_against_what_came() {
    let scene = Scene::new(Personality::Smart, |scenario| {
        let scenario = scenario.resources(resources("Claim", 12)).search_page_size(5).search_total(Total::Off(3));
        scenario.entry_outcome("warning", "value", "no such parameter").entry_outcome(
            "error",
            "processing",
            "one is lost",
        )
    });
    let summary = scene.search(&scene.search_for(&["Claim"])).unwrap();
    assert_eq!(summary.status, RunStatus::Partial);
    let fewer = Problem::FewerThanFound { search: "Claim".to_owned(), total: 15, resources: 12 };
    assert!(summary.problems.contains(&fewer), "{:?}", summary.problems);
    assert!(summary.problems.contains(&Problem::Outcomes { lines: 1 }), "{:?}", summary.problems);
    let remarked = |warning: &Warning| matches!(warning, Warning::Server(text) if text.contains("no such parameter"));
    assert!(scene.notes.0.lock().unwrap().iter().any(remarked));
    assert_eq!(scene.rows("Claim").len(), 12);
    scene.check_sound();
    let scene = Scene::new(Personality::Smart, |scenario| {
        scenario.resources(resources("Claim", 12)).search_total(Total::Missing)
    });
    assert_eq!(scene.search(&scene.search_for(&["Claim"])).unwrap().status, RunStatus::Complete);
}

#[test]
fn pages_elsewhere_are_not_asked_for() {
    let scene = Scene::new(Personality::OneupPatient, |scenario| {
        scenario.resources(resources("Claim", 12)).search_page_size(5).next_link(NextLink::OtherOrigin)
    });
    let error = scene.search(&scene.search_for(&["Claim"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("next page"), "{error}");
    assert_eq!(scene.asked(Endpoint::SearchPage), 0);
    assert_eq!(scene.sim.tokens_seen_at_other_origin().len(), 0);
    let scene = Scene::new(Personality::OneupPatient, |scenario| {
        scenario.resources(resources("Claim", 12)).search_page_size(5).next_link(NextLink::ToItself)
    });
    let error = scene.search(&scene.search_for(&["Claim"])).unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
}

#[test]
fn trouble_on_the_way_is_ridden_out() {
    let trouble: [(Endpoint, Fault); 5] = [
        (Endpoint::Search, Fault::status(429).retry_after(0)),
        (Endpoint::SearchPage, Fault::status(503)),
        (Endpoint::SearchPage, Fault::truncate_at(300)),
        (Endpoint::SearchPage, Fault::reset_at(300)),
        (Endpoint::SearchPage, Fault::html()),
    ];
    for (endpoint, fault) in trouble {
        let scene = Scene::new(Personality::OneupPatient, |scenario| {
            let scenario = scenario.resources(resources("Claim", 12)).search_page_size(5);
            scenario.fault(endpoint, When::Nth(1), fault.clone())
        });
        let mut request = scene.search_for(&["Claim"]);
        request.client.patience.retries = 3;
        let summary = scene.search(&request).unwrap();
        assert_eq!((summary.status, summary.totals.resources), (RunStatus::Complete, 12), "{fault:?}");
        assert_eq!(scene.rows("Claim").len(), 12);
        scene.check_sound();
    }
}

#[test]
fn a_page_that_is_too_large_is_told() {
    let long = resource("Claim", 1).replace("\"0001\"", &format!("\"0001\",\"x\":\"{}\"", "x".repeat(8 << 20)));
    let scene = Scene::new(Personality::Smart, |scenario| scenario.resources([long]));
    let mut request = scene.search_for(&["Claim"]);
    request.options.memory_bytes = LoadOptions::MEMORY_BYTES_MIN;
    let error = scene.search(&request).unwrap_err();
    let LoadError::Fetch(error) = error else { panic!("{error}") };
    assert!(
        error.to_string().contains("bytes") && error.hint().is_some_and(|hint| hint.contains("_count")),
        "{error:?}"
    );
    request.options.memory_bytes = 1 << 30;
    assert_eq!(scene.search(&request).unwrap().totals.lines, 1);
}
