//! Writes an export of synthetic members into a folder, with its manifest:
//! `cargo run --release -p lakehaul-sim --example members -- FOLDER [MEMBERS] [SEED]`. For benches, and for whoever wants
//! files without a server.

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io;
use std::path::Path;

use lakehaul_sim::members::{Members, MembersOptions, Role};
use serde_json::{Value, json};

#[expect(clippy::disallowed_methods, reason = "this is the process's own command line")]
fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse());
    // `--help` is asked for, and no folder's name.
    let folder = arguments.first().filter(|folder| !folder.starts_with('-'));
    let folder = folder.ok_or_else(|| io::Error::other("usage: members FOLDER [MEMBERS] [SEED]"))?;
    let (members, seed) = (number(1, 1000).map_err(io::Error::other)?, number(2, 1).map_err(io::Error::other)?);
    write(&Members::new(MembersOptions { members, seed, ..MembersOptions::default() }), Path::new(folder))
}

fn write(members: &Members, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut lists: [Vec<Value>; 3] = Default::default();
    for (at, file) in members.files().iter().enumerate() {
        io::copy(&mut members.open(at).into_reader(), &mut File::create(folder.join(&file.name))?)?;
        let list = match file.role {
            Role::Output => 0,
            Role::Deleted => 1,
            Role::Outcome => 2,
        };
        lists[list].push(json!({"type": file.resource_type, "url": file.name, "count": file.resources}));
    }
    let [output, deleted, error] = lists;
    let transaction_time = members.transaction_time().to_string();
    let manifest = json!({
        "transactionTime": transaction_time, "requiresAccessToken": false,
        "output": output, "deleted": deleted, "error": error,
    });
    fs::write(folder.join("manifest.json"), format!("{manifest:#}\n"))
}
