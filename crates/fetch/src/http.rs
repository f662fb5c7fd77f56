//! A request on its way to an answer: credentials by origin, redirects by hand, transient failures ridden out.
//!
//! In goes what is to be sent and how it may go; out comes the answer that is final, whatever its status. A credential
//! never goes to an origin that is neither the configured one nor trusted by name: that is decided anew at each hop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::client::ClientOptions;
use crate::clock::{BoxFuture, Clock};
use crate::error::{ErrorKind, FetchError};
use crate::event::{FetchEvent, FetchObserver};
use crate::origin::{Origin, OriginPolicy, untrusted};
use crate::profile::Place;
use crate::retry::{Backoff, is_transient, retry_after};
use crate::token::TokenStore;
use crate::transport::{Hop, Transport};

pub(crate) use crate::transport::Answer;

/// As many as curl and browsers would follow many times over; a gateway needs one or two.
const MAX_REDIRECTS: usize = 5;

/// What all requests of a client share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Http {
    shared: Arc<Shared>,
}

struct Shared {
    options: ClientOptions,
    place: Place,
    origins: OriginPolicy,
    transport: Transport,
    tokens: TokenStore,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn FetchObserver>,
    rng: Mutex<fastrand::Rng>,
}

/// A request.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Goes only where credentials may go: a kick-off's names patients.
    pub(crate) body: Option<Bytes>,
    pub(crate) credentials: Credentials,
    pub(crate) attempts: Attempts,
    /// Such as `kick-off`, for errors and events; fits after "the".
    pub(crate) what: &'static str,
}

/// Which credentials go along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// The access token, at each hop whose origin may have it; to others the request goes without.
    Bearer,
    /// None, to nobody.
    None,
    /// Headers and body hold the client's own secret, which is for this origin: there and to trusted ones, or not at
    /// all.
    Client(Origin),
}

/// How often it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempts {
    /// The first answer is final, and so is the first failure: [`FetchError::is_transient`] tells whether another try
    /// is worthwhile.
    Once,
    /// Failed connections, silence and the statuses of [`is_transient`] are ridden out, with backoff and `Retry-After`.
    UntilAnswered,
}

/// A small answer, read whole.
pub(crate) struct Whole {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Of the last hop.
    pub(crate) url: Url,
    pub(crate) body: Vec<u8>,
}

impl Http {
    /// Errors: [`ErrorKind::Usage`] for options that do not fit together.
    pub(crate) fn new(
        options: ClientOptions,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn FetchObserver>,
    ) -> Result<Http, FetchError> {
        let usage = |message: &str| FetchError::new(ErrorKind::Usage, message);
        let home = Origin::of(&options.base_url).ok_or_else(|| usage("the base URL is neither https nor http"))?;
        let place = Place::new(options.kind, &options.base_url, options.tenant.as_deref())?;
        let systems = options.systems_url.clone().unwrap_or_else(|| place.systems_origin());
        let trusted = options.trusted_origins.iter().cloned().chain(Origin::of(&systems)).collect();
        let origins = OriginPolicy { home, trusted, plain_http: options.plain_http };
        let named = [
            (Some(&options.base_url), "FHIR server"),
            (options.token_url.as_ref(), "token endpoint"),
            (options.authorize_url.as_ref(), "authorization endpoint"),
            (options.systems_url.as_ref(), "search for systems"),
        ];
        for (url, what) in named {
            if let Some(refused) = url.and_then(|url| origins.admit(url, what).err()) {
                let hint = refused.hint().unwrap_or_else(|| "Leave it out; see --client-id.".to_owned());
                return Err(usage(&refused.to_string()).with_hint(hint));
            }
        }
        let transport = Transport::new(&options.ca_certificates, options.patience.idle_timeout)?;
        let tokens = TokenStore::new(&options)?;
        let rng = Mutex::new(fastrand::Rng::with_seed(options.seed));
        Ok(Http { shared: Arc::new(Shared { options, place, origins, transport, tokens, clock, observer, rng }) })
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    /// What the kind of server makes of the base URL.
    pub(crate) fn place(&self) -> &Place {
        &self.shared.place
    }

    pub(crate) fn origins(&self) -> &OriginPolicy {
        &self.shared.origins
    }

    pub(crate) fn tokens(&self) -> &TokenStore {
        &self.shared.tokens
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    pub(crate) fn observer(&self) -> &dyn FetchObserver {
        &*self.shared.observer
    }

    /// For jitter, seeded by [`ClientOptions::seed`]. Not to be held across an await.
    pub(crate) fn rng(&self) -> MutexGuard<'_, fastrand::Rng> {
        // Its state is whole after every step.
        self.shared.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A URL that the server handed out, where a gateway that names itself by another host is moved to the configured
    /// origin: see [`Place::at_home`]. One whose origin is trusted by name stays as it is.
    pub(crate) fn at_home(&self, url: Url) -> Url {
        if self.shared.origins.may_have_credentials(&url) { url } else { self.shared.place.at_home(url) }
    }

    /// What the server asks to wait, at most [`Patience::max_wait`](crate::Patience::max_wait).
    pub(crate) fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        retry_after(headers, self.clock().now(), self.options().patience.max_wait)
    }

    /// Sends a request until there is an answer that is final; any status may be.
    ///
    /// A 401 to an access token has the token renewed, and the request sent again. Errors: [`ErrorKind::Auth`] where
    /// there is no token to be had or a fresh one is refused, [`ErrorKind::UntrustedOrigin`], [`ErrorKind::Tls`],
    /// [`ErrorKind::Transport`].
    pub(crate) async fn send(&self, outgoing: &Outgoing) -> Result<Answer, FetchError> {
        let mut backoff = Backoff::new(self.options().patience);
        loop {
            let failure = match self.follow(outgoing).await {
                Ok(answer) if outgoing.attempts == Attempts::UntilAnswered && is_transient(answer.status()) => {
                    let failure = out_of_order(&answer, outgoing.what);
                    let asked = self.retry_after(answer.headers());
                    answer.discard().await;
                    (failure, asked)
                }
                Err(error) if outgoing.attempts == Attempts::UntilAnswered && error.is_transient() => (error, None),
                settled => return settled,
            };
            self.ride_out(failure, outgoing.what, &mut backoff).await?;
        }
    }

    /// The same, with the whole body; where failures are ridden out, so is a body that breaks off.
    ///
    /// Errors: as [`Http::send`]; [`ErrorKind::NotData`] for a body of more than `limit_bytes`.
    pub(crate) async fn send_whole(&self, outgoing: &Outgoing, limit_bytes: usize) -> Result<Whole, FetchError> {
        let mut backoff = Backoff::new(self.options().patience);
        loop {
            let answer = self.send(outgoing).await?;
            let (status, headers, url) = (answer.status(), answer.headers().clone(), answer.url().clone());
            match answer.text(limit_bytes).await {
                Ok(body) => return Ok(Whole { status, headers, url, body }),
                Err(error) if outgoing.attempts == Attempts::UntilAnswered && error.is_transient() => {
                    self.ride_out((error, None), outgoing.what, &mut backoff).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// [`Http::send_whole`] behind a pointer, for requests that are part of another: a token is asked for inside of it.
    pub(crate) fn send_boxed<'a>(
        &'a self,
        outgoing: &'a Outgoing,
        limit_bytes: usize,
    ) -> BoxFuture<'a, Result<Whole, FetchError>> {
        Box::pin(self.send_whole(outgoing, limit_bytes))
    }

    /// Waits before another attempt, and tells so; gives the failure back as final when no retries are left.
    ///
    /// With the failure goes what the server asked to wait.
    pub(crate) async fn ride_out(
        &self,
        (failure, asked): (FetchError, Option<Duration>),
        what: &str,
        backoff: &mut Backoff,
    ) -> Result<(), FetchError> {
        let wait = backoff.next(asked, &mut self.rng());
        let Some(wait) = wait else { return Err(failure.given_up(backoff.retries())) };
        let (attempt, of, why) = (backoff.failures(), backoff.retries(), failure.to_string());
        self.observer().fetch_event(FetchEvent::Retry { what, attempt, of, wait, why: &why });
        self.clock().sleep(wait).await;
        Ok(())
    }

    /// Follows redirects to an answer that is none (RFC 9110, section 15.4).
    async fn follow(&self, outgoing: &Outgoing) -> Result<Answer, FetchError> {
        let what = outgoing.what;
        let mut step = Step {
            method: outgoing.method.clone(),
            url: outgoing.url.clone(),
            headers: outgoing.headers.clone(),
            body: outgoing.body.clone(),
        };
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.hop(&step, &outgoing.credentials, what).await?;
            let Some(target) = step.redirect(&answer) else { return Ok(answer) };
            let target = target
                .map_err(|()| FetchError::transient(format!("the {what} is redirected to something that is no URL")))?;
            self.shared.origins.admit_redirect(&step.url, &target, what)?;
            step.move_to(answer.status(), target);
            answer.discard().await;
        }
        Err(FetchError::new(ErrorKind::Transport, format!("the {what} is redirected more than {MAX_REDIRECTS} times")))
    }

    /// One hop, with the credentials that its origin may have.
    async fn hop(&self, step: &Step, credentials: &Credentials, what: &'static str) -> Result<Answer, FetchError> {
        let origin = self.shared.origins.admit(&step.url, what)?;
        let ours = match credentials {
            Credentials::Client(owner) if origin == *owner => true,
            _ => self.shared.origins.may_have_credentials(&step.url),
        };
        if !ours && matches!(credentials, Credentials::Client(_)) {
            return Err(untrusted(&step.url, what, "would get the client's secret"));
        }
        if !ours && step.body.is_some() {
            return Err(untrusted(&step.url, what, "would get what it asks for, patients included"));
        }
        let send = async |headers| {
            let (method, url, body, origin) = (&step.method, &step.url, step.body.as_ref(), origin.clone());
            self.shared.transport.exchange(Hop { method, url, origin, headers, body, what }).await
        };
        let mut headers = step.headers.clone();
        if !ours {
            for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
                headers.remove(name);
            }
        }
        if !ours || *credentials != Credentials::Bearer {
            return send(headers).await;
        }
        let mut lease = self.tokens().lease(self).await?;
        loop {
            let mut headers = headers.clone();
            if let Some(value) = lease.authorization() {
                headers.insert(AUTHORIZATION, value.clone());
            }
            let answer = send(headers).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                lease.accepted();
                return Ok(answer);
            }
            answer.discard().await;
            lease = self.tokens().renew(self, lease, what).await?;
        }
    }
}

/// What is sent next.
struct Step {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
}

impl Step {
    /// Where an answer sends on to, if it does. A request with a body is not turned into one without, which would ask
    /// for something else, such as an export of everything: there a 303 is an answer.
    fn redirect(&self, answer: &Answer) -> Option<Result<Url, ()>> {
        match answer.status().as_u16() {
            301 | 302 | 307 | 308 => {}
            303 if self.body.is_none() => {}
            _ => return None,
        }
        let location = answer.headers().get(LOCATION)?;
        Some(location.to_str().ok().and_then(|text| answer.url().join(text).ok()).ok_or(()))
    }

    /// RFC 9110, sections 15.4.2 to 15.4.9: 303 asks for a GET; 307 and 308 change nothing, and so do 301 and 302 here,
    /// although they may make a GET of a POST.
    fn move_to(&mut self, status: StatusCode, target: Url) {
        if status == StatusCode::SEE_OTHER && self.method != Method::HEAD {
            self.method = Method::GET;
        }
        self.url = target;
    }
}

fn out_of_order(answer: &Answer, what: &str) -> FetchError {
    FetchError::transient(format!("the {what} was answered with {}", answer.status()))
}

#[cfg(test)]
mod tests;
