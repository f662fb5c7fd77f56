//! The second step of a run: every output file becomes staged parts, and every line is accounted for.
//!
//! In goes a [`Plan`]; out comes a [`Worked`], which [`commit`](crate::commit) publishes. Until then nothing is where a
//! reader of the lake looks. A fixed pool of workers does all of it: each pulls chunks from a file's front, shreds them
//! into its own tables, and encodes row groups in the same pool. There is no queue: a worker that is busy does not
//! read.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lakehaul_parse::{Chunk, Framer};
use lakehaul_schema::TableSchema;
use lakehaul_write::{FileReceipt, RunTables, StagedPart, TableNote, TableOptions, TableSet};
use rayon::ThreadPool;

use crate::content::Content;
use crate::front::{self, Aside, End, Front, LargeLineGate, Pulled};
use crate::inputs::PlannedFile;
use crate::journal::staging;
use crate::lines::{Asides, LineCounts, LineSorter};
use crate::plan::Plan;
use crate::schedule::{Reading, Schedule};
use crate::staged_lines::{Quarantine, StagedLines};
use crate::{Event, LoadError, Observer, OutputFile, Problem, Progress, TableSummary};

/// The standard library's choice for a thread.
const STACK_BYTES: usize = 2 << 20;

/// Twice what a level takes in an unoptimised build. Only touched where a line is so deep.
const STACK_BYTES_A_LEVEL: usize = 2 << 10;

/// How long a worker rests that finds nothing to read, unless a large line leaves before.
const REST: Duration = Duration::from_millis(1);

/// A run whose parts are durable and staged.
pub struct Worked {
    pub(crate) plan: Plan,
    pub(crate) parts: Vec<FileReceipt>,
    pub(crate) schemas: Vec<TableSchema>,
    pub(crate) notes: Vec<TableNote>,
    pub(crate) output_files: Vec<OutputFile>,
    /// By type, without what parts there are.
    pub(crate) by_type: Vec<TableSummary>,
    pub(crate) unreadable: Vec<Problem>,
    /// Staged files: index and lines.
    pub(crate) quarantine: Option<[String; 2]>,
    pub(crate) outcomes: Option<String>,
    pub(crate) deletions: Option<String>,
}

/// Does a run's work. After an error, or if the result is dropped, the same request does it again.
pub fn work(plan: Plan, observer: &dyn Observer) -> Result<Worked, LoadError> {
    let folder = staging(&plan.run);
    let store = &plan.lake.store;
    let tables = RunTables::new(
        Arc::clone(store),
        folder.clone(),
        plan.run.clone(),
        TableOptions {
            annotations: plan.settings.annotations,
            keep_json: plan.settings.keep_json,
            builder_bytes: plan.budget.builder_bytes,
            ..TableOptions::default()
        },
        plan.lake.schemas()?,
    );
    let asides = Asides {
        quarantine: Quarantine::new(store, &folder),
        outcomes: StagedLines::new(Arc::clone(store), format!("{folder}/outcomes.ndjson")),
        deletions: StagedLines::new(Arc::clone(store), format!("{folder}/deletions.ndjson")),
    };
    let progress = Arc::new(Progress::default());
    let sizes = plan.files.iter().map(|file| Some(file.identity?.bytes));
    let planned = Event::Planned { run: &plan.run, files: plan.files.len(), bytes: sizes.sum(), progress: &progress };
    observer.event(planned);

    let shared = Shared {
        plan: &plan,
        schedule: Schedule::new(&plan.files),
        tables: &tables,
        asides: &asides,
        progress: &progress,
        gate: Arc::default(),
        framers: Mutex::default(),
        unreadable: Mutex::default(),
        stopped: AtomicBool::new(false),
        observer,
    };
    let pool = start_workers(plan.budget.threads, plan.max_depth)?;
    // One worker a thread: none can be started from inside another that waits for row groups to be encoded.
    let results = pool.broadcast(|context| shared.run_worker(context.index()));
    let (mut staged, mut by_type) = (Vec::new(), Vec::new());
    for result in results {
        let (parts, types) = result?;
        staged.extend(parts);
        add_types(&mut by_type, types);
    }
    let Shared { schedule, unreadable, .. } = shared;
    let output_files = schedule.into_output_files();
    let mut unreadable = unreadable.into_inner().unwrap_or_else(PoisonError::into_inner);
    unreadable.sort_by_key(|(at, _)| *at);

    let parts = pool.install(|| tables.settle(staged))?;
    let Asides { quarantine, outcomes, deletions } = asides;
    let (quarantine, outcomes, deletions) = (quarantine.finish()?, outcomes.finish()?, deletions.finish()?);
    Ok(Worked {
        parts,
        schemas: tables.schemas(),
        notes: tables.notes(),
        output_files,
        by_type,
        unreadable: unreadable.into_iter().map(|(_, problem)| problem).collect(),
        quarantine,
        outcomes,
        deletions,
        plan,
    })
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

fn add_types(sum: &mut Vec<TableSummary>, types: Vec<TableSummary>) {
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

/// What the workers share.
struct Shared<'r> {
    plan: &'r Plan,
    schedule: Schedule,
    tables: &'r Arc<RunTables>,
    asides: &'r Asides,
    progress: &'r Arc<Progress>,
    gate: Arc<LargeLineGate>,
    /// Of files that are exhausted, for their buffers.
    framers: Mutex<Vec<Framer>>,
    /// With the file's number.
    unreadable: Mutex<Vec<(usize, Problem)>>,
    /// A worker has failed; the others stop too.
    stopped: AtomicBool,
    observer: &'r dyn Observer,
}

impl Shared<'_> {
    fn run_worker(&self, worker: usize) -> Result<(Vec<StagedPart>, Vec<TableSummary>), LoadError> {
        let tables = TableSet::new(Arc::clone(self.tables), worker);
        let Plan { engine, max_depth, budget, .. } = *self.plan;
        let mut sorter = LineSorter::new(tables, self.asides, engine, max_depth, budget.max_line_bytes);
        let worked = self.read_files(&mut sorter).and_then(|()| {
            let (tables, types) = sorter.into_parts();
            if self.stopped.load(Relaxed) { Ok((Vec::new(), types)) } else { Ok((tables.finish()?, types)) }
        });
        if worked.is_err() {
            self.stopped.store(true, Relaxed);
        }
        worked
    }

    fn read_files(&self, sorter: &mut LineSorter<'_>) -> Result<(), LoadError> {
        let mut current = None;
        let mut used = None;
        while !self.stopped.load(Relaxed) {
            let Some(at) = self.schedule.pick(current) else { break };
            current = Some(at);
            let file = &self.plan.files[at];
            match self.pull(at, used.take())? {
                Some(Pulled::Chunk(chunk, pass)) => {
                    let counts = sorter.chunk(file, &chunk)?;
                    self.account(self.schedule.reading(at), counts, chunk.bytes().len() as u64);
                    match pass {
                        None => used = Some(chunk),
                        // The large line's buffer goes before the pass does.
                        Some(pass) => {
                            drop(chunk);
                            drop(pass);
                        }
                    }
                }
                Some(Pulled::LongLine(line)) => {
                    let counts = sorter.long_line(file, &line)?;
                    self.account(self.schedule.reading(at), counts, line.length);
                }
                Some(Pulled::Later) => {
                    self.gate.wait(REST);
                    current = self.schedule.another(at).or(current);
                }
                Some(Pulled::End(end)) => self.end(at, end),
                // Another worker has exhausted it.
                None => current = None,
            }
        }
        Ok(())
    }

    fn pull(&self, at: usize, used: Option<Chunk>) -> Result<Option<Pulled>, LoadError> {
        let file = &self.plan.files[at];
        self.schedule.reading(at).pull(
            || self.open(at, file),
            |front| self.framers.lock().unwrap_or_else(PoisonError::into_inner).push(front.into_framer()),
            |front| front.pull(used),
        )
    }

    fn open(&self, at: usize, file: &PlannedFile) -> Front {
        let bytes = file.identity.map(|identity| identity.bytes);
        self.observer.event(Event::FileStarted { output_file: &file.name, bytes });
        let budget = &self.plan.budget;
        // A file that cannot be opened is one that ends at once, with that error.
        let source = front::open(&file.place).unwrap_or_else(|error| Box::new(front::Unopened::new(error)));
        let content = Content::new(source, &file.name, Arc::clone(self.progress), budget.zstd_window_log_max);
        let framer = self.framers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut framer = framer.unwrap_or_else(|| Framer::new(budget.max_line_bytes, budget.chunk_bytes));
        framer.restart(0, 1);
        let aside = Aside::new(Arc::clone(&self.plan.lake.store), format!("{}/aside-{at}", staging(&self.plan.run)));
        Front::new(content, framer, Arc::clone(&self.gate), aside)
    }

    fn account(&self, reading: &Reading, counts: LineCounts, content_bytes: u64) {
        let progress = self.progress;
        progress.content_bytes.fetch_add(content_bytes, Relaxed);
        progress.lines.fetch_add(counts.lines, Relaxed);
        progress.rows.fetch_add(counts.resources, Relaxed);
        progress.rejected.fetch_add(counts.rejected, Relaxed);
        self.finish_file(reading.account(|file| counts.add_to(file)));
    }

    fn end(&self, at: usize, end: End) {
        let finished = self.schedule.reading(at).account_end(|file| {
            file.content_bytes = end.content_bytes;
            if let Some(received) = end.received {
                (file.bytes, file.blake3) = (received.bytes, received.blake3);
            }
        });
        if let Some(why) = end.failure {
            let problem = Problem::Unreadable { output_file: self.plan.files[at].name.clone(), why };
            self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).push((at, problem));
        }
        self.finish_file(finished);
    }

    fn finish_file(&self, finished: Option<OutputFile>) {
        if let Some(file) = finished {
            self.progress.files_finished.fetch_add(1, Relaxed);
            self.observer.event(Event::FileFinished { file: &file });
        }
    }
}
