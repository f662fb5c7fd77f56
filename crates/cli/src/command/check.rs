//! `lakehaul check`: what `lakehaul export` would meet, step by step: settings and where they came from, the token, the
//! server, the lake. Starts no export, touches no data, makes no lake. Findings go to stdout: they are the result.

mod lake;
mod server;
mod settings;

use std::io::Write;
use std::sync::Arc;

use lakehaul_fetch::{Client, FetchError, FetchEvent, FetchObserver};
use lakehaul_load::{Event, LoadError, Observer, SystemClock};
use serde_json::{Value, json};

use crate::args::ExportArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::table::{Sums, Table};
use crate::report::{Reporter, figures};
use crate::resolve::{self, CheckJob, Form, Given, Manner};
use settings::Setting;

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// What it is about, such as `token`.
    about: &'static str,
    grade: Grade,
    /// A clause.
    what: String,
    /// How to mend it: a clause or sentences.
    mend: Option<String>,
}

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    Warning,
    /// An export would end with this code.
    Problem(Exit),
}

impl Finding {
    fn ok(about: &'static str, what: impl Into<String>) -> Finding {
        Finding { about, grade: Grade::Ok, what: what.into(), mend: None }
    }

    fn warning(about: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { about, grade: Grade::Warning, what: what.into(), mend: Some(mend.into()) }
    }

    fn failure(about: &'static str, failure: &Failure) -> Finding {
        Finding { about, grade: Grade::Problem(failure.exit()), what: failure.to_string(), mend: failure.hint() }
    }

    /// The hint of a server's failure is the client's own: that an export would be taken up is beside the point here.
    fn fetch(about: &'static str, error: &FetchError) -> Finding {
        let exit = Exit::of_error(&LoadError::from(error.clone()));
        Finding { about, grade: Grade::Problem(exit), what: error.to_string(), mend: error.hint() }
    }
}

pub(super) fn run(args: &ExportArgs, manner: Manner, given: &Given) -> Result<Exit, Failure> {
    let job = resolve::check(args, given);
    let settings = settings::settings(args, given);
    let mut findings = settings::findings(args, given, &job);
    let CheckJob { client, parameters, lake, options } = job;
    match client {
        Ok(options) => {
            let level = parameters.as_ref().ok().map(|(parameters, _)| &parameters.level);
            let reporter = Arc::new(Reporter::to_stderr(manner));
            findings.extend(reporter.during(|| server::findings(options, level, &reporter)));
        }
        Err(_) => findings.push(Finding::warning("server", "was not asked", "mend the settings first")),
    }
    findings.extend(lake::findings(lake, options.ok().as_ref()));

    let exit = Exit::first(findings.iter().filter_map(|finding| match finding.grade {
        Grade::Problem(exit) => Some(exit),
        Grade::Ok | Grade::Warning => None,
    }));
    let text = match manner.form {
        Form::Json => format!("{}\n", object(&settings, &findings, exit)),
        Form::Text => text(&settings, &findings, manner),
    };
    let mut out = std::io::stdout().lock();
    Failure::unless_left(out.write_all(text.as_bytes()).and_then(|()| out.flush()), exit)
}

/// Asks nothing yet; what the client tells goes to the reporter.
fn connect(options: lakehaul_fetch::ClientOptions, reporter: &Arc<Reporter>) -> Result<Client, FetchError> {
    struct Relay(Arc<Reporter>);
    impl FetchObserver for Relay {
        fn fetch_event(&self, event: FetchEvent<'_>) {
            self.0.event(Event::Server(event));
        }
    }
    Client::new(options, Arc::new(SystemClock), Arc::new(Relay(Arc::clone(reporter))))
}

fn text(settings: &[Setting], findings: &[Finding], manner: Manner) -> String {
    let mut text = String::new();
    if !manner.quiet && !settings.is_empty() {
        let mut table = Table::new(&["option", "value", "from"], 3);
        for Setting { name, value, from } in settings {
            table.row([name.clone(), value.clone(), from.clone()]);
        }
        text.push_str(&table.render(Sums::None));
        text.push('\n');
    }
    let mut counts = [0, 0];
    for Finding { about, grade, what, mend } in findings {
        let word = match grade {
            Grade::Ok if manner.quiet => continue,
            Grade::Ok => "ok",
            Grade::Warning => "warning",
            Grade::Problem(_) => "problem",
        };
        counts[0] += u64::from(*grade == Grade::Warning);
        counts[1] += u64::from(matches!(grade, Grade::Problem(_)));
        text.push_str(&format!("{word:<7}  {about:<8}  {what}\n"));
        if let Some(mend) = mend {
            text.push_str(&format!("{:<19}→ {mend}\n", ""));
        }
    }
    let [warnings, problems] = counts;
    let warned = if warnings == 0 { String::new() } else { figures::counted(warnings, "warning", "warnings") };
    let verdict = match (problems, warnings) {
        (0, 0) => "All is well: the same options with `lakehaul export` start the export.".to_owned(),
        (0, _) => format!("{warned}, no problem: the same options with `lakehaul export` start the export."),
        (n, 0) => format!("{}.", figures::counted(n, "problem", "problems")),
        (n, _) => format!("{}, {warned}.", figures::counted(n, "problem", "problems")),
    };
    if !manner.quiet {
        text.push_str(&format!("\n{verdict}\n"));
    }
    text
}

fn object(settings: &[Setting], findings: &[Finding], exit: Exit) -> Value {
    let settings: Vec<Value> = settings
        .iter()
        .map(|Setting { name, value, from }| json!({"option": name, "value": value, "from": from}))
        .collect();
    let findings: Vec<Value> = findings
        .iter()
        .map(|Finding { about, grade, what, mend }| {
            let (grade, exit) = match grade {
                Grade::Ok => ("ok", 0),
                Grade::Warning => ("warning", 0),
                Grade::Problem(exit) => ("problem", exit.code()),
            };
            json!({"about": about, "grade": grade, "what": what, "mend": mend, "exit": exit})
        })
        .collect();
    json!({"good": exit == Exit::Complete, "exit": exit.code(), "settings": settings, "findings": findings})
}

#[cfg(test)]
mod tests;
