//! Lines that are no rows, kept aside in the run's staging folder: rejects with their index, outcomes, deletions.
//!
//! In come one worker's lines; out come segments of its files, which are durable once a checkpoint has them. When all is
//! read, the segments that count become the files that move to their place with the commit. A file exists from its first
//! line on, so that a run without such lines leaves none.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use lakehaul_parse::Reject;
use lakehaul_write::DeletedResources;
use lakehaul_write::store::{Store, StoreSync, StoreWrite};
use serde::{Deserialize, Serialize};

use crate::LoadError;

/// How much of a file is copied at a time.
const COPIED_BYTES: usize = 1 << 20;

/// Deletions that become rows at a time.
const DELETED_ROWS: usize = 8 << 10;

/// A kind of line that is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Which lines are rejected.
    Index,
    /// Their bytes, in the same order.
    Rejects,
    /// Lines of `error` and `outcome` files.
    Outcomes,
    /// Lines of `deleted` files as they came.
    Deletions,
    /// What they say: a [`Deleted`] a line.
    Deleted,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Index, Kind::Rejects, Kind::Outcomes, Kind::Deletions, Kind::Deleted];

    fn name(self) -> &'static str {
        match self {
            Kind::Index => "index",
            Kind::Rejects => "rejects",
            Kind::Outcomes => "outcomes",
            Kind::Deletions => "deletions",
            Kind::Deleted => "deleted",
        }
    }
}

/// Whole lines of a worker's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) kind: Kind,
    pub(crate) path: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// What makes files durable.
pub(crate) type Syncs = Vec<Box<dyn StoreSync>>;

/// One worker's files.
pub(crate) struct Asides {
    store: Arc<dyn Store>,
    folder: String,
    writer: String,
    files: [Option<AsideFile>; 5],
}

struct AsideFile {
    path: String,
    file: BufWriter<Box<dyn StoreWrite>>,
    bytes: u64,
    /// Of them, those that are in a segment.
    saved: u64,
}

/// Which line is rejected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RejectedLine<'a> {
    pub(crate) output_file: &'a str,
    /// From 1.
    pub(crate) line: u64,
    /// In the decompressed file.
    pub(crate) offset: u64,
}

/// A line of `index.ndjson`.
#[derive(Serialize)]
struct IndexEntry<'a> {
    output_file: &'a str,
    line: u64,
    offset: u64,
    length: u64,
    reason: &'static str,
    detail: String,
}

/// One deletion.
#[derive(Serialize, Deserialize)]
struct Deleted {
    resource_type: String,
    id: String,
    transaction_time: Option<String>,
}

impl Asides {
    /// File names of a quarantine, once published below `_lake/quarantine/<run>`.
    pub(crate) const INDEX: &str = "index.ndjson";
    pub(crate) const LINES: &str = "lines.ndjson";

    /// Where workers' files are, below a staging folder.
    pub(crate) const FOLDER: &str = "aside";

    /// `folder`: staging. `writer`: no other worker has this name, nor has one had it before.
    pub(crate) fn new(store: Arc<dyn Store>, folder: &str, writer: &str) -> Asides {
        let folder = format!("{folder}/{}", Asides::FOLDER);
        Asides { store, folder, writer: writer.to_owned(), files: Default::default() }
    }

    /// Adds a rejected line.
    pub(crate) fn reject(&mut self, which: RejectedLine<'_>, line: &[u8], reject: Reject) -> Result<(), LoadError> {
        self.add(Kind::Rejects, line)?;
        self.add(Kind::Index, &entry(which, line.len() as u64, reject))
    }

    /// Adds a rejected line that was put aside in `from`, and removes it there.
    pub(crate) fn reject_from(
        &mut self,
        which: RejectedLine<'_>,
        from: &str,
        length: u64,
        reject: Reject,
    ) -> Result<(), LoadError> {
        let store = Arc::clone(&self.store);
        self.append(Kind::Rejects, length + 1, |file| {
            copy(&*store, from, 0, length, file)?;
            file.write_all(b"\n")
        })?;
        store.remove(from).map_err(|source| LoadError::destination("remove", from, source))?;
        self.add(Kind::Index, &entry(which, length, reject))
    }

    /// Adds a line of an `error` or `outcome` file.
    pub(crate) fn outcome(&mut self, line: &[u8]) -> Result<(), LoadError> {
        self.add(Kind::Outcomes, line)
    }

    /// Adds a line of a `deleted` file, and what it says: types and ids.
    pub(crate) fn deletion(
        &mut self,
        line: &[u8],
        deleted: Vec<(String, String)>,
        transaction_time: Option<&str>,
    ) -> Result<(), LoadError> {
        self.add(Kind::Deletions, line)?;
        for (resource_type, id) in deleted {
            let deleted = Deleted { resource_type, id, transaction_time: transaction_time.map(str::to_owned) };
            self.add(Kind::Deleted, &json(&deleted))?;
        }
        Ok(())
    }

    /// What has been added since the last time, and what makes it durable.
    pub(crate) fn save(&mut self) -> Result<(Vec<Segment>, Syncs), LoadError> {
        let (mut segments, mut syncs) = (Vec::new(), Vec::new());
        for (kind, file) in Kind::ALL.into_iter().zip(&mut self.files) {
            let Some(file) = file.as_mut().filter(|file| file.bytes > file.saved) else { continue };
            let flushed = file.file.flush().and_then(|()| file.file.get_ref().syncer());
            syncs.push(flushed.map_err(|source| LoadError::destination("write", &file.path, source))?);
            segments.push(Segment { kind, path: file.path.clone(), from: file.saved, to: file.bytes });
            file.saved = file.bytes;
        }
        Ok((segments, syncs))
    }

    /// Appends a line and its LF.
    fn add(&mut self, kind: Kind, line: &[u8]) -> Result<(), LoadError> {
        self.append(kind, line.len() as u64 + 1, |file| {
            file.write_all(line)?;
            file.write_all(b"\n")
        })
    }

    fn append(
        &mut self,
        kind: Kind,
        bytes: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), LoadError> {
        let file = match &mut self.files[kind as usize] {
            Some(file) => file,
            none => {
                let path = format!("{}/{}-{}", self.folder, kind.name(), self.writer);
                let created = self.store.create(&path).map_err(|e| LoadError::destination("make", &path, e))?;
                none.insert(AsideFile { path, file: BufWriter::new(created), bytes: 0, saved: 0 })
            }
        };
        write(&mut file.file).map_err(|source| LoadError::destination("write", &file.path, source))?;
        file.bytes += bytes;
        Ok(())
    }
}

fn entry(which: RejectedLine<'_>, length: u64, reject: Reject) -> Vec<u8> {
    let RejectedLine { output_file, line, offset } = which;
    let (reason, detail) = (reject.reason.code(), reject.to_string());
    json(&IndexEntry { output_file, line, offset, length, reason, detail })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers are always JSON")
}

/// Copies a stretch of a file of the store.
fn copy(store: &dyn Store, from: &str, start: u64, end: u64, to: &mut dyn Write) -> io::Result<()> {
    let file = store.open(from)?;
    let mut offset = start;
    while offset < end {
        let piece = file.read_at(offset, (end - offset).min(COPIED_BYTES as u64) as usize)?;
        to.write_all(&piece)?;
        offset += piece.len() as u64;
    }
    Ok(())
}

/// Makes one durable file of the segments of a kind, in their order: `name` in the staging folder `folder`. Its path, if
/// there is any.
pub(crate) fn assemble(
    store: &dyn Store,
    folder: &str,
    name: &str,
    segments: &[Segment],
    kind: Kind,
) -> Result<Option<String>, LoadError> {
    let segments: Vec<&Segment> = segments.iter().filter(|segment| segment.kind == kind).collect();
    if segments.is_empty() {
        return Ok(None);
    }
    // The segments stay: a process that takes the run up makes the same of them.
    let path = format!("{folder}/{name}");
    let written = store.create(&path).and_then(|file| {
        let mut file = BufWriter::new(file);
        for segment in segments {
            copy(store, &segment.path, segment.from, segment.to, &mut file)?;
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
    });
    written.map_err(|source| LoadError::destination("write", &path, source))?;
    Ok(Some(path))
}

/// Makes rows of the deletions in the segments.
pub(crate) fn tabulate_deleted(
    store: &dyn Store,
    segments: &[Segment],
    table: &DeletedResources,
) -> Result<(), LoadError> {
    for segment in segments.iter().filter(|segment| segment.kind == Kind::Deleted) {
        let mut rows = Rows { table, rest: Vec::new(), pending: Vec::new(), transaction_time: None, failure: None };
        let copied = copy(store, &segment.path, segment.from, segment.to, &mut rows);
        rows.flush_rows();
        if let Some(failure) = rows.failure {
            return Err(failure);
        }
        copied.map_err(|source| LoadError::destination("read", &segment.path, source))?;
    }
    Ok(())
}

/// Takes [`Deleted`] lines in any split.
struct Rows<'t> {
    table: &'t DeletedResources,
    rest: Vec<u8>,
    pending: Vec<(String, String)>,
    /// Of the pending ones.
    transaction_time: Option<String>,
    failure: Option<LoadError>,
}

impl Rows<'_> {
    fn flush_rows(&mut self) {
        let added = self.table.add(std::mem::take(&mut self.pending), self.transaction_time.as_deref());
        if let Err(error) = added {
            self.failure.get_or_insert(error.into());
        }
    }
}

impl Write for Rows<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let whole = memchr::memrchr(b'\n', &self.rest).map_or(0, |feed| feed + 1);
        let after = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, after);
        for deleted in serde_json::Deserializer::from_slice(&lines).into_iter::<Deleted>() {
            let Deleted { resource_type, id, transaction_time } = deleted?;
            if self.transaction_time != transaction_time || self.pending.len() >= DELETED_ROWS {
                self.flush_rows();
                self.transaction_time = transaction_time;
            }
            self.pending.push((resource_type, id));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lakehaul_parse::Reason;
    use lakehaul_write::store::LocalStore;

    use super::*;

    fn store() -> (tempfile::TempDir, Arc<dyn Store>) {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        (folder, store)
    }

    #[test]
    fn index_and_lines_are_in_one_order() {
        let (_folder, store) = store();
        let mut asides = Asides::new(Arc::clone(&store), "staging", "w0");
        let which = |line, offset| RejectedLine { output_file: "a \"b\".ndjson", line, offset };
        asides.reject(which(3, 17), b"not \xff JSON", Reject { reason: Reason::InvalidUtf8, at: 4 }).unwrap();
        let (mut segments, _) = asides.save().unwrap();
        let mut aside = store.create("staging/long").unwrap();
        let long = vec![b'x'; 3 * COPIED_BYTES / 2];
        aside.write_all(&long).unwrap();
        aside.finish().unwrap();
        let reject = Reject { reason: Reason::TooLong, at: 7 };
        asides.reject_from(which(4, 28), "staging/long", long.len() as u64, reject).unwrap();
        let (more, syncs) = asides.save().unwrap();
        assert_eq!((segments.len(), more.len(), syncs.len()), (2, 2, 2));
        // Another worker's come behind.
        let mut other = Asides::new(Arc::clone(&store), "staging", "w1");
        other.reject(which(9, 99), b"x", reject).unwrap();
        segments.extend(more);
        segments.extend(other.save().unwrap().0);
        assert!(asides.save().unwrap().0.is_empty());

        let assemble = |name, kind| {
            let path = assemble(&*store, "staging", name, &segments, kind).unwrap().unwrap();
            store.read(&path).unwrap()
        };
        let index = assemble(Asides::INDEX, Kind::Index);
        let expected = [
            r#"{"output_file":"a \"b\".ndjson","line":3,"offset":17,"length":10,"reason":"invalid_utf8","detail":"not UTF-8 (at byte 4 of the line)"}"#,
            r#"{"output_file":"a \"b\".ndjson","line":4,"offset":28,"length":1572864,"reason":"too_long","detail":"the line is too long (at byte 7 of the line)"}"#,
            r#"{"output_file":"a \"b\".ndjson","line":9,"offset":99,"length":1,"reason":"too_long","detail":"the line is too long (at byte 7 of the line)"}"#,
        ];
        assert_eq!(std::str::from_utf8(&index).unwrap().lines().collect::<Vec<_>>(), expected);
        assert_eq!(assemble(Asides::LINES, Kind::Rejects), [b"not \xff JSON\n", &long[..], b"\nx\n"].concat());
    }

    #[test]
    fn a_segment_that_does_not_count_leaves_no_trace() {
        let (_folder, store) = store();
        let mut asides = Asides::new(Arc::clone(&store), "staging", "w0");
        let mut segments = Vec::new();
        for line in ["one", "two", "three"] {
            asides.outcome(line.as_bytes()).unwrap();
            segments.extend(asides.save().unwrap().0);
        }
        segments.remove(1);
        let path = assemble(&*store, "staging", "outcomes.ndjson", &segments, Kind::Outcomes).unwrap().unwrap();
        assert_eq!(store.read(&path).unwrap(), &b"one\nthree\n"[..]);
        assert_eq!(assemble(&*store, "staging", "x", &segments, Kind::Index).unwrap(), None);
    }

    #[test]
    fn deletions_become_rows() {
        let (_folder, store) = store();
        let mut asides = Asides::new(Arc::clone(&store), "staging", "w0");
        let many = (0..DELETED_ROWS + 3).map(|n| ("Patient".to_owned(), n.to_string())).collect();
        asides.deletion(b"{}", many, Some("t")).unwrap();
        asides.deletion(b"{}", vec![("Claim".to_owned(), "c".to_owned())], None).unwrap();
        let (segments, _) = asides.save().unwrap();
        let table = DeletedResources::new(Arc::clone(&store), "deleted.parquet".to_owned(), "run".to_owned());
        tabulate_deleted(&*store, &segments, &table).unwrap();
        assert_eq!(table.finish().unwrap().unwrap().rows, DELETED_ROWS as u64 + 4);
    }

    #[test]
    fn nothing_aside_leaves_nothing() {
        let (_folder, store) = store();
        assert!(Asides::new(Arc::clone(&store), "staging", "w0").save().unwrap().0.is_empty());
        assert_eq!(store.list("").unwrap(), []);
    }
}
