//! Keeping a lake in shape: `compact` and `vacuum`, as a pipeline and a person see them.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::lakehaul::Place;

/// A lake that was loaded into several times, and wider each time.
fn fed() -> Place {
    let place = Place::new();
    for run in 0..4 {
        let name = format!("in/p{run}.ndjson");
        let patient = |at: u32| {
            let wide = if run > 1 { r#","extension":[{"url":"u","valueDecimal":1.50}]"# } else { "" };
            format!("{{\"resourceType\":\"Patient\",\"id\":\"{run}-{at}\"{wide}}}\n")
        };
        place.write(&name, (0..50).map(patient).collect::<String>());
        place.run(&["load", &name, "--to", "lake", "--quiet"]).exits_with(0);
    }
    place
}

fn parts(place: &Place) -> usize {
    fs::read_dir(place.path("lake/Patient")).expect("the table's folder").count()
}

/// Writes a file into the lake that is ten days old.
fn seed(place: &Place, path: &str) {
    let path = place.write(path, "nobody's");
    let file = File::options().write(true).open(path).expect("it is there");
    file.set_modified(SystemTime::now() - Duration::from_secs(10 * 24 * 60 * 60)).expect("its time can be set");
}

#[test]
fn a_lake_is_compacted_and_all_that_looks_at_it_finds_the_same() {
    let place = fed();
    let (rows, runs) = (place.sorted_rows("lake", "Patient"), place.records("lake"));
    let outcome = place.run(&["compact", "lake"]);
    outcome.exits_with(0).prints("Patient").prints("1 Parquet file in the place of ");
    assert_eq!(parts(&place), 1);
    assert_eq!(place.sorted_rows("lake", "Patient"), rows);
    assert_eq!(place.records("lake"), runs);
    place.run(&["verify", "lake"]).exits_with(0).prints("4 runs, 1 table, 1 Parquet file").prints("200 rows");
    place.run(&["verify", "lake", "--roundtrip", "in"]).exits_with(0).prints("0 differences: 200 resources");
    place
        .run(&["report", "lake"])
        .exits_with(0)
        .prints("All of it adds up.")
        .prints("A compaction has put the rows of");
    place.run(&["schema", "lake", "--dialect", "duckdb"]).exits_with(0).prints("Patient");
    // There is nothing left to do, and a finished load is still known to be finished.
    place.run(&["compact", "lake"]).exits_with(0).prints("needs no compaction: 1 Parquet file stay");
    let again = place.run(&["load", "in/p0.ndjson", "--to", "lake"]);
    again.exits_with(0);
    assert_eq!(parts(&place), 1, "{again}");

    place.run(&["load", "in/p0.ndjson", "--to", "lake", "--new-run", "--quiet"]).exits_with(0);
    let outcome = place.run(&["compact", "lake", "--json"]);
    outcome.exits_with(0);
    let summary: Value = serde_json::from_str(&outcome.stdout).expect("one object");
    assert_eq!((&summary["totals"]["replaced_parts"], &summary["totals"]["rows"]), (&2.into(), &250.into()));
    assert!(outcome.stderr.contains("part_taken_over") || !outcome.stderr.contains("error"), "{outcome}");
    place.run(&["verify", "lake"]).exits_with(0).prints("5 runs, 1 table, 1 Parquet file");
}

#[test]
fn a_compaction_says_what_is_wrong() {
    let place = fed();
    place.run(&["compact", "nowhere"]).exits_with(2).tells("is no lake");
    assert!(!place.path("nowhere").exists());
    place.run(&["compact", "lake", "--part-size", "0"]).exits_with(2);
    let part = fs::read_dir(place.path("lake/Patient")).expect("the folder").next().expect("a part").expect("an entry");
    let mut bytes = fs::read(part.path()).expect("the part");
    bytes[50] ^= 1;
    fs::write(part.path(), bytes).expect("is written");
    let before = parts(&place);
    place.run(&["compact", "lake"]).exits_with(10).tells("in the lake is damaged");
    assert_eq!(parts(&place), before);
}

#[test]
fn a_vacuum_shows_first_and_removes_what_it_has_shown() {
    let place = fed();
    place.run(&["vacuum", "lake", "--older-than", "0s"]).exits_with(0).prints("has nothing that nothing refers to");
    seed(&place, "lake/Patient/part-nobody.parquet");
    seed(&place, "lake/_lake/staging/20200101T000000Z-00000000/a.part");
    seed(&place, "lake/Patient/_delta_log/00000.json");
    let rest = place.sorted_rows("lake", "Patient");
    let there = || {
        ["Patient/part-nobody.parquet", "_lake/staging/20200101T000000Z-00000000", "Patient/_delta_log/00000.json"]
            .map(|path| place.path("lake").join(path).exists())
    };
    let outcome = place.run(&["vacuum", "lake", "--dry-run", "--yes"]);
    outcome.exits_with(0).prints("part-nobody.parquet").prints("no record names it").prints("Nothing was removed.");
    let outcome = place.run(&["vacuum", "lake"]);
    outcome.exits_with(2).prints("part-nobody.parquet").tells("add --yes");
    place
        .run(&["vacuum", "lake", "--yes", "--older-than", "11d"])
        .exits_with(0)
        .prints("2 more stay: younger than 11 days");
    assert_eq!(there(), [true, true, true]);

    let outcome = place.run(&["vacuum", "lake", "--yes", "--json"]);
    outcome.exits_with(0);
    let object: Value = serde_json::from_str(&outcome.stdout).expect("one object");
    assert_eq!((&object["removed"], object["strays"].as_array().map(Vec::len)), (&true.into(), Some(2)), "{outcome}");
    assert_eq!(there(), [false, false, true]);
    assert_eq!(place.sorted_rows("lake", "Patient"), rest);
    place.run(&["vacuum", "nowhere"]).exits_with(2).tells("is no lake");
    assert!(!place.path("nowhere").exists());
}
