//! Searches, page by page: searchset Bundles (FHIR R4, section 3.1.1) and the answers to `$everything` on a patient.
//!
//! In goes a [`SearchQuery`], out come [`SearchPage`]s with each resource as the text that the server sent, until a page
//! has no `link[relation=next]`. Of a Bundle only its envelope is read. A next page may hold whatever its page before holds
//! of the patient in its URL, and its answer becomes rows: it is asked of the configured origin, or one that is trusted by
//! name, or not at all.

use std::borrow::Cow;
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use crate::error::{ErrorKind, FetchError};
use crate::http::{Attempts, Credentials, Http, Outgoing, Whole};
use crate::operation_outcome::{OperationOutcome, Severity};
use crate::origin::untrusted;
use crate::retry::Backoff;
use crate::secret_url::SecretUrl;

/// For errors and events.
const WHAT: &str = "search";
const WHAT_NEXT: &str = "next page of the search";

/// One search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// What it finds.
    pub searched: Searched,
    /// Further parameters: names and values as they are, not encoded.
    pub parameters: Vec<(String, String)>,
}

/// What a search finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Searched {
    /// `GET {base}/{Type}`
    Type(String),
    /// `GET {base}/Patient/{id}/$everything`
    Everything {
        /// The patient's id.
        patient: String,
    },
}

impl Searched {
    /// What it is called: the type, or `everything`. It does not name the patient.
    pub fn name(&self) -> &str {
        match self {
            Searched::Type(name) => name,
            Searched::Everything { .. } => "everything",
        }
    }
}

/// One page of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// What was asked.
    pub url: SecretUrl,
    /// `entry[].resource`, each as it came but for line ends between its tokens, which are blanks here: a line of NDJSON.
    /// Outcomes are not among them.
    pub resources: Vec<Bytes>,
    /// How many of them the search matched; the others came along (`search.mode`).
    pub matches: u64,
    /// OperationOutcomes that tell of a failure, as they came.
    pub failures: Vec<Bytes>,
    /// What the others say, a sentence each.
    pub remarks: Vec<String>,
    /// Entries without a resource.
    pub empty_entries: u64,
    /// `total`: how many the whole search matches, as far as the server says.
    pub total: Option<u64>,
    /// `link[relation=next]`, absolute. None: it was the last.
    pub next: Option<SecretUrl>,
}

/// The pages of a search, one after another.
pub struct SearchPages {
    http: Http,
    next: Option<Url>,
    /// It was not named by a page before it.
    first: bool,
    hashes: RandomState,
    asked: HashSet<u64>,
}

impl SearchPages {
    /// Errors: [`ErrorKind::Usage`] for what no URL can hold.
    pub(crate) fn new(http: Http, query: &SearchQuery) -> Result<SearchPages, FetchError> {
        let usage = |message: &str| FetchError::new(ErrorKind::Usage, message);
        let mut url = match &query.searched {
            Searched::Type(name) if is_type(name) => http.place().url(&[name]),
            Searched::Type(_) => return Err(usage("a resource type is one word of letters, like Patient")),
            Searched::Everything { patient } if is_id(patient) => {
                http.place().url(&["Patient", patient, "$everything"])
            }
            Searched::Everything { .. } => {
                return Err(usage("a patient's id is 1 to 64 letters, digits, dots and dashes, without Patient/"));
            }
        };
        if !query.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&query.parameters);
        }
        Ok(SearchPages::starting(http, url, true))
    }

    /// Goes on where an earlier process has got to. Errors: [`ErrorKind::UntrustedOrigin`].
    pub(crate) fn after(http: Http, next: &SecretUrl) -> Result<SearchPages, FetchError> {
        let next = admitted(&http, next.expose().clone())?;
        Ok(SearchPages::starting(http, next, false))
    }

    fn starting(http: Http, url: Url, first: bool) -> SearchPages {
        SearchPages { http, next: Some(url), first, hashes: RandomState::new(), asked: HashSet::new() }
    }

    /// The next page; None after the last. After an error the same page is asked for again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSuchExport`] where the server knows neither the patient nor the type (404, 410),
    /// [`ErrorKind::FileExpired`] where it no longer knows a page that it has named, [`ErrorKind::ExportFailed`] where it
    /// refuses the search with its own words, [`ErrorKind::Auth`] for a 403, [`ErrorKind::UntrustedOrigin`] where the next
    /// page is elsewhere, [`ErrorKind::NotData`] for pages that lead round in a circle, and all that keeps a request from
    /// being answered: an answer that is no Bundle is asked for again, too. Where the server refuses, the error has its
    /// [`FetchError::status`]. A page has at most `limit_bytes`.
    pub async fn next(&mut self, limit_bytes: usize) -> Result<Option<SearchPage>, FetchError> {
        let Some(url) = self.next.clone() else { return Ok(None) };
        let what = if self.first { WHAT } else { WHAT_NEXT };
        let mut backoff = Backoff::new(self.http.options().patience);
        let page = loop {
            let outgoing = Outgoing {
                method: Method::GET,
                url: url.clone(),
                headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/fhir+json"))]),
                body: None,
                credentials: Credentials::Bearer,
                attempts: Attempts::UntilAnswered,
                what,
            };
            let answer = self.http.send_whole(&outgoing, limit_bytes).await.map_err(too_long)?;
            if answer.status != StatusCode::OK {
                return Err(self.refused(&answer));
            }
            match read(&self.http, answer, what)? {
                Ok(page) => break page,
                // Cut off without a length to tell, or a proxy's page: it may well come whole.
                Err(failure) => self.http.ride_out((failure, None), what, &mut backoff).await?,
            }
        };
        self.asked.insert(self.hashes.hash_one(url.as_str()));
        let next = page.next.as_ref().map(|next| next.expose().clone());
        if next.as_ref().is_some_and(|next| self.asked.contains(&self.hashes.hash_one(next.as_str()))) {
            return Err(FetchError::new(ErrorKind::NotData, "the pages of the search lead round in a circle"));
        }
        self.next = next;
        self.first = false;
        Ok(Some(page))
    }

    fn refused(&self, answer: &Whole) -> FetchError {
        let status = answer.status;
        let words = OperationOutcome::read(&answer.body).map(|outcome| format!(": {}", outcome.words()));
        let words = words.unwrap_or_default();
        let (kind, message) = match (status, self.first) {
            (StatusCode::NOT_FOUND | StatusCode::GONE, true) => {
                (ErrorKind::NoSuchExport, format!("the server does not know what is searched for ({status}){words}"))
            }
            (StatusCode::NOT_FOUND | StatusCode::GONE, false) => (
                ErrorKind::FileExpired,
                format!("the server no longer knows a page of the search that it has named ({status}){words}"),
            ),
            (StatusCode::FORBIDDEN, _) => {
                (ErrorKind::Auth, format!("the server does not allow the search ({status}){words}"))
            }
            _ => (ErrorKind::ExportFailed, format!("the server refuses the search ({status}){words}")),
        };
        FetchError::new(kind, message).with_status(status.as_u16())
    }
}

impl fmt::Debug for SearchPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchPages").field("next", &self.next.clone().map(SecretUrl::new)).finish_non_exhaustive()
    }
}

/// What to do about a page that is longer than may be.
fn too_long(error: FetchError) -> FetchError {
    match error.kind() {
        ErrorKind::NotData => error.with_hint(
            "Ask for smaller pages (--param _count=50), or give more memory to each (--memory, --concurrency).",
        ),
        _ => error,
    }
}

/// As much of a Bundle as is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    #[serde(borrow)]
    resource_type: Cow<'a, str>,
    total: Option<Value>,
    link: Option<Vec<Link>>,
    #[serde(borrow)]
    entry: Option<Vec<Option<Entry<'a>>>>,
}

#[derive(Deserialize)]
struct Link {
    relation: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    search: Option<EntrySearch>,
}

#[derive(Deserialize)]
struct EntrySearch {
    mode: Option<String>,
}

/// Reads an answer with 200. The inner error: it is no Bundle, and may be one the next time.
fn read(http: &Http, answer: Whole, what: &str) -> Result<Result<SearchPage, FetchError>, FetchError> {
    let Whole { url, body, .. } = answer;
    let body = Bytes::from(body);
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
    if let Some(outcome) = OperationOutcome::read(text) {
        let message = format!("the {what} was answered with an outcome instead of a Bundle: {}", outcome.words());
        return match outcome.severity() {
            Severity::Transient => Ok(Err(FetchError::transient(message))),
            Severity::Benign | Severity::Failure => Err(FetchError::new(ErrorKind::ExportFailed, message)),
        };
    }
    let bundle: Bundle<'_> = match serde_json::from_slice(text) {
        Ok(bundle) => bundle,
        // The parser's own words may quote the text.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let message = format!("the {what} was answered with what is no Bundle (line {line}, column {column})");
            return Ok(Err(FetchError::transient(message)));
        }
    };
    if bundle.resource_type != "Bundle" {
        return Ok(Err(FetchError::transient(format!("the {what} was answered with what is no Bundle"))));
    }
    let mut page = SearchPage {
        url: SecretUrl::new(url.clone()),
        resources: Vec::new(),
        matches: 0,
        failures: Vec::new(),
        remarks: Vec::new(),
        empty_entries: 0,
        total: bundle.total.as_ref().and_then(Value::as_u64),
        next: None,
    };
    for entry in bundle.entry.into_iter().flatten() {
        let Some(Entry { resource: Some(resource), search }) = entry else {
            page.empty_entries += 1;
            continue;
        };
        let resource = resource.get();
        let mode = search.and_then(|search| search.mode).unwrap_or_default();
        match outcome_of(resource, &mode) {
            Some(outcome) if outcome.severity() == Severity::Benign => page.remarks.push(outcome.words()),
            Some(_) => page.failures.push(line(&body, resource)),
            None => {
                page.matches += u64::from(mode != "include");
                page.resources.push(line(&body, resource));
            }
        }
    }
    let next = bundle.link.into_iter().flatten().find(|link| link.relation.as_deref() == Some("next"));
    if let Some(text) = next.and_then(|link| link.url) {
        page.next = Some(SecretUrl::new(next_url(http, &url, text.trim())?));
    }
    Ok(Ok(page))
}

/// A search that was asked for outcomes themselves has them as matches.
fn outcome_of(resource: &str, mode: &str) -> Option<OperationOutcome> {
    let may_be = mode != "match" && resource.contains("OperationOutcome");
    may_be.then(|| OperationOutcome::read(resource.as_bytes())).flatten()
}

/// A resource's text on one line. Line ends cannot be in a string (RFC 8259, section 7), only between tokens, where any
/// white space is as good.
fn line(body: &Bytes, text: &str) -> Bytes {
    let is_end = |byte: u8| matches!(byte, b'\n' | b'\r');
    if text.bytes().any(is_end) {
        text.bytes().map(|byte| if is_end(byte) { b' ' } else { byte }).collect()
    } else {
        body.slice_ref(text.as_bytes())
    }
}

/// Relative to the request if it begins with `?` or `/`, else to the FHIR base, as a Bundle's links are.
fn next_url(http: &Http, request: &Url, text: &str) -> Result<Url, FetchError> {
    let unreadable = || FetchError::new(ErrorKind::NotData, "the link to the next page of the search is no URL");
    let base = if text.starts_with(['?', '/']) { request.clone() } else { http.place().url(&[""]) };
    let mut url = base.join(text).map_err(|_| unreadable())?;
    url.set_fragment(None);
    admitted(http, url)
}

fn admitted(http: &Http, url: Url) -> Result<Url, FetchError> {
    let url = http.at_home(url);
    http.origins().admit(&url, WHAT_NEXT)?;
    if !http.origins().may_have_credentials(&url) {
        return Err(untrusted(&url, WHAT_NEXT, "would get what is searched for"));
    }
    Ok(url)
}

/// Of any resource type, those of other versions of FHIR too.
fn is_type(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// FHIR R4, section 2.24.0.1: id.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        && text.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests;
