//! The config file: a TOML table of options by their long names. In comes a file, out goes a clap command whose options
//! have the file's values as defaults, so that a value is read, checked and overridden in one way wherever it comes
//! from.
//!
//! The file is `--config FILE`, else `lakehaul/config.toml` in the user's config folder. The current directory is never
//! searched: a folder of somebody's data must not be able to change what a load does.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;

/// A config file's options.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    options: toml::Table,
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
        let options = text.parse().map_err(|e: toml::de::Error| ConfigError {
            path: path.to_owned(),
            why: e.to_string().trim_end().to_owned(),
        })?;
        Ok(Config { path: path.to_owned(), options })
    }

    /// `command` with this file's values as defaults. A key that no command has as an option is an error; one that
    /// another command has is not.
    pub fn apply(&self, mut command: Command) -> Result<Command, ConfigError> {
        for (key, value) in &self.options {
            let values = texts(value).ok_or_else(|| {
                self.error(format!("`{key}` must be a text, a number, true or false, or a list of texts"))
            })?;
            let (changed, found) = set_default(command, key, &values);
            command = changed;
            for name in command.get_subcommands().map(|c| c.get_name().to_owned()).collect::<Vec<_>>() {
                command = command.mut_subcommand(name, |c| set_default(c, key, &values).0);
            }
            let known = found || command.get_subcommands().any(|c| has_option(c, key));
            if !known || key == "config" {
                return Err(self.error(format!("`{key}` is no option; `lakehaul load --help` lists them")));
            }
        }
        Ok(command)
    }

    /// The error that a value of this file is wrong.
    pub fn error(&self, why: impl Into<String>) -> ConfigError {
        ConfigError { path: self.path.clone(), why: why.into() }
    }
}

fn has_option(command: &Command, long: &str) -> bool {
    command.get_arguments().any(|a| a.get_long() == Some(long))
}

fn set_default(command: Command, long: &str, values: &[String]) -> (Command, bool) {
    let Some(id) = command.get_arguments().find(|a| a.get_long() == Some(long)).map(|a| a.get_id().clone()) else {
        return (command, false);
    };
    (command.mut_arg(id, |a| a.default_values(values.iter().map(OsString::from))), true)
}

/// The value as it would be typed; none if it is no such value.
fn texts(value: &toml::Value) -> Option<Vec<String>> {
    Some(match value {
        toml::Value::String(text) => vec![text.clone()],
        toml::Value::Integer(number) => vec![number.to_string()],
        toml::Value::Boolean(on) => vec![on.to_string()],
        toml::Value::Array(list) => list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => return None,
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

    fn apply(text: &str) -> Result<Command, ConfigError> {
        Config::parse(Path::new("c.toml"), text)?.apply(Args::command())
    }

    #[track_caller]
    fn check_error(text: &str, part: &str) {
        let error = apply(text).expect_err(text).to_string();
        assert!(error.starts_with("config file c.toml: ") && error.contains(part), "{error}");
    }

    #[test]
    fn values_become_defaults() {
        let command = apply("memory = \"2GiB\"\nthreads = 3\nquiet = true\nannotate = [\"dates\", \"references\"]")
            .expect("applies");
        let matches = command.get_matches_from(["lakehaul", "load", "a", "--threads", "5"]);
        let load = matches.subcommand_matches("load").expect("load");
        assert_eq!(load.get_one::<crate::size::Size>("memory").map(|s| s.bytes), Some(2 << 30));
        assert_eq!(load.get_one::<u16>("threads"), Some(&5));
        assert!(load.get_flag("quiet"));
        assert_eq!(load.get_many::<String>("annotate").expect("given").collect::<Vec<_>>(), ["dates", "references"]);
    }

    #[test]
    fn what_is_no_option_is_named() {
        check_error("memroy = 1", "`memroy` is no option");
        check_error("config = \"other.toml\"", "`config` is no option");
        check_error("threads = 1.5", "`threads` must be");
        check_error("[load]\nthreads = 1", "`load` must be");
        check_error("threads = ", "line 1");
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
