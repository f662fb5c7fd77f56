//! Servers that say nothing, or little at a time.

use std::time::{Duration, Instant};

use lakehaul_sim::{At, Endpoint, Fault, Target, When};

use super::check_each;
use crate::payer::{Payer, patient_file};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(600);
const IDLE: Duration = Duration::from_secs(1);
/// A machine with two cores and much else to do may take so long to send a request that is due.
const SLACK: Duration = Duration::from_secs(8);

/// Requests that can be sent again without harm, each with both places to be silent at.
fn silences() -> Vec<(String, (Target, Fault))> {
    let targets = [Target::from(Endpoint::Token), Endpoint::Status.into(), Target::AnyFile];
    let mut cases = Vec::new();
    for target in targets {
        for (place, fault) in
            [("headers", Fault::stall_headers(FOR_EVER)), ("body", Fault::stall_at(At::Body(30), FOR_EVER))]
        {
            cases.push((format!("{target:?}, {place}"), (target.clone(), fault)));
        }
    }
    cases
}

#[test]
fn silence_is_noticed_in_time_and_ridden_out() {
    check_each(&silences(), |(target, fault)| {
        let payer = Payer::provider(|scenario| {
            scenario.file(patient_file("x", 5)).running(1).fault(target.clone(), When::Nth(1), fault.clone())
        });
        let begun = Instant::now();
        let outcome = payer.export(&["--idle-timeout", "1s"]);
        // By the server's clock it may look shorter: one that has much else to do gets to a request late.
        assert!(begun.elapsed() >= IDLE, "it was not waited for\n{outcome}");
        payer.is_whole(&outcome);
        outcome.tells("was silent for 1s");
        let seen = payer.sim.seen(target.clone());
        let noticed = seen[1].at - seen[0].at;
        assert!((IDLE / 2..IDLE + SLACK).contains(&noticed), "noticed after {noticed:?}\n{outcome}");
    });
}

#[test]
fn silence_for_ever_ends_the_export() {
    check_each(&silences(), |(target, fault)| {
        let payer = Payer::provider(|scenario| {
            scenario.file(patient_file("x", 5)).fault(target.clone(), When::Always, fault.clone())
        });
        let outcome = payer.export(&["--idle-timeout", "300ms", "--retries", "1"]);
        outcome.exits_with(5).tells("was silent for 300ms").tells("run the same command again");
        payer.nothing_is_published();
        payer.sim.set_faults(Vec::new());
        payer.is_whole(&payer.export(&[]));
    });
}

/// It takes longer than the idle timeout, but is never silent for so long.
#[test]
fn a_slow_drip_is_not_cut() {
    let drip = Fault::drip(30, Duration::from_millis(150));
    let payer = Payer::smart(|scenario| {
        // 900 bytes: 30 pieces, more than four seconds.
        scenario.file(patient_file("x", 15)).fault("x.ndjson", When::Always, drip)
    });
    let outcome = payer.export(&["--idle-timeout", "3s"]);
    payer.is_whole(&outcome);
    assert_eq!(payer.sim.seen("x.ndjson").len(), 1, "{outcome}");
}

#[test]
fn an_export_that_takes_too_long_ends_at_its_max_duration() {
    let payer = Payer::provider(|scenario| scenario.file(patient_file("x", 5)).running(1_000_000));
    payer.export(&["--max-duration", "1s"]).exits_with(5).tells("run the same command again");
    payer.nothing_is_published();
    assert_eq!(payer.sim.export_count(), 1);
}
