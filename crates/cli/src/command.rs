//! The commands: each takes what was typed, asks the library, prints the result and says how it ended.

mod cancel;
mod cat;
mod check;
mod closing;
mod compact;
mod completions;
mod connect;
mod demo;
mod export;
mod load;
mod login;
mod man;
mod matching;
mod report;
mod runs;
mod schema;
mod search;
mod sim;
mod systems;
mod vacuum;
mod verify;

use crate::args::{Args, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::resolve::{Given, Manner};

/// Runs the command that was asked for.
pub(crate) fn run(args: &Args, manner: Manner, given: &Given) -> Result<Exit, Failure> {
    match &args.command {
        Command::Demo(args) => demo::run(args, manner),
        Command::Export(args) => export::run(args, manner, given),
        Command::Search(args) => search::run(args, manner, given),
        Command::Match(args) => matching::run(args, manner, given),
        Command::Login(args) => login::run(args, manner, given),
        Command::Systems(args) => systems::run(args, manner, given),
        Command::Connect(args) => connect::run(args, manner, given),
        Command::Check(args) => check::run(args, manner, given),
        Command::Cancel(args) => cancel::run(args, manner, given),
        Command::Sim(args) => sim::run(args, manner),
        Command::Load(args) => load::run(args, manner),
        Command::Cat(args) => cat::run(args),
        Command::Verify(args) => verify::run(args, manner),
        Command::Compact(args) => compact::run(args, manner),
        Command::Vacuum(args) => vacuum::run(args, manner),
        Command::Schema(args) => schema::run(args, manner),
        Command::Runs(args) => runs::run(args, manner),
        Command::Report(args) => report::run(args, manner),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}
