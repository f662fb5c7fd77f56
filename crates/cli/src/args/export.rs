//! `lakehaul export`, `check` and `cancel` as typed: which server, who asks, what is asked for, how patiently.
//!
//! No option takes a secret: a command line can be read by every process of the machine. What names patients can come
//! from a file for the same reason.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser};
use lakehaul_fetch::Kind;

use super::LoadingArgs;
use crate::duration::Span;

pub(super) const EXAMPLES: &str = "\
Examples:
  lakehaul export acme --to lake                      profile acme of the config file
  lakehaul export acme --to lake --since last         what has changed since the lake's last run
  lakehaul export --kind oneup-provider --tenant bison --client-id ID \\
      --client-secret-file secret.txt --type Patient,Coverage --to lake
  lakehaul export --kind smart --base-url https://fhir.example.com/r4 --client-id ID \\
      --private-key-file key.pem --group 42 --to lake
  LAKEHAUL_CLIENT_SECRET_COMMAND='pass show acme' lakehaul export acme --to lake --dry-run

The same command takes up an export that was interrupted, and says so once it is finished. Every
option can also be set as LAKEHAUL_<OPTION> in the environment or by its name in the config file;
[profile.acme] there has the options of one payer. A secret is never an argument: it comes from
LAKEHAUL_CLIENT_SECRET, LAKEHAUL_PRIVATE_KEY or LAKEHAUL_TOKEN, or from one of the options
…-file (- is stdin) and …-command.";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  lakehaul check acme
  lakehaul check acme --to lake --json

Takes the options of export: put check in the place of export to see what that command would meet.
A token is got and the server is asked what it can do; no export starts and no data is touched.
Exit codes: 0 all is well (warnings aside), 2 settings, 3 refused, 5 no connection, 8 the lake
cannot be written, 9 another run holds it.";

pub(super) const CANCEL_EXAMPLES: &str = "\
Examples:
  lakehaul runs lake                                  lists unfinished runs, too
  lakehaul cancel 20261122T074157Z-1f2e3d4c acme --to lake";

/// `lakehaul export` and `lakehaul check`
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Take the options of [profile.PROFILE] in the config file
    #[arg(env = "LAKEHAUL_PROFILE", hide_env = true, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// How it is loaded.
    #[command(flatten)]
    pub loading: LoadingArgs,
    /// Leave the export at the server; without this it may delete it once all is in the lake
    #[arg(long, env = "LAKEHAUL_KEEP_EXPORT", hide_env = true, value_parser = BoolishValueParser::new())]
    pub keep_export: bool,
    /// Also keep the output files as they come, in _lake/raw of the lake
    #[arg(long, env = "LAKEHAUL_KEEP_RAW", hide_env = true, value_parser = BoolishValueParser::new())]
    pub keep_raw: bool,
    /// Forget an unfinished run of this export and start a new one
    #[arg(long, env = "LAKEHAUL_FRESH", hide_env = true, value_parser = BoolishValueParser::new())]
    pub fresh: bool,
    /// Say what would be sent, and send nothing
    #[arg(long, env = "LAKEHAUL_DRY_RUN", hide_env = true, value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
    /// What is asked for.
    #[command(flatten)]
    pub ask: AskArgs,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Give up when the export has not come within this time [default: never]
    #[arg(long, env = "LAKEHAUL_MAX_DURATION", hide_env = true, value_name = "DURATION", help_heading = "Patience")]
    pub max_duration: Option<Span>,
    /// The most output files at once; fewer where the server asks for mercy or memory is short [default: 8]
    #[arg(long, env = "LAKEHAUL_CONCURRENCY", hide_env = true, value_name = "N", help_heading = "Patience")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: Option<u16>,
}

/// `lakehaul cancel`
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// The run, as `lakehaul runs` names it
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Take the options of [profile.PROFILE] in the config file
    #[arg(env = "LAKEHAUL_PROFILE", hide_env = true, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// The lake: a folder, or a place in a store (s3://, gs://, az://)
    #[arg(long, env = "LAKEHAUL_TO", hide_env = true, value_name = "LAKE")]
    pub to: Option<String>,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What is asked for: the parameters of the kick-off.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What is exported")]
pub struct AskArgs {
    /// The members of this group [default: all that the client may see]
    #[arg(long, env = "LAKEHAUL_GROUP", hide_env = true, value_name = "ID")]
    pub group: Option<String>,
    /// All patients; with IDs these, of the group if there is --group. Named patients are asked for by POST
    #[arg(long, env = "LAKEHAUL_PATIENT", hide_env = true, value_name = "ID", num_args = 0.., value_delimiter = ',')]
    pub patient: Option<Vec<String>>,
    /// Patients from a file, one id a line; - is stdin
    #[arg(long, env = "LAKEHAUL_PATIENT_FILE", hide_env = true, value_name = "FILE")]
    pub patient_file: Option<PathBuf>,
    /// Only these resource types
    #[arg(long = "type", env = "LAKEHAUL_TYPE", hide_env = true, value_name = "TYPE,…", value_delimiter = ',')]
    pub types: Vec<String>,
    /// What has changed since then (2026-01-31 or 2026-01-31T00:00:00Z), or last: since the lake's last run of this export
    #[arg(long, env = "LAKEHAUL_SINCE", hide_env = true, value_name = "TIME")]
    pub since: Option<String>,
    /// What has changed until then
    #[arg(long, env = "LAKEHAUL_UNTIL", hide_env = true, value_name = "TIME")]
    pub until: Option<String>,
    /// Only these elements, like id,Patient.name; the server marks what it cuts with SUBSETTED
    #[arg(long, env = "LAKEHAUL_ELEMENTS", hide_env = true, value_name = "ELEMENT,…", value_delimiter = ',')]
    pub elements: Vec<String>,
    /// Only what this search finds, like Claim?status=active; may be given several times
    #[arg(long, env = "LAKEHAUL_TYPE_FILTER", hide_env = true, value_name = "SEARCH")]
    pub type_filter: Vec<String>,
    /// Searches from a file, one a line; - is stdin
    #[arg(long, env = "LAKEHAUL_TYPE_FILTER_FILE", hide_env = true, value_name = "FILE")]
    pub type_filter_file: Option<PathBuf>,
    /// What else to send along, like `LatestProvenanceResources`
    #[arg(
        long,
        env = "LAKEHAUL_INCLUDE_ASSOCIATED_DATA",
        hide_env = true,
        value_name = "CODE,…",
        value_delimiter = ','
    )]
    pub include_associated_data: Vec<String>,
    /// Have output files organized by the instances of this type, like Patient
    #[arg(long, env = "LAKEHAUL_ORGANIZE_OUTPUT_BY", hide_env = true, value_name = "TYPE")]
    pub organize_output_by: Option<String>,
    /// Ask for this format; only NDJSON can be loaded [default: the server's, which is NDJSON]
    #[arg(long, env = "LAKEHAUL_OUTPUT_FORMAT", hide_env = true, value_name = "MEDIA_TYPE")]
    pub output_format: Option<String>,
    /// Let the server list files before it has all of them
    #[arg(long, env = "LAKEHAUL_ALLOW_PARTIAL_MANIFESTS", hide_env = true, value_parser = BoolishValueParser::new())]
    pub allow_partial_manifests: bool,
    /// Send the parameters in the body of a POST instead of in the URL
    #[arg(long, env = "LAKEHAUL_POST", hide_env = true, value_parser = BoolishValueParser::new())]
    pub post: bool,
    /// Any other parameter; may be given several times
    #[arg(long, env = "LAKEHAUL_PARAM", hide_env = true, value_name = "NAME=VALUE")]
    pub param: Vec<String>,
}

/// Whom to ask, as whom, and how patiently.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// What kind of server it is
    #[arg(long, env = "LAKEHAUL_KIND", hide_env = true)]
    #[arg(value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)).try_map(|name| name.parse::<Kind>()))]
    pub kind: Option<Kind>,
    /// The gateway's origin for oneup kinds [default: `https://gateway.1up.health`], the FHIR base for smart
    #[arg(long, env = "LAKEHAUL_BASE_URL", hide_env = true, value_name = "URL")]
    pub base_url: Option<String>,
    /// Whose data it is: the payer's name in a gateway's URLs
    #[arg(long, env = "LAKEHAUL_TENANT", hide_env = true, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Where tokens are had [default: as the kind or the server says]
    #[arg(long, env = "LAKEHAUL_TOKEN_URL", hide_env = true, value_name = "URL")]
    pub token_url: Option<String>,
    /// Another origin that may get the access token, like `https://files.example.com`; may be given several times
    #[arg(long, env = "LAKEHAUL_TRUST_ORIGIN", hide_env = true, value_name = "ORIGIN", value_delimiter = ',')]
    pub trust_origin: Vec<String>,
    /// Allow plain http to other machines, credentials included
    #[arg(long, env = "LAKEHAUL_ALLOW_HTTP", hide_env = true, value_parser = BoolishValueParser::new())]
    pub allow_http: bool,
    /// Trust the certificate authorities of this PEM file, too; may be given several times
    #[arg(long, env = "LAKEHAUL_CA_CERT", hide_env = true, value_name = "FILE")]
    pub ca_cert: Vec<PathBuf>,
    /// Who asks.
    #[command(flatten)]
    pub client: ClientArgs,
    /// How patiently.
    #[command(flatten)]
    pub patience: PatienceArgs,
}

/// Who asks. Besides these, three variables hold secrets themselves: `secret::VARIABLES`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Client")]
pub struct ClientArgs {
    /// The client's id, as registered
    #[arg(long, env = "LAKEHAUL_CLIENT_ID", hide_env = true, value_name = "ID")]
    pub client_id: Option<String>,
    /// The client's secret is in this file; - is stdin
    #[arg(long, env = "LAKEHAUL_CLIENT_SECRET_FILE", hide_env = true, value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    /// This command prints the client's secret
    #[arg(long, env = "LAKEHAUL_CLIENT_SECRET_COMMAND", hide_env = true, value_name = "COMMAND")]
    pub client_secret_command: Option<String>,
    /// How the secret is sent: in the form, or as HTTP basic authentication [default: form]
    #[arg(long, env = "LAKEHAUL_CLIENT_SECRET_STYLE", hide_env = true, value_name = "STYLE")]
    pub client_secret_style: Option<SecretStyleArg>,
    /// The client's private key (PEM, JWK or JWKS) is in this file; - is stdin
    #[arg(long, env = "LAKEHAUL_PRIVATE_KEY_FILE", hide_env = true, value_name = "FILE")]
    pub private_key_file: Option<PathBuf>,
    /// This command prints the client's private key
    #[arg(long, env = "LAKEHAUL_PRIVATE_KEY_COMMAND", hide_env = true, value_name = "COMMAND")]
    pub private_key_command: Option<String>,
    /// The private key's id (kid), as registered
    #[arg(long, env = "LAKEHAUL_KEY_ID", hide_env = true, value_name = "ID")]
    pub key_id: Option<String>,
    /// Where the server can read the public key set
    #[arg(long, env = "LAKEHAUL_JKU", hide_env = true, value_name = "URL")]
    pub jku: Option<String>,
    /// A ready access token is in this file; - is stdin. It is not renewed when it dies
    #[arg(long, env = "LAKEHAUL_TOKEN_FILE", hide_env = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// This command prints a ready access token
    #[arg(long, env = "LAKEHAUL_TOKEN_COMMAND", hide_env = true, value_name = "COMMAND")]
    pub token_command: Option<String>,
    /// The server is open to everyone
    #[arg(long, env = "LAKEHAUL_NO_AUTH", hide_env = true, value_parser = BoolishValueParser::new())]
    pub no_auth: bool,
    /// What is asked for in a token [default: the kind's own]
    #[arg(long, env = "LAKEHAUL_SCOPE", hide_env = true, value_name = "SCOPE")]
    pub scope: Option<String>,
}

/// How long to wait and how often to ask again.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Patience")]
pub struct PatienceArgs {
    /// How often a request is sent again before its failure is final [default: 8]
    #[arg(long, env = "LAKEHAUL_RETRIES", hide_env = true, value_name = "N")]
    pub retries: Option<u32>,
    /// The longest single wait, whatever the server asks for, like 30s or 2h [default: 5min]
    #[arg(long, env = "LAKEHAUL_MAX_WAIT", hide_env = true, value_name = "DURATION")]
    pub max_wait: Option<Span>,
    /// How long the server may be silent [default: 60s]
    #[arg(long, env = "LAKEHAUL_IDLE_TIMEOUT", hide_env = true, value_name = "DURATION")]
    pub idle_timeout: Option<Span>,
}

/// How a client's secret is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecretStyleArg {
    /// In the body of the token request
    Form,
    /// As HTTP basic authentication
    Basic,
}
