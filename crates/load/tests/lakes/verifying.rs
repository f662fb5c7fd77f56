//! Every figure of the ledger is checked: one thing of a good lake is spoilt, and verify says which.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use lakehaul_load::{
    LoadOptions, PartRecord, Problem, RunRecord, RunStatus, Silent, StoreLayer, reject_reasons, verify,
};
use lakehaul_write::store::{Store, StoreLock, StoreRead, StoreWrite};

use crate::scene::{Scene, claim, ndjson, patient};

const MANIFEST: &[u8] = br#"{"transactionTime":"2026-01-01T00:00:00Z",
    "output":[{"type":"Patient","url":"p1.ndjson","count":5},{"type":"Patient","url":"p2.ndjson"},{"type":"Claim","url":"c.ndjson"}],
    "deleted":[{"type":"Bundle","url":"d.ndjson"}],"error":[{"type":"OperationOutcome","url":"e.ndjson"}]}"#;

fn deletion(ids: &[&str]) -> String {
    let entry = |id: &&str| format!(r#"{{"request":{{"method":"DELETE","url":"Patient/{id}"}}}}"#);
    let entries: Vec<_> = ids.iter().map(entry).collect();
    format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","))
}

/// A lake of one run that has something of everything, and its output files as if they had been kept.
struct Good {
    scene: Scene,
    run: String,
}

impl Good {
    fn new() -> Good {
        // Lines 2 and 4 are rejected, line 6 is blank.
        let p1 = [&patient(1), "not json", &patient(2), "{", &patient(3), ""].map(str::to_owned);
        let outcomes = [r#"{"resourceType":"OperationOutcome"}"#, "also this"].map(str::to_owned);
        let files = [
            ("p1.ndjson", ndjson(p1)),
            ("p2.ndjson", ndjson([patient(4), patient(5)])),
            ("c.ndjson", ndjson([claim(1), claim(2)])),
            ("d.ndjson", ndjson([deletion(&["7", "8"]), deletion(&["9"])])),
            ("e.ndjson", ndjson(outcomes)),
        ];
        let scene = Scene::new(&[("m.json", MANIFEST)]);
        for (name, bytes) in &files {
            scene.write(name, bytes);
        }
        let options = LoadOptions { threads: 1, ..LoadOptions::default() };
        let run = scene.try_load_with(&["m.json"], options).unwrap().run;
        let good = Good { scene, run };
        for (name, bytes) in &files {
            good.write(&format!("_lake/raw/RUN/{name}"), bytes);
        }
        good
    }

    /// A path of the lake; `RUN` in it is the run's name.
    fn path(&self, name: &str) -> PathBuf {
        self.scene.path("lake").join(name.replace("RUN", &self.run))
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Changes a file's text.
    fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let text = String::from_utf8(self.read(name)).unwrap();
        let changed = change(text.clone());
        assert_ne!(text, changed, "{name} is to be changed");
        self.write(name, changed);
    }

    fn record(&self, change: impl FnOnce(&mut RunRecord)) {
        let path = "_lake/runs/RUN.json";
        let mut record: RunRecord = serde_json::from_slice(&self.read(path)).unwrap();
        change(&mut record);
        self.write(path, serde_json::to_vec(&record).unwrap());
    }

    /// Says of the file at the part's path what it is.
    fn as_it_is(&self, part: &mut PartRecord) {
        let bytes = self.read(&part.path);
        (part.bytes, part.blake3) = (bytes.len() as u64, blake3::hash(&bytes).to_hex().to_string());
    }
}

const PATIENTS: &str = "Patient/part-RUN-00000.parquet";
const CLAIMS: &str = "Claim/part-RUN-00000.parquet";
const DELETED: &str = "deleted_resources/part-RUN-00000.parquet";
const INDEX: &str = "_lake/quarantine/RUN/index.ndjson";
const LINES: &str = "_lake/quarantine/RUN/lines.ndjson";
const OUTCOMES: &str = "_lake/outcomes/RUN.ndjson";
const DELETIONS: &str = "_lake/deletions/RUN.ndjson";
const RECORD: &str = "_lake/runs/RUN.json";

/// `told`: every finding, path and sentence.
#[track_caller]
fn check(spoil: impl FnOnce(&Good), told: &[(&str, &str)]) {
    let good = Good::new();
    spoil(&good);
    let findings = verify(&good.scene.lake(), &Silent).unwrap().findings;
    let found: Vec<_> = findings
        .iter()
        .map(|found| (found.path.replace(&good.run, "RUN"), found.what.replace(&good.run, "RUN")))
        .collect();
    let told: Vec<_> = told.iter().map(|(path, what)| ((*path).to_owned(), (*what).to_owned())).collect();
    assert_eq!(found, told);
}

const GONE: &str = "it cannot be read: No such file or directory (os error 2)";
const OTHER: &str = "its bytes are not those that were written: the hash differs";
const NOBODYS: &str = "no run record names it";

#[test]
fn a_good_lake_has_no_finding() {
    check(|_| {}, &[]);
    let good = Good::new();
    let report = verify(&good.scene.lake(), &Silent).unwrap();
    assert_eq!((report.runs, report.tables, report.parts, report.rows), (1, 2, 3, 7));
    let reasons = reject_reasons(&good.scene.lake(), &good.run).unwrap();
    let reasons: Vec<_> = reasons.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    assert_eq!(reasons, [("not_json", 1), ("unexpected_end", 1)]);
}

#[test]
fn parts_are_what_was_written() {
    check(|lake| lake.remove(PATIENTS), &[(PATIENTS, GONE)]);
    check(
        |lake| {
            let mut bytes = lake.read(CLAIMS);
            bytes[100] ^= 1;
            lake.write(CLAIMS, bytes);
        },
        &[(CLAIMS, OTHER)],
    );
    // Whoever changes a part has to change the ledger, too; the rows tell it all the same.
    check(
        |lake| {
            let (patients, claims) = (lake.read(PATIENTS), lake.read(CLAIMS));
            lake.write(PATIENTS, claims);
            lake.write(CLAIMS, patients);
            lake.record(|record| {
                for table in &mut record.tables {
                    lake.as_it_is(&mut table.files[0]);
                    (table.rows, table.files[0].rows) = (7 - table.rows, 7 - table.rows);
                }
            });
        },
        &[
            (CLAIMS, "it is a part of Patient, the ledger says Claim"),
            (PATIENTS, "it is a part of Claim, the ledger says Patient"),
        ],
    );
    check(
        |lake| {
            lake.record(|record| {
                (record.tables[1].files[0].rows, record.tables[1].rows) = (4, 4);
                (record.totals.rows, record.totals.resources, record.totals.lines) = (6, 6, 13);
                (record.output_files[1].resources, record.output_files[1].lines) = (1, 1);
            });
        },
        &[(PATIENTS, "it has 5 rows, the ledger says 4")],
    );
    check(
        |lake| {
            lake.record(|record| {
                let table = record.deleted_resources.as_mut().unwrap();
                (table.rows, table.files[0].rows) = (4, 4);
            });
        },
        &[
            (DELETIONS, "its lines report 3 deleted resources, the ledger says 4"),
            (DELETED, "it has 3 rows, the ledger says 4"),
        ],
    );
    check(|lake| lake.remove("_lake/Patient.schema.json"), &[("_lake/Patient.schema.json", "it is missing")]);
}

#[test]
fn rows_are_of_this_run_and_of_each_line_once() {
    // The part of another run of the same files.
    check(
        |lake| {
            let options = LoadOptions { threads: 1, new_run: true, ..LoadOptions::default() };
            let other = lake.scene.try_load_with(&["m.json"], options).unwrap().run;
            let part = lake.read(&PATIENTS.replace("RUN", &other));
            lake.write(PATIENTS, part);
            lake.record(|record| lake.as_it_is(&mut record.tables[1].files[0]));
        },
        &[(PATIENTS, "5 of its rows are of another run")],
    );
    // A part twice, and a ledger that says so.
    let twice = "Patient/part-RUN-00001.parquet";
    check(
        |lake| {
            lake.write(twice, lake.read(PATIENTS));
            lake.record(|record| {
                let part = record.tables[1].files[0].clone();
                let copy = PartRecord { path: twice.replace("RUN", &lake.run), ..part.clone() };
                record.tables[1].files.push(copy);
                record.tables[1].rows += 5;
                for (file, rows) in record.output_files.iter_mut().zip([3, 2]) {
                    (file.lines, file.resources) = (file.lines + rows, file.resources + rows);
                }
                let totals = &mut record.totals;
                (totals.lines, totals.resources, totals.rows) =
                    (totals.lines + 5, totals.resources + 5, totals.rows + 5);
                (totals.parts, totals.part_bytes) = (totals.parts + 1, totals.part_bytes + part.bytes);
            });
        },
        &[
            (RECORD, "p1.ndjson: 3 rows are of a line that is in the lake already, such as 1"),
            (RECORD, "p2.ndjson: 2 rows are of a line that is in the lake already, such as 1"),
        ],
    );
    // A table less, and a ledger that has not heard of it.
    check(
        |lake| {
            lake.remove(CLAIMS);
            lake.record(|record| {
                let claims = record.tables.remove(0);
                let totals = &mut record.totals;
                (totals.tables, totals.parts, totals.rows) = (1, 1, totals.rows - 2);
                totals.part_bytes -= claims.files[0].bytes;
            });
        },
        &[
            (RECORD, "7 resources came, the tables have 5 rows"),
            (RECORD, "c.ndjson: 0 rows are of it, the ledger says 2 resources"),
        ],
    );
    // The sums are right.
    check(
        |lake| {
            lake.record(|record| {
                let [one, other, ..] = &mut record.output_files[..] else { panic!("there are more") };
                (one.lines, one.resources, one.declared_count) = (one.lines - 1, one.resources - 1, None);
                (other.lines, other.resources) = (other.lines + 1, other.resources + 1);
            });
        },
        &[
            (RECORD, "p1.ndjson: 3 rows are of it, the ledger says 2 resources"),
            (RECORD, "p2.ndjson: 2 rows are of it, the ledger says 3 resources"),
        ],
    );
    check(
        |lake| {
            lake.record(|record| record.output_files[1].name = "p3.ndjson".to_owned());
            lake.remove("_lake/raw/RUN/p2.ndjson");
        },
        &[(PATIENTS, "2 of its rows are of an output file that the run does not have")],
    );
    // Lines that the file would have without its rejects.
    check(
        |lake| {
            lake.record(|record| {
                let file = &mut record.output_files[0];
                (file.lines, file.rejected, file.blank, file.declared_count) = (3, 0, 0, None);
                (record.totals.lines, record.totals.rejected, record.totals.blank) = (11, 0, 0);
                record.problems.retain(|problem| !matches!(problem, Problem::Rejected { .. }));
            });
            fs::remove_dir_all(lake.path("_lake/quarantine")).unwrap();
        },
        &[(RECORD, "p1.ndjson: 1 row is of a line that it does not have, such as 5")],
    );
}

#[test]
fn the_quarantine_is_what_the_ledger_says() {
    let first = |text: String| text.lines().next().unwrap().to_owned() + "\n";
    check(
        |lake| lake.edit(INDEX, first),
        &[
            (INDEX, "it has 1 records, the ledger says 2"),
            (INDEX, "p1.ndjson: 1 record is of it, the ledger says 2 rejected lines"),
            (LINES, "it has 11 bytes, its index says 9"),
        ],
    );
    let replaced = |from: &'static str, to: &'static str| move |text: String| text.replacen(from, to, 1);
    for (from, to, told) in [
        ("\"line\":2", "\"line\":4", "p1.ndjson: 1 record is of a line that is in the lake already, such as 4"),
        ("\"line\":2", "\"line\":3", "p1.ndjson: 1 record is of a line that is in the lake already, such as 3"),
        ("\"line\":2", "\"line\":7", "p1.ndjson: 1 record is of a line that it does not have, such as 7"),
        ("\"offset\":", "\"offset\":9", "1 of its records is of a place that their output file does not have"),
        ("\"reason\":\"not_json\"", "\"reason\":\"sesame\"", "1 of its records is of a reason that there is not"),
        ("\"line\":2", "\"line\":two", "it cannot be read: line 1 is no index record"),
    ] {
        check(|lake| lake.edit(INDEX, replaced(from, to)), &[(INDEX, told)]);
    }
    check(
        |lake| lake.edit(INDEX, replaced("p1.ndjson", "p9.ndjson")),
        &[
            (INDEX, "1 of its records is of an output file that the run does not have"),
            (INDEX, "p1.ndjson: 1 record is of it, the ledger says 2 rejected lines"),
        ],
    );
    check(
        |lake| lake.edit(INDEX, replaced("p1.ndjson", "p2.ndjson")),
        &[
            (INDEX, "p1.ndjson: 1 record is of it, the ledger says 2 rejected lines"),
            (INDEX, "p2.ndjson: 1 record is of a line that is in the lake already, such as 2"),
            (INDEX, "p2.ndjson: 1 record is of it, the ledger says 0 rejected lines"),
        ],
    );
    check(
        |lake| lake.edit(INDEX, |text| text.trim_end().to_owned()),
        &[(INDEX, "it cannot be read: line 2 is no index record")],
    );
    check(|lake| lake.remove(INDEX), &[(INDEX, "it is missing, the ledger says 2 rejected lines")]);
    check(|lake| lake.remove(LINES), &[(LINES, GONE)]);
    check(
        |lake| lake.edit(LINES, |text| text[..text.len() - 1].to_owned()),
        &[(LINES, "it has 10 bytes, its index says 11")],
    );
    check(
        |lake| lake.edit(LINES, |_| "notjson\n{ \n".to_owned()),
        &[(LINES, "1 of its lines does not end where its index says")],
    );
}

#[test]
fn what_is_kept_beside_the_tables_is_what_the_ledger_says() {
    let first = |text: String| text.lines().next().unwrap().to_owned() + "\n";
    check(|lake| lake.edit(OUTCOMES, first), &[(OUTCOMES, "it has 1 lines, the ledger says 2")]);
    check(|lake| lake.edit(OUTCOMES, |text| text + "more"), &[(OUTCOMES, "its last line does not end")]);
    check(|lake| lake.remove(OUTCOMES), &[(OUTCOMES, GONE)]);
    check(|lake| lake.edit(DELETIONS, first), &[(DELETIONS, "it has 1 lines, the ledger says 2")]);
    check(
        |lake| lake.edit(DELETIONS, |text| text.replace("Patient/8", "../x")),
        &[(DELETIONS, "its line 1 reports no deletion")],
    );
    check(
        |lake| lake.write(DELETIONS, ndjson([deletion(&["7"]), deletion(&["9"])])),
        &[(DELETIONS, "its lines report 2 deleted resources, the ledger says 3")],
    );
    check(|lake| lake.edit(DELETIONS, |text| text.trim_end().to_owned()), &[(DELETIONS, "its last line does not end")]);
    check(|lake| lake.remove(DELETIONS), &[(DELETIONS, GONE)]);
    check(|lake| lake.remove(DELETED), &[(DELETED, GONE)]);
    let raw = "_lake/raw/RUN/p2.ndjson";
    let bytes = patient(4).len() * 2 + 2;
    check(
        |lake| lake.edit(raw, |text| text[1..].to_owned()),
        &[(raw, &format!("it has {} bytes, the ledger says {bytes}", bytes - 1))],
    );
    check(|lake| lake.edit(raw, |text| text.replace("p5", "p6")), &[(raw, OTHER)]);
    // The record does not say that it was kept.
    check(|lake| lake.remove(raw), &[]);
}

#[test]
fn nothing_is_there_that_no_run_names() {
    for path in [
        "Patient/part-x.parquet",
        "Patient/notes.txt",
        "resource_type=Claim/part-x.parquet",
        "deleted_resources/x",
        "Encounter/part-x.parquet",
        "x.parquet",
        "_lake/quarantine/RUN/more.ndjson",
        "_lake/quarantine/20200101T000000Z-00000000/index.ndjson",
        "_lake/outcomes/20200101T000000Z-00000000.ndjson",
        "_lake/deletions/x",
        "_lake/raw/RUN/p9.ndjson",
        "_lake/raw/x/p1.ndjson",
    ] {
        check(|lake| lake.write(path, ""), &[(path, NOBODYS)]);
    }
    // A person's own.
    check(|lake| lake.write("README", ""), &[]);
    check(|lake| lake.write("queries/a.sql", ""), &[]);
    // A lake whose record says that nothing was kept.
    check(
        |lake| {
            lake.record(|record| {
                record.problems.retain(|problem| !matches!(problem, Problem::Outcomes { .. }));
                record.status = RunStatus::Rejected;
                record.output_files.retain(|file| file.outcomes == 0);
                (record.totals.files, record.totals.outcomes, record.totals.lines) = (4, 0, 12);
                let bytes = record.output_files.iter().map(|file| file.bytes).sum();
                (record.totals.bytes, record.totals.content_bytes) = (bytes, bytes);
            });
        },
        &[(OUTCOMES, NOBODYS), ("_lake/raw/RUN/e.ndjson", NOBODYS)],
    );
}

#[test]
fn a_record_is_what_it_is_called() {
    check(
        |lake| lake.record(|record| record.totals.part_bytes += 1),
        &[(RECORD, &{
            let good = Good::new();
            let bytes = good.scene.records()[0].totals.part_bytes;
            format!("the totals say {} bytes of parts, the sum is {bytes}", bytes + 1)
        })],
    );
    check(
        |lake| lake.record(|record| record.status = RunStatus::Complete),
        &[(RECORD, "its status is complete, its problems make it partial")],
    );
    let copy = "_lake/runs/20990101T000000Z-00000000.json";
    check(|lake| lake.write(copy, lake.read(RECORD)), &[(RECORD, "another file has this run's record")]);
}

#[test]
fn a_run_that_has_not_finished_is_no_finding() {
    let good = Good::new();
    let run = "20990101T000000Z-00000000";
    good.write(&format!("_lake/staging/{run}/part-1"), "");
    let report = verify(&good.scene.lake(), &Silent).unwrap();
    assert_eq!((report.findings.as_slice(), report.unfinished), ([].as_slice(), vec![run.to_owned()]));

    let plan = format!("_lake/staging/{run}/plan.json");
    good.write(&plan, "{}");
    let findings = verify(&good.scene.lake(), &Silent).unwrap().findings;
    assert_eq!(findings.iter().map(|found| &found.path).collect::<Vec<_>>(), [&plan]);
}

/// What a run has published before it dies is named by what it was going to publish.
#[test]
fn a_run_that_died_while_it_was_published_is_no_finding() {
    let scene = Scene::new(&[("p.ndjson", &ndjson((0..9).map(patient).chain(["no json".to_owned()])))]);
    let layer = StoreLayer::new(|store| Arc::new(NoRecord(store)));
    let options = LoadOptions { store_layer: Some(layer), ..LoadOptions::default() };
    scene.try_load_with(&[""], options).unwrap_err();
    assert!(scene.files_below("lake/Patient").len() == 1 && scene.records().is_empty());
    let report = verify(&scene.lake(), &Silent).unwrap();
    assert_eq!((report.findings.as_slice(), report.unfinished.len(), report.runs), ([].as_slice(), 1, 0));
    scene.load();
}

/// A store that takes everything but a run record.
#[derive(Debug)]
struct NoRecord(Arc<dyn Store>);

impl Store for NoRecord {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        self.0.create(path)
    }

    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>> {
        self.0.extend(path, len)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        self.0.open(path)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        match path.starts_with("_lake/runs/") {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => self.0.put(path, bytes),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.remove(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        self.0.list(path)
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn StoreLock>>> {
        self.0.lock(path)
    }
}
