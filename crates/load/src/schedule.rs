//! Which worker reads which output file.
//!
//! A file comes onto the schedule when its bytes can be read: those of a load all at the start, those of an export as
//! they arrive. A worker stays with a file while there is something to read and nobody else waits longer, takes the
//! largest file that nobody has begun, and once all are begun helps with the one that has most to read. So two thousand
//! small files and one huge file both keep every worker busy. Small files come last, and a worker stays with their type: who
//! turns from table to table has a part of each, whose columns are all to be encoded.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::bell::Bell;
use crate::block_hash::{Blocks, Prefix};
use crate::front::{Front, Pulled};
use crate::inputs::{Place, PlannedFile};
use crate::journal::record::FileEnd;
use crate::journal::replay::BegunFile;
use crate::{Event, LoadError, LoadOptions, Observer, OutputFile, Progress};

/// What an input without a size is taken for: more than any file.
const UNKNOWN_BYTES: u64 = u64::MAX / 2;

/// Files of no more than this are small: a chunk, which nobody can help with.
const SMALL_BYTES: u64 = LoadOptions::CHUNK_BYTES as u64;

/// So many chunks in a row are pulled from a server's file that brings more than a chunk at a time: the tables of its type are
/// in the cache, and what has been guessed still holds. Then the others get their turn, before their server gives up.
const IN_A_ROW: u32 = 256;

/// With less waiting, a turn is too short to be worth staying for.
const WORTH_STAYING_BYTES: usize = 512 << 10;

/// The files of a run and how far each is read.
#[derive(Default)]
pub(crate) struct Schedule {
    board: Mutex<Board>,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Board {
    all: Vec<Arc<Reading>>,
    /// Nobody has begun them.
    waiting: Waiting,
    /// The same of small files, by the type that they are declared to have; none of a type: no entry.
    small: BTreeMap<Option<String>, Waiting>,
    /// Begun, and not known to be exhausted.
    open: Vec<Arc<Reading>>,
    /// No more files come.
    closed: bool,
}

/// Files by size, and their places in `all`, the first one first.
type Waiting = BinaryHeap<(u64, Reverse<usize>)>;

/// What a worker does next.
pub(crate) enum Turn {
    /// Pulls from this file.
    File(Arc<Reading>),
    /// Waits for the bell: nothing can be read now.
    Wait,
    /// All are exhausted.
    Done,
}

/// One file while it is read.
pub(crate) struct Reading {
    /// Its place in the run's list of files.
    pub(crate) at: usize,
    pub(crate) file: Arc<PlannedFile>,
    /// What an earlier process has done of it.
    pub(crate) begun: Option<BegunFile>,
    /// Its bytes are its text, as far as is known.
    plain: AtomicBool,
    stage: Mutex<Stage>,
    exhausted: AtomicBool,
    /// Chunks that were pulled since it was chosen.
    in_a_row: AtomicU32,
    /// Raw bytes that have not been read, roughly.
    left: AtomicU64,
    size: u64,
    account: Mutex<Account>,
}

/// A file's front, before, while and after it is there.
enum Stage {
    Waiting,
    Open(Box<Front>),
    /// With what came of it.
    Exhausted(Option<Prefix>),
}

/// What is known of a file's lines.
#[derive(Debug, Default)]
struct Account {
    file: OutputFile,
    /// Chunks and long lines that were pulled and are not accounted for.
    outstanding: usize,
    ended: bool,
}

impl Schedule {
    /// Adds a file that can be read from now on. `at`: its place in the run's list. `begun`: what an earlier process has
    /// done of it.
    pub(crate) fn add(&self, at: usize, file: impl Into<Arc<PlannedFile>>, begun: Option<BegunFile>) {
        let reading = Arc::new(Reading::new(at, file.into(), begun));
        let mut board = self.board();
        let place = board.all.len();
        let waiting = match reading.size {
            0..=SMALL_BYTES => board.small.entry(reading.file.declared_type.clone()).or_default(),
            _ => &mut board.waiting,
        };
        waiting.push((reading.size, Reverse(place)));
        board.all.push(reading);
        drop(board);
        self.bell.ring();
    }

    /// Adds a file that an earlier process has done, to its end, and tells so.
    pub(crate) fn add_done(
        &self,
        at: usize,
        file: impl Into<Arc<PlannedFile>>,
        (begun, end): (BegunFile, &FileEnd),
        progress: &Progress,
        observer: &dyn Observer,
    ) {
        let reading = Reading::new(at, file.into(), Some(begun));
        *reading.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage::Exhausted(None);
        reading.exhausted.store(true, Relaxed);
        let account = reading.with_account(|account| {
            end.add_to(&mut account.file);
            account.ended = true;
            account.file.clone()
        });
        self.board().all.push(Arc::new(reading));
        progress.bytes_read.fetch_add(end.bytes, Relaxed);
        progress.files_finished.fetch_add(1, Relaxed);
        observer.event(Event::FileFinished { file: &account });
    }

    /// No more files come.
    pub(crate) fn close(&self) {
        self.board().closed = true;
        self.bell.ring();
    }

    /// Rings when a worker that waits should look again.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// What a worker does next that has pulled from `current` before. `not`: a file that must wait for something else.
    pub(crate) fn turn(&self, current: Option<&Arc<Reading>>, not: Option<usize>) -> Turn {
        if let Some(current) = current.filter(|current| !current.is_exhausted() && current.is_worth_staying()) {
            return Turn::File(Arc::clone(current));
        }
        let mut board = self.board();
        board.open.retain(|reading| !reading.is_exhausted());
        if let Some(place) = board.begin(current) {
            let reading = Arc::clone(&board.all[place]);
            board.open.push(Arc::clone(&reading));
            return Turn::File(reading);
        }
        let best = board
            .open
            .iter()
            .filter(|reading| Some(reading.at) != not)
            .filter_map(|reading| Some((reading.readable()?, reading)))
            .max_by_key(|((free, bytes), _)| (*free, *bytes));
        match best {
            Some((_, reading)) => {
                reading.in_a_row.store(0, Relaxed);
                Turn::File(Arc::clone(reading))
            }
            None if board.open.is_empty() && board.closed => Turn::Done,
            None => Turn::Wait,
        }
    }

    /// What the files so far are known by.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.board().all.iter().map(|reading| reading.file.key.clone()).collect()
    }

    /// The files and their accounts, in the order of the run's list. The accounts are not here any more.
    pub(crate) fn take_output_files(&self) -> Vec<(Arc<PlannedFile>, OutputFile)> {
        let mut all = std::mem::take(&mut self.board().all);
        all.sort_by_key(|reading| reading.at);
        let taken = |reading: &Reading| reading.with_account(|account| std::mem::take(&mut account.file));
        all.iter().map(|reading| (Arc::clone(&reading.file), taken(reading))).collect()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// The place of the file that is begun next by a worker that has pulled from `last` before.
    fn begin(&mut self, last: Option<&Arc<Reading>>) -> Option<usize> {
        if let Some((_, Reverse(place))) = self.waiting.pop() {
            return Some(place);
        }
        let own = last.map(|last| &last.file.declared_type).filter(|of| self.small.contains_key(*of));
        let has_somebody = |of: &Option<String>| self.open.iter().any(|reading| reading.file.declared_type == *of);
        let most = || self.small.iter().max_by_key(|(of, files)| (!has_somebody(of), files.len())).map(|(of, _)| of);
        let of = own.or_else(most)?.clone();
        let files = self.small.get_mut(&of)?;
        let (_, Reverse(place)) = files.pop()?;
        if files.is_empty() {
            self.small.remove(&of);
        }
        Some(place)
    }
}

impl Reading {
    fn new(at: usize, file: Arc<PlannedFile>, begun: Option<BegunFile>) -> Reading {
        // An empty file has to be begun too.
        let size = file.identity.map_or(UNKNOWN_BYTES, |identity| identity.bytes.max(1));
        let mut account = OutputFile {
            name: file.name.clone(),
            url: file.url.clone(),
            declared_type: file.declared_type.clone(),
            declared_count: file.declared_count,
            ..OutputFile::default()
        };
        if let Some(begun) = &begun {
            begun.counts.add_to(&mut account);
        }
        Reading {
            at,
            file,
            begun,
            plain: AtomicBool::new(true),
            stage: Mutex::new(Stage::Waiting),
            exhausted: AtomicBool::new(false),
            in_a_row: AtomicU32::new(0),
            left: AtomicU64::new(size),
            size,
            account: Mutex::new(Account { file: account, ..Account::default() }),
        }
    }

    /// Pulls from the file's front, which `open` makes the first time. `close` gets it after the file's end. With what was
    /// pulled come the chaining values of the bytes that were read for it.
    pub(crate) fn pull(
        &self,
        open: impl FnOnce() -> Result<Front, LoadError>,
        close: impl FnOnce(Front),
        pull: impl FnOnce(&mut Front) -> Result<Pulled, LoadError>,
    ) -> Result<Option<(Pulled, Blocks)>, LoadError> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Stage::Waiting = *stage {
            *stage = Stage::Open(Box::new(open()?));
        }
        let Stage::Open(front) = &mut *stage else { return Ok(None) };
        let pulled = pull(front)?;
        let unhashed = front.unhashed();
        let mut blocks = Blocks::new();
        if let Pulled::Chunk(..) | Pulled::LongLine(_) | Pulled::End(_) = &pulled {
            blocks = front.new_blocks();
            self.plain.store(front.is_plain(), Relaxed);
        }
        match &pulled {
            Pulled::Chunk(..) | Pulled::LongLine(_) => {
                self.with_account(|account| account.outstanding += 1);
                self.left.store(self.size.saturating_sub(front.bytes_read()), Relaxed);
            }
            Pulled::Later | Pulled::Gated | Pulled::Changed => {}
            Pulled::End(end) => {
                self.exhausted.store(true, Relaxed);
                let all = Stage::Exhausted(end.received.clone());
                if let Stage::Open(front) = std::mem::replace(&mut *stage, all) {
                    close(*front);
                }
            }
        }
        drop(stage);
        if let (Some(hash), Pulled::Chunk(chunk, _)) = (unhashed, &pulled) {
            blocks.extend(hash.add(chunk.offset(), chunk.bytes()));
        }
        Ok(Some((pulled, blocks)))
    }

    /// Accounts for something that was pulled. The finished account, if that was the last of the file.
    pub(crate) fn account(&self, add: impl FnOnce(&mut OutputFile)) -> Option<OutputFile> {
        self.with_account(|account| {
            add(&mut account.file);
            account.outstanding -= 1;
            account.finished()
        })
    }

    /// Accounts for the file's end. The finished account, if all that was pulled is accounted for.
    pub(crate) fn account_end(&self, add: impl FnOnce(&mut OutputFile)) -> Option<OutputFile> {
        self.with_account(|account| {
            add(&mut account.file);
            account.ended = true;
            account.finished()
        })
    }

    /// What has come of it so far, as it came: all that lines were pulled from, and what is read ahead.
    pub(crate) fn prefix(&self) -> Option<Prefix> {
        match &*self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Waiting => None,
            Stage::Open(front) => front.prefix(),
            Stage::Exhausted(prefix) => prefix.clone(),
        }
    }

    /// Its bytes are its text: not compressed.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain.load(Relaxed)
    }

    fn with_account<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        change(&mut self.account.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_exhausted(&self) -> bool {
        self.exhausted.load(Relaxed)
    }

    /// A local file's reads never wait for a peer; a server's file may have more ready than a worker takes at once.
    fn is_worth_staying(&self) -> bool {
        match &self.file.place {
            Place::Remote(pipe) => {
                pipe.ready().is_some_and(|bytes| bytes >= WORTH_STAYING_BYTES)
                    && self.in_a_row.fetch_add(1, Relaxed) < IN_A_ROW
            }
            Place::File(_) | Place::Stored(_) | Place::Stdin | Place::Nowhere => true,
        }
    }

    /// Whether nobody pulls from it right now, and how many bytes can be read; None if there are none now, and no lines
    /// that have waited long enough for more.
    fn readable(&self) -> Option<(bool, u64)> {
        let stage = self.stage.try_lock();
        let bytes = match &self.file.place {
            Place::Remote(pipe) => match (pipe.ready(), &stage) {
                (Some(bytes), _) => bytes as u64,
                (None, Ok(stage)) if matches!(&**stage, Stage::Open(front) if front.has_waited()) => 0,
                (None, _) => return None,
            },
            Place::File(_) | Place::Stored(_) | Place::Stdin | Place::Nowhere => self.left.load(Relaxed),
        };
        let busy = matches!(stage, Err(TryLockError::WouldBlock));
        Some((!busy, bytes))
    }
}

impl FileEnd {
    /// Enters it into the file's account.
    pub(crate) fn add_to(&self, file: &mut OutputFile) {
        file.bytes = self.bytes;
        file.blake3.clone_from(&self.blake3);
        file.content_bytes = self.content_bytes;
        file.unverified_length = self.unverified_length;
        file.stated_bytes = self.stated_bytes;
    }
}

impl Account {
    fn finished(&self) -> Option<OutputFile> {
        (self.ended && self.outstanding == 0).then(|| self.file.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::{FileIdentity, Place};
    use crate::journal::record::Version;
    use crate::manifest::Role;
    use crate::pipe::{Pipe, PipeEnd, PipeReader};

    fn schedule_of(files: Vec<PlannedFile>) -> Schedule {
        let schedule = Schedule::default();
        for (at, file) in files.into_iter().enumerate() {
            schedule.add(at, file, None);
        }
        schedule.close();
        schedule
    }

    fn file(size: Option<u64>, place: Place) -> PlannedFile {
        PlannedFile {
            key: String::new(),
            version: Version::Unknown,
            name: String::new(),
            url: None,
            role: Role::Data,
            declared_type: None,
            declared_count: None,
            transaction_time: None,
            organized: false,
            place,
            identity: size.map(|bytes| FileIdentity { bytes, modified_nanos: 0 }),
        }
    }

    #[track_caller]
    fn picked(turn: Turn) -> Arc<Reading> {
        let Turn::File(reading) = turn else { panic!("a file can be read") };
        reading
    }

    #[test]
    fn the_largest_is_begun_first_and_the_longest_is_helped_with() {
        let schedule = schedule_of([Some(5), Some(0), None, Some(9)].map(|size| file(size, Place::Stdin)).to_vec());
        let largest = picked(schedule.turn(None, None));
        assert_eq!(largest.at, 2);
        assert_eq!(picked(schedule.turn(Some(&largest), None)).at, 2);
        largest.exhausted.store(true, Relaxed);
        assert_eq!(picked(schedule.turn(Some(&largest), None)).at, 3);
        assert_eq!(picked(schedule.turn(None, Some(3))).at, 0);
        assert_eq!(picked(schedule.turn(None, None)).at, 1);
        // All are begun.
        for at in [3, 0, 1] {
            let most = picked(schedule.turn(None, None));
            assert_eq!(most.at, at);
            most.exhausted.store(true, Relaxed);
        }
        assert!(matches!(schedule.turn(None, None), Turn::Done));
    }

    #[test]
    fn a_worker_stays_with_the_type_of_small_files() {
        let of = |resource_type: &str, size| PlannedFile {
            declared_type: Some(resource_type.to_owned()),
            ..file(Some(size), Place::Stdin)
        };
        let types = ["Claim", "Patient", "Claim", "Patient", "Claim", "Group"];
        let files = types.into_iter().map(|resource_type| of(resource_type, 100));
        let schedule = schedule_of(files.chain([of("Patient", SMALL_BYTES + 1)]).collect());
        let mut workers = [None, None];
        let mut begun = Vec::new();
        for worker in [0, 1, 0, 1, 0, 1, 0] {
            let before: Option<Arc<Reading>> = workers[worker].take();
            before.iter().for_each(|reading| reading.exhausted.store(true, Relaxed));
            let reading = picked(schedule.turn(before.as_ref(), None));
            begun.push((worker, reading.file.declared_type.clone().unwrap()));
            workers[worker] = Some(reading);
        }
        // The large one, then what there is most of; each its own; where that is done, what nobody has.
        let expected = ["Patient", "Claim", "Patient", "Claim", "Patient", "Claim", "Group"];
        assert_eq!(begun, expected.into_iter().enumerate().map(|(at, of)| (at % 2, of.to_owned())).collect::<Vec<_>>());
    }

    #[test]
    fn what_arrives_is_read_and_what_does_not_is_waited_for() {
        let schedule = Schedule::default();
        assert!(matches!(schedule.turn(None, None), Turn::Wait));
        let pipes: Vec<_> = (0..2).map(|_| Arc::new(Pipe::new(1000, Arc::clone(schedule.bell()), None, 0))).collect();
        for (at, pipe) in pipes.iter().enumerate() {
            schedule.add(at, file(None, Place::Remote(Arc::clone(pipe))), None);
        }
        let first = picked(schedule.turn(None, None));
        let second = picked(schedule.turn(Some(&first), None));
        assert_eq!((first.at, second.at), (0, 1));
        assert!(matches!(schedule.turn(Some(&first), None), Turn::Wait));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(pipes[0].push(vec![0; 10].into()));
        runtime.block_on(pipes[1].push(vec![0; 20].into()));
        assert_eq!(picked(schedule.turn(Some(&first), None)).at, 1);
        assert_eq!(picked(schedule.turn(Some(&first), Some(1))).at, 0);
        // Who brings much is stayed with, for a while.
        let large = |bytes| runtime.block_on(pipes[1].push(vec![0; bytes].into()));
        let mut reader = PipeReader::new(Arc::clone(&pipes[1]));
        std::io::Read::read(&mut reader, &mut [0; 100]).unwrap();
        large(WORTH_STAYING_BYTES);
        let stayed = (0..).take_while(|_| picked(schedule.turn(Some(&second), Some(1))).at == 1).count();
        assert_eq!(stayed, IN_A_ROW as usize);
        schedule.close();
        for pipe in pipes {
            pipe.end(PipeEnd::Whole { stated_bytes: None });
        }
        first.exhausted.store(true, Relaxed);
        assert_eq!(picked(schedule.turn(Some(&first), None)).at, 1);
        second.exhausted.store(true, Relaxed);
        assert!(matches!(schedule.turn(None, None), Turn::Done));
    }
}
