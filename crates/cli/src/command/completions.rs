//! `lakehaul completions SHELL`: a completion script on stdout.

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs};
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    // Into memory first: the generator panics where stdout is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "lakehaul", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Complete)
}
