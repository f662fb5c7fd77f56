//! `lakehaul demo` and `lakehaul sim` as typed: a payer that is simulated on this machine.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use lakehaul_fetch::Kind;

use crate::args::FormatArg;

pub(super) const DEMO_EXAMPLES: &str = "\
Examples:
  lakehaul demo
  lakehaul demo --members 2000 --to /tmp/demo
  lakehaul demo --format delta
  lakehaul demo --to s3://lakes/demo            a bucket, such as a local server's (see the README)

Needs no network and no account. The lake is ./lakehaul-demo unless --to says otherwise; a lake that
an earlier demo made there is replaced, anything else is left alone.";

pub(super) const SIM_EXAMPLES: &str = "\
Examples:
  lakehaul sim                                 prints base URL, credentials and a command to try
  lakehaul sim --kind smart --port 8080 --members 1000
  lakehaul sim --kind oneup-patient            a server that is searched, and where members log in
  lakehaul sim --faults busy,resets,short-tokens

Runs until it is interrupted (Ctrl-C). Members, claims and credentials are all made up.";

/// `lakehaul demo`
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// The lake: a folder, or a place in a store [default: lakehaul-demo]
    // Not from the environment: LAKEHAUL_TO names a real lake.
    #[arg(long, value_name = "LAKE")]
    pub to: Option<String>,
    /// Tables: folders of Parquet files (parquet), or Delta tables (delta) [default: parquet]
    // Not from the environment either.
    #[arg(long)]
    pub format: Option<FormatArg>,
    /// How many members the payer has; one is about 75 kB [default: 300]
    #[arg(long, env = "LAKEHAUL_MEMBERS", hide_env = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub members: Option<u32>,
}

/// `lakehaul sim`
#[derive(Debug, clap::Args)]
pub struct SimArgs {
    /// What kind of server is simulated [default: oneup-provider]
    #[arg(long, env = "LAKEHAUL_KIND", hide_env = true)]
    #[arg(value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)).try_map(|name| name.parse::<Kind>()))]
    pub kind: Option<Kind>,
    /// Where it listens, on 127.0.0.1 [default: a free one]
    #[arg(long, env = "LAKEHAUL_PORT", hide_env = true, value_name = "PORT")]
    pub port: Option<u16>,
    /// How many members it has; one is about 75 kB [default: 100]
    #[arg(long, env = "LAKEHAUL_MEMBERS", hide_env = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub members: Option<u32>,
    /// All members follow from it [default: 1]
    #[arg(long, env = "LAKEHAUL_SEED", hide_env = true, value_name = "N")]
    pub seed: Option<u64>,
    /// How many output files each resource type has [default: 2]
    #[arg(long, env = "LAKEHAUL_FILES", hide_env = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub files: Option<u16>,
    /// What goes wrong, again and again
    #[arg(long, env = "LAKEHAUL_FAULTS", hide_env = true, value_name = "FAULT,…", value_delimiter = ',')]
    pub faults: Vec<FaultArg>,
}

/// What a simulated payer does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FaultArg {
    /// One request in ten is answered 503, with Retry-After
    Busy,
    /// Every output file breaks off in the middle, once
    Resets,
    /// Access tokens die after two seconds, without a word about it
    ShortTokens,
    /// Some lines are no resources
    BadLines,
    /// The export succeeds, but for one of its batches
    FailedBatch,
}
