//! From levels and values to encoded column chunks: Parquet's pages, statistics and indexes. No file, no schema, no
//! FHIR.

mod hybrid;
mod delta;
mod byte_arrays;
mod levels;
mod values;
mod chunk;

pub(crate) use chunk::{ChunkEncoder, ChunkLevels, EncodedChunk, StatisticsLevel};
pub(crate) use hybrid::decode_levels;
pub(crate) use levels::Levels;
pub(crate) use values::{Booleans, Constant, Deltas, Fixed, NoValues, PageValues};
