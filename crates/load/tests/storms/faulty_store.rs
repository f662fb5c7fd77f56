//! A store over a lake's own that counts every call, keeps a log of them, and lets one of them go wrong.
//!
//! What can go wrong is a [`Trouble`]: a call that fails once or from then on for ever, as a full or broken disk makes it;
//! the process's death, after which nothing reaches the disk; and a power cut, which also takes back what nobody had made
//! durable. The last keeps to the letter of [`Store`]'s promises: a file's bytes are safe once it was finished or synced,
//! its name after [`Store::sync`], and no other call makes either of them so.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use lakehaul_load::StoreLayer;
use lakehaul_write::store::{DatedFile, Store, StoreLock, StoreRead, StoreSync, StoreWrite};

/// What happens at the call that it is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The call fails with this error of the operating system; the next ones do not.
    Once(i32),
    /// The call and all that follow fail with it.
    ForEver(i32),
    /// The call and all that follow have no effect.
    Death,
    /// The call has half of its effect, all that follow have none.
    TornDeath,
    /// Likewise none, and what was not durable before is lost in part: what exactly, this seed decides.
    PowerCut(u64),
}

/// `EIO`, `EMFILE`, `ENOSPC`: the same numbers on every Unix.
pub(crate) const EIO: i32 = 5;
/// See there.
pub(crate) const EMFILE: i32 = 24;
/// See there.
pub(crate) const ENOSPC: i32 = 28;

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Extend,
    Open,
    Put,
    Rename,
    Sync,
    Remove,
    List,
    Dated,
    Write,
    Flush,
    Finish,
    Syncer,
    FileSync,
    ReadAt,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) op: Op,
    /// Empty for [`Op::Sync`].
    pub(crate) path: String,
    /// Of [`Op::Rename`] alone.
    pub(crate) to: Option<String>,
}

/// Counts the calls of a run, and decides about each.
pub(crate) struct Desk {
    /// Which call, from 1, and what happens to it.
    trouble: Option<(u64, Trouble)>,
    /// Asked at that call, before anything else can be called.
    met: Box<dyn Fn() + Send + Sync>,
    state: Mutex<State>,
    /// Held to write while power is cut, so that no call is half-way.
    power: RwLock<()>,
}

#[derive(Default)]
struct State {
    log: Vec<Call>,
    /// The call that met its trouble.
    struck: Option<Call>,
    /// Files that were created, extended or written, by their present names.
    files: BTreeMap<String, Lengths>,
    /// Names that came since the last sync, in order.
    unsynced: Vec<Name>,
}

/// How much of a file is there, and how much is safe.
#[derive(Debug, Clone, Copy, Default)]
struct Lengths {
    written: u64,
    durable: u64,
}

enum Name {
    Created(String),
    Renamed { from: String, to: String },
}

/// What becomes of a call.
enum Verdict {
    Goes,
    Fails(io::Error),
    /// Half of it is done, and then it fails.
    Tears,
}

impl Desk {
    /// A desk at which nothing goes wrong.
    pub(crate) fn calm() -> Arc<Desk> {
        Desk::new(None, || {})
    }

    /// A desk at which the `at`th call, from 1, meets its trouble; `met` is asked then.
    pub(crate) fn troubled(at: u64, trouble: Trouble, met: impl Fn() + Send + Sync + 'static) -> Arc<Desk> {
        Desk::new(Some((at, trouble)), met)
    }

    fn new(trouble: Option<(u64, Trouble)>, met: impl Fn() + Send + Sync + 'static) -> Arc<Desk> {
        Arc::new(Desk { trouble, met: Box::new(met), state: Mutex::default(), power: RwLock::default() })
    }

    /// The layer that brings every call of a load past this desk.
    pub(crate) fn layer(self: &Arc<Desk>) -> StoreLayer {
        let desk = Arc::clone(self);
        StoreLayer::new(move |inner| Arc::new(FaultyStore { inner, desk: Arc::clone(&desk) }))
    }

    /// All calls so far, those that failed too.
    pub(crate) fn log(&self) -> Vec<Call> {
        self.state().log.clone()
    }

    /// The call that met its trouble, if so many came.
    pub(crate) fn struck(&self) -> Option<Call> {
        self.state().struck.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call down and says what becomes of it.
    fn decide(&self, store: &dyn Store, op: Op, path: &str, to: Option<&str>) -> Verdict {
        let call = Call { op, path: path.to_owned(), to: to.map(str::to_owned) };
        let number = {
            let mut state = self.state();
            state.log.push(call.clone());
            state.log.len() as u64
        };
        let Some((at, trouble)) = self.trouble else { return Verdict::Goes };
        if number < at {
            return Verdict::Goes;
        }
        if number == at {
            (self.met)();
            self.state().struck = Some(call);
        }
        match trouble {
            Trouble::Once(_) if number > at => Verdict::Goes,
            Trouble::Once(code) | Trouble::ForEver(code) => Verdict::Fails(io::Error::from_raw_os_error(code)),
            Trouble::TornDeath if number == at => Verdict::Tears,
            Trouble::PowerCut(seed) if number == at => {
                let _nobody_else = self.power.write().unwrap_or_else(PoisonError::into_inner);
                self.state().lose(store, seed);
                Verdict::Fails(dead())
            }
            Trouble::Death | Trouble::TornDeath | Trouble::PowerCut(_) => Verdict::Fails(dead()),
        }
    }

    /// Makes a call, if it may go on; `torn` does half of it.
    fn call<T>(
        &self,
        store: &dyn Store,
        (op, path, to): (Op, &str, Option<&str>),
        whole: impl FnOnce() -> io::Result<T>,
        torn: impl FnOnce(),
        done: impl FnOnce(&mut State, &T),
    ) -> io::Result<T> {
        match self.decide(store, op, path, to) {
            Verdict::Fails(error) => Err(error),
            Verdict::Tears => {
                torn();
                Err(dead())
            }
            Verdict::Goes => {
                let _power = self.power.read().unwrap_or_else(PoisonError::into_inner);
                if self.has_lost_power() {
                    return Err(dead());
                }
                let result = whole()?;
                done(&mut self.state(), &result);
                Ok(result)
            }
        }
    }

    /// For a call of another thread that was let through just before.
    fn has_lost_power(&self) -> bool {
        matches!(self.trouble, Some((_, Trouble::PowerCut(_)))) && self.state().struck.is_some()
    }
}

/// Whoever gets to see it is no more.
fn dead() -> io::Error {
    io::Error::other("the process has died")
}

impl State {
    fn created(&mut self, path: &str) {
        self.files.insert(path.to_owned(), Lengths::default());
        self.unsynced.push(Name::Created(path.to_owned()));
    }

    fn renamed(&mut self, from: &str, to: &str) {
        if let Some(lengths) = self.files.remove(from) {
            self.files.insert(to.to_owned(), lengths);
        }
        self.unsynced.push(Name::Renamed { from: from.to_owned(), to: to.to_owned() });
    }

    fn forgotten(&mut self, path: &str) {
        let below = format!("{path}/");
        let gone = |name: &String| *name == path || name.starts_with(&below);
        self.files.retain(|name, _| !gone(name));
        self.unsynced.retain(|name| match name {
            Name::Created(name) => !gone(name),
            Name::Renamed { to, .. } => !gone(to),
        });
    }

    /// Takes back what nobody made durable. Each thing may stay as well: a disk writes when it likes to.
    fn lose(&mut self, store: &dyn Store, seed: u64) {
        let mut chance = fastrand::Rng::with_seed(seed);
        let lost = "what is lost in a power cut can be taken back";
        for (path, lengths) in &self.files {
            let Lengths { written, durable } = *lengths;
            if written == durable {
                continue;
            }
            let kept = match chance.u8(..4) {
                0 => written,
                1 => durable,
                _ => chance.u64(durable..=written),
            };
            let mut file = store.extend(path, kept).expect(lost);
            if chance.bool() {
                // The length was written, the bytes were not.
                file.write_all(&vec![0; usize::try_from(written - kept).expect("test files are small")]).expect(lost);
            }
            file.finish().expect(lost);
        }
        for name in std::mem::take(&mut self.unsynced).into_iter().rev() {
            if chance.bool() {
                continue;
            }
            match name {
                Name::Created(path) => store.remove(&path).expect(lost),
                Name::Renamed { from, to } => match store.rename(&to, &from) {
                    // It was taken for another's place, or went with the file that was created.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    renamed => renamed.expect(lost),
                },
            }
        }
    }
}

struct FaultyStore {
    inner: Arc<dyn Store>,
    desk: Arc<Desk>,
}

impl std::fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FaultyStore").field(&self.inner).finish()
    }
}

impl FaultyStore {
    fn call<T>(
        &self,
        (op, path, to): (Op, &str, Option<&str>),
        whole: impl FnOnce() -> io::Result<T>,
        torn: impl FnOnce(),
        done: impl FnOnce(&mut State, &T),
    ) -> io::Result<T> {
        self.desk.call(&*self.inner, (op, path, to), whole, torn, done)
    }

    fn writer(&self, path: &str, inner: Box<dyn StoreWrite>) -> Box<dyn StoreWrite> {
        let (store, desk) = (Arc::clone(&self.inner), Arc::clone(&self.desk));
        Box::new(FaultyWrite { store, desk, path: path.to_owned(), inner })
    }

    /// What a death in the middle of [`Store::put`] leaves in a folder of the local machine.
    fn tear_put(&self, path: &str, bytes: &[u8]) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let unfinished = format!("{folder}/.{name}.unfinished");
        let mut file = self.inner.create(unfinished.trim_start_matches('/')).expect("a file can be made");
        file.write_all(&bytes[..bytes.len() / 2]).expect("it can be written");
    }

    /// What a death in the middle of removing a folder leaves: every other file. [`Store::remove`] promises no order. A
    /// single file is removed or is not.
    fn tear_remove(&self, path: &str) {
        let files = self.inner.list(path).unwrap_or_default();
        for (file, _) in files.iter().step_by(2) {
            self.inner.remove(file).expect("a file can be removed");
        }
    }
}

impl Store for FaultyStore {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        let done = |state: &mut State, _: &_| state.created(path);
        let file = self.call((Op::Create, path, None), || self.inner.create(path), || {}, done)?;
        Ok(self.writer(path, file))
    }

    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>> {
        let done = |state: &mut State, _: &_| {
            // A load goes on only behind what it knows to be safe.
            state.files.insert(path.to_owned(), Lengths { written: len, durable: len });
        };
        let file = self.call((Op::Extend, path, None), || self.inner.extend(path, len), || {}, done)?;
        Ok(self.writer(path, file))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        let inner = self.call((Op::Open, path, None), || self.inner.open(path), || {}, |_, _| {})?;
        let (store, desk) = (Arc::clone(&self.inner), Arc::clone(&self.desk));
        Ok(Box::new(FaultyRead { store, desk, path: path.to_owned(), inner }))
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let done = |state: &mut State, (): &()| state.forgotten(path);
        self.call((Op::Put, path, None), || self.inner.put(path, bytes), || self.tear_put(path, bytes), done)
    }

    fn put_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let done = |state: &mut State, (): &()| state.forgotten(path);
        self.call((Op::Put, path, None), || self.inner.put_new(path, bytes), || self.tear_put(path, bytes), done)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let done = |state: &mut State, (): &()| state.renamed(from, to);
        self.call((Op::Rename, from, Some(to)), || self.inner.rename(from, to), || {}, done)
    }

    fn sync(&self) -> io::Result<()> {
        let done = |state: &mut State, (): &()| state.unsynced.clear();
        self.call((Op::Sync, "", None), || self.inner.sync(), || {}, done)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let done = |state: &mut State, (): &()| state.forgotten(path);
        self.call((Op::Remove, path, None), || self.inner.remove(path), || self.tear_remove(path), done)
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        self.call((Op::List, path, None), || self.inner.list(path), || {}, |_, _| {})
    }

    fn dated(&self, path: &str) -> io::Result<DatedFile> {
        self.call((Op::Dated, path, None), || self.inner.dated(path), || {}, |_, _| {})
    }

    /// Not counted: who dies lets go, and a lock that cannot be had is another promise's.
    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn StoreLock>>> {
        self.inner.lock(path)
    }
}

struct FaultyWrite {
    store: Arc<dyn Store>,
    desk: Arc<Desk>,
    path: String,
    inner: Box<dyn StoreWrite>,
}

impl Write for FaultyWrite {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let FaultyWrite { store, desk, path, inner } = self;
        let inner = Mutex::new(inner);
        let write = |bytes: &[u8]| inner.lock().unwrap_or_else(PoisonError::into_inner).write(bytes);
        let torn = || {
            write(&bytes[..bytes.len() / 2]).expect("half of it can be written");
        };
        let done = |state: &mut State, written: &usize| {
            if let Some(lengths) = state.files.get_mut(path.as_str()) {
                lengths.written += *written as u64;
            }
        };
        desk.call(&**store, (Op::Write, path.as_str(), None), || write(bytes), torn, done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let FaultyWrite { store, desk, path, inner } = self;
        desk.call(&**store, (Op::Flush, path.as_str(), None), || inner.flush(), || {}, |_, ()| {})
    }
}

impl StoreWrite for FaultyWrite {
    fn finish(self: Box<Self>) -> io::Result<()> {
        let FaultyWrite { store, desk, path, inner } = *self;
        let done = |state: &mut State, (): &()| state.durable(&path);
        desk.call(&*store, (Op::Finish, &path, None), || inner.finish(), || {}, done)
    }

    fn syncer(&self) -> io::Result<Box<dyn StoreSync>> {
        let FaultyWrite { store, desk, path, inner } = self;
        let inner = desk.call(&**store, (Op::Syncer, path, None), || inner.syncer(), || {}, |_, _| {})?;
        Ok(Box::new(FaultySync { store: Arc::clone(store), desk: Arc::clone(desk), path: path.clone(), inner }))
    }
}

impl State {
    fn durable(&mut self, path: &str) {
        if let Some(lengths) = self.files.get_mut(path) {
            lengths.durable = lengths.written;
        }
    }
}

struct FaultySync {
    store: Arc<dyn Store>,
    desk: Arc<Desk>,
    path: String,
    inner: Box<dyn StoreSync>,
}

impl StoreSync for FaultySync {
    fn sync(&self) -> io::Result<()> {
        let FaultySync { store, desk, path, inner } = self;
        // What is written beside this call may be safe after it, or not.
        let before = desk.state().files.get(path).map_or(0, |lengths| lengths.written);
        let done = |state: &mut State, (): &()| {
            if let Some(lengths) = state.files.get_mut(path) {
                lengths.durable = lengths.durable.max(before);
            }
        };
        desk.call(&**store, (Op::FileSync, path, None), || inner.sync(), || {}, done)
    }
}

struct FaultyRead {
    store: Arc<dyn Store>,
    desk: Arc<Desk>,
    path: String,
    inner: Box<dyn StoreRead>,
}

impl StoreRead for FaultyRead {
    fn len_bytes(&self) -> u64 {
        self.inner.len_bytes()
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let FaultyRead { store, desk, path, inner } = self;
        desk.call(&**store, (Op::ReadAt, path, None), || inner.read_at(offset, len), || {}, |_, _| {})
    }
}
