//! Against a listener on loopback that is token endpoint and server at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::Value;
use url::Url;

use super::*;
use crate::http::{Attempts, Credentials, Outgoing};
use crate::profile::Kind;
use crate::retry::Patience;
use crate::testing::{Listener, Notes, PaperClock, Reply, Seen};

const ID: &str = "me:too";
const SECRET: &str = "s/e+s&a=m e%";
const TOKEN_PATH: &str = "/auth/realms/dev-portal/protocol/openid-connect/token";

fn with_secret(style: SecretStyle) -> Auth {
    Auth::ClientSecret { client_id: ID.to_owned(), secret: SECRET.into(), style }
}

/// A gateway of the kind `oneup-provider`, whose token endpoint needs no discovery.
fn options(server: &Listener) -> ClientOptions {
    let mut options = ClientOptions::new(Kind::OneupProvider, server.url("/"));
    options.tenant = Some("bison".to_owned());
    options.auth = with_secret(SecretStyle::Form);
    options.patience = Patience { retries: 3, ..Patience::default() };
    options
}

fn client(options: ClientOptions, clock: &Arc<PaperClock>) -> Http {
    Http::new(options, clock.clone(), Arc::new(())).unwrap()
}

fn data(server: &Listener) -> Outgoing {
    Outgoing {
        method: Method::GET,
        url: server.url("/data"),
        headers: HeaderMap::new(),
        body: None,
        credentials: Credentials::Bearer,
        attempts: Attempts::UntilAnswered,
        what: "output file",
    }
}

/// A token endpoint that numbers its tokens, and data for those who hold one that is `good`.
async fn numbering(expires_in: u64, good: impl Fn(usize) -> bool + Send + Sync + 'static) -> Listener {
    let given = AtomicUsize::new(0);
    Listener::start(move |seen| match seen.path.as_str() {
        TOKEN_PATH => {
            let token = format!("t{}", given.fetch_add(1, SeqCst) + 1);
            Reply::token(&token, expires_in).after(Duration::from_millis(30))
        }
        _ => match seen.authorization().strip_prefix("Bearer t").map(|number| good(number.parse().unwrap())) {
            Some(true) => Reply::new(200, "data"),
            _ => Reply::new(401, "who are you?"),
        },
    })
    .await
}

/// As many at once, on threads of their own.
async fn all_at_once(http: &Http, outgoing: &Outgoing, many: usize) -> Vec<Result<u16, FetchError>> {
    let tasks: Vec<_> = (0..many)
        .map(|_| {
            let (http, outgoing) = (http.clone(), outgoing.clone());
            tokio::spawn(async move { http.send(&outgoing).await.map(|answer| answer.status().as_u16()) })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_for_all_who_wait() {
    let floor = Arc::new(AtomicUsize::new(1));
    let least = floor.clone();
    let server = numbering(300, move |number| number >= least.load(SeqCst)).await;
    let (clock, outgoing) = (PaperClock::new(), data(&server));
    let http = client(options(&server), &clock);
    let tokens = || server.seen_at(TOKEN_PATH).len();
    let sent = async |expected_tokens| {
        for result in all_at_once(&http, &outgoing, 32).await {
            assert_eq!(result.unwrap(), 200);
        }
        assert_eq!(tokens(), expected_tokens);
    };
    sent(1).await;
    // Revoked at once for all: each of the 32 is refused, one renews.
    floor.store(2, SeqCst);
    sent(2).await;
    // Died of age.
    clock.advance(Duration::from_secs(300));
    sent(3).await;
    sent(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_failure_for_all_who_wait() {
    let server =
        Listener::start(|_| Reply::new(401, r#"{"error":"invalid_client"}"#).after(Duration::from_millis(100))).await;
    let http = client(options(&server), &PaperClock::new());
    for result in all_at_once(&http, &data(&server), 32).await {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Auth);
    }
    assert!(server.seen_at(TOKEN_PATH).len() <= 2, "those who came while it was asked for share the answer");
    assert!(server.seen_at("/data").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn even_a_token_without_a_life_is_shared() {
    let clock = PaperClock::new();
    let passing = clock.clone();
    let server = Listener::start(move |seen| match seen.path.as_str() {
        TOKEN_PATH => {
            // It is dead before it arrives.
            passing.advance(Duration::from_secs(1));
            Reply::token("t", 1).after(Duration::from_millis(100))
        }
        _ => Reply::new(200, "data"),
    })
    .await;
    let http = client(options(&server), &clock);
    for wave in 1..4 {
        for result in all_at_once(&http, &data(&server), 32).await {
            assert_eq!(result.unwrap(), 200);
        }
        // Who comes after the token has come gets another.
        assert!(server.seen_at(TOKEN_PATH).len() <= 2 * wave);
    }
}

#[tokio::test]
async fn renewed_ahead_of_its_end() {
    #[derive(Clone, Copy)]
    struct Life {
        answer: &'static str,
        /// Milliseconds after which it is still used, and is not any more.
        used: u64,
        renewed: u64,
        told: Option<u64>,
    }
    for Life { answer, used, renewed, told } in [
        Life { answer: r#""expires_in":2"#, used: 1_499, renewed: 1_500, told: Some(2) },
        Life { answer: r#""expires_in":1"#, used: 749, renewed: 750, told: Some(1) },
        Life { answer: r#""expires_in":60"#, used: 44_999, renewed: 45_000, told: Some(60) },
        Life { answer: r#""expires_in":300"#, used: 269_999, renewed: 270_000, told: Some(300) },
        Life { answer: r#""expires_in":"300""#, used: 269_999, renewed: 270_000, told: Some(300) },
        Life { answer: r#""expires_in":300.0"#, used: 269_999, renewed: 270_000, told: Some(300) },
        Life { answer: r#""expires_in":7200"#, used: 7_169_999, renewed: 7_170_000, told: Some(7_200) },
        Life { answer: r#""x":1"#, used: 269_999, renewed: 270_000, told: None },
        Life { answer: r#""expires_in":null"#, used: 269_999, renewed: 270_000, told: None },
        Life { answer: r#""expires_in":"soon""#, used: 269_999, renewed: 270_000, told: None },
        Life { answer: r#""expires_in":-5"#, used: 269_999, renewed: 270_000, told: None },
        Life { answer: r#""expires_in":0"#, used: 269_999, renewed: 270_000, told: None },
        Life { answer: r#""expires_in":"NaN""#, used: 269_999, renewed: 270_000, told: None },
        Life { answer: r#""expires_in":1e300"#, used: 31_622_000_000, renewed: 31_622_400_000, told: Some(31_622_400) },
    ] {
        let server = Listener::start(move |seen| match seen.path.as_str() {
            TOKEN_PATH => Reply::new(200, format!(r#"{{"access_token":"t",{answer}}}"#)),
            _ => Reply::new(200, "data"),
        })
        .await;
        let clock = PaperClock::new();
        let http = client(options(&server), &clock);
        assert_eq!(http.tokens().facts(&http).await.unwrap().seconds, told, "{answer}");
        clock.advance(Duration::from_millis(used));
        http.send(&data(&server)).await.unwrap();
        assert_eq!(server.seen_at(TOKEN_PATH).len(), 1, "{answer}: still good");
        clock.advance(Duration::from_millis(renewed - used));
        http.send(&data(&server)).await.unwrap();
        assert_eq!(server.seen_at(TOKEN_PATH).len(), 2, "{answer}: renewed");
        assert_eq!(server.seen_at("/data").len(), 2);
    }
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_is_the_end() {
    let server = numbering(300, |_| false).await;
    let http = client(options(&server), &PaperClock::new());
    let error = http.send(&data(&server)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.to_string().contains("the output file was refused (401)"), "{error}");
    assert!(error.hint().unwrap().contains("Attributed members claims data (CMS Provider Access)"));
    let sent: Vec<_> = server.seen_at("/data").iter().map(|seen| seen.authorization().to_owned()).collect();
    assert_eq!(sent, ["Bearer t1", "Bearer t2"]);
    assert_eq!(server.seen_at(TOKEN_PATH).len(), 2);
}

#[tokio::test]
async fn tokens_that_die_again_and_again() {
    // Each is good for one request: then it is refused, though it was good before.
    let used = std::sync::Mutex::new(HashSet::new());
    let server = numbering(300, move |number| used.lock().unwrap().insert(number)).await;
    let http = client(options(&server), &PaperClock::new());
    for _ in 0..6 {
        assert_eq!(http.send(&data(&server)).await.unwrap().status(), 200);
    }
    assert_eq!(server.seen_at(TOKEN_PATH).len(), 6);
}

#[tokio::test]
async fn what_cannot_be_renewed_is_refused_at_once() {
    let server = Listener::start(|_| Reply::new(401, "")).await;
    for (auth, sent, part) in
        [(Auth::Token(" ready\n".into()), "Bearer ready", "not valid"), (Auth::None, "", "demands authentication")]
    {
        let http = client(ClientOptions { auth, ..options(&server) }, &PaperClock::new());
        let error = http.send(&data(&server)).await.err().unwrap();
        assert!(error.kind() == ErrorKind::Auth && error.to_string().contains(part), "{error}");
        assert_eq!(server.seen().last().unwrap().authorization(), sent);
    }
    assert_eq!(server.seen().len(), 2);
    // Without credentials, a 401 is an answer like others.
    let http = client(options(&server), &PaperClock::new());
    let outgoing = Outgoing { credentials: Credentials::None, ..data(&server) };
    assert_eq!(http.send(&outgoing).await.unwrap().status(), 401);
}

/// The token request of a client that is changed so.
async fn token_request(change: impl Fn(&mut ClientOptions)) -> (Seen, Url) {
    let server = Listener::start(|_| Reply::token("t", 300)).await;
    let mut options = options(&server);
    change(&mut options);
    let http = client(options, &PaperClock::new());
    http.tokens().facts(&http).await.unwrap();
    assert_eq!(server.seen().len(), 1);
    let seen = server.seen().remove(0);
    assert_eq!(seen.method, Method::POST);
    assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(seen.field("grant_type").unwrap(), "client_credentials");
    let url = server.url(&seen.path);
    (seen, url)
}

#[tokio::test]
async fn the_secret_goes_as_it_is_wanted() {
    let (form, _) = token_request(|_| {}).await;
    assert_eq!((form.field("client_id").as_deref(), form.field("client_secret").as_deref()), (Some(ID), Some(SECRET)));
    assert!(form.body.contains("scope=bulk-data%7Cuser%2F*.rs"), "{}", form.body);
    assert_eq!(form.authorization(), "");

    let (basic, _) = token_request(|options| options.auth = with_secret(SecretStyle::Basic)).await;
    assert_eq!((basic.field("client_id"), basic.field("client_secret")), (None, None));
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.decode(basic.authorization().strip_prefix("Basic ").unwrap());
    assert_eq!(String::from_utf8(pair.unwrap()).unwrap(), "me%3Atoo:s%2Fe%2Bs%26a%3Dm+e%25");

    let key = PrivateKey::parse(include_str!("test_keys/keys.jwks.json"), Some("rsa-1")).unwrap();
    let auth = Auth::PrivateKeyJwt { client_id: ID.to_owned(), key, key_id: None, jku: None };
    let (signed, url) = token_request(|options| options.auth = auth.clone()).await;
    assert_eq!((signed.field("client_id"), signed.field("client_secret")), (None, None));
    assert_eq!(
        signed.field("client_assertion_type").unwrap(),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    let public = jsonwebtoken::DecodingKey::from_rsa_pem(include_bytes!("test_keys/rsa_public.pem")).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS384);
    validation.set_audience(&[url]);
    // The paper clock stands at another time.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Value>(&signed.field("client_assertion").unwrap(), &public, &validation);
    assert_eq!(claims.unwrap().claims["iss"], ID);
}

#[tokio::test]
async fn scopes_are_the_users_or_the_kinds() {
    #[track_caller]
    fn check(seen: &Seen, expected: Option<&str>) {
        assert_eq!(seen.field("scope").as_deref(), expected);
    }
    check(&token_request(|_| {}).await.0, Some("bulk-data|user/*.rs"));
    check(&token_request(|options| options.kind = Kind::OneupPayer).await.0, Some("member-match|read"));
    check(&token_request(|options| options.scope = Some("a b|c".to_owned())).await.0, Some("a b|c"));
    check(&token_request(|options| options.scope = Some(String::new())).await.0, None);
    let (population, url) = token_request(|options| options.kind = Kind::OneupPopulation).await;
    check(&population, None);
    assert_eq!(url.path(), "/auth/realms/bison/protocol/openid-connect/token");
}

#[tokio::test]
async fn each_attempt_signs_anew() {
    let count = AtomicUsize::new(0);
    let server = Listener::start(move |_| match count.fetch_add(1, SeqCst) {
        0 => Reply::new(503, "").header("retry-after", "9"),
        1 => Reply::new(429, ""),
        _ => Reply::token("t", 300),
    })
    .await;
    let key = PrivateKey::parse(include_str!("test_keys/ec_pkcs8.pem"), None).unwrap();
    let auth = Auth::PrivateKeyJwt { client_id: ID.to_owned(), key, key_id: None, jku: None };
    let (clock, notes) = (PaperClock::new(), Arc::new(Notes::default()));
    let http = Http::new(ClientOptions { auth, ..options(&server) }, clock.clone(), notes.clone()).unwrap();
    http.tokens().facts(&http).await.unwrap();
    let assertions: HashSet<_> = server.seen().iter().map(|seen| seen.field("client_assertion").unwrap()).collect();
    assert_eq!(assertions.len(), 3);
    assert!(clock.waits()[0] >= Duration::from_secs(9) && clock.waits().len() == 2);
    let notes = notes.all();
    assert!(notes[0].contains("Retry { what: \"token request\", attempt: 1, of: 3"), "{notes:?}");
    assert_eq!(notes[2], "TokenObtained { seconds: Some(300) }");
}

#[tokio::test]
async fn a_token_endpoint_out_of_order_is_asked_so_often_and_no_more() {
    let server = Listener::start(|_| Reply::new(503, "")).await;
    let http = client(options(&server), &PaperClock::new());
    let error = http.send(&data(&server)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(error.to_string(), "the token request was answered with 503 Service Unavailable, also after 3 retries");
    assert_eq!(server.seen().len(), 4, "loops inside loops do not multiply");
}

#[tokio::test]
async fn refusals_and_absurd_answers() {
    async fn check(status: u16, body: &str, kind: ErrorKind, message: &str, hint: &str) {
        let body = body.to_owned();
        let server = Listener::start(move |_| Reply::new(status, body.clone())).await;
        let http = client(options(&server), &PaperClock::new());
        let error = http.tokens().facts(&http).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.to_string().len() < 500, "{error}");
        let got = error.hint().unwrap_or_default();
        assert!(got.contains(hint) && got.is_empty() == hint.is_empty(), "{got}");
        for secret in [SECRET, "sesame", "\n", "\u{1b}"] {
            assert!(!format!("{error:?}").contains(secret), "{error:?}");
        }
        assert_eq!(server.seen().len(), 1);
    }
    use ErrorKind::{Auth, NotData, Transport};
    let provider = "Attributed members claims data (CMS Provider Access)";
    check(401, r#"{"error":"invalid_client"}"#, Auth, "401 Unauthorized, invalid_client", provider).await;
    check(400, r#"{"error":"invalid_client"}"#, Auth, "invalid_client", "client id and secret").await;
    check(400, r#"{"error":"invalid_scope"}"#, Auth, "400 Bad Request, invalid_scope", "--scope").await;
    check(403, r#"{"error":"unauthorized_client"}"#, Auth, "unauthorized_client", provider).await;
    let echo = format!(r#"{{"error":"invalid_client","error_description":"no\n\u001b[31m {SECRET}  here"}}"#);
    check(401, &echo, Auth, "invalid_client: no [31m … here", provider).await;
    check(401, "<html>sesame</html>", Auth, "401 Unauthorized", "base URL, tenant and token URL").await;
    check(404, "", Auth, "404 Not Found", "token URL").await;
    check(400, &format!(r#"{{"error":"{}"}}"#, "sesame".repeat(9)), Auth, "400 Bad Request, …", provider).await;
    check(400, &format!(r#"{{"error":"{}"}}"#, "no ".repeat(9_000)), Auth, "no no no", provider).await;
    check(501, "", Transport, "501 Not Implemented", "").await;
    check(200, "", Auth, "not a JSON object", "--token-url").await;
    check(200, "<html>sesame</html>", Auth, "not a JSON object", "--token-url").await;
    check(200, "[]", Auth, "not a JSON object", "--token-url").await;
    check(200, &"[".repeat(10_000), Auth, "not a JSON object", "--token-url").await;
    check(200, "{}", Auth, "no access_token", "").await;
    check(200, r#"{"access_token":7}"#, Auth, "no access_token", "").await;
    check(200, r#"{"access_token":""}"#, Auth, "no header can carry", "").await;
    check(200, r#"{"access_token":"sesame\r\nX-A: b"}"#, Auth, "no header can carry", "").await;
    check(200, r#"{"access_token":"sesamé"}"#, Auth, "no header can carry", "").await;
    check(200, r#"{"access_token":"sesame","token_type":"mac"}"#, Auth, "no bearer token", "").await;
    check(200, &"x".repeat(2 << 20), NotData, "longer than", "").await;
}

#[tokio::test]
async fn the_secret_follows_no_redirect_abroad() {
    let other = Listener::start(|_| Reply::token("t", 300)).await;
    let to = other.url("/token").to_string();
    let server = Listener::start(move |_| Reply::redirect(307, &to)).await;
    for style in [SecretStyle::Form, SecretStyle::Basic] {
        let http = client(ClientOptions { auth: with_secret(style), ..options(&server) }, &PaperClock::new());
        let error = http.tokens().facts(&http).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UntrustedOrigin);
        assert!(error.hint().unwrap().contains(&format!("--trust-origin {}", other.origin)));
    }
    assert!(other.seen().is_empty());
    let trusted_origins = vec![other.origin.parse().unwrap()];
    let http = client(ClientOptions { trusted_origins, ..options(&server) }, &PaperClock::new());
    assert!(http.tokens().facts(&http).await.is_ok());
    assert_eq!(other.seen()[0].field("client_secret").unwrap(), SECRET);
}

/// A SMART server that names the token endpoint in these documents; empty: it has none.
async fn smart(configuration: &str, metadata: &str) -> Listener {
    let documents = [configuration.to_owned(), metadata.to_owned()];
    Listener::start(move |seen| {
        let document = match seen.path.as_str() {
            "/fhir/.well-known/smart-configuration" => &documents[0],
            "/fhir/metadata" => &documents[1],
            "/fhir/token" => return Reply::new(200, r#"{"access_token":"t","scope":"system/*.rs"}"#),
            _ => return Reply::new(599, ""),
        };
        let origin = format!("http://{}", seen.header("host"));
        if document.is_empty() {
            Reply::new(404, "none")
        } else {
            Reply::new(200, document.replace("{origin}", &origin))
        }
    })
    .await
}

async fn smart_facts(server: &Listener, change: impl Fn(&mut ClientOptions)) -> Result<TokenFacts, FetchError> {
    let mut options = ClientOptions::new(Kind::Smart, server.url("/fhir"));
    options.auth = with_secret(SecretStyle::Form);
    change(&mut options);
    let http = client(options, &PaperClock::new());
    let facts = http.tokens().facts(&http).await;
    // Found once.
    assert_eq!(http.tokens().facts(&http).await.is_ok(), facts.is_ok());
    facts
}

const CONFIGURATION: &str = r#"{"token_endpoint":"{origin}/fhir/token"}"#;

fn statement(extension: &str) -> String {
    let uris = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";
    format!(
        r#"{{"resourceType":"CapabilityStatement","rest":[{{"mode":"client"}},{{"security":{{"extension":[
            {{"url":"http://other.example"}},{{"url":"{uris}","extension":[{{"url":"register"}},{extension}]}}]}}}}]}}"#
    )
}

#[tokio::test]
async fn the_server_says_where_tokens_are() {
    async fn check(configuration: &str, metadata: &str, source: EndpointSource) {
        let server = smart(configuration, metadata).await;
        let facts = smart_facts(&server, |_| {}).await.unwrap();
        let endpoint = facts.endpoint.unwrap();
        assert_eq!((endpoint.url.expose().path(), endpoint.source), ("/fhir/token", source));
        assert_eq!((facts.seconds, facts.scopes.as_deref()), (None, Some("system/*.rs")));
        for seen in server.seen() {
            assert_eq!(seen.authorization(), "");
            assert_eq!(seen.method == Method::POST, seen.path == "/fhir/token");
        }
        assert!(server.seen().len() <= 3, "each document is asked for once");
    }
    use EndpointSource::{CapabilityStatement, SmartConfiguration};
    let token = statement(r#"{"url":"token","valueUri":"{origin}/fhir/token"}"#);
    check(CONFIGURATION, &token, SmartConfiguration).await;
    check(CONFIGURATION, "", SmartConfiguration).await;
    check(r#"{"token_endpoint":"/fhir/token"}"#, "", SmartConfiguration).await;
    for without in ["", "{}", "[]", "<html>", r#"{"token_endpoint":7}"#] {
        check(without, &token, CapabilityStatement).await;
    }
    check("", &statement(r#"{"url":"token","valueUrl":"token"}"#), CapabilityStatement).await;
}

#[tokio::test]
async fn a_server_may_say_nothing() {
    for metadata in
        ["", "{}", r#"{"rest":{}}"#, r#"{"rest":[7]}"#, &statement(r#"{"url":"token"}"#), &"[".repeat(9_000)]
    {
        let error = smart_facts(&smart("", metadata).await, |_| {}).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Auth && error.hint().unwrap().contains("--token-url"), "{error:?}");
    }
}

#[tokio::test]
async fn a_foreign_token_endpoint_is_the_users_to_name() {
    let other = Listener::start(|_| Reply::token("t", 300)).await;
    let foreign = format!(r#"{{"token_endpoint":"{}/token"}}"#, other.origin);
    let old = statement(&format!(r#"{{"url":"token","valueUri":"{}/token"}}"#, other.origin));
    for (configuration, metadata) in [(foreign.as_str(), ""), ("", old.as_str())] {
        let server = smart(configuration, metadata).await;
        let error = smart_facts(&server, |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UntrustedOrigin);
        assert!(error.hint().unwrap().contains(&format!("--trust-origin {}", other.origin)));
        assert!(other.seen().is_empty());
    }
    for (named, part) in [
        ("http://payer.example/token", "plain http"),
        ("https://me:sesame@payer.example/token", "user name"),
        ("file:///etc/passwd", "scheme file"),
    ] {
        let server = smart(&format!(r#"{{"token_endpoint":"{named}"}}"#), "").await;
        let error = smart_facts(&server, |_| {}).await.unwrap_err();
        assert!(error.kind() == ErrorKind::UntrustedOrigin && error.to_string().contains(part), "{error}");
    }
    let server = smart(&foreign, "").await;
    smart_facts(&server, |options| options.trusted_origins = vec![other.origin.parse().unwrap()]).await.unwrap();
    let facts = smart_facts(&server, |options| options.token_url = Some(other.url("/named"))).await.unwrap();
    assert_eq!(facts.endpoint.unwrap().source, EndpointSource::Configured);
    let paths: Vec<_> = other.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(paths, ["/token", "/named"]);
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let key = PrivateKey::parse(include_str!("test_keys/rsa_pkcs1.pem"), None).unwrap();
    for auth in [
        with_secret(SecretStyle::Basic),
        Auth::Token("sesame".into()),
        Auth::PrivateKeyJwt { client_id: ID.to_owned(), key, key_id: None, jku: None },
    ] {
        let shown = format!("{auth:?}");
        for secret in [SECRET, "sesame", "MII", "content"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let lease = bearer("sesame").unwrap();
    assert_eq!(format!("{lease:?}"), "Sensitive");
}

/// A token that is asked for while nobody waits any more is not lost to the next one who asks.
#[tokio::test]
async fn who_stops_waiting_leaves_the_place_free() {
    let asked = Arc::new(AtomicBool::new(false));
    let first = asked.clone();
    let server = Listener::start(move |_| {
        let slow = if first.swap(true, SeqCst) { Duration::ZERO } else { Duration::from_secs(60) };
        Reply::token("t", 300).after(slow)
    })
    .await;
    let http = client(options(&server), &PaperClock::new());
    let waiting = tokio::spawn({
        let http = http.clone();
        async move { http.tokens().facts(&http).await.is_ok() }
    });
    while !asked.load(SeqCst) {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    let facts = tokio::time::timeout(Duration::from_secs(10), http.tokens().facts(&http)).await;
    assert_eq!(facts.expect("the place is free").unwrap().seconds, Some(300));
}
