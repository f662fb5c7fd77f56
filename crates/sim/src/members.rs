//! Synthetic members of a health plan, as the NDJSON files of a payer's FHIR R4 export.
//!
//! In go [`MembersOptions`]: a seed, how many members, and what is to be unusual about the files. Out come files of
//! resources that refer to each other, and a [`Model`] of what a load of them has to come to. Each resource follows from
//! the seed, its type and its number alone, so any file can be generated without the others, in any order, and a
//! terabyte needs no more memory than a line. Never: I/O, a clock, state that two generators would share.
//!
//! Claims have the shape of the CARIN Blue Button guide, clinical resources roughly that of US Core. All people, places
//! and events are invented; codes are real or look so.
//!
//! ```
//! use lakehaul_sim::members::{Members, MembersOptions};
//!
//! let members = Members::new(MembersOptions { seed: 7, members: 20, ..MembersOptions::default() });
//! let (mut line, mut resources) = (Vec::new(), 0);
//! for (index, file) in members.files().iter().enumerate() {
//!     let mut lines = members.open(index);
//!     while lines.next_into(&mut line) {
//!         assert!(line.starts_with(b"{\"resourceType\":\"") && line.ends_with(b"}\n"));
//!         line.clear();
//!         resources += 1;
//!     }
//!     assert!(file.name.starts_with(file.resource_type));
//! }
//! assert_eq!(members.model().resources().values().sum::<u64>(), resources);
//! ```

mod options;
mod plan;
mod lines;
mod model;
mod damage;

mod world;
mod chance;
mod names;
mod codes;
mod calendar;

mod json;
mod draft;
mod datatypes;
mod resource;
mod patient;
mod coverage;
mod charges;
mod explanation_of_benefit;
mod claim;
mod encounter;
mod condition;
mod procedure;
mod observation;
mod medication_request;
mod providers;
mod asides;

use std::sync::Arc;

use jiff::Timestamp;

pub use self::damage::TOO_DEEP_LEVELS;
pub use self::lines::{GeneratedLines, GeneratedReader};
pub use self::model::{BadLine, FileModel, Model};
pub use self::options::{
    BadKind, BadLines, ByteOrderMark, FinalNewline, LateColumns, LineEnding, LongLine, MemberOrder, MembersOptions,
    ResourceType, Since, Split,
};
use self::plan::Plan;

/// The files of one export. Cheap to clone; the same options make the same bytes.
#[derive(Debug, Clone)]
pub struct Members {
    plan: Arc<Plan>,
}

/// A file, before it is generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// What a manifest declares: a type of the options, `Bundle` or `OperationOutcome`.
    pub resource_type: &'static str,
    /// In which of a manifest's lists it belongs.
    pub role: Role,
    /// Such as `Patient.0001.ndjson`; unique in the export.
    pub name: String,
    /// Lines that are resources: what a manifest gives as `count`.
    pub resources: u64,
    /// Lines that a loader has to reject.
    pub bad: u64,
    /// Lines of white space.
    pub blank: u64,
}

impl GeneratedFile {
    /// All lines.
    pub fn lines(&self) -> u64 {
        self.resources + self.bad + self.blank
    }
}

/// The lists of a manifest (Bulk Data Access 2.0.0, "Complete Status").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `output`: resources.
    Output,
    /// `deleted`: transaction Bundles whose entries are requests to delete.
    Deleted,
    /// `error`, later `outcome`: `OperationOutcome`s about the export.
    Outcome,
}

impl Members {
    /// Plans the files; takes time and memory by the number of files, not by their length.
    pub fn new(options: MembersOptions) -> Members {
        Members { plan: Arc::new(Plan::new(options)) }
    }

    /// The options, as they were given.
    pub fn options(&self) -> &MembersOptions {
        &self.plan.options
    }

    /// All files: types in the order of the options, then deletions, then outcomes.
    pub fn files(&self) -> &[GeneratedFile] {
        &self.plan.files
    }

    /// What a manifest gives as `transactionTime`: later than every `meta.lastUpdated`.
    pub fn transaction_time(&self) -> Timestamp {
        self.plan.transaction_time()
    }

    /// Begins to generate a file, by its place in [`files`](Members::files).
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn open(&self, file: usize) -> GeneratedLines {
        GeneratedLines::new(Arc::clone(&self.plan), file)
    }

    /// What is true of one file. Generates all of it.
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn file_model(&self, file: usize) -> FileModel {
        FileModel::of(&self.plan, file)
    }

    /// What is true of the export. Generates all of it, and holds nothing but the list of bad lines.
    pub fn model(&self) -> Model {
        Model { files: (0..self.files().len()).map(|file| self.file_model(file)).collect() }
    }
}
