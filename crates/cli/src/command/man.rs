//! `lakehaul man [COMMAND]`: a manual page in roff on stdout.

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Args, ManArgs};
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) fn run(args: &ManArgs) -> Result<Exit, Failure> {
    let mut root = Args::command();
    // Global options become part of each command only when clap builds it.
    root.build();
    let page = match &args.command {
        None => clap_mangen::Man::new(root),
        Some(name) => {
            let known: Vec<_> = root.get_subcommands().map(|c| c.get_name().to_owned()).collect();
            let Some(command) = root.find_subcommand(name) else {
                return Err(Failure::Usage(format!("{name} is no command; there are {}", known.join(", "))));
            };
            clap_mangen::Man::new(command.clone()).title(format!("lakehaul-{name}"))
        }
    };
    let mut roff = Vec::new();
    page.render(&mut roff)?;
    std::io::stdout().write_all(&roff)?;
    Ok(Exit::Complete)
}
