//! What a load takes: files, folders, a manifest, stdin; plain, gzip, zstd.

use std::io::Write;

use crate::lakehaul::{Place, repository};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1","birthDate":"1970-02","multipleBirthInteger":2}"#;
const CLAIM: &str = r#"{"resourceType":"Claim","id":"c1","total":{"value":10.50,"currency":"EUR"}}"#;

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn rows(place: &Place, lake: &str) -> u64 {
    place.records(lake).iter().map(|run| run["totals"]["rows"].as_u64().expect("a count")).sum()
}

#[test]
fn a_folder_gives_its_ndjson_and_nothing_else() {
    let place = Place::new();
    place.write("export/Patient.ndjson", format!("{PATIENT}\n"));
    place.write("export/Claim.1.ndjson.gz", gzip(format!("{CLAIM}\n{CLAIM}\n").as_bytes()));
    place.write("export/Claim.2.ndjson.zst", zstd::encode_all(CLAIM.as_bytes(), 1).expect("compresses"));
    place.write("export/README.txt", "no data");
    place.run(&["load", "export", "--to", "lake"]).exits_with(0).prints("4 rows");
    assert_eq!(place.sorted_rows("lake", "Claim"), [CLAIM; 3]);
    assert_eq!(place.sorted_rows("lake", "Patient"), [PATIENT]);
    place.run(&["verify", "lake", "--roundtrip", "export"]).exits_with(0).prints("0 differences");
}

#[test]
fn a_manifest_names_its_files_and_their_counts() {
    let place = Place::new();
    place.write("export/a.ndjson", format!("{PATIENT}\n"));
    place.write("export/b.ndjson", format!("{CLAIM}\n"));
    let manifest = |count: u32| {
        format!(
            r#"{{"transactionTime":"2026-01-01T00:00:00Z","request":"r","requiresAccessToken":false,
            "output":[{{"type":"Patient","url":"a.ndjson","count":{count}}}],"error":[]}}"#
        )
    };
    place.write("export/manifest.json", manifest(1));
    place.run(&["load", "export/manifest.json", "--to", "lake"]).exits_with(0).prints("1 row");

    place.write("export/short.json", manifest(2));
    place
        .run(&["load", "export/short.json", "--to", "lake2"])
        .exits_with(6)
        .tells("1 resources where the manifest counts 2");
    place.run(&["load", "export/short.json", "--to", "lake3", "--allow-partial"]).exits_with(0).tells("allowed");
}

#[test]
fn stdin_is_a_file_too() {
    let place = Place::new();
    let input = gzip(format!("{PATIENT}\r\n\r\n{CLAIM}").as_bytes());
    place.run_on(&input, &["load", "-", "--to", "lake"]).exits_with(0).prints("2 rows");
    assert_eq!(rows(&place, "lake"), 2);
    let record = &place.records("lake")[0];
    assert_eq!(record["output_files"][0]["blank"], 1, "{record}");
}

#[test]
fn the_layout_and_the_permissions_are_as_asked() {
    let place = Place::new();
    place.write("p.ndjson", PATIENT);
    place.run(&["load", "p.ndjson", "--to", "lake", "--layout", "hive", "--mode", "640"]).exits_with(0);
    let folder = place.path("lake/resource_type=Patient");
    let part =
        std::fs::read_dir(&folder).expect("the table's folder").next().expect("a part").expect("an entry").path();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let bits = |path: &std::path::Path| path.metadata().expect("is there").permissions().mode() & 0o777;
        assert_eq!((bits(&part), bits(&folder)), (0o640, 0o750));
    }
    assert_eq!(part.extension(), Some("parquet".as_ref()));
}

#[test]
fn the_example_loads_and_proves_itself() {
    let place = Place::new();
    let manifest = repository("examples/export/manifest.json");
    place.run(&["load", &manifest, "--to", "lake"]).exits_with(0);
    place.run(&["verify", "lake"]).exits_with(0).prints("is as its ledger says");
    place.run(&["verify", "lake", "--roundtrip", &manifest]).exits_with(0).prints("0 differences");
}
