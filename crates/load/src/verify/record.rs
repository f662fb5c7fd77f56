//! What a run record says, against itself: every figure in it that follows from others must be what they make.
//!
//! In goes a record, out come sentences, one for each figure that does not add up. A run whose record has any is not
//! published. The record may be anybody's text: no figure in it can make this panic or take memory.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lakehaul_write::DeletedResources;

use crate::{Layout, OutputFile, PartRecord, Problem, RunRecord, RunStatus, SearchedRecord, TableRecord, Totals};

/// Length of a BLAKE3 hash in hex.
const HASH_DIGITS: usize = 64;

/// Length of a plan's.
const PLAN_DIGITS: usize = 32;

impl RunRecord {
    /// Whether every figure agrees with the others. The error is the first of [`RunRecord::faults`].
    pub(crate) fn check(&self) -> Result<(), String> {
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }

    /// What in the record does not agree with itself: a sentence each. None: the account is sound.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.check_names(&mut faults);
        for file in &self.output_files {
            self.check_file(file, &mut faults);
        }
        for table in &self.tables {
            check_table(table, &folders(&table.resource_type), &self.run, &mut faults);
        }
        if let Some(table) = &self.deleted_resources {
            let name = DeletedResources::TABLE;
            check_table(table, &folders(name), &self.run, &mut faults);
            if table.resource_type != name || self.totals.deletions == 0 {
                faults.push(format!("it has a table {name} and no line that reports a deletion"));
            }
        }
        self.check_totals(&mut faults);
        self.check_searches(&mut faults);
        self.check_problems(&mut faults);
        faults
    }

    fn check_names(&self, faults: &mut Vec<String>) {
        // The run's name ends as the plan began under which it was begun; its files may have changed since.
        if self.plan.len() != PLAN_DIGITS || !self.plan.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            faults.push("its plan is no hash".to_owned());
        }
        for (what, time) in [("began", &self.started), ("was finished", &self.finished)] {
            if time.parse::<Timestamp>().is_err() {
                faults.push(format!("when it {what} is no time"));
            }
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = self.output_files.iter().find(|file| !names.insert(file.name.as_str())) {
            faults.push(format!("two output files are named {}", twice.name));
        }
        if names.contains("") {
            faults.push("an output file has no name".to_owned());
        }
        if !self.tables.is_sorted_by(|one, next| one.resource_type < next.resource_type) {
            faults.push("the tables are not sorted by type, each once".to_owned());
        }
        let mut paths = BTreeSet::new();
        let mut parts = self.tables.iter().chain(&self.deleted_resources).flat_map(|table| &table.files);
        if let Some(twice) = parts.find(|part| !paths.insert(part.path.as_str())) {
            faults.push(format!("it names {} twice", twice.path));
        }
    }

    fn check_file(&self, file: &OutputFile, faults: &mut Vec<String>) {
        let mut tell = |what: String| faults.push(format!("{}: {what}", file.name));
        let broken_off = self.problems.iter().any(
            |problem| matches!(problem, Problem::Lost { output_file, .. } | Problem::Unreadable { output_file, .. } if *output_file == file.name),
        );
        let accounted = file.accounted();
        if file.lines != accounted {
            tell(format!("it has {} lines, {accounted} are accounted for", file.lines));
        }
        if file.lines > file.content_bytes {
            tell(format!("it has {} lines in {} bytes", file.lines, file.content_bytes));
        }
        let roles = [file.resources.saturating_add(file.headers), file.outcomes, file.deletions];
        if roles.iter().filter(|&&lines| lines > 0).count() > 1 {
            tell("it has lines of files of more than one kind: resources, outcomes, deletions".to_owned());
        }
        if file.other_type > file.resources {
            tell(format!("{} of its {} resources are of another type", file.other_type, file.resources));
        }
        if file.other_type > 0 && file.declared_type.is_none() {
            tell("resources are of another type, and none is declared".to_owned());
        }
        match file.stated_bytes {
            Some(stated) if file.bytes > stated || (file.bytes < stated && !broken_off) => {
                tell(format!("{} bytes came, the server stated {stated}", file.bytes));
            }
            _ => {}
        }
        if file.unverified_length && (file.stated_bytes.is_some() || file.declared_count.is_some()) {
            tell("its length is called unverified, and there is a figure to verify it by".to_owned());
        }
        // Of what could not be read at all, nothing is known.
        let unknown = file.blake3.is_empty() && file.bytes == 0 && broken_off;
        if !is_hash(&file.blake3) && !unknown {
            tell("it has no hash".to_owned());
        }
    }

    fn check_totals(&self, faults: &mut Vec<String>) {
        let sums = Totals::of(&self.output_files, &self.tables);
        for (name, told, sum) in pairs(&self.totals, &sums) {
            if told != sum {
                faults.push(format!("the totals say {told} {name}, the sum is {sum}"));
            }
        }
        let Totals { lines, resources, rows, .. } = sums;
        let accounted = sums.accounted();
        if lines != accounted {
            faults.push(format!("the files have {lines} lines together, {accounted} are accounted for"));
        }
        if rows != resources {
            faults.push(format!("{resources} resources came, the tables have {rows} rows"));
        }
    }

    /// The pages of each search are the output files, and have what the search is said to have found.
    fn check_searches(&self, faults: &mut Vec<String>) {
        let mut names = BTreeSet::new();
        for search in self.search.iter().flat_map(|search| &search.searches) {
            let SearchedRecord { name, pages, matches, .. } = search;
            if !names.insert(name) {
                faults.push(format!("it has two searches for {name}"));
            }
            let of_search = |file: &&OutputFile| {
                let number = file.name.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('-'));
                number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
            };
            let files: Vec<_> = self.output_files.iter().filter(of_search).collect();
            if files.len() as u64 != *pages {
                let there = files.len();
                faults.push(format!("the search for {name} has {pages} pages, {there} are among its output files"));
            }
            let lines = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.lines));
            if lines < *matches {
                faults.push(format!("the search for {name} matched {matches} resources, its pages have {lines} lines"));
            }
        }
    }

    /// The problems that follow from the figures are there, and no others of their kinds.
    fn check_problems(&self, faults: &mut Vec<String>) {
        let expected = self.expected_problems();
        let derived: Vec<&Problem> =
            self.problems.iter().filter(|problem| broken_off_file(problem).is_none()).collect();
        faults.extend(
            expected
                .iter()
                .filter(|problem| !derived.contains(problem))
                .map(|problem| format!("by its figures it has the problem, and does not say so: {problem}")),
        );
        faults.extend(
            derived
                .iter()
                .filter(|problem| !expected.contains(problem))
                .map(|problem| format!("by its figures it does not have the problem: {problem}")),
        );
        if derived.len() > expected.len() && derived.iter().all(|problem| expected.contains(problem)) {
            faults.push("it tells a problem twice".to_owned());
        }
        let mut names = BTreeSet::new();
        for name in self.problems.iter().filter_map(broken_off_file) {
            if !self.output_files.iter().any(|file| file.name == name) {
                faults.push(format!("it has a problem with {name}, which is none of its output files"));
            } else if !names.insert(name) {
                faults.push(format!("it tells twice that {name} did not come whole"));
            }
        }
        let status = RunStatus::from(self.problems.as_slice());
        if self.status != status {
            faults.push(format!("its status is {:?}, its problems make it {status:?}", self.status).to_lowercase());
        }
    }

    /// What the figures alone make of the run.
    fn expected_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for file in &self.output_files {
            // A file has lines of one of these kinds only.
            let resources = file.resources.saturating_add(file.outcomes).saturating_add(file.deletions);
            if let Some(declared) = file.declared_count
                && resources.saturating_add(file.rejected) < declared
            {
                problems.push(Problem::FewerThanDeclared { output_file: file.name.clone(), declared, resources });
            }
        }
        let Totals { resources, rejected, outcomes, .. } = self.totals;
        if let Some(export) = &self.export {
            if let Some(exported) = export.resource_count
                && resources.saturating_add(rejected) < exported
            {
                problems.push(Problem::FewerThanExported { exported, resources });
            }
            if let Some(failed @ 1..) = export.failed_batches {
                problems.push(Problem::FailedBatches { failed, total: export.total_batches.unwrap_or(failed) });
            }
        }
        if let Some(search) = &self.search {
            problems.extend(search.searches.iter().filter_map(SearchedRecord::problem));
        }
        if outcomes > 0 {
            problems.push(Problem::Outcomes { lines: outcomes });
        }
        if rejected > 0 {
            problems.push(Problem::Rejected { lines: rejected });
        }
        problems
    }
}

/// The file of a problem that no figure shows.
fn broken_off_file(problem: &Problem) -> Option<&str> {
    match problem {
        Problem::Lost { output_file, .. } | Problem::Unreadable { output_file, .. } => Some(output_file),
        Problem::Rejected { .. }
        | Problem::FewerThanDeclared { .. }
        | Problem::Outcomes { .. }
        | Problem::FewerThanExported { .. }
        | Problem::FewerThanFound { .. }
        | Problem::SearchRefused { .. }
        | Problem::FailedBatches { .. } => None,
    }
}

fn check_table(table: &TableRecord, folders: &[String], run: &str, faults: &mut Vec<String>) {
    let rows = table.files.iter().fold(0_u64, |sum, part| sum.saturating_add(part.rows));
    let name = &table.resource_type;
    if rows != table.rows {
        faults.push(format!("{name} has {} rows, its parts have {rows}", table.rows));
    }
    // One that only became empty has none.
    if table.files.is_empty() && table.replaced.is_none() {
        faults.push(format!("{name} has no part"));
    }
    for PartRecord { path, rows, bytes, blake3 } in &table.files {
        let file = folders.iter().find_map(|folder| path.strip_prefix(folder)?.strip_prefix('/'));
        let placed = file.is_some_and(|file| file.ends_with(".parquet") && !file.contains('/') && file.contains(run));
        if !placed {
            faults.push(format!("{path} is not where a part of {name} of this run would be"));
        }
        if *rows == 0 || *bytes == 0 || !is_hash(blake3) {
            faults.push(format!("{path} lacks rows, length or hash"));
        }
    }
}

/// Where a table's parts may be.
fn folders(resource_type: &str) -> [String; 2] {
    [Layout::Plain, Layout::Hive].map(|layout| layout.folder(resource_type))
}

fn is_hash(text: &str) -> bool {
    text.len() == HASH_DIGITS && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// Each total with its name, of two accounts.
fn pairs<'t>(one: &'t Totals, other: &'t Totals) -> impl Iterator<Item = (&'static str, u64, u64)> {
    let figures = |totals: &Totals| {
        [
            ("files", totals.files),
            ("bytes", totals.bytes),
            ("bytes of content", totals.content_bytes),
            ("lines", totals.lines),
            ("resources", totals.resources),
            ("blank lines", totals.blank),
            ("rejected lines", totals.rejected),
            ("outcomes", totals.outcomes),
            ("headers", totals.headers),
            ("deletions", totals.deletions),
            ("resources of another type", totals.other_type),
            ("tables", totals.tables),
            ("rows", totals.rows),
            ("parts", totals.parts),
            ("bytes of parts", totals.part_bytes),
        ]
    };
    figures(one).into_iter().zip(figures(other)).map(|((name, told), (_, sum))| (name, told, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExportRecord;

    /// Four files: data twice, outcomes, deletions; two tables and the table of deletions.
    fn record() -> RunRecord {
        let hash = || "0".repeat(HASH_DIGITS);
        let file = |name: &str| OutputFile {
            name: name.to_owned(),
            declared_type: Some("Patient".to_owned()),
            bytes: 500,
            content_bytes: 500,
            stated_bytes: Some(500),
            blake3: hash(),
            ..OutputFile::default()
        };
        let data = |name: &str| OutputFile {
            lines: 8,
            resources: 4,
            rejected: 2,
            blank: 1,
            headers: 1,
            other_type: 1,
            declared_count: Some(6),
            ..file(name)
        };
        let output_files = vec![
            data("a.ndjson"),
            OutputFile { declared_count: Some(7), ..data("b.ndjson") },
            OutputFile { lines: 3, outcomes: 2, blank: 1, ..file("error.ndjson") },
            OutputFile { lines: 2, deletions: 2, ..file("deleted.ndjson") },
        ];
        let run = "20260101T000000Z-0123abcd";
        let part = |folder: &str, at: u32, rows| PartRecord {
            path: format!("{folder}/part-{run}-{at:05}.parquet"),
            rows,
            bytes: 100,
            blake3: hash(),
        };
        let table = |name: &str, files: Vec<PartRecord>| TableRecord {
            resource_type: name.to_owned(),
            rows: files.iter().map(|part| part.rows).sum(),
            files,
            ..TableRecord::default()
        };
        let tables = vec![
            table("Claim", vec![part("Claim", 0, 2)]),
            table("Patient", vec![part("resource_type=Patient", 0, 5), part("Patient", 1, 1)]),
        ];
        let problems = vec![
            Problem::Lost { output_file: "b.ndjson".into(), why: "410".into() },
            Problem::FewerThanDeclared { output_file: "b.ndjson".into(), declared: 7, resources: 4 },
            Problem::FewerThanExported { exported: 20, resources: 8 },
            Problem::FailedBatches { failed: 1, total: 6 },
            Problem::Outcomes { lines: 2 },
            Problem::Rejected { lines: 4 },
        ];
        RunRecord {
            run: run.to_owned(),
            status: RunStatus::Partial,
            source: "smart payer.example.com".to_owned(),
            transaction_time: None,
            started: "2026-01-01T00:00:00Z".to_owned(),
            finished: "2026-01-01T00:00:09.5Z".to_owned(),
            plan: "0123abcd".repeat(4),
            totals: Totals::of(&output_files, &tables),
            output_files,
            tables,
            deleted_resources: Some(table("deleted_resources", vec![part("deleted_resources", 0, 9)])),
            search: None,
            export: Some(ExportRecord {
                resource_count: Some(20),
                failed_batches: Some(1),
                total_batches: Some(6),
                ..ExportRecord::default()
            }),
            problems,
        }
    }

    #[track_caller]
    fn check(spoil: impl FnOnce(&mut RunRecord), told: &[&str]) {
        let mut record = record();
        spoil(&mut record);
        assert_eq!(record.faults(), told);
        assert_eq!(record.check().err().as_deref(), told.first().copied());
    }

    /// Spoils a file, and makes the totals fit again.
    #[track_caller]
    fn check_file(spoil: impl FnOnce(&mut OutputFile), told: &[&str]) {
        check(
            |record| {
                spoil(&mut record.output_files[0]);
                record.totals = Totals::of(&record.output_files, &record.tables);
            },
            told,
        );
    }

    #[test]
    fn a_sound_record_has_no_fault() {
        check(|_| {}, &[]);
        // What was lost may be shorter than it was stated to be.
        check(|record| record.output_files[1].stated_bytes = Some(501), &[]);
        check(|record| record.output_files[0].stated_bytes = None, &[]);
    }

    #[test]
    fn a_files_figures_are_checked() {
        let lost = "the files have 22 lines together, 21 are accounted for";
        check_file(|file| file.lines += 1, &["a.ndjson: it has 9 lines, 8 are accounted for", lost]);
        let told =
            ["a.ndjson: it has 8 lines, 7 are accounted for", "the files have 21 lines together, 20 are accounted for"];
        for spoil in [|file: &mut OutputFile| file.blank -= 1, |file: &mut OutputFile| file.headers -= 1] {
            check_file(spoil, &told);
        }
        check_file(|file| file.content_bytes = 7, &["a.ndjson: it has 8 lines in 7 bytes"]);
        check_file(|file| file.other_type = 5, &["a.ndjson: 5 of its 4 resources are of another type"]);
        check_file(
            |file| file.declared_type = None,
            &["a.ndjson: resources are of another type, and none is declared"],
        );
        check_file(|file| file.bytes = 499, &["a.ndjson: 499 bytes came, the server stated 500"]);
        check_file(|file| file.bytes = 501, &["a.ndjson: 501 bytes came, the server stated 500"]);
        check_file(
            |file| file.unverified_length = true,
            &["a.ndjson: its length is called unverified, and there is a figure to verify it by"],
        );
        check_file(|file| file.blake3.clear(), &["a.ndjson: it has no hash"]);
        check_file(|file| file.blake3.replace_range(..1, "G"), &["a.ndjson: it has no hash"]);
        check_file(
            |file| (file.blank, file.deletions) = (0, 1),
            &["a.ndjson: it has lines of files of more than one kind: resources, outcomes, deletions"],
        );
        check(
            |record| record.output_files[1].stated_bytes = Some(499),
            &["b.ndjson: 500 bytes came, the server stated 499"],
        );
    }

    #[test]
    fn no_figure_is_too_large() {
        check_file(
            |file| (file.lines, file.resources, file.blank) = (u64::MAX, u64::MAX, u64::MAX),
            &[
                "a.ndjson: it has 18446744073709551615 lines in 500 bytes",
                "18446744073709551615 resources came, the tables have 8 rows",
                "by its figures it does not have the problem: 8 resources came where the server counts 20 in the export",
            ],
        );
        check(
            |record| record.tables[0].files[0].rows = u64::MAX,
            &["Claim has 2 rows, its parts have 18446744073709551615"],
        );
    }

    #[test]
    fn names_and_times_are_checked() {
        check(|record| record.plan.clear(), &["its plan is no hash"]);
        check(|record| record.plan.insert(0, '1'), &["its plan is no hash"]);
        check(|record| record.started.clear(), &["when it began is no time"]);
        check(|record| record.finished = "soon".to_owned(), &["when it was finished is no time"]);
        check(|record| record.output_files[2].name = "a.ndjson".to_owned(), &["two output files are named a.ndjson"]);
        check(|record| record.output_files[2].name.clear(), &["an output file has no name"]);
        check(|record| record.tables.reverse(), &["the tables are not sorted by type, each once"]);
        check(
            |record| {
                let twice = record.tables[1].files[0].path.clone();
                record.tables[1].files[1].path = twice;
            },
            &["it names resource_type=Patient/part-20260101T000000Z-0123abcd-00000.parquet twice"],
        );
    }

    #[test]
    fn tables_are_checked() {
        check(
            |record| record.tables[0].rows = 3,
            &[
                "Claim has 3 rows, its parts have 2",
                "the totals say 8 rows, the sum is 9",
                "8 resources came, the tables have 9 rows",
            ],
        );
        check(|record| record.tables[0].files[0].rows = 3, &["Claim has 2 rows, its parts have 3"]);
        check(
            |record| record.deleted_resources.as_mut().expect("there is one").rows = 8,
            &["deleted_resources has 8 rows, its parts have 9"],
        );
        check(
            |record| record.deleted_resources.as_mut().expect("there is one").resource_type = "Claim".to_owned(),
            &["it has a table deleted_resources and no line that reports a deletion"],
        );
        for path in ["x.parquet", "Patient/part.parquet", "Claim/../part-20260101T000000Z-0123abcd.parquet"] {
            check(
                |record| record.tables[0].files[0].path = path.to_owned(),
                &[&format!("{path} is not where a part of Claim of this run would be")],
            );
        }
        let lacks = "Claim/part-20260101T000000Z-0123abcd-00000.parquet lacks rows, length or hash";
        check(|record| record.tables[0].files[0].blake3.clear(), &[lacks]);
        check(
            |record| record.tables[0].files[0].bytes = 0,
            &[lacks, "the totals say 300 bytes of parts, the sum is 200"],
        );
    }

    #[test]
    fn totals_are_sums() {
        for name in
            ["bytes", "content_bytes", "resources", "blank", "rejected", "headers", "other_type", "tables", "parts"]
        {
            let mut value = serde_json::to_value(record()).expect("a record is JSON");
            value["totals"][name] = (value["totals"][name].as_u64().expect("a figure") + 1).into();
            let record: RunRecord = serde_json::from_value(value).expect("a record");
            let faults = record.faults();
            assert!(faults.iter().any(|fault| fault.starts_with("the totals say ")), "{name}: {faults:?}");
        }
    }

    #[test]
    fn problems_are_where_the_figures_have_them() {
        for at in 1..6 {
            let mut record = record();
            let gone = record.problems.remove(at);
            let told = format!("by its figures it has the problem, and does not say so: {gone}");
            assert_eq!(record.faults(), [told.as_str()], "{gone}");
        }
        check(
            |record| record.problems[5] = Problem::Rejected { lines: 3 },
            &[
                "by its figures it has the problem, and does not say so: 4 lines were rejected into quarantine",
                "by its figures it does not have the problem: 3 lines were rejected into quarantine",
            ],
        );
        check(|record| record.problems.push(Problem::Rejected { lines: 4 }), &["it tells a problem twice"]);
        let lost = |name: &str| Problem::Lost { output_file: name.to_owned(), why: "404".to_owned() };
        check(
            |record| record.problems.push(lost("c.ndjson")),
            &["it has a problem with c.ndjson, which is none of its output files"],
        );
        check(|record| record.problems.push(lost("b.ndjson")), &["it tells twice that b.ndjson did not come whole"]);
        check(|record| record.status = RunStatus::Rejected, &["its status is rejected, its problems make it partial"]);
        check(
            |record| record.export.as_mut().expect("there is one").total_batches = Some(0),
            &[
                "by its figures it has the problem, and does not say so: the server failed 1 of the export's 0 batches",
                "by its figures it does not have the problem: the server failed 1 of the export's 6 batches",
            ],
        );
    }
}
