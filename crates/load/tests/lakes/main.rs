//! Loads into lakes in temporary folders: what goes in, what is published, what is told.

#[expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]
mod scene;
mod journal_limit;
mod loading;
mod bad_input;
mod quarantine;
mod manifests;
mod runs;
mod resuming;
mod looking;
#[expect(clippy::unwrap_used, reason = "a lake that cannot be spoilt is a failed test")]
mod verifying;
#[expect(clippy::unwrap_used, reason = "a lake that cannot be fed is a failed test")]
mod compacting;
#[cfg(feature = "delta")]
#[expect(clippy::unwrap_used, reason = "a table that cannot be read is a failed test")]
mod delta;
#[expect(clippy::unwrap_used, reason = "a stray that cannot be seeded is a failed test")]
mod vacuuming;
