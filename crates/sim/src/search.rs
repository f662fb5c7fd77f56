//! Search: the resources that are there, and the pages of a searchset Bundle (FHIR R4, sections 3.1.1.5 and 3.1.3).
//!
//! A resource's bytes go into a page as they were given. A page's URL says nothing that a client could make up.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::origins::Origins;
use crate::scenario::{BundleLayout, Doors, NextLink, Total};
use crate::wire::Request;

/// All that can be searched; never changes.
pub(crate) struct Library {
    resources: Vec<Resource>,
}

struct Resource {
    text: String,
    resource_type: String,
    id: String,
}

/// Type and id of a resource; None if the text is none.
pub(crate) fn facts(text: &str) -> Option<(String, String)> {
    // Numbers are not looked at, so any will do.
    let members: HashMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
    let string = |name: &str| serde_json::from_str::<String>(members.get(name)?.get()).ok();
    Some((string("resourceType")?, string("id").unwrap_or_default()))
}

impl Library {
    /// Text that is no resource can be found by nobody.
    pub(crate) fn new(texts: &[String]) -> Library {
        let resource = |text: &String| {
            let (resource_type, id) = facts(text)?;
            Some(Resource { text: text.clone(), resource_type, id })
        };
        Library { resources: texts.iter().filter_map(resource).collect() }
    }

    /// The places of the resources of a type that the query wants: `_id` and `patient` are looked at.
    fn of_type(&self, resource_type: &str, query: &[(String, String)]) -> Vec<usize> {
        let wanted = |resource: &Resource| {
            resource.resource_type == resource_type
                && query.iter().all(|(name, value)| match name.as_str() {
                    "_id" => value.split(',').any(|id| id == resource.id),
                    "patient" => {
                        let id = value.strip_prefix("Patient/").unwrap_or(value);
                        resource.text.contains(&format!("\"Patient/{id}\""))
                    }
                    _ => true,
                })
        };
        self.places(wanted)
    }

    /// A patient, and all that refers to it; None if there is no such patient.
    fn everything(&self, id: &str) -> Option<Vec<usize>> {
        let is_it = |resource: &Resource| resource.resource_type == "Patient" && resource.id == id;
        self.resources.iter().any(is_it).then(|| {
            let reference = format!("\"Patient/{id}\"");
            self.places(|resource| is_it(resource) || resource.text.contains(&reference))
        })
    }

    fn places(&self, wanted: impl Fn(&Resource) -> bool) -> Vec<usize> {
        (0..self.resources.len()).filter(|&place| wanted(&self.resources[place])).collect()
    }
}

/// The searches whose further pages may be asked for.
pub(crate) struct Cursors {
    open: HashMap<String, Cursor>,
    dice: fastrand::Rng,
}

#[derive(Clone)]
struct Cursor {
    found: Arc<Vec<usize>>,
    size: usize,
    expired: bool,
}

impl Cursors {
    pub(crate) fn new(seed: u64) -> Cursors {
        Cursors { open: HashMap::new(), dice: fastrand::Rng::with_seed(seed ^ 0x0070_6167_6573) }
    }

    pub(crate) fn expire_all(&mut self) {
        self.open.values_mut().for_each(|cursor| cursor.expired = true);
    }
}

/// What a page is made from.
pub(crate) struct Desk<'s> {
    pub(crate) library: &'s Library,
    pub(crate) doors: &'s Doors,
    pub(crate) origins: &'s Origins,
    /// The FHIR base's path.
    pub(crate) base: &'s str,
}

impl Desk<'_> {
    /// The first page of a type's search.
    pub(crate) fn search(&self, cursors: &mut Cursors, request: &Request, resource_type: &str) -> Answer {
        let query = pairs(request);
        let found = self.library.of_type(resource_type, &query);
        self.begin(cursors, request, &query, found)
    }

    /// The first page of a patient's `$everything`.
    pub(crate) fn everything(&self, cursors: &mut Cursors, request: &Request, id: &str) -> Answer {
        match self.library.everything(id) {
            Some(found) => self.begin(cursors, request, &pairs(request), found),
            None => not_found(404, "There is no such patient."),
        }
    }

    /// A further page.
    pub(crate) fn page(&self, cursors: &Cursors, request: &Request) -> Answer {
        let query = pairs(request);
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let Some(token) = value("_getpages") else { return not_found(404, "The base has nothing to show.") };
        let Some(cursor) = cursors.open.get(token) else { return not_found(404, "There is no such page.") };
        if cursor.expired {
            return not_found(410, "The search's pages have expired.");
        }
        let offset = value("_offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
        self.bundle(request, cursor, token, offset)
    }

    fn begin(&self, cursors: &mut Cursors, request: &Request, query: &[(String, String)], found: Vec<usize>) -> Answer {
        let count = query.iter().find(|(name, _)| name == "_count").and_then(|(_, value)| value.parse().ok());
        let size = count.unwrap_or(usize::MAX).clamp(1, self.doors.search_page_size);
        let token = format!("{:016x}{:016x}", cursors.dice.u64(..), cursors.dice.u64(..));
        let cursor = Cursor { found: Arc::new(found), size, expired: false };
        let answer = self.bundle(request, &cursor, &token, 0);
        if cursor.found.len() > size {
            cursors.open.insert(token, cursor);
        }
        answer
    }

    fn bundle(&self, request: &Request, cursor: &Cursor, token: &str, offset: usize) -> Answer {
        let Desk { doors, origins, .. } = self;
        let (newline, wide) = match doors.bundle_layout {
            BundleLayout::Compact => ("", ""),
            BundleLayout::Indented => ("\n  ", " "),
        };
        let query = request.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        let itself = format!("{}{}{query}", origins.main, request.path);
        let mut links = vec![json!({"relation": "self", "url": itself})];
        let end = offset.saturating_add(cursor.size);
        if end < cursor.found.len() {
            let path = format!("{}?_getpages={token}&_offset={end}", self.base);
            let url = match doors.next_link {
                NextLink::Absolute => format!("{}{path}", origins.main),
                NextLink::Relative => path,
                NextLink::OtherOrigin => format!("{}{path}", origins.other),
                NextLink::ToItself => itself,
            };
            links.push(json!({"relation": "next", "url": url}));
        }
        let total = cursor.found.len() as u64;
        let total = match doors.search_total {
            Total::True => Some(total),
            Total::Missing => None,
            Total::Off(by) => Some(total + by),
        };
        let mut body = format!(
            "{{{newline}\"resourceType\":{wide}\"Bundle\",{newline}\"id\":{wide}\"{token}\",{newline}\"type\":{wide}\"searchset\""
        );
        let mut member = |name: &str, text: &str| {
            // Writing to a String cannot fail.
            let _ = write!(body, ",{newline}\"{name}\":{wide}{text}");
        };
        if let Some(total) = total {
            member("total", &total.to_string());
        }
        member("link", &Value::from(links).to_string());
        let mut entries: Vec<String> = Vec::new();
        if offset == 0 {
            entries.extend(doors.entry_outcomes.iter().map(outcome_entry));
        }
        for &place in cursor.found.iter().skip(offset).take(cursor.size) {
            let Resource { text, resource_type, id } = &self.library.resources[place];
            let url = Value::from(format!("{}{}/{resource_type}/{id}", origins.main, self.base));
            entries.push(format!(
                "{{\"fullUrl\":{wide}{url},{newline}\"resource\":{wide}{text},{newline}\"search\":{wide}{{\"mode\":{wide}\"match\"}}}}"
            ));
        }
        // FHIR has no empty arrays.
        if !entries.is_empty() {
            member("entry", &format!("[{newline}{}]", entries.join(&format!(",{newline}"))));
        }
        body.push_str(if newline.is_empty() { "}" } else { "\n}\n" });
        Answer::new(200).body("application/fhir+json", body)
    }
}

fn pairs(request: &Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.query.as_deref().unwrap_or_default().as_bytes()).into_owned().collect()
}

fn outcome_entry((severity, code, text): &(String, String, String)) -> String {
    let issue = json!([{"severity": severity, "code": code, "details": {"text": text}}]);
    let resource = json!({"resourceType": "OperationOutcome", "issue": issue});
    json!({"resource": resource, "search": {"mode": "outcome"}}).to_string()
}

fn not_found(status: u16, text: &str) -> Answer {
    let issue = json!([{"severity": "error", "code": "not-found", "details": {"text": text}}]);
    let outcome = json!({"resourceType": "OperationOutcome", "issue": issue});
    Answer::new(status).body("application/fhir+json", outcome.to_string())
}
