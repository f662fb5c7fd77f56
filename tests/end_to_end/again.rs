//! A second load: the same again does nothing, another adds, and a lake's choices stay.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::lakehaul::{Place, repository};

const FIRST: &str = r#"{"resourceType":"Patient","id":"p1","gender":"female"}"#;
const SECOND: &str = r#"{"resourceType":"Patient","id":"p2","deceasedDateTime":"2020-01-01","photo":[{"title":"x"}]}"#;

fn parts(place: &Place) -> Vec<std::path::PathBuf> {
    let folder = std::fs::read_dir(place.path("lake/Patient")).expect("the table's folder");
    let mut parts: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    parts.sort();
    parts
}

#[test]
fn a_finished_run_again_does_nothing_and_says_so() {
    let place = Place::new();
    let manifest = repository("examples/export/manifest.json");
    place.run(&["load", &manifest, "--to", "lake"]).exits_with(0);
    let (before, records) = (parts(&place), place.records("lake"));
    let again = place.run(&["load", &manifest, "--to", "lake"]);
    again.exits_with(0).prints("has already finished").prints("--new-run");
    assert_eq!((parts(&place), place.records("lake")), (before, records));

    place.run(&["load", &manifest, "--to", "lake", "--new-run"]).exits_with(0).prints("is accounted for");
    let records = place.records("lake");
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["totals"]["rows"], records[1]["totals"]["rows"]);
    place.run(&["verify", "lake"]).exits_with(0);
}

#[test]
fn a_second_load_adds_and_the_schema_only_grows() {
    let place = Place::new();
    place.write("first.ndjson", FIRST);
    place.write("second.ndjson", SECOND);
    place.run(&["load", "first.ndjson", "--to", "lake"]).exits_with(0);
    let before = parts(&place);
    place.run(&["load", "second.ndjson", "--to", "lake"]).exits_with(0);
    let after = parts(&place);
    assert!(after.len() == before.len() + 1 && before.iter().all(|part| after.contains(part)), "{before:?} {after:?}");
    assert_eq!(place.sorted_rows("lake", "Patient"), [FIRST, SECOND]);
    place.run(&["schema", "lake", "--dialect", "spark", "--type", "Patient"]).exits_with(0).prints("`photo`");
    place.run(&["runs", "lake"]).exits_with(0).prints("first.ndjson").prints("second.ndjson");
    place.run(&["verify", "lake"]).exits_with(0).prints("2 runs");
}

#[test]
fn what_a_lake_was_made_with_stays() {
    let place = Place::new();
    place.write("first.ndjson", FIRST);
    place.write("second.ndjson", SECOND);
    place.run(&["load", "first.ndjson", "--to", "lake", "--annotate", "references,dates", "--keep-json"]).exits_with(0);
    for other in [["--annotate", "none"], ["--layout", "hive"]] {
        let arguments = [&["load", "second.ndjson", "--to", "lake"], &other[..]].concat();
        place.run(&arguments).exits_with(2).tells("the lake was made with").tells(other[1]);
    }
    // Left out, or the same, they are as the lake has them.
    place.run(&["load", "second.ndjson", "--to", "lake", "--annotate", "dates,references"]).exits_with(0);
    place.run(&["verify", "lake"]).exits_with(0);
}

#[test]
fn two_loads_at_once_do_not_mix() {
    let place = Place::new();
    place.write("first.ndjson", FIRST);
    // A load whose input never ends holds the lake; its input is asked for once the lake is.
    let mut holder = place
        .command(&["load", "-", "--to", "lake"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut log = BufReader::new(holder.stderr.take().expect("a pipe"));
    log.read_line(&mut String::new()).expect("the run is planned");
    let second = place.run(&["load", "first.ndjson", "--to", "lake"]);
    second.exits_with(9).tells("another run holds the lake");

    holder.stdin.take().expect("a pipe").write_all(SECOND.as_bytes()).expect("the holder reads");
    assert!(holder.wait().expect("ends").success());
    place.run(&["load", "first.ndjson", "--to", "lake"]).exits_with(0);
    assert_eq!(place.sorted_rows("lake", "Patient"), [FIRST, SECOND]);
}

#[test]
#[cfg(unix)]
fn a_load_that_is_killed_leaves_the_lake_as_it_was() {
    let place = Place::new();
    place.write("first.ndjson", FIRST);
    place.run(&["load", "first.ndjson", "--to", "lake"]).exits_with(0);
    let before = parts(&place);
    let mut killed = place
        .command(&["load", "-", "--to", "lake"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut pipe = killed.stdin.take().expect("a pipe");
    for _ in 0..10_000 {
        pipe.write_all(format!("{SECOND}\n").as_bytes()).expect("the load reads");
    }
    killed.kill().expect("is killed");
    assert_eq!(killed.wait().expect("ends").code(), None);
    assert_eq!(parts(&place), before);
    place.run(&["verify", "lake"]).exits_with(0);
    place.write("second.ndjson", SECOND);
    place.run(&["load", "second.ndjson", "--to", "lake"]).exits_with(0);
    assert_eq!(place.sorted_rows("lake", "Patient"), [FIRST, SECOND]);
    place.run(&["verify", "lake"]).exits_with(0);
}
