//! Against a listener on loopback that is authorization server and FHIR server at once.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method};
use jiff::Timestamp;

use super::*;
use crate::client::ClientOptions;
use crate::http::{Attempts, Credentials, Outgoing};
use crate::testing::{Listener, Notes, PaperClock, Reply};
use crate::token::{Auth, SecretStyle, Session, SessionKeeper};

const CALLBACK: &str = "http://127.0.0.1:8765/callback";
const CODE: &str = "c0de+/=";

fn public() -> Auth {
    Auth::Public { client_id: "app one".to_owned() }
}

fn http(kind: Kind, base: &str, auth: Auth) -> Http {
    let options = ClientOptions { auth, ..ClientOptions::new(kind, Url::parse(base).unwrap()) };
    Http::new(options, PaperClock::new(), Arc::new(())).unwrap()
}

async fn begun(http: &Http) -> AuthorizationRequest {
    begin(http, &Url::parse(CALLBACK).unwrap(), None).await.unwrap()
}

fn parameter(request: &AuthorizationRequest, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(it, _)| it == name).map(|(_, value)| value.into_owned())
}

#[test]
fn the_challenge_is_that_of_the_rfc() {
    // RFC 7636, appendix B.
    assert_eq!(challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[tokio::test]
async fn a_url_to_open() {
    let request = begun(&http(Kind::OneupPatient, "https://api.1uphealthdemo.com/r4", public())).await;
    assert_eq!(request.url().to_string(), "https://auth.1uphealthdemo.com/oauth2/authorize/test?…");
    for (name, expected) in [
        ("response_type", Some("code")),
        ("client_id", Some("app one")),
        ("redirect_uri", Some(CALLBACK)),
        ("scope", Some("patient/*.read user/*.read launch/patient openid")),
        ("code_challenge_method", Some("S256")),
        ("aud", None),
    ] {
        assert_eq!(parameter(&request, name).as_deref(), expected, "{name}");
    }
    let verifier = request.verifier.expose_secret();
    assert_eq!((verifier.len(), request.state.expose_secret().len()), (43, 43));
    assert_eq!(parameter(&request, "code_challenge").unwrap(), challenge(verifier));
    assert!(!request.url.as_str().contains(verifier));
    let shown = format!("{request:?}");
    assert!(!shown.contains(verifier) && !shown.contains(request.state.expose_secret()), "{shown}");
    let other = begun(&http(Kind::OneupPatient, "https://api.1uphealthdemo.com/r4", public())).await;
    assert_ne!(other.state.expose_secret(), request.state.expose_secret());
}

#[tokio::test]
async fn the_server_says_where_members_log_in() {
    let uris = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";
    let statement = format!(
        r#"{{"rest":[{{"security":{{"extension":[{{"url":"{uris}",
            "extension":[{{"url":"authorize","valueUri":"https://login.example/old"}}]}}]}}}}]}}"#
    );
    for (configuration, expected) in [
        (r#"{"authorization_endpoint":"https://login.example/new?tenant=7"}"#, "https://login.example/new"),
        ("{}", "https://login.example/old"),
    ] {
        let statement = statement.clone();
        let server = Listener::start(move |seen| match seen.path.as_str() {
            "/r4/metadata" => Reply::new(200, statement.clone()),
            _ => Reply::new(200, configuration),
        })
        .await;
        let base = format!("{}/r4", server.origin);
        let request = begun(&http(Kind::Fhir, &base, public())).await;
        assert!(request.url.as_str().starts_with(expected), "{}", request.url);
        assert_eq!(parameter(&request, "aud").as_deref(), Some(base.as_str()));
        assert_eq!(parameter(&request, "tenant").is_some(), expected.ends_with("new"));
        assert!(parameter(&request, "scope").unwrap().contains("offline_access"));
    }
    let server = Listener::start(|_| Reply::new(404, "")).await;
    let error = begin(&http(Kind::Fhir, &server.origin, public()), &Url::parse(CALLBACK).unwrap(), None).await;
    assert!(error.unwrap_err().hint().unwrap().contains("--authorize-url"));
}

#[tokio::test]
async fn what_no_login_can_begin_with() {
    async fn check(kind: Kind, auth: Auth, redirect: &str, part: &str) {
        let http = http(kind, kind.default_base_url().unwrap_or("https://a.example"), auth);
        let error = begin(&http, &Url::parse(redirect).unwrap(), None).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(part), "{error}");
    }
    check(Kind::OneupPatient, Auth::None, CALLBACK, "the id of the application").await;
    check(Kind::OneupPatient, public(), "http://app.example/callback", "in the clear").await;
    check(Kind::OneupPatient, public(), "https://app.example/#x", "what follows #").await;
    check(Kind::OneupPatient, public(), "javascript:alert(1)", "no browser").await;
    check(Kind::OneupConnect, public(), CALLBACK, "no login in a browser").await;
}

#[tokio::test]
async fn the_code_of_an_answer() {
    let request = begun(&http(Kind::OneupPatient, "https://api.1uphealthdemo.com/r4", public())).await;
    let state = request.state.expose_secret();
    let good = |callback: String| assert_eq!(request.code_of(&callback).unwrap().expose_secret(), "c/1", "{callback}");
    good(format!("{CALLBACK}?code=c%2F1&state={state}"));
    good(format!(" {CALLBACK}?state={state}&code=c%2F1&iss=x#_=_\n"));
    good(format!("/callback?code=c%2F1&state={state}"));
    good(format!("?code=c%2F1&state={state}"));
    good(format!("code=c%2F1&state={state}"));
    good("c/1".to_owned());
    let bad = |callback: String, part: &str| {
        let error = request.code_of(&callback).unwrap_err();
        assert!(error.kind() == ErrorKind::Auth && error.to_string().contains(part), "{callback}: {error}");
    };
    bad(format!("{CALLBACK}?code=c"), "not to this login (state)");
    bad(format!("{CALLBACK}?code=c&state=x{state}"), "not to this login (state)");
    bad(format!("{CALLBACK}?code=c&state={state}&state={state}"), "not to this login (state)");
    bad("code=c&state=".to_owned(), "not to this login (state)");
    bad("/callback?error=access_denied".to_owned(), "not to this login (state)");
    bad(CALLBACK.to_owned(), "not to this login (state)");
    bad(format!("?state={state}"), "holds no code");
    bad(format!("?code=a&code=b&state={state}"), "holds no code");
    bad(
        format!("?error=access_denied&error_description=The+member%0Asaid+no&state={state}"),
        "access_denied: The member said no",
    );
    bad(String::new(), "neither the URL");
    bad("two words".to_owned(), "neither the URL");
}

#[tokio::test]
async fn a_code_becomes_tokens() {
    let server = Listener::start(|seen| {
        assert_eq!(seen.path, "/oauth2/token");
        Reply::new(
            200,
            r#"{"access_token":"a1","refresh_token":"r1","token_type":"bearer","expires_in":7200,"scope":"openid",
                "patient":"p-1"}"#,
        )
    })
    .await;
    let secret = |style| Auth::ClientSecret { client_id: "app".into(), secret: "sesame".into(), style };
    for auth in [public(), secret(SecretStyle::Form), secret(SecretStyle::Basic)] {
        let http = http(Kind::OneupPatient, server.url("/r4").as_ref(), auth);
        let request = begun(&http).await;
        let tokens = finish(&http, &request, &CODE.into()).await.unwrap();
        assert_eq!(tokens.access_token.expose_secret(), "a1");
        assert_eq!(tokens.refresh_token.as_ref().unwrap().expose_secret(), "r1");
        assert_eq!(tokens.expires_at, Some("2026-03-01T14:00:00Z".parse().unwrap()));
        assert_eq!((tokens.scope.as_deref(), tokens.patient.as_deref()), (Some("openid"), Some("p-1")));
        let shown = format!("{tokens:?}");
        assert!(!["a1", "r1", "p-1"].iter().any(|secret| shown.contains(secret)), "{shown}");
        let seen = server.seen().pop().unwrap();
        for (name, expected) in [
            ("grant_type", "authorization_code"),
            ("code", CODE),
            ("redirect_uri", CALLBACK),
            ("code_verifier", request.verifier.expose_secret()),
        ] {
            assert_eq!(seen.field(name).as_deref(), Some(expected));
        }
        assert_eq!(seen.field("scope"), None);
    }
    let seen = server.seen();
    let facts = |at: usize| (seen[at].field("client_id"), seen[at].field("client_secret"), seen[at].authorization());
    assert_eq!(facts(0), (Some("app one".to_owned()), None, ""));
    assert_eq!(facts(1), (Some("app".to_owned()), Some("sesame".to_owned()), ""));
    assert!(facts(2).0.is_none() && facts(2).2.starts_with("Basic "));
    let plain = http(Kind::OneupConnect, server.url("/r4").as_ref(), secret(SecretStyle::Form));
    finish_plain(&plain, &CODE.into()).await.unwrap();
    let seen = server.seen().pop().unwrap();
    assert_eq!(
        (seen.field("code").as_deref(), seen.field("redirect_uri"), seen.field("code_verifier")),
        (Some(CODE), None, None)
    );
}

#[tokio::test]
async fn a_late_code_is_told_as_such() {
    let server = Listener::start(|_| {
        Reply::new(400, format!(r#"{{"error":"invalid_grant","error_description":"code {CODE} expired"}}"#))
    })
    .await;
    let http = http(Kind::OneupPatient, server.url("/r4").as_ref(), public());
    let error = finish(&http, &begun(&http).await, &CODE.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(
        error.to_string().contains("code … expired") && error.hint().unwrap().contains("five minutes"),
        "{error:?}"
    );
}

/// Notes the refresh tokens that it is to keep.
#[derive(Default)]
struct Kept(Mutex<Vec<String>>, Option<&'static str>);

impl SessionKeeper for Kept {
    fn keep(&self, tokens: &SessionTokens) -> Result<(), String> {
        let refresh = tokens.refresh_token.as_ref().map_or("none", |token| token.expose_secret());
        self.0.lock().unwrap().push(format!("{} {refresh}", tokens.access_token.expose_secret()));
        self.1.map_or(Ok(()), |why| Err(why.to_owned()))
    }
}

fn session(keeper: &Arc<Kept>, refresh_token: Option<&str>, expires_at: Option<&str>) -> Auth {
    let tokens = SessionTokens {
        access_token: "a0".into(),
        refresh_token: refresh_token.map(SecretString::from),
        expires_at: expires_at.map(|text| text.parse::<Timestamp>().unwrap()),
        scope: None,
        patient: None,
    };
    Auth::Session(Session { client_id: "app".to_owned(), secret: None, tokens, keeper: keeper.clone() })
}

/// Gives tokens a1, a2 …, the second one without a refresh token; data for those who hold one that is at least `least`.
async fn renewing(least: usize) -> Listener {
    let given = AtomicUsize::new(0);
    Listener::start(move |seen| {
        if seen.path == "/oauth2/token" {
            let number = given.fetch_add(1, SeqCst) + 1;
            let refresh = if number == 2 { String::new() } else { format!(r#","refresh_token":"r{number}""#) };
            let body = format!(r#"{{"access_token":"a{number}","token_type":"Bearer","expires_in":3600{refresh}}}"#);
            return Reply::new(200, body).after(Duration::from_millis(30));
        }
        let number = seen.authorization().strip_prefix("Bearer a").unwrap().parse::<usize>().unwrap();
        Reply::new(if number >= least { 200 } else { 401 }, "")
    })
    .await
}

fn data(server: &Listener) -> Outgoing {
    Outgoing {
        method: Method::GET,
        url: server.url("/r4/Patient"),
        headers: HeaderMap::new(),
        body: None,
        credentials: Credentials::Bearer,
        attempts: Attempts::Once,
        what: "search",
    }
}

#[tokio::test]
async fn a_session_is_renewed_and_kept() {
    let server = renewing(0).await;
    let (clock, keeper) = (PaperClock::new(), Arc::<Kept>::default());
    let auth = session(&keeper, Some("r0"), Some("2026-03-01T12:10:00Z"));
    let options = ClientOptions { auth, ..ClientOptions::new(Kind::OneupPatient, server.url("/r4")) };
    let http = Http::new(options, clock.clone(), Arc::new(())).unwrap();
    let sent = async |tokens: &[&str], refreshed: usize| {
        http.send(&data(&server)).await.unwrap();
        let seen = server.seen_at("/oauth2/token");
        assert_eq!(seen.len(), refreshed);
        assert_eq!(*keeper.0.lock().unwrap(), tokens);
        seen.last().and_then(|seen| seen.field("refresh_token"))
    };
    assert_eq!(sent(&[], 0).await, None);
    clock.advance(Duration::from_secs(9 * 60 + 29));
    assert_eq!(sent(&[], 0).await, None);
    clock.advance(Duration::from_secs(1));
    assert_eq!(sent(&["a1 r1"], 1).await.as_deref(), Some("r0"));
    clock.advance(Duration::from_secs(3600));
    assert_eq!(sent(&["a1 r1", "a2 r1"], 2).await.as_deref(), Some("r1"));
    clock.advance(Duration::from_secs(3600));
    // The one before is kept where the answer has none.
    assert_eq!(sent(&["a1 r1", "a2 r1", "a3 r3"], 3).await.as_deref(), Some("r1"));
    let refresh = server.seen_at("/oauth2/token").pop().unwrap();
    assert_eq!(refresh.field("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(refresh.field("client_id").as_deref(), Some("app"));
    assert_eq!(server.seen_at("/r4").pop().unwrap().authorization(), "Bearer a3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_is_refused_is_renewed_once_for_all() {
    let server = renewing(1).await;
    let keeper = Arc::new(Kept(Mutex::default(), Some("the disk is full")));
    let notes = Arc::new(Notes::default());
    let auth = session(&keeper, Some("r0"), None);
    let options = ClientOptions { auth, ..ClientOptions::new(Kind::OneupPatient, server.url("/r4")) };
    let http = Http::new(options, PaperClock::new(), notes.clone()).unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (http, outgoing) = (http.clone(), data(&server));
            tokio::spawn(async move { http.send(&outgoing).await.map(|answer| answer.status().as_u16()) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 200);
    }
    assert_eq!(*keeper.0.lock().unwrap(), ["a1 r1"]);
    assert!(notes.all().iter().any(|note| note.contains("not kept (the disk is full)")));
}

#[tokio::test]
async fn a_session_that_has_ended() {
    let server = Listener::start(|seen| match seen.path.as_str() {
        "/oauth2/token" => Reply::new(400, r#"{"error":"invalid_grant","error_description":"r0 is revoked"}"#),
        _ => Reply::new(401, ""),
    })
    .await;
    for (refresh_token, end) in [(Some("r0"), None), (None, None), (None, Some("2026-03-01T12:00:00Z"))] {
        let auth = session(&Arc::default(), refresh_token, end);
        let error = http(Kind::OneupPatient, server.url("/r4").as_ref(), auth).send(&data(&server)).await;
        let error = error.err().unwrap();
        assert!(error.kind() == ErrorKind::Auth && !error.to_string().contains("r0"), "{error}");
        assert!(error.hint().unwrap().contains("Log in again: lakehaul login"), "{error:?}");
    }
    assert_eq!(server.seen_at("/r4").len(), 2);
}

#[tokio::test]
async fn a_public_client_has_no_token_of_its_own() {
    let server = renewing(0).await;
    let client = http(Kind::OneupPatient, server.url("/r4").as_ref(), public());
    let error = client.send(&data(&server)).await.err().unwrap();
    assert!(error.kind() == ErrorKind::Auth && error.hint().unwrap().contains("lakehaul login"), "{error:?}");
}
