//! One request, one answer, over HTTP/1.1: no redirects, no credentials of its own, no second attempt.
//!
//! A body comes as it was sent, never decompressed. A server that is waited for and silent for too long is an error; one
//! that is not waited for may be silent as long as it likes.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use reqwest::ClientBuilder;
use reqwest::redirect::Policy;
use url::Url;

use crate::error::{ErrorKind, FetchError};
use crate::origin::Origin;

/// Longer than any handshake, shorter than the usual idle timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Below what load balancers keep an idle connection for (60 s and more), so that ours is the end that closes it.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// The connections of a client.
pub(crate) struct Transport {
    /// Through the proxy that the environment names, if it names one.
    outward: reqwest::Client,
    /// For loopback: a proxy would look for the server on its own machine.
    loopback: reqwest::Client,
    idle_timeout: Duration,
}

impl Transport {
    /// `ca_certificates` are PEM bundles, trusted besides the machine's own.
    ///
    /// Errors: [`ErrorKind::Usage`] for a bundle without a certificate, or with one that is none.
    pub(crate) fn new(ca_certificates: &[Vec<u8>], idle_timeout: Duration) -> Result<Transport, FetchError> {
        let mut certificates = Vec::new();
        for bundle in ca_certificates {
            let read = reqwest::Certificate::from_pem_bundle(bundle).unwrap_or_default();
            if read.is_empty() {
                return Err(FetchError::new(ErrorKind::Usage, "a CA certificate file holds no PEM certificate"));
            }
            certificates.extend(read);
        }
        let builder = || {
            reqwest::Client::builder()
                .http1_only()
                .redirect(Policy::none())
                .referer(false)
                .user_agent(concat!("lakehaul/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT.min(idle_timeout))
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        };
        // A machine without any authority of its own, such as a container with nothing else in it, has no merged set. It
        // can still speak plain http on loopback, and https with those whose authority was named.
        let build = |builder: &dyn Fn() -> ClientBuilder| {
            builder()
                .tls_certs_merge(certificates.iter().cloned())
                .build()
                .or_else(|_| builder().tls_certs_only(certificates.iter().cloned()).build())
                .map_err(|error| {
                    let message = format!("a CA certificate cannot be used: {}", cause(&error));
                    FetchError::new(ErrorKind::Usage, message)
                })
        };
        let outward = build(&builder)?;
        let loopback = build(&|| builder().no_proxy())?;
        Ok(Transport { outward, loopback, idle_timeout })
    }

    /// Sends one request and waits for the head of its answer, whatever its status.
    ///
    /// `origin` is the URL's. Errors: [`ErrorKind::Tls`], else [`ErrorKind::Transport`] that
    /// [is transient](FetchError::is_transient).
    pub(crate) async fn exchange(&self, hop: Hop<'_>) -> Result<Answer, FetchError> {
        let client = if hop.origin.is_loopback() { &self.loopback } else { &self.outward };
        let mut request = client.request(hop.method.clone(), hop.url.clone()).headers(hop.headers);
        if let Some(body) = hop.body {
            request = request.body(body.clone());
        }
        let (what, origin) = (hop.what, hop.origin);
        match tokio::time::timeout(self.idle_timeout, request.send()).await {
            Ok(Ok(response)) => {
                let url = hop.url.clone();
                Ok(Answer { response, url, origin, what, idle_timeout: self.idle_timeout })
            }
            Ok(Err(error)) => Err(unsent(error, what, &origin)),
            Err(_) => Err(silent(what, &origin, self.idle_timeout)),
        }
    }
}

/// One request to one server.
pub(crate) struct Hop<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    pub(crate) origin: Origin,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<&'a Bytes>,
    pub(crate) what: &'static str,
}

/// An answer whose head has come and whose body has not been read.
pub(crate) struct Answer {
    response: reqwest::Response,
    url: Url,
    origin: Origin,
    what: &'static str,
    idle_timeout: Duration,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Of the last hop.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The next bytes of the body as they were sent; `None` at its end, as far as HTTP tells (see RFC 9112, section 8).
    ///
    /// The idle timeout runs only while this is awaited. Errors are [transient](FetchError::is_transient).
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        match tokio::time::timeout(self.idle_timeout, self.response.chunk()).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => {
                let message = format!("the {} from {} broke off: {}", self.what, self.origin, cause(&error));
                Err(FetchError::transient(message).with_source(error.without_url()))
            }
            Err(_) => Err(silent(self.what, &self.origin, self.idle_timeout)),
        }
    }

    /// The whole body, which must be small. [`Http::send_whole`](crate::http::Http::send_whole) also rides out a body that
    /// breaks off.
    ///
    /// Errors: as [`Answer::chunk`]; one that is not transient for more than `limit_bytes`.
    pub(crate) async fn text(mut self, limit_bytes: usize) -> Result<Vec<u8>, FetchError> {
        // Where the length is told, no room is taken that is not needed.
        let length = self.response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let mut body = Vec::with_capacity(length.min(limit_bytes));
        while let Some(bytes) = self.chunk().await? {
            if body.len() + bytes.len() > limit_bytes {
                let (what, origin) = (self.what, &self.origin);
                let message = format!("the answer to the {what} from {origin} is longer than {limit_bytes} bytes");
                return Err(FetchError::new(ErrorKind::NotData, message));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    /// Reads what little there is, so that the connection can be used again; a failure or a long body costs only that.
    pub(crate) async fn discard(mut self) {
        const WORTHWHILE_BYTES: usize = 64 << 10;
        let mut read = 0;
        while let Ok(Some(bytes)) = self.chunk().await {
            read += bytes.len();
            if read > WORTHWHILE_BYTES {
                break;
            }
        }
    }
}

fn silent(what: &str, origin: &Origin, idle_timeout: Duration) -> FetchError {
    FetchError::transient(format!("{origin} was silent for {idle_timeout:?} while the {what} waited for it"))
}

/// Why no answer came.
fn unsent(error: reqwest::Error, what: &str, origin: &Origin) -> FetchError {
    let cause = cause(&error);
    if error.is_connect() && is_tls(&error) {
        return FetchError::new(ErrorKind::Tls, format!("cannot trust {origin} with the {what}: {cause}"))
            .with_hint("If the payer's certificate authority is one of its own, name its certificate with --ca-cert.")
            .with_source(error.without_url());
    }
    if error.is_builder() {
        return FetchError::new(ErrorKind::Usage, format!("cannot build the {what}: {cause}"))
            .with_source(error.without_url());
    }
    let message = if error.is_connect() {
        format!("cannot connect to {origin} for the {what}: {cause}")
    } else {
        format!("{origin} gave the {what} no answer: {cause}")
    };
    FetchError::transient(message).with_source(error.without_url())
}

/// rustls reports whatever it refuses as invalid data; nothing else does before a connection stands.
fn is_tls(error: &reqwest::Error) -> bool {
    chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).any(|io| io.kind() == io::ErrorKind::InvalidData)
}

/// What lies deepest says most, such as "connection refused". None of these texts holds a URL or what a server sent.
fn cause(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// Below `error`; an I/O error's own inside included, which `source` passes over.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&error| below(error))
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
