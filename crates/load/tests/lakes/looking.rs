//! Looking at a lake: roundtrip finds what differs, and what is no lake is told.

use std::fs;

use lakehaul_load::{Difference, ErrorKind, Input, LoadOptions, RoundtripReport, Silent, roundtrip, verify};

use crate::scene::{Scene, claim, ndjson, patient};

fn loaded() -> Scene {
    let mut patients = ndjson((0..3000).map(patient));
    patients.extend(b"not json\n");
    let scene = Scene::new(&[("Patient.ndjson", &patients), ("Claim.ndjson", &ndjson((0..50).map(claim)))]);
    scene.load();
    scene
}

fn compare(scene: &Scene, names: &[&str]) -> RoundtripReport {
    let inputs: Vec<_> = names.iter().map(|name| Input::Path(scene.path("in").join(name))).collect();
    roundtrip(&scene.lake(), &inputs, &LoadOptions::default(), &Silent).expect("a lake that can be read")
}

#[test]
fn a_source_is_its_rows() {
    let scene = loaded();
    let report = compare(&scene, &[""]);
    assert_eq!((report.differences, &report.examples[..]), (0, [].as_slice()));
    assert_eq!((report.files, report.lines, report.resources, report.rejected), (2, 3051, 3050, 1));
}

#[test]
fn legal_oddities_come_back() {
    let lines = [
        r#"{"resourceType":"Patient","id":"1","_birthDate":{"extension":[{"url":"u","valueDecimal":1.50}]}}"#,
        r#"{"resourceType":"Patient","multipleBirthInteger":1e3,"active":"yes","unknown":{"a":[1,{"b":null}]}}"#,
        r#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}],"gender":null}"#,
        r#"{"resourceType":"Observation","valueQuantity":{"value":0.10000000000000000000000000000000000000001}}"#,
        r#"{"resourceType":"Patient","id":"\ud800","contained":[{"resourceType":"X","a":1,"a":2}],"name":[],"photo":{}}"#,
        r#"{"id":"type last","active":true,"resourceType":"Patient"}"#,
        r#"{ "resourceType" : "Patient" , "id" : "A\u0042\/\n\u0000" }"#,
    ];
    let scene = Scene::new(&[("odd.ndjson", &ndjson(lines.map(str::to_owned)))]);
    let summary = scene.load();
    assert_eq!(summary.totals.rejected, 0);
    let report = compare(&scene, &[""]);
    assert_eq!((report.resources, &report.examples[..]), (7, [].as_slice()));
}

#[test]
fn deep_lines_come_back_where_they_are_allowed() {
    let (open, close) = (r#"{"url":"u","extension":["#, "]}");
    let nested = |levels: usize| format!("{}{}", open.repeat(levels), close.repeat(levels));
    let lines = [
        format!(r#"{{"resourceType":"Patient","extension":[{}]}}"#, nested(20_000)),
        format!(r#"{{"resourceType":"Patient","unknown":{}{}}}"#, "[".repeat(90_000), "]".repeat(90_000)),
        format!(r#"{{"resourceType":"Patient","contained":[{}]}}"#, nested(20_000)),
    ];
    let scene = Scene::new(&[("deep.ndjson", &ndjson(lines))]);
    let options = LoadOptions { max_depth: LoadOptions::MAX_DEPTH_MAX, ..LoadOptions::default() };
    assert_eq!(scene.try_load_with(&[""], options.clone()).unwrap().totals.resources, 3);
    let report = roundtrip(&scene.lake(), &[Input::Path(scene.path("in"))], &options, &Silent).unwrap();
    assert_eq!((report.resources, &report.examples[..]), (3, [].as_slice()));
}

#[test]
fn a_changed_source_is_not_what_was_loaded() {
    let scene = loaded();
    scene.write("Claim.ndjson", &ndjson((0..49).map(claim)));
    let report = compare(&scene, &[""]);
    let what = "no run of the lake has loaded this file as it is now".to_owned();
    assert_eq!(report.examples, [Difference { output_file: "Claim.ndjson".into(), line: 0, what }]);
    assert_eq!((report.differences, report.resources), (1, 3000));
}

/// The ledger is made to say that another source was loaded, so that its lines are compared.
#[test]
fn every_difference_is_counted_and_named() {
    let scene = loaded();
    let mut lines: Vec<String> = (0..3000).map(patient).collect();
    lines[4] = lines[4].replace("true", "false");
    lines[2500] = lines[2500].replace(r#""id":"p2500""#, r#""id":"p2500","name":[{"family":"x"}]"#);
    lines.swap(7, 8);
    lines.push("not json".to_owned());
    lines.push(patient(3000));
    let text = ndjson(lines);
    let old = blake3::hash(&fs::read(scene.path("in/Patient.ndjson")).unwrap()).to_hex().to_string();
    scene.write("Patient.ndjson", &text);
    let record = scene.path("lake/_lake/runs").join(format!("{}.json", scene.records()[0].run));
    let ledger = fs::read_to_string(&record).unwrap();
    fs::write(&record, ledger.replace(&old, blake3::hash(&text).to_hex().as_str())).unwrap();

    let report = compare(&scene, &[""]);
    let told: Vec<_> = report.examples.iter().map(|difference| (difference.line, difference.what.as_str())).collect();
    let expected = [
        (5, "its row differs in Patient.active"),
        (8, "its row differs in Patient.birthDate"),
        (9, "its row differs in Patient.birthDate"),
        (2501, "its row differs in Patient.name"),
        (3002, "it has no row"),
    ];
    assert_eq!(told, expected);
    assert_eq!(report.differences, 5);
}

#[test]
fn what_is_no_lake_is_told() {
    let scene = loaded();
    let nowhere = scene.path("nowhere").to_str().unwrap().to_owned();
    assert_eq!(verify(&nowhere, &Silent).unwrap_err().kind(), ErrorKind::Usage);
    let error = lakehaul_load::cat(&scene.lake(), "Patent", &mut Vec::new()).unwrap_err();
    assert!(error.to_string().ends_with("it has Claim, Patient"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Usage);
}
