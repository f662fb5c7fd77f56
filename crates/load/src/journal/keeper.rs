//! Who writes the journal: a thread of its own, so that no worker waits for a disk.
//!
//! In goes what workers have brought to disk; it is made durable, and only then does the journal say so. What has come
//! together meanwhile is kept together: a slow disk makes fewer, larger checkpoints, not a slower load.

use std::collections::HashMap;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use lakehaul_write::WrittenRowGroup;
use lakehaul_write::store::{Store, StoreSync, StoreWrite};

use super::log::Log;
use super::record::{
    Checkpoint, ClosedRecord, FileProgress, FileRecord, FooterPlace, PartRecord, Record, RowGroupRecord, TypeCounts,
};
use super::staging;
use crate::LoadError;
use crate::asides::{Segment, Syncs};

/// How many checkpoints may wait; the next one waits for the disk.
const WAITING_MAX: usize = 32;

/// Where footers of row groups are laid down. They hold statistics, so values of rows, which the journal does not: this
/// file is a table in the making.
pub(super) fn footers_path(run: &str, attempt: usize) -> String {
    format!("{}/row_groups-{attempt}", staging(run))
}

/// What one worker has brought to disk since it last did.
#[derive(Default)]
pub(crate) struct Brought {
    /// Lines of files; the progress' own number is not looked at.
    pub(crate) files: Vec<(FileRecord, FileProgress)>,
    pub(crate) types: Vec<TypeCounts>,
    pub(crate) writer: String,
    pub(crate) row_groups: Vec<WrittenRowGroup>,
    /// Path, length and hash of parts that are complete.
    pub(crate) closed: Vec<(String, u64, String)>,
    pub(crate) asides: Vec<Segment>,
    /// What makes it durable.
    pub(crate) syncs: Syncs,
}

/// The thread's work.
pub(crate) struct Keeper<'k> {
    /// For tables in the making.
    pub(crate) store: &'k dyn Store,
    /// For the journal.
    pub(crate) private: &'k dyn Store,
    pub(crate) run: &'k str,
    /// How many processes have written before.
    pub(crate) attempt: usize,
    /// How many bytes of the journal, file records and part records there are already.
    pub(crate) whole_bytes: u64,
    pub(crate) files: usize,
    pub(crate) parts: usize,
}

/// A way for workers to a keeper, and the keeper's end of it.
pub(crate) fn channel() -> (SyncSender<Brought>, Receiver<Brought>) {
    sync_channel(WAITING_MAX)
}

impl Keeper<'_> {
    /// Keeps what comes until all senders are gone. After an error nothing is taken any more.
    pub(crate) fn keep(self, brought: &Receiver<Brought>) -> Result<(), LoadError> {
        let mut open: Option<Open> = None;
        while let Ok(first) = brought.recv() {
            let batch: Vec<Brought> = std::iter::once(first).chain(brought.try_iter()).collect();
            let open = match &mut open {
                Some(open) => open,
                none => none.insert(self.open()?),
            };
            open.keep(&self, batch)?;
        }
        Ok(())
    }

    fn open(&self) -> Result<Open, LoadError> {
        let path = footers_path(self.run, self.attempt);
        let footers = self.store.create(&path).and_then(|file| Ok((file.syncer()?, file)));
        let (footers_syncer, footers) = footers.map_err(|source| LoadError::destination("make", &path, source))?;
        Ok(Open {
            log: Log::open(self.private, self.run, self.whole_bytes)?,
            begun: false,
            footers_path: path,
            footers,
            footers_syncer,
            footers_bytes: 0,
            file_numbers: HashMap::new(),
            part_numbers: HashMap::new(),
        })
    }
}

/// The keeper's files.
struct Open {
    log: Log,
    /// The attempt is in the journal.
    begun: bool,
    footers_path: String,
    footers: Box<dyn StoreWrite>,
    footers_syncer: Box<dyn StoreSync>,
    footers_bytes: u64,
    /// By key and version.
    file_numbers: HashMap<String, usize>,
    /// By path.
    part_numbers: HashMap<String, usize>,
}

impl Open {
    fn keep(&mut self, keeper: &Keeper<'_>, batch: Vec<Brought>) -> Result<(), LoadError> {
        let mut records = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            records.push(Record::Attempt);
        }
        let footers_before = self.footers_bytes;
        for mut brought in batch {
            for sync in std::mem::take(&mut brought.syncs) {
                let folder = staging(keeper.run);
                sync.sync().map_err(|source| LoadError::destination("sync a file of", &folder, source))?;
            }
            let checkpoint = self.checkpoint(keeper, brought, &mut records)?;
            records.push(Record::Checkpoint(checkpoint));
        }
        let path = &self.footers_path;
        if self.footers_bytes > footers_before {
            let synced = self.footers.flush().and_then(|()| self.footers_syncer.sync());
            synced.map_err(|source| LoadError::destination("write", path, source))?;
        }
        // The names of new files.
        keeper.store.sync().map_err(|source| LoadError::destination("sync", path, source))?;
        self.log.add(&records)?;
        keeper.private.sync().map_err(|source| LoadError::destination("sync", path, source))
    }

    fn checkpoint(
        &mut self,
        keeper: &Keeper<'_>,
        brought: Brought,
        records: &mut Vec<Record>,
    ) -> Result<Checkpoint, LoadError> {
        let mut checkpoint = Checkpoint { types: brought.types, asides: brought.asides, ..Checkpoint::default() };
        for (record, progress) in brought.files {
            let next = keeper.files + self.file_numbers.len();
            let file = *self.file_numbers.entry(record.key.clone()).or_insert_with(|| {
                records.push(Record::File(record));
                next
            });
            checkpoint.files.push(FileProgress { file, ..progress });
        }
        for row_group in brought.row_groups {
            let next = keeper.parts + self.part_numbers.len();
            let part = *self.part_numbers.entry(row_group.part.clone()).or_insert_with(|| {
                let schema = row_group.schema();
                records.push(Record::Part(PartRecord {
                    path: row_group.part.clone(),
                    writer: brought.writer.clone(),
                    resource_type: schema.resource_type().to_owned(),
                    schema: schema.to_json(),
                }));
                next
            });
            let footer = self.lay_down(keeper.attempt, &row_group.footer()?)?;
            let WrittenRowGroup { rows, end, blake3, beyond_caps, .. } = row_group;
            checkpoint.row_groups.push(RowGroupRecord { part, rows, end, blake3, footer, beyond_caps });
        }
        for (path, bytes, blake3) in brought.closed {
            // One whose row groups were told before is known; one that had none does not matter.
            if let Some(&part) = self.part_numbers.get(&path) {
                checkpoint.closed.push(ClosedRecord { part, bytes, blake3 });
            }
        }
        Ok(checkpoint)
    }

    fn lay_down(&mut self, attempt: usize, footer: &[u8]) -> Result<FooterPlace, LoadError> {
        let written = self.footers.write_all(footer);
        written.map_err(|source| LoadError::destination("write", &self.footers_path, source))?;
        let (offset, length) = (self.footers_bytes, footer.len() as u64);
        self.footers_bytes += length;
        Ok(FooterPlace { attempt, offset, length, blake3: blake3::hash(footer).to_hex().to_string() })
    }
}
