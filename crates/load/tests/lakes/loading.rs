//! Good input: rows, tables, names, layouts.

use lakehaul_load::{Engine, Layout, LoadOptions, Problem, RunStatus};

use crate::scene::{Scene, canonical, claim, gzip, ndjson, patient};

#[test]
fn every_line_becomes_a_row_of_its_own_type() {
    let mixed = ndjson([claim(1), patient(1), String::new(), claim(2)]);
    let scene = Scene::new(&[
        ("Patient.000.ndjson", &ndjson((2..9).map(patient))),
        ("Claim.000.ndjson.gz", &gzip(&ndjson((10..90).map(claim)))),
        ("Claim.001.ndjson.zst", &zstd::encode_all(&mixed[..], 1).unwrap()),
        ("not-loaded.txt", b"nothing"),
    ]);
    let summary = scene.load();
    assert_eq!((summary.status, summary.problems.as_slice()), (RunStatus::Complete, [].as_slice()));
    assert_eq!((summary.totals.lines, summary.totals.resources, summary.totals.blank), (91, 90, 1));
    assert_eq!(scene.rows("Patient").len(), 8);
    assert_eq!(scene.rows("Claim").len(), 82);
    assert!(scene.rows("Claim").contains(&canonical(&claim(42))));

    let record = &scene.records()[0];
    let names: Vec<_> = record.output_files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["Claim.000.ndjson.gz", "Claim.001.ndjson.zst", "Patient.000.ndjson"]);
    let second = &record.output_files[1];
    assert_eq!((second.lines, second.other_type, second.content_bytes), (4, 1, mixed.len() as u64));
    assert_eq!(second.declared_type.as_deref(), Some("Claim"));
    assert!(record.run.starts_with("20260131T120000Z-"), "{}", record.run);
    for table in &record.tables {
        for (at, part) in table.files.iter().enumerate() {
            assert_eq!(part.path, format!("{}/part-{}-{at:05}.parquet", table.resource_type, record.run));
        }
    }
}

#[test]
fn line_ends_marks_and_blanks_are_no_content() {
    let text = format!("\u{feff}{}\r\n\r\n  \n\t\r\n{}", patient(1), patient(2));
    let scene = Scene::new(&[("a.ndjson", text.as_bytes()), ("empty.ndjson", b"")]);
    let summary = scene.load();
    assert_eq!((summary.totals.lines, summary.totals.resources, summary.totals.blank), (5, 2, 3));
    assert_eq!(summary.status, RunStatus::Complete);
    assert_eq!(summary.files[1].lines, 0);
}

#[test]
fn threads_and_engines_make_the_same_lake() {
    let files: Vec<(String, Vec<u8>)> = (0..7)
        .map(|at| (format!("{at}.ndjson"), ndjson((0..300).flat_map(|id| [patient(1000 * at + id), claim(id)]))))
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (name.as_str(), text.as_slice())).collect();
    let mut lakes = Vec::new();
    for (threads, engine) in [(1, Engine::Direct), (4, Engine::Direct), (2, Engine::Tape)] {
        let scene = Scene::new(&files);
        let options = LoadOptions { threads, engine, ..LoadOptions::default() };
        scene.try_load_with(&[""], options).unwrap();
        scene.check_sound();
        lakes.push(scene.all_rows());
    }
    assert_eq!(lakes[0]["Patient"].len(), 2100);
    assert_eq!(lakes[0], lakes[1]);
    assert_eq!(lakes[0], lakes[2]);
}

#[test]
fn one_large_file_is_read_by_all_workers() {
    let text = ndjson((0..60_000).map(claim));
    assert!(text.len() > 4 << 20, "several chunks");
    let scene = Scene::new(&[("Claim.ndjson", &text)]);
    let summary = scene.load();
    assert_eq!(summary.totals.resources, 60_000);
    let mut expected: Vec<_> = (0..60_000).map(|id| canonical(&claim(id))).collect();
    expected.sort();
    assert!(scene.rows("Claim") == expected);
}

#[test]
fn the_layout_and_the_modes_are_as_asked() {
    let scene = Scene::new(&[("a.ndjson", &ndjson([patient(1)]))]);
    let hive =
        LoadOptions { layout: Some(Layout::Hive), keep_json: Some(true), mode: Some(0o640), ..LoadOptions::default() };
    scene.try_load_with(&[""], hive).unwrap();
    scene.check_sound();
    let files = scene.files_below("lake");
    assert!(files.iter().any(|file| file.starts_with("resource_type=Patient/part-")), "{files:?}");
    assert_eq!(lakehaul_load::settings(&scene.lake()).unwrap().layout, Layout::Hive);
    assert!(lakehaul_load::settings(&scene.lake()).unwrap().keep_json);
    #[cfg(unix)]
    for file in files {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(scene.path("lake").join(&file)).unwrap().permissions().mode() & 0o777;
        assert!(mode == 0o640 || file == "_lake/lock", "{file}: {mode:o}");
    }

    // What is fixed stays; without an option it is taken as it is.
    scene.write("b.ndjson", &ndjson([patient(2)]));
    for other in [
        LoadOptions { layout: Some(Layout::Plain), ..LoadOptions::default() },
        LoadOptions { keep_json: Some(false), ..LoadOptions::default() },
        LoadOptions { annotations: Some(lakehaul_schema::Annotations::NONE), ..LoadOptions::default() },
    ] {
        let error = scene.try_load_with(&[""], other).unwrap_err();
        assert!(error.to_string().starts_with("the lake was made with "), "{error}");
    }
    scene.try_load(&["b.ndjson"]).unwrap();
    scene.check_sound();
    assert_eq!(scene.rows("Patient").len(), 2);
}

#[test]
fn an_operation_outcome_is_data_only_among_its_like() {
    let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"}]}"#;
    let lines = ndjson([outcome.to_owned(), patient(1)]);
    for (name, rejected) in [("Patient.ndjson", 1), ("OperationOutcome.ndjson", 0), ("data.ndjson", 0)] {
        let scene = Scene::new(&[(name, &lines)]);
        let summary = scene.load();
        assert_eq!((summary.totals.rejected, summary.totals.resources), (rejected, 2 - rejected), "{name}");
        if rejected > 0 {
            assert_eq!(scene.quarantine().0[0]["reason"], "operation_outcome");
            assert_eq!(summary.problems, [Problem::Rejected { lines: 1 }]);
        }
    }
}
