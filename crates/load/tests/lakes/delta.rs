//! Lakes of Delta tables: what their logs say, at every version, and what the ledger says of it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use lakehaul_delta::{AddedFile, Change, Commit, DeltaTable, DeltaTables};
use lakehaul_load::{Format, Layout, LoadError, LoadOptions, LoadSummary, VacuumRequest, compact, vacuum, verify};
use lakehaul_schema::{Annotations, ElementTable, Field, FieldNode, TableSchema};
use lakehaul_write::store::LocalStore;

use crate::compacting::{request, with_deletions};
use crate::scene::{Noon, Notes, Scene, claim, ndjson, patient};

fn options() -> LoadOptions {
    LoadOptions { format: Some(Format::Delta), threads: 2, ..LoadOptions::default() }
}

fn replacing() -> LoadOptions {
    LoadOptions { replace: true, ..options() }
}

fn table(scene: &Scene, folder: &str) -> DeltaTable {
    DeltaTables::new(Arc::new(LocalStore::new(scene.lake(), LocalStore::PRIVATE))).unwrap().table(folder)
}

fn rows_at(scene: &Scene, folder: &str, version: u64) -> u64 {
    let files = table(scene, folder).files(Some(version)).unwrap();
    files.iter().for_each(|file| assert!(scene.path("lake").join(&file.path).is_file(), "{} is there", file.path));
    files.iter().map(|file| file.rows.unwrap()).sum()
}

fn load(scene: &Scene, name: &str, lines: Vec<String>, options: LoadOptions) -> Result<LoadSummary, LoadError> {
    scene.write(name, &ndjson(lines));
    scene.try_load_with(&[name], options)
}

fn patients(ids: std::ops::Range<u32>) -> Vec<String> {
    ids.map(patient).collect()
}

#[test]
fn each_run_is_a_version_of_each_table_that_it_brings_rows_for() {
    for (layout, folder) in [(Layout::Plain, "Patient"), (Layout::Hive, "resource_type=Patient")] {
        let scene = Scene::new(&[]);
        let options = LoadOptions { layout: Some(layout), ..options() };
        load(&scene, "a.ndjson", patients(0..5).into_iter().chain([claim(1)]).collect(), options.clone()).unwrap();
        load(&scene, "b.ndjson", patients(5..12), options.clone()).unwrap();
        let wide = r#"{"resourceType":"Patient","id":"w","extension":[{"url":"u","valueString":"v"}]}"#.to_owned();
        load(&scene, "c.ndjson", vec![wide], options).unwrap();
        scene.check_sound();
        let versions = |name: &str| {
            let records = scene.records();
            let tables = records.iter().flat_map(|record| &record.tables);
            tables.filter(|table| table.resource_type == name).map(|table| table.version.unwrap()).collect::<Vec<_>>()
        };
        let of_patients = versions("Patient");
        assert!(of_patients.is_sorted_by(|one, next| one < next) && of_patients.len() == 3, "{of_patients:?}");
        assert_eq!(versions("Claim").len(), 1);
        let rows: Vec<u64> = of_patients.iter().map(|version| rows_at(&scene, folder, *version)).collect();
        assert_eq!(rows, [5, 12, 13]);
    }
}

#[test]
fn the_same_again_adds_no_version() {
    let scene = Scene::new(&[("Patient.ndjson", &ndjson(patients(0..3)))]);
    scene.try_load_with(&[""], options()).unwrap();
    let version = table(&scene, "Patient").version().unwrap();
    assert!(scene.try_load_with(&[""], options()).unwrap().already_complete);
    assert_eq!(table(&scene, "Patient").version().unwrap(), version);
}

#[test]
fn a_full_refresh_takes_the_place_of_all_rows_and_earlier_versions_stay() {
    let scene = Scene::new(&[]);
    load(&scene, "a.ndjson", patients(0..5).into_iter().chain([claim(1)]).collect(), options()).unwrap();
    load(&scene, "b.ndjson", patients(5..7), options()).unwrap();
    load(&scene, "c.ndjson", patients(20..23), replacing()).unwrap();
    scene.check_sound();
    assert_eq!(scene.rows("Patient").len(), 3);
    assert_eq!(scene.rows("Claim").len(), 0, "what the refresh has nothing of is gone");
    let records = scene.records();
    let [claims, of_patients] = &records[2].tables[..] else { panic!("both tables") };
    assert_eq!((claims.rows, claims.files.len(), claims.replaced.as_ref().unwrap().len()), (0, 0, 1));
    assert_eq!((of_patients.rows, of_patients.replaced.as_ref().unwrap().len()), (3, 2));
    assert_eq!(records[2].totals.tables, 1);
    let before = records[1].tables[0].version.unwrap();
    assert_eq!(rows_at(&scene, "Patient", before), 7, "the version before can be read");
    assert_eq!(rows_at(&scene, "Patient", of_patients.version.unwrap()), 3);

    // What comes later is added; the same refresh again finds other rows there, and takes their place once more.
    load(&scene, "d.ndjson", patients(30..34), options()).unwrap();
    assert_eq!(scene.rows("Patient").len(), 7);
    let again = scene.try_load_with(&["c.ndjson"], replacing()).unwrap();
    assert!(!again.already_complete);
    assert_eq!(scene.rows("Patient").len(), 3);
    assert!(scene.try_load_with(&["c.ndjson"], replacing()).unwrap().already_complete, "nothing else is there");
    scene.check_sound();
}

#[test]
fn what_a_refresh_says_that_it_replaced_is_checked() {
    let scene = Scene::new(&[]);
    load(&scene, "a.ndjson", patients(0..5), options()).unwrap();
    load(&scene, "b.ndjson", patients(5..7), replacing()).unwrap();
    let mut record = scene.records().pop().unwrap();
    let path = scene.path(&format!("lake/_lake/runs/{}.json", record.run));
    record.tables[0].replaced = Some(vec!["Patient/part-other.parquet".to_owned()]);
    record.tables[0].version = None;
    fs::write(&path, serde_json::to_string(&record).unwrap()).unwrap();
    let findings = verify(&scene.lake(), &Notes::default()).unwrap().findings;
    for told in ["which was no part of the table", "has no version of the Delta table", "does not have Patient/part-"] {
        assert!(findings.iter().any(|finding| finding.what.contains(told)), "{told}: {findings:?}");
    }
}

#[test]
fn a_damaged_log_is_told_and_nothing_is_written_to_it() {
    let scene = Scene::new(&[]);
    load(&scene, "a.ndjson", patients(0..5), options()).unwrap();
    let log = scene.path("lake/Patient/_delta_log/00000000000000000000.json");
    let sound = fs::read(&log).unwrap();
    fs::write(&log, "no log").unwrap();
    let findings = verify(&scene.lake(), &Notes::default()).unwrap().findings;
    assert!(findings.iter().any(|finding| finding.path == "Patient/_delta_log"), "{findings:?}");
    let error = load(&scene, "b.ndjson", patients(5..7), options()).unwrap_err();
    assert!(error.to_string().contains("Patient/_delta_log in the lake is damaged"), "{error}");
    // Once it is what it was, whoever opens the lake next publishes what was to be published.
    fs::write(&log, sound).unwrap();
    load(&scene, "c.ndjson", patients(7..8), options()).unwrap();
    scene.check_sound();
    assert_eq!(scene.rows("Patient").len(), 8);
}

#[test]
fn a_refresh_of_plain_tables_is_refused_and_touches_nothing() {
    let scene = Scene::new(&[("Patient.ndjson", &ndjson(patients(0..3)))]);
    scene.load();
    let plain = LoadOptions { replace: true, ..LoadOptions::default() };
    let error = scene.try_load_with(&[""], plain).unwrap_err();
    assert!(error.to_string().contains("--format delta"), "{error}");
    assert!(matches!(scene.try_load_with(&[""], options()).unwrap_err(), LoadError::SettingFixed { .. }));
    assert_eq!(scene.rows("Patient").len(), 3);
}

#[test]
fn a_compaction_is_one_version_without_a_changed_row() {
    let scene = Scene::new(&[]);
    for run in 0..4 {
        load(&scene, &format!("{run}.ndjson"), patients(10 * run..10 * run + 5), options()).unwrap();
    }
    let (rows, before) = (scene.rows("Patient"), table(&scene, "Patient").version().unwrap().unwrap());
    let record = compact(&request(&scene, 1 << 20), &Noon, &Notes::default()).unwrap().record.unwrap();
    scene.check_sound();
    let after = record.tables[0].version.unwrap();
    assert_eq!((after, scene.rows("Patient")), (before + 1, rows));
    assert_eq!(table(&scene, "Patient").files(None).unwrap().len(), 1);
    assert_eq!((rows_at(&scene, "Patient", before), rows_at(&scene, "Patient", after)), (20, 20));
    let log = fs::read_to_string(scene.path(&format!("lake/Patient/_delta_log/{after:020}.json"))).unwrap();
    assert!(log.contains("\"dataChange\":false") && !log.contains("\"dataChange\":true"), "{log}");
}

#[test]
fn what_another_program_has_changed_is_left_to_it() {
    let scene = Scene::new(&[]);
    for run in 0..3 {
        load(&scene, &format!("{run}.ndjson"), patients(10 * run..10 * run + 5), options()).unwrap();
    }
    // It removes all rows.
    let schema = Arc::new(arrow::datatypes::Schema::empty());
    let (app_id, operation, run) = ("another".to_owned(), "DELETE".to_owned(), String::new());
    let (adds, change): (Vec<AddedFile>, _) = (Vec::new(), Change::Replace);
    let statistics = Vec::new();
    let commit = Commit { app_id, app_version: 1, adds, schema, statistics, change, operation, run, now_ms: 1 };
    table(&scene, "Patient").commit(&commit).unwrap();
    let notes = Notes::default();
    let summary = compact(&request(&scene, 1 << 20), &Noon, &notes).unwrap();
    assert_eq!(summary.record.unwrap().tables, []);
    assert!(notes.warnings.lock().unwrap().iter().any(|warning| warning.to_string().contains("another program")));
    let findings = verify(&scene.lake(), &Notes::default()).unwrap().findings;
    let told = findings.iter().filter(|finding| finding.what.contains("does not have")).count();
    assert_eq!(told, 3, "{findings:?}");
    // And goes on being loaded into.
    load(&scene, "more.ndjson", patients(90..92), options()).unwrap();
    assert_eq!(table(&scene, "Patient").files(None).unwrap().len(), 1);
}

#[test]
fn a_vacuum_leaves_what_versions_refer_to_unless_it_is_told() {
    let scene = Scene::new(&[]);
    load(&scene, "a.ndjson", patients(0..5), options()).unwrap();
    load(&scene, "b.ndjson", patients(5..7), replacing()).unwrap();
    scene.write("../lake/Patient/part-nobody.parquet", b"x");
    let look = |old_versions| {
        let options = LoadOptions::default();
        let request = VacuumRequest { lake: scene.lake(), older_than: Duration::ZERO, old_versions, options };
        let vacuum = vacuum(&request, &lakehaul_load::SystemClock).unwrap();
        let strays: BTreeSet<String> = vacuum.strays.iter().map(|stray| stray.path.clone()).collect();
        (vacuum, strays)
    };
    let (vacuum, strays) = look(false);
    assert_eq!(strays, ["Patient/part-nobody.parquet".to_owned()].into());
    vacuum.remove(&Notes::default()).unwrap();
    drop(vacuum);
    scene.check_sound();

    let replaced = scene.records()[1].tables[0].replaced.clone().unwrap();
    let (vacuum, strays) = look(true);
    assert_eq!(strays, replaced.into_iter().collect());
    vacuum.remove(&Notes::default()).unwrap();
    drop(vacuum);
    scene.check_sound();
    assert_eq!(scene.rows("Patient").len(), 2);
}

#[test]
fn deletions_are_a_table_too() {
    let manifest = r#"{"transactionTime":"2026-01-01T00:00:00Z","output":[{"type":"Patient","url":"p.ndjson"}],
        "deleted":[{"type":"Bundle","url":"d.ndjson"}]}"#;
    let deleted =
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/x"}}]}"#;
    let scene = Scene::new(&[
        ("m.json", manifest.as_bytes()),
        ("p.ndjson", &ndjson(patients(0..2))),
        ("d.ndjson", &ndjson([deleted.to_owned()])),
    ]);
    scene.try_load_with(&["m.json"], options()).unwrap();
    scene.check_sound();
    let version = scene.records()[0].deleted_resources.as_ref().unwrap().version.unwrap();
    assert_eq!(rows_at(&scene, "deleted_resources", version), 1);
}

#[test]
fn deletions_are_compacted_in_one_version() {
    let scene = with_deletions(3, &options());
    let record = compact(&request(&scene, 1 << 20), &Noon, &Notes::default()).unwrap().record.unwrap();
    scene.check_sound();
    let joined = record.tables.iter().find(|table| table.resource_type == "deleted_resources").unwrap();
    let version = joined.version.unwrap();
    let files = |version| table(&scene, "deleted_resources").files(Some(version)).unwrap().len();
    assert_eq!((rows_at(&scene, "deleted_resources", version), files(version)), (9, 1));
    // What it replaced stays for the version before.
    assert_eq!((rows_at(&scene, "deleted_resources", version - 1), files(version - 1)), (9, 3));
}

#[test]
fn who_else_writes_to_the_table_of_deletions_is_told() {
    let scene = with_deletions(1, &options());
    let record = scene.records().remove(0);
    let part = record.deleted_resources.unwrap().files.remove(0);
    let log = scene.path("lake/deleted_resources/_delta_log");
    let remove = format!(
        r#"{{"remove":{{"path":"{}","deletionTimestamp":1,"dataChange":true}}}}"#,
        part.path.rsplit('/').next().unwrap()
    );
    let newest = scene.files_below("lake/deleted_resources/_delta_log").into_iter().max().unwrap();
    let next: u64 = newest.trim_end_matches(".json").parse::<u64>().unwrap() + 1;
    fs::write(log.join(format!("{next:020}.json")), remove).unwrap();
    let findings = verify(&scene.lake(), &Notes::default()).unwrap().findings;
    let told = findings.iter().map(|found| (found.path.as_str(), found.what.as_str())).collect::<Vec<_>>();
    let what = format!("the Delta table does not have {}, which the ledger names", part.path);
    assert_eq!(told, [("deleted_resources/_delta_log", what.as_str())]);
}

/// Of the tables that a payer's export is made of, id, dates and the references that their rows are searched by are among the
/// columns that statistics cover.
#[test]
fn what_is_searched_by_comes_first() {
    let wanted = [
        ("Patient", "id birthDate managingOrganization.reference"),
        ("Coverage", "id period.start period.end beneficiary.reference subscriber.reference"),
        (
            "ExplanationOfBenefit",
            "id created billablePeriod.end patient.reference insurer.reference provider.reference",
        ),
        ("Claim", "id created billablePeriod.end patient.reference insurer.reference provider.reference"),
        ("Encounter", "id period.start period.end subject.reference"),
        ("Condition", "id recordedDate onsetDateTime subject.reference encounter.reference"),
        ("Observation", "id effectiveDateTime issued subject.reference encounter.reference"),
        ("Procedure", "id performedDateTime performedPeriod.end subject.reference encounter.reference"),
        ("MedicationRequest", "id authoredOn subject.reference encounter.reference"),
        ("Immunization", "id occurrenceDateTime patient.reference encounter.reference"),
    ];
    for (resource_type, columns) in wanted {
        let schema = TableSchema::core(ElementTable::r4(), resource_type, Annotations::default(), false).unwrap();
        let fields = schema.fields_searched_first();
        assert_eq!(fields.len(), schema.fields().len());
        let mut leaves = Vec::new();
        add_leaves("", &fields, &mut leaves);
        for column in columns.split(' ') {
            let at = leaves.iter().position(|leaf| leaf == column);
            assert!(at.is_some_and(|at| at < 32), "{resource_type}.{column} has the place {at:?}");
        }
    }
}

/// As Delta counts them: a list is one.
fn add_leaves(prefix: &str, fields: &[Field], leaves: &mut Vec<String>) {
    for field in fields {
        let path = format!("{prefix}{}", field.name);
        match &field.node {
            FieldNode::Group(fields) if !field.list => add_leaves(&format!("{path}."), fields, leaves),
            _ => leaves.push(path),
        }
    }
}
