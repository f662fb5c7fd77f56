//! Asking for a status over real sockets: how often, how early, and through which trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::client::ClientOptions;
use crate::manifest::Role;
use crate::profile::Kind;
use crate::retry::Patience;
use crate::testing::{Listener, Notes, PaperClock, Reply};
use crate::token::Auth;

const MANIFEST: &str = r#"{"transactionTime":"2026-01-01T00:00:00Z","requiresAccessToken":true,
    "output":[{"type":"Patient","url":"/file/1"}],"error":[]}"#;

fn outcome(severity: &str, code: &str, text: &str) -> String {
    format!(
        r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"{severity}","code":"{code}",
            "details":{{"text":"{text}"}}}}]}}"#
    )
}

struct Polled {
    statuses: Vec<String>,
    waits: Vec<Duration>,
    notes: Vec<String>,
    paths: Vec<String>,
}

/// Polls `/job` of a server that gives these answers, each in its turn for its path, until an end.
async fn polled(
    kind: Kind,
    patience: Patience,
    answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
) -> Polled {
    let asked = AtomicUsize::new(0);
    let server = Listener::start(move |seen| {
        assert_eq!((seen.authorization(), seen.header("accept")), ("Bearer sesame", "application/json"));
        answer(&seen.path, asked.fetch_add(1, SeqCst))
    })
    .await;
    let (clock, notes) = (PaperClock::new(), Arc::new(Notes::default()));
    let mut options = ClientOptions::new(kind, server.url("/"));
    options.tenant = kind.needs_tenant().then(|| "bison".to_owned());
    options.auth = Auth::Token("sesame".into());
    options.patience = patience;
    let http = Http::new(options, clock.clone(), notes.clone()).unwrap();
    let mut poller = Poller::new(http, &PollingLocation::new(server.url("/job")));
    let mut statuses = Vec::new();
    let names = |manifest: &Manifest| {
        let names = manifest.files.iter().map(|file| file.url.name().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    for _ in 0..40 {
        match poller.next().await {
            Ok(Status::Running(running)) => {
                let so_far =
                    running.so_far.as_ref().map(|manifest| format!(" [{}]", names(manifest))).unwrap_or_default();
                statuses.push(format!("running {}{so_far}", running.progress.unwrap_or_default()));
            }
            Ok(Status::Complete(manifest)) => {
                assert!(manifest.files.iter().all(|file| file.role == Role::Output));
                statuses.push(format!("complete [{}]", names(&manifest)));
                break;
            }
            Err(error) => {
                statuses.push(format!("{:?}: {error} {}", error.kind(), error.hint().unwrap_or_default()));
                break;
            }
        }
    }
    let paths = server.seen().into_iter().map(|seen| seen.path).collect();
    Polled { statuses, waits: clock.waits(), notes: notes.all(), paths }
}

fn pages(names: &[&str], next: Option<&str>) -> String {
    let output: Vec<_> =
        names.iter().map(|name| serde_json::json!({ "type": "Patient", "url": format!("/f/{name}") })).collect();
    let link: Vec<_> = next.iter().map(|next| serde_json::json!({ "relation": "next", "url": next })).collect();
    serde_json::json!({ "requiresAccessToken": true, "output": output, "link": link }).to_string()
}

#[tokio::test]
async fn never_asked_earlier_than_the_server_wants() {
    let polled = polled(Kind::Smart, Patience::default(), |_, asked| match asked {
        0 => Reply::new(202, "").header("x-progress", "10%\u{9} done"),
        1 => Reply::new(202, "").header("retry-after", "7"),
        2 => Reply::new(202, "").header("retry-after", "99999"),
        3 => Reply::new(202, "").header("retry-after", "0"),
        4 => Reply::new(202, "").header("retry-after", "soon"),
        5 => Reply::new(503, "").header("retry-after", "20"),
        6 => Reply::new(202, "").header("retry-after", "Sun, 01 Mar 2026 13:00:00 GMT"),
        _ => Reply::new(200, MANIFEST),
    })
    .await;
    assert_eq!(polled.statuses.last().unwrap(), "complete [1]");
    assert_eq!(polled.statuses[0], "running 10% done");
    let seconds: Vec<_> = polled.waits.iter().map(Duration::as_secs_f64).collect();
    assert_eq!(seconds.len(), 7, "{seconds:?}");
    assert!((1.0..=1.25).contains(&seconds[0]), "{seconds:?}");
    let millis: Vec<_> = polled.waits[1..4].iter().map(Duration::as_millis).collect();
    assert_eq!(millis, [7_000, 300_000, 200], "as asked, but capped, and not without end");
    assert!((2.0..=2.5).contains(&seconds[4]), "{seconds:?}");
    assert!((20.0..=22.0).contains(&seconds[5]), "{seconds:?}");
    assert!((200.0..=300.0).contains(&seconds[6]), "{seconds:?}");
    assert_eq!(polled.notes.iter().filter(|note| note.starts_with("Retry")).count(), 1, "{:?}", polled.notes);
    assert_eq!(polled.notes.iter().filter(|note| note.starts_with("StatusAnswered")).count(), 6);
}

#[tokio::test]
async fn own_waits_grow_to_half_a_minute() {
    let polled = polled(Kind::Smart, Patience::default(), |_, asked| {
        if asked < 20 { Reply::new(202, "") } else { Reply::new(200, MANIFEST) }
    })
    .await;
    for (index, wait) in polled.waits.iter().enumerate() {
        let base = f64::from(1 << index.min(5)).min(30.0);
        assert!((base..=base * 1.25).contains(&wait.as_secs_f64()), "{index}: {wait:?}");
    }
    assert_eq!(polled.waits.len(), 20);
}

#[tokio::test]
async fn storms_are_ridden_out_and_persistence_is_told() {
    let patience = Patience { retries: 3, ..Patience::default() };
    #[track_caller]
    fn ends_with(polled: &Polled, expected: &str) {
        let last = polled.statuses.last().unwrap();
        assert!(last.starts_with(expected), "{last}");
    }
    let storm = polled(Kind::Smart, patience, |_, asked| match asked {
        0..=2 => Reply::new(502, "<html>"),
        3 => Reply::new(202, ""),
        4..=5 => Reply::new(500, outcome("error", "exception", "restarting")),
        6 => Reply::new(200, "<html>").header("content-type", "text/html"),
        _ => Reply::new(200, MANIFEST),
    })
    .await;
    ends_with(&storm, "complete [1]");

    let failing = outcome("error", "processing", "disk full");
    let failed = polled(Kind::Smart, patience, move |_, _| Reply::new(500, failing.clone())).await;
    ends_with(
        &failed,
        "ExportFailed: the server says that the export failed: error processing: disk full (500), also after 3 retries",
    );
    assert_eq!(failed.paths.len(), 4);
    let down = polled(Kind::Smart, patience, |_, _| Reply::new(503, "")).await;
    ends_with(&down, "Transport: the status request was answered with 503 Service Unavailable, also after 3 retries");
    let page =
        polled(Kind::Smart, patience, |_, _| Reply::new(200, "<html>").header("content-type", "text/html")).await;
    ends_with(&page, "Transport: the status request was answered with 200 and text/html");
    let odd =
        polled(Kind::Smart, patience, |_, _| Reply::new(200, "{}").header("content-type", "application/json")).await;
    ends_with(&odd, "ExportFailed: the status request was answered with 200 and application/json");
    let gone = polled(Kind::Smart, patience, |_, _| Reply::new(404, "")).await;
    ends_with(&gone, "NoSuchExport");
    assert_eq!(gone.paths.len(), 1);
}

#[tokio::test]
async fn pages_are_joined() {
    let polled = polled(Kind::Smart, Patience::default(), |path, asked| match (path, asked) {
        ("/job", _) => Reply::new(200, pages(&["a", "b"], Some("/page/2"))),
        ("/page/2", 1) => Reply::new(503, ""),
        ("/page/2", _) => Reply::new(200, pages(&["c"], Some("3"))),
        ("/page/3", _) => Reply::new(200, pages(&["d"], None)),
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!(polled.statuses, ["complete [a b c d]"]);
    assert_eq!(polled.paths, ["/job", "/page/2", "/page/2", "/page/3"]);
}

#[tokio::test]
async fn pages_that_grow_while_the_export_runs() {
    let polled = polled(Kind::Smart, Patience::default(), |path, asked| match (path, asked) {
        ("/job", 0) => Reply::new(202, pages(&["a"], None)),
        ("/job", 1) => Reply::new(202, pages(&["a"], Some("/page/2"))),
        ("/page/2", 2) => Reply::new(202, pages(&["b"], Some("/page/3"))),
        ("/page/3", 3) => Reply::new(202, pages(&["c"], None)),
        ("/job", 4) => Reply::new(202, pages(&["a"], Some("/page/2"))),
        // What has a link already is not read again.
        ("/page/3", 5) => Reply::new(200, pages(&["c", "d"], None)),
        ("/job", 6) => Reply::new(200, pages(&["a"], Some("/page/2"))),
        ("/page/2", 7) => Reply::new(200, pages(&["b"], Some("/page/3"))),
        ("/page/3", 8) => Reply::new(202, pages(&["c", "d"], None)),
        ("/page/3", 9) => Reply::new(200, pages(&["c", "d", "e"], None)),
        other => panic!("{other:?}"),
    })
    .await;
    let expected =
        ["running  [a]", "running  [a b c]", "running  [a b c d]", "running  [a b c d]", "complete [a b c d e]"];
    assert_eq!(polled.statuses, expected);
}

#[tokio::test]
async fn pages_that_lead_nowhere() {
    let patience = Patience { retries: 2, ..Patience::default() };
    let circle = polled(Kind::Smart, patience, |path, _| match path {
        "/job" => Reply::new(200, pages(&["a"], Some("/page/2"))),
        _ => Reply::new(200, pages(&["b"], Some("/job"))),
    })
    .await;
    assert!(circle.statuses[0].starts_with("ExportFailed: the manifest's pages go round"), "{:?}", circle.statuses);
    let own = polled(Kind::Smart, patience, |_, _| Reply::new(200, pages(&["a"], Some("/job")))).await;
    assert!(own.statuses[0].starts_with("ExportFailed: the manifest's pages go round"), "{:?}", own.statuses);
    let endless =
        polled(Kind::Smart, patience, |_, asked| Reply::new(200, pages(&[], Some(&format!("/p/{asked}"))))).await;
    assert!(endless.statuses[0].contains("are more than"), "{:?}", endless.statuses);
    // A page that has expired is had again by asking from the first one on.
    let expired = polled(Kind::Smart, patience, |path, asked| match (path, asked) {
        ("/job", 0) => Reply::new(200, pages(&["a"], Some("/page/old"))),
        ("/page/old", _) => Reply::new(410, ""),
        ("/job", _) => Reply::new(200, pages(&["a"], Some("/page/new"))),
        _ => Reply::new(200, pages(&["b"], None)),
    })
    .await;
    assert_eq!(expired.statuses, ["complete [a b]"]);
    let always = polled(Kind::Smart, patience, |path, _| match path {
        "/job" => Reply::new(200, pages(&["a"], Some("/page/2"))),
        _ => Reply::new(404, ""),
    })
    .await;
    assert!(always.statuses[0].starts_with("NoSuchExport"), "{:?}", always.statuses);
    assert!(always.paths.len() < 20, "{:?}", always.paths);
}

#[tokio::test]
async fn a_foreign_page_gets_no_token() {
    let foreign = Listener::start(|seen| {
        assert_eq!(seen.authorization(), "");
        Reply::new(200, r#"{"requiresAccessToken":false,"output":[{"url":"x"}]}"#)
    })
    .await;
    let link = foreign.url("/2").to_string();
    let home = polled(Kind::Smart, Patience::default(), move |_, _| {
        let page = serde_json::json!({ "requiresAccessToken": false, "output": [], "link": [{ "relation": "next", "url": link }] });
        Reply::new(200, page.to_string())
    })
    .await;
    assert_eq!(home.statuses, ["complete [x]"]);
    assert_eq!(foreign.seen().len(), 1);
    let link = foreign.url("/2").to_string();
    let demanding =
        polled(Kind::Smart, Patience::default(), move |_, _| Reply::new(200, pages(&[], Some(&link)))).await;
    assert!(demanding.statuses[0].starts_with("UntrustedOrigin"), "{:?}", demanding.statuses);
    assert!(demanding.statuses[0].contains(&format!("--trust-origin {}", foreign.origin)), "{:?}", demanding.statuses);
    assert_eq!(foreign.seen().len(), 1);
}
