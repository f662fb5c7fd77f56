//! What cannot be loaded, or not whole: told clearly, and what is good is loaded.

use std::fs;

use lakehaul_load::{ErrorKind, LoadError, LoadOptions, Problem, RunStatus};

use crate::scene::{Scene, gzip, ndjson, patient};

#[track_caller]
fn check_usage(result: Result<lakehaul_load::LoadSummary, LoadError>, says: &str) {
    let error = result.map(|summary| summary.run).expect_err("a usage error");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn a_command_that_cannot_work_makes_no_lake() {
    let scene = Scene::new(&[("empty/readme.txt", b""), ("no.json", b"{}")]);
    check_usage(scene.try_load(&[]), "no file, folder or manifest was named");
    check_usage(scene.try_load(&["empty"]), "has no file that ends with .ndjson");
    check_usage(scene.try_load(&["nowhere.ndjson"]), "nowhere.ndjson cannot be loaded");
    check_usage(scene.try_load(&["no.json"]), "it is no bulk export manifest");
    scene.write("a.ndjson", b"");
    let too_little = LoadOptions { memory_bytes: 1 << 20, ..LoadOptions::default() };
    check_usage(scene.try_load_with(&["a.ndjson"], too_little), "--memory");
    let too_long = LoadOptions { max_line_bytes: Some(500 << 20), ..LoadOptions::default() };
    check_usage(scene.try_load_with(&["a.ndjson"], too_long), "--max-line");
    assert!(!scene.path("lake").exists());
}

#[test]
fn a_lake_is_no_file() {
    let scene = Scene::new(&[("a.ndjson", &ndjson([patient(1)]))]);
    fs::write(scene.path("lake"), "something").unwrap();
    check_usage(scene.try_load(&[""]), "is a file; a lake is a folder");
    assert_eq!(fs::read_to_string(scene.path("lake")).unwrap(), "something");
}

#[test]
fn what_is_cut_off_or_damaged_is_loaded_as_far_as_it_goes() {
    let text = ndjson((0..20_000).map(patient));
    let whole = gzip(&text);
    let damaged_zstd = {
        let mut bytes = zstd::encode_all(&text[..], 1).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..].iter_mut().for_each(|byte| *byte ^= 0x55);
        bytes
    };
    for (name, bytes, says) in [
        ("a.ndjson.gz", &whole[..whole.len() / 2], "cut off"),
        ("a.ndjson.gz", &whole[..whole.len() - 1], "cut off"),
        ("a.ndjson.gz", b"", "empty"),
        ("a.ndjson.zst", &damaged_zstd[..], "damaged"),
    ] {
        let scene = Scene::new(&[(name, bytes), ("b.ndjson", &ndjson([patient(1)]))]);
        let summary = scene.load();
        assert_eq!(summary.status, RunStatus::Unreadable);
        let Problem::Unreadable { output_file, why } = &summary.problems[0] else { panic!("{:?}", summary.problems) };
        assert_eq!(output_file, name);
        assert!(why.contains(says), "{why}");
        assert_eq!(summary.files[1].resources, 1);
        // The hash is the whole file's.
        assert_eq!(summary.files[0].blake3, blake3::hash(bytes).to_hex().to_string());
        assert_eq!(summary.files[0].bytes, bytes.len() as u64);
        assert_eq!(summary.totals.rows, summary.totals.resources);
    }
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_told() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let scene = Scene::new(&[("a.ndjson", &ndjson([patient(1)])), ("b.ndjson", &ndjson([patient(2)]))]);
    fs::set_permissions(scene.path("in/a.ndjson"), fs::Permissions::from_mode(0o000)).unwrap();
    symlink("nowhere", scene.path("in/c.ndjson")).unwrap();
    let summary = scene.load();
    assert_eq!(summary.status, RunStatus::Unreadable);
    let unreadable: Vec<_> = summary
        .problems
        .iter()
        .map(|problem| match problem {
            Problem::Unreadable { output_file, .. } => output_file.as_str(),
            other => panic!("{other}"),
        })
        .collect();
    // A superuser reads everything.
    let superuser = fs::read(scene.path("in/a.ndjson")).is_ok();
    let expected: &[&str] = if superuser { &["c.ndjson"] } else { &["a.ndjson", "c.ndjson"] };
    assert_eq!(unreadable, expected);
    assert_eq!(summary.totals.resources, if superuser { 2 } else { 1 });
}

#[test]
fn a_binary_file_is_all_rejects() {
    let binary: Vec<u8> = (0..100_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let scene = Scene::new(&[("a.ndjson", &binary), ("b.ndjson", &ndjson([patient(1)]))]);
    let summary = scene.load();
    assert_eq!(summary.status, RunStatus::Rejected);
    assert_eq!(summary.totals.resources, 1);
    let lines = binary.split(|&byte| byte == b'\n').count() as u64;
    assert_eq!(summary.files[0].lines, lines);
    assert_eq!(summary.files[0].rejected + summary.files[0].blank, lines);
}
