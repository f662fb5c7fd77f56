//! What the crate promises of any bytes, as the fuzzer's kept corpus and as mutations of it; in one binary, to link once.

#[path = "../../../../fuzz/src/payer.rs"]
#[expect(unreachable_pub, reason = "public in the fuzz crate, whose source this is")]
mod payer;
#[path = "../../../../fuzz/src/manifest.rs"]
#[expect(unreachable_pub, reason = "public in the fuzz crate, whose source this is")]
mod manifest;
#[path = "../../../../fuzz/src/headers.rs"]
#[expect(unreachable_pub, reason = "public in the fuzz crate, whose source this is")]
mod headers;

mod corpus;
mod mutated;
