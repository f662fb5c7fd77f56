//! The lake's side: rows rebuilt from the parts that have some of the runs that are compared.

use std::collections::HashMap;

use lakehaul_parse::{Chunk, DirectCursor, Scratch};
use rayon::prelude::*;

use crate::LoadError;
use crate::cat::{open_part, unread};
use crate::lake::Lake;

use super::fingerprint::{fingerprint, no_resource};
use super::sums::Collect;

/// Rows are put together until they have this many bytes: a cursor needs padding behind its line, and this copies it
/// once.
const BATCH_BYTES: usize = 1 << 20;

/// A source file's number by its run and name.
pub(super) type FileNumbers<'a> = HashMap<(&'a str, &'a str), usize>;

/// Gives every row that came from one of the files to collectors of this kind, and returns these together.
pub(super) fn collect_rows<C: Collect>(
    lake: &Lake,
    parts: &[&str],
    files: &FileNumbers<'_>,
    max_depth: u32,
    kind: &C,
) -> Result<C, LoadError> {
    let collected = parts.par_iter().map(|path| {
        let collector = kind.empty();
        let mut rows = Batch { texts: Vec::new(), lines: Vec::new(), collector, scratch: Scratch::new(), max_depth };
        let mut last: Option<(String, String, Option<usize>)> = None;
        open_part(lake, path)?
            .for_each_row(&mut |row| {
                let number = match &last {
                    Some((run, name, number)) if name == row.output_file && run == row.run => *number,
                    _ => {
                        let number = files.get(&(row.run, row.output_file)).copied();
                        last = Some((row.run.to_owned(), row.output_file.to_owned(), number));
                        number
                    }
                };
                if let Some(number) = number {
                    rows.add(number, row.line, row.json);
                }
                Ok(())
            })
            .map_err(|error| unread(error, path))?;
        rows.collect();
        Ok(rows.collector)
    });
    collected.try_reduce(
        || kind.empty(),
        |mut sum, part| {
            sum.merge(part);
            Ok(sum)
        },
    )
}

/// Rows on their way to a collector.
struct Batch<C> {
    texts: Vec<u8>,
    /// File and line of each text.
    lines: Vec<(usize, u64)>,
    collector: C,
    scratch: Scratch,
    max_depth: u32,
}

impl<C: Collect> Batch<C> {
    fn add(&mut self, file: usize, line: u64, json: &[u8]) {
        self.texts.extend_from_slice(json);
        self.texts.push(b'\n');
        self.lines.push((file, line));
        if self.texts.len() >= BATCH_BYTES {
            self.collect();
        }
    }

    fn collect(&mut self) {
        let chunk = Chunk::copy_of(&self.texts);
        for (line, &(file, number)) in chunk.lines().zip(&self.lines) {
            self.collector.add(file, number, &line, &mut |line| {
                let cursor = DirectCursor::new(line, self.max_depth, &mut self.scratch);
                let print = cursor.and_then(|mut cursor| fingerprint(number, &mut cursor));
                // Unlike the source's, so that it is told.
                print.unwrap_or_else(|_| !no_resource(number))
            });
        }
        self.texts.clear();
        self.texts.shrink_to(2 * BATCH_BYTES);
        self.lines.clear();
    }
}
