//! The exports that were kicked off: how a kick-off, a status request, a DELETE and a PUT are answered.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::manifest::{Listing, Progress};
use crate::route::{Level, Site};
use crate::scenario::{Edition, ExportEnd, Listed, LocationIn, Personality, Scenario};
use crate::wire::Request;

/// One export.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) id: String,
    /// Its kick-off's URL.
    pub(crate) request: String,
    /// `_type`; None is all.
    pub(crate) types: Option<Vec<String>>,
    /// The places of the output files that its group has; None is all.
    pub(crate) group: Option<Vec<usize>>,
    /// Status requests that were answered in good order since it began to run.
    answered: u32,
    /// It was tried again.
    retried: bool,
    pub(crate) deleted: bool,
}

impl Export {
    pub(crate) fn new(id: String, request: String, types: Option<Vec<String>>, group: Option<Vec<usize>>) -> Export {
        Export { id, request, types, group, answered: 0, retried: false, deleted: false }
    }

    /// The answer to an accepted kick-off, but for [`LocationIn::Nowhere`].
    pub(crate) fn accepted(&self, scenario: &Scenario, site: &Site) -> Answer {
        let kick_off = scenario.kick_off;
        let url = format!("{}{}", kick_off.host.placeholder(), site.export_path(&self.id));
        let said = |text: &str| Answer::operation_outcome(kick_off.status, text);
        match kick_off.location {
            LocationIn::ContentLocation => said("Export accepted.").header("Content-Location", url),
            LocationIn::Location => said("Export accepted.").header("Location", url),
            LocationIn::DetailsText => said(&format!("Asynchronous export running. Track job at {url}")),
            LocationIn::Diagnostics => {
                let issue = json!([{"severity": "information", "code": "informational", "diagnostics": url}]);
                let outcome = json!({"resourceType": "OperationOutcome", "issue": issue});
                Answer::new(kick_off.status).body("application/fhir+json", outcome.to_string())
            }
            LocationIn::IdOnly => said(&format!("Asynchronous export running. Track job {}", self.id)),
            LocationIn::Nowhere => Answer::new(kick_off.status),
        }
    }

    /// The answer to a status request.
    pub(crate) fn status(&mut self, listing: &Listing<'_>, site: &Site) -> Answer {
        let scenario = listing.scenario;
        let oneup = scenario.personality.is_oneup();
        let files = listing.outputs();
        let running = &scenario.running;
        if self.answered < running.requests {
            self.answered += 1;
            // The last of them does not list all yet.
            let done = files * self.answered as usize / (running.requests as usize + 1);
            let listed = if running.listed == Listed::Finished { done } else { 0 };
            let mut answer = if oneup {
                let (running_batches, complete) = ((files - done).max(1) as u64, done as u64);
                let word = running.word.as_deref();
                let progress = Progress { word, running: running_batches, complete, failed: 0 };
                Answer::json(running.status, &listing.oneup(&progress, listed, None))
            } else {
                let percent = 100 * self.answered / (running.requests + 1);
                let answer = match running.listed {
                    Listed::Finished => Answer::json(running.status, &listing.smart(0, listed)),
                    Listed::Nothing => Answer::new(running.status),
                };
                answer.header("X-Progress", format!("{percent}% complete"))
            };
            if let Some(after) = &running.retry_after {
                answer = answer.header("Retry-After", after.header());
            }
            return answer;
        }
        let failed = match &scenario.ending {
            ExportEnd::Failed(why) => Some(why),
            ExportEnd::FailedUntilRetried(why) if !self.retried => Some(why),
            _ => None,
        };
        match failed {
            Some(why) if oneup => {
                let failed = files.max(1) as u64;
                let progress = Progress { word: Some("Failed"), running: 0, complete: 0, failed };
                Answer::json(200, &listing.oneup(&progress, 0, Some(why)))
            }
            Some(why) => Answer::operation_outcome(500, why),
            None => self.manifest(listing, site, 0).unwrap_or_else(|| Answer::new(404)),
        }
    }

    /// A page of the manifest, from 0; None if there is no such page.
    pub(crate) fn manifest(&self, listing: &Listing<'_>, site: &Site, page: usize) -> Option<Answer> {
        let scenario = listing.scenario;
        let files = listing.outputs();
        let size = scenario.page_size.unwrap_or(usize::MAX);
        let first = page.checked_mul(size)?;
        if first >= files && page > 0 {
            return None;
        }
        let mut body = if scenario.personality.is_oneup() {
            let failed = if let ExportEnd::Partial(failed) = scenario.ending { failed } else { 0 };
            let progress = Progress { word: Some("Successful"), running: 0, complete: files as u64, failed };
            let mut body = listing.oneup(&progress, usize::MAX, None);
            if scenario.page_size.is_some() {
                body["output"] = page_of(&body["output"], first, size);
            }
            body
        } else {
            listing.smart(first, size)
        };
        if first.saturating_add(size) < files {
            let next = format!("{{origin}}{}", site.page_path(&self.id, page + 1));
            body["link"] = json!([{"relation": "next", "url": next}]);
        }
        Some(Answer::json(200, &body))
    }

    /// The answer to a DELETE.
    pub(crate) fn delete(&mut self, personality: Personality) -> Answer {
        if personality == Personality::OneupPopulation {
            return Answer::operation_outcome(403, "DELETE is not supported.");
        }
        self.deleted = true;
        Answer::new(202)
    }

    /// The answer to a PUT: it runs again.
    pub(crate) fn retry(&mut self) -> Answer {
        self.retried = true;
        self.answered = 0;
        Answer::operation_outcome(202, "The job is retried.")
    }
}

fn page_of(list: &Value, first: usize, size: usize) -> Value {
    let entries = list.as_array().into_iter().flatten().skip(first).take(size);
    entries.cloned().collect::<Vec<_>>().into()
}

/// What is wrong with a kick-off, if anything is.
pub(crate) fn refusal(request: &Request, level: &Level, scenario: &Scenario) -> Option<Answer> {
    let refused = |status, text| Some(Answer::operation_outcome(status, text));
    let is_post = request.method == http::Method::POST;
    match scenario.personality {
        Personality::OneupPopulation if is_post => return refused(403, "POST is not supported."),
        Personality::OneupPayer if !matches!(level, Level::Group(_)) => {
            return refused(403, "Only a group can be exported.");
        }
        Personality::Smart if !is_post && scenario.edition >= Edition::Stu4 => {
            return refused(405, "A kick-off is sent by POST.").map(|answer| answer.header("Allow", "POST"));
        }
        // "Prefer: respond-async" is required in every edition.
        Personality::Smart if request.header("prefer").is_none_or(|prefer| !prefer.contains("respond-async")) => {
            return refused(400, "Prefer: respond-async is missing.");
        }
        _ => {}
    }
    if is_post && parameters(request).is_none() {
        return refused(400, "The body is no Parameters resource.");
    }
    None
}

/// The `_type` values of a kick-off, by GET or POST; None if it names none.
pub(crate) fn types(request: &Request) -> Option<Vec<String>> {
    let mut named: Vec<String> = Vec::new();
    if let Some(query) = &request.query {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        named.extend(pairs.filter(|(name, _)| name == "_type").map(|(_, value)| value.into_owned()));
    }
    for parameter in parameters(request).iter().flatten().filter(|parameter| parameter["name"] == "_type") {
        let value = ["valueString", "valueCode"].iter().find_map(|name| parameter[name].as_str());
        named.extend(value.map(str::to_owned));
    }
    let types: Vec<String> =
        named.iter().flat_map(|value| value.split(',')).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    (!types.is_empty()).then_some(types)
}

/// The parameters of a POST; no body is none.
fn parameters(request: &Request) -> Option<Vec<Value>> {
    if request.body.is_empty() {
        return Some(Vec::new());
    }
    let mut body: Value = serde_json::from_slice(&request.body).ok()?;
    if body["resourceType"] != "Parameters" {
        return None;
    }
    match body["parameter"].take() {
        Value::Array(parameters) => Some(parameters),
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}
