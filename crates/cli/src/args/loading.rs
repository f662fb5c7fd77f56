//! `lakehaul load` as typed, and the options that it shares with `lakehaul export`: how lines become a lake.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::BoolishValueParser;

use lakehaul_schema::Format;

use crate::duration::Span;
use crate::exit::RejectLimit;
use crate::size::Size;

/// `lakehaul load`
#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// NDJSON file (.ndjson, .ndjson.gz, .ndjson.zst), folder of such files, bulk manifest (.json), the URL of one of these in
    /// a store (s3://, gs://, az://) or of a file or manifest on a web server (https://), or - for stdin
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How it is loaded.
    #[command(flatten)]
    pub loading: LoadingArgs,
}

/// Options of every command that loads.
#[derive(Debug, clap::Args)]
pub struct LoadingArgs {
    /// The lake: a folder, or a place in a store (s3://, gs://, az://); it is made if it does not exist
    #[arg(long, env = "LAKEHAUL_TO", hide_env = true, value_name = "LAKE")]
    pub to: Option<String>,
    /// Do it again, and append the rows, although the same command has finished before
    #[arg(long, env = "LAKEHAUL_NEW_RUN", hide_env = true, value_parser = BoolishValueParser::new())]
    pub new_run: bool,
    /// A full refresh of Delta tables: the rows take the place of those that are there, of all types or of those that an
    /// export asks for, in one commit a table; earlier versions can still be read
    #[arg(long, env = "LAKEHAUL_REPLACE", hide_env = true, value_parser = BoolishValueParser::new())]
    pub replace: bool,

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
    /// Exit 0 although the export is not whole by its own account (error files, failed batches, counts)
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

    /// Make what has come durable this often: so much work is lost at most if the process dies; or never [default: 60s]
    #[arg(long, env = "LAKEHAUL_CHECKPOINT", hide_env = true, value_name = "DURATION", help_heading = "Limits")]
    #[arg(value_parser = Span::or_never)]
    pub checkpoint: Option<Span>,

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
    /// Tables: folders of Parquet files (parquet), or Delta tables (delta) [default: parquet]
    #[arg(long, env = "LAKEHAUL_FORMAT", hide_env = true, help_heading = "The lake (fixed when it is made)")]
    pub format: Option<FormatArg>,
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

/// Folder names of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    /// `Patient/`
    Plain,
    /// `resource_type=Patient/`
    Hive,
}

/// What the tables are to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// Folders of Parquet files.
    Parquet,
    /// Delta tables.
    Delta,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Format {
        match format {
            FormatArg::Parquet => Format::Parquet,
            FormatArg::Delta => Format::Delta,
        }
    }
}

/// JSON engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    /// The cursor over the bytes.
    Direct,
    /// The cursor over simd-json's tape.
    Tape,
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
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn load_args(line: &str) -> LoadArgs {
        let line = settle_allow_rejects(line.split(' ').map(OsString::from));
        match Args::try_parse_from(line).expect("parses").command {
            Command::Load(args) => *args,
            other => panic!("{other:?}"),
        }
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
            assert_eq!(args.loading.allow_rejects, limit, "{line}");
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
