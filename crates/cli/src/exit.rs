//! Exit codes: what other programs decide by. In come a load's problems or an error, out goes one code.

use std::process::ExitCode;

use lakehaul_load::{ErrorKind, LoadError, Problem};

/// Every code that lakehaul ends with. The numbers are a contract and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every line of every file is in a table or blank; or what was asked for was printed.
    Complete = 0,
    /// The command line, the environment or the config file is wrong, or there is nothing to load. Nothing was touched.
    Usage = 2,
    /// Authentication or authorization was refused.
    Refused = 3,
    /// The server failed the export, or has no such job.
    ServerFailed = 4,
    /// Transport gave out after all retries.
    Transport = 5,
    /// The export says that something is missing, or counts do not agree. `--allow-partial` makes it 0.
    Partial = 6,
    /// Lines are in quarantine, all else is loaded. `--allow-rejects` makes it 0.
    Rejected = 7,
    /// The lake could not be written or read: disk full, permission, no folder.
    Destination = 8,
    /// Another run holds the lake.
    Held = 9,
    /// The lake is not what its ledger says, or a row is not its source's resource.
    Verification = 10,
    /// An input could not be read whole; what came before is loaded.
    Unreadable = 11,
    /// Interrupted by SIGINT (Ctrl-C), state saved.
    Interrupted = 130,
    /// Ended by SIGTERM, state saved.
    Terminated = 143,
}

impl Exit {
    /// Which one counts where several hold: the first.
    pub const PRECEDENCE: [Exit; 9] = [
        Exit::Usage,
        Exit::Refused,
        Exit::Held,
        Exit::Destination,
        Exit::ServerFailed,
        Exit::Transport,
        Exit::Unreadable,
        Exit::Partial,
        Exit::Rejected,
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The code of several that hold at once; none: complete.
    pub fn first(all: impl IntoIterator<Item = Exit>) -> Exit {
        let rank = |exit: &Exit| Exit::PRECEDENCE.iter().position(|e| e == exit).unwrap_or(Exit::PRECEDENCE.len());
        all.into_iter().filter(|&e| e != Exit::Complete).min_by_key(rank).unwrap_or(Exit::Complete)
    }

    /// The code of one problem, after what is allowed.
    pub fn of_problem(problem: &Problem, allowed: Allowed) -> Exit {
        match problem {
            Problem::Rejected { lines } if allowed.rejects.covers(*lines) => Exit::Complete,
            Problem::Rejected { .. } => Exit::Rejected,
            Problem::FewerThanDeclared { .. }
            | Problem::Outcomes { .. }
            | Problem::Lost { .. }
            | Problem::FewerThanExported { .. }
            | Problem::FewerThanFound { .. }
            | Problem::SearchRefused { .. }
            | Problem::FailedBatches { .. } => match allowed.partial {
                true => Exit::Complete,
                false => Exit::Partial,
            },
            Problem::Unreadable { .. } => Exit::Unreadable,
            // A kind that is newer than this match: not complete, and not to be allowed away.
            _ => Exit::Partial,
        }
    }

    /// The code of an error.
    pub fn of_error(error: &LoadError) -> Exit {
        match error.kind() {
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Refused => Exit::Refused,
            ErrorKind::Export => Exit::ServerFailed,
            ErrorKind::Transport => Exit::Transport,
            ErrorKind::Destination => Exit::Destination,
            ErrorKind::LakeHeld => Exit::Held,
            ErrorKind::Verification => Exit::Verification,
            // Which signal it was is known to `signals`.
            ErrorKind::Interrupted => Exit::Interrupted,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// What the caller has said is no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    /// `--allow-rejects [N]`
    pub rejects: RejectLimit,
    /// `--allow-partial`
    pub partial: bool,
}

/// How many rejected lines still count as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RejectLimit {
    /// None: the default.
    #[default]
    Zero,
    /// At most so many.
    UpTo(u64),
    /// However many.
    All,
}

impl RejectLimit {
    fn covers(self, lines: u64) -> bool {
        match self {
            RejectLimit::Zero => lines == 0,
            RejectLimit::UpTo(limit) => lines <= limit,
            RejectLimit::All => true,
        }
    }
}

/// The table at the end of `--help`.
pub const HELP: &str = "\
Exit codes:
    0  complete: every line of every file is in a table or blank
    2  usage or configuration is wrong, or there is nothing to load: fix it
    3  the server refuses who asks, or what is asked for: fix it
    4  the server failed the export, or does not know it any more: start over (--fresh)
    5  the connection gave out after all retries: run the same again, it takes up the export
    6  partial: the server says that something is missing, or counts do not agree
       (--allow-partial makes it 0)
    7  lines were rejected into quarantine, all else is loaded (--allow-rejects makes it 0)
    8  the destination failed: disk full, permission, no folder: fix it, run the same again
    9  another run holds the lake: later
   10  verification failed
   11  an input could not be read whole (unreadable, truncated): what came before is loaded
  130, 143  interrupted by SIGINT (Ctrl-C) or SIGTERM, state saved: run the same again, it goes on
  Where several hold, the first of 2, 3, 9, 8, 4, 5, 11, 6, 7 wins; the run record lists all.";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(codes: &[Exit], expected: u8) {
        assert_eq!(Exit::first(codes.iter().copied()).code(), expected);
        assert_eq!(Exit::first(codes.iter().rev().copied()).code(), expected);
    }

    #[test]
    fn the_first_in_precedence_wins() {
        check(&[], 0);
        check(&[Exit::Complete], 0);
        check(&[Exit::Rejected, Exit::Complete], 7);
        check(&[Exit::Rejected, Exit::Partial], 6);
        check(&[Exit::Partial, Exit::Unreadable, Exit::Rejected], 11);
        check(&[Exit::Unreadable, Exit::Destination], 8);
        check(&[Exit::Held, Exit::Destination, Exit::Transport], 9);
        assert_eq!(Exit::PRECEDENCE.map(Exit::code), [2, 3, 9, 8, 4, 5, 11, 6, 7]);
    }

    #[test]
    fn a_problem_has_its_code_unless_it_is_allowed() {
        let nothing = Allowed::default();
        let hundred = Allowed { rejects: RejectLimit::UpTo(100), partial: false };
        let all = Allowed { rejects: RejectLimit::All, partial: true };
        let fewer = Problem::FewerThanDeclared { output_file: "a".into(), declared: 2, resources: 1 };
        let unreadable = Problem::Unreadable { output_file: "a".into(), why: "truncated".into() };
        for (problem, allowed, code) in [
            (Problem::Rejected { lines: 100 }, nothing, 7),
            (Problem::Rejected { lines: 100 }, hundred, 0),
            (Problem::Rejected { lines: 101 }, hundred, 7),
            (Problem::Rejected { lines: 101 }, all, 0),
            (fewer.clone(), hundred, 6),
            (fewer, all, 0),
            (Problem::Outcomes { lines: 1 }, nothing, 6),
            (Problem::Outcomes { lines: 1 }, all, 0),
            (Problem::Lost { output_file: "a".into(), why: "404".into() }, nothing, 6),
            (Problem::Lost { output_file: "a".into(), why: "404".into() }, all, 0),
            (Problem::FewerThanExported { exported: 2, resources: 1 }, hundred, 6),
            (Problem::FewerThanExported { exported: 2, resources: 1 }, all, 0),
            (Problem::FailedBatches { failed: 1, total: 6 }, nothing, 6),
            (Problem::FailedBatches { failed: 1, total: 6 }, all, 0),
            (unreadable, all, 11),
        ] {
            assert_eq!(Exit::of_problem(&problem, allowed).code(), code, "{problem} {allowed:?}");
        }
    }
}
