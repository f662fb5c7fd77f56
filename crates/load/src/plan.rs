//! The first step of a run: what is read, as what, and under which name the run goes.
//!
//! In goes the request, out comes a [`Plan`] that [`work`](crate::work) can carry out, or the record of the run that
//! has carried it out already. The same inputs and row-affecting options make the same plan; a run that died is taken
//! up under its name.

use std::time::Instant;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::budget::Budget;
use crate::inputs::{Expanded, PlannedFile, expand};
use crate::journal::{self, PlanFile, Unfinished};
use crate::lake::{Lake, record_path, run_ending};
use crate::manifest::Role;
use crate::{Clock, Engine, Event, LakeSettings, LoadError, LoadOptions, LoadRequest, Observer, RunRecord, Warning};

/// A run, ready for its work. Its name is reserved in the lake.
#[derive(Debug)]
pub struct Plan {
    pub(crate) run: String,
    /// Identifies the plan, in hex.
    pub(crate) hash: String,
    pub(crate) started: Timestamp,
    /// This attempt.
    pub(crate) begun: Instant,
    pub(crate) source: String,
    pub(crate) transaction_time: Option<String>,
    pub(crate) files: Vec<PlannedFile>,
    pub(crate) settings: LakeSettings,
    pub(crate) budget: Budget,
    pub(crate) max_depth: u32,
    pub(crate) engine: Engine,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) lake: Lake,
}

impl Plan {
    /// The run's name: when it was first planned, and the beginning of the plan's hash.
    pub fn run(&self) -> &str {
        &self.run
    }
}

/// What planning comes to.
#[derive(Debug)]
pub enum Planned {
    /// There is work; the lake is held until the plan is dropped.
    Work(Box<Plan>),
    /// A finished run had the same plan.
    Complete(Box<RunRecord>),
}

/// Plans a run, and publishes what an earlier run had left to publish.
pub fn plan(request: &LoadRequest, clock: &dyn Clock, observer: &dyn Observer) -> Result<Planned, LoadError> {
    let begun = Instant::now();
    let options = &request.options;
    let budget = Budget::divide(options)?;
    // Before the lake is touched: a slip in the command makes no lake.
    let Expanded { files, source, transaction_time, mut warnings } = expand(&request.inputs)?;
    let mut lake = Lake::open_to_write(&request.lake, options)?;

    let mut dead = Vec::new();
    for run in journal::unfinished(&lake)? {
        match run {
            Unfinished::Committing(commit) => {
                commit.publish(&*lake.store)?;
                warnings.push(Warning::PublishedLate { run: commit.record().run.clone() });
            }
            Unfinished::Working(run, plan) => dead.push((run, plan)),
        }
    }
    lake.reread_settings()?;
    let settings = lake.settings_for(options)?;

    let started = clock.now();
    let repeatable = files.iter().all(|file| file.identity.is_some());
    let hash = plan_hash(&files, &settings, options, (!repeatable).then_some(started));
    if repeatable
        && !options.new_run
        && let Some(record) = lake.finished_run(&hash)?
    {
        tell(observer, &warnings);
        return Ok(Planned::Complete(Box::new(record)));
    }

    let mut taken_up = None;
    for (run, plan) in dead {
        match plan {
            Some(plan) if plan.plan == hash => {
                journal::discard(&*lake.store, &run)?;
                warnings.push(Warning::StartedOver { run: run.clone() });
                taken_up = Some(plan);
            }
            Some(plan) if plan.repeatable => warnings.push(Warning::Unfinished { run, source: plan.source }),
            // Nobody can ever finish it.
            _ => journal::discard(&*lake.store, &run)?,
        }
    }
    let taken_up = taken_up.and_then(|plan| Some((plan.started.parse().ok()?, plan.run)));
    let (started, run) = match taken_up {
        Some((started, run)) => (started, run),
        None => (started, new_run(&lake, started, &hash)?),
    };
    let file = PlanFile {
        version: PlanFile::VERSION,
        run: run.clone(),
        plan: hash.clone(),
        repeatable,
        started: started.to_string(),
        source: source.clone(),
    };
    file.put(&*lake.store)?;
    tell(observer, &warnings);
    let LoadOptions { max_depth, engine, .. } = *options;
    Ok(Planned::Work(Box::new(Plan {
        run,
        hash,
        started,
        begun,
        source,
        transaction_time,
        files,
        settings,
        budget,
        max_depth,
        engine,
        warnings,
        lake,
    })))
}

fn tell(observer: &dyn Observer, warnings: &[Warning]) {
    for warning in warnings {
        observer.event(Event::Warning(warning.clone()));
    }
}

/// A name that no run of the lake has: `20260131T235959Z-1a2b3c4d`.
fn new_run(lake: &Lake, started: Timestamp, plan: &str) -> Result<String, LoadError> {
    let mut time = started;
    loop {
        let zoned = time.to_zoned(TimeZone::UTC);
        let run = format!("{}-{}", zoned.strftime("%Y%m%dT%H%M%SZ"), run_ending(plan));
        if lake.list(&journal::staging(&run))?.is_empty() && lake.store.open(&record_path(&run)).is_err() {
            return Ok(run);
        }
        // Two runs of one plan in one second, as `--new-run` can do it.
        time = time.saturating_add(1.second()).unwrap_or(time);
    }
}

/// In hex. `once`: set for a plan that can be carried out only once.
fn plan_hash(files: &[PlannedFile], settings: &LakeSettings, options: &LoadOptions, once: Option<Timestamp>) -> String {
    let mut hasher = blake3::Hasher::new();
    // Every text is followed by a byte that UTF-8 does not have, so no two plans read alike.
    let mut add = |text: &str| {
        hasher.update(text.as_bytes());
        hasher.update(&[0xff]);
    };
    add("lakehaul load 1");
    for file in files {
        let identity = file.identity.unwrap_or_default();
        add(&file.name);
        add(match file.role {
            Role::Data => "data",
            Role::Outcomes => "outcomes",
            Role::Deletions => "deletions",
        });
        add(file.declared_type.as_deref().unwrap_or_default());
        add(if file.organized { "organized" } else { "" });
        add(&identity.bytes.to_string());
        add(&identity.modified_nanos.to_string());
    }
    add(&settings.annotations.to_string());
    add(settings.layout.name());
    add(&settings.keep_json.to_string());
    // As asked, not as the memory allows: more memory does not make another plan.
    add(&options.max_line_bytes.map(|bytes| bytes.to_string()).unwrap_or_default());
    add(&options.max_depth.to_string());
    add(&once.map(|once| once.as_nanosecond().to_string()).unwrap_or_default());
    hasher.finalize().to_hex()[..32].to_owned()
}
