//! An undisturbed export.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use lakehaul_fetch::Level;
use lakehaul_load::{RawFiles, RunStatus, Since};
use lakehaul_sim::{At, Compressed, Fault, Gzip, Listed, Personality, Target, When};

use crate::scene::{Scene, members};

#[test]
fn every_kind_of_server_is_hauled_whole() {
    for personality in
        [Personality::OneupProvider, Personality::OneupPayer, Personality::OneupPopulation, Personality::Smart]
    {
        let scene = Scene::new(personality, |scenario| scenario.members(&members()).running(2).retry_after(0));
        let mut request = scene.request();
        if personality == Personality::OneupPayer {
            request.parameters.level = Level::Group("g1".to_owned());
        }
        let summary = scene.export(&request).unwrap();
        assert_eq!(summary.problems, [], "{personality:?}");
        assert_eq!(summary.status, RunStatus::Complete);
        scene.is_whole(&summary);
        assert_eq!(scene.sim.export_count(), 1);
        // The same again asks for nothing.
        let asked = scene.sim.log().len();
        assert!(scene.export(&request).unwrap().already_complete);
        assert_eq!(scene.sim.log().len(), asked);
        assert_eq!(scene.records()[0].transaction_time, summary.transaction_time);
    }
}

#[test]
fn compressed_files_are_decompressed_by_the_workers() {
    let scene = Scene::new(Personality::Smart, |scenario| {
        let gzip = |n: usize| if n.is_multiple_of(2) { Gzip::OneMember } else { Gzip::ManyMembers };
        let mut n = 0;
        scenario.members(&members()).each_file(move |file| {
            n += 1;
            file.compressed(Compressed::IfAccepted(gzip(n)))
        })
    });
    let summary = scene.export(&scene.request()).unwrap();
    scene.is_whole(&summary);
    assert!(summary.totals.bytes < summary.totals.content_bytes / 2);
}

#[test]
fn raw_files_are_kept_if_asked_for() {
    let scene = Scene::new(Personality::Smart, |scenario| scenario.members(&members()));
    let mut request = scene.request();
    request.raw = RawFiles::Kept;
    let summary = scene.export(&request).unwrap();
    scene.is_whole(&summary);
    for file in &summary.files {
        let path = format!("{}/_lake/raw/{}/{}", scene.lake(), summary.run, file.name);
        assert_eq!(std::fs::metadata(path).unwrap().len(), file.bytes, "{}", file.name);
    }
}

#[test]
fn finished_batches_are_loaded_while_the_server_still_exports() {
    let scene = Scene::new(Personality::OneupProvider, |scenario| {
        scenario.members(&members()).running(4).retry_after(0).running_as(|running| running.listed = Listed::Finished)
    });
    let summary = scene.export(&scene.request()).unwrap();
    scene.is_whole(&summary);
    let listed = scene.notes.listed.lock().unwrap().clone();
    assert!(listed.len() > 1, "files were listed before the end: {listed:?}");
}

/// Every file stalls for two seconds shortly before its end. The lines before that become rows meanwhile.
#[test]
fn lines_of_a_slow_link_do_not_wait_for_more() {
    let stall = Duration::from_secs(2);
    let scene = Scene::new(Personality::Smart, |scenario| {
        scenario.members(&members()).fault(Target::EachFile, When::First(1), Fault::stall_at(At::FromEnd(5), stall))
    });
    let done = AtomicBool::new(false);
    let (summary, first_rows) = std::thread::scope(|scope| {
        let first_rows = scope.spawn(|| {
            let mut begun = None;
            while !done.load(Relaxed) {
                let progress = scene.notes.progress.lock().unwrap().clone();
                if progress.as_ref().is_some_and(|progress| progress.bytes_read.load(Relaxed) > 0) {
                    let begun = *begun.get_or_insert_with(Instant::now);
                    if progress.is_some_and(|progress| progress.rows.load(Relaxed) > 0) {
                        return Some(begun.elapsed());
                    }
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
            None
        });
        let summary = scene.export(&scene.request()).unwrap();
        done.store(true, Relaxed);
        (summary, first_rows.join().unwrap())
    });
    scene.is_whole(&summary);
    let waited = first_rows.expect("rows came before the end");
    assert!(waited < Duration::from_secs(1), "the first row came after {waited:?}");
}

#[test]
fn since_last_begins_where_the_last_run_ended() {
    let scene = Scene::new(Personality::Smart, |scenario| scenario.members(&members()));
    let mut request = scene.request();
    request.since = Since::Last;
    scene.export(&request).unwrap();
    assert_eq!(scene.notes.warnings.lock().unwrap().len(), 1);
    let second = scene.export(&request).unwrap();
    assert!(!second.already_complete);
    let asked = scene.sim.log().into_iter().rfind(|seen| seen.path.ends_with("$export")).unwrap();
    assert!(asked.query.unwrap().contains("_since="), "the second asks for what is new");
    assert_eq!(scene.records()[1].export.clone().unwrap().since, scene.records()[0].transaction_time);
}
