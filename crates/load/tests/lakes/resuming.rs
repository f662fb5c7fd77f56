//! A run that died goes on inside its files: what is kept, what is done again, and what must not appear.

use std::fs;
use std::time::Duration;

use lakehaul_load::{ErrorKind, Interrupt, LoadOptions, LoadSummary, Warning};

use crate::journal_limit::journal_breaks_after;
use crate::scene::{Scene, claim, gzip, ndjson, patient};

/// Every chunk is a checkpoint, and chunks are small.
fn saving_always(threads: usize) -> LoadOptions {
    LoadOptions { threads, checkpoint: Duration::ZERO, chunk_bytes: 700, ..LoadOptions::default() }
}

/// Plain, compressed and mixed files with lines of every kind.
fn scene() -> Scene {
    let patients = ndjson((0..120).map(patient));
    let mut claims: Vec<String> = (0..100).map(claim).collect();
    claims[7] = "{broken".to_owned();
    claims[60] = String::new();
    claims[61] = format!(r#"{{"resourceType":"Claim","id":"{}"}}"#, "x".repeat(3_000));
    claims.push(r#"{"resourceType":"Claim","id":"late","prognosis":[{"text":"a path of its own"}]}"#.to_owned());
    let mixed = (200..280).map(|id| if id % 3 == 0 { patient(id) } else { claim(id) });
    Scene::new(&[
        ("Patient.ndjson", &[&b"\xef\xbb\xbf"[..], &patients].concat()),
        ("Claim.ndjson", &ndjson(claims)),
        ("mixed.ndjson.gz", &gzip(&ndjson(mixed))),
    ])
}

/// All that a lake is, but for when.
#[track_caller]
fn content(scene: &Scene) -> impl PartialEq + std::fmt::Debug + use<> {
    scene.check_sound();
    let record = scene.records().remove(0);
    let (mut index, lines) = scene.quarantine();
    index.sort_by_key(ToString::to_string);
    let files: Vec<_> = record.output_files.iter().map(|file| format!("{file:?}")).collect();
    let tables: Vec<_> = record.tables.iter().map(|table| (table.resource_type.clone(), table.rows)).collect();
    (scene.all_rows(), index, lines.len(), files, tables, format!("{:?}", record.problems))
}

/// Lines that the run had done when it was taken up.
fn taken_up(summary: &LoadSummary) -> u64 {
    let lines = summary.warnings.iter().find_map(|warning| match warning {
        Warning::TakenUp { lines, .. } => Some(*lines),
        _ => None,
    });
    lines.expect("an earlier process has begun the run")
}

fn limited(threads: usize) -> LoadOptions {
    LoadOptions { max_line_bytes: Some(2_000), ..saving_always(threads) }
}

#[test]
fn a_run_goes_on_after_any_checkpoint() {
    let whole = scene();
    whole.try_load_with(&[""], limited(1)).unwrap();
    let expected = content(&whole);
    for threads in [1, 3] {
        let mut most = 0;
        for bytes in (0..).step_by(4_001) {
            let scene = scene();
            let broken = LoadOptions { store_layer: Some(journal_breaks_after(bytes)), ..limited(threads) };
            match scene.try_load_with(&[""], broken) {
                Ok(_) => {
                    assert!(bytes > 10_000, "there are checkpoints");
                    break;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Destination);
                    assert!(error.to_string().contains("journal"), "{error}");
                }
            }
            // Dies again, then gets through.
            let again = LoadOptions { store_layer: Some(journal_breaks_after(9_000)), ..limited(2) };
            let summary = match scene.try_load_with(&[""], again) {
                Ok(summary) => summary,
                Err(_) => scene.try_load_with(&[""], limited(2)).unwrap(),
            };
            most = most.max(taken_up(&summary));
            assert_eq!(content(&scene), expected, "{threads} threads, dead after {bytes} bytes of the journal");
        }
        // One worker's journal says the same on every machine; of several, the system chooses who gets far.
        let least = if threads == 1 { 200 } else { 1 };
        assert!(most >= least, "lines that were done are not done again: {most}, {threads} threads");
    }
}

#[test]
fn a_file_that_has_changed_starts_over_alone() {
    let scene = Scene::new(&[
        ("a.ndjson", &ndjson((0..300).map(patient))),
        ("b.ndjson", &ndjson((1_000..1_300).map(claim))),
        ("c.ndjson", &ndjson((2_000..2_300).map(claim))),
    ]);
    let broken = LoadOptions { store_layer: Some(journal_breaks_after(16_000)), ..saving_always(1) };
    scene.try_load_with(&[""], broken).unwrap_err();
    let begun = scene.files_below("lake/_lake/staging").len();
    assert!(begun > 3);
    // One has other lines now, one is gone, one is new; the rest of the first is as it was.
    scene.write("b.ndjson", &ndjson((5_000..5_100).map(claim)));
    fs::remove_file(scene.path("in/c.ndjson")).unwrap();
    scene.write("d.ndjson", &ndjson((6_000..6_100).map(patient)));
    let summary = scene.try_load_with(&[""], saving_always(2)).unwrap();
    taken_up(&summary);
    scene.check_sound();
    let fresh = Scene::new(&[
        ("a.ndjson", &ndjson((0..300).map(patient))),
        ("b.ndjson", &ndjson((5_000..5_100).map(claim))),
        ("d.ndjson", &ndjson((6_000..6_100).map(patient))),
    ]);
    fresh.load();
    assert_eq!(scene.all_rows(), fresh.all_rows());
    assert_eq!(scene.records().len(), 1);
    // The same command, now that it is finished, does nothing.
    assert!(scene.try_load(&[""]).unwrap().already_complete);
}

#[test]
fn a_part_that_is_gone_is_made_again() {
    let whole = scene();
    whole.try_load_with(&[""], limited(1)).unwrap();
    let expected = content(&whole);
    type Damage = fn(&std::path::Path);
    let damages: [Damage; 3] = [
        |part| fs::remove_file(part).unwrap(),
        |part| fs::write(part, b"PAR1").unwrap(),
        |part| {
            let mut bytes = fs::read(part).unwrap();
            bytes[50] ^= 1;
            fs::write(part, bytes).unwrap();
        },
    ];
    for damage in damages {
        let scene = scene();
        let broken = LoadOptions { store_layer: Some(journal_breaks_after(20_000)), ..limited(2) };
        scene.try_load_with(&[""], broken).unwrap_err();
        let parts: Vec<String> = scene.files_below("lake/_lake/staging");
        let parts: Vec<_> = parts.iter().filter(|path| path.ends_with(".part")).collect();
        damage(&scene.path("lake/_lake/staging").join(parts[0]));
        scene.try_load_with(&[""], limited(1)).unwrap();
        assert_eq!(content(&scene), expected);
    }
}

#[test]
fn an_interrupted_run_is_saved() {
    let whole = scene();
    whole.try_load_with(&[""], limited(1)).unwrap();
    let scene = scene();
    let interrupt = Interrupt::default();
    interrupt.set();
    // However long the interval is, what is done is saved.
    let options = LoadOptions { interrupt, checkpoint: LoadOptions::CHECKPOINT, ..limited(2) };
    let error = scene.try_load_with(&[""], options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(scene.records().is_empty());
    scene.try_load_with(&[""], limited(1)).unwrap();
    assert_eq!(content(&scene), content(&whole));
}

#[test]
fn a_damaged_journal_is_told() {
    let scene = scene();
    let broken = LoadOptions { store_layer: Some(journal_breaks_after(15_000)), ..limited(1) };
    scene.try_load_with(&[""], broken).unwrap_err();
    let journal = scene.files_below("lake/_lake/staging").into_iter().find(|path| path.ends_with("/journal")).unwrap();
    let journal = scene.path("lake/_lake/staging").join(journal);
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("journal 1", "journal 9", 1)).unwrap();
    let error = scene.try_load_with(&[""], limited(1)).unwrap_err();
    assert!(error.to_string().contains("version 9, this program knows 1"), "{error}");
    // No content is in it.
    assert!(!text.contains("\"p1\"") && !text.contains("1970-"));
}
