//! Compaction: fewer and wider parts, the same rows with the same provenance, and a ledger that says so.

use std::fs;

use lakehaul_load::{
    CompactRequest, CompactSummary, CompactionRecord, ErrorKind, Input, Layout, LoadError, LoadOptions, Silent, Stray,
    compact, compactions, roundtrip, verify,
};
use lakehaul_write::rebuild::PartReader;
use lakehaul_write::store::{LocalStore, Store};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::scene::{Noon, Scene, claim, ndjson, patient};

pub(crate) fn request(scene: &Scene, part_bytes: u64) -> CompactRequest {
    CompactRequest { lake: scene.lake(), part_bytes, options: LoadOptions::default() }
}

pub(crate) fn try_compact(scene: &Scene) -> Result<CompactSummary, LoadError> {
    compact(&request(scene, CompactRequest::PART_BYTES), &Noon, &Silent)
}

#[track_caller]
fn compacted(scene: &Scene) -> CompactionRecord {
    let record = try_compact(scene).unwrap().record.expect("there is something to do");
    scene.check_sound();
    record
}

/// Path, run, output file, line and resource of every row that a reader finds who lists a table's folder.
pub(crate) fn visible_rows(scene: &Scene, folder: &str) -> Vec<(String, String, u64, String)> {
    let store = LocalStore::new(scene.lake(), LocalStore::PRIVATE);
    let mut rows = Vec::new();
    for (path, _) in store.list(folder).unwrap() {
        let mut reader = PartReader::open(path.clone(), store.open(&path).unwrap()).unwrap();
        let read = reader.for_each_row(&mut |row| {
            let json = String::from_utf8(row.json.to_vec()).expect("a resource is text");
            rows.push((row.run.to_owned(), row.output_file.to_owned(), row.line, json));
            Ok(())
        });
        read.unwrap();
    }
    rows.sort();
    rows
}

fn parts(scene: &Scene, folder: &str) -> Vec<String> {
    scene.files_below(&format!("lake/{folder}"))
}

fn row_groups(scene: &Scene, part: &str) -> usize {
    let file = fs::File::open(scene.path("lake").join(part)).unwrap();
    SerializedFileReader::new(file).unwrap().metadata().num_row_groups()
}

fn leaves(scene: &Scene, part: &str) -> usize {
    let file = fs::File::open(scene.path("lake").join(part)).unwrap();
    SerializedFileReader::new(file).unwrap().metadata().file_metadata().schema_descr().num_columns()
}

/// Resources of one type that have all that is awkward: numbers with digits to keep, what goes to `__extra`, long texts, lists
/// of lists, repeated and unique values.
fn awkward(at: u32) -> String {
    let wide = match at % 5 {
        0 => {
            r#","extension":[{"url":"u","valueDecimal":1.50},{"url":"v","extension":[{"url":"w","valueString":"x"}]}]"#
        }
        1 => r#","name":[{"given":["a",null],"_given":[null,{"id":"x"}]},{"family":"b"}],"gender":null"#,
        2 => {
            r#","text":{"status":"generated","div":"<div>long</div>"},"multipleBirthInteger":3,"deceasedBoolean":true"#
        }
        3 => r#","contained":[{"resourceType":"X","a":1,"a":2}],"unknown":{"a":[1,{"b":null}]}"#,
        _ => r#","deceasedDateTime":"2026-01-31T10:00:00+01:00","photo":[{"data":"aGVsbG8=","size":5}]"#,
    };
    format!(r#"{{"resourceType":"Patient","id":"p{at}","birthDate":"1970-01-{:02}"{wide}}}"#, at % 28 + 1)
}

/// A lake that was fed `runs` times, a little more and a little wider each time.
pub(crate) fn fed(runs: u32, options: &LoadOptions) -> Scene {
    let scene = Scene::new(&[]);
    for run in 0..runs {
        let name = format!("f{run}.ndjson");
        let mut lines: Vec<String> = (0..20 + run).map(|at| awkward(100 * run + at % (run + 1))).collect();
        lines.extend((0..3).map(|at| claim(100 * run + at)));
        lines.push("not json".to_owned());
        scene.write(&name, &ndjson(lines));
        scene.try_load_with(&[&name], LoadOptions { threads: 2, ..options.clone() }).unwrap();
    }
    scene.check_sound();
    scene
}

#[test]
fn small_runs_become_one_part_with_the_same_rows() {
    for (layout, folder) in [(Layout::Plain, "Patient"), (Layout::Hive, "resource_type=Patient")] {
        for keep_json in [false, true] {
            let options = LoadOptions { layout: Some(layout), keep_json: Some(keep_json), ..LoadOptions::default() };
            let scene = fed(6, &options);
            let (before, all) = (visible_rows(&scene, folder), scene.all_rows());
            let runs = scene.records();
            assert!(parts(&scene, folder).len() >= 6);

            let record = compacted(&scene);
            let [part] = &parts(&scene, folder)[..] else { panic!("one part is left") };
            let part = format!("{folder}/{part}");
            assert_eq!(row_groups(&scene, &part), 1);
            assert_eq!(visible_rows(&scene, folder), before);
            assert_eq!(scene.all_rows(), all);
            assert_eq!(scene.records(), runs, "what was loaded is what it was");
            let of_patients = &record.tables[1];
            assert_eq!((of_patients.resource_type.as_str(), of_patients.rows), ("Patient", before.len() as u64));
            let of_runs: Vec<u64> = of_patients.files[0].runs.iter().map(|of_run| of_run.rows).collect();
            assert_eq!(of_runs, [20, 21, 22, 23, 24, 25]);
            assert_eq!(compactions(&scene.lake()).unwrap(), [record]);

            let report =
                roundtrip(&scene.lake(), &[Input::Path(scene.path("in"))], &LoadOptions::default(), &Silent).unwrap();
            assert_eq!((report.differences, report.resources, report.rejected), (0, 153, 6));
        }
    }
}

/// What readers prune by is as if all rows had been written together.
#[test]
fn a_gathered_row_group_has_the_statistics_of_one_written_at_once() {
    let (small, whole) = (fed(5, &LoadOptions::default()), Scene::new(&[]));
    compacted(&small);
    let files = (0..5).map(|run| fs::read(small.path("in").join(format!("f{run}.ndjson"))).unwrap());
    whole.write("all.ndjson", &files.flatten().collect::<Vec<u8>>());
    whole.try_load_with(&[""], LoadOptions { threads: 1, ..LoadOptions::default() }).unwrap();
    let columns = |scene: &Scene, table: &str| {
        let [part] = &parts(scene, table)[..] else { panic!("one part") };
        let file = fs::File::open(scene.path("lake").join(table).join(part)).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let row_group = reader.metadata().row_group(0).clone();
        let columns = row_group
            .columns()
            .iter()
            .filter(|column| !["__run", "__output_file", "__line"].contains(&column.column_path().string().as_str()));
        let told = columns.map(|column| {
            let statistics = column.statistics().expect("each chunk has some");
            let bounds =
                [statistics.min_bytes_opt(), statistics.max_bytes_opt()].map(|bytes| bytes.map(<[u8]>::to_vec));
            let indexed = column.column_index_range().is_some();
            (column.column_path().string(), column.num_values(), statistics.null_count_opt(), bounds, indexed)
        });
        told.collect::<Vec<_>>()
    };
    for table in ["Claim", "Patient"] {
        for (gathered, written) in columns(&small, table).into_iter().zip(columns(&whole, table)) {
            // A null chunk that was made to widen a part has an index, even where long text has none.
            let is_null = written.2 == Some(written.1 as u64);
            let same =
                (&gathered.0, gathered.1, gathered.2, &gathered.3) == (&written.0, written.1, written.2, &written.3);
            assert!(same && (is_null || gathered.4 == written.4), "{gathered:?} {written:?}");
        }
        assert_eq!(columns(&small, table).len(), columns(&whole, table).len());
    }
}

#[test]
fn what_is_compacted_stays_as_it_is() {
    let scene = fed(4, &LoadOptions::default());
    compacted(&scene);
    let files = scene.files_below("lake");
    let again = try_compact(&scene).unwrap();
    assert_eq!((again.record, again.kept_parts), (None, 2));
    assert_eq!(scene.files_below("lake"), files);
}

#[test]
fn a_lake_is_fed_on_and_compacted_again() {
    let scene = fed(3, &LoadOptions::default());
    let first = compacted(&scene);
    scene.write("more.ndjson", &ndjson((0..30).map(patient)));
    // The schema has grown; what comes now has the grown one, and a run's name sorts behind the compaction's.
    let run = scene.load_some(&["more.ndjson"]).run;
    assert!(run > first.compaction, "{run} after {}", first.compaction);
    let before = visible_rows(&scene, "Patient");
    let second = compacted(&scene);
    assert!(second.compaction > run, "{} after {run}", second.compaction);
    let replaced: Vec<&str> = second.tables[0].files[0].replaces.iter().map(|part| part.of.as_str()).collect();
    assert_eq!(replaced[0], first.compaction);
    assert!(replaced[1..].iter().all(|of| *of == run), "{replaced:?}");
    assert_eq!(second.tables.len(), 1, "claims were compacted before");
    assert_eq!(visible_rows(&scene, "Patient"), before);
    // The same command is still known to be finished.
    assert!(scene.load_some(&["more.ndjson"]).already_complete);
    let inputs = [Input::Path(scene.path("in"))];
    assert_eq!(roundtrip(&scene.lake(), &inputs, &LoadOptions::default(), &Silent).unwrap().differences, 0);
}

#[test]
fn narrow_parts_get_the_tables_columns_however_long_they_are() {
    let scene = Scene::new(&[("a.ndjson", &ndjson((0..500).map(patient)))]);
    scene.load();
    scene.write("b.ndjson", &ndjson((0..10).map(awkward)));
    scene.load_some(&["b.ndjson"]);
    let widest = lakehaul_load::schemas(&scene.lake()).unwrap()[0].leaf_count();
    let before = visible_rows(&scene, "Patient");
    // Nothing is small, so nothing is joined.
    let record = compact(&request(&scene, 1), &Noon, &Silent).unwrap().record.expect("one part is narrow");
    scene.check_sound();
    assert_eq!(
        record.tables[0].files.iter().map(|part| part.replaces.len()).collect::<Vec<_>>(),
        vec![1; record.tables[0].files.len()]
    );
    for part in parts(&scene, "Patient") {
        assert_eq!(leaves(&scene, &format!("Patient/{part}")), widest, "{part}");
    }
    assert_eq!(visible_rows(&scene, "Patient"), before);
    assert_eq!(compact(&request(&scene, 1), &Noon, &Silent).unwrap().record, None);
}

/// Row groups of some size are copied; a part ends before it gets longer than four times what is small.
#[test]
fn long_parts_are_joined_up_to_a_length() {
    let scene = Scene::new(&[]);
    for run in 0..5_u32 {
        let name = format!("f{run}.ndjson");
        let many = (0..9000).map(|at| patient(10_000 * run + at));
        scene.write(&name, &ndjson(many));
        scene.try_load_with(&[&name], LoadOptions { threads: 1, ..LoadOptions::default() }).unwrap();
    }
    let before = visible_rows(&scene, "Patient");
    let lengths: Vec<u64> = scene.records().iter().map(|record| record.totals.part_bytes).collect();
    let part_bytes = lengths.iter().max().unwrap() + 1;
    let summary = compact(&request(&scene, part_bytes), &Noon, &Silent).unwrap();
    let record = summary.record.expect("they are small");
    scene.check_sound();
    let joined: Vec<usize> = record.tables[0].files.iter().map(|part| part.replaces.len()).collect();
    assert_eq!((joined, summary.kept_parts), (vec![4], 1));
    assert_eq!(row_groups(&scene, &record.tables[0].files[0].part.path), 4, "they are copied");
    assert_eq!(visible_rows(&scene, "Patient"), before);
    assert_eq!(compact(&request(&scene, part_bytes), &Noon, &Silent).unwrap().record, None);
}

#[test]
fn what_is_damaged_is_not_taken_over() {
    let scene = fed(2, &LoadOptions::default());
    let part = scene.path("lake/Patient").join(&parts(&scene, "Patient")[0]);
    let mut bytes = fs::read(&part).unwrap();
    bytes[100] ^= 1;
    fs::write(&part, &bytes).unwrap();
    let before = scene.files_below("lake");
    let error = try_compact(&scene).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
    assert!(error.to_string().contains("Patient/part-"), "{error}");
    assert_eq!(scene.files_below("lake"), before);
}

#[test]
fn what_cannot_be_compacted_is_told() {
    let scene = Scene::new(&[("a.ndjson", &ndjson([patient(1)]))]);
    assert_eq!(try_compact(&scene).unwrap_err().kind(), ErrorKind::Usage);
    assert!(!scene.path("lake").exists(), "to look at a lake does not make one");
    scene.load();
    assert_eq!(compact(&request(&scene, 0), &Noon, &Silent).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(try_compact(&scene).unwrap().record, None);
    let interrupted = request(&scene, 1 << 20);
    interrupted.options.interrupt.set();
    let error = compact(&interrupted, &Noon, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let held = lakehaul_load::plan(
        &scene.request(&[""], LoadOptions { new_run: true, ..LoadOptions::default() }),
        &Noon,
        &Silent,
    );
    assert_eq!(try_compact(&scene).unwrap_err().kind(), ErrorKind::LakeHeld);
    drop(held);
}

/// A lake that was fed `runs` times by manifests that report deletions, the first one two of them, the next three, …
pub(crate) fn with_deletions(runs: u32, options: &LoadOptions) -> Scene {
    let scene = Scene::new(&[]);
    for run in 0..runs {
        let manifest = format!(
            r#"{{"output":[{{"type":"Patient","url":"p{run}.ndjson"}}],"deleted":[{{"type":"Bundle","url":"d{run}.ndjson"}}]}}"#
        );
        let deletion = |at| {
            format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":"Claim/{run}-{at}"}}}}]}}"#
            )
        };
        let name = format!("m{run}.json");
        scene.write(&name, manifest.as_bytes());
        scene.write(&format!("p{run}.ndjson"), &ndjson([patient(run)]));
        scene.write(&format!("d{run}.ndjson"), &ndjson((0..2 + run).map(deletion)));
        scene.try_load_with(&[&name], LoadOptions { threads: 1, ..options.clone() }).unwrap();
    }
    scene.check_sound();
    scene
}

/// All rows of the table of deletions, as a reader finds them who lists its folder.
fn deletions(scene: &Scene) -> Vec<String> {
    let mut rows = Vec::new();
    for part in parts(scene, "deleted_resources") {
        let path = scene.path("lake/deleted_resources").join(part);
        let file = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
        rows.extend(file.into_iter().map(|row| row.unwrap().to_string()));
    }
    rows
}

#[test]
fn deletions_are_joined_too() {
    for layout in [Layout::Plain, Layout::Hive] {
        let scene = with_deletions(3, &LoadOptions { layout: Some(layout), ..LoadOptions::default() });
        let (before, runs) = (deletions(&scene), scene.records());
        assert_eq!((before.len(), parts(&scene, "deleted_resources").len()), (9, 3));
        let record = compacted(&scene);
        let [_, table] = &record.tables[..] else { panic!("patients and deletions: {:#?}", record.tables) };
        assert_eq!((table.resource_type.as_str(), table.rows, record.totals.tables), ("deleted_resources", 9, 2));
        let of_runs: Vec<u64> = table.files[0].runs.iter().map(|of_run| of_run.rows).collect();
        assert_eq!(of_runs, [2, 3, 4]);
        assert_eq!((deletions(&scene), parts(&scene, "deleted_resources").len()), (before, 1));
        assert_eq!(scene.records(), runs, "what was loaded is what it was");
        assert_eq!(try_compact(&scene).unwrap().record, None);
        // The next run's are joined to them.
        scene.write("m.json", br#"{"output":[],"deleted":[{"type":"Bundle","url":"d0.ndjson"}]}"#);
        scene.load_some(&["m.json"]);
        let table = compacted(&scene).tables.remove(0);
        assert_eq!((table.files[0].replaces.len(), table.rows), (2, 11));
    }
}

/// What the ledger says of a joined part of deletions is held against it.
#[test]
fn a_part_of_deletions_is_checked() {
    let spoiled = |spoil: &dyn Fn(&Scene, &mut CompactionRecord)| {
        let scene = with_deletions(2, &LoadOptions::default());
        let mut record = compacted(&scene);
        spoil(&scene, &mut record);
        let path = scene.path("lake/_lake/compactions").join(format!("{}.json", record.compaction));
        fs::write(path, serde_json::to_vec(&record).unwrap()).unwrap();
        let found = verify(&scene.lake(), &Silent).unwrap().findings.into_iter();
        found.filter(|found| found.path.starts_with("deleted_resources/")).map(|found| found.what).collect::<Vec<_>>()
    };
    assert_eq!(spoiled(&|_, _| {}), Vec::<String>::new());
    let swapped = spoiled(&|_, record| {
        let runs = &mut record.tables[1].files[0].runs;
        (runs[0].rows, runs[1].rows) = (runs[1].rows, runs[0].rows);
    });
    assert!(
        swapped[0].contains("2 of its rows are of run ") && swapped[0].ends_with("the ledger says 3"),
        "{swapped:?}"
    );
    let of_another = spoiled(&|_, record| {
        record.tables[1].files[0].runs.remove(0);
    });
    assert_eq!(of_another, ["2 of its rows are of another run"]);
    let damaged = spoiled(&|scene, record| {
        let path = scene.path("lake").join(&record.tables[1].files[0].part.path);
        let mut bytes = fs::read(&path).unwrap();
        bytes[50] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    assert!(damaged[0].contains("the hash differs"), "{damaged:?}");
    let scene = with_deletions(2, &LoadOptions::default());
    let part = scene.path("lake/deleted_resources").join(&parts(&scene, "deleted_resources")[1]);
    let mut bytes = fs::read(&part).unwrap();
    bytes[50] ^= 1;
    fs::write(part, bytes).unwrap();
    let error = try_compact(&scene).unwrap_err();
    assert!(error.kind() == ErrorKind::Verification && error.to_string().contains("deleted_resources/"), "{error}");
}

/// Each figure of a compaction's record is checked; `told`: every finding's sentence.
#[test]
fn a_compactions_record_is_checked() {
    #[track_caller]
    fn check(spoil: impl FnOnce(&mut CompactionRecord), told: &[&str]) {
        let scene = fed(2, &LoadOptions::default());
        let mut record = compacted(&scene);
        let name = record.compaction.clone();
        spoil(&mut record);
        let path = scene.path("lake/_lake/compactions").join(format!("{name}.json"));
        fs::write(path, serde_json::to_vec(&record).unwrap()).unwrap();
        let findings = verify(&scene.lake(), &Silent).unwrap().findings;
        let found: Vec<String> = findings.into_iter().map(|found| found.what.replace(&name, "COMPACTION")).collect();
        for told in told {
            assert!(found.iter().any(|what| what.contains(told)), "{told:?} is not among {found:#?}");
        }
        assert_eq!(found.is_empty(), told.is_empty(), "{found:#?}");
    }
    check(|_| {}, &[]);
    check(|record| record.started.clear(), &["when it began is no time"]);
    check(|record| record.totals.replaced_bytes += 1, &["its totals are not the sums of its tables"]);
    check(|record| record.tables.reverse(), &["the tables are not sorted by type"]);
    check(|record| record.tables[1].rows += 1, &["Patient has 42 rows, its parts have 41"]);
    check(
        |record| record.tables[1].files[0].part.rows += 1,
        &["has 42 rows, those that it replaces have 41", "it has 41 rows, the ledger says 42"],
    );
    check(|record| record.tables[1].files[0].part.blake3.replace_range(..1, "x"), &["the hash differs"]);
    check(
        |record| {
            record.tables[1].files[0].runs[0].rows += 1;
            record.tables[1].files[0].runs[1].rows -= 1;
        },
        &["has not the rows of each run", "20 of its rows are of run "],
    );
    check(|record| record.tables[1].files[0].replaces[0].part.bytes += 1, &["was another part than it says"]);
    check(
        |record| {
            record.tables[1].files[0].replaces.remove(0);
        },
        &["those that it replaces have ", "it cannot be read"],
    );
    check(
        |record| {
            let twice = record.tables[1].files[0].replaces[0].clone();
            record.tables[1].files[0].replaces.push(twice);
        },
        &["it replaces Patient/part-"],
    );
    check(
        |record| record.tables[1].files[0].part.path = "Patient/x.parquet".to_owned(),
        &["is not where a part of Patient of this compaction would be", "no run record names it"],
    );
}

#[test]
fn a_part_that_was_replaced_and_is_there_again_is_told() {
    let scene = fed(2, &LoadOptions::default());
    let part = parts(&scene, "Patient")[0].clone();
    let bytes = fs::read(scene.path("lake/Patient").join(&part)).unwrap();
    compacted(&scene);
    fs::write(scene.path("lake/Patient").join(&part), bytes).unwrap();
    let findings = verify(&scene.lake(), &Silent).unwrap().findings;
    assert_eq!(findings.iter().map(|found| found.path.as_str()).collect::<Vec<_>>(), [format!("Patient/{part}")]);
}

/// What `vacuum` is asked to look at, in `vacuuming`.
pub(crate) fn paths(strays: &[Stray]) -> Vec<&str> {
    strays.iter().map(|stray| stray.path.as_str()).collect()
}
