//! A lake as other programs read it: `tests/readers/check.py`, with whichever of its readers Python has.

use std::path::Path;
use std::process::Command;

use crate::lakehaul::{Place, corpus};

/// What the script exits with where no reader is installed.
const NOTHING_INSTALLED: i32 = 77;

/// Counts and sums of what `manifest` lists agree in every reader.
#[track_caller]
#[expect(clippy::print_stderr, reason = "a check that did not run says so")]
fn check(manifest: &str) {
    let place = Place::new();
    place.run(&["load", manifest, "--to", "lake"]).exits_with(0);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = Path::new(manifest).parent().expect("a manifest is in a folder");
    let mut command = Command::new("python3");
    command.arg(root.join("tests/readers/check.py")).arg(place.path("lake")).arg("--source").arg(source);
    match command.output() {
        Err(error) => eprintln!("skipped: python3 cannot be run: {error}"),
        Ok(output) if output.status.code() == Some(NOTHING_INSTALLED) => {
            eprintln!("skipped: Python has none of the readers (pip install duckdb polars pyarrow)");
        }
        Ok(output) => assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

#[test]
fn readers_agree_on_the_example() {
    check(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/export/manifest.json"));
}

#[test]
fn readers_agree_on_the_corpus() {
    let Some(manifest) = corpus() else { return };
    check(&manifest);
}
