//! The first step of a check: every option that has a value, where the value came from, and whether they go together. No
//! secret is shown, and nothing that may name patients.

use std::path::Path;

use lakehaul_fetch::{ClientOptions, Patience, SecretUrl};
use lakehaul_load::{LoadOptions, Since};
use url::Url;

use super::Finding;
use crate::args::ExportArgs;
use crate::duration::Span;
use crate::provenance::{GivenOption, Source};
use crate::report::figures;
use crate::resolve::{CheckJob, Given};
use crate::secret;

/// An option's effective value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its long name.
    pub(super) name: String,
    pub(super) value: String,
    pub(super) from: String,
}

/// Options whose values are counted and not shown: they may name patients, or hold what a command line should not.
const HIDDEN: [&str; 6] =
    ["patient", "type-filter", "param", "client-secret-command", "private-key-command", "token-command"];
/// Options whose values are URLs, of which query and user name are not shown.
const URLS: [&str; 3] = ["base-url", "token-url", "jku"];
/// Options that say where a secret is.
const SECRETS: [&str; 7] = [
    "client-secret-file",
    "client-secret-command",
    "private-key-file",
    "private-key-command",
    "token-file",
    "token-command",
    "no-auth",
];

/// What was given, and the defaults that matter.
pub(super) fn settings(args: &ExportArgs, given: &Given) -> Vec<Setting> {
    let chosen = secret::choose(&args.server.client, &given.secrets, &given.provenance).ok().flatten();
    let used = chosen.as_ref().map(|chosen| chosen.name().trim_start_matches("--").to_owned());
    let mut settings = Vec::new();
    for option in given.provenance.options() {
        let mut value = shown(option);
        let name = match &option.source {
            Source::Variable(variable) => variable,
            _ => &option.long,
        };
        if SECRETS.contains(&option.long.as_str()) && used.as_ref() != Some(name) {
            value.push_str(" (not used)");
        }
        settings.push(Setting { name: option.long.clone(), value, from: option.source.to_string() });
    }
    for variable in given.secrets.names() {
        let unused = if used.as_deref() == Some(variable) { "" } else { " (not used)" };
        let name = variable.trim_start_matches("LAKEHAUL_").to_lowercase().replace('_', "-");
        settings.push(Setting { name, value: format!("set{unused}"), from: variable.to_owned() });
    }
    for (name, value, from) in defaults(args) {
        if given.provenance.source(name) == Source::Default {
            settings.push(Setting { name: name.to_owned(), value, from: from.to_owned() });
        }
    }
    settings
}

fn shown(GivenOption { long, values, .. }: &GivenOption) -> String {
    let long = long.as_str();
    if HIDDEN.contains(&long) {
        return match values.len() {
            0 => "set".to_owned(),
            1 => "set, not shown".to_owned(),
            n => format!("{n} values, not shown"),
        };
    }
    let value = values.join(",");
    if !URLS.contains(&long) {
        return value;
    }
    Url::parse(&value).map_or_else(|_| "no URL".to_owned(), |url| SecretUrl::new(url).to_string())
}

fn defaults(args: &ExportArgs) -> Vec<(&'static str, String, &'static str)> {
    const DEFAULT: &str = "default";
    const KIND: &str = "default of the kind";
    let mut defaults = Vec::new();
    if let Some(kind) = args.server.kind {
        defaults.extend(kind.default_base_url().map(|url| ("base-url", url.to_owned(), KIND)));
        defaults.extend(kind.default_scope().map(|scope| ("scope", scope.to_owned(), KIND)));
        if let Ok(url) = Url::parse("https://localhost") {
            let concurrency = ClientOptions::new(kind, url).concurrency;
            defaults.push(("concurrency", concurrency.to_string(), DEFAULT));
        }
    }
    let Patience { retries, max_wait, idle_timeout } = Patience::default();
    let options = LoadOptions::default();
    defaults.push(("retries", retries.to_string(), DEFAULT));
    defaults.push(("max-wait", Span { duration: max_wait }.to_string(), DEFAULT));
    defaults.push(("idle-timeout", Span { duration: idle_timeout }.to_string(), DEFAULT));
    defaults.push(("memory", format!("{}MiB", options.memory_bytes >> 20), DEFAULT));
    defaults.push(("checkpoint", Span { duration: options.checkpoint }.to_string(), DEFAULT));
    defaults.push(("threads", options.threads.to_string(), DEFAULT));
    defaults
}

/// Whether they go together, and whether secrets are kept well.
pub(super) fn findings(args: &ExportArgs, given: &Given, job: &CheckJob) -> Vec<Finding> {
    let failures = [job.client.as_ref().err(), job.parameters.as_ref().err(), job.options.as_ref().err()];
    let mut findings: Vec<Finding> =
        failures.into_iter().flatten().map(|failure| Finding::failure("settings", failure)).collect();
    if findings.is_empty() {
        let given = figures::counted(given.provenance.options().len() as u64, "option is", "options are");
        let since = match job.parameters.as_ref().map(|(_, since)| since) {
            Ok(Since::Last) => "; what has changed since the lake's last run is asked for",
            _ => "",
        };
        findings.push(Finding::ok("settings", format!("{given} given, and they go together{since}")));
    }
    if let Ok(Some(chosen)) = secret::choose(&args.server.client, &given.secrets, &given.provenance)
        && let Some((path, mode)) = chosen.file().and_then(|path| Some((path, open_to_others(path)?)))
    {
        let path = path.display();
        let what = format!("{path} can be read by others (mode {mode:o}), and holds the client's secret");
        findings.push(Finding::warning("settings", what, format!("chmod 600 {path}")));
    }
    findings
}

/// The file's permissions, if group or others have any.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;

    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Other systems have other permissions.
#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<u32> {
    None
}
