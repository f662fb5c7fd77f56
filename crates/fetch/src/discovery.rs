//! What a server says about itself: `.well-known/smart-configuration` and the `CapabilityStatement` at `metadata`.
//!
//! Asked without credentials. A server that has neither is no error here: a document that is not there is an empty one.

use http::header::{ACCEPT, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::error::FetchError;
use crate::http::{Attempts, Credentials, Http, Outgoing};

/// Generous: a server's statement with all profiles and search parameters is 1 to 3 MB.
const LIMIT_BYTES: usize = 8 << 20;
/// SMART App Launch 1.0, section 3.2.1; still used by servers that are older than `.well-known/smart-configuration`.
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

/// A JSON document of the server's, or that it has none.
pub(crate) struct Document {
    /// After redirects.
    url: Url,
    pub(crate) status: StatusCode,
    /// Null, if there is no such document.
    pub(crate) json: Value,
}

/// `.well-known/smart-configuration` (SMART App Launch 2.2, section 5).
pub(crate) struct SmartConfiguration(pub(crate) Document);

/// `metadata` (FHIR R4, `CapabilityStatement`).
pub(crate) struct CapabilityStatement(pub(crate) Document);

/// Errors: why no answer came.
pub(crate) async fn smart_configuration(http: &Http) -> Result<SmartConfiguration, FetchError> {
    let url = http.place().url(&[".well-known", "smart-configuration"]);
    document(http, url, "application/json", "SMART configuration", Credentials::None).await.map(SmartConfiguration)
}

/// Errors: why no answer came.
pub(crate) async fn capability_statement(http: &Http) -> Result<CapabilityStatement, FetchError> {
    capability_statement_with(http, Credentials::None).await
}

/// For servers that show it only to those they know.
pub(crate) async fn capability_statement_with(
    http: &Http,
    credentials: Credentials,
) -> Result<CapabilityStatement, FetchError> {
    let url = http.place().url(&["metadata"]);
    document(http, url, "application/fhir+json", "capability statement", credentials).await.map(CapabilityStatement)
}

async fn document(
    http: &Http,
    url: Url,
    media_type: &'static str,
    what: &'static str,
    credentials: Credentials,
) -> Result<Document, FetchError> {
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(media_type))]);
    let attempts = Attempts::UntilAnswered;
    let outgoing = Outgoing { method: Method::GET, url, headers, body: None, credentials, attempts, what };
    let answer = http.send_boxed(&outgoing, LIMIT_BYTES).await?;
    let json: Value = match answer.status.is_success() {
        true => serde_json::from_slice(&answer.body).unwrap_or_default(),
        false => Value::Null,
    };
    Ok(Document { url: answer.url, status: answer.status, json })
}

impl Document {
    /// The strings of an array, at most a hundred.
    pub(crate) fn strings(&self, pointer: &str) -> Vec<String> {
        let array = self.json.pointer(pointer).and_then(Value::as_array);
        array.into_iter().flatten().filter_map(Value::as_str).take(100).map(str::to_owned).collect()
    }

    /// A relative URL is one of the document's own server.
    fn url(&self, text: &str) -> Option<Url> {
        self.url.join(text.trim()).ok()
    }
}

impl SmartConfiguration {
    pub(crate) fn token_endpoint(&self) -> Option<Url> {
        self.url("token_endpoint")
    }

    pub(crate) fn authorization_endpoint(&self) -> Option<Url> {
        self.url("authorization_endpoint")
    }

    fn url(&self, member: &str) -> Option<Url> {
        let text = self.0.json.get(member)?.as_str()?;
        self.0.url(text)
    }
}

impl CapabilityStatement {
    pub(crate) fn token_endpoint(&self) -> Option<Url> {
        self.oauth_uri("token")
    }

    pub(crate) fn authorization_endpoint(&self) -> Option<Url> {
        self.oauth_uri("authorize")
    }

    /// Of its `rest` elements' security extension.
    fn oauth_uri(&self, name: &str) -> Option<Url> {
        let named = |extensions: Option<&Value>, url: &str| -> Option<Value> {
            extensions?.as_array()?.iter().find(|extension| extension.get("url").is_some_and(|it| it == url)).cloned()
        };
        self.rests().find_map(|rest| {
            let uris = named(rest.pointer("/security/extension"), OAUTH_URIS)?;
            let uri = named(uris.get("extension"), name)?;
            let text = uri.get("valueUri").or_else(|| uri.get("valueUrl"))?.as_str()?;
            self.0.url(text)
        })
    }

    pub(crate) fn rests(&self) -> impl Iterator<Item = &Value> {
        self.0.json.get("rest").and_then(Value::as_array).into_iter().flatten()
    }
}
