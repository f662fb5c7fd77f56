//! Against a listener on loopback.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::origin::PlainHttp;
use crate::profile::Kind;
use crate::retry::Patience;
use crate::testing::{Listener, Notes, PaperClock, Reply};
use crate::token::Auth;

const TOKEN: &str = "ready-token";

fn options(base: &str) -> ClientOptions {
    let mut options = ClientOptions::new(Kind::Smart, Url::parse(base).unwrap());
    options.auth = Auth::Token(TOKEN.into());
    options.patience = Patience { retries: 3, idle_timeout: Duration::from_millis(300), ..Patience::default() };
    options
}

fn client(options: ClientOptions) -> Http {
    Http::new(options, PaperClock::new(), Arc::new(())).unwrap()
}

fn get(url: Url, credentials: Credentials, attempts: Attempts) -> Outgoing {
    let (method, headers) = (Method::GET, HeaderMap::new());
    Outgoing { method, url, headers, body: None, credentials, attempts, what: "status request" }
}

#[tokio::test]
async fn each_redirect_changes_what_it_should() {
    let server = Listener::start(|seen| match seen.path.strip_prefix("/to/") {
        Some(status) => Reply::redirect(status.parse().unwrap(), "/end"),
        None => Reply::new(200, "done"),
    })
    .await;
    let http = client(options(&server.origin));
    let mut expected = Vec::new();
    for (status, method, becomes, body_after) in [
        (301, Method::GET, Method::GET, ""),
        (302, Method::GET, Method::GET, ""),
        (303, Method::GET, Method::GET, ""),
        (307, Method::GET, Method::GET, ""),
        (308, Method::GET, Method::GET, ""),
        (301, Method::POST, Method::POST, "asked"),
        (302, Method::POST, Method::POST, "asked"),
        (307, Method::POST, Method::POST, "asked"),
        (308, Method::POST, Method::POST, "asked"),
        (303, Method::DELETE, Method::GET, ""),
        (301, Method::DELETE, Method::DELETE, ""),
        (308, Method::DELETE, Method::DELETE, ""),
    ] {
        let body = (method == Method::POST).then(|| Bytes::from("asked"));
        let url = server.url(&format!("/to/{status}"));
        let outgoing = Outgoing { method, body, ..get(url, Credentials::Bearer, Attempts::Once) };
        let answer = http.send(&outgoing).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.url().path()), (200, "/end"));
        assert_eq!(answer.text(100).await.unwrap(), b"done");
        expected.push((becomes, body_after.to_owned()));
    }
    let ends = server.seen_at("/end");
    let got: Vec<_> = ends.iter().map(|seen| (seen.method.clone(), seen.body.clone())).collect();
    assert_eq!(got, expected);
    assert!(ends.iter().all(|seen| seen.authorization() == format!("Bearer {TOKEN}")));
    assert!(ends.iter().all(|seen| seen.header("user-agent").starts_with("lakehaul/")));
    assert!(ends.iter().all(|seen| seen.header("referer").is_empty()));

    // A GET would not ask for what the body asks for.
    let body = Some(Bytes::from("asked"));
    let outgoing =
        Outgoing { method: Method::POST, body, ..get(server.url("/to/303"), Credentials::Bearer, Attempts::Once) };
    assert_eq!(http.send(&outgoing).await.unwrap().status(), 303);
    assert_eq!(server.seen_at("/end").len(), ends.len());
}

#[tokio::test]
async fn a_token_stays_at_home() {
    let other = Listener::start(|seen| match seen.path.strip_prefix("/back/") {
        Some(to) => Reply::redirect(307, format!("http://{to}")),
        None => Reply::new(200, "other"),
    })
    .await;
    let elsewhere = format!("{}/end", other.origin);
    let home = Listener::start(move |seen| match seen.path.strip_prefix("/to/") {
        Some(status) => Reply::redirect(status.parse().unwrap(), &elsewhere),
        None => Reply::new(200, "home"),
    })
    .await;
    let http = client(options(&home.origin));
    for status in [301, 302, 303, 307, 308] {
        let url = home.url(&format!("/to/{status}"));
        let answer = http.send(&get(url, Credentials::Bearer, Attempts::Once)).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    // Two hops, out and home again: only the home may have it.
    let back = other.url(&format!("/back/{}/end", home.origin.trim_start_matches("http://")));
    assert_eq!(http.send(&get(back, Credentials::Bearer, Attempts::Once)).await.unwrap().url().path(), "/end");
    assert_eq!(home.seen_at("/end").len(), 1);
    assert_eq!(other.seen().len(), 6);
    for seen in other.seen() {
        assert_eq!(seen.authorization(), "", "{}", seen.path);
    }
    assert!(home.seen().iter().all(|seen| seen.authorization() == format!("Bearer {TOKEN}")));

    let answer = http.send(&get(home.url("/x"), Credentials::None, Attempts::Once)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(home.seen_at("/x")[0].authorization(), "");

    // What a request carries besides does not leave either; a trusted origin gets all of it.
    let mut outgoing = get(home.url("/to/307"), Credentials::Bearer, Attempts::Once);
    outgoing.headers.insert(COOKIE, "secret".parse().unwrap());
    http.send(&outgoing).await.unwrap();
    assert_eq!(other.seen().last().unwrap().header("cookie"), "");
    let trusting = ClientOptions { trusted_origins: vec![other.origin.parse().unwrap()], ..options(&home.origin) };
    client(trusting).send(&outgoing).await.unwrap();
    assert_eq!(other.seen().last().unwrap().header("cookie"), "secret");
    assert_eq!(other.seen().last().unwrap().authorization(), format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn what_is_not_followed() {
    let other = Listener::start(|_| Reply::new(200, "other")).await;
    let home = Listener::start(|seen| Reply::redirect(307, seen.path.split_once("?to=").unwrap().1)).await;
    let https_home =
        |plain_http| OriginPolicy { home: "https://payer.example".parse().unwrap(), trusted: Vec::new(), plain_http };
    let http = client(options(&home.origin));
    #[track_caller]
    fn check(error: &FetchError, kind: ErrorKind, part: &str) {
        assert!(error.kind() == kind && error.to_string().contains(part), "{error:?}");
        assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
        assert!(!error.is_transient());
    }
    for (to, part) in [
        ("http://me:sesame@127.0.0.1:1/", "user name or password"),
        ("http://me@payer.example/", "user name or password"),
        ("http://payer.example/?sesame", "plain http, to http://payer.example"),
        ("ftp://payer.example/sesame", "scheme ftp"),
        ("file:///etc/sesame", "scheme file"),
    ] {
        let error =
            http.send(&get(home.url(&format!("/?to={to}")), Credentials::Bearer, Attempts::UntilAnswered)).await;
        check(&error.err().unwrap(), ErrorKind::UntrustedOrigin, part);
    }
    // Patients' references in a body are as good as a credential.
    let post = Outgoing {
        method: Method::POST,
        body: Some(Bytes::from("patients")),
        ..get(home.url(&format!("/?to={}/x", other.origin)), Credentials::Bearer, Attempts::UntilAnswered)
    };
    let error = http.send(&post).await.err().unwrap();
    check(&error, ErrorKind::UntrustedOrigin, "patients included");
    assert_eq!(
        error.hint().unwrap(),
        format!("If that origin is the payer's own, say --trust-origin {}.", other.origin)
    );
    assert!(other.seen().is_empty());

    let round = Listener::start(|_| Reply::redirect(302, "/")).await;
    let error =
        client(options(&round.origin)).send(&get(round.url("/"), Credentials::None, Attempts::UntilAnswered)).await;
    check(&error.err().unwrap(), ErrorKind::Transport, "more than 5 times");
    assert_eq!(round.seen().len(), MAX_REDIRECTS + 1);

    // From https to http, loopback included: a handshake cannot be had here, so the rule is asked itself.
    let (from, to) = (Url::parse("https://payer.example/").unwrap(), Url::parse("http://127.0.0.1/").unwrap());
    let error = https_home(PlainHttp::LoopbackOnly).admit_redirect(&from, &to, "output file").unwrap_err();
    check(&error, ErrorKind::UntrustedOrigin, "from https to plain http");
    assert!(https_home(PlainHttp::Allowed).admit_redirect(&from, &to, "output file").is_ok());
    assert!(https_home(PlainHttp::LoopbackOnly).admit_redirect(&to, &from, "output file").is_ok());
}

#[tokio::test]
async fn statuses_that_are_final_are_answers() {
    let server = Listener::start(|seen| Reply::new(seen.path[1..].parse().unwrap(), "said")).await;
    let http = client(options(&server.origin));
    for status in [200, 202, 204, 206, 300, 304, 400, 403, 404, 409, 410, 416, 422, 501, 505, 599] {
        let outgoing = get(server.url(&format!("/{status}")), Credentials::Bearer, Attempts::UntilAnswered);
        assert_eq!(http.send(&outgoing).await.unwrap().status().as_u16(), status);
    }
    // Once: even these.
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let answer =
            http.send(&get(server.url(&format!("/{status}")), Credentials::Bearer, Attempts::Once)).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    // A redirect without a target is an answer.
    let answer = http.send(&get(server.url("/302"), Credentials::Bearer, Attempts::Once)).await.unwrap();
    assert_eq!(answer.status(), 302);
}

#[tokio::test]
async fn transient_failures_are_ridden_out() {
    let count = AtomicUsize::new(0);
    let server = Listener::start(move |_| match count.fetch_add(1, SeqCst) {
        0 => Reply::new(503, "later").header("retry-after", "40"),
        1 => Reply::new(429, "later").header("retry-after", "1795319406"),
        2 => Reply::new(500, "later").header("retry-after", "Sun, 01 Mar 2026 12:00:00 GMT"),
        _ => Reply::new(200, "now"),
    })
    .await;
    let (clock, notes) = (PaperClock::new(), Arc::new(Notes::default()));
    let http = Http::new(options(&server.origin), clock.clone(), notes.clone()).unwrap();
    let outgoing = get(server.url("/"), Credentials::Bearer, Attempts::UntilAnswered);
    assert_eq!(http.send_whole(&outgoing, 100).await.unwrap().body, b"now");
    let waits = clock.waits();
    assert_eq!(waits.len(), 3);
    assert!((40..=44).contains(&waits[0].as_secs()), "{waits:?}");
    assert_eq!(waits[1], Duration::from_secs(300));
    assert!(waits[2] <= Duration::from_secs(2), "{waits:?}");
    let notes = notes.all();
    assert_eq!(notes.len(), 3);
    assert!(notes[0].contains("attempt: 1, of: 3") && notes[0].contains("503 Service Unavailable"), "{notes:?}");
}

#[tokio::test]
async fn retries_come_to_an_end() {
    let server = Listener::start(|_| Reply::new(502, "<html>gateway of patient 17</html>")).await;
    let http = client(options(&server.origin));
    let error = http.send(&get(server.url("/"), Credentials::Bearer, Attempts::UntilAnswered)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(error.to_string(), "the status request was answered with 502 Bad Gateway, also after 3 retries");
    assert!(!error.is_transient());
    assert_eq!(server.seen().len(), 4);
}

/// A peer that speaks no HTTP of its own accord: reads a request, says `says`, and hangs up or is silent.
async fn rude(says: &'static [u8], silence: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::<AtomicUsize>::default();
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, SeqCst);
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(says).await;
                tokio::time::sleep(silence).await;
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn peers_that_break_off_or_fall_silent() {
    const FOREVER: Duration = Duration::from_secs(60);
    for (says, silence, part) in [
        (&b""[..], Duration::ZERO, "no answer"),
        (b"", FOREVER, "was silent for 300ms"),
        (b"HTTP/1.1 200 OK\r\nContent-", Duration::ZERO, "no answer"),
        (b"HTTP/1.1 200 OK\r\nContent-", FOREVER, "was silent"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", Duration::ZERO, "no answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsome", Duration::ZERO, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsome", FOREVER, "was silent"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", Duration::ZERO, "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Duration::ZERO, "broke off"),
    ] {
        let (address, count) = rude(says, silence).await;
        let http = client(options(&format!("http://{address}")));
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        let once = http.send_whole(&get(url.clone(), Credentials::None, Attempts::Once), 100).await.err().unwrap();
        assert!(once.is_transient() && once.to_string().contains(part), "{once}");
        let error = http.send_whole(&get(url, Credentials::None, Attempts::UntilAnswered), 100).await.err().unwrap();
        assert!(!error.is_transient() && error.to_string().ends_with("also after 3 retries"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert_eq!(count.load(SeqCst), 5, "{error}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let http = client(options(&format!("http://{closed}")));
    let url = Url::parse(&format!("http://{closed}/?sesame")).unwrap();
    let error = http.send(&get(url, Credentials::None, Attempts::UntilAnswered)).await.err().unwrap();
    assert!(error.to_string().contains("cannot connect to http://127.0.0.1:"), "{error}");
    assert!(error.to_string().contains("efused") && !format!("{error:?}").contains("sesame"), "{error:?}");
}

#[tokio::test]
async fn a_long_answer_to_a_short_question_is_refused() {
    let server = Listener::start(|_| Reply::new(200, "x".repeat(1001))).await;
    let http = client(options(&server.origin));
    let outgoing = get(server.url("/"), Credentials::None, Attempts::UntilAnswered);
    assert_eq!(http.send_whole(&outgoing, 1001).await.unwrap().body.len(), 1001);
    let error = http.send_whole(&outgoing, 1000).await.err().unwrap();
    assert!(error.to_string().contains("longer than 1000 bytes"), "{error}");
    assert_eq!(server.seen().len(), 2, "it is not asked for again");
}

#[tokio::test]
async fn a_peer_that_cannot_shake_hands_is_not_asked_again() {
    // Not TLS at all; and a fatal alert, handshake_failure.
    for says in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x03\x00\x02\x02\x28"] {
        let (address, count) = rude(says, Duration::ZERO).await;
        let http = client(options(&format!("https://{address}")));
        let url = Url::parse(&format!("https://{address}/")).unwrap();
        let error = http.send(&get(url, Credentials::Bearer, Attempts::UntilAnswered)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
        assert!(error.hint().unwrap().contains("--ca-cert"));
        assert_eq!(count.load(SeqCst), 1);
    }
}

#[test]
fn options_that_do_not_fit_together() {
    #[track_caller]
    fn check(change: impl Fn(&mut ClientOptions), part: &str) {
        let mut options = options("https://payer.example");
        change(&mut options);
        let error = Http::new(options, PaperClock::new(), Arc::new(())).err().unwrap();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(part), "{error}");
        assert!(!format!("{error:?}").contains("sesame"));
    }
    let url = |text: &str| Url::parse(text).unwrap();
    check(|options| options.base_url = url("http://payer.example"), "plain http");
    check(|options| options.base_url = url("https://me:sesame@payer.example"), "user name");
    check(|options| options.base_url = url("file:///sesame"), "neither https nor http");
    check(|options| options.token_url = Some(url("http://payer.example/token")), "plain http");
    check(|options| options.token_url = Some(url("https://me:sesame@payer.example/")), "user name");
    check(|options| options.kind = Kind::OneupProvider, "needs a tenant");
    check(|options| options.ca_certificates = vec![b"sesame".to_vec()], "no PEM certificate");
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check(|options| options.ca_certificates = vec![damaged.into()], "cannot be used");
    check(|options| options.auth = Auth::Token("two words".into()), "one word");
    check(|options| options.auth = Auth::Token("".into()), "one word");
}

#[test]
fn the_seed_decides_the_jitter() {
    let draw = |seed| {
        let http = client(ClientOptions { seed, ..options("https://payer.example") });
        let numbers: Vec<u64> = (0..4).map(|_| http.rng().u64(..)).collect();
        numbers
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[tokio::test]
async fn a_gateways_other_names_lead_home() {
    let mut options = options("http://127.0.0.1:9");
    (options.kind, options.tenant) = (Kind::OneupProvider, Some("bison".to_owned()));
    options.trusted_origins = vec!["https://trusted.example".parse().unwrap()];
    let http = client(options);
    for (url, expected) in [
        ("https://gateway.example/v1/bison/job", "http://127.0.0.1:9/v1/bison/job"),
        ("https://trusted.example/v1/bison/job", "https://trusted.example/v1/bison/job"),
        ("https://gateway.example/v1/other/job", "https://gateway.example/v1/other/job"),
    ] {
        assert_eq!(http.at_home(Url::parse(url).unwrap()).as_str(), expected);
    }
}
