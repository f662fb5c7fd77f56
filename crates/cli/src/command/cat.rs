//! `lakehaul cat`: a table's resources as NDJSON on stdout. A reader that leaves early (`| head`) is no failure.

use std::io::{self, BufWriter, Write};

use lakehaul_load::LoadError;

use crate::args::CatArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::resolve;

/// Some pipes' worth, so that `cat | wc -l` is not about system calls.
const BUFFER_BYTES: usize = 1 << 18;

pub(super) fn run(args: &CatArgs) -> Result<Exit, Failure> {
    let lake = resolve::lake(&args.lake)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    match lakehaul_load::cat(&lake, &args.resource_type, &mut out) {
        Ok(_) => {}
        Err(LoadError::Output(error)) => return Err(Failure::Output(error)),
        Err(error) => return Err(Failure::to(format!("print {} of {lake}", args.resource_type))(error)),
    }
    out.flush()?;
    Ok(Exit::Complete)
}
