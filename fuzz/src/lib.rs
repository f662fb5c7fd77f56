//! What the fuzz targets check: one promise a module, each with an oracle.
//!
//! In: any bytes. Out: nothing, or a panic where a promise is broken. The bodies are free of the fuzzer, so that the
//! workspace's tests run them over the kept corpus too.

pub mod frame;
pub mod parse;
pub mod manifest;
pub mod headers;
pub mod payer;

/// Resources out of bytes, and what is asked of them; both stand beside the test that shares them.
#[path = "../../crates/write/tests/generator/mod.rs"]
mod generator;
#[path = "../../crates/write/tests/there_and_back/mod.rs"]
mod there_and_back;

/// A resource that is loaded comes back.
pub fn round_trip(data: &[u8]) {
    there_and_back::check(data);
}
