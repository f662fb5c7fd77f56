//! Files on a web server as the inputs of a load: a manifest, a file; not a folder, and never a lake.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use crate::lakehaul::Place;

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1","birthDate":"1970-02"}"#;
const CLAIM: &str = r#"{"resourceType":"Claim","id":"c1","total":{"value":10.50,"currency":"EUR"}}"#;

/// Serves a folder for as long as the process lives; its URL.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let folder = folder.clone();
            std::thread::spawn(move || answer(&connection, &folder));
        }
    });
    url
}

/// Answers until the client has no more questions.
fn answer(mut connection: &TcpStream, folder: &Path) -> Option<()> {
    let mut lines = BufReader::new(connection.try_clone().ok()?).lines();
    loop {
        let request = lines.next()?.ok()?;
        lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
        let name = request.split(' ').nth(1)?.trim_start_matches('/');
        let (status, body) = match std::fs::read(folder.join(name)) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).ok()?;
        if !request.starts_with("HEAD") {
            connection.write_all(&body).ok()?;
        }
    }
}

#[test]
fn a_manifest_and_a_file_on_a_web_server() {
    let place = Place::new();
    place.write("export/Patient.ndjson", format!("{PATIENT}\n"));
    place.write("export/more/Claim.ndjson.gz", crate::inputs::gzip(format!("{CLAIM}\n{CLAIM}\n").as_bytes()));
    let manifest = r#"{"transactionTime":"2026-01-01T00:00:00Z","request":"r","requiresAccessToken":false,"error":[],
        "output":[{"type":"Patient","url":"Patient.ndjson","count":1},{"type":"Claim","url":"more/Claim.ndjson.gz","count":2}]}"#;
    place.write("export/manifest.json", manifest);
    let server = serve(place.path("export"));

    let manifest = format!("{server}/manifest.json");
    place.run(&["load", &manifest, "--to", "lake"]).exits_with(0).prints("3 rows");
    assert_eq!(place.sorted_rows("lake", "Claim"), [CLAIM; 2]);
    place.run(&["load", &manifest, "--to", "lake"]).exits_with(0).prints("already finished");
    place.run(&["verify", "lake", "--roundtrip", &manifest]).exits_with(0).prints("0 differences");

    place.run(&["load", &format!("{server}/Patient.ndjson"), "--to", "other"]).exits_with(0).prints("1 row");
    assert_eq!(place.sorted_rows("other", "Patient"), [PATIENT]);
}

#[test]
fn what_a_web_server_cannot_be_is_told() {
    let place = Place::new();
    place.write("export/Patient.ndjson", format!("{PATIENT}\n"));
    let server = serve(place.path("export"));
    let lake = format!("{server}/lake");
    place.run(&["load", "export", "--to", &lake]).exits_with(2).tells("from which files can only be loaded");
    place.run(&["verify", &lake]).exits_with(2).tells("from which files can only be loaded");
    let folder = format!("{server}/");
    place.run(&["load", &folder, "--to", "lake"]).exits_with(2).tells("name the files, or a manifest");
    let missing = format!("{server}/Claim.ndjson");
    place.run(&["load", &missing, "--to", "lake"]).exits_with(2).tells("there is no such object");
    let secret = format!("{server}/Patient.ndjson?token=t0psecret");
    let refused = place.run(&["load", &secret, "--to", "lake"]);
    refused.exits_with(2).tells("would be kept with the lake");
    assert!(!refused.stderr.contains("t0psecret"), "{}", refused.stderr);
    assert!(!place.path("lake").exists(), "a slip in the command makes no lake");
}
