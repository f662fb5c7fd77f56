//! Searches from request to summary: what a server finds goes page by page into the lake, under the lake's lock.
//!
//! In goes a [`SearchRequest`]; out comes the same summary as of an export. A page is to a search what an output file is to
//! an export: each resource is a line of it, by the text that came. Which page follows which is written down, so that
//! the same request after a death goes on behind the last page that was there.

mod feed;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lakehaul_fetch::{Client, ClientOptions, SearchQuery, Searched};

use crate::budget::Budget;
use crate::commit::{commit, summary_again};
use crate::journal;
use crate::network::{Relay, start_network, unless_interrupted};
use crate::plan::{Draft, Earlier, Planned, listed, open, reserve};
use crate::work::{Worked, in_attempts};
use crate::{Clock, LoadError, LoadOptions, LoadSummary, Observer, SearchRecord};
use feed::Feed;

/// The memory that there must be for each search that goes on at a time. Found by measuring the peak of nine searches of 280
/// MB with 1 to 8 at a time: each costs some 10 MiB, of which its share of the network's memory covers half.
const SEARCH_BYTES: u64 = 64 << 20;

/// Several searches at one server: `lakehaul search`.
pub struct SearchRequest {
    /// The server, and who asks.
    pub client: ClientOptions,
    /// Whose data it is, where server and queries do not tell: what a login was kept as, for instance. It tells one request
    /// from another and is written nowhere.
    pub subject: String,
    /// What is searched for; no type twice.
    pub queries: Vec<SearchQuery>,
    /// The lake's folder.
    pub lake: String,
    /// How the load goes.
    pub options: LoadOptions,
    /// What becomes of an unfinished run of the same request.
    pub earlier: Earlier,
    /// Longer than this it does not wait for the server.
    pub max_duration: Option<Duration>,
}

/// Searches, and loads what is found. A request that has been carried out before does nothing and says so.
///
/// A search that the server refuses is a problem of the run, unless it refuses all of them: then that is the error.
pub fn search(
    request: &SearchRequest,
    clock: &Arc<dyn Clock>,
    observer: &Arc<dyn Observer>,
) -> Result<LoadSummary, LoadError> {
    if request.options.replace {
        return Err(LoadError::Usage("what a search finds is not all there is: leave out --replace".to_owned()));
    }
    let mut client_options = request.client.clone();
    // Fewer where memory is short: each has a page on its way, one that is read, and what many small files leave behind.
    let fit = usize::try_from(request.options.memory_bytes / SEARCH_BYTES).unwrap_or(usize::MAX);
    let budget = Budget::divide(&request.options, client_options.concurrency.min(fit).max(1), &request.lake)?;
    client_options.concurrency = budget.network.files;
    // Before the lake is touched: a slip in the command makes no lake.
    let client = Client::new(client_options, Arc::clone(clock), Arc::new(Relay(Arc::clone(observer))))?;
    check(request, &client)?;

    let mut plan = match plan(request, budget, &**clock, &**observer)? {
        Planned::Complete(record) => return Ok(summary_again(*record)),
        Planned::Work(plan) => *plan,
    };
    let runtime = start_network(budget.threads)?;
    let authorized = runtime.block_on(unless_interrupted(&plan.interrupt, client.authorize()));
    if let Err(error) = authorized.and_then(|answered| Ok(answered.map(|_| ())?)) {
        if !plan.taken_up {
            // Nothing has been asked: the run has not begun.
            journal::discard(&*plan.lake.store, &plan.run)?;
        }
        return Err(error);
    }
    let is_same = |_: &_| true;
    let worked = in_attempts(&plan, &**observer, is_same, |begun, pool| {
        let feed = Feed::new(client.clone(), &request.queries, &plan, &begun.files, observer)?;
        feed.haul(&plan, begun, pool, (clock, request.max_duration), &runtime)
    });
    let ((mut work, searches), warnings) = match worked {
        Err(error @ LoadError::NothingSearched(_)) => {
            // The same question would get the same answer.
            journal::discard(&*plan.lake.store, &plan.run)?;
            return Err(error);
        }
        worked => worked?,
    };
    work.search = Some(SearchRecord { kind: request.client.kind.name().to_owned(), searches });
    plan.warnings.extend(warnings);
    let summary = commit(Worked { plan, work }, &**clock, &**observer)?;
    runtime.shutdown_background();
    Ok(summary)
}

/// Whether all of it can be asked.
fn check(request: &SearchRequest, client: &Client) -> Result<(), LoadError> {
    let mut names = HashSet::new();
    for query in &request.queries {
        client.search(query)?;
        let name = query.searched.name();
        if !names.insert(name) {
            return Err(LoadError::Usage(format!("the search for {name} is named twice")));
        }
    }
    if names.is_empty() {
        return Err(LoadError::NothingToLoad("no search was named".to_owned()));
    }
    Ok(())
}

fn plan(
    request: &SearchRequest,
    budget: Budget,
    clock: &dyn Clock,
    observer: &dyn Observer,
) -> Result<Planned, LoadError> {
    let begun = Instant::now();
    let ClientOptions { kind, base_url, .. } = &request.client;
    let mut what = listed(["lakehaul search 1", kind.name(), base_url.as_str(), &request.subject]);
    for SearchQuery { searched, parameters } in &request.queries {
        what.extend(match searched {
            Searched::Type(name) => listed(["type", name]),
            Searched::Everything { patient } => listed(["everything", patient]),
        });
        what.extend(parameters.iter().flat_map(|(name, value)| listed([name.as_str(), value])));
    }
    let names: Vec<&str> = request.queries.iter().map(|query| query.searched.name()).collect();
    let draft = Draft {
        command: what.clone(),
        what,
        repeatable: true,
        // Parameters are not named: they may tell who is meant.
        source: format!("{kind} {} {}", base_url.host_str().unwrap_or_default(), names.join(",")),
        transaction_time: None,
        files: Vec::new(),
        budget,
        begun,
        started: clock.now(),
        warnings: Vec::new(),
    };
    reserve(open(&request.lake, &request.options)?, draft, &request.options, request.earlier, observer)
}
