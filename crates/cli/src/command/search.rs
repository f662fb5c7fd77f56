//! `lakehaul search`: what a FHIR server finds into a lake; with `--dry-run` only what would be asked.

use std::io::Write;
use std::sync::Arc;

use lakehaul_fetch::SearchQuery;
use lakehaul_load::{Clock, Observer, SearchRequest, SystemClock};
use serde_json::json;

use super::closing::{End, close};
use super::export::auth;
use crate::args::SearchArgs;
use crate::exit::Exit;
use crate::failure::{AGAIN, Failure};
use crate::report::Reporter;
use crate::report::summary::Origin;
use crate::resolve::{self, Form, Given, Manner, SearchJob};
use crate::signals::Watch;

pub(super) fn run(args: &SearchArgs, manner: Manner, given: &Given) -> Result<Exit, Failure> {
    let SearchJob { request, allowed } = resolve::search(args, given)?;
    if args.dry_run {
        return dry_run(&request, manner);
    }
    let reporter = Arc::new(Reporter::to_stderr(manner));
    let observer: Arc<dyn Observer> = Arc::clone(&reporter) as _;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let told = Arc::clone(&reporter);
    let watch = Watch::new(&request.options.interrupt, AGAIN, move |notice| told.notice(notice));
    let summary = reporter
        .during(|| lakehaul_load::search(&request, &clock, &observer))
        .map_err(watch.failure(format!("search into {}", request.lake)))?;
    close(&summary, &End { lake: &request.lake, origin: Origin::Search, allowed }, manner)
}

fn dry_run(request: &SearchRequest, manner: Manner) -> Result<Exit, Failure> {
    // Parameters may name a patient.
    let asked = |query: &SearchQuery| match query.parameters.len() {
        0 => query.searched.name().to_owned(),
        more => format!("{} (parameters: {more}, not shown)", query.searched.name()),
    };
    let searches: Vec<String> = request.queries.iter().map(asked).collect();
    let auth = auth(&request.client.auth);
    let base_url = &request.client.base_url;
    let mut out = std::io::stdout().lock();
    match manner.form {
        Form::Json => {
            let (base_url, lake) = (base_url.as_str(), &request.lake);
            let object = json!({
                "dry_run": true, "base_url": base_url, "searches": searches, "client": auth, "lake": lake,
            });
            writeln!(out, "{object}")?;
        }
        Form::Text => {
            writeln!(out, "This would be asked, and was not, at {base_url}:\n")?;
            searches.iter().try_for_each(|search| writeln!(out, "  {search}"))?;
            writeln!(out, "  as: {auth}\n  into: {}", request.lake)?;
        }
    }
    out.flush()?;
    Ok(Exit::Complete)
}
