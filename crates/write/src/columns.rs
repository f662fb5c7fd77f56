//! Leaf columns under construction: values, dictionaries, presence in runs. They know nothing of FHIR paths, JSON or
//! Parquet.

mod size;
mod presence;
mod plain_values;
mod bytes_leaf;
mod derived;
mod instant_range;
mod numeric;
mod reference;

pub(crate) use bytes_leaf::{BytesLeaf, Storage};
pub(crate) use derived::Derived;
pub(crate) use instant_range::instant_range;
pub(crate) use numeric::numeric;
pub(crate) use presence::Presence;
pub(crate) use reference::reference_target;
pub(crate) use size::Size;
