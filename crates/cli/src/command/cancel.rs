//! `lakehaul cancel`: the server is told that an unfinished run's export is not wanted any more, and the run is forgotten.

use std::io::Write;
use std::sync::Arc;

use lakehaul_fetch::{Cancelled, Client};
use lakehaul_load::{LoadError, LoadOptions, SystemClock};
use serde_json::json;

use crate::args::CancelArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::server;
use crate::resolve::{self, CancelJob, Form, Given, Manner};

pub(super) fn run(args: &CancelArgs, manner: Manner, given: &Given) -> Result<Exit, Failure> {
    let CancelJob { lake, client } = resolve::cancel(args, given)?;
    let run = args.run.as_str();
    let failed = || Failure::to(format!("cancel run {run} of {lake}"));
    // To look at a lake does not make one.
    let there = lakehaul_load::unfinished(&lake).map_err(failed())?;
    if !there.iter().any(|(name, _)| name == run) {
        let names: Vec<&str> = there.iter().map(|(name, _)| name.as_str()).collect();
        let others =
            if names.is_empty() { "all have finished".to_owned() } else { format!("there is {}", names.join(", ")) };
        return Err(Failure::Usage(format!("{lake} has no unfinished run {run}; {others}")));
    }
    let client = Client::new(client, Arc::new(SystemClock), Arc::new(())).map_err(LoadError::from).map_err(failed())?;
    let cancelled = lakehaul_load::cancel(&lake, run, &client, &LoadOptions::default()).map_err(failed())?;
    let mut out = std::io::stdout().lock();
    match manner.form {
        Form::Json => {
            let (outcome, status) = cancelled.as_ref().map(server::outcome).unzip();
            writeln!(out, "{}", json!({"run": run, "server": outcome, "status": status.flatten(), "forgotten": true}))?;
        }
        Form::Text => writeln!(out, "{} Run {run} is forgotten.", answer(cancelled.as_ref()))?,
    }
    out.flush()?;
    Ok(Exit::Complete)
}

fn answer(cancelled: Option<&Cancelled>) -> String {
    match cancelled {
        Some(Cancelled::Done) => "The server stops the export and deletes what it has of it.".to_owned(),
        Some(Cancelled::Refused { status }) => {
            format!("The server does not stop exports when asked to ({status}); it deletes them in its own time.")
        }
        Some(Cancelled::Gone) => "The server does not know the export any more.".to_owned(),
        None => "No export of it is known at the server, which was not asked.".to_owned(),
    }
}
