//! Each fault, seen on the wire by a plain client.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

mod client;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use client::{Ask, End, Got, Wire, first_file, kick_off, manifest, status, token, urls};
use lakehaul_sim::{
    Answer, At, Authorization, Compressed, Endpoint, Fault, Framing, Gzip, Hangup, Origin, Personality, RedirectTo,
    RetryAfter, Rule, Scenario, ServedFile, Sim, Target, When, WrongRange,
};

use Personality::{OneupProvider, Smart};

const BODY: &[u8] = b"{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\"2\"}\n";

/// A pause that a test can afford, and that no machine takes by itself.
const PAUSE: Duration = Duration::from_millis(300);

fn one_file() -> Scenario {
    Scenario::new(Smart).file(ServedFile::new("Patient", BODY))
}

/// Asks once for the one file under this fault.
#[track_caller]
fn faulty(scenario: Scenario, fault: Fault) -> Got {
    let sim = Sim::start(scenario.fault(Target::AnyFile, When::Always, fault)).unwrap();
    first_file(&sim, Smart).send()
}

#[test]
fn answers_are_replaced() {
    for (fault, status, content_type, body) in [
        (Fault::status(503), 503, None, ""),
        (Fault::status(418).body("text/plain", "teapot"), 418, Some("text/plain"), "teapot"),
        (Fault::empty(), 200, Some("application/fhir+ndjson"), ""),
        (Fault::answer(Answer::new(207).body("a/b", "c")), 207, Some("a/b"), "c"),
        (Fault::stall_headers(Duration::ZERO).body("text/plain", "x"), 200, Some("text/plain"), "x"),
    ] {
        let got = faulty(one_file(), fault).expect(status);
        assert_eq!((got.header("content-type"), got.text().as_str()), (content_type, body));
    }
    let html = faulty(one_file(), Fault::html()).expect(200);
    assert!(html.header("content-type").unwrap().starts_with("text/html") && html.body.starts_with(b"<!DOCTYPE"));
    let outcome = faulty(one_file(), Fault::operation_outcome(500, "out of order")).expect(500).json();
    assert_eq!(outcome["issue"][0]["details"]["text"], "out of order");
    let told = faulty(one_file(), Fault::status(503).header("X-Told", "yes"));
    assert_eq!(told.header("x-told"), Some("yes"));
}

#[test]
fn every_endpoint_can_fail() {
    let sim = Sim::start(one_file().page_size(1).file(ServedFile::new("Claim", "{}\n"))).unwrap();
    let ready = sim.credentials().token;
    let location = kick_off(&sim, Smart);
    let body = status(&sim, &location).expect(200).json();
    let export = || Ask::get(format!("{}/$export", sim.fhir_base())).header("Prefer", "respond-async");
    type Request<'a> = Box<dyn Fn() -> Ask + 'a>;
    let cases: [(Endpoint, Request<'_>); 8] = [
        (Endpoint::Token, Box::new(|| Ask::form(sim.token_url(), &[("a", "b")]))),
        (Endpoint::KickOff, Box::new(export)),
        (Endpoint::Status, Box::new(|| Ask::get(&location))),
        (Endpoint::ManifestPage, Box::new(|| Ask::get(body["link"][0]["url"].as_str().unwrap()))),
        (Endpoint::Metadata, Box::new(|| Ask::get(format!("{}/metadata", sim.fhir_base())))),
        (
            Endpoint::SmartConfiguration,
            Box::new(|| Ask::get(format!("{}/.well-known/smart-configuration", sim.fhir_base()))),
        ),
        (Endpoint::File(0), Box::new(|| Ask::get(&urls(&body)[0]))),
        (Endpoint::Delete, Box::new(|| Ask::new("DELETE", &location))),
    ];
    for (endpoint, ask) in &cases {
        sim.set_faults(vec![Rule::new(*endpoint, When::First(1), Fault::status(503).retry_after(3))]);
        for (other, ask) in &cases {
            if other != endpoint && *other != Endpoint::Delete {
                assert_ne!(ask().send().status, 503, "{endpoint:?} touches {other:?}");
            }
        }
        let got = ask().bearer(&ready).send().expect(503);
        assert_eq!(got.header("retry-after"), Some("3"), "{endpoint:?}");
        assert_ne!(ask().bearer(&ready).send().status, 503, "{endpoint:?}, again");
    }
}

#[test]
fn retry_after_says_what_it_is_told() {
    for text in ["soon", "-5", "1795319406", "7"] {
        let got = faulty(one_file(), Fault::status(429).retry_after(text)).expect(429);
        assert_eq!(got.header("retry-after"), Some(text));
    }
    let got = faulty(one_file(), Fault::status(429).retry_after(RetryAfter::Date(Duration::from_secs(60)))).expect(429);
    let date = httpdate::parse_http_date(got.header("retry-after").unwrap()).unwrap();
    let ahead = date.duration_since(SystemTime::now()).unwrap().as_secs();
    assert!((57..=60).contains(&ahead), "{ahead}");
    assert_eq!(faulty(one_file(), Fault::default().retry_after(9)).expect(200).header("retry-after"), Some("9"));
}

#[test]
fn bodies_are_cut_where_they_are_to_be() {
    let length = BODY.len() as u64;
    for framing in [Framing::Length, Framing::Chunked, Framing::UntilClose] {
        for (at, bytes) in
            [(At::Body(0), 0), (At::Body(1), 1), (At::Body(36), 36), (At::FromEnd(1), length - 1), (At::File(20), 20)]
        {
            for (fault, end) in [(Fault::reset_at(at), End::Reset), (Fault::truncate_at(at), End::Closed)] {
                let scenario = one_file().each_file(|file| file.framing(framing));
                let got = faulty(scenario, fault);
                let expected = &BODY[..usize::try_from(bytes).unwrap()];
                assert_eq!((got.status, got.body.as_slice(), got.end), (200, expected, end), "{framing:?} {at:?}");
            }
        }
        // Behind the last byte only a chunked body can be cut short.
        let got = faulty(one_file().each_file(|file| file.framing(framing)), Fault::truncate_at(length));
        assert_eq!(got.body, BODY);
        let end = if framing == Framing::Length { End::Whole } else { End::Closed };
        assert_eq!(got.end, end, "{framing:?}");
        // A byte that is not there is no fault.
        let got = faulty(one_file().each_file(|file| file.framing(framing)), Fault::reset_at(length + 1));
        let end = if framing == Framing::UntilClose { End::Closed } else { End::Whole };
        assert_eq!((got.body.as_slice(), got.end), (BODY, end));
    }
}

#[test]
fn compressed_and_streamed_bodies_are_cut_too() {
    let gzip = Compressed::Always(Gzip::OneMember);
    let whole = faulty(one_file().each_file(|file| file.compressed(gzip)), Fault::default()).expect(200).body;
    let got = faulty(one_file().each_file(|file| file.compressed(gzip)), Fault::truncate_at(At::FromEnd(8)));
    assert_eq!((got.body.as_slice(), got.end), (&whole[..whole.len() - 8], End::Closed));

    let lines: Vec<bytes::Bytes> = (0..9).map(|_| bytes::Bytes::from_static(BODY)).collect();
    let streamed = ServedFile::streamed("Patient", None, move || lines.clone().into_iter());
    let scenario = Scenario::new(Smart).file(streamed);
    let got = faulty(scenario, Fault::reset_at(At::FromEnd(5)));
    assert_eq!((got.body.len(), got.end), (9 * BODY.len() - 5, End::Reset));
}

#[test]
fn a_cut_of_the_file_holds_for_a_client_that_resumes() {
    let sim = Sim::start(one_file().fault("Patient.1.ndjson", When::Always, Fault::reset_at(At::File(30)))).unwrap();
    let ask = |range: &str| first_file(&sim, Smart).header("Range", range).send();
    let got = ask("bytes=10-");
    assert_eq!((got.status, got.body.as_slice(), got.end), (206, &BODY[10..30], End::Reset));
    let got = ask("bytes=30-");
    assert_eq!((got.status, got.body.len(), got.end), (206, 0, End::Reset));
    sim.set_faults(vec![Rule::new(Endpoint::File(0), When::Always, Fault::reset_at(4))]);
    assert_eq!(ask("bytes=30-").body, &BODY[30..34]);
}

#[test]
fn no_answer_is_none() {
    for (hangup, end) in [(Hangup::Close, End::Closed), (Hangup::Reset, End::Reset)] {
        let got = faulty(one_file(), Fault::no_answer(hangup));
        assert_eq!((got.status, got.end), (0, end));
    }
}

#[test]
fn stalls_last_as_long_as_told() {
    let got = faulty(one_file(), Fault::stall_headers(PAUSE));
    assert_eq!((got.body.as_slice(), got.end), (BODY, End::Whole));
    assert!(got.took >= PAUSE, "{got:?}");

    let got = faulty(one_file(), Fault::stall_at(10, PAUSE));
    assert_eq!((got.body.as_slice(), got.end), (BODY, End::Whole));
    assert!(got.took >= PAUSE && got.reads >= 2, "{got:?}");

    // Until then nothing comes, and what came before the stall is there.
    let stall = Fault::stall_at(10, Duration::from_secs(3600));
    let sim = Sim::start(one_file().fault(Target::AnyFile, When::Always, stall)).unwrap();
    let got = first_file(&sim, Smart).patience(PAUSE).send();
    assert_eq!((got.body.as_slice(), got.end), (&BODY[..10], End::Silence));
    let seen = &sim.seen(Target::AnyFile)[0];
    assert_eq!((seen.status, seen.body_bytes, seen.finished), (200, 10, false));

    let stall = Fault::stall_headers(Duration::from_secs(3600));
    let sim = Sim::start(one_file().fault(Target::AnyFile, When::Always, stall)).unwrap();
    let got = first_file(&sim, Smart).patience(PAUSE).send();
    assert_eq!((got.status, got.end), (0, End::Silence));
}

#[test]
fn a_drip_drips() {
    let got = faulty(one_file(), Fault::drip(16, Duration::from_millis(50)));
    let drops = BODY.len().div_ceil(16);
    assert_eq!((got.body.as_slice(), got.end), (BODY, End::Whole));
    assert!(got.took >= Duration::from_millis(50) * u32::try_from(drops - 1).unwrap(), "{got:?}");
    assert!(got.reads >= drops - 1, "{got:?}");
}

#[test]
fn a_flipped_byte_is_one_byte() {
    for (fault, place) in [(Fault::flip_at(9), 9), (Fault::flip_at(At::FromEnd(1)), BODY.len() - 1)] {
        let got = faulty(one_file(), fault).expect(200).body;
        let mut expected = BODY.to_vec();
        expected[place] ^= 1;
        assert_eq!(got, expected);
    }
}

#[test]
fn redirects_lead_where_they_are_to() {
    let path = "/bulk/exports/";
    for status in [301, 302, 303, 307, 308] {
        for (to, expected) in [
            (RedirectTo::Itself, "{origin}"),
            (RedirectTo::OtherOrigin, "{other}"),
            (RedirectTo::PlainHttp, "{origin}"),
            (RedirectTo::Userinfo, "http://user:password@127.0.0.1:"),
            (RedirectTo::Url("{other_origin}/bulk/exports/".to_owned()), "{other}"),
        ] {
            let rule = one_file().fault(Target::AnyFile, When::Always, Fault::redirect(status, to));
            let sim = Sim::start(rule).unwrap();
            let got = first_file(&sim, Smart).send().expect(status);
            let location = got.header("location").unwrap();
            let expected = expected.replace("{origin}", &sim.origin()).replace("{other}", &sim.other_origin());
            assert!(location.starts_with(&expected) && location.contains(path), "{status} {location}");
        }
    }
}

#[test]
fn a_redirected_file_is_to_be_had_at_the_other_origin_without_a_token() {
    let redirect = Fault::redirect(307, RedirectTo::OtherOrigin);
    let sim = Sim::start(one_file().fault(Target::AnyFile, When::Nth(1), redirect)).unwrap();
    let got = first_file(&sim, Smart).send().expect(307);
    let url = got.header("location").unwrap();
    assert_eq!(Ask::get(url).send().expect(200).body, BODY);
    assert!(sim.tokens_seen_at_other_origin().is_empty());
    Ask::get(url).bearer(&sim.credentials().token).send().expect(200);
    let leaked = sim.tokens_seen_at_other_origin();
    assert_eq!(leaked.len(), 1);
    assert_eq!((leaked[0].origin, leaked[0].authorization), (Origin::Other, Authorization::Token(0)));
}

#[test]
fn a_wrong_206_is_wrong() {
    let last = BODY.len() - 1;
    for (how, content_range, from) in [
        (WrongRange::LaterStart, Some(format!("bytes 11-{last}/{}", BODY.len())), 11),
        (WrongRange::FromZero, Some(format!("bytes 0-{last}/{}", BODY.len())), 0),
        (WrongRange::OtherTotal, Some(format!("bytes 10-{last}/{}", BODY.len() + 1)), 10),
        (WrongRange::NoContentRange, None, 10),
        (WrongRange::Nonsense, Some("bytes all of them".to_owned()), 10),
        (WrongRange::DespiteIfRange, Some(format!("bytes 10-{last}/{}", BODY.len())), 10),
    ] {
        let sim = Sim::start(one_file().fault(Target::AnyFile, When::Always, Fault::wrong_range(how))).unwrap();
        let got = first_file(&sim, Smart).header("Range", "bytes=10-").send().expect(206);
        assert_eq!((got.header("content-range"), &got.body[..]), (content_range.as_deref(), &BODY[from..]), "{how:?}");
        first_file(&sim, Smart).send().expect(200);
        let status = if how == WrongRange::DespiteIfRange { 206 } else { 200 };
        let other = first_file(&sim, Smart).header("Range", "bytes=10-").header("If-Range", "\"other\"");
        other.send().expect(status);
    }
}

#[test]
fn tokens_are_revoked_in_the_middle() {
    let scenario = Scenario::new(OneupProvider).file(ServedFile::new("Patient", BODY)).fault(
        Target::AnyFile,
        When::Nth(2),
        Fault::revoke_tokens(),
    );
    let sim = Sim::start(scenario).unwrap();
    let scope = "bulk-data|user/*.rs";
    let url = urls(&manifest(&sim, OneupProvider)).remove(0);
    let first = token(&sim, scope);
    assert_eq!(Ask::get(&url).bearer(&first).send().status, 200);
    assert_eq!(Ask::get(&url).bearer(&first).send().status, 401);
    let second = token(&sim, scope);
    assert_eq!(Ask::get(&url).bearer(&first).send().status, 401);
    assert_eq!(Ask::get(&url).bearer(&second).send().status, 200);
    sim.revoke_tokens();
    assert_eq!(Ask::get(&url).bearer(&second).send().status, 401);
    let which: Vec<_> = sim.seen(Target::AnyFile).iter().map(|seen| seen.authorization).collect();
    assert_eq!(which, [1, 1, 1, 2, 2].map(Authorization::Token));
    assert_eq!(sim.tokens(), [first, second]);
}

#[test]
fn a_file_becomes_another_one() {
    let file = ServedFile::new("Patient", BODY).replaced_by("{\"resourceType\":\"Patient\",\"id\":\"3\"}\n");
    let scenario = Scenario::new(Smart).file(file).fault(Target::AnyFile, When::Nth(2), Fault::replace_file());
    let sim = Sim::start(scenario).unwrap();
    let ask = || first_file(&sim, Smart).send().expect(200);
    let (before, after, later) = (ask(), ask(), ask());
    assert_eq!(before.body, BODY);
    assert!(after.text().contains("\"3\""));
    assert_ne!(before.header("etag"), after.header("etag"));
    assert_eq!((&after.body, after.header("etag")), (&later.body, later.header("etag")));
}

#[test]
fn faults_are_joined() {
    let fault = Fault::status(503).retry_after(1).and(Fault::stall_headers(PAUSE));
    let got = faulty(one_file(), fault).expect(503);
    assert!(got.took >= PAUSE);
    assert_eq!(got.header("retry-after"), Some("1"));

    let fault = Fault::stall_at(5, PAUSE).and(Fault::reset_at(10));
    let got = faulty(one_file(), fault);
    assert_eq!((got.body.as_slice(), got.end), (&BODY[..10], End::Reset));
    assert!(got.took >= PAUSE);

    let got = faulty(one_file(), Fault::html().and(Fault::truncate_at(5)));
    assert_eq!((got.body.as_slice(), got.end), (&b"<!DOC"[..], End::Closed));
}

#[test]
fn a_hostile_manifest_is_sent_as_it_is() {
    let text = r#"{"transactionTime":"x","output":[{"type":"../x","url":"{origin}/a"},{"url":"{other_origin}/b"}]"#;
    let sim = Sim::start(one_file().fault(Endpoint::Status, When::Always, Fault::manifest(text))).unwrap();
    let got = status(&sim, &kick_off(&sim, Smart)).expect(200).text();
    let expected = text.replace("{origin}", &sim.origin()).replace("{other_origin}", &sim.other_origin());
    assert_eq!(got, expected);
}

#[test]
fn faulty_status_answers_are_no_progress() {
    let storm = Fault::status(503);
    let sim = Sim::start(one_file().running(1).fault(Endpoint::Status, When::First(3), storm)).unwrap();
    let location = kick_off(&sim, Smart);
    let told: Vec<u16> = (0..5).map(|_| status(&sim, &location).status).collect();
    assert_eq!(told, [503, 503, 503, 202, 200]);
}

#[test]
fn polls_that_come_too_early_are_noted() {
    let sim = Sim::start(one_file().running(2).retry_after(1)).unwrap();
    let location = kick_off(&sim, Smart);
    status(&sim, &location);
    assert!(sim.early_polls().is_empty());
    status(&sim, &location);
    assert_eq!(sim.early_polls().len(), 1);
    // 50 ms more than asked: the clock of the test and of the server are the same.
    let waited = !sim.wait_until(Duration::from_millis(1050), |_| false);
    assert!(waited);
    status(&sim, &location).expect(200);
    assert_eq!(sim.early_polls().len(), 1);
    // Absurd ones bind nobody.
    let sim = Sim::start(one_file().running(2).retry_after("1795319406")).unwrap();
    let location = kick_off(&sim, Smart);
    status(&sim, &location);
    status(&sim, &location);
    assert!(sim.early_polls().is_empty());
}

#[test]
fn the_log_tells_what_came_and_what_went() {
    let sim = Sim::start(one_file()).unwrap();
    let ask = first_file(&sim, Smart).header("Range", "bytes=5-").header("If-Range", "\"x\"");
    ask.header("Accept", "application/fhir+ndjson").header("Accept-Encoding", "gzip").header("User-Agent", "me").send();
    let seen = sim.log().pop().unwrap();
    assert_eq!((seen.order, seen.origin, seen.endpoint), (2, Origin::Main, Endpoint::File(0)));
    assert_eq!((seen.method.as_str(), seen.query.as_deref()), ("GET", None));
    assert_eq!((seen.range.as_deref(), seen.if_range.as_deref()), (Some("bytes=5-"), Some("\"x\"")));
    assert_eq!(
        (seen.accept.as_deref(), seen.accept_encoding.as_deref()),
        (Some("application/fhir+ndjson"), Some("gzip"))
    );
    assert_eq!((seen.user_agent.as_deref(), seen.prefer.as_deref()), (Some("me"), None));
    assert_eq!((seen.authorization, seen.carries_secret), (Authorization::Token(0), true));
    assert_eq!((seen.status, seen.body_bytes, seen.finished), (200, BODY.len() as u64, true));
    let kicked = &sim.seen(Endpoint::KickOff)[0];
    assert_eq!(kicked.prefer.as_deref(), Some("respond-async"));
    assert!(seen.at >= kicked.at);
    assert!(!format!("{seen:?}").contains(&sim.credentials().token));
}

#[test]
fn one_connection_carries_many_requests() {
    let sim = Sim::start(one_file()).unwrap();
    let url = urls(&manifest(&sim, Smart)).remove(0);
    let port = url::Url::parse(&url).unwrap().port().unwrap();
    let mut wire = Wire::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    for _ in 0..3 {
        let got = Ask::get(&url).bearer(&sim.credentials().token).send_on(&mut wire).expect(200);
        assert_eq!(got.body, BODY);
    }
}

#[test]
fn what_is_no_http_ends_the_connection() {
    let sim = Sim::start(one_file()).unwrap();
    let port = url::Url::parse(&sim.origin()).unwrap().port().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"\x16\x03\x01\x02\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty());
    assert!(sim.log().is_empty());
}

#[test]
fn dropping_it_ends_all() {
    let stall = Fault::stall_at(10, Duration::from_secs(3600));
    let sim = Sim::start(one_file().fault(Target::AnyFile, When::Always, stall)).unwrap();
    let origin = sim.origin();
    let ask = first_file(&sim, Smart);
    let client = std::thread::spawn(move || ask.send());
    assert!(sim.wait_until(client::PATIENCE, |seen| seen.last().is_some_and(|seen| seen.body_bytes == 10)));
    drop(sim);
    let got = client.join().unwrap();
    assert_ne!(got.end, End::Silence, "the connection outlived its server");
    assert_eq!(got.body.len(), 10);
    let port = url::Url::parse(&origin).unwrap().port().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
