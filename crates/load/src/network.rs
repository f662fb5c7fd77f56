//! What a run from a server needs beside a load from files: threads for the network, and bytes that arrive while workers
//! read what has arrived.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use lakehaul_fetch::{FetchEvent, FetchObserver};
use rayon::ThreadPool;
use tokio::runtime::Runtime;

use crate::begun::Begun;
use crate::plan::Plan;
use crate::schedule::Schedule;
use crate::work::{StagedWork, work_through};
use crate::{Clock, Event, Interrupt, LoadError, Observer, Progress, Warning};

/// How often it is looked whether the load is asked to leave.
const LISTEN: Duration = Duration::from_millis(50);

/// Sockets need little: decryption is what costs.
pub(crate) fn start_network(workers: usize) -> Result<Runtime, LoadError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads((workers / 4).clamp(1, 4))
        .thread_name("network")
        .enable_all()
        .build()
        .map_err(|error| LoadError::Usage(format!("the threads for the network cannot be started: {error}")))
}

/// What comes of `work`, unless the load is asked to leave before.
pub(crate) async fn unless_interrupted<T>(
    interrupt: &Interrupt,
    work: impl Future<Output = T>,
) -> Result<T, LoadError> {
    let interrupted = async {
        while !interrupt.is_set() {
            tokio::time::sleep(LISTEN).await;
        }
    };
    tokio::select! {
        done = work => Ok(done),
        () = interrupted => Err(LoadError::Interrupted),
    }
}

/// What comes of `work`, unless it takes longer than it is allowed to.
pub(crate) async fn in_time<T>(
    clock: &dyn Clock,
    max_duration: Option<Duration>,
    work: impl Future<Output = Result<T, LoadError>>,
) -> Result<T, LoadError> {
    let Some(max) = max_duration else { return work.await };
    tokio::select! {
        done = work => done,
        () = clock.sleep(max) => Err(LoadError::TookTooLong(max)),
    }
}

/// Hands what a client tells to the run's observer.
pub(crate) struct Relay(pub(crate) Arc<dyn Observer>);

impl FetchObserver for Relay {
    fn fetch_event(&self, event: FetchEvent<'_>) {
        match event {
            FetchEvent::Warning(text) => self.0.event(Event::Warning(Warning::Server(text.to_owned()))),
            event => self.0.event(Event::Server(event)),
        }
    }
}

/// Files on their way from a server to the workers.
#[derive(Default)]
pub(crate) struct Arrivals {
    pub(crate) schedule: Schedule,
    pub(crate) progress: Arc<Progress>,
    stopped: AtomicBool,
}

impl Arrivals {
    /// Lets `feed` put files onto the schedule, and workers work through them, until both have ended; what both come to. A
    /// feed that fails stops the workers, and workers that fail drop the feed.
    pub(crate) fn haul<T: Send + 'static>(
        self: &Arc<Self>,
        feed: impl Future<Output = Result<T, LoadError>> + Send + 'static,
        plan: &Plan,
        begun: Begun,
        pool: &ThreadPool,
        runtime: &Runtime,
        observer: &dyn Observer,
    ) -> Result<(StagedWork, T), LoadError> {
        observer.event(Event::Planned { run: &plan.run, files: 0, bytes: None, progress: &self.progress });
        let feeding = runtime.spawn({
            let arrivals = Arc::clone(self);
            async move {
                let fed = feed.await;
                if fed.is_err() {
                    arrivals.stopped.store(true, Relaxed);
                }
                arrivals.schedule.close();
                fed
            }
        });
        let work = work_through(plan, begun, pool, &self.schedule, &self.progress, &self.stopped, observer);
        if work.is_err() || plan.interrupt.is_set() {
            // The workers' reason is the run's; whoever waits for room in a pipe waits for nobody.
            feeding.abort();
        }
        match (runtime.block_on(feeding), work) {
            // A lake that takes no more is graver than a server that does not give: that gets better by itself.
            (_, Err(error)) | (Ok(Err(error)), Ok(_)) => Err(error),
            (Ok(Ok(fed)), Ok(Some(work))) => Ok((work, fed)),
            (Ok(Ok(_)), Ok(None)) => Err(LoadError::Interrupted),
            (Err(aborted), Ok(_)) if aborted.is_cancelled() => Err(LoadError::Interrupted),
            (Err(panicked), Ok(_)) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

/// A task's end; one that panicked takes the run along.
pub(crate) fn joined<T>(ended: Result<T, tokio::task::JoinError>) -> T {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
