//! Loads into lakes in temporary folders: what goes in, what is published, what is told.

mod scene;
mod loading;
mod bad_input;
mod quarantine;
mod manifests;
mod runs;
mod looking;
