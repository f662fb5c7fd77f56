//! `lakehaul match` as typed: whom a payer is asked for, with which consent, how fast. What is exported of the groups that
//! are found is asked for with the options of `export`.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;

use super::ExportArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  lakehaul match --kind oneup-payer --tenant bison --client-id ID --client-secret-file secret.txt \\
      --roster members.csv --to lake
  lakehaul match acme --roster members.ndjson --consent-policy regular \\
      --consent-start 2026-01-01 --consent-end 2026-12-31 --to lake
  member-from-somewhere | lakehaul match acme --roster - --to lake

The roster is CSV with the columns family, given, birthDate, gender, memberId, consentPolicy,
consentStart, consentEnd, or NDJSON with the same names, or NDJSON of Parameters resources that are
sent as they are. A consent's policy (regular, sensitive, or a URI) and period are yours to give:
in each line, or for all lines that have none by the options; nobody is asked for without.
The same command goes on where it stopped. The table member_match in the lake says what became of
each line. Exit code 6: there are members whose data are not in the lake.";

/// `lakehaul match`
#[derive(Debug, clap::Args)]
pub struct MatchArgs {
    /// What is exported of each group; whom to ask.
    #[command(flatten)]
    pub export: ExportArgs,
    /// The members: a CSV or NDJSON file, one a line; - is stdin
    #[arg(long, env = "LAKEHAUL_ROSTER", hide_env = true, value_name = "FILE", help_heading = "Members")]
    pub roster: Option<PathBuf>,
    /// The consent's policy for lines without one: regular, sensitive, or a policy's URI
    #[arg(long, env = "LAKEHAUL_CONSENT_POLICY", hide_env = true, value_name = "POLICY", help_heading = "Members")]
    pub consent_policy: Option<String>,
    /// When the consent begins, for lines that do not say, like 2026-01-01
    #[arg(long, env = "LAKEHAUL_CONSENT_START", hide_env = true, value_name = "DATE", help_heading = "Members")]
    pub consent_start: Option<String>,
    /// When the consent ends, for lines that do not say
    #[arg(long, env = "LAKEHAUL_CONSENT_END", hide_env = true, value_name = "DATE", help_heading = "Members")]
    pub consent_end: Option<String>,
    /// Skip lines that cannot be asked; without this one such line stops all
    #[arg(long, env = "LAKEHAUL_SKIP_WRONG_LINES", hide_env = true, value_parser = BoolishValueParser::new())]
    #[arg(help_heading = "Members")]
    pub skip_wrong_lines: bool,
    /// Ask for everyone once more, also for members of whom the payer has answered
    #[arg(long, env = "LAKEHAUL_ASK_AGAIN", hide_env = true, value_parser = BoolishValueParser::new())]
    #[arg(help_heading = "Members")]
    pub ask_again: bool,
    /// Ask for at most so many members a minute [default: 300]
    #[arg(long, env = "LAKEHAUL_PER_MINUTE", hide_env = true, value_name = "N", help_heading = "Members")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=600_000))]
    pub per_minute: Option<u32>,
    /// Wait for at most so many answers at once [default: 4]
    #[arg(long, env = "LAKEHAUL_MATCHES_AT_ONCE", hide_env = true, value_name = "N", help_heading = "Members")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub matches_at_once: Option<u16>,
    /// Let the server work on at most so many groups' exports at once [default: 4]
    #[arg(long, env = "LAKEHAUL_EXPORTS_AT_ONCE", hide_env = true, value_name = "N", help_heading = "Members")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub exports_at_once: Option<u16>,
}
