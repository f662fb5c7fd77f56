//! Which lines of a run's output files have become something: each may be one row or one record of the quarantine, once.
//!
//! In come line numbers, from any thread and in any order; out come sentences. A line is a bit, in pages that exist where
//! lines were seen, so that memory follows the rows and not what a record claims.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{OutputFile, RunRecord};

/// 64 Ki lines in 8 KiB.
const PAGE_WORDS: usize = 1 << 10;
const PAGE_LINES: u64 = PAGE_WORDS as u64 * 64;

/// The lines of a run's output files.
pub(super) struct RunLines<'r> {
    files: Vec<FileLines<'r>>,
    by_name: HashMap<&'r str, usize>,
}

/// The lines of one output file.
pub(super) struct FileLines<'r> {
    pub(super) account: &'r OutputFile,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    pages: HashMap<u64, Box<[u64; PAGE_WORDS]>>,
    rows: Tally,
    rejected: Tally,
}

/// Lines that have become one kind of thing.
#[derive(Default)]
struct Tally {
    all: u64,
    /// Line numbers that the file does not have.
    outside: Doubt,
    /// Lines that had become something already.
    again: Doubt,
}

/// Lines that ought not to be.
#[derive(Default)]
struct Doubt {
    count: u64,
    /// The smallest number.
    first: Option<u64>,
}

impl<'r> RunLines<'r> {
    pub(super) fn of(record: &'r RunRecord) -> RunLines<'r> {
        let files = &record.output_files;
        RunLines {
            files: files.iter().map(|account| FileLines { account, seen: Mutex::default() }).collect(),
            by_name: files.iter().enumerate().map(|(at, file)| (file.name.as_str(), at)).collect(),
        }
    }

    pub(super) fn file(&self, name: &str) -> Option<&FileLines<'r>> {
        self.by_name.get(name).map(|&at| &self.files[at])
    }

    /// What the rows of each file are, against the ledger. Only of use once all of them were added.
    pub(super) fn check_rows(&self) -> Vec<String> {
        self.check(|seen| &seen.rows, ["row is", "rows are"], |file| file.resources, "resources")
    }

    /// The same of the quarantine, once rows were added and then all its records.
    pub(super) fn check_rejected(&self) -> Vec<String> {
        self.check(|seen| &seen.rejected, ["record is", "records are"], |file| file.rejected, "rejected lines")
    }

    fn check(
        &self,
        kind: fn(&Seen) -> &Tally,
        what: [&str; 2],
        told: fn(&OutputFile) -> u64,
        name: &str,
    ) -> Vec<String> {
        let mut sentences = Vec::new();
        for file in &self.files {
            let seen = file.seen();
            let Tally { all, outside, again } = kind(&seen);
            let told = told(file.account);
            let mut tell = |sentence: String| sentences.push(format!("{}: {sentence}", file.account.name));
            if *all != told {
                tell(format!("{} of it, the ledger says {told} {name}", counted(*all, what)));
            }
            if let Doubt { count, first: Some(first) } = outside {
                tell(format!("{} of a line that it does not have, such as {first}", counted(*count, what)));
            }
            if let Doubt { count, first: Some(first) } = again {
                tell(format!("{} of a line that is in the lake already, such as {first}", counted(*count, what)));
            }
        }
        sentences
    }
}

fn counted(count: u64, [one, many]: [&str; 2]) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl FileLines<'_> {
    /// Rows of these lines. Adding many at once is what makes it fast.
    pub(super) fn add_rows(&self, lines: impl IntoIterator<Item = u64>) {
        let seen = &mut *self.seen();
        for line in lines {
            seen.rows.add(line, self.account.lines, &mut seen.pages);
        }
    }

    /// A record of the quarantine.
    pub(super) fn add_rejected(&self, line: u64) {
        let seen = &mut *self.seen();
        seen.rejected.add(line, self.account.lines, &mut seen.pages);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn add(&mut self, line: u64, lines: u64, pages: &mut HashMap<u64, Box<[u64; PAGE_WORDS]>>) {
        self.all += 1;
        if line == 0 || line > lines {
            return self.outside.add(line);
        }
        let page = pages.entry(line / PAGE_LINES).or_insert_with(|| Box::new([0; PAGE_WORDS]));
        let (word, bit) = ((line % PAGE_LINES / 64) as usize, 1 << (line % 64));
        if page[word] & bit != 0 {
            return self.again.add(line);
        }
        page[word] |= bit;
    }
}

impl Doubt {
    fn add(&mut self, line: u64) {
        self.count += 1;
        self.first = Some(self.first.map_or(line, |first| first.min(line)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Totals;

    fn record(lines: u64, resources: u64, rejected: u64) -> RunRecord {
        let file = OutputFile { name: "a".to_owned(), lines, resources, rejected, ..OutputFile::default() };
        RunRecord {
            run: String::new(),
            status: crate::RunStatus::Complete,
            source: String::new(),
            transaction_time: None,
            started: String::new(),
            finished: String::new(),
            plan: String::new(),
            output_files: vec![file],
            tables: vec![],
            deleted_resources: None,
            export: None,
            search: None,
            totals: Totals::default(),
            problems: vec![],
        }
    }

    #[track_caller]
    fn check(lines: u64, rows: &[u64], rejected: &[u64], told: &[&str]) {
        let record = record(lines, rows.len() as u64, rejected.len() as u64);
        let seen = RunLines::of(&record);
        let file = seen.file("a").expect("the record names it");
        assert!(seen.file("b").is_none());
        file.add_rows(rows.iter().copied());
        rejected.iter().for_each(|&line| file.add_rejected(line));
        assert_eq!([seen.check_rows(), seen.check_rejected()].concat(), told);
    }

    #[test]
    fn a_line_is_one_thing_once() {
        let page = PAGE_LINES;
        check(3 * page, &[1, 2, 63, 64, 65, page - 1, page, page + 1, 3 * page], &[3, 2 * page], &[]);
        check(9, &[5, 3, 5, 3, 3], &[], &["a: 3 rows are of a line that is in the lake already, such as 3"]);
        check(9, &[0, 10, 11], &[], &["a: 3 rows are of a line that it does not have, such as 0"]);
        check(
            9,
            &[4],
            &[4, 5, 5, u64::MAX],
            &[
                "a: 1 record is of a line that it does not have, such as 18446744073709551615",
                "a: 2 records are of a line that is in the lake already, such as 4",
            ],
        );
    }

    #[test]
    fn the_ledger_counts_them() {
        let record = record(9, 2, 1);
        let seen = RunLines::of(&record);
        let told = [
            "a: 0 rows are of it, the ledger says 2 resources",
            "a: 0 records are of it, the ledger says 1 rejected lines",
        ];
        assert_eq!([seen.check_rows(), seen.check_rejected()].concat(), told);
    }
}
