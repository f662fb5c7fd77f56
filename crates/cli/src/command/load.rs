//! `lakehaul load`: the closing table (or the summary object) on stdout, problems on stderr.

use lakehaul_load::{Input, SystemClock};

use super::closing::{End, close};
use crate::args::LoadArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::Reporter;
use crate::report::summary::Origin;
use crate::resolve::{self, Manner};

pub(super) fn run(args: &LoadArgs, manner: Manner) -> Result<Exit, Failure> {
    let job = resolve::load(args)?;
    let reporter = Reporter::to_stderr(manner);
    let summary = reporter
        .during(|| lakehaul_load::load(&job.request, &SystemClock, &reporter))
        .map_err(Failure::to(format!("load into {}", job.request.lake)))?;
    let source = match job.request.inputs.as_slice() {
        [Input::Path(path)] => path.to_str(),
        _ => None,
    };
    let end = End { lake: &job.request.lake, origin: Origin::Files { source }, allowed: job.allowed };
    close(&summary, &end, manner)
}
