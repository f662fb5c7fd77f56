//! A manifest is hostile input: whatever its types, URLs, counts and links say, nothing is written outside the lake,
//! nothing is loaded twice, and what cannot be taken is told in a sentence.

use std::collections::HashSet;

use lakehaul_sim::{Personality, Scenario, ServedFile, Target};
use serde_json::{Value, json};

use super::{Case, WHOLE, below, check, check_each, is_left_alone, two_files};
use crate::lakehaul::Outcome;
use crate::payer::{LAKE, Payer, patient_file, patients};

mod members;

/// Of this one the paths of files do not name the export.
const GATEWAY: Personality = Personality::OneupProvider;

/// Two files, the first of which the manifest tells like this.
fn first_entry(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Payer {
    Payer::new(GATEWAY, |scenario| {
        two_files(scenario).edit_manifest(move |manifest| change(&mut manifest["output"][0]))
    })
}

/// Beside the lake there is nothing; in it, what a lake has and nothing else.
#[track_caller]
fn only_a_lake_is_there(payer: &Payer, tables: &[&str]) {
    let place = payer.place.path("");
    let run = payer.record()["run"].as_str().expect("a name").to_owned();
    for path in below(&place) {
        let relative =
            path.strip_prefix(&place).expect("it is below").to_str().expect("the lake's names are text").to_owned();
        let of_the_lake = relative.strip_prefix(LAKE).map(|rest| rest.trim_start_matches('/'));
        let expected = of_the_lake.is_some_and(|path| match path.split('/').collect::<Vec<_>>()[..] {
            ["" | "_lake"] | ["_lake", "lock" | "lake.json" | "staging" | "runs" | "quarantine" | "outcomes"] => true,
            [table] => tables.contains(&table),
            [table, part] if tables.contains(&table) => {
                part.starts_with(&format!("part-{run}-")) && part.ends_with(".parquet")
            }
            ["_lake", file] => file.strip_suffix(".schema.json").is_some_and(|table| tables.contains(&table)),
            ["_lake", "runs", record] => record == format!("{run}.json"),
            ["_lake", "outcomes", file] => file == format!("{run}.ndjson"),
            ["_lake", "quarantine", folder] => folder == run,
            ["_lake", "quarantine", folder, "index.ndjson" | "lines.ndjson"] => folder == run,
            _ => false,
        });
        assert!(expected, "{relative} has no business there");
    }
    for escaped in [place.join("../escaped"), place.join("../../escaped"), "/tmp/escaped".into()] {
        assert!(!escaped.exists(), "{}", escaped.display());
    }
}

#[test]
fn a_url_that_must_not_be_asked_refuses_the_export() {
    let far = "https://files.example/a.ndjson";
    let cases = [
        (json!("file:///etc/passwd"), 3, "scheme file"),
        (json!("FILE:///etc/passwd"), 3, "scheme file"),
        (json!("data:application/fhir+ndjson,%7B%22resourceType%22:%22Patient%22%7D"), 3, "scheme data"),
        (json!("ftp://127.0.0.1/a.ndjson"), 3, "scheme ftp"),
        (json!("javascript:alert(1)"), 3, "scheme javascript"),
        (json!("s3://bucket/a.ndjson"), 3, "scheme s3"),
        (json!("http://user:sesame@127.0.0.1:1/a.ndjson"), 3, "user name or password"),
        (json!("http://sesame@127.0.0.1:1/a.ndjson"), 3, "user name or password"),
        (json!("http://192.0.2.1/a.ndjson"), 3, "--allow-http"),
        (json!("http://169.254.169.254/latest/meta-data"), 3, "--allow-http"),
        (json!("//192.0.2.1/a.ndjson"), 3, "--allow-http"),
        (json!("\\\\192.0.2.1\\a.ndjson"), 3, "--allow-http"),
        (json!(far), 3, "--trust-origin https://files.example"),
        (json!("http://["), 4, "no URL that can be read"),
        (json!(""), 4, "no URL that can be read"),
        (json!("  "), 4, "no URL that can be read"),
        (json!(7), 4, "no URL that can be read"),
        (json!(null), 4, "no URL that can be read"),
        (json!(["a.ndjson"]), 4, "no URL that can be read"),
    ];
    check_each(cases.map(|case| (case.0.to_string(), case)), |(url, code, sentence)| {
        let payer = first_entry(move |entry| entry["url"] = url.clone());
        let outcome = payer.export(&["--allow-partial"]);
        outcome.exits_with(code).tells("manifest's output entry 1").tells(sentence);
        assert!(!outcome.stderr.contains("sesame"), "{outcome}");
        is_left_alone(&payer);
        let lake = payer.place.path(LAKE);
        assert!(below(&payer.place.path("")).iter().all(|path| path.starts_with(&lake)), "beside the lake is nothing");
        assert_eq!(payer.sim.seen(Target::AnyFile).len(), 0, "a manifest is taken whole or not at all");
    });
}

#[test]
fn a_url_may_be_written_in_many_ways() {
    let cases = [
        "a.ndjson",
        "../file/a.ndjson",
        "/v1/bison/bulk-data/r4/$export/file/a.ndjson",
        "{origin}/../../v1/bison/bulk-data/r4/$export/file/../file/./a.ndjson",
        " {origin}/v1/bison/bulk-data/r4/$export/file/a.ndjson\n",
        "{origin}/v1/bison/bulk-data/r4/$export/file/a.ndjson#sesame",
    ];
    check_each(cases.map(|url| (url, url)), |url| {
        // Relative ones are relative to the job, which is beside the files' folder.
        let url = if url == "a.ndjson" { "../file/a.ndjson" } else { url };
        let payer = first_entry(move |entry| entry["url"] = json!(url));
        payer.is_whole(&payer.export(&[]));
        only_a_lake_is_there(&payer, &["Patient"]);
    });
}

#[test]
fn a_type_is_only_a_word() {
    let long = "Patient".repeat(10_000);
    let cases = [
        ("a way up", json!("../../escaped")),
        ("a way from the root", json!("/tmp/escaped")),
        ("a way up behind a type", json!("Patient/../../escaped")),
        ("a backslash", json!("..\\escaped")),
        ("nothing", json!("")),
        ("a NUL", json!("Patient\u{0}escaped")),
        ("an escape sequence", json!("\u{1b}]0;escaped\u{7}\u{202e}")),
        ("the lake's own folder", json!("_lake")),
        ("a number", json!(7)),
        ("an object", json!({"code": "Patient"})),
        ("null", json!(null)),
        ("another type", json!("Claim")),
        ("no type of R4", json!("Spaceship")),
        ("70,000 letters", json!(long)),
    ];
    check_each(cases, |declared| {
        let payer = first_entry(move |entry| entry["type"] = declared.clone());
        let outcome = payer.export(&["--log", "debug"]);
        payer.is_whole(&outcome);
        only_a_lake_is_there(&payer, &["Patient"]);
        is_printable(&outcome);
    });
}

#[test]
fn a_file_s_name_is_only_a_word() {
    let cases = [
        "%2e%2e%2f%2e%2e%2fescaped",
        "..%2fescaped.ndjson",
        ".hidden",
        "%00.ndjson",
        "a%0ab.ndjson",
        "a%20b.ndjson",
        "%1b%5b31m.ndjson",
        "_lake",
        "-rf",
        "a:b.ndjson",
        "lock",
        "index.ndjson",
        "%C3%A4.ndjson",
    ];
    check_each(cases.map(|name| (name, name)), |name| {
        let payer = Payer::smart(|scenario| {
            scenario.file(ServedFile::new("Patient", patients("a", 3)).named(name)).file(patient_file("b", 2))
        });
        let outcome = payer.export(&["--log", "debug"]);
        outcome.exits_with(0);
        let record = payer.record();
        let names: Vec<&str> =
            record["output_files"].as_array().expect("files").iter().filter_map(|file| file["name"].as_str()).collect();
        let plain = |name: &&str| {
            !name.starts_with('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        assert!(names.len() == 2 && names.iter().all(plain), "{names:?}");
        assert_eq!(record["totals"]["rows"], 5);
        only_a_lake_is_there(&payer, &["Patient"]);
        is_printable(&outcome);
        payer.is_well_behaved();
    });
}

#[test]
fn a_file_that_is_named_again_is_loaded_once() {
    fn again(scenario: Scenario, change: fn(&mut Value)) -> Scenario {
        two_files(scenario).edit_manifest(change)
    }
    /// Puts an entry for the first file at the end of a list.
    fn name_again(manifest: &mut Value, list: &str, url: impl Fn(&str) -> String) {
        let mut entry = manifest["output"][0].clone();
        entry["url"] = json!(url(entry["url"].as_str().expect("a URL")));
        match manifest[list].as_array_mut() {
            Some(entries) => entries.push(entry),
            None => manifest[list] = json!([entry]),
        }
    }
    const AGAIN: Case =
        Case { tells: &["names files again", "fetched once"], personality: GATEWAY, then: once, ..WHOLE };
    fn once(payer: &Payer, outcome: &Outcome) {
        payer.is_whole(outcome);
        assert_eq!(payer.sim.seen("a.ndjson").len(), 1);
        let mut rows = payer.place.sorted_rows(LAKE, "Patient");
        rows.dedup();
        assert_eq!(rows.len(), 5);
    }
    check(&[
        Case { name: "as it was", scene: |s| again(s, |m| name_again(m, "output", str::to_owned)), ..AGAIN },
        Case { name: "as deleted", scene: |s| again(s, |m| name_again(m, "deleted", str::to_owned)), ..AGAIN },
        Case { name: "as an error", scene: |s| again(s, |m| name_again(m, "error", str::to_owned)), ..AGAIN },
        Case {
            name: "with a fragment",
            scene: |s| again(s, |m| name_again(m, "output", |url| format!("{url}#2"))),
            ..AGAIN
        },
        Case {
            name: "by a way round",
            scene: |s| again(s, |m| name_again(m, "output", |url| url.replace("/file/", "/file/../file/"))),
            ..AGAIN
        },
        Case {
            name: "by the gateway's other name",
            scene: |s| again(s, |m| name_again(m, "output", |url| url.replace("{origin}", "{other_origin}"))),
            ..AGAIN
        },
        Case {
            name: "on every page",
            personality: Personality::Smart,
            scene: |scenario| {
                two_files(scenario).page_size(1).edit_manifest(|manifest| {
                    let url = manifest["output"][0]["url"].as_str().expect("a URL").replace("b.ndjson", "a.ndjson");
                    let list = manifest["output"].as_array_mut().expect("a list");
                    list.push(json!({"type": "Patient", "url": url, "count": 3}));
                })
            },
            ..AGAIN
        },
        Case {
            name: "ten thousand times",
            scene: |s| {
                again(s, |manifest| {
                    let list = manifest["output"].as_array_mut().expect("a list");
                    let first = list[0].clone();
                    list.extend(std::iter::repeat_n(first, 9_998));
                })
            },
            tells: &["9998 entries", "fetched once"],
            ..AGAIN
        },
    ]);
}

/// Different files whose names are the same: each has its own account, and each line its own origin.
#[test]
fn names_that_collide_are_told_apart() {
    let payer = Payer::new(GATEWAY, |scenario| {
        scenario.file(patient_file("a", 3)).file(patient_file("b", 2)).edit_manifest(|manifest| {
            let url = manifest["output"][0]["url"].as_str().expect("a URL").to_owned();
            let other = manifest["output"][1].clone();
            // The last one has the name that the second one is given.
            let urls =
                [url.clone(), url.replace("/v1/bison/bulk-data/r4/$export/file/", "/bucket/"), format!("{url}?n=2")];
            let entries = urls.map(|url| json!({"type": "Patient", "url": url}));
            manifest["output"] = entries.into_iter().chain([other]).collect();
            manifest["resourceCount"] = json!(11);
        })
    });
    let outcome = payer.export(&[]);
    outcome.exits_with(0);
    let record = payer.record();
    let files = record["output_files"].as_array().expect("files").iter();
    let mut told: Vec<_> =
        files.map(|file| (file["name"].as_str().unwrap_or_default(), file["resources"].as_u64())).collect();
    told.sort_unstable();
    assert_eq!(told, [("a.ndjson", Some(3)), ("a.ndjson-2", Some(3)), ("a.ndjson-3", Some(3)), ("b.ndjson", Some(2))]);
    only_a_lake_is_there(&payer, &["Patient"]);
}

/// Nothing in it but text and line ends.
#[track_caller]
fn is_printable(outcome: &Outcome) {
    let odd =
        |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let found: Vec<char> = outcome.stdout.chars().chain(outcome.stderr.chars()).filter(odd).collect();
    assert!(found.is_empty(), "{found:?}\n{outcome}");
}

/// Each is a request, a row group's worth of lines and an account in the run record.
#[test]
fn ten_thousand_files_of_one_name_are_told_apart() {
    const FILES: u64 = 10_000;
    let payer = Payer::new(GATEWAY, |scenario| {
        scenario.file(patient_file("a", 1)).edit_manifest(|manifest| {
            let url = manifest["output"][0]["url"].as_str().expect("a URL").to_owned();
            let entry = |n| json!({"type": "Patient", "url": format!("{url}?n={n}")});
            manifest["output"] = (0..FILES).map(entry).collect();
            manifest["resourceCount"] = json!(FILES);
        })
    });
    payer.export(&["--quiet"]).exits_with(0);
    let record = payer.record();
    let files = record["output_files"].as_array().expect("files").iter();
    let names: HashSet<_> = files.map(|file| file["name"].as_str().expect("a name")).collect();
    assert_eq!((names.len() as u64, &record["totals"]["rows"]), (FILES, &FILES.into()));
    payer.is_well_behaved();
}
