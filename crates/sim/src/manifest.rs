//! Manifests and status bodies, as 1upHealth and the editions of the guide write them.
//!
//! URLs begin with a placeholder of their origin; [`Payer`](crate::payer::Payer) fills it in.

use serde_json::{Map, Value, json};

use crate::scenario::{Edition, Scenario};
use crate::served_file::{Compressed, Count, FileAccess, Role, ServedFile};

/// What a manifest is made of.
pub(crate) struct Listing<'s> {
    pub(crate) scenario: &'s Scenario,
    pub(crate) export: &'s str,
    /// The kick-off's URL.
    pub(crate) request: &'s str,
    /// All that the export holds, each with its URL.
    pub(crate) entries: Vec<(&'s ServedFile, String)>,
}

/// 1upHealth's `batches` and `status`.
pub(crate) struct Progress<'s> {
    pub(crate) word: Option<&'s str>,
    pub(crate) running: u64,
    pub(crate) complete: u64,
    pub(crate) failed: u64,
}

impl Listing<'_> {
    /// 1upHealth's status body with the first `listed` output files; the finished export's is its manifest.
    pub(crate) fn oneup(&self, progress: &Progress<'_>, listed: usize, note: Option<&str>) -> Value {
        let Progress { running, complete, failed, .. } = progress;
        let mut body = self.common();
        body.insert("id".to_owned(), self.export.into());
        if let Some(word) = progress.word {
            body.insert("status".to_owned(), word.into());
        }
        if let Some(count) = self.scenario.resource_count.of(self.resources(listed)) {
            body.insert("resourceCount".to_owned(), count.into());
        }
        if let Some(note) = note {
            body.insert("message".to_owned(), note.into());
        }
        body.insert(
            "batches".to_owned(),
            json!({"running": running, "complete": complete, "failed": failed, "total": running + complete + failed}),
        );
        body.insert("lastUpdated".to_owned(), self.scenario.transaction_time.clone().into());
        body.insert("output".to_owned(), self.list(Role::Output, 0, listed));
        // 1upHealth has neither; a scenario may want them all the same.
        for (role, name) in [(Role::Outcome, "error"), (Role::Deleted, "deleted")] {
            if self.of(role).next().is_some() {
                body.insert(name.to_owned(), self.list(role, 0, usize::MAX));
            }
        }
        body.into()
    }

    /// The guide's manifest: `listed` output files from `first` on. Other files are on the page that has the first.
    pub(crate) fn smart(&self, first: usize, listed: usize) -> Value {
        let edition = self.scenario.edition;
        let mut body = self.common();
        body.insert("output".to_owned(), self.list(Role::Output, first, listed));
        let others = if first == 0 { usize::MAX } else { 0 };
        let outcomes = if edition >= Edition::Stu4 { "outcome" } else { "error" };
        body.insert(outcomes.to_owned(), self.list(Role::Outcome, 0, others));
        if edition >= Edition::Stu2 || self.of(Role::Deleted).next().is_some() {
            body.insert("deleted".to_owned(), self.list(Role::Deleted, 0, others));
        }
        body.into()
    }

    pub(crate) fn outputs(&self) -> usize {
        self.of(Role::Output).count()
    }

    fn common(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("transactionTime".to_owned(), self.scenario.transaction_time.clone().into());
        body.insert("request".to_owned(), self.request.into());
        let needs_token = self.scenario.access == FileAccess::Token;
        body.insert("requiresAccessToken".to_owned(), needs_token.into());
        if let Some(organized_by) = &self.scenario.organized_by {
            body.insert("outputOrganizedBy".to_owned(), organized_by.clone().into());
        }
        body
    }

    fn of(&self, role: Role) -> impl Iterator<Item = &(&ServedFile, String)> {
        self.entries.iter().filter(move |(file, _)| file.role == role)
    }

    fn resources(&self, listed: usize) -> u64 {
        self.of(Role::Output).take(listed).map(|(file, _)| file.line_facts().resources()).sum()
    }

    fn list(&self, role: Role, first: usize, listed: usize) -> Value {
        let entries = self.of(role).skip(first).take(listed).map(|(file, url)| self.entry(file, url));
        entries.collect::<Vec<_>>().into()
    }

    fn entry(&self, file: &ServedFile, url: &str) -> Value {
        let mut entry = Map::new();
        if let Some(resource_type) = file.declared_type() {
            entry.insert("type".to_owned(), resource_type.into());
        }
        entry.insert("url".to_owned(), url.into());
        let by_itself = if self.scenario.personality.is_oneup() { Count::Missing } else { Count::True };
        let count = file.count.unwrap_or(by_itself);
        if count != Count::Missing
            && let Some(count) = count.of(file.line_facts().resources())
        {
            entry.insert("count".to_owned(), count.into());
        }
        let has_size = !self.scenario.personality.is_oneup() && self.scenario.edition >= Edition::Stu4;
        if let Some(bytes) = file.content.length().filter(|_| has_size && file.compression == Compressed::Never) {
            entry.insert("fileSize".to_owned(), bytes.into());
        }
        entry.into()
    }
}
