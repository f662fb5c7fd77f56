//! The command line as typed. In come arguments and `LAKEHAUL_*` variables, out comes [`Args`]; what they mean is
//! decided in `resolve`. The texts of `--help` are here.
//!
//! Every option can also be given as `LAKEHAUL_<OPTION>` or in the config file, whose values arrive as clap defaults
//! (see `config`): flags > environment > config file > defaults.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{Parser, Subcommand, ValueEnum};

use crate::exit::RejectLimit;
use crate::size::Size;

const ABOUT: &str =
    "Loads FHIR R4 bulk exports (NDJSON) into a Parquet lake: one pass, lossless, with a ledger that proves it";

const LONG_ABOUT: &str = "\
Loads FHIR R4 bulk exports (NDJSON) into a Parquet lake.

One pass over the files, one table per resource type, nothing lost: every line becomes a row that can be turned back \
into its resource, or goes to quarantine with file, line, byte offset and reason. DuckDB, Spark, Polars and Athena read \
the lake as it is.";

// Lines of at most 96 characters: clap wraps at 100, and would break the columns.
const EXAMPLES: &str = "\
Examples:
  lakehaul load export/ --to lake              the .ndjson, .ndjson.gz and .ndjson.zst of a folder
  lakehaul load manifest.json --to lake        what a bulk manifest lists; its counts are checked
  lakehaul verify lake --roundtrip manifest.json   every source resource against its row
  lakehaul cat lake Patient | head -1          a row, back as NDJSON
  lakehaul schema lake --dialect spark         CREATE TABLE statements

Every option can be set as LAKEHAUL_<OPTION> in the environment (LAKEHAUL_MEMORY=4GiB), or by its
long name in a TOML config file (memory = \"4GiB\"): --config FILE, else lakehaul/config.toml in
your config folder (~/.config). A flag beats the environment, the environment beats the file.
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

/// lakehaul's command line.
#[derive(Debug, Parser)]
#[command(name = "lakehaul", version, about = ABOUT, long_about = LONG_ABOUT, max_term_width = 100)]
#[command(after_help = "`lakehaul help COMMAND` tells more; `lakehaul --help` has examples and the exit codes.")]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", crate::exit::HELP))]
pub struct Args {
    /// What is told, and how.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What is done.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load NDJSON files, folders or a bulk manifest into a lake
    #[command(after_help = LOAD_EXAMPLES, after_long_help = format!("{LOAD_EXAMPLES}\n\n{}", crate::exit::HELP))]
    Load(LoadArgs),
    /// Print a table's resources as NDJSON
    Cat(CatArgs),
    /// Check a lake against its ledger, or against the files that it was loaded from
    Verify(VerifyArgs),
    /// Print table definitions for Spark, Athena and Trino, BigQuery, and views for DuckDB
    Schema(SchemaArgs),
    /// List the loads that made a lake
    Runs(RunsArgs),
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

/// `lakehaul load`
#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// NDJSON file (.ndjson, .ndjson.gz, .ndjson.zst), folder of such files, bulk manifest (.json), or - for stdin
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The lake's folder; it is made if it does not exist
    #[arg(long, env = "LAKEHAUL_TO", hide_env = true, value_name = "LAKE")]
    pub to: Option<String>,
    /// Append the rows again although the same load has finished before
    #[arg(long, env = "LAKEHAUL_NEW_RUN", hide_env = true, value_parser = BoolishValueParser::new())]
    pub new_run: bool,

    /// Exit 0 although lines were rejected: any number, or at most N
    #[arg(
        long,
        env = "LAKEHAUL_ALLOW_REJECTS",
        hide_env = true,
        value_name = "N",
        help_heading = "What counts as success"
    )]
    #[arg(num_args = 0..=1, default_missing_value = "all")]
    pub allow_rejects: Option<RejectLimit>,
    /// Exit 0 although the export is not whole by its own account (its error files, the manifest's counts)
    #[arg(long, env = "LAKEHAUL_ALLOW_PARTIAL", hide_env = true, value_parser = BoolishValueParser::new())]
    #[arg(help_heading = "What counts as success")]
    pub allow_partial: bool,

    /// Budget of the whole load, like 512MiB or 4GB [default: 1GiB]
    #[arg(long, env = "LAKEHAUL_MEMORY", hide_env = true, value_name = "SIZE", help_heading = "Limits")]
    pub memory: Option<Size>,
    /// Worker threads [default: one for each CPU]
    #[arg(long, env = "LAKEHAUL_THREADS", hide_env = true, value_name = "N", help_heading = "Limits")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Reject longer lines [default: a twelfth of the memory, at most 96MiB]
    #[arg(long, env = "LAKEHAUL_MAX_LINE", hide_env = true, value_name = "SIZE", help_heading = "Limits")]
    pub max_line: Option<Size>,
    /// Reject lines that are nested deeper [default: 128]
    #[arg(long, env = "LAKEHAUL_MAX_DEPTH", hide_env = true, value_name = "N", help_heading = "Limits")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub max_depth: Option<u32>,

    /// Helper columns: a list of numeric, dates, references; or none [default: numeric,dates]
    #[arg(
        long,
        env = "LAKEHAUL_ANNOTATE",
        hide_env = true,
        value_name = "KIND,…",
        help_heading = "The lake (fixed when it is made)"
    )]
    #[arg(value_delimiter = ',')]
    pub annotate: Option<Vec<String>>,
    /// Table folders: `Patient/` (plain) or `resource_type=Patient/` (hive) [default: plain]
    #[arg(long, env = "LAKEHAUL_LAYOUT", hide_env = true, help_heading = "The lake (fixed when it is made)")]
    pub layout: Option<LayoutArg>,
    /// Keep each line's text in a `__json` column
    #[arg(long, env = "LAKEHAUL_KEEP_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    #[arg(help_heading = "The lake (fixed when it is made)")]
    pub keep_json: bool,
    /// Permissions of written files, like 640; folders get the matching x bits [default: 600]
    #[arg(long, env = "LAKEHAUL_MODE", hide_env = true, value_name = "OCTAL")]
    pub mode: Option<Mode>,

    /// Which JSON engine reads the lines; for tests
    #[arg(long, env = "LAKEHAUL_ENGINE", hide = true)]
    pub engine: Option<EngineArg>,
}

/// `lakehaul cat`
#[derive(Debug, clap::Args)]
pub struct CatArgs {
    /// The lake's folder
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
    /// The lake's folder
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
    /// The lake's folder
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
    /// The lake's folder
    #[arg(value_name = "LAKE")]
    pub lake: String,
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

/// Folder names of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    /// `Patient/`
    Plain,
    /// `resource_type=Patient/`
    Hive,
}

/// JSON engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    /// The cursor over the bytes.
    Direct,
    /// The cursor over simd-json's tape.
    Tape,
}

/// Whose table definitions are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// CREATE TABLE for Spark
    Spark,
    /// CREATE EXTERNAL TABLE for Athena and Trino
    #[value(alias = "trino")]
    Athena,
    /// CREATE EXTERNAL TABLE for BigQuery
    #[value(name = "bigquery")]
    BigQuery,
    /// Views: all rows, and the current state
    #[value(name = "duckdb")]
    DuckDb,
}

/// Permission bits of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

/// Octal digits; the owner must be able to read and write, and files have no x bits.
impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        let bits = u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8)
            .map_err(|_| "permissions are octal digits, like 600 or 640".to_owned())?;
        if bits & !0o666 != 0 || bits & 0o600 != 0o600 {
            return Err("files are read and written, not run: permissions are 600 and whatever of 066 others may have"
                .to_owned());
        }
        Ok(Mode(bits))
    }
}

/// A number, `all` (also `true`), or `none` (also `false`): the environment and the config file spell out what a bare
/// `--allow-rejects` means.
impl FromStr for RejectLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<RejectLimit, String> {
        match text {
            "all" | "true" | "yes" => Ok(RejectLimit::All),
            "none" | "false" | "no" => Ok(RejectLimit::Zero),
            number => number.parse().map(RejectLimit::UpTo).map_err(|_| "how many is a number, or all".to_owned()),
        }
    }
}

/// Makes `--allow-rejects PATH` mean what it says: the option takes the next argument only if that is a number.
/// A file whose name is a number can be given as `./17`, or before the option.
pub fn settle_allow_rejects(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut settled: Vec<OsString> = Vec::new();
    let mut arguments = arguments.into_iter().peekable();
    let mut options = true;
    while let Some(argument) = arguments.next() {
        options &= argument != "--";
        let number_follows = arguments
            .peek()
            .and_then(|next| next.to_str())
            .is_some_and(|next| !next.is_empty() && next.bytes().all(|b| b.is_ascii_digit()));
        if options && argument == "--allow-rejects" && !number_follows {
            settled.push("--allow-rejects=all".into());
        } else {
            settled.push(argument);
        }
    }
    settled
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn load_args(line: &str) -> LoadArgs {
        let line = settle_allow_rejects(line.split(' ').map(OsString::from));
        match Args::try_parse_from(line).expect("parses").command {
            Command::Load(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_reads_well() {
        let mut command = Args::command().term_width(100);
        insta::assert_snapshot!("help", command.render_long_help());
        command.build();
        let load = command.find_subcommand_mut("load").expect("there is load");
        insta::assert_snapshot!("help_load", load.render_help());
    }

    #[test]
    fn allow_rejects_takes_a_number_or_nothing() {
        for (line, limit) in [
            ("lakehaul load a b --to l", None),
            ("lakehaul load a b --to l --allow-rejects", Some(RejectLimit::All)),
            ("lakehaul load --allow-rejects a b --to l", Some(RejectLimit::All)),
            ("lakehaul load --allow-rejects 10 a b --to l", Some(RejectLimit::UpTo(10))),
            ("lakehaul load --allow-rejects=10 a b --to l", Some(RejectLimit::UpTo(10))),
            ("lakehaul load a b --allow-rejects --to l", Some(RejectLimit::All)),
            ("lakehaul load --to l -- a b", None),
        ] {
            let args = load_args(line);
            assert_eq!(args.allow_rejects, limit, "{line}");
            assert_eq!(args.paths, [PathBuf::from("a"), PathBuf::from("b")], "{line}");
        }
    }

    #[test]
    fn modes_let_the_owner_read_and_write() {
        assert_eq!("640".parse(), Ok(Mode(0o640)));
        assert_eq!("0o600".parse(), Ok(Mode(0o600)));
        assert_eq!("0666".parse(), Ok(Mode(0o666)));
        for wrong in ["", "8", "rw", "400", "755", "4600"] {
            assert!(wrong.parse::<Mode>().is_err(), "{wrong}");
        }
    }
}
