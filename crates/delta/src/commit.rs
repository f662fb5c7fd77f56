//! One commit: what it changes is worked out on the newest version, and is tried as the next one.
//!
//! The kernel makes the actions and checks that the table allows them. Its last step, the object that is the commit, is
//! done here ([`Writing`]): with the commit's own time, statistics and the columns that they are of, and for a new table
//! with the plainest protocol there is.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::array::{MapBuilder, MapFieldNames, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use delta_kernel::committer::{CommitMetadata, CommitResponse, Committer, PublishMetadata};
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine::arrow_utils::to_json_bytes;
use delta_kernel::engine_data::FilteredEngineData;
use delta_kernel::schema::StructType;
use delta_kernel::snapshot::{Snapshot, SnapshotRef};
use delta_kernel::table_features::ColumnMappingMode;
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::{CommitResult, Transaction, UpdateTableOperation};
use delta_kernel::{Engine, EngineData, FileMeta, KernelError, KernelResult, KernelResultIterator};
use serde_json::{Map, Value, json};

use crate::columns::{Contradiction, Growth, delta_columns, growth};
use crate::failure::{Action, DeltaError, DeltaErrorKind};
use crate::{AddedFile, Change, Commit, Committed, DeltaTable, ROOT, path};

/// How often a commit is built anew because another writer took its version.
const TRIES: usize = 20;

/// Versions from one checkpoint to the next, where the table does not say; Delta's own default.
const CHECKPOINT_INTERVAL: u64 = 10;

/// The table property that names the columns with statistics, separated by commas (Delta 3.1).
const STATISTICS_COLUMNS: &str = "delta.dataSkippingStatsColumns";

/// Who wrote it, for a table's history.
const WRITER: &str = concat!("lakehaul/", env!("CARGO_PKG_VERSION"));

pub(crate) fn commit(table: &DeltaTable, commit: &Commit) -> Result<Committed, DeltaError> {
    let attempt = Attempt::new(table, commit)?;
    for _ in 0..TRIES {
        let tried = match table.snapshot(None)? {
            None => attempt.create()?,
            Some(snapshot) => attempt.update(&snapshot)?,
        };
        if let Some(committed) = tried {
            return Ok(committed);
        }
    }
    Err(attempt.refused(DeltaErrorKind::Conflict, format!("other writers were faster, {TRIES} times in a row")))
}

/// A commit that is being tried.
struct Attempt<'a> {
    table: &'a DeltaTable,
    commit: &'a Commit,
    columns: StructType,
    /// The files that come, with their paths as the log writes them.
    adds: Vec<(String, &'a AddedFile)>,
}

impl<'a> Attempt<'a> {
    fn new(table: &'a DeltaTable, commit: &'a Commit) -> Result<Attempt<'a>, DeltaError> {
        let columns = delta_columns(commit.schema.fields()).map_err(|found| contradiction(table, found))?;
        let mut attempt = Attempt { table, commit, columns, adds: Vec::new() };
        for file in &commit.adds {
            attempt.adds.push((path::encoded(attempt.in_table(&file.path)?), file));
        }
        Ok(attempt)
    }

    fn refused(&self, kind: DeltaErrorKind, why: impl Into<String>) -> DeltaError {
        DeltaError::new(&self.table.folder, Action::Commit, kind, why)
    }

    fn failed(&self, error: KernelError) -> DeltaError {
        DeltaError::kernel(&self.table.folder, Action::Commit, error)
    }

    /// A path relative to the table's folder.
    fn in_table<'p>(&self, path: &'p str) -> Result<&'p str, DeltaError> {
        let folder = self.table.folder.as_str();
        let inside =
            if folder.is_empty() { Some(path) } else { path.strip_prefix(folder).and_then(|p| p.strip_prefix('/')) };
        inside.ok_or_else(|| {
            let why = format!("the file {path} is not in the table's folder");
            self.refused(DeltaErrorKind::Io(ErrorKind::InvalidInput), why)
        })
    }

    fn engine(&self) -> &dyn Engine {
        self.table.engine.as_ref()
    }

    fn writing(&self, is_new: bool) -> Box<Writing> {
        Box::new(Writing {
            now_ms: self.commit.now_ms,
            is_new,
            statistics_columns: self.commit.statistics.join(","),
            statistics: self.adds.iter().map(|(path, file)| (path.clone(), file.stats.clone())).collect(),
        })
    }

    fn changes_data(&self) -> bool {
        !matches!(self.commit.change, Change::Rearrange { .. })
    }

    /// What a table's history says besides the operation.
    fn parameters(&self) -> Vec<(&'static str, Option<String>)> {
        let mode = match self.commit.change {
            Change::Append => Some("Append"),
            Change::Replace => Some("Overwrite"),
            Change::Rearrange { .. } => None,
        };
        let mode = mode.map(|mode| ("mode", Some(mode.to_owned())));
        mode.into_iter().chain([("run", Some(self.commit.run.clone()))]).collect()
    }

    /// Makes the table, as version 0, with the files in it. None: somebody else has.
    fn create(&self) -> Result<Option<Committed>, DeltaError> {
        if let Change::Rearrange { removes } = &self.commit.change
            && let Some(first) = removes.first()
        {
            return Err(self.refused(DeltaErrorKind::Conflict, format!("it does not have the file {first}")));
        }
        let built = create_table(ROOT, Arc::new(self.columns.clone()), WRITER, self.changes_data())
            .with_transaction_id(&self.commit.app_id, self.commit.app_version)
            .with_operation_parameters(self.parameters())
            .build(self.engine(), self.writing(true));
        let mut transaction = match built {
            Err(KernelError::TableAlreadyExistsAtPath(_)) => return Ok(None),
            built => built.map_err(|error| self.failed(error))?,
        };
        self.add(&mut transaction)?;
        self.settle(transaction.commit(self.engine()), CHECKPOINT_INTERVAL)
    }

    /// Tries the commit as the version after `snapshot`. None: another one is that version now.
    fn update(&self, snapshot: &SnapshotRef) -> Result<Option<Committed>, DeltaError> {
        let Commit { app_id, app_version, .. } = self.commit;
        let known = snapshot.get_app_id_version(app_id, self.engine()).map_err(|error| self.table.unread(error))?;
        if known.is_some_and(|known| known >= *app_version) {
            let found = self.table.log()?.version_of(app_id, *app_version)?;
            let version = found.unwrap_or_else(|| snapshot.version());
            return Ok(Some(Committed { version, already: true, checkpoint_error: None }));
        }
        self.check_layout(snapshot)?;
        let growth = growth(&snapshot.schema(), &self.columns).map_err(|found| contradiction(self.table, found))?;
        let is_blind = growth.is_none() && self.commit.change == Change::Append && !self.adds.is_empty();
        let mut builder = Arc::clone(snapshot)
            .update_table(operation(&self.commit.operation), WRITER, self.changes_data())
            .with_transaction_id(app_id, *app_version)
            .with_operation_parameters(self.parameters());
        let Growth { added, loosened } = growth;
        for (parent, column) in added {
            builder = builder.add_column_at(parent, column);
        }
        for column in loosened {
            builder = builder.set_nullable(column);
        }
        if is_blind {
            builder = builder.with_blind_append();
        }
        let built = builder.build(self.engine(), self.writing(false));
        let mut transaction = built.map_err(|error| self.failed(error))?;
        self.remove(snapshot, &mut transaction)?;
        self.add(&mut transaction)?;
        let interval = snapshot.table_properties().checkpoint_interval.map_or(CHECKPOINT_INTERVAL, Into::into);
        self.settle(transaction.commit(self.engine()), interval)
    }

    /// A table whose files are laid out in ways that ours are not.
    fn check_layout(&self, snapshot: &SnapshotRef) -> Result<(), DeltaError> {
        let configuration = snapshot.table_configuration();
        let why = if !configuration.logical_partition_columns().is_empty() {
            "it has partition columns"
        } else if configuration.column_mapping_mode() != ColumnMappingMode::None {
            "its files have other column names than the table (delta.columnMapping.mode)"
        } else {
            return Ok(());
        };
        Err(self.refused(DeltaErrorKind::Unsupported, why))
    }

    fn add<S>(&self, transaction: &mut Transaction<S>) -> Result<(), DeltaError> {
        if !self.adds.is_empty() {
            let batch = self.added().map_err(|error| self.failed(error))?;
            transaction.add_files(batch);
        }
        Ok(())
    }

    /// The files that come, as the kernel takes them. Their statistics come in at the end: the kernel knows those columns
    /// only that the table names before this commit.
    fn added(&self) -> KernelResult<Box<dyn EngineData>> {
        let number = |number: u64| i64::try_from(number).map_err(KernelError::generic);
        let no_stats = DataType::Struct(vec![Field::new("numRecords", DataType::Int64, true)].into());
        let bytes: Result<Vec<i64>, _> = self.adds.iter().map(|(_, file)| number(file.bytes)).collect();
        let names = MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
        let mut partitions = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        for _ in &self.adds {
            partitions.append(true)?;
        }
        let columns: [(&str, ArrayRef, bool); 5] = [
            ("path", Arc::new(StringArray::from_iter_values(self.adds.iter().map(|(path, _)| path))), false),
            ("partitionValues", Arc::new(partitions.finish()), false),
            ("size", Arc::new(Int64Array::from(bytes?)), false),
            (
                "modificationTime",
                Arc::new(Int64Array::from_iter_values(self.adds.iter().map(|(_, f)| f.modified_ms))),
                false,
            ),
            ("stats", new_null_array(&no_stats, self.adds.len()), true),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column, nullable)| Field::new(*name, column.data_type().clone(), *nullable))
            .collect();
        let columns = columns.into_iter().map(|(_, column, _)| column).collect();
        Ok(Box::new(ArrowEngineData::new(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)))
    }

    /// Has the files leave that the commit takes away.
    fn remove(&self, snapshot: &SnapshotRef, transaction: &mut Transaction) -> Result<(), DeltaError> {
        let mut missing = match &self.commit.change {
            Change::Append => return Ok(()),
            Change::Replace => None,
            Change::Rearrange { removes } => {
                Some(removes.iter().map(|path| self.in_table(path)).collect::<Result<BTreeSet<_>, _>>()?)
            }
        };
        for batch in self.selected(snapshot, &mut missing).map_err(|error| self.table.unread(error))? {
            transaction.remove_files(batch);
        }
        match missing.as_ref().and_then(BTreeSet::first) {
            None => Ok(()),
            Some(first) => {
                let why = format!("it does not have the file {first} any more");
                Err(self.refused(DeltaErrorKind::Conflict, why))
            }
        }
    }

    /// Those of the table's files that are wanted, which are taken out of `wanted`; all, if it is None.
    fn selected(
        &self,
        snapshot: &SnapshotRef,
        wanted: &mut Option<BTreeSet<&str>>,
    ) -> KernelResult<Vec<FilteredEngineData>> {
        let mut batches = Vec::new();
        for batch in Arc::clone(snapshot).scan_builder().build()?.scan_metadata(self.engine())? {
            let (data, mut selection) = batch?.scan_files.into_parts();
            selection.resize(data.len(), true);
            let data = ArrowEngineData::try_from_engine_data(data)?;
            if let Some(wanted) = wanted {
                let paths = data.record_batch().column_by_name("path").and_then(|paths| paths.as_string_opt::<i32>());
                let paths = paths.ok_or_else(|| KernelError::missing_column("path"))?;
                for (row, selected) in selection.iter_mut().enumerate().filter(|(_, selected)| **selected) {
                    let path = paths.is_valid(row).then(|| path::decoded(paths.value(row))).flatten();
                    *selected = path.is_some_and(|path| wanted.remove(path.as_str()));
                }
            }
            if selection.contains(&true) {
                batches.push(FilteredEngineData::try_new(data, selection)?);
            }
        }
        Ok(batches)
    }

    /// What has become of a try. None: another commit is that version.
    fn settle<S>(&self, tried: KernelResult<CommitResult<S>>, interval: u64) -> Result<Option<Committed>, DeltaError> {
        match tried.map_err(|error| self.failed(error))? {
            CommitResult::Conflicted(_) => Ok(None),
            CommitResult::Retryable(retryable) => Err(self.failed(retryable.error)),
            CommitResult::Committed(committed) => {
                let version = committed.commit_version();
                let is_due = version > 0 && version.is_multiple_of(interval);
                let checkpoint_error = if is_due { self.checkpoint(version).err() } else { None };
                Ok(Some(Committed { version, already: false, checkpoint_error }))
            }
        }
    }

    fn checkpoint(&self, version: u64) -> Result<(), DeltaError> {
        let snapshot = Snapshot::builder_for(ROOT).at_version(version).build(self.engine());
        let written = snapshot.and_then(|snapshot| snapshot.checkpoint(self.engine(), None));
        written.map(|_| ()).map_err(|error| DeltaError::kernel(&self.table.folder, Action::Checkpoint, error))
    }
}

fn contradiction(table: &DeltaTable, Contradiction { path, why }: Contradiction) -> DeltaError {
    let why = format!("the column {path} does not fit: {why}");
    DeltaError::new(&table.folder, Action::Commit, DeltaErrorKind::Schema { path }, why)
}

fn operation(name: &str) -> UpdateTableOperation {
    use UpdateTableOperation::{Delete, Merge, Optimize, StreamingUpdate, Update, Write};
    let known =
        [Write, Optimize, Delete, Update, Merge, StreamingUpdate].into_iter().find(|known| known.as_str() == name);
    known.unwrap_or_else(|| UpdateTableOperation::Custom(name.to_owned()))
}

/// Writes a commit's object, if it is new.
struct Writing {
    now_ms: i64,
    is_new: bool,
    statistics_columns: String,
    /// Of the files that come, by their paths.
    statistics: HashMap<String, String>,
}

impl Writing {
    /// The commit's lines with its own time and statistics, and a new table's with the plainest protocol.
    fn finished(&self, lines: &[u8]) -> KernelResult<Vec<u8>> {
        let mut finished = Vec::with_capacity(lines.len());
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let mut action: Map<String, Value> = serde_json::from_slice(line).map_err(KernelError::generic_err)?;
            for (name, time) in [
                ("commitInfo", "timestamp"),
                ("txn", "lastUpdated"),
                ("remove", "deletionTimestamp"),
                ("metaData", "createdTime"),
            ] {
                // The time when the table was made stays.
                let applies = name != "metaData" || self.is_new;
                if let Some(time) = action.get_mut(name).and_then(|action| action.get_mut(time)).filter(|_| applies) {
                    *time = self.now_ms.into();
                }
            }
            if let Some(add) = action.get_mut("add") {
                let stats = add.get("path").and_then(Value::as_str).and_then(|path| self.statistics.get(path));
                let stats =
                    stats.ok_or_else(|| KernelError::generic("a file is added that the commit does not have"))?;
                add["stats"] = stats.as_str().into();
            }
            // A table that gets columns may get such that are searched by.
            if let Some(configuration) = action.get_mut("metaData").and_then(|made| made.get_mut("configuration")) {
                configuration[STATISTICS_COLUMNS] = self.statistics_columns.as_str().into();
            }
            if let Some(protocol) =
                action.get_mut("protocol").filter(|protocol| self.is_new && has_no_features(protocol))
            {
                *protocol = json!({"minReaderVersion": 1, "minWriterVersion": 2});
            }
            serde_json::to_writer(&mut finished, &action).map_err(KernelError::generic_err)?;
            finished.push(b'\n');
        }
        Ok(finished)
    }
}

/// A table of features (reader 3, writer 7) that has none means what the plain one does, and fewer readers know it.
fn has_no_features(protocol: &Value) -> bool {
    let mut lists = ["readerFeatures", "writerFeatures"].into_iter().filter_map(|list| protocol.get(list)?.as_array());
    lists.all(Vec::is_empty)
}

impl Committer for Writing {
    fn commit(
        &self,
        engine: &dyn Engine,
        actions: KernelResultIterator<'_, FilteredEngineData>,
        metadata: CommitMetadata,
    ) -> KernelResult<CommitResponse> {
        let lines = self.finished(&to_json_bytes(actions)?)?;
        let location = metadata.published_commit_path()?;
        let size = u64::try_from(lines.len()).map_err(KernelError::generic)?;
        match engine.storage_handler().put(&location, lines.into(), false) {
            Ok(()) => {
                let file_meta = FileMeta { location, last_modified: self.now_ms, size };
                Ok(CommitResponse::Committed { file_meta })
            }
            Err(KernelError::FileAlreadyExists(_)) => Ok(CommitResponse::Conflict { version: metadata.version() }),
            Err(error) => Err(error),
        }
    }

    fn is_catalog_committer(&self) -> bool {
        false
    }

    fn publish(&self, _engine: &dyn Engine, _metadata: PublishMetadata) -> KernelResult<()> {
        Err(KernelError::generic("a lake has no catalog"))
    }
}
