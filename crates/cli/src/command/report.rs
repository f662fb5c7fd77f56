//! `lakehaul report`: the ledger of a run as a page for people, or with `--json` as it is; to stdout or into a file.

mod claims;
mod page;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

use lakehaul_load::{CompactionRecord, RunRecord};

use crate::args::ReportArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::plain::plain;
use crate::resolve::{self, Form, Manner};
use page::{Subject, page};

pub(super) fn run(args: &ReportArgs, manner: Manner) -> Result<Exit, Failure> {
    let lake = resolve::lake(&args.lake)?;
    let failed = || Failure::to(format!("report a run of {lake}"));
    // In this order: what finishes meanwhile is in one of them at least.
    let unfinished = lakehaul_load::unfinished(&lake).map_err(failed())?;
    let mut runs = lakehaul_load::runs(&lake).map_err(failed())?;
    let mut unfinished: Vec<String> = unfinished.into_iter().map(|(run, _)| run).collect();
    unfinished.retain(|name| runs.iter().all(|run| run.run != *name));
    let record = runs.swap_remove(chosen(&lake, &runs, &unfinished, args.run.as_deref())?);
    let text = match manner.form {
        Form::Json => serde_json::to_string(&record).expect("a run record is plain data") + "\n",
        Form::Text => {
            let settings = lakehaul_load::settings(&lake).map_err(failed())?;
            let reasons = lakehaul_load::reject_reasons(&lake, &record.run);
            let reasons = reasons.as_ref().map_err(ToString::to_string);
            let replaced = replaced(&record, &lakehaul_load::compactions(&lake).map_err(failed())?);
            page(&Subject {
                lake: &lake,
                record: &record,
                settings: &settings,
                reasons,
                replaced,
                unfinished: &unfinished,
            })
        }
    };
    match &args.out {
        None => {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())?;
        }
        Some(path) => write(path, &text)
            .map_err(|error| Failure::Usage(format!("--out: cannot write {}: {error}", path.display())))?,
    }
    Ok(Exit::Complete)
}

/// How many of a run's Parquet files have been replaced.
fn replaced(record: &RunRecord, compactions: &[CompactionRecord]) -> usize {
    let gone: HashSet<&str> = compactions
        .iter()
        .flat_map(CompactionRecord::parts)
        .flat_map(|(_, part)| part.replaces.iter().map(|gone| gone.part.path.as_str()))
        .collect();
    record.tables.iter().flat_map(|table| &table.files).filter(|part| gone.contains(part.path.as_str())).count()
}

/// Which of the runs is meant, which are sorted: the one of this name, or the newest.
fn chosen(lake: &str, runs: &[RunRecord], unfinished: &[String], name: Option<&str>) -> Result<usize, Failure> {
    let waiting = |run: &str| {
        format!("run {run} has not finished, so it has no ledger yet; the command that began it finishes it")
    };
    let newest = |names: &[String]| names.last().map(String::as_str).map(waiting);
    let found = match name {
        None => runs.len().checked_sub(1),
        Some(name) => runs.iter().position(|run| run.run == name),
    };
    found.ok_or_else(|| {
        Failure::Usage(match name {
            None => format!(
                "{lake} has no finished run{}",
                newest(unfinished).map(|why| format!(": {why}")).unwrap_or_default()
            ),
            Some(name) if unfinished.iter().any(|run| run == name) => waiting(name),
            Some(name) => format!("{lake} has no run {name}; {}", known(runs, unfinished)),
        })
    })
}

/// Up to so many runs are named where another was asked for; a lake that is fed daily has thousands.
const NAMED: usize = 10;

/// The newest runs there are, newest first.
fn known(runs: &[RunRecord], unfinished: &[String]) -> String {
    let all = runs.len() + unfinished.len();
    let mut names: Vec<&str> =
        runs.iter().map(|run| run.run.as_str()).chain(unfinished.iter().map(String::as_str)).collect();
    // Names sort as the runs began.
    names.sort_unstable_by(|one, next| next.cmp(one));
    names.truncate(NAMED);
    let names = plain(&names.join(", "));
    match all {
        0 => "it has none".to_owned(),
        1..=NAMED => format!("it has {names}"),
        _ => format!("its newest are {names}; `lakehaul runs` lists all"),
    }
}

/// Whole or not at all, and the owner's alone: it names files and servers.
fn write(path: &Path, text: &str) -> io::Result<()> {
    // A pipe or a device is written to, not replaced.
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A temporary file of the crate is private to the owner, and replaces what is there in one step.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
