//! The second step of a run: every output file becomes staged parts, and every line is accounted for.
//!
//! In goes a [`Plan`] and a [`Schedule`] of files; out comes a [`Worked`], which [`commit`](crate::commit) publishes.
//! Until then nothing is where a reader of the lake looks. A fixed pool of workers does all of it: each pulls chunks from
//! a file's front, shreds them into its own tables, and encodes row groups in the same pool. There is no queue of
//! chunks: a worker that is busy does not read.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lakehaul_parse::{Chunk, Framer};
use lakehaul_schema::TableSchema;
use lakehaul_write::{DeletedResources, FileReceipt, RunTables, StagedPart, TableNote, TableOptions, TableSet};
use rayon::ThreadPool;

use crate::content::Content;
use crate::export::ExportFacts;
use crate::front::{self, Aside, End, Front, LargeLineGate, Pulled};
use crate::inputs::{Place, PlannedFile};
use crate::journal::staging;
use crate::kept::Kept;
use crate::lines::{Asides, LineCounts, LineSorter};
use crate::pipe::PipeEnd;
use crate::plan::Plan;
use crate::schedule::{Reading, Schedule, Turn};
use crate::staged_lines::{Quarantine, StagedLines};
use crate::{Event, LoadError, Observer, OutputFile, Problem, Progress, TableSummary};

/// The standard library's choice for a thread.
const STACK_BYTES: usize = 2 << 20;

/// Twice what a level takes in an unoptimised build. Only touched where a line is so deep.
const STACK_BYTES_A_LEVEL: usize = 2 << 10;

/// How long a worker rests that has a large line to wait for, unless one leaves before.
const REST: Duration = Duration::from_millis(1);

/// How long a worker waits for bytes before it looks whether the run has stopped.
const LISTEN: Duration = Duration::from_millis(100);

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
    pub(crate) output_files: Vec<(PlannedFile, OutputFile)>,
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
}

/// Does the work of a load from files. After an error, or if the result is dropped, the same request does it again.
pub fn work(mut plan: Plan, observer: &dyn Observer) -> Result<Worked, LoadError> {
    let files = std::mem::take(&mut plan.files);
    let sizes = files.iter().map(|file| Some(file.identity?.bytes));
    let progress = Arc::new(Progress::default());
    observer.event(Event::Planned { run: &plan.run, files: files.len(), bytes: sizes.sum(), progress: &progress });
    progress.files.store(files.len() as u64, Relaxed);
    let schedule = Schedule::of(files);
    let work = work_through(&plan, &schedule, &progress, &AtomicBool::new(false), observer)?;
    Ok(Worked { plan, work })
}

/// Works through a schedule until it is closed and all its files are exhausted. `stopped` ends the work early: whoever
/// sets it knows why, and the result is worth nothing.
pub(crate) fn work_through(
    plan: &Plan,
    schedule: &Schedule,
    progress: &Arc<Progress>,
    stopped: &AtomicBool,
    observer: &dyn Observer,
) -> Result<StagedWork, LoadError> {
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
        deleted: DeletedResources::new(Arc::clone(store), format!("{folder}/deleted.parquet"), plan.run.clone()),
    };
    let kept = plan.keep_raw.then(|| Kept::new(Arc::clone(store), &folder));
    let shared = Shared {
        plan,
        schedule,
        tables: &tables,
        asides: &asides,
        kept: kept.as_ref(),
        progress,
        gate: Arc::default(),
        framers: Mutex::default(),
        problems: Mutex::default(),
        stopped,
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
    let mut problems = shared.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
    problems.sort_by_key(|(at, _)| *at);

    let parts = pool.install(|| tables.settle(staged))?;
    let Asides { quarantine, outcomes, deletions, deleted } = asides;
    let (quarantine, outcomes, deletions) = (quarantine.finish()?, outcomes.finish()?, deletions.finish()?);
    Ok(StagedWork {
        parts,
        schemas: tables.schemas(),
        notes: tables.notes(),
        output_files: schedule.output_files(),
        by_type,
        problems: problems.into_iter().map(|(_, problem)| problem).collect(),
        quarantine,
        outcomes,
        deletions,
        deleted: deleted.finish()?,
        kept: kept.map(Kept::into_files).unwrap_or_default(),
        export: None,
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
    schedule: &'r Schedule,
    tables: &'r Arc<RunTables>,
    asides: &'r Asides,
    kept: Option<&'r Kept>,
    progress: &'r Arc<Progress>,
    gate: Arc<LargeLineGate>,
    /// Of files that are exhausted, for their buffers.
    framers: Mutex<Vec<Framer>>,
    /// With the file's number.
    problems: Mutex<Vec<(usize, Problem)>>,
    /// A worker has failed, or who brings the bytes; the others stop too.
    stopped: &'r AtomicBool,
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
        let bell = self.schedule.bell();
        let (mut current, mut gated) = (None, None);
        let mut used = None;
        while !self.stopped.load(Relaxed) {
            let heard = bell.rings();
            let reading = match self.schedule.turn(current.as_ref(), gated.take()) {
                Turn::File(reading) => reading,
                Turn::Wait => {
                    bell.wait(heard, LISTEN);
                    continue;
                }
                Turn::Done => break,
            };
            let file = &reading.file;
            let pulled = self.pull(&reading, used.take())?;
            if let Some(kept) = self.kept {
                kept.check(reading.at)?;
            }
            match pulled {
                Some(Pulled::Chunk(chunk, pass)) => {
                    let counts = sorter.chunk(file, &chunk)?;
                    self.account(&reading, counts, chunk.bytes().len() as u64);
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
                    self.account(&reading, counts, line.length);
                }
                // Its pipe is empty: the schedule knows.
                Some(Pulled::Later) | None => {}
                Some(Pulled::Gated) => {
                    self.gate.wait(REST);
                    gated = Some(reading.at);
                    current = None;
                    continue;
                }
                Some(Pulled::End(end)) => {
                    if let Some(kept) = self.kept {
                        kept.finish(reading.at)?;
                    }
                    self.end(&reading, end);
                    // Others may wait for what does not come any more.
                    bell.ring();
                }
            }
            current = Some(reading);
        }
        Ok(())
    }

    fn pull(&self, reading: &Reading, used: Option<Chunk>) -> Result<Option<Pulled>, LoadError> {
        reading.pull(
            || self.open(reading.at, &reading.file),
            |front| self.framers.lock().unwrap_or_else(PoisonError::into_inner).push(front.into_framer()),
            |front| front.pull(used),
        )
    }

    fn open(&self, at: usize, file: &PlannedFile) -> Result<Front, LoadError> {
        let bytes = file.identity.map(|identity| identity.bytes);
        self.observer.event(Event::FileStarted { output_file: &file.name, bytes });
        let budget = &self.plan.budget;
        // A file that cannot be opened is one that ends at once, with that error.
        let source = front::open(&file.place).unwrap_or_else(|error| Box::new(front::Unopened::new(error)));
        let source = match self.kept {
            None => source,
            Some(kept) => kept.keep(at, &file.name, source)?,
        };
        let content = Content::new(source, &file.name, Arc::clone(self.progress), budget.zstd_window_log_max);
        let framer = self.framers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut framer = framer.unwrap_or_else(|| Framer::new(budget.max_line_bytes, budget.chunk_bytes));
        framer.restart(0, 1);
        let aside = Aside::new(Arc::clone(&self.plan.lake.store), format!("{}/aside-{at}", staging(&self.plan.run)));
        Ok(Front::new(content, framer, Arc::clone(&self.gate), budget.large_line_bytes, aside))
    }

    fn account(&self, reading: &Reading, counts: LineCounts, content_bytes: u64) {
        let progress = self.progress;
        progress.content_bytes.fetch_add(content_bytes, Relaxed);
        progress.lines.fetch_add(counts.lines, Relaxed);
        progress.rows.fetch_add(counts.resources, Relaxed);
        progress.rejected.fetch_add(counts.rejected, Relaxed);
        self.finish_file(reading.account(|file| counts.add_to(file)));
    }

    fn end(&self, reading: &Reading, end: End) {
        let pipe_end = match &reading.file.place {
            Place::Remote(pipe) => pipe.ended(),
            Place::File(_) | Place::Stdin => None,
        };
        let finished = reading.account_end(|file| {
            file.content_bytes = end.content_bytes;
            // A count shows what is missing.
            file.unverified_length = pipe_end == Some(PipeEnd::UnverifiedLength) && file.declared_count.is_none();
            if let Some(received) = end.received {
                (file.bytes, file.blake3) = (received.bytes, received.blake3);
            }
        });
        let output_file = || reading.file.name.clone();
        let problem = match (pipe_end, end.failure) {
            (Some(PipeEnd::Lost(why)), _) => Some(Problem::Lost { output_file: output_file(), why }),
            (_, Some(why)) => Some(Problem::Unreadable { output_file: output_file(), why }),
            (_, None) => None,
        };
        if let Some(problem) = problem {
            self.problems.lock().unwrap_or_else(PoisonError::into_inner).push((reading.at, problem));
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
