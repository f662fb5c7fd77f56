//! Memory is a setting, not a function of the input: peak resident memory stays within `--memory` plus 64 MiB, however
//! much comes and however long a line is.
//!
//! The peak is what the kernel counted for the child (`wait4`). Inputs are streamed into its stdin or written as files
//! piece by piece, so that this process stays small: a child inherits its parent's peak until it runs.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use lakehaul_sim::{Compressed, Door, FileAccess, GroupAt, Gzip, MatchAnswer, Personality, Scenario, ServedFile, Sim};
use wait4::Wait4;

const MIB: u64 = 1 << 20;
/// What the promise leaves for code, stacks and the allocator.
const SLACK: u64 = 64 * MIB;

/// Loads what `feed` writes and returns exit code, peak and stdout of the load.
fn load(lake: &Path, options: &[&str], feed: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> (Option<i32>, u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lakehaul"))
        .args(["load", "-", "--quiet", "--to"])
        .arg(lake)
        .args(options)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut pipe = BufWriter::with_capacity(1 << 16, child.stdin.take().expect("stdin is a pipe"));
    feed(&mut pipe).expect("the load reads all of it");
    drop(pipe);
    let ended = child.wait4().expect("the load ends");
    (ended.status.code(), ended.rusage.maxrss)
}

#[track_caller]
#[expect(clippy::print_stderr, reason = "the figure is worth seeing with --nocapture")]
fn check(peak: u64, memory: u64) {
    eprintln!("peak {} MiB of {} + {} MiB", peak / MIB, memory / MIB, SLACK / MIB);
    assert!(peak <= memory + SLACK, "peak memory {} MiB, allowed {} MiB", peak / MIB, (memory + SLACK) / MIB);
    assert!(peak > 8 * MIB, "the peak was not measured");
}

fn run_record(lake: &Path) -> serde_json::Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_lakehaul")).arg("runs").arg(lake).arg("--json").output().expect("runs");
    serde_json::from_slice(&output.stdout).expect("one run")
}

fn rows(lake: &Path) -> u64 {
    run_record(lake)["totals"]["rows"].as_u64().expect("a count")
}

/// Lines of several types, their values hardly ever the same, about 600 bytes each.
fn feed_many(out: &mut dyn Write, bytes: u64) -> io::Result<u64> {
    let (mut written, mut lines, mut state) = (0, 0_u64, 1_u64);
    let mut line = String::new();
    while written < bytes {
        // An LCG (Knuth's constants): noise that no dictionary holds.
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{:016x}", state >> 3)
        };
        let (a, b, c, d) = (noise(), noise(), noise(), noise());
        line.clear();
        line.push_str(&match lines % 4 {
            0 => format!(
                r#"{{"resourceType":"Patient","id":"{a}","name":[{{"family":"{b}","given":["{c}","{d}"]}}],"birthDate":"19{:02}-02-03","#,
                lines % 100
            ),
            1 => format!(
                r#"{{"resourceType":"Observation","id":"{a}","status":"final","code":{{"text":"{b}"}},"valueQuantity":{{"value":{}.{},"unit":"{c}"}},"#,
                lines % 977,
                lines % 89
            ),
            2 => format!(
                r#"{{"resourceType":"ExplanationOfBenefit","id":"{a}","patient":{{"reference":"Patient/{b}"}},"item":[{{"sequence":1,"net":{{"value":{}.50,"currency":"USD"}}}},{{"sequence":2,"productOrService":{{"text":"{c}"}}}}],"#,
                lines % 4999
            ),
            _ => format!(r#"{{"resourceType":"Encounter","id":"{a}","period":{{"start":"2021-03-04T05:06:07Z"}},"reasonCode":[{{"text":"{b}"}}],"#),
        });
        line.push_str(&format!(
            r#""text":{{"status":"generated","div":"<div>{}</div>"}}}}"#,
            [a, b, c, d].join(" ").repeat(4)
        ));
        line.push('\n');
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        lines += 1;
    }
    Ok(lines)
}

fn feed_long(out: &mut dyn Write, mebibytes: usize) -> io::Result<()> {
    let piece = "lorem ipsum dolor ".repeat(MIB as usize / 18 + 1);
    out.write_all(br#"{"resourceType":"Patient","id":"long","text":{"status":"generated","div":"<div>"#)?;
    for _ in 0..mebibytes {
        out.write_all(&piece.as_bytes()[..MIB as usize])?;
    }
    out.write_all(b"</div>\"}}\n{\"resourceType\":\"Patient\",\"id\":\"after\"}\n")
}

#[test]
fn an_input_larger_than_the_budget() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lines = 0;
    let (code, peak) = load(folder.path(), &["--memory", "256MiB"], |out| {
        lines = feed_many(out, 500 * MIB)?;
        Ok(())
    });
    assert_eq!(code, Some(0));
    assert_eq!(rows(folder.path()), lines);
    check(peak, 256 * MIB);
}

#[test]
fn a_line_of_64_mb_is_loaded_with_the_defaults() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, peak) = load(folder.path(), &[], |out| feed_long(out, 64));
    assert_eq!(code, Some(0));
    assert_eq!(rows(folder.path()), 2);
    check(peak, 1024 * MIB);
}

#[test]
fn a_line_beyond_max_line_is_rejected_without_holding_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, peak) = load(folder.path(), &["--memory", "128MiB"], |out| feed_long(out, 300));
    assert_eq!(code, Some(7));
    assert_eq!(rows(folder.path()), 1);
    check(peak, 128 * MIB);
}

/// Exports what the payer has, as many files at once as it may; exit code and peak.
fn export(lake: &Path, sim: &Sim, options: &[&str]) -> (Option<i32>, u64) {
    export_by(Command::new(env!("CARGO_BIN_EXE_lakehaul")), lake, sim, options)
}

fn export_by(mut program: Command, lake: &Path, sim: &Sim, options: &[&str]) -> (Option<i32>, u64) {
    let child = program
        .args(["export", "--kind", "smart", "--no-auth", "--quiet", "--concurrency", "64", "--base-url"])
        .arg(sim.base_url())
        .arg("--to")
        .arg(lake)
        .args(options)
        .env_clear()
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let ended = child.wait4().expect("the export ends");
    (ended.status.code(), ended.rusage.maxrss)
}

#[test]
fn sixty_four_files_at_once() {
    // The seed is varied enough that no dictionary holds it, and repeated so that this process stays small.
    let mut seed = Vec::new();
    let lines = feed_many(&mut seed, 2 * MIB).expect("memory takes it");
    let file = |n: usize| {
        let file = ServedFile::repeated("Patient", seed.clone(), 4).undeclared().named(&format!("{n}.ndjson"));
        if n.is_multiple_of(4) { file.compressed(Compressed::IfAccepted(Gzip::ManyMembers)) } else { file }
    };
    let scenario = Scenario::new(Personality::Smart).door(Door::Open).file_access(FileAccess::Open);
    let sim = Sim::start(scenario.files((0..64).map(file))).expect("a payer on loopback");
    let folder = tempfile::tempdir().expect("a folder");
    let (code, peak) = export(folder.path(), &sim, &["--memory", "256MiB"]);
    assert_eq!(code, Some(0));
    assert_eq!(rows(folder.path()), 64 * 4 * lines);
    check(peak, 256 * MIB);
}

/// Back-pressure: where the disk takes long for each write, the sockets wait, and memory stays what it was. strace makes the
/// disk slow; without it a word on stderr says that nothing was checked.
#[test]
fn a_slow_destination() {
    let traced = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    if !traced.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no strace, or it may not trace");
        return;
    }
    let mut seed = Vec::new();
    let lines = feed_many(&mut seed, 2 * MIB).expect("memory takes it");
    let file = |n: usize| ServedFile::repeated("Patient", seed.clone(), 6).undeclared().named(&format!("{n}.ndjson"));
    let scenario = Scenario::new(Personality::Smart).door(Door::Open).file_access(FileAccess::Open);
    let sim = Sim::start(scenario.files((0..12).map(file))).expect("a payer on loopback");
    let timed = |program: Command| {
        let folder = tempfile::tempdir().expect("a folder");
        let begun = std::time::Instant::now();
        let (code, peak) = export_by(program, folder.path(), &sim, &["--memory", "128MiB"]);
        assert_eq!(code, Some(0));
        assert_eq!(rows(folder.path()), 12 * 6 * lines);
        (begun.elapsed(), peak)
    };
    let (fast, peak) = timed(Command::new(env!("CARGO_BIN_EXE_lakehaul")));
    check(peak, 128 * MIB);
    // The peak is strace's children's too.
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e", "inject=write:delay_enter=20000"]);
    let (slow, peak) = timed({
        strace.arg(env!("CARGO_BIN_EXE_lakehaul"));
        strace
    });
    eprintln!("{fast:?} with a fast disk, {slow:?} with a slow one");
    check(peak, 128 * MIB);
    assert!(slow > 2 * fast, "the disk was not slow: {slow:?} against {fast:?}");
}

/// `lakehaul match` against a payer; its exit code and peak.
fn matched(sim: &Sim, folder: &Path, arguments: &[&str]) -> (Option<i32>, u64) {
    let credentials = sim.credentials();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakehaul"));
    command
        .args(arguments)
        .args(["--memory", "128MiB", "--quiet", "--to"])
        .arg(folder.join("lake"))
        .current_dir(folder)
        .env_clear()
        .env("LAKEHAUL_BASE_URL", sim.base_url())
        .stdout(Stdio::null());
    command.env("LAKEHAUL_CLIENT_ID", credentials.client_id).env("LAKEHAUL_CLIENT_SECRET", credentials.client_secret);
    let child = command.spawn().expect("the binary starts");
    let ended = child.wait4().expect("the command ends");
    (ended.status.code(), ended.rusage.maxrss)
}

/// A roster is read line by line, however long it is; of a member an outcome stays in memory.
#[test]
fn a_roster_of_twenty_thousand() {
    let scenario = Scenario::new(Personality::OneupPayer);
    let patient = ServedFile::new("Patient", "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n");
    let scenario = scenario.group("g", [patient]);
    let group = || MatchAnswer::Group { id: "g".to_owned(), at: GroupAt::ValueString };
    let sim = Sim::start(scenario.match_members(move |_| group())).expect("a payer on loopback");
    let folder = tempfile::tempdir().expect("a folder");
    let mut roster = "family,given,birthDate,memberId,consentPolicy,consentStart,consentEnd\n".to_owned();
    for member in 0..20_000 {
        roster.push_str(&format!("Family{member},Given,1960-01-02,{member},regular,2026-01-01,2026-12-31\n"));
    }
    std::fs::write(folder.path().join("roster.csv"), roster).expect("a roster");
    let arguments = ["match", "--kind", "oneup-payer", "--tenant", "bison", "--roster", "roster.csv"];
    let (code, peak) = matched(&sim, folder.path(), &[&arguments[..], &["--per-minute", "600000"]].concat());
    assert_eq!((code, sim.match_count()), (Some(0), 20_000));
    check(peak, 128 * MIB);
}

/// Pages are held while they are read, as many as there are searches at once. The payer is a process of its own, for it
/// holds what is searched.
#[test]
fn a_search_larger_than_the_budget() {
    let mut sim = Command::new(env!("CARGO_BIN_EXE_lakehaul"))
        .args(["sim", "--kind", "oneup-patient", "--members", "2000", "--json"])
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .expect("the payer starts");
    let mut told = String::new();
    io::BufReader::new(sim.stdout.take().expect("stdout is a pipe")).read_line(&mut told).expect("it says where it is");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let folder = tempfile::tempdir().expect("a folder");
    let types = "Patient,Coverage,Claim,Organization,Condition,Observation,Procedure,Encounter,ExplanationOfBenefit";
    let command = Command::new(env!("CARGO_BIN_EXE_lakehaul"))
        .args(["search", "--kind", "oneup-patient", "--type", types, "--memory", "128MiB", "--quiet", "--to"])
        .arg(folder.path())
        .env_clear()
        .env("LAKEHAUL_BASE_URL", told["base_url"].as_str().expect("a URL"))
        .env("LAKEHAUL_TOKEN", told["token"].as_str().expect("a token"))
        .stdout(Stdio::null())
        .spawn();
    let ended = command.expect("the binary starts").wait4().expect("the command ends");
    let stopped = sim.kill().and_then(|()| sim.wait());
    assert!(stopped.is_ok(), "{stopped:?}");
    assert_eq!(ended.status.code(), Some(0));
    let record = run_record(folder.path());
    assert!(record["totals"]["content_bytes"].as_u64() > Some(200 * MIB), "{}", record["totals"]);
    check(ended.rusage.maxrss, 128 * MIB);
}
