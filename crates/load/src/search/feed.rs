//! From searches to the schedule: asks for page after page of several searches at once.
//!
//! In goes what is searched for and what an earlier process has kept of it, out come pages on a schedule as files of
//! lines. A page that is done is not asked for again. One that is not must have the same lines as before, and the server
//! must still know the pages that it has named: else that search starts over, and its earlier rows do not appear.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use lakehaul_fetch::SecretUrl;
use lakehaul_fetch::{Client, ErrorKind as FetchErrorKind, FetchError, SearchPage, SearchPages, SearchQuery, Searched};
use lakehaul_write::store::Store;
use rayon::ThreadPool;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::begun::{Begun, BegunFiles, Start};
use crate::budget::Network;
use crate::inputs::{Place, PlannedFile};
use crate::journal::pages::{self, PageFile, Pages};
use crate::journal::record::Version;
use crate::manifest::Role;
use crate::network::{Arrivals, in_time, joined};
use crate::pipe::{Pipe, PipeEnd};
use crate::plan::Plan;
use crate::work::StagedWork;
use crate::{Clock, Event, LoadError, Observer, SearchedRecord, Warning};

/// Behind each resource.
const LINE_END: &[u8] = b"\n";

/// One attempt at some searches.
pub(super) struct Feed {
    shared: Arc<Shared>,
    searches: Vec<Search>,
}

/// One search, and what is kept of its pages.
struct Search {
    query: SearchQuery,
    kept: Pages,
}

/// What the searches of an attempt share.
struct Shared {
    client: Client,
    private: Arc<dyn Store>,
    run: String,
    network: Network,
    /// What an earlier process has done.
    begun: Arc<BegunFiles>,
    observer: Arc<dyn Observer>,
    arrivals: Arc<Arrivals>,
    /// As many as there may be pages in memory.
    slots: Arc<Semaphore>,
    files: AtomicU64,
}

/// What becomes of a search.
enum Outcome {
    Done(SearchedRecord, HashSet<String>),
    /// The server does not do it.
    Refused(SearchedRecord, FetchError),
}

impl Feed {
    pub(super) fn new(
        client: Client,
        queries: &[SearchQuery],
        plan: &Plan,
        begun: &Arc<BegunFiles>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Feed, LoadError> {
        let searches: Result<Vec<Search>, LoadError> = queries
            .iter()
            .map(|query| {
                let kept = pages::of(&plan.lake, &plan.run, query.searched.name())?;
                Ok(Search { query: query.clone(), kept })
            })
            .collect();
        let network = plan.budget.network;
        let shared = Shared {
            client,
            private: Arc::clone(&plan.lake.private),
            run: plan.run.clone(),
            network,
            begun: Arc::clone(begun),
            observer: Arc::clone(observer),
            arrivals: Arc::default(),
            slots: Arc::new(Semaphore::new(network.files)),
            files: AtomicU64::new(0),
        };
        Ok(Feed { shared: Arc::new(shared), searches: searches? })
    }

    /// Brings what is found through the workers; the work it comes to, and what came of each search.
    pub(super) fn haul(
        self,
        plan: &Plan,
        begun: Begun,
        pool: &ThreadPool,
        (clock, max_duration): (&Arc<dyn Clock>, Option<Duration>),
        runtime: &Runtime,
    ) -> Result<(StagedWork, Vec<SearchedRecord>), LoadError> {
        let Feed { shared, searches } = self;
        let (arrivals, observer, clock) =
            (Arc::clone(&shared.arrivals), Arc::clone(&shared.observer), Arc::clone(clock));
        let feed = async move { in_time(&*clock, max_duration, shared.feed(searches)).await };
        arrivals.haul(feed, plan, begun, pool, runtime, &*observer)
    }
}

impl Shared {
    /// Asks until every search has ended. Dropping it stops them.
    async fn feed(self: &Arc<Self>, searches: Vec<Search>) -> Result<Vec<SearchedRecord>, LoadError> {
        let mut running = JoinSet::new();
        for (at, search) in searches.into_iter().enumerate() {
            let shared = Arc::clone(self);
            running.spawn(async move { Ok::<_, LoadError>((at, shared.search(search).await?)) });
        }
        let mut outcomes = Vec::new();
        while let Some(ended) = running.join_next().await {
            outcomes.push(joined(ended)?);
        }
        outcomes.sort_by_key(|(at, _)| *at);
        let mut keys = HashSet::new();
        let (mut records, mut refusals, mut done) = (Vec::new(), Vec::new(), 0);
        for (_, outcome) in outcomes {
            match outcome {
                Outcome::Done(record, of_search) => {
                    keys.extend(of_search);
                    records.push(record);
                    done += 1;
                }
                Outcome::Refused(record, error) => {
                    records.push(record);
                    refusals.push(error);
                }
            }
        }
        if let (0, Some(error)) = (done, refusals.into_iter().next()) {
            return Err(LoadError::NothingSearched(error));
        }
        self.all_early_pages_are_in(&keys)?;
        Ok(records)
    }

    /// A page that was begun by an earlier process and that no page names any more is no part of the search.
    fn all_early_pages_are_in(&self, keys: &HashSet<String>) -> Result<(), LoadError> {
        let keys: Vec<String> = self.begun.with_rows().filter(|key| !keys.contains(*key)).map(str::to_owned).collect();
        if keys.is_empty() {
            return Ok(());
        }
        Err(LoadError::Changed { keys, why: "a search has fewer pages than before".to_owned() })
    }

    /// All pages of a search.
    async fn search(&self, search: Search) -> Result<Outcome, LoadError> {
        let Search { query, kept } = search;
        let name = query.searched.name();
        let mut record = SearchedRecord { name: name.to_owned(), ..SearchedRecord::default() };
        let mut keys = HashSet::new();
        // None: asking begins, or goes on, at `next`.
        let mut pages: Option<SearchPages> = None;
        let mut next: Option<SecretUrl> = None;
        loop {
            let number = record.pages + 1;
            let known = kept.get(&number);
            let page = match known.filter(|page| self.is_done(&query, number, page)) {
                Some(page) => {
                    pages = None;
                    self.add_done(&query, number, page);
                    page.clone()
                }
                None => {
                    let asking = match (&mut pages, &next) {
                        (Some(pages), _) => pages,
                        (None, Some(next)) => pages.insert(self.client.search_from(next)?),
                        (None, None) => pages.insert(self.client.search(&query)?),
                    };
                    // Before it is asked for: as many pages are in memory as there are slots.
                    let slot = self.slots.clone().acquire_owned().await.ok();
                    let page = match asking.next(self.network.page_bytes).await {
                        Ok(Some(page)) => page,
                        Ok(None) => break,
                        Err(error) if error.kind() == FetchErrorKind::FileExpired => {
                            return Err(self.starts_over(name, format!("search for {name}: {error}")));
                        }
                        Err(error) if number == 1 && error.status().is_some() => {
                            record.refused = Some(error.to_string());
                            return Ok(Outcome::Refused(record, error));
                        }
                        Err(error) => return Err(error.into()),
                    };
                    self.add(&query, number, page, known, slot).await?
                }
            };
            keys.extend(files_of(&query, number, page.failures).map(|(key, _)| key));
            record.pages = number;
            record.matches += page.matches;
            record.empty_entries += page.empty_entries;
            record.total = record.total.max(page.total);
            let Some(text) = &page.next else { break };
            next = Some(stored_url(text)?);
        }
        Ok(Outcome::Done(record, keys))
    }

    /// All lines of a page are in rows that an earlier process has made durable.
    fn is_done(&self, query: &SearchQuery, number: u64, page: &PageFile) -> bool {
        files_of(query, number, page.failures).all(|(key, _)| matches!(self.begun.start(&key, &key), Start::Done(..)))
    }

    fn add_done(&self, query: &SearchQuery, number: u64, page: &PageFile) {
        for (key, role) in files_of(query, number, page.failures) {
            if let Start::Done(begun, end) = self.begun.start(&key, &key) {
                let file = planned(query, key, role, page.url.clone(), Place::Nowhere);
                let Arrivals { schedule, progress, .. } = &*self.arrivals;
                schedule.add_done(self.next_place(), file, (begun, &end), progress, &*self.observer);
            }
        }
    }

    /// Keeps a page that has come, and puts it onto the schedule. `known`: as it was for an earlier process.
    async fn add(
        &self,
        query: &SearchQuery,
        number: u64,
        page: SearchPage,
        known: Option<&PageFile>,
        mut slot: Option<OwnedSemaphorePermit>,
    ) -> Result<PageFile, LoadError> {
        let name = query.searched.name();
        let mut hasher = blake3::Hasher::new();
        for line in page.resources.iter().chain(&page.failures) {
            hasher.update(line).update(LINE_END);
        }
        let kept = PageFile {
            version: PageFile::VERSION,
            // The other's path names the patient.
            url: matches!(query.searched, Searched::Type(_)).then(|| page.url.to_string()),
            lines_blake3: hasher.finalize().to_hex().to_string(),
            matches: page.matches,
            empty_entries: page.empty_entries,
            total: page.total,
            failures: !page.failures.is_empty(),
            next: page.next.as_ref().map(|next| next.expose().to_string()),
        };
        if known.is_some_and(|known| known.lines_blake3 != kept.lines_blake3) {
            return Err(self.starts_over(name, format!("page {number} of the search for {name} has changed")));
        }
        if known != Some(&kept) {
            kept.put(&*self.private, &self.run, name, number)?;
        }
        for remark in &page.remarks {
            let text = format!("search for {name}: the server remarks: {remark}");
            self.observer.event(Event::Warning(Warning::Server(text)));
        }
        for (key, role) in files_of(query, number, kept.failures) {
            let lines = if role == Role::Outcomes { &page.failures } else { &page.resources };
            let begun = match self.begun.start(&key, &key) {
                Start::Anew => None,
                // Its end is told only when it has come, and what is done is passed over.
                Start::Within(begun) | Start::Done(begun, _) => Some(begun),
            };
            let schedule = &self.arrivals.schedule;
            let pipe = Arc::new(Pipe::new(self.network.pipe_bytes, Arc::clone(schedule.bell()), slot.take(), 0));
            let file = planned(query, key, role, kept.url.clone(), Place::Remote(Arc::clone(&pipe)));
            schedule.add(self.next_place(), file, begun);
            // As they are in the page: it is in memory once.
            for line in lines {
                pipe.push(line.clone()).await;
                pipe.push(Bytes::from_static(LINE_END)).await;
            }
            pipe.end(PipeEnd::Whole { stated_bytes: None });
        }
        Ok(kept)
    }

    /// What came of the search so far is to be forgotten.
    fn starts_over(&self, name: &str, why: String) -> LoadError {
        if let Err(error) = pages::forget(&*self.private, &self.run, name) {
            return error;
        }
        let prefix = format!("{name}-");
        let is_of_search = |key: &String| key.starts_with(&prefix);
        let keys = self.arrivals.schedule.keys().into_iter().chain(self.begun.with_rows().map(str::to_owned));
        LoadError::Changed { keys: keys.filter(is_of_search).collect(), why }
    }

    /// The next file's place in the run's list.
    fn next_place(&self) -> usize {
        let place = self.files.fetch_add(1, Relaxed);
        self.arrivals.progress.files.store(place + 1, Relaxed);
        if place == 0 {
            self.observer.event(Event::PagesBegin);
        }
        place as usize
    }
}

/// The files that a page is: its lines, and failures if it has any. Keys are names, too.
fn files_of(query: &SearchQuery, number: u64, failures: bool) -> impl Iterator<Item = (String, Role)> {
    let name = format!("{}-{number}", query.searched.name());
    let failures = failures.then(|| (format!("{name}-failures"), Role::Outcomes));
    std::iter::once((name, Role::Data)).chain(failures)
}

fn stored_url(text: &str) -> Result<SecretUrl, LoadError> {
    let url =
        text.parse().map_err(|_| LoadError::Usage("a page that is kept has a next one that is no URL".to_owned()));
    Ok(SecretUrl::new(url?))
}

fn planned(query: &SearchQuery, key: String, role: Role, url: Option<String>, place: Place) -> PlannedFile {
    let declared_type = match &query.searched {
        Searched::Type(name) if role == Role::Data => Some(name.clone()),
        _ => None,
    };
    PlannedFile {
        name: key.clone(),
        key,
        version: Version::Unknown,
        url,
        role,
        declared_type,
        declared_count: None,
        transaction_time: None,
        organized: false,
        place,
        identity: None,
    }
}
