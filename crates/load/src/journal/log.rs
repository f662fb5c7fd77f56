//! The journal's file: `_lake/staging/<run>/journal`, a record a line, each with its checksum.
//!
//! In go records, out come those that are whole. A tail that a death has torn is recognised by its checksum and cut;
//! nothing behind it counts. The first line names the form and its version: another version is not understood, and told.

use std::io::{self, Write};

use lakehaul_write::store::{Store, StoreSync, StoreWrite};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::Record;
use super::staging;
use crate::LoadError;
use crate::lake::Lake;

/// The first line.
const HEAD: &str = "lakehaul journal ";
const VERSION: &str = "1";

/// Hexadecimal digits of a record's checksum: the beginning of its BLAKE3.
const CHECKSUM_DIGITS: usize = 16;

/// The journal's path.
pub(crate) fn path(run: &str) -> String {
    format!("{}/journal", staging(run))
}

/// The whole records of a run's journal, and how many bytes they take. A run without a journal has none.
pub(crate) fn read(lake: &Lake, run: &str) -> Result<(Vec<Record>, u64), LoadError> {
    read_at(lake, &path(run))
}

/// The same of any file in this form.
pub(crate) fn read_at<R: DeserializeOwned>(lake: &Lake, path: &str) -> Result<(Vec<R>, u64), LoadError> {
    let bytes = match lake.private.read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        read => read.map_err(|source| LoadError::LakeUnreadable { path: path.to_owned(), source })?,
    };
    parse(&bytes).map_err(|why| LoadError::LakeDamaged { path: path.to_owned(), why })
}

fn parse<R: DeserializeOwned>(bytes: &[u8]) -> Result<(Vec<R>, u64), String> {
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let Some(head) = lines.next().filter(|head| head.ends_with(b"\n")) else { return Ok((Vec::new(), 0)) };
    let Some(version) = head.strip_prefix(HEAD.as_bytes()) else { return Err("it is no journal".to_owned()) };
    if version != format!("{VERSION}\n").as_bytes() {
        let version = String::from_utf8_lossy(version.trim_ascii());
        return Err(format!("it has version {version}, this program knows {VERSION}"));
    }
    let mut whole = head.len();
    let mut records = Vec::new();
    for line in lines {
        let Some(record) = record(line) else { break };
        records.push(record);
        whole += line.len();
    }
    Ok((records, whole as u64))
}

/// The record of a line that is whole.
fn record<R: DeserializeOwned>(line: &[u8]) -> Option<R> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, text) = line.split_at_checked(CHECKSUM_DIGITS)?;
    let text = text.strip_prefix(b" ")?;
    (sum == checksum(text).as_bytes()).then(|| serde_json::from_slice(text).ok())?
}

fn checksum(text: &[u8]) -> String {
    blake3::hash(text).to_hex()[..CHECKSUM_DIGITS].to_owned()
}

/// A journal that is written.
pub(crate) struct Log {
    path: String,
    file: Box<dyn StoreWrite>,
    syncer: Box<dyn StoreSync>,
    bytes: u64,
}

impl Log {
    /// Goes on behind the first `whole` bytes; begins the file if there are none. `store`: nobody else may read it.
    pub(crate) fn open(store: &dyn Store, run: &str, whole: u64) -> Result<Log, LoadError> {
        Log::open_at(store, path(run), whole)
    }

    /// The same of any file in this form.
    pub(crate) fn open_at(store: &dyn Store, path: String, whole: u64) -> Result<Log, LoadError> {
        let head = format!("{HEAD}{VERSION}\n");
        let bytes = if whole == 0 { head.len() as u64 } else { whole };
        let opened = if whole == 0 {
            store.create(&path).and_then(|mut file| {
                file.write_all(head.as_bytes())?;
                Ok(file)
            })
        } else {
            store.extend(&path, whole)
        };
        let opened = opened.and_then(|file| Ok((file.syncer()?, file)));
        let (syncer, file) = opened.map_err(|source| LoadError::destination("open", &path, source))?;
        Ok(Log { path, file, syncer, bytes })
    }

    /// Adds records; durable when this returns.
    pub(crate) fn add<R: Serialize>(&mut self, records: &[R]) -> Result<(), LoadError> {
        let mut text = Vec::new();
        for record in records {
            let json = serde_json::to_vec(record).expect("records have only text keys");
            text.extend_from_slice(checksum(&json).as_bytes());
            text.push(b' ');
            text.extend_from_slice(&json);
            text.push(b'\n');
        }
        let written = self.file.write_all(&text).and_then(|()| self.file.flush()).and_then(|()| self.syncer.sync());
        self.bytes += text.len() as u64;
        written.map_err(|source| LoadError::destination("write", &self.path, source))
    }

    /// How long it is by now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lakehaul_write::store::LocalStore;

    use super::*;

    fn written() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        let mut log = Log::open(&*store, "r", 0).unwrap();
        log.add(&[Record::Attempt, Record::Forgotten { checkpoints: vec![1] }]).unwrap();
        drop(log);
        let whole = store.read(&path("r")).unwrap().len() as u64;
        let mut log = Log::open(&*store, "r", whole).unwrap();
        log.add(&[Record::Attempt]).unwrap();
        store.read(&path("r")).unwrap().to_vec()
    }

    #[test]
    fn a_torn_tail_is_cut_wherever_it_is_torn() {
        let bytes = written();
        let ends: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
        assert_eq!(ends.len(), 4);
        for cut in 0..=bytes.len() {
            let whole = ends.iter().rev().find(|&&end| end <= cut).copied().unwrap_or(0);
            let count = ends.iter().filter(|&&end| end <= cut).count().saturating_sub(1);
            let (records, bytes_whole) = parse::<Record>(&bytes[..cut]).unwrap();
            assert_eq!((records.len(), bytes_whole), (count, whole as u64), "cut at {cut}");
        }
    }

    #[test]
    fn a_record_that_is_not_as_it_was_ends_the_journal() {
        let bytes = written();
        let head = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for at in head..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(parse::<Record>(&damaged).unwrap().0.len() < 3, "byte {at}");
        }
    }

    #[test]
    fn another_version_is_told() {
        let why = parse::<Record>(b"lakehaul journal 2\nwhatever\n").unwrap_err();
        assert_eq!(why, "it has version 2, this program knows 1");
        assert!(parse::<Record>(b"something else\n").is_err());
        assert_eq!(parse::<Record>(b"").unwrap(), (Vec::new(), 0));
        assert_eq!(parse::<Record>(b"lakehaul jou").unwrap(), (Vec::new(), 0));
    }
}
