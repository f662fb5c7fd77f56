//! What a power cut may not take: every name that is published stands for bytes that were durable before it, and the
//! run record for names that were; the journal speaks of nothing that a disk could still lose.

use std::collections::BTreeSet;

use lakehaul_load::LoadOptions;

use crate::faulty_store::{Call, Desk, Op};
use crate::scene::{Scene, saving_always};

fn calls(threads: usize) -> Vec<Call> {
    let scene = Scene::of_everything();
    let desk = Desk::calm();
    let options = LoadOptions { store_layer: Some(desk.layer()), ..saving_always(threads) };
    scene.load("lake", options).expect("an undisturbed run comes through");
    desk.log()
}

#[test]
fn bytes_before_names_before_the_record() {
    for threads in [1, 3] {
        let calls = calls(threads);
        let record = calls.iter().position(|call| call.op == Op::Put && call.path.starts_with("_lake/runs/"));
        let record = record.expect("a run record is written");
        let promise = calls.iter().position(|call| call.op == Op::Put && call.path.ends_with("/commit.json"));
        let promise = promise.expect("what is to be published is written down");
        let renames: Vec<usize> = (0..calls.len()).filter(|&at| calls[at].op == Op::Rename).collect();
        assert!(renames.len() > 5, "parts, asides and the table of deletions are published: {renames:?}");
        for &at in &renames {
            let Call { path, to, .. } = &calls[at];
            let told = format!("{threads} threads: {path} → {to:?}");
            let last = |ops: &[Op]| calls[..at].iter().rposition(|call| call.path == *path && ops.contains(&call.op));
            let written = last(&[Op::Create, Op::Extend, Op::Write]).expect("it was written");
            let durable = last(&[Op::Finish, Op::FileSync]);
            assert!(durable > Some(written), "{told}: written by call {written}, durable by {durable:?}");
            let named = calls[written..promise].iter().any(|call| call.op == Op::Sync);
            assert!(named, "{told}: its staged name is not durable before it is promised");
            assert!((promise..record).contains(&at), "{told}: before the promise or behind the record");
        }
        let last = renames.last().expect("there are some");
        let synced = calls[*last..record].iter().any(|call| call.op == Op::Sync);
        assert!(synced, "{threads} threads: the names are not durable when the record says that they are there");
        for call in &calls[..record] {
            let is_public = |path: &str| !path.starts_with("_lake/");
            assert!(!matches!(call.op, Op::Create | Op::Extend | Op::Put) || !is_public(&call.path), "{call:?}");
        }
    }
}

#[test]
fn the_journal_speaks_of_what_is_durable() {
    for threads in [1, 3] {
        let calls = calls(threads);
        let is_journal = |call: &Call| call.path.ends_with("/journal");
        let beyond_its_head = calls.iter().enumerate().filter(|(_, call)| is_journal(call) && call.op == Op::Write);
        let mut entries = 0;
        let mut spoken_of = BTreeSet::new();
        for (at, _) in beyond_its_head.skip(1) {
            entries += 1;
            // Folders are synced between the last file's sync and the entry, by whoever writes the journal.
            let before =
                calls[..at].iter().rposition(|call| call.op == Op::Sync).expect("names are made durable first");
            let last_entry = calls[..at].iter().rposition(is_journal).unwrap_or(0);
            assert!(before > last_entry, "{threads} threads: entry {entries} comes without a sync of its own");
            let synced = calls[last_entry..before].iter().filter(|call| call.op == Op::FileSync);
            let synced: BTreeSet<_> = synced.map(|call| call.path.clone()).collect();
            let footers = synced.iter().any(|path| path.contains("/row_groups-"));
            assert!(
                footers || synced.iter().all(|path| !path.ends_with(".part")),
                "row groups come with their footers"
            );
            spoken_of.extend(synced);
        }
        assert!(entries > 0, "{threads} threads: {entries} entries");
        assert!(spoken_of.iter().any(|path| path.ends_with(".part")), "{spoken_of:?}");
    }
}
