//! The end of what loads: the closing table (or the summary object) on stdout, problems on stderr, and the exit code.

use std::io::Write;

use lakehaul_load::LoadSummary;

use crate::exit::{Allowed, Exit};
use crate::failure::Failure;
use crate::peak_memory;
use crate::report::summary::{Closing, Origin};
use crate::report::{json, summary};
use crate::resolve::{Form, Manner};

/// What the end depends on, besides the summary.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<'a> {
    pub(super) lake: &'a str,
    pub(super) origin: Origin<'a>,
    pub(super) allowed: Allowed,
}

/// Tells the end of a load.
pub(super) fn close(summary: &LoadSummary, end: &End<'_>, manner: Manner) -> Result<Exit, Failure> {
    let exit = Exit::first(summary.problems.iter().map(|problem| Exit::of_problem(problem, end.allowed)));
    let text = result(summary, end, exit, manner)?;
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    tell_problems(summary, end, manner);
    Failure::unless_left(printed, exit)
}

/// What goes to stdout.
fn result(summary: &LoadSummary, end: &End<'_>, exit: Exit, manner: Manner) -> Result<String, Failure> {
    let End { lake, origin, .. } = *end;
    let peak_memory_bytes = peak_memory::bytes();
    Ok(match manner.form {
        Form::Json => json::summary(summary, lake, exit, peak_memory_bytes) + "\n",
        Form::Text if manner.quiet => String::new(),
        Form::Text => {
            let settings = lakehaul_load::settings(lake);
            let settings = settings.map_err(Failure::to(format!("read the settings of {lake}")))?;
            summary::render(summary, &Closing { lake, settings, origin, peak_memory_bytes })
        }
    })
}

fn tell_problems(summary: &LoadSummary, end: &End<'_>, manner: Manner) {
    for problem in &summary.problems {
        let exit = Exit::of_problem(problem, end.allowed);
        let advice = summary::advice(problem, (end.lake, end.origin), &summary.run, exit, end.allowed);
        let line = match manner.form {
            Form::Json => json::problem(problem, exit, &advice),
            Form::Text => format!("problem: {problem}: {advice}"),
        };
        // Stderr may be gone; the exit code still tells.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
