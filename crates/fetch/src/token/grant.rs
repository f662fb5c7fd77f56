//! One token request, ridden out: client credentials, a login's code, or a refresh token (RFC 6749, sections 4.1.3, 4.4, 5
//! and 6).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{Auth, SecretStyle, Session, access_type_hint, bearer, owner};
use crate::error::{ErrorKind, FetchError};
use crate::http::{Attempts, Credentials, Http, Outgoing, Whole};
use crate::operation_outcome::shown;
use crate::retry::{Backoff, is_transient};

/// For errors and events.
const WHAT: &str = "token request";
/// A token with the claims of many groups is some 10 kB.
const LIMIT_BYTES: usize = 1 << 20;
/// What to do when a session has ended.
pub(super) const LOG_IN_AGAIN: &str = "Log in again: lakehaul login.";
/// A century of seconds would not fit a timestamp; no token lives longer than a year on purpose.
const MOST_SECONDS: u64 = 366 * 24 * 60 * 60;

/// What a token is asked for with.
pub(crate) enum GrantType<'a> {
    /// Who the client is.
    ClientCredentials,
    /// What a login gave (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    Code {
        /// Good once.
        code: &'a SecretString,
        /// That of the login, if it had one.
        redirect_uri: Option<&'a Url>,
        /// That of the login, if it had one.
        verifier: Option<&'a SecretString>,
    },
    /// What an earlier answer gave.
    RefreshToken(&'a SecretString),
}

/// What a token endpoint gave.
pub(crate) struct Grant {
    pub(crate) authorization: HeaderValue,
    pub(crate) access_token: SecretString,
    pub(crate) refresh_token: Option<SecretString>,
    /// An id of a resource.
    pub(crate) patient: Option<String>,
    pub(crate) seconds: Option<u64>,
    pub(crate) scopes: Option<String>,
}

/// Asks for a token. Errors: see [`TokenStore::lease`](super::TokenStore::lease).
pub(crate) async fn request(http: &Http, endpoint: &Url, grant_type: &GrantType<'_>) -> Result<Grant, FetchError> {
    let mut backoff = Backoff::new(http.options().patience);
    loop {
        // Made anew each time: a server may take an assertion's `jti` only once.
        let outgoing = outgoing(http, endpoint, grant_type)?;
        let failure = match http.send_boxed(&outgoing, LIMIT_BYTES).await {
            Ok(answer) if is_transient(answer.status) => {
                let failure = FetchError::transient(format!("the {WHAT} was answered with {}", answer.status));
                (failure, http.retry_after(&answer.headers))
            }
            Ok(answer) => return read(http, &answer, grant_type),
            Err(error) if error.is_transient() => (error, None),
            Err(error) => return Err(error),
        };
        http.ride_out(failure, WHAT, &mut backoff).await?;
    }
}

fn outgoing(http: &Http, endpoint: &Url, grant_type: &GrantType<'_>) -> Result<Outgoing, FetchError> {
    let options = http.options();
    let mut headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
    ]);
    let mut form = form_urlencoded::Serializer::new(String::new());
    match grant_type {
        GrantType::ClientCredentials => {
            form.append_pair("grant_type", "client_credentials");
            let scope = options.scope.as_deref().or(options.kind.default_scope());
            if let Some(scope) = scope.filter(|scope| !scope.is_empty()) {
                form.append_pair("scope", scope);
            }
        }
        GrantType::Code { code, redirect_uri, verifier } => {
            form.append_pair("grant_type", "authorization_code").append_pair("code", code.expose_secret());
            if let Some(redirect_uri) = redirect_uri {
                form.append_pair("redirect_uri", redirect_uri.as_str());
            }
            if let Some(verifier) = verifier {
                form.append_pair("code_verifier", verifier.expose_secret());
            }
        }
        GrantType::RefreshToken(token) => {
            form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose_secret());
        }
    }
    let mut with_secret = |client_id: &str, secret: &SecretString, style: SecretStyle| match style {
        SecretStyle::Form => {
            form.append_pair("client_id", client_id).append_pair("client_secret", secret.expose_secret());
        }
        SecretStyle::Basic => {
            headers.insert(AUTHORIZATION, basic(client_id, secret.expose_secret()));
        }
    };
    match &options.auth {
        Auth::ClientSecret { client_id, secret, style } => with_secret(client_id, secret, *style),
        Auth::Session(Session { client_id, secret: Some((secret, style)), .. }) => {
            with_secret(client_id, secret, *style);
        }
        // RFC 6749, section 4.1.3: a client that has nothing to show says who it is.
        Auth::Session(Session { client_id, secret: None, .. }) | Auth::Public { client_id } => {
            form.append_pair("client_id", client_id);
        }
        Auth::PrivateKeyJwt { client_id, key, key_id, jku } => {
            let assertion = key.assertion(client_id, endpoint, key_id.as_deref(), jku.as_ref(), http.clock().now())?;
            form.append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .append_pair("client_assertion", &assertion);
        }
        Auth::None | Auth::Token(_) => {
            let message = "a token is asked for by a client, and none is named";
            return Err(FetchError::new(ErrorKind::Usage, message).with_hint("Name it with --client-id."));
        }
    }
    Ok(Outgoing {
        method: Method::POST,
        url: endpoint.clone(),
        headers,
        body: Some(Bytes::from(form.finish())),
        credentials: Credentials::Client(owner(endpoint)),
        attempts: Attempts::Once,
        what: WHAT,
    })
}

/// Both are form-encoded first (RFC 6749, section 2.3.1), so that neither's colon is taken for the separator.
fn basic(client_id: &str, secret: &str) -> HeaderValue {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {pair}")).expect("base64 is plain ASCII");
    value.set_sensitive(true);
    value
}

/// RFC 6749, section 5.
fn read(http: &Http, answer: &Whole, grant_type: &GrantType<'_>) -> Result<Grant, FetchError> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !answer.status.is_success() {
        return Err(refusal(http, answer, &body, grant_type));
    }
    let unusable = |why: &str| FetchError::new(ErrorKind::Auth, format!("the token endpoint's answer {why}"));
    if !body.is_object() {
        return Err(unusable("is not a JSON object").with_hint("Look whether --token-url is the token endpoint."));
    }
    let kind = body.get("token_type").and_then(Value::as_str);
    if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unusable("holds a token that is no bearer token"));
    }
    let token = body.get("access_token").and_then(Value::as_str).ok_or_else(|| unusable("holds no access_token"))?;
    let authorization = bearer(token).ok_or_else(|| unusable("holds an access_token that no header can carry"))?;
    let scopes = body.get("scope").and_then(Value::as_str).map(shown).filter(|scopes| !scopes.is_empty());
    let refresh_token = body.get("refresh_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    Ok(Grant {
        authorization,
        access_token: token.into(),
        refresh_token: refresh_token.map(SecretString::from),
        patient: body.get("patient").and_then(Value::as_str).filter(|id| is_id(id)).map(str::to_owned),
        seconds: body.get("expires_in").and_then(seconds),
        scopes,
    })
}

/// FHIR R4, section 2.24.0.1.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// A number, or a number in a string, as some servers have it. What is no life is as good as unsaid.
fn seconds(expires_in: &Value) -> Option<u64> {
    let seconds = match expires_in {
        Value::String(text) => text.trim().parse().ok()?,
        number => number.as_f64()?,
    };
    // The cast saturates.
    (seconds >= 1.0).then_some((seconds as u64).min(MOST_SECONDS))
}

fn refusal(http: &Http, answer: &Whole, body: &Value, grant_type: &GrantType<'_>) -> FetchError {
    let code = body.get("error").and_then(Value::as_str).map(shown).filter(|code| !code.is_empty());
    let description = body.get("error_description").and_then(Value::as_str).unwrap_or_default();
    let mut message = format!("the token endpoint answers {}", answer.status);
    if let Some(code) = &code {
        message = format!("{message}, {code}");
    }
    let description = shown(&without_secret(http, grant_type, description));
    if !description.is_empty() {
        message = format!("{message}: {description}");
    }
    let (client_error, server_error) = (answer.status.is_client_error(), answer.status.is_server_error());
    let kind = if server_error { ErrorKind::Transport } else { ErrorKind::Auth };
    let hint = match code.as_deref() {
        Some("invalid_grant") => match grant_type {
            GrantType::ClientCredentials => None,
            GrantType::Code { .. } => Some(
                "A login's code lives five minutes and is good once: log in again, with lakehaul login.".to_owned(),
            ),
            GrantType::RefreshToken(_) => Some(LOG_IN_AGAIN.to_owned()),
        },
        Some("invalid_client") => Some("Look whether client id and secret (or key) are this server's.".to_owned()),
        Some("invalid_scope") => Some("Look whether the scope is one that the client may have (--scope).".to_owned()),
        None if client_error => Some("Look whether base URL, tenant and token URL are this server's.".to_owned()),
        _ => None,
    };
    let hints = [hint, access_type_hint(http).filter(|_| client_error)].into_iter().flatten().collect::<Vec<_>>();
    let error = FetchError::new(kind, message);
    if hints.is_empty() { error } else { error.with_hint(hints.join(" ")) }
}

/// A server might repeat what it was sent.
fn without_secret(http: &Http, grant_type: &GrantType<'_>, text: &str) -> String {
    let of_client = match &http.options().auth {
        Auth::ClientSecret { secret, .. } | Auth::Session(Session { secret: Some((secret, _)), .. }) => Some(secret),
        _ => None,
    };
    let of_grant = match grant_type {
        GrantType::ClientCredentials => [None, None],
        GrantType::Code { code, verifier, .. } => [Some(*code), *verifier],
        GrantType::RefreshToken(token) => [Some(*token), None],
    };
    let secrets = of_grant.into_iter().chain([of_client]).flatten().map(ExposeSecret::expose_secret);
    secrets.filter(|secret| !secret.is_empty()).fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
}
