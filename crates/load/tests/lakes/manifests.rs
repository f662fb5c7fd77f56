//! Bulk manifests: what they name is loaded as what it is, and nothing else.

use lakehaul_load::{ErrorKind, Problem, RunStatus, Warning};

use crate::scene::{Scene, claim, ndjson, patient};

const OUTCOME: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"}]}"#;

#[test]
fn counts_are_reconciled() {
    let patients = ndjson((0..3).map(patient));
    for (count, status, problems, warnings) in [
        ("3", RunStatus::Complete, vec![], vec![]),
        (
            "4",
            RunStatus::Partial,
            vec![Problem::FewerThanDeclared { output_file: "p.ndjson".into(), declared: 4, resources: 3 }],
            vec![],
        ),
        (
            "2",
            RunStatus::Complete,
            vec![],
            vec![Warning::MoreThanDeclared { output_file: "p.ndjson".into(), declared: 2, resources: 3 }],
        ),
    ] {
        let manifest = format!(
            r#"{{"transactionTime":"2026-01-01T00:00:00Z","output":[{{"type":"Patient","url":"p.ndjson","count":{count}}}]}}"#
        );
        let scene = Scene::new(&[("m.json", manifest.as_bytes()), ("p.ndjson", &patients)]);
        let summary = scene.load_some(&["m.json"]);
        assert_eq!((summary.status, &summary.problems, &summary.warnings), (status, &problems, &warnings), "{count}");
        let record = &scene.records()[0];
        assert_eq!(record.transaction_time.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(record.output_files[0].url.as_deref(), Some("p.ndjson"));
        assert_eq!(record.output_files[0].declared_count, count.parse().ok());
    }
}

#[test]
fn a_rejected_line_did_come() {
    let mut lines = ndjson([patient(1)]);
    lines.extend(b"{\n");
    let manifest = br#"{"output":[{"type":"Patient","url":"p.ndjson","count":2}]}"#;
    let scene = Scene::new(&[("m.json", manifest), ("p.ndjson", &lines)]);
    assert_eq!(scene.load_some(&["m.json"]).problems, [Problem::Rejected { lines: 1 }]);
}

#[test]
fn outcomes_and_deletions_are_kept_and_are_no_rows() {
    let deleted = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"request":{"method":"DELETE","url":"Patient/7"}},{"request":{"method":"DELETE","url":"Claim/8"}}]}"#
        .replace('\n', " ");
    let manifest =
        br#"{"transactionTime":"2026-01-01T00:00:00Z","output":[{"type":"Patient","url":"sub/p.ndjson"}],"deleted":[{"type":"Bundle","url":"d.ndjson"}],
        "error":[{"type":"OperationOutcome","url":"e.ndjson","count":2}]}"#;
    let scene = Scene::new(&[
        ("m.json", manifest),
        ("sub/p.ndjson", &ndjson([patient(1)])),
        ("d.ndjson", &ndjson([deleted.clone()])),
        ("e.ndjson", &ndjson([OUTCOME.to_owned(), String::new(), "no JSON at all".to_owned()])),
    ]);
    let summary = scene.load_some(&["m.json"]);
    assert_eq!(summary.problems, [Problem::Outcomes { lines: 2 }]);
    assert_eq!(summary.status, RunStatus::Partial);
    let totals = &summary.totals;
    assert_eq!((totals.lines, totals.resources, totals.outcomes, totals.deletions, totals.blank), (5, 1, 2, 1, 1));
    let run = &summary.run;
    let kept =
        |folder: &str| std::fs::read_to_string(scene.path(&format!("lake/_lake/{folder}/{run}.ndjson"))).unwrap();
    assert_eq!(kept("outcomes"), format!("{OUTCOME}\nno JSON at all\n"));
    assert_eq!(kept("deletions"), format!("{deleted}\n"));
    assert_eq!(scene.all_rows().keys().collect::<Vec<_>>(), ["Patient"]);
    let report = lakehaul_load::roundtrip(
        &scene.lake(),
        &[lakehaul_load::Input::Path(scene.path("in/m.json"))],
        &Default::default(),
        &lakehaul_load::Silent,
    );
    assert_eq!(report.unwrap().examples, []);
    let table = scene.records()[0].deleted_resources.clone().unwrap();
    assert_eq!((table.rows, table.files.len()), (2, 1));
    assert!(scene.path("lake").join(&table.files[0].path).is_file());
    assert_eq!(lakehaul_load::verify(&scene.lake(), &lakehaul_load::Silent).unwrap().findings, []);
}

#[test]
fn headers_of_organized_output_are_no_data() {
    let header =
        r#"{"resourceType":"Parameters","parameter":[{"name":"header","valueReference":{"reference":"Patient/1"}}]}"#;
    let lines = ndjson([header.to_owned(), patient(1), claim(1), header.to_owned(), patient(2)]);
    let broken = [&lines[..], br#"{"resourceType":"Parameters","#, b"\n"].concat();
    for (organized, headers, rejected) in [(r#""outputOrganizedBy":"Patient","#, 2, 1), ("", 0, 1)] {
        let manifest = format!(r#"{{{organized}"output":[{{"type":"Patient","url":"p.ndjson"}}]}}"#);
        let scene = Scene::new(&[("m.json", manifest.as_bytes()), ("p.ndjson", &broken)]);
        let totals = scene.load_some(&["m.json"]).totals;
        assert_eq!((totals.headers, totals.rejected, totals.resources), (headers, rejected, 5 - headers));
    }
}

#[test]
fn a_file_is_loaded_once_whoever_names_it() {
    let manifest = br#"{"output":[{"type":"Patient","url":"p.ndjson"},{"type":"Patient","url":"./p.ndjson"}]}"#;
    let scene = Scene::new(&[("m.json", manifest), ("p.ndjson", &ndjson([patient(1)]))]);
    let summary = scene.load_some(&["m.json", "p.ndjson", ""]);
    assert_eq!(summary.totals.resources, 1);
    assert_eq!(summary.warnings.len(), 3);
}

#[test]
fn nothing_outside_the_folder_is_loaded() {
    for url in ["../secret.ndjson", "%2e%2e/secret.ndjson", "file:///etc/passwd", "/etc/passwd", "https://u:p@h/x"] {
        let manifest = format!(r#"{{"output":[{{"type":"../../x","url":"{url}"}}]}}"#);
        let scene = Scene::new(&[("x/m.json", manifest.as_bytes()), ("secret.ndjson", &ndjson([patient(1)]))]);
        let error = scene.try_load(&["x/m.json"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("the URL of entry 1 is refused"), "{error}");
        assert!(!scene.path("lake").exists());
    }
}

#[test]
fn a_hostile_type_names_no_folder() {
    let manifest = br#"{"output":[{"type":"../../x","url":"p.ndjson"}]}"#;
    let scene = Scene::new(&[("m.json", manifest), ("p.ndjson", &ndjson([patient(1)]))]);
    let summary = scene.load_some(&["m.json"]);
    assert_eq!((summary.totals.resources, summary.totals.other_type), (1, 1));
    assert!(scene.files_below("").iter().all(|file| file.starts_with("in/") || file.starts_with("lake/")));
}

#[test]
fn a_file_that_is_gone_is_told_and_the_rest_is_loaded() {
    let manifest =
        br#"{"output":[{"type":"Patient","url":"gone.ndjson","count":1},{"type":"Patient","url":"p.ndjson"}]}"#;
    let scene = Scene::new(&[("m.json", manifest), ("p.ndjson", &ndjson([patient(1)]))]);
    let summary = scene.load_some(&["m.json"]);
    assert_eq!(summary.status, RunStatus::Unreadable);
    assert_eq!(summary.problems.len(), 2);
    assert_eq!(summary.totals.resources, 1);
}

#[test]
fn an_empty_export_is_a_success() {
    let scene = Scene::new(&[("m.json", br#"{"transactionTime":"t","output":[]}"#)]);
    let summary = scene.load_some(&["m.json"]);
    assert_eq!((summary.status, summary.totals.files), (RunStatus::Complete, 0));
}
