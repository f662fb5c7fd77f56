//! A run's quarantine against its record: the index's figures, and the lines' bytes by their lengths.
//!
//! Both files are read once, from start to end; of a line's content nothing is told, nor looked at but where it ends.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use lakehaul_parse::Reason;
use serde::Deserialize;

use super::VerifyFinding;
use super::fault::Fault;
use super::lines::RunLines;
use super::stored::Stored;
use crate::asides::Asides;
use crate::lake::Lake;
use crate::{LoadError, RunRecord};

/// No record of an index is longer: a name, some figures, a sentence.
const RECORD_BYTES: u64 = 64 << 10;

/// A record of the index, but for its `detail`.
#[derive(Debug, Deserialize)]
pub(super) struct Entry<'t> {
    #[serde(borrow)]
    pub(super) output_file: Cow<'t, str>,
    pub(super) line: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
    #[serde(borrow)]
    pub(super) reason: Cow<'t, str>,
}

/// Where a run's index and lines are.
pub(super) fn paths(run: &str) -> [String; 2] {
    [Asides::INDEX, Asides::LINES].map(|name| format!("_lake/quarantine/{run}/{name}"))
}

/// Checks the quarantine and adds its lines to `lines`, which has those of the rows.
pub(super) fn check(lake: &Lake, record: &RunRecord, lines: &RunLines<'_>) -> Result<Vec<VerifyFinding>, LoadError> {
    let told = record.totals.rejected;
    // Files that nobody names are looked for elsewhere.
    if told == 0 {
        return Ok(Vec::new());
    }
    let [index_path, lines_path] = paths(&record.run);
    let finding = |path: &str, what: String| VerifyFinding { path: path.to_owned(), what };
    let index = match Stored::open(&*lake.store, &index_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(vec![finding(&index_path, format!("it is missing, the ledger says {told} rejected lines"))]);
        }
        index => index,
    };
    let mut tally = Tally::default();
    let bytes = Stored::open(&*lake.store, &lines_path);
    let mut ends = bytes.as_ref().ok().map(Ends::of);
    let read = index.and_then(|index| {
        for_each_entry(&mut index.reader(), |entry| {
            tally.add(entry, lines);
            ends.as_mut().map_or(Ok(()), |ends| ends.add(entry.length))
        })
    });
    let mut findings = Vec::new();
    if let Err(error) = read {
        // The rest of the index is unknown: what is missing by it is no finding of its own.
        return Fault::from(error).at(&index_path).map(|finding| vec![finding]);
    }
    findings.extend(tally.sentences(told).into_iter().map(|what| finding(&index_path, what)));
    findings.extend(lines.check_rejected().into_iter().map(|what| finding(&index_path, what)));
    match (bytes, ends) {
        (Ok(bytes), Some(ends)) => {
            findings.extend(ends.sentences(bytes.len_bytes()).into_iter().map(|what| finding(&lines_path, what)));
        }
        (Err(error), _) => findings.push(Fault::from(error).at(&lines_path)?),
        (Ok(_), None) => {}
    }
    Ok(findings)
}

/// How often each reason is in a run's quarantine; nothing, if it has none. No content of a line is looked at.
pub fn reject_reasons(lake: &str, run: &str) -> Result<BTreeMap<String, u64>, LoadError> {
    let lake = Lake::open_to_read(lake)?;
    let mut reasons = BTreeMap::new();
    for_each_rejected(&lake, run, |entry| {
        match reasons.get_mut(entry.reason.as_ref()) {
            Some(count) => *count += 1,
            None => drop(reasons.insert(entry.reason.clone().into_owned(), 1)),
        }
        Ok(())
    })?;
    Ok(reasons)
}

/// Reads a run's index; nothing, if it has none.
pub(super) fn for_each_rejected(
    lake: &Lake,
    run: &str,
    each: impl FnMut(&Entry<'_>) -> io::Result<()>,
) -> Result<(), LoadError> {
    let [path, _] = paths(run);
    let index = match Stored::open(&*lake.store, &path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        index => index,
    };
    let read = index.and_then(|index| for_each_entry(&mut index.reader(), each));
    read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => LoadError::LakeDamaged { path, why: error.to_string() },
        _ => LoadError::LakeUnreadable { path, source: error },
    })
}

/// What is no record is [`io::ErrorKind::InvalidData`], with the line's number.
fn for_each_entry(index: &mut impl BufRead, mut each: impl FnMut(&Entry<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut text = Vec::new();
    for number in 1_u64.. {
        text.clear();
        if index.by_ref().take(RECORD_BYTES).read_until(b'\n', &mut text)? == 0 {
            break;
        }
        let entry = text.strip_suffix(b"\n").and_then(|text| serde_json::from_slice(text).ok());
        let no_entry = || io::Error::new(io::ErrorKind::InvalidData, format!("line {number} is no index record"));
        each(&entry.ok_or_else(no_entry)?)?;
    }
    Ok(())
}

/// What the index's records are, against the run's files.
#[derive(Default)]
struct Tally {
    all: u64,
    of_no_file: u64,
    of_no_reason: u64,
    /// Behind the file's end, or where so many lines cannot come before.
    misplaced: u64,
}

impl Tally {
    fn add(&mut self, entry: &Entry<'_>, lines: &RunLines<'_>) {
        self.all += 1;
        self.of_no_reason += u64::from(!Reason::ALL.iter().any(|reason| reason.code() == entry.reason));
        let Some(file) = lines.file(&entry.output_file) else {
            self.of_no_file += 1;
            return;
        };
        file.add_rejected(entry.line);
        let ends_inside = entry.offset.checked_add(entry.length).is_some_and(|end| end <= file.account.content_bytes);
        // Each line before it has at least its LF.
        self.misplaced += u64::from(!ends_inside || entry.offset < entry.line.saturating_sub(1));
    }

    fn sentences(&self, told: u64) -> Vec<String> {
        let Tally { all, of_no_file, of_no_reason, misplaced } = *self;
        let mut sentences = Vec::new();
        if all != told {
            sentences.push(format!("it has {all} records, the ledger says {told}"));
        }
        for (count, what) in [
            (of_no_file, "of an output file that the run does not have"),
            (of_no_reason, "of a reason that there is not"),
            (misplaced, "of a place that their output file does not have"),
        ] {
            if count > 0 {
                let are = if count == 1 { "is" } else { "are" };
                sentences.push(format!("{count} of its records {are} {what}"));
            }
        }
        sentences
    }
}

/// Where the rejected lines end, by their lengths: each with one LF.
struct Ends {
    file: Stored,
    offset: u64,
    /// Bytes from `window_offset` on.
    window: bytes::Bytes,
    window_offset: u64,
    wrong: u64,
}

impl Ends {
    /// Small records lie close together.
    const WINDOW_BYTES: u64 = 1 << 16;

    fn of(file: &Stored) -> Ends {
        Ends { file: file.clone(), offset: 0, window: bytes::Bytes::new(), window_offset: 0, wrong: 0 }
    }

    fn add(&mut self, length: u64) -> io::Result<()> {
        let end = self.offset.saturating_add(length);
        self.offset = end.saturating_add(1);
        // What is behind the file's end is told by the length alone.
        if end < self.file.len_bytes() && self.byte(end)? != b'\n' {
            self.wrong += 1;
        }
        Ok(())
    }

    fn byte(&mut self, at: u64) -> io::Result<u8> {
        let inside =
            |window: &bytes::Bytes, from: u64| at.checked_sub(from).and_then(|at| window.get(at as usize).copied());
        if let Some(byte) = inside(&self.window, self.window_offset) {
            return Ok(byte);
        }
        let len = (self.file.len_bytes() - at).min(Self::WINDOW_BYTES);
        (self.window, self.window_offset) = (self.file.read_at(at, len as usize)?, at);
        inside(&self.window, at).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn sentences(&self, bytes: u64) -> Vec<String> {
        let mut sentences = Vec::new();
        if bytes != self.offset {
            sentences.push(format!("it has {bytes} bytes, its index says {}", self.offset));
        }
        if self.wrong > 0 {
            let do_not = if self.wrong == 1 { "does not" } else { "do not" };
            sentences.push(format!("{} of its lines {do_not} end where its index says", self.wrong));
        }
        sentences
    }
}
