//! `lakehaul match` as a pipeline sees it: a roster in, groups in the lake, a line for every member; killed and run again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lakehaul_sim::{Endpoint, GroupAt, MatchAnswer, Personality, Scenario, ServedFile};
use parquet::file::reader::SerializedFileReader;
use serde_json::Value;

use crate::payer::{LAKE, Payer, patients};

const HEADER: &str = "family,given,birthDate,gender,memberId,consentPolicy,consentStart,consentEnd\n";

/// Members whose names are nobody else's words.
fn roster(members: std::ops::Range<usize>) -> String {
    let line =
        |member| format!("Zyxfamily{member},Zyxgiven,1960-01-02,female,m{member},regular,2026-01-01,2026-12-31\n");
    std::iter::once(HEADER.to_owned()).chain(members.map(line)).collect()
}

/// `groups` groups, over which members are spread; the member `m0` is nobody's.
fn payer(groups: usize) -> Payer {
    Payer::new(Personality::OneupPayer, |scenario: Scenario| {
        let scenario = (0..groups).fold(scenario, |scenario, group| {
            let text = patients(&format!("g{group}-"), 2);
            scenario
                .group(&format!("group-{group}"), [ServedFile::new("Patient", text).named(&format!("{group}.ndjson"))])
        });
        scenario.match_members(move |question| {
            let text = question.to_string();
            let number = text.split("\"m").find_map(|rest| rest.split('"').next()?.parse::<usize>().ok());
            match number {
                Some(0) | None => MatchAnswer::NoMatch,
                Some(number) => {
                    MatchAnswer::Group { id: format!("group-{}", number % groups), at: GroupAt::ValueString }
                }
            }
        })
    })
}

const FAST: [&str; 3] = ["match", "--per-minute", "600000"];

#[test]
fn a_roster_ends_with_a_table_and_the_groups_in_the_lake() {
    let payer = payer(3);
    payer.place.write("roster.csv", roster(0..10));
    let command = || payer.command(&[&FAST[..], &["--roster", "roster.csv"]].concat());
    let outcome = payer.finish(&mut command());
    outcome.exits_with(6).prints("loaded").prints("no_match").prints("group-1").prints("member_match/part-");
    assert!(!outcome.stderr.contains("Zyx") && !outcome.stdout.contains("Zyx"), "{outcome}");
    assert_eq!((payer.sim.match_count(), payer.sim.export_count(), payer.records().len()), (10, 3, 3));
    payer.place.run(&["verify", LAKE]).exits_with(0);
    assert_eq!(payer.place.sorted_rows(LAKE, "Patient").len(), 6);
    payer.finish(command().args(["--allow-partial", "--json"])).exits_with(0).prints(r#""no_match":1"#);
    assert_eq!((payer.sim.match_count(), payer.sim.export_count()), (10, 3));
    payer.is_well_behaved();
    // By a line on stdin, too.
    let line = br#"{"family":"Zyx","given":["A"],"birthDate":"1960-01-02","memberId":"m1"}"#;
    let consent = ["--consent-policy", "regular", "--consent-start", "2026-01-01", "--consent-end", "2026-12-31"];
    let credentials = payer.sim.credentials();
    let base_url = payer.sim.base_url();
    let server = [
        "--kind",
        "oneup-payer",
        "--base-url",
        &base_url,
        "--tenant",
        "bison",
        "--client-id",
        &credentials.client_id,
        "--client-secret-file",
        "secret",
        "--to",
        "another",
    ];
    payer.place.write("secret", &credentials.client_secret);
    let arguments = [&FAST[..], &["--roster", "-"], &server, &consent].concat();
    payer.place.run_on(line, &arguments).exits_with(0).prints("loaded");
    let without = [&FAST[..], &["--roster", "-"], &server].concat();
    let outcome = payer.place.run_on(line, &without);
    outcome.exits_with(2).tells("--consent-policy");
    assert!(!outcome.stderr.contains("Zyx"), "{outcome}");
}

#[test]
fn five_thousand_members_are_killed_and_go_on() {
    let payer = payer(40);
    payer.place.write("roster.csv", roster(1..5_001));
    let command = || payer.command(&[&FAST[..], &["--roster", "roster.csv", "--json", "--quiet"]].concat());
    // Once while members are asked for, once while groups are loaded.
    for (endpoint, requests) in [(Endpoint::MemberMatch, 1_700), (Endpoint::KickOff, 12)] {
        let started = Payer::started(&mut command());
        let asked = payer.sim.wait_until(Duration::from_secs(100), |log| {
            log.iter().filter(|seen| seen.endpoint == endpoint).count() >= requests
        });
        assert!(asked, "{requests} requests of {endpoint:?}");
        started.kill_or_gone();
    }
    let outcome = payer.finish(&mut command());
    outcome.exits_with(0);
    let result: Value = serde_json::from_str(&outcome.stdout).expect("the result is JSON");
    assert_eq!(result["members"]["loaded"], 5_000, "{outcome}");
    // At most what was on its way when it was killed is asked for once more; a group is exported once, but for one whose
    // kick-off's answer was not kept.
    let twice = payer.sim.match_count() - 5_000;
    assert!(twice <= 68, "{twice}");
    assert!((40..=41).contains(&payer.sim.export_count()), "{}", payer.sim.export_count());
    assert_eq!(payer.place.sorted_rows(LAKE, "Patient").len(), 80);
    payer.place.run(&["verify", LAKE]).exits_with(0);
    for path in walk(&payer.place.path(LAKE)) {
        let (bytes, rows) = written(&path);
        // Whole names: three letters alone stand somewhere in a few hundred kilobytes of hashes now and then.
        let named = bytes.contains("Zyxfamily") || bytes.contains("Zyxgiven");
        assert!(!named && !rows.iter().any(|row| row.contains("Zyx")), "{}", path.display());
    }
    // What is looked for would be found: the table of the members is among what was read.
    let status = walk(&payer.place.path(LAKE).join("member_match"));
    assert!(status.iter().any(|path| written(path).1.iter().any(|row| row.contains("group-7"))));
}

/// All that a file says: its bytes, and a Parquet file's rows, since compression may break a name up.
fn written(path: &Path) -> (String, Vec<String>) {
    let bytes = std::fs::read(path).expect("a file can be read");
    let mut rows = Vec::new();
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let reader = SerializedFileReader::try_from(path).expect("a Parquet file");
        rows.extend(reader.into_iter().map(|row| row.expect("a row can be read").to_string()));
    }
    (String::from_utf8_lossy(&bytes).into_owned(), rows)
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
