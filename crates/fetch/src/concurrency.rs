//! How many output files one host is asked for at a time: found out, not configured.
//!
//! Each host begins with a few. While more files are wanted than that, and more at a time bring more bytes, the number
//! grows, up to the user's limit; growth that brings nothing is taken back. A 429 or 503 halves it. This is the additive
//! increase and multiplicative decrease of TCP, with a file in place of a segment.
//!
//! In go the bytes that came and how long was waited for them; out come permits. Bytes that wait for us say nothing about
//! the server: while that is most of the time, the number stays as it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::event::{FetchEvent, FetchObserver};

/// What a host is asked for at first: enough to hide one round trip behind another, too little to upset anybody.
const FIRST: usize = 4;
/// How long throughput is measured at least: many round trips inside a region.
const WINDOW: Duration = Duration::from_millis(250);
/// Refusals within this time of a halving are those of requests that were on their way then.
const HALVING_WINDOW: Duration = Duration::from_secs(1);
/// How many windows a number that was found not to pay is not tried again.
const HOLD_WINDOWS: u32 = 16;
/// Of the bytes that growth should bring if the server had no limit at all, the part that makes it pay. Less is noise.
const PAYS: f64 = 0.25;

/// The hosts that output files come from.
pub(crate) struct Hosts {
    max: usize,
    observer: Arc<dyn FetchObserver>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

struct Host {
    name: String,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    limit: Limit,
    /// Permits to be taken out of use as soon as they come back.
    surplus: usize,
    /// How many wait for a permit.
    waiting: usize,
}

/// The right to one open answer from a host.
pub(crate) struct Permit {
    observer: Arc<dyn FetchObserver>,
    host: Arc<Host>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Hosts {
    /// `max` is the user's limit; at least one file is fetched at a time.
    pub(crate) fn new(max: usize, observer: Arc<dyn FetchObserver>) -> Hosts {
        Hosts { max: max.max(1), observer, hosts: Mutex::default() }
    }

    /// Waits for its turn; who came first goes first.
    pub(crate) async fn permit(&self, host: &str) -> Permit {
        let host =
            lock(&self.hosts).entry(host.to_owned()).or_insert_with(|| Arc::new(Host::new(host, self.max))).clone();
        let permits = host.permits.clone();
        let permit = if let Ok(permit) = permits.clone().try_acquire_owned() {
            permit
        } else {
            let _waiting = Waiting::new(&host);
            permits.acquire_owned().await.expect("nobody closes the semaphore")
        };
        Permit { observer: self.observer.clone(), host, permit: Some(permit) }
    }
}

impl Host {
    fn new(name: &str, max: usize) -> Host {
        let limit = Limit::new(max, Instant::now());
        let permits = Arc::new(Semaphore::new(limit.now));
        Host { name: name.to_owned(), permits, state: Mutex::new(State { limit, surplus: 0, waiting: 0 }) }
    }

    /// Brings the permits in line with a limit that has changed from `before`.
    fn adjust(&self, state: &mut State, before: usize) {
        let now = state.limit.now;
        if now > before {
            let more = now - before;
            let kept = more.min(state.surplus);
            state.surplus -= kept;
            self.permits.add_permits(more - kept);
        } else {
            let fewer = before - now;
            state.surplus += fewer - self.permits.forget_permits(fewer);
        }
    }
}

impl Permit {
    /// Bytes came after waiting for the server, and before that the server waited for us.
    pub(crate) fn received(&self, bytes: usize, server: Duration, ours: Duration) {
        self.change(|state| {
            let wanted = state.waiting > 0;
            state.limit.received(bytes, server, ours, wanted, Instant::now());
        });
    }

    /// The host said 429 or 503.
    pub(crate) fn refused(&self) {
        self.change(|state| state.limit.refused(Instant::now()));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (before, now) = {
            let mut state = lock(&self.host.state);
            let before = state.limit.now;
            change(&mut state);
            self.host.adjust(&mut state, before);
            (before, state.limit.now)
        };
        if before != now {
            self.observer.fetch_event(FetchEvent::Concurrency { host: &self.host.name, now });
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = lock(&self.host.state);
        if state.surplus > 0 {
            state.surplus -= 1;
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
        }
    }
}

/// Counts one who waits, until dropped.
struct Waiting<'a>(&'a Host);

impl<'a> Waiting<'a> {
    fn new(host: &'a Host) -> Waiting<'a> {
        lock(&host.state).waiting += 1;
        Waiting(host)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).waiting -= 1;
    }
}

/// What is guarded here is whole after every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number itself, and what speaks for changing it. Knows no clock: it is told the time.
struct Limit {
    now: usize,
    max: usize,
    window: Window,
    /// The number before the last growth, and its bytes a second: growth is on trial until it is measured itself.
    trial: Option<(usize, f64)>,
    /// Whether growth goes in big steps: until the first time that it did not pay.
    big_steps: bool,
    /// Windows to let pass, for a change to show or before growth is tried again.
    hold: u32,
    halved: Option<Instant>,
}

struct Window {
    began: Instant,
    reports: usize,
    bytes: u64,
    server: Duration,
    ours: Duration,
    wanted: bool,
}

impl Window {
    fn new(began: Instant) -> Window {
        Window { began, reports: 0, bytes: 0, server: Duration::ZERO, ours: Duration::ZERO, wanted: false }
    }
}

impl Limit {
    fn new(max: usize, now: Instant) -> Limit {
        let window = Window::new(now);
        Limit { now: FIRST.min(max), max, window, trial: None, big_steps: true, hold: 0, halved: None }
    }

    fn received(&mut self, bytes: usize, server: Duration, ours: Duration, wanted: bool, now: Instant) {
        let window = &mut self.window;
        window.reports += 1;
        window.bytes += bytes as u64;
        window.server += server;
        window.ours += ours;
        window.wanted |= wanted;
        let lasted = now.saturating_duration_since(window.began);
        // Twice as many reports as files: from a slow server, a window lasts longer.
        if lasted >= WINDOW && window.reports >= 2 * self.now {
            let window = std::mem::replace(window, Window::new(now));
            self.decide(&window, lasted);
        }
    }

    fn decide(&mut self, window: &Window, lasted: Duration) {
        if self.hold > 0 {
            self.hold -= 1;
            return;
        }
        if window.ours > window.server {
            // We are the brake. What is on trial cannot be judged.
            self.trial = None;
            return;
        }
        let rate = window.bytes as f64 / lasted.as_secs_f64();
        if let Some((before, rate_before)) = self.trial {
            let grown = self.now as f64 / before as f64;
            if rate < rate_before * (1.0 + (grown - 1.0) * PAYS) {
                self.now = before;
                self.trial = None;
                self.big_steps = false;
                self.hold = HOLD_WINDOWS;
                return;
            }
        }
        self.trial = None;
        if window.wanted && self.now < self.max {
            self.trial = Some((self.now, rate));
            let step = if self.big_steps { (self.now / 2).max(1) } else { 1 };
            self.now = (self.now + step).min(self.max);
            // New connections have to come up to speed.
            self.hold = 1;
        }
    }

    fn refused(&mut self, now: Instant) {
        if self.halved.is_some_and(|halved| now.saturating_duration_since(halved) < HALVING_WINDOW) {
            return;
        }
        self.halved = Some(now);
        self.now = (self.now / 2).max(1);
        self.trial = None;
        self.big_steps = false;
        self.hold = 2;
        self.window = Window::new(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    /// A server that gives each file `each` bytes a second, and no more than `most` in all; files are always wanted.
    struct Model {
        limit: Limit,
        now: Instant,
        each: usize,
        most: usize,
    }

    impl Model {
        fn new(max: usize, each: usize, most: usize) -> Model {
            let now = Instant::now();
            Model { limit: Limit::new(max, now), now, each, most }
        }

        /// Runs for some seconds; gives the largest number that was met.
        fn run(&mut self, seconds: u64, server: u32, ours: u32, wanted: bool) -> usize {
            let tick = Duration::from_millis(5);
            let mut largest = 0;
            for _ in 0..seconds * 200 {
                self.now += tick;
                let bytes = (self.limit.now * self.each).min(self.most) / 200;
                let files = self.limit.now;
                for _ in 0..files {
                    let parts = server + ours;
                    let (server, ours) = (tick * server / parts, tick * ours / parts);
                    self.limit.received(bytes / files, server, ours, wanted, self.now);
                }
                largest = largest.max(self.limit.now);
            }
            largest
        }
    }

    #[test]
    fn grows_while_it_pays_up_to_the_limit() {
        #[track_caller]
        fn check(max: usize, most: usize, expected: std::ops::RangeInclusive<usize>) {
            let mut model = Model::new(max, MB, most);
            assert_eq!(model.limit.now, FIRST.min(max));
            let largest = model.run(30, 1, 0, true);
            assert!(largest <= max);
            assert!(expected.contains(&model.limit.now), "limit {max}, server {most}: {}", model.limit.now);
        }
        check(1, usize::MAX >> 20, 1..=1);
        check(3, usize::MAX >> 20, 3..=3);
        check(64, usize::MAX >> 20, 64..=64);
        // The server's best is had with ten.
        check(64, 10 * MB, 9..=14);
        // It is had with the first few already.
        check(64, MB, 4..=5);
    }

    #[test]
    fn growth_is_quick() {
        let mut model = Model::new(32, MB, usize::MAX >> 20);
        model.run(4, 1, 0, true);
        assert_eq!(model.limit.now, 32);
    }

    #[test]
    fn our_own_slowness_changes_nothing() {
        let mut model = Model::new(64, MB, usize::MAX >> 20);
        model.run(3, 1, 0, true);
        let before = model.limit.now;
        assert!(before > FIRST);
        model.each = 10;
        model.run(20, 1, 9, true);
        assert_eq!(model.limit.now, before);
    }

    #[test]
    fn what_nobody_waits_for_is_not_tried() {
        let mut model = Model::new(64, MB, usize::MAX >> 20);
        model.run(20, 1, 0, false);
        assert_eq!(model.limit.now, FIRST);
    }

    #[test]
    fn a_refusal_halves_once_per_window() {
        let mut model = Model::new(32, MB, usize::MAX >> 20);
        model.run(10, 1, 0, true);
        assert_eq!(model.limit.now, 32);
        for _ in 0..32 {
            model.limit.refused(model.now);
            model.now += Duration::from_millis(30);
        }
        assert_eq!(model.limit.now, 16);
        for expected in [8, 4, 2, 1, 1] {
            model.now += HALVING_WINDOW;
            model.limit.refused(model.now);
            assert_eq!(model.limit.now, expected);
        }
        model.run(60, 1, 0, true);
        assert_eq!(model.limit.now, 32, "it grows again, a step at a time");
    }

    #[tokio::test]
    async fn permits_follow_the_number() {
        let hosts = Arc::new(Hosts::new(3, Arc::new(())));
        let first = [hosts.permit("a").await, hosts.permit("a").await, hosts.permit("a").await];
        let other = hosts.permit("b").await;
        let next = {
            let hosts = hosts.clone();
            tokio::spawn(async move { hosts.permit("a").await })
        };
        tokio::task::yield_now().await;
        assert!(!next.is_finished(), "the fourth waits");
        first[0].refused();
        let host = first[0].host.clone();
        assert_eq!(lock(&host.state).limit.now, 1);
        let [one, two, three] = first;
        drop(one);
        drop(two);
        tokio::task::yield_now().await;
        assert!(!next.is_finished(), "two permits are out of use");
        drop(three);
        let next = next.await.unwrap();
        let State { surplus, waiting, .. } = *lock(&host.state);
        assert_eq!((host.permits.available_permits(), surplus, waiting), (0, 0, 0));
        drop(next);
        assert_eq!(host.permits.available_permits(), 1);
        drop(other);
    }

    #[tokio::test]
    async fn who_stops_waiting_is_forgotten() {
        let hosts = Hosts::new(1, Arc::new(()));
        let held = hosts.permit("a").await;
        let waited = tokio::time::timeout(Duration::from_millis(10), hosts.permit("a")).await;
        assert!(waited.is_err());
        assert_eq!(lock(&held.host.state).waiting, 0);
        drop(held);
        drop(hosts.permit("a").await);
    }
}
