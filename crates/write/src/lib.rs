//! Cursors over FHIR resources in, Parquet parts of a lake out; and parts back to resources.
//!
//! ```text
//! Cursor → shred (nodes, leaf columns) ┬→ row_group (levels, chunks) → part (a staged file) → widen (one schema) → FileReceipt
//!                                      └→ record_batch (Arrow arrays)                      part → rebuild (JSON text)
//!                                                                              published parts → joined (widen, regroup) → FileReceipt
//! ```
//!
//! What comes in: a [`lakehaul_parse::Cursor`] over one line, and its resource type. What goes out: parts that are
//! complete and durable under staging names. This crate never publishes a part, knows no run but its name, and starts
//! no thread: it encodes in the rayon pool that it is called in.

#![warn(missing_docs)]

pub mod store;
mod columns;
mod shred;
mod encode;
mod row_group;
mod parquet_schema;
mod part;
mod table_set;
mod run_tables;
mod widen;
mod restore;
mod regroup;
mod joined;
mod deleted_resources;
mod record_batch;
mod arrow_schema;
pub mod rebuild;
mod error;

pub use arrow_schema::arrow_schema;
pub use deleted_resources::{DeletedResources, JoinedDeletions};
pub use error::{AppendError, WriteError};
pub use joined::{JoinedPart, PartShape};
pub use record_batch::BatchBuilder;
pub use restore::{LaidDownPart, LaidDownRowGroup};
pub use run_tables::{FileReceipt, RunTables, TableNote, TableOptions};
pub use shred::Origin;
pub use table_set::{Saved, StagedPart, TableSet, WrittenRowGroup};
