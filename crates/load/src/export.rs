//! One export from request to summary: what a server exports goes from its sockets into the lake, under the lake's lock.
//!
//! In goes an [`ExportRequest`]; out comes the same summary as of a load. What the server is running is written down
//! before it is asked for its status, so that the same request after a death takes up the export instead of starting
//! another. Nothing but lines that are no rows, and the journal, is on disk before it is in a part.

mod facts;
mod feed;
mod names;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lakehaul_fetch::{Cancelled, Client, ClientOptions, ExportParameters, KickOff, Level, PollingLocation};
use tokio::runtime::Runtime;

pub(crate) use facts::ExportFacts;

use crate::budget::Budget;
use crate::commit::{commit, summary_again};
use crate::journal::{self, ExportFile, ExportState};
use crate::lake::Lake;
use crate::network::{Relay, start_network, unless_interrupted};
use crate::plan::{Draft, Earlier, Plan, Planned, Replaces, listed, open, reserve};
use crate::work::{Worked, in_attempts};
use crate::{Clock, Event, ExportRecord, LoadError, LoadOptions, LoadSummary, Observer, RunRecord, RunStatus, Warning};
use feed::{Feed, Source};

/// One export: `lakehaul export`.
#[derive(Clone)]
pub struct ExportRequest {
    /// The server, and who asks.
    pub client: ClientOptions,
    /// What is asked for; its `since` is not looked at.
    pub parameters: ExportParameters,
    /// From when on.
    pub since: Since,
    /// The lake's folder.
    pub lake: String,
    /// How the load goes.
    pub options: LoadOptions,
    /// What becomes of an unfinished run of the same request.
    pub earlier: Earlier,
    /// What becomes of the export at the server once all of it is in the lake.
    pub afterwards: AfterExport,
    /// Whether output files are kept as they come.
    pub raw: RawFiles,
    /// Longer than this it does not wait for the server.
    pub max_duration: Option<Duration>,
}

/// From when on resources are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Since {
    /// All there are.
    #[default]
    Ever,
    /// Changed since then (FHIR instant).
    Time(String),
    /// Changed since the transaction time of the lake's last complete run of the same export; all, if there is none.
    Last,
}

/// What becomes of the export at the server once all of it is in the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterExport {
    /// The server is told that it may go, if the run is without any problem.
    #[default]
    Delete,
    /// It stays.
    Keep,
}

/// Whether output files are kept as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RawFiles {
    /// Nothing is on disk but what the lake is made of.
    #[default]
    Streamed,
    /// In `_lake/raw/<run>/`, under their names.
    Kept,
}

/// Fetches an export and loads it. A request that has been carried out before does nothing and says so.
pub fn export(
    request: &ExportRequest,
    clock: &Arc<dyn Clock>,
    observer: &Arc<dyn Observer>,
) -> Result<LoadSummary, LoadError> {
    let connected = Connected::new(request, clock, observer)?;
    connected.export(request, clock, observer)
}

/// A client, and how the memory is divided with it; good for many exports.
pub(crate) struct Connected {
    pub(crate) client: Client,
    budget: Budget,
}

/// What an export that is only to be begun comes to.
pub(crate) enum Begun {
    /// It runs at the server, to be taken up.
    Runs,
    /// The server answers with the manifest at once: nothing runs.
    Answered,
    /// All of it is in the lake.
    Loaded,
}

/// An export that runs at the server.
struct Running {
    plan: Plan,
    record: ExportRecord,
    runtime: Runtime,
    source: Source,
}

impl Connected {
    pub(crate) fn new(
        request: &ExportRequest,
        clock: &Arc<dyn Clock>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Connected, LoadError> {
        let mut options = request.client.clone();
        let budget = Budget::divide(&request.options, options.concurrency.max(1), &request.lake)?;
        options.concurrency = budget.network.files;
        let relay = Arc::new(Relay(Arc::clone(observer)));
        Ok(Connected { client: Client::new(options, Arc::clone(clock), relay)?, budget })
    }

    /// As [`export`].
    pub(crate) fn export(
        &self,
        request: &ExportRequest,
        clock: &Arc<dyn Clock>,
        observer: &Arc<dyn Observer>,
    ) -> Result<LoadSummary, LoadError> {
        match self.start(request, clock, observer)? {
            Ok(running) => self.finish(running, request, clock, observer),
            Err(record) => Ok(summary_again(*record)),
        }
    }

    /// Only has the server begin; [`Connected::export`] takes it up.
    pub(crate) fn begin(
        &self,
        request: &ExportRequest,
        clock: &Arc<dyn Clock>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Begun, LoadError> {
        Ok(match self.start(request, clock, observer)? {
            Ok(Running { source: Source::Polling(_), .. }) => Begun::Runs,
            Ok(Running { source: Source::Manifest(_), .. }) => Begun::Answered,
            Err(_) => Begun::Loaded,
        })
    }

    /// The export at the server, an earlier one or a new one. The inner error: all of it is in the lake.
    fn start(
        &self,
        request: &ExportRequest,
        clock: &Arc<dyn Clock>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Result<Running, Box<RunRecord>>, LoadError> {
        // Before the lake is touched: a slip in the command makes no lake.
        self.client.kick_off_url(&request.parameters)?;
        let (plan, parameters, record) = match plan(request, self.budget, clock, observer)? {
            (Planned::Complete(record), ..) => return Ok(Err(record)),
            (Planned::Work(plan), parameters, record) => (*plan, parameters, record),
        };
        let plan = Plan { keep_raw: request.raw == RawFiles::Kept, ..plan };
        let runtime = start_network(self.budget.threads)?;
        let way = Way { client: &self.client, clock, observer, runtime: &runtime };
        match way.take_up_or_kick_off(&plan, &parameters) {
            Ok(source) => Ok(Ok(Running { plan, record, runtime, source })),
            Err(error) => {
                // Nothing runs at the server that could be taken up: the run has not begun.
                if ExportFile::of(&plan.lake, &plan.run)?.is_none() {
                    journal::discard(&*plan.lake.store, &plan.run)?;
                }
                Err(error)
            }
        }
    }

    fn finish(
        &self,
        running: Running,
        request: &ExportRequest,
        clock: &Arc<dyn Clock>,
        observer: &Arc<dyn Observer>,
    ) -> Result<LoadSummary, LoadError> {
        let Running { plan, record, runtime, source } = running;
        let way = Way { client: &self.client, clock, observer, runtime: &runtime };
        let worked = way.haul(&source, plan, record, request.max_duration)?;
        let summary = commit(worked, &**clock, &**observer)?;
        if let Source::Polling(location) = source
            && summary.problems.is_empty()
            // Of a file whose end nobody could verify, the server's may be the only whole one.
            && !summary.files.iter().any(|file| file.unverified_length)
            && request.afterwards == AfterExport::Delete
        {
            // All is published; a server that will not hear of it does no harm.
            match runtime.block_on(self.client.cancel(&location)) {
                Ok(cancelled) => observer.event(Event::ExportDeleted { cancelled: &cancelled }),
                Err(error) => {
                    let text = format!("the export stays at the server, which could not be told to delete it: {error}");
                    observer.event(Event::Warning(Warning::Server(text)));
                }
            }
        }
        runtime.shutdown_background();
        Ok(summary)
    }
}

/// Stops the export of an unfinished run at the server, and forgets the run.
pub fn cancel(lake: &str, run: &str, client: &Client, options: &LoadOptions) -> Result<Option<Cancelled>, LoadError> {
    let lake = Lake::open_to_write(lake, options)?;
    let there = journal::unfinished(&lake)?.into_iter().find_map(|unfinished| match unfinished {
        journal::Unfinished::Working(name, _) if name == run => Some(name),
        _ => None,
    });
    let Some(run) = there else {
        return Err(LoadError::Usage(format!("the lake has no unfinished run {run}")));
    };
    let cancelled = match ExportFile::of(&lake, &run)? {
        Some(ExportState::Accepted { polling_location }) => {
            let location = PollingLocation::from_stored(&polling_location)?;
            Some(start_network(1)?.block_on(client.cancel(&location))?)
        }
        Some(ExportState::KickOffSent) | None => None,
    };
    journal::discard(&*lake.store, &run)?;
    Ok(cancelled)
}

/// What a lake's unfinished runs are: names, and what they were to load.
pub fn unfinished(lake: &str) -> Result<Vec<(String, String)>, LoadError> {
    let lake = Lake::open_to_read(lake)?;
    let named = |unfinished| match unfinished {
        journal::Unfinished::Working(run, plan) => Some((run, plan?.source)),
        journal::Unfinished::Committing(_) | journal::Unfinished::Left(_) | journal::Unfinished::Compacting(_) => None,
    };
    Ok(journal::unfinished(&lake)?.into_iter().filter_map(named).collect())
}

/// The run, the parameters as they are sent, and the beginning of the ledger's account of the export.
fn plan(
    request: &ExportRequest,
    budget: Budget,
    clock: &Arc<dyn Clock>,
    observer: &Arc<dyn Observer>,
) -> Result<(Planned, ExportParameters, ExportRecord), LoadError> {
    let begun = Instant::now();
    let ClientOptions { kind, base_url, tenant, .. } = &request.client;
    let mut parameters = ExportParameters { since: None, ..request.parameters.clone() };
    let tenant = tenant.as_deref().unwrap_or_default();
    let asked = listed(["lakehaul export 1", kind.name(), base_url.as_str(), tenant, &parameters.canonical()]);
    let lineage = blake3::hash(&asked).to_hex()[..32].to_owned();

    let opened = open(&request.lake, &request.options)?;
    let mut warnings = Vec::new();
    parameters.since = match &request.since {
        Since::Ever => None,
        Since::Time(time) => Some(time.clone()),
        Since::Last => {
            let last = last_transaction_time(&opened.lake.records()?, &lineage);
            if last.is_none() {
                warnings.push(Warning::NoEarlierRun);
            }
            last
        }
    };
    if request.options.replace && parameters.since.is_some() {
        return Err(LoadError::Usage(
            "what has changed since then cannot take the place of all there is: leave out --since or --replace"
                .to_owned(),
        ));
    }
    let mut what = asked;
    what.extend(listed([parameters.since.as_deref().unwrap_or_default()]));
    let draft = Draft {
        command: what.clone(),
        what,
        repeatable: true,
        source: described(request, &parameters),
        transaction_time: None,
        files: Vec::new(),
        budget,
        begun,
        started: clock.now(),
        warnings,
    };
    let record = ExportRecord {
        kind: kind.name().to_owned(),
        lineage,
        since: parameters.since.clone(),
        ..ExportRecord::default()
    };
    let mut planned = reserve(opened, draft, &request.options, request.earlier, &**observer)?;
    if let Planned::Work(plan) = &mut planned
        && plan.replaces.is_some()
        && !parameters.types.is_empty()
    {
        plan.replaces = Some(Replaces::Types(parameters.types.clone()));
    }
    Ok((planned, parameters, record))
}

/// The newest of the runs that brought all that was exported: what was rejected then would be rejected again.
fn last_transaction_time(records: &[RunRecord], lineage: &str) -> Option<String> {
    let whole = |record: &&RunRecord| {
        matches!(record.status, RunStatus::Complete | RunStatus::Rejected)
            && record.export.as_ref().is_some_and(|export| export.lineage == lineage)
    };
    records.iter().rev().filter(whole).find_map(|record| record.transaction_time.clone())
}

/// What the ledger calls the source. Filters and patients are not named: they may tell who is meant.
fn described(request: &ExportRequest, parameters: &ExportParameters) -> String {
    let ClientOptions { kind, base_url, tenant, .. } = &request.client;
    let host = base_url.host_str().unwrap_or_default();
    let mut text = format!("{} {host}", kind.name());
    if let Some(tenant) = tenant {
        text = format!("{text}/{tenant}");
    }
    match &parameters.level {
        Level::System => {}
        Level::Patient => text.push_str(" Patient"),
        Level::Group(id) => text = format!("{text} Group/{id}"),
    }
    if !parameters.types.is_empty() {
        text = format!("{text} _type={}", parameters.types.join(","));
    }
    if let Some(since) = &parameters.since {
        text = format!("{text} _since={since}");
    }
    text
}

/// The way to the server.
struct Way<'e> {
    client: &'e Client,
    clock: &'e Arc<dyn Clock>,
    observer: &'e Arc<dyn Observer>,
    runtime: &'e Runtime,
}

impl Way<'_> {
    /// The export that an earlier attempt left running, or a new one.
    fn take_up_or_kick_off(&self, plan: &Plan, parameters: &ExportParameters) -> Result<Source, LoadError> {
        // A polling location may be as good as a password.
        let store = &*plan.lake.private;
        match ExportFile::of(&plan.lake, &plan.run)? {
            Some(ExportState::Accepted { polling_location }) => {
                return Ok(Source::Polling(PollingLocation::from_stored(&polling_location)?));
            }
            Some(ExportState::KickOffSent) => self.observer.event(Event::Warning(Warning::KickOffUnknown)),
            None => {}
        }
        // What comes before the kick-off has begun nothing at the server, whatever becomes of it.
        self.runtime.block_on(unless_interrupted(&plan.interrupt, self.client.authorize()))??;
        ExportFile::put(store, &plan.run, ExportState::KickOffSent)?;
        match self.runtime.block_on(self.client.kick_off(parameters)) {
            Ok(KickOff::Accepted(location)) => {
                ExportFile::put(store, &plan.run, ExportState::Accepted { polling_location: location.to_stored() })?;
                Ok(Source::Polling(location))
            }
            Ok(KickOff::Done(manifest)) => {
                // There is no export to be taken up: the same question gives the same answer.
                ExportFile::remove(store, &plan.run)?;
                Ok(Source::Manifest(Box::new(manifest)))
            }
            Err(error) => {
                // Answered with a refusal, or told as unclear by the client.
                ExportFile::remove(store, &plan.run)?;
                Err(error.into())
            }
        }
    }

    /// Work of an export, until all of it is staged.
    fn haul(
        &self,
        source: &Source,
        mut plan: Plan,
        record: ExportRecord,
        max_duration: Option<Duration>,
    ) -> Result<Worked, LoadError> {
        // Which version of a file the server has, its answer tells.
        let is_same = |_: &_| true;
        let ((mut work, manifest), warnings) = in_attempts(&plan, &**self.observer, is_same, |begun, pool| {
            let (clock, observer) = (Arc::clone(self.clock), Arc::clone(self.observer));
            let files = Arc::clone(&begun.files);
            let feed = Feed::new(self.client.clone(), source.clone(), plan.budget.network, files, clock, observer);
            feed.haul(&plan, begun, pool, max_duration, self.runtime)
        })?;
        work.export = Some(ExportFacts::new(record, &manifest));
        plan.warnings.extend(warnings);
        Ok(Worked { plan, work })
    }
}
