//! A lake's Delta tables, over the lake's own store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use jiff::Timestamp;
use lakehaul_delta::{
    AddedFile, Change, Commit, Committed as InTable, DeltaError, DeltaErrorKind, DeltaTable, DeltaTables,
};
use lakehaul_schema::{ElementTable, TableSchema};
use lakehaul_write::rebuild::footer;
use lakehaul_write::store::Store;
use lakehaul_write::{DeletedResources, arrow_schema};
use rayon::prelude::*;

use crate::cat::unread;
use crate::compact::CompactionTotals;
use crate::current::Tables;
use crate::journal::{Committed, Published};
use crate::lake::{Lake, read_text, schema_path};
use crate::verify::VerifyFinding;
use crate::work::start_workers;
use crate::{CompactionRecord, Layout, LoadError, PartRecord, RunRecord, TableRecord, Warning};

/// Each run commits once to each of its tables.
const APP_VERSION: i64 = 1;

/// Tables that are committed to at a time. Most of a commit is waiting for the store.
const TABLES_AT_ONCE: usize = 8;

/// What a run or a compaction is in a table's log.
fn app_id(name: &str) -> String {
    format!("lakehaul/{name}")
}

/// Commits what has been placed, each table by itself. What is committed already stays as it is.
pub(crate) fn commit(store: &Arc<dyn Store>, record: Committed, layout: Layout) -> Result<Published, LoadError> {
    let tables = DeltaTables::new(Arc::clone(store)).map_err(failed("its tables"))?;
    let finished = match &record {
        Committed::Run(record) => &record.finished,
        Committed::Compaction(record) => &record.finished,
    };
    let (name, now_ms, warnings) = (record.name().to_owned(), milliseconds(finished), Mutex::default());
    let committing = Committing { store: &**store, tables, layout, name, now_ms, warnings };
    let record = start_workers(TABLES_AT_ONCE, 0)?.install(|| match record {
        Committed::Run(record) => committing.run(*record).map(|record| Committed::Run(Box::new(record))),
        Committed::Compaction(record) => {
            committing.compaction(*record).map(|record| Committed::Compaction(Box::new(record)))
        }
    })?;
    Ok(Published { record, warnings: committing.warnings.into_inner().unwrap_or_else(PoisonError::into_inner) })
}

/// A table's columns, and which of them have statistics in its log.
struct Columns {
    schema: SchemaRef,
    statistics: Vec<String>,
}

impl Columns {
    fn of_deleted_resources() -> Columns {
        let schema = DeletedResources::schema();
        let statistics = schema.fields().iter().map(|field| field.name().clone()).collect();
        Columns { schema, statistics }
    }
}

struct Committing<'c> {
    store: &'c dyn Store,
    tables: DeltaTables,
    layout: Layout,
    name: String,
    now_ms: i64,
    warnings: Mutex<Vec<Warning>>,
}

impl Committing<'_> {
    fn run(&self, mut record: RunRecord) -> Result<RunRecord, LoadError> {
        let tables = record.tables.par_iter_mut().chain(&mut record.deleted_resources);
        tables.try_for_each(|table| self.rows(table))?;
        Ok(record)
    }

    fn rows(&self, table: &mut TableRecord) -> Result<(), LoadError> {
        let columns = self.columns(&table.resource_type)?;
        let folder = self.layout.folder(&table.resource_type);
        let delta = self.tables.table(&folder);
        let change = if table.replaced.is_some() { Change::Replace } else { Change::Append };
        let version = match self.change(&delta, &table.files, &columns, change, "WRITE") {
            Ok(done) => self.version(&table.resource_type, done),
            Err(error) => return Err(error.in_table(&folder)),
        };
        table.version = Some(version);
        Ok(())
    }

    /// A table that somebody else has changed is left as it is, and so is the record's account of it: the parts that were
    /// made for it are strays then.
    fn compaction(&self, mut record: CompactionRecord) -> Result<CompactionRecord, LoadError> {
        let done = record.tables.into_par_iter().map(|mut table| {
            let columns = self.columns(&table.resource_type)?;
            let folder = self.layout.folder(&table.resource_type);
            let delta = self.tables.table(&folder);
            let parts: Vec<_> = table.files.iter().map(|part| part.part.clone()).collect();
            let replaced = table.files.iter().flat_map(|part| &part.replaces);
            let removes = replaced.map(|gone| gone.part.path.clone()).collect();
            match self.change(&delta, &parts, &columns, Change::Rearrange { removes }, "OPTIMIZE") {
                Ok(committed) => {
                    table.version = Some(self.version(&table.resource_type, committed));
                    Ok(Some(table))
                }
                Err(Failed::Table(error)) if *error.kind() == DeltaErrorKind::Conflict => {
                    let (resource_type, why) = (table.resource_type, error.to_string());
                    self.warn(Warning::TableChanged { resource_type, why });
                    Ok(None)
                }
                Err(error) => Err(error.in_table(&folder)),
            }
        });
        let done: Vec<_> = done.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        record.totals = CompactionTotals::of(&done);
        record.tables = done;
        Ok(record)
    }

    fn change(
        &self,
        table: &DeltaTable,
        parts: &[PartRecord],
        columns: &Columns,
        change: Change,
        operation: &str,
    ) -> Result<InTable, Failed> {
        let adds = parts.iter().map(|part| self.added(part, columns)).collect::<Result<_, _>>()?;
        let commit = Commit {
            app_id: app_id(&self.name),
            app_version: APP_VERSION,
            adds,
            schema: Arc::clone(&columns.schema),
            statistics: columns.statistics.clone(),
            change,
            operation: operation.to_owned(),
            run: self.name.clone(),
            now_ms: self.now_ms,
        };
        Ok(table.commit(&commit)?)
    }

    fn added(&self, part: &PartRecord, columns: &Columns) -> Result<AddedFile, LoadError> {
        let path = &part.path;
        let file = self.store.open(path);
        let file = file.map_err(|source| LoadError::LakeUnreadable { path: path.clone(), source })?;
        let footer = footer(path, file).map_err(|error| unread(error, path))?;
        let stats = lakehaul_delta::stats(&footer, &columns.schema, &columns.statistics);
        Ok(AddedFile { path: path.clone(), bytes: part.bytes, modified_ms: self.now_ms, stats })
    }

    /// Of resources by the lake's schema file, which has grown before.
    fn columns(&self, table: &str) -> Result<Columns, LoadError> {
        if table == DeletedResources::TABLE {
            return Ok(Columns::of_deleted_resources());
        }
        let path = schema_path(table);
        let schema = TableSchema::from_json(ElementTable::r4(), &read_text(self.store, &path)?)
            .map_err(|error| LoadError::LakeDamaged { path, why: error.to_string() })?;
        let statistics = schema.searched_columns();
        Ok(Columns { schema: Arc::new(arrow_schema(&schema.fields_searched_first())), statistics })
    }

    fn warn(&self, warning: Warning) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    fn version(&self, resource_type: &str, committed: InTable) -> u64 {
        if let Some(error) = committed.checkpoint_error {
            let resource_type = resource_type.to_owned();
            self.warn(Warning::NoTableCheckpoint { resource_type, why: error.to_string() });
        }
        committed.version
    }
}

/// Why a change is not in a table.
enum Failed {
    Table(DeltaError),
    Lake(LoadError),
}

impl Failed {
    fn in_table(self, folder: &str) -> LoadError {
        match self {
            Failed::Table(error) => failed(folder)(error),
            Failed::Lake(error) => error,
        }
    }
}

impl From<DeltaError> for Failed {
    fn from(error: DeltaError) -> Self {
        Failed::Table(error)
    }
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Self {
        Failed::Lake(error)
    }
}

fn failed(folder: &str) -> impl Fn(DeltaError) -> LoadError {
    let path = format!("{folder}/_delta_log");
    move |error| match *error.kind() {
        DeltaErrorKind::Damaged => LoadError::LakeDamaged { path: path.clone(), why: error.to_string() },
        DeltaErrorKind::Io(kind) => LoadError::destination("commit to", &path, std::io::Error::new(kind, error)),
        _ => LoadError::destination("commit to", &path, std::io::Error::other(error)),
    }
}

/// Since 1970. The record has checked its times.
fn milliseconds(time: &str) -> i64 {
    time.parse().map_or(0, |time: Timestamp| time.as_millisecond())
}

/// Where the tables' logs do not say what the ledger does.
pub(crate) fn differences(lake: &Lake, layout: Layout, tables: &Tables) -> Result<Vec<VerifyFinding>, LoadError> {
    let delta = DeltaTables::new(Arc::clone(&lake.store)).map_err(failed("its tables"))?;
    let mut findings = Vec::new();
    for (name, parts) in tables.with_deletions() {
        let folder = layout.folder(name);
        let mut tell = |what: String| findings.push(VerifyFinding { path: format!("{folder}/_delta_log"), what });
        let in_table: BTreeMap<String, u64> = match delta.table(&folder).files(None) {
            Ok(files) => files.into_iter().map(|file| (file.path, file.bytes)).collect(),
            Err(error) => {
                tell(error.to_string());
                continue;
            }
        };
        for part in parts {
            let PartRecord { path, bytes, .. } = &part.part;
            match in_table.get(path) {
                None => tell(format!("the Delta table does not have {path}, which the ledger names")),
                Some(there) if there != bytes => {
                    tell(format!("the Delta table says {there} bytes of {path}, the ledger says {bytes}"));
                }
                Some(_) => {}
            }
        }
        for path in in_table.keys().filter(|path| !parts.iter().any(|part| part.part.path == **path)) {
            tell(format!("the Delta table has {path}, which no run record names: another program has written it"));
        }
    }
    Ok(findings)
}

/// Files that some version of a table refers to, and when they were removed from it (milliseconds since 1970). None: they
/// are in the newest.
pub(crate) fn replaced(lake: &Lake) -> Result<BTreeMap<String, Option<i64>>, LoadError> {
    let layout = lake.settings.map(|settings| settings.layout).unwrap_or_default();
    let delta = DeltaTables::new(Arc::clone(&lake.store)).map_err(failed("its tables"))?;
    let mut files = BTreeMap::new();
    let schemas = lake.schemas()?;
    let names = schemas.iter().map(TableSchema::resource_type).chain([DeletedResources::TABLE]);
    for folder in names.map(|name| layout.folder(name)) {
        let referenced = delta.table(&folder).referenced().map_err(failed(&folder))?;
        files.extend(referenced.into_iter().map(|file| (file.path, file.removed_ms)));
    }
    Ok(files)
}
