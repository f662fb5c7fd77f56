//! What the crate promises, as tables, as random text and as the fuzzer's corpus; in one binary, to link once.

#[path = "../../../../fuzz/src/frame.rs"]
#[expect(unreachable_pub, reason = "public in the fuzz crate, whose source this is")]
mod frame_body;
#[path = "../../../../fuzz/src/parse.rs"]
#[expect(unreachable_pub, reason = "public in the fuzz crate, whose source this is")]
mod parse_body;

mod framing;
mod grammar;
mod values;
mod resource;
mod random;
mod corpus;
