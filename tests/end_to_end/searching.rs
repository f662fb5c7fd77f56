//! `lakehaul search` as a pipeline sees it: what it exits with, what it tells and does not tell, killed and run again.

use std::time::Duration;

use lakehaul_sim::members::{Members, MembersOptions};
use lakehaul_sim::{Endpoint, Fault, NextLink, Personality, Scenario, When};

use crate::payer::{LAKE, Payer, Started};

fn members() -> Members {
    Members::new(MembersOptions { members: 20, ..MembersOptions::default() })
}

/// A member's own data, with a ready token.
fn patient_access(scene: impl FnOnce(Scenario) -> Scenario) -> Payer {
    Payer::new(Personality::OneupPatient, scene)
}

fn command(payer: &Payer, arguments: &[&str]) -> std::process::Command {
    let mut command = payer.command(&[&["search"], arguments].concat());
    command.env_remove("LAKEHAUL_CLIENT_SECRET").env_remove("LAKEHAUL_CLIENT_ID");
    command.env("LAKEHAUL_TOKEN", payer.sim.credentials().token);
    command
}

#[test]
fn the_six_types_are_searched_for_and_again_nothing_is_done() {
    let payer = patient_access(|scenario| scenario.searchable(&members()).search_page_size(20));
    let outcome = payer.finish(&mut command(&payer, &[]));
    outcome.exits_with(0).prints("pages is accounted for").prints("ExplanationOfBenefit");
    assert_eq!(payer.sim.seen(Endpoint::Search).len(), 6);
    payer.place.run(&["verify", LAKE]).exits_with(0);
    let searches = payer.record()["search"]["searches"].clone();
    assert_eq!(searches.as_array().map(Vec::len), Some(6), "{searches}");
    let asked = payer.sim.log().len();
    payer.finish(&mut command(&payer, &[])).exits_with(0).prints("already finished");
    assert_eq!(payer.sim.log().len(), asked);
    payer.is_well_behaved();
    let report = payer.place.run(&["report", LAKE]);
    report.exits_with(0).prints("No fewer resources came than the search for ExplanationOfBenefit finds");
}

#[test]
fn exit_codes_tell_what_happened() {
    let payer = patient_access(|scenario| scenario);
    payer.finish(&mut command(&payer, &["--type", "Claim"])).exits_with(0).prints("0 rows");
    let outcome = payer.finish(&mut command(&payer, &["--patient", "nobody-7", "--everything"]));
    outcome.exits_with(4).tells("does not know");
    assert!(!outcome.stderr.contains("nobody-7") && !outcome.stderr.contains("--fresh"), "{outcome}");
    payer.finish(&mut command(&payer, &["--patient", "1"])).exits_with(2).tells("--everything");
    payer.finish(&mut command(&payer, &["--type", "Clam"])).exits_with(2).tells("Clam");
    payer.finish(&mut command(&payer, &["--kind", "smart"])).exits_with(2).tells("oneup-patient");
    payer.finish(command(&payer, &[]).env("LAKEHAUL_TOKEN", "stale")).exits_with(3).tells("401");
    payer.finish(&mut command(&payer, &["--dry-run", "--param", "patient=77"])).exits_with(0).prints("Coverage (param");
    let elsewhere =
        patient_access(|scenario| scenario.searchable(&members()).search_page_size(5).next_link(NextLink::OtherOrigin));
    elsewhere.finish(&mut command(&elsewhere, &[])).exits_with(3).tells("--trust-origin");
    elsewhere.is_well_behaved();
    let down = patient_access(|scenario| scenario.fault(Endpoint::Search, When::Always, Fault::status(503)));
    down.finish(&mut command(&down, &["--retries", "1"])).exits_with(5).tells("503");
    let lost = Payer::smart(|scenario| {
        let refusal = Fault::operation_outcome(400, "no such search");
        scenario.searchable(&members()).fault(Endpoint::Search, When::First(1), refusal)
    });
    let partial = ["--kind", "fhir", "--type", "Patient,Coverage"];
    lost.finish(&mut command(&lost, &partial)).exits_with(6).tells("no such search");
}

#[test]
fn killed_anywhere_it_goes_on_behind_the_last_page() {
    for pages in [2, 9, 20] {
        let payer = patient_access(|scenario| scenario.searchable(&members()).search_page_size(8));
        let arguments = ["--checkpoint", "1ms", "--concurrency", "2"];
        let started: Started = Payer::started(&mut command(&payer, &arguments));
        let asked = |wanted: usize| {
            payer.sim.wait_until(Duration::from_secs(60), |log| {
                log.iter().filter(|seen| seen.endpoint == Endpoint::SearchPage).count() >= wanted
            })
        };
        assert!(asked(pages), "{pages} pages are asked for");
        started.kill_or_gone();
        payer.finish(&mut command(&payer, &arguments)).exits_with(0);
        payer.place.run(&["verify", LAKE]).exits_with(0);
        let whole = patient_access(|scenario| scenario.searchable(&members()).search_page_size(1_000));
        whole.finish(&mut command(&whole, &[])).exits_with(0);
        for name in ["ExplanationOfBenefit", "Patient", "Coverage"] {
            assert_eq!(payer.place.sorted_rows(LAKE, name), whole.place.sorted_rows(LAKE, name), "{name}");
        }
        payer.is_well_behaved();
    }
}
