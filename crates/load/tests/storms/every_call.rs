//! One call of the store goes wrong, whichever it is: it is told, nothing is half-done, and the same command again comes
//! to the same lake. So it is when the process dies there, and when it dies again while it takes the run up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lakehaul_load::{ErrorKind, LoadError, LoadOptions, StoreLayer};
use lakehaul_sim::{Compressed, Gzip, Personality, Scenario, ServedFile, Sim};

use crate::faulty_store::{Call, Desk, EIO, EMFILE, ENOSPC, Op, Trouble};
use crate::same_lake::{Contents, all_that_is_visible_is_whole};
use crate::scene::{Repeat, Scene, asked_for, claim, haul, lines, nobody, patient, request, saving_always};

/// Something that fills a lake and can be tried again.
pub(crate) trait Run {
    /// Its name in this file.
    fn test(&self) -> &'static str;
    fn lake(&self) -> PathBuf;
    fn run(&self, layer: Option<StoreLayer>) -> Result<(), LoadError>;
}

struct Load {
    scene: Scene,
    threads: usize,
}

impl Load {
    fn new(threads: usize) -> Load {
        Load { scene: Scene::of_everything(), threads }
    }
}

impl Run for Load {
    fn test(&self) -> &'static str {
        if self.threads == 1 { "a_load_outlives_any_call" } else { "a_load_of_two_threads_outlives_any_call" }
    }

    fn lake(&self) -> PathBuf {
        self.scene.path("lake")
    }

    fn run(&self, store_layer: Option<StoreLayer>) -> Result<(), LoadError> {
        self.scene.load("lake", LoadOptions { store_layer, ..saving_always(self.threads) }).map(drop)
    }
}

struct Export {
    folder: tempfile::TempDir,
    sim: Sim,
}

impl Export {
    fn new() -> Export {
        let file = |kind: &str, text| ServedFile::new(kind, String::from_utf8(text).expect("lines are text"));
        let patients = lines((0..10).map(patient).chain(["{".to_owned()]), "\n");
        let claims = lines((0..10).map(claim), "\n");
        let compressed = file("Claim", claims).named("c.ndjson").compressed(Compressed::Always(Gzip::OneMember));
        let scenario = Scenario::new(Personality::Smart).file(file("Patient", patients).named("p.ndjson"));
        Export {
            folder: tempfile::tempdir().expect("a folder can be made"),
            sim: Sim::start(scenario.file(compressed)).expect("a payer can be simulated"),
        }
    }
}

impl Run for Export {
    fn test(&self) -> &'static str {
        "an_export_outlives_any_call"
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn run(&self, store_layer: Option<StoreLayer>) -> Result<(), LoadError> {
        let options = LoadOptions { store_layer, ..saving_always(1) };
        haul(&request(&self.sim, Personality::Smart, &self.lake(), options), &nobody()).map(drop)
    }
}

/// What can befall the call `at`.
fn troubles(at: u64) -> [Trouble; 5] {
    let code = [ENOSPC, EIO, EMFILE][at as usize % 3];
    [Trouble::Once(code), Trouble::ForEver(code), Trouble::Death, Trouble::TornDeath, Trouble::PowerCut(at)]
}

/// Each call from the first to the last of an undisturbed run, or one in `stride`, each with one trouble after another.
pub(crate) fn check<R: Run + Sync>(scene: impl Fn() -> R + Sync, stride: u64) {
    let whole = scene();
    let calm = Desk::calm();
    whole.run(Some(calm.layer())).expect("an undisturbed run comes through");
    let expected = Contents::of(&whole.lake());
    let calls = calm.log().len() as u64;
    // Threads and batches of checkpoints make the number vary.
    let last = calls + calls / 4;
    let only = asked_for("LAKEHAUL_FAULT_AT").map(|at| at.parse().expect("LAKEHAUL_FAULT_AT is a number"));
    let stride = if asked_for("LAKEHAUL_ALL_FAULTS").is_some() { 1 } else { stride };
    let cases: Vec<(u64, Trouble)> = match only {
        Some(at) => troubles(at).map(|trouble| (at, trouble)).to_vec(),
        // One in `stride` of the pairs: an odd one meets every trouble.
        None => (1..=last)
            .flat_map(|at| troubles(at).map(|trouble| (at, trouble)))
            .step_by(usize::try_from(stride).expect("a small number"))
            .collect(),
    };
    // A fault is seldom alone, and what the cases have in common tells where it is.
    let failed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (scene, expected, cases, failed) = (&scene, &expected, &cases, &failed);
            scope.spawn(move || {
                for &(at, trouble) in cases.iter().skip(worker).step_by(2) {
                    let case = || outlives(&scene(), at, trouble, expected);
                    if catch_unwind(AssertUnwindSafe(case)).is_err() && failed.fetch_add(1, Relaxed) > 20 {
                        return;
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner(), 0, "so many of {} cases failed, or more", cases.len());
}

fn outlives<R: Run>(run: &R, at: u64, trouble: Trouble, expected: &Contents) {
    let _repeat = Repeat(format!(
        "LAKEHAUL_FAULT_AT={at} cargo test -p lakehaul-load --test storms {}   ({trouble:?})",
        run.test()
    ));
    let told = format!("call {at}: {trouble:?}");
    let desk = Desk::troubled(at, trouble, || {});
    let result = run.run(Some(desk.layer()));
    let Some(call) = desk.struck() else {
        result.expect("what nothing befalls comes through");
        return Contents::of(&run.lake()).is_the_same_as(expected, &told);
    };
    let told = format!("{told}, at {call:?}");
    match (&result, trouble) {
        (Err(error), _) => is_told(error, &call, trouble, &told),
        // What is cleared away after the record is written is cleared away again by whoever comes next; nothing else
        // may be overlooked.
        (Ok(_), Trouble::Once(_)) => {}
        (Ok(_), _) => panic!("{told}: it says that it has succeeded"),
    }
    all_that_is_visible_is_whole(&run.lake());
    run.run(None).unwrap_or_else(|error| panic!("{told}: the same command again: {error}"));
    Contents::of(&run.lake()).is_the_same_as(expected, &told);
}

/// The cause is told, and where.
fn is_told(error: &LoadError, call: &Call, trouble: Trouble, told: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Destination, "{told}: {text}");
    let (Trouble::Once(code) | Trouble::ForEver(code)) = trouble else { return };
    assert!(text.contains(&format!("(os error {code})")), "{told}: the cause is not in: {text}");
    if matches!(trouble, Trouble::Once(_)) && call.op != Op::Sync {
        let named =
            [Some(&call.path), call.to.as_ref()].into_iter().flatten().any(|path| names(&text, Path::new(path)));
        assert!(named, "{told}: the file is not in: {text}");
    }
}

/// The file itself, or the folder of the run or table that it is in.
fn names(text: &str, path: &Path) -> bool {
    let folders = path.ancestors().skip(1).filter(|folder| !["", "_lake"].map(Path::new).contains(folder));
    std::iter::once(path).chain(folders).filter_map(Path::to_str).any(|path| text.contains(path))
}

#[test]
fn a_load_outlives_any_call() {
    check(|| Load::new(1), 2);
}

#[test]
fn a_load_of_two_threads_outlives_any_call() {
    check(|| Load::new(2), 7);
}

#[test]
fn an_export_outlives_any_call() {
    check(Export::new, 3);
}

#[test]
fn dying_again_while_it_is_taken_up_costs_nothing() {
    let whole = Load::new(1);
    let calm = Desk::calm();
    whole.run(Some(calm.layer())).expect("an undisturbed run comes through");
    let (expected, calls) = (Contents::of(&whole.lake()), calm.log().len() as u64);
    let only = asked_for("LAKEHAUL_FAULT_AT").map(|seed| seed.parse().expect("LAKEHAUL_FAULT_AT is a number"));
    let seeds = if asked_for("LAKEHAUL_ALL_FAULTS").is_some() { 2_000 } else { 60 };
    for seed in only.map_or(0..seeds, |seed: u64| seed..seed + 1) {
        let _repeat = Repeat(format!("LAKEHAUL_FAULT_AT={seed} cargo test -p lakehaul-load --test storms dying_again"));
        let mut chance = fastrand::Rng::with_seed(seed);
        let run = Load::new(chance.usize(1..3));
        let mut told = format!("seed {seed}");
        for _ in 0..chance.usize(2..5) {
            let death = [Trouble::Death, Trouble::TornDeath, Trouble::PowerCut(chance.u64(..))][chance.usize(..3)];
            let desk = Desk::troubled(chance.u64(1..=calls), death, || {});
            let result = run.run(Some(desk.layer()));
            assert_eq!(result.is_err(), desk.struck().is_some(), "{told}");
            told.push_str(&format!(", {death:?} at {:?}", desk.struck()));
            all_that_is_visible_is_whole(&run.lake());
        }
        run.run(None).unwrap_or_else(|error| panic!("{told}: {error}"));
        Contents::of(&run.lake()).is_the_same_as(&expected, &told);
    }
}
