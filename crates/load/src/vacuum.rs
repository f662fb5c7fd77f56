//! What nothing refers to: found and shown, and removed only once whoever asked says so.
//!
//! In goes a lake, out comes a list of [`Stray`]s, each with the reason and its age. Three kinds of things can be strays:
//! what is staged of runs that have finished or that nobody can ever finish, files in a table's folder that no record
//! names, and halves of small files that a death in [`Store::put`](lakehaul_write::store::Store::put) left. All else that is
//! in a lake is never looked at: quarantine, outcomes, deletions and kept files, records, schemas, the roster's tables; and
//! folders below a table's whose names begin with an underscore, where table formats keep their logs.
//!
//! The lake is held from the first look to the end, so what is removed is what was shown. Each removal is by itself: to die
//! among them leaves the rest for the next time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use lakehaul_schema::TableSchema;
use lakehaul_write::store::DatedFile;

use crate::current::Ledger;
use crate::journal::{self, Unfinished, staging};
use crate::lake::Lake;
use crate::member_match::TABLE_FOLDER;
use crate::verify::strays::{Named, is_in_a_log};
use crate::{Clock, Event, Format, LoadError, LoadOptions, Observer, delta};

/// How names end of what a small file was to be; they begin with a dot.
const UNFINISHED: &str = ".unfinished";
const OWN: &str = "_lake/";
const STAGING: &str = "_lake/staging/";

/// A look for what may go: `lakehaul vacuum LAKE`.
#[derive(Debug, Clone)]
pub struct VacuumRequest {
    /// The lake's folder.
    pub lake: String,
    /// What is younger stays.
    pub older_than: Duration,
    /// Of Delta tables, also what only versions of before then refer to, which cannot be read any more afterwards.
    pub old_versions: bool,
    /// Of these only `interrupt` and `store_layer` are of interest.
    pub options: LoadOptions,
}

impl VacuumRequest {
    /// A week: longer than any reader holds a file, and long enough to miss one.
    pub const OLDER_THAN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
}

/// Something that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// Relative to the lake; a folder's ends with `/`.
    pub path: String,
    /// Of all files in it.
    pub bytes: u64,
    /// How many files it is.
    pub files: u64,
    /// Since its newest file was written. None: the store cannot tell, and it stays.
    pub age: Option<Duration>,
    /// A clause.
    pub why: String,
}

/// What was found, and the lake, which is held as long as this lives.
#[derive(Debug)]
pub struct Vacuum {
    lake: Lake,
    options: LoadOptions,
    /// What may go, sorted by path.
    pub strays: Vec<Stray>,
    /// What is too young for it, or of unknown age.
    pub young: Vec<Stray>,
}

/// Looks for what nothing refers to. Removes nothing.
pub fn vacuum(request: &VacuumRequest, clock: &dyn Clock) -> Result<Vacuum, LoadError> {
    // To look at a lake does not make one.
    Lake::open_to_read(&request.lake)?;
    let lake = Lake::open_to_write(&request.lake, &request.options)?;
    let found = find(&lake, request.old_versions)?;
    let now = SystemTime::from(clock.now());
    let mut vacuum = Vacuum { lake, options: request.options.clone(), strays: Vec::new(), young: Vec::new() };
    for Found { path, files, since, why } in found {
        // Nothing is older than its newest file; of unknown age is what has one of unknown age.
        let written: Option<Vec<SystemTime>> = files.iter().map(|file| file.modified).collect();
        let newest = since.or_else(|| written?.into_iter().max());
        // A file of the future is new.
        let age = newest.map(|newest| now.duration_since(newest).unwrap_or_default());
        let (bytes, count) = (files.iter().map(|file| file.bytes).sum(), files.len() as u64);
        let stray = Stray { path, bytes, files: count, age, why };
        let old = age.is_some_and(|age| age >= request.older_than);
        if old { &mut vacuum.strays } else { &mut vacuum.young }.push(stray);
    }
    Ok(vacuum)
}

impl Vacuum {
    /// Removes what was found, but for what is too young.
    pub fn remove(&self, observer: &dyn Observer) -> Result<(), LoadError> {
        let store = &*self.lake.store;
        for stray in &self.strays {
            if self.options.interrupt.is_set() {
                return Err(LoadError::Interrupted);
            }
            let path = stray.path.trim_end_matches('/');
            store.remove(path).map_err(|source| LoadError::destination("remove", path, source))?;
            observer.event(Event::StrayRemoved { path: &stray.path, bytes: stray.bytes });
        }
        store.sync().map_err(|source| LoadError::destination("sync", &self.lake.name, source))
    }
}

/// A stray, before its age is known.
struct Found {
    path: String,
    files: Vec<DatedFile>,
    /// When it became one. None: when it was written, as far as anybody knows.
    since: Option<SystemTime>,
    why: String,
}

fn find(lake: &Lake, old_versions: bool) -> Result<Vec<Found>, LoadError> {
    let files = lake
        .store
        .list_dated("")
        .map_err(|source| LoadError::LakeUnreadable { path: "the files".to_owned(), source })?;
    let ledger = Ledger::read(lake)?;
    let tables = ledger.tables();
    if let Some((path, why)) = tables.faults.first() {
        return Err(LoadError::LakeDamaged { path: path.clone(), why: why.clone() });
    }
    let schemas = lake.schemas()?;
    let mut named = Named::of_tables(schemas.iter().map(TableSchema::resource_type));
    named.add_tables(&tables);
    ledger.runs.iter().for_each(|record| named.add_run(record));
    let mut dead = BTreeMap::new();
    for run in journal::unfinished(lake)? {
        match run {
            Unfinished::Committing(commit) => named.add_committed(commit.record()),
            Unfinished::Working(_, Some(plan)) if plan.repeatable => {}
            Unfinished::Left(run) => {
                dead.insert(run, "what was staged of it is published");
            }
            Unfinished::Compacting(run) => {
                dead.insert(run, "a compaction that died, and begins anew");
            }
            Unfinished::Working(run, _) => {
                dead.insert(run, "a run that died, and that no command can finish");
            }
        }
    }
    let mut replaced = BTreeMap::new();
    for compaction in &ledger.compactions {
        for (_, part) in compaction.parts() {
            replaced.extend(part.replaces.iter().map(|gone| (gone.part.path.as_str(), &compaction.compaction)));
        }
    }

    let is_delta = lake.settings.is_some_and(|settings| settings.format == Format::Delta);
    let in_versions = if is_delta { delta::replaced(lake)? } else { BTreeMap::new() };

    let mut found = Vec::new();
    let mut folders: BTreeMap<&str, Vec<DatedFile>> = BTreeMap::new();
    for dated in &files {
        let path = &dated.path;
        let file = || vec![dated.clone()];
        if let Some(staged) = path.strip_prefix(STAGING) {
            match staged.split_once('/') {
                Some((run, _)) if dead.contains_key(run) => folders.entry(run).or_default().extend(file()),
                Some(_) => {}
                None => {
                    let why = "no run has staged it".to_owned();
                    found.push(Found { path: path.clone(), files: file(), since: None, why });
                }
            }
            continue;
        }
        let puts = path.starts_with(OWN) || path.starts_with(TABLE_FOLDER) || named.is_in_a_table(path);
        let removed_from_table = in_versions.get(path).copied();
        let mut since = None;
        let why = if puts && is_half(path) {
            "a file that was not finished".to_owned()
        } else if !named.is_in_a_table(path) || named.names(path) || is_in_a_log(path) {
            continue;
        } else if let Some(removed) = removed_from_table {
            let Some(removed) = removed.filter(|_| old_versions) else { continue };
            since = Some(SystemTime::UNIX_EPOCH + Duration::from_millis(removed.try_into().unwrap_or(0)));
            "only earlier versions of the table refer to it".to_owned()
        } else {
            match replaced.get(path.as_str()) {
                Some(compaction) => format!("compaction {compaction} has replaced it"),
                None => "no record names it".to_owned(),
            }
        };
        found.push(Found { path: path.clone(), files: file(), since, why });
    }
    for (run, files) in folders {
        let why = dead.get(run).copied().unwrap_or_default().to_owned();
        found.push(Found { path: format!("{}/", staging(run)), files, since: None, why });
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// What a death leaves of a small file.
fn is_half(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with('.') && name.ends_with(UNFINISHED)
}
