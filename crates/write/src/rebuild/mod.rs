//! Rows back to resources: a Parquet part comes in, each row's resource goes out as JSON text.
//!
//! The way back is the rule of the lake schema read aloud: emit the non-null columns whose name does not start with
//! `__`, then set every pointer of `__extra`. What a column's text means in JSON (a decimal is a number, a string is
//! quoted, a contained resource is spliced as it is) follows from the element table, not from the file. Member order is
//! the table's, white space is gone, escapes are the shortest; nothing else differs from what was loaded.
//!
//! A part is read row group by row group and batch by batch, with only the leaves that hold something, so memory follows
//! the width of a batch, not of the file. Rows with nothing in `__extra` are written straight from the arrays; in the
//! others the pointers are woven in on the way, so no row is ever parsed again. Nothing here writes to a store.

mod part_reader;
mod store_chunks;
mod projection;
mod shape;
mod values;
mod emit;
mod extras;
mod weave;
mod json_text;
mod fault;
#[cfg(test)]
mod tests;

pub use part_reader::{PartReader, Row, footer};
pub(crate) use store_chunks::StoreChunks;
