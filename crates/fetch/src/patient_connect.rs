//! 1upHealth's Patient Connect beside FHIR: the health systems that a patient can connect to, and an application's users.
//!
//! In goes what is searched for, or a user's name at the application; out come systems page by page, and codes that are good
//! for an access token. From 1upHealth's developer documentation (Patient Connect, User Management, Connect): an hour has
//! 300 calls about users, and what is beyond waits here.

mod systems;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::error::{ErrorKind, FetchError};
use crate::event::FetchEvent;
use crate::http::{Attempts, Credentials, Http, Outgoing, Whole};
use crate::operation_outcome::shown;
use crate::origin::Origin;
use crate::profile::Kind;
use crate::retry::{Backoff, is_transient, retry_after};
use crate::secret_url::SecretUrl;
use crate::token::Auth;

pub use systems::{Location, System, SystemPages, SystemQuery};

const WHAT: &str = "user call";
/// A user is some hundred bytes.
const LIMIT_BYTES: usize = 1 << 20;
/// The quota is an hour's: longer there is nothing to wait for.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
/// Where the server says 429 and not how long.
const USUAL_WAIT: Duration = Duration::from_secs(60);

/// A code that is good for a user's access token, once, for minutes.
#[derive(Debug, Clone)]
pub struct UserCode {
    /// For [`Client::exchange_plain_code`](crate::Client::exchange_plain_code).
    pub code: SecretString,
    /// The user's id at 1upHealth, as far as it is told.
    pub oneup_user_id: Option<String>,
    /// The user is new.
    pub created: bool,
}

/// A code for the application's user of this name; the user is made if there is none.
///
/// Errors: [`ErrorKind::Usage`] for another kind of server or a client without a secret, [`ErrorKind::Auth`] where the client is
/// refused, [`ErrorKind::ExportFailed`] with the server's words, and all that keeps a request from being answered.
pub(crate) async fn user_code(http: &Http, app_user_id: &str) -> Result<UserCode, FetchError> {
    let words = match ask(http, "user-management/v1/user", app_user_id).await? {
        Ok(code) => return Ok(UserCode { created: true, ..code }),
        Err(words) => words,
    };
    // A user that is there already is an error without a code: any error may be that one.
    match ask(http, "user-management/v1/user/auth-code", app_user_id).await? {
        Ok(code) => Ok(code),
        Err(again) => {
            // The server may repeat whom it was asked for.
            let words = format!("{words}; {again}").replace(app_user_id, "…");
            let message = format!("the server gives no code for the user: {words}");
            Err(FetchError::new(ErrorKind::ExportFailed, message))
        }
    }
}

/// Where the user is sent to connect to a health system. It holds the access token: never to be shown but to the user.
///
/// Errors: [`ErrorKind::Usage`] for another kind of server.
pub(crate) fn connect_url(
    http: &Http,
    system: &str,
    fhir_version: Option<&str>,
    access_token: &SecretString,
) -> Result<SecretUrl, FetchError> {
    check_kind(http)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if system.is_empty() || !system.bytes().all(plain) {
        return Err(FetchError::new(
            ErrorKind::Usage,
            "a system's id is a number or a word, as lakehaul systems lists it",
        ));
    }
    let client_id = http.options().auth.client_id().unwrap_or_default().to_owned();
    let mut url = at_home(http, &format!("connect/system/clinical/{system}"));
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("client_id", &client_id).append_pair("access_token", access_token.expose_secret());
        if let Some(version) = fhir_version {
            query.append_pair("fhirVersion", version);
        }
    }
    Ok(SecretUrl::new(url))
}

fn check_kind(http: &Http) -> Result<(), FetchError> {
    match http.place().kind() {
        Kind::OneupConnect => Ok(()),
        kind => {
            let message = format!("a server of kind {kind} has no Patient Connect; the kind is {}", Kind::OneupConnect);
            Err(FetchError::new(ErrorKind::Usage, message))
        }
    }
}

/// At the configured origin, whatever the FHIR base's path.
fn at_home(http: &Http, path: &str) -> Url {
    let mut url = http.options().base_url.clone();
    url.set_path(path);
    url
}

/// Sends a call until it is answered, however long the quota says. The inner error: the server's words.
async fn ask(http: &Http, path: &str, app_user_id: &str) -> Result<Result<UserCode, String>, FetchError> {
    check_kind(http)?;
    let outgoing = outgoing(http, path, app_user_id)?;
    let mut backoff = Backoff::new(http.options().patience);
    let mut waits = 0;
    loop {
        let failure = match http.send_whole(&outgoing, LIMIT_BYTES).await {
            Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS && waits < http.options().patience.retries => {
                waits += 1;
                wait(http, &answer, waits).await;
                continue;
            }
            Ok(answer) if is_transient(answer.status) => {
                let failure = FetchError::transient(format!("the {WHAT} was answered with {}", answer.status));
                (failure, http.retry_after(&answer.headers))
            }
            Ok(answer) => return read(&answer),
            Err(error) if error.is_transient() => (error, None),
            Err(error) => return Err(error),
        };
        http.ride_out(failure, WHAT, &mut backoff).await?;
    }
}

/// The quota is used up: waits for the next hour's, and says so.
async fn wait(http: &Http, answer: &Whole, attempt: u32) {
    let asked = retry_after(&answer.headers, http.clock().now(), LONGEST_WAIT).unwrap_or(USUAL_WAIT);
    let why = "the quota of calls about users (300 an hour) is used up";
    let of = http.options().patience.retries;
    http.observer().fetch_event(FetchEvent::Retry { what: WHAT, attempt, of, wait: asked, why });
    http.clock().sleep(asked).await;
}

fn outgoing(http: &Http, path: &str, app_user_id: &str) -> Result<Outgoing, FetchError> {
    let url = at_home(http, path);
    let owner = Origin::of(&url).ok_or_else(|| FetchError::new(ErrorKind::Usage, "the base URL is no http URL"))?;
    let Auth::ClientSecret { client_id, secret, .. } = &http.options().auth else {
        return Err(FetchError::new(ErrorKind::Usage, "calls about users need the client's id and secret")
            .with_hint("Add --client-id ID and --client-secret-file FILE."));
    };
    let header = |text: &str| {
        let value = HeaderValue::try_from(text);
        value.map_err(|_| FetchError::new(ErrorKind::Usage, "the client's id or secret is no plain text"))
    };
    let mut secret = header(secret.expose_secret())?;
    secret.set_sensitive(true);
    let body = form_urlencoded::Serializer::new(String::new()).append_pair("app_user_id", app_user_id).finish();
    Ok(Outgoing {
        method: Method::POST,
        url,
        headers: HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (HeaderName::from_static("client_id"), header(client_id)?),
            (HeaderName::from_static("client_secret"), secret),
        ]),
        body: Some(Bytes::from(body)),
        credentials: Credentials::Client(owner),
        attempts: Attempts::Once,
        what: WHAT,
    })
}

fn read(answer: &Whole) -> Result<Result<UserCode, String>, FetchError> {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let words = ["error", "message", "error_description"].iter().find_map(|name| json.get(name)?.as_str());
    let words = words.map_or_else(|| format!("{} without a reason", answer.status), shown);
    if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(FetchError::new(ErrorKind::Auth, format!("the {WHAT} was refused: {words}"))
            .with_hint("Look at the client's id and secret, and whether the client is one for Patient Connect."));
    }
    let code = json.get("code").and_then(Value::as_str).filter(|code| !code.is_empty());
    let Some(code) = code.filter(|_| answer.status.is_success() && json.get("success") != Some(&Value::Bool(false)))
    else {
        return Ok(Err(words));
    };
    let oneup_user_id = json.get("oneup_user_id").and_then(|id| match id {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    Ok(Ok(UserCode { code: code.into(), oneup_user_id, created: false }))
}

#[cfg(test)]
mod tests;
