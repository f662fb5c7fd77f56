//! Loads the NDJSON files of a FHIR bulk export into a Parquet lake.
//!
//! In go paths ([`LoadRequest`]); out come published parts per resource type, a quarantine and a run record that
//! accounts for every line ([`LoadSummary`]). A run is three steps that are separable: [`plan`] decides what is read
//! and under which name the run goes, [`work`] turns files into staged parts, [`commit`] makes them visible together.
//!
//! ```text
//! inputs, manifest → plan → [ content → front → (chunks) → lines → table sets, quarantine ] per worker → commit → ledger
//! ```
//!
//! The lake is looked at again by [`verify`], [`roundtrip`] and [`cat`]. Nothing here prints, exits or reads the
//! environment; what happens is told to an [`Observer`].

#![forbid(unsafe_code)]

mod request;
mod load;
mod plan;
mod inputs;
mod manifest;
mod budget;
mod work;
mod schedule;
mod front;
mod content;
mod lines;
mod staged_lines;
mod commit;
mod ledger;
mod journal;
mod lake;
mod cat;
mod verify;
mod roundtrip;
mod event;
mod summary;
mod clock;
mod error;

pub use cat::cat;
pub use clock::{Clock, SystemClock};
pub use commit::commit;
pub use error::{ErrorKind, LoadError};
pub use event::{Event, Observer, Progress, Silent, Warning};
pub use lake::{LakeSettings, runs, schemas, settings};
pub use ledger::{OutputFile, PartRecord, RunRecord, RunStatus, TableRecord, Totals};
pub use load::load;
pub use plan::{Plan, Planned, plan};
pub use request::{Engine, Input, Layout, LoadOptions, LoadRequest};
pub use roundtrip::{Difference, RoundtripReport, roundtrip};
pub use summary::{LoadSummary, Problem, TableSummary};
pub use verify::{VerifyFinding, VerifyReport, verify};
pub use work::{Worked, work};
