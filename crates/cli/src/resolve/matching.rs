//! `lakehaul match` as meant.

use lakehaul_fetch::Kind;
use lakehaul_load::{Ask, GivenConsent, MatchRequest, Pace, Roster, WrongLines};

use super::export::export_of;
use super::{ExportJob, Given};
use crate::args::MatchArgs;
use crate::exit::Allowed;
use crate::failure::Failure;
use crate::provenance::Source;
use crate::secret::Stdin;

/// A roster's match, and what counts as its success.
pub struct MatchJob {
    /// What is asked of the library.
    pub request: MatchRequest,
    /// Which problems do not count.
    pub allowed: Allowed,
}

/// `lakehaul match`
pub fn matching(args: &MatchArgs, given: &Given) -> Result<MatchJob, Failure> {
    let ask = &args.export.ask;
    // A group of a profile is for its exports.
    let group = given.provenance.source("group") == Source::Argument;
    if group || ask.patient.is_some() || ask.patient_file.is_some() {
        let why = "match exports the groups that it finds: leave --group, --patient and --patient-file out";
        return Err(Failure::Usage(why.to_owned()));
    }
    let mut stdin = Stdin::default();
    let ExportJob { request: export, allowed } = export_of(&args.export, &MATCHING, given, &mut stdin)?;
    let missing = || Failure::Usage("the members are not named: add --roster FILE, or - for stdin".to_owned());
    let path = args.roster.as_ref().ok_or_else(missing)?;
    let roster = if path.as_os_str() == "-" {
        Roster::text(stdin.text(path, "--roster")?.into())
    } else {
        Roster::file(path.clone())
    };
    let policy = args.consent_policy.as_deref().map(str::parse).transpose();
    let policy = policy.map_err(|error| Failure::Usage(format!("--consent-policy: {error}")))?;
    let defaults = Pace::default();
    let request = MatchRequest {
        roster,
        consent: GivenConsent { policy, start: args.consent_start.clone(), end: args.consent_end.clone() },
        wrong_lines: if args.skip_wrong_lines { WrongLines::Skip } else { WrongLines::Stop },
        ask: if args.ask_again { Ask::Everyone } else { Ask::Unanswered },
        pace: Pace {
            per_minute: args.per_minute.unwrap_or(defaults.per_minute),
            at_once: args.matches_at_once.map_or(defaults.at_once, usize::from),
        },
        export,
        exports_at_once: args.exports_at_once.map_or(EXPORTS_AT_ONCE, usize::from),
    };
    Ok(MatchJob { request, allowed })
}

/// Kinds of servers that have `$member-match`.
const MATCHING: [Kind; 2] = [Kind::OneupPayer, Kind::Smart];

/// What a gateway bears; each takes minutes, most of them waiting.
const EXPORTS_AT_ONCE: usize = 4;
