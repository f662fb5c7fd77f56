//! What a table's log itself says: which commit is whose, and which files any version refers to.
//!
//! The kernel reads one version at a time; this reads the log's files one after the other. No commit is left out, but
//! checkpoints are where the commits behind them say all they say.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::schema::{DataType, StructField, StructType};
use delta_kernel::{Engine, FileMeta, KernelError};
use lakehaul_write::store::Store;
use serde::Deserialize;
use url::Url;

use crate::failure::{Action, DeltaError, DeltaErrorKind};
use crate::{ROOT, Referenced, path};

/// Digits of a version in a file's name.
const DIGITS: usize = 20;

/// A table's log, as it was listed.
pub(crate) struct Log<'a> {
    store: &'a dyn Store,
    engine: &'a dyn Engine,
    folder: &'a str,
    commits: BTreeMap<u64, String>,
    checkpoints: BTreeMap<u64, Vec<LogFile>>,
    sidecars: BTreeMap<String, u64>,
}

/// A file in the log's folder.
#[derive(Debug, Clone)]
struct LogFile {
    name: String,
    bytes: u64,
}

/// One line of a commit.
#[derive(Deserialize)]
struct Line {
    add: Option<File>,
    remove: Option<File>,
    txn: Option<Transaction>,
    sidecar: Option<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    #[serde(rename = "deletionTimestamp")]
    deletion_timestamp: Option<i64>,
}

#[derive(Deserialize)]
struct Transaction {
    #[serde(rename = "appId")]
    app_id: String,
    version: i64,
}

/// Files as the log names them; when each was removed, if it was.
type Files = BTreeMap<String, Option<i64>>;

/// What a checkpoint says of files.
#[derive(Default)]
struct Checkpoint {
    adds: Vec<String>,
    removes: Vec<(String, i64)>,
    sidecars: Vec<String>,
}

impl<'a> Log<'a> {
    pub(crate) fn list(store: &'a dyn Store, engine: &'a dyn Engine, folder: &'a str) -> Result<Log<'a>, DeltaError> {
        let at = if folder.is_empty() { "_delta_log".to_owned() } else { format!("{folder}/_delta_log") };
        let found = store.list(&at).map_err(|error| DeltaError::io(folder, Action::Read, error))?;
        let (commits, checkpoints, sidecars) = <(BTreeMap<_, _>, BTreeMap<_, Vec<_>>, BTreeMap<_, _>)>::default();
        let mut log = Log { store, engine, folder, commits, checkpoints, sidecars };
        for (path, bytes) in found {
            let Some(name) = path.strip_prefix(&at).and_then(|name| name.strip_prefix('/')) else { continue };
            if let Some(sidecar) = name.strip_prefix("_sidecars/") {
                log.sidecars.insert(sidecar.to_owned(), bytes);
                continue;
            }
            let Some((version, kind)) = name.split_at_checked(DIGITS) else { continue };
            let Ok(version) = version.parse() else { continue };
            if kind == ".json" {
                log.commits.insert(version, path);
            } else if kind.starts_with(".checkpoint.") {
                let file = LogFile { name: name.to_owned(), bytes };
                log.checkpoints.entry(version).or_default().push(file);
            }
        }
        log.checkpoints.retain(|_, files| {
            *files = complete(files);
            !files.is_empty()
        });
        Ok(log)
    }

    pub(crate) fn newest(&self) -> Option<u64> {
        self.commits.keys().next_back().max(self.checkpoints.keys().next_back()).copied()
    }

    /// The version whose commit has this `txn`, looked for from the newest on.
    pub(crate) fn version_of(&self, app_id: &str, app_version: i64) -> Result<Option<u64>, DeltaError> {
        for (version, path) in self.commits.iter().rev() {
            let transactions = self.lines(path)?.into_iter().filter_map(|line| line.txn);
            for found in transactions.filter(|found| found.app_id == app_id) {
                if found.version == app_version {
                    return Ok(Some(*version));
                }
                // Numbers grow: what comes before is lower still.
                if found.version < app_version {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    pub(crate) fn referenced(&self) -> Result<Vec<Referenced>, DeltaError> {
        let mut files = Files::new();
        let needed = self.needed_checkpoints();
        let mut versions: Vec<u64> = self.commits.keys().chain(self.checkpoints.keys()).copied().collect();
        versions.sort_unstable();
        versions.dedup();
        for version in versions {
            if let Some(path) = self.commits.get(&version) {
                self.replay(&self.lines(path)?, &mut files)?;
            }
            if let Some(checkpoint) = self.checkpoints.get(&version).filter(|_| needed.contains(&version)) {
                self.restart(&self.checkpoint(checkpoint)?, &mut files)?;
            }
        }
        let found = files.into_iter().map(|(path, removed_ms)| Referenced { path, removed_ms });
        Ok(found.collect())
    }

    /// Versions whose checkpoints say more than the commits do: up to the first one behind which no commit is missing.
    fn needed_checkpoints(&self) -> RangeInclusive<u64> {
        #[expect(clippy::reversed_empty_ranges, reason = "it is an empty one")]
        const NONE: RangeInclusive<u64> = 1..=0;
        let Some(mut first) = self.commits.keys().next_back().copied() else {
            return 0..=u64::MAX;
        };
        while first > 0 && self.commits.contains_key(&(first - 1)) {
            first -= 1;
        }
        match first.checked_sub(1) {
            None => NONE,
            Some(before) => 0..=self.checkpoints.range(before..).next().map_or(u64::MAX, |(version, _)| *version),
        }
    }

    /// Has `files` follow one commit.
    fn replay(&self, lines: &[Line], files: &mut Files) -> Result<(), DeltaError> {
        // A file whose rows were marked as deleted is removed and added again by one commit.
        for removed in lines.iter().filter_map(|line| line.remove.as_ref()) {
            files.insert(self.in_lake(&removed.path)?, Some(removed.deletion_timestamp.unwrap_or(0)));
        }
        for added in lines.iter().filter_map(|line| line.add.as_ref()) {
            files.insert(self.in_lake(&added.path)?, None);
        }
        Ok(())
    }

    /// Has `files` be what a checkpoint says: there may be commits before it that are not in the log any more.
    fn restart(&self, checkpoint: &Checkpoint, files: &mut Files) -> Result<(), DeltaError> {
        for removed in files.values_mut() {
            removed.get_or_insert(0);
        }
        for (removed, when) in &checkpoint.removes {
            files.insert(self.in_lake(removed)?, Some(*when));
        }
        for added in &checkpoint.adds {
            files.insert(self.in_lake(added)?, None);
        }
        Ok(())
    }

    fn in_lake(&self, logged: &str) -> Result<String, DeltaError> {
        path::in_lake(self.folder, logged).ok_or_else(|| self.damaged("names a file in a way that is no text"))
    }

    fn read(&self, path: &str) -> Result<Bytes, DeltaError> {
        self.store.read(path).map_err(|error| DeltaError::io(self.folder, Action::Read, error))
    }

    fn lines(&self, path: &str) -> Result<Vec<Line>, DeltaError> {
        let bytes = self.read(path)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let lines: Result<Vec<Line>, _> = lines.map(serde_json::from_slice).collect();
        lines.map_err(|error| self.damaged(&format!("has lines in {path} that are no actions")).with_source(error))
    }

    fn damaged(&self, how: &str) -> DeltaError {
        DeltaError::new(self.folder, Action::Read, DeltaErrorKind::Damaged, format!("its log {how}"))
    }

    /// What a checkpoint in these files says, with what it has put into sidecars.
    fn checkpoint(&self, files: &[LogFile]) -> Result<Checkpoint, DeltaError> {
        let mut checkpoint = Checkpoint::default();
        for file in files {
            if is_json(&file.name) {
                let place = if self.folder.is_empty() { String::new() } else { format!("{}/", self.folder) };
                for line in self.lines(&format!("{place}_delta_log/{}", file.name))? {
                    checkpoint.adds.extend(line.add.map(|file| file.path));
                    checkpoint.sidecars.extend(line.sidecar.map(|file| file.path));
                    let removed = line.remove.map(|file| (file.path, file.deletion_timestamp.unwrap_or(0)));
                    checkpoint.removes.extend(removed);
                }
            } else {
                self.parquet(&file.name, file.bytes, &mut checkpoint)?;
            }
        }
        for sidecar in std::mem::take(&mut checkpoint.sidecars) {
            let name = path::decoded(&sidecar).unwrap_or(sidecar);
            let name = name.rsplit('/').next().unwrap_or_default();
            let bytes = self.sidecars.get(name).ok_or_else(|| self.damaged("lacks a part of a checkpoint"))?;
            self.parquet(&format!("_sidecars/{name}"), *bytes, &mut checkpoint)?;
        }
        Ok(checkpoint)
    }

    fn parquet(&self, name: &str, bytes: u64, checkpoint: &mut Checkpoint) -> Result<(), DeltaError> {
        let mut read = || -> Result<(), KernelError> {
            let location = Url::parse(ROOT)?.join("_delta_log/")?.join(name)?;
            let file = FileMeta { location, last_modified: 0, size: bytes };
            for batch in self.engine.parquet_handler().read_parquet_files(&[file], Arc::new(file_columns()?), None)? {
                checkpoint.take(&RecordBatch::from(*ArrowEngineData::try_from_engine_data(batch?)?));
            }
            Ok(())
        };
        read().map_err(|error| DeltaError::kernel(self.folder, Action::Read, error))
    }
}

impl Checkpoint {
    fn take(&mut self, batch: &RecordBatch) {
        self.adds.extend(texts(batch, "add").into_iter().map(|(_, path)| path));
        self.sidecars.extend(texts(batch, "sidecar").into_iter().map(|(_, path)| path));
        let times = action(batch, "remove").and_then(|removes| removes.column_by_name("deletionTimestamp"));
        let times = times.and_then(|times| times.as_primitive_opt::<Int64Type>());
        for (row, path) in texts(batch, "remove") {
            let when = times.filter(|times| times.is_valid(row)).map_or(0, |times| times.value(row));
            self.removes.push((path, when));
        }
    }
}

fn action<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StructArray> {
    batch.column_by_name(name).and_then(|column| column.as_struct_opt())
}

/// The rows that have this action, with its path.
fn texts(batch: &RecordBatch, name: &str) -> Vec<(usize, String)> {
    let actions = action(batch, name);
    let paths = actions.and_then(|actions| actions.column_by_name("path")?.as_string_opt::<i32>());
    let Some((actions, paths)) = actions.zip(paths) else {
        return Vec::new();
    };
    let rows = (0..batch.num_rows()).filter(|row| actions.is_valid(*row) && paths.is_valid(*row));
    rows.map(|row| (row, paths.value(row).to_owned())).collect()
}

/// The columns of a checkpoint that files are in.
fn file_columns() -> Result<StructType, KernelError> {
    let path = || StructField::nullable("path", DataType::STRING);
    let time = StructField::nullable("deletionTimestamp", DataType::LONG);
    StructType::try_new([
        StructField::nullable("add", StructType::try_new([path()])?),
        StructField::nullable("remove", StructType::try_new([path(), time])?),
        StructField::nullable("sidecar", StructType::try_new([path()])?),
    ])
}

fn is_json(name: &str) -> bool {
    name.rsplit('.').next() == Some("json")
}

/// The files of one whole checkpoint among those of a version; none if each lacks a part.
fn complete(files: &[LogFile]) -> Vec<LogFile> {
    let kind = |file: &LogFile| file.name[DIGITS..].split('.').skip(2).map(str::to_owned).collect::<Vec<_>>();
    // One file: `<version>.checkpoint.parquet`, or with an id before its ending.
    if let Some(whole) = files.iter().find(|file| matches!(kind(file).as_slice(), [_] | [_, _])) {
        return vec![whole.clone()];
    }
    let mut parts: BTreeMap<usize, Vec<LogFile>> = BTreeMap::new();
    for file in files {
        if let [_, of, _] = kind(file).as_slice()
            && let Ok(of) = of.parse()
        {
            parts.entry(of).or_default().push(file.clone());
        }
    }
    parts.into_iter().find(|(of, files)| files.len() == *of).map(|(_, files)| files).unwrap_or_default()
}
