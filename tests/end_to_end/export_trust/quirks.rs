//! Every quirk of a payer's bulk export that is known: what 1upHealth's documents leave open, what they show, and what
//! the editions of the Bulk Data guide differ in. One row each.

use lakehaul_sim::{Endpoint, Host, LocationIn, Personality, Seen, Sim, Target};

use super::{Case, REFUSED, WHOLE, check, two_files};
use Personality::OneupPopulation;

mod requests;
mod answers;
mod contents;

/// The one request to this endpoint.
#[track_caller]
fn only(sim: &Sim, target: impl Into<Target>) -> Seen {
    let mut seen = sim.seen(target);
    assert_eq!(seen.len(), 1, "{seen:#?}");
    seen.remove(0)
}

/// The text of its body.
fn body(seen: &Seen) -> String {
    String::from_utf8_lossy(&seen.body.0).into_owned()
}

#[test]
fn the_population_export_refuses_post_and_delete() {
    check(&[
        Case {
            name: "GET, and a DELETE that is refused",
            personality: OneupPopulation,
            tells: &["does not delete exports when asked to (403)", "does no harm"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(only(&payer.sim, Endpoint::KickOff).method, "GET");
                assert_eq!(only(&payer.sim, Endpoint::Delete).status, 403);
            },
            ..WHOLE
        },
        Case {
            name: "POST where the user wants it",
            personality: OneupPopulation,
            arguments: &["--post"],
            tells: &["POST is not supported", "403"],
            ..REFUSED
        },
        Case {
            name: "_since is a date",
            personality: OneupPopulation,
            arguments: &["--since", "2026-01-31", "--type", "Patient"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let query = only(&payer.sim, Endpoint::KickOff).query;
                assert_eq!(query.as_deref(), Some("_since=2026-01-31&_type=Patient"));
            },
            ..WHOLE
        },
        Case {
            name: "a group",
            personality: OneupPopulation,
            arguments: &["--group", "g1"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let path = only(&payer.sim, Endpoint::KickOff).path;
                assert_eq!(path, "/v1/bison/bulk-export/bulk-data/r4/Group/g1/$export");
            },
            ..WHOLE
        },
        Case {
            name: "an older host answers with the files",
            personality: OneupPopulation,
            scene: |scenario| two_files(scenario).kick_off(200, LocationIn::Nowhere, Host::Here),
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(payer.sim.seen(Endpoint::Delete).len(), 0, "there is no export to be deleted");
            },
            ..WHOLE
        },
    ]);
}
