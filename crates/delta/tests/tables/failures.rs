//! Stores that stop, and writers that come late.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use lakehaul_delta::{Change, Commit, DeltaErrorKind, DeltaTable, DeltaTables};

use crate::stores::{Death, Dying, Late, Memory};
use crate::{FOLDER, commit_of, names};

fn table(memory: &Memory) -> DeltaTable {
    DeltaTables::new(Arc::new(memory.clone())).unwrap().table(FOLDER)
}

/// Has `last` die at each call of the store, and be tried again; then the table must be what it is without death.
fn dies_everywhere(before: &[Commit], last: &Commit, expected: &[&str]) -> usize {
    let mut deaths = 0;
    for death in [Death::Before, Death::After] {
        for left in 0.. {
            let store = Memory::default();
            for commit in before {
                table(&store).commit(commit).unwrap();
            }
            let calls = AtomicUsize::new(left);
            let dying = Arc::new(Dying { store: store.clone(), left: calls, death });
            let first = DeltaTables::new(dying.clone()).unwrap().table(FOLDER).commit(last);
            if dying.left.load(std::sync::atomic::Ordering::SeqCst) > 0 {
                assert!(first.is_ok());
                break;
            }
            deaths += 1;
            match &first {
                Err(error) => assert_eq!(error.kind(), &DeltaErrorKind::Io(ErrorKind::BrokenPipe), "{error:?}"),
                Ok(committed) => assert!(!committed.already),
            }
            let again = table(&store).commit(last).unwrap();
            assert_eq!(again.version, before.len() as u64);
            assert_eq!(names(&table(&store), None), expected);
            assert_eq!(table(&store).version().unwrap(), Some(before.len() as u64));
            assert_eq!(table(&store).version_of(&last.app_id, last.app_version).unwrap(), Some(again.version));
            let log = store.files().iter().filter(|(path, _)| path.ends_with(".json")).count();
            assert_eq!(log, before.len() + 1);
        }
    }
    deaths
}

#[test]
fn death_at_any_call_leaves_the_commit_or_nothing() {
    let made = dies_everywhere(&[], &commit_of(1, Change::Append, &["a", "b"]), &["a", "b"]);
    let before = [commit_of(1, Change::Append, &["a", "b"])];
    let appended = dies_everywhere(&before, &commit_of(2, Change::Append, &["c"]), &["a", "b", "c"]);
    let replaced = dies_everywhere(&before, &commit_of(2, Change::Replace, &["c"]), &["c"]);
    assert!(made >= 4 && appended >= 6 && replaced >= 6, "{made} {appended} {replaced}");
    // The eleventh commit writes a checkpoint too.
    let many: Vec<_> = (0..10).map(|number| commit_of(number, Change::Replace, &[&number.to_string()])).collect();
    let checkpointed = dies_everywhere(&many, &commit_of(10, Change::Append, &["c"]), &["9", "c"]);
    assert!(checkpointed > appended + 4, "{checkpointed}");
}

#[test]
fn a_checkpoint_that_fails_fails_no_commit() {
    let store = Memory::default();
    for number in 0..10 {
        table(&store).commit(&commit_of(number, Change::Append, &[&number.to_string()])).unwrap();
    }
    let told = (0..200).find_map(|left| {
        let store = Memory(Arc::new(Mutex::new(store.files().clone())));
        let dying = Dying { store, left: AtomicUsize::new(left), death: Death::Before };
        let committed =
            DeltaTables::new(Arc::new(dying)).unwrap().table(FOLDER).commit(&commit_of(10, Change::Append, &[]));
        committed.ok().and_then(|committed| committed.checkpoint_error)
    });
    let error = told.unwrap();
    assert_eq!(error.kind(), &DeltaErrorKind::Io(ErrorKind::BrokenPipe));
    let text = error.to_string();
    let expected =
        "the Delta table resource_type=Patient got no checkpoint: the process has died; its commits are safe";
    assert!(text.starts_with(expected), "{text}");
    let mut source = error.source();
    while let Some(cause) = source.filter(|cause| !cause.is::<io::Error>()) {
        source = cause.source();
    }
    assert!(error.source().is_some());
}

/// A first try of `commit` that arrives after `meanwhile`.
fn late(
    store: &Memory,
    commit: &Commit,
    meanwhile: impl FnOnce() + Send + 'static,
) -> (u64, bool, Vec<Option<ErrorKind>>) {
    let meanwhile = Mutex::new(Some(Box::new(meanwhile) as Box<dyn FnOnce() + Send>));
    let late = Arc::new(Late { store: store.clone(), meanwhile, ends: Mutex::default() });
    let committed = DeltaTables::new(late.clone()).unwrap().table(FOLDER).commit(commit).unwrap();
    let ends = late.ends.lock().unwrap().clone();
    (committed.version, committed.already, ends)
}

#[test]
fn who_comes_late_finds_the_commit_there() {
    for before in [0, 3] {
        let store = Memory::default();
        for number in 0..before {
            table(&store).commit(&commit_of(number, Change::Append, &[&number.to_string()])).unwrap();
        }
        let commit = commit_of(100, Change::Append, &["x"]);
        let (other, same) = (table(&store), commit.clone());
        let ended = late(&store, &commit, move || {
            assert!(!other.commit(&same).unwrap().already);
        });
        assert_eq!(ended, (before as u64, true, vec![Some(ErrorKind::AlreadyExists)]));
        assert_eq!(names(&table(&store), None).len() as i64, before + 1);
    }
}

#[test]
fn who_comes_late_builds_anew_on_what_others_did() {
    let store = Memory::default();
    table(&store).commit(&commit_of(1, Change::Append, &["a"])).unwrap();
    let mut others = commit_of(1, Change::Append, &["b"]);
    others.app_id = "other".to_owned();
    let other = table(&store);
    let ended = late(&store, &commit_of(2, Change::Replace, &["c"]), move || {
        other.commit(&others).unwrap();
    });
    assert_eq!(ended, (2, false, vec![Some(ErrorKind::AlreadyExists), None]));
    assert_eq!(names(&table(&store), None), ["c"]);

    let other = table(&store);
    let removes = vec![format!("{FOLDER}/c")];
    let meanwhile = Mutex::new(Some(Box::new(move || {
        let mut replace = commit_of(9, Change::Replace, &["d"]);
        replace.app_id = "other".to_owned();
        other.commit(&replace).unwrap();
    }) as Box<dyn FnOnce() + Send>));
    let late = Late { store: store.clone(), meanwhile, ends: Mutex::default() };
    let rearrange = commit_of(3, Change::Rearrange { removes }, &["c2"]);
    let error = DeltaTables::new(Arc::new(late)).unwrap().table(FOLDER).commit(&rearrange).unwrap_err();
    assert_eq!(error.kind(), &DeltaErrorKind::Conflict);
    assert_eq!(names(&table(&store), None), ["d"]);
}
