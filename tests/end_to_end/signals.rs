//! A signal while a lake is written: the command is out in two seconds, and the same command goes on from there.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lakehaul_sim::members::{Members, MembersOptions, Split};
use lakehaul_sim::{At, Endpoint, Fault, Seen, Target, When};
use serde_json::Value;

use crate::lakehaul::{Outcome, Place, outcome};
use crate::payer::{LAKE, Payer, patients};

/// Between a signal and the end, whatever the command is at.
const OUT: Duration = Duration::from_secs(2);
/// What "at once" is on a machine that has much else to do.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Long enough for a machine that has much else to do.
const SOON: Duration = Duration::from_secs(30);
const FOR_EVER: Duration = Duration::from_secs(600);

/// A command that is to be interrupted; it is killed when this is dropped.
struct Running(Option<Child>);

impl Running {
    fn start(command: &mut Command) -> Running {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(Some(command.spawn().expect("the binary starts")))
    }

    #[track_caller]
    fn signal(&self, name: &str) {
        let id = self.0.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill is there");
        assert!(sent.success(), "it has ended before the signal came");
    }

    /// Waits until it has told that a signal has come: the kernel may make one of two that come together.
    fn tells_of_the_signal(&mut self) {
        let stderr = self.0.as_mut().and_then(|child| child.stderr.take()).expect("stderr is a pipe");
        let told = BufReader::new(stderr).lines().map_while(Result::ok).any(|line| line.contains("saving the state"));
        assert!(told, "it has ended and told nothing of the signal");
    }

    /// Its end, which must come within `most`.
    #[track_caller]
    fn ends_within(mut self, most: Duration) -> Outcome {
        let child = self.0.take().expect("it runs");
        let id = child.id().to_string();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        receiver.recv_timeout(most).map_or_else(
            |_| {
                let killed = Command::new("kill").args(["-9", &id]).status();
                panic!("the command has not ended {most:?} after the signal; killed: {killed:?}");
            },
            |output| outcome(output.expect("the binary ends")),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // An error says that it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn members() -> Members {
    Members::new(MembersOptions { members: 20, split: Split::Files(2), ..MembersOptions::default() })
}

fn at_the_status(log: &[Seen]) -> bool {
    log.iter().filter(|seen| seen.endpoint == Endpoint::Status).count() == 2
}

fn in_the_files(log: &[Seen]) -> bool {
    log.iter().any(|seen| matches!(seen.endpoint, Endpoint::File(_)) && seen.body_bytes == 2000)
}

/// `come` tells from the server's log that the moment of the signal has come.
#[track_caller]
fn check_export(signal: &str, code: i32, target: impl Into<Target>, fault: Fault, come: fn(&[Seen]) -> bool) {
    let payer = Payer::provider(|scenario| scenario.members(&members()).running(2).fault(target, When::From(2), fault));
    let running = Running::start(&mut payer.command(&["export", "--idle-timeout", "10min"]));
    assert!(payer.sim.wait_until(SOON, come), "{:#?}", payer.sim.log());
    running.signal(signal);
    let outcome = running.ends_within(OUT);
    outcome.exits_with(code).tells("saving the state").tells("run the same command again");
    payer.nothing_is_published();
    let staging = std::fs::read_dir(payer.place.path(LAKE).join("_lake/staging")).expect("a folder");
    let runs: Vec<_> = staging.map(|entry| entry.expect("an entry").path()).collect();
    assert!(matches!(&runs[..], [run] if run.join("export.json").is_file()), "{runs:?}");

    payer.sim.set_faults(Vec::new());
    payer.is_whole(&payer.export(&[]));
}

#[test]
fn an_interrupted_export_is_taken_up() {
    check_export("TERM", 143, Endpoint::Status, Fault::stall_headers(FOR_EVER), at_the_status);
    check_export("INT", 130, Endpoint::Status, Fault::stall_headers(FOR_EVER), at_the_status);
    check_export("TERM", 143, Target::AnyFile, Fault::stall_at(At::Body(2000), FOR_EVER), in_the_files);
}

/// Stdin gives some lines and then keeps silent: nobody can read on, and nobody can tell that it ends.
fn load_of_a_slow_stdin(place: &Place, arguments: &[&str]) -> (Running, std::process::ChildStdin) {
    let mut running =
        Running::start(place.command(&[&["load", "-", "--to", LAKE], arguments].concat()).stdin(Stdio::piped()));
    let mut stdin = running.0.as_mut().and_then(|child| child.stdin.take()).expect("stdin is a pipe");
    stdin.write_all(patients("p", 100).as_bytes()).expect("it reads");
    let plan = || {
        let staging = std::fs::read_dir(place.path(LAKE).join("_lake/staging")).ok()?;
        staging.flatten().find(|entry| entry.path().join("plan.json").is_file())
    };
    let begun = Instant::now();
    while plan().is_none() {
        assert!(begun.elapsed() < SOON, "the load does not begin");
        std::thread::yield_now();
    }
    (running, stdin)
}

#[test]
fn a_load_that_waits_for_its_input_leaves_too() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let place = Place::new();
        let (running, _stdin) = load_of_a_slow_stdin(&place, &[]);
        running.signal(signal);
        let outcome = running.ends_within(OUT);
        outcome.exits_with(code).tells("saving the state").tells("run the same command again");
        assert_eq!(place.records(LAKE).iter().filter(|run| run["status"] != "unfinished").count(), 0);

        place.run_on(patients("p", 100).as_bytes(), &["load", "-", "--to", LAKE]).exits_with(0);
        assert_eq!(place.sorted_rows(LAKE, "Patient").len(), 100);
        place.run(&["verify", LAKE]).exits_with(0);
    }
}

#[test]
fn a_second_signal_leaves_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let place = Place::new();
        let (mut running, _stdin) = load_of_a_slow_stdin(&place, &[]);
        running.signal(signal);
        running.tells_of_the_signal();
        running.signal(signal);
        running.ends_within(AT_ONCE).exits_with(code);
    }
}

#[test]
fn programs_are_told_too() {
    let place = Place::new();
    let (running, _stdin) = load_of_a_slow_stdin(&place, &["--json"]);
    running.signal("TERM");
    let outcome = running.ends_within(OUT);
    let events: Vec<Value> =
        outcome.exits_with(143).stderr.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let of = |name: &str| events.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("{outcome}"));
    assert_eq!(of("interrupted")["signal"], "SIGTERM");
    assert_eq!(of("error")["exit"], 143);
}

/// What writes no lake has nothing to save.
#[test]
fn the_simulated_payer_ends_as_it_always_did() {
    use std::os::unix::process::ExitStatusExt;

    let place = Place::new();
    let mut running = Running::start(&mut place.command(&["sim", "--members", "1"]));
    let mut first = String::new();
    let stdout = running.0.as_mut().and_then(|child| child.stdout.take()).expect("a pipe");
    BufReader::new(stdout).read_line(&mut first).expect("a line");
    assert!(first.contains("simulated payer"), "{first}");
    running.signal("TERM");
    let mut child = running.0.take().expect("it has been started");
    assert_eq!(child.wait().expect("it ends").signal(), Some(15));
}
