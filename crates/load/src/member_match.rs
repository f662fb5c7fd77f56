//! From a roster to a lake: which group each member is in, then the export of every such group.
//!
//! In goes a [`MatchRequest`]; out comes a [`MatchSummary`], and in the lake the groups' data, each as a run of its own, and
//! a table that says what became of every line of the roster. All of the roster is checked before anything is sent. What
//! a payer has answered is written down at once, so that the same request after a death asks for nobody twice.

mod ask;
mod roster;
mod states;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use lakehaul_fetch::{ClientOptions, Level, MemberMatch};

use crate::export::{Begun, Connected};
use crate::lake::Lake;
use crate::plan::listed;
use crate::{Clock, ErrorKind, Event, ExportRequest, LoadError, LoadSummary, Observer, RunStatus, Totals, Warning};
use states::{Record, States};
use table::{Row, StatusTable};

pub use ask::Pace;
pub use roster::{GivenConsent, Roster};
pub use states::MatchOutcome;
pub(crate) use table::FOLDER as TABLE_FOLDER;

/// So many wrong lines are told one by one.
const TOLD_LINES: usize = 10;

/// After so many groups in a row that the server refuses, it is not the groups.
const REFUSED_IN_A_ROW: u32 = 3;

/// A roster's members, and what is wanted of their groups: `lakehaul match`.
pub struct MatchRequest {
    /// The members.
    pub roster: Roster,
    /// For lines that say nothing of a consent.
    pub consent: GivenConsent,
    /// What becomes of lines that cannot be asked.
    pub wrong_lines: WrongLines,
    /// Who is asked for.
    pub ask: Ask,
    /// How fast.
    pub pace: Pace,
    /// What is exported of each group; which group is filled in.
    pub export: ExportRequest,
    /// So many groups' exports run at the server at once, at most; at least 1. What they have is loaded group by group.
    pub exports_at_once: usize,
}

/// What becomes of a roster's lines that cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WrongLines {
    /// Nobody is asked for.
    #[default]
    Stop,
    /// They are told, and the others are asked for.
    Skip,
}

/// Whom the payer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ask {
    /// Those of whom it has not answered yet.
    #[default]
    Unanswered,
    /// Everyone, once more.
    Everyone,
}

/// What became of a roster.
#[derive(Debug, Clone)]
pub struct MatchSummary {
    /// Lines of the roster by outcome, in the order of [`MatchOutcome::ALL`]; those without any are left out.
    pub outcomes: Vec<(MatchOutcome, u64)>,
    /// The groups, in the order of the roster.
    pub groups: Vec<GroupSummary>,
    /// The table of the roster's lines, relative to the lake.
    pub table: String,
}

/// What became of a group.
#[derive(Debug, Clone)]
pub struct GroupSummary {
    /// `Group.id`
    pub id: String,
    /// Lines of the roster whose members are in it.
    pub members: u64,
    /// Its run, if its data are in the lake.
    pub loaded: Option<GroupRun>,
    /// Why not: a clause.
    pub failure: Option<String>,
}

/// A run that loaded a group.
#[derive(Debug, Clone)]
pub struct GroupRun {
    /// Its name.
    pub run: String,
    /// The gravest of its problems.
    pub status: RunStatus,
    /// Its sums.
    pub totals: Totals,
}

impl MatchSummary {
    /// Lines with this outcome.
    pub fn lines(&self, outcome: MatchOutcome) -> u64 {
        self.outcomes.iter().find(|(of, _)| *of == outcome).map_or(0, |(_, lines)| *lines)
    }

    /// The worst status of the groups' runs, those of earlier commands included.
    pub fn status(&self) -> RunStatus {
        let statuses = self.groups.iter().filter_map(|group| Some(group.loaded.as_ref()?.status));
        statuses.max().unwrap_or(RunStatus::Complete)
    }
}

/// Asks for a roster's members, and loads what their groups have.
///
/// # Errors
///
/// What concerns the whole: a roster that is wrong, a server that refuses who asks, a way that gave out, a lake that takes
/// no more. What concerns a member or a group is an outcome. The table is written in any case, and the same request goes
/// on.
pub fn match_members(
    request: &MatchRequest,
    clock: &Arc<dyn Clock>,
    observer: &Arc<dyn Observer>,
) -> Result<MatchSummary, LoadError> {
    let lines = check(request, &**observer)?;
    let ExportRequest { lake, options, .. } = &request.export;
    if options.replace {
        return Err(LoadError::Usage(
            "each group is a run of its own, and would replace the one before it: leave out --replace".to_owned(),
        ));
    }
    let connected = Connected::new(&request.export, clock, observer)?;
    let id = id(request);
    let asked = {
        // Let go before a group's export takes it.
        let lake = Lake::open_to_write(lake, options)?;
        let mut states = States::read(&lake, &id)?;
        let asked = ask::ask(request, &connected.client, &lake, &mut states, lines, (clock, observer));
        put_table(request, &lake, &states, &id)?;
        asked
    };
    asked?;
    let exported = export_groups(request, &connected, &id, (clock, observer));
    let lake = Lake::open_to_write(lake, options)?;
    let states = States::read(&lake, &id)?;
    let (table, outcomes) = put_table(request, &lake, &states, &id)?;
    Ok(MatchSummary { outcomes, groups: exported?, table })
}

/// Looks at the whole roster before anything is sent. How many lines it has.
fn check(request: &MatchRequest, observer: &dyn Observer) -> Result<u64, LoadError> {
    let (entries, passed_over) = request.roster.entries(&request.consent)?;
    if !passed_over.is_empty() {
        observer.event(Event::Warning(Warning::ColumnsPassedOver { columns: passed_over }));
    }
    let (mut lines, mut wrong, mut told) = (0, 0, Vec::new());
    for entry in entries {
        let entry = entry?;
        lines += 1;
        if let Err(why) = entry.question {
            wrong += 1;
            if told.len() < TOLD_LINES {
                told.push(format!("line {}: {why}", entry.line));
            }
        }
    }
    if lines == 0 {
        return Err(LoadError::NothingToLoad(format!("the roster {} has no member", request.roster.name())));
    }
    if wrong == 0 {
        return Ok(lines);
    }
    if wrong > told.len() as u64 {
        told.push(format!("and {} more", wrong - told.len() as u64));
    }
    let said = told.join("; ");
    if request.wrong_lines == WrongLines::Stop {
        let name = request.roster.name();
        let why = format!("{wrong} of the {lines} lines of the roster {name} cannot be asked, so nobody was: {said}");
        return Err(LoadError::Usage(why));
    }
    observer.event(Event::Warning(Warning::LinesSkipped { lines: wrong, said }));
    Ok(lines)
}

/// Of the roster's log and table: the same server and the same roster have the same.
fn id(request: &MatchRequest) -> String {
    let ClientOptions { kind, base_url, tenant, .. } = &request.export.client;
    let tenant = tenant.as_deref().unwrap_or_default();
    let what = listed(["lakehaul match 1", kind.name(), base_url.as_str(), tenant, request.roster.name()]);
    blake3::hash(&what).to_hex()[..16].to_owned()
}

/// What a member is known by.
fn key(question: &MemberMatch) -> String {
    blake3::hash(question.body()).to_hex()[..32].to_owned()
}

/// Exports the groups, each as `lakehaul export` would: what is in the lake already is not asked for again.
fn export_groups(
    request: &MatchRequest,
    connected: &Connected,
    id: &str,
    (clock, observer): (&Arc<dyn Clock>, &Arc<dyn Observer>),
) -> Result<Vec<GroupSummary>, LoadError> {
    let mut states = States::read(&Lake::open_to_read(&request.export.lake)?, id)?;
    let mut groups: Vec<GroupSummary> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for entry in request.roster.entries(&request.consent)?.0 {
        let Ok(question) = entry?.question else { continue };
        let state = states.members.get(&key(&question));
        let Some(group) = state.and_then(|state| state.group.as_ref()) else { continue };
        let place = *places.entry(group.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(GroupSummary { id: group.clone(), members: 0, loaded: None, failure: None });
        }
        groups[place].members += 1;
    }
    let quiet: Arc<dyn Observer> = Arc::new(AmongOthers(Arc::clone(observer)));
    let mut ahead = Ahead::new(request, &quiet, clock)?;
    let of = groups.len();
    let mut refused_in_a_row = 0;
    for at in 0..of {
        if request.export.options.interrupt.is_set() {
            return Err(LoadError::Interrupted);
        }
        ahead.begin(&groups, at)?;
        let group = &mut groups[at];
        observer.event(Event::GroupStarted { group: &group.id, number: at + 1, of });
        let error = match connected.export(&of_group(request, &group.id), clock, &quiet) {
            Ok(LoadSummary { run, status, totals, .. }) => {
                refused_in_a_row = 0;
                keep_group(request, &mut states, id, group, (Some(run.clone()), None, clock.now()))?;
                group.loaded = Some(GroupRun { run, status, totals });
                continue;
            }
            Err(error) => error,
        };
        let is_its_own = match error.kind() {
            ErrorKind::Export => true,
            ErrorKind::Refused => {
                refused_in_a_row += 1;
                refused_in_a_row < REFUSED_IN_A_ROW && of > 1
            }
            _ => matches!(error, LoadError::TookTooLong(_)),
        };
        if !is_its_own {
            return Err(error);
        }
        let why = error.to_string();
        observer.event(Event::Warning(Warning::GroupFailed { group: group.id.clone(), why: why.clone() }));
        keep_group(request, &mut states, id, group, (None, Some(why.clone()), clock.now()))?;
        group.failure = Some(why);
    }
    Ok(groups)
}

/// The export of one group.
fn of_group(request: &MatchRequest, group: &str) -> ExportRequest {
    let mut parameters = request.export.parameters.clone();
    parameters.level = Level::Group(group.to_owned());
    ExportRequest { parameters, ..request.export.clone() }
}

/// Exports that the server works on while another group's is waited for and loaded. They are runs that have begun: whatever
/// becomes of this process, the same request takes them up.
struct Ahead<'r> {
    request: &'r MatchRequest,
    /// Kick-offs need not succeed now.
    impatient: Connected,
    observer: &'r Arc<dyn Observer>,
    clock: &'r Arc<dyn Clock>,
    /// The groups that run at the server.
    running: Vec<usize>,
    /// The first group that has not been begun.
    next: usize,
    /// So many may run; none, where the server answers a kick-off with the manifest.
    at_once: usize,
}

impl<'r> Ahead<'r> {
    fn new(
        request: &'r MatchRequest,
        observer: &'r Arc<dyn Observer>,
        clock: &'r Arc<dyn Clock>,
    ) -> Result<Ahead<'r>, LoadError> {
        let mut hasty = request.export.clone();
        hasty.client.patience.retries = 0;
        let impatient = Connected::new(&hasty, clock, observer)?;
        let at_once = request.exports_at_once.max(1);
        Ok(Ahead { request, impatient, observer, clock, running: Vec::new(), next: 0, at_once })
    }

    /// Has the server begin the group `at` and what comes after it. Errors: the lake's only; what a server says now, it says
    /// again when it is the group's turn.
    fn begin(&mut self, groups: &[GroupSummary], at: usize) -> Result<(), LoadError> {
        self.running.retain(|&place| place >= at);
        self.next = self.next.max(at);
        while self.running.len() < self.at_once && self.next < groups.len() {
            let group = of_group(self.request, &groups[self.next].id);
            match self.impatient.begin(&group, self.clock, self.observer) {
                Ok(Begun::Runs) => self.running.push(self.next),
                Ok(Begun::Loaded) => {}
                Ok(Begun::Answered) => self.at_once = 0,
                // It has as many as it wants, or does not have this one.
                Err(LoadError::Fetch(_)) => break,
                Err(error) => return Err(error),
            }
            self.next += 1;
        }
        Ok(())
    }
}

/// What one of several runs tells, without what is no news among them.
struct AmongOthers(Arc<dyn Observer>);

impl Observer for AmongOthers {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Warning(Warning::Unfinished { .. } | Warning::TakenUp { lines: 0, .. }) => {}
            event => self.0.event(event),
        }
    }
}

fn keep_group(
    request: &MatchRequest,
    states: &mut States,
    id: &str,
    group: &GroupSummary,
    (run, why, now): (Option<String>, Option<String>, Timestamp),
) -> Result<(), LoadError> {
    let known = states.groups.get(&group.id);
    if run.is_some() && known.is_some_and(|known| known.run == run) {
        return Ok(());
    }
    let lake = Lake::open_to_write(&request.export.lake, &request.export.options)?;
    states.keep(&lake, id, Record::Group { group: group.id.clone(), run, why, at: now.to_string() })
}

/// Writes the table of the roster's lines as they are by now; its path, and how many lines have which outcome.
fn put_table(
    request: &MatchRequest,
    lake: &Lake,
    states: &States,
    id: &str,
) -> Result<(String, Vec<(MatchOutcome, u64)>), LoadError> {
    let mut table = StatusTable::new(id)?;
    let mut counts: HashMap<MatchOutcome, u64> = HashMap::new();
    for entry in request.roster.entries(&request.consent)?.0 {
        let entry = entry?;
        let question = match &entry.question {
            Ok(question) => question,
            Err(why) => {
                let outcome = Some(MatchOutcome::Refused);
                *counts.entry(MatchOutcome::Refused).or_default() += 1;
                let reason = Some(why.as_str());
                table.add(&Row { roster_line: entry.line, outcome, reason, ..Row::default() })?;
                continue;
            }
        };
        let (key, member_id) = (key(question), question.member_id());
        let row = Row { roster_line: entry.line, member_key: Some(&key), member_id, ..Row::default() };
        let Some(state) = states.members.get(&key) else {
            // Not asked for yet.
            table.add(&row)?;
            continue;
        };
        let (outcome, reason, run) = states.fate(state);
        *counts.entry(outcome).or_default() += 1;
        let (group_id, answered) = (state.group.as_deref(), Some(state.at.as_str()));
        table.add(&Row { outcome: Some(outcome), reason, group_id, run, answered, ..row })?;
    }
    let path = table.put(&*lake.store)?;
    let counted = MatchOutcome::ALL.into_iter().filter_map(|outcome| Some((outcome, *counts.get(&outcome)?)));
    Ok((path, counted.collect()))
}
