//! The third step of a run: its parts become visible together, and the run record is the last thing written.
//!
//! In goes a [`Worked`], out comes the [`LoadSummary`]. The figures must add up before anything moves. What is to be
//! done is written down first (see [`journal`](crate::journal)), so that a death half-way is made good by whoever opens
//! the lake next.

use std::collections::BTreeMap;

use lakehaul_write::{DeletedResources, FileReceipt};

use crate::asides::Asides;
use crate::current::Ledger;
use crate::inputs::PlannedFile;
use crate::journal::{CommitFile, Committed, Published, staging};
use crate::lake::{Lake, schema_path};
use crate::manifest::Role;
use crate::plan::{Plan, Replaces, tell};
use crate::work::{StagedWork, Worked};
use crate::{
    Clock, Event, Format, LoadError, LoadSummary, Observer, OutputFile, PartRecord, Problem, RunRecord, RunStatus,
    TableRecord, TableSummary, Totals, Warning,
};

/// Publishes a run.
pub fn commit(worked: Worked, clock: &dyn Clock, observer: &dyn Observer) -> Result<LoadSummary, LoadError> {
    let (mut tables, mut moves) = place_parts(&worked);
    if let Some(types) = &worked.plan.replaces {
        tables = replacing(tables, types, &worked.plan.lake)?;
    }
    let deleted_resources = worked.work.deleted.as_ref().map(|part| place_deleted(part, &worked.plan.run, &mut moves));
    let Worked { plan, work } = worked;
    let delta = (plan.settings.format == Format::Delta).then_some(plan.settings.layout);
    let StagedWork { schemas, notes, output_files, by_type, quarantine, outcomes, deletions, export, search, .. } =
        work;
    let store = &plan.lake.store;

    let mut problems = work.problems;
    let mut warnings = Vec::new();
    for (planned, file) in &output_files {
        reconcile(planned, file, &mut problems, &mut warnings);
    }
    let output_files: Vec<OutputFile> = output_files.into_iter().map(|(_, file)| file).collect();
    let totals = Totals::of(&output_files, &tables);
    if let Some(facts) = &export {
        facts.reconcile(&totals, &mut problems, &mut warnings);
    }
    for searched in search.iter().flat_map(|search| &search.searches) {
        problems.extend(searched.problem());
        if searched.empty_entries > 0 {
            let (search, entries) = (searched.name.clone(), searched.empty_entries);
            warnings.push(Warning::EmptyEntries { search, entries });
        }
    }
    if totals.outcomes > 0 {
        problems.push(Problem::Outcomes { lines: totals.outcomes });
    }
    if totals.rejected > 0 {
        problems.push(Problem::Rejected { lines: totals.rejected });
    }
    warnings.extend(
        notes
            .into_iter()
            .map(|note| Warning::BeyondCaps { resource_type: note.resource_type, values: note.values_beyond_caps }),
    );
    for warning in &warnings {
        observer.event(Event::Warning(warning.clone()));
    }

    let record = RunRecord {
        run: plan.run.clone(),
        status: RunStatus::from(problems.as_slice()),
        source: plan.source.clone(),
        transaction_time: export.as_ref().map_or(&plan.transaction_time, |facts| &facts.transaction_time).clone(),
        started: plan.started.to_string(),
        finished: clock.now().to_string(),
        plan: plan.hash.clone(),
        output_files,
        tables,
        deleted_resources,
        export: export.map(|facts| facts.record),
        search,
        totals,
        problems,
    };
    record.check().map_err(LoadError::Unbalanced)?;
    check_tables(&record, &by_type).map_err(LoadError::Unbalanced)?;

    let run = &plan.run;
    if let Some([index, lines]) = quarantine {
        moves.push((index, format!("_lake/quarantine/{run}/{}", Asides::INDEX)));
        moves.push((lines, format!("_lake/quarantine/{run}/{}", Asides::LINES)));
    }
    moves.extend(outcomes.map(|path| (path, format!("_lake/outcomes/{run}.ndjson"))));
    moves.extend(deletions.map(|path| (path, format!("_lake/deletions/{run}.ndjson"))));
    moves.extend(work.kept.into_iter().map(|(path, name)| (path, format!("_lake/raw/{run}/{name}"))));
    let has_rows = |name: &str| record.tables.iter().any(|table| table.resource_type == name && table.rows > 0);
    let mut texts = vec![plan.settings.file()];
    for schema in schemas.iter().filter(|schema| has_rows(schema.resource_type())) {
        texts.push((schema_path(schema.resource_type()), schema.to_json()));
    }

    let Totals { parts, rows, part_bytes, .. } = record.totals;
    observer.event(Event::Publishing { parts: parts as usize, rows, bytes: part_bytes });
    store.sync().map_err(|source| LoadError::destination("sync", &staging(run), source))?;
    let file = CommitFile::new(moves, texts, record, delta);
    file.put(&**store, plan.lake.fence())?;
    let Published { record, warnings: late } = file.publish(store)?;
    tell(observer, &late);
    warnings.extend(late);
    let Committed::Run(record) = record else { unreachable!("a run's commit has a run's record") };
    Ok(summary(*record, by_type, &plan, warnings))
}

/// The tables with their parts under the names that readers find, and the moves that give them these.
fn place_parts(worked: &Worked) -> (Vec<TableRecord>, Vec<(String, String)>) {
    let Plan { run, settings, .. } = &worked.plan;
    let mut parts: Vec<_> = worked.work.parts.iter().filter(|part| part.rows > 0).collect();
    parts.sort_by(|one, other| (&one.resource_type, &one.path).cmp(&(&other.resource_type, &other.path)));
    let mut tables: BTreeMap<&str, TableRecord> = BTreeMap::new();
    let mut moves = Vec::new();
    for part in parts {
        let table = tables.entry(&part.resource_type).or_default();
        let folder = settings.layout.folder(&part.resource_type);
        let path = format!("{folder}/part-{run}-{:05}.parquet", table.files.len());
        moves.push((part.path.clone(), path.clone()));
        table.resource_type.clone_from(&part.resource_type);
        table.rows += part.rows;
        table.files.push(PartRecord { path, rows: part.rows, bytes: part.bytes, blake3: part.blake3.clone() });
    }
    (tables.into_values().collect(), moves)
}

/// The part of the table of deletions, and the move that gives it its name.
fn place_deleted(part: &FileReceipt, run: &str, moves: &mut Vec<(String, String)>) -> TableRecord {
    let path = format!("{}/part-{run}-00000.parquet", DeletedResources::TABLE);
    moves.push((part.path.clone(), path.clone()));
    let files = vec![PartRecord { path, rows: part.rows, bytes: part.bytes, blake3: part.blake3.clone() }];
    TableRecord { resource_type: part.resource_type.clone(), rows: part.rows, files, ..TableRecord::default() }
}

/// The tables as they are when the run's rows take the place of all others; those that the run has nothing for become empty.
fn replacing(tables: Vec<TableRecord>, types: &Replaces, lake: &Lake) -> Result<Vec<TableRecord>, LoadError> {
    let mut tables: BTreeMap<String, TableRecord> =
        tables.into_iter().map(|table| (table.resource_type.clone(), table)).collect();
    for (resource_type, parts) in Ledger::read(lake)?.tables().parts {
        if types.has(&resource_type) {
            let table = tables.entry(resource_type.clone()).or_default();
            table.resource_type = resource_type;
            table.replaced = Some(parts.into_iter().map(|part| part.part.path).collect());
        }
    }
    // What is new to the ledger may not be new to the table: somebody else may write to it.
    for table in tables.values_mut().filter(|table| types.has(&table.resource_type)) {
        table.replaced.get_or_insert_default();
    }
    Ok(tables.into_values().collect())
}

/// Compares what came with what was declared. Rejected lines did come: their problem is another.
fn reconcile(planned: &PlannedFile, file: &OutputFile, problems: &mut Vec<Problem>, warnings: &mut Vec<Warning>) {
    let output_file = || file.name.clone();
    if let (Some(declared_type), 1..) = (&file.declared_type, file.other_type) {
        let declared_type = declared_type.clone();
        warnings.push(Warning::OtherType { output_file: output_file(), declared_type, lines: file.other_type });
    }
    if file.unverified_length {
        warnings.push(Warning::UnverifiedLength { output_file: output_file() });
    }
    let Some(declared) = file.declared_count else { return };
    let resources = match planned.role {
        Role::Data => file.resources,
        Role::Outcomes => file.outcomes,
        Role::Deletions => file.deletions,
    };
    if resources + file.rejected < declared {
        problems.push(Problem::FewerThanDeclared { output_file: output_file(), declared, resources });
    } else if resources > declared {
        warnings.push(Warning::MoreThanDeclared { output_file: output_file(), declared, resources });
    }
}

/// The rows that workers counted are the rows in the parts, table by table.
fn check_tables(record: &RunRecord, by_type: &[TableSummary]) -> Result<(), String> {
    let in_parts =
        |name: &str| record.tables.iter().find(|table| table.resource_type == name).map_or(0, |table| table.rows);
    for summary in by_type {
        let rows = in_parts(&summary.resource_type);
        if summary.rows != rows {
            return Err(format!("{}: {} resources, {rows} rows in the parts", summary.resource_type, summary.rows));
        }
    }
    Ok(())
}

fn summary(record: RunRecord, mut by_type: Vec<TableSummary>, plan: &Plan, mut warnings: Vec<Warning>) -> LoadSummary {
    for table in &record.tables {
        if let Some(summary) = by_type.iter_mut().find(|summary| summary.resource_type == table.resource_type) {
            summary.bytes = table.files.iter().map(|part| part.bytes).sum();
            summary.files = table.files.len();
        }
    }
    by_type.retain(|summary| summary.lines > 0);
    by_type.sort_by(|one, other| one.resource_type.cmp(&other.resource_type));
    warnings.splice(..0, plan.warnings.iter().cloned());
    LoadSummary {
        run: record.run,
        status: record.status,
        already_complete: false,
        tables: by_type,
        files: record.output_files,
        deleted_resources: record.deleted_resources.map_or(0, |table| table.rows),
        transaction_time: record.transaction_time,
        totals: record.totals,
        seconds: plan.begun.elapsed().as_secs_f64(),
        problems: record.problems,
        warnings,
    }
}

/// The summary of a run that was finished before.
pub(crate) fn summary_again(record: RunRecord) -> LoadSummary {
    let tables = record.tables.iter().map(|table| TableSummary {
        resource_type: table.resource_type.clone(),
        lines: table.rows,
        rows: table.rows,
        bytes: table.files.iter().map(|part| part.bytes).sum(),
        files: table.files.len(),
        ..TableSummary::default()
    });
    LoadSummary {
        tables: tables.collect(),
        run: record.run,
        status: record.status,
        already_complete: true,
        files: record.output_files,
        deleted_resources: record.deleted_resources.map_or(0, |table| table.rows),
        transaction_time: record.transaction_time,
        totals: record.totals,
        seconds: 0.0,
        problems: record.problems,
        warnings: Vec::new(),
    }
}
