//! What a run comes to whose disk, server and process fail it: the lake of a run that nothing disturbed, or an error
//! after which the same command comes to it.
//!
//! CI runs a sample of the calls and 300 storms; `LAKEHAUL_ALL_FAULTS=1` runs every call, `LAKEHAUL_STORM_SEEDS=5000` so many
//! storms. What fails prints the one command that repeats it.

mod faulty_store;
mod same_lake;
#[expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]
mod scene;
mod every_call;
#[expect(clippy::unwrap_used, reason = "a lake that cannot be fed is a failed test")]
mod maintaining;
#[cfg(feature = "delta")]
#[expect(clippy::unwrap_used, reason = "a lake that cannot be fed is a failed test")]
mod delta;
mod durable_first;
#[expect(clippy::unwrap_used, reason = "a bucket in memory that cannot be read is a failed test")]
mod bucket;
mod any_order;
mod storm;
