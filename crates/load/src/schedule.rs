//! Which worker reads which output file.
//!
//! A worker stays with a file until it is exhausted, takes the largest file that nobody has begun, and once all are
//! begun helps with the one that has most left. So two thousand small files and one huge file both keep every worker
//! busy, and no more files are open than there are workers.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, PoisonError};

use crate::front::{Front, Pulled};
use crate::inputs::PlannedFile;
use crate::{LoadError, OutputFile};

/// What an input without a size is taken for: more than any file.
const UNKNOWN_BYTES: u64 = u64::MAX / 2;

/// The files of a run and how far each is read.
pub(crate) struct Schedule {
    files: Vec<Reading>,
    /// Largest first.
    order: Vec<usize>,
    begun: AtomicUsize,
}

/// One file while it is read.
pub(crate) struct Reading {
    stage: Mutex<Stage>,
    /// Raw bytes that have not been read, roughly; zero means exhausted.
    left: AtomicU64,
    size: u64,
    account: Mutex<Account>,
}

/// A file's front, before, while and after it is there.
enum Stage {
    Waiting,
    Open(Box<Front>),
    Exhausted,
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
    pub(crate) fn new(files: &[PlannedFile]) -> Schedule {
        let reading = |file: &PlannedFile| {
            // An empty file has to be begun too.
            let size = file.identity.map_or(UNKNOWN_BYTES, |identity| identity.bytes.max(1));
            let account = OutputFile {
                name: file.name.clone(),
                url: file.url.clone(),
                declared_type: file.declared_type.clone(),
                declared_count: file.declared_count,
                ..OutputFile::default()
            };
            Reading {
                stage: Mutex::new(Stage::Waiting),
                left: AtomicU64::new(size),
                size,
                account: Mutex::new(Account { file: account, ..Account::default() }),
            }
        };
        let files: Vec<Reading> = files.iter().map(reading).collect();
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(files[at].size));
        Schedule { files, order, begun: AtomicUsize::new(0) }
    }

    /// The file that a worker turns to; None when all are exhausted.
    pub(crate) fn pick(&self, current: Option<usize>) -> Option<usize> {
        let not_exhausted = |&at: &usize| self.files[at].left.load(Relaxed) > 0;
        current.filter(not_exhausted).or_else(|| self.begin()).or_else(|| self.most_left(None))
    }

    /// Another file that is being read; for when there is nothing to pull from `current` right now.
    pub(crate) fn another(&self, current: usize) -> Option<usize> {
        self.most_left(Some(current))
    }

    fn begin(&self) -> Option<usize> {
        // Looked at first so that the counter cannot run over.
        let left = self.begun.load(Relaxed) < self.order.len();
        left.then(|| self.begun.fetch_add(1, Relaxed)).and_then(|turn| self.order.get(turn).copied())
    }

    fn most_left(&self, but: Option<usize>) -> Option<usize> {
        let begun = &self.order[..self.begun.load(Relaxed).min(self.order.len())];
        let left = |at: &usize| self.files[*at].left.load(Relaxed);
        let best = begun.iter().copied().filter(|&at| Some(at) != but).max_by_key(left)?;
        (left(&best) > 0).then_some(best)
    }

    pub(crate) fn reading(&self, at: usize) -> &Reading {
        &self.files[at]
    }

    /// The accounts, in the order of the inputs.
    pub(crate) fn into_output_files(self) -> Vec<OutputFile> {
        let account = |reading: Reading| reading.account.into_inner().unwrap_or_else(PoisonError::into_inner).file;
        self.files.into_iter().map(account).collect()
    }
}

impl Reading {
    /// Pulls from the file's front, which `open` makes the first time. `close` gets it after the file's end.
    pub(crate) fn pull(
        &self,
        open: impl FnOnce() -> Front,
        close: impl FnOnce(Front),
        pull: impl FnOnce(&mut Front) -> Result<Pulled, LoadError>,
    ) -> Result<Option<Pulled>, LoadError> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Stage::Waiting = *stage {
            *stage = Stage::Open(Box::new(open()));
        }
        let Stage::Open(front) = &mut *stage else { return Ok(None) };
        let pulled = pull(front)?;
        match &pulled {
            Pulled::Chunk(..) | Pulled::LongLine(_) => {
                self.with_account(|account| account.outstanding += 1);
                self.left.store(self.size.saturating_sub(front.bytes_read()).max(1), Relaxed);
            }
            Pulled::Later => {}
            Pulled::End(_) => {
                self.left.store(0, Relaxed);
                if let Stage::Open(front) = std::mem::replace(&mut *stage, Stage::Exhausted) {
                    close(*front);
                }
            }
        }
        Ok(Some(pulled))
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

    fn with_account<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        change(&mut self.account.lock().unwrap_or_else(PoisonError::into_inner))
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
    use crate::manifest::Role;

    fn schedule(sizes: &[Option<u64>]) -> Schedule {
        let file = |size: &Option<u64>| PlannedFile {
            name: String::new(),
            url: None,
            role: Role::Data,
            declared_type: None,
            declared_count: None,
            organized: false,
            place: Place::Stdin,
            identity: size.map(|bytes| FileIdentity { bytes, modified_nanos: 0 }),
        };
        Schedule::new(&sizes.iter().map(file).collect::<Vec<_>>())
    }

    #[test]
    fn the_largest_is_begun_first_and_the_longest_is_helped_with() {
        let schedule = schedule(&[Some(5), Some(0), None, Some(9)]);
        assert_eq!(schedule.pick(None), Some(2));
        assert_eq!(schedule.pick(Some(2)), Some(2));
        schedule.files[2].left.store(0, Relaxed);
        assert_eq!(schedule.pick(Some(2)), Some(3));
        assert_eq!(schedule.another(3), None);
        assert_eq!(schedule.pick(None), Some(0));
        assert_eq!(schedule.another(3), Some(0));
        assert_eq!(schedule.pick(None), Some(1));
        // All are begun.
        assert_eq!(schedule.pick(None), Some(3));
        for at in [3, 0, 1] {
            assert_eq!(schedule.pick(None), Some(at));
            schedule.files[at].left.store(0, Relaxed);
        }
        assert_eq!(schedule.pick(Some(1)), None);
    }
}
