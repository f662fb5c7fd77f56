//! A payer, a lake, and what every test does with them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lakehaul_fetch::{Auth, ClientOptions, ExportParameters, Kind, SearchQuery, Searched, SecretStyle};
use lakehaul_load::{
    AfterExport, Ask, Clock, Earlier, Event, ExportRequest, GivenConsent, LoadError, LoadOptions, LoadSummary,
    MatchRequest, MatchSummary, Observer, Pace, RawFiles, Roster, RunRecord, SearchRequest, Silent, Since, SystemClock,
    Warning, WrongLines, match_members, search,
};
use lakehaul_sim::{Endpoint, Personality, Scenario, Sim};
use serde_json::Value;

/// Writes down what it is told.
#[derive(Default)]
pub(crate) struct Notes(pub(crate) Mutex<Vec<Warning>>);

impl Observer for Notes {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(warning) = event {
            self.0.lock().unwrap().push(warning);
        }
    }
}

pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) sim: Sim,
    kind: Kind,
    pub(crate) notes: Arc<Notes>,
}

impl Scene {
    pub(crate) fn new(personality: Personality, scene: impl FnOnce(Scenario) -> Scenario) -> Scene {
        let kind = match personality {
            Personality::OneupPatient => Kind::OneupPatient,
            Personality::OneupConnect => Kind::OneupConnect,
            Personality::OneupPayer => Kind::OneupPayer,
            _ => Kind::Fhir,
        };
        Scene {
            folder: tempfile::tempdir().unwrap(),
            sim: Sim::start(scene(Scenario::new(personality))).unwrap(),
            kind,
            notes: Arc::default(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn lake(&self) -> String {
        self.path("lake").to_str().unwrap().to_owned()
    }

    fn client(&self) -> ClientOptions {
        let credentials = self.sim.credentials();
        let mut client = ClientOptions::new(self.kind, self.sim.base_url().parse().unwrap());
        client.tenant = self.kind.needs_tenant().then(|| "bison".to_owned());
        client.auth = match self.kind {
            Kind::OneupPatient | Kind::OneupConnect | Kind::Fhir => Auth::Token(credentials.token.into()),
            _ => Auth::ClientSecret {
                client_id: credentials.client_id,
                secret: credentials.client_secret.into(),
                style: SecretStyle::Form,
            },
        };
        client.patience.retries = 0;
        client
    }

    /// Every page is durable as soon as it is done.
    pub(crate) fn search_for(&self, types: &[&str]) -> SearchRequest {
        let query = |name: &&str| SearchQuery { searched: Searched::Type((*name).to_owned()), parameters: Vec::new() };
        SearchRequest {
            client: self.client(),
            subject: "me".to_owned(),
            queries: types.iter().map(query).collect(),
            lake: self.lake(),
            options: LoadOptions { threads: 2, checkpoint: Duration::ZERO, ..LoadOptions::default() },
            earlier: Earlier::TakeUp,
            max_duration: None,
        }
    }

    pub(crate) fn everything(&self, patient: &str) -> SearchRequest {
        let searched = Searched::Everything { patient: patient.to_owned() };
        let queries = vec![SearchQuery { searched, parameters: Vec::new() }];
        SearchRequest { queries, ..self.search_for(&[]) }
    }

    pub(crate) fn search(&self, request: &SearchRequest) -> Result<LoadSummary, LoadError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let observer: Arc<dyn Observer> = self.notes.clone();
        search(request, &clock, &observer)
    }

    /// A roster of this text; answers are waited for without a pace.
    pub(crate) fn roster(&self, text: &str) -> MatchRequest {
        let path = self.path("roster.csv");
        std::fs::write(&path, text).unwrap();
        self.roster_file(&path)
    }

    pub(crate) fn roster_file(&self, path: &Path) -> MatchRequest {
        MatchRequest {
            roster: Roster::file(path.to_owned()),
            consent: GivenConsent {
                policy: Some("regular".parse().unwrap()),
                start: Some("2026-01-01".to_owned()),
                end: Some("2026-12-31".to_owned()),
            },
            wrong_lines: WrongLines::Stop,
            ask: Ask::Unanswered,
            pace: Pace { per_minute: 600_000, at_once: 4 },
            export: ExportRequest {
                client: self.client(),
                parameters: ExportParameters::default(),
                since: Since::Ever,
                lake: self.lake(),
                options: LoadOptions { threads: 2, ..LoadOptions::default() },
                earlier: Earlier::TakeUp,
                afterwards: AfterExport::Delete,
                raw: RawFiles::Streamed,
                max_duration: None,
            },
            exports_at_once: 3,
        }
    }

    pub(crate) fn match_members(&self, request: &MatchRequest) -> Result<MatchSummary, LoadError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let observer: Arc<dyn Observer> = self.notes.clone();
        match_members(request, &clock, &observer)
    }

    pub(crate) fn records(&self) -> Vec<RunRecord> {
        lakehaul_load::runs(&self.lake()).unwrap()
    }

    pub(crate) fn asked(&self, endpoint: Endpoint) -> usize {
        self.sim.seen(endpoint).len()
    }

    /// The lake's rows as resources, in the order of their ids.
    pub(crate) fn rows(&self, resource_type: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        lakehaul_load::cat(&self.lake(), resource_type, &mut rows).unwrap();
        let mut rows: Vec<Value> =
            String::from_utf8(rows).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        rows.sort_by_key(|row| row["id"].to_string());
        rows
    }

    /// The lake is what its ledger says, and nobody asked for what he should not have.
    #[track_caller]
    pub(crate) fn check_sound(&self) {
        assert_eq!(lakehaul_load::verify(&self.lake(), &Silent).unwrap().findings, []);
        assert_eq!(self.sim.unscripted().len(), 0, "{:?}", self.sim.unscripted());
        assert_eq!(self.sim.tokens_seen_at_other_origin().len(), 0);
    }
}

/// One resource of many, by its number.
pub(crate) fn resource(resource_type: &str, id: usize) -> String {
    format!(r#"{{"resourceType":"{resource_type}","id":"{id:04}","identifier":[{{"value":"{id}"}}]}}"#)
}

/// So many of a type.
pub(crate) fn resources(resource_type: &'static str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |id| resource(resource_type, id))
}
