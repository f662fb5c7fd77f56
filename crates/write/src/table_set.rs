//! One worker's tables: a row group under construction and an open part for each resource type it has met.
//!
//! In: cursors over lines. Out: parts under staging names, each complete when it is handed over. Workers share only
//! [`RunTables`], which they ask when a path or a type is seen for the first time and when a row group is finished;
//! never for a row.

use std::collections::HashMap;
use std::sync::Arc;

use lakehaul_parse::{Cursor, Reason, Reject};

use crate::columns::Size;
use crate::error::{AppendError, WriteError};
use crate::part::{PartWriter, StagedPart};
use crate::row_group::encode_row_group;
use crate::run_tables::{RunTable, RunTables};
use crate::shred::{Origin, Shredder};

/// Rows between two looks at how much memory the row groups take, in bytes of JSON.
const LOOK_BYTES: usize = 256 << 10;

/// One worker's open row groups and parts.
#[derive(Debug)]
pub struct TableSet {
    run: Arc<RunTables>,
    worker: usize,
    tables: HashMap<&'static str, Table>,
    finished: Vec<StagedPart>,
    /// Bytes of JSON since memory was last looked at.
    unseen: usize,
}

#[derive(Debug)]
struct Table {
    shared: Arc<RunTable>,
    shredder: Shredder<Arc<RunTable>>,
    open: Option<PartWriter>,
    parts: usize,
}

impl TableSet {
    /// An empty set for worker number `worker`; numbers are in the parts' staging names.
    pub fn new(run: Arc<RunTables>, worker: usize) -> Self {
        TableSet { run, worker, tables: HashMap::new(), finished: Vec::new(), unseen: 0 }
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
        self.unseen += origin.json.len();
        let full = table.shredder.rows as usize >= self.run.options.row_group_rows;
        if full {
            let resource_type = table.shared.resource_type();
            self.flush(resource_type)?;
        } else if self.unseen >= LOOK_BYTES {
            self.keep_within_budget()?;
        }
        Ok(appended?)
    }

    /// Writes all rows that are still in memory and completes every part.
    ///
    /// # Errors
    /// The destination failed.
    pub fn finish(mut self) -> Result<Vec<StagedPart>, WriteError> {
        let types: Vec<&'static str> = self.tables.keys().copied().collect();
        for resource_type in types {
            self.flush(resource_type)?;
            self.close_part(resource_type)?;
            self.tables.remove(resource_type);
        }
        Ok(self.finished)
    }

    /// Writes the row groups that are large enough. Then, while all tables together take too much, gives back the
    /// buffers of those without rows, and after that writes the largest.
    fn keep_within_budget(&mut self) -> Result<(), WriteError> {
        self.unseen = 0;
        let sizes: Vec<(&'static str, Size)> =
            self.tables.iter().map(|(name, table)| (*name, table.shredder.size())).collect();
        let mut total: usize = sizes.iter().map(|(_, size)| size.allocated).sum();
        for (name, size) in &sizes {
            if size.used >= self.run.options.row_group_bytes {
                self.flush(name)?;
            }
        }
        while total >= self.run.options.builder_bytes {
            let by_need = |table: &Table| (table.shredder.rows == 0, table.shredder.size().allocated);
            let candidates = self.tables.iter().filter(|(_, table)| table.shredder.size().allocated > 0);
            let Some((&name, _)) = candidates.max_by_key(|(_, table)| by_need(table)) else { break };
            self.flush(name)?;
            if let Some(table) = self.tables.get_mut(name) {
                total -= table.shredder.size().allocated.min(total);
                table.renew();
            }
        }
        Ok(())
    }

    /// Encodes and writes the rows of one table.
    fn flush(&mut self, resource_type: &str) -> Result<(), WriteError> {
        let Some(table) = self.tables.get_mut(resource_type) else { return Ok(()) };
        if table.shredder.rows == 0 {
            return Ok(());
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
                let name = format!("{}/{resource_type}-w{}-{:05}.part", self.run.staging, self.worker, table.parts);
                table.parts += 1;
                table.open.insert(PartWriter::create(&*self.run.store, name, schema.clone(), level)?)
            }
        };
        let encoded = encode_row_group(&table.shredder, &schema, &self.run.run, level);
        let chunks = encoded.map_err(WriteError::parquet(resource_type))?;
        let rows = u64::from(table.shredder.rows);
        table.shared.count_beyond_caps(std::mem::take(&mut table.shredder.beyond_caps));
        table.shredder.clear();
        part.append(rows, chunks)?;
        if part.bytes() >= self.run.options.part_bytes {
            self.close_part(resource_type)?;
        }
        Ok(())
    }

    fn close_part(&mut self, resource_type: &str) -> Result<(), WriteError> {
        let Some(table) = self.tables.get_mut(resource_type) else { return Ok(()) };
        if let Some(part) = table.open.take() {
            let part = part.finish()?;
            let resource_type = table.shared.resource_type();
            self.finished.push(StagedPart { resource_type, worker: self.worker, part });
        }
        Ok(())
    }
}

impl Table {
    fn new(shared: Arc<RunTable>) -> Self {
        let shredder = shared.shredder();
        Table { shared, shredder, open: None, parts: 0 }
    }

    /// Gives all memory back, and with it what the shredder has learnt.
    fn renew(&mut self) {
        self.shredder = self.shared.shredder();
    }
}
