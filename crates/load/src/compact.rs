//! Fewer and wider parts: small ones are joined, and those that lack columns of their table get them. No row changes.
//!
//! In goes a lake, out come new parts in the place of others and a record of it ([`record`]). It is done like a run: new
//! parts are staged, what is to be done is written down once all are durable (see [`journal`](crate::journal)), and a death
//! on the way costs the work at most. Runs that have not finished are left to the commands that began them.
//!
//! Which parts are joined follows from their lengths and order alone. A part is closed only where the next one would make
//! it too long, so that all but the last one of a table are of some size, and what has been compacted stays as it is.

pub(crate) mod record;

use std::sync::Arc;
use std::time::Instant;

use lakehaul_schema::TableSchema;
use lakehaul_write::{DeletedResources, FileReceipt, JoinedDeletions, JoinedPart, PartShape, WriteError};

use crate::current::{CurrentPart, Ledger, Tables};
use crate::journal::{self, CommitFile, Committed, Published, staging};
use crate::lake::{COMPACTION_ENDING, Lake, schema_path};
use crate::plan::{Opened, new_name, open, tell};
use crate::verify::stored::Stored;
use crate::{Clock, Event, Format, LoadError, LoadOptions, Observer, PartRecord, Warning};

pub use record::{CompactedPart, CompactedTable, CompactionRecord, CompactionTotals, ReplacedPart, RowsOfRun};

/// One compaction: `lakehaul compact LAKE`.
#[derive(Debug, Clone)]
pub struct CompactRequest {
    /// The lake's folder.
    pub lake: String,
    /// Shorter parts are small, and joined.
    pub part_bytes: u64,
    /// Of these only `mode`, `interrupt` and `store_layer` are of interest.
    pub options: LoadOptions,
}

impl CompactRequest {
    /// 128 MiB: from there on it hardly matters to a reader in how many files a table is.
    pub const PART_BYTES: u64 = 128 << 20;

    /// Parts are joined up to so many times the length of what counts as small: 512 MiB.
    const JOINED: u64 = 4;
}

/// What a compaction came to.
#[derive(Debug, Clone, Default)]
pub struct CompactSummary {
    /// Its record. None: there was nothing to do.
    pub record: Option<CompactionRecord>,
    /// Parts that stay as they are.
    pub kept_parts: u64,
    /// What a person should know.
    pub warnings: Vec<Warning>,
    /// The time that it took.
    pub seconds: f64,
}

/// Makes a lake's parts fewer and wider. A lake that needs none of it is not touched.
pub fn compact(
    request: &CompactRequest,
    clock: &dyn Clock,
    observer: &dyn Observer,
) -> Result<CompactSummary, LoadError> {
    let begun = Instant::now();
    if request.part_bytes == 0 {
        return Err(LoadError::Usage("a part of no bytes is not small but nothing: give a size".to_owned()));
    }
    // To look at a lake does not make one.
    Lake::open_to_read(&request.lake)?;
    let Opened { lake, settings, dead, mut warnings } = open(&request.lake, &request.options)?;
    warnings.extend(dead.into_iter().filter_map(|(run, plan)| {
        let plan = plan.filter(|plan| plan.repeatable)?;
        Some(Warning::Unfinished { run, source: plan.source })
    }));
    tell(observer, &warnings);
    let tables = Ledger::read(&lake)?.tables();
    if let Some((path, why)) = tables.faults.first() {
        return Err(LoadError::LakeDamaged { path: path.clone(), why: why.clone() });
    }

    let started = clock.now();
    let name = new_name(&lake, started, COMPACTION_ENDING)?;
    let work = Work { lake: &lake, request, observer, staging: staging(&name) };
    let joined = match work.all(&tables) {
        Ok(joined) => joined,
        Err(error) => {
            // What stays of it is removed by whoever opens the lake next.
            let _ = journal::discard(&*lake.store, &name);
            return Err(error);
        }
    };
    let before = tables.with_deletions().map(|(_, parts)| parts.len() as u64).sum::<u64>();
    if joined.is_empty() {
        return Ok(CompactSummary {
            kept_parts: before,
            warnings,
            seconds: begun.elapsed().as_secs_f64(),
            record: None,
        });
    }
    let (new_tables, moves) = place(joined, &name, |table| settings.layout.folder(table));
    let record = CompactionRecord {
        compaction: name.clone(),
        started: started.to_string(),
        finished: clock.now().to_string(),
        totals: CompactionTotals::of(&new_tables),
        tables: new_tables,
    };
    if let Some(fault) = record.faults(&tables).into_iter().next() {
        return Err(LoadError::Unbalanced(fault));
    }
    let CompactionTotals { parts, rows, part_bytes, replaced_parts, .. } = record.totals;
    observer.event(Event::Publishing { parts: parts as usize, rows, bytes: part_bytes });
    let store = &lake.store;
    store.sync().map_err(|source| LoadError::destination("sync", &staging(&name), source))?;
    let delta = (settings.format == Format::Delta).then_some(settings.layout);
    let file = CommitFile::of_compaction(moves, record, delta);
    journal::mark_compaction(&lake, &name)?;
    file.put(&**store, lake.fence())?;
    let Published { record, warnings: late } = file.publish(store)?;
    tell(observer, &late);
    warnings.extend(late);
    let Committed::Compaction(record) = record else { unreachable!("a compaction's commit has a compaction's record") };
    let kept_parts = before.saturating_sub(replaced_parts);
    Ok(CompactSummary { record: Some(*record), kept_parts, warnings, seconds: begun.elapsed().as_secs_f64() })
}

/// A staged part, and what it is made of.
struct Joined {
    table: String,
    receipt: FileReceipt,
    replaces: Vec<CurrentPart>,
}

/// The tables with their new parts under the names that readers find, and the moves that give them these.
fn place(
    joined: Vec<Joined>,
    compaction: &str,
    folder: impl Fn(&str) -> String,
) -> (Vec<CompactedTable>, Vec<(String, String)>) {
    let mut tables: Vec<CompactedTable> = Vec::new();
    let mut moves = Vec::new();
    for Joined { table, receipt, replaces } in joined {
        let at = match tables.last().filter(|last| last.resource_type == table) {
            Some(last) => last.files.len(),
            None => {
                tables.push(CompactedTable { resource_type: table.clone(), ..CompactedTable::default() });
                0
            }
        };
        let path = format!("{}/part-{compaction}-{at:05}.parquet", folder(&table));
        moves.push((receipt.path, path.clone()));
        let FileReceipt { rows, bytes, blake3, .. } = receipt;
        let part = CompactedPart {
            part: PartRecord { path, rows, bytes, blake3 },
            runs: record::rows_of_runs(&replaces),
            replaces: replaces.into_iter().map(|CurrentPart { part, of, .. }| ReplacedPart { part, of }).collect(),
        };
        if let Some(table) = tables.last_mut() {
            table.rows += rows;
            table.files.push(part);
        }
    }
    (tables, moves)
}

/// What all tables' parts are made with.
struct Work<'w> {
    lake: &'w Lake,
    request: &'w CompactRequest,
    observer: &'w dyn Observer,
    staging: String,
}

impl Work<'_> {
    /// Table by table; staged parts in the order of what they replace.
    fn all(&self, tables: &Tables) -> Result<Vec<Joined>, LoadError> {
        let schemas = self.lake.schemas()?;
        let mut joined = Vec::new();
        for (name, parts) in tables.with_deletions() {
            let schema = schemas.iter().find(|schema| schema.resource_type() == name);
            if schema.is_none() && name != DeletedResources::TABLE {
                return Err(LoadError::LakeDamaged { path: schema_path(name), why: "it is missing".to_owned() });
            }
            TableWork { work: self, name, schema }.parts(parts, &mut joined)?;
        }
        Ok(joined)
    }

    fn interrupted(&self) -> Result<(), LoadError> {
        if self.request.options.interrupt.is_set() { Err(LoadError::Interrupted) } else { Ok(()) }
    }
}

/// One table's.
struct TableWork<'w> {
    work: &'w Work<'w>,
    name: &'w str,
    /// None: it is that of deletions, whose columns are always the same.
    schema: Option<&'w TableSchema>,
}

/// Parts that become one.
struct Together<'w> {
    parts: Vec<CurrentPart>,
    /// None: there is only one so far, and it has not been read.
    joined: Option<JoinedRows<'w>>,
    /// Even one alone has to be rewritten.
    is_due: bool,
}

/// A part that is made of others.
enum JoinedRows<'w> {
    Resources(JoinedPart<'w>),
    Deletions(JoinedDeletions),
}

impl JoinedRows<'_> {
    fn add(&mut self, path: &str) -> Result<(), WriteError> {
        match self {
            JoinedRows::Resources(joined) => joined.add(path),
            JoinedRows::Deletions(joined) => joined.add(path),
        }
    }

    /// About how long it is by now.
    fn bytes(&self) -> u64 {
        match self {
            JoinedRows::Resources(joined) => joined.bytes(),
            JoinedRows::Deletions(joined) => joined.bytes(),
        }
    }

    /// Writes what waits for more, which may become much less.
    fn settle(&mut self) -> Result<(), WriteError> {
        match self {
            JoinedRows::Resources(joined) => joined.settle(),
            JoinedRows::Deletions(_) => Ok(()),
        }
    }

    /// None: it has no rows.
    fn finish(self) -> Result<Option<FileReceipt>, WriteError> {
        match self {
            JoinedRows::Resources(joined) => joined.finish().map(Some),
            JoinedRows::Deletions(joined) => joined.finish(),
        }
    }
}

impl<'w> TableWork<'w> {
    fn parts(&self, parts: &[CurrentPart], joined: &mut Vec<Joined>) -> Result<(), LoadError> {
        let part_bytes = self.work.request.part_bytes;
        let most = part_bytes.saturating_mul(CompactRequest::JOINED);
        let mut open: Option<Together<'_>> = None;
        for part in parts {
            self.work.interrupted()?;
            let shape = self.shape(part)?;
            let is_narrow = shape.as_ref().is_some_and(|shape| shape.missing_leaves > 0);
            let has_tiny = shape.as_ref().is_some_and(|shape| shape.tiny_row_groups > 0);
            let small = part.part.bytes < part_bytes;
            let alone = |is_due| Together { parts: vec![part.clone()], joined: None, is_due };
            if !small {
                if is_narrow {
                    joined.extend(self.close(alone(true))?);
                }
                continue;
            }
            let fits = match &mut open {
                None => false,
                Some(together) => self.has_room(together, part.part.bytes, most)?,
            };
            match &mut open {
                Some(together) if fits => self.add(together, part)?,
                _ => {
                    let full = open.replace(alone(is_narrow || has_tiny));
                    if let Some(full) = full {
                        joined.extend(self.close(full)?);
                    }
                }
            }
        }
        if let Some(rest) = open {
            joined.extend(self.close(rest)?);
        }
        Ok(())
    }

    /// None: the part is as it has to be, if it is not joined.
    fn shape(&self, part: &CurrentPart) -> Result<Option<PartShape>, LoadError> {
        let Some(schema) = self.schema else { return Ok(None) };
        let path = &part.part.path;
        let shape = PartShape::of(&*self.work.lake.store, path, schema);
        shape.map(Some).map_err(|error| crate::cat::unread(error, path))
    }

    /// Whether so many bytes more are not too many.
    fn has_room(&self, together: &mut Together<'_>, bytes: u64, most: u64) -> Result<bool, LoadError> {
        let Together { joined: Some(joined), .. } = together else {
            return Ok(together.parts.iter().map(|part| part.part.bytes).sum::<u64>() + bytes <= most);
        };
        if joined.bytes() + bytes <= most {
            return Ok(true);
        }
        joined.settle()?;
        Ok(joined.bytes() + bytes <= most)
    }

    fn add(&self, together: &mut Together<'w>, part: &CurrentPart) -> Result<(), LoadError> {
        let Together { parts, joined, .. } = together;
        let joined = match joined {
            Some(joined) => joined,
            None => joined.insert(self.join(parts)?),
        };
        self.take_over(part, joined)?;
        parts.push(part.clone());
        Ok(())
    }

    /// A staged part of these. Its name is that of the first it is made of, so that no two have one.
    fn join(&self, parts: &[CurrentPart]) -> Result<JoinedRows<'w>, LoadError> {
        let first = parts.first().map_or("", |first| first.part.path.as_str());
        let first = first.rsplit('/').next().unwrap_or_default().trim_end_matches(".parquet");
        let path = format!("{}/{}-{first}.part", self.work.staging, self.name);
        let store = &self.work.lake.store;
        let mut joined = match self.schema {
            Some(schema) => JoinedRows::Resources(JoinedPart::create(&**store, path, schema)?),
            None => JoinedRows::Deletions(JoinedDeletions::new(Arc::clone(store), path)),
        };
        for part in parts {
            self.take_over(part, &mut joined)?;
        }
        Ok(joined)
    }

    /// Only what is as the ledger says is taken over: else its damage would get a hash of its own.
    fn take_over(&self, part: &CurrentPart, joined: &mut JoinedRows<'_>) -> Result<(), LoadError> {
        self.work.interrupted()?;
        let PartRecord { path, bytes, blake3, .. } = &part.part;
        let unreadable = |source| LoadError::LakeUnreadable { path: path.clone(), source };
        let damaged = |why: &str| LoadError::LakeDamaged { path: path.clone(), why: why.to_owned() };
        let file = Stored::open(&*self.work.lake.store, path).map_err(unreadable)?;
        if file.len_bytes() != *bytes || file.blake3().map_err(unreadable)? != *blake3 {
            return Err(damaged("its bytes are not those that were written"));
        }
        joined.add(path)?;
        self.work.observer.event(Event::PartTakenOver { path, bytes: *bytes });
        Ok(())
    }

    /// Completes a part; none where there is nothing to be done.
    fn close(&self, together: Together<'w>) -> Result<Option<Joined>, LoadError> {
        let Together { parts, joined, is_due } = together;
        let joined = match joined {
            Some(joined) => joined,
            None if !is_due => return Ok(None),
            None => self.join(&parts)?,
        };
        let receipt = joined.finish()?;
        let rows: u64 = parts.iter().map(|part| part.part.rows).sum();
        match receipt {
            Some(receipt) if receipt.rows == rows => {
                Ok(Some(Joined { table: self.name.to_owned(), receipt, replaces: parts }))
            }
            receipt => {
                let found = receipt.map_or(0, |receipt| receipt.rows);
                let what = format!("a part of {} would have {found} rows, what it is made of has {rows}", self.name);
                Err(LoadError::Unbalanced(what))
            }
        }
    }
}
