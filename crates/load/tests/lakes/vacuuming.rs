//! Vacuum: strays of each kind go, once they are old and somebody says so; nothing else does.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lakehaul_load::{
    BoxFuture, Clock, ErrorKind, LoadOptions, Planned, Silent, Vacuum, VacuumRequest, plan, vacuum, verify, work,
};

use crate::compacting::{fed, paths, try_compact};
use crate::scene::{Noon, Scene, ndjson, patient};

const WEEK: Duration = VacuumRequest::OLDER_THAN;

/// The machine's own: files' times are its, too.
struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

fn look(scene: &Scene, older_than: Duration) -> Vacuum {
    let request =
        VacuumRequest { lake: scene.lake(), older_than, old_versions: false, options: LoadOptions::default() };
    vacuum(&request, &Now).unwrap()
}

/// Writes a file into the lake that is so many days old.
fn seed(scene: &Scene, path: &str, days: u64) {
    let target = scene.path("lake").join(path);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::write(&target, b"12345").unwrap();
    let time = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
    File::options().write(true).open(&target).unwrap().set_modified(time).unwrap();
}

#[test]
fn strays_of_each_kind_go_and_nothing_else() {
    let scene = fed(3, &LoadOptions::default());
    let part = scene.files_below("lake/Patient")[0].clone();
    try_compact(&scene).unwrap();
    let before = scene.files_below("lake");
    let record = scene.records()[0].run.clone();
    let old = [
        ("Claim/_delta_log/00000.json", ""),
        ("Claim/part-nobody.parquet", "no record names it"),
        ("_lake/.lake.json.unfinished", "a file that was not finished"),
        ("_lake/compactions/.x.json.unfinished", "a file that was not finished"),
        ("_lake/quarantine/nobody/index.ndjson", ""),
        ("_lake/raw/nobody/a.ndjson", ""),
        ("_lake/staging/20200101T000000Z-compact/Patient-0.part", "a compaction that died, and begins anew"),
        ("_lake/staging/20200101T000000Z-00000000/a.part", "a run that died, and that no command can finish"),
        ("_lake/staging/stray", "no run has staged it"),
        ("deleted_resources/part-nobody.parquet", "no record names it"),
        ("elsewhere/somebodys.parquet", ""),
        ("member_match/.part-1.parquet.unfinished", "a file that was not finished"),
        ("member_match/part-1.parquet", ""),
        ("readme.txt", ""),
    ];
    old.iter().for_each(|(path, _)| seed(&scene, path, 8));
    seed(&scene, &format!("Patient/{part}"), 8);
    seed(&scene, &format!("_lake/staging/{record}/left"), 8);
    // Its newest file says how old a staging folder is.
    seed(&scene, "_lake/staging/20200101T000000Z-11111111/old.part", 8);
    seed(&scene, "_lake/staging/20200101T000000Z-11111111/young.part", 6);
    seed(&scene, "Claim/part-young.parquet", 6);
    let with_strays = scene.files_below("lake");

    let found = look(&scene, WEEK);
    assert_eq!(paths(&found.young), ["Claim/part-young.parquet", "_lake/staging/20200101T000000Z-11111111/"],);
    let mut expected: Vec<String> =
        old.iter().filter(|(_, why)| !why.is_empty()).map(|(path, _)| (*path).to_owned()).collect();
    for path in &mut expected {
        if let Some(run) = path.strip_prefix("_lake/staging/").and_then(|path| path.split_once('/')) {
            *path = format!("_lake/staging/{}/", run.0);
        }
    }
    expected.extend([format!("Patient/{part}"), format!("_lake/staging/{record}/")]);
    expected.sort();
    assert_eq!(paths(&found.strays), expected);
    for stray in &found.strays {
        assert_eq!((stray.bytes, stray.files, stray.age.map(|age| age > WEEK)), (5, 1, Some(true)));
        let why = old.iter().find(|(path, _)| path.starts_with(&stray.path)).map(|(_, why)| *why);
        assert!(why.is_none_or(|why| stray.why == why), "{stray:?}");
    }
    let replaced = found.strays.iter().find(|stray| stray.path.starts_with("Patient/")).unwrap();
    assert!(replaced.why.starts_with("compaction ") && replaced.why.ends_with(" has replaced it"), "{replaced:?}");
    // To look changes nothing, and holds the lake.
    assert_eq!(scene.files_below("lake"), with_strays);
    let request =
        VacuumRequest { lake: scene.lake(), older_than: WEEK, old_versions: false, options: LoadOptions::default() };
    assert_eq!(vacuum(&request, &Now).unwrap_err().kind(), ErrorKind::LakeHeld);

    found.remove(&Silent).unwrap();
    drop(found);
    let mut left: Vec<String> = before;
    left.extend(old.iter().filter(|(_, why)| why.is_empty()).map(|(path, _)| (*path).to_owned()));
    left.extend(["old", "young"].map(|name| format!("_lake/staging/20200101T000000Z-11111111/{name}.part")));
    left.push("Claim/part-young.parquet".to_owned());
    left.sort();
    assert_eq!(scene.files_below("lake"), left);
    let again = look(&scene, Duration::from_secs(60));
    assert_eq!(paths(&again.strays), ["Claim/part-young.parquet", "_lake/staging/20200101T000000Z-11111111/"]);
    again.remove(&Silent).unwrap();
    drop(again);
    assert!(look(&scene, Duration::ZERO).strays.is_empty());
}

#[test]
fn a_run_that_can_be_taken_up_keeps_what_it_has_staged() {
    let scene = Scene::new(&[("a.ndjson", &ndjson((0..10).map(patient)))]);
    scene.load();
    scene.write("b.ndjson", &ndjson((10..20).map(patient)));
    let request = scene.request(&["b.ndjson"], LoadOptions::default());
    let Planned::Work(plan) = plan(&request, &Noon, &Silent).unwrap() else { panic!("there is work") };
    drop(work(*plan, &Silent).unwrap());
    let before = scene.files_below("lake");
    let found = look(&scene, Duration::ZERO);
    assert_eq!((paths(&found.strays), paths(&found.young)), (vec![], vec![]));
    found.remove(&Silent).unwrap();
    drop(found);
    assert_eq!(scene.files_below("lake"), before);
    // Neither does a compaction touch it.
    scene.write("c.ndjson", &ndjson((20..30).map(patient)));
    scene.try_load(&["c.ndjson"]).unwrap();
    assert!(try_compact(&scene).unwrap().record.is_some());
    scene.load_some(&["b.ndjson"]);
    assert_eq!(scene.rows("Patient").len(), 30);
}

#[test]
fn a_lake_in_order_has_no_stray() {
    let scene = fed(2, &LoadOptions::default());
    assert!(look(&scene, Duration::ZERO).strays.is_empty());
    try_compact(&scene).unwrap();
    assert!(look(&scene, Duration::ZERO).strays.is_empty());
    assert_eq!(verify(&scene.lake(), &Silent).unwrap().findings, []);
    let nowhere = VacuumRequest {
        lake: "nowhere".to_owned(),
        older_than: WEEK,
        old_versions: false,
        options: LoadOptions::default(),
    };
    assert_eq!(vacuum(&nowhere, &Now).unwrap_err().kind(), ErrorKind::Usage);
}
