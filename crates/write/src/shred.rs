//! From a cursor over one resource to leaf columns: the shredder, compiled from the schema, that drives the parser.

mod shape;
mod nodes;
mod extra;
mod seen;
mod domain;
mod shredder;

pub(crate) use nodes::{Child, LeafNode, Nodes, Values};
pub(crate) use shape::{Annotated, Kind, Shape, ShapeMember};
pub use shredder::Origin;
pub(crate) use shredder::{ColumnGate, Shredder};
