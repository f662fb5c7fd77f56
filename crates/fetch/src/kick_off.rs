//! Kick-off: the request that begins an export, and where its status is told from then on.
//!
//! In go the export's parameters; out comes the polling location, taken from wherever the server put it. A kick-off that
//! may have reached the server is not sent again without a warning: each one may begin another export.

mod parameters;
mod answer;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode};
use url::Url;

use crate::error::{ErrorKind, FetchError};
use crate::event::FetchEvent;
use crate::http::{Attempts, Credentials, Http, Outgoing, Whole};
use crate::manifest::{Around, Manifest};
use crate::origin::Origin;
use crate::retry::Backoff;
use crate::secret_url::SecretUrl;
use crate::status::{MAX_ANSWER_BYTES, Poller, Status};

use answer::Reading;
pub use parameters::{ExportParameters, Level, Method};

/// What a kick-off comes to.
#[derive(Debug, Clone)]
pub enum KickOff {
    /// The server has begun; ask there.
    Accepted(PollingLocation),
    /// The server answered with the files at once; there is nothing to ask for.
    Done(Manifest),
}

/// Where an export's status is told. It may be all that is needed to fetch the export, so it is shown redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct PollingLocation(SecretUrl);

/// What became of a request to forget an export (Bulk Data Access, "Bulk Data Delete Request").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The server stops the export, or deletes its files.
    Done,
    /// The server does not do that, and nothing is wrong.
    Refused {
        /// Of the answer.
        status: u16,
    },
    /// The server does not know the export any more.
    Gone,
}

impl PollingLocation {
    pub(crate) fn new(url: Url) -> PollingLocation {
        PollingLocation(SecretUrl::new(url))
    }

    /// To be kept where nobody else can read it.
    pub fn to_stored(&self) -> String {
        self.0.expose().to_string()
    }

    /// Reads what [`PollingLocation::to_stored`] wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for what is no http or https URL.
    pub fn from_stored(stored: &str) -> Result<PollingLocation, FetchError> {
        let url = Url::parse(stored).ok().filter(|url| Origin::of(url).is_some());
        url.map(PollingLocation::new)
            .ok_or_else(|| FetchError::new(ErrorKind::Usage, "a stored polling location is no http or https URL"))
    }

    pub(crate) fn expose(&self) -> &Url {
        self.0.expose()
    }
}

impl fmt::Display for PollingLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PollingLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PollingLocation({})", self.0)
    }
}

const WHAT: &str = "kick-off";

/// The URL of the request: all of it for a GET, without what goes into the body for a POST.
///
/// Errors: [`ErrorKind::Usage`] for a group id that cannot stand in a path, and for a kind of server that has no export.
pub(crate) fn url(http: &Http, export: &ExportParameters) -> Result<SecretUrl, FetchError> {
    Ok(SecretUrl::new(request(http, export)?.url))
}

fn request(http: &Http, export: &ExportParameters) -> Result<Outgoing, FetchError> {
    let kind = http.place().kind();
    if !kind.exports() {
        let message = format!("a server of kind {kind} has no bulk export: it is searched");
        let hint = "Use lakehaul search; for a server with both, say --kind smart.";
        return Err(FetchError::new(ErrorKind::Usage, message).with_hint(hint));
    }
    let mut url = match &export.level {
        Level::System => http.place().url(&["$export"]),
        Level::Patient => http.place().url(&["Patient", "$export"]),
        Level::Group(id) if id.is_empty() || id == "." || id == ".." => {
            return Err(FetchError::new(ErrorKind::Usage, "a group's id cannot be empty, . or .."));
        }
        Level::Group(id) => http.place().url(&["Group", id, "$export"]),
    };
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/fhir+json"));
    headers.insert(HeaderName::from_static("prefer"), HeaderValue::from_static("respond-async"));
    let (method, body) = match export.method {
        Method::Get => {
            url.set_query(export.query().as_deref());
            (HttpMethod::GET, None)
        }
        Method::Post => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
            (HttpMethod::POST, Some(export.resource().into()))
        }
    };
    Ok(Outgoing { method, url, headers, body, credentials: Credentials::Bearer, attempts: Attempts::Once, what: WHAT })
}

/// Sends the kick-off.
///
/// An answer that says "not now" and a connection that never stood are ridden out. Where the request may have reached the
/// server and no answer came, it is sent once more, with a warning.
///
/// Errors: [`ErrorKind::ExportFailed`] with the server's own words, [`ErrorKind::Auth`], [`ErrorKind::Usage`],
/// [`ErrorKind::Transport`].
pub(crate) async fn send(http: &Http, export: &ExportParameters) -> Result<KickOff, FetchError> {
    let outgoing = request(http, export)?;
    http.observer().fetch_event(FetchEvent::KickOffSent { url: &SecretUrl::new(outgoing.url.clone()) });
    let mut backoff = Backoff::new(http.options().patience);
    let mut unanswered = 0;
    let mut warned = false;
    loop {
        let failed = match attempt(http, &outgoing).await {
            Ok(Reading::Accepted(location)) => return accepted(http, location),
            Ok(Reading::Done(body, url)) => return done(http, *body, &url).await,
            Ok(Reading::Final(error)) => return Err(error),
            Ok(Reading::NotNow { failure, asked, begun }) => Failed { failure, asked, begun },
            Err(failed) if !failed.failure.is_transient() => return Err(failed.failure),
            Err(failed) => {
                unanswered += u32::from(failed.begun == Begun::Perhaps);
                if unanswered > 1 {
                    let hint = "The server may have begun an export. Look for it there before starting another one.";
                    return Err(failed.failure.given_up(1).with_hint(hint));
                }
                failed
            }
        };
        if failed.begun == Begun::Perhaps && !warned {
            warned = true;
            http.observer().fetch_event(FetchEvent::Warning(&format!(
                "{}; the kick-off is sent again, so the server may have begun an export that nobody will fetch",
                failed.failure
            )));
        }
        http.ride_out((failed.failure, failed.asked), WHAT, &mut backoff).await?;
    }
}

/// Whether a kick-off that failed may have begun an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    No,
    Perhaps,
}

struct Failed {
    failure: FetchError,
    asked: Option<Duration>,
    begun: Begun,
}

/// Sends it once. What a header says is known though the body breaks off.
async fn attempt(http: &Http, outgoing: &Outgoing) -> Result<Reading, Failed> {
    let answer = http.send(outgoing).await.map_err(|failure| {
        let begun = if never_stood(&failure) { Begun::No } else { Begun::Perhaps };
        Failed { failure, asked: None, begun }
    })?;
    let (status, headers, url) = (answer.status(), answer.headers().clone(), answer.url().clone());
    if status == StatusCode::ACCEPTED
        && let Some(location) = answer::location_of(http, &headers, &url, outgoing)
    {
        answer.discard().await;
        return Ok(Reading::Accepted(location));
    }
    let begun = if status.is_success() { Begun::Perhaps } else { Begun::No };
    let text = answer.text(MAX_ANSWER_BYTES).await;
    let body = match (text, answer::location_of(http, &headers, &url, outgoing)) {
        (Ok(body), _) => body,
        (Err(_), Some(location)) if status.is_success() => return Ok(Reading::Accepted(location)),
        (Err(failure), _) => return Err(Failed { failure, asked: None, begun }),
    };
    Ok(answer::read(http, outgoing, &Whole { status, headers, url, body }))
}

/// Whether the failure is that of a connection which was never made, so that nothing can have been received.
fn never_stood(failure: &FetchError) -> bool {
    failure.source().and_then(|source| source.downcast_ref::<reqwest::Error>()).is_some_and(reqwest::Error::is_connect)
}

/// What one answer says, without another request: a manifest is as far as its first page goes.
///
/// Errors: as [`send`], and for an answer that says "not now" what it comes to if it stays so.
pub(crate) fn read_answer(
    http: &Http,
    export: &ExportParameters,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<KickOff, FetchError> {
    let outgoing = request(http, export)?;
    let answer = Whole { status, headers: headers.clone(), url: outgoing.url.clone(), body: body.to_vec() };
    match answer::read(http, &outgoing, &answer) {
        Reading::Accepted(location) => {
            let (location, _) = admitted(http, location)?;
            Ok(KickOff::Accepted(PollingLocation::new(location)))
        }
        Reading::Done(body, url) => Ok(KickOff::Done(Manifest::of_page(*body, &Around::new(http, &url))?)),
        Reading::NotNow { failure, .. } | Reading::Final(failure) => Err(failure),
    }
}

/// A polling location as it is asked, and its origin. Errors: [`ErrorKind::UntrustedOrigin`].
fn admitted(http: &Http, location: Url) -> Result<(Url, Origin), FetchError> {
    let location = http.at_home(location);
    let origin = http.origins().admit(&location, "polling location")?;
    Ok((location, origin))
}

fn accepted(http: &Http, location: Url) -> Result<KickOff, FetchError> {
    let (location, origin) = admitted(http, location)?;
    if !http.origins().may_have_credentials(&location) {
        http.observer().fetch_event(FetchEvent::Warning(&format!(
            "the polling location is at {origin}, which is neither the configured origin nor a trusted one: it is asked \
             without the access token"
        )));
    }
    let location = PollingLocation::new(location);
    http.observer().fetch_event(FetchEvent::Accepted { location: &location });
    Ok(KickOff::Accepted(location))
}

/// The body is a manifest; it may have further pages.
async fn done(http: &Http, body: crate::manifest::Body, url: &Url) -> Result<KickOff, FetchError> {
    let mut poller = match Poller::after_page(http.clone(), url, body)? {
        Ok(poller) => poller,
        Err(manifest) => return Ok(KickOff::Done(manifest)),
    };
    loop {
        if let Status::Complete(manifest) = poller.next().await? {
            return Ok(KickOff::Done(manifest));
        }
    }
}

/// Asks the server to forget an export; a refusal is no error.
///
/// Errors: [`ErrorKind::Transport`] and whatever keeps a request from being sent.
pub(crate) async fn cancel(http: &Http, location: &PollingLocation) -> Result<Cancelled, FetchError> {
    let outgoing = Outgoing {
        method: HttpMethod::DELETE,
        url: location.expose().clone(),
        headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/fhir+json"))]),
        body: None,
        credentials: Credentials::Bearer,
        attempts: Attempts::UntilAnswered,
        what: "delete request",
    };
    let answer = http.send(&outgoing).await?;
    let status = answer.status();
    answer.discard().await;
    Ok(match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Cancelled::Gone,
        status if status.is_success() => Cancelled::Done,
        status => Cancelled::Refused { status: status.as_u16() },
    })
}

#[cfg(test)]
mod tests;
