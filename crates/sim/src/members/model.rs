//! What a load of the files has to come to, to the line and the cent.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lines::{GeneratedLines, LineKind, Piece};
use super::plan::Plan;
use super::{BadKind, Role};

/// The truth about an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// As [`Members::files`](super::Members::files) lists them.
    pub files: Vec<FileModel>,
}

/// The truth about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileModel {
    /// As [`GeneratedFile`](super::GeneratedFile) has it, as the next two.
    pub name: String,
    /// The declared type.
    pub resource_type: &'static str,
    /// In which of a manifest's lists it is.
    pub role: Role,
    /// Its length.
    pub bytes: u64,
    /// All lines: resources, bad ones and blank ones.
    pub lines: u64,
    /// Lines that are resources, of the declared type; Bundles and `OperationOutcome`s too.
    pub resources: u64,
    /// Lines of white space.
    pub blank: u64,
    /// In the order they stand in the file.
    pub bad: Vec<BadLine>,
    /// The sum of `ExplanationOfBenefit.payment.amount` over the resources, in cents.
    pub payment_cents: i64,
}

/// A line that is no resource, and is not blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    /// From 1; blank lines are counted.
    pub line: u64,
    /// Of its first byte in the file; a byte order mark is not part of the first line.
    pub offset: u64,
    /// In bytes, without the line's end.
    pub length: u64,
    /// What is wrong, and what a loader says of it ([`BadKind::reason`]).
    pub kind: BadKind,
}

impl Model {
    /// How many resources there are of each type that is exported.
    pub fn resources(&self) -> BTreeMap<&'static str, u64> {
        let mut resources = BTreeMap::new();
        for file in self.files.iter().filter(|file| file.role == Role::Output) {
            *resources.entry(file.resource_type).or_default() += file.resources;
        }
        resources
    }

    /// All bad lines, each with its file's name.
    pub fn bad_lines(&self) -> impl Iterator<Item = (&str, BadLine)> {
        self.files.iter().flat_map(|file| file.bad.iter().map(|bad| (file.name.as_str(), *bad)))
    }

    /// The sum of what was paid, in cents.
    pub fn payment_cents(&self) -> i64 {
        self.files.iter().map(|file| file.payment_cents).sum()
    }
}

impl FileModel {
    /// Generates the file to look at it; holds a line at a time.
    pub(crate) fn of(plan: &Arc<Plan>, file: usize) -> FileModel {
        let generated = &plan.files[file];
        let mut model = FileModel {
            name: generated.name.clone(),
            resource_type: generated.resource_type,
            role: generated.role,
            bytes: 0,
            lines: 0,
            resources: 0,
            blank: 0,
            bad: Vec::new(),
            payment_cents: 0,
        };
        let mut lines = GeneratedLines::new(Arc::clone(plan), file);
        let mut scratch = Vec::new();
        loop {
            scratch.clear();
            match lines.next_piece(&mut scratch) {
                Piece::Part => continue,
                Piece::End => break,
                Piece::Line => {}
            }
            let line = lines.line();
            model.lines += 1;
            match line.kind {
                LineKind::Resource { payment_cents } => {
                    model.resources += 1;
                    model.payment_cents += payment_cents;
                }
                LineKind::Aside => model.resources += 1,
                LineKind::Blank => model.blank += 1,
                LineKind::Bad(kind) => {
                    model.bad.push(BadLine { line: line.number, offset: line.offset, length: line.length, kind });
                }
            }
        }
        model.bytes = lines.bytes();
        model
    }
}
