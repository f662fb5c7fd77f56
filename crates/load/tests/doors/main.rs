//! The other doors of a simulated payer: searches and member matches into lakes in temporary folders.

#[expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]
mod scene;
mod searching;
mod searching_again;
mod matching;
