//! What the tables of one run share: their schemas, which grow as workers meet new paths, and the caps.
//!
//! A path is asked about once by each worker, and a schema once a row group; the locks here are never taken for a row.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use lakehaul_schema::{Annotations, ElementTable, TableSchema, TypeId};

use crate::error::WriteError;
use crate::parquet_schema::CompiledSchema;
use crate::part::FinishedPart;
use crate::restore::{LaidDownPart, restore};
use crate::shred::{Child, ColumnGate, Kind, Nodes, Shredder};
use crate::store::Store;
use crate::table_set::StagedPart;
use crate::widen::Widening;

/// How a run's tables are written.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// Annotation columns of tables that the lake does not have yet.
    pub annotations: Annotations,
    /// Whether each row keeps its line in `__json`.
    pub keep_json: bool,
    /// Rows at which a row group ends.
    pub row_group_rows: usize,
    /// Bytes in memory at which a row group ends.
    pub row_group_bytes: usize,
    /// File size at which a part ends.
    pub part_bytes: u64,
    /// Bytes that all row groups of one worker may take together; beyond, the largest is written early.
    pub builder_bytes: usize,
    /// zstd level.
    pub compression_level: i32,
}

impl Default for TableOptions {
    /// The sizes of the lake schema's section "Physical".
    fn default() -> Self {
        TableOptions {
            annotations: Annotations::default(),
            keep_json: false,
            row_group_rows: 131_072,
            row_group_bytes: 128 << 20,
            part_bytes: 384 << 20,
            builder_bytes: 256 << 20,
            compression_level: 1,
        }
    }
}

/// Something about a table that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNote {
    /// The table's resource type.
    pub resource_type: String,
    /// Values that went to `__extra` because the table has as many columns, or as many nested groups, as it may.
    pub values_beyond_caps: u64,
}

/// A part as it may be published: complete, durable, with its table's final schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReceipt {
    /// The table's resource type.
    pub resource_type: String,
    /// Where it is now: a staging name, from which it is renamed.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// The BLAKE3 of its bytes, in hex.
    pub blake3: String,
}

/// All tables of one run.
#[derive(Debug)]
pub struct RunTables {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) staging: String,
    pub(crate) run: String,
    pub(crate) options: TableOptions,
    tables: Mutex<BTreeMap<&'static str, Arc<RunTable>>>,
}

impl RunTables {
    /// The tables of run `run`, whose parts go under the folder `staging`. `known`: the schemas that the lake has, from
    /// which the run's start.
    pub fn new(
        store: Arc<dyn Store>,
        staging: String,
        run: String,
        options: TableOptions,
        known: Vec<TableSchema>,
    ) -> Arc<Self> {
        let tables = RunTables { store, staging, run, options, tables: Mutex::default() };
        for schema in known {
            let table = RunTable::new(schema);
            tables.lock().insert(table.resource_type, Arc::new(table));
        }
        Arc::new(tables)
    }

    /// Takes up a part that another process has left: it becomes complete and durable, its schema part of its table's.
    /// `None`: the file is not what it is said to be.
    ///
    /// # Errors
    /// The store failed.
    pub fn restore(&self, part: &LaidDownPart) -> Result<Option<StagedPart>, WriteError> {
        let Some(table) = self.table(part.schema.resource_type()) else { return Ok(None) };
        let restored = restore(&*self.store, part, self.options.compression_level)?;
        let Some(restored) = restored else { return Ok(None) };
        table.adopt(&part.schema);
        table.count_beyond_caps(part.kept().map(|row_group| row_group.beyond_caps).sum());
        Ok(Some(StagedPart { resource_type: table.resource_type, writer: part.writer.clone(), part: restored }))
    }

    /// Makes all workers' parts fit to be published together: of one schema a table, small ones joined. They stay under
    /// staging names, and what they are made of stays too.
    ///
    /// # Errors
    /// The store failed, or a part is damaged.
    pub fn settle(&self, parts: Vec<StagedPart>) -> Result<Vec<FileReceipt>, WriteError> {
        let mut by_writer: BTreeMap<(&'static str, String), Vec<FinishedPart>> = BTreeMap::new();
        for StagedPart { resource_type, writer, part } in parts {
            by_writer.entry((resource_type, writer)).or_default().push(part);
        }
        let fitted: Result<Vec<Vec<FileReceipt>>, WriteError> = by_writer
            .into_par_iter()
            .map(|((resource_type, _), parts)| {
                let table = self.table(resource_type).expect("a part is of a table of this run");
                let widening = Widening {
                    store: &*self.store,
                    schema: table.compiled()?,
                    part_bytes: self.options.part_bytes,
                    compression_level: self.options.compression_level,
                };
                let receipt = |part: FinishedPart| FileReceipt {
                    resource_type: resource_type.to_owned(),
                    path: part.path,
                    rows: part.rows,
                    bytes: part.bytes,
                    blake3: part.blake3,
                };
                Ok(widening.fit(parts)?.into_iter().map(receipt).collect())
            })
            .collect();
        Ok(fitted?.into_iter().flatten().collect())
    }

    /// Every table's schema as it is now, sorted by resource type: those the lake had and those that got rows.
    pub fn schemas(&self) -> Vec<TableSchema> {
        self.lock().values().map(|table| table.lock().written.clone()).collect()
    }

    /// What is worth telling about the tables.
    pub fn notes(&self) -> Vec<TableNote> {
        let note = |table: &Arc<RunTable>| {
            let values_beyond_caps = table.lock().beyond_caps;
            (values_beyond_caps > 0)
                .then(|| TableNote { resource_type: table.resource_type.to_owned(), values_beyond_caps })
        };
        self.lock().values().filter_map(note).collect()
    }

    /// The table of `resource_type`, made if need be; nothing where R4 has no such type.
    pub(crate) fn table(&self, resource_type: &str) -> Option<Arc<RunTable>> {
        let mut tables = self.lock();
        if let Some(table) = tables.get(resource_type) {
            return Some(table.clone());
        }
        let TableOptions { annotations, keep_json, .. } = self.options;
        let schema = TableSchema::core(ElementTable::r4(), resource_type, annotations, keep_json)?;
        let table = Arc::new(RunTable::new(schema));
        tables.insert(table.resource_type, table.clone());
        Some(table)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<RunTable>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One table of the run.
#[derive(Debug)]
pub(crate) struct RunTable {
    resource_type: &'static str,
    type_id: TypeId,
    state: Mutex<TableState>,
}

#[derive(Debug)]
struct TableState {
    /// Paths that some row group has.
    written: TableSchema,
    /// Those and the paths that workers were promised a column for.
    promised: TableSchema,
    /// `written`, compiled when a row group first needs it.
    compiled: Option<Arc<CompiledSchema>>,
    beyond_caps: u64,
}

impl RunTable {
    pub(crate) fn new(schema: TableSchema) -> Self {
        let type_id = schema.root().type_id;
        let resource_type = &ElementTable::r4().object(type_id).name;
        let state = TableState { promised: schema.clone(), written: schema, compiled: None, beyond_caps: 0 };
        RunTable { resource_type, type_id, state: Mutex::new(state) }
    }

    pub(crate) fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    pub(crate) fn shredder(self: &Arc<Self>) -> Shredder<Arc<RunTable>> {
        Shredder::new(self.resource_type, self.type_id, self.lock().written.keep_json(), self.clone())
    }

    /// Adds the paths that have values in `shredder` and returns the schema that covers them all.
    pub(crate) fn grow<G>(&self, shredder: &Shredder<G>) -> Result<Arc<CompiledSchema>, WriteError> {
        let mut state = self.lock();
        let mut observed = state.written.clone();
        observe(&shredder.nodes, 0, &mut observed);
        if observed.leaf_count() > state.written.leaf_count() {
            state.written = observed;
            state.compiled = None;
        }
        drop(state);
        self.compiled()
    }

    /// The table's schema as it is now.
    pub(crate) fn compiled(&self) -> Result<Arc<CompiledSchema>, WriteError> {
        let mut state = self.lock();
        if let Some(compiled) = &state.compiled {
            return Ok(compiled.clone());
        }
        let compiled = CompiledSchema::new(state.written.clone()).map_err(WriteError::parquet(self.resource_type))?;
        Ok(state.compiled.insert(Arc::new(compiled)).clone())
    }

    /// Makes room for what an earlier process has written.
    fn adopt(&self, schema: &TableSchema) {
        let mut state = self.lock();
        if state.written.merge(schema) {
            state.compiled = None;
        }
        state.promised.merge(schema);
    }

    pub(crate) fn count_beyond_caps(&self, values: u64) {
        if values > 0 {
            self.lock().beyond_caps += values;
        }
    }

    fn lock(&self) -> MutexGuard<'_, TableState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ColumnGate for Arc<RunTable> {
    fn admit(&self, path: &[u16]) -> bool {
        let promised = &mut self.lock().promised;
        promised.contains(path) || promised.insert(path)
    }
}

/// Inserts every path below object `node` that has values. A group without any leaf of its own gets its `id`.
fn observe(nodes: &Nodes, node: usize, schema: &mut TableSchema) {
    let object = &nodes.objects[node];
    for (index, member) in object.shape.members.iter().enumerate() {
        let Child::At(child) = object.child(index as u16) else { continue };
        let (element, is_present) = match member.list {
            true => (nodes.lists[child].element, nodes.lists[child].presence.count() > 0),
            false => (child, true),
        };
        let path = || object.path.iter().copied().chain([index as u16]).collect::<Vec<u16>>();
        match member.kind {
            Kind::Object(_) => {
                observe(nodes, element, schema);
                if is_present && (member.list || nodes.objects[element].presence.count() > 0) {
                    schema.insert(&path());
                }
            }
            _ if member.list && is_present || nodes.leaves[element].presence.count() > 0 => {
                schema.insert(&path());
            }
            _ => {}
        }
    }
}
