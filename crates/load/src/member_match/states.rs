//! What is known of a roster's members and groups: a log that survives deaths, so that nobody is asked twice.
//!
//! `_lake/member_match/<id>.log`, in the form of the journal's file. Members are known by the hash of what they are asked
//! for with; neither a name nor an id of theirs is in it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::LoadError;
use crate::journal::log::{self, Log};
use crate::lake::Lake;

/// The folder of the logs.
const FOLDER: &str = "_lake/member_match";

/// What a payer has said of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchOutcome {
    /// The data of the member's group are in the lake.
    Loaded,
    /// Found; the group's data are not in the lake, or the payer named no group.
    Matched,
    /// The payer knows no such member.
    NoMatch,
    /// The payer knows several.
    Ambiguous,
    /// The question cannot be asked, or the payer does not answer it.
    Refused,
    /// No answer came, or the export of the group failed.
    Failed,
}

impl MatchOutcome {
    /// All of them.
    pub const ALL: [MatchOutcome; 6] = [
        MatchOutcome::Loaded,
        MatchOutcome::Matched,
        MatchOutcome::NoMatch,
        MatchOutcome::Ambiguous,
        MatchOutcome::Refused,
        MatchOutcome::Failed,
    ];

    /// As in the table.
    pub fn name(self) -> &'static str {
        match self {
            MatchOutcome::Loaded => "loaded",
            MatchOutcome::Matched => "matched",
            MatchOutcome::NoMatch => "no_match",
            MatchOutcome::Ambiguous => "ambiguous",
            MatchOutcome::Refused => "refused",
            MatchOutcome::Failed => "failed",
        }
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub(super) enum Record {
    Member { key: String, outcome: MatchOutcome, group: Option<String>, why: Option<String>, at: String },
    Group { group: String, run: Option<String>, why: Option<String>, at: String },
}

/// What is known of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MemberState {
    pub(super) outcome: MatchOutcome,
    pub(super) group: Option<String>,
    pub(super) why: Option<String>,
    pub(super) at: String,
}

/// What became of a group's export: the run that loaded it, or why none did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct GroupState {
    pub(super) run: Option<String>,
    pub(super) why: Option<String>,
}

/// All that is known.
pub(super) struct States {
    pub(super) members: HashMap<String, MemberState>,
    pub(super) groups: HashMap<String, GroupState>,
    path: String,
    whole: u64,
}

impl States {
    /// What earlier processes have found out.
    pub(super) fn read(lake: &Lake, id: &str) -> Result<States, LoadError> {
        let path = format!("{FOLDER}/{id}.log");
        let (records, whole) = log::read_at(lake, &path)?;
        let mut states = States { members: HashMap::new(), groups: HashMap::new(), path, whole };
        for record in records {
            states.learn(record);
        }
        Ok(states)
    }

    /// To be written on.
    pub(super) fn log(&self, lake: &Lake) -> Result<Log, LoadError> {
        Log::open_at(&*lake.private, self.path.clone(), self.whole)
    }

    /// Writes one thing down. The lake was let go meanwhile: what another process has written since is read first.
    pub(super) fn keep(&mut self, lake: &Lake, id: &str, record: Record) -> Result<(), LoadError> {
        let length = lake.list(FOLDER)?.into_iter().find(|(path, _)| *path == self.path).map_or(0, |(_, bytes)| bytes);
        if length != self.whole {
            *self = States::read(lake, id)?;
        }
        let mut log = self.log(lake)?;
        log.add(std::slice::from_ref(&record))?;
        self.whole = log.bytes();
        self.learn(record);
        Ok(())
    }

    pub(super) fn learn(&mut self, record: Record) {
        match record {
            Record::Member { key, outcome, group, why, at } => {
                self.members.insert(key, MemberState { outcome, group, why, at });
            }
            Record::Group { group, run, why, .. } => {
                self.groups.insert(group, GroupState { run, why });
            }
        }
    }

    /// What has come of a member by now: outcome, and why; what came of the group's export, if it was begun.
    pub(super) fn fate<'s>(&'s self, member: &'s MemberState) -> (MatchOutcome, Option<&'s str>, Option<&'s str>) {
        let group = member.group.as_ref().and_then(|group| self.groups.get(group));
        match (member.outcome, group) {
            (MatchOutcome::Matched, Some(GroupState { run: Some(run), .. })) => {
                (MatchOutcome::Loaded, member.why.as_deref(), Some(run))
            }
            (MatchOutcome::Matched, Some(GroupState { why: Some(why), .. })) => (MatchOutcome::Failed, Some(why), None),
            (outcome, _) => (outcome, member.why.as_deref(), None),
        }
    }
}
