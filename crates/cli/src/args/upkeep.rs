//! `lakehaul compact` and `lakehaul vacuum` as typed: what keeps a lake in shape.

use clap::builder::BoolishValueParser;

use crate::args::Mode;
use crate::duration::Span;
use crate::size::Size;

pub(super) const COMPACT_EXAMPLES: &str = "\
Examples:
  lakehaul compact lake
  lakehaul compact lake --part-size 256MiB

No row changes: each stays what it is, with the run, output file and line that it came from.
What was done is in _lake/compactions; `lakehaul verify` checks it. While the new Parquet files
take the place of the old ones, a reader that lists a table's folder can find rows twice, and one
that has listed it before can miss a file: let it list again. A Delta table changes in one commit,
and its old files stay for its earlier versions. To die is harmless: run it again.

Exit codes: 0 done, or nothing to do; 2 wrong usage; 8 the lake cannot be written; 9 another run
holds the lake; 10 a part is not as the ledger says, and was left as it is; 130, 143 interrupted.";

pub(super) const VACUUM_EXAMPLES: &str = "\
Examples:
  lakehaul vacuum lake --dry-run                 what nothing refers to
  lakehaul vacuum lake                           shows it, asks, and removes it
  lakehaul vacuum lake --older-than 12h --yes    asks nobody
  lakehaul vacuum lake --old-versions            of Delta tables, also what was replaced a week ago

What can go: staged files of runs that have finished or that no command can finish, files in a
table's folder that no record names, halves of small files that a death has left; of Delta tables
what no version refers to, and with --old-versions what no version of that age does. Never: what a
record names, the records themselves, schemas, quarantine, outcomes, deletions, kept output files,
the roster's tables. The lake is held until the answer.

Exit codes: 0 done, or nothing to do; 2 wrong usage, or nobody can be asked; 8 the lake cannot be
written; 9 another run holds the lake; 10 its records are damaged.";

/// `lakehaul compact`
#[derive(Debug, clap::Args)]
pub struct CompactArgs {
    /// The lake: a folder, or a place in a store (s3://, gs://, az://)
    #[arg(value_name = "LAKE")]
    pub lake: String,
    /// Join Parquet files that are smaller, into ones of up to four times this size [default: 128MiB]
    #[arg(long, env = "LAKEHAUL_PART_SIZE", hide_env = true, value_name = "SIZE")]
    pub part_size: Option<Size>,
    /// Permissions of written files, like 640 [default: 600]
    #[arg(long, env = "LAKEHAUL_MODE", hide_env = true, value_name = "OCTAL")]
    pub mode: Option<Mode>,
}

/// `lakehaul vacuum`
#[derive(Debug, clap::Args)]
pub struct VacuumArgs {
    /// The lake: a folder, or a place in a store (s3://, gs://, az://)
    #[arg(value_name = "LAKE")]
    pub lake: String,
    /// Leave what is younger, like 12h or 30d [default: 7d]
    #[arg(long, env = "LAKEHAUL_OLDER_THAN", hide_env = true, value_name = "AGE", value_parser = Span::or_days)]
    pub older_than: Option<Span>,
    /// Of Delta tables, also what only versions refer to that were replaced before then: they cannot be read any more
    #[arg(long, env = "LAKEHAUL_OLD_VERSIONS", hide_env = true, value_parser = BoolishValueParser::new())]
    pub old_versions: bool,
    /// Remove without asking
    #[arg(long, env = "LAKEHAUL_YES", hide_env = true, value_parser = BoolishValueParser::new())]
    pub yes: bool,
    /// Only show what would be removed
    #[arg(long, env = "LAKEHAUL_DRY_RUN", hide_env = true, value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
}
