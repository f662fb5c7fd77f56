//! The same command again: after a death it takes the export up, and after its end it does nothing.

use std::time::Duration;

use lakehaul_sim::members::{Members, MembersOptions, Split};
use lakehaul_sim::{At, Endpoint, Fault, Listed, Personality, Seen, Target, When};

use super::check_each;
use crate::payer::{LAKE, Payer};

/// Long enough for a machine that has much else to do.
const SOON: Duration = Duration::from_secs(30);
const FOR_EVER: Duration = Duration::from_secs(600);

fn members() -> Members {
    Members::new(MembersOptions { members: 20, split: Split::Files(2), ..MembersOptions::default() })
}

fn requests(log: &[Seen], wanted: Endpoint) -> usize {
    log.iter().filter(|seen| seen.endpoint == wanted).count()
}

fn files(log: &[Seen]) -> impl Iterator<Item = &Seen> {
    log.iter().filter(|seen| matches!(seen.endpoint, Endpoint::File(_)))
}

/// Where the command is when it is killed.
struct Death {
    /// Keeps the server's answer back, so that nothing more happens.
    target: Target,
    when: When,
    fault: Fault,
    /// Tells from the log that the moment has come.
    come: fn(&[Seen]) -> bool,
    /// Two, if the answer to the first has not been kept.
    kick_offs: usize,
}

#[test]
#[cfg(unix)]
fn an_export_that_is_killed_is_taken_up() {
    let silence = || Fault::stall_headers(FOR_EVER);
    let deaths = [
        Death {
            target: Endpoint::Token.into(),
            when: When::Always,
            fault: silence(),
            come: |log| requests(log, Endpoint::Token) == 1,
            kick_offs: 1,
        },
        Death {
            target: Endpoint::KickOff.into(),
            when: When::Always,
            fault: silence(),
            come: |log| requests(log, Endpoint::KickOff) == 1,
            kick_offs: 2,
        },
        Death {
            target: Endpoint::Status.into(),
            when: When::From(2),
            fault: silence(),
            come: |log| requests(log, Endpoint::Status) == 2,
            kick_offs: 1,
        },
        // Parts of several files are in hand.
        Death {
            target: Target::AnyFile,
            when: When::From(4),
            fault: Fault::stall_at(At::Body(2000), FOR_EVER),
            come: |log| files(log).filter(|seen| !seen.finished && seen.body_bytes == 2000).count() >= 3,
            kick_offs: 1,
        },
        // All but the last.
        Death {
            target: "Location.0001.ndjson".into(),
            when: When::Always,
            fault: Fault::stall_at(At::Body(100), FOR_EVER),
            come: |log| {
                let came = files(log).filter(|seen| seen.finished).count();
                came == members().files().len() - 1 && files(log).any(|seen| !seen.finished && seen.body_bytes == 100)
            },
            kick_offs: 1,
        },
    ];
    let name = |death: &Death| format!("{:?}, {:?}", death.target, death.when);
    let cases: Vec<_> = deaths.into_iter().map(|death| (name(&death), death)).collect();
    check_each(&cases, |death| {
        let Death { target, when, fault, come, kick_offs } = death;
        let payer = Payer::provider(|scenario| {
            scenario.members(&members()).running(2).fault(target.clone(), *when, fault.clone())
        });
        let started = payer.start(&["--idle-timeout", "10min"]);
        assert!(payer.sim.wait_until(SOON, come), "{:#?}", payer.sim.log());
        started.kill();
        payer.nothing_is_published();
        payer.sim.set_faults(Vec::new());
        let outcome = payer.export(&[]);
        payer.is_whole_after(*kick_offs, &outcome);
        assert_eq!(outcome.stderr.contains("may be running a second export"), *kick_offs == 2, "{outcome}");
    });
}

/// Files were begun that the server had listed while it was still exporting; the second death is as harmless as the first.
#[test]
#[cfg(unix)]
fn it_may_be_killed_again_and_again() {
    let payer = Payer::smart(|scenario| {
        let scenario = scenario.members(&members()).running(6);
        scenario.running_as(|running| running.listed = Listed::Finished)
    });
    for n in [1, 3, 9] {
        payer.sim.set_faults(vec![lakehaul_sim::Rule::new(
            Target::AnyFile,
            When::From(n),
            Fault::stall_headers(FOR_EVER),
        )]);
        let before = files(&payer.sim.log()).count();
        let started = payer.start(&["--idle-timeout", "10min"]);
        let come = |log: &[Seen]| files(log).count() >= before + n as usize;
        assert!(payer.sim.wait_until(SOON, come), "{:#?}", payer.sim.log());
        started.kill();
        payer.nothing_is_published();
    }
    payer.sim.set_faults(Vec::new());
    payer.is_whole(&payer.export(&[]));
}

#[test]
fn a_finished_export_again_asks_for_nothing() {
    for personality in
        [Personality::OneupProvider, Personality::OneupPayer, Personality::OneupPopulation, Personality::Smart]
    {
        let payer = Payer::new(personality, |scenario| scenario.members(&members()));
        payer.is_whole(&payer.export(&[]));
        let (asked, records) = (payer.sim.log().len(), payer.records());
        let again = payer.export(&[]);
        again.exits_with(0).prints("has already finished").prints("--since last").prints("--new-run");
        assert_eq!((payer.sim.log().len(), payer.records()), (asked, records), "{again}");
    }
}

#[test]
fn a_new_run_asks_for_all_of_it_again() {
    let payer = Payer::smart(|scenario| scenario.members(&members()));
    payer.is_whole(&payer.export(&[]));
    payer.is_whole_after(2, &payer.export(&["--new-run"]));
    assert_eq!(payer.records().len(), 2);
}

#[test]
fn since_last_begins_where_the_last_export_ended() {
    let payer = Payer::provider(|scenario| scenario.members(&members()));
    let kick_offs = || payer.sim.seen(Endpoint::KickOff);
    payer.is_whole(&payer.export(&[]));
    assert_eq!(kick_offs()[0].query, None);
    let time = payer.record()["transaction_time"].as_str().expect("a time").to_owned();
    payer.is_whole_after(2, &payer.export(&["--since", "last"]));
    assert_eq!(payer.records().len(), 2);
    let asked = format!("_since={time}");
    assert_eq!(kick_offs()[1].query.as_deref(), Some(&*asked));

    // What is asked for otherwise is another export: there is no last one of it.
    let outcome = payer.export(&["--since", "last", "--type", "Patient"]);
    outcome.exits_with(0).tells("the lake has no complete run of this export yet");
    assert_eq!(kick_offs()[2].query.as_deref(), Some("_type=Patient"));
    payer.place.run(&["verify", LAKE]).exits_with(0);
}

/// What was partial is not a beginning for what follows: it would be missing for ever.
#[test]
fn since_last_does_not_follow_a_partial_export() {
    let payer = Payer::provider(|scenario| {
        scenario.members(&members()).fault("Claim.0001.ndjson", When::Always, Fault::status(404))
    });
    payer.export(&[]).exits_with(6);
    payer.sim.set_faults(Vec::new());
    // There is nothing to follow, so all is asked for, and that has been done: as badly as it was.
    let outcome = payer.export(&["--since", "last"]);
    outcome.exits_with(6).tells("the lake has no complete run of this export yet").prints("--new-run");
    let outcome = payer.export(&["--since", "last", "--new-run"]);
    outcome.exits_with(0);
    let asked: Vec<_> = payer.sim.seen(Endpoint::KickOff).into_iter().map(|seen| seen.query).collect();
    assert_eq!(asked, [None, None], "{outcome}");
    payer.export(&["--since", "last"]).exits_with(0);
    let asked = payer.sim.seen(Endpoint::KickOff).pop().and_then(|seen| seen.query);
    assert!(asked.is_some_and(|query| query.starts_with("_since=")));
}
