//! One load from request to summary: the three steps, one after the other, under the lake's lock.

use crate::commit::{commit, summary_again};
use crate::plan::{Planned, plan};
use crate::work::work;
use crate::{Clock, LoadError, LoadRequest, LoadSummary, Observer};

/// Plans, works and commits. A request whose plan has been carried out before does nothing and says so.
pub fn load(request: &LoadRequest, clock: &dyn Clock, observer: &dyn Observer) -> Result<LoadSummary, LoadError> {
    match plan(request, clock, observer)? {
        Planned::Complete(record) => Ok(summary_again(*record)),
        Planned::Work(plan) => commit(work(*plan, observer)?, clock, observer),
    }
}
