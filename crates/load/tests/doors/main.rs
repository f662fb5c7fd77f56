//! The other doors of a simulated payer: searches and member matches into lakes in temporary folders.

#[expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]
mod scene;
mod searching;
#[expect(clippy::unwrap_used, reason = "a row that is not there is a failed test")]
mod searching_again;
#[expect(clippy::unwrap_used, reason = "a table that cannot be read is a failed test")]
mod matching;
