//! A plain client on a `TcpStream`, which says what was on the wire and how it ended; and an export's usual course.

#![expect(dead_code, reason = "each test file uses its own part")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use lakehaul_sim::{Personality, Sim};
use serde_json::Value;

/// Longer than any stall that a test asks for, by far.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A request to be sent on a connection of its own.
pub(crate) struct Ask {
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    patience: Duration,
}

/// What came.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) version: String,
    /// 0: not even a status line.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Without chunk sizes; as much as came.
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
    /// From the request to the last byte.
    pub(crate) took: Duration,
    /// Of each read that gave bytes of the body.
    pub(crate) reads: usize,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing says.
    Whole,
    /// The server closed: right for a close-delimited body, too early for any other.
    Closed,
    Reset,
    /// Nothing more within the client's patience.
    Silence,
}

impl Ask {
    pub(crate) fn new(method: &'static str, url: impl Into<String>) -> Ask {
        Ask { method, url: url.into(), headers: Vec::new(), body: Vec::new(), patience: PATIENCE }
    }

    pub(crate) fn get(url: impl Into<String>) -> Ask {
        Ask::new("GET", url)
    }

    pub(crate) fn form(url: impl Into<String>, fields: &[(&str, &str)]) -> Ask {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let ask = Ask::new("POST", url).header("Content-Type", "application/x-www-form-urlencoded");
        Ask { body: body.into_bytes(), ..ask }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Ask {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Ask {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Ask {
        self.body = body.into();
        self
    }

    pub(crate) fn patience(mut self, patience: Duration) -> Ask {
        self.patience = patience;
        self
    }

    #[track_caller]
    pub(crate) fn send(self) -> Got {
        let url = url::Url::parse(&self.url).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).unwrap();
        stream.set_read_timeout(Some(self.patience)).unwrap();
        self.send_on(&mut Wire::new(stream))
    }

    /// On a connection that is kept.
    #[track_caller]
    pub(crate) fn send_on(self, wire: &mut Wire) -> Got {
        let url = url::Url::parse(&self.url).unwrap();
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        let mut head = format!("{} {}{query} HTTP/1.1\r\nHost: {}\r\n", self.method, url.path(), url.authority());
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let started = Instant::now();
        wire.stream.write_all(&[head.as_bytes(), &self.body].concat()).unwrap();
        let mut got = Got {
            version: String::new(),
            status: 0,
            headers: Vec::new(),
            body: Vec::new(),
            end: End::Whole,
            took: Duration::ZERO,
            reads: 0,
        };
        if let Err(end) = wire.receive(&mut got) {
            got.end = end;
        }
        got.took = started.elapsed();
        got
    }
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Got {
        assert_eq!((self.status, self.end), (status, End::Whole), "{self:?}");
        self
    }
}

/// A connection, and what was read of it too much.
pub(crate) struct Wire {
    stream: TcpStream,
    ready: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Wire {
        Wire { stream, ready: Vec::new() }
    }

    fn more(&mut self) -> Result<(), End> {
        let mut space = [0; 64 << 10];
        match self.stream.read(&mut space) {
            Ok(0) => Err(End::Closed),
            Ok(read) => {
                self.ready.extend_from_slice(&space[..read]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(End::Reset),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(End::Silence)
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn line(&mut self) -> Result<String, End> {
        loop {
            if let Some(at) = self.ready.windows(2).position(|window| window == b"\r\n") {
                let line = self.ready.drain(..at + 2).take(at).collect();
                return Ok(String::from_utf8(line).unwrap());
            }
            self.more()?;
        }
    }

    /// Moves `bytes` of the body over, as they come.
    fn body(&mut self, mut bytes: usize, got: &mut Got) -> Result<(), End> {
        loop {
            let now = bytes.min(self.ready.len());
            got.body.extend(self.ready.drain(..now));
            got.reads += usize::from(now > 0);
            bytes -= now;
            if bytes == 0 {
                return Ok(());
            }
            self.more()?;
        }
    }

    fn receive(&mut self, got: &mut Got) -> Result<(), End> {
        let line = self.line()?;
        let (version, rest) = line.split_once(' ').unwrap();
        got.version = version.to_owned();
        got.status = rest[..3].parse().unwrap();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            got.headers.push((name.to_owned(), value.to_owned()));
        }
        if got.status == 204 {
            return Ok(());
        }
        if let Some(length) = got.header("content-length") {
            let length = length.parse().unwrap();
            return self.body(length, got);
        }
        if got.header("transfer-encoding") != Some("chunked") {
            return self.body(usize::MAX, got);
        }
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).unwrap();
            self.body(size, got)?;
            assert_eq!(self.line()?, "");
            if size == 0 {
                return Ok(());
            }
        }
    }
}

/// A token by the way that the personality documents.
#[track_caller]
pub(crate) fn token(sim: &Sim, scope: &str) -> String {
    let credentials = sim.credentials();
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", &credentials.client_id),
        ("client_secret", &credentials.client_secret),
        ("scope", scope),
    ];
    let answer = Ask::form(sim.token_url(), &fields).send().expect(200).json();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// Kicks off with the ready token; the polling location at the main origin.
#[track_caller]
pub(crate) fn kick_off(sim: &Sim, personality: Personality) -> String {
    let path = if personality == Personality::OneupPayer { "/Group/g1/$export" } else { "/$export" };
    let ask = Ask::get(format!("{}{path}", sim.fhir_base())).bearer(&sim.credentials().token);
    let got = ask.header("Prefer", "respond-async").header("Accept", "application/fhir+json").send();
    assert!(matches!(got.status, 200 | 202), "{got:?}");
    if let Some(location) = got.header("content-location") {
        return location.to_owned();
    }
    let outcome = got.json();
    let text = outcome["issue"][0]["details"]["text"].as_str().unwrap();
    let url = text.split(' ').next_back().unwrap();
    url.replace(&sim.other_origin(), &sim.origin())
}

/// A status request with the ready token.
#[track_caller]
pub(crate) fn status(sim: &Sim, location: &str) -> Got {
    Ask::get(location).bearer(&sim.credentials().token).send()
}

/// The manifest of a new export.
#[track_caller]
pub(crate) fn manifest(sim: &Sim, personality: Personality) -> Value {
    let location = kick_off(sim, personality);
    status(sim, &location).expect(200).json()
}

/// The URLs of a manifest's `output`.
pub(crate) fn urls(manifest: &Value) -> Vec<String> {
    manifest["output"].as_array().unwrap().iter().map(|entry| entry["url"].as_str().unwrap().to_owned()).collect()
}

/// The first file of a new export, asked for with the ready token.
#[track_caller]
pub(crate) fn first_file(sim: &Sim, personality: Personality) -> Ask {
    let url = urls(&manifest(sim, personality)).remove(0);
    Ask::get(url).bearer(&sim.credentials().token)
}
