//! The journal read back: what counts of it, by file and by part.
//!
//! In go records in their order; out comes what an earlier process has left that can be believed. Here is only what the
//! records say; whether the parts are there is found out by who takes them up (see [`begun`](crate::begun)).

use std::collections::{BTreeMap, HashMap, HashSet};

use lakehaul_schema::{ElementTable, TableSchema};
use lakehaul_write::store::Store;
use lakehaul_write::{LaidDownPart, LaidDownRowGroup};

use super::keeper::footers_path;
use super::record::{Checkpoint, FileEnd, FileRecord, FooterPlace, LineRange, PartRecord, Record, TypeCounts, Version};
use crate::asides::Segment;
use crate::block_hash::{Blocks, Known, Prefix};
use crate::lines::LineCounts;

/// All records, and which of them count.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    attempts: usize,
    files: Vec<FileRecord>,
    parts: Vec<PartRecord>,
    checkpoints: Vec<Checkpoint>,
    forgotten: HashSet<usize>,
}

/// An output file that an earlier process has begun.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct BegunFile {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) plain: bool,
    /// What is done of it: in order, with something between them.
    pub(crate) ranges: Vec<LineRange>,
    pub(crate) counts: LineCounts,
    pub(crate) blocks: Blocks,
    /// As far as it was read.
    pub(crate) prefix: Option<Prefix>,
    pub(crate) end: Option<FileEnd>,
}

/// A stretch of a file that is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Its first byte, in the decompressed file.
    pub(crate) start: u64,
    /// None: to the file's end.
    pub(crate) end: Option<u64>,
    /// The number of its first line.
    pub(crate) line: u64,
}

impl Gap {
    /// All of a file.
    pub(crate) const WHOLE: Gap = Gap { start: 0, end: None, line: 1 };
}

impl BegunFile {
    /// What is known of its bytes.
    pub(crate) fn known(&self) -> Known {
        Known { blocks: self.blocks.clone(), prefix: self.prefix.clone() }
    }

    /// What is still to be done: always something, since only reading tells where the file ends.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut next = Gap::WHOLE;
        for range in &self.ranges {
            if range.start > next.start {
                gaps.push(Gap { end: Some(range.start), ..next });
            }
            next = Gap { start: range.end, end: None, line: range.line + range.lines };
        }
        gaps.push(next);
        gaps
    }

    /// Its end, if all of it is done.
    pub(crate) fn complete(&self) -> Option<&FileEnd> {
        let end = self.end.as_ref()?;
        let done = match self.ranges.as_slice() {
            [] => end.content_bytes == 0,
            [range] => range.start == 0 && range.end == end.content_bytes,
            _ => false,
        };
        done.then_some(end)
    }
}

impl Replay {
    /// The error says what makes no sense.
    pub(crate) fn of(records: Vec<Record>) -> Result<Replay, String> {
        let mut replay = Replay::default();
        for record in records {
            match record {
                Record::Attempt => replay.attempts += 1,
                Record::File(file) => replay.files.push(file),
                Record::Part(part) => replay.parts.push(part),
                Record::Checkpoint(checkpoint) => {
                    let files = checkpoint.files.iter().all(|progress| progress.file < replay.files.len());
                    let parts = checkpoint.row_groups.iter().map(|row_group| row_group.part);
                    let mut parts = parts.chain(checkpoint.closed.iter().map(|closed| closed.part));
                    if !files || parts.any(|part| part >= replay.parts.len()) {
                        return Err("a checkpoint names a file or a part that is not there".to_owned());
                    }
                    replay.checkpoints.push(checkpoint);
                }
                Record::Forgotten { checkpoints } => replay.forgotten.extend(checkpoints),
            }
        }
        Ok(replay)
    }

    /// How many processes have written.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts
    }

    /// From now on they do not count. The record that makes that last.
    pub(crate) fn forget(&mut self, checkpoints: Vec<usize>) -> Record {
        self.forgotten.extend(&checkpoints);
        Record::Forgotten { checkpoints }
    }

    fn counting(&self) -> impl Iterator<Item = (usize, &Checkpoint)> {
        self.checkpoints.iter().enumerate().filter(|(at, _)| !self.forgotten.contains(at))
    }

    /// The checkpoints that count and have lines of such files.
    pub(crate) fn with_files(&self, such: impl Fn(&FileRecord) -> bool) -> Vec<usize> {
        let has = |checkpoint: &Checkpoint| checkpoint.files.iter().any(|progress| such(&self.files[progress.file]));
        self.counting().filter(|(_, checkpoint)| has(checkpoint)).map(|(at, _)| at).collect()
    }

    /// The checkpoints that count and have row groups in this part.
    pub(crate) fn with_part(&self, path: &str) -> Vec<usize> {
        let has = |checkpoint: &Checkpoint| {
            checkpoint.row_groups.iter().any(|row_group| self.parts[row_group.part].path == path)
        };
        self.counting().filter(|(_, checkpoint)| has(checkpoint)).map(|(at, _)| at).collect()
    }

    /// The files that were begun, by key. The error: lines are said to be done twice.
    pub(crate) fn files(&self) -> Result<HashMap<String, BegunFile>, String> {
        let mut begun: HashMap<String, BegunFile> = HashMap::new();
        // Names stay, even those of files of which nothing counts: rows of theirs may come again.
        for file in &self.files {
            let known = begun.entry(file.key.clone()).or_default();
            known.name.clone_from(&file.name);
        }
        for (_, checkpoint) in self.counting() {
            for progress in &checkpoint.files {
                let file = &self.files[progress.file];
                let known = begun.entry(file.key.clone()).or_default();
                known.version.clone_from(&file.version);
                known.plain = file.plain;
                known.ranges.extend(&progress.ranges);
                known.counts.add(progress.counts);
                known.blocks.extend(&progress.blocks);
                let bytes = |prefix: &Option<Prefix>| prefix.as_ref().map_or(0, |prefix| prefix.bytes);
                if bytes(&progress.prefix) > bytes(&known.prefix) {
                    known.prefix.clone_from(&progress.prefix);
                }
                if progress.end.is_some() {
                    known.end.clone_from(&progress.end);
                }
            }
        }
        for file in begun.values_mut() {
            file.ranges = merged(std::mem::take(&mut file.ranges))
                .ok_or_else(|| format!("lines of {} are in two checkpoints", file.name))?;
        }
        Ok(begun)
    }

    /// Lines by type.
    pub(crate) fn types(&self) -> Vec<TypeCounts> {
        self.counting().flat_map(|(_, checkpoint)| checkpoint.types.iter().cloned()).collect()
    }

    /// Lines that are no rows.
    pub(crate) fn asides(&self) -> Vec<Segment> {
        self.counting().flat_map(|(_, checkpoint)| checkpoint.asides.iter().cloned()).collect()
    }

    /// Every file of the run's staging that is needed, but for the journal itself and what is beside it.
    pub(crate) fn needs(&self) -> HashSet<String> {
        let parts = self.counting().flat_map(|(_, checkpoint)| &checkpoint.row_groups);
        let parts = parts.map(|row_group| self.parts[row_group.part].path.clone());
        parts.chain(self.asides().into_iter().map(|segment| segment.path)).collect()
    }

    /// The parts of which something counts. Footers that cannot be read are left empty: such a part is no part.
    pub(crate) fn parts(&self, store: &dyn Store, run: &str) -> Result<Vec<LaidDownPart>, String> {
        let mut laid_down: BTreeMap<usize, LaidDownPart> = BTreeMap::new();
        let mut places: HashMap<usize, Vec<FooterPlace>> = HashMap::new();
        for (at, checkpoint) in self.checkpoints.iter().enumerate() {
            for row_group in &checkpoint.row_groups {
                let part = match laid_down.entry(row_group.part) {
                    std::collections::btree_map::Entry::Occupied(part) => part.into_mut(),
                    std::collections::btree_map::Entry::Vacant(none) => none.insert(self.part(row_group.part)?),
                };
                part.row_groups.push(LaidDownRowGroup {
                    rows: row_group.rows,
                    end: row_group.end,
                    blake3: row_group.blake3.clone(),
                    footer: Vec::new(),
                    beyond_caps: row_group.beyond_caps,
                    keep: !self.forgotten.contains(&at),
                });
                places.entry(row_group.part).or_default().push(row_group.footer.clone());
            }
            for closed in &checkpoint.closed {
                if let Some(part) = laid_down.get_mut(&closed.part) {
                    part.closed = Some((closed.bytes, closed.blake3.clone()));
                }
            }
        }
        laid_down.retain(|_, part| part.kept().next().is_some());
        for (number, part) in &mut laid_down {
            let whole = part.closed.is_some() && part.row_groups.iter().all(|row_group| row_group.keep);
            if !whole {
                for (row_group, place) in part.row_groups.iter_mut().zip(&places[number]) {
                    row_group.footer = footer(store, run, place).unwrap_or_default();
                }
            }
        }
        Ok(laid_down.into_values().collect())
    }

    fn part(&self, number: usize) -> Result<LaidDownPart, String> {
        let PartRecord { path, writer, resource_type, schema } = &self.parts[number];
        let schema = TableSchema::from_json(ElementTable::r4(), schema)
            .map_err(|error| format!("the schema of {resource_type} in it: {error}"))?;
        let (path, writer) = (path.clone(), writer.clone());
        Ok(LaidDownPart { path, writer, schema, row_groups: Vec::new(), closed: None })
    }
}

fn footer(store: &dyn Store, run: &str, place: &FooterPlace) -> Option<Vec<u8>> {
    let file = store.open(&footers_path(run, place.attempt)).ok()?;
    let bytes = file.read_at(place.offset, usize::try_from(place.length).ok()?).ok()?;
    (blake3::hash(&bytes).to_hex().as_str() == place.blake3).then(|| bytes.to_vec())
}

/// Ranges that follow each other as one. `None`: two of them overlap.
fn merged(mut ranges: Vec<LineRange>) -> Option<Vec<LineRange>> {
    ranges.sort_unstable();
    let mut merged: Vec<LineRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => return None,
            Some(last) if range.start == last.end => {
                last.end = range.end;
                last.lines += range.lines;
            }
            _ => merged.push(range),
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::FileProgress;

    fn range(start: u64, end: u64, line: u64, lines: u64) -> LineRange {
        LineRange { start, end, line, lines }
    }

    fn file(key: &str) -> Record {
        let (key, name) = (key.to_owned(), format!("{key}.ndjson"));
        Record::File(FileRecord { key, name, version: Version::Unknown, plain: true })
    }

    fn checkpoint(done: &[(usize, LineRange)]) -> Record {
        let progress = |&(file, range): &(usize, LineRange)| FileProgress {
            file,
            ranges: vec![range],
            counts: LineCounts { lines: range.lines, resources: range.lines, ..LineCounts::default() },
            ..FileProgress::default()
        };
        Record::Checkpoint(Checkpoint { files: done.iter().map(progress).collect(), ..Checkpoint::default() })
    }

    #[test]
    fn what_is_not_done_is_told() {
        let mut begun = BegunFile { ranges: vec![range(0, 10, 1, 2), range(20, 30, 4, 1)], ..BegunFile::default() };
        let gap = |start, end, line| Gap { start, end, line };
        assert_eq!(begun.gaps(), [gap(10, Some(20), 3), gap(30, None, 5)]);
        begun.end = Some(FileEnd {
            bytes: 30,
            blake3: String::new(),
            content_bytes: 30,
            unverified_length: false,
            stated_bytes: None,
        });
        assert!(begun.complete().is_none());
        begun.ranges = vec![range(0, 30, 1, 4)];
        assert!(begun.complete().is_some());
        assert_eq!(begun.gaps(), [gap(30, None, 5)]);
        assert_eq!(BegunFile::default().gaps(), [Gap::WHOLE]);
    }

    #[test]
    fn checkpoints_of_a_changed_file_count_no_more() {
        let records = vec![
            Record::Attempt,
            file("a"),
            file("b"),
            checkpoint(&[(0, range(0, 10, 1, 2))]),
            checkpoint(&[(0, range(10, 20, 3, 2)), (1, range(0, 5, 1, 1))]),
            Record::Attempt,
            file("a"),
            checkpoint(&[(2, range(30, 40, 7, 1))]),
        ];
        let mut replay = Replay::of(records.clone()).unwrap();
        assert_eq!(replay.attempts(), 2);
        let begun = replay.files().unwrap();
        assert_eq!(begun["a"].ranges, [range(0, 20, 1, 4), range(30, 40, 7, 1)]);
        assert_eq!(begun["a"].counts.lines, 5);
        let with_b = replay.with_files(|file| file.key == "b");
        assert_eq!(with_b, [1]);
        let forgotten = replay.forget(with_b);
        let begun = replay.files().unwrap();
        assert_eq!(begun["a"].ranges, [range(0, 10, 1, 2), range(30, 40, 7, 1)]);
        assert_eq!((begun["b"].ranges.as_slice(), begun["b"].name.as_str()), (&[][..], "b.ndjson"));

        // The next process reads the same; what it does again counts.
        let again = checkpoint(&[(1, range(0, 5, 1, 1))]);
        let replay = Replay::of([records.clone(), vec![forgotten, again]].concat()).unwrap();
        assert_eq!(replay.files().unwrap()["b"].ranges, [range(0, 5, 1, 1)]);
        let twice = Replay::of([records, vec![checkpoint(&[(0, range(8, 12, 2, 1))])]].concat()).unwrap();
        assert!(twice.files().unwrap_err().contains("a.ndjson"));
        assert!(Replay::of(vec![checkpoint(&[(0, range(0, 1, 1, 1))])]).is_err());
    }
}
