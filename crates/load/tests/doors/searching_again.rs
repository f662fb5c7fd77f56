//! A search that stopped, and the same command again.

use lakehaul_load::{ErrorKind, RunStatus};
use lakehaul_sim::{Endpoint, Fault, Personality, Rule, When};

use crate::scene::{Scene, resources};

/// Claims on pages of five; two lines a page are of another type, for the sake of parts.
fn scene() -> Scene {
    Scene::new(Personality::OneupPatient, |scenario| {
        scenario.resources(resources("Claim", 48).chain(resources("Coverage", 7))).search_page_size(5)
    })
}

#[track_caller]
fn check_whole(scene: &Scene) {
    scene.check_sound();
    for (name, count) in [("Claim", 48), ("Coverage", 7)] {
        let rows = scene.rows(name);
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap().parse::<usize>().unwrap()).collect();
        assert_eq!(ids, (0..count).collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(scene.records().len(), 1);
    assert_eq!(lakehaul_load::unfinished(&scene.lake()).unwrap(), []);
}

#[test]
fn it_goes_on_behind_the_last_page_that_was_there() {
    for dies_at in 1..=9 {
        let scene = scene();
        scene.sim.add_fault(Rule::new(Endpoint::SearchPage, When::Nth(dies_at), Fault::status(500)));
        let mut request = scene.search_for(&["Claim", "Coverage"]);
        request.client.concurrency = 1;
        let error = scene.search(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        let asked = scene.asked(Endpoint::SearchPage);
        let summary = scene.search(&request).unwrap();
        assert_eq!(summary.status, RunStatus::Complete);
        check_whole(&scene);
        // 9 further pages of claims and one of coverages. What was done is not asked for again; what had come and was not
        // read yet when it died is: at most one, and one that a worker had in hand.
        let again = scene.asked(Endpoint::SearchPage) - asked;
        assert!(again <= 10 - (asked - 1) + 2, "dies at {dies_at}: {asked} pages, then {again}");
    }
}

#[test]
fn a_refusal_in_the_middle_loses_nothing() {
    let scene = scene();
    scene.sim.add_fault(Rule::new(Endpoint::SearchPage, When::Nth(6), Fault::status(403)));
    let mut request = scene.search_for(&["Claim", "Coverage"]);
    request.client.concurrency = 1;
    assert_eq!(scene.search(&request).unwrap_err().kind(), ErrorKind::Refused);
    let asked = scene.asked(Endpoint::SearchPage);
    assert_eq!(scene.search(&request).unwrap().status, RunStatus::Complete);
    assert!(scene.asked(Endpoint::SearchPage) - asked < 8);
    check_whole(&scene);
}

#[test]
fn a_search_whose_pages_are_forgotten_starts_over_alone() {
    let scene = scene();
    scene.sim.add_fault(Rule::new(Endpoint::SearchPage, When::Nth(7), Fault::status(500)));
    let request = scene.search_for(&["Claim", "Coverage"]);
    scene.search(&request).unwrap_err();
    scene.sim.add_fault(Rule::new(Endpoint::SearchPage, When::Nth(1), Fault::expire_cursors()));
    let summary = scene.search(&request).unwrap();
    assert_eq!(summary.status, RunStatus::Complete);
    assert!(
        summary.warnings.iter().any(|warning| warning.to_string().contains("no longer knows")),
        "{:?}",
        summary.warnings
    );
    check_whole(&scene);
}

#[test]
fn pages_that_are_forgotten_while_it_runs_start_it_over_too() {
    let scene = scene();
    scene.sim.add_fault(Rule::new(Endpoint::SearchPage, When::Nth(4), Fault::expire_cursors()));
    let summary = scene.search(&scene.search_for(&["Claim", "Coverage"])).unwrap();
    assert_eq!(summary.status, RunStatus::Complete);
    check_whole(&scene);
}

#[test]
fn a_server_that_forgets_again_and_again_ends_it() {
    let scene = scene();
    scene.sim.add_fault(Rule::new(Endpoint::SearchPage, When::From(4), Fault::expire_cursors()));
    let error = scene.search(&scene.search_for(&["Claim"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    assert!(error.to_string().contains("again and again"), "{error}");
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_where_the_next_page_is() {
    use std::os::unix::fs::PermissionsExt;

    let scene = scene();
    scene.sim.add_fault(Rule::new(Endpoint::SearchPage, When::Nth(3), Fault::status(500)));
    let mut request = scene.search_for(&["Claim"]);
    request.options.mode = Some(0o644);
    scene.search(&request).unwrap_err();
    let (run, _) = lakehaul_load::unfinished(&scene.lake()).unwrap().remove(0);
    let kept = format!("{}/_lake/staging/{run}/pages/Claim/1.json", scene.lake());
    assert_eq!(std::fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(scene.search(&request).unwrap().status, RunStatus::Complete);
}
