//! One worker's tables: a row group under construction and an open part for each resource type it has met.
//!
//! In: cursors over lines. Out: parts under staging names, and word of each row group that is written, so that a journal
//! can believe in it. Workers share only [`RunTables`], which they ask when a path or a type is seen for the first time
//! and when a row group is finished; never for a row.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, Scope, ScopedJoinHandle};

use foldhash::{HashMap, HashMapExt};
use lakehaul_parse::{Cursor, Reason, Reject};
use lakehaul_schema::TableSchema;
use parquet::file::properties::WriterPropertiesPtr;

use crate::columns::Size;
use crate::error::{AppendError, WriteError};
use crate::parquet_schema::CompiledSchema;
use crate::part::{FinishedPart, PartWriter, RowGroupFooter};
use crate::row_group::encode_row_group;
use crate::run_tables::{RunTable, RunTables};
use crate::shred::{Origin, Shredder};
use crate::store::StoreSync;

/// Rows between two looks at how much memory the row groups take, in bytes of JSON.
const LOOK_BYTES: usize = 256 << 10;

/// Between chunks a row group is written that has less room than this part of what it may take: a chunk more must not
/// make it end inside.
const ROOM_SHARE: usize = 16;

/// Parts that are completed at once, when all rows are in: what that takes is mostly waiting for a disk or a server, and these
/// do better with several requests.
const COMPLETED_AT_ONCE: usize = 8;

/// One worker's open row groups and parts.
#[derive(Debug)]
pub struct TableSet {
    run: Arc<RunTables>,
    writer: String,
    tables: HashMap<&'static str, Table>,
    saved: Saved,
    /// The table of the newest row.
    newest: Option<&'static str>,
    /// Bytes of JSON since memory was last looked at, for whatever reason.
    unseen: usize,
    /// And since it was looked at between chunks.
    since_room: usize,
}

#[derive(Debug)]
struct Table {
    shared: Arc<RunTable>,
    shredder: Shredder<Arc<RunTable>>,
    open: Option<PartWriter>,
    parts: usize,
    /// It has got a row since a row group, of any table, was last written.
    grows: bool,
    /// Row groups of the open part that nobody has been told of.
    untold: bool,
}

/// What a table set has written since it last told.
#[derive(Default)]
pub struct Saved {
    /// In the order in which they were written.
    pub row_groups: Vec<WrittenRowGroup>,
    /// Parts that are complete and durable.
    pub closed: Vec<StagedPart>,
    /// What makes the row groups of the open parts durable.
    pub open: Vec<Box<dyn StoreSync>>,
}

impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Saved { row_groups, closed, open } = self;
        f.debug_struct("Saved")
            .field("row_groups", &row_groups.len())
            .field("closed", &closed.len())
            .field("open", &open.len())
            .finish()
    }
}

/// A row group that is in its part.
#[derive(Clone)]
pub struct WrittenRowGroup {
    /// The part's path.
    pub part: String,
    /// Its rows.
    pub rows: u64,
    /// Where in the part it ends.
    pub end: u64,
    /// The BLAKE3 of the part up to there, in hex.
    pub blake3: String,
    /// Of its rows, the values that went to `__extra` since their paths lie beyond the table's caps.
    pub beyond_caps: u64,
    schema: Arc<CompiledSchema>,
    footer: Arc<RowGroupFooter>,
    properties: WriterPropertiesPtr,
}

/// Says where it is, and none of its statistics: they are values of rows.
impl std::fmt::Debug for WrittenRowGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let WrittenRowGroup { part, rows, end, .. } = self;
        f.debug_struct("WrittenRowGroup")
            .field("part", part)
            .field("rows", rows)
            .field("end", end)
            .finish_non_exhaustive()
    }
}

impl WrittenRowGroup {
    /// What the part's footer will say of it, to be laid down; statistics of its values are in it. Made anew at each call.
    ///
    /// # Errors
    /// Parquet's library cannot write it.
    pub fn footer(&self) -> Result<Vec<u8>, WriteError> {
        self.footer.to_bytes(&self.schema, &self.properties).map_err(WriteError::parquet(&self.part))
    }

    /// Of the part; the same for all its row groups.
    pub fn schema(&self) -> &TableSchema {
        &self.schema.table
    }
}

/// A worker's part that is complete and durable, and not yet visible.
#[derive(Debug, Clone)]
pub struct StagedPart {
    pub(crate) resource_type: &'static str,
    pub(crate) writer: String,
    pub(crate) part: FinishedPart,
}

impl StagedPart {
    /// Where it is.
    pub fn path(&self) -> &str {
        &self.part.path
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.part.bytes
    }

    /// The BLAKE3 of its bytes, in hex.
    pub fn blake3(&self) -> &str {
        &self.part.blake3
    }
}

impl TableSet {
    /// An empty set for the worker that is called `writer`; it is in the parts' staging names, which no other may use.
    pub fn new(run: Arc<RunTables>, writer: impl Into<String>) -> Self {
        TableSet {
            run,
            writer: writer.into(),
            tables: HashMap::new(),
            saved: Saved::default(),
            newest: None,
            unseen: 0,
            since_room: 0,
        }
    }

    /// Makes room for `lines` lines more, so that no row group has to end among them: writes the row groups that are
    /// full, or nearly so. To be called between chunks. True if this is a good moment for [`TableSet::save`]: what it would
    /// write besides has not grown for as long as the row group that was full took to fill.
    ///
    /// # Errors
    /// The destination failed.
    pub fn make_room(&mut self, lines: u64) -> Result<bool, WriteError> {
        let rows_max = self.run.options.row_group_rows as u64;
        let full: Vec<&'static str> = self
            .tables
            .iter()
            .filter(|(_, table)| table.shredder.rows > 0 && u64::from(table.shredder.rows) + lines > rows_max)
            .map(|(name, _)| *name)
            .collect();
        let mut written = !full.is_empty();
        for name in full {
            self.flush(name)?;
        }
        // To look costs as much as some hundred values, and thousands of small files are as many chunks.
        if self.since_room >= LOOK_BYTES {
            self.since_room = 0;
            let share = |bytes: usize| bytes - bytes / ROOM_SHARE;
            let (row_group_bytes, builder_bytes) = (self.run.options.row_group_bytes, self.run.options.builder_bytes);
            written |= self.keep_within(share(row_group_bytes), share(builder_bytes))?;
        }
        let mut settled = written;
        if written {
            for table in self.tables.values_mut() {
                settled &= !(std::mem::take(&mut table.grows) && table.shredder.rows > 0);
            }
        }
        Ok(settled)
    }

    /// Adds the cursor's line to the table of `resource_type`. The cursor is at the line's start.
    ///
    /// # Errors
    /// [`AppendError::Reject`]: the line is at fault and left no trace. [`AppendError::Write`]: a row group that was
    /// full could not be written; the run cannot go on.
    pub fn append<'c, C: Cursor<'c>>(
        &mut self,
        resource_type: &str,
        cursor: &mut C,
        origin: Origin<'_>,
    ) -> Result<(), AppendError> {
        let table = match self.tables.get_mut(resource_type) {
            Some(table) => table,
            None => {
                let unknown = Reject { reason: Reason::UnknownResourceType, at: 0 };
                let shared = self.run.table(resource_type).ok_or(unknown)?;
                self.tables.entry(shared.resource_type()).or_insert_with(|| Table::new(shared))
            }
        };
        let appended = table.shredder.append(cursor, origin);
        table.grows = true;
        self.newest = Some(table.shared.resource_type());
        self.unseen += origin.json.len();
        self.since_room += origin.json.len();
        let full = table.shredder.rows as usize >= self.run.options.row_group_rows;
        if full {
            let resource_type = table.shared.resource_type();
            self.flush(resource_type)?;
        } else if self.unseen >= LOOK_BYTES {
            self.keep_within(self.run.options.row_group_bytes, self.run.options.builder_bytes)?;
        }
        Ok(appended?)
    }

    /// Writes all rows that are still in memory, and tells what has been written since the last time.
    ///
    /// # Errors
    /// The destination failed.
    pub fn save(&mut self) -> Result<Saved, WriteError> {
        for resource_type in self.types() {
            self.flush(resource_type)?;
        }
        if !self.run.store.shows_unfinished() {
            for resource_type in self.types() {
                self.close_part(resource_type)?;
            }
        }
        let mut saved = std::mem::take(&mut self.saved);
        for table in self.tables.values_mut() {
            if let (true, Some(part)) = (std::mem::take(&mut table.untold), &table.open) {
                saved.open.push(part.syncer()?);
            }
        }
        Ok(saved)
    }

    /// Writes all rows that are still in memory, completes every part, and tells what has been written since the last
    /// time.
    ///
    /// # Errors
    /// The destination failed.
    pub fn finish(mut self) -> Result<Saved, WriteError> {
        thread::scope(|scope| {
            let mut closing = VecDeque::new();
            for resource_type in self.types() {
                self.flush(resource_type)?;
                // Its memory goes before the next is encoded.
                let Some(Table { open: Some(part), .. }) = self.tables.remove(resource_type) else { continue };
                if closing.len() == COMPLETED_AT_ONCE
                    && let Some((oldest, thread)) = closing.pop_front()
                {
                    self.closed(oldest, completed(thread)?);
                }
                closing.push_back((resource_type, complete(scope, part)?));
            }
            for (resource_type, thread) in closing {
                self.closed(resource_type, completed(thread)?);
            }
            Ok(self.saved)
        })
    }

    fn types(&self) -> Vec<&'static str> {
        let mut types: Vec<_> = self.tables.keys().copied().collect();
        types.sort_unstable();
        types
    }

    /// Writes the row groups that are larger than `row_group_bytes`, and then keeps all tables together within
    /// `builder_bytes`. True if any was written.
    ///
    /// The table that rows are coming for keeps its buffers and what it has learnt: it will need them as large again, and
    /// fresh memory costs a page fault for every page. A buffer that grows doubles, so its rows end at half of what they
    /// may take. What the other tables hold goes as soon as there is too much: those without rows first.
    fn keep_within(&mut self, row_group_bytes: usize, builder_bytes: usize) -> Result<bool, WriteError> {
        self.unseen = 0;
        let mut written = false;
        let sizes: Vec<(&'static str, Size)> =
            self.tables.iter().map(|(name, table)| (*name, table.shredder.size())).collect();
        let mut total: usize = sizes.iter().map(|(_, size)| size.allocated).sum();
        for (name, size) in &sizes {
            let rows_end = if self.newest == Some(*name) { builder_bytes / 2 } else { usize::MAX };
            if size.used >= row_group_bytes.min(rows_end) {
                written |= self.flush(name)?;
            }
        }
        while total >= builder_bytes {
            let by_need = |name: &'static str, table: &Table| {
                (self.newest != Some(name), table.shredder.rows == 0, table.shredder.size().allocated)
            };
            let candidates = self.tables.iter().filter(|(_, table)| table.shredder.size().allocated > 0);
            let Some((&name, _)) = candidates.max_by_key(|(name, table)| by_need(name, table)) else { break };
            written |= self.flush(name)?;
            if let Some(table) = self.tables.get_mut(name) {
                total -= table.shredder.size().allocated.min(total);
                table.renew();
            }
        }
        Ok(written)
    }

    /// Encodes and writes the rows of one table. False: there are none.
    fn flush(&mut self, resource_type: &str) -> Result<bool, WriteError> {
        let Some(table) = self.tables.get_mut(resource_type) else { return Ok(false) };
        if table.shredder.rows == 0 {
            return Ok(false);
        }
        let schema = table.shared.grow(&table.shredder)?;
        if table.open.as_ref().is_some_and(|part| !Arc::ptr_eq(part.schema(), &schema)) {
            self.close_part(resource_type)?;
        }
        let table = self.tables.get_mut(resource_type).expect("it was there a moment ago");
        let level = self.run.options.compression_level;
        let part = match &mut table.open {
            Some(part) => part,
            None => {
                let name = format!("{}/{resource_type}-{}-{:05}.part", self.run.staging, self.writer, table.parts);
                table.parts += 1;
                table.open.insert(PartWriter::create(&*self.run.store, name, schema.clone(), level)?)
            }
        };
        let encoded = encode_row_group(&table.shredder, &schema, &self.run.run, level);
        let chunks = encoded.map_err(WriteError::parquet(resource_type))?;
        let rows = u64::from(table.shredder.rows);
        let beyond_caps = std::mem::take(&mut table.shredder.beyond_caps);
        table.shared.count_beyond_caps(beyond_caps);
        table.shredder.clear();
        part.append(rows, chunks)?;
        self.saved.row_groups.extend(part.told(beyond_caps));
        table.untold = true;
        if part.bytes() >= self.run.options.part_bytes {
            self.close_part(resource_type)?;
        }
        Ok(true)
    }

    fn close_part(&mut self, resource_type: &str) -> Result<(), WriteError> {
        let Some(table) = self.tables.get_mut(resource_type) else { return Ok(()) };
        if let Some(part) = table.open.take() {
            let part = part.finish()?;
            table.untold = false;
            let resource_type = table.shared.resource_type();
            self.closed(resource_type, part);
        }
        Ok(())
    }

    fn closed(&mut self, resource_type: &'static str, part: FinishedPart) {
        self.saved.closed.push(StagedPart { resource_type, writer: self.writer.clone(), part });
    }
}

/// The thread that completes a part.
type Completing<'scope> = ScopedJoinHandle<'scope, Result<FinishedPart, WriteError>>;

/// Completes a part in a thread of its own.
fn complete<'scope>(scope: &'scope Scope<'scope, '_>, part: PartWriter) -> Result<Completing<'scope>, WriteError> {
    let path = part.path().to_owned();
    let thread = thread::Builder::new().name("part".to_owned());
    thread.spawn_scoped(scope, || part.finish()).map_err(WriteError::store("finish", &path))
}

/// Waits for a part to be complete.
fn completed(thread: Completing<'_>) -> Result<FinishedPart, WriteError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl PartWriter {
    /// Word of the row group that was last written.
    fn told(&self, beyond_caps: u64) -> Option<WrittenRowGroup> {
        let newest = self.newest()?;
        Some(WrittenRowGroup {
            part: self.path().to_owned(),
            rows: newest.rows(),
            end: self.bytes(),
            blake3: self.blake3(),
            beyond_caps,
            schema: self.schema().clone(),
            footer: newest.clone(),
            properties: self.properties().clone(),
        })
    }
}

impl Table {
    fn new(shared: Arc<RunTable>) -> Self {
        let shredder = shared.shredder();
        Table { shared, shredder, open: None, parts: 0, grows: false, untold: false }
    }

    /// Gives all memory back, and with it what the shredder has learnt.
    fn renew(&mut self) {
        self.shredder = self.shared.shredder();
    }
}
