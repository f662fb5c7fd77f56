//! Patient Connect's own calls over real sockets.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::client::ClientOptions;
use crate::testing::{Listener, Notes, PaperClock, Reply};
use crate::token::SecretStyle;

fn http(server: &Listener, auth: Auth, clock: &Arc<PaperClock>, notes: &Arc<Notes>) -> Http {
    let mut options = ClientOptions::new(Kind::OneupConnect, server.url("/r4"));
    options.auth = auth;
    Http::new(options, Arc::clone(clock) as _, Arc::clone(notes) as _).unwrap()
}

fn client() -> Auth {
    Auth::ClientSecret { client_id: "me".to_owned(), secret: "s3cret".into(), style: SecretStyle::Form }
}

/// The code for a user, and what was asked.
async fn asked(
    answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
) -> (Result<UserCode, FetchError>, Vec<String>, Vec<String>, Vec<Duration>) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Listener::start(move |seen| {
        assert_eq!((seen.header("client_id"), seen.header("client_secret")), ("me", "s3cret"));
        assert_eq!(seen.field("app_user_id").as_deref(), Some("user 1"));
        answer(&seen.path, count.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
    })
    .await;
    let (clock, notes) = (PaperClock::new(), Arc::new(Notes::default()));
    let code = user_code(&http(&server, client(), &clock, &notes), "user 1").await;
    (code, server.seen().into_iter().map(|seen| seen.path).collect(), notes.all(), clock.waits())
}

#[tokio::test]
async fn a_user_is_made_or_found() {
    let made = r#"{"success":true,"code":"c0de","oneup_user_id":17,"app_user_id":"user 1","active":true}"#;
    let (code, paths, ..) = asked(move |_, _| Reply::new(200, made)).await;
    let code = code.unwrap();
    assert_eq!((code.code.expose_secret(), code.oneup_user_id.as_deref(), code.created), ("c0de", Some("17"), true));
    assert_eq!(paths, ["/user-management/v1/user"]);
    assert!(!format!("{code:?}").contains("c0de"));
    let (code, paths, ..) = asked(move |path, _| match path {
        "/user-management/v1/user" => Reply::new(200, r#"{"success":false,"error":"this user already exists"}"#),
        _ => Reply::new(200, made),
    })
    .await;
    assert!(!code.unwrap().created);
    assert_eq!(paths, ["/user-management/v1/user", "/user-management/v1/user/auth-code"]);
    let (code, ..) =
        asked(|_, _| Reply::new(400, r#"{"success":false,"error":"no such application for user 1"}"#)).await;
    let error = code.unwrap_err();
    assert!(error.kind() == ErrorKind::ExportFailed && error.to_string().contains("no such application"), "{error}");
    assert!(!error.to_string().contains("user 1"), "{error}");
    let (code, ..) = asked(|_, _| Reply::new(401, "")).await;
    assert_eq!(code.unwrap_err().kind(), ErrorKind::Auth);
}

#[tokio::test]
async fn the_quota_is_waited_for_and_told() {
    let (code, _, notes, waits) = asked(|_, at| match at {
        0 => Reply::new(429, "").header("retry-after", "1800"),
        1 => Reply::new(429, "").header("retry-after", "999999"),
        2 => Reply::new(429, ""),
        3 => Reply::new(503, ""),
        _ => Reply::new(200, r#"{"success":true,"code":"c"}"#),
    })
    .await;
    assert!(code.is_ok());
    assert_eq!(waits[..3], [1800, 3600, 60].map(Duration::from_secs));
    assert!(notes[0].contains("300 an hour"), "{notes:?}");
}

#[tokio::test]
async fn systems_come_page_by_page() {
    let row = |id: usize| {
        json!({"id": id, "name": format!("System {id:02}"), "api_version": "FHIR R4", "ehr": "E",
            "locations": [{"name": "L", "address": {"line": ["1 Main St"], "city": "C", "state": "MA", "postalCode": "02114"}}]})
    };
    for wrapped in [false, true] {
        let server = Listener::start(move |seen| {
            assert_eq!(seen.authorization(), "Bearer sesame");
            let url = Url::parse("http://h").unwrap().join(&seen.path).unwrap();
            let offset = url.query_pairs().find(|(name, _)| name == "offset").unwrap().1.parse::<usize>().unwrap();
            let rows: Vec<_> = (offset..45.min(offset + 20)).map(row).collect();
            let body = if wrapped { json!({"total": 45, "results": rows}) } else { json!(rows) };
            Reply::new(201, body.to_string())
        })
        .await;
        let http = http(&server, Auth::Token("sesame".into()), &PaperClock::new(), &Arc::default());
        let query = SystemQuery { text: Some("st mary's".to_owned()), ..SystemQuery::default() };
        let mut pages = SystemPages::new(http, &query).unwrap();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await.unwrap() {
            all.extend(page);
        }
        assert_eq!((all.len(), server.seen().len()), (45, 3));
        assert_eq!((all[44].id.as_str(), all[0].locations[0].city.as_deref()), ("44", Some("C")));
        assert_eq!(server.seen()[1].path, "/api/search?query=st+mary%27s&offset=20");
        assert_eq!(server.seen()[0].method, Method::POST);
    }
    // A server that has one page for every offset, and places.
    let server =
        Listener::start(move |_| Reply::new(200, json!((0..20).map(row).collect::<Vec<_>>()).to_string())).await;
    for query in [SystemQuery::default(), SystemQuery { zip: Some("02114".to_owned()), ..SystemQuery::default() }] {
        let http = http(&server, Auth::Token("sesame".into()), &PaperClock::new(), &Arc::default());
        let mut pages = SystemPages::new(http, &query).unwrap();
        assert_eq!(pages.next().await.unwrap().unwrap().len(), 20);
        assert_eq!(pages.next().await.unwrap(), None);
    }
    assert_eq!(server.seen().last().unwrap().path, "/api/systems/02114");
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let server = Listener::start(|_| Reply::new(400, r#"{"error":"bad query"}"#)).await;
    let http = |auth| http(&server, auth, &PaperClock::new(), &Arc::default());
    let text = |text: &str| SystemQuery { text: Some(text.to_owned()), ..SystemQuery::default() };
    assert_eq!(SystemPages::new(http(client()), &text("a%b")).unwrap_err().kind(), ErrorKind::Usage);
    let mut pages = SystemPages::new(http(Auth::Token("t".into())), &text("a")).unwrap();
    let error = pages.next().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("bad query"), "{error}");
    let error = user_code(&http(Auth::Token("t".into())), "user 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let token: SecretString = "t0ken".into();
    let url = connect_url(&http(client()), "11207", Some("r4"), &token).unwrap();
    let expected =
        format!("{}/connect/system/clinical/11207?client_id=me&access_token=t0ken&fhirVersion=r4", server.origin);
    assert_eq!(url.expose().as_str(), expected);
    assert!(!url.to_string().contains("t0ken"));
    assert!(connect_url(&http(client()), "../x", None, &token).is_err());
}
