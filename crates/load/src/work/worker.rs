//! One worker: pulls chunks, sorts their lines, and now and then brings what it has to disk.
//!
//! In: files from the schedule. Out: parts, segments and counts, all of them told to the journal's keeper too. What a
//! worker tells is true as a whole: rows of all the lines that it names, and of no other, are in the row groups that it
//! names. Therefore it tells only between chunks, and never after something of its own has failed.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use lakehaul_parse::{Chunk, Framer};
use lakehaul_write::{StagedPart, TableSet};

use super::{Shared, add_types};
use crate::asides::{Asides, Segment};
use crate::block_hash::{BLOCK_BYTES, Blocks};
use crate::content::Content;
use crate::front::{self, Aside, End, Front, Pulled};
use crate::hashing::Hashing;
use crate::inputs::Place;
use crate::journal::keeper::Brought;
use crate::journal::record::{FileEnd, FileProgress, FileRecord, LineRange, TypeCounts};
use crate::journal::replay::{BegunFile, Gap};
use crate::journal::staging;
use crate::lines::{LineCounts, LineSorter, SavedLines};
use crate::pipe::PipeEnd;
use crate::plan::Plan;
use crate::schedule::{Reading, Turn};
use crate::{Event, LoadError, OutputFile, Problem, TableSummary};

/// How long a worker rests that has a large line to wait for, unless one leaves before.
const REST: Duration = Duration::from_millis(1);

/// How long a worker waits for bytes before it looks whether the run has stopped.
const LISTEN: Duration = Duration::from_millis(100);

/// So much of the time that a run has taken may be lost too: one that takes days need not save every minute, and then its
/// row groups stay large however slowly its lines come.
const LOST_SHARE: u32 = 20;

/// Less than that is not worth a checkpoint that need not be: it is done again as fast as it is read back.
const WORTH_KEEPING: Duration = Duration::from_secs(1);

/// What a worker has come to.
#[derive(Default)]
pub(super) struct Done {
    pub(super) parts: Vec<StagedPart>,
    pub(super) types: Vec<TableSummary>,
    pub(super) asides: Vec<Segment>,
}

impl Done {
    fn add(&mut self, saved: SavedLines) {
        self.parts.extend(saved.tables.closed);
        self.asides.extend(saved.asides);
        add_types(&mut self.types, saved.by_type);
    }
}

/// Lines that may not be on disk, by file.
type Unsaved = HashMap<usize, (Arc<Reading>, FileProgress)>;

pub(super) struct Worker<'s> {
    shared: &'s Shared<'s>,
    name: String,
    sorter: LineSorter,
    unsaved: Unsaved,
    /// Since when there are any.
    unsaved_since: Option<Instant>,
    saved_at: Instant,
    done: Done,
    to_keeper: Option<SyncSender<Brought>>,
}

impl<'s> Worker<'s> {
    /// Worker number `worker`. No keeper: what it does is not kept.
    pub(super) fn new(shared: &'s Shared<'s>, worker: usize, to_keeper: Option<SyncSender<Brought>>) -> Worker<'s> {
        let Plan { engine, max_depth, budget, ref lake, ref run, .. } = *shared.plan;
        // One that has lost the lake and does not know it yet writes beside its successor, not over it.
        let name = match lake.fence() {
            0 => format!("a{}w{worker}", shared.attempt),
            fence => format!("a{}f{fence}w{worker}", shared.attempt),
        };
        let tables = TableSet::new(Arc::clone(shared.tables), name.clone());
        let asides = Asides::new(Arc::clone(&lake.store), &staging(run), &name);
        Worker {
            sorter: LineSorter::new(tables, asides, engine, max_depth, budget.max_line_bytes),
            shared,
            name,
            unsaved: HashMap::new(),
            unsaved_since: None,
            saved_at: Instant::now(),
            done: Done::default(),
            to_keeper,
        }
    }

    /// Works until all files are read, or the run stops.
    pub(super) fn run(mut self) -> Result<Done, LoadError> {
        let shared = self.shared;
        let worked = self.read_files().and_then(|()| if shared.is_leaving() { self.leave() } else { self.finish() });
        if worked.is_err() {
            shared.stop();
        }
        worked
    }

    fn read_files(&mut self) -> Result<(), LoadError> {
        let shared = self.shared;
        let bell = shared.schedule.bell();
        let (mut current, mut gated) = (None, None);
        let mut used = None;
        while !shared.is_leaving() {
            if self.is_due() {
                self.checkpoint()?;
            }
            let heard = bell.rings();
            let reading = match shared.schedule.turn(current.as_ref(), gated.take()) {
                Turn::File(reading) => reading,
                Turn::Wait => {
                    bell.wait(heard, LISTEN);
                    continue;
                }
                Turn::Done => break,
            };
            let file = &reading.file;
            let pulled = self.pull(&reading, used.take())?;
            if let Some(kept) = shared.kept {
                kept.check(&file.key)?;
            }
            match pulled {
                Some((Pulled::Chunk(chunk, pass), blocks)) => {
                    if self.sorter.tables().make_room(chunk.line_count())? && self.is_worth_keeping() {
                        self.checkpoint()?;
                    }
                    let counts = self.sorter.chunk(file, &chunk)?;
                    let (start, end) = (chunk.offset(), chunk.offset() + chunk.bytes().len() as u64);
                    self.note(&reading, LineRange { start, end, line: chunk.first_line(), lines: 0 }, counts, blocks);
                    self.account(&reading, counts, end - start);
                    match pass {
                        None => used = Some(chunk),
                        // The large line's buffer goes before the pass does.
                        Some(pass) => {
                            drop(chunk);
                            drop(pass);
                        }
                    }
                }
                Some((Pulled::LongLine(line), blocks)) => {
                    let counts = self.sorter.long_line(file, &line)?;
                    let range = LineRange { start: line.offset, end: line.end, line: line.line, lines: 0 };
                    self.note(&reading, range, counts, blocks);
                    self.account(&reading, counts, line.length);
                }
                // Its pipe is empty: the schedule knows.
                Some((Pulled::Later, _)) | None => {}
                Some((Pulled::Gated, _)) => {
                    shared.gate.wait(REST);
                    gated = Some(reading.at);
                    current = None;
                    continue;
                }
                Some((Pulled::Changed, _)) => {
                    let why = format!("{} is not the file that was begun", file.name);
                    return Err(LoadError::Changed { keys: vec![file.key.clone()], why });
                }
                Some((Pulled::End(end), blocks)) => {
                    if let Some(kept) = shared.kept {
                        kept.finish(&file.key)?;
                    }
                    self.end(&reading, end, blocks);
                    // Others may wait for what does not come any more.
                    bell.ring();
                }
            }
            current = Some(reading);
        }
        Ok(())
    }

    fn pull(&self, reading: &Reading, used: Option<Chunk>) -> Result<Option<(Pulled, Blocks)>, LoadError> {
        let framers = &self.shared.framers;
        reading.pull(
            || self.open(reading),
            |front| {
                // The file is closed before the lock is taken.
                let framer = front.into_framer();
                framers.lock().unwrap_or_else(PoisonError::into_inner).push(framer);
            },
            |front| front.pull(used),
        )
    }

    fn open(&self, reading: &Reading) -> Result<Front, LoadError> {
        let Shared { plan, begun: begun_files, kept, progress, .. } = self.shared;
        let file = &reading.file;
        let bytes = file.identity.map(|identity| identity.bytes);
        self.shared.observer.event(Event::FileStarted { output_file: &file.name, bytes });
        let budget = &plan.budget;
        let begun = reading.begun.as_ref();
        let first_block = match &file.place {
            Place::Remote(pipe) => pipe.start() / BLOCK_BYTES,
            Place::File(_) | Place::Stored(_) | Place::Stdin | Place::Nowhere => {
                begun.map_or(0, |begun| begun_files.first_block(begun))
            }
        };
        let start = first_block * BLOCK_BYTES;
        progress.bytes_read.fetch_add(start, Relaxed);
        // A file that cannot be opened is one that ends at once, with that error.
        let source = front::open(&file.place, start).unwrap_or_else(|error| Box::new(front::Unopened::new(error)));
        let source = match kept {
            None => source,
            Some(kept) => kept.keep(&file.key, &file.name, source)?,
        };
        let known = begun.map(BegunFile::known).unwrap_or_default();
        let window = budget.zstd_window_log_max;
        let content = Content::from_block(source, &file.name, Arc::clone(progress), window, (first_block, known));
        let content = match bytes {
            Some(bytes) if begun.is_none() && Hashing::should_hand_out(bytes) => content.handing_out(),
            _ => content,
        };
        let framer = self.shared.framers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let framer = framer.unwrap_or_else(|| Framer::new(budget.max_line_bytes, budget.chunk_bytes));
        let aside = format!("{}/long-{}-{}-{}", staging(&plan.run), self.shared.attempt, plan.lake.fence(), reading.at);
        let aside = Aside::new(Arc::clone(&plan.lake.store), aside);
        let gaps = begun.map_or_else(|| vec![Gap::WHOLE], BegunFile::gaps);
        Ok(Front::new(content, framer, Arc::clone(&self.shared.gate), budget.large_line_bytes, aside, gaps))
    }

    /// Remembers what is done and not yet saved. How many lines the range has, the counts say.
    fn note(&mut self, reading: &Arc<Reading>, range: LineRange, counts: LineCounts, blocks: Blocks) {
        // A byte order mark belongs to no line; what is before the first line is done with it.
        let start = if range.line == 1 { 0 } else { range.start };
        self.noted(reading, |progress| {
            progress.add(LineRange { start, lines: counts.lines, ..range });
            progress.counts.add(counts);
            progress.blocks.extend(blocks);
        });
    }

    fn noted(&mut self, reading: &Arc<Reading>, change: impl FnOnce(&mut FileProgress)) {
        if self.to_keeper.is_none() {
            return;
        }
        self.unsaved_since.get_or_insert_with(Instant::now);
        let (_, progress) =
            self.unsaved.entry(reading.at).or_insert_with(|| (Arc::clone(reading), FileProgress::default()));
        change(progress);
    }

    /// Rows have waited as long as they may.
    fn is_due(&self) -> bool {
        let Some(since) = self.unsaved_since else { return false };
        let at_most = self.shared.plan.checkpoint;
        at_most.is_zero() || since.elapsed() >= at_most.max(self.shared.started.elapsed() / LOST_SHARE)
    }

    /// Where a part must end to be durable, more often than asked for makes small parts.
    fn is_worth_keeping(&self) -> bool {
        let Plan { checkpoint, lake, .. } = self.shared.plan;
        checkpoint.is_zero() || (lake.store.shows_unfinished() && self.saved_at.elapsed() >= WORTH_KEEPING)
    }

    /// Brings all that is done to disk, and tells it.
    fn checkpoint(&mut self) -> Result<(), LoadError> {
        let mut saved = self.sorter.save()?;
        let unsaved = std::mem::take(&mut self.unsaved);
        if let Some(to_keeper) = &self.to_keeper {
            tell(to_keeper, &self.name, unsaved, &mut saved);
        }
        self.done.add(saved);
        self.saved_at = Instant::now();
        self.unsaved_since = None;
        Ok(())
    }

    /// Saves what there is; nobody needs the result.
    fn leave(mut self) -> Result<Done, LoadError> {
        if self.to_keeper.is_some() {
            self.checkpoint()?;
        }
        Ok(Done::default())
    }

    /// Completes the parts. What has taken long is kept, so that a death while the run is settled and committed costs
    /// little.
    fn finish(self) -> Result<Done, LoadError> {
        let Worker { shared, sorter, unsaved, mut done, to_keeper, name, .. } = self;
        let mut saved = sorter.finish()?;
        let long = shared.started.elapsed() >= WORTH_KEEPING || shared.plan.checkpoint.is_zero();
        match to_keeper.filter(|_| long) {
            Some(to_keeper) => tell(&to_keeper, &name, unsaved, &mut saved),
            None if shared.plan.lake.store.shows_unfinished() => {}
            // Nobody else can read them before.
            None => {
                for sync in std::mem::take(&mut saved.syncs) {
                    let folder = staging(&shared.plan.run);
                    sync.sync().map_err(|source| LoadError::destination("write a file of", &folder, source))?;
                }
            }
        }
        done.add(saved);
        Ok(done)
    }

    fn account(&self, reading: &Reading, counts: LineCounts, content_bytes: u64) {
        let progress = self.shared.progress;
        progress.content_bytes.fetch_add(content_bytes, Relaxed);
        progress.lines.fetch_add(counts.lines, Relaxed);
        progress.rows.fetch_add(counts.resources, Relaxed);
        progress.rejected.fetch_add(counts.rejected, Relaxed);
        self.file_finished(reading.account(|file| counts.add_to(file)));
    }

    fn end(&mut self, reading: &Arc<Reading>, end: End, blocks: Blocks) {
        let pipe_end = match &reading.file.place {
            Place::Remote(pipe) => pipe.ended(),
            Place::File(_) | Place::Stored(_) | Place::Stdin | Place::Nowhere => None,
        };
        let stated_bytes = match pipe_end {
            Some(PipeEnd::Whole { stated_bytes }) => stated_bytes,
            _ => None,
        };
        let (bytes, blake3) = end.received.map(|received| (received.bytes, received.blake3)).unwrap_or_default();
        // A count shows what is missing.
        let unverified_length = pipe_end == Some(PipeEnd::UnverifiedLength) && reading.file.declared_count.is_none();
        let content_bytes = end.content_bytes;
        let file_end = FileEnd { bytes, blake3, content_bytes, unverified_length, stated_bytes };
        let finished = reading.account_end(|file| file_end.add_to(file));
        let output_file = || reading.file.name.clone();
        let problem = match (pipe_end, end.failure) {
            (Some(PipeEnd::Lost(why)), _) => Some(Problem::Lost { output_file: output_file(), why }),
            (_, Some(why)) => Some(Problem::Unreadable { output_file: output_file(), why }),
            (_, None) => None,
        };
        match problem {
            Some(problem) => {
                let problems = &self.shared.problems;
                problems.lock().unwrap_or_else(PoisonError::into_inner).push((reading.at, problem));
            }
            // What did not come whole is asked for again.
            None => self.noted(reading, |progress| {
                progress.blocks.extend(blocks);
                progress.end = Some(file_end);
            }),
        }
        self.file_finished(finished);
    }

    fn file_finished(&self, finished: Option<OutputFile>) {
        if let Some(file) = finished {
            self.shared.progress.files_finished.fetch_add(1, Relaxed);
            self.shared.observer.event(Event::FileFinished { file: &file });
        }
    }
}

/// Tells the keeper what has been brought to disk. What only the keeper needs is taken out of `saved`.
fn tell(to_keeper: &SyncSender<Brought>, writer: &str, unsaved: Unsaved, saved: &mut SavedLines) {
    let file = |(reading, progress): (Arc<Reading>, FileProgress)| {
        let file = &reading.file;
        let progress = FileProgress { prefix: reading.prefix(), ..progress };
        let (key, name) = (file.key.clone(), file.name.clone());
        let record = FileRecord { key, name, version: file.version.clone(), plain: reading.is_plain() };
        (record, progress)
    };
    let closed = saved.tables.closed.iter();
    let brought = Brought {
        files: unsaved.into_values().map(file).collect(),
        types: saved.by_type.iter().map(TypeCounts::from).collect(),
        writer: writer.to_owned(),
        row_groups: std::mem::take(&mut saved.tables.row_groups),
        closed: closed.map(|part| (part.path().to_owned(), part.bytes(), part.blake3().to_owned())).collect(),
        asides: saved.asides.clone(),
        syncs: std::mem::take(&mut saved.syncs),
    };
    // A keeper that takes no more has failed, and says so itself.
    let _ = to_keeper.send(brought);
}

impl From<&TableSummary> for TypeCounts {
    fn from(summary: &TableSummary) -> TypeCounts {
        let TableSummary { resource_type, lines, rows, rejected, content_bytes, .. } = summary;
        TypeCounts {
            resource_type: resource_type.clone(),
            lines: *lines,
            rows: *rows,
            rejected: *rejected,
            content_bytes: *content_bytes,
        }
    }
}
