//! Killed at any moment, run again, the same lake.
//!
//! Each trial is one lake: a command dies of SIGKILL one to three times, at moments that follow from the trial's seed, and
//! is then run to its end. A run of ten deaths is a sample; `LAKEHAUL_KILLS=100` asks for a hundred. A trial that fails
//! names the command that repeats it.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use lakehaul_sim::members::{LateColumns, Members, MembersOptions, ResourceType, Role, Split};
use lakehaul_sim::{Compressed, Endpoint, Fault, Gzip, Personality, Ranges, Target, When};
use serde_json::Value;

use crate::lakehaul::{Outcome, Place, text};
use crate::payer::{LAKE, Payer};
use crate::watching::Watching;

/// Trials mostly wait for a payer that is slow.
const AT_A_TIME: usize = 3;
const TOO_LONG: Duration = Duration::from_secs(120);

/// When a command dies.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after its start.
    After(Duration),
    /// So long after its commit has been written down: the last few per cent, whatever else the machine does.
    Committing(Duration),
}

/// One lake and the deaths in it.
#[derive(Debug, Clone)]
struct Trial {
    seed: u64,
    moments: Vec<Moment>,
    /// `--checkpoint 0s` for the first run of every second one: more to take up, and more states to die in.
    checkpoint: &'static [&'static str],
}

impl Trial {
    /// What the seed says of it; `whole` is about what a run takes.
    fn new(seed: u64, whole: Duration) -> Trial {
        let mut chance = fastrand::Rng::with_seed(seed);
        let deaths = 1 + chance.usize(..3);
        let mut left = whole;
        let moments = (0..deaths).map(|_| {
            if chance.f64() < 0.3 {
                return Moment::Committing(Duration::from_micros(chance.u64(..12_000)));
            }
            let after = left.mul_f64(chance.f64());
            left = left.saturating_sub(after).max(whole / 5);
            Moment::After(after)
        });
        let moments = moments.collect();
        Trial { seed, moments, checkpoint: if seed.is_multiple_of(2) { &["--checkpoint", "0s"] } else { &[] } }
    }
}

/// Trials with so many deaths in all, or the one that is asked for.
#[expect(clippy::disallowed_methods, reason = "how much a test run checks is the environment's to say")]
fn trials(share_of_kills: usize, whole: Duration) -> Vec<Trial> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    if let Some(seed) = number("LAKEHAUL_KILL_SEED") {
        return vec![Trial::new(seed, whole)];
    }
    let kills = usize::try_from(number("LAKEHAUL_KILLS").unwrap_or(10)).expect("a number of deaths") / share_of_kills;
    let mut deaths = 0;
    (1..)
        .map(|seed| Trial::new(seed, whole))
        .take_while(|trial| {
            let more = deaths < kills;
            deaths += trial.moments.len();
            more
        })
        .collect()
}

/// Checks all of them, a few at a time.
#[track_caller]
#[expect(clippy::print_stderr, reason = "how a failure is repeated is worth more than that there is one")]
fn check_each(test: &str, trials: &[Trial], check: impl Fn(&Trial) + Sync) {
    let (queue, failed) = (Mutex::new(trials.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(trials.len()) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("nothing is checked under the lock").next();
                    let Some(trial) = next else { return };
                    if catch_unwind(AssertUnwindSafe(|| check(trial))).is_err() {
                        eprintln!(
                            "{trial:?} fails; again: LAKEHAUL_KILL_SEED={} cargo test --test end_to_end {test}",
                            trial.seed
                        );
                        failed.lock().expect("nothing is checked under the lock").push(trial.seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nothing is checked under the lock");
    assert!(failed.is_empty(), "these seeds of {} fail: {failed:?}", trials.len());
}

/// Runs the command and kills it at the moment, if it has not ended before. Stdout and stderr go into files, which nobody
/// needs to read for the command to go on.
#[track_caller]
fn run(place: &Place, command: &mut Command, moment: Option<Moment>) -> Outcome {
    let log = |name: &str| File::create(place.path(name)).expect("a file can be made");
    let mut child = command.stdout(log("stdout")).stderr(log("stderr")).spawn().expect("the binary starts");
    let (begun, mut committing) = (Instant::now(), None);
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        let come = match moment {
            None => begun.elapsed() >= TOO_LONG,
            Some(Moment::After(after)) => begun.elapsed() >= after,
            Some(Moment::Committing(after)) => {
                if committing.is_none() && is_committing(&place.path(LAKE)) {
                    committing = Some(Instant::now());
                }
                committing.is_some_and(|since| since.elapsed() >= after) || begun.elapsed() >= TOO_LONG
            }
        };
        if come {
            child.kill().expect("a child can be killed");
        } else {
            wait(Duration::from_micros(300));
        }
    };
    assert!(begun.elapsed() < TOO_LONG, "the command does not end");
    let told = |name: &str| std::fs::read_to_string(place.path(name)).expect("a text");
    Outcome { code: status.code(), stdout: told("stdout"), stderr: told("stderr") }
}

fn is_committing(lake: &Path) -> bool {
    let runs = std::fs::read_dir(lake.join("_lake/staging")).into_iter().flatten().flatten();
    runs.into_iter().any(|run| run.path().join("commit.json").exists())
}

fn wait(duration: Duration) {
    let (_keeps_it_open, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(duration);
}

/// Dies as the trial says, and is run to its end; what all the runs have said, the last one behind.
#[track_caller]
fn die_and_go_on(trial: &Trial, place: &Place, command: impl Fn(&[&str]) -> Command) -> Vec<Outcome> {
    let watching = Watching::begin(&place.path(LAKE));
    let mut outcomes = Vec::new();
    for &moment in &trial.moments {
        let outcome = run(place, &mut command(trial.checkpoint), Some(moment));
        // It has died, or it was faster than its death.
        assert!(matches!(outcome.code, None | Some(0)), "{moment:?}: {outcome}");
        outcomes.push(outcome);
    }
    outcomes.push(run(place, &mut command(&[]), None));
    watching.has_met_whole_files_only();
    outcomes
}

/// The lake has these resources, in its own eyes too, and nothing of the deaths is left.
#[track_caller]
fn is_the_same_lake(place: &Place, resources: &BTreeMap<&str, Vec<String>>) {
    place.run(&["verify", LAKE]).exits_with(0);
    assert_eq!(place.records(LAKE).len(), 1);
    let staged: Vec<_> = std::fs::read_dir(place.path(LAKE).join("_lake/staging")).into_iter().flatten().collect();
    assert!(staged.is_empty(), "{staged:?}");
    for (resource_type, expected) in resources {
        let printed = place.run(&["cat", LAKE, resource_type]);
        let rows = sorted(printed.exits_with(0).stdout.lines());
        let differ = rows.iter().zip(expected).find(|(row, line)| row != line);
        assert!(differ.is_none(), "{resource_type}: {differ:?}");
        assert_eq!(rows.len(), expected.len(), "{resource_type}");
    }
}

/// Lines in an order of their own, and with one way to write a string: a source may escape what a lake does not. Digits are
/// `verify`'s to compare.
fn sorted<'t>(lines: impl Iterator<Item = &'t str>) -> Vec<String> {
    let plain = |line| serde_json::from_str::<Value>(line).expect("a resource is JSON").to_string();
    let mut lines: Vec<_> = lines.filter(|line| !line.trim().is_empty()).map(plain).collect();
    lines.sort();
    lines
}

/// All resources, by type.
fn resources(members: &Members) -> BTreeMap<&'static str, Vec<String>> {
    let mut resources: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (at, file) in members.files().iter().enumerate().filter(|(_, file)| file.role == Role::Output) {
        let lines = std::io::read_to_string(members.open(at).into_reader()).expect("a generator does no I/O");
        resources.entry(file.resource_type).or_default().extend(sorted(lines.lines()));
    }
    resources.values_mut().for_each(|lines| lines.sort());
    resources
}

fn members(members: u64) -> Members {
    use ResourceType::{Claim, Coverage, ExplanationOfBenefit, Observation, Patient};
    Members::new(MembersOptions {
        members,
        types: vec![Patient, Coverage, ExplanationOfBenefit, Claim, Observation],
        split: Split::Files(3),
        // Parts have to be widened before they are published.
        late_columns: LateColumns::LastPerMille(100),
        blank_per_mille: 10,
        deletions: 20,
        ..MembersOptions::default()
    })
}

static EXPORTED: LazyLock<(Members, BTreeMap<&str, Vec<String>>)> = LazyLock::new(|| {
    let members = members(40);
    let resources = resources(&members);
    (members, resources)
});

/// Files that come slowly and in every way: a third compressed, a quarter only whole.
fn slow_payer() -> Payer {
    let mut nth = 0;
    Payer::new(Personality::Smart, |scenario| {
        let scenario = scenario.members(&EXPORTED.0).running(2).each_file(|file| {
            nth += 1;
            let file = if nth % 3 == 0 { file.compressed(Compressed::IfAccepted(Gzip::ManyMembers)) } else { file };
            if nth % 4 == 0 { file.ranges(Ranges::Ignored) } else { file }
        });
        scenario
            .fault(Target::AnyFile, When::Always, Fault::drip(16 << 10, Duration::from_millis(35)))
            .fault(Endpoint::KickOff, When::Always, Fault::stall_headers(Duration::from_millis(100)))
            .fault(Endpoint::Status, When::Always, Fault::stall_headers(Duration::from_millis(50)))
    })
}

#[test]
fn an_export_that_is_killed_anywhere() {
    // What a run of a debug build takes where nothing else runs: the payer's pace, for the most part.
    let whole = Duration::from_millis(2500);
    check_each("an_export_that_is_killed_anywhere", &trials(2, whole), |trial| {
        let payer = slow_payer();
        let outcomes = die_and_go_on(trial, &payer.place, |more| payer.command(&[&["export"], more].concat()));
        let unsure =
            outcomes.iter().filter(|outcome| outcome.stderr.contains("may be running a second export")).count();
        let kick_offs = payer.sim.export_count();
        assert!(
            (1..=1 + unsure).contains(&kick_offs),
            "{kick_offs} kick-offs, {unsure} of them for fear of a lost answer"
        );
        let last = outcomes.last().expect("it was run to its end");
        payer.is_whole_after(kick_offs, last);
        is_the_same_lake(&payer.place, &EXPORTED.1);
    });
}

#[test]
fn a_load_that_is_killed_anywhere() {
    let inputs = Place::new();
    let members = members(150);
    for (at, file) in members.files().iter().enumerate().filter(|(_, file)| file.role == Role::Output) {
        let path = inputs.write(&format!("in/{}", file.name), "");
        std::io::copy(&mut members.open(at).into_reader(), &mut File::create(path).expect("a file can be made"))
            .expect("a file can be written");
    }
    let (resources, input) = (resources(&members), inputs.path("in"));
    let load = |place: &Place, more: &[&str]| {
        place.command(&[&["load", text(&input), "--to", LAKE, "--threads", "2"], more].concat())
    };
    // How long it takes is the machine's to say.
    let (place, begun) = (Place::new(), Instant::now());
    run(&place, &mut load(&place, &["--checkpoint", "0s"]), None).exits_with(0);
    let whole = begun.elapsed();
    is_the_same_lake(&place, &resources);

    check_each("a_load_that_is_killed_anywhere", &trials(2, whole), |trial| {
        let place = Place::new();
        let outcomes = die_and_go_on(trial, &place, |more| load(&place, more));
        outcomes.last().expect("it was run to its end").exits_with(0);
        is_the_same_lake(&place, &resources);
        place.run(&["verify", LAKE, "--roundtrip", text(&input)]).exits_with(0);
    });
}
