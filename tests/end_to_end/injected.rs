//! A load that dies at the k-th system call of a kind, or whose k-th is refused, and the same command after it: the same
//! lake. `strace` does it; where it is absent, or may not trace, a word on stderr says that nothing was checked.
//!
//! strace counts by thread, so the first thread to reach k calls is the one that is hit. With and without checkpoints it
//! is another one: the journal's writes, or the commit's. `LAKEHAUL_ALL_FAULTS=1` tries every k, otherwise a sample.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

use crate::lakehaul::{Outcome, Place, outcome};
use crate::payer::{LAKE, patients};

/// More calls of a kind than a load of these few lines makes.
const MOST: usize = 400;
/// How many are left out between two in a sample: few enough to meet each step of a commit in one run of many.
const STRIDE: usize = 4;

const OFTEN: &[&str] = &["--checkpoint", "0s"];
const SELDOM: &[&str] = &[];

/// Two tables, one of them of two files, and a line that goes to quarantine.
fn place_with_inputs() -> Place {
    let place = Place::new();
    place.write("in/a.ndjson", patients("a", 400));
    place.write("in/b.ndjson", format!("{}no resource\n", patients("b", 300)));
    place.write("in/c.ndjson", patients("c", 300).replace("Patient", "Person"));
    place
}

fn load(place: &Place, checkpoint: &[&str]) -> Command {
    place.command(&[&["load", "in", "--to", LAKE, "--allow-rejects", "--threads", "2"], checkpoint].concat())
}

/// The load under strace with this injection.
fn load_with(place: &Place, checkpoint: &[&str], injection: &str) -> Outcome {
    let load = load(place, checkpoint);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={injection}")]);
    command.arg(load.get_program()).args(load.get_args()).current_dir(place.path(""));
    command.env("XDG_CONFIG_HOME", place.path("config")).stdin(Stdio::null());
    outcome(command.output().expect("strace starts"))
}

/// Whether strace is there and may trace; a word about it where not.
#[expect(clippy::print_stderr, reason = "a test that checks nothing has to say so")]
fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    let can = traced.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: there is no strace, or it may not trace");
    }
    can
}

#[expect(clippy::disallowed_methods, reason = "how much a test run checks is the environment's to say")]
fn stride() -> usize {
    if std::env::var_os("LAKEHAUL_ALL_FAULTS").is_some() { 1 } else { STRIDE }
}

/// The load, run to its end by itself, has all rows, and nothing of what went wrong is left.
#[track_caller]
fn goes_on(place: &Place, what: &str) {
    let again = outcome(load(place, &[]).output().expect("the binary starts"));
    assert_eq!(again.code, Some(0), "after {what}: {again}");
    let verified = place.run(&["verify", LAKE]);
    assert_eq!(verified.code, Some(0), "after {what}: {verified}");
    assert_eq!(place.records(LAKE).len(), 1, "after {what}");
    for (resource_type, files) in [("Patient", &[("a", 400), ("b", 300)][..]), ("Person", &[("c", 300)])] {
        let lines: String = files.iter().map(|(prefix, count)| patients(prefix, *count)).collect();
        let rows = place.sorted_rows(LAKE, resource_type).join("\n") + "\n";
        assert!(rows == lines.replace("Patient", resource_type), "after {what}: other rows of {resource_type}");
    }
    let staged: Vec<_> = std::fs::read_dir(place.path(LAKE).join("_lake/staging")).into_iter().flatten().collect();
    assert!(staged.is_empty(), "after {what}: {staged:?}");
}

/// Each k, or each few, until the load makes no k-th call.
#[track_caller]
fn check(calls: &str, fault: &str, checkpoint: &[&str], stride: usize, ends: impl Fn(&str, &Outcome)) {
    for k in (1..MOST).step_by(stride) {
        let place = place_with_inputs();
        let injection = format!("{calls}:{fault}:when={k}");
        let what = format!("{injection} of a load with {checkpoint:?}");
        let outcome = load_with(&place, checkpoint, &injection);
        if outcome.code == Some(0) {
            assert!(k > 1, "{what}: the load makes no such call");
            return;
        }
        ends(&what, &outcome);
        goes_on(&place, &what);
    }
    panic!("{calls}: more than {MOST}");
}

#[test]
fn a_load_that_dies_at_any_step() {
    if !can_trace() {
        return;
    }
    for calls in ["rename,renameat,renameat2", "fsync,fdatasync", "unlink,unlinkat", "mkdir,mkdirat"] {
        for checkpoint in [OFTEN, SELDOM] {
            check(calls, "signal=KILL", checkpoint, stride(), |what, outcome| {
                assert_eq!(outcome.code, None, "{what}: {outcome}");
            });
        }
    }
}

/// The sentence names a file of the lake and the cause.
#[track_caller]
fn is_told(what: &str, outcome: &Outcome, cause: &str, file: &str) {
    assert_eq!(outcome.code, Some(8), "{what}: {outcome}");
    let told = |line: &str| line.contains(cause) && line.contains(file);
    assert!(outcome.stderr.lines().any(told), "{what}: {outcome}");
}

#[test]
fn a_load_whose_disk_fails_at_any_step() {
    if !can_trace() {
        return;
    }
    for checkpoint in [OFTEN, SELDOM] {
        check("fsync,fdatasync", "error=EIO", checkpoint, 2 * stride() - 1, |what, outcome| {
            is_told(what, outcome, "Input/output error", "in the lake");
        });
        for calls in ["rename,renameat,renameat2", "mkdir,mkdirat"] {
            check(calls, "error=ENOSPC", checkpoint, 2 * stride() - 1, |what, outcome| {
                is_told(what, outcome, "No space left on device", "in the lake");
                outcome.tells("make room, then run the same command again");
            });
        }
    }
}
