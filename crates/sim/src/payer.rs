//! The simulated payer: a request in, an answer and the way to send it out. All state is here; nothing here does I/O.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::Method;

use crate::answer::{Answer, Reply};
use crate::authorization::Grants;
use crate::credentials::Credentials;
use crate::discovery;
use crate::export::{self, Export};
use crate::fault::{At, Delivery, Effect, Fault, Hangup, Instead, Rule};
use crate::file_answer::{Moment, OutputFile};
use crate::log::{Authorization, Entry, Log, Origin, RequestBody, Seen};
use crate::manifest::Listing;
use crate::member_match;
use crate::model::{FileFacts, Model};
use crate::origins::Origins;
use crate::patient_connect::{self, Systems, Users};
use crate::route::{Endpoint, Level, Route, Site};
use crate::scenario::{Door, LocationIn, Personality, Scenario};
use crate::script::Script;
use crate::search::{Cursors, Desk, Library};
use crate::served_file::{FileAccess, Place, Role};
use crate::signed_url::SignedUrls;
use crate::token::Tokens;
use crate::wire::Request;

/// A `Retry-After` beyond this is absurd; nobody is held to it.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// One simulated payer.
pub(crate) struct Payer {
    scenario: Scenario,
    site: Site,
    files: Vec<OutputFile>,
    library: Library,
    systems: Systems,
    pub(crate) credentials: Credentials,
    pub(crate) origins: Origins,
    pub(crate) log: Log,
    state: Mutex<State>,
}

/// What requests change.
struct State {
    script: Script,
    tokens: Tokens,
    exports: Vec<Export>,
    ids: fastrand::Rng,
    moments: Vec<Moment>,
    signed_urls: SignedUrls,
    cursors: Cursors,
    grants: Grants,
    users: Users,
    /// Requests to match a member that were good ones.
    matches: usize,
    /// When each method and path may be asked again.
    not_before: HashMap<(Method, String), Instant>,
}

/// What is to be done with a request.
pub(crate) struct Verdict {
    pub(crate) entry: Arc<Entry>,
    pub(crate) reply: Result<Reply, Hangup>,
    pub(crate) delivery: Delivery,
}

impl Payer {
    pub(crate) fn new(scenario: Scenario, origins: Origins) -> Payer {
        let files: Vec<OutputFile> =
            scenario.files.iter().cloned().enumerate().map(|(place, file)| OutputFile::new(file, place)).collect();
        let credentials = Credentials::new(scenario.client.clone(), scenario.seed);
        let state = State {
            script: Script::new(scenario.rules.clone(), scenario.seed),
            tokens: Tokens::new(&credentials.token, scenario.seed),
            exports: Vec::new(),
            ids: fastrand::Rng::with_seed(scenario.seed ^ 0x0065_7870_6f72_7473),
            moments: vec![Moment { version: 0, answers: 0 }; files.len()],
            signed_urls: SignedUrls::new(scenario.seed),
            cursors: Cursors::new(scenario.seed),
            grants: Grants::new(scenario.seed),
            users: Users::new(),
            matches: 0,
            not_before: HashMap::new(),
        };
        let site = Site::new(scenario.personality, &scenario.tenant);
        let library = Library::new(&scenario.doors.resources);
        let systems = Systems::new(scenario.doors.systems, scenario.seed);
        Payer {
            scenario,
            site,
            files,
            library,
            systems,
            credentials,
            origins,
            log: Log::new(),
            state: Mutex::new(state),
        }
    }

    /// Decides about one request and notes it.
    pub(crate) fn answer(&self, request: &Request, origin: Origin) -> Verdict {
        let mut state = self.state();
        let route = self.site.route(&request.method, &request.path);
        let endpoint = self.endpoint(&route);
        let entry = self.note(&mut state, request, origin, endpoint);
        let name = if let Endpoint::File(index) = endpoint { Some(self.files[index].name.as_str()) } else { None };
        let fault = state.script.meet(endpoint, name).unwrap_or_default();
        for effect in &fault.effects {
            state.take_effect(*effect, endpoint);
        }
        let reply = match fault.instead {
            Some(Instead::Nothing(hangup)) => Err(hangup),
            Some(Instead::Answer(answer)) => Ok(self.origins.fill_in(answer).into()),
            Some(Instead::Redirect(status, ref to)) => Ok(self.origins.redirect(status, to, request, origin).into()),
            None => Ok(self.true_reply(&mut state, request, origin, &route, endpoint, &fault)),
        };
        let reply = reply.map(|mut reply| {
            reply.headers.extend(fault.headers);
            if let Some(after) = &fault.retry_after {
                reply.headers.push(("Retry-After".to_owned(), after.header()));
            }
            state.hold_to(request, &reply);
            reply
        });
        Verdict { entry, reply, delivery: fault.delivery }
    }

    fn true_reply(
        &self,
        state: &mut State,
        request: &Request,
        origin: Origin,
        route: &Route,
        endpoint: Endpoint,
        fault: &Fault,
    ) -> Reply {
        if let Endpoint::File(index) = endpoint {
            if let Route::File { export: Some(id), .. } = route
                && !state.exports.iter().any(|export| export.id == *id && !export.deleted)
            {
                return Answer::operation_outcome(404, "There is no such export.").into();
            }
            return self.file(state, request, origin, index, fault);
        }
        // The other origin answers all, but never asks for a token, so that it sees what a client sends by itself.
        let guarded = match route {
            Route::KickOff { .. } | Route::Export(..) | Route::Page { .. } | Route::MemberMatch => true,
            Route::Search(_) | Route::SearchPage | Route::Everything(_) => true,
            Route::PatientConnect(endpoint) => *endpoint == Endpoint::Systems,
            _ => false,
        };
        if guarded && origin == Origin::Main && self.scenario.door == Door::Token {
            let authorization = state.tokens.identify(request.header("authorization"));
            if let Some(refusal) = state.tokens.refusal(authorization) {
                return refusal.into();
            }
        }
        // Not a byte of a resource is touched, not even one that looks like a placeholder; and a member's own address
        // is the member's.
        let desk = Desk {
            library: &self.library,
            doors: &self.scenario.doors,
            origins: &self.origins,
            base: self.site.fhir_base(),
        };
        match route {
            Route::Search(resource_type) => return desk.search(&mut state.cursors, request, resource_type).into(),
            Route::Everything(id) => return desk.everything(&mut state.cursors, request, id).into(),
            Route::SearchPage => return desk.page(&state.cursors, request).into(),
            Route::Authorize => {
                return state.grants.authorize(request, &self.scenario, &self.credentials.client_id).into();
            }
            _ => {}
        }
        let answer = match route {
            Route::Token if self.scenario.door == Door::Open => {
                Answer::operation_outcome(404, "There is no token endpoint.")
            }
            Route::Token => {
                let path = self.site.token_path();
                let origins = [Some(&self.origins.main), Some(&self.origins.other), self.origins.plain.as_ref()];
                let urls: Vec<String> = origins.iter().flatten().map(|origin| format!("{origin}{path}")).collect();
                state.tokens.grant(request, &self.scenario, &self.credentials, &urls, &mut state.grants)
            }
            Route::KickOff { level, resource_type } => {
                let refusal = export::refusal(request, level, &self.scenario);
                refusal.unwrap_or_else(|| self.kick_off(state, request, level, resource_type.as_deref()))
            }
            Route::Export(endpoint, id) => self.export(state, *endpoint, id),
            Route::Page { export: id, page } => {
                self.with_export(state, id, |export, listing| export.manifest(listing, &self.site, *page))
            }
            Route::Metadata => discovery::metadata(&self.scenario, &self.site),
            Route::SmartConfiguration => discovery::smart_configuration(&self.scenario, &self.site),
            Route::MemberMatch => match member_match::answer(request, &self.scenario) {
                Ok(answer) => {
                    state.matches += 1;
                    answer
                }
                Err(refusal) => refusal,
            },
            Route::PatientConnect(endpoint) => self.patient_connect(state, request, *endpoint),
            _ => Answer::operation_outcome(599, "The scenario does not know this request."),
        };
        self.origins.fill_in(answer).into()
    }

    fn kick_off(&self, state: &mut State, request: &Request, level: &Level, resource_type: Option<&str>) -> Answer {
        let groups = &self.scenario.doors.groups;
        let group = match level {
            Level::Group(id) if !groups.is_empty() => {
                let Some((_, places)) = groups.iter().find(|(group, _)| group == id) else {
                    return Answer::operation_outcome(404, "There is no such group.");
                };
                Some(places.clone())
            }
            _ => None,
        };
        let mut bits = || state.ids.u64(..);
        let (high, low) = (bits(), bits());
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        );
        let query = request.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        let url = format!("{{origin}}{}{query}", request.path);
        let types = resource_type.map(|one| vec![one.to_owned()]).or_else(|| export::types(request));
        let export = Export::new(id.clone(), url, types, group);
        let answer = export.accepted(&self.scenario, &self.site);
        state.exports.push(export);
        if self.scenario.kick_off.location == LocationIn::Nowhere {
            let body = self.with_export(state, &id, |export, listing| export.manifest(listing, &self.site, 0));
            return Answer { status: answer.status, ..body };
        }
        // A SMART server that says all in a header needs no body.
        if self.scenario.personality == Personality::Smart
            && answer.headers.iter().any(|(name, _)| name.contains("ocation"))
        {
            return Answer { body: bytes::Bytes::new(), ..answer };
        }
        answer
    }

    fn patient_connect(&self, state: &mut State, request: &Request, endpoint: Endpoint) -> Answer {
        let below = |prefix: &str| request.path.strip_prefix(prefix);
        match endpoint {
            Endpoint::Systems => self.systems.answer(request, below("/api/").unwrap_or_default(), &self.scenario),
            Endpoint::Connect => match below("/connect/system/clinical/") {
                Some(id) => {
                    patient_connect::connect(request, id, &self.credentials, |token| state.tokens.is_alive(token))
                }
                None => patient_connect::consent(),
            },
            _ => state.users.answer(request, endpoint, &mut state.grants, &self.scenario, &self.credentials),
        }
    }

    fn export(&self, state: &mut State, endpoint: Endpoint, id: &str) -> Answer {
        self.with_export(state, id, |export, listing| {
            Some(match endpoint {
                Endpoint::Delete => export.delete(self.scenario.personality),
                Endpoint::Retry => export.retry(),
                _ => export.status(listing, &self.site),
            })
        })
    }

    /// The answer about an export that exists; 404 otherwise.
    fn with_export(
        &self,
        state: &mut State,
        id: &str,
        answer: impl FnOnce(&mut Export, &Listing<'_>) -> Option<Answer>,
    ) -> Answer {
        let missing = || Answer::operation_outcome(404, "There is no such export.");
        let Some(place) = state.exports.iter().position(|export| export.id == id && !export.deleted) else {
            return missing();
        };
        let held = self.held(&state.exports[place]);
        let entries =
            held.into_iter().map(|index| (&self.files[index].file, self.file_url(state, id, index))).collect();
        let (export_id, request) = (id.to_owned(), state.exports[place].request.clone());
        let listing = Listing { scenario: &self.scenario, export: &export_id, request: &request, entries };
        answer(&mut state.exports[place], &listing).map_or_else(missing, |answer| self.edited(answer))
    }

    /// Output files of the types that were asked for, and all others.
    fn held(&self, export: &Export) -> Vec<usize> {
        let wanted = |file: &OutputFile| {
            let types = export.types.as_deref().unwrap_or_default();
            file.file.role != Role::Output || types.is_empty() || types.contains(&file.file.resource_type)
        };
        let in_group = |index: usize| export.group.as_ref().is_none_or(|places| places.contains(&index));
        (0..self.files.len()).filter(|&index| in_group(index) && wanted(&self.files[index])).collect()
    }

    fn file_url(&self, state: &mut State, export: &str, index: usize) -> String {
        let OutputFile { file, name, .. } = &self.files[index];
        let url = match file.place {
            Place::Here => format!("{{origin}}{}", self.site.file_path(export, name)),
            Place::OtherOrigin => format!("{{other_origin}}{}", Site::bucket_path(name)),
            Place::WrongHost => format!("{{other_origin}}{}", self.site.file_path(export, name)),
        };
        let Some(signed) = file.signed else { return url };
        format!("{url}?{}", state.signed_urls.sign(index, signed))
    }

    /// Manifests pass through the scenario's hand.
    fn edited(&self, mut answer: Answer) -> Answer {
        if let Some(edit) = &self.scenario.edit
            && let Ok(mut body) = serde_json::from_slice::<serde_json::Value>(&answer.body)
            && body.get("output").is_some()
        {
            edit(&mut body);
            answer.body = body.to_string().into();
        }
        answer
    }

    fn file(&self, state: &mut State, request: &Request, origin: Origin, index: usize, fault: &Fault) -> Reply {
        let served = &self.files[index];
        if served.file.signed.is_some() && !state.signed_urls.admit(request.query.as_deref(), index) {
            return bucket_error(403, "AccessDenied", "Request has expired").into();
        }
        let authorization = state.tokens.identify(request.header("authorization"));
        let access = served.file.access.unwrap_or(self.scenario.access);
        // A file of the main origin that is asked for at the other one was redirected there.
        let checked = origin == Origin::Main || served.file.place == Place::OtherOrigin;
        match access {
            FileAccess::Token if checked => {
                if let Some(refusal) = state.tokens.refusal(authorization) {
                    return refusal.into();
                }
            }
            FileAccess::NoToken if authorization != Authorization::None => {
                return bucket_error(400, "InvalidArgument", "Only one auth mechanism allowed").into();
            }
            FileAccess::Token | FileAccess::NoToken | FileAccess::Open => {}
        }
        let delivery = &fault.delivery;
        let places = [delivery.cut.map(|(at, _)| at), delivery.stall.map(|(at, _)| at), delivery.flip];
        if places.iter().flatten().any(|at| matches!(at, At::FromEnd(_))) {
            served.measure();
        }
        let moment = state.moments[index];
        state.moments[index].answers += 1;
        served.reply(request, moment, fault.wrong_range)
    }

    fn endpoint(&self, route: &Route) -> Endpoint {
        match route {
            Route::Token => Endpoint::Token,
            Route::KickOff { .. } => Endpoint::KickOff,
            Route::Export(endpoint, _) => *endpoint,
            Route::Page { .. } => Endpoint::ManifestPage,
            Route::Metadata => Endpoint::Metadata,
            Route::SmartConfiguration => Endpoint::SmartConfiguration,
            Route::File { name, .. } => {
                let place = self.files.iter().position(|file| file.name == *name);
                place.map_or(Endpoint::Unknown, Endpoint::File)
            }
            Route::Search(_) => Endpoint::Search,
            Route::SearchPage => Endpoint::SearchPage,
            Route::Everything(_) => Endpoint::Everything,
            Route::Authorize => Endpoint::Authorize,
            Route::MemberMatch => Endpoint::MemberMatch,
            Route::PatientConnect(endpoint) => *endpoint,
            Route::Unknown => Endpoint::Unknown,
        }
    }

    fn note(&self, state: &mut State, request: &Request, origin: Origin, endpoint: Endpoint) -> Arc<Entry> {
        let header = |name: &str| request.header(name).map(str::to_owned);
        let authorization = state.tokens.identify(request.header("authorization"));
        let not_before = state.not_before.get(&(request.method.clone(), request.path.clone()));
        let too_early_by = not_before.map(|moment| moment.saturating_duration_since(Instant::now()));
        self.log.add(Seen {
            order: 0,
            at: Duration::ZERO,
            origin,
            endpoint,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            authorization,
            carries_secret: authorization != Authorization::None || self.secret_is_in(state, request),
            range: header("range"),
            if_range: header("if-range"),
            accept: header("accept"),
            prefer: header("prefer"),
            accept_encoding: header("accept-encoding"),
            user_agent: header("user-agent"),
            body: RequestBody(request.body.clone()),
            too_early_by: too_early_by.filter(|by| !by.is_zero()),
            status: 0,
            body_bytes: 0,
            finished: false,
        })
    }

    /// Beside `Authorization`: in the query, the body or another header.
    fn secret_is_in(&self, state: &State, request: &Request) -> bool {
        let body = String::from_utf8_lossy(&request.body);
        let headers = request.headers.values().filter_map(|value| value.to_str().ok());
        let texts: Vec<&str> = headers.chain(request.query.as_deref()).chain([&*body]).collect();
        let holds = |secret: &str| texts.iter().any(|text| text.contains(secret));
        holds(&self.credentials.client_secret)
            || holds("client_assertion=")
            || state.tokens.texts().chain(state.grants.texts()).any(holds)
    }

    pub(crate) fn model(&self) -> Model {
        let facts = self.files.iter().map(|OutputFile { file, name, .. }| {
            let lines = file.line_facts();
            FileFacts {
                name: name.clone(),
                role: file.role,
                resource_type: file.resource_type.clone(),
                declared_type: file.declared_type().map(str::to_owned),
                lines: lines.lines,
                blank: lines.blank,
                bad: lines.bad,
                content_bytes: lines
                    .bytes
                    .unwrap_or_else(|| file.content.pieces(0, None).map(|piece| piece.len() as u64).sum()),
            }
        });
        Model { files: facts.collect() }
    }

    pub(crate) fn file_name(&self, index: usize) -> &str {
        &self.files[index].name
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn set_rules(&self, rules: Vec<Rule>) {
        self.state().script = Script::new(rules, self.scenario.seed);
    }

    pub(crate) fn add_rule(&self, rule: Rule) {
        self.state().script.add(rule);
    }

    pub(crate) fn revoke_tokens(&self) {
        self.state().tokens.revoke_all();
    }

    pub(crate) fn tokens_handed_out(&self) -> Vec<String> {
        self.state().tokens.texts().skip(1).map(str::to_owned).collect()
    }

    pub(crate) fn matches(&self) -> usize {
        self.state().matches
    }

    pub(crate) fn exports(&self) -> usize {
        self.state().exports.len()
    }

    pub(crate) fn deleted_exports(&self) -> usize {
        self.state().exports.iter().filter(|export| export.deleted).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_effect(&mut self, effect: Effect, endpoint: Endpoint) {
        match (effect, endpoint) {
            (Effect::RevokeTokens, _) => self.tokens.revoke_all(),
            (Effect::ReplaceFile, Endpoint::File(index)) => self.moments[index].version = 1,
            (Effect::ReplaceFile, _) => self.moments.iter_mut().for_each(|moment| moment.version = 1),
            (Effect::ExpireSignedUrls, _) => self.signed_urls.expire_all(),
            (Effect::ExpireCursors, _) => self.cursors.expire_all(),
        }
    }

    /// Notes until when a client has been asked to wait.
    fn hold_to(&mut self, request: &Request, reply: &Reply) {
        let key = (request.method.clone(), request.path.clone());
        let header = reply.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        let wait = header.and_then(|(_, value)| {
            let seconds = value.parse().ok().map(Duration::from_secs);
            let date = || httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok();
            seconds.or_else(date).filter(|wait| *wait <= LONGEST_WAIT)
        });
        match wait {
            Some(wait) => self.not_before.insert(key, Instant::now() + wait),
            None => self.not_before.remove(&key),
        };
    }
}

/// As object stores say it.
fn bucket_error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Answer::new(status).body("application/xml", body)
}
