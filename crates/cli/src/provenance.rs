//! Where options' values came from. In come the parsed arguments and the config file, out goes a source for each option,
//! for `check` to show and for choosing among options that exclude each other.

use std::fmt;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::config::Config;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Argument,
    /// An environment variable: its name.
    Variable(String),
    /// A profile in a config file.
    Profile {
        /// The profile's name.
        name: String,
        /// The file.
        file: PathBuf,
    },
    /// The top level of a config file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

impl Source {
    /// Smaller numbers beat larger ones.
    pub fn rank(&self) -> u8 {
        match self {
            Source::Argument => 0,
            Source::Variable(_) => 1,
            Source::Profile { .. } => 2,
            Source::File(_) => 3,
            Source::Default => 4,
        }
    }
}

/// An option that somebody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenOption {
    /// Its long name.
    pub long: String,
    /// Its values, as they would be typed.
    pub values: Vec<String>,
    /// Where they came from.
    pub source: Source,
}

/// The options that were given, in the order of the command's definition.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    options: Vec<GivenOption>,
}

impl Provenance {
    /// Of the options of the command that was asked for. `profile`: the one whose values were applied.
    pub fn of(command: &Command, matches: &ArgMatches, config: Option<&Config>, profile: Option<&str>) -> Provenance {
        let Some((name, matches)) = matches.subcommand() else { return Provenance::default() };
        let Some(command) = command.find_subcommand(name) else { return Provenance::default() };
        let option = |argument: &Arg| {
            let long = argument.get_long()?.to_owned();
            let id = argument.get_id().as_str();
            let source = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => Source::Argument,
                Some(ValueSource::EnvVariable) => Source::Variable(variable(&long)),
                _ => config.and_then(|config| config.source(&long, profile))?,
            };
            let values =
                matches.get_raw(id).into_iter().flatten().map(|raw| raw.to_string_lossy().into_owned()).collect();
            Some(GivenOption { long, values, source })
        };
        Provenance { options: command.get_arguments().filter_map(option).collect() }
    }

    /// Where the option's value came from.
    pub fn source(&self, long: &str) -> Source {
        self.options().iter().find(|option| option.long == long).map_or(Source::Default, |option| option.source.clone())
    }

    /// All that were given.
    pub fn options(&self) -> &[GivenOption] {
        &self.options
    }
}

/// The environment variable of an option.
pub fn variable(long: &str) -> String {
    format!("LAKEHAUL_{}", long.replace('-', "_").to_uppercase())
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Argument => f.write_str("command line"),
            Source::Variable(name) => f.write_str(name),
            Source::Profile { name, file } => write!(f, "profile {name} in {}", file.display()),
            Source::File(file) => write!(f, "{}", file.display()),
            Source::Default => f.write_str("default"),
        }
    }
}
