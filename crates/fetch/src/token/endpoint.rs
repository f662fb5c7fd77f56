//! Where tokens are to be had, and where members log in: as configured, as the kind of server has it, or as the server says.

use url::Url;

use crate::discovery;
use crate::error::{ErrorKind, FetchError};
use crate::http::Http;
use crate::origin::untrusted;
use crate::secret_url::SecretUrl;

/// A token endpoint, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenEndpoint {
    /// Of the endpoint.
    pub url: SecretUrl,
    /// Who said so.
    pub source: EndpointSource,
}

/// Who named a token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointSource {
    /// The user, with [`ClientOptions::token_url`](crate::ClientOptions::token_url).
    Configured,
    /// The kind of server has it at one place.
    Kind,
    /// The server, in `.well-known/smart-configuration`.
    SmartConfiguration,
    /// The server, in its `CapabilityStatement`.
    CapabilityStatement,
}

/// Finds it, with requests only where neither the user nor the kind names it.
///
/// Errors: [`ErrorKind::UntrustedOrigin`] where the server names one at an origin that is neither its own nor trusted;
/// [`ErrorKind::Auth`] where it names none.
pub(crate) async fn find(http: &Http) -> Result<TokenEndpoint, FetchError> {
    let endpoint = |url, source| TokenEndpoint { url: SecretUrl::new(url), source };
    if let Some(url) = &http.options().token_url {
        return Ok(endpoint(url.clone(), EndpointSource::Configured));
    }
    if let Some(url) = http.place().token_endpoint() {
        return Ok(endpoint(url, EndpointSource::Kind));
    }
    let (url, source) = match discovery::smart_configuration(http).await?.token_endpoint() {
        Some(url) => (url, EndpointSource::SmartConfiguration),
        None => {
            let url = discovery::capability_statement(http).await?.token_endpoint().ok_or_else(|| {
                let message =
                    "the server names no token endpoint, neither in .well-known/smart-configuration nor in metadata";
                FetchError::new(ErrorKind::Auth, message)
                    .with_hint("Name it with --token-url, or look whether the base URL is the FHIR base.")
            })?;
            (url, EndpointSource::CapabilityStatement)
        }
    };
    http.origins().admit(&url, "token endpoint")?;
    if !http.origins().may_have_credentials(&url) {
        return Err(untrusted(&url, "token endpoint", "would get the client's secret"));
    }
    Ok(endpoint(url, source))
}

/// Finds where members log in, with requests only where neither the user nor the kind names it. It gets no credential, so
/// the server may name one anywhere.
///
/// Errors: [`ErrorKind::UntrustedOrigin`] for plain http off the machine; [`ErrorKind::Auth`] where the server names none.
pub(crate) async fn authorization_endpoint(http: &Http) -> Result<Url, FetchError> {
    let known = http.options().authorize_url.clone().or_else(|| http.place().authorization_endpoint());
    if let Some(url) = known {
        return Ok(url);
    }
    if http.place().authority_is_known() {
        let message = format!("a server of kind {} has no login in a browser", http.place().kind());
        return Err(FetchError::new(ErrorKind::Usage, message)
            .with_hint("Its codes come from the user management: say --user APP_USER_ID."));
    }
    let url = match discovery::smart_configuration(http).await?.authorization_endpoint() {
        Some(url) => Some(url),
        None => discovery::capability_statement(http).await?.authorization_endpoint(),
    };
    let url = url.ok_or_else(|| {
        let message =
            "the server names no authorization endpoint, neither in .well-known/smart-configuration nor in metadata";
        FetchError::new(ErrorKind::Auth, message)
            .with_hint("Name it with --authorize-url, or look whether the base URL is the FHIR base.")
    })?;
    http.origins().admit(&url, "authorization endpoint")?;
    Ok(url)
}
