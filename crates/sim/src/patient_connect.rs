//! Patient Connect's own calls: systems that a patient may connect, users and their codes, the way to a system.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::authorization::Grants;
use crate::credentials::Credentials;
use crate::route::Endpoint;
use crate::scenario::{Personality, Scenario};
use crate::wire::Request;

/// As the documents say: "in increments of 20".
const ROWS_A_PAGE: usize = 20;

const TOWNS: [(&str, &str, &str); 8] = [
    ("Abbotsbridge", "MA", "02114"),
    ("Brindle Falls", "OH", "43004"),
    ("Coldwater Pass", "CO", "80014"),
    ("Dunmore Landing", "TX", "73301"),
    ("Eastvale", "WA", "98001"),
    ("Fernhollow", "GA", "30002"),
    ("Graystone", "IL", "60007"),
    ("Harper's Mill", "VA", "20101"),
];
const WORDS: [&str; 6] = ["Community", "Memorial", "Regional", "Saint Ada's", "United", "Valley"];
/// What a name ends with, and the `system_type` that goes with it.
const SORTS: [(&str, &str); 4] = [
    ("Clinic", "HealthSystem"),
    ("Health Plan", "PayerPatientAccess"),
    ("Hospital", "HealthSystem"),
    ("Mutual", "Payer2Payer"),
];
const VERSIONS: [&str; 3] = ["FHIR DSTU2 1.0.2", "FHIR STU3 3.0.1", "FHIR R4 4.0.1"];
const STATUSES: [&str; 4] =
    ["connection_working", "connection_working", "connection_working", "connection_under_maintenance"];
const RECORDS: [&str; 3] = ["Epic", "Cerner", "Meditech"];

/// All systems, in alphabetical order.
pub(crate) struct Systems(Vec<System>);

struct System {
    row: Value,
    name: String,
    system_type: &'static str,
    zip: &'static str,
}

impl Systems {
    pub(crate) fn new(count: usize, seed: u64) -> Systems {
        let mut dice = fastrand::Rng::with_seed(seed ^ 0x0073_7973_7465_6d73);
        let mut all: Vec<System> = (0..count).map(|number| System::new(number, &mut dice)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Systems(all)
    }

    /// Answers about systems; `below` is the path behind `/api/`.
    pub(crate) fn answer(&self, request: &Request, below: &str, scenario: &Scenario) -> Answer {
        let rows = |wanted: &dyn Fn(&System) -> bool, offset: usize, most: usize| {
            let found = self.0.iter().filter(|system| wanted(system)).skip(offset).take(most);
            let rows: Value = found.map(|system| system.row.clone()).collect::<Vec<_>>().into();
            if scenario.doors.systems_wrapped { json!({"results": rows}) } else { rows }
        };
        if let Some(zip) = below.strip_prefix("systems/") {
            return Answer::json(200, &rows(&|system| system.zip == zip, 0, usize::MAX));
        }
        if below == "all-systems" {
            return Answer::json(200, &rows(&|_| true, 0, usize::MAX));
        }
        let refused = |text: &str| Answer::json(400, &json!({"error": text}));
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(request.query.as_deref().unwrap_or_default().as_bytes()).into_owned().collect();
        let field = |name: &str| {
            let found = pairs.iter().find(|(key, value)| key == name && !value.is_empty());
            found.map(|(_, value)| value.as_str())
        };
        let query = field("query").unwrap_or_default().to_lowercase();
        if !query.chars().all(|sign| sign.is_alphanumeric() || sign == ' ' || sign == '\'') {
            return refused("query may have letters, digits and ' alone");
        }
        let system_type = field("system_type");
        if system_type.is_some_and(|one| SORTS.iter().all(|(_, sort)| *sort != one)) {
            return refused("there is no such system_type");
        }
        let Ok(offset) = field("offset").map_or(Ok(0), str::parse) else { return refused("offset is no number") };
        let wanted = |system: &System| {
            system.name.to_lowercase().contains(&query) && system_type.is_none_or(|one| one == system.system_type)
        };
        Answer::json(201, &rows(&wanted, offset, ROWS_A_PAGE))
    }
}

impl System {
    fn new(number: usize, dice: &mut fastrand::Rng) -> System {
        let (town, state, zip) = TOWNS[number % TOWNS.len()];
        let word = WORDS[number / TOWNS.len() % WORDS.len()];
        let (sort, system_type) = SORTS[dice.usize(..SORTS.len())];
        // Unlike numbers keep names apart once all words are used up.
        let round = number / (TOWNS.len() * WORDS.len());
        let name =
            if round == 0 { format!("{town} {word} {sort}") } else { format!("{town} {word} {sort} {}", round + 1) };
        let id = 10_000 + number;
        let mut one_of = |texts: &[&'static str]| texts[dice.usize(..texts.len())];
        let row = json!({
            "id": id,
            "name": name,
            "logo": format!("https://example.org/logos/{id}.png"),
            "resource_url": format!("https://fhir.example.org/{id}/r4"),
            "api_version": one_of(&VERSIONS),
            "status": one_of(&STATUSES),
            "ehr": one_of(&RECORDS),
            "locations": [{
                "name": name,
                "address": {
                    "line": [format!("{} Main Street", number + 1)],
                    "city": town, "state": state, "postalCode": zip,
                },
            }],
        });
        System { row, name, system_type, zip }
    }
}

/// The users that were made, and how many calls about them there were.
pub(crate) struct Users {
    /// Each `app_user_id` with its `oneup_user_id`.
    known: HashMap<String, usize>,
    calls: u32,
    /// Calls are refused until then.
    shut_until: Option<Instant>,
}

impl Users {
    pub(crate) fn new() -> Users {
        Users { known: HashMap::new(), calls: 0, shut_until: None }
    }

    /// Answers a call about a user: makes one, or gives a code for one.
    pub(crate) fn answer(
        &mut self,
        request: &Request,
        endpoint: Endpoint,
        grants: &mut Grants,
        scenario: &Scenario,
        credentials: &Credentials,
    ) -> Answer {
        if let Some(refusal) = self.too_many(scenario) {
            return refusal;
        }
        let refused = |status: u16, text: &str| Answer::json(status, &json!({"success": false, "error": text}));
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| {
            let in_form = form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            in_form.or_else(|| request.header(name))
        };
        let is_client = field("client_id") == Some(&credentials.client_id)
            && field("client_secret") == Some(&credentials.client_secret);
        if !is_client {
            return refused(401, "invalid client_id or client_secret");
        }
        let Some(name) = field("app_user_id").filter(|name| !name.is_empty()) else {
            return refused(400, "app_user_id is missing");
        };
        let known = self.known.get(name).copied();
        let number = match (endpoint, known) {
            (Endpoint::User, Some(_)) => return refused(200, "this user already exists"),
            (Endpoint::User, None) => {
                let number = 100_001 + self.known.len();
                self.known.insert(name.to_owned(), number);
                number
            }
            (_, Some(number)) => number,
            (_, None) => return refused(200, "this user does not exist"),
        };
        let code = grants.code_by_itself(scenario.personality.member_scope(), &scenario.doors);
        Answer::json(
            200,
            &json!({"success": true, "code": code, "oneup_user_id": number, "app_user_id": name, "active": true}),
        )
    }

    /// Counts a call; the answer if it is one too many.
    fn too_many(&mut self, scenario: &Scenario) -> Option<Answer> {
        let most = scenario.doors.user_calls?;
        let seconds = scenario.doors.user_calls_retry_after;
        if self.shut_until.is_some_and(|until| Instant::now() >= until) {
            (self.shut_until, self.calls) = (None, 0);
        }
        if self.calls < most {
            self.calls += 1;
            return None;
        }
        if self.shut_until.is_none() {
            self.shut_until = Instant::now().checked_add(Duration::from_secs(seconds));
        }
        let body = json!({"success": false, "error": "too many calls"});
        Some(Answer::json(429, &body).header("Retry-After", seconds.to_string()))
    }
}

/// The way to a system's own login, at another origin; `admits` tells whether a token is alive.
pub(crate) fn connect(request: &Request, id: &str, credentials: &Credentials, admits: impl Fn(&str) -> bool) -> Answer {
    let query = request.query.as_deref().unwrap_or_default();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let field = |name: &str| pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    if field("client_id") != credentials.client_id || !admits(field("access_token")) {
        return Answer::json(401, &json!({"error": "client_id and a live access_token are needed"}));
    }
    Answer::new(302).header("Location", format!("{{other_origin}}{}", consent_path(id)))
}

/// Where [`connect`] leads.
pub(crate) fn consent_path(id: &str) -> String {
    format!("/connect/consent/{id}")
}

/// What a patient sees there.
pub(crate) fn consent() -> Answer {
    let body =
        "<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>A health system's login.</body></html>\n";
    Answer::new(200).body("text/html; charset=utf-8", body)
}

/// The endpoint of a path that Patient Connect alone has.
pub(crate) fn endpoint(personality: Personality, method: &Method, path: &str) -> Option<Endpoint> {
    if personality != Personality::OneupConnect {
        return None;
    }
    let (get, post) = (method == Method::GET, method == Method::POST);
    match path.strip_prefix('/')?.split('/').collect::<Vec<_>>()[..] {
        ["api", "search"] if post => Some(Endpoint::Systems),
        ["api", "systems", zip] if get && !zip.is_empty() => Some(Endpoint::Systems),
        ["api", "all-systems"] if get => Some(Endpoint::Systems),
        ["user-management", "v1", "user"] if post => Some(Endpoint::User),
        ["user-management", "v1", "user", "auth-code"] if post => Some(Endpoint::AuthCode),
        ["connect", "system", "clinical", id] | ["connect", "consent", id] if get && !id.is_empty() => {
            Some(Endpoint::Connect)
        }
        _ => None,
    }
}
