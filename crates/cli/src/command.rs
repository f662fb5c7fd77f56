//! The commands: each takes what was typed, asks the library, prints the result and says how it ended.

mod cat;
mod completions;
mod load;
mod man;
mod runs;
mod schema;
mod verify;

use crate::args::{Args, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::resolve::Manner;

/// Runs the command that was asked for.
pub(crate) fn run(args: &Args, manner: Manner) -> Result<Exit, Failure> {
    match &args.command {
        Command::Load(args) => load::run(args, manner),
        Command::Cat(args) => cat::run(args),
        Command::Verify(args) => verify::run(args, manner),
        Command::Schema(args) => schema::run(args, manner),
        Command::Runs(args) => runs::run(args, manner),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}
