//! One load from request to summary.

use crate::{Clock, LoadError, LoadRequest, LoadSummary, Observer};

/// Plans, works and commits under the lake's lock.
pub fn load(request: &LoadRequest, clock: &dyn Clock, observer: &dyn Observer) -> Result<LoadSummary, LoadError> {
    let _ = (request, clock, observer);
    Err(LoadError::Usage("load is not wired yet".to_owned()))
}
