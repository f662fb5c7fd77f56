//! Delta tables: what is placed in a table's folder is in the table once its log says so.
//!
//! In goes the record of a run or a compaction whose parts are in their places, out comes the same record with the version
//! that each table has by it. The log has the run's name as its application id, so to do it again comes to the same. The
//! ledger stays what lakehaul itself goes by; the log is for everybody else, and `verify` holds one against the other.
//!
//! Everything that knows of Delta is behind the feature of that name.

#[cfg(feature = "delta")]
mod tables;

#[cfg(feature = "delta")]
pub(crate) use tables::{commit, differences, replaced};

#[cfg(not(feature = "delta"))]
pub(crate) use without::{commit, differences, replaced};

use crate::{Format, LoadError};

/// Whether this build knows tables of this format.
pub(crate) fn known(format: Format) -> Result<(), LoadError> {
    if format == Format::Delta && !cfg!(feature = "delta") {
        return Err(LoadError::Usage(
            "this build knows no Delta tables, and the lake's are; build it with the feature `delta`".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(not(feature = "delta"))]
mod without {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use lakehaul_write::store::Store;

    use super::known;
    use crate::current::Tables;
    use crate::journal::{Committed, Published};
    use crate::lake::Lake;
    use crate::verify::VerifyFinding;
    use crate::{Format, Layout, LoadError};

    pub(crate) fn commit(_: &Arc<dyn Store>, record: Committed, _: Layout) -> Result<Published, LoadError> {
        known(Format::Delta)?;
        Ok(Published { record, warnings: Vec::new() })
    }

    pub(crate) fn differences(_: &Lake, _: Layout, _: &Tables) -> Result<Vec<VerifyFinding>, LoadError> {
        known(Format::Delta).map(|()| Vec::new())
    }

    pub(crate) fn replaced(_: &Lake) -> Result<BTreeMap<String, Option<i64>>, LoadError> {
        known(Format::Delta).map(|()| BTreeMap::new())
    }
}
