//! A member's login: the authorization code flow (RFC 6749, section 4.1) with PKCE (RFC 7636), for programs without a server
//! of their own (RFC 8252, section 7.3).
//!
//! In goes the address that the browser is sent back to; out comes a URL to open, and from what the browser brings back the
//! tokens of a session. Nothing here opens a browser or listens. State and verifier come from the system's randomness; the
//! code is good once, for minutes, and only together with the verifier, which never leaves the program but for the token
//! endpoint.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use crate::error::{ErrorKind, FetchError};
use crate::http::Http;
use crate::operation_outcome::shown;
use crate::origin::{Origin, PlainHttp};
use crate::profile::Kind;
use crate::secret_url::SecretUrl;
use crate::token::{GrantType, SessionTokens, authorization_endpoint, exchange};

/// 256 bits each, as RFC 7636, section 7.1, recommends.
const RANDOM_BYTES: usize = 32;

/// A login that has begun: what the browser is to open, and what its answer must fit.
#[derive(Clone)]
pub struct AuthorizationRequest {
    url: Url,
    redirect_uri: Url,
    state: SecretString,
    verifier: SecretString,
}

impl AuthorizationRequest {
    /// To be opened in a browser, within minutes. It says who asks for what, and holds no credential.
    pub fn url(&self) -> SecretUrl {
        SecretUrl::new(self.url.clone())
    }

    /// Where the browser is sent back to.
    pub fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// The code in what the browser brought back: the whole URL, what follows its host, just its query, or the bare code as
    /// a person may have copied it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] for the answer to another login, or one that says that there is no code and why.
    pub fn code_of(&self, callback: &str) -> Result<SecretString, FetchError> {
        let refused = |why: String| FetchError::new(ErrorKind::Auth, why);
        let callback = callback.trim();
        let Some(query) = query_of(callback) else {
            if callback.is_empty() || !callback.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(refused(
                    "what was pasted is neither the URL that the browser was sent to nor a code".into(),
                )
                .with_hint("Copy the whole address from the browser once it shows the redirect URL."));
            }
            return Ok(callback.into());
        };
        // RFC 6749, section 3.1: no parameter more than once.
        let only = |name: &str| {
            let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(it, _)| it == name);
            let first = values.next().map(|(_, value)| value.into_owned());
            first.filter(|value| values.next().is_none() && !value.is_empty())
        };
        if only("state").as_deref() != Some(self.state.expose_secret()) {
            return Err(refused("the answer is not to this login (state)".to_owned())
                .with_hint("Finish the login that was begun last, in the browser window that it opened."));
        }
        if let Some(error) = only("error") {
            let description = only("error_description").unwrap_or_default();
            let separator = if description.is_empty() { "" } else { ": " };
            let words = shown(&format!("{error}{separator}{description}"));
            let refusal = refused(format!("the login was refused: {words}"));
            return Err(match error.as_str() {
                "access_denied" => refusal.with_hint("Log in again, and agree to what the application may see."),
                "invalid_scope" => refusal.with_hint("Ask for a scope that the client may have (--scope)."),
                _ => refusal,
            });
        }
        only("code").map(SecretString::from).ok_or_else(|| refused("the answer to the login holds no code".to_owned()))
    }
}

/// `None` for what is no URL and no query: a bare code.
fn query_of(callback: &str) -> Option<&str> {
    let without_fragment = callback.split('#').next().unwrap_or_default();
    let names = ["code=", "error=", "state="];
    match without_fragment.split_once('?') {
        Some((_, query)) => Some(query),
        None if callback.contains("://") || callback.starts_with('/') => Some(""),
        None => names
            .iter()
            .any(|name| callback.starts_with(name) || callback.contains(&format!("&{name}")))
            .then_some(callback),
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorizationRequest({})", self.url())
    }
}

/// Begins a login.
///
/// Errors: [`ErrorKind::Usage`] without a client id or for a redirect URL that no browser may be sent to,
/// [`ErrorKind::Auth`] where no authorization endpoint is to be found, or why no answer came.
pub(crate) async fn begin(
    http: &Http,
    redirect_uri: &Url,
    scope: Option<&str>,
) -> Result<AuthorizationRequest, FetchError> {
    let options = http.options();
    let client_id = options.auth.client_id().ok_or_else(|| {
        FetchError::new(ErrorKind::Usage, "a login needs the id of the application that asks for it")
            .with_hint("Name it with --client-id.")
    })?;
    check_redirect(redirect_uri, options.plain_http)?;
    let endpoint = authorization_endpoint(http).await?;
    let (state, verifier) = (random()?, random()?);
    let scope = scope.or(options.scope.as_deref()).or(options.kind.login_scope()).filter(|scope| !scope.is_empty());
    let mut url = endpoint;
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect_uri.as_str())
            .append_pair("state", state.expose_secret())
            .append_pair("code_challenge", &challenge(verifier.expose_secret()))
            .append_pair("code_challenge_method", "S256");
        if let Some(scope) = scope {
            query.append_pair("scope", scope);
        }
        if matches!(options.kind, Kind::Fhir | Kind::Smart) {
            // SMART App Launch 2.2, section 2.1.6: whom the token is meant for.
            query.append_pair("aud", http.place().base().as_str());
        }
    }
    Ok(AuthorizationRequest { url, redirect_uri: redirect_uri.clone(), state, verifier })
}

/// Errors: as [`begin`], and [`ErrorKind::Auth`] for a code that is not good (any more).
pub(crate) async fn finish(
    http: &Http,
    request: &AuthorizationRequest,
    code: &SecretString,
) -> Result<SessionTokens, FetchError> {
    let (redirect_uri, verifier) = (Some(&request.redirect_uri), Some(&request.verifier));
    exchange(http, &GrantType::Code { code, redirect_uri, verifier }).await
}

/// The same for a code that came without a browser. Errors: as [`finish`].
pub(crate) async fn finish_plain(http: &Http, code: &SecretString) -> Result<SessionTokens, FetchError> {
    exchange(http, &GrantType::Code { code, redirect_uri: None, verifier: None }).await
}

/// RFC 6749, section 3.1.2, and RFC 8252, sections 7 and 8.3.
fn check_redirect(uri: &Url, plain_http: PlainHttp) -> Result<(), FetchError> {
    let refused = |why: &str| Err(FetchError::new(ErrorKind::Usage, format!("the redirect URL {why}")));
    if uri.fragment().is_some() {
        return refused("ends with its query: leave out what follows #");
    }
    match (uri.scheme(), Origin::of(uri)) {
        ("http", Some(origin)) if !origin.is_loopback() && plain_http == PlainHttp::LoopbackOnly => {
            refused("is plain http, to another machine: the code would travel in the clear")
        }
        ("javascript" | "data" | "file" | "blob", _) => refused("has a scheme that no browser is sent on to"),
        _ => Ok(()),
    }
}

fn random() -> Result<SecretString, FetchError> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        FetchError::new(ErrorKind::Usage, format!("the system gives no random bytes: {error}")).with_source(error)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

/// RFC 7636, section 4.2.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests;
