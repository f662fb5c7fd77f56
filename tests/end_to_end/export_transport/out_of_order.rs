//! Servers that are out of order for a while: each request is sent again, no earlier than asked and not after absurd waits,
//! and there is one export.

use std::time::Duration;

use lakehaul_sim::{Endpoint, Fault, Personality, RetryAfter, Seen, Target, When};

use super::check_each;
use crate::payer::{Payer, patient_file};

/// The four kinds of requests that an export is made of.
fn endpoints() -> [Target; 4] {
    [Endpoint::Token.into(), Endpoint::KickOff.into(), Endpoint::Status.into(), Target::AnyFile]
}

#[test]
fn bursts_are_ridden_out() {
    let mut cases = Vec::new();
    for status in [429, 500, 502, 503, 504] {
        for (personality, endpoint) in [Personality::OneupProvider, Personality::Smart].into_iter().zip(0..2) {
            for (of, target) in endpoints().into_iter().enumerate() {
                // Each personality has two of the endpoints, so that each status meets all four.
                if of % 2 == endpoint {
                    cases.push((format!("{status}, {target:?}, {personality:?}"), (status, target, personality)));
                }
            }
        }
    }
    check_each(&cases, |(status, target, personality)| {
        let payer = Payer::new(*personality, |scenario| {
            let file = patient_file("x", 5);
            scenario.file(file).running(1).fault(target.clone(), When::First(3), Fault::status(*status))
        });
        let outcome = payer.export(&[]);
        payer.is_whole(&outcome);
        outcome.tells(&status.to_string()).tells("sent again in");
        let failed = payer.sim.seen(target.clone()).iter().filter(|seen| seen.status == *status).count();
        assert_eq!(failed, 3, "{outcome}");
    });
}

#[test]
fn all_at_once_are_ridden_out_too() {
    let payer = Payer::smart(|scenario| {
        let bursts = [Fault::status(429), Fault::status(503).retry_after(0), Fault::operation_outcome(500, "busy")];
        let files = (0..6).map(|n| patient_file(&n.to_string(), 5));
        let scenario = scenario.files(files).running(2);
        endpoints()
            .into_iter()
            .zip(bursts.into_iter().cycle())
            .fold(scenario, |scenario, (target, burst)| scenario.fault(target, When::First(4), burst))
    });
    payer.is_whole(&payer.export(&[]));
}

#[test]
fn a_server_that_stays_out_of_order_ends_the_export_and_the_next_try_takes_it_up() {
    // (the request, whether an export has begun by then)
    let cases = endpoints().map(|target| (format!("{target:?}"), target));
    check_each(&cases, |target| {
        let payer = Payer::provider(|scenario| {
            scenario.file(patient_file("x", 5)).fault(target.clone(), When::Always, Fault::status(503))
        });
        let outcome = payer.export(&["--retries", "2"]);
        outcome.exits_with(5).tells("503").tells("also after 2 retries").tells("run the same command again");
        assert_eq!(payer.sim.seen(target.clone()).len(), 3, "the first try and two more\n{outcome}");
        payer.nothing_is_published();
        payer.sim.set_faults(Vec::new());
        payer.is_whole(&payer.export(&[]));
    });
}

#[test]
fn nothing_is_sent_before_its_time() {
    // A date is rounded down to the second: so much from now is at least half a second.
    let date = RetryAfter::Date(Duration::from_millis(1500));
    let mut cases = Vec::new();
    for (name, after, least) in [("seconds", RetryAfter::Seconds(1), 1.0), ("date", date, 0.5)] {
        for status in [429, 503] {
            cases.push((format!("{status}, {name}"), (status, after.clone(), least)));
        }
    }
    check_each(&cases, |(status, after, least)| {
        let payer = Payer::smart(|scenario| {
            let scenario = scenario.file(patient_file("x", 5)).running(1).retry_after(after.clone());
            endpoints().into_iter().fold(scenario, |scenario, target| {
                scenario.fault(target, When::First(1), Fault::status(*status).retry_after(after.clone()))
            })
        });
        // Longer than any of them asks for.
        let outcome = payer.export(&["--max-wait", "20s"]);
        payer.is_whole(&outcome);
        let early: Vec<Seen> = payer.sim.log().into_iter().filter(|seen| seen.too_early_by.is_some()).collect();
        assert!(early.is_empty(), "{early:#?}");
        // After each of four refusals and a running answer.
        let last = payer.sim.log().last().expect("requests").at.as_secs_f64();
        assert!(last > 5.0 * least, "{last} s");
    });
}

#[test]
fn absurd_waits_are_capped() {
    let cases = ["1795319406", "86400", "99999999999999999999", "-5", "soon", "", "Fri, 31 Dec 9999 23:59:59 GMT"];
    let cases = cases.map(|after| (format!("{after:?}"), after));
    check_each(&cases, |after| {
        let payer = Payer::provider(|scenario| {
            let scenario = scenario.file(patient_file("x", 5)).running(2).retry_after(*after);
            endpoints().into_iter().fold(scenario, |scenario, target| {
                scenario.fault(target, When::First(1), Fault::status(429).retry_after(*after))
            })
        });
        payer.export(&["--max-wait", "50ms"]).exits_with(0);
        assert_eq!(payer.sim.export_count(), 1);
        assert_eq!(payer.record()["totals"]["rows"], 5);
    });
}

/// The server may have begun an export whose answer nobody got: another one is asked for, once, and that is told.
#[test]
fn a_kick_off_without_an_answer_is_sent_once_more_and_told() {
    let cases = [
        ("reset before the answer", Fault::reset_at(0)),
        ("silence", Fault::stall_headers(Duration::from_secs(600))),
        ("a body that breaks off", Fault::truncate_at(20)),
    ];
    let cases = cases.map(|(name, fault)| (name.to_owned(), fault));
    check_each(&cases, |fault| {
        let payer = Payer::provider(|scenario| {
            scenario.file(patient_file("x", 5)).fault(Endpoint::KickOff, When::Nth(1), fault.clone())
        });
        let outcome = payer.export(&["--idle-timeout", "1s"]);
        payer.is_whole_after(2, &outcome);
        outcome.tells("may have begun an export");

        let payer = Payer::provider(|scenario| {
            scenario.file(patient_file("x", 5)).fault(Endpoint::KickOff, When::Always, fault.clone())
        });
        let outcome = payer.export(&["--idle-timeout", "500ms"]);
        outcome.exits_with(5).tells("may have begun an export");
        assert_eq!(payer.sim.export_count(), 2, "{outcome}");
    });
}
