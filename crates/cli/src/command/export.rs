//! `lakehaul export`: a server's export into a lake; with `--dry-run` only what would be sent.

use std::io::Write;
use std::sync::Arc;

use lakehaul_fetch::{Auth, Client, Method};
use lakehaul_load::{Clock, ExportRequest, Observer, Since, SystemClock};
use serde_json::json;

use super::closing::{End, close};
use crate::args::ExportArgs;
use crate::exit::Exit;
use crate::failure::{AGAIN, Failure};
use crate::report::Reporter;
use crate::report::summary::Origin;
use crate::resolve::{self, ExportJob, Form, Given, Manner};
use crate::signals::Watch;

pub(super) fn run(args: &ExportArgs, manner: Manner, given: &Given) -> Result<Exit, Failure> {
    let job = resolve::export(args, given)?;
    if args.dry_run {
        return dry_run(&job.request, manner);
    }
    let reporter = Arc::new(Reporter::to_stderr(manner));
    haul(&job, &reporter, manner)
}

/// Carries it out and tells how it ended.
pub(super) fn haul(job: &ExportJob, reporter: &Arc<Reporter>, manner: Manner) -> Result<Exit, Failure> {
    let ExportJob { request, allowed } = job;
    let observer: Arc<dyn Observer> = Arc::clone(reporter) as _;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let told = Arc::clone(reporter);
    let watch = Watch::new(&request.options.interrupt, AGAIN, move |notice| told.notice(notice));
    let summary = reporter
        .during(|| lakehaul_load::export(request, &clock, &observer))
        .map_err(watch.failure(format!("export into {}", request.lake)))?;
    close(&summary, &End { lake: &request.lake, origin: Origin::Server, allowed: *allowed }, manner)
}

fn dry_run(request: &ExportRequest, manner: Manner) -> Result<Exit, Failure> {
    let client = Client::new(request.client.clone(), Arc::new(SystemClock), Arc::new(()));
    let url = client.and_then(|client| client.kick_off_url(&request.parameters));
    let url = url.map_err(|error| Failure::to("make a kick-off of this")(error.into()))?;
    let method = match request.parameters.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let names: Vec<String> = named(request);
    let auth = auth(&request.client.auth);
    let mut out = std::io::stdout().lock();
    match manner.form {
        Form::Json => {
            let object = json!({
                "dry_run": true, "method": method, "url": url.to_string(), "parameters": names, "client": auth,
                "lake": request.lake,
            });
            writeln!(out, "{object}")?;
        }
        Form::Text => {
            writeln!(out, "This would be sent, and was not:\n\n  {method} {url}")?;
            writeln!(out, "  parameters: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })?;
            writeln!(out, "  as: {auth}")?;
            writeln!(out, "  into: {}", request.lake)?;
        }
    }
    out.flush()?;
    Ok(Exit::Complete)
}

/// The parameters, without what may name patients.
fn named(request: &ExportRequest) -> Vec<String> {
    let parameters = &request.parameters;
    let list = |name: &str, values: &[String]| (!values.is_empty()).then(|| format!("{name}={}", values.join(",")));
    let hidden = |name: &str, count: usize| (count > 0).then(|| format!("{name} ({count}, not shown)"));
    let one = |name: &str, value: Option<&str>| value.map(|value| format!("{name}={value}"));
    let since = match &request.since {
        Since::Ever => None,
        Since::Time(time) => Some(time.as_str()),
        Since::Last => Some("the transaction time of the lake's last run of this export"),
    };
    [
        one("_outputFormat", parameters.output_format.as_deref()),
        one("_since", since),
        one("_until", parameters.until.as_deref()),
        list("_type", &parameters.types),
        list("_elements", &parameters.elements),
        hidden("_typeFilter", parameters.type_filters.len()),
        list("includeAssociatedData", &parameters.include_associated_data),
        hidden("patient", parameters.patients.len()),
        one("organizeOutputBy", parameters.organize_output_by.as_deref()),
        parameters.allow_partial_manifests.then(|| "allowPartialManifests=true".to_owned()),
    ]
    .into_iter()
    .flatten()
    .chain(parameters.extra.iter().map(|(name, _)| format!("{name} (not shown)")))
    .collect()
}

/// Who asks, without what proves it.
pub(super) fn auth(auth: &Auth) -> String {
    match auth {
        Auth::None => "nobody in particular (no authentication)".to_owned(),
        Auth::Token(_) => "the owner of a ready access token".to_owned(),
        Auth::ClientSecret { client_id, .. } => format!("client {client_id}, with its secret"),
        Auth::PrivateKeyJwt { client_id, .. } => format!("client {client_id}, with its private key"),
        _ => "the configured client".to_owned(),
    }
}
