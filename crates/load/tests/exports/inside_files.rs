//! An export that broke off inside its files, and the same command again: it goes on there, whatever the server can and
//! whatever has become of the files.

use std::time::Duration;

use lakehaul_load::{ErrorKind, LoadOptions, RawFiles, Warning};
use lakehaul_sim::{
    At, Compressed, Endpoint, Fault, Gzip, Personality, Ranges, Rule, ServedFile, Target, Validator, When,
};

use crate::scene::Scene;

/// More than three MiB, also when compressed: what is kept of a file is kept by the MiB.
const LARGE: usize = 1_300;
/// Less than one.
const SMALL: usize = 100;

fn patients(prefix: &str, lines: usize) -> String {
    let mut random = 7_u64;
    let mut word = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:08x}", random >> 32)
    };
    let line = |n| {
        let text: String = (0..600).map(|_| word()).collect();
        format!("{{\"resourceType\":\"Patient\",\"id\":\"{prefix}-{n}\",\"language\":\"{text}\"}}\n")
    };
    (0..lines).map(line).collect()
}

struct Case {
    lines: usize,
    validator: Validator,
    ranges: Ranges,
    compressed: Compressed,
    changes: bool,
    raw: RawFiles,
}

fn check(case: &Case) {
    let Case { lines, validator, ranges, compressed, changes, raw } = *case;
    let name = format!("{lines} lines, {validator:?}, {ranges:?}, {compressed:?}, changes: {changes}, {raw:?}");
    let (old, new) = (patients("old", lines), patients("new", lines));
    let breaks_at = (patients("old", lines).len() * if compressed == Compressed::Never { 7 } else { 4 } / 10) as u64;
    // What has come by then is read before it breaks.
    let pause = Fault::stall_at(At::File(breaks_at - 1), Duration::from_millis(400));
    let scene = Scene::new(Personality::Smart, |scenario| {
        let file = ServedFile::new("Patient", old).replaced_by(new).named("x.ndjson");
        let scenario = scenario.file(file.validator(validator).ranges(ranges).compressed(compressed)).fault(
            "x.ndjson",
            When::Nth(1),
            pause.and(Fault::truncate_at(At::File(breaks_at))),
        );
        if changes { scenario.fault("x.ndjson", When::Nth(2), Fault::replace_file()) } else { scenario }
    });
    let mut request = scene.request();
    request.client.patience.retries = 0;
    request.raw = raw;
    request.options =
        LoadOptions { checkpoint: Duration::ZERO, chunk_bytes: 16 << 10, threads: 2, ..LoadOptions::default() };
    let error = scene.export(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{name}: {error}");
    assert!(scene.records().is_empty());

    let summary = scene.export(&request).unwrap();
    assert_eq!((summary.totals.lines, summary.totals.rows), (lines as u64, lines as u64), "{name}");
    let mut rows = Vec::new();
    lakehaul_load::cat(&scene.lake(), "Patient", &mut rows).unwrap();
    let rows = String::from_utf8(rows).unwrap();
    let of = |prefix: &str| rows.lines().filter(|line| line.contains(&format!("\"id\":\"{prefix}-"))).count();
    assert_eq!((of("old"), of("new")), if changes { (0, lines) } else { (lines, 0) }, "{name}");
    let findings = lakehaul_load::verify(&scene.lake(), &lakehaul_load::Silent).unwrap().findings;
    assert_eq!(findings, [], "{name}");
    assert_eq!(scene.sim.export_count(), 1, "{name}");

    let warnings = scene.notes.warnings.lock().unwrap();
    let kept = warnings.iter().find_map(|warning| match warning {
        Warning::TakenUp { lines, .. } => Some(*lines),
        _ => None,
    });
    assert!(kept > Some(lines as u64 / 10), "{name}: {kept:?}");
    let told = warnings.iter().any(|warning| matches!(warning, Warning::FileChanged { .. }));
    // Another tag for the same bytes is another version, as far as anybody can know.
    assert_eq!(told, changes || validator == Validator::Changing, "{name}");

    let asked = scene.sim.seen(Target::AnyFile);
    let asked: Vec<u64> = asked.iter().map(|seen| start_of(seen.range.as_deref())).collect();
    let guarded = matches!(validator, Validator::Strong | Validator::LastModified | Validator::Changing);
    let in_the_middle = guarded && lines == LARGE && compressed == Compressed::Never && raw == RawFiles::Streamed;
    assert_eq!(asked[1] >= 2 << 20, in_the_middle, "{name}: {asked:?}");
    assert!(asked[1] < breaks_at, "{name}: {asked:?}");
}

fn start_of(range: Option<&str>) -> u64 {
    range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0)
}

#[test]
fn what_is_done_is_not_done_again_and_versions_do_not_mix() {
    let mut cases = Vec::new();
    for validator in [Validator::Strong, Validator::Weak, Validator::LastModified, Validator::None, Validator::Changing]
    {
        for ranges in [Ranges::Honoured, Ranges::Ignored] {
            for compressed in [Compressed::Never, Compressed::Always(Gzip::ManyMembers)] {
                for changes in [false, true] {
                    let case = |lines| Case { lines, validator, ranges, compressed, changes, raw: RawFiles::Streamed };
                    cases.extend([case(LARGE), case(SMALL)]);
                }
            }
        }
    }
    let strong = |changes| Case {
        lines: LARGE,
        validator: Validator::Strong,
        ranges: Ranges::Honoured,
        compressed: Compressed::Never,
        changes,
        raw: RawFiles::Kept,
    };
    cases.extend([strong(false), strong(true)]);
    std::thread::scope(|scope| {
        for cases in cases.chunks(cases.len() / 4 + 1) {
            scope.spawn(|| cases.iter().for_each(check));
        }
    });
}

#[test]
fn files_that_are_done_are_not_asked_for_again() {
    let done = 3;
    let scene = Scene::new(Personality::OneupProvider, |scenario| {
        let small = |n| format!("{{\"resourceType\":\"Patient\",\"id\":\"{n}\"}}\n");
        let files = (0..=done).map(|n| ServedFile::new("Patient", small(n)).named(&format!("{n}.ndjson")));
        // The last one only fails once the others have come.
        scenario.files(files).fault(
            "3.ndjson",
            When::First(1),
            Fault::stall_headers(Duration::from_secs(1)).and(Fault::status(500)),
        )
    });
    let mut request = scene.request();
    request.client.patience.retries = 0;
    request.options.checkpoint = Duration::ZERO;
    scene.export(&request).unwrap_err();
    let summary = scene.export(&request).unwrap();
    scene.is_whole(&summary);
    let asked = |n: usize| scene.sim.seen(format!("{n}.ndjson").as_str()).len();
    assert_eq!((0..=done).map(asked).collect::<Vec<_>>(), [1, 1, 1, 2]);
}

#[test]
fn a_file_that_the_manifest_has_no_more_leaves_no_row() {
    let scene = Scene::new(Personality::Smart, |scenario| {
        let line = |n| format!("{{\"resourceType\":\"Patient\",\"id\":\"{n}\"}}\n");
        let files = (0..3).map(|n| ServedFile::new("Patient", line(n)).named(&format!("{n}.ndjson")));
        scenario.files(files).fault(
            "2.ndjson",
            When::First(1),
            Fault::stall_headers(Duration::from_secs(1)).and(Fault::status(500)),
        )
    });
    let mut request = scene.request();
    request.client.patience.retries = 0;
    request.options.checkpoint = Duration::ZERO;
    scene.export(&request).unwrap_err();
    // The server lists one of the files that are done no more.
    let listed = scene.sim.seen("1.ndjson")[0].path.clone();
    let base = scene.sim.origin();
    let others: Vec<String> = ["1.ndjson", "2.ndjson"]
        .iter()
        .map(|name| format!("{{\"type\":\"Patient\",\"url\":\"{base}{}\"}}", listed.replace("1.ndjson", name)))
        .collect();
    let manifest = format!(
        "{{\"transactionTime\":\"2026-01-01T00:00:00Z\",\"requiresAccessToken\":true,\"output\":[{}],\"error\":[]}}",
        others.join(",")
    );
    scene.sim.add_fault(Rule::new(Endpoint::Status, When::Always, Fault::manifest(manifest)));
    let summary = scene.export(&request).unwrap();
    let mut names: Vec<&str> = summary.files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["1.ndjson", "2.ndjson"]);
    let mut rows = Vec::new();
    assert_eq!(lakehaul_load::cat(&scene.lake(), "Patient", &mut rows).unwrap(), 2);
    assert!(!String::from_utf8(rows).unwrap().contains("\"id\":\"0\""));
}
