//! How output files are sent: framing, compression, ranges, validators, places, tokens, signatures.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

mod client;

use std::io::Read;
use std::time::Duration;

use client::{Ask, End, first_file, kick_off, manifest, status, urls};
use lakehaul_sim::members::{Members, MembersOptions};
use lakehaul_sim::{
    Compressed, Endpoint, Fault, FileAccess, FileFacts, Framing, Gzip, Personality, Place, Ranges, Role, Scenario,
    ServedFile, Signed, Sim, Target, Validator, When,
};

use Personality::{OneupProvider, Smart};

const LINE: &[u8] = b"{\"resourceType\":\"Patient\",\"id\":\"1\"}\n";
const BODY: &[u8] = b"{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\"2\"}\n";

fn start(file: ServedFile) -> Sim {
    Sim::start(Scenario::new(Smart).file(file)).unwrap()
}

fn patients() -> ServedFile {
    ServedFile::new("Patient", BODY)
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text).unwrap();
    text
}

#[test]
fn framings_are_what_they_are_called() {
    for (framing, version, header, end) in [
        (Framing::Length, "HTTP/1.1", ("content-length", Some(BODY.len().to_string())), End::Whole),
        (Framing::Chunked, "HTTP/1.1", ("transfer-encoding", Some("chunked".to_owned())), End::Whole),
        (Framing::UntilClose, "HTTP/1.0", ("content-length", None), End::Closed),
    ] {
        let sim = start(patients().framing(framing));
        let got = first_file(&sim, Smart).send();
        assert_eq!((got.version.as_str(), got.body.as_slice(), got.end), (version, BODY, end), "{framing:?}");
        assert_eq!(got.header(header.0), header.1.as_deref());
        assert_eq!(got.header("content-length").is_some(), framing == Framing::Length);
        assert_eq!(got.header("content-type"), Some("application/fhir+ndjson"));
    }
    let sim = start(patients().content_type("binary/octet-stream"));
    assert_eq!(first_file(&sim, Smart).send().header("content-type"), Some("binary/octet-stream"));
}

#[test]
fn repeated_files_come_whole() {
    let times = 200_000;
    let expected = LINE.repeat(times);
    for gzip in [None, Some(Gzip::OneMember), Some(Gzip::ManyMembers)] {
        let mut file = ServedFile::repeated("Patient", LINE, times as u64);
        if let Some(gzip) = gzip {
            file = file.compressed(Compressed::Always(gzip));
        }
        let sim = start(file);
        let got = first_file(&sim, Smart).send().expect(200);
        // One stream of a repeated file is made while it is sent.
        assert_eq!(got.header("content-length").is_some(), gzip != Some(Gzip::OneMember), "{gzip:?}");
        let text = if gzip.is_some() { gunzip(&got.body) } else { got.body };
        assert!(text == expected, "{gzip:?}");
        let facts = &sim.model().files[0];
        assert_eq!((facts.lines, facts.content_bytes), (times as u64, expected.len() as u64));
    }
    let sim = start(ServedFile::repeated("Patient", "{}", 3));
    assert_eq!(first_file(&sim, Smart).send().body, b"{}\n{}\n{}\n");
}

#[test]
fn compression_is_negotiated_or_not() {
    let gzip = Gzip::ManyMembers;
    for (compression, accepted, encoding, content_type, compressed) in [
        (Compressed::Never, "gzip", None, "application/fhir+ndjson", false),
        (Compressed::IfAccepted(gzip), "gzip", Some("gzip"), "application/fhir+ndjson", true),
        (Compressed::IfAccepted(gzip), "identity", None, "application/fhir+ndjson", false),
        (Compressed::Always(gzip), "identity", Some("gzip"), "application/fhir+ndjson", true),
        (Compressed::Stored(gzip), "identity", None, "application/gzip", true),
    ] {
        let sim = start(patients().compressed(compression));
        let got = first_file(&sim, Smart).header("Accept-Encoding", accepted).send().expect(200);
        assert_eq!((got.header("content-encoding"), got.header("content-type")), (encoding, Some(content_type)));
        let text = if compressed { gunzip(&got.body) } else { got.body };
        assert_eq!(text, BODY, "{compression:?}");
    }
}

#[test]
fn every_form_has_a_tag_of_its_own() {
    let sim = start(patients().compressed(Compressed::IfAccepted(Gzip::OneMember)));
    let tag = |accepted: &str| {
        let got = first_file(&sim, Smart).header("Accept-Encoding", accepted).send().expect(200);
        got.header("etag").unwrap().to_owned()
    };
    assert_eq!(tag("gzip"), tag("gzip"));
    assert_ne!(tag("gzip"), tag("identity"));
}

#[test]
fn parts_are_to_be_had() {
    let sim = start(patients());
    let total = BODY.len();
    for (range, status, content_range, part) in [
        ("bytes=5-", 206, Some(format!("bytes 5-{}/{total}", total - 1)), &BODY[5..]),
        ("bytes=5-7", 206, Some(format!("bytes 5-7/{total}")), &BODY[5..8]),
        ("bytes=-3", 206, Some(format!("bytes {}-{}/{total}", total - 3, total - 1)), &BODY[total - 3..]),
        ("bytes=0-1,4-5", 200, None, BODY),
        ("furlongs=1-", 200, None, BODY),
    ] {
        let got = first_file(&sim, Smart).header("Range", range).send().expect(status);
        assert_eq!((got.header("content-range"), &got.body[..]), (content_range.as_deref(), part), "{range}");
        assert_eq!(got.header("accept-ranges"), Some("bytes"));
    }
    let got = first_file(&sim, Smart).header("Range", format!("bytes={total}-")).send().expect(416);
    assert_eq!(got.header("content-range"), Some(&*format!("bytes */{total}")));

    let sim = start(patients().ranges(Ranges::Ignored));
    let got = first_file(&sim, Smart).header("Range", "bytes=5-").send().expect(200);
    assert_eq!((got.body.as_slice(), got.header("accept-ranges")), (BODY, None));

    // A close-delimited body's end can be asked for.
    let sim = start(patients().framing(Framing::UntilClose));
    let got = first_file(&sim, Smart).header("Range", format!("bytes={}-", total - 2)).send();
    assert_eq!((got.status, got.body.as_slice(), got.end), (206, &BODY[total - 2..], End::Closed));
    assert_eq!(first_file(&sim, Smart).header("Range", format!("bytes={total}-")).send().status, 416);
}

#[test]
fn if_range_holds_for_strong_validators_alone() {
    for (validator, name, resumes) in [
        (Validator::Strong, Some("etag"), true),
        (Validator::Weak, Some("etag"), false),
        (Validator::LastModified, Some("last-modified"), true),
        (Validator::Changing, Some("etag"), false),
        (Validator::None, None, false),
    ] {
        let sim = start(patients().validator(validator));
        let got = first_file(&sim, Smart).send().expect(200);
        for header in ["etag", "last-modified"] {
            assert_eq!(got.header(header).is_some(), name == Some(header), "{validator:?} {header}");
        }
        let tag = name.and_then(|name| got.header(name)).unwrap_or("\"made-up\"").to_owned();
        assert_eq!(tag.starts_with("W/"), validator == Validator::Weak);
        let ask = |tag: &str| first_file(&sim, Smart).header("Range", "bytes=5-").header("If-Range", tag).send().status;
        assert_eq!(ask(&tag), if resumes { 206 } else { 200 }, "{validator:?}");
        assert_eq!(ask("\"another\""), 200, "{validator:?}");
        assert_eq!(first_file(&sim, Smart).header("Range", "bytes=5-").send().status, 206);
    }
}

#[test]
fn signed_urls_die_and_are_renewed() {
    let sim = start(patients().signed(Signed { requests: Some(2), lifetime: None }).access(FileAccess::NoToken));
    let location = kick_off(&sim, Smart);
    let url = || urls(&status(&sim, &location).expect(200).json()).remove(0);
    let first = url();
    let told: Vec<u16> = (0..3).map(|_| Ask::get(&first).send().status).collect();
    assert_eq!(told, [200, 200, 403]);
    let second = url();
    assert_ne!(first, second);
    assert_eq!(first.split('?').next(), second.split('?').next());
    assert_eq!((Ask::get(&second).send().status, Ask::get(&first).send().status), (200, 403));
    assert_eq!(Ask::get(second.split('?').next().unwrap()).send().status, 403);
    assert_eq!(Ask::get(&second).bearer(&sim.credentials().token).send().status, 400, "a token breaks it");

    let lifetime = Duration::from_millis(200);
    let sim = start(patients().signed(Signed { requests: None, lifetime: Some(lifetime) }));
    let ask = first_file(&sim, Smart);
    assert!(!sim.wait_until(lifetime * 2, |_| false));
    assert_eq!(ask.send().status, 403);
    assert_eq!(first_file(&sim, Smart).send().status, 200);

    let expiry = Fault::expire_signed_urls();
    let signed = patients().signed(Signed::default());
    let sim = Sim::start(Scenario::new(Smart).file(signed).fault(Target::AnyFile, When::Nth(1), expiry)).unwrap();
    assert_eq!(first_file(&sim, Smart).send().status, 403);
    assert_eq!(first_file(&sim, Smart).send().status, 200);
}

#[test]
fn files_are_where_they_are_placed() {
    for (place, other, path) in [
        (Place::Here, false, "/v1/bison/bulk-data/r4/$export/file/Patient.1.ndjson"),
        (Place::OtherOrigin, true, "/bucket/Patient.1.ndjson"),
        (Place::WrongHost, true, "/v1/bison/bulk-data/r4/$export/file/Patient.1.ndjson"),
    ] {
        let sim = Sim::start(Scenario::new(OneupProvider).file(patients().place(place))).unwrap();
        let url = urls(&manifest(&sim, OneupProvider)).remove(0);
        let origin = if other { sim.other_origin() } else { sim.origin() };
        assert_eq!(url, format!("{origin}{path}"));
        // Placed at the other origin, it demands a token there; under a wrong host it does not.
        let without = Ask::get(&url).send().status;
        assert_eq!(without, if place == Place::WrongHost { 200 } else { 401 }, "{place:?}");
        assert_eq!(Ask::get(&url).bearer(&sim.credentials().token).send().expect(200).body, BODY);
        assert_eq!(sim.tokens_seen_at_other_origin().len(), usize::from(other));
        let moved = Ask::get(url.replace(&origin, &sim.origin())).bearer(&sim.credentials().token).send();
        assert_eq!(moved.status, 200);
    }
}

#[test]
fn access_is_checked_as_declared() {
    for (access, declared, without, with) in [
        (FileAccess::Token, true, 401, 200),
        (FileAccess::Open, false, 200, 200),
        (FileAccess::NoToken, false, 200, 400),
    ] {
        let sim = Sim::start(Scenario::new(Smart).file(patients()).file_access(access)).unwrap();
        let body = manifest(&sim, Smart);
        assert_eq!(body["requiresAccessToken"], declared);
        let url = &urls(&body)[0];
        assert_eq!(Ask::get(url).send().status, without, "{access:?}");
        assert_eq!(Ask::get(url).bearer(&sim.credentials().token).send().status, with, "{access:?}");
    }
}

#[test]
fn tokens_die_of_age() {
    let lifetime = Duration::from_millis(300);
    let sim = Sim::start(Scenario::new(Smart).file(patients()).token_lifetime(lifetime)).unwrap();
    let url = urls(&manifest(&sim, Smart)).remove(0);
    let token = client::token(&sim, "system/*.rs");
    assert_eq!(Ask::get(&url).bearer(&token).send().status, 200);
    assert!(!sim.wait_until(lifetime, |_| false));
    let got = Ask::get(&url).bearer(&token).send().expect(401);
    assert!(got.header("www-authenticate").unwrap().contains("invalid_token"));
}

#[test]
fn types_and_names_are_declared_as_told() {
    let scenario = Scenario::new(Smart)
        .file(patients().named("one.ndjson"))
        .file(patients().declared_as("Claim"))
        .file(patients().undeclared());
    let sim = Sim::start(scenario).unwrap();
    let body = manifest(&sim, Smart);
    let types: Vec<_> = (0..3).map(|place| body["output"][place]["type"].as_str()).collect();
    assert_eq!(types, [Some("Patient"), Some("Claim"), None]);
    assert!(urls(&body)[0].ends_with("/one.ndjson"));
    let facts = sim.model();
    assert_eq!(facts.file("one.ndjson").unwrap().resources(), 2);
    assert_eq!(facts.files[1].declared_type.as_deref(), Some("Claim"));
    assert_eq!(facts.resources(), 6);
}

#[test]
fn the_model_counts_lines() {
    let scenario = Scenario::new(Smart)
        .file(ServedFile::new("Patient", "{}\n\n \t\r\n{}"))
        .file(ServedFile::new("OperationOutcome", "{}\n").role(Role::Outcome));
    let sim = Sim::start(scenario).unwrap();
    let expected = FileFacts {
        name: "Patient.1.ndjson".to_owned(),
        role: Role::Output,
        resource_type: "Patient".to_owned(),
        declared_type: Some("Patient".to_owned()),
        lines: 4,
        blank: 2,
        bad: 0,
        content_bytes: 10,
    };
    assert_eq!(sim.model().files[0], expected);
    assert_eq!(sim.model().resources(), 2);
}

#[test]
fn synthetic_members_are_served_as_generated() {
    let members = Members::new(MembersOptions { seed: 3, members: 5, ..MembersOptions::default() });
    let sim = Sim::start(Scenario::new(OneupProvider).members(&members)).unwrap();
    let body = manifest(&sim, OneupProvider);
    assert_eq!(body["transactionTime"], members.transaction_time().to_string());
    let output = members.files().iter().filter(|file| file.role == lakehaul_sim::members::Role::Output);
    assert_eq!(body["resourceCount"], output.clone().map(|file| file.resources).sum::<u64>());
    assert_eq!(urls(&body).len(), output.count());
    for (place, url) in urls(&body).iter().enumerate() {
        let got = Ask::get(url).bearer(&sim.credentials().token).send().expect(200);
        assert_eq!(got.header("transfer-encoding"), Some("chunked"));
        let mut expected = Vec::new();
        members.open(place).into_reader().read_to_end(&mut expected).unwrap();
        assert!(got.body == expected, "{url}");
        let facts = &sim.model().files[place];
        assert_eq!(facts.content_bytes, expected.len() as u64);
        assert_eq!(facts.name, members.files()[place].name);
    }
    assert_eq!(sim.seen(Endpoint::File(0)).len(), 1);
}
