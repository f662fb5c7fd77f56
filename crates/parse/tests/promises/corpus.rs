//! The fuzzer's kept corpus, through the fuzzer's bodies: what was found once stays found.

use std::path::Path;

use crate::{frame_body, parse_body};

fn each(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files = 0;
    for entry in folder.read_dir().expect("the corpus is kept beside the targets") {
        let path = entry.expect("readable").path();
        let data = std::fs::read(&path).expect("readable");
        std::panic::catch_unwind(|| check(&data)).unwrap_or_else(|_| panic!("broken by {}", path.display()));
        files += 1;
    }
    assert!(files > 0, "no file in {}", folder.display());
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn frame() {
    each("frame", frame_body::check);
}

#[test]
#[cfg_attr(miri, ignore = "reads files, and simd-json does not run there")]
fn parse() {
    each("parse", parse_body::check);
}
