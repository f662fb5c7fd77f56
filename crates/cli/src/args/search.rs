//! `lakehaul search` as typed: what is searched for at a FHIR server, page by page.

use clap::builder::BoolishValueParser;

use super::{LoadingArgs, ServerArgs, SessionArgs};
use crate::duration::Span;

pub(super) const EXAMPLES: &str = "\
Examples:
  lakehaul login --kind oneup-patient --client-id ID --client-secret-file secret.txt
  lakehaul search --kind oneup-patient --client-id ID --client-secret-file secret.txt --to lake
  lakehaul search --kind fhir --base-url https://fhir.example.com/r4 --no-auth \\
      --type Patient,Condition --param _lastUpdated=gt2026-01-01 --to lake
  lakehaul search acme --patient 42 --everything --to lake

Without --type, the six types that every payer has: ExplanationOfBenefit, Coverage, Organization,
Patient, Practitioner, Location. The same command takes up searches that were interrupted, behind
the last page that was there, and says so once they are finished.";

/// `lakehaul search`
#[derive(Debug, clap::Args)]
pub struct SearchArgs {
    /// Take the options of [profile.PROFILE] in the config file
    #[arg(env = "LAKEHAUL_PROFILE", hide_env = true, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// How it is loaded.
    #[command(flatten)]
    pub loading: LoadingArgs,
    /// Forget unfinished searches of this command and start anew
    #[arg(long, env = "LAKEHAUL_FRESH", hide_env = true, value_parser = BoolishValueParser::new())]
    pub fresh: bool,
    /// Say what would be asked, and ask nothing
    #[arg(long, env = "LAKEHAUL_DRY_RUN", hide_env = true, value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
    /// What is searched for.
    #[command(flatten)]
    pub what: WhatArgs,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Where the login is kept.
    #[command(flatten)]
    pub session: SessionArgs,
    /// Give up when not all has come within this time [default: never]
    #[arg(long, env = "LAKEHAUL_MAX_DURATION", hide_env = true, value_name = "DURATION", help_heading = "Patience")]
    pub max_duration: Option<Span>,
    /// The most searches at once; fewer where memory is short [default: 8]
    #[arg(long, env = "LAKEHAUL_CONCURRENCY", hide_env = true, value_name = "N", help_heading = "Patience")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: Option<u16>,
}

/// What is searched for.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What is searched for")]
pub struct WhatArgs {
    /// These resource types, each a search of its own [default: the six that every payer has]
    #[arg(long = "type", env = "LAKEHAUL_TYPE", hide_env = true, value_name = "TYPE,…", value_delimiter = ',')]
    pub types: Vec<String>,
    /// A parameter of every search, like _count=100; may be given several times
    #[arg(long, env = "LAKEHAUL_PARAM", hide_env = true, value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// The patient whose record --everything asks for
    #[arg(long, env = "LAKEHAUL_PATIENT", hide_env = true, value_name = "ID")]
    pub patient: Option<String>,
    /// All that the server has of one patient (Patient/ID/$everything), instead of searches by type
    #[arg(long, env = "LAKEHAUL_EVERYTHING", hide_env = true, value_parser = BoolishValueParser::new())]
    pub everything: bool,
}
