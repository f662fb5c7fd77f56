//! Bad input: each kind has its exit code and its sentence, and what is good is loaded all the same.

use crate::inputs::gzip;
use crate::lakehaul::{Outcome, Place};

const GOOD: &str = r#"{"resourceType":"Patient","id":"good"}"#;

/// Loads `bad` (in the folder `export`) beside a good file; the good one must arrive whatever the bad one does.
#[track_caller]
fn load_beside_a_good_file(bad: &str, content: &[u8], options: &[&str], code: i32) -> (Place, Outcome) {
    let place = Place::new();
    place.write("export/Patient.good.ndjson", format!("{GOOD}\n"));
    place.write(&format!("export/{bad}"), content);
    let outcome = place.run(&[&["load", "export", "--to", "lake"], options].concat());
    outcome.exits_with(code);
    assert!(place.sorted_rows("lake", "Patient").iter().any(|row| row == GOOD), "{outcome}");
    place.run(&["verify", "lake"]).exits_with(0);
    (place, outcome)
}

#[track_caller]
fn check_reasons(place: &Place, expected: &[(u64, &str)]) {
    let found = place.quarantine("lake");
    let found: Vec<_> =
        found.iter().map(|r| (r["line"].as_u64().unwrap_or(0), r["reason"].as_str().unwrap_or(""))).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_binary_file_is_rejected_line_by_line() {
    let binary: Vec<u8> = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (place, outcome) = load_beside_a_good_file("Binary.ndjson", &binary, &[], 7);
    outcome.tells("rejected into quarantine").tells("index.ndjson").tells("--allow-rejects");
    let rejects = place.quarantine("lake");
    let rejected = place.records("lake")[0]["totals"]["rejected"].as_u64();
    assert_eq!(Some(rejects.len() as u64), rejected);
}

#[test]
fn an_empty_file_is_complete() {
    let (place, _) = load_beside_a_good_file("Claim.ndjson", b"", &[], 0);
    let record = &place.records("lake")[0];
    let file = record["output_files"].as_array().expect("files").iter().find(|f| f["name"] == "Claim.ndjson");
    assert_eq!(file.map(|f| &f["lines"]), Some(&0.into()), "{record}");
}

#[test]
fn an_unknown_type_is_a_reject() {
    let (place, outcome) =
        load_beside_a_good_file("x.ndjson", b"{\"resourceType\":\"Wizard\"}\n{\"id\":\"1\"}\n[]\n", &[], 7);
    outcome.tells("3 lines were rejected");
    let reasons: Vec<_> = place.quarantine("lake").iter().map(|r| r["reason"].clone()).collect();
    assert_eq!(reasons[0], "unknown_resource_type", "{reasons:?}");
    assert_eq!(reasons.len(), 3);
}

#[test]
fn a_line_that_is_too_long_is_a_reject_with_its_place() {
    let long = format!("{GOOD}\n{{\"resourceType\":\"Patient\",\"id\":\"{}\"}}\n{GOOD}\n", "x".repeat(5000));
    let (place, _) = load_beside_a_good_file("x.ndjson", long.as_bytes(), &["--max-line", "4kB"], 7);
    check_reasons(&place, &[(2, "too_long")]);
    let reject = &place.quarantine("lake")[0];
    assert_eq!((&reject["offset"], &reject["length"]), (&(GOOD.len() as u64 + 1).into(), &5034.into()), "{reject}");
}

#[test]
fn a_line_that_is_too_deep_is_a_reject() {
    let deep = format!("{{\"resourceType\":\"Patient\",\"x\":{}{}}}\n", "[".repeat(40), "]".repeat(40));
    let (place, _) = load_beside_a_good_file("x.ndjson", deep.as_bytes(), &["--max-depth", "40"], 7);
    check_reasons(&place, &[(1, "too_deep")]);
}

#[test]
fn allowed_rejects_are_success_up_to_the_number_allowed() {
    let bad = b"not json\nnot json\n";
    load_beside_a_good_file("x.ndjson", bad, &["--allow-rejects"], 0);
    load_beside_a_good_file("x.ndjson", bad, &["--allow-rejects", "2"], 0);
    load_beside_a_good_file("x.ndjson", bad, &["--allow-rejects", "1"], 7);
}

#[test]
fn a_truncated_file_is_loaded_as_far_as_it_goes() {
    let lines: String = (0..2000).map(|i| format!("{{\"resourceType\":\"Patient\",\"id\":\"{i}\"}}\n")).collect();
    let whole = gzip(lines.as_bytes());
    let (_, outcome) = load_beside_a_good_file("Patient.ndjson.gz", &whole[..whole.len() / 2], &[], 11);
    outcome.tells("Patient.ndjson.gz could not be read whole").tells("cut off");
    // Rejects beside it do not hide it, and nothing allows it away.
    let place = Place::new();
    place.write("export/a.ndjson.gz", &whole[..whole.len() / 2]);
    place.write("export/b.ndjson", "not json\n");
    place.run(&["load", "export", "--to", "lake"]).exits_with(11).tells("rejected");
    place.run(&["load", "export", "--to", "lake2", "--allow-rejects", "--allow-partial"]).exits_with(11);
}

#[test]
#[cfg(target_os = "linux")]
fn an_unreadable_file_is_told_and_the_others_are_loaded() {
    let place = Place::new();
    place.write("export/a.ndjson", GOOD);
    // Permissions do not stop root, whom tests may run as; this file opens and then fails at its first byte.
    std::os::unix::fs::symlink("/proc/self/mem", place.path("export/b.ndjson")).expect("a link");
    let outcome = place.run(&["load", "export", "--to", "lake"]);
    outcome.exits_with(11).tells("b.ndjson could not be read whole");
    assert_eq!(place.sorted_rows("lake", "Patient"), [GOOD]);
}

/// What stops a load before it begins: nothing is made.
#[track_caller]
fn check_refused(setup: impl FnOnce(&Place), arguments: &[&str], code: i32, sentence: &str) {
    let place = Place::new();
    place.write("p.ndjson", GOOD);
    setup(&place);
    let outcome = place.run(arguments);
    outcome.exits_with(code).tells(sentence);
    assert_eq!(outcome.stdout, "");
    assert!(!place.path("lake").is_dir(), "a lake was made\n{outcome}");
}

#[test]
fn a_folder_without_ndjson_has_nothing_to_load() {
    let setup = |place: &Place| drop(place.write("export/data.csv", "a,b"));
    check_refused(setup, &["load", "export", "--to", "lake"], 2, "there is nothing to load");
}

#[test]
fn an_input_that_is_not_there_is_a_wrong_argument() {
    check_refused(|_| {}, &["load", "nowhere.ndjson", "--to", "lake"], 2, "nowhere.ndjson");
}

#[test]
fn a_manifest_must_be_one_and_stay_in_its_folder() {
    let refused = |manifest: &'static str, sentence| {
        let setup = move |place: &Place| drop(place.write("export/manifest.json", manifest));
        check_refused(setup, &["load", "export/manifest.json", "--to", "lake"], 2, sentence);
    };
    refused("not json", "manifest.json cannot be loaded");
    refused("{}", "manifest.json cannot be loaded");
    refused(r#"{"output":[{"type":"Patient","url":"../p.ndjson"}]}"#, "is refused");
    refused(r#"{"output":[{"type":"Patient","url":"file:///etc/passwd"}]}"#, "is refused");
    refused(r#"{"output":[{"type":"Patient","url":"/etc/passwd"}]}"#, "is refused");
}

#[test]
fn wrong_options_are_refused() {
    let refused = |options: &[&str], sentence| {
        check_refused(|_| {}, &[&["load", "p.ndjson", "--to", "lake"], options].concat(), 2, sentence);
    };
    refused(&["--memory", "1G"], "say GB (1000s) or GiB (1024s)");
    refused(&["--memory", "1MB"], "memory");
    refused(&["--threads", "0"], "--threads");
    refused(&["--max-depth", "0"], "--max-depth");
    refused(&["--annotate", "codes"], "codes");
    refused(&["--layout", "flat"], "flat");
    refused(&["--mode", "777"], "permissions");
    refused(&["--allow-rejects=many"], "many");
    refused(&["--speed", "9"], "--speed");
    check_refused(|_| {}, &["load", "p.ndjson"], 2, "--to LAKE");
    check_refused(|_| {}, &["load", "--to", "lake"], 2, "<PATH>");
    check_refused(|_| {}, &["load", "p.ndjson", "--to", "ftp://bucket/lake"], 2, "scheme");
    check_refused(|_| {}, &["lode"], 2, "lode");
}

#[test]
fn a_lake_that_is_a_file_is_refused_and_the_file_stays() {
    let setup = |place: &Place| drop(place.write("lake", "a file"));
    check_refused(setup, &["load", "p.ndjson", "--to", "lake"], 2, "lake is a file; a lake is a folder");
    check_refused(setup, &["load", "p.ndjson", "--to", "lake/inside"], 8, "error: failed to load");
}

#[test]
#[cfg(target_os = "linux")]
fn a_destination_that_cannot_be_written_fails() {
    check_refused(|_| {}, &["load", "p.ndjson", "--to", "/proc/lake"], 8, "error: failed to load");
}
