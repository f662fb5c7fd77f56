//! `lakehaul systems`: the health systems and plans that patients can connect to.

use std::io::Write;
use std::sync::Arc;

use lakehaul_fetch::{Client, System, SystemClock};
use serde_json::json;

use super::login::Told;
use crate::args::SystemsArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::table::{Sums, Table};
use crate::resolve::{self, Form, Given, Manner, SystemsJob};

pub(super) fn run(args: &SystemsArgs, manner: Manner, given: &Given) -> Result<Exit, Failure> {
    let SystemsJob { client, query } = resolve::systems(args, given)?;
    let failed = || Failure::to("list systems");
    let client = Client::new(client, Arc::new(SystemClock), Arc::new(Told { manner }));
    let mut pages = client.and_then(|client| client.systems(&query)).map_err(|error| failed()(error.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = std::io::stdout().lock();
    let mut table = Table::new(&["id", "name", "version", "status", "software", "place"], 0);
    let mut any = false;
    while let Some(page) = runtime.block_on(pages.next()).map_err(|error| failed()(error.into()))? {
        for system in &page {
            any = true;
            match manner.form {
                Form::Json => writeln!(out, "{}", json!(system))?,
                Form::Text => table.row(cells(system)),
            }
        }
    }
    if manner.form == Form::Text && any {
        out.write_all(table.render(Sums::None).as_bytes())?;
    }
    out.flush()?;
    if !any && manner.form == Form::Text && !manner.quiet {
        // Stderr may be gone; the empty list says as much.
        let _ = writeln!(std::io::stderr(), "no system is found");
    }
    Ok(Exit::Complete)
}

fn cells(system: &System) -> [String; 6] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let place = match system.locations.as_slice() {
        [] => String::new(),
        [first, rest @ ..] => {
            let at =
                [&first.city, &first.state].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
            if rest.is_empty() { at } else { format!("{at} and {} more", rest.len()) }
        }
    };
    [system.id.clone(), system.name.clone(), text(&system.api_version), text(&system.status), text(&system.ehr), place]
}
