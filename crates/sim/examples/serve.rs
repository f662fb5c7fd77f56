//! Serves a folder's `.ndjson` files as the output of an open SMART bulk server on loopback, from memory:
//! `cargo run --release -p lakehaul-sim --example serve -- FOLDER [TIMES]`, each file TIMES over. Prints the base URL, and
//! ends when its standard input does.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the URL is what it is run for")]

use std::io::Read;
use std::path::Path;

use lakehaul_sim::{Door, FileAccess, Personality, Scenario, ServedFile, Sim};

#[expect(clippy::disallowed_methods, reason = "this is the process's own command line")]
fn main() -> std::io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (folder, times) = match &arguments[..] {
        [folder] => (folder, 1),
        [folder, times] => (folder, times.parse().map_err(std::io::Error::other)?),
        _ => return Err(std::io::Error::other("usage: serve FOLDER [TIMES]")),
    };
    let mut names: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    names.retain(|path| path.extension().is_some_and(|ending| ending == "ndjson"));
    names.sort();
    let files = names.iter().map(|path| served(path, times)).collect::<std::io::Result<Vec<_>>>()?;
    let scenario = Scenario::new(Personality::Smart).door(Door::Open).file_access(FileAccess::Open).files(files);
    let sim = Sim::start(scenario)?;
    println!("{}", sim.base_url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn served(path: &Path, times: u64) -> std::io::Result<ServedFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let resource_type = name.split('.').next().unwrap_or_default();
    Ok(ServedFile::repeated(resource_type, std::fs::read(path)?, times).named(&name))
}
