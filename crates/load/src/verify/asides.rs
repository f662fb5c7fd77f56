//! What a run keeps beside its tables, against its record: outcomes, deletions and, if they were kept, the output files as
//! they came.

use std::io::{self, BufRead};

use rayon::prelude::*;

use super::VerifyFinding;
use super::fault::Fault;
use super::parts::check_bytes;
use super::stored::{Pieces, Stored};
use crate::deletions::deleted_resources;
use crate::lake::Lake;
use crate::{LoadError, RunRecord};

/// Lines of `error` and `outcome` files.
pub(super) fn outcomes_path(run: &str) -> String {
    format!("_lake/outcomes/{run}.ndjson")
}

/// Lines of `deleted` files.
pub(super) fn deletions_path(run: &str) -> String {
    format!("_lake/deletions/{run}.ndjson")
}

/// The folder of output files as they came.
pub(super) fn raw_folder(run: &str) -> String {
    format!("_lake/raw/{run}/")
}

/// Checks what is beside the tables. `files`: the lake's, with their lengths.
pub(super) fn check(lake: &Lake, record: &RunRecord, files: &[(String, u64)]) -> Result<Vec<VerifyFinding>, LoadError> {
    let mut findings = check_raw(lake, record, files)?;
    let (outcomes, deletions) = (outcomes_path(&record.run), deletions_path(&record.run));
    let checked = [
        (record.totals.outcomes > 0).then(|| (outcomes.clone(), check_outcomes(lake, record, &outcomes))),
        (record.totals.deletions > 0).then(|| (deletions.clone(), check_deletions(lake, record, &deletions))),
    ];
    for (path, checked) in checked.into_iter().flatten() {
        if let Err(fault) = checked {
            findings.push(fault.at(&path)?);
        }
    }
    Ok(findings)
}

fn check_outcomes(lake: &Lake, record: &RunRecord, path: &str) -> Result<(), Fault> {
    let file = Stored::open(&*lake.store, path)?;
    let (mut lines, mut last) = (0, b'\n');
    file.reader().for_each_piece(|piece| {
        lines += piece.iter().filter(|&&byte| byte == b'\n').count() as u64;
        last = piece.last().copied().unwrap_or(last);
    })?;
    check_lines(lines, last, record.totals.outcomes)
}

/// The lines, and that what they report is the table of deletions.
fn check_deletions(lake: &Lake, record: &RunRecord, path: &str) -> Result<(), Fault> {
    let file = Stored::open(&*lake.store, path)?;
    let mut reader = file.reader();
    let (mut lines, mut last, mut reported) = (0, b'\n', 0);
    let mut line = Vec::new();
    while read_line(&mut reader, &mut line)? {
        lines += 1;
        last = line.last().copied().unwrap_or(last);
        let deleted = deleted_resources(&line).map_err(|_| format!("its line {lines} reports no deletion"))?;
        reported += deleted.len() as u64;
    }
    check_lines(lines, last, record.totals.deletions)?;
    let rows = record.deleted_resources.as_ref().map_or(0, |table| table.rows);
    if reported != rows {
        return Err(format!("its lines report {reported} deleted resources, the ledger says {rows}").into());
    }
    Ok(())
}

/// False at the end.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    Ok(reader.read_until(b'\n', line)? > 0)
}

fn check_lines(lines: u64, last: u8, told: u64) -> Result<(), Fault> {
    if lines != told {
        return Err(format!("it has {lines} lines, the ledger says {told}").into());
    }
    if last != b'\n' {
        return Err("its last line does not end".into());
    }
    Ok(())
}

/// Output files that were kept. One that is not there was removed, or none was kept: the record does not say.
fn check_raw(lake: &Lake, record: &RunRecord, files: &[(String, u64)]) -> Result<Vec<VerifyFinding>, LoadError> {
    let folder = raw_folder(&record.run);
    let check = |(path, _): &(String, u64)| {
        let name = path.strip_prefix(&folder)?;
        let file = record.output_files.iter().find(|file| file.name == name)?;
        // Of what could not be read at all, nothing is known.
        if file.blake3.is_empty() {
            return None;
        }
        check_bytes(lake, path, file.bytes, &file.blake3).err().map(|fault| fault.at(path))
    };
    files.par_iter().filter_map(check).collect()
}
