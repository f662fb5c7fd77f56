//! `lakehaul compact` and `lakehaul vacuum` as meant.

use lakehaul_load::{CompactRequest, LoadOptions, VacuumRequest};

use super::lake;
use crate::args::{CompactArgs, VacuumArgs};
use crate::failure::Failure;

/// A look for strays, and what becomes of them.
#[derive(Debug)]
pub struct VacuumJob {
    /// What is asked of the library.
    pub request: VacuumRequest,
    /// What becomes of what it finds.
    pub wish: Wish,
}

/// What becomes of strays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Whoever sits at the terminal is asked.
    Ask,
    /// They are removed.
    Remove,
    /// They stay.
    Look,
}

/// `lakehaul compact`
pub fn compact(args: &CompactArgs) -> Result<CompactRequest, Failure> {
    Ok(CompactRequest {
        lake: lake(&args.lake)?,
        part_bytes: args.part_size.map_or(CompactRequest::PART_BYTES, |size| size.bytes),
        options: LoadOptions { mode: args.mode.map(|mode| mode.0), ..LoadOptions::default() },
    })
}

/// `lakehaul vacuum`
pub fn vacuum(args: &VacuumArgs) -> Result<VacuumJob, Failure> {
    // A dry run is a dry run, wherever the yes comes from.
    let wish = match (args.dry_run, args.yes) {
        (true, _) => Wish::Look,
        (false, true) => Wish::Remove,
        (false, false) => Wish::Ask,
    };
    let older_than = args.older_than.map_or(VacuumRequest::OLDER_THAN, |span| span.duration);
    let request = VacuumRequest {
        lake: lake(&args.lake)?,
        older_than,
        old_versions: args.old_versions,
        options: LoadOptions::default(),
    };
    Ok(VacuumJob { request, wish })
}
