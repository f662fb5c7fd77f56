//! The dependency rule, read off `cargo metadata`: who may know whom, so that a seam cannot be crossed by accident.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate may use of the others, besides in its own tests. The same table is in ARCHITECTURE.md, in words.
const MAY_KNOW: [(&str, &[&str]); 11] = [
    ("lakehaul-parse", &[]),
    ("lakehaul-fetch", &[]),
    ("lakehaul-schema", &[]),
    ("lakehaul-write", &["lakehaul-parse", "lakehaul-schema"]),
    // Stores other than folders, behind `write`'s seam.
    ("lakehaul-bucket", &["lakehaul-write"]),
    // Tables' logs, over the same seam.
    ("lakehaul-delta", &["lakehaul-write"]),
    (
        "lakehaul-load",
        &["lakehaul-parse", "lakehaul-fetch", "lakehaul-schema", "lakehaul-write", "lakehaul-bucket", "lakehaul-delta"],
    ),
    // A simulated payer needs none of what it tests.
    ("lakehaul-sim", &[]),
    // The table definitions that `lakehaul schema` prints are `schema`'s; a server and its credentials are named to `fetch`;
    // `sim` is for `demo` and `sim` alone. All else comes through `load`.
    ("lakehaul-cli", &["lakehaul-load", "lakehaul-fetch", "lakehaul-schema", "lakehaul-sim"]),
    ("lakehaul", &["lakehaul-cli"]),
    // Each stage is measured by itself.
    (
        "lakehaul-benches",
        &["lakehaul-parse", "lakehaul-fetch", "lakehaul-schema", "lakehaul-write", "lakehaul-load", "lakehaul-sim"],
    ),
];

/// Crates that the library crates must never pull in, and why.
const NOT_BELOW_CLI: [(&str, &str); 3] =
    [("clap", "arguments are cli's"), ("indicatif", "only cli prints"), ("toml", "the config file is cli's")];

#[test]
fn crates_know_only_whom_they_may() {
    let metadata =
        MetadataCommand::new().no_deps().other_options(["--offline".to_owned()]).exec().expect("cargo metadata");
    let members: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let allowed: BTreeMap<&str, &[&str]> = MAY_KNOW.into_iter().collect();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let may = allowed.get(name).unwrap_or_else(|| panic!("{name} is new: say in this test whom it may know"));
        for dependency in package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development) {
            let other = dependency.name.as_str();
            assert!(!members.contains(other) || may.contains(&other), "{name} must not know {other}");
            if !matches!(name, "lakehaul-cli" | "lakehaul") {
                let banned = NOT_BELOW_CLI.iter().find(|(banned, _)| *banned == other);
                assert!(banned.is_none(), "{name} uses {other}: {}", banned.map_or("", |(_, why)| why));
            }
        }
    }
}

#[test]
fn crates_without_unsafe_code_forbid_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["fetch", "schema", "bucket", "delta", "load", "sim", "cli"] {
        let path = root.join("crates").join(name).join("src/lib.rs");
        let text = std::fs::read_to_string(&path).expect("a crate has a lib.rs");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{} must forbid unsafe code", path.display());
    }
}

#[test]
fn the_core_has_none_of_the_stores_and_the_tables_crates() {
    let tree = |arguments: &[&str]| {
        let tree = std::process::Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none", "--package", "lakehaul"])
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo tree");
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        String::from_utf8(tree.stdout).expect("names are text")
    };
    let has = |tree: &str, name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    let (core, whole) = (tree(&["--no-default-features"]), tree(&[]));
    for name in ["object_store", "lakehaul-bucket", "quick-xml", "lakehaul-delta", "delta_kernel", "arrow-json"] {
        assert!(has(&whole, name), "{name} is not even in the whole build");
        assert!(!has(&core, name), "{name} is in a build without stores and Delta tables");
    }
    let stores = tree(&["--no-default-features", "--features", "cloud"]);
    assert!(has(&stores, "object_store") && !has(&stores, "delta_kernel"));
}
