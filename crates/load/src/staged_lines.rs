//! Lines that are no rows, kept aside in the run's staging folder: rejects with their index, outcomes, deletions.
//!
//! In come lines from any worker; out come files that are durable once finished and move to their place with the commit.
//! A file exists from its first line on, so that a run without such lines leaves none.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use lakehaul_parse::Reject;
use lakehaul_write::store::{Store, StoreWrite};
use serde::Serialize;

use crate::LoadError;

/// How much of a line that was put aside is copied at a time.
const COPIED_BYTES: usize = 1 << 20;

/// A file of lines in staging.
pub(crate) struct StagedLines {
    store: Arc<dyn Store>,
    path: String,
    file: Mutex<Option<BufWriter<Box<dyn StoreWrite>>>>,
}

impl StagedLines {
    pub(crate) fn new(store: Arc<dyn Store>, path: String) -> StagedLines {
        StagedLines { store, path, file: Mutex::new(None) }
    }

    /// Appends a line and its LF.
    pub(crate) fn add(&self, line: &[u8]) -> Result<(), LoadError> {
        self.append(|file| {
            file.write_all(line)?;
            file.write_all(b"\n")
        })
    }

    fn append(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), LoadError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match &mut *file {
            Some(file) => write(file),
            none => self.store.create(&self.path).and_then(|created| write(none.insert(BufWriter::new(created)))),
        };
        written.map_err(|source| LoadError::destination("write", &self.path, source))
    }

    /// Makes the file durable; its path, if there was a line.
    pub(crate) fn finish(self) -> Result<Option<String>, LoadError> {
        let file = self.file.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file else { return Ok(None) };
        let finished = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(StoreWrite::finish);
        finished.map_err(|source| LoadError::destination("write", &self.path, source))?;
        Ok(Some(self.path))
    }
}

/// The run's rejects: an index, and the lines' bytes in the same order.
pub(crate) struct Quarantine {
    index: StagedLines,
    lines: StagedLines,
    /// Keeps both files in one order.
    order: Mutex<()>,
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

impl Quarantine {
    /// File names below the staging folder and, once published, below `_lake/quarantine/<run>`.
    pub(crate) const INDEX: &str = "index.ndjson";
    pub(crate) const LINES: &str = "lines.ndjson";

    pub(crate) fn new(store: &Arc<dyn Store>, folder: &str) -> Quarantine {
        Quarantine {
            index: StagedLines::new(Arc::clone(store), format!("{folder}/{}", Quarantine::INDEX)),
            lines: StagedLines::new(Arc::clone(store), format!("{folder}/{}", Quarantine::LINES)),
            order: Mutex::new(()),
        }
    }

    pub(crate) fn add(&self, which: RejectedLine<'_>, line: &[u8], reject: Reject) -> Result<(), LoadError> {
        let entry = entry(which, line.len() as u64, reject);
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        self.lines.add(line)?;
        self.index.add(&entry)
    }

    /// Adds a line that was put aside in `from`, and removes it there.
    pub(crate) fn add_from(
        &self,
        which: RejectedLine<'_>,
        from: &str,
        length: u64,
        reject: Reject,
    ) -> Result<(), LoadError> {
        let entry = entry(which, length, reject);
        let store = &self.lines.store;
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let aside = store.open(from).map_err(|source| LoadError::destination("read", from, source))?;
        self.lines.append(|file| {
            let mut offset = 0;
            while offset < length {
                let piece = aside.read_at(offset, (length - offset).min(COPIED_BYTES as u64) as usize)?;
                file.write_all(&piece)?;
                offset += piece.len() as u64;
            }
            file.write_all(b"\n")
        })?;
        store.remove(from).map_err(|source| LoadError::destination("remove", from, source))?;
        self.index.add(&entry)
    }

    /// Makes both files durable; the paths of index and lines, if there was a reject.
    pub(crate) fn finish(self) -> Result<Option<[String; 2]>, LoadError> {
        let (index, lines) = (self.index.finish()?, self.lines.finish()?);
        Ok(index.zip(lines).map(|(index, lines)| [index, lines]))
    }
}

fn entry(which: RejectedLine<'_>, length: u64, reject: Reject) -> Vec<u8> {
    let RejectedLine { output_file, line, offset } = which;
    let (reason, detail) = (reject.reason.code(), reject.to_string());
    let entry = IndexEntry { output_file, line, offset, length, reason, detail };
    serde_json::to_vec(&entry).expect("strings and numbers are always JSON")
}

#[cfg(test)]
mod tests {
    use lakehaul_parse::Reason;
    use lakehaul_write::store::LocalStore;

    use super::*;

    #[test]
    fn index_and_lines_are_in_one_order() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        let quarantine = Quarantine::new(&store, "staging");
        let which = |line, offset| RejectedLine { output_file: "a \"b\".ndjson", line, offset };
        quarantine.add(which(3, 17), b"not \xff JSON", Reject { reason: Reason::InvalidUtf8, at: 4 }).unwrap();
        let mut aside = store.create("staging/aside").unwrap();
        let long = vec![b'x'; 3 * COPIED_BYTES / 2];
        aside.write_all(&long).unwrap();
        aside.finish().unwrap();
        let reject = Reject { reason: Reason::TooLong, at: 7 };
        quarantine.add_from(which(4, 28), "staging/aside", long.len() as u64, reject).unwrap();
        let [index, lines] = quarantine.finish().unwrap().unwrap();

        let index = store.read(&index).unwrap();
        let index = std::str::from_utf8(&index).unwrap();
        let expected = [
            r#"{"output_file":"a \"b\".ndjson","line":3,"offset":17,"length":10,"reason":"invalid_utf8","detail":"not UTF-8 (at byte 4 of the line)"}"#,
            r#"{"output_file":"a \"b\".ndjson","line":4,"offset":28,"length":1572864,"reason":"too_long","detail":"the line is too long (at byte 7 of the line)"}"#,
        ];
        assert_eq!(index.lines().collect::<Vec<_>>(), expected);
        assert_eq!(store.read(&lines).unwrap(), [b"not \xff JSON\n", &long[..], b"\n"].concat());
        assert_eq!(store.list("staging").unwrap().len(), 2);
    }

    #[test]
    fn nothing_rejected_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        assert_eq!(Quarantine::new(&store, "staging").finish().unwrap(), None);
        assert_eq!(StagedLines::new(Arc::clone(&store), "lines".to_owned()).finish().unwrap(), None);
        assert_eq!(store.list("").unwrap(), []);
    }
}
