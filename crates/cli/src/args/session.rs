//! `lakehaul login`, `systems` and `connect` as typed: a person's own way to their data, and where its tokens are kept.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;

use super::ServerArgs;
use crate::duration::Span;

pub(super) const LOGIN_EXAMPLES: &str = "\
Examples:
  lakehaul login --kind oneup-patient --client-id ID --client-secret-file secret.txt
  lakehaul login --kind fhir --base-url https://fhir.example.com/r4 --client-id ID --no-browser
  lakehaul login acme --redirect-url https://app.example.com/back --paste
  lakehaul login --kind oneup-connect --client-id ID --client-secret-file secret.txt --user alice
  lakehaul login acme --logout

The redirect URL must be one of those that the application was registered with. Without --paste
lakehaul listens on it, so it must be on this machine, like http://127.0.0.1:8765/callback. A code
lives five minutes and is good once; it is exchanged at once. The tokens are kept in a file that
only you can read, and lakehaul search renews them. Users of Patient Connect (--user) need no
browser here: they are the application's own.";

pub(super) const SYSTEMS_EXAMPLES: &str = "\
Examples:
  lakehaul systems --kind oneup-connect --user alice --client-id ID 'general hospital'
  lakehaul systems --profile acme --user alice --zip 02114
  lakehaul systems --profile acme --user alice --json | jq .name";

pub(super) const CONNECT_EXAMPLES: &str = "\
Examples:
  lakehaul connect 11207 acme --user alice
  lakehaul connect 11207 --kind oneup-connect --client-id ID --user alice --fhir-version r4

Prints the URL at which the patient logs in to the health system and agrees. It holds an access
token: give it to that patient alone. Once the patient has agreed, 1upHealth collects the data, and
lakehaul search --kind oneup-connect --user alice has them.";

/// Where a login's tokens are kept.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Client")]
pub struct SessionArgs {
    /// The login's tokens are in this file [default: one for each profile, or kind and host, in your state folder]
    #[arg(long, env = "LAKEHAUL_SESSION", hide_env = true, value_name = "FILE")]
    pub session: Option<PathBuf>,
    /// The application's user whose data it is (Patient Connect)
    #[arg(long, env = "LAKEHAUL_USER", hide_env = true, value_name = "APP_USER_ID")]
    pub user: Option<String>,
}

/// `lakehaul login`
#[derive(Debug, clap::Args)]
pub struct LoginArgs {
    /// Take the options of [profile.PROFILE] in the config file
    #[arg(env = "LAKEHAUL_PROFILE", hide_env = true, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Where the browser is sent back to, as registered [default: `http://127.0.0.1:8765/callback`]
    #[arg(long, env = "LAKEHAUL_REDIRECT_URL", hide_env = true, value_name = "URL")]
    pub redirect_url: Option<String>,
    /// Where members log in [default: as the kind or the server says]
    #[arg(long, env = "LAKEHAUL_AUTHORIZE_URL", hide_env = true, value_name = "URL")]
    pub authorize_url: Option<String>,
    /// Print the URL, and open no browser
    #[arg(long, env = "LAKEHAUL_NO_BROWSER", hide_env = true, value_parser = BoolishValueParser::new())]
    pub no_browser: bool,
    /// Take the address that the browser ends at, or the code in it, from stdin, instead of listening
    #[arg(long, env = "LAKEHAUL_PASTE", hide_env = true, value_parser = BoolishValueParser::new())]
    pub paste: bool,
    /// How long to wait for the person [default: 10min]
    #[arg(long, env = "LAKEHAUL_LOGIN_TIMEOUT", hide_env = true, value_name = "DURATION")]
    pub login_timeout: Option<Span>,
    /// Forget the login: remove its tokens from this machine
    #[arg(long, env = "LAKEHAUL_LOGOUT", hide_env = true, value_parser = BoolishValueParser::new())]
    pub logout: bool,
    /// Where it is kept.
    #[command(flatten)]
    pub session: SessionArgs,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `lakehaul systems`
#[derive(Debug, clap::Args)]
pub struct SystemsArgs {
    /// Part of a system's name [default: all systems]
    #[arg(value_name = "TEXT")]
    pub text: Option<String>,
    /// Take the options of [profile.PROFILE] in the config file
    #[arg(long, env = "LAKEHAUL_PROFILE", hide_env = true, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Only these: `HealthSystem`, `Payer2Payer` or `PayerPatientAccess`
    #[arg(long, env = "LAKEHAUL_SYSTEM_TYPE", hide_env = true, value_name = "TYPE")]
    pub system_type: Option<String>,
    /// Those near a ZIP code
    #[arg(long, env = "LAKEHAUL_ZIP", hide_env = true, value_name = "ZIP")]
    pub zip: Option<String>,
    /// Where the login is kept.
    #[command(flatten)]
    pub session: SessionArgs,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `lakehaul connect`
#[derive(Debug, clap::Args)]
pub struct ConnectArgs {
    /// The system, as `lakehaul systems` lists it
    #[arg(value_name = "SYSTEM_ID")]
    pub system: String,
    /// Take the options of [profile.PROFILE] in the config file
    #[arg(env = "LAKEHAUL_PROFILE", hide_env = true, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Only data of this version of FHIR, as the system has it, like r4
    #[arg(long, env = "LAKEHAUL_FHIR_VERSION", hide_env = true, value_name = "VERSION")]
    pub fhir_version: Option<String>,
    /// Where the login is kept.
    #[command(flatten)]
    pub session: SessionArgs,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}
