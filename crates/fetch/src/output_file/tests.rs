//! A server whose connections break where a test says, and what every test of a file does with it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::*;
use crate::client::ClientOptions;
use crate::manifest::Role;
use crate::profile::Kind;
use crate::retry::Patience;
use crate::testing::{Listener, Notes, PaperClock, Reply};
use crate::token::Auth;

mod faults;
mod resume;
mod continued;

/// What a server does with one request, byte for byte.
struct Script {
    head: String,
    body: Vec<u8>,
    then: Then,
    /// Between the bytes of the body, one by one.
    drip: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// FIN.
    Close,
    /// RST.
    Reset,
    /// Nothing, with the connection open.
    Stall,
}

impl Script {
    fn new(head: impl Into<String>, body: impl Into<Vec<u8>>) -> Script {
        Script { head: head.into(), body: body.into(), then: Then::Close, drip: None }
    }
}

/// A request as a raw server sees it.
#[derive(Debug, Clone)]
struct Request(String);

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let line = self.0.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim())
    }

    fn path(&self) -> &str {
        self.0.split_whitespace().nth(1).unwrap()
    }

    fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// A server of scripts: one request a connection. Stops when dropped.
struct Raw {
    origin: String,
    seen: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Raw {
    async fn start(script: impl Fn(&Request, usize) -> Script + Send + Sync + 'static) -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let (log, script) = (seen.clone(), Arc::new(script));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (log, script) = (log.clone(), script.clone());
                tokio::spawn(async move {
                    // The client may close first; then there is nothing to be done.
                    let _ = Raw::converse(socket, &log, &*script).await;
                });
            }
        });
        Raw { origin, seen, task }
    }

    async fn converse(
        mut socket: TcpStream,
        log: &Mutex<Vec<Request>>,
        script: &(dyn Fn(&Request, usize) -> Script + Send + Sync),
    ) -> std::io::Result<()> {
        let (mut text, mut space) = (Vec::new(), [0; 4096]);
        while !text.ends_with(b"\r\n\r\n") {
            let read = socket.read(&mut space).await?;
            if read == 0 {
                return Ok(());
            }
            text.extend_from_slice(&space[..read]);
        }
        let request = Request(String::from_utf8(text).unwrap());
        let nth = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.len() - 1
        };
        let script = script(&request, nth);
        socket
            .write_all(format!("HTTP/1.1 {}\r\nConnection: close\r\n\r\n", script.head.trim_end()).as_bytes())
            .await?;
        match script.drip {
            None => socket.write_all(&script.body).await?,
            Some(wait) => {
                for byte in script.body {
                    tokio::time::sleep(wait).await;
                    socket.write_all(&[byte]).await?;
                }
            }
        }
        match script.then {
            Then::Close => socket.shutdown().await,
            // What was sent has to be received before it is overtaken by the reset.
            Then::Reset => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                socket.set_zero_linger()
            }
            Then::Stall => socket.read(&mut space).await.map(drop),
        }
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    fn tools(&self) -> Tools {
        tools(&self.origin, 4)
    }

    fn ranges(&self) -> Vec<Option<usize>> {
        self.seen().iter().map(Request::range_start).collect()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a server marks the end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    CloseDelimited,
}

/// A file on an ordinary server.
#[derive(Debug, Clone)]
struct Served {
    bytes: Vec<u8>,
    framing: Framing,
    ranges: bool,
    /// Whole header lines.
    validators: &'static str,
}

const ETAG: &str = "ETag: \"v1\"\r\n";

impl Served {
    fn new(framing: Framing, ranges: bool) -> Served {
        Served { bytes: lines(40), framing, ranges, validators: ETAG }
    }

    /// The answer to a request; its body stops before the file's byte `cut`, if that is in it.
    fn answer(&self, request: &Request, cut: Option<usize>, then: Then) -> Script {
        let start = request.range_start().filter(|_| self.ranges);
        let total = self.bytes.len();
        let first = start.unwrap_or(0);
        let mut head = match start {
            Some(start) if start >= total => {
                return Script::new(format!("416 No\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\n"), "");
            }
            Some(start) => format!("206 Part\r\nContent-Range: bytes {start}-{}/{total}\r\n", total - 1),
            None => "200 OK\r\n".to_owned(),
        };
        head.push_str(self.validators);
        let end = cut.unwrap_or(total).max(first);
        let part = &self.bytes[first..end];
        let mut body = Vec::new();
        match self.framing {
            Framing::Length => {
                head.push_str(&format!("Content-Length: {}\r\n", total - first));
                body.extend_from_slice(part);
            }
            Framing::CloseDelimited => body.extend_from_slice(part),
            Framing::Chunked => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                for part in part.chunks(100) {
                    body.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                    body.extend_from_slice(part);
                    body.extend_from_slice(b"\r\n");
                }
                if cut.is_none() {
                    body.extend_from_slice(b"0\r\n\r\n");
                }
            }
        }
        Script { head, body, then: if cut.is_some() { then } else { Then::Close }, drip: None }
    }
}

/// NDJSON of that many lines, each different.
fn lines(count: u32) -> Vec<u8> {
    (0..count)
        .flat_map(|n| format!("{{\"resourceType\":\"Patient\",\"id\":\"{n}-{}\"}}\n", n * 7919).into_bytes())
        .collect()
}

const PATIENCE: Patience =
    Patience { retries: 3, max_wait: Duration::from_secs(300), idle_timeout: Duration::from_millis(400) };

struct Tools {
    http: Http,
    hosts: Arc<Hosts>,
    clock: Arc<PaperClock>,
    notes: Arc<Notes>,
}

fn tools(origin: &str, concurrency: usize) -> Tools {
    let (clock, notes) = (PaperClock::new(), Arc::new(Notes::default()));
    let mut options = ClientOptions::new(Kind::Smart, Url::parse(origin).unwrap());
    options.auth = Auth::Token("sesame".into());
    options.patience = PATIENCE;
    let http = Http::new(options, clock.clone(), notes.clone()).unwrap();
    let hosts = Arc::new(Hosts::new(concurrency, notes.clone()));
    Tools { http, hosts, clock, notes }
}

impl Tools {
    fn stream(&self, url: &str) -> FileStream {
        FileStream::new(self.http.clone(), self.hosts.clone(), &file(url))
    }

    fn continuing(&self, url: &str, begun: &FileVersion, position: usize) -> FileStream {
        FileStream::continuing(self.http.clone(), self.hosts.clone(), &file(url), begun, position as u64)
    }
}

fn file(url: &str) -> OutputFile {
    OutputFile {
        role: Role::Output,
        declared_type: Some("Patient".to_owned()),
        url: Url::parse(url).unwrap().into(),
        count: None,
        file_size: None,
        requires_access_token: true,
    }
}

/// Reads to an end; what came until then, and how it ended.
async fn read_all(stream: &mut FileStream) -> (Vec<u8>, Result<LengthProof, ErrorKind>) {
    let mut all = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(bytes)) => {
                assert!(!bytes.is_empty());
                all.extend_from_slice(&bytes);
            }
            Ok(None) => {
                assert_eq!(stream.next().await.unwrap(), None, "an end stays one");
                return (all, Ok(stream.proof()));
            }
            Err(error) => {
                assert_eq!(stream.proof(), LengthProof::Unverified);
                return (all, Err(error.kind()));
            }
        }
    }
}
