//! A compaction, or a vacuum, that dies at any call of the store, or meets a failure there: the tables' rows are what they
//! were, before and after the next command has opened the lake, whichever it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use lakehaul_load::{
    CompactRequest, LoadError, LoadOptions, Silent, StoreLayer, SystemClock, VacuumRequest, compact, vacuum, verify,
};

use crate::every_call::{Run, check};
use crate::faulty_store::{Desk, Trouble};
use crate::same_lake::{Contents, all_that_is_visible_is_whole, files_below};
use crate::scene::{Repeat, Scene, asked_for, lines, patient};

/// A lake of several runs: parts that are small, some that are narrow; made once.
fn fed() -> &'static Scene {
    static FED: OnceLock<Scene> = OnceLock::new();
    FED.get_or_init(|| {
        let mut scene = Scene::of_everything();
        let options = |threads| LoadOptions { threads, new_run: true, ..LoadOptions::default() };
        scene.load("lake", options(1)).unwrap();
        let wide = r#"{"resourceType":"Patient","id":"w","extension":[{"url":"u","valueString":"v"}]}"#.to_owned();
        scene.write("late.ndjson", &lines((60..70).map(patient).chain([wide]), "\n"));
        scene.inputs.push("late.ndjson");
        scene.load("lake", options(2)).unwrap();
        scene
    })
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&file), target).unwrap();
    }
}

/// A lake of its own.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn new() -> Copy {
        let folder = tempfile::tempdir().unwrap();
        copy(&fed().path("lake"), &folder.path().join("lake"));
        Copy { folder }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn name(&self) -> String {
        self.lake().to_str().unwrap().to_owned()
    }
}

struct Compaction(Copy);

impl Run for Compaction {
    fn test(&self) -> &'static str {
        "a_compaction_outlives_any_call"
    }

    fn lake(&self) -> PathBuf {
        self.0.lake()
    }

    fn run(&self, store_layer: Option<StoreLayer>) -> Result<(), LoadError> {
        let options = LoadOptions { store_layer, ..LoadOptions::default() };
        let request = CompactRequest { lake: self.0.name(), part_bytes: CompactRequest::PART_BYTES, options };
        compact(&request, &SystemClock, &Silent).map(drop)
    }
}

#[test]
fn a_compaction_outlives_any_call() {
    check(|| Compaction(Copy::new()), 3);
}

/// Every call, and then the lake is read as it is, and opened by a load that finishes what is left.
#[test]
fn readers_and_loads_meet_a_sound_lake_wherever_a_compaction_died() {
    let before = Contents::of(&fed().path("lake"));
    let calm = Desk::calm();
    let whole = Compaction(Copy::new());
    whole.run(Some(calm.layer())).unwrap();
    Contents::of(&whole.lake()).is_the_same_as(&before, "an undisturbed compaction");
    let parts = |lake: &Path| files_below(lake).iter().filter(|path| path.ends_with(".parquet")).count();
    assert!(parts(&whole.lake()) < parts(&fed().path("lake")));
    let calls = calm.log().len() as u64;
    let only = asked_for("LAKEHAUL_FAULT_AT").map(|at| at.parse::<u64>().unwrap());
    for at in only.map_or(1..calls + 1, |at| at..at + 1) {
        let _repeat = Repeat(format!("LAKEHAUL_FAULT_AT={at} cargo test -p lakehaul-load --test storms wherever"));
        let death = [Trouble::Death, Trouble::TornDeath, Trouble::PowerCut(at)][at as usize % 3];
        let run = Compaction(Copy::new());
        let desk = Desk::troubled(at, death, || {});
        run.run(Some(desk.layer())).unwrap_err();
        let told = format!("{death:?} at call {at}, {:?}", desk.struck());
        all_that_is_visible_is_whole(&run.lake());
        assert_eq!(verify(&run.0.name(), &Silent).unwrap().findings, [], "{told}");
        // Any other load.
        let other = Scene::of_everything();
        other.write("one.ndjson", &lines([patient(900)], "\n"));
        let input = lakehaul_load::Input::Path(other.path("one.ndjson"));
        let request = lakehaul_load::LoadRequest {
            inputs: vec![input],
            lake: run.0.name(),
            options: LoadOptions { threads: 1, ..LoadOptions::default() },
        };
        lakehaul_load::load(&request, &SystemClock, &Silent).unwrap_or_else(|error| panic!("{told}: {error}"));
        let report = verify(&run.0.name(), &Silent).unwrap();
        assert_eq!((&report.findings[..], &report.unfinished[..]), (&[][..], &[][..]), "{told}");
        let rows = |lake: &str| {
            let mut text = Vec::new();
            lakehaul_load::cat(lake, "Patient", &mut text).unwrap();
            let mut rows: Vec<String> = String::from_utf8(text).unwrap().lines().map(str::to_owned).collect();
            rows.retain(|row| !row.contains("\"p900\""));
            rows.sort();
            rows
        };
        assert_eq!(rows(&run.0.name()), rows(fed().path("lake").to_str().unwrap()), "{told}");
    }
}

struct Vacuuming(Copy);

impl Vacuuming {
    fn new() -> Vacuuming {
        let copy = Copy::new();
        for stray in [
            "Patient/part-nobody.parquet",
            "Claim/part-nobody.parquet",
            "_lake/.lake.json.unfinished",
            "_lake/staging/20200101T000000Z-compact/a.part",
            "_lake/staging/20200101T000000Z-compact/b.part",
        ] {
            let path = copy.lake().join(stray);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Whole, as a reader may meet it as well.
            let parts = files_below(&fed().path("lake/Patient"));
            fs::copy(fed().path("lake/Patient").join(parts.first().unwrap()), path).unwrap();
        }
        Vacuuming(copy)
    }
}

impl Run for Vacuuming {
    fn test(&self) -> &'static str {
        "a_vacuum_outlives_any_call"
    }

    fn lake(&self) -> PathBuf {
        self.0.lake()
    }

    fn run(&self, store_layer: Option<StoreLayer>) -> Result<(), LoadError> {
        let options = LoadOptions { store_layer, ..LoadOptions::default() };
        let request = VacuumRequest { lake: self.0.name(), older_than: Duration::ZERO, old_versions: false, options };
        vacuum(&request, &SystemClock)?.remove(&Silent)
    }
}

#[test]
fn a_vacuum_outlives_any_call() {
    check(Vacuuming::new, 1);
}
