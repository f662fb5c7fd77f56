//! Manifests of every version and shape, and hostile ones.

use super::*;

const HOME: &str = "https://gateway.example";
const AT: &str = "https://gateway.example/v1/bison/bulk-data/r4/$export/job/7";

fn origins() -> OriginPolicy {
    OriginPolicy {
        home: HOME.parse().unwrap(),
        trusted: vec!["https://trusted.example".parse().unwrap()],
        plain_http: PlainHttp::LoopbackOnly,
    }
}

fn place(kind: Kind) -> Place {
    let tenant = kind.needs_tenant().then_some("bison");
    Place::new(kind, &Url::parse(HOME).unwrap(), tenant).unwrap()
}

/// Joins pages that all lie at [`AT`]; gives the last one's next link, too.
fn joined(kind: Kind, pages: &[&str]) -> Result<(Manifest, Option<Url>), FetchError> {
    let (origins, place, url) = (origins(), place(kind), Url::parse(AT).unwrap());
    let around = Around { origins: &origins, place: &place, url: &url };
    let (mut joined, mut next) = (Joined::default(), None);
    for page in pages {
        next = joined.add(Body::read(page.as_bytes()).expect("an object"), &around)?;
    }
    Ok((joined.manifest(), next))
}

#[test]
fn as_1uphealth_documents_it() {
    let text = r#"{"id":"7","transactionTime":"2026-01-02T03:04:05.678Z","request":"https://gateway.example/x",
        "requiresAccessToken":true,"status":"Successful","resourceCount":31,
        "batches":{"running":0,"complete":6,"failed":0,"total":6},"lastUpdated":"2026-01-02T03:04:06.000Z",
        "output":[{"type":"Specimen","url":"https://gateway.other.example/v1/bison/bulk-data/r4/$export/file/1.ndjson"},
                  {"type":"Patient","url":"https://gateway.example/v1/bison/bulk-data/r4/$export/file/2.ndjson"}]}"#;
    let (manifest, next) = joined(Kind::OneupPayer, &[text]).unwrap();
    let file = |declared_type: &str, number: u32| OutputFile {
        role: Role::Output,
        declared_type: Some(declared_type.to_owned()),
        url: Url::parse(&format!("{HOME}/v1/bison/bulk-data/r4/$export/file/{number}.ndjson")).unwrap().into(),
        count: None,
        file_size: None,
        requires_access_token: true,
    };
    let expected = Manifest {
        transaction_time: Some("2026-01-02T03:04:05.678Z".to_owned()),
        requires_access_token: true,
        organized: false,
        resource_count: Some(31),
        batches: Some(Batches { running: 0, complete: 6, failed: 0, total: 6 }),
        files: vec![file("Specimen", 1), file("Patient", 2)],
        warnings: vec![],
    };
    assert_eq!((manifest, next), (expected, None));
}

#[test]
fn every_version_of_the_guide() {
    let text = r#"{"transactionTime":"2026-01-01T00:00:00Z","request":"x","requiresAccessToken":false,
        "outputFormat":"application/fhir+ndjson","outputOrganizedBy":"Patient",
        "output":[{"type":"Patient","url":"a.ndjson","count":3,"fileSize":"90","continuesInFile":"b"},
                  {"url":"https://files.example/b?sig=1","count":"4"}],
        "deleted":[{"type":"Bundle","url":"/d.ndjson"}],"outcome":[{"url":"o.ndjson"}],
        "error":[{"type":"OperationOutcome","url":"e.ndjson","count":null}],
        "link":[{"relation":"self","url":"x"},{"relation":"next","url":"?page=2"}],"extension":{}}"#;
    let (manifest, next) = joined(Kind::Smart, &[text]).unwrap();
    assert!(manifest.organized && !manifest.requires_access_token);
    assert_eq!(next.unwrap().as_str(), format!("{AT}?page=2"));
    let files: Vec<_> = manifest
        .files
        .iter()
        .map(|file| (file.role, file.url.expose().as_str(), file.declared_type.as_deref(), file.count, file.file_size))
        .collect();
    let below = |name: &str| format!("{HOME}/v1/bison/bulk-data/r4/$export/job/{name}");
    let expected = [
        (Role::Output, &*below("a.ndjson"), Some("Patient"), Some(3), Some(90)),
        (Role::Output, "https://files.example/b?sig=1", None, Some(4), None),
        (Role::Outcome, &*below("e.ndjson"), Some("OperationOutcome"), None, None),
        (Role::Outcome, &*below("o.ndjson"), None, None, None),
        (Role::Deleted, "https://gateway.example/d.ndjson", Some("Bundle"), None, None),
    ];
    assert_eq!(files, expected);
    assert!(manifest.files.iter().all(|file| !file.requires_access_token));
}

#[test]
fn members_may_be_missing_or_odd() {
    #[track_caller]
    fn check(text: &str, expected: &Manifest) {
        assert_eq!(joined(Kind::Smart, &[text]).unwrap().0, *expected, "{text}");
    }
    let empty = Manifest {
        transaction_time: None,
        requires_access_token: true,
        organized: false,
        resource_count: None,
        batches: None,
        files: vec![],
        warnings: vec![],
    };
    for text in [
        "{}",
        r#"{"output":[]}"#,
        r#"{"output":null,"error":"text","deleted":{},"outcome":7,"link":"x"}"#,
        r#"{"output":[],"transactionTime":5,"requiresAccessToken":"perhaps","resourceCount":-1,"batches":[]}"#,
        r#"{"output":[],"outputOrganizedBy":"","batches":{},"link":[{"relation":"next"},{"url":"x"},{}]}"#,
        r#"{"output":[],"outputOrganizedBy":null,"batches":{"running":"some"},"link":[]}"#,
        r#"{"output":[{"url":7},5]}"#,
    ] {
        check(text, &empty);
    }
    let batches = |running, complete, failed, total| Some(Batches { running, complete, failed, total });
    check(
        r#"{"requiresAccessToken":"False","resourceCount":"12","batches":{"running":"1","complete":2,"failed":3}}"#,
        &Manifest {
            requires_access_token: false,
            resource_count: Some(12),
            batches: batches(1, 2, 3, 6),
            ..empty.clone()
        },
    );
    check(
        r#"{"batches":{"running":18446744073709551615,"complete":18446744073709551615}}"#,
        &Manifest { batches: batches(u64::MAX, u64::MAX, 0, u64::MAX), ..empty },
    );
}

/// What becomes of one entry's URL: the URL and whether the token goes along, or the kind and a part of the error.
#[track_caller]
fn check_url(kind: Kind, requires: &str, url: &str, expected: Result<(&str, bool), (ErrorKind, &str)>) {
    let entry = serde_json::json!({ "type": "Patient", "url": url });
    let text = format!(r#"{{{requires}"output":[{{"type":"A","url":"a"}},{entry}]}}"#);
    match (joined(kind, &[&text]), expected) {
        (Ok((manifest, _)), Ok((url, requires))) => {
            let file = &manifest.files[1];
            assert_eq!((file.url.expose().as_str(), file.requires_access_token), (url, requires));
        }
        (Err(error), Err((kind, part))) => {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(part), "{error}");
            assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
        }
        (found, _) => panic!("{url}: {found:?}"),
    }
}

const TRUE: &str = r#""requiresAccessToken":true,"#;
const FALSE: &str = r#""requiresAccessToken":false,"#;
const ABSENT: &str = "";

#[test]
fn the_token_goes_where_it_may() {
    use ErrorKind::UntrustedOrigin;
    let foreign = "https://files.example/f?sig=sesame";
    check_url(Kind::Smart, TRUE, "f", Ok((&format!("{HOME}/v1/bison/bulk-data/r4/$export/job/f"), true)));
    check_url(Kind::Smart, TRUE, "https://trusted.example/f", Ok(("https://trusted.example/f", true)));
    check_url(Kind::Smart, TRUE, foreign, Err((UntrustedOrigin, "output entry 2 is at https://files.example, which")));
    check_url(Kind::Smart, TRUE, "https://gateway.example:8443/f", Err((UntrustedOrigin, "gateway.example:8443")));
    check_url(Kind::Smart, FALSE, "/f", Ok(("https://gateway.example/f", false)));
    check_url(Kind::Smart, FALSE, foreign, Ok((foreign, false)));
    // Not said: the configured origin's own files are taken to need it, nobody else's.
    check_url(Kind::Smart, ABSENT, "/f", Ok(("https://gateway.example/f", true)));
    check_url(Kind::Smart, ABSENT, foreign, Ok((foreign, false)));
    check_url(Kind::Smart, ABSENT, "https://trusted.example/f", Ok(("https://trusted.example/f", false)));

    let text = format!(r#"{{{TRUE}"output":[{{"url":"{foreign}"}}]}}"#);
    let error = joined(Kind::Smart, &[&text]).unwrap_err();
    assert!(error.hint().unwrap().contains("--trust-origin https://files.example"), "{error:?}");
}

#[test]
fn a_gateway_is_one_host() {
    use ErrorKind::UntrustedOrigin;
    let elsewhere = "https://gateway.other.example/v1/bison/x/f.ndjson";
    check_url(Kind::OneupPayer, TRUE, elsewhere, Ok(("https://gateway.example/v1/bison/x/f.ndjson", true)));
    check_url(Kind::OneupPayer, ABSENT, elsewhere, Ok(("https://gateway.example/v1/bison/x/f.ndjson", true)));
    check_url(Kind::Smart, TRUE, elsewhere, Err((UntrustedOrigin, "gateway.other.example")));
    let other_tenant = "https://gateway.other.example/v1/aurochs/f.ndjson";
    check_url(Kind::OneupPayer, TRUE, other_tenant, Err((UntrustedOrigin, "gateway.other.example")));
    let named = "https://trusted.example/v1/bison/f.ndjson";
    check_url(Kind::OneupPayer, TRUE, named, Ok((named, true)));
}

#[test]
fn hostile_urls() {
    use ErrorKind::{ExportFailed, UntrustedOrigin};
    for requires in [TRUE, FALSE, ABSENT] {
        let check = |url: &str, expected| check_url(Kind::Smart, requires, url, expected);
        check("file:///etc/passwd", Err((UntrustedOrigin, "output entry 2 has the scheme file")));
        check("ftp://gateway.example/f", Err((UntrustedOrigin, "the scheme ftp")));
        check("data:text/plain,sesame", Err((UntrustedOrigin, "the scheme data")));
        check("javascript:sesame", Err((UntrustedOrigin, "the scheme javascript")));
        check("https://me:sesame@gateway.example/f", Err((UntrustedOrigin, "user name")));
        check("//me@gateway.example/f", Err((UntrustedOrigin, "user name")));
        check("http://files.example/f", Err((UntrustedOrigin, "plain http")));
        check("", Err((ExportFailed, "output entry 2 has no URL")));
        check("  ", Err((ExportFailed, "no URL")));
        check("https://", Err((ExportFailed, "no URL")));
        check("https://[sesame", Err((ExportFailed, "no URL")));
        check("https://gateway.example:99999/f", Err((ExportFailed, "no URL")));
    }
    check_url(Kind::Smart, FALSE, "../../../../../../../x", Ok(("https://gateway.example/x", false)));
    check_url(Kind::Smart, FALSE, "\\..\\x", Ok(("https://gateway.example/x", false)));
    check_url(Kind::Smart, FALSE, "http://127.0.0.1:1/f", Ok(("http://127.0.0.1:1/f", false)));
    check_url(Kind::Smart, FALSE, "//files.example/f", Ok(("https://files.example/f", false)));
    check_url(Kind::Smart, FALSE, "https://files.example:443/f#x", Ok(("https://files.example/f", false)));
    for list in ["error", "outcome", "deleted"] {
        let text = format!(r#"{{"{list}":[{{"url":"file:///x"}}]}}"#);
        let error = joined(Kind::Smart, &[&text]).unwrap_err().to_string();
        assert!(error.contains(&format!("{list} entry 1")), "{error}");
    }
    let error = joined(Kind::Smart, &[r#"{"output":[{"type":"Patient"}]}"#]).unwrap_err();
    assert!(error.to_string().contains("output entry 1 has no URL"), "{error}");
}

#[test]
fn links_are_held_to_the_same_rules() {
    #[track_caller]
    fn check(requires: &str, url: &str, expected: Result<&str, &str>) {
        let text = format!(r#"{{{requires}"output":[],"link":[{{"relation":"Next","url":"{url}"}}]}}"#);
        match (joined(Kind::Smart, &[&text]), expected) {
            (Ok((_, next)), Ok(expected)) => assert_eq!(next.unwrap().as_str(), expected),
            (Err(error), Err(part)) => {
                assert_eq!(error.kind(), ErrorKind::UntrustedOrigin);
                assert!(error.to_string().contains(part), "{error}");
            }
            (found, _) => panic!("{url}: {found:?}"),
        }
    }
    check(TRUE, "/2", Ok("https://gateway.example/2"));
    check(TRUE, "https://files.example/2", Err("link to the next page is at https://files.example"));
    check(FALSE, "https://files.example/2", Ok("https://files.example/2"));
    check(ABSENT, "https://files.example/2", Ok("https://files.example/2"));
    check(FALSE, "file:///2", Err("scheme file"));
    check(FALSE, "http://files.example/2", Err("plain http"));
}

#[test]
fn each_file_once() {
    let page = r#"{"transactionTime":"t1","requiresAccessToken":false,
        "output":[{"type":"Patient","url":"a"},{"type":"Patient","url":"b"},{"type":"Claim","url":"./a"}],
        "deleted":[{"url":"/v1/bison/bulk-data/r4/$export/job/b#x"}]}"#;
    let second = r#"{"transactionTime":"t2","requiresAccessToken":true,"resourceCount":9,
        "output":[{"type":"Patient","url":"b"},{"type":"Patient","url":"c"}]}"#;
    let (manifest, _) = joined(Kind::Smart, &[page, second]).unwrap();
    let names: Vec<_> = manifest.files.iter().map(|file| file.url.name().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(manifest.transaction_time.as_deref(), Some("t1"));
    assert_eq!((manifest.requires_access_token, manifest.resource_count), (true, Some(9)));
    let requires: Vec<_> = manifest.files.iter().map(|file| file.requires_access_token).collect();
    assert_eq!(requires, [false, false, true], "each page speaks for its own files");
    let [warning] = &manifest.warnings[..] else { panic!("{:?}", manifest.warnings) };
    assert!(warning.contains("again in 3 entries, the first of them https://gateway.example/v1/bison/"), "{warning}");
}

#[test]
fn a_manifest_without_a_client() {
    let url = Url::parse("https://payer.example/m/manifest.json").unwrap();
    let read = |text: &str| Manifest::read(text.as_bytes(), &url, &[]);
    let manifest = read(r#"{"output":[{"url":"a"}]}"#).unwrap();
    assert_eq!(manifest.files[0].url.expose().as_str(), "https://payer.example/m/a");
    for text in [
        "",
        "[]",
        "{}",
        r#"{"resourceType":"Patient"}"#,
        r#"{"output":{}}"#,
        "{\"output\":[]} {}",
        "<html>",
        "null",
        r#"{"output":[],"deleted":"d"}"#,
        r#"{"output":[{"url":"a"},7]}"#,
    ] {
        assert_eq!(read(text).unwrap_err().kind(), ErrorKind::ExportFailed, "{text}");
    }
    assert_eq!(Manifest::read(b"{}", &Url::parse("file:///x").unwrap(), &[]).unwrap_err().kind(), ErrorKind::Usage);
}

/// They are shown and kept, so that they are as harmless as they should be.
#[test]
fn times_and_types_are_printable() {
    let url = Url::parse("https://payer.example/m/manifest.json").unwrap();
    for (text, expected) in [
        ("2026-01-01T00:00:00.000+01:00", true),
        ("2026-01-01", true),
        ("../x", true),
        ("", false),
        ("\u{1b}[2J", false),
        ("a\nb", false),
        ("a\u{202e}b", false),
        (&*"a".repeat(65), false),
    ] {
        let body =
            serde_json::json!({"transactionTime": text, "output": [{"type": text, "url": "a"}], "deleted": null});
        let manifest = Manifest::read(body.to_string().as_bytes(), &url, &[]).unwrap();
        let expected = expected.then_some(text);
        assert_eq!(manifest.transaction_time.as_deref(), expected);
        assert_eq!(manifest.files[0].declared_type.as_deref(), expected);
    }
}

#[test]
fn no_bytes_panic_and_no_secret_is_told() {
    let url = Url::parse("https://payer.example/m").unwrap();
    let seeds = [
        r#"{"output":[{"url":"https://files.example/f?sesame","count":"7"}],"link":[{"relation":"next","url":"?2"}]}"#,
        r#"{"batches":{"running":1,"total":2},"error":"sesame","status":"sesame","requiresAccessToken":true,
            "output":[{"url":"file:///sesame"}],"outputOrganizedBy":{}}"#,
    ];
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..20_000 {
        let mut bytes = seeds[round % seeds.len()].as_bytes().to_vec();
        for _ in 0..rng.usize(..6) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..4) {
                0 => bytes[at] = rng.u8(..),
                1 => drop(bytes.splice(at..at, b"\"{[:,]}\\\0"[..rng.usize(..9)].iter().copied())),
                2 => bytes.truncate(at.max(1)),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                bytes.push(rng.u8(..));
            }
        }
        match Manifest::read(&bytes, &url, &[]) {
            Ok(manifest) => assert!(!format!("{manifest:?}").contains("?sesame")),
            Err(error) => assert!(!format!("{error:?} {error}").contains("sesame"), "{error:?}"),
        }
    }
}
