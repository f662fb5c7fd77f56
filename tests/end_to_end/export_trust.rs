//! Whom an export trusts, and what it makes of answers that are not as they should be: credentials by origin, failures
//! told apart, hostile manifests, TLS; and every quirk of a payer's API that is known.
//!
//! Nearly all of it is tables of [`Case`]s: a payer, a command, an exit code, what stderr says.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use lakehaul_sim::{Origin, Personality, Scenario};

use crate::lakehaul::Outcome;
use crate::payer::{Payer, patient_file};

mod flows;
mod quirks;
mod authentication;
mod origins;
mod redirects;
mod tls;
mod failures;
mod refusals;
mod not_data;
mod hostile_manifests;
mod secrets;
mod commands;

/// One export and how it ends. `{origin}`, `{other_origin}` and `{plain_origin}` are the payer's in `arguments` and
/// `tells`; `ca.pem` is the certificate to trust, if it has TLS.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    personality: Personality,
    scene: fn(Scenario) -> Scenario,
    arguments: &'static [&'static str],
    code: i32,
    /// Stderr has each of them.
    tells: &'static [&'static str],
    then: fn(&Payer, &Outcome),
}

/// All of it arrives, and nobody is asked for what he should not be.
const WHOLE: Case = Case {
    name: "",
    personality: Personality::Smart,
    scene: two_files,
    arguments: &[],
    code: 0,
    tells: &[],
    then: |payer, outcome| payer.is_whole(outcome),
};

/// Exit code 3, and readers find nothing.
const REFUSED: Case = Case { code: 3, then: |payer, _| is_left_alone(payer), ..WHOLE };

/// Exit code 4, and readers find nothing.
const FAILED: Case = Case { code: 4, ..REFUSED };

/// Exit code 5 after all retries, and readers find nothing.
const GIVES_OUT: Case = Case {
    code: 5,
    arguments: &["--retries", "2"],
    tells: &["also after 2 retries", "run the same command again"],
    ..REFUSED
};

impl Case {
    #[track_caller]
    fn check(&self) {
        let payer = Payer::new(self.personality, self.scene);
        if let Some(pem) = payer.sim.ca_pem() {
            payer.place.write("ca.pem", pem);
        }
        let arguments: Vec<String> = self.arguments.iter().map(|argument| filled_in(&payer, argument)).collect();
        let outcome = payer.export(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        outcome.exits_with(self.code);
        for part in self.tells {
            outcome.tells(&filled_in(&payer, part));
        }
        (self.then)(&payer, &outcome);
    }
}

/// Checks each of them, and names those that fail; what they found wrong is told before.
#[track_caller]
fn check(cases: &[Case]) {
    check_each(cases.iter().map(|case| (case.name, case)), Case::check);
}

/// The same for cases of any kind, each with its name.
#[track_caller]
fn check_each<N: Display, C>(cases: impl IntoIterator<Item = (N, C)>, check: impl Fn(C)) {
    let failed = |(name, case)| catch_unwind(AssertUnwindSafe(|| check(case))).is_err().then(|| format!("{name}"));
    let failed: Vec<String> = cases.into_iter().filter_map(failed).collect();
    assert!(failed.is_empty(), "these fail: {failed:#?}");
}

fn filled_in(payer: &Payer, text: &str) -> String {
    let text = text.replace("{other_origin}", &payer.sim.other_origin()).replace("{origin}", &payer.sim.origin());
    payer.sim.plain_origin().map_or_else(|| text.clone(), |plain| text.replace("{plain_origin}", &plain))
}

/// Five patients in two files.
fn two_files(scenario: Scenario) -> Scenario {
    scenario.file(patient_file("a", 3)).file(patient_file("b", 2))
}

/// Nothing is published, no secret went astray, and the payer was asked for nothing that it does not document.
#[track_caller]
fn is_left_alone(payer: &Payer) {
    payer.nothing_is_published();
    payer.is_well_behaved();
}

/// Requests that the other origin has got, as `GET /path`.
fn asked_at_other_origin(payer: &Payer) -> Vec<String> {
    let seen = payer.sim.log().into_iter().filter(|seen| seen.origin == Origin::Other);
    seen.map(|seen| format!("{} {}", seen.method, seen.path)).collect()
}

/// All folders and files below a folder, sorted.
fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            paths.extend(below(&path));
        }
        paths.push(path);
    }
    paths.sort();
    paths
}
