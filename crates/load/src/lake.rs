//! A lake's own files: where they are, what they say, and who may write.
//!
//! In goes the lake's name, out comes an open [`Lake`]. What is read from it is checked for form and version; nothing
//! here changes a table.

use std::path::Path;
use std::sync::Arc;

use lakehaul_schema::{Annotations, ElementTable, LAKE_SCHEMA, TableSchema};
use lakehaul_write::store::{LocalStore, Store, StoreLock};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::work::start_workers;
use crate::{CompactionRecord, Format, Layout, LoadError, LoadOptions, RunRecord};
use crate::{delta, journal, stores};

/// Whatever is not a table; an underscore hides it from Spark and Hive.
const SETTINGS: &str = "_lake/lake.json";
const LOCK: &str = "_lake/lock";
pub(crate) const RUNS: &str = "_lake/runs";
pub(crate) const COMPACTIONS: &str = "_lake/compactions";
/// The end of a compaction's name; that of a run ends with digits of its plan's hash.
pub(crate) const COMPACTION_ENDING: &str = "compact";
const OWN: &str = "_lake";

/// Files that are read or written whole, or moved, at a time. A lake has one more record each day, a run has a schema file and some
/// parts a type, and a bucket's answer takes some 30 ms.
const FILES_AT_ONCE: usize = 16;

/// What is fixed when a lake is made: `_lake/lake.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LakeSettings {
    /// Helper columns.
    pub annotations: Annotations,
    /// Names of the tables' folders.
    pub layout: Layout,
    /// What the tables are to others.
    pub format: Format,
    /// A `__json` column with each line's text.
    pub keep_json: bool,
}

/// An open lake.
#[derive(Debug)]
pub(crate) struct Lake {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn Store>,
    /// For what nobody else may read, whatever `--mode` says.
    pub(crate) private: Arc<dyn Store>,
    /// None: nothing has been published yet.
    pub(crate) settings: Option<LakeSettings>,
    /// Held by who writes.
    lock: Option<Box<dyn StoreLock>>,
}

impl Lake {
    /// Opens or makes the lake for one run. Another process that does so finds it held.
    pub(crate) fn open_to_write(name: &str, options: &LoadOptions) -> Result<Lake, LoadError> {
        if name.is_empty() {
            return Err(LoadError::Usage("the lake's folder has no name".to_owned()));
        }
        let over = |store: Arc<dyn Store>| options.store_layer.iter().fold(store, |store, layer| layer.over(store));
        let (store, private) = match stores::open(name)? {
            Some(bucket) => (over(Arc::clone(&bucket)), over(bucket)),
            None if Path::new(name).exists() && !Path::new(name).is_dir() => {
                return Err(LoadError::Usage(format!("{name} is a file; a lake is a folder, name one or a new one")));
            }
            None => {
                let open = |mode: u32| over(Arc::new(LocalStore::new(name, mode)));
                (open(options.mode.unwrap_or(LocalStore::PRIVATE)), open(LocalStore::PRIVATE))
            }
        };
        let held = store.lock(LOCK).map_err(|source| LoadError::destination("make", LOCK, source))?;
        let Some(lock) = held else {
            return Err(LoadError::LakeHeld { lake: name.to_owned() });
        };
        let settings = read_settings(&*store)?;
        settings.map_or(Ok(()), |settings| delta::known(settings.format))?;
        Ok(Lake { name: name.to_owned(), store, private, settings, lock: Some(lock) })
    }

    /// Opens an existing lake to look at it.
    pub(crate) fn open_to_read(name: &str) -> Result<Lake, LoadError> {
        let no_lake = || LoadError::Usage(format!("{name} is no lake: it has no folder {OWN}"));
        let store: Arc<dyn Store> = match stores::open(name)? {
            Some(bucket) => {
                let unreadable = |source| LoadError::LakeUnreadable { path: OWN.to_owned(), source };
                if bucket.list(OWN).map_err(unreadable)?.is_empty() {
                    return Err(no_lake());
                }
                bucket
            }
            None if Path::new(name).join(OWN).is_dir() => Arc::new(LocalStore::new(name, LocalStore::PRIVATE)),
            None => return Err(no_lake()),
        };
        let settings = read_settings(&*store)?;
        Ok(Lake { name: name.to_owned(), private: Arc::clone(&store), store, settings, lock: None })
    }

    /// See [`StoreLock::fence`]; 0 for who only looks.
    pub(crate) fn fence(&self) -> u64 {
        self.lock.as_ref().map_or(0, |lock| lock.fence())
    }

    /// After something was published.
    pub(crate) fn reread_settings(&mut self) -> Result<(), LoadError> {
        self.settings = read_settings(&*self.store)?;
        Ok(())
    }

    /// The settings of a run with these options; the lake's, if they do not contradict.
    pub(crate) fn settings_for(&self, options: &LoadOptions) -> Result<LakeSettings, LoadError> {
        let asked = LakeSettings {
            annotations: options.annotations.unwrap_or_default(),
            layout: options.layout.unwrap_or_default(),
            format: options.format.unwrap_or_default(),
            keep_json: options.keep_json.unwrap_or_default(),
        };
        let Some(has) = self.settings else {
            delta::known(asked.format)?;
            return Ok(asked);
        };
        let fixed = |what, has: String, asked: String| Err(LoadError::SettingFixed { what, has, asked });
        if options.annotations.is_some_and(|asked| asked != has.annotations) {
            return fixed("the annotations ", has.annotations.to_string(), asked.annotations.to_string());
        }
        if options.layout.is_some_and(|asked| asked != has.layout) {
            return fixed("the layout ", has.layout.name().to_owned(), asked.layout.name().to_owned());
        }
        if options.format.is_some_and(|asked| asked != has.format) {
            return fixed("the format ", has.format.name().to_owned(), asked.format.name().to_owned());
        }
        if options.keep_json.is_some_and(|asked| asked != has.keep_json) {
            let column = |kept| if kept { "a __json column" } else { "no __json column" }.to_owned();
            return fixed("", column(has.keep_json), column(asked.keep_json));
        }
        Ok(has)
    }

    /// The tables as the schema files have them, sorted by type.
    pub(crate) fn schemas(&self) -> Result<Vec<TableSchema>, LoadError> {
        let mut schemas = Vec::new();
        for (path, _) in self.list(OWN)? {
            let Some(name) = path.strip_prefix("_lake/").and_then(|name| name.strip_suffix(".schema.json")) else {
                continue;
            };
            let text = self.text(&path)?;
            let schema = TableSchema::from_json(ElementTable::r4(), &text)
                .map_err(|error| LoadError::LakeDamaged { path: path.clone(), why: error.to_string() })?;
            if schema.resource_type() != name {
                let why = format!("it is the schema of {}", schema.resource_type());
                return Err(LoadError::LakeDamaged { path, why });
            }
            schemas.push(schema);
        }
        Ok(schemas)
    }

    /// The run records, oldest first: a run's name begins with its time.
    pub(crate) fn records(&self) -> Result<Vec<RunRecord>, LoadError> {
        at_once(|| self.record_paths(RUNS)?.par_iter().map(|path| self.record(path)).collect())
    }

    /// The compactions' records, oldest first.
    pub(crate) fn compactions(&self) -> Result<Vec<CompactionRecord>, LoadError> {
        let read = |path: &String| {
            let damaged = |why: String| LoadError::LakeDamaged { path: path.clone(), why };
            let record: CompactionRecord = serde_json::from_str(&self.text(path)?)
                .map_err(|error| damaged(format!("no record of a compaction: {error}")))?;
            match compaction_path(&record.compaction) == *path {
                true => Ok(record),
                false => Err(damaged(format!("it is the record of {}", record.compaction))),
            }
        };
        at_once(|| self.record_paths(COMPACTIONS)?.par_iter().map(read).collect())
    }

    /// The name of a run or a compaction, finished or not, that sorts behind all others.
    pub(crate) fn newest_name(&self) -> Result<Option<String>, LoadError> {
        let name = |folder: &str, path: &str| {
            Some(path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".json")?.to_owned())
        };
        let mut names = journal::names(self)?;
        for folder in [RUNS, COMPACTIONS] {
            names.extend(self.list(folder)?.into_iter().filter_map(|(path, _)| name(folder, &path)));
        }
        Ok(names.into_iter().max())
    }

    /// The latest finished run of this plan. Its name need not end like the plan: files may have changed since it was begun.
    pub(crate) fn finished_run(&self, plan: &str) -> Result<Option<RunRecord>, LoadError> {
        #[derive(Deserialize)]
        struct OfPlan {
            plan: String,
        }
        let find = |path: &String| match self.text(path) {
            Ok(text) => {
                let of_plan: Result<OfPlan, _> = serde_json::from_str(&text);
                of_plan.is_ok_and(|of_plan| of_plan.plan == plan).then(|| self.record(path))
            }
            Err(error) => Some(Err(error)),
        };
        at_once(|| self.record_paths(RUNS)?.par_iter().rev().find_map_first(find).transpose())
    }

    /// The records in a folder, oldest first; not what is left of one that was being written.
    fn record_paths(&self, folder: &str) -> Result<Vec<String>, LoadError> {
        Ok(self.list(folder)?.into_iter().map(|(path, _)| path).filter(|path| path.ends_with(".json")).collect())
    }

    fn record(&self, path: &str) -> Result<RunRecord, LoadError> {
        serde_json::from_str(&self.text(path)?)
            .map_err(|error| LoadError::LakeDamaged { path: path.to_owned(), why: format!("no run record: {error}") })
    }

    pub(crate) fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, LoadError> {
        self.store.list(folder).map_err(|source| LoadError::LakeUnreadable { path: folder.to_owned(), source })
    }

    fn text(&self, path: &str) -> Result<String, LoadError> {
        read_text(&*self.store, path)
    }
}

/// The run record's path.
pub(crate) fn record_path(run: &str) -> String {
    format!("{RUNS}/{run}.json")
}

/// The path of a compaction's record.
pub(crate) fn compaction_path(compaction: &str) -> String {
    format!("{COMPACTIONS}/{compaction}.json")
}

/// Whether a name is a compaction's.
pub(crate) fn is_compaction(name: &str) -> bool {
    name.strip_suffix(COMPACTION_ENDING).is_some_and(|time| time.ends_with('-'))
}

/// Carries out what reads, writes or moves many files, several at a time: most of it is waiting for the store.
pub(crate) fn at_once<T: Send>(work: impl FnOnce() -> Result<T, LoadError> + Send) -> Result<T, LoadError> {
    start_workers(FILES_AT_ONCE, 0)?.install(work)
}

/// The schema file's path.
pub(crate) fn schema_path(resource_type: &str) -> String {
    format!("{OWN}/{resource_type}.schema.json")
}

/// The end of the name of every run of a plan.
pub(crate) fn run_ending(plan: &str) -> &str {
    &plan[..8]
}

pub(crate) fn read_text(store: &dyn Store, path: &str) -> Result<String, LoadError> {
    let bytes = store.read(path).map_err(|source| LoadError::LakeUnreadable { path: path.to_owned(), source })?;
    String::from_utf8(bytes.into())
        .map_err(|_| LoadError::LakeDamaged { path: path.to_owned(), why: "it is not UTF-8".to_owned() })
}

/// `_lake/lake.json`.
#[derive(Serialize, Deserialize)]
struct SettingsFile {
    #[serde(rename = "lake.schema")]
    lake_schema: u32,
    annotations: String,
    layout: Layout,
    #[serde(default)]
    format: Format,
    keep_json: bool,
}

impl LakeSettings {
    /// Path and text of the file that keeps them.
    pub(crate) fn file(&self) -> (String, String) {
        let file = SettingsFile {
            lake_schema: LAKE_SCHEMA,
            annotations: self.annotations.to_string(),
            layout: self.layout,
            format: self.format,
            keep_json: self.keep_json,
        };
        (SETTINGS.to_owned(), crate::ledger::pretty(&file))
    }
}

fn read_settings(store: &dyn Store) -> Result<Option<LakeSettings>, LoadError> {
    let there = store.list(OWN).map_err(|source| LoadError::LakeUnreadable { path: OWN.to_owned(), source })?;
    if !there.iter().any(|(path, _)| path == SETTINGS) {
        return Ok(None);
    }
    let damaged = |why: String| LoadError::LakeDamaged { path: SETTINGS.to_owned(), why };
    let file: SettingsFile = serde_json::from_str(&read_text(store, SETTINGS)?).map_err(|e| damaged(e.to_string()))?;
    if file.lake_schema != LAKE_SCHEMA {
        return Err(damaged(format!("it has lake.schema {}, this program knows {LAKE_SCHEMA}", file.lake_schema)));
    }
    let annotations = file.annotations.parse().map_err(|e: lakehaul_schema::AnnotationError| damaged(e.to_string()))?;
    let SettingsFile { layout, format, keep_json, .. } = file;
    Ok(Some(LakeSettings { annotations, layout, format, keep_json }))
}

/// The lake's tables as their schema files have them, sorted by type.
pub fn schemas(lake: &str) -> Result<Vec<TableSchema>, LoadError> {
    Lake::open_to_read(lake)?.schemas()
}

/// The lake's settings; the defaults as long as nothing was published.
pub fn settings(lake: &str) -> Result<LakeSettings, LoadError> {
    let lake = Lake::open_to_read(lake)?;
    lake.settings_for(&LoadOptions::default())
}

/// Whether a run holds the lake right now. Changes nothing about a lake that has been written to.
pub fn held(lake: &str) -> Result<bool, LoadError> {
    let lake = Lake::open_to_read(lake)?;
    let lock = lake.store.lock(LOCK).map_err(|source| LoadError::destination("make", LOCK, source))?;
    Ok(lock.is_none())
}

/// The records of the lake's compactions, oldest first.
pub fn compactions(lake: &str) -> Result<Vec<CompactionRecord>, LoadError> {
    Lake::open_to_read(lake)?.compactions()
}

/// The lake's run records, oldest first.
pub fn runs(lake: &str) -> Result<Vec<RunRecord>, LoadError> {
    Lake::open_to_read(lake)?.records()
}
