//! `lakehaul login`, `systems` and `connect`, and searches with what a login left: a person with a browser is played by a
//! few lines of HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use lakehaul_sim::members::{Members, MembersOptions};
use lakehaul_sim::{Endpoint, Login, Personality, Scenario};
use serde_json::Value;

use crate::lakehaul::{Outcome, outcome};
use crate::payer::{LAKE, Payer};

fn members() -> Members {
    Members::new(MembersOptions { members: 10, ..MembersOptions::default() })
}

fn patient_access(scene: impl FnOnce(Scenario) -> Scenario) -> Payer {
    Payer::new(Personality::OneupPatient, |scenario| scene(scenario.searchable(&members())))
}

fn connect(scene: impl FnOnce(Scenario) -> Scenario) -> Payer {
    Payer::new(Personality::OneupConnect, |scenario| scene(scenario.searchable(&members())))
}

fn command(payer: &Payer, arguments: &[&str]) -> Command {
    let mut command = payer.command(arguments);
    command.env("XDG_STATE_HOME", payer.place.path("state"));
    command
}

fn run(payer: &Payer, arguments: &[&str]) -> Outcome {
    payer.finish(&mut command(payer, arguments))
}

/// A GET, as a browser would send it: the answer's status and where it leads.
fn get(url: &str) -> (u16, Option<String>) {
    let rest = url.strip_prefix("http://").expect("plain http on this machine");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut socket = TcpStream::connect(host).expect("somebody listens");
    write!(socket, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("it takes a request");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("it answers");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let location = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    (status, location)
}

/// `lakehaul login` with a browser that does `browse` at the URL that it is to open.
fn log_in(payer: &Payer, arguments: &[&str], browse: impl FnOnce(&str)) -> Outcome {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let redirect = format!("http://127.0.0.1:{port}/callback");
    let fixed = ["login", "--no-browser", "--json", "--redirect-url", &redirect, "--login-timeout", "60s"];
    let mut command = command(payer, &[&fixed, arguments].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
    let mut told = String::new();
    loop {
        let begins = told.len();
        if stderr.read_line(&mut told).expect("stderr is text") == 0 {
            break;
        }
        let event: Value = serde_json::from_str(&told[begins..]).unwrap_or_default();
        if event["event"] == "login" {
            browse(event["url"].as_str().expect("a URL to open"));
            break;
        }
    }
    stderr.read_to_string(&mut told).expect("stderr is text");
    let mut outcome = outcome(child.wait_with_output().expect("the binary ends"));
    outcome.stderr = told;
    outcome
}

/// Consents, and goes where the browser is sent.
fn consent(url: &str) {
    let (status, location) = get(url);
    assert_eq!(status, 302);
    let location = location.expect("the browser is sent back");
    // What browsers ask for, too.
    let icon = location.split("/callback").next().expect("a host").to_owned() + "/favicon.ico";
    assert_eq!(get(&icon).0, 404);
    get(&location);
}

#[test]
fn a_member_logs_in_and_is_searched_for() {
    let payer = patient_access(|scenario| scenario);
    run(&payer, &["search"]).exits_with(2).tells("lakehaul login");
    let outcome = log_in(&payer, &[], consent);
    outcome.exits_with(0);
    let told: Value = serde_json::from_str(&outcome.stdout).expect("the result is JSON");
    let session = std::path::PathBuf::from(told["session"].as_str().expect("a path"));
    let kept = std::fs::read_to_string(&session).expect("the session is kept");
    for token in payer.sim.tokens() {
        assert!(!outcome.stdout.contains(&token) && !outcome.stderr.contains(&token), "{outcome}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = std::fs::metadata(&session).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    run(&payer, &["search"]).exits_with(0).prints("Patient");
    payer.place.run(&["verify", LAKE]).exits_with(0);
    // The access token dies: it is renewed, and what it is renewed with, too.
    payer.sim.revoke_tokens();
    run(&payer, &["search", "--new-run"]).exits_with(0);
    let renewed = std::fs::read_to_string(&session).expect("the session is kept");
    assert_ne!(kept, renewed);
    payer.is_well_behaved();
    // The secret may come through stdin, which can be read only once.
    let mut by_stdin = command(&payer, &["search", "--new-run", "--type", "Patient", "--client-secret-file", "-"]);
    let secret = payer.place.write("secret", payer.sim.credentials().client_secret);
    by_stdin.stdin(std::fs::File::open(secret).expect("the secret is there")).env_remove("LAKEHAUL_CLIENT_SECRET");
    payer.finish(&mut by_stdin).exits_with(0);
    run(&payer, &["login", "--logout"]).exits_with(0).prints("removed");
    assert!(!session.exists());
    run(&payer, &["search", "--new-run"]).exits_with(2).tells("nobody has logged in");
}

#[test]
fn a_login_can_be_pasted() {
    for whole in [true, false] {
        let payer = patient_access(|scenario| scenario);
        let fixed = ["login", "--no-browser", "--json", "--redirect-url", "https://app.example.com/back"];
        run(&payer, &fixed).exits_with(2).tells("--paste");
        let mut command = command(&payer, &[&fixed[..], &["--paste"]].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("stderr is text");
        let event: Value = serde_json::from_str(&line).expect("an event");
        let (_, location) = get(event["url"].as_str().expect("a URL"));
        let location = location.expect("the browser is sent back");
        assert!(location.starts_with("https://app.example.com/back?"), "{location}");
        let code = location.split("code=").nth(1).and_then(|rest| rest.split('&').next()).expect("a code");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        writeln!(stdin, "{}", if whole { &location } else { code }).expect("it is read");
        drop(stdin);
        outcome(child.wait_with_output().expect("the binary ends")).exits_with(0);
        run(&payer, &["search", "--type", "Patient"]).exits_with(0);
    }
}

#[test]
fn what_goes_wrong_with_a_login_is_told() {
    for (login, tells) in [
        (Login::WrongState, "not to this login"),
        (Login::NoState, "not to this login"),
        (Login::Denies, "access_denied"),
        (Login::NoCode, "no code"),
    ] {
        let payer = patient_access(|scenario| scenario.login(login));
        log_in(&payer, &[], consent).exits_with(3).tells(tells);
        assert!(!payer.place.path("state").exists(), "nothing is kept");
        assert_eq!(payer.sim.seen(Endpoint::Token).len(), 0);
    }
    // A code that comes too late, and one that is used twice.
    let late = patient_access(|scenario| scenario.code_lifetime(Duration::ZERO));
    log_in(&late, &[], consent).exits_with(3).tells("five minutes");
    // A login whose refresh token has ended, and a wrong secret.
    let ended = patient_access(|scenario| scenario.refresh_lifetime(Duration::ZERO));
    log_in(&ended, &[], consent).exits_with(0);
    run(&ended, &["search", "--type", "Patient"]).exits_with(0);
    ended.sim.revoke_tokens();
    run(&ended, &["search", "--new-run"]).exits_with(3).tells("lakehaul login");
    let other = patient_access(|scenario| scenario);
    let wrong = log_in_with_secret(&other, "wrong");
    wrong.exits_with(3);
    assert!(!wrong.stderr.contains("wrong\""), "{wrong}");
}

fn log_in_with_secret(payer: &Payer, secret: &str) -> Outcome {
    let file = payer.place.write("secret", secret);
    log_in(payer, &["--client-secret-file", file.to_str().expect("a plain path")], consent)
}

#[test]
fn any_fhir_server_may_have_a_login() {
    let payer = Payer::smart(|scenario| scenario.searchable(&members()).public_client().patient_in_context("p1"));
    let fhir = |arguments: &[&str]| -> Vec<String> {
        [arguments, &["--kind", "fhir"]].concat().into_iter().map(str::to_owned).collect()
    };
    let arguments = fhir(&[]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = log_in(&payer, &arguments, consent);
    outcome.exits_with(0).prints(r#""patient":"p1""#);
    let search = fhir(&["search", "--type", "Patient,Coverage", "--session"]);
    let told: Value = serde_json::from_str(&outcome.stdout).expect("the result is JSON");
    let session = told["session"].as_str().expect("a path").to_owned();
    let mut search: Vec<&str> = search.iter().map(String::as_str).collect();
    search.insert(4, &session);
    run(&payer, &search).exits_with(0);
    payer.is_well_behaved();
}

#[test]
fn patients_connect_and_are_searched_for() {
    let payer = connect(|scenario| scenario.systems(45).user_calls(2).user_calls_retry_after(1));
    run(&payer, &["login"]).exits_with(2).tells("--user");
    run(&payer, &["login", "--user", "alice"]).exits_with(0).prints("Logged in");
    // The user is there already: two calls, the second beyond the quota, which is waited for and told.
    run(&payer, &["login", "--user", "alice"]).exits_with(0).tells("300 an hour");
    let systems = run(&payer, &["systems", "--user", "alice", "--json"]);
    systems.exits_with(0);
    assert_eq!(systems.stdout.lines().count(), 45, "{systems}");
    let first: Value = serde_json::from_str(systems.stdout.lines().next().expect("a line")).expect("a system is JSON");
    let id = first["id"].as_str().expect("an id").to_owned();
    run(&payer, &["systems", "--user", "alice"]).exits_with(0).prints("software").prints(&id);
    run(&payer, &["systems", "--user", "alice", "a%"]).exits_with(2).tells("letters, digits");
    let url = run(&payer, &["connect", &id, "--user", "alice", "--fhir-version", "r4"]);
    url.exits_with(0).prints("fhirVersion=r4").tells("that patient alone");
    assert_eq!(get(url.stdout.trim()).0, 302);
    run(&payer, &["connect", &id, "--user", "bob"]).exits_with(2).tells("nobody has logged in");
    run(&payer, &["search", "--user", "alice", "--type", "Patient,Coverage"]).exits_with(0).prints("Coverage");
    payer.place.run(&["verify", LAKE]).exits_with(0);
    payer.is_well_behaved();
}
