//! Searches over real sockets: what is asked, what is read from an answer, and where pages may lead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::client::ClientOptions;
use crate::profile::Kind;
use crate::retry::Patience;
use crate::testing::{Listener, Notes, PaperClock, Reply};
use crate::token::Auth;

const LIMIT_BYTES: usize = 1 << 20;

fn http(server: &Listener) -> Http {
    let mut options = ClientOptions::new(Kind::Smart, server.url("/fhir"));
    options.auth = Auth::Token("sesame".into());
    options.patience = Patience { retries: 2, ..Patience::default() };
    Http::new(options, PaperClock::new(), Arc::new(Notes::default())).unwrap()
}

fn query(name: &str, parameters: &[(&str, &str)]) -> SearchQuery {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    SearchQuery { searched: Searched::Type(name.to_owned()), parameters }
}

fn everything(patient: &str) -> SearchQuery {
    SearchQuery { searched: Searched::Everything { patient: patient.to_owned() }, parameters: Vec::new() }
}

/// A Bundle of these entries' members, and a link to the next page.
fn bundle(entries: &[&str], next: Option<&str>) -> String {
    let link =
        next.map(|next| format!(r#","link":[{{"relation":"self","url":"x"}},{{"relation":"next","url":"{next}"}}]"#));
    let entries: Vec<_> = entries.iter().map(|entry| format!("{{{entry}}}")).collect();
    let (entries, link) = (entries.join(","), link.unwrap_or_default());
    format!(r#"{{"resourceType":"Bundle","type":"searchset","total":7,"entry":[{entries}]{link}}}"#)
}

/// All pages of a search, as far as they go, and what was asked.
async fn pages(
    query: &SearchQuery,
    answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
) -> (Vec<SearchPage>, Option<FetchError>, Vec<String>) {
    let asked = AtomicUsize::new(0);
    let server = Listener::start(move |seen| {
        assert_eq!((seen.authorization(), seen.header("accept")), ("Bearer sesame", "application/fhir+json"));
        answer(&seen.path, asked.fetch_add(1, SeqCst))
    })
    .await;
    let mut pages = SearchPages::new(http(&server), query).unwrap();
    let mut all = Vec::new();
    let error = loop {
        match pages.next(LIMIT_BYTES).await {
            Ok(Some(page)) => all.push(page),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    (all, error, server.seen().into_iter().map(|seen| seen.path).collect())
}

#[tokio::test]
async fn pages_are_followed_wherever_their_link_is_relative_to() {
    let (found, error, asked) = pages(&query("Claim", &[("status", "a b"), ("_count", "2")]), |path, _| {
        let next = match path {
            "/fhir/Claim?status=a+b&_count=2" => Some("?page=2"),
            "/fhir/Claim?page=2" => Some("/fhir/Claim?page=3#here"),
            "/fhir/Claim?page=3" => Some("Claim?page=4"),
            _ => None,
        };
        Reply::new(200, bundle(&[r#""resource":{"id":"1"}"#], next))
    })
    .await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((found.len(), found.iter().map(|page| page.matches).sum::<u64>()), (4, 4));
    assert_eq!(
        asked,
        ["/fhir/Claim?status=a+b&_count=2", "/fhir/Claim?page=2", "/fhir/Claim?page=3", "/fhir/Claim?page=4"]
    );
    let (_, error, asked) = pages(&everything("a-1"), |path, at| {
        Reply::new(
            200,
            bundle(&[], (at == 0).then_some("Patient/a-1/$everything?page=2")).replace("\"total\":7,", path),
        )
    })
    .await;
    assert!(error.is_some(), "it is no JSON");
    assert_eq!(asked, ["/fhir/Patient/a-1/$everything"; 3]);
}

#[tokio::test]
async fn resources_are_the_text_that_came() {
    let texts = ["{\"resourceType\":\"Claim\",\n \"a\" : 1.50e0,\r\n\"s\":\"\\u00e9\\n é\" }", "{\"id\":\"2\"}", "{ }"];
    let failed = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"}]}"#;
    let benign = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"value",
        "diagnostics":"no such parameter"}]}"#;
    let entries = [
        format!("\"fullUrl\":\"x\", \"resource\" : {},\"search\":{{\"mode\":\"match\"}}", texts[0]),
        format!("\"resource\":{},\"search\":{{\"mode\":\"include\"}}", texts[1]),
        format!("\"search\":{{}},\"resource\":{}", texts[2]),
        "\"fullUrl\":\"y\"".to_owned(),
        format!("\"resource\":{failed},\"search\":{{\"mode\":\"outcome\"}}"),
        format!("\"resource\":{benign}"),
    ];
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    let text = format!("\u{feff}{}", bundle(&entries, None));
    let (found, error, _) = pages(&query("Claim", &[]), move |_, _| Reply::new(200, text.clone())).await;
    assert!(error.is_none(), "{error:?}");
    let page = &found[0];
    let expected = texts.map(|text| text.replace(['\n', '\r'], " "));
    assert_eq!(page.resources, expected);
    assert_eq!((page.matches, page.empty_entries, page.total), (2, 1, Some(7)));
    assert_eq!(page.failures, [failed]);
    assert_eq!(page.remarks, ["warning value: no such parameter"]);
    // Outcomes may be what is searched for; a Bundle may have nothing.
    let entry = format!("\"resource\":{failed},\"search\":{{\"mode\":\"match\"}}");
    for (text, resources) in [(bundle(&[&entry], None), 1), (r#"{"resourceType":"Bundle"}"#.to_owned(), 0)] {
        let (found, error, _) = pages(&query("Claim", &[]), move |_, _| Reply::new(200, text.clone())).await;
        assert!(error.is_none() && found[0].resources.len() == resources, "{found:?}");
    }
}

#[tokio::test]
async fn a_next_page_is_asked_at_home_only() {
    let elsewhere = Listener::start(|_| Reply::new(200, bundle(&[], None))).await;
    let next = format!("{}/fhir/Claim?patient=1", elsewhere.origin);
    let (found, error, _) = pages(&query("Claim", &[]), move |_, _| Reply::new(200, bundle(&[], Some(&next)))).await;
    let error = error.unwrap();
    assert_eq!((found.len(), error.kind()), (0, ErrorKind::UntrustedOrigin));
    assert!(error.hint().unwrap().contains("--trust-origin"), "{error:?}");
    assert!(!error.to_string().contains("patient"), "{error}");
    assert!(elsewhere.seen().is_empty());
    let server = Listener::start(|_| Reply::new(200, "")).await;
    let far = SecretUrl::new(elsewhere.url("/x"));
    assert_eq!(SearchPages::after(http(&server), &far).unwrap_err().kind(), ErrorKind::UntrustedOrigin);
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart() {
    async fn check(query: SearchQuery, answer: fn(usize) -> Reply, kind: ErrorKind, part: &str) {
        let (_, error, _) = pages(&query, move |_, at| answer(at)).await;
        let error = error.unwrap();
        assert!(error.kind() == kind && error.to_string().contains(part), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error:?}");
    }
    const OUTCOME: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found",
        "diagnostics":"no such thing"}]}"#;
    check(everything("x"), |_| Reply::new(404, OUTCOME), ErrorKind::NoSuchExport, "no such thing").await;
    check(query("Claim", &[]), |_| Reply::new(400, OUTCOME), ErrorKind::ExportFailed, "no such thing").await;
    check(query("Claim", &[]), |_| Reply::new(403, ""), ErrorKind::Auth, "403").await;
    check(query("Claim", &[]), |_| Reply::new(200, OUTCOME), ErrorKind::ExportFailed, "no such thing").await;
    check(query("Claim", &[]), |_| Reply::new(503, ""), ErrorKind::Transport, "2 retries").await;
    check(query("Claim", &[]), |_| Reply::new(200, "<html>secret"), ErrorKind::Transport, "2 retries").await;
    check(query("Claim", &[]), |_| Reply::new(200, r#"{"resourceType":"Patient"}"#), ErrorKind::Transport, "no Bundle")
        .await;
    let expired = |at| if at == 0 { Reply::new(200, bundle(&[], Some("?p=2"))) } else { Reply::new(410, OUTCOME) };
    check(query("Claim", &[]), expired, ErrorKind::FileExpired, "no longer").await;
    let circle = |at| Reply::new(200, bundle(&[], Some(if at % 2 == 0 { "?p=2" } else { "/fhir/Claim" })));
    check(query("Claim", &[]), circle, ErrorKind::NotData, "circle").await;
    let server = Listener::start(|_| Reply::new(200, "")).await;
    for refused in [everything("a/b"), everything(""), everything(".."), query("claim", &[]), query("Claim/1", &[])] {
        assert_eq!(SearchPages::new(http(&server), &refused).unwrap_err().kind(), ErrorKind::Usage);
    }
}

#[tokio::test]
async fn a_page_that_breaks_is_asked_for_again() {
    let whole = bundle(&[r#""resource":{"id":"1"}"#], None);
    let half = whole[..whole.len() / 2].to_owned();
    let (found, error, asked) = pages(&query("Claim", &[]), move |_, at| match at {
        0 => Reply::new(200, half.clone()),
        1 => Reply::new(429, "").header("retry-after", "7"),
        _ => Reply::new(200, whole.clone()),
    })
    .await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((found[0].resources.len(), asked.len()), (1, 3));
}
