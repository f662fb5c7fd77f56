//! Status requests: asked no earlier than the server wants, until the export is complete or has failed.
//!
//! In goes a polling location; out comes what the server says of its export, by the answer's code, its status word and its
//! `batches`, and in the end the manifest with all its pages. What is transient is ridden out and is never taken for the
//! export's failure. Nothing is downloaded here.

mod reading;

use std::collections::HashSet;
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::error::{ErrorKind, FetchError};
use crate::event::FetchEvent;
use crate::http::{Attempts, Credentials, Http, Outgoing, Whole};
use crate::kick_off::PollingLocation;
use crate::manifest::{Around, Batches, Body, Joined, Manifest};
use crate::operation_outcome::shown;
use crate::retry::Backoff;

use reading::X_PROGRESS;
pub(crate) use reading::{Reading, read, said};

/// What the server says of an export.
#[derive(Debug, Clone)]
pub enum Status {
    /// Ask again.
    Running(Running),
    /// There is no more to ask. Its [`batches`](Manifest::batches) may say that parts of it failed.
    Complete(Manifest),
}

/// How far an export is.
#[derive(Debug, Clone)]
pub struct Running {
    /// `X-Progress`, made harmless to show.
    pub progress: Option<String>,
    /// The parts that the server made of its export, where it says so.
    pub batches: Option<Batches>,
    /// Output files that are there already, all pages joined. They do not change, so it is safe to begin.
    pub so_far: Option<Manifest>,
    /// The next request will not be sent before this has passed.
    pub next_in: Duration,
}

/// Asks for the status of one export.
///
/// Dropping a call of [`Poller::next`] before it is done loses nothing.
pub struct Poller {
    http: Http,
    /// Where to begin again, once, if a page is gone.
    begin_again: Option<Url>,
    /// The page of the manifest that is asked next; at first the location itself.
    page: Url,
    /// The pages before it, which are complete, and their URLs.
    joined: Joined,
    pages: HashSet<Url>,
    /// How far a running manifest has been read.
    ahead: Option<Ahead>,
    /// Running answers so far without a word about when to ask again.
    unasked_waits: u32,
    not_before: Option<(Timestamp, Duration)>,
    backoff: Backoff,
}

/// A running manifest whose pages grow by links. A page that has a link does not change any more, so that only the last one
/// is read again.
struct Ahead {
    /// Where the reading began: it is void once the export has come further than that.
    from: Url,
    /// All pages before `page`.
    joined: Joined,
    page: Url,
}

const WHAT: &str = "status request";
/// A manifest of 200,000 files with presigned URLs.
pub(crate) const MAX_ANSWER_BYTES: usize = 128 << 20;
/// A server that splits a manifest at all puts hundreds of files on a page. A test need not ask for as many.
const MAX_PAGES: usize = if cfg!(test) { 100 } else { 10_000 };
/// A small export takes seconds; a large one, hours, for which half a minute is nothing.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// `Retry-After: 0` is no invitation to do nothing else.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);

impl Poller {
    pub(crate) fn new(http: Http, location: &PollingLocation) -> Poller {
        let location = location.expose().clone();
        let backoff = Backoff::new(http.options().patience);
        Poller {
            http,
            page: location.clone(),
            begin_again: Some(location),
            joined: Joined::default(),
            pages: HashSet::new(),
            ahead: None,
            unasked_waits: 0,
            not_before: None,
            backoff,
        }
    }

    /// For a manifest whose first page, at `url`, has come already: `None` if it is the only one.
    pub(crate) fn after_page(http: Http, url: &Url, body: Body) -> Result<Result<Poller, Manifest>, FetchError> {
        let mut poller = Poller { begin_again: None, ..Poller::new(http, &PollingLocation::new(url.clone())) };
        Ok(match poller.turn(body, url)? {
            Some(manifest) => Err(manifest),
            None => Ok(poller),
        })
    }

    /// Waits as long as the server asked (but no longer than [`Patience::max_wait`](crate::Patience::max_wait)), or on its
    /// own account 1 s at first and up to 30 s later, then asks. The first request goes at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ExportFailed`] with the server's own words, [`ErrorKind::NoSuchExport`], [`ErrorKind::Auth`],
    /// [`ErrorKind::UntrustedOrigin`] for what a manifest asks for; [`ErrorKind::Transport`] once the retries are used.
    pub async fn next(&mut self) -> Result<Status, FetchError> {
        loop {
            if let Some((when, at_most)) = self.not_before {
                let left = when.duration_since(self.http.clock().now());
                // The machine's clock may have been put back in the meantime.
                let left = Duration::try_from(left).unwrap_or_default().min(at_most);
                self.http.clock().sleep(left).await;
            }
            match self.ask().await {
                Ok(Some(status)) => {
                    self.backoff.reset();
                    if let Status::Running(running) = &status {
                        self.http.observer().fetch_event(FetchEvent::StatusAnswered { running });
                    }
                    return Ok(status);
                }
                Ok(None) => {
                    self.backoff.reset();
                    self.not_before = None;
                }
                Err((failure, Try::Final)) => return Err(failure),
                Err((failure, Try::Again(asked))) => {
                    self.not_before = None;
                    let ridden_out = self.http.ride_out((failure, asked), WHAT, &mut self.backoff).await;
                    // Who asks again after all gets all retries again.
                    ridden_out.inspect_err(|_| self.backoff.reset())?;
                }
            }
        }
    }

    /// One request. `None`: the page is done, there is a next one.
    async fn ask(&mut self) -> Result<Option<Status>, (FetchError, Try)> {
        let answer = self.get(&self.page).await.map_err(|error| {
            let again = if error.is_transient() { Try::Again(None) } else { Try::Final };
            (error, again)
        })?;
        let refused = |error| (error, Try::Final);
        let asked = self.http.retry_after(&answer.headers);
        match read(answer.status, &answer.headers, &answer.body) {
            Reading::Complete(body) => Ok(self.turn(body, &answer.url).map_err(refused)?.map(Status::Complete)),
            Reading::Running(body) => {
                let next_in = self.wait_for(asked);
                self.not_before =
                    Some((self.http.clock().now() + SignedDuration::try_from(next_in).unwrap_or_default(), next_in));
                let batches = body.as_ref().and_then(Body::batches);
                let mut so_far = self.joined.clone();
                if let Some(body) = body
                    && let Some(next) = so_far.add(body, &Around::new(&self.http, &answer.url)).map_err(refused)?
                {
                    so_far = self.look_ahead(so_far, next).await.map_err(refused)?;
                }
                Ok(Some(Status::Running(running(&answer.headers, batches, &so_far, next_in))))
            }
            Reading::NotNow(failure) => Err((failure, Try::Again(asked))),
            // A page's URL may have expired; the location itself has nothing before it.
            Reading::Gone(failure) => match self.begin_again.take() {
                Some(location) if self.page != location => {
                    (self.page, self.joined) = (location, Joined::default());
                    self.pages.clear();
                    Err((failure, Try::Again(asked)))
                }
                _ => Err((failure, Try::Final)),
            },
            Reading::Final(failure) => Err((failure, Try::Final)),
        }
    }

    async fn get(&self, url: &Url) -> Result<Whole, FetchError> {
        let outgoing = Outgoing {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]),
            body: None,
            credentials: Credentials::Bearer,
            attempts: Attempts::Once,
            what: WHAT,
        };
        self.http.send_whole(&outgoing, MAX_ANSWER_BYTES).await
    }

    /// Reads what the server has linked to so far from a page of a running export; `joined` ends with that page. What does
    /// not answer now is read another time.
    ///
    /// The pages are read again once the export is complete: only what the page that is asked says tells that there is no more.
    async fn look_ahead(&mut self, joined: Joined, next: Url) -> Result<Joined, FetchError> {
        let fresh = Ahead { from: self.page.clone(), joined, page: next };
        let mut ahead = self.ahead.take().filter(|ahead| ahead.from == self.page).unwrap_or(fresh);
        let mut pages = HashSet::from([self.page.clone()]);
        let joined = loop {
            if !pages.insert(ahead.page.clone()) || pages.len() > MAX_PAGES {
                break ahead.joined.clone();
            }
            let Ok(answer) = self.get(&ahead.page).await else { break ahead.joined.clone() };
            let reading = read(answer.status, &answer.headers, &answer.body);
            let (Reading::Complete(body) | Reading::Running(Some(body))) = reading else {
                break ahead.joined.clone();
            };
            let around = Around::new(&self.http, &answer.url);
            if !body.has_next() {
                let mut joined = ahead.joined.clone();
                joined.add(body, &around)?;
                break joined;
            }
            match ahead.joined.add(body, &around)? {
                Some(next) => ahead.page = next,
                None => break ahead.joined.clone(),
            }
        };
        self.ahead = Some(ahead);
        Ok(joined)
    }

    /// Adds a complete page that came from `url`; gives the manifest if it was the last one.
    fn turn(&mut self, body: Body, url: &Url) -> Result<Option<Manifest>, FetchError> {
        let next = self.joined.add(body, &Around::new(&self.http, url))?;
        let Some(next) = next else { return Ok(Some(self.joined.manifest())) };
        self.pages.insert(self.page.clone());
        let failed = |why: &str| Err(FetchError::new(ErrorKind::ExportFailed, format!("the manifest's pages {why}")));
        if self.pages.contains(&next) {
            return failed("go round in a circle");
        }
        if self.pages.len() >= MAX_PAGES {
            return failed(&format!("are more than {MAX_PAGES}"));
        }
        self.page = next;
        Ok(None)
    }

    /// How long to leave the server alone after it said that the export runs.
    fn wait_for(&mut self, asked: Option<Duration>) -> Duration {
        let wait = asked.map_or_else(
            || {
                let wait = FIRST_WAIT.saturating_mul(1 << self.unasked_waits.min(5)).min(LONGEST_WAIT);
                self.unasked_waits = self.unasked_waits.saturating_add(1);
                // Many clients that began together must not ask together.
                wait + wait.mul_f64(0.25 * self.http.rng().f64())
            },
            |asked| asked.max(SHORTEST_WAIT),
        );
        wait.min(self.http.options().patience.max_wait)
    }
}

fn running(headers: &HeaderMap, batches: Option<Batches>, so_far: &Joined, next_in: Duration) -> Running {
    let progress = headers.get(&X_PROGRESS).and_then(|text| text.to_str().ok()).map(shown);
    Running {
        progress: progress.filter(|progress| !progress.is_empty()),
        batches,
        so_far: Some(so_far.manifest()).filter(|manifest| !manifest.files.is_empty()),
        next_in,
    }
}

/// What one answer says, without another request: a manifest is as far as its first page goes.
///
/// Errors: as [`Poller::next`], and for an answer that says "not now" what it comes to if it stays so.
pub(crate) fn read_answer(
    http: &Http,
    location: &PollingLocation,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Status, FetchError> {
    let around = Around::new(http, location.expose());
    match read(status, headers, body) {
        Reading::Complete(body) => Ok(Status::Complete(Manifest::of_page(body, &around)?)),
        Reading::Running(body) => {
            let next_in = Poller::new(http.clone(), location).wait_for(http.retry_after(headers));
            let batches = body.as_ref().and_then(Body::batches);
            let mut joined = Joined::default();
            body.map(|body| joined.add(body, &around)).transpose()?;
            Ok(Status::Running(running(headers, batches, &joined, next_in)))
        }
        Reading::NotNow(failure) | Reading::Gone(failure) | Reading::Final(failure) => Err(failure),
    }
}

/// Whether a failure is worth another request, and when the server wants it.
enum Try {
    Again(Option<Duration>),
    Final,
}

#[cfg(test)]
mod tests;
