//! The config file: a TOML table of options by their long names, and tables `[profile.NAME]` of more of them, which beat
//! the others where the profile is asked for. In comes a file, out goes a clap command whose options have the file's values
//! as defaults, so that a value is read, checked and overridden in one way wherever it comes from.
//!
//! The file is `--config FILE`, else `lakehaul/config.toml` in the user's config folder. The current directory is never
//! searched: a folder of somebody's data must not be able to change what a load does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use toml::{Table, Value};

use crate::provenance::Source;

/// A config file's options.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    options: Table,
    profiles: BTreeMap<String, Table>,
}

/// Why a config file cannot be used. Exit code 2.
#[derive(Debug)]
pub struct ConfigError {
    path: PathBuf,
    why: String,
}

impl Config {
    /// Reads the file that was asked for, which must exist, or else the user's, which need not.
    pub fn find(asked_for: Option<&Path>, user_file: Option<&Path>) -> Result<Option<Config>, ConfigError> {
        let Some(path) = asked_for.or(user_file) else { return Ok(None) };
        match std::fs::read_to_string(path) {
            Ok(text) => Config::parse(path, &text).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound && asked_for.is_none() => Ok(None),
            Err(e) => Err(ConfigError { path: path.to_owned(), why: e.to_string() }),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let error = |why: String| ConfigError { path: path.to_owned(), why };
        let mut options: Table = text.parse().map_err(|e: toml::de::Error| {
            // Without the line itself, which the error would quote: it may be a secret that has no quotes.
            let line = e.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            error(format!("line {line}: {}", e.message()))
        })?;
        let profiles = match options.remove("profile") {
            None => BTreeMap::new(),
            Some(value) => value
                .try_into()
                .map_err(|_| error("`profile` holds tables: [profile.NAME] and options under it".to_owned()))?,
        };
        Ok(Config { path: path.to_owned(), options, profiles })
    }

    /// `command` with this file's values as defaults, those of the profile before those of the top level. A key that no
    /// command has as an option is an error, in whatever profile; one that another command has is not.
    pub fn apply(&self, mut command: Command, profile: Option<&str>) -> Result<Command, ConfigError> {
        for (key, value) in self.profiles.values().chain([&self.options]).flatten() {
            self.check(&command, key, value)?;
        }
        if let Some(name) = profile.filter(|name| !self.profiles.contains_key(*name)) {
            let there: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            return Err(self.error(match there.as_slice() {
                [] => {
                    format!("there is no profile {name}, and no other: [profile.{name}] and options under it make one")
                }
                [only] => format!("there is no profile {name}; there is {only}"),
                there => format!("there is no profile {name}; there are {}", there.join(", ")),
            }));
        }
        for (key, value) in self.options.iter().chain(self.profile(profile).into_iter().flatten()) {
            let values = texts(value).unwrap_or_default();
            command = set_default(command, key, &values);
            for name in command.get_subcommands().map(|c| c.get_name().to_owned()).collect::<Vec<_>>() {
                command = command.mut_subcommand(name, |c| set_default(c, key, &values));
            }
        }
        Ok(command)
    }

    /// Where this file has the option's value, if it has one.
    pub fn source(&self, long: &str, profile: Option<&str>) -> Option<Source> {
        let file = self.path.clone();
        match profile {
            Some(name) if self.profile(profile).is_some_and(|options| options.contains_key(long)) => {
                Some(Source::Profile { name: name.to_owned(), file })
            }
            _ => self.options.contains_key(long).then_some(Source::File(file)),
        }
    }

    fn profile(&self, name: Option<&str>) -> Option<&Table> {
        self.profiles.get(name?)
    }

    fn check(&self, command: &Command, key: &str, value: &Value) -> Result<(), ConfigError> {
        if SECRETS.contains(&key) {
            return Err(self.error(format!(
                "`{key}` would be a secret in a file that is copied and shared; name a file that holds it, as `{key}-file`, \
                 or a command that prints it, as `{key}-command`"
            )));
        }
        let known = has_option(command, key) || command.get_subcommands().any(|c| has_option(c, key));
        if !known || key == "config" {
            return Err(
                self.error(format!("`{key}` is no option; `lakehaul help export` and `lakehaul help load` list them"))
            );
        }
        texts(value)
            .map(|_| ())
            .ok_or_else(|| self.error(format!("`{key}` must be a text, a number, true or false, or a list of texts")))
    }

    /// The error that a value of this file is wrong.
    pub fn error(&self, why: impl Into<String>) -> ConfigError {
        ConfigError { path: self.path.clone(), why: why.into() }
    }
}

/// What no file but its own may hold.
const SECRETS: [&str; 3] = ["client-secret", "private-key", "token"];

fn has_option(command: &Command, long: &str) -> bool {
    command.get_arguments().any(|a| a.get_long() == Some(long))
}

fn set_default(command: Command, long: &str, values: &[String]) -> Command {
    let Some(id) = command.get_arguments().find(|a| a.get_long() == Some(long)).map(|a| a.get_id().clone()) else {
        return command;
    };
    command.mut_arg(id, |a| a.default_values(values.iter().map(OsString::from)))
}

/// The value as it would be typed; none if it is no such value.
fn texts(value: &Value) -> Option<Vec<String>> {
    Some(match value {
        Value::String(text) => vec![text.clone()],
        Value::Integer(number) => vec![number.to_string()],
        Value::Boolean(on) => vec![on.to_string()],
        Value::Array(list) => list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => return None,
    })
}

/// Where the user's file is, if there is one: `$XDG_CONFIG_HOME` or `~/.config`, on Windows `%APPDATA%`. Relative
/// folders do not count, as the XDG specification demands. `variable` reads the environment.
pub fn user_file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let configs = if cfg!(windows) {
        folder("APPDATA")
    } else {
        folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))
    };
    configs.map(|folder| folder.join("lakehaul").join("config.toml"))
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "config file {}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Args;

    fn apply(text: &str, profile: Option<&str>) -> Result<Command, ConfigError> {
        Config::parse(Path::new("c.toml"), text)?.apply(Args::command(), profile)
    }

    #[track_caller]
    fn check_error(text: &str, part: &str) {
        let error = apply(text, None).expect_err(text).to_string();
        assert!(error.starts_with("config file c.toml: ") && error.contains(part), "{error}");
    }

    #[test]
    fn values_become_defaults() {
        let text = "memory = \"2GiB\"\nthreads = 3\nquiet = true\nannotate = [\"dates\", \"references\"]";
        let command = apply(text, None).expect("applies");
        let matches = command.get_matches_from(["lakehaul", "load", "a", "--threads", "5"]);
        let load = matches.subcommand_matches("load").expect("load");
        assert_eq!(load.get_one::<crate::size::Size>("memory").map(|s| s.bytes), Some(2 << 30));
        assert_eq!(load.get_one::<u16>("threads"), Some(&5));
        assert!(load.get_flag("quiet"));
        assert_eq!(load.get_many::<String>("annotate").expect("given").collect::<Vec<_>>(), ["dates", "references"]);
    }

    #[test]
    fn a_profile_beats_the_top_level_where_it_is_asked_for() {
        let text =
            "tenant = \"bison\"\nretries = 3\n[profile.acme]\ntenant = \"acme\"\n[profile.\"b c\"]\npatient = true";
        for (profile, tenant) in [(None, "bison"), (Some("acme"), "acme"), (Some("b c"), "bison")] {
            let matches = apply(text, profile).expect("applies").get_matches_from(["lakehaul", "export"]);
            let export = matches.subcommand_matches("export").expect("export");
            assert_eq!(export.get_one::<String>("tenant").map(String::as_str), Some(tenant), "{profile:?}");
            assert_eq!(export.get_one::<u32>("retries"), Some(&3));
        }
        let error = apply(text, Some("acmee")).expect_err("there is none").to_string();
        assert_eq!(error, "config file c.toml: there is no profile acmee; there are acme, b c");
        let error = apply("", Some("acme")).expect_err("there is none").to_string();
        assert!(error.contains("[profile.acme] and options under it make one"), "{error}");
    }

    #[test]
    fn each_value_has_its_source() {
        let text = "tenant = \"bison\"\nretries = 3\n[profile.acme]\ntenant = \"acme\"";
        let config = Config::parse(Path::new("c.toml"), text).expect("parses");
        let profile = Source::Profile { name: "acme".into(), file: "c.toml".into() };
        assert_eq!(config.source("tenant", Some("acme")), Some(profile));
        assert_eq!(config.source("tenant", None), Some(Source::File("c.toml".into())));
        assert_eq!(config.source("retries", Some("acme")), Some(Source::File("c.toml".into())));
        assert_eq!(config.source("kind", Some("acme")), None);
    }

    #[test]
    fn secrets_are_refused() {
        for key in SECRETS {
            check_error(&format!("{key} = \"sesame\""), &format!("as `{key}-command`"));
            check_error(&format!("[profile.acme]\n{key} = \"sesame\""), &format!("as `{key}-file`"));
            let error = apply(&format!("{key} = \"sesame\""), None).expect_err(key).to_string();
            assert!(!error.contains("sesame"), "{error}");
        }
        apply("client-secret-file = \"s\"\ntoken-command = \"c\"", None).expect("these are options");
    }

    #[test]
    fn what_is_no_option_is_named() {
        check_error("memroy = 1", "`memroy` is no option");
        check_error("config = \"other.toml\"", "`config` is no option");
        check_error("threads = 1.5", "`threads` must be");
        check_error("[load]\nthreads = 1", "`load` is no option");
        check_error("[threads]\nload = 1", "`threads` must be");
        check_error("profile = \"acme\"", "`profile` holds tables");
        check_error("profile.acme = 1", "`profile` holds tables");
        check_error("[profile.acme]\nmemroy = 1", "`memroy` is no option");
        check_error("threads = ", "line 1: ");
        check_error("threads = 1\nclient-secret = sesame\n", "line 2: ");
        let error = apply("client-secret = sesame", None).expect_err("no quotes").to_string();
        assert!(!error.contains("sesame"), "{error}");
    }

    #[test]
    fn the_users_file_is_in_an_absolute_folder() {
        let with =
            |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| OsString::from(value));
        if cfg!(unix) {
            assert_eq!(user_file(with("XDG_CONFIG_HOME", "/x")), Some("/x/lakehaul/config.toml".into()));
            assert_eq!(user_file(with("HOME", "/h")), Some("/h/.config/lakehaul/config.toml".into()));
            assert_eq!(user_file(with("XDG_CONFIG_HOME", ".")), None);
        }
        assert_eq!(user_file(|_| None), None);
    }
}
