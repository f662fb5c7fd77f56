//! Real export files: everything arrives, everything comes back, and the two JSON engines agree.

use serde_json::Value;

use crate::lakehaul::{Place, corpus};

fn manifest_counts(manifest: &str) -> Vec<(String, u64)> {
    let text = std::fs::read(manifest).expect("the manifest is there");
    let manifest: Value = serde_json::from_slice(&text).expect("the manifest is JSON");
    let entries = manifest["output"].as_array().expect("the manifest has outputs");
    entries
        .iter()
        .map(|entry| (entry["type"].as_str().expect("a type").to_owned(), entry["count"].as_u64().expect("a count")))
        .collect()
}

#[test]
fn every_resource_of_the_corpus_comes_back() {
    let Some(manifest) = corpus() else { return };
    let place = Place::new();
    let load = place.run(&["load", &manifest, "--to", "lake", "--json"]);
    load.exits_with(0);
    let summary: Value = serde_json::from_str(&load.stdout).expect("the result is one object");
    assert_eq!(summary["status"], "complete", "{load}");
    assert_eq!(summary["totals"]["rows"], 38_473);
    for (resource_type, count) in manifest_counts(&manifest) {
        let table = summary["tables"].as_array().expect("tables").iter().find(|t| t["type"] == resource_type.as_str());
        assert_eq!(table.map(|t| t["rows"].as_u64()), Some(Some(count)), "{resource_type}");
    }
    place.run(&["verify", "lake"]).exits_with(0);
    let verified = place.run(&["verify", "lake", "--roundtrip", &manifest, "--json"]);
    verified.exits_with(0);
    let report: Value = serde_json::from_str(&verified.stdout).expect("the result is one object");
    assert_eq!((&report["differences"], &report["resources"]), (&0.into(), &38_473.into()), "{verified}");
}

#[test]
fn both_engines_make_the_same_lake() {
    let Some(manifest) = corpus() else { return };
    let place = Place::new();
    place.run(&["load", &manifest, "--to", "direct", "--threads", "2"]).exits_with(0);
    place.run(&["load", &manifest, "--to", "tape", "--threads", "1", "--engine", "tape"]).exits_with(0);
    for (resource_type, count) in manifest_counts(&manifest) {
        let direct = place.sorted_rows("direct", &resource_type);
        assert_eq!(direct.len() as u64, count, "{resource_type}");
        assert!(direct == place.sorted_rows("tape", &resource_type), "{resource_type} differs");
    }
}
