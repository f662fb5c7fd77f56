//! `lakehaul match`: from a roster of members to their groups' data in a lake.

use std::io::Write;
use std::sync::Arc;

use lakehaul_load::{Clock, MatchOutcome, MatchSummary, Observer, RunStatus, SystemClock};
use serde_json::json;

use crate::args::MatchArgs;
use crate::exit::{Allowed, Exit};
use crate::failure::{AGAIN, Failure};
use crate::report::summary::shell_word;
use crate::report::table::{Sums, Table};
use crate::report::{Reporter, figures};
use crate::resolve::{self, Form, Given, Manner, MatchJob};
use crate::signals::Watch;

/// More groups are not listed one by one; the table has them.
const LISTED_GROUPS: usize = 20;

pub(super) fn run(args: &MatchArgs, manner: Manner, given: &Given) -> Result<Exit, Failure> {
    if args.export.dry_run {
        let why = "match cannot tell what it would send without asking who is a member: leave --dry-run out";
        return Err(Failure::Usage(why.to_owned()));
    }
    let MatchJob { request, allowed } = resolve::matching(args, given)?;
    let lake = &request.export.lake;
    let reporter = Arc::new(Reporter::to_stderr(manner));
    let observer: Arc<dyn Observer> = Arc::clone(&reporter) as _;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let told = Arc::clone(&reporter);
    let watch = Watch::new(&request.export.options.interrupt, AGAIN, move |notice| told.notice(notice));
    let summary = reporter
        .during(|| lakehaul_load::match_members(&request, &clock, &observer))
        .map_err(watch.failure(format!("match members into {lake}")))?;
    let exit = exit(&summary, allowed);
    let text = match manner.form {
        Form::Json => object(&summary, lake, exit) + "\n",
        Form::Text if manner.quiet => String::new(),
        Form::Text => sentences(&summary, lake),
    };
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Failure::unless_left(printed, exit)
}

/// A member whose data are not in the lake is what an export's missing file is.
fn exit(summary: &MatchSummary, allowed: Allowed) -> Exit {
    let left = summary.outcomes.iter().any(|(outcome, lines)| *outcome != MatchOutcome::Loaded && *lines > 0);
    let rejects = allowed.rejects == crate::exit::RejectLimit::All;
    Exit::first([
        if left && !allowed.partial { Exit::Partial } else { Exit::Complete },
        match summary.status() {
            RunStatus::Complete => Exit::Complete,
            RunStatus::Rejected if rejects => Exit::Complete,
            RunStatus::Rejected => Exit::Rejected,
            RunStatus::Partial if allowed.partial => Exit::Complete,
            RunStatus::Partial => Exit::Partial,
            RunStatus::Unreadable => Exit::Unreadable,
        },
    ])
}

fn sentences(summary: &MatchSummary, lake: &str) -> String {
    let mut members = Table::new(&["outcome", "members", "what it means"], 1);
    for (outcome, lines) in &summary.outcomes {
        members.row([outcome.name().to_owned(), figures::count(*lines), meaning(*outcome).to_owned()]);
    }
    let total = summary.outcomes.iter().map(|(_, lines)| lines).sum();
    members.row(["all".to_owned(), figures::count(total), String::new()]);
    let mut text = members.render(Sums::LastRow);
    if !summary.groups.is_empty() {
        let mut groups = Table::new(&["group", "members", "rows", "run"], 1);
        for group in summary.groups.iter().take(LISTED_GROUPS) {
            let (rows, run) = match (&group.loaded, &group.failure) {
                (Some(loaded), _) => (figures::count(loaded.totals.rows), loaded.run.clone()),
                (None, why) => ("–".to_owned(), why.clone().unwrap_or_default()),
            };
            groups.row([group.id.clone(), figures::count(group.members), rows, run]);
        }
        text.push('\n');
        text.push_str(&groups.render(Sums::None));
        if summary.groups.len() > LISTED_GROUPS {
            let more = (summary.groups.len() - LISTED_GROUPS) as u64;
            text.push_str(&format!("and {}.\n", figures::counted(more, "more group", "more groups")));
        }
    }
    let lake = lake.trim_end_matches('/');
    let table = format!("{lake}/{}", summary.table).replace('\'', "''");
    text.push_str(&format!(
        "\nWhat became of each line:  SELECT * FROM '{table}';\nCheck the lake:            lakehaul verify {}\n",
        shell_word(lake)
    ));
    text
}

fn meaning(outcome: MatchOutcome) -> &'static str {
    match outcome {
        MatchOutcome::Loaded => "the data of the member's group are in the lake",
        MatchOutcome::Matched => "found, but no group's data are in the lake",
        MatchOutcome::NoMatch => "the payer knows no such member",
        MatchOutcome::Ambiguous => "the payer knows several: say more of the member",
        MatchOutcome::Refused => "cannot be asked, or the payer does not answer (see reason)",
        MatchOutcome::Failed => "no answer came, or the export failed: run it again",
    }
}

fn object(summary: &MatchSummary, lake: &str, exit: Exit) -> String {
    let outcomes: serde_json::Map<_, _> =
        summary.outcomes.iter().map(|(outcome, lines)| (outcome.name().to_owned(), json!(lines))).collect();
    let groups: Vec<_> = summary
        .groups
        .iter()
        .map(|group| {
            let loaded = group.loaded.as_ref();
            json!({
                "group": group.id, "members": group.members, "run": loaded.map(|loaded| &loaded.run),
                "status": loaded.map(|loaded| loaded.status), "totals": loaded.map(|loaded| &loaded.totals),
                "failure": group.failure,
            })
        })
        .collect();
    json!({"lake": lake, "exit": exit.code(), "members": outcomes, "groups": groups, "table": summary.table})
        .to_string()
}
