//! `lakehaul load`: the closing table (or the summary object) on stdout, problems on stderr.

use std::sync::Arc;

use lakehaul_load::{Input, SystemClock};

use super::closing::{End, close};
use crate::args::LoadArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::Reporter;
use crate::report::summary::Origin;
use crate::resolve::{self, Manner};
use crate::signals::{Again, Watch};

const GOES_ON: Again = "run the same command again: it goes on with the load";
const FROM_THE_START: Again =
    "run the same command again: stdin can be read only once, so the load starts over; no row of it is in the lake";

pub(super) fn run(args: &LoadArgs, manner: Manner) -> Result<Exit, Failure> {
    let job = resolve::load(args)?;
    let reporter = Arc::new(Reporter::to_stderr(manner));
    let again = if job.request.inputs.contains(&Input::Stdin) { FROM_THE_START } else { GOES_ON };
    let told = Arc::clone(&reporter);
    let watch = Watch::new(&job.request.options.interrupt, again, move |notice| told.notice(notice));
    let summary = reporter
        .during(|| lakehaul_load::load(&job.request, &SystemClock, &*reporter))
        .map_err(watch.failure(format!("load into {}", job.request.lake)))?;
    let source = match job.request.inputs.as_slice() {
        [Input::Path(path)] => path.to_str(),
        [Input::Url(url)] => Some(url.as_str()),
        _ => None,
    };
    let end = End { lake: &job.request.lake, origin: Origin::Files { source }, allowed: job.allowed };
    close(&summary, &end, manner)
}
