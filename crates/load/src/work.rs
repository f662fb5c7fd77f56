//! The second step of a run: every output file becomes staged parts, and every line is accounted for.
//!
//! In goes a [`Plan`] and a [`Schedule`] of files; out comes a [`Worked`], which [`commit`](crate::commit) publishes.
//! Until then nothing is where a reader of the lake looks. A fixed pool of workers does all of it: each pulls chunks from
//! a file's front, shreds them into its own tables, and encodes row groups in the same pool. There is no queue of
//! chunks: a worker that is busy does not read. What a worker has brought to disk it hands to the journal's keeper, so that
//! another process can go on from there.

mod worker;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lakehaul_parse::Framer;
use lakehaul_schema::TableSchema;
use lakehaul_write::{DeletedResources, FileReceipt, RunTables, TableNote};
use rayon::ThreadPool;

use crate::asides::{Asides, Kind, assemble, tabulate_deleted};
use crate::begun::{Begun, BegunFiles, Start, take_up};
use crate::export::ExportFacts;
use crate::inputs::PlannedFile;
use crate::journal::keeper::{self, Keeper};
use crate::journal::record::{FileRecord, TypeCounts};
use crate::journal::staging;
use crate::kept::Kept;
use crate::large_lines::LargeLineGate;
use crate::plan::Plan;
use crate::schedule::Schedule;
use crate::{
    Event, LoadError, LoadOptions, Observer, OutputFile, Problem, Progress, SearchRecord, TableSummary, Warning,
};
use worker::{Done, Worker};

/// The standard library's choice for a thread.
const STACK_BYTES: usize = 2 << 20;

/// Twice what a level takes in an unoptimised build. Only touched where a line is so deep.
const STACK_BYTES_A_LEVEL: usize = 2 << 10;

/// How often the work goes on after a file has turned out not to be the one that was begun. More often it is no accident.
const CHANGES_MAX: u32 = 2;

/// A run whose parts are durable and staged.
pub struct Worked {
    pub(crate) plan: Plan,
    pub(crate) work: StagedWork,
}

/// What a run's work has come to.
pub(crate) struct StagedWork {
    pub(crate) parts: Vec<FileReceipt>,
    pub(crate) schemas: Vec<TableSchema>,
    pub(crate) notes: Vec<TableNote>,
    pub(crate) output_files: Vec<(Arc<PlannedFile>, OutputFile)>,
    /// By type, without what parts there are.
    pub(crate) by_type: Vec<TableSummary>,
    /// Files that did not come whole.
    pub(crate) problems: Vec<Problem>,
    /// Staged files: index and lines.
    pub(crate) quarantine: Option<[String; 2]>,
    pub(crate) outcomes: Option<String>,
    pub(crate) deletions: Option<String>,
    /// The part of the table of deletions.
    pub(crate) deleted: Option<FileReceipt>,
    /// Output files as they came: staged paths and names.
    pub(crate) kept: Vec<(String, String)>,
    /// What the server said of the export that this was.
    pub(crate) export: Option<ExportFacts>,
    /// What searches these were.
    pub(crate) search: Option<SearchRecord>,
}

/// Does the work of a load from files, or what an earlier process has left of it. After an error the same request goes on.
pub fn work(mut plan: Plan, observer: &dyn Observer) -> Result<Worked, LoadError> {
    let files: Vec<_> = std::mem::take(&mut plan.files).into_iter().map(Arc::new).collect();
    let bytes: Option<u64> = files.iter().map(|file| Some(file.identity?.bytes)).sum();
    let is_same =
        |record: &FileRecord| files.iter().any(|file| file.key == record.key && file.version == record.version);
    let (work, warnings) = in_attempts(&plan, observer, is_same, |begun, pool| {
        let progress = Arc::new(Progress::default());
        observer.event(Event::Planned { run: &plan.run, files: files.len(), bytes, progress: &progress });
        progress.files.store(files.len() as u64, Relaxed);
        let schedule = Schedule::default();
        for (at, file) in files.iter().enumerate() {
            schedule_local(&schedule, at, Arc::clone(file), &begun.files, &progress, observer);
        }
        schedule.close();
        let worked = work_through(&plan, begun, pool, &schedule, &progress, &AtomicBool::new(false), observer)?;
        worked.ok_or(LoadError::Interrupted)
    })?;
    plan.warnings.extend(warnings);
    Ok(Worked { plan, work })
}

fn schedule_local(
    schedule: &Schedule,
    at: usize,
    file: Arc<PlannedFile>,
    begun: &BegunFiles,
    progress: &Progress,
    observer: &dyn Observer,
) {
    match begun.start(&file.key, &file.name) {
        Start::Anew => schedule.add(at, file, None),
        Start::Within(begun) => schedule.add(at, file, Some(begun)),
        Start::Done(begun, end) => schedule.add_done(at, file, (begun, &end), progress, observer),
    }
}

/// Takes up what an earlier process has left, and lets `attempt` go on from there. If a file turns out not to be the one
/// that was begun, what came of it is forgotten, and it is done once more. `is_same`: whether a file that was begun is
/// among those to be loaded. With the result comes what was told on the way.
pub(crate) fn in_attempts<T>(
    plan: &Plan,
    observer: &dyn Observer,
    is_same: impl Fn(&FileRecord) -> bool,
    mut attempt: impl FnMut(Begun, &ThreadPool) -> Result<T, LoadError>,
) -> Result<(T, Vec<Warning>), LoadError> {
    let pool = start_workers(plan.budget.threads, plan.max_depth)?;
    let mut changes = 0;
    let mut changed: Vec<String> = Vec::new();
    let mut told = Vec::new();
    let mut tell = |warning: Warning| {
        observer.event(Event::Warning(warning.clone()));
        told.push(warning);
    };
    loop {
        let begun = take_up(plan, &pool, |record| !is_same(record) || changed.contains(&record.key))?;
        if plan.taken_up && changes == 0 {
            tell(Warning::TakenUp { run: plan.run.clone(), lines: begun.files.lines() });
        }
        match attempt(begun, &pool) {
            Err(LoadError::Changed { keys, why }) if changes < CHANGES_MAX => {
                changes += 1;
                changed = keys;
                tell(Warning::FileChanged { why });
            }
            ended => return ended.map(|result| (result, told)),
        }
    }
}

/// Works through a schedule until it is closed and all its files are exhausted. `stopped` ends the work early, with its
/// state saved: whoever sets it knows why, and there is no result.
pub(crate) fn work_through(
    plan: &Plan,
    begun: Begun,
    pool: &ThreadPool,
    schedule: &Schedule,
    progress: &Arc<Progress>,
    stopped: &AtomicBool,
    observer: &dyn Observer,
) -> Result<Option<StagedWork>, LoadError> {
    progress.lines.fetch_add(begun.files.lines(), Relaxed);
    progress.rows.fetch_add(begun.types.iter().map(|of_type| of_type.rows).sum(), Relaxed);
    progress.rejected.fetch_add(begun.types.iter().map(|of_type| of_type.rejected).sum(), Relaxed);
    progress.content_bytes.fetch_add(begun.types.iter().map(|of_type| of_type.content_bytes).sum(), Relaxed);

    let folder = staging(&plan.run);
    let store = &plan.lake.store;
    let Begun { tables, mut parts, types, mut asides, files: begun_files, attempt, .. } = begun;
    let shared = Shared {
        plan,
        schedule,
        attempt,
        tables: &tables,
        begun: &begun_files,
        kept: begun_files.kept.as_ref(),
        progress,
        gate: Arc::default(),
        framers: Mutex::default(),
        problems: Mutex::default(),
        stopped,
        started: Instant::now(),
        observer,
    };
    let keeper = Keeper {
        store: &**store,
        private: &*plan.lake.private,
        run: &plan.run,
        attempt,
        whole_bytes: begun.journal_bytes,
        files: begun.file_records,
        parts: begun.part_records,
    };
    let (to_keeper, brought) = keeper::channel();
    let (results, kept_journal) = std::thread::scope(|scope| {
        // What can be read only once cannot be taken up.
        let keeping = (plan.repeatable && plan.checkpoint != LoadOptions::NEVER).then(|| {
            scope.spawn(|| {
                let brought = brought;
                let kept = keeper.keep(&brought);
                if kept.is_err() {
                    shared.stop();
                }
                kept
            })
        });
        // One worker a thread: none can be started from inside another that waits for row groups to be encoded.
        let results = pool.broadcast(|context| {
            let to_keeper = keeping.is_some().then(|| to_keeper.clone());
            Worker::new(&shared, context.index(), to_keeper).run()
        });
        drop(to_keeper);
        let kept = keeping.map_or(Ok(()), |keeping| keeping.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
        (results, kept)
    });
    let mut by_type: Vec<TableSummary> = Vec::new();
    add_types(&mut by_type, types.into_iter().map(TableSummary::from));
    for result in results {
        let Done { parts: more, types, asides: segments } = result?;
        parts.extend(more);
        asides.extend(segments);
        add_types(&mut by_type, types);
    }
    kept_journal?;
    if stopped.load(Relaxed) || plan.interrupt.is_set() {
        return Ok(None);
    }
    let mut problems = shared.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
    problems.sort_by_key(|(at, _)| *at);

    let parts = pool.install(|| tables.settle(parts))?;
    let assemble = |name, kind| assemble(&**store, &folder, name, &asides, kind);
    let quarantine = assemble(Asides::INDEX, Kind::Index)?.zip(assemble(Asides::LINES, Kind::Rejects)?);
    let deleted = DeletedResources::new(Arc::clone(store), format!("{folder}/deleted.parquet"), plan.run.clone());
    tabulate_deleted(&**store, &asides, &deleted)?;
    Ok(Some(StagedWork {
        parts,
        schemas: tables.schemas(),
        notes: tables.notes(),
        output_files: schedule.take_output_files(),
        by_type,
        problems: problems.into_iter().map(|(_, problem)| problem).collect(),
        quarantine: quarantine.map(|(index, lines)| [index, lines]),
        outcomes: assemble("outcomes.ndjson", Kind::Outcomes)?,
        deletions: assemble("deletions.ndjson", Kind::Deletions)?,
        deleted: deleted.finish()?,
        kept: begun_files.kept.as_ref().map(Kept::files).unwrap_or_default(),
        export: None,
        search: None,
    }))
}

/// A pool of so many threads, each with the stack to go down to `max_depth`.
pub(crate) fn start_workers(threads: usize, max_depth: u32) -> Result<ThreadPool, LoadError> {
    let stack_bytes = STACK_BYTES + max_depth as usize * STACK_BYTES_A_LEVEL;
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(stack_bytes);
    let builder = builder.thread_name(|at| format!("worker-{at}"));
    builder
        .build()
        .map_err(|error| LoadError::Usage(format!("{threads} threads cannot be started: {error} (--threads)")))
}

fn add_types(sum: &mut Vec<TableSummary>, types: impl IntoIterator<Item = TableSummary>) {
    for summary in types {
        match sum.iter_mut().find(|known| known.resource_type == summary.resource_type) {
            None => sum.push(summary),
            Some(known) => {
                known.lines += summary.lines;
                known.rows += summary.rows;
                known.rejected += summary.rejected;
                known.content_bytes += summary.content_bytes;
                known.work_seconds += summary.work_seconds;
            }
        }
    }
}

impl From<TypeCounts> for TableSummary {
    fn from(counts: TypeCounts) -> TableSummary {
        let TypeCounts { resource_type, lines, rows, rejected, content_bytes } = counts;
        TableSummary { resource_type, lines, rows, rejected, content_bytes, ..TableSummary::default() }
    }
}

/// What the workers share.
struct Shared<'r> {
    plan: &'r Plan,
    schedule: &'r Schedule,
    /// How many processes have worked on the run before.
    attempt: usize,
    tables: &'r Arc<RunTables>,
    begun: &'r BegunFiles,
    kept: Option<&'r Kept>,
    progress: &'r Arc<Progress>,
    gate: Arc<LargeLineGate>,
    /// Of files that are exhausted, for their buffers.
    framers: Mutex<Vec<Framer>>,
    /// With the file's number.
    problems: Mutex<Vec<(usize, Problem)>>,
    /// A worker has failed, or the keeper, or who brings the bytes; the others save what they have and stop too.
    stopped: &'r AtomicBool,
    started: Instant,
    observer: &'r dyn Observer,
}

impl Shared<'_> {
    fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.schedule.bell().ring();
    }

    /// Nothing more is to be read.
    fn is_leaving(&self) -> bool {
        self.stopped.load(Relaxed) || self.plan.interrupt.is_set()
    }
}
