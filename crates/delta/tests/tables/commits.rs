//! What commits do to a table, in a folder and in memory.

use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use lakehaul_delta::{Change, DeltaErrorKind, DeltaTable, DeltaTables, Referenced};
use lakehaul_write::store::{LocalStore, Store};
use tempfile::TempDir;

use crate::stores::Memory;
use crate::{FOLDER, commit_of, names};

fn in_folder() -> (TempDir, DeltaTable) {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
    (folder, DeltaTables::new(store).unwrap().table(FOLDER))
}

fn in_memory() -> (Memory, DeltaTable) {
    let memory = Memory::default();
    (memory.clone(), DeltaTables::new(Arc::new(memory)).unwrap().table(FOLDER))
}

#[test]
fn a_table_is_made_grows_is_rearranged_and_replaced() {
    let ((_folder, local), (_memory, memory)) = (in_folder(), in_memory());
    for table in [local, memory] {
        assert_eq!(table.version().unwrap(), None);
        assert_eq!(table.files(None).unwrap(), []);
        assert_eq!(table.version_of("lakehaul", 1).unwrap(), None);
        assert_eq!(table.referenced().unwrap(), []);

        let made = table.commit(&commit_of(1, Change::Append, &["a", "b"])).unwrap();
        assert_eq!((made.version, made.already, made.checkpoint_error.is_none()), (0, false, true));
        assert_eq!(table.commit(&commit_of(2, Change::Append, &["c"])).unwrap().version, 1);
        let removes = vec![format!("{FOLDER}/a"), format!("{FOLDER}/c")];
        let mut rearranged = commit_of(3, Change::Rearrange { removes }, &["ac"]);
        rearranged.operation = "OPTIMIZE".to_owned();
        assert_eq!(table.commit(&rearranged).unwrap().version, 2);
        assert_eq!(table.commit(&commit_of(4, Change::Replace, &["new"])).unwrap().version, 3);
        assert_eq!(table.commit(&commit_of(5, Change::Replace, &[])).unwrap().version, 4);

        let expected: [&[&str]; 5] = [&["a", "b"], &["a", "b", "c"], &["ac", "b"], &["new"], &[]];
        for (version, expected) in (0..).zip(expected) {
            assert_eq!(names(&table, Some(version)), expected);
        }
        assert_eq!(table.version().unwrap(), Some(4));
        assert_eq!(table.files(Some(0)).unwrap()[0].rows, Some(3));
        assert_eq!(table.files(Some(0)).unwrap()[0].bytes, 30);
        assert!(table.files(Some(9)).is_err());
        for number in 1..=5 {
            assert_eq!(table.version_of("lakehaul", number).unwrap(), Some(number as u64 - 1));
        }
        assert_eq!(table.version_of("lakehaul", 6).unwrap(), None);
        assert_eq!(table.version_of("other", 1).unwrap(), None);

        let now = 1_700_000_000_000;
        let gone = |name: &str, at: i64| Referenced { path: format!("{FOLDER}/{name}"), removed_ms: Some(now + at) };
        assert_eq!(
            table.referenced().unwrap(),
            [gone("a", 3), gone("ac", 4), gone("b", 4), gone("c", 3), gone("new", 5)]
        );
    }
}

#[test]
fn the_log_says_what_was_committed() {
    let (memory, table) = in_memory();
    table.commit(&commit_of(1, Change::Append, &["a"])).unwrap();
    let log = memory.text(&format!("{FOLDER}/_delta_log/00000000000000000000.json"));
    assert!(log.contains(r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#), "{log}");
    assert!(log.contains(r#""lastUpdated":1700000000001"#) && log.contains(r#""createdTime":1700000000001"#), "{log}");
    assert!(log.contains(r#""run":"run-1""#), "{log}");
    let removes = vec![format!("{FOLDER}/a")];
    table.commit(&commit_of(2, Change::Rearrange { removes }, &["b"])).unwrap();
    let log = memory.text(&format!("{FOLDER}/_delta_log/00000000000000000001.json"));
    assert_eq!(log.matches(r#""dataChange":false"#).count(), 2, "{log}");
    assert!(log.contains(r#""deletionTimestamp":1700000000002"#), "{log}");
    assert!(!log.contains("metaData"), "{log}");
    table.commit(&commit_of(3, Change::Append, &["c"])).unwrap();
    let log = memory.text(&format!("{FOLDER}/_delta_log/00000000000000000002.json"));
    assert!(log.contains(r#""isBlindAppend":true"#), "{log}");
}

#[test]
fn a_commit_is_made_once() {
    let (_memory, table) = in_memory();
    for number in 1..=3 {
        table.commit(&commit_of(number, Change::Append, &[&number.to_string()])).unwrap();
    }
    for number in 1..=3 {
        let again = table.commit(&commit_of(number, Change::Append, &["again"])).unwrap();
        assert_eq!((again.version, again.already), (number as u64 - 1, true));
    }
    let below = table.commit(&commit_of(-7, Change::Append, &["again"])).unwrap();
    assert_eq!((below.version, below.already), (2, true));
    assert_eq!(table.version().unwrap(), Some(2));
}

#[test]
fn a_rearrangement_of_what_is_gone_is_a_conflict() {
    let (memory, table) = in_memory();
    let removes = vec![format!("{FOLDER}/a"), format!("{FOLDER}/b")];
    let rearrange = commit_of(9, Change::Rearrange { removes }, &["ab"]);
    assert_eq!(table.commit(&rearrange).unwrap_err().kind(), &DeltaErrorKind::Conflict);
    table.commit(&commit_of(1, Change::Append, &["a"])).unwrap();
    let files = memory.files().len();
    let error = table.commit(&rearrange).unwrap_err();
    assert_eq!(error.kind(), &DeltaErrorKind::Conflict);
    assert!(error.to_string().contains("does not have the file b any more"), "{error}");
    assert_eq!(memory.files().len(), files);
}

#[test]
fn writers_at_the_same_time_all_arrive_once() {
    arrive_once(&(Arc::new(Memory::default()) as Arc<dyn Store>));
    let folder = TempDir::new().unwrap();
    arrive_once(&(Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE)) as Arc<dyn Store>));
}

fn arrive_once(store: &Arc<dyn Store>) {
    let table = DeltaTables::new(Arc::clone(store)).unwrap().table(FOLDER);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let table = DeltaTables::new(Arc::clone(store)).unwrap().table(FOLDER);
            thread::spawn(move || {
                for number in 0..6 {
                    let mut commit = commit_of(number, Change::Append, &[&format!("{writer}-{number}")]);
                    commit.app_id = format!("writer-{writer}");
                    // With twenty tries a commit may still be unlucky, as it would be in a lake.
                    while table.commit(&commit).is_err() {}
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(table.version().unwrap(), Some(23));
    assert_eq!(names(&table, None).len(), 24);
    for writer in 0..4 {
        for number in 0..6 {
            let version = table.version_of(&format!("writer-{writer}"), number).unwrap().unwrap();
            let name = format!("{writer}-{number}");
            assert!(names(&table, Some(version)).contains(&name));
            assert!(version == 0 || !names(&table, Some(version - 1)).contains(&name));
        }
    }
}

#[test]
fn a_checkpoint_stands_for_the_commits_before_it() {
    let ((folder, local), (memory, in_memory)) = (in_folder(), in_memory());
    let now_ms = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    for (table, is_local) in [(local, true), (in_memory, false)] {
        for number in 0..25 {
            let removes = vec![format!("{FOLDER}/{}", number - 1)];
            let change = if number == 7 { Change::Rearrange { removes } } else { Change::Append };
            let mut commit = commit_of(number, change, &[&number.to_string()]);
            // A checkpoint keeps what was removed for a week.
            commit.now_ms = now_ms;
            let committed = table.commit(&commit).unwrap();
            assert!(committed.checkpoint_error.is_none(), "{:?}", committed.checkpoint_error);
        }
        let store: Arc<dyn Store> = if is_local {
            Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE))
        } else {
            Arc::new(memory.clone())
        };
        let log = format!("{FOLDER}/_delta_log");
        let checkpoints: Vec<_> = store.list(&log).unwrap().into_iter().map(|(path, _)| path).collect();
        assert!(checkpoints.contains(&format!("{log}/00000000000000000010.checkpoint.parquet")), "{checkpoints:?}");
        assert!(checkpoints.contains(&format!("{log}/00000000000000000020.checkpoint.parquet")), "{checkpoints:?}");
        for version in 0..25_u64 {
            assert_eq!(names(&table, Some(version)).len() as u64, version + if version < 7 { 1 } else { 0 });
        }
        let whole = table.referenced().unwrap();
        assert_eq!(whole.len(), 25);
        assert_eq!(whole.iter().filter(|file| file.removed_ms.is_some()).count(), 1);
        // What a reader with less of the log sees is the same.
        for version in 0..15 {
            store.remove(&format!("{log}/{version:020}.json")).unwrap();
        }
        assert_eq!(names(&table, None).len(), 24);
        assert_eq!(table.version_of("lakehaul", 20).unwrap(), Some(20));
        assert_eq!(table.version_of("lakehaul", 3).unwrap(), None);
        let again = table.commit(&commit_of(3, Change::Append, &["3"])).unwrap();
        assert_eq!((again.version, again.already), (24, true));
        let left = table.referenced().unwrap();
        assert_eq!(left.iter().filter(|file| file.removed_ms.is_none()).count(), 24);
        assert!(left.contains(&whole[whole.iter().position(|file| file.removed_ms.is_some()).unwrap()]), "{left:?}");
        assert_eq!(table.commit(&commit_of(25, Change::Append, &["25"])).unwrap().version, 25);
    }
}
