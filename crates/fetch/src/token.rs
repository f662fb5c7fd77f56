//! Access tokens: got by client credentials or by a login, kept until shortly before they die, renewed once for all who wait.
//!
//! The flows are RFC 6749, sections 4.1, 4.4 and 6, with the secret in the form or as HTTP basic authentication (section 2.3.1), or with
//! a signed assertion (RFC 7523; SMART App Launch 2.2, Backend Services). Neither a secret nor a token is ever shown.

mod endpoint;
mod grant;
mod private_key;
mod session;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use url::Url;

use crate::client::ClientOptions;
use crate::error::{ErrorKind, FetchError};
use crate::event::FetchEvent;
use crate::http::Http;
use crate::origin::Origin;

pub(crate) use endpoint::authorization_endpoint;
pub use endpoint::{EndpointSource, TokenEndpoint};
pub(crate) use grant::GrantType;
pub use private_key::PrivateKey;
pub use session::{Session, SessionKeeper, SessionTokens};

/// How the client shows who it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Auth {
    /// It does not: an open server.
    None,
    /// A ready access token, which cannot be renewed.
    Token(SecretString),
    /// A secret that is shared with the token endpoint.
    ClientSecret {
        /// As registered.
        client_id: String,
        /// As registered.
        secret: SecretString,
        /// How it is sent.
        style: SecretStyle,
    },
    /// A key whose public half the token endpoint knows.
    PrivateKeyJwt {
        /// As registered.
        client_id: String,
        /// Signs the assertions.
        key: PrivateKey,
        /// The assertion's `kid`; `None`: the key's own, if it has one.
        key_id: Option<String>,
        /// Where the public key can be read, for servers that want to be told.
        jku: Option<Url>,
    },
    /// A client that shares nothing with the token endpoint: it can have a member log in, and has no token of its own.
    Public {
        /// As registered.
        client_id: String,
    },
    /// A login's tokens.
    Session(Session),
}

impl Auth {
    /// Who asks, where that is said.
    pub(crate) fn client_id(&self) -> Option<&str> {
        match self {
            Auth::None | Auth::Token(_) => None,
            Auth::ClientSecret { client_id, .. }
            | Auth::PrivateKeyJwt { client_id, .. }
            | Auth::Public { client_id }
            | Auth::Session(Session { client_id, .. }) => Some(client_id),
        }
    }
}

/// How a client's secret is sent (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretStyle {
    /// In the body, as `client_id` and `client_secret`.
    #[default]
    Form,
    /// As HTTP basic authentication.
    Basic,
}

/// What is known of the access token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenFacts {
    /// Where it came from; `None` for a ready token, or none at all.
    pub endpoint: Option<TokenEndpoint>,
    /// How long it lives, from when it was asked for, as far as the endpoint says.
    pub seconds: Option<u64>,
    /// What it is good for, as far as the endpoint says.
    pub scopes: Option<String>,
}

/// What a token lives for where its endpoint does not say.
const ASSUMED_LIFETIME: Duration = Duration::from_secs(300);
/// The most that a token is renewed ahead of its end; shorter lives are renewed after three quarters. The longest request
/// for which a token must hold is the one that starts with it: servers check it once, at the start.
const MOST_AHEAD: Duration = Duration::from_secs(30);
/// How often one request has its token renewed, if the tokens are good for others.
const MOST_RENEWALS: u32 = 3;

/// The current token, and how to get the next one.
pub(crate) struct TokenStore {
    /// A ready token.
    ready: Option<Arc<Token>>,
    state: Mutex<State>,
    /// How often the token endpoint has given or refused a token; tells who waited meanwhile that their turn is over.
    settled: AtomicU64,
    /// A server took one of its tokens: one that is refused has died.
    accepted: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Token>>,
    /// Of the last attempt, if it failed.
    failure: Option<FetchError>,
    /// Found once.
    endpoint: Option<TokenEndpoint>,
    /// Of a login.
    session: Option<SessionTokens>,
}

struct Token {
    /// Marked as sensitive.
    authorization: HeaderValue,
    /// From when on it is renewed; `None`: never.
    renew_at: Option<Timestamp>,
    /// Its store's.
    accepted: Arc<AtomicBool>,
    seconds: Option<u64>,
    scopes: Option<String>,
}

/// The token that one request uses.
pub(crate) struct Lease {
    token: Option<Arc<Token>>,
    renewals: u32,
}

impl Lease {
    /// The header's value; `None` where there is no authentication.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.token.as_ref().map(|token| &token.authorization)
    }

    /// The server did not refuse it.
    pub(crate) fn accepted(&self) {
        if let Some(token) = &self.token {
            token.accepted.store(true, SeqCst);
        }
    }
}

impl TokenStore {
    /// Errors: [`ErrorKind::Usage`] for a ready token that no header can hold.
    pub(crate) fn new(options: &ClientOptions) -> Result<TokenStore, FetchError> {
        let accepted = Arc::<AtomicBool>::default();
        let kept = |token: &SecretString, renew_at: Option<Timestamp>, scopes: Option<String>| {
            let authorization = bearer(token.expose_secret().trim())
                .ok_or_else(|| FetchError::new(ErrorKind::Usage, "the access token is not one word of plain text"))?;
            Ok(Arc::new(Token { authorization, renew_at, accepted: Arc::clone(&accepted), seconds: None, scopes }))
        };
        let (mut ready, mut state) = (None, State::default());
        match &options.auth {
            Auth::Token(token) => ready = Some(kept(token, None, None)?),
            Auth::Session(Session { tokens, .. }) => {
                // What cannot be renewed is used to its end.
                let ahead = if tokens.refresh_token.is_some() { MOST_AHEAD } else { Duration::ZERO };
                let renew_at = tokens.expires_at.map(|end| end - ahead);
                state.current = Some(kept(&tokens.access_token, renew_at, tokens.scope.clone())?);
                state.session = Some(tokens.clone());
            }
            Auth::None | Auth::ClientSecret { .. } | Auth::PrivateKeyJwt { .. } | Auth::Public { .. } => {}
        }
        Ok(TokenStore { ready, state: Mutex::new(state), settled: AtomicU64::new(0), accepted })
    }

    /// A token that is good for a request now; a new one, if need be.
    ///
    /// However many wait, one request is sent, and they share its token or its failure. Errors: [`ErrorKind::Auth`] where
    /// it is refused, [`ErrorKind::UntrustedOrigin`] where the secret would have to go astray, or why no answer came.
    pub(crate) async fn lease(&self, http: &Http) -> Result<Lease, FetchError> {
        let token = match &http.options().auth {
            Auth::None => None,
            Auth::Token(_) => self.ready.clone(),
            Auth::ClientSecret { .. } | Auth::PrivateKeyJwt { .. } | Auth::Session(_) => {
                Some(self.current(http, None).await?)
            }
            Auth::Public { .. } => {
                let message = "a client without a secret has no access token of its own";
                return Err(FetchError::new(ErrorKind::Auth, message).with_hint("Log in first: lakehaul login."));
            }
        };
        Ok(Lease { token, renewals: 0 })
    }

    /// After a 401: the token that has replaced the refused one meanwhile, or a new one.
    ///
    /// Errors: [`ErrorKind::Auth`] where there is no other, or where the refused one was new itself: has no server ever
    /// accepted one, the next will fare no better.
    pub(crate) async fn renew(&self, http: &Http, lease: Lease, what: &str) -> Result<Lease, FetchError> {
        let refused = |why: &str| FetchError::new(ErrorKind::Auth, format!("the {what} was refused (401): {why}"));
        let Some(token) = lease.token else {
            return Err(refused("the server demands authentication").with_hint("Name a client with --client-id."));
        };
        if self.ready.is_some() {
            return Err(refused("the access token is not valid, or not any more").with_hint("Get a new access token."));
        }
        let fresh = lease.renewals > 0 && !token.accepted.load(SeqCst);
        if fresh || lease.renewals == MOST_RENEWALS {
            let error = refused("the server does not accept the access token that its token endpoint has just given");
            return Err(match access_type_hint(http) {
                Some(hint) => error.with_hint(hint),
                None => error.with_hint("Look whether the scope is what the server wants (--scope)."),
            });
        }
        let token = self.current(http, Some(&token)).await?;
        Ok(Lease { token: Some(token), renewals: lease.renewals + 1 })
    }

    /// Gets a token if there is none, and tells what is known of it.
    pub(crate) async fn facts(&self, http: &Http) -> Result<TokenFacts, FetchError> {
        let token = self.lease(http).await?.token;
        let endpoint = self.state.lock().await.endpoint.clone();
        let (seconds, scopes) = token.map_or((None, None), |token| (token.seconds, token.scopes.clone()));
        Ok(TokenFacts { endpoint, seconds, scopes })
    }

    /// The token of now; not `refused`.
    async fn current(&self, http: &Http, refused: Option<&Arc<Token>>) -> Result<Arc<Token>, FetchError> {
        let before = self.settled.load(SeqCst);
        let mut state = self.state.lock().await;
        let waited_for_another = self.settled.load(SeqCst) != before;
        if let Some(token) = &state.current {
            let other = refused.is_none_or(|refused| !Arc::ptr_eq(refused, token));
            let alive = token.renew_at.is_none_or(|renew_at| http.clock().now() < renew_at);
            // One that came while this request waited is taken however short its life: otherwise each would get its own.
            if other && (alive || waited_for_another) {
                return Ok(token.clone());
            }
        } else if let (true, Some(failure)) = (waited_for_another, &state.failure) {
            return Err(failure.clone());
        }
        state.current = None;
        let gained = self.obtain(http, &mut state).await;
        self.settled.fetch_add(1, SeqCst);
        match gained {
            Ok(token) => {
                state.failure = None;
                Ok(state.current.insert(Arc::new(token)).clone())
            }
            Err(error) => {
                state.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    async fn obtain(&self, http: &Http, state: &mut State) -> Result<Token, FetchError> {
        let endpoint = match &state.endpoint {
            Some(endpoint) => endpoint,
            None => state.endpoint.insert(endpoint::find(http).await?),
        };
        let asked_at = http.clock().now();
        let grant_type = match &state.session {
            Some(SessionTokens { refresh_token: Some(token), .. }) => GrantType::RefreshToken(token),
            Some(_) => {
                let message = "the login has ended: its access token is not good any more, and nothing renews it";
                return Err(FetchError::new(ErrorKind::Auth, message).with_hint(grant::LOG_IN_AGAIN));
            }
            None => GrantType::ClientCredentials,
        };
        let grant = grant::request(http, endpoint.url.expose(), &grant_type).await?;
        if let Auth::Session(Session { keeper, .. }) = &http.options().auth {
            // Nothing waits in between: a refresh token that is good once must not be lost.
            let tokens = SessionTokens::of(&grant, asked_at, state.session.as_ref());
            if let Err(why) = keeper.keep(&tokens) {
                http.observer().fetch_event(FetchEvent::Warning(&format!(
                    "the login's new tokens are not kept ({why}): the next program may have to log in again"
                )));
            }
            state.session = Some(tokens);
        }
        let lifetime = grant.seconds.map_or(ASSUMED_LIFETIME, Duration::from_secs);
        let renew_at = asked_at + (lifetime - MOST_AHEAD.min(lifetime / 4));
        http.observer().fetch_event(FetchEvent::TokenObtained { seconds: grant.seconds });
        Ok(Token {
            authorization: grant.authorization,
            renew_at: Some(renew_at),
            accepted: Arc::clone(&self.accepted),
            seconds: grant.seconds,
            scopes: grant.scopes,
        })
    }
}

/// Asks for the tokens of a login, beside those that a client has.
///
/// Errors: [`ErrorKind::Auth`] where they are refused, and as [`TokenStore::lease`].
pub(crate) async fn exchange(http: &Http, grant_type: &GrantType<'_>) -> Result<SessionTokens, FetchError> {
    let endpoint = endpoint::find(http).await?;
    let asked_at = http.clock().now();
    let grant = grant::request(http, endpoint.url.expose(), grant_type).await?;
    http.observer().fetch_event(FetchEvent::TokenObtained { seconds: grant.seconds });
    Ok(SessionTokens::of(&grant, asked_at, None))
}

impl fmt::Debug for TokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenStore")
    }
}

/// `None` for what is not one word of visible ASCII (RFC 6750, section 2.1, allows even less).
fn bearer(token: &str) -> Option<HeaderValue> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What a client of this kind must have been registered for.
fn access_type_hint(http: &Http) -> Option<String> {
    let kind = http.place().kind();
    let access_type = kind.access_type()?;
    Some(format!(
        "For {kind} the client must have been created in 1up's developer portal with the access type \"{access_type}\"; \
         sandbox and production have clients of their own."
    ))
}

/// The origin that a client's secret is for: the endpoint's own.
fn owner(endpoint: &Url) -> Origin {
    Origin::of(endpoint).expect("a token endpoint is an admitted http URL")
}

#[cfg(test)]
mod tests;
