//! Kick-offs: what is sent, what is read from answers, and that no second export begins unsaid.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::client::ClientOptions;
use crate::profile::Kind;
use crate::retry::Patience;
use crate::testing::{Listener, Notes, PaperClock, Reply};
use crate::token::Auth;

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn all_parameters(method: Method) -> ExportParameters {
    ExportParameters {
        level: Level::Group("g/1 ä".to_owned()),
        method,
        since: Some("2026-01-01T00:00:00+01:00".to_owned()),
        until: Some("2026-02-01".to_owned()),
        types: strings(&["Patient", "Claim"]),
        elements: strings(&["id", "Patient.name"]),
        type_filters: strings(&["Claim?status=active&a=b c", "Claim?x=1,2"]),
        patients: strings(&["1", "Patient/2"]),
        include_associated_data: strings(&["LatestProvenanceResources", "_x"]),
        organize_output_by: Some("Patient".to_owned()),
        output_format: Some("application/fhir+ndjson".to_owned()),
        allow_partial_manifests: true,
        extra: vec![("_mdm".to_owned(), "true|x".to_owned())],
    }
}

fn client(kind: Kind, base: &str) -> (Http, Arc<PaperClock>, Arc<Notes>) {
    let (clock, notes) = (PaperClock::new(), Arc::new(Notes::default()));
    let mut options = ClientOptions::new(kind, Url::parse(base).unwrap());
    options.tenant = kind.needs_tenant().then(|| "bison".to_owned());
    options.auth = Auth::Token("sesame".into());
    options.patience = Patience { retries: 4, ..Patience::default() };
    (Http::new(options, clock.clone(), notes.clone()).unwrap(), clock, notes)
}

#[test]
fn where_a_kick_off_goes() {
    #[track_caller]
    fn check(kind: Kind, export: &ExportParameters, expected: &str) {
        let (http, ..) = client(kind, "https://a.example");
        assert_eq!(url(&http, export).unwrap().expose().as_str(), expected);
    }
    let level = |level| ExportParameters { level, ..ExportParameters::default() };
    check(Kind::OneupProvider, &level(Level::System), "https://a.example/v1/bison/bulk-data/r4/$export");
    check(
        Kind::OneupPayer,
        &level(Level::Group("g1".into())),
        "https://a.example/v1/bison/bulk-data/r4/Group/g1/$export",
    );
    check(Kind::OneupPopulation, &level(Level::System), "https://a.example/v1/bison/bulk-export/bulk-data/r4/$export");
    check(Kind::Smart, &level(Level::Patient), "https://a.example/Patient/$export");
    check(
        Kind::Smart,
        &all_parameters(Method::Get),
        "https://a.example/Group/g%2F1%20%C3%A4/$export?_outputFormat=application/fhir%2Bndjson\
         &_since=2026-01-01T00:00:00%2B01:00&_until=2026-02-01&_type=Patient,Claim&_elements=id,Patient.name\
         &_typeFilter=Claim%3Fstatus%3Dactive%26a%3Db%20c&_typeFilter=Claim%3Fx%3D1,2\
         &includeAssociatedData=LatestProvenanceResources,_x&patient=Patient/1&patient=Patient/2\
         &organizeOutputBy=Patient&allowPartialManifests=true&_mdm=true%7Cx",
    );
    for kind in Kind::SEARCH {
        let error = url(&client(kind, "https://a.example/r4").0, &level(Level::System)).unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("no bulk export"), "{error}");
    }
    check(Kind::Smart, &all_parameters(Method::Post), "https://a.example/Group/g%2F1%20%C3%A4/$export");
    let (http, ..) = client(Kind::Smart, "https://a.example");
    for id in ["", ".", ".."] {
        assert_eq!(url(&http, &level(Level::Group(id.to_owned()))).unwrap_err().kind(), ErrorKind::Usage);
    }
    let shown = url(&http, &all_parameters(Method::Get)).unwrap().to_string();
    assert!(shown.ends_with("/$export?…"), "{shown}");
}

#[tokio::test]
async fn what_is_sent() {
    let server = Listener::start(|_| Reply::new(202, "").header("content-location", "/job/1")).await;
    let (http, ..) = client(Kind::Smart, &server.origin);
    send(&http, &ExportParameters::default()).await.unwrap();
    send(&http, &all_parameters(Method::Post)).await.unwrap();
    let [get, post] = &server.seen()[..] else { panic!() };
    for seen in [get, post] {
        assert_eq!(seen.header("accept"), "application/fhir+json");
        assert_eq!(seen.header("prefer"), "respond-async");
        assert_eq!(seen.authorization(), "Bearer sesame");
    }
    assert_eq!((get.method.as_str(), &*get.path, &*get.body), ("GET", "/$export", ""));
    assert_eq!((post.method.as_str(), post.header("content-type")), ("POST", "application/fhir+json"));
    let body: serde_json::Value = serde_json::from_str(&post.body).unwrap();
    let expected = serde_json::json!({"resourceType": "Parameters", "parameter": [
        {"name": "_outputFormat", "valueString": "application/fhir+ndjson"},
        {"name": "_since", "valueInstant": "2026-01-01T00:00:00+01:00"},
        {"name": "_until", "valueDate": "2026-02-01"},
        {"name": "_type", "valueString": "Patient,Claim"},
        {"name": "_elements", "valueString": "id,Patient.name"},
        {"name": "_typeFilter", "valueString": "Claim?status=active&a=b c"},
        {"name": "_typeFilter", "valueString": "Claim?x=1,2"},
        {"name": "includeAssociatedData", "valueCode": "LatestProvenanceResources"},
        {"name": "includeAssociatedData", "valueCode": "_x"},
        {"name": "patient", "valueReference": {"reference": "Patient/1"}},
        {"name": "patient", "valueReference": {"reference": "Patient/2"}},
        {"name": "organizeOutputBy", "valueString": "Patient"},
        {"name": "allowPartialManifests", "valueBoolean": true},
        {"name": "_mdm", "valueString": "true|x"},
    ]});
    assert_eq!(body, expected);
}

#[test]
fn the_same_request_has_the_same_text() {
    let one = all_parameters(Method::Get);
    let mut other = one.clone();
    for list in [&mut other.types, &mut other.elements, &mut other.type_filters, &mut other.patients] {
        list.reverse();
    }
    assert_eq!(one.canonical(), other.canonical());
    let variants = [
        ExportParameters::default(),
        one.clone(),
        all_parameters(Method::Post),
        ExportParameters { level: Level::Patient, ..ExportParameters::default() },
        ExportParameters { level: Level::Group("patient".into()), ..ExportParameters::default() },
        ExportParameters { types: strings(&["A", "B"]), ..ExportParameters::default() },
        ExportParameters { type_filters: strings(&["A", "B"]), ..ExportParameters::default() },
        ExportParameters { type_filters: strings(&["A&_typeFilter=B"]), ..ExportParameters::default() },
        ExportParameters { since: Some("A".into()), ..ExportParameters::default() },
        ExportParameters { until: Some("A".into()), ..ExportParameters::default() },
        ExportParameters { extra: vec![("a".into(), "b&c=d".into())], ..ExportParameters::default() },
        ExportParameters {
            extra: vec![("a".into(), "b".into()), ("c".into(), "d".into())],
            ..ExportParameters::default()
        },
    ];
    let texts: std::collections::HashSet<_> = variants.iter().map(ExportParameters::canonical).collect();
    assert_eq!(texts.len(), variants.len());
}

/// What a first answer comes to: the location below the server, `done` and the files, or the error.
async fn kicked_off(kind: Kind, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (String, Vec<String>) {
    let server = Listener::start(move |seen| reply(seen.header("host"))).await;
    let (http, _, notes) = client(kind, &server.origin);
    let result = match send(&http, &ExportParameters::default()).await {
        Ok(KickOff::Accepted(location)) => {
            let url = location.to_stored();
            url.strip_prefix(&server.origin).map_or(url.clone(), str::to_owned)
        }
        Ok(KickOff::Done(manifest)) => {
            let names: Vec<_> = manifest.files.iter().map(|file| file.url.name().unwrap()).collect();
            format!("done: {}", names.join(" "))
        }
        Err(error) => format!("{:?}: {error} {}", error.kind(), error.hint().unwrap_or_default()),
    };
    (result, notes.all())
}

fn tracking(text: &str) -> String {
    format!(
        r#"{{"resourceType":"OperationOutcome","id":"1","issue":[{{"severity":"information","code":"informational",
            "details":{{"text":"{text}"}}}}]}}"#
    )
}

const JOB: &str = "/v1/bison/bulk-data/r4/$export/job/";

#[tokio::test]
async fn where_servers_put_the_location() {
    let check = async |kind, name: &str, reply: fn(&str) -> Reply, expected: &str| {
        let (result, notes) = kicked_off(kind, reply).await;
        assert!(result.starts_with(expected), "{name}\nfound    {result}\nexpected {expected}");
        assert!(result.starts_with('/') == notes.iter().any(|note| note.starts_with("Accepted")), "{name}: {notes:?}");
    };
    let (oneup, smart) = (Kind::OneupPayer, Kind::Smart);
    check(smart, "Content-Location", |_| Reply::new(202, "").header("content-location", "/job/1?a=b"), "/job/1?a=b")
        .await;
    check(smart, "of a 200", |_| Reply::new(200, "").header("content-location", "/job/1"), "/job/1").await;
    check(smart, "Location", |_| Reply::new(201, "").header("location", "/job/2"), "/job/2").await;
    check(
        smart,
        "Content-Location before Location",
        |_| Reply::new(202, "").header("location", "/job/2").header("content-location", "/job/1"),
        "/job/1",
    )
    .await;
    check(
        smart,
        "a header before the body",
        |_| Reply::new(202, tracking("at https://x.example/job/3")).header("content-location", "/job/1"),
        "/job/1",
    )
    .await;
    check(
        smart,
        "a header that is no URL",
        |_| Reply::new(202, "").header("location", "/job/2").header("content-location", "https://["),
        "/job/2",
    )
    .await;
    check(
        smart,
        "the kick-off's own URL is none",
        |_| Reply::new(202, "").header("content-location", "/$export").header("location", "/job/2"),
        "/job/2",
    )
    .await;
    check(
        oneup,
        "1upHealth: in the text, on another host",
        |_| {
            let text = "Asynchronous export running. Track job at https://gateway.other.example/v1/bison/bulk-data/r4/$export/job/j-1";
            Reply::new(202, tracking(text))
        },
        &format!("{JOB}j-1"),
    )
    .await;
    check(
        oneup,
        "1upHealth: with a 200",
        |host| Reply::new(200, tracking(&format!("Track job at http://{host}/v1/bison/bulk-data/r4/$export/job/7."))),
        &format!("{JOB}7"),
    )
    .await;
    check(
        oneup,
        "1upHealth: behind the kick-off's own, by any name",
        |host| {
            let path = "v1/bison/bulk-data/r4/$export";
            let own = format!("http://{host}/{path}, https://gateway.other.example/{path}#now and");
            Reply::new(202, tracking(&format!("Accepted {own} https://gateway.other.example/{path}/job/j-2")))
        },
        &format!("{JOB}j-2"),
    )
    .await;
    check(
        oneup,
        "in the diagnostics",
        |host| {
            let issue = format!(r#"{{"severity":"information","code":"x","diagnostics":"<http://{host}/job/9>"}}"#);
            Reply::new(200, format!(r#"{{"resourceType":"OperationOutcome","issue":[{{}},{issue}]}}"#))
        },
        "/job/9",
    )
    .await;
    check(
        oneup,
        "only an id",
        |_| Reply::new(202, tracking("Track job cmk1cuald0005l701")),
        &format!("{JOB}cmk1cuald0005l701"),
    )
    .await;
    check(
        oneup,
        "nowhere",
        |_| Reply::new(202, tracking("Export accepted.")),
        "ExportFailed: the kick-off was answered with",
    )
    .await;
    check(
        smart,
        "nothing at all",
        |_| Reply::new(202, ""),
        "ExportFailed: the kick-off was answered with 202 Accepted, but not",
    )
    .await;
    check(
        smart,
        "the manifest at once",
        |_| {
            Reply::new(200, r#"{"transactionTime":"x","output":[{"type":"A","url":"/f/1"},{"type":"A","url":"/f/2"}]}"#)
        },
        "done: 1 2",
    )
    .await;
    check(smart, "the manifest at once, as accepted", |_| Reply::new(202, r#"{"output":[{"url":"/f/1"}]}"#), "done: 1")
        .await;
    check(smart, "accepted, and no file yet", |_| Reply::new(202, r#"{"output":[]}"#), "ExportFailed").await;
    check(
        Kind::OneupPopulation,
        "the manifest at once, with a location of its own",
        |_| Reply::new(200, r#"{"output":[{"url":"/f/1"}]}"#).header("content-location", "/somewhere"),
        "done: 1",
    )
    .await;
    check(
        oneup,
        "a status at once, not done",
        |_| Reply::new(200, r#"{"status":"Running","output":[]}"#).header("location", "/job/3"),
        "/job/3",
    )
    .await;
    check(
        smart,
        "a scheme that is none",
        |_| Reply::new(202, "").header("content-location", "file:///x"),
        "ExportFailed",
    )
    .await;
    check(smart, "userinfo", |_| Reply::new(202, "").header("content-location", "//me@h.example/x"), "UntrustedOrigin")
        .await;
    check(smart, "plain http", |_| Reply::new(202, "").header("content-location", "//h.example/x"), "UntrustedOrigin")
        .await;
}

#[tokio::test]
async fn a_foreign_location_is_told() {
    let (result, notes) =
        kicked_off(Kind::Smart, |_| Reply::new(202, "").header("content-location", "https://other.example/job/1"))
            .await;
    assert_eq!(result, "https://other.example/job/1");
    assert!(notes.iter().any(|note| note.contains("at https://other.example, which is neither")), "{notes:?}");
    let (result, notes) = kicked_off(Kind::OneupPayer, |_| {
        Reply::new(202, "").header("content-location", "https://other.example/v1/bison/job/1")
    })
    .await;
    assert_eq!(result, "/v1/bison/job/1");
    assert!(!notes.iter().any(|note| note.starts_with("Warning")), "{notes:?}");
}

#[tokio::test]
async fn refusals_are_told_in_the_servers_words() {
    let check = async |kind, status: u16, body: &'static str, expected: &str| {
        let (result, _) = kicked_off(kind, move |_| Reply::new(status, body)).await;
        assert!(result.starts_with(expected), "found    {result}\nexpected {expected}");
    };
    const NO: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","details":{"text":"bad _type"}}]}"#;
    let refused = "ExportFailed: the server refuses the export: error invalid: bad _type";
    for status in [400, 404, 405, 422, 501] {
        check(Kind::Smart, status, NO, refused).await;
    }
    check(Kind::Smart, 200, NO, refused).await;
    check(Kind::Smart, 500, NO, &format!("{refused} (500), also after 4 retries")).await;
    check(Kind::Smart, 404, "", "ExportFailed: the server refuses the export: 404 Not Found Check the base URL").await;
    check(Kind::Smart, 403, NO, "Auth: the server refuses the export: error invalid: bad _type (403)").await;
    let hint =
        "Auth: the server refuses the export: 403 Forbidden The client must be registered for: Payer claims data";
    check(Kind::OneupPayer, 403, "", hint).await;
    check(Kind::Smart, 401, "", "Auth").await;
    let busy = "Transport: the kick-off was answered with 429 Too Many Requests, also after 4 retries An export may be running";
    check(Kind::Smart, 429, "", busy).await;
    check(Kind::Smart, 503, "", "Transport: the kick-off was answered with 503").await;
}

/// Answers connections one after the other with raw bytes; `None` takes the request and resets the connection.
async fn raw(answers: Vec<Option<&'static str>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await.unwrap();
            count.fetch_add(1, SeqCst);
            match answer {
                Some(answer) => socket.write_all(answer.as_bytes()).await.unwrap(),
                None => socket.set_zero_linger().unwrap(),
            }
        }
    });
    (origin, requests)
}

#[tokio::test]
async fn what_may_have_begun_an_export_is_sent_again_once_and_told() {
    const ACCEPTED: &str =
        "HTTP/1.1 202 Accepted\r\nContent-Location: /job/1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const CUT: &str =
        "HTTP/1.1 202 Accepted\r\nContent-Location: /job/1\r\nContent-Length: 9\r\nConnection: close\r\n\r\nab";
    const CUT_BLIND: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nab";
    const BUSY: &str = "HTTP/1.1 503 No\r\nRetry-After: 9\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const GATEWAY: &str = "HTTP/1.1 504 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let check = async |name: &str, answers: &[Option<&'static str>], accepted: bool, warned: bool| {
        let (origin, requests) = raw(answers.to_vec()).await;
        let (http, clock, notes) = client(Kind::Smart, &origin);
        let result = send(&http, &ExportParameters::default()).await;
        assert_eq!(result.is_ok(), accepted, "{name}: {result:?}");
        assert_eq!(requests.load(SeqCst), answers.len(), "{name}");
        let warnings = notes.all().iter().filter(|note| note.contains("nobody will fetch")).count();
        assert_eq!(warnings, usize::from(warned), "{name}: {:?}", notes.all());
        if let Err(error) = result {
            assert!(
                error.kind() == ErrorKind::Transport && error.hint().unwrap().contains("may have begun"),
                "{error:?}"
            );
        }
        clock.waits()
    };
    check("at once", &[Some(ACCEPTED)], true, false).await;
    check("the body breaks off", &[Some(CUT)], true, false).await;
    check("reset", &[None, Some(ACCEPTED)], true, true).await;
    check("reset twice", &[None, None], false, true).await;
    check("cut blind", &[Some(CUT_BLIND), Some(ACCEPTED)], true, true).await;
    check("a gateway's failures", &[Some(GATEWAY), Some(GATEWAY), Some(ACCEPTED)], true, true).await;
    let waits = check("not now", &[Some(BUSY), Some(BUSY), Some(BUSY), Some(ACCEPTED)], true, false).await;
    assert!(waits.len() == 3 && waits.iter().all(|wait| wait.as_secs() >= 9), "{waits:?}");
}

#[tokio::test]
async fn a_connection_that_never_stood_began_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (http, clock, notes) = client(Kind::Smart, &origin);
    let error = send(&http, &ExportParameters::default()).await.unwrap_err();
    assert_eq!((error.kind(), clock.waits().len()), (ErrorKind::Transport, 4), "{error:?}");
    assert!(!notes.all().iter().any(|note| note.contains("nobody will fetch")), "{:?}", notes.all());
}

#[tokio::test]
async fn cancelling() {
    let check = async |status: u16, expected: Cancelled| {
        let server = Listener::start(move |_| Reply::new(status, "")).await;
        let (http, ..) = client(Kind::Smart, &server.origin);
        let location = PollingLocation::new(server.url("/job/1"));
        assert_eq!(cancel(&http, &location).await.unwrap(), expected);
        let [seen] = &server.seen()[..] else { panic!() };
        assert_eq!((seen.method.as_str(), &*seen.path, seen.authorization()), ("DELETE", "/job/1", "Bearer sesame"));
    };
    check(202, Cancelled::Done).await;
    check(204, Cancelled::Done).await;
    check(403, Cancelled::Refused { status: 403 }).await;
    check(405, Cancelled::Refused { status: 405 }).await;
    check(404, Cancelled::Gone).await;
    check(410, Cancelled::Gone).await;
}

#[test]
fn a_location_is_kept_whole_and_shown_redacted() {
    let stored = "https://a.example/job/7?token=sesame";
    let location = PollingLocation::from_stored(stored).unwrap();
    assert_eq!(location.to_stored(), stored);
    assert_eq!(location.to_string(), "https://a.example/job/7?…");
    assert_eq!(format!("{location:?}"), "PollingLocation(https://a.example/job/7?…)");
    for bad in ["", "job/7", "file:///job", "mailto:x@y.example"] {
        assert_eq!(PollingLocation::from_stored(bad).unwrap_err().kind(), ErrorKind::Usage);
    }
}
