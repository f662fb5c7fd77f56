//! The run record: `_lake/runs/<run>.json`, the ledger of a run, as the contract has it. Other programs read it.

use serde::{Deserialize, Serialize};

use crate::Problem;

/// How a run ended. Where several hold, the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Every line of every file is in a table or blank.
    Complete,
    /// Lines are in quarantine; all else is loaded.
    Rejected,
    /// The server says that something is missing, or counts do not agree.
    Partial,
    /// An input could not be read to its end.
    Unreadable,
}

/// The ledger of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its name; begins with the time at which it was first planned.
    pub run: String,
    /// The gravest of the problems.
    pub status: RunStatus,
    /// What was loaded, as it was named.
    pub source: String,
    /// The manifest's, if there was one.
    pub transaction_time: Option<String>,
    /// RFC 3339, when it was first planned.
    pub started: String,
    /// RFC 3339, when it was ready to be published.
    pub finished: String,
    /// Identifies the plan: the same inputs and row-affecting options have the same.
    pub plan: String,
    /// In the order of the inputs.
    pub output_files: Vec<OutputFile>,
    /// Sorted by type.
    pub tables: Vec<TableRecord>,
    /// The table of deletions, if the export reports any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_resources: Option<TableRecord>,
    /// What was asked of a server, and what it said. None: files were loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<ExportRecord>,
    /// What was searched for at a server, and what it said. Its pages are the output files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchRecord>,
    /// Sums of the above.
    pub totals: Totals,
    /// All that keeps the run from being complete.
    pub problems: Vec<Problem>,
}

/// One file's account. lines = resources + rejected + blank + outcomes + headers + deletions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Unique in the run; what `__output_file` and the quarantine call it.
    pub name: String,
    /// As the manifest has it.
    pub url: Option<String>,
    /// By the manifest, else by the file's name.
    pub declared_type: Option<String>,
    /// As it came.
    pub bytes: u64,
    /// Decompressed.
    pub content_bytes: u64,
    /// Of the bytes as they came.
    pub blake3: String,
    /// All lines.
    pub lines: u64,
    /// Lines that became rows.
    pub resources: u64,
    /// Lines of white space.
    pub blank: u64,
    /// Lines in quarantine.
    pub rejected: u64,
    /// Lines of a manifest's `error` and `outcome` files, and OperationOutcomes among what a search found.
    pub outcomes: u64,
    /// Parameters lines of organized output.
    pub headers: u64,
    /// Lines of a manifest's `deleted` files.
    pub deletions: u64,
    /// Resources of another type than the declared one; counted among the resources.
    pub other_type: u64,
    /// How many resources the manifest counts.
    pub declared_count: Option<u64>,
    /// The length that the server stated (`Content-Length`, `Content-Range`). None: it stated none, or it was no server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_bytes: Option<u64>,
    /// It came without any length or count: what was cut off at a line's end cannot be noticed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified_length: bool,
}

/// An export, as it was asked for and as the server accounts for it. No secret is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRecord {
    /// The server's kind, such as `oneup-provider`.
    pub kind: String,
    /// Identifies the export without its `_since`: runs that have the same follow each other.
    pub lineage: String,
    /// Its `_since`.
    pub since: Option<String>,
    /// The server's `resourceCount`.
    pub resource_count: Option<u64>,
    /// The server's batches that failed, and all of them.
    pub failed_batches: Option<u64>,
    /// See there.
    pub total_batches: Option<u64>,
}

/// Searches that were loaded together. Neither a parameter nor a patient's id is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchRecord {
    /// The server's kind, such as `oneup-patient`.
    pub kind: String,
    /// In the order in which they were asked for.
    pub searches: Vec<SearchedRecord>,
}

/// One search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchedRecord {
    /// The type, or `everything`.
    pub name: String,
    /// How many pages it has.
    pub pages: u64,
    /// Resources in them that the search matched; others came along.
    pub matches: u64,
    /// How many it matches by the server's `Bundle.total`.
    pub total: Option<u64>,
    /// Entries without a resource.
    #[serde(default)]
    pub empty_entries: u64,
    /// Why the server does not do this search at all: a clause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl SearchedRecord {
    /// What keeps the search from being complete.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let search = self.name.clone();
        match (&self.refused, self.total) {
            (Some(why), _) => Some(Problem::SearchRefused { search, why: why.clone() }),
            (None, Some(total)) if self.matches < total => {
                Some(Problem::FewerThanFound { search, total, resources: self.matches })
            }
            (None, _) => None,
        }
    }
}

/// One table's parts of this run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    /// The table's type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Of all parts.
    pub rows: u64,
    /// The parts.
    pub files: Vec<PartRecord>,
    /// The parts whose place they took, as far as this lake has written them. None: the rows were added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Vec<String>>,
    /// The version of the Delta table that has them. None: it is no Delta table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// One published part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Relative to the lake.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// The hash of its bytes, in hex.
    pub blake3: String,
}

/// Sums over the output files, and over the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Output files.
    pub files: u64,
    /// Of the files as they came.
    pub bytes: u64,
    /// Of the files, decompressed.
    pub content_bytes: u64,
    /// As in [`OutputFile`], and so are the next seven.
    pub lines: u64,
    /// Lines that became rows.
    pub resources: u64,
    /// Lines of white space.
    pub blank: u64,
    /// Lines in quarantine.
    pub rejected: u64,
    /// Lines of `error` and `outcome` files.
    pub outcomes: u64,
    /// Headers of organized output.
    pub headers: u64,
    /// Lines of `deleted` files.
    pub deletions: u64,
    /// Resources of another type than declared.
    pub other_type: u64,
    /// Tables that got rows.
    pub tables: u64,
    /// Of all tables; as many as there are resources.
    pub rows: u64,
    /// Parquet files.
    pub parts: u64,
    /// Their lengths together.
    pub part_bytes: u64,
}

impl OutputFile {
    /// All kinds of lines together.
    pub(crate) fn accounted(&self) -> u64 {
        sum([self.resources, self.rejected, self.blank, self.outcomes, self.headers, self.deletions])
    }
}

impl Totals {
    /// The sums. A record may be anybody's text: what is too large for a sum is the largest number.
    pub(crate) fn of(files: &[OutputFile], tables: &[TableRecord]) -> Totals {
        let of_files = |figure: fn(&OutputFile) -> u64| sum(files.iter().map(figure));
        let parts = || tables.iter().flat_map(|table| &table.files);
        Totals {
            files: files.len() as u64,
            bytes: of_files(|file| file.bytes),
            content_bytes: of_files(|file| file.content_bytes),
            lines: of_files(|file| file.lines),
            resources: of_files(|file| file.resources),
            blank: of_files(|file| file.blank),
            rejected: of_files(|file| file.rejected),
            outcomes: of_files(|file| file.outcomes),
            headers: of_files(|file| file.headers),
            deletions: of_files(|file| file.deletions),
            other_type: of_files(|file| file.other_type),
            tables: tables.iter().filter(|table| table.rows > 0).count() as u64,
            rows: sum(tables.iter().map(|table| table.rows)),
            parts: parts().count() as u64,
            part_bytes: sum(parts().map(|part| part.bytes)),
        }
    }

    /// All kinds of lines together.
    pub(crate) fn accounted(&self) -> u64 {
        sum([self.resources, self.rejected, self.blank, self.outcomes, self.headers, self.deletions])
    }
}

fn sum(figures: impl IntoIterator<Item = u64>) -> u64 {
    figures.into_iter().fold(0, u64::saturating_add)
}

/// The status that these problems make.
impl From<&[Problem]> for RunStatus {
    fn from(problems: &[Problem]) -> Self {
        let status = |problem: &Problem| match problem {
            Problem::Rejected { .. } => RunStatus::Rejected,
            Problem::FewerThanDeclared { .. }
            | Problem::Outcomes { .. }
            | Problem::Lost { .. }
            | Problem::FewerThanExported { .. }
            | Problem::FewerThanFound { .. }
            | Problem::SearchRefused { .. }
            | Problem::FailedBatches { .. } => RunStatus::Partial,
            Problem::Unreadable { .. } => RunStatus::Unreadable,
        };
        problems.iter().map(status).max().unwrap_or(RunStatus::Complete)
    }
}

const SERIALIZES: &str = "the lake's own files have string keys and no failing parts";

/// A file of the lake that people read too.
pub(crate) fn pretty<T: Serialize>(file: &T) -> String {
    let mut text = serde_json::to_string_pretty(file).expect(SERIALIZES);
    text.push('\n');
    text
}

/// A file of the lake that nobody else reads, and that is made while nothing else goes on.
pub(crate) fn terse<T: Serialize>(file: &T) -> String {
    serde_json::to_string(file).expect(SERIALIZES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RunRecord {
        let file = |name: &str| OutputFile {
            name: name.to_owned(),
            lines: 10,
            resources: 4,
            rejected: 2,
            blank: 1,
            outcomes: 1,
            headers: 1,
            deletions: 1,
            ..OutputFile::default()
        };
        let output_files = vec![file("a.ndjson"), file("b.ndjson")];
        let part = |rows| PartRecord { rows, bytes: 100, ..PartRecord::default() };
        let tables = vec![TableRecord {
            resource_type: "Patient".to_owned(),
            rows: 8,
            files: vec![part(5), part(3)],
            ..TableRecord::default()
        }];
        RunRecord {
            run: "20260101T000000Z-00000000".to_owned(),
            status: RunStatus::Rejected,
            source: "a.ndjson b.ndjson".to_owned(),
            transaction_time: None,
            started: String::new(),
            finished: String::new(),
            plan: String::new(),
            totals: Totals::of(&output_files, &tables),
            output_files,
            tables,
            deleted_resources: None,
            export: None,
            search: None,
            problems: vec![Problem::Rejected { lines: 4 }],
        }
    }

    #[test]
    fn a_record_is_read_back() {
        let text = pretty(&record());
        assert_eq!(serde_json::from_str::<RunRecord>(&text).unwrap(), record());
        for member in
            ["\"declared_count\": null", "\"type\": \"Patient\"", "\"status\": \"rejected\"", "\"kind\": \"rejected\""]
        {
            assert!(text.contains(member), "{member} in {text}");
        }
    }

    #[test]
    fn the_gravest_problem_is_the_status() {
        let rejected = Problem::Rejected { lines: 1 };
        let outcomes = Problem::Outcomes { lines: 1 };
        let unreadable = Problem::Unreadable { output_file: String::new(), why: String::new() };
        let status =
            |problems: &[&Problem]| RunStatus::from(problems.iter().copied().cloned().collect::<Vec<_>>().as_slice());
        assert_eq!(status(&[]), RunStatus::Complete);
        assert_eq!(status(&[&rejected]), RunStatus::Rejected);
        assert_eq!(status(&[&outcomes, &rejected]), RunStatus::Partial);
        assert_eq!(status(&[&outcomes, &unreadable, &rejected]), RunStatus::Unreadable);
    }
}
