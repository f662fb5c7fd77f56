//! The command line as typed. In come arguments and `LAKEHAUL_*` variables, out comes [`Args`]; what they mean is
//! decided in `resolve`. The texts of `--help` are here.
//!
//! Every option can also be given as `LAKEHAUL_<OPTION>` or in the config file, whose values arrive as clap defaults
//! (see `config`): flags > environment > profile > config file > defaults.

mod export;
mod search;
mod matching;
mod session;
mod loading;
mod play;
mod upkeep;

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Parser, Subcommand, ValueEnum};

use crate::size::Size;

pub use export::{AskArgs, CancelArgs, ClientArgs, ExportArgs, PatienceArgs, SecretStyleArg, ServerArgs};
pub use loading::{EngineArg, FormatArg, LayoutArg, LoadArgs, LoadingArgs, Mode, settle_allow_rejects};
pub use matching::MatchArgs;
pub use play::{DemoArgs, FaultArg, SimArgs};
pub use search::{SearchArgs, WhatArgs};
pub use session::{ConnectArgs, LoginArgs, SessionArgs, SystemsArgs};
pub use upkeep::{CompactArgs, VacuumArgs};

const ABOUT: &str =
    "Hauls a payer's FHIR R4 bulk export into a Parquet lake: one pass, lossless, exactly once, with a ledger";

const LONG_ABOUT: &str = "\
Hauls a payer's FHIR R4 bulk export into a Parquet lake, from its server or from NDJSON files.

One pass over the bytes, one table per resource type, nothing lost: every line becomes a row that can be turned back \
into its resource, or goes to quarantine with file, line, byte offset and reason. DuckDB, Spark, Polars and Athena read \
the lake as it is.";

// Lines of at most 96 characters: clap wraps at 100, and would break the columns.
const EXAMPLES: &str = "\
Examples:
  lakehaul demo                                all of it on this machine, with a simulated payer
  lakehaul check acme                          is all in order? nothing is exported
  lakehaul export acme --to lake               what the payer of profile acme exports
  lakehaul load manifest.json --to lake        an export that lies here as files
  lakehaul cat lake Patient | head -1          a row, back as NDJSON
  lakehaul schema lake --dialect spark         CREATE TABLE statements

Every option can be set as LAKEHAUL_<OPTION> in the environment (LAKEHAUL_MEMORY=4GiB), or by its
long name in a TOML config file (memory = \"4GiB\"): --config FILE, else lakehaul/config.toml in
your config folder (~/.config). There, [profile.NAME] has the options of one payer. A flag beats
the environment, the environment beats the profile, the profile beats the rest of the file.
Results go to stdout, progress and messages to stderr.";

const LOAD_EXAMPLES: &str = "\
Examples:
  lakehaul load export/ --to lake
  lakehaul load export/manifest.json --to lake --memory 4GiB --threads 8
  zcat Patient.ndjson.gz | lakehaul load - --to lake
  lakehaul load export/ --to lake --allow-rejects 10 --json 2>events.ndjson >summary.json

A second load into the same lake adds to it. The same command again, once it is finished, does
nothing and says so; --new-run loads again. Every option can also be set as LAKEHAUL_<OPTION> in
the environment or by its name in the config file.";

const REPORT_EXAMPLES: &str = "\
Examples:
  lakehaul report lake --out report.html
  lakehaul report lake 20261122T074157Z-1f2e3d4c >report.html

The page needs nothing but a browser. It says what the ledger says; `lakehaul verify` checks that
against the files. It has names and figures, and no content of a resource. With --json the run
record itself is written.";

/// lakehaul's command line.
#[derive(Debug, Parser)]
#[command(name = "lakehaul", version, about = ABOUT, long_about = LONG_ABOUT, max_term_width = 100)]
#[command(after_help = "`lakehaul help COMMAND` tells more; `lakehaul --help` has examples and the exit codes.")]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", crate::exit::HELP))]
pub struct Args {
    /// What is told, and how.
    #[command(flatten)]
    pub output: OutputArgs,
    /// How a lake's store is reached.
    #[command(flatten)]
    pub store: StoreArgs,
    /// What is done.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try it all on this machine: a simulated payer, an export with faults, a lake, queries
    #[command(after_help = play::DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Export from a payer's server into a lake; run it again to take up what was interrupted
    #[command(after_help = export::EXAMPLES, after_long_help = format!("{}\n\n{}", export::EXAMPLES, crate::exit::HELP))]
    Export(Box<ExportArgs>),
    /// Search a FHIR server page by page into a lake: a member's own data, or any search
    #[command(after_help = search::EXAMPLES, after_long_help = format!("{}\n\n{}", search::EXAMPLES, crate::exit::HELP))]
    Search(Box<SearchArgs>),
    /// Ask a payer for the members of a roster, and export their groups into a lake
    #[command(after_help = matching::EXAMPLES, after_long_help = format!("{}\n\n{}", matching::EXAMPLES, crate::exit::HELP))]
    Match(Box<MatchArgs>),
    /// Log a member in, in a browser, and keep the tokens for search
    #[command(after_help = session::LOGIN_EXAMPLES)]
    Login(Box<LoginArgs>),
    /// List the health systems and plans that patients can connect to (Patient Connect)
    #[command(after_help = session::SYSTEMS_EXAMPLES)]
    Systems(Box<SystemsArgs>),
    /// Print the URL at which a patient connects to a health system (Patient Connect)
    #[command(after_help = session::CONNECT_EXAMPLES)]
    Connect(Box<ConnectArgs>),
    /// Tell what is wrong before an export starts: settings, token, server, lake
    #[command(after_help = export::CHECK_EXAMPLES)]
    Check(Box<ExportArgs>),
    /// Load NDJSON files, folders or a bulk manifest into a lake
    #[command(after_help = LOAD_EXAMPLES, after_long_help = format!("{LOAD_EXAMPLES}\n\n{}", crate::exit::HELP))]
    Load(Box<LoadArgs>),
    /// Print a table's resources as NDJSON
    Cat(CatArgs),
    /// Check a lake against its ledger, or against the files that it was loaded from
    Verify(VerifyArgs),
    /// Join a lake's small Parquet files, and widen old ones to their table's columns
    #[command(after_help = upkeep::COMPACT_EXAMPLES)]
    Compact(CompactArgs),
    /// Show what nothing in a lake refers to, and remove it
    #[command(after_help = upkeep::VACUUM_EXAMPLES)]
    Vacuum(VacuumArgs),
    /// Print table definitions for Spark, Athena, Trino, BigQuery, and views for DuckDB
    Schema(SchemaArgs),
    /// List the runs that made a lake, and those that have not finished
    Runs(RunsArgs),
    /// Write a run's ledger as a page for people: one HTML file
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Stop the export of an unfinished run at the server, and forget the run
    #[command(after_help = export::CANCEL_EXAMPLES)]
    Cancel(Box<CancelArgs>),
    /// Run the simulated payer alone, to try a pipeline against
    #[command(after_help = play::SIM_EXAMPLES)]
    Sim(SimArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print a manual page (roff)
    Man(ManArgs),
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Machine-readable: events on stderr, the result on stdout, one JSON object a line
    #[arg(long, global = true, env = "LAKEHAUL_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    pub json: bool,
    /// No progress, no closing table; only what went wrong
    #[arg(long, global = true, env = "LAKEHAUL_QUIET", hide_env = true, value_parser = BoolishValueParser::new())]
    pub quiet: bool,
    /// How much is told on stderr [default: info]
    #[arg(long, global = true, env = "LAKEHAUL_LOG", hide_env = true, value_name = "LEVEL")]
    pub log: Option<Level>,
    /// Read options from this TOML file instead of lakehaul/config.toml in your config folder
    #[arg(long, global = true, env = "LAKEHAUL_CONFIG", hide_env = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of every command that names a lake.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Object stores")]
pub struct StoreArgs {
    /// How an s3://, gs:// or az:// lake is reached, like region=eu-central-1 or endpoint=http://localhost:9000; repeatable
    #[arg(long, global = true, env = "LAKEHAUL_STORE_OPTION", hide_env = true, value_name = "KEY=VALUE")]
    #[arg(value_parser = store_option)]
    pub store_option: Vec<(String, String)>,
}

/// The value may be a secret: it is in no message.
fn store_option(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is no KEY=VALUE")?;
    match lakehaul_load::stores::knows_option(key) {
        true => Ok((key.to_owned(), value.to_owned())),
        false => Err(format!("no store has an option {key}")),
    }
}

/// `lakehaul cat`
#[derive(Debug, clap::Args)]
pub struct CatArgs {
    /// The lake: a folder, or a place in a store (s3://, gs://, az://)
    #[arg(value_name = "LAKE")]
    pub lake: String,
    /// A resource type, like Patient
    #[arg(value_name = "TYPE")]
    pub resource_type: String,
}

/// `lakehaul verify`
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 all is as it should be, 10 it is not, 2 wrong usage, 8 the lake cannot be read.")]
pub struct VerifyArgs {
    /// The lake: a folder, or a place in a store (s3://, gs://, az://)
    #[arg(value_name = "LAKE")]
    pub lake: String,
    /// Compare every resource of these files, folders or manifest with its row, numbers by their text
    #[arg(long, env = "LAKEHAUL_ROUNDTRIP", hide_env = true, value_name = "PATH", num_args = 1..)]
    pub roundtrip: Vec<PathBuf>,
    /// Budget of the comparison, like 512MiB or 4GB [default: 1GiB]
    #[arg(long, env = "LAKEHAUL_MEMORY", hide_env = true, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// Worker threads [default: one for each CPU]
    #[arg(long, env = "LAKEHAUL_THREADS", hide_env = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// `lakehaul schema`
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: lakehaul schema lake --dialect athena --location s3://bucket/lake")]
pub struct SchemaArgs {
    /// The lake: a folder, or a place in a store (s3://, gs://, az://)
    #[arg(value_name = "LAKE")]
    pub lake: String,
    /// Only this dialect [default: all]
    #[arg(long, env = "LAKEHAUL_DIALECT", hide_env = true)]
    pub dialect: Option<Dialect>,
    /// Where the engine finds the lake, such as a bucket's URL [default: the lake's full path]
    #[arg(long, env = "LAKEHAUL_LOCATION", hide_env = true, value_name = "URL")]
    pub location: Option<String>,
    /// Only these tables
    #[arg(long = "type", env = "LAKEHAUL_TYPE", hide_env = true, value_name = "TYPE,…", value_delimiter = ',')]
    pub types: Vec<String>,
}

/// `lakehaul runs`
#[derive(Debug, clap::Args)]
pub struct RunsArgs {
    /// The lake: a folder, or a place in a store (s3://, gs://, az://)
    #[arg(value_name = "LAKE")]
    pub lake: String,
}

/// `lakehaul report`
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// The lake: a folder, or a place in a store (s3://, gs://, az://)
    #[arg(value_name = "LAKE")]
    pub lake: String,
    /// The run, as `lakehaul runs` names it [default: the newest that has finished]
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Write to this file, which only you may read, instead of stdout; a file that is there is replaced
    #[arg(long, env = "LAKEHAUL_OUT", hide_env = true, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `lakehaul completions`
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: lakehaul completions bash > ~/.local/share/bash-completion/completions/lakehaul")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `lakehaul man`
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: lakehaul man load | man -l -")]
pub struct ManArgs {
    /// The page of this command; without it, lakehaul's own
    pub command: Option<String>,
}

/// How much is told; each level tells what those before it tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// What went wrong
    Error,
    /// What looks odd
    Warn,
    /// Progress and milestones
    Info,
    /// Every file
    Debug,
}

/// Whose table definitions are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// CREATE TABLE for Spark
    Spark,
    /// CREATE EXTERNAL TABLE for Athena
    Athena,
    /// CREATE TABLE for Trino's Hive catalogs; Delta tables are registered in the schema `default`
    Trino,
    /// CREATE EXTERNAL TABLE for BigQuery
    #[value(name = "bigquery")]
    BigQuery,
    /// Views: all rows, and the current state
    #[value(name = "duckdb")]
    DuckDb,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_reads_well() {
        let mut command = Args::command().term_width(100);
        insta::assert_snapshot!("help", command.render_long_help());
        command.build();
        for name in ["load", "export", "cancel", "report", "demo", "sim", "compact", "vacuum"] {
            let command = command.find_subcommand_mut(name).expect("there is such a command");
            insta::assert_snapshot!(format!("help_{name}"), command.render_help());
        }
    }
}
