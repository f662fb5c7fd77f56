//! A limit, not a loader: simd-json parses every line of a folder's `.ndjson` files to its tape, and that is thrown away.
//!
//! Usage: `compare-simd-json-tape FOLDER OUT [THREADS]`; nothing is written to OUT. Files are taken largest first, one a
//! thread, and read through a small buffer, so that nothing but parsing costs much; buffers and tape are reused from line to
//! line, and so is the line's copy, in which simd-json undoes escapes. Prints how many lines it has parsed.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use lakehaul_benches::ndjson_files;
use rayon::prelude::*;
use simd_json::{Buffers, Tape};

type Failure = Box<dyn Error + Send + Sync>;

#[expect(clippy::disallowed_methods, reason = "a program of its own, which takes its own arguments")]
#[expect(clippy::print_stdout, reason = "what it has found")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, _out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: compare-simd-json-tape FOLDER OUT [THREADS]".into());
    };
    let threads = rest.first().map_or(Ok(2), |text| text.parse())?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let files = ndjson_files(Path::new(folder))?;
    // One file at a time per thread: rayon's splitting in halves would start the small ones early.
    let lines = pool.install(|| files.par_iter().with_max_len(1).map(|file| parse(file)).sum::<Result<usize, _>>())?;
    println!("rows {lines}");
    Ok(())
}

/// About what a core's own cache holds beside a line's tape.
const READ_BYTES: usize = 1 << 18;

fn parse(file: &Path) -> Result<usize, Failure> {
    let mut text = BufReader::with_capacity(READ_BYTES, File::open(file)?);
    let (mut buffers, mut copy, mut kept) = (Buffers::new(1 << 16), Vec::new(), Tape(Vec::new()));
    let mut lines = 0;
    loop {
        copy.clear();
        if text.read_until(b'\n', &mut copy)? == 0 {
            return Ok(lines);
        }
        if copy.trim_ascii().is_empty() {
            continue;
        }
        let mut tape = kept.reset();
        simd_json::fill_tape(&mut copy, &mut buffers, &mut tape)?;
        kept = tape.reset();
        lines += 1;
    }
}
