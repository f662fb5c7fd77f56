//! What a login gave: tokens that act for a person, renewed with a refresh token (RFC 6749, section 6).
//!
//! A refresh token may be good once only: each renewal is handed to a keeper before the new access token is used, so that
//! the next program can go on where this one ended. Nothing here shows a token.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;

use super::SecretStyle;
use super::grant::Grant;

/// A login that is still good, and who keeps what becomes of it.
#[derive(Clone)]
pub struct Session {
    /// As registered.
    pub client_id: String,
    /// As registered; `None` for a public client, which has none.
    pub secret: Option<(SecretString, SecretStyle)>,
    /// Those that were kept last.
    pub tokens: SessionTokens,
    /// Is told of every renewal.
    pub keeper: Arc<dyn SessionKeeper>,
}

/// The tokens of a login.
#[derive(Clone)]
pub struct SessionTokens {
    /// Goes along with requests.
    pub access_token: SecretString,
    /// Gets the next access token; without one the login ends with the access token.
    pub refresh_token: Option<SecretString>,
    /// When the access token ends, as far as the server says.
    pub expires_at: Option<Timestamp>,
    /// What it is good for, as far as the server says.
    pub scope: Option<String>,
    /// The id of the patient whose data it is for, as far as the server says (SMART App Launch 2.2, launch context).
    pub patient: Option<String>,
}

/// Keeps a session's tokens from one program to the next.
pub trait SessionKeeper: Send + Sync {
    /// Called after every renewal, before the new access token is used. It is called inside of a request, and should be
    /// short.
    ///
    /// # Errors
    ///
    /// Why they are not kept: a clause without a secret. The session goes on all the same, with a warning.
    fn keep(&self, tokens: &SessionTokens) -> Result<(), String>;
}

impl SessionTokens {
    /// `asked_at` is when the request was sent. What the answer leaves out is as it was.
    pub(crate) fn of(grant: &Grant, asked_at: Timestamp, before: Option<&SessionTokens>) -> SessionTokens {
        let lifetime = grant.seconds.map(std::time::Duration::from_secs);
        SessionTokens {
            access_token: grant.access_token.clone(),
            refresh_token: grant.refresh_token.clone().or_else(|| before?.refresh_token.clone()),
            expires_at: lifetime.map(|lifetime| asked_at + lifetime),
            scope: grant.scopes.clone().or_else(|| before?.scope.clone()),
            patient: grant.patient.clone().or_else(|| before?.patient.clone()),
        }
    }
}

impl fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTokens")
            .field("refresh_token", &self.refresh_token.is_some())
            .field("expires_at", &self.expires_at)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("client_id", &self.client_id)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}
