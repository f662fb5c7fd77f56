//! Loads the NDJSON files of a FHIR bulk export into a Parquet lake.
//!
//! In go paths ([`LoadRequest`]); out come published parts per resource type, a quarantine and a run record that accounts
//! for every line ([`LoadSummary`]). A run is three steps that are separable: plan decides what is read and
//! under which name the run goes, work turns files into staged parts, commit makes them
//! visible together. Nothing here prints; what happens is told to an [`Observer`].

#![forbid(unsafe_code)]

mod request;
mod clock;
mod event;
mod summary;
mod error;
mod ledger;
mod load;
mod lake;

pub use clock::{Clock, SystemClock};
pub use error::{ErrorKind, LoadError};
pub use event::{Event, Observer, Progress, Silent, Warning};
pub use lake::{LakeSettings, RoundtripReport, Difference, VerifyFinding, VerifyReport, cat, roundtrip, runs, schemas, settings, verify};
pub use ledger::{OutputFile, PartRecord, RunRecord, RunStatus, TableRecord, Totals};
pub use load::load;
pub use request::{Engine, Input, Layout, LoadOptions, LoadRequest};
pub use summary::{LoadSummary, Problem, TableSummary};
