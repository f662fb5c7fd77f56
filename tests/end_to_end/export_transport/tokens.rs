//! Tokens die; the export does not.

use std::time::Duration;

use lakehaul_sim::{Authorization, Endpoint, ExpiresIn, Fault, Scenario, Target, When};

use crate::payer::{Payer, patient_file};

fn many_files(scenario: Scenario, count: usize) -> Scenario {
    scenario.files((0..count).map(|n| patient_file(&format!("{n:03}"), 2)))
}

/// How many different tokens were used for output files.
fn tokens_used(payer: &Payer) -> usize {
    let mut used: Vec<_> = payer.sim.seen(Target::AnyFile).iter().map(|seen| seen.authorization).collect();
    assert!(used.iter().all(|used| matches!(used, Authorization::Token(_))), "{used:?}");
    used.sort_by_key(|used| if let Authorization::Token(n) = used { *n } else { usize::MAX });
    used.dedup();
    used.len()
}

fn refused(payer: &Payer) -> usize {
    payer.sim.log().iter().filter(|seen| seen.status == 401).count()
}

#[test]
fn tokens_that_live_for_two_seconds_carry_two_hundred_files() {
    let payer = Payer::provider(|scenario| {
        let slow = Fault::stall_headers(Duration::from_millis(120));
        many_files(scenario, 200).token_lifetime(Duration::from_secs(2)).fault(Target::AnyFile, When::Always, slow)
    });
    let outcome = payer.export(&[]);
    payer.is_whole(&outcome);
    assert!(tokens_used(&payer) >= 2, "{outcome}");
    // They are renewed when three quarters of their life are over, once for all files.
    let lasted = payer.sim.log().last().expect("requests").at.as_secs_f64();
    let asked = payer.sim.seen(Endpoint::Token).len();
    let late = refused(&payer);
    assert!((asked as f64) < lasted / 1.5 + 2.0 + late as f64, "{asked} tokens in {lasted} s, {late} refused");
}

#[test]
fn a_life_that_is_not_told_or_told_wrong_ends_with_a_refusal_and_goes_on() {
    for (name, expires_in) in [("not told", ExpiresIn::Missing), ("told wrong", ExpiresIn::Seconds(3600))] {
        let payer = Payer::smart(|scenario| {
            let slow = Fault::stall_headers(Duration::from_millis(100));
            many_files(scenario, 100).expires_in(expires_in).token_lifetime(Duration::from_secs(1)).fault(
                Target::AnyFile,
                When::Always,
                slow,
            )
        });
        let outcome = payer.export(&[]);
        payer.is_whole(&outcome);
        assert!(refused(&payer) >= 1 && tokens_used(&payer) >= 2, "{name}\n{outcome}");
    }
}

#[test]
fn tokens_that_are_revoked_at_random_are_renewed() {
    let payer = Payer::provider(|scenario| {
        many_files(scenario, 150).running(3).seed(11).fault(Target::Any, When::Chance(0.03), Fault::revoke_tokens())
    });
    let outcome = payer.export(&[]);
    payer.is_whole(&outcome);
    assert!(refused(&payer) >= 2, "the seed revokes no token\n{outcome}");
}

/// While the new token is a second on its way, the old one is dead for all.
#[test]
fn one_renewal_serves_all_who_wait() {
    let payer = Payer::provider(|scenario| {
        many_files(scenario, 64)
            .fault(Endpoint::Token, When::Nth(2), Fault::stall_headers(Duration::from_secs(1)))
            .fault(Target::AnyFile, When::Nth(20), Fault::revoke_tokens())
            .fault(Target::AnyFile, When::Always, Fault::stall_headers(Duration::from_millis(30)))
    });
    let outcome = payer.export(&["--concurrency", "32"]);
    payer.is_whole(&outcome);
    assert_eq!(payer.sim.seen(Endpoint::Token).len(), 2, "{outcome}");
    assert!(refused(&payer) >= 1);
}

#[test]
fn a_token_endpoint_that_refuses_is_no_transport_failure() {
    let payer =
        Payer::provider(|scenario| many_files(scenario, 3).fault(Target::AnyFile, When::Always, Fault::status(401)));
    payer.export(&[]).exits_with(3);
    payer.nothing_is_published();
    payer.sim.set_faults(Vec::new());
    payer.is_whole(&payer.export(&[]));
}
