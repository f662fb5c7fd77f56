//! The first step of a run: what is read, as what, and under which name the run goes.
//!
//! In goes the request, out comes a [`Plan`] that [`work`](crate::work) can carry out, or the record of the run that
//! has carried it out already. The same inputs and row-affecting options make the same plan; a run that died is taken
//! up under its name.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::budget::Budget;
use crate::current::Ledger;
use crate::inputs::{Expanded, PlannedFile, expand};
use crate::journal::{self, Committed, PlanFile, Unfinished};
use crate::lake::{Lake, run_ending};
use crate::manifest::Role;
use crate::{
    Clock, Engine, Event, Format, Input, Interrupt, LakeSettings, LoadError, LoadOptions, LoadRequest, Observer,
    RunRecord, Warning,
};

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
    /// The same can be loaded again.
    pub(crate) repeatable: bool,
    /// An earlier process has begun the run.
    pub(crate) taken_up: bool,
    /// Rows wait no longer to become durable.
    pub(crate) checkpoint: Duration,
    pub(crate) interrupt: Interrupt,
    /// Output files are kept as they come.
    pub(crate) keep_raw: bool,
    /// The rows take the place of those of these types. None: they are added.
    pub(crate) replaces: Option<Replaces>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) lake: Lake,
}

impl Plan {
    /// The run's name: when it was first planned, and the beginning of the plan's hash.
    pub fn run(&self) -> &str {
        &self.run
    }
}

/// Types whose rows a run takes the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Replaces {
    /// Whatever the lake has.
    All,
    /// What was asked for.
    Types(Vec<String>),
}

impl Replaces {
    pub(crate) fn has(&self, resource_type: &str) -> bool {
        match self {
            Replaces::All => true,
            Replaces::Types(types) => types.iter().any(|there| there == resource_type),
        }
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

/// Plans a load, and publishes what an earlier run had left to publish.
pub fn plan(request: &LoadRequest, clock: &dyn Clock, observer: &dyn Observer) -> Result<Planned, LoadError> {
    let begun = Instant::now();
    let options = &request.options;
    let budget = Budget::divide(options, 0, &request.lake)?;
    // Before the lake is touched: a slip in the command makes no lake.
    let Expanded { files, source, transaction_time, warnings } = expand(&request.inputs)?;
    let opened = open(&request.lake, options)?;
    let started = clock.now();
    let repeatable = files.iter().all(|file| file.identity.is_some());
    let what = files_hashed(&files, (!repeatable).then_some(started));
    let command = inputs_listed(&request.inputs);
    let draft = Draft { what, command, repeatable, source, transaction_time, files, budget, begun, started, warnings };
    reserve(opened, draft, options, Earlier::TakeUp, observer)
}

/// A lake that is held, and what was found in it.
pub(crate) struct Opened {
    pub(crate) lake: Lake,
    pub(crate) settings: LakeSettings,
    /// Runs that have not finished.
    pub(crate) dead: Vec<(String, Option<PlanFile>)>,
    pub(crate) warnings: Vec<Warning>,
}

/// Opens or makes the lake, and publishes what an earlier run had left to publish.
pub(crate) fn open(name: &str, options: &LoadOptions) -> Result<Opened, LoadError> {
    let mut lake = Lake::open_to_write(name, options)?;
    let (mut dead, mut warnings) = (Vec::new(), Vec::new());
    for run in journal::unfinished(&lake)? {
        match run {
            Unfinished::Committing(commit) => {
                let published = commit.publish(&lake.store)?;
                warnings.extend(published.warnings);
                warnings.push(match published.record {
                    Committed::Run(record) => Warning::PublishedLate { run: record.run },
                    Committed::Compaction(record) => Warning::CompactedLate { compaction: record.compaction },
                });
            }
            Unfinished::Left(run) | Unfinished::Compacting(run) => journal::discard(&*lake.store, &run)?,
            Unfinished::Working(run, plan) => dead.push((run, plan)),
        }
    }
    if dead.is_empty() {
        // A death may have left a run's folder behind when all in it was gone.
        journal::discard_empty(&*lake.store)?;
    }
    lake.reread_settings()?;
    let settings = lake.settings_for(options)?;
    if options.replace && settings.format != Format::Delta {
        return Err(LoadError::Usage(
            "only Delta tables can be replaced in one step: load into a lake that is made with --format delta, or into a new one"
                .to_owned(),
        ));
    }
    Ok(Opened { lake, settings, dead, warnings })
}

/// A plan that has no name yet.
pub(crate) struct Draft {
    /// What is loaded, as far as it tells one plan from another.
    pub(crate) what: Vec<u8>,
    /// What was asked for: the same command, whatever the files are like by now.
    pub(crate) command: Vec<u8>,
    /// The same can be loaded again.
    pub(crate) repeatable: bool,
    pub(crate) source: String,
    pub(crate) transaction_time: Option<String>,
    pub(crate) files: Vec<PlannedFile>,
    pub(crate) budget: Budget,
    pub(crate) begun: Instant,
    pub(crate) started: Timestamp,
    pub(crate) warnings: Vec<Warning>,
}

/// What becomes of an unfinished run of the same plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Earlier {
    /// It is taken up.
    #[default]
    TakeUp,
    /// It is forgotten.
    Forget,
}

/// Gives a plan its name: a new one, or that of the unfinished run that it takes up.
pub(crate) fn reserve(
    opened: Opened,
    draft: Draft,
    options: &LoadOptions,
    earlier: Earlier,
    observer: &dyn Observer,
) -> Result<Planned, LoadError> {
    let Opened { lake, settings, dead, warnings: mut found } = opened;
    let Draft { what, command, repeatable, source, transaction_time, files, budget, begun, started, mut warnings } =
        draft;
    let hash = plan_hash(&what, &settings, options);
    let command = plan_hash(&command, &settings, options);
    if repeatable
        && !options.new_run
        && let Some(record) = lake.finished_run(&hash)?
        && (!options.replace || Ledger::read(&lake)?.tables().are_all_of(&record.run))
    {
        warnings.extend(found);
        tell(observer, &warnings);
        return Ok(Planned::Complete(Box::new(record)));
    }

    let mut taken_up = None;
    for (run, plan) in dead {
        match plan {
            Some(plan) if !plan.is(&hash, &command) && plan.repeatable => {
                found.push(Warning::Unfinished { run, source: plan.source });
            }
            Some(plan) if plan.repeatable && earlier == Earlier::TakeUp && taken_up.is_none() => {
                taken_up = Some(plan);
            }
            // Forgotten, or nobody can ever finish it.
            _ => journal::discard(&*lake.store, &run)?,
        }
    }
    let taken_up = taken_up.and_then(|plan| Some((plan.started.parse().ok()?, plan.run)));
    let is_taken_up = taken_up.is_some();
    let (started, run) = match taken_up {
        Some((started, run)) => {
            journal::fence_off(&lake, &run)?;
            (started, run)
        }
        None => (started, new_name(&lake, started, run_ending(&hash))?),
    };
    let file = PlanFile {
        version: PlanFile::VERSION,
        run: run.clone(),
        plan: hash.clone(),
        command,
        repeatable,
        started: started.to_string(),
        source: source.clone(),
    };
    file.put(&*lake.store)?;
    warnings.extend(found);
    tell(observer, &warnings);
    let LoadOptions { max_depth, engine, checkpoint, .. } = *options;
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
        repeatable,
        taken_up: is_taken_up,
        checkpoint,
        interrupt: options.interrupt.clone(),
        keep_raw: false,
        replaces: options.replace.then_some(Replaces::All),
        warnings,
        lake,
    })))
}

pub(crate) fn tell(observer: &dyn Observer, warnings: &[Warning]) {
    for warning in warnings {
        observer.event(Event::Warning(warning.clone()));
    }
}

/// A name that sorts behind those of all runs and compactions of the lake, as text: `20260131T235959Z-1a2b3c4d`.
pub(crate) fn new_name(lake: &Lake, started: Timestamp, ending: &str) -> Result<String, LoadError> {
    let newest = lake.newest_name()?.unwrap_or_default();
    let mut time = started;
    loop {
        let zoned = time.to_zoned(TimeZone::UTC);
        let run = format!("{}-{ending}", zoned.strftime("%Y%m%dT%H%M%SZ"));
        // Two runs in one second, or a clock that was set back: the time in the name moves on, not the order.
        if run > newest {
            return Ok(run);
        }
        let step = if newest.get(..15) > run.get(..15) { behind(&newest) } else { None };
        time = step.unwrap_or(time).saturating_add(1.second()).unwrap_or(time);
    }
}

/// The time in a run's name.
fn behind(run: &str) -> Option<Timestamp> {
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", run.get(..16)?).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Texts, each followed by a byte that UTF-8 does not have, so that no two lists read alike.
pub(crate) fn listed<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<u8> {
    texts.into_iter().flat_map(|text| text.bytes().chain([0xff])).collect()
}

/// What was typed.
fn inputs_listed(inputs: &[Input]) -> Vec<u8> {
    let typed = inputs.iter().map(|input| match input {
        Input::Path(path) => path.to_string_lossy(),
        Input::Url(url) => url.into(),
        Input::Stdin => "-".into(),
    });
    listed(["lakehaul load".into()].into_iter().chain(typed).collect::<Vec<_>>().iter().map(AsRef::as_ref))
}

/// What tells one list of files from another. `once`: set where it can be loaded only once.
fn files_hashed(files: &[PlannedFile], once: Option<Timestamp>) -> Vec<u8> {
    let mut what = listed(["lakehaul load 1"]);
    for file in files {
        let identity = file.identity.unwrap_or_default();
        let role = match file.role {
            Role::Data => "data",
            Role::Outcomes => "outcomes",
            Role::Deletions => "deletions",
        };
        what.extend(listed([
            file.name.as_str(),
            role,
            file.declared_type.as_deref().unwrap_or_default(),
            if file.organized { "organized" } else { "" },
            &identity.bytes.to_string(),
            &identity.modified_nanos.to_string(),
        ]));
    }
    what.extend(listed([once.map(|once| once.as_nanosecond().to_string()).unwrap_or_default().as_str()]));
    what
}

/// In hex.
fn plan_hash(what: &[u8], settings: &LakeSettings, options: &LoadOptions) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(what);
    hasher.update(&listed([
        settings.annotations.to_string().as_str(),
        settings.layout.name(),
        &settings.keep_json.to_string(),
        // As asked, not as the memory allows: more memory does not make another plan.
        &options.max_line_bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
        &options.max_depth.to_string(),
    ]));
    if options.replace {
        hasher.update(&listed(["replace"]));
    }
    hasher.finalize().to_hex()[..32].to_owned()
}
