//! Links to output files that die: the manifest is asked again, once for all; what is gone for good is told.

use std::time::Duration;

use lakehaul_sim::{At, Endpoint, Fault, FileAccess, Personality, Place, Rule, Scenario, Signed, Target, When};

use super::check_each;
use crate::payer::{LAKE, Payer, patient_file, patients};

const FILES: usize = 8;

/// Files in a bucket of another origin, under signed links that a token would spoil.
fn signed(scenario: Scenario, signed: Signed) -> Scenario {
    let file = |n: usize| patient_file(&n.to_string(), 40).signed(signed).place(Place::OtherOrigin);
    scenario.file_access(FileAccess::NoToken).files((0..FILES).map(file))
}

#[test]
fn links_that_serve_once_are_renewed_where_the_file_broke_off() {
    let payer = Payer::smart(|scenario| {
        signed(scenario, Signed { requests: Some(1), lifetime: None }).fault(
            Target::EachFile,
            When::Nth(1),
            Fault::reset_at(At::File(1000)),
        )
    });
    let outcome = payer.export(&[]);
    payer.is_whole(&outcome);
    let ranges =
        payer.sim.seen(Target::AnyFile).iter().filter(|seen| seen.range.is_some() && seen.status == 206).count();
    assert_eq!(ranges, FILES, "each file goes on where it broke off\n{outcome}");
}

#[test]
fn links_that_live_shortly_are_renewed() {
    let payer = Payer::provider(|scenario| {
        let slow = Fault::stall_at(At::Body(1000), Duration::from_millis(1200)).and(Fault::truncate_at(At::Body(1000)));
        signed(scenario, Signed { requests: None, lifetime: Some(Duration::from_secs(1)) }).fault(
            "0.ndjson",
            When::Nth(1),
            slow,
        )
    });
    let outcome = payer.export(&[]);
    payer.is_whole(&outcome);
    assert!(payer.sim.seen("0.ndjson").iter().any(|seen| seen.status == 403), "no link died\n{outcome}");
}

#[test]
fn all_links_that_die_at_once_are_renewed_at_once() {
    let payer = Payer::smart(|scenario| {
        signed(scenario, Signed::default()).fault(Target::AnyFile, When::Nth(2), Fault::expire_signed_urls())
    });
    let outcome = payer.export(&[]);
    payer.is_whole(&outcome);
    assert!(payer.sim.seen(Target::AnyFile).iter().filter(|seen| seen.status == 403).count() >= FILES / 2);
    assert_eq!(payer.sim.seen(Endpoint::Status).len(), 2, "the manifest is asked for again once\n{outcome}");
}

#[test]
fn a_file_that_is_gone_for_good_is_told_and_the_rest_is_loaded() {
    let mut cases = Vec::new();
    for status in [403, 404, 410] {
        // Before a byte of it has come, and behind the tenth of its lines.
        for behind in [0, 10] {
            for personality in [Personality::OneupProvider, Personality::Smart] {
                cases.push((format!("{status} behind {behind} lines, {personality:?}"), (status, behind, personality)));
            }
        }
    }
    check_each(&cases, |&(status, behind, personality)| {
        let gone = || {
            let cut = behind * patients("lost", 1).len() as u64;
            let cut = (behind > 0).then(|| Rule::new("lost.ndjson", When::Nth(1), Fault::truncate_at(At::File(cut))));
            cut.into_iter().chain([Rule::new("lost.ndjson", When::Always, Fault::status(status))])
        };
        let payer =
            Payer::new(personality, |scenario| scenario.file(patient_file("kept", 5)).file(patient_file("lost", 40)));
        payer.sim.set_faults(gone().collect());
        let outcome = payer.export(&[]);
        outcome.exits_with(6).tells("lost.ndjson could not be fetched whole").tells(&status.to_string());
        assert!(payer.problems().contains(&"lost".to_owned()), "{outcome}");
        assert_eq!(payer.record()["status"], "partial");
        assert_eq!(payer.file("kept.ndjson")["resources"], 5);
        assert_eq!(payer.file("lost.ndjson")["lines"], behind);
        assert!(payer.sim.seen(Endpoint::Status).len() > 1, "the manifest was not asked again\n{outcome}");
        payer.place.run(&["verify", LAKE]).exits_with(0);
        payer.is_well_behaved();
        assert_eq!(payer.sim.seen(Endpoint::Delete).len(), 0, "an export that is not all in the lake is deleted");

        // A lake of its own: the first is finished.
        payer.sim.set_faults(gone().collect());
        let outcome = payer.export(&["--allow-partial", "--to", "other"]);
        outcome.exits_with(0).tells("lost.ndjson could not be fetched whole");
        assert_eq!(payer.sim.seen(Endpoint::Delete).len(), 0, "an export that is not all in the lake is deleted");
    });
}

#[test]
fn an_export_that_is_gone_with_its_links_is_no_transport_failure() {
    let payer = Payer::smart(|scenario| {
        scenario.file(patient_file("x", 5)).fault("x.ndjson", When::Always, Fault::status(410)).fault(
            Endpoint::Status,
            When::From(2),
            Fault::status(404),
        )
    });
    payer.export(&[]).exits_with(4).tells("--fresh");
    payer.nothing_is_published();
    payer.sim.set_faults(Vec::new());
    payer.is_whole_after(2, &payer.export(&["--fresh"]));
}
