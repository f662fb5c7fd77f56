//! A payer, a lake, and what every test does with them.

use std::sync::{Arc, Mutex};

use lakehaul_fetch::{Auth, ClientOptions, ExportParameters, Kind, SecretStyle};
use lakehaul_load::{
    AfterExport, Clock, Earlier, Event, ExportRequest, LoadError, LoadOptions, LoadSummary, Observer, Progress,
    RawFiles, RunRecord, Silent, Since, SystemClock, Warning, export,
};
use lakehaul_sim::members::{Members, MembersOptions, Split};
use lakehaul_sim::{Personality, Scenario, Sim};

/// Writes down what it is told.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) warnings: Mutex<Vec<Warning>>,
    pub(crate) listed: Mutex<Vec<usize>>,
    pub(crate) progress: Mutex<Option<Arc<Progress>>>,
}

impl Observer for Notes {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Warning(warning) => self.warnings.lock().unwrap().push(warning),
            Event::FilesListed { files } => self.listed.lock().unwrap().push(files),
            Event::Planned { progress, .. } => *self.progress.lock().unwrap() = Some(Arc::clone(progress)),
            _ => {}
        }
    }
}

pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) sim: Sim,
    kind: Kind,
    pub(crate) notes: Arc<Notes>,
}

/// A few members in a few files a type.
pub(crate) fn members() -> Members {
    Members::new(MembersOptions { members: 40, split: Split::Files(2), ..MembersOptions::default() })
}

impl Scene {
    pub(crate) fn new(personality: Personality, scene: impl FnOnce(Scenario) -> Scenario) -> Scene {
        let kind = match personality {
            Personality::OneupProvider => Kind::OneupProvider,
            Personality::OneupPayer => Kind::OneupPayer,
            Personality::OneupPopulation => Kind::OneupPopulation,
            _ => Kind::Smart,
        };
        Scene {
            folder: tempfile::tempdir().unwrap(),
            sim: Sim::start(scene(Scenario::new(personality))).unwrap(),
            kind,
            notes: Arc::default(),
        }
    }

    pub(crate) fn lake(&self) -> String {
        self.folder.path().join("lake").to_str().unwrap().to_owned()
    }

    pub(crate) fn request(&self) -> ExportRequest {
        let credentials = self.sim.credentials();
        let mut client = ClientOptions::new(self.kind, self.sim.base_url().parse().unwrap());
        client.tenant = self.kind.needs_tenant().then(|| "bison".to_owned());
        client.auth = Auth::ClientSecret {
            client_id: credentials.client_id,
            secret: credentials.client_secret.into(),
            style: SecretStyle::Form,
        };
        ExportRequest {
            client,
            parameters: ExportParameters::default(),
            since: Since::Ever,
            lake: self.lake(),
            options: LoadOptions { threads: 2, ..LoadOptions::default() },
            earlier: Earlier::TakeUp,
            afterwards: AfterExport::Delete,
            raw: RawFiles::Streamed,
            max_duration: None,
        }
    }

    pub(crate) fn export(&self, request: &ExportRequest) -> Result<LoadSummary, LoadError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let observer: Arc<dyn Observer> = self.notes.clone();
        export(request, &clock, &observer)
    }

    pub(crate) fn records(&self) -> Vec<RunRecord> {
        lakehaul_load::runs(&self.lake()).unwrap()
    }

    /// The run's figures are the payer's, the lake is what its ledger says, and nobody asked for what he should not have.
    #[track_caller]
    pub(crate) fn is_whole(&self, summary: &LoadSummary) {
        let model = self.sim.model();
        for facts in &model.files {
            let file = summary.files.iter().find(|file| file.name == facts.name).expect("every file is accounted for");
            assert_eq!((file.lines, file.blank, file.content_bytes), (facts.lines, facts.blank, facts.content_bytes));
        }
        assert_eq!(summary.files.len(), model.files.len());
        assert_eq!(summary.totals.resources, model.resources());
        assert_eq!(lakehaul_load::verify(&self.lake(), &Silent).unwrap().findings, []);
        assert_eq!(self.sim.unscripted().len(), 0, "{:?}", self.sim.unscripted());
        assert_eq!(self.sim.early_polls().len(), 0);
        assert_eq!(self.sim.tokens_seen_at_other_origin().len(), 0);
    }
}
