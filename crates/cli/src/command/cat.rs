//! `lakehaul cat`: a table's resources as NDJSON on stdout. A reader that leaves early (`| head`) is no failure.

use std::io::{self, BufWriter, Write};

use crate::args::CatArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::resolve;

/// Some pipes' worth, so that `cat | wc -l` is not about system calls.
const BUFFER_BYTES: usize = 1 << 18;

pub(super) fn run(args: &CatArgs) -> Result<Exit, Failure> {
    let lake = resolve::lake(&args.lake)?;
    let mut out = Watched { inner: BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()), failed: None };
    let printed = lakehaul_load::cat(&lake, &args.resource_type, &mut out);
    let flushed = out.flush();
    // What stopped the printing is told before what the library made of it.
    match out.failed {
        Some(error) => Err(Failure::Output(error)),
        None => {
            printed.map_err(Failure::to("print the table"))?;
            flushed?;
            Ok(Exit::Complete)
        }
    }
}

/// Remembers why stdout failed, which the library reports only as a failed write.
struct Watched<W> {
    inner: W,
    failed: Option<io::Error>,
}

impl<W: Write> Watched<W> {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let told = io::Error::from(error.kind());
            self.failed.get_or_insert(error);
            told
        })
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.note(result)
    }
}
