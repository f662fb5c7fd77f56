//! Why a command ends without a result: one sentence, one exit code and, where there is one, a hint what to do.

use std::fmt;
use std::io;

use lakehaul_fetch::{ErrorKind as FetchErrorKind, FetchError};
use lakehaul_load::LoadError;

use crate::config::ConfigError;
use crate::exit::Exit;
use crate::signals::{Again, Signal};

/// What ended a command.
#[derive(Debug)]
pub enum Failure {
    /// The arguments cannot be meant like this.
    Usage(String),
    /// The config file cannot be used.
    Config(ConfigError),
    /// The lake or the load failed; `doing` fits after "failed to".
    Load {
        /// What was attempted.
        doing: String,
        /// Why it failed.
        error: LoadError,
    },
    /// A signal ended the work; its state is saved.
    Interrupted {
        /// Which.
        signal: Signal,
        /// What to do next.
        again: Again,
    },
    /// Stdout takes no more. If its reader has left, that is no failure.
    Output(io::Error),
}

impl Failure {
    /// For `map_err`: the attempt that failed.
    pub fn to(doing: impl Into<String>) -> impl FnOnce(LoadError) -> Failure {
        move |error| Failure::Load { doing: doing.into(), error }
    }

    /// The end of a command whose outcome is known by now. A reader of stdout who has left changes nothing about it.
    pub fn unless_left(printed: io::Result<()>, exit: Exit) -> Result<Exit, Failure> {
        match printed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
            Ok(()) | Err(_) => Ok(exit),
        }
    }

    /// The code to end with.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) | Failure::Config(_) => Exit::Usage,
            Failure::Load { error, .. } => Exit::of_error(error),
            Failure::Interrupted { signal, .. } => signal.exit(),
            Failure::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Complete,
            Failure::Output(_) => Exit::Destination,
        }
    }

    /// Nothing to say: whoever read the output has seen enough.
    pub fn is_silent(&self) -> bool {
        self.exit() == Exit::Complete
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let error = match self {
            Failure::Load { error, .. } => error,
            Failure::Interrupted { again, .. } => return Some((*again).to_owned()),
            Failure::Usage(_) | Failure::Config(_) | Failure::Output(_) => return None,
        };
        let advice = match error {
            LoadError::NothingToLoad(_) => {
                "give .ndjson files (.gz and .zst too), a folder that has some, a bulk manifest (.json), or - for stdin"
            }
            LoadError::LakeHeld { .. } => "run the command again when the other one has ended",
            // What a store says of itself says what to do.
            LoadError::Destination { source, .. } if source.get_ref().is_none() => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "make room, then run the same command again; the lake's tables are as they were"
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "the lake's folder must be writable by you; then run the same command again"
                }
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    "a lake is a folder: choose another path"
                }
                _ => WHEN_PUT_RIGHT,
            },
            LoadError::Destination { .. } => WHEN_PUT_RIGHT,
            LoadError::LakeDamaged { .. } => "`lakehaul verify LAKE` tells all that is damaged",
            LoadError::Fetch(error) => return server_hint(error, self.exit()),
            LoadError::NothingSearched(error) => return error.hint(),
            LoadError::Changed { .. } | LoadError::TookTooLong(_) => AGAIN,
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

const WHEN_PUT_RIGHT: &str = "when that is put right, run the same command again; the lake's tables are as they were";

/// What a command that stopped comes to.
pub const AGAIN: &str = "run the same command again: it goes on where it stopped";
const FRESH: &str = "the same command with --fresh starts a new export";

/// The client's own advice, and whether the same command is worth another try.
fn server_hint(error: &FetchError, exit: Exit) -> Option<String> {
    let then = match exit {
        Exit::ServerFailed => Some(FRESH),
        // Another try meets the same certificate.
        Exit::Transport if error.kind() != FetchErrorKind::Tls => Some(AGAIN),
        _ => None,
    };
    match (error.hint(), then) {
        (None, then) => then.map(str::to_owned),
        (Some(hint), None) => Some(hint),
        (Some(hint), Some(then)) => Some(format!("{hint} Then: {then}.")),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(why) => f.write_str(why),
            Failure::Config(error) => error.fmt(f),
            Failure::Load { doing, error } => write!(f, "failed to {doing}: {error}"),
            Failure::Interrupted { signal, .. } => {
                write!(f, "{} ended the command; what has come so far is saved", signal.name())
            }
            Failure::Output(error) => write!(f, "failed to write to stdout: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Config(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_hint_says_what_to_do_next() {
        #[track_caller]
        fn check(error: LoadError, exit: u8, hint: &str) {
            let failure = Failure::to("export")(error);
            assert_eq!(failure.exit().code(), exit, "{failure}");
            assert_eq!(failure.hint().as_deref(), Some(hint), "{failure}");
        }
        check(LoadError::TookTooLong(Duration::from_secs(60)), 5, AGAIN);
        check(LoadError::Changed { keys: Vec::new(), why: String::new() }, 5, AGAIN);
        check(LoadError::LakeHeld { lake: "l".into() }, 9, "run the command again when the other one has ended");
        let stored = lakehaul_fetch::PollingLocation::from_stored("file:///x").expect_err("no http URL");
        assert_eq!(Failure::to("export")(LoadError::from(stored)).hint(), None);
    }
}
