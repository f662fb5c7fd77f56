//! Asks a payer for a roster's members: some at once, no faster than agreed, each answer written down.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lakehaul_fetch::{Client, ErrorKind as FetchErrorKind, FetchError, MatchAnswer};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::states::{Record, States};
use super::{Ask, MatchOutcome, MatchRequest, key};
use crate::journal::log::Log;
use crate::lake::Lake;
use crate::network::{joined, start_network, unless_interrupted};
use crate::{Clock, Event, LoadError, Observer};

/// So many answers are made durable together, at most: as many as came while the ones before were written.
const KEPT_TOGETHER: usize = 64;

/// After so many members in a row of whom no answer comes, it is not the members.
const FAILED_IN_A_ROW: u32 = 3;

/// How fast members are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// At most so many a minute; at least 1.
    pub per_minute: u32,
    /// At most so many answers are waited for.
    pub at_once: usize,
}

impl Default for Pace {
    /// Five a second: a roster of 5,000 takes a quarter of an hour, and no gateway minds.
    fn default() -> Pace {
        Pace { per_minute: 300, at_once: 4 }
    }
}

/// An answer, on its way into the log.
type Answered = (String, Result<MatchAnswer, FetchError>);

/// Asks for those of whom nothing is known, and learns what is answered. `lines`: of the whole roster.
pub(super) fn ask(
    request: &MatchRequest,
    client: &Client,
    lake: &Lake,
    states: &mut States,
    lines: u64,
    (clock, observer): (&Arc<dyn Clock>, &Arc<dyn Observer>),
) -> Result<(), LoadError> {
    let mut log = states.log(lake)?;
    lake.private.sync().map_err(|source| LoadError::destination("sync", "_lake/member_match", source))?;
    let skip: HashSet<String> = match request.ask {
        Ask::Everyone => HashSet::new(),
        Ask::Unanswered => {
            let answered = states.members.iter().filter(|(_, state)| state.outcome != MatchOutcome::Failed);
            answered.map(|(key, _)| key.clone()).collect()
        }
    };
    let interrupt = request.export.options.interrupt.clone();
    let runtime = start_network(1)?;
    let learned = runtime.block_on(async {
        unless_interrupted(&interrupt, client.authorize()).await??;
        let (to_log, mut answers) = mpsc::channel::<Answered>(KEPT_TOGETHER);
        let mut asking = pin!(unless_interrupted(&interrupt, ask_all(request, client, skip, lines, to_log, observer)));
        let mut keeping = pin!(keep(&mut log, states, &mut answers, &**clock));
        // Whoever writes has the graver reason, and need not wait for questions that are on their way.
        tokio::select! {
            kept = &mut keeping => {
                kept?;
                asking.await?
            }
            asked = &mut asking => {
                keeping.await?;
                asked?
            }
        }
    });
    runtime.shutdown_background();
    learned
}

/// Reads the roster and sends questions. Dropping it stops them.
async fn ask_all(
    request: &MatchRequest,
    client: &Client,
    mut skip: HashSet<String>,
    lines: u64,
    to_log: mpsc::Sender<Answered>,
    observer: &Arc<dyn Observer>,
) -> Result<(), LoadError> {
    let slots = Arc::new(Semaphore::new(request.pace.at_once.max(1)));
    let mut ticks = tokio::time::interval(Duration::from_secs(60) / request.pace.per_minute.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asking = JoinSet::new();
    for (line, entry) in (1..).zip(request.roster.entries(&request.consent)?.0) {
        let Ok(question) = entry?.question else { continue };
        let key = key(&question);
        // Twice in the roster is once in the question.
        if !skip.insert(key.clone()) {
            continue;
        }
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        ticks.tick().await;
        while let Some(ended) = asking.try_join_next() {
            joined(ended);
        }
        observer.event(Event::MemberAsked { line, of: lines });
        let (client, to_log) = (client.clone(), to_log.clone());
        asking.spawn(async move {
            let answer = client.member_match(&question).await;
            drop(slot);
            // Nobody writes any more: there is a graver reason.
            let _ = to_log.send((key, answer)).await;
        });
    }
    drop(to_log);
    while let Some(ended) = asking.join_next().await {
        joined(ended);
    }
    Ok(())
}

/// Writes answers down until no more come, or until they tell that it makes no sense to go on.
async fn keep(
    log: &mut Log,
    states: &mut States,
    answers: &mut mpsc::Receiver<Answered>,
    clock: &dyn Clock,
) -> Result<(), LoadError> {
    let mut failed_in_a_row = 0;
    let mut batch = Vec::new();
    loop {
        if answers.recv_many(&mut batch, KEPT_TOGETHER).await == 0 {
            return Ok(());
        }
        let mut ends_with = None;
        let mut records = Vec::new();
        for (key, answer) in batch.drain(..) {
            let at = clock.now().to_string();
            let (outcome, group, why) = match answer {
                Ok(answer) => {
                    failed_in_a_row = 0;
                    outcome_of(answer)
                }
                Err(error) if is_about_one(&error) => {
                    failed_in_a_row += 1;
                    let why = error.to_string();
                    if failed_in_a_row == FAILED_IN_A_ROW {
                        ends_with = Some(error);
                    }
                    (MatchOutcome::Failed, None, Some(why))
                }
                Err(error) => {
                    ends_with = Some(error);
                    continue;
                }
            };
            records.push(Record::Member { key, outcome, group, why, at });
        }
        log.add(&records)?;
        records.into_iter().for_each(|record| states.learn(record));
        if let Some(error) = ends_with {
            return Err(error.into());
        }
    }
}

/// It may be this member whom the server cannot answer for.
fn is_about_one(error: &FetchError) -> bool {
    matches!(error.kind(), FetchErrorKind::Transport)
}

fn outcome_of(answer: MatchAnswer) -> (MatchOutcome, Option<String>, Option<String>) {
    match answer {
        MatchAnswer::Group { id } => (MatchOutcome::Matched, Some(id), None),
        MatchAnswer::Identifier => {
            let why = "the payer answers with the member's identifier and names no group, so nothing can be exported";
            (MatchOutcome::Matched, None, Some(why.to_owned()))
        }
        MatchAnswer::NoMatch { words } => (MatchOutcome::NoMatch, None, Some(words)),
        MatchAnswer::Ambiguous { words } => (MatchOutcome::Ambiguous, None, Some(words)),
        MatchAnswer::Refused { status, words } => (MatchOutcome::Refused, None, Some(format!("{status}: {words}"))),
        other => (MatchOutcome::Refused, None, Some(format!("an answer that is not understood: {other:?}"))),
    }
}
