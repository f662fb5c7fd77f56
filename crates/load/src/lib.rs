//! Loads the NDJSON of a FHIR bulk export into a Parquet lake: from files, or from a server as it arrives; and what a
//! server's searches find.
//!
//! In go paths ([`LoadRequest`]) or what is asked of a server ([`ExportRequest`], [`SearchRequest`], [`MatchRequest`]); out
//! come published parts per resource type, a quarantine and a run record that accounts for every line ([`LoadSummary`]). A
//! run is three steps that are separable: [`plan`] decides what is read and under which name the run goes, [`work`] turns
//! files into staged parts, [`commit`] makes them visible together.
//!
//! ```text
//! inputs, manifest → plan → [ content → front → (chunks) → lines → table sets, quarantine ] per worker → commit → ledger
//! server → feed → (pipes) ────┘
//! ```
//!
//! The lake is looked at again by [`verify`], [`roundtrip`] and [`cat`], and kept in shape by [`compact`] and [`vacuum`]. Nothing here prints, exits or reads the
//! environment; what happens is told to an [`Observer`].

#![forbid(unsafe_code)]

mod request;
mod load;
mod export;
mod search;
mod member_match;
mod network;
mod plan;
mod inputs;
mod manifest;
mod budget;
mod begun;
mod work;
mod schedule;
mod bell;
mod pipe;
mod front;
mod large_lines;
mod hashing;
pub mod stores;
mod content;
mod block_hash;
mod lines;
mod deletions;
mod kept;
mod asides;
mod commit;
mod ledger;
mod journal;
mod lake;
mod current;
mod delta;
mod cat;
mod verify;
mod roundtrip;
mod compact;
mod vacuum;
mod event;
mod summary;
mod error;

pub use cat::cat;
pub use commit::commit;
pub use compact::{
    CompactRequest, CompactSummary, CompactedPart, CompactedTable, CompactionRecord, CompactionTotals, ReplacedPart,
    RowsOfRun, compact,
};
pub use error::{ErrorKind, LoadError};
pub use event::{Event, Observer, Progress, Silent, Warning};
pub use export::{AfterExport, ExportRequest, RawFiles, Since, cancel, export, unfinished};
pub use lake::{LakeSettings, compactions, held, runs, schemas, settings};
pub use lakehaul_fetch::{BoxFuture, Clock, SystemClock};
pub use lakehaul_schema::Format;
pub use ledger::{
    ExportRecord, OutputFile, PartRecord, RunRecord, RunStatus, SearchRecord, SearchedRecord, TableRecord, Totals,
};
pub use load::load;
pub use member_match::{
    Ask, GivenConsent, GroupRun, GroupSummary, MatchOutcome, MatchRequest, MatchSummary, Pace, Roster, WrongLines,
    match_members,
};
pub use plan::{Earlier, Plan, Planned, plan};
pub use request::{Engine, Input, Interrupt, Layout, LoadOptions, LoadRequest, StoreLayer};
pub use roundtrip::{Difference, RoundtripReport, roundtrip};
pub use search::{SearchRequest, search};
pub use summary::{LoadSummary, Problem, TableSummary};
pub use vacuum::{Stray, Vacuum, VacuumRequest, vacuum};
pub use verify::{VerifyFinding, VerifyReport, reject_reasons, verify};
pub use work::{Worked, work};
