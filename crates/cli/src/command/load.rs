//! `lakehaul load`: the closing table (or the summary object) on stdout, problems on stderr.

use std::io::Write;

use lakehaul_load::{Input, LoadSummary, SystemClock};

use crate::args::LoadArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::peak_memory;
use crate::report::summary::Closing;
use crate::report::{Reporter, json, summary};
use crate::resolve::{self, Form, LoadJob, Manner};

pub(super) fn run(args: &LoadArgs, manner: Manner) -> Result<Exit, Failure> {
    let job = resolve::load(args)?;
    let reporter = Reporter::to_stderr(manner);
    let summary = reporter
        .during(|| lakehaul_load::load(&job.request, &SystemClock, &reporter))
        .map_err(Failure::to(format!("load into {}", job.request.lake)))?;
    let exit = Exit::first(summary.problems.iter().map(|p| Exit::of_problem(p, job.allowed)));
    let text = result(&summary, &job, exit, manner)?;
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    tell_problems(&summary, &job, manner);
    Failure::unless_left(printed, exit)
}

/// What goes to stdout.
fn result(summary: &LoadSummary, job: &LoadJob, exit: Exit, manner: Manner) -> Result<String, Failure> {
    let lake = &job.request.lake;
    let peak_memory_bytes = peak_memory::bytes();
    Ok(match manner.form {
        Form::Json => json::summary(summary, lake, exit, peak_memory_bytes) + "\n",
        Form::Text if manner.quiet => String::new(),
        Form::Text => {
            let settings = lakehaul_load::settings(lake);
            let layout = settings.map_err(Failure::to(format!("read the settings of {lake}")))?.layout;
            let source = match job.request.inputs.as_slice() {
                [Input::Path(path)] => path.to_str(),
                _ => None,
            };
            summary::render(summary, &Closing { lake, layout, source, peak_memory_bytes })
        }
    })
}

fn tell_problems(summary: &LoadSummary, job: &LoadJob, manner: Manner) {
    for problem in &summary.problems {
        let exit = Exit::of_problem(problem, job.allowed);
        let advice = summary::advice(problem, &job.request.lake, &summary.run, exit, job.allowed);
        let line = match manner.form {
            Form::Json => json::problem(problem, exit, &advice),
            Form::Text => format!("problem: {problem}: {advice}"),
        };
        // Stderr may be gone; the exit code still tells.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
