//! What an export consists of: the manifest of any version of the guide (Bulk Data Access STU1 to STU4), and 1upHealth's.
//!
//! In goes the answer to a status request, a page at a time; out come the output files with absolute URLs, each once. A
//! manifest is hostile input: an entry whose URL may not be asked, or that would take the access token to an origin that
//! may not have it, refuses the whole. Nothing is fetched here.

mod body;

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

use crate::error::{ErrorKind, FetchError};
use crate::http::Http;
use crate::origin::{Origin, OriginPolicy, PlainHttp, untrusted};
use crate::profile::{Kind, Place};
use crate::secret_url::SecretUrl;

pub(crate) use body::Body;
use body::{number, text, truth, word};

/// What an export consists of, all pages joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `transactionTime`, as it is written: the next export's `_since`. Printable, like the types.
    pub transaction_time: Option<String>,
    /// `requiresAccessToken`; true if it is not said.
    pub requires_access_token: bool,
    /// The output has header lines (`outputOrganizedBy`).
    pub organized: bool,
    /// Resources in all output files together, where the server counts them (`resourceCount`).
    pub resource_count: Option<u64>,
    /// The parts that the server made of its export, where it says so.
    pub batches: Option<Batches>,
    /// In the manifest's order: output, error and outcome, deleted; of each page.
    pub files: Vec<OutputFile>,
    /// Sentences about what is odd and does no harm.
    pub warnings: Vec<String>,
}

/// A file that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Which list it is in.
    pub role: Role,
    /// `type`
    pub declared_type: Option<String>,
    /// Absolute.
    pub url: SecretUrl,
    /// Resources in it, where the server counts them.
    pub count: Option<u64>,
    /// Its length in bytes, where the server says so.
    pub file_size: Option<u64>,
    /// The access token goes along, if the file's origin may have it.
    pub requires_access_token: bool,
}

/// What a manifest's list says of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `output`: resources.
    Output,
    /// `error` (STU4: `outcome`): what the server has to say about the export itself.
    Outcome,
    /// `deleted`: Bundles of what is to be removed.
    Deleted,
}

/// How many parts of an export are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Batches {
    /// Being exported.
    pub running: u64,
    /// Done.
    pub complete: u64,
    /// Given up by the server.
    pub failed: u64,
    /// All of them, those that have not begun included.
    pub total: u64,
}

impl Manifest {
    /// Reads one page of a manifest that lies at `url`, as a SMART server at that origin would have it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ExportFailed`] for what is no manifest, [`ErrorKind::UntrustedOrigin`] for a URL in it that is refused.
    pub fn read(body: &[u8], url: &Url, trusted: &[Origin]) -> Result<Manifest, FetchError> {
        let home = Origin::of(url)
            .ok_or_else(|| FetchError::new(ErrorKind::Usage, "a manifest's URL is neither https nor http"))?;
        let origins = OriginPolicy { home, trusted: trusted.to_vec(), plain_http: PlainHttp::LoopbackOnly };
        let place = Place::new(Kind::Smart, &url.join("/").unwrap_or_else(|_| url.clone()), None)?;
        let body = Body::read(body).filter(Body::has_lists).ok_or_else(|| no_manifest("it has no list of files"))?;
        if body.has_unreadable_lists() {
            return Err(no_manifest("it has a list of files that cannot be read"));
        }
        Manifest::of_page(body, &Around { origins: &origins, place: &place, url })
    }

    /// As if there were no other page. Errors: as [`Joined::add`].
    pub(crate) fn of_page(body: Body, around: &Around<'_>) -> Result<Manifest, FetchError> {
        let mut joined = Joined::default();
        joined.add(body, around)?;
        Ok(joined.manifest())
    }
}

/// The error for an answer that should be a manifest.
pub(crate) fn no_manifest(why: &str) -> FetchError {
    FetchError::new(ErrorKind::ExportFailed, format!("what came is no bulk export manifest: {why}"))
}

/// Where a manifest lies, and what its URLs are held against.
pub(crate) struct Around<'a> {
    pub(crate) origins: &'a OriginPolicy,
    pub(crate) place: &'a Place,
    /// The manifest's own.
    pub(crate) url: &'a Url,
}

impl<'a> Around<'a> {
    pub(crate) fn new(http: &'a Http, url: &'a Url) -> Around<'a> {
        Around { origins: http.origins(), place: http.place(), url }
    }

    /// A URL of the manifest: absolute, at home if it is one of the gateway's, of an origin that may be asked.
    fn admit(&self, text: &str, requires_access_token: Option<bool>, what: &str) -> Result<(Url, bool), FetchError> {
        let unreadable = || FetchError::new(ErrorKind::ExportFailed, format!("the {what} has no URL that can be read"));
        let text = Some(text.trim()).filter(|text| !text.is_empty()).ok_or_else(unreadable)?;
        let mut url = self.url.join(text).map_err(|_| unreadable())?;
        url.set_fragment(None);
        if !self.origins.may_have_credentials(&url) {
            url = self.place.at_home(url);
        }
        let origin = self.origins.admit(&url, what)?;
        let requires = requires_access_token.unwrap_or(origin == self.origins.home);
        if requires && !self.origins.may_have_credentials(&url) {
            return Err(untrusted(&url, what, "would get the access token (requiresAccessToken is true)"));
        }
        Ok((url, requires))
    }
}

/// Far more than any export has; what is beyond is no export but an attempt to fill this machine's memory.
const MAX_FILES: usize = 1_000_000;

/// A manifest that grows by its pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Joined {
    transaction_time: Option<String>,
    requires_access_token: Option<bool>,
    organized: bool,
    resource_count: Option<u64>,
    batches: Option<Batches>,
    files: Vec<OutputFile>,
    seen: HashSet<Url>,
    /// How many entries named a file again, and the first of these files.
    again: Option<(usize, SecretUrl)>,
}

impl Joined {
    /// Adds a page; gives the URL of the next one.
    ///
    /// Errors: an entry that is refused, by its list and its number in it; too many files.
    pub(crate) fn add(&mut self, body: Body, around: &Around<'_>) -> Result<Option<Url>, FetchError> {
        let requires = body.requires_access_token.as_ref().and_then(truth);
        let next = match body.next() {
            Some(next) => Some(around.admit(next, requires, "manifest's link to the next page")?.0),
            None => None,
        };
        let batches = body.batches();
        let organized = match &body.output_organized_by {
            None | Some(Value::Null) => false,
            Some(Value::String(by)) => !by.is_empty(),
            Some(_) => true,
        };
        let lists = [
            (Role::Output, "output", body.output.unwrap_or_default()),
            (Role::Outcome, "error", body.error),
            (Role::Outcome, "outcome", body.outcome),
            (Role::Deleted, "deleted", body.deleted.unwrap_or_default()),
        ];
        for (role, list, entries) in lists {
            for (index, entry) in entries.take().unwrap_or_default().into_iter().enumerate() {
                let what = format!("manifest's {list} entry {}", index + 1);
                let url = text(entry.url).unwrap_or_default();
                let (url, requires_access_token) = around.admit(&url, requires, &what)?;
                if !self.seen.insert(url.clone()) {
                    let (times, _) = self.again.get_or_insert_with(|| (0, SecretUrl::new(url)));
                    *times += 1;
                    continue;
                }
                if self.files.len() == MAX_FILES {
                    let message = format!("the manifest names more than {MAX_FILES} files");
                    return Err(FetchError::new(ErrorKind::ExportFailed, message));
                }
                self.files.push(OutputFile {
                    role,
                    declared_type: text(entry.declared_type).and_then(word),
                    url: SecretUrl::new(url),
                    count: entry.count.as_ref().and_then(number),
                    file_size: entry.file_size.as_ref().and_then(number),
                    requires_access_token,
                });
            }
        }
        if let Some(time) = body.transaction_time.take().and_then(word) {
            // The first page's: what the others hold is not older, and a `_since` must not be too late.
            self.transaction_time.get_or_insert(time);
        }
        if let Some(requires) = requires {
            self.requires_access_token = Some(requires || self.requires_access_token.unwrap_or(false));
        }
        self.organized |= organized;
        self.resource_count = body.resource_count.as_ref().and_then(number).or(self.resource_count);
        self.batches = batches.or(self.batches);
        Ok(next)
    }

    /// What has been joined so far.
    pub(crate) fn manifest(&self) -> Manifest {
        let again = self.again.as_ref().map(|(times, first)| {
            format!("the manifest names files again in {times} entries, the first of them {first}; each file is fetched once")
        });
        Manifest {
            transaction_time: self.transaction_time.clone(),
            requires_access_token: self.requires_access_token.unwrap_or(true),
            organized: self.organized,
            resource_count: self.resource_count,
            batches: self.batches,
            files: self.files.clone(),
            warnings: again.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
