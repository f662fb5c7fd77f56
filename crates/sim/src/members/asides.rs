//! The lines of a manifest's other lists: Bundles of deletions, and `OperationOutcome`s.

use super::ResourceType;
use super::calendar::{Offset, Precision};
use super::draft::Draft;
use super::json::push_number;

/// Opens a transaction Bundle, the `ordinal`th of its file; deletions and [`end_bundle`] follow. Bulk Data 2.0.0, "Complete Status", `deleted`.
pub(super) fn begin_bundle(d: &mut Draft<'_>, ordinal: u64) {
    d.open();
    d.code("resourceType", "Bundle");
    d.name("id");
    d.quoted(|out| {
        out.extend_from_slice(b"deletions-");
        push_number(out, ordinal + 1);
    });
    d.object("meta");
    let (seconds, _) = d.updated;
    d.moment("lastUpdated", seconds, Offset::Utc, Precision::Millisecond);
    d.end();
    d.code("type", "transaction");
    d.array("entry");
}

/// One deletion.
pub(super) fn deletion(d: &mut Draft<'_>, of: ResourceType, index: u64) {
    d.item();
    d.object("request");
    d.code("method", "DELETE");
    d.name("url");
    let world = d.world;
    d.quoted(|out| {
        out.extend_from_slice(of.name().as_bytes());
        out.push(b'/');
        world.push_id(out, of, index);
    });
    d.end();
    d.end();
}

/// Closes the Bundle.
pub(super) fn end_bundle(d: &mut Draft<'_>) {
    d.end_array();
    d.end();
}

/// What a server says of something it could not export.
pub(super) fn outcome(d: &mut Draft<'_>) {
    d.open();
    d.code("resourceType", "OperationOutcome");
    d.array("issue");
    d.item();
    let (severity, of, text) = d.pick(&[
        ("warning", "not-found", "The attachment \"op-report.pdf\" was not found; the resource was left out."),
        ("error", "exception", "A resource could not be converted.\nIt was left out."),
        ("information", "suppressed", "Resources marked as sensitive were left out — see the member's consent."),
    ]);
    d.code("severity", severity);
    d.code("code", of);
    d.text_concept("details", text);
    d.end();
    d.end_array();
    d.end();
}
