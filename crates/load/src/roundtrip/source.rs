//! The source's side: an output file of the export, its lines read by simd-json.

use std::io::{ErrorKind, Read};

use lakehaul_parse::{Chunk, Framed, Framer, Line, TapeCursor, TapeScratch, leading_resource_type, resource_type};
use rayon::prelude::*;

use crate::OutputFile;
use crate::block_hash::Prefix;
use crate::budget::Budget;
use crate::content::Content;
use crate::front;
use crate::inputs::PlannedFile;

use super::fingerprint::{fingerprint, no_resource};
use super::sums::Collect;

/// A file of the source and the load that it is compared with.
pub(super) struct SourceFile {
    pub(super) planned: PlannedFile,
    pub(super) run: String,
    /// As the run's ledger has it.
    pub(super) recorded: OutputFile,
    /// Numbers of the lines in quarantine, ascending.
    pub(super) rejected: Vec<u64>,
}

/// How the source is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) budget: Budget,
    pub(super) max_depth: u32,
}

/// What a reading found beside resources.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) lines: u64,
    pub(super) resources: u64,
    pub(super) rejected: u64,
    /// Lines that are longer than this reading may hold.
    pub(super) too_long: Vec<u64>,
}

/// Length and hash of a file as it is.
pub(super) fn receive(planned: &PlannedFile, reading: Reading) -> Result<Prefix, String> {
    let source = front::open(&planned.place, 0).map_err(|error| error.to_string())?;
    let mut content =
        Content::new(source, &planned.name, std::sync::Arc::default(), reading.budget.zstd_window_log_max);
    let mut space = vec![0; 64 << 10];
    while content.read_raw(&mut space).map_err(|error| error.to_string())? > 0 {}
    content.received().ok_or_else(|| "its bytes cannot be told".to_owned())
}

impl SourceFile {
    /// Gives every resource of the file, which has the number `at`, to collectors, and adds these to `sum`.
    pub(super) fn collect<C: Collect>(&self, at: usize, reading: Reading, sum: &mut C) -> Result<Seen, String> {
        let source = front::open(&self.planned.place, 0).map_err(|error| error.to_string())?;
        let budget = reading.budget;
        let mut content =
            Content::new(source, &self.planned.name, std::sync::Arc::default(), budget.zstd_window_log_max);
        let mut framer = Framer::new(budget.max_line_bytes, budget.chunk_bytes);
        let (mut seen, mut batch, mut ended) = (Seen::default(), Vec::new(), false);
        loop {
            for framed in framer.by_ref() {
                match framed {
                    Framed::Chunk(chunk) => batch.push(chunk),
                    Framed::LongLine(piece) if piece.last => self.long_line(piece.line, &mut seen),
                    Framed::LongLine(_) => {}
                }
                if batch.len() > budget.threads {
                    self.collect_batch(at, &mut batch, reading, sum, &mut seen);
                }
            }
            if ended {
                break;
            }
            match content.read(framer.space(budget.chunk_bytes)) {
                // What is wrong with the file's end is the load's to tell: its lines so far were loaded.
                Ok(0) => ended = true,
                Err(error) if error.kind() != ErrorKind::Interrupted => ended = true,
                Err(_) => {}
                Ok(read) => framer.filled(read),
            }
            if ended {
                framer.finish();
            }
        }
        self.collect_batch(at, &mut batch, reading, sum, &mut seen);
        Ok(seen)
    }

    fn long_line(&self, line: u64, seen: &mut Seen) {
        seen.lines += 1;
        if self.rejected.binary_search(&line).is_ok() {
            seen.rejected += 1;
        } else {
            seen.too_long.push(line);
        }
    }

    fn collect_batch<C: Collect>(
        &self,
        at: usize,
        batch: &mut Vec<Chunk>,
        reading: Reading,
        sum: &mut C,
        seen: &mut Seen,
    ) {
        let kind = &*sum;
        let collected: Vec<(C, Seen)> = batch
            .par_drain(..)
            .map_init(TapeScratch::new, |scratch, chunk| {
                let (mut collector, mut seen) = (kind.empty(), Seen::default());
                for line in chunk.lines() {
                    seen.lines += 1;
                    if self.rejected.binary_search(&line.number()).is_ok() {
                        seen.rejected += 1;
                    } else if !line.is_blank() && self.is_resource(&line, reading.max_depth, scratch) {
                        seen.resources += 1;
                        collector.add(at, line.number(), &line, &mut |line| {
                            let cursor = TapeCursor::new(line, reading.max_depth, scratch);
                            let print = cursor.and_then(|mut cursor| fingerprint(line.number(), &mut cursor));
                            print.unwrap_or_else(|_| no_resource(line.number()))
                        });
                    }
                }
                (collector, seen)
            })
            .collect();
        for (collector, part) in collected {
            sum.merge(collector);
            seen.lines += part.lines;
            seen.resources += part.resources;
            seen.rejected += part.rejected;
        }
    }

    /// Whether the ledger has the line among the file's resources, by the kinds that it counts there.
    fn is_resource(&self, line: &Line<'_>, max_depth: u32, scratch: &mut TapeScratch) -> bool {
        let OutputFile { outcomes, deletions, headers, declared_type, .. } = &self.recorded;
        if *outcomes > 0 || *deletions > 0 {
            return false;
        }
        if *headers == 0 || declared_type.as_deref() == Some("Parameters") {
            return true;
        }
        let is_header = leading_resource_type(line).map(|name| name == "Parameters").unwrap_or_else(|| {
            TapeCursor::new(line, max_depth, scratch)
                .and_then(|mut cursor| resource_type(&mut cursor).map(|name| name == "Parameters"))
                .unwrap_or(false)
        });
        !is_header
    }
}
