//! What the tests ask: a real listener that answers as it is told, a clock that only waits on paper, an observer that notes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::clock::{BoxFuture, Clock};
use crate::event::{FetchEvent, FetchObserver};

/// A server on 127.0.0.1; stops when dropped.
pub(crate) struct Listener {
    pub(crate) origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    /// Empty, if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn authorization(&self) -> &str {
        self.header("authorization")
    }

    /// A field of a form.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut fields = url::form_urlencoded::parse(self.body.as_bytes());
        fields.find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
    }
}

/// What is answered.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    after: Duration,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into(), after: Duration::ZERO }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn after(mut self, wait: Duration) -> Reply {
        self.after = wait;
        self
    }

    /// As a token endpoint answers.
    pub(crate) fn token(token: &str, expires_in: u64) -> Reply {
        let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{expires_in}}}"#);
        Reply::new(200, body).header("content-type", "application/json")
    }

    pub(crate) fn redirect(status: u16, to: impl Into<String>) -> Reply {
        Reply::new(status, "elsewhere").header("location", to)
    }
}

impl Listener {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Listener {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (answer, log) = (Arc::new(answer), seen.clone());
        let handler = move |request: Request| {
            let (answer, log) = (answer.clone(), log.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
                let path = head.uri.path_and_query().unwrap().to_string();
                let seen = Seen { method: head.method, path, headers: head.headers, body };
                log.lock().unwrap().push(seen.clone());
                let reply = answer(&seen);
                tokio::time::sleep(reply.after).await;
                let response = Response::builder().status(reply.status);
                let response =
                    reply.headers.iter().fold(response, |response, (name, value)| response.header(*name, value));
                response.body(Body::from(reply.body)).unwrap()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handler);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Listener { origin, seen, task }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("{}{path}", self.origin)).unwrap()
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Those whose path starts so.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path.starts_with(path)).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Stands still but for what is waited.
pub(crate) struct PaperClock {
    now: Mutex<Timestamp>,
    waits: Mutex<Vec<Duration>>,
}

impl PaperClock {
    pub(crate) fn new() -> Arc<PaperClock> {
        let now = Mutex::new("2026-03-01T12:00:00Z".parse().unwrap());
        Arc::new(PaperClock { now, waits: Mutex::default() })
    }

    pub(crate) fn advance(&self, duration: Duration) {
        *self.now.lock().unwrap() += SignedDuration::try_from(duration).unwrap();
    }

    /// What was waited so far.
    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.waits.lock().unwrap().clone()
    }
}

impl Clock for PaperClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.advance(duration);
        self.waits.lock().unwrap().push(duration);
        Box::pin(tokio::task::yield_now())
    }
}

/// Notes what it hears, as text.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl FetchObserver for Notes {
    fn fetch_event(&self, event: FetchEvent<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}
