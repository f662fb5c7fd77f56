//! Exports of a simulated payer into lakes in temporary folders: what is asked, what is published, what is told.

#[expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]
mod scene;
mod hauling;
mod taking_up;
#[expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]
mod inside_files;
