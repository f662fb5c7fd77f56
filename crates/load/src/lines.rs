//! What becomes of a line: a row, a reject, or one of the few other kinds.
//!
//! In come the chunks of one worker; out go rows into its table set, rejects into the quarantine, and counts. Every
//! line is counted as exactly one kind.

use std::time::{Duration, Instant};

use lakehaul_parse::{
    Chunk, Cursor, DirectCursor, Line, Reason, Reject, Scratch, TapeCursor, TapeScratch, leading_resource_type,
    resource_type,
};
use lakehaul_write::{AppendError, Origin, Saved, TableSet};
use serde::{Deserialize, Serialize};

use crate::asides::{Asides, RejectedLine, Segment, Syncs};
use crate::deletions::deleted_resources;
use crate::front::LongLine;
use crate::inputs::PlannedFile;
use crate::manifest::Role;
use crate::{Engine, LoadError, OutputFile, TableSummary};

/// One worker's way from lines to rows.
pub(crate) struct LineSorter {
    tables: TableSet,
    asides: Asides,
    reader: Reader,
    max_line_bytes: usize,
    by_type: Vec<TableSummary>,
}

/// What has become of a worker's lines since it last told.
pub(crate) struct SavedLines {
    pub(crate) tables: Saved,
    pub(crate) asides: Vec<Segment>,
    /// What makes it durable, but for the parts that are complete.
    pub(crate) syncs: Syncs,
    pub(crate) by_type: Vec<TableSummary>,
}

impl SavedLines {
    fn new(mut tables: Saved, asides: &mut Asides, by_type: Vec<TableSummary>) -> Result<SavedLines, LoadError> {
        let (asides, mut syncs) = asides.save()?;
        syncs.append(&mut tables.open);
        Ok(SavedLines { tables, asides, syncs, by_type })
    }
}

/// Lines by kind, of a chunk or a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineCounts {
    pub(crate) lines: u64,
    pub(crate) resources: u64,
    pub(crate) blank: u64,
    pub(crate) rejected: u64,
    pub(crate) outcomes: u64,
    pub(crate) headers: u64,
    pub(crate) deletions: u64,
    pub(crate) other_type: u64,
}

impl LineCounts {
    pub(crate) fn add(&mut self, more: LineCounts) {
        self.lines += more.lines;
        self.resources += more.resources;
        self.blank += more.blank;
        self.rejected += more.rejected;
        self.outcomes += more.outcomes;
        self.headers += more.headers;
        self.deletions += more.deletions;
        self.other_type += more.other_type;
    }

    pub(crate) fn add_to(self, file: &mut OutputFile) {
        file.lines += self.lines;
        file.resources += self.resources;
        file.blank += self.blank;
        file.rejected += self.rejected;
        file.outcomes += self.outcomes;
        file.headers += self.headers;
        file.deletions += self.deletions;
        file.other_type += self.other_type;
    }
}

impl LineSorter {
    pub(crate) fn new(
        tables: TableSet,
        asides: Asides,
        engine: Engine,
        max_depth: u32,
        max_line_bytes: usize,
    ) -> LineSorter {
        let reader =
            Reader { engine, max_depth, direct: Scratch::new(), tape: TapeScratch::new(), name: String::new() };
        LineSorter { tables, asides, reader, max_line_bytes, by_type: Vec::new() }
    }

    /// Sorts a chunk's lines.
    pub(crate) fn chunk(&mut self, file: &PlannedFile, chunk: &Chunk) -> Result<LineCounts, LoadError> {
        let begun = Instant::now();
        let mut counts = LineCounts::default();
        let mut types = TypeBytes::default();
        for line in chunk.lines() {
            counts.lines += 1;
            if line.is_blank() {
                counts.blank += 1;
                continue;
            }
            match file.role {
                Role::Data => self.resource(file, &line, &mut counts, &mut types)?,
                Role::Outcomes => {
                    counts.outcomes += 1;
                    self.asides.outcome(line.bytes())?;
                }
                Role::Deletions => self.deletion(file, &line, &mut counts)?,
            }
        }
        types.share(begun.elapsed(), &mut self.by_type);
        Ok(counts)
    }

    fn deletion(&mut self, file: &PlannedFile, line: &Line<'_>, counts: &mut LineCounts) -> Result<(), LoadError> {
        match deleted_resources(line.bytes()) {
            Ok(deleted) => {
                counts.deletions += 1;
                self.asides.deletion(line.bytes(), deleted, file.transaction_time.as_deref())
            }
            Err(at) => {
                counts.rejected += 1;
                let which = RejectedLine { output_file: &file.name, line: line.number(), offset: line.offset() };
                self.asides.reject(which, line.bytes(), Reject { reason: Reason::NotADeletion, at })
            }
        }
    }

    /// Takes a line into quarantine that is too long to be looked at.
    pub(crate) fn long_line(&mut self, file: &PlannedFile, line: &LongLine) -> Result<LineCounts, LoadError> {
        let which = RejectedLine { output_file: &file.name, line: line.line, offset: line.offset };
        let reject = Reject { reason: Reason::TooLong, at: u32::try_from(self.max_line_bytes).unwrap_or(u32::MAX) };
        self.asides.reject_from(which, &line.path, line.length, reject)?;
        let index = index_of(file.declared_type.as_deref().unwrap_or_default(), &mut self.by_type);
        let summary = &mut self.by_type[index];
        summary.lines += 1;
        summary.rejected += 1;
        summary.content_bytes += line.length;
        Ok(LineCounts { lines: 1, rejected: 1, ..LineCounts::default() })
    }

    /// The worker's tables.
    pub(crate) fn tables(&mut self) -> &mut TableSet {
        &mut self.tables
    }

    /// Brings all lines so far to disk.
    pub(crate) fn save(&mut self) -> Result<SavedLines, LoadError> {
        let tables = self.tables.save()?;
        SavedLines::new(tables, &mut self.asides, std::mem::take(&mut self.by_type))
    }

    /// Brings all lines to disk, and completes the parts.
    pub(crate) fn finish(mut self) -> Result<SavedLines, LoadError> {
        SavedLines::new(self.tables.finish()?, &mut self.asides, self.by_type)
    }

    fn resource(
        &mut self,
        file: &PlannedFile,
        line: &Line<'_>,
        counts: &mut LineCounts,
        types: &mut TypeBytes,
    ) -> Result<(), LoadError> {
        let declared = file.declared_type.as_deref();
        let mut found = std::mem::take(&mut self.reader.name);
        let named = match leading_resource_type(line) {
            Some(name) => Ok(name),
            None => self.reader.resource_type(line, &mut found).map(|()| found.as_str()),
        };
        let fate = match named {
            Err(reject) => Fate::Rejected(reject),
            Ok("Parameters") if file.organized && declared != Some("Parameters") => self.reader.header(line),
            Ok("OperationOutcome") if declared.is_some_and(|declared| declared != "OperationOutcome") => {
                Fate::Rejected(Reject { reason: Reason::OperationOutcome, at: 0 })
            }
            Ok(name) => self.reader.row(line, name, &file.name, &mut self.tables)?,
        };
        let known = !matches!(fate, Fate::Rejected(Reject { reason: Reason::UnknownResourceType, .. }));
        let name = named.ok().filter(|_| known).or(declared).unwrap_or_default();
        let index = types.add(name, line.bytes().len(), &mut self.by_type);
        match fate {
            Fate::Row => {
                counts.resources += 1;
                counts.other_type += u64::from(declared.is_some_and(|declared| declared != name));
                self.by_type[index].rows += 1;
                self.by_type[index].lines += 1;
            }
            Fate::Header => counts.headers += 1,
            Fate::Rejected(reject) => {
                counts.rejected += 1;
                self.by_type[index].rejected += 1;
                self.by_type[index].lines += 1;
                let which = RejectedLine { output_file: &file.name, line: line.number(), offset: line.offset() };
                self.asides.reject(which, line.bytes(), reject)?;
            }
        }
        self.reader.name = found;
        Ok(())
    }
}

/// What becomes of a data file's line.
enum Fate {
    Row,
    Header,
    Rejected(Reject),
}

/// A JSON engine with its buffers.
struct Reader {
    engine: Engine,
    max_depth: u32,
    direct: Scratch,
    tape: TapeScratch,
    /// A type that had to be searched for.
    name: String,
}

impl Reader {
    /// Searches the line's type.
    fn resource_type(&mut self, line: &Line<'_>, name: &mut String) -> Result<(), Reject> {
        name.clear();
        match self.engine {
            Engine::Direct => {
                name.push_str(resource_type(&mut DirectCursor::new(line, self.max_depth, &mut self.direct)?)?);
            }
            Engine::Tape => name.push_str(resource_type(&mut TapeCursor::new(line, self.max_depth, &mut self.tape)?)?),
        }
        Ok(())
    }

    /// A header is not data, but it has to be JSON: a broken line may be anything.
    fn header(&mut self, line: &Line<'_>) -> Fate {
        let checked = DirectCursor::new(line, self.max_depth, &mut self.direct).and_then(|mut cursor| {
            cursor.raw()?;
            cursor.finish()
        });
        checked.map_or_else(Fate::Rejected, |()| Fate::Header)
    }

    fn row(
        &mut self,
        line: &Line<'_>,
        name: &str,
        output_file: &str,
        tables: &mut TableSet,
    ) -> Result<Fate, LoadError> {
        let json = match line.text() {
            Ok(json) => json,
            Err(reject) => return Ok(Fate::Rejected(reject)),
        };
        let origin = Origin { output_file, line: line.number(), json };
        let appended = match self.engine {
            Engine::Direct => match DirectCursor::new(line, self.max_depth, &mut self.direct) {
                Ok(mut cursor) => tables.append(name, &mut cursor, origin),
                Err(reject) => Err(reject.into()),
            },
            Engine::Tape => match TapeCursor::new(line, self.max_depth, &mut self.tape) {
                Ok(mut cursor) => tables.append(name, &mut cursor, origin),
                Err(reject) => Err(reject.into()),
            },
        };
        match appended {
            Ok(()) => Ok(Fate::Row),
            Err(AppendError::Reject(reject)) => Ok(Fate::Rejected(reject)),
            Err(AppendError::Write(error)) => Err(error.into()),
        }
    }
}

/// The bytes of a chunk's lines by type, so that the time spent on it can be shared out.
#[derive(Default)]
struct TypeBytes {
    /// Index into the worker's figures, and bytes.
    bytes: Vec<(usize, u64)>,
}

impl TypeBytes {
    /// Adds a line; the index of its type's figures. Lines of one type follow each other, so the last one is looked at
    /// first.
    fn add(&mut self, name: &str, line_bytes: usize, by_type: &mut Vec<TableSummary>) -> usize {
        let is_last = |&&mut (index, _): &&mut (usize, u64)| by_type[index].resource_type == name;
        let line_bytes = line_bytes as u64;
        let index = match self.bytes.last_mut().filter(is_last) {
            Some((index, bytes)) => {
                *bytes += line_bytes;
                *index
            }
            None => {
                let index = index_of(name, by_type);
                self.bytes.push((index, line_bytes));
                index
            }
        };
        by_type[index].content_bytes += line_bytes;
        index
    }

    fn share(self, elapsed: Duration, by_type: &mut [TableSummary]) {
        let total: u64 = self.bytes.iter().map(|(_, bytes)| bytes).sum();
        for (index, bytes) in self.bytes {
            by_type[index].work_seconds += elapsed.as_secs_f64() * bytes as f64 / total.max(1) as f64;
        }
    }
}

fn index_of(name: &str, by_type: &mut Vec<TableSummary>) -> usize {
    by_type.iter().position(|summary| summary.resource_type == name).unwrap_or_else(|| {
        by_type.push(TableSummary { resource_type: name.to_owned(), ..TableSummary::default() });
        by_type.len() - 1
    })
}
