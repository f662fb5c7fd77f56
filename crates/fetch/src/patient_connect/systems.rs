//! The health systems and plans that a patient can connect to, page by page.

use std::collections::HashSet;
use std::fmt;

use http::header::{ACCEPT, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::check_kind;
use crate::error::{ErrorKind, FetchError};
use crate::http::{Attempts, Credentials, Http, Outgoing};
use crate::operation_outcome::shown;

const WHAT: &str = "search for systems";
/// Systems have some dozen locations each, at the most some thousand.
const LIMIT_BYTES: usize = 16 << 20;
/// So many come at a time.
const PAGE_SYSTEMS: usize = 20;
/// There are some hundred systems; more pages are a loop.
const PAGES_MAX: usize = 10_000;

/// What is searched for; all systems, if nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemQuery {
    /// Part of a name: letters, digits, blanks and `'`.
    pub text: Option<String>,
    /// `HealthSystem`, `Payer2Payer` or `PayerPatientAccess`.
    pub system_type: Option<String>,
    /// A ZIP code; goes with nothing else.
    pub zip: Option<String>,
}

/// A health system or plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct System {
    /// For the connect URL.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Such as `FHIR R4`.
    pub api_version: Option<String>,
    /// Such as `connection_working`.
    pub status: Option<String>,
    /// Whose software it runs.
    pub ehr: Option<String>,
    /// Its FHIR base.
    pub resource_url: Option<String>,
    /// Where it is.
    pub locations: Vec<Location>,
}

/// Where a system is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// Of the clinic or office.
    pub name: Option<String>,
    /// Street and house.
    pub line: Vec<String>,
    /// See there.
    pub city: Option<String>,
    /// See there.
    pub state: Option<String>,
    /// ZIP code.
    pub postal_code: Option<String>,
}

/// Systems, a page at a time.
pub struct SystemPages {
    http: Http,
    query: SystemQuery,
    /// How many have come; None: no more come.
    offset: Option<usize>,
    pages: usize,
    seen: HashSet<String>,
}

impl SystemPages {
    /// Errors: [`ErrorKind::Usage`] for what cannot be searched for.
    pub(crate) fn new(http: Http, query: &SystemQuery) -> Result<SystemPages, FetchError> {
        check_kind(&http)?;
        let usage = |why: &str| Err(FetchError::new(ErrorKind::Usage, why));
        let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == '\'' || c == ' ');
        if query.text.as_ref().is_some_and(|text| !plain(text)) {
            return usage("systems are searched for by letters, digits, blanks and ' alone");
        }
        if let Some(zip) = &query.zip {
            if query.text.is_some() || query.system_type.is_some() {
                return usage("systems near a ZIP code are all of them: leave the other conditions out");
            }
            if zip.is_empty() || !zip.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return usage("a ZIP code has letters, digits and dashes alone");
            }
        }
        Ok(SystemPages { http, query: query.clone(), offset: Some(0), pages: 0, seen: HashSet::new() })
    }

    /// The next page, as the server orders it; None after the last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] where the token is refused, [`ErrorKind::ExportFailed`] for an answer without systems, and why no
    /// answer came.
    pub async fn next(&mut self) -> Result<Option<Vec<System>>, FetchError> {
        let Some(offset) = self.offset else { return Ok(None) };
        let (method, url) = self.place(offset);
        let outgoing = Outgoing {
            method,
            url,
            headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]),
            body: None,
            credentials: Credentials::Bearer,
            attempts: Attempts::UntilAnswered,
            what: WHAT,
        };
        let answer = self.http.send_whole(&outgoing, LIMIT_BYTES).await?;
        if !answer.status.is_success() {
            let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let words = ["error", "message"].iter().find_map(|name| json.get(name)?.as_str()).map(shown);
            let words = words.map(|words| format!(": {words}")).unwrap_or_default();
            let kind = match answer.status {
                StatusCode::BAD_REQUEST => ErrorKind::Usage,
                StatusCode::FORBIDDEN => ErrorKind::Auth,
                _ => ErrorKind::ExportFailed,
            };
            return Err(FetchError::new(kind, format!("the {WHAT} was refused ({}){words}", answer.status)));
        }
        let rows = rows(&answer.body).ok_or_else(|| {
            FetchError::new(ErrorKind::ExportFailed, format!("the {WHAT} was answered without a list"))
        })?;
        let came = rows.len();
        // A server that does not look at the offset sends the first page for ever.
        let new: Vec<System> = rows.into_iter().filter(|system| self.seen.insert(system.id.clone())).collect();
        self.pages += 1;
        let more = self.query.zip.is_none() && came >= PAGE_SYSTEMS && !new.is_empty() && self.pages < PAGES_MAX;
        self.offset = more.then_some(offset + came);
        Ok(if new.is_empty() { None } else { Some(new) })
    }

    fn place(&self, offset: usize) -> (Method, url::Url) {
        let mut url = self.http.options().systems_url.clone().unwrap_or_else(|| self.http.place().systems_origin());
        if let Some(zip) = &self.query.zip {
            url.set_path(&format!("api/systems/{zip}"));
            return (Method::GET, url);
        }
        url.set_path("api/search");
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("query", self.query.text.as_deref().unwrap_or_default());
            query.append_pair("offset", &offset.to_string());
            if let Some(system_type) = &self.query.system_type {
                query.append_pair("system_type", system_type);
            }
        }
        (Method::POST, url)
    }
}

impl fmt::Debug for SystemPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemPages").field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// A bare array, or the first that is a member of an object.
fn rows(body: &[u8]) -> Option<Vec<System>> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let list = match &json {
        Value::Array(list) => list,
        Value::Object(members) => members.values().find_map(Value::as_array)?,
        _ => return None,
    };
    Some(list.iter().filter_map(system).collect())
}

fn text(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn system(row: &Value) -> Option<System> {
    let locations = row.get("locations").and_then(Value::as_array);
    Some(System {
        id: text(row, "id")?,
        name: text(row, "name").unwrap_or_default(),
        api_version: text(row, "api_version"),
        status: text(row, "status"),
        ehr: text(row, "ehr"),
        resource_url: text(row, "resource_url"),
        locations: locations.into_iter().flatten().map(location).collect(),
    })
}

fn location(row: &Value) -> Location {
    let address = row.get("address").unwrap_or(&Value::Null);
    let lines = address.get("line").and_then(Value::as_array);
    Location {
        name: text(row, "name"),
        line: lines.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        city: text(address, "city"),
        state: text(address, "state"),
        postal_code: text(address, "postalCode"),
    }
}
