//! What becomes of the export at the server: it may be deleted when, and only when, all of it is in the lake.

use std::time::Duration;

use lakehaul_sim::{Count, Endpoint, ExportEnd, Fault, Framing, Personality, Ranges, Role, Scenario, ServedFile, When};

use super::check_each;
use crate::payer::{LAKE, Payer, patient_file};

/// Long enough for a machine that has much else to do.
const SOON: Duration = Duration::from_secs(30);

fn two_files(scenario: Scenario) -> Scenario {
    scenario.file(patient_file("a", 20)).file(patient_file("b", 20))
}

fn deletes(payer: &Payer) -> usize {
    payer.sim.seen(Endpoint::Delete).len()
}

/// The server keeps its answer to the DELETE: what the lake is while it does, it was when the request was sent.
#[test]
fn it_is_deleted_only_after_all_is_published() {
    for personality in [Personality::OneupProvider, Personality::OneupPayer, Personality::Smart] {
        let payer = Payer::new(personality, |scenario| {
            two_files(scenario).fault(Endpoint::Delete, When::Always, Fault::stall_headers(Duration::from_secs(600)))
        });
        let started = payer.start(&["--idle-timeout", "60s"]);
        let asked = payer.sim.wait_until(SOON, |log| log.iter().any(|seen| seen.endpoint == Endpoint::Delete));
        assert!(asked, "{personality:?}: no DELETE came");
        assert_eq!(payer.record()["status"], "complete");
        payer.place.run(&["verify", LAKE]).exits_with(0);
        assert_eq!(payer.place.sorted_rows(LAKE, "Patient").len(), 40);
        let last = payer.sim.log().last().expect("requests").clone();
        assert_eq!(last.endpoint, Endpoint::Delete, "the last of all requests");
        started.kill();

        // The run was finished; that the server was not told is no reason to ask it again.
        let asked = payer.sim.log().len();
        payer.export(&[]).exits_with(0).prints("has already finished");
        assert_eq!(payer.sim.log().len(), asked);
    }
}

#[test]
fn it_is_deleted_once_if_all_is_well() {
    for personality in [Personality::OneupProvider, Personality::OneupPayer, Personality::Smart] {
        let payer = Payer::new(personality, two_files);
        let outcome = payer.export(&[]);
        payer.is_whole(&outcome);
        assert_eq!((deletes(&payer), payer.sim.deleted_count()), (1, 1), "{personality:?}\n{outcome}");
        outcome.tells("the server deletes its export");
    }
}

#[test]
fn it_stays_if_that_was_asked_for() {
    let payer = Payer::smart(two_files);
    payer.is_whole(&payer.export(&["--keep-export"]));
    assert_eq!(deletes(&payer), 0);
}

#[test]
fn it_stays_unless_the_run_is_strictly_clean() {
    type Scene = fn(Scenario) -> Scenario;
    let bad_line =
        |scenario: Scenario| two_files(scenario).file(ServedFile::new("Claim", "no JSON\n").count(Count::Missing));
    let outcomes = |scenario: Scenario| {
        let outcome = "{\"resourceType\":\"OperationOutcome\",\"issue\":[]}\n";
        two_files(scenario).file(ServedFile::new("OperationOutcome", outcome).role(Role::Outcome))
    };
    let failed_batch = |scenario: Scenario| two_files(scenario).ending(ExportEnd::Partial(1));
    let too_few = |scenario: Scenario| two_files(scenario).file(patient_file("c", 2).count(Count::Off(1)));
    let too_few_in_all = |scenario: Scenario| two_files(scenario).resource_count(Count::Off(1));
    let unverified = |scenario: Scenario| {
        let file = patient_file("c", 2).count(Count::Missing);
        two_files(scenario).file(file.framing(Framing::UntilClose).ranges(Ranges::Ignored))
    };
    let cases: [(&str, Personality, Scene, &[&str], i32); 10] = [
        ("a rejected line", Personality::Smart, bad_line, &[], 7),
        ("a rejected line, allowed", Personality::Smart, bad_line, &["--allow-rejects"], 0),
        ("an outcome", Personality::Smart, outcomes, &[], 6),
        ("an outcome, allowed", Personality::Smart, outcomes, &["--allow-partial"], 0),
        ("a failed batch", Personality::OneupProvider, failed_batch, &[], 6),
        ("a failed batch, allowed", Personality::OneupProvider, failed_batch, &["--allow-partial"], 0),
        ("fewer than counted", Personality::Smart, too_few, &[], 6),
        ("fewer than counted, allowed", Personality::Smart, too_few, &["--allow-partial"], 0),
        ("fewer than counted in all", Personality::OneupPayer, too_few_in_all, &[], 6),
        ("a length that nobody could tell", Personality::Smart, unverified, &[], 0),
    ];
    let cases = cases
        .map(|(name, personality, scene, arguments, code)| (name.to_owned(), (personality, scene, arguments, code)));
    check_each(&cases, |(personality, scene, arguments, code)| {
        let payer = Payer::new(*personality, scene);
        let outcome = payer.export(arguments);
        outcome.exits_with(*code);
        assert_eq!(payer.records().len(), 1, "{outcome}");
        assert_eq!((deletes(&payer), payer.sim.export_count()), (0, 1), "{outcome}");
        payer.is_well_behaved();
    });
}

#[test]
fn a_server_that_will_not_delete_it_does_no_harm() {
    let cases = [
        ("refused", Fault::status(403)),
        ("not supported", Fault::status(405)),
        ("gone already", Fault::status(404)),
        ("out of order", Fault::status(503)),
        ("no answer", Fault::no_answer(lakehaul_sim::Hangup::Reset)),
        ("refused with words", Fault::operation_outcome(400, "never")),
    ];
    let cases = cases.map(|(name, fault)| (name.to_owned(), fault));
    check_each(&cases, |fault| {
        let payer = Payer::smart(|scenario| two_files(scenario).fault(Endpoint::Delete, When::Always, fault.clone()));
        payer.is_whole(&payer.export(&["--retries", "2"]));
        assert!((1..=3).contains(&deletes(&payer)));
    });
    // As 1upHealth's population export does it.
    let payer = Payer::new(Personality::OneupPopulation, two_files);
    let outcome = payer.export(&[]);
    payer.is_whole(&outcome);
    outcome.tells("does no harm");
    assert_eq!((deletes(&payer), payer.sim.deleted_count()), (1, 0));
}
