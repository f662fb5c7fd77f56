//! The fuzzer's kept corpus, through the fuzzer's bodies: what was found once stays found.

use std::path::Path;

use crate::{headers, manifest};

/// The files of a target, by name.
pub(crate) fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = folder
        .read_dir()
        .expect("the corpus is kept beside the targets")
        .map(|entry| {
            let entry = entry.expect("readable");
            let data = std::fs::read(entry.path()).expect("readable");
            (entry.file_name().to_string_lossy().into_owned(), data)
        })
        .collect();
    files.sort();
    assert!(files.len() >= 12, "{} files in {}", files.len(), folder.display());
    files
}

/// Says which input broke the promise.
pub(crate) fn run(check: fn(&[u8]), data: &[u8], name: &str) {
    let broken = |_| panic!("broken by {name}: {}", data.escape_ascii());
    std::panic::catch_unwind(|| check(data)).unwrap_or_else(broken);
}

#[track_caller]
fn each(target: &str, check: fn(&[u8])) {
    files(target).iter().for_each(|(name, data)| run(check, data, name));
}

#[test]
fn manifest() {
    each("manifest", manifest::check);
}

#[test]
fn headers() {
    each("headers", headers::check);
}
