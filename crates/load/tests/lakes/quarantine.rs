//! Each bad line is in quarantine, byte for byte, with its place and its reason; none is lost, none is altered.

use std::time::Duration;

use lakehaul_load::{LoadOptions, Problem, RunStatus};

use crate::journal_limit::journal_breaks_after;
use crate::scene::{Scene, ndjson, patient};

/// Bad lines and their reasons.
fn bad_lines() -> Vec<(Vec<u8>, &'static str)> {
    let deep = format!(r#"{{"resourceType":"Patient","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let long = format!(r#"{{"resourceType":"Patient","id":"{}"}}"#, "x".repeat(30_000));
    vec![
        (b"not json".to_vec(), "not_json"),
        (b"[1,2]".to_vec(), "not_an_object"),
        (b"17".to_vec(), "not_an_object"),
        (br#"{"resourceType":"Patient"} {}"#.to_vec(), "two_values"),
        (br#"{"resourceType":"Patient","id":"1""#.to_vec(), "unexpected_end"),
        (br#"{"resourceType":"Patient","id":01}"#.to_vec(), "bad_number"),
        (br#"{"resourceType":"Patient","id":"\x"}"#.to_vec(), "bad_escape"),
        (b"{\"resourceType\":\"Patient\",\"id\":\"\xff\"}".to_vec(), "invalid_utf8"),
        (b"{\"resourceType\":\"Patient\",\"id\":\"\x01\"}".to_vec(), "control_character"),
        (br#"{"resourceType":"Patient","id":"1","id":"2"}"#.to_vec(), "duplicate_member"),
        (br#"{"resourceType":"Patient","\ud800":1}"#.to_vec(), "lone_surrogate_name"),
        (br#"{"resourceType":"Patent"}"#.to_vec(), "unknown_resource_type"),
        (br#"{"id":"1"}"#.to_vec(), "missing_resource_type"),
        (br#"{"resourceType":17}"#.to_vec(), "missing_resource_type"),
        (br#"{"resourceType":"OperationOutcome"}"#.to_vec(), "operation_outcome"),
        (deep.into_bytes(), "too_deep"),
        (long.into_bytes(), "too_long"),
    ]
}

#[test]
fn every_bad_line_is_kept_as_it_was() {
    let bad = bad_lines();
    let (mut text, mut expected) = (b"\xef\xbb\xbf".to_vec(), Vec::new());
    let mut line = 0_u64;
    // Ten thousand of them.
    for round in 0..600_u32 {
        for (at, (bytes, reason)) in bad.iter().enumerate() {
            text.extend_from_slice(&ndjson([patient(round * 100 + at as u32)]));
            line += 2;
            expected.push((line, text.len() as u64, bytes.clone(), *reason));
            text.extend_from_slice(bytes);
            text.extend_from_slice(if round % 2 == 0 { b"\n" } else { b"\r\n" });
        }
    }
    for (threads, dies) in [(1, false), (3, false), (2, true)] {
        let scene = Scene::new(&[("Patient.ndjson", &text)]);
        let options = LoadOptions { threads, max_line_bytes: Some(20_000), ..LoadOptions::default() };
        if dies {
            let store_layer = Some(journal_breaks_after(30_000));
            let options = LoadOptions { checkpoint: Duration::ZERO, store_layer, ..options.clone() };
            scene.try_load_with(&[""], options).unwrap_err();
        }
        let summary = scene.try_load_with(&[""], options).unwrap();
        scene.check_sound();
        let rejects = expected.len() as u64;
        assert_eq!(summary.problems, [Problem::Rejected { lines: rejects }]);
        assert_eq!((summary.totals.lines, summary.totals.resources, summary.totals.rejected), (line, rejects, rejects));
        assert_eq!(scene.rows("Patient").len() as u64, rejects);

        let (index, lines) = scene.quarantine();
        let mut rest = &lines[..];
        let mut found = Vec::new();
        for entry in &index {
            let length = entry["length"].as_u64().unwrap() as usize;
            let (bytes, after) = rest.split_at(length);
            rest = after.strip_prefix(b"\n").unwrap();
            assert_eq!(entry["output_file"], "Patient.ndjson");
            assert!(!entry["detail"].as_str().unwrap().is_empty());
            let reason = entry["reason"].as_str().unwrap().to_owned();
            found.push((entry["line"].as_u64().unwrap(), entry["offset"].as_u64().unwrap(), bytes.to_vec(), reason));
        }
        assert!(rest.is_empty());
        found.sort();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((found.0, found.1, found.3.as_str()), (expected.0, expected.1, expected.3));
            assert!(found.2 == expected.2, "line {}", found.0);
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn a_line_that_is_too_long_is_not_held() {
    let mut text = ndjson([patient(1)]);
    text.extend(std::iter::repeat_n(b'x', 40 << 20));
    text.push(b'\n');
    text.extend(ndjson([patient(2)]));
    let scene = Scene::new(&[("a.ndjson", &text)]);
    let options = LoadOptions { memory_bytes: LoadOptions::MEMORY_BYTES_MIN, threads: 2, ..LoadOptions::default() };
    let summary = scene.try_load_with(&[""], options).unwrap();
    scene.check_sound();
    assert_eq!((summary.status, summary.totals.resources), (RunStatus::Rejected, 2));
    let (index, lines) = scene.quarantine();
    assert_eq!(index[0]["reason"], "too_long");
    assert_eq!(index[0]["length"], 40 << 20);
    assert_eq!(lines.len(), (40 << 20) + 1);
}
