//! From the bytes of an output file to a validating JSON cursor over each of its lines.
//!
//! In: NDJSON, decompressed, in any split. Out: [`Chunk`]s of whole lines, and a [`Cursor`] over each [`Line`] that
//! hands out what the text says: strings undone, numbers as they stand. Never: I/O, threads, columns, FHIR beyond
//! `resourceType`.
//!
//! Two engines stand behind [`Cursor`]. [`DirectCursor`] makes one pass without a tape and is what a load uses;
//! [`TapeCursor`] goes over simd-json's tape and is what the first one is checked against.

mod reject;
mod chunk;
mod frame;
mod cursor;
mod direct;
mod tape;
mod resource;

pub use chunk::{Chunk, Line, Lines, PADDING};
pub use cursor::{Cursor, Member, MemberGuess, Text, Token};
pub use direct::{DirectCursor, Scratch};
pub use frame::{Framed, Framer, LongLinePiece};
pub use reject::{Reason, Reject};
pub use resource::{begin_resource, leading_resource_type, resource_type};
pub use tape::{TapeCursor, TapeScratch};
