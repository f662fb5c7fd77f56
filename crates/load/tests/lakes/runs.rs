//! Runs: the same command again, another one, and what a death leaves behind.

use std::fs;

use lakehaul_load::{ErrorKind, LoadOptions, Planned, Silent, Warning, commit, plan, work};

use crate::scene::{Noon, Notes, Scene, copy_folder, ndjson, patient};

fn scene() -> Scene {
    Scene::new(&[("a.ndjson", &ndjson((0..10).map(patient)))])
}

#[test]
fn a_finished_run_is_not_done_again() {
    let scene = scene();
    let first = scene.load();
    let before = scene.files_below("lake");
    let again = scene.load();
    assert!(again.already_complete && !first.already_complete);
    assert_eq!((again.run, again.totals), (first.run, first.totals));
    assert_eq!(scene.files_below("lake"), before);

    // Other memory and threads make no other run; a changed file, another option and a wish for it do.
    let other = LoadOptions { memory_bytes: 2 << 30, threads: 1, ..LoadOptions::default() };
    assert!(scene.try_load_with(&[""], other).unwrap().already_complete);
    let shallow = LoadOptions { max_depth: 20, ..LoadOptions::default() };
    assert!(!scene.try_load_with(&[""], shallow).unwrap().already_complete);
    let new_run = LoadOptions { new_run: true, ..LoadOptions::default() };
    assert!(!scene.try_load_with(&[""], new_run).unwrap().already_complete);
    scene.write("a.ndjson", &ndjson((0..11).map(patient)));
    assert!(!scene.load().already_complete);
    assert_eq!(scene.rows("Patient").len(), 10 + 10 + 10 + 11);
    assert_eq!(scene.records().len(), 4);
    scene.check_sound();
}

#[test]
fn a_second_load_adds_and_the_schema_grows() {
    let scene = scene();
    scene.load();
    let width = || lakehaul_load::schemas(&scene.lake()).unwrap()[0].leaf_count();
    let narrow = width();
    let wide = r#"{"resourceType":"Patient","id":"w","extension":[{"url":"u","valueString":"v"}]}"#;
    scene.write("b.ndjson", &ndjson([wide.to_owned()]));
    scene.load_some(&["b.ndjson"]);
    assert!(width() > narrow);
    let wider = width();
    // A later run without such data still has the columns.
    scene.write("c.ndjson", &ndjson([patient(99)]));
    scene.load_some(&["c.ndjson"]);
    assert_eq!(width(), wider);
    assert_eq!(scene.rows("Patient").len(), 12);
}

#[test]
fn a_run_that_died_at_work_leaves_readers_undisturbed_and_goes_on() {
    let scene = scene();
    let first = scene.load();
    let visible =
        |files: Vec<String>| files.into_iter().filter(|file| !file.starts_with("_lake/staging/")).collect::<Vec<_>>();
    let before = visible(scene.files_below("lake"));
    scene.write("b.ndjson", &ndjson((10..20).map(patient)));
    let request = scene.request(&["b.ndjson"], LoadOptions::default());
    let run = {
        let Planned::Work(plan) = plan(&request, &Noon, &Silent).unwrap() else { panic!("there is work") };
        let run = plan.run().to_owned();
        drop(work(*plan, &Silent).unwrap());
        run
    };
    assert_eq!(visible(scene.files_below("lake")), before);
    assert!(scene.files_below("lake").iter().any(|file| file.ends_with(".part") || file.contains("staging")));
    assert_eq!(scene.rows("Patient").len(), 10);
    assert_eq!(lakehaul_load::verify(&scene.lake(), &Silent).unwrap().findings, []);

    // Another command goes on beside it, and says so.
    let notes = Notes::default();
    let other = scene.request(&["a.ndjson"], LoadOptions { new_run: true, ..LoadOptions::default() });
    lakehaul_load::load(&other, &Noon, &notes).unwrap();
    let warned = notes.warnings.into_inner().unwrap();
    assert!(matches!(&warned[..], [Warning::Unfinished { run: unfinished, .. }] if *unfinished == run), "{warned:?}");

    let finished = scene.load_some(&["b.ndjson"]);
    assert_eq!(finished.warnings, [Warning::TakenUp { run: run.clone(), lines: 0 }]);
    assert_eq!(finished.run, run);
    assert_ne!(finished.run, first.run);
    assert_eq!(scene.rows("Patient").len(), 30);
}

/// Dies at each step of the commit: the lake's own files are put back to what such a death leaves.
#[test]
fn a_run_that_died_while_it_was_published_is_published() {
    let scene = scene();
    let finished = {
        let Planned::Work(plan) = plan(&scene.request(&[""], LoadOptions::default()), &Noon, &Silent).unwrap() else {
            panic!("there is work")
        };
        let staging = scene.path("lake/_lake/staging").join(plan.run());
        let worked = work(*plan, &Silent).unwrap();
        let copy = scene.path("copy");
        copy_folder(&staging, &copy);
        let finished = commit(worked, &Noon, &Silent).unwrap();
        (staging, copy, finished)
    };
    let (staging, copy, summary) = finished;
    let record = fs::read(scene.path("lake/_lake/runs").join(format!("{}.json", summary.run))).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let part = record["tables"][0]["files"][0]["path"].as_str().unwrap();
    let staged = scene.files_below("copy").into_iter().find(|file| file != "plan.json").unwrap();
    let from = format!("_lake/staging/{}/{staged}", summary.run);
    let commit_file = serde_json::json!({
        "version": 1, "moves": [[from, part]], "texts": [], "record": record,
    });
    for moved in [false, true] {
        fs::remove_file(scene.path("lake/_lake/runs").join(format!("{}.json", summary.run))).unwrap();
        copy_folder(&copy, &staging);
        fs::write(staging.join("commit.json"), commit_file.to_string()).unwrap();
        if moved {
            fs::remove_file(staging.join(&staged)).unwrap();
        } else {
            fs::remove_file(scene.path("lake").join(part)).unwrap();
        }
        let again = scene.try_load(&[""]).unwrap();
        assert!(again.already_complete);
        scene.check_sound();
        assert_eq!(scene.rows("Patient").len(), 10);
    }
}

/// A folder is removed in no order that could be relied on.
#[test]
fn a_run_that_died_while_it_tidied_up_is_finished() {
    let scene = scene();
    let request = scene.request(&[""], LoadOptions::default());
    let Planned::Work(unfinished) = plan(&request, &Noon, &Silent).unwrap() else { panic!("there is work") };
    let staging = scene.path("lake/_lake/staging").join(unfinished.run());
    let plan_file = fs::read(staging.join("plan.json")).unwrap();
    let first = commit(work(*unfinished, &Silent).unwrap(), &Noon, &Silent).unwrap();
    for new_run in [true, false, true] {
        fs::create_dir_all(&staging).unwrap();
        fs::write(staging.join("plan.json"), &plan_file).unwrap();
        assert_eq!(lakehaul_load::unfinished(&scene.lake()).unwrap(), []);
        let runs = scene.records().len();
        let again = scene.try_load_with(&[""], LoadOptions { new_run, ..LoadOptions::default() }).unwrap();
        assert_eq!((again.already_complete, again.run != first.run || !new_run), (!new_run, true));
        assert_eq!(scene.records().len(), runs + usize::from(new_run));
        scene.check_sound();
    }
    assert_eq!(scene.rows("Patient").len(), 30);
    // Nothing is left of a folder that was emptied.
    fs::create_dir_all(&staging).unwrap();
    assert!(scene.load().already_complete);
    assert!(!staging.exists());
}

#[test]
fn one_run_at_a_time() {
    let scene = scene();
    let request = scene.request(&[""], LoadOptions::default());
    let held = plan(&request, &Noon, &Silent).unwrap();
    let error = scene.try_load(&[""]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LakeHeld);
    assert!(error.to_string().contains("another run holds the lake"), "{error}");
    drop(held);
    scene.load();
}

#[cfg(unix)]
#[test]
fn a_destination_that_cannot_be_written_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let scene = scene();
    // A lake below a file cannot be made, whoever asks.
    fs::write(scene.path("file"), "").unwrap();
    let mut request = scene.request(&[""], LoadOptions::default());
    request.lake = scene.path("file/lake").to_str().unwrap().to_owned();
    let error = lakehaul_load::load(&request, &Noon, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destination);
    assert!(error.to_string().contains("_lake/lock"), "{error}");

    fs::create_dir(scene.path("lake")).unwrap();
    fs::set_permissions(scene.path("lake"), fs::Permissions::from_mode(0o500)).unwrap();
    let superuser = fs::write(scene.path("lake/probe"), "").is_ok();
    if !superuser {
        assert_eq!(scene.try_load(&[""]).unwrap_err().kind(), ErrorKind::Destination);
    }
    fs::set_permissions(scene.path("lake"), fs::Permissions::from_mode(0o700)).unwrap();
}
