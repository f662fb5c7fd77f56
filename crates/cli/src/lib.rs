//! lakehaul's command line: arguments as typed become a request as meant, the library does the work, and what it tells
//! becomes progress, a summary and an exit code.
//!
//! This is the only crate that prints, exits or reads the environment. Results go to stdout, all else to stderr.

#![forbid(unsafe_code)]

pub mod args;
pub mod config;
pub mod provenance;
pub mod secret;
pub mod session;
pub mod resolve;
mod command;
pub mod report;
pub mod exit;
pub mod failure;
pub mod signals;
mod store_options;
mod peak_memory;
mod huge_pages;
mod size;
mod duration;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Command, CommandFactory, FromArgMatches};

use args::{Args, Level};
use failure::Failure;
use provenance::Provenance;
use report::json;
use resolve::{Form, Given, Manner};
use secret::SecretVariables;

/// The whole program.
#[expect(clippy::disallowed_methods, reason = "here, and only here, arguments and environment come in")]
pub fn main() -> ExitCode {
    huge_pages::do_without();
    let arguments = args::settle_allow_rejects(std::env::args_os());
    let user_file = config::user_file(|name| std::env::var_os(name));
    let (args, provenance) = match parse(&Args::command(), &arguments, user_file.as_deref()) {
        Ok(parsed) => parsed,
        Err(Unparsed::Clap(error)) => {
            // Help and version are asked for and go to stdout; usage errors go to stderr. Either may be closed.
            let _ = error.print();
            if !error.use_stderr() {
                return ExitCode::SUCCESS;
            }
            if let Some(name) = variable_at_fault(&error, &arguments).filter(|name| std::env::var_os(name).is_some()) {
                let _ = writeln!(std::io::stderr(), "\nhint: the value comes from the environment: {name}");
            }
            return exit::Exit::Usage.into();
        }
        Err(Unparsed::Failure(failure)) => {
            let manner = Manner { form: Form::Text, quiet: false, level: Level::Info };
            tell(&failure, manner);
            return failure.exit().into();
        }
    };
    let manner = resolve::manner(&args.output);
    if manner.level >= Level::Warn {
        for name in unknown_variables(std::env::vars_os().map(|(name, _)| name)) {
            warn(&format!("{name} is set, but this version has no such option; it is ignored"), manner);
        }
    }
    let given = Given {
        provenance,
        secrets: SecretVariables::read(|name| std::env::var_os(name)),
        state_folder: session::state_folder(|name| std::env::var_os(name)),
    };
    lakehaul_load::stores::configure(store_options::gather(
        std::env::vars_os(),
        |path| std::fs::read_to_string(path).ok(),
        &args.store.store_option,
    ));
    match command::run(&args, manner, &given) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell(&failure, manner);
            failure.exit().into()
        }
    }
}

/// Why there are no [`Args`].
#[derive(Debug)]
enum Unparsed {
    /// clap's own message, help and version among them.
    Clap(clap::Error),
    /// The config file.
    Failure(Failure),
}

/// Arguments, then the environment (clap reads it), then the config file, which the arguments may name, and its profile.
fn parse(command: &Command, arguments: &[OsString], user_file: Option<&Path>) -> Result<(Args, Provenance), Unparsed> {
    let matches = command.clone().try_get_matches_from(arguments).map_err(Unparsed::Clap)?;
    let asked_for = matches.get_one::<PathBuf>("config");
    let config = config::Config::find(asked_for.map(PathBuf::as_path), user_file);
    let config = config.map_err(|e| Unparsed::Failure(e.into()))?;
    let profile = matches.subcommand().and_then(|(_, matches)| matches.try_get_one::<String>("profile").ok().flatten());
    let matches = match (&config, profile) {
        (None, None) => matches.clone(),
        (None, Some(profile)) => {
            let file = user_file.map(|file| format!(": {} does not exist", file.display())).unwrap_or_default();
            let why =
                format!("there is no profile {profile}, as there is no config file{file}; --config names another");
            return Err(Unparsed::Failure(Failure::Usage(why)));
        }
        (Some(config), profile) => {
            let profile = profile.map(String::as_str);
            let with_defaults = config.apply(command.clone(), profile).map_err(|e| Unparsed::Failure(e.into()))?;
            // Without the file the arguments were right, so it must be the file's value that is not.
            with_defaults.try_get_matches_from(arguments).map_err(|e| {
                let why = e.to_string();
                let first = why.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                Unparsed::Failure(config.error(first).into())
            })?
        }
    };
    let provenance = Provenance::of(command, &matches, config.as_ref(), profile.map(String::as_str));
    Ok((Args::from_arg_matches(&matches).map_err(Unparsed::Clap)?, provenance))
}

/// The variable that a wrong value must have come from, if it came from one: no argument names the option.
fn variable_at_fault(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let ContextValue::String(usage) = error.get(ContextKind::InvalidArg)? else { return None };
    let long = usage.split([' ', '[', '=']).next()?;
    let typed = arguments.iter().any(|a| a.to_str().is_some_and(|a| a.split('=').next() == Some(long)));
    let name = long.strip_prefix("--")?.replace('-', "_").to_uppercase();
    (!typed).then(|| format!("LAKEHAUL_{name}"))
}

/// `LAKEHAUL_…` variables that no option reads: a typing error would otherwise go unnoticed.
fn unknown_variables(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let command = Args::command();
    let known: Vec<_> = std::iter::once(&command)
        .chain(command.get_subcommands())
        .flat_map(Command::get_arguments)
        .filter_map(|a| a.get_env().map(OsStr::to_owned))
        .chain(secret::VARIABLES.map(OsString::from))
        .collect();
    let mut unknown: Vec<String> = names
        .filter(|name| !known.contains(name))
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with("LAKEHAUL_"))
        .collect();
    unknown.sort();
    unknown
}

/// Tells what ended the command.
fn tell(failure: &Failure, manner: Manner) {
    if failure.is_silent() {
        return;
    }
    let mut err = std::io::stderr().lock();
    // Stderr may be gone; the exit code still tells.
    let _ = match manner.form {
        Form::Json => writeln!(err, "{}", json::error(&failure.to_string(), failure.hint().as_deref(), failure.exit())),
        Form::Text => writeln!(err, "error: {failure}"),
    };
    if let (Form::Text, Some(hint)) = (manner.form, failure.hint()) {
        let _ = writeln!(err, "hint: {hint}");
    }
}

fn warn(message: &str, manner: Manner) {
    let mut err = std::io::stderr().lock();
    let _ = match manner.form {
        Form::Json => writeln!(err, "{}", serde_json::json!({"event": "warning", "message": message})),
        Form::Text => writeln!(err, "warning: {message}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provenance::Source;

    /// Parses with a config file; `--tenant` reads an environment variable that is set in every test.
    fn parsed(config: &str, line: &str) -> Result<(Args, Provenance), Unparsed> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("c.toml");
        std::fs::write(&file, config).expect("written");
        let command =
            Args::command().mut_subcommand("export", |c| c.mut_arg("tenant", |a| a.env(Some("CARGO_PKG_NAME"))));
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        parse(&command, &arguments, Some(&file))
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_profile_which_beats_the_file() {
        let config = "tenant = \"file\"\ngroup = \"file\"\nscope = \"file\"\n\
                      [profile.acme]\ntenant = \"profile\"\nscope = \"profile\"\nkind = \"oneup-payer\"";
        let export = |line: &str| match parsed(config, line) {
            Ok((Args { command: args::Command::Export(args), .. }, provenance)) => (args, provenance),
            other => panic!("{other:?}"),
        };
        let (args, provenance) = export("lakehaul export acme --to l --tenant flag");
        assert_eq!(args.server.tenant.as_deref(), Some("flag"));
        assert_eq!(provenance.source("tenant"), Source::Argument);
        let (args, provenance) = export("lakehaul export acme --to l");
        assert_eq!(args.server.tenant.as_deref(), Some(env!("CARGO_PKG_NAME")));
        assert_eq!(provenance.source("tenant"), Source::Variable("LAKEHAUL_TENANT".into()));
        assert_eq!(args.server.client.scope.as_deref(), Some("profile"));
        assert!(matches!(provenance.source("scope"), Source::Profile { name, .. } if name == "acme"));
        assert_eq!(args.server.kind, Some(lakehaul_fetch::Kind::OneupPayer));
        assert_eq!(args.ask.group.as_deref(), Some("file"));
        assert!(matches!(provenance.source("group"), Source::File(_)));
        assert_eq!(provenance.source("retries"), Source::Default);
        let (args, provenance) = export("lakehaul export --to l");
        assert_eq!((args.server.client.scope.as_deref(), args.server.kind), (Some("file"), None));
        assert!(matches!(provenance.source("scope"), Source::File(_)));
        let mut given: Vec<&str> = provenance.options().iter().map(|option| option.long.as_str()).collect();
        given.sort_unstable();
        assert_eq!(given, ["group", "scope", "tenant", "to"]);
    }

    #[test]
    fn an_unknown_profile_is_told_with_those_there_are() {
        for (config, part) in [
            ("[profile.acme]\n[profile.b]", "there is no profile nobody; there are acme, b"),
            ("", "there is no profile nobody, and no other"),
            ("[profile.nobody]\nkind = \"x\"", "invalid value 'x' for '--kind <KIND>'"),
        ] {
            match parsed(config, "lakehaul export nobody --to l") {
                Err(Unparsed::Failure(failure)) => assert!(failure.to_string().contains(part), "{failure}"),
                other => panic!("{other:?}"),
            }
        }
        let arguments = ["lakehaul", "check", "acme"].map(OsString::from);
        match parse(&Args::command(), &arguments, Some(Path::new("/nowhere/config.toml"))) {
            Err(Unparsed::Failure(failure)) => {
                let text = failure.to_string();
                assert!(text.contains("no config file: /nowhere/config.toml does not exist"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unknown_variable_is_noticed() {
        let names = ["LAKEHAUL_MEMROY", "LAKEHAUL_MEMORY", "LAKEHAUL_TYPE", "LAKEHAUL_QUIET", "LAKEHAUL_TOKEN", "HOME"]
            .map(OsString::from);
        assert_eq!(unknown_variables(names.into_iter()), ["LAKEHAUL_MEMROY"]);
    }
}
