//! Looking at a lake: `cat`, `verify`, `schema`, `runs`, and what is printed for people and programs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::lakehaul::{Place, repository, text};

fn example_lake() -> Place {
    let place = Place::new();
    place.run(&["load", &repository("examples/export/manifest.json"), "--to", "lake", "--quiet"]).exits_with(0);
    place
}

#[test]
fn quiet_is_quiet_and_json_is_json() {
    let place = Place::new();
    let manifest = repository("examples/export/manifest.json");
    let outcome = place.run(&["load", &manifest, "--to", "lake", "--quiet"]);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));

    let outcome = place.run(&["load", &manifest, "--to", "lake2", "--json"]);
    let summary: Value = serde_json::from_str(&outcome.stdout).expect("one object");
    assert_eq!((&summary["exit"], &summary["lake"]), (&0.into(), &"lake2".into()));
    let events: Vec<Value> =
        outcome.stderr.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(events[0]["event"], "planned", "{outcome}");
    assert!(events.iter().any(|event| event["event"] == "publishing"), "{outcome}");

    let outcome = place.run(&["load", "nowhere", "--to", "lake", "--json"]);
    let error: Value = serde_json::from_str(&outcome.stderr).expect("an object");
    assert_eq!((&error["event"], &error["exit"]), (&"error".into(), &2.into()));
}

#[test]
fn the_closing_table_has_a_row_a_type_and_says_what_to_try_next() {
    let place = Place::new();
    let outcome = place.run(&["load", &repository("examples/export/manifest.json"), "--to", "lake"]);
    outcome.exits_with(0).prints("type ").prints("MB/s").prints("Patient ").prints("SELECT * FROM 'lake/");
    outcome.prints("lakehaul verify lake --roundtrip");
}

#[test]
fn a_reader_of_cat_may_leave() {
    let place = Place::new();
    let line = |i: u32| format!("{{\"resourceType\":\"Patient\",\"id\":\"{i}\",\"gender\":\"{}\"}}\n", "x".repeat(100));
    place.write("p.ndjson", (0..20_000).map(line).collect::<String>());
    place.run(&["load", "p.ndjson", "--to", "lake"]).exits_with(0);
    let mut child = place
        .command(&["cat", "lake", "Patient"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
    assert!(first.starts_with('{'));
    // The pipe is closed here, long before the table's end.
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_load_whose_stdout_is_closed_still_tells_how_it_ended() {
    let place = Place::new();
    place.write("p.ndjson", "not json\n");
    let mut child = place
        .command(&["load", "p.ndjson", "--to", "lake"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("problem: 1 line was rejected"));
}

#[test]
fn verify_finds_what_is_damaged() {
    let place = example_lake();
    let patients = place.path("lake/Patient");
    let part = std::fs::read_dir(patients).expect("the folder").next().expect("a part").expect("an entry").path();
    let mut bytes = std::fs::read(&part).expect("the part");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, &bytes).expect("is written");
    place.run(&["verify", "lake"]).exits_with(10).prints("is not as its ledger says").prints("Patient/part-");
    std::fs::remove_file(&part).expect("is removed");
    place.run(&["verify", "lake"]).exits_with(10).prints("Patient/part-");
}

#[test]
fn a_source_that_has_changed_differs() {
    let place = Place::new();
    place.write(
        "p.ndjson",
        "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\"2\"}\n",
    );
    place.run(&["load", "p.ndjson", "--to", "lake"]).exits_with(0);
    place.run(&["verify", "lake", "--roundtrip", "p.ndjson"]).exits_with(0).prints("0 differences");
    place.write(
        "p.ndjson",
        "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\"3\"}\n",
    );
    place
        .run(&["verify", "lake", "--roundtrip", "p.ndjson"])
        .exits_with(10)
        .prints("no run of the lake has loaded this file as it is now");
}

#[test]
fn a_runs_ledger_is_a_page() {
    let place = example_lake();
    let run = place.records("lake")[0]["run"].as_str().expect("a name").to_owned();
    let page = place.run(&["report", "lake"]);
    page.exits_with(0).prints("<!DOCTYPE html>").prints(&run).prints("All of it adds up.");
    assert_eq!(place.run(&["report", "lake", &run]).exits_with(0).stdout, page.stdout);

    place.run(&["report", "lake", "--out", "report.html"]).exits_with(0);
    let written = std::fs::read_to_string(place.path("report.html")).expect("it is there");
    assert_eq!(written, page.stdout);
    let json = place.run(&["report", "lake", "--json"]);
    let record: Value = serde_json::from_str(&json.exits_with(0).stdout).expect("one object");
    assert_eq!(record, place.records("lake")[0]);

    place.run(&["report", "lake", "nobody"]).exits_with(2).tells("lake has no run nobody");
    place.run(&["report", "lake", "--out", "nowhere/r.html"]).exits_with(2).tells("--out: cannot write nowhere/r.html");
    // What is killed leaves a run without a ledger.
    place.write("lake/_lake/staging/20990101T000000Z-00000000/part-1", "");
    place.run(&["report", "lake"]).exits_with(0).prints(&run);
}

#[test]
fn a_lake_that_is_none_is_refused() {
    let place = Place::new();
    place.write("folder/x", "");
    for arguments in
        [&["cat", "folder", "Patient"][..], &["verify", "folder"], &["schema", "folder"], &["runs", "nowhere"]]
    {
        let outcome = place.run(arguments);
        assert!(matches!(outcome.code, Some(2 | 8)), "{arguments:?} {outcome}");
        outcome.tells("error: ");
    }
    let lake = example_lake();
    lake.run(&["cat", "lake", "Wizard"]).exits_with(2).tells("Wizard");
    lake.run(&["schema", "lake", "--type", "Wizard"]).exits_with(2).tells("the lake has no table Wizard");
}

#[test]
fn schema_prints_every_dialect() {
    let place = example_lake();
    let all = place.run(&["schema", "lake"]);
    all.exits_with(0).prints("USING PARQUET").prints("STORED AS PARQUET").prints("enable_list_inference");
    all.prints("external_location = ");
    all.prints("CREATE OR REPLACE VIEW \"Patient\"").prints("\"Patient_current\"").prints(text(&place.path("lake")));
    let one = place.run(&["schema", "lake", "--dialect", "athena", "--type", "Patient", "--location", "s3://b/lake"]);
    one.exits_with(0).prints("LOCATION 's3://b/lake/Patient/'");
    assert!(!one.stdout.contains("DuckDB") && !one.stdout.contains("Encounter"), "{one}");
}

#[test]
fn completions_man_and_help_are_printed() {
    let place = Place::new();
    place.run(&["completions", "bash"]).exits_with(0).prints("lakehaul");
    place.run(&["man"]).exits_with(0).prints(".TH lakehaul");
    place.run(&["man", "load"]).exits_with(0).prints("allow");
    place.run(&["man", "lode"]).exits_with(2).tells("lode");
    place.run(&["--help"]).exits_with(0).prints("Exit codes:");
    place.run(&["load", "--help"]).exits_with(0).prints("--max-line").prints("Exit codes:");
    place.run(&["--version"]).exits_with(0).prints(env!("CARGO_PKG_VERSION"));
    place.run(&[]).exits_with(2).tells("Usage:");
}
