//! `lakehaul connect`: the URL at which a patient lets a health system's data be collected.

use std::io::Write;
use std::sync::Arc;

use lakehaul_fetch::{Client, SystemClock};
use serde_json::json;

use super::login::Told;
use crate::args::ConnectArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::resolve::{self, ConnectJob, Form, Given, Manner};

pub(super) fn run(args: &ConnectArgs, manner: Manner, given: &Given) -> Result<Exit, Failure> {
    let ConnectJob { client: options, file, system, fhir_version } = resolve::connect(args, given)?;
    let failed = || Failure::to("make the URL");
    let client = Client::new(options.clone(), Arc::new(SystemClock), Arc::new(Told { manner }));
    let client = client.map_err(|error| failed()(error.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A token that has ended is renewed, and kept.
    runtime.block_on(client.authorize()).map_err(|error| failed()(error.into()))?;
    let tokens = file.read(&options)?;
    let url = client.connect_url(&system, fhir_version.as_deref(), &tokens.access_token);
    let url = url.map_err(|error| failed()(error.into()))?;
    let text = match manner.form {
        Form::Json => json!({"url": url.expose().as_str(), "expires_at": tokens.expires_at.map(|end| end.to_string())})
            .to_string(),
        Form::Text => url.expose().to_string(),
    };
    if manner.form == Form::Text && !manner.quiet {
        // Stderr may be gone; the URL is what was asked for.
        let _ = writeln!(
            std::io::stderr(),
            "The URL holds the user's access token: give it to that patient alone. It ends with the token{}.",
            tokens.expires_at.map(|end| format!(", at {}", end.strftime("%H:%M:%SZ"))).unwrap_or_default()
        );
    }
    Failure::unless_left(writeln!(std::io::stdout(), "{text}"), Exit::Complete)
}
