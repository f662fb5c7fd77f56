//! TLS, and HTTP as a client of the field speaks it: reqwest, which the exporter uses too.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

use std::net::TcpStream;
use std::time::Duration;

use lakehaul_sim::{
    Compressed, Fault, Framing, Gzip, Personality, RedirectTo, Scenario, ServedFile, Sim, Target, Tls, When,
};

const LINE: &[u8] = b"{\"resourceType\":\"Patient\",\"id\":\"1\"}\n";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn scenario() -> Scenario {
    Scenario::new(Personality::OneupProvider).file(ServedFile::repeated("Patient", LINE, 100_000))
}

fn file_url(sim: &Sim) -> String {
    format!("{}/$export/file/Patient.1.ndjson", sim.fhir_base())
}

/// A client that trusts the server's CA, if it is to.
fn client(sim: &Sim, trust: Option<&Sim>) -> reqwest::Client {
    let mut builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    if let Some(pem) = trust.and_then(Sim::ca_pem) {
        builder = builder.tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()]);
    }
    assert!(sim.origin().starts_with("http"));
    builder.build().unwrap()
}

async fn fetch(client: &reqwest::Client, sim: &Sim, url: &str) -> reqwest::Result<Vec<u8>> {
    let answer = client.get(url).bearer_auth(sim.credentials().token).send().await?.error_for_status()?;
    answer.bytes().await.map(|bytes| bytes.to_vec())
}

#[test]
fn a_client_of_the_field_is_served() {
    let expected = LINE.repeat(100_000);
    for tls in [None, Some(Tls::Good)] {
        for framing in [Framing::Length, Framing::Chunked, Framing::UntilClose] {
            let mut scenario = scenario().each_file(|file| file.framing(framing));
            if let Some(tls) = tls {
                scenario = scenario.tls(tls);
            }
            let sim = Sim::start(scenario).unwrap();
            assert_eq!(sim.origin().starts_with("https://"), tls.is_some());
            let client = client(&sim, Some(&sim));
            block_on(async {
                for _ in 0..2 {
                    let body = fetch(&client, &sim, &file_url(&sim)).await.unwrap();
                    assert!(body == expected, "{tls:?} {framing:?}");
                }
            });
            assert!(sim.log().iter().all(|seen| seen.finished && seen.body_bytes == expected.len() as u64));
        }
    }
}

#[test]
fn certificates_are_good_or_not() {
    for (tls, trusted, good) in
        [(Tls::Good, true, true), (Tls::Good, false, false), (Tls::WrongName, true, false), (Tls::Expired, true, false)]
    {
        let sim = Sim::start(scenario().tls(tls)).unwrap();
        let another = Sim::start(scenario().tls(Tls::Good)).unwrap();
        let client = client(&sim, Some(if trusted { &sim } else { &another }));
        let result = block_on(fetch(&client, &sim, &file_url(&sim)));
        assert_eq!(result.is_ok(), good, "{tls:?}: {result:?}");
        assert_eq!(sim.log().is_empty(), !good, "a request came although the client did not trust");
    }
}

#[test]
fn with_tls_there_is_plain_http_to_be_led_to() {
    let redirect = Fault::redirect(302, RedirectTo::PlainHttp);
    let sim = Sim::start(scenario().tls(Tls::Good).fault(Target::AnyFile, When::First(1), redirect)).unwrap();
    let client = client(&sim, Some(&sim));
    block_on(async {
        let answer = client.get(file_url(&sim)).send().await.unwrap();
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        let plain = sim.plain_origin().unwrap();
        assert!(plain.starts_with("http://") && location.starts_with(&plain), "{location}");
        client.get(&location).send().await.unwrap().error_for_status().unwrap();
        client.get(location).bearer_auth(sim.credentials().token).send().await.unwrap();
    });
    assert_eq!(sim.tokens_seen_at_other_origin().len(), 1);
}

#[test]
fn faults_hold_under_tls() {
    let gzip = Compressed::Always(Gzip::ManyMembers);
    for fault in [Fault::reset_at(1000), Fault::truncate_at(1000)] {
        let sim = Sim::start(scenario().each_file(|file| file.compressed(gzip)).tls(Tls::Good).fault(
            Target::AnyFile,
            When::First(1),
            fault,
        ))
        .unwrap();
        let client = client(&sim, Some(&sim));
        block_on(async {
            assert!(fetch(&client, &sim, &file_url(&sim)).await.is_err());
            assert!(fetch(&client, &sim, &file_url(&sim)).await.is_ok());
        });
        assert_eq!((sim.log()[0].body_bytes, sim.log()[0].finished), (1000, false));
    }
}

#[test]
fn plain_text_to_a_tls_port_gets_nothing() {
    let sim = Sim::start(scenario().tls(Tls::Good)).unwrap();
    let port = url::Url::parse(&sim.origin()).unwrap().port().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    assert!(!answer.starts_with(b"HTTP"));
    assert!(sim.log().is_empty());
}
