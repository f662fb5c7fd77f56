//! What a server's manifest says of the export as a whole, and whether what came agrees.

use lakehaul_fetch::Manifest;

use crate::{ExportRecord, Problem, Totals, Warning};

/// What the ledger keeps of a manifest.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExportFacts {
    pub(crate) transaction_time: Option<String>,
    pub(crate) record: ExportRecord,
}

impl ExportFacts {
    /// `record`: what was asked for.
    pub(crate) fn new(record: ExportRecord, manifest: &Manifest) -> ExportFacts {
        let batches = manifest.batches.as_ref();
        let record = ExportRecord {
            resource_count: manifest.resource_count,
            failed_batches: batches.map(|batches| batches.failed),
            total_batches: batches.map(|batches| batches.total),
            ..record
        };
        ExportFacts { transaction_time: manifest.transaction_time.clone(), record }
    }

    /// Compares what came with what the server counts. Rejected lines did come: their problem is another.
    pub(crate) fn reconcile(&self, totals: &Totals, problems: &mut Vec<Problem>, warnings: &mut Vec<Warning>) {
        let resources = totals.resources;
        if let Some(exported) = self.record.resource_count {
            if resources + totals.rejected < exported {
                problems.push(Problem::FewerThanExported { exported, resources });
            } else if resources > exported {
                warnings.push(Warning::MoreThanExported { exported, resources });
            }
        }
        if let Some(failed @ 1..) = self.record.failed_batches {
            problems.push(Problem::FailedBatches { failed, total: self.record.total_batches.unwrap_or(failed) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(count: Option<u64>, failed: u64, came: (u64, u64), problems: usize, warnings: usize) {
        let record = ExportRecord {
            resource_count: count,
            failed_batches: Some(failed),
            total_batches: Some(9),
            ..ExportRecord::default()
        };
        let facts = ExportFacts { transaction_time: None, record };
        let totals = Totals { resources: came.0, rejected: came.1, ..Totals::default() };
        let (mut found, mut told) = (Vec::new(), Vec::new());
        facts.reconcile(&totals, &mut found, &mut told);
        assert_eq!((found.len(), told.len()), (problems, warnings), "{found:?} {told:?}");
    }

    #[test]
    fn what_came_is_compared() {
        check(None, 0, (5, 0), 0, 0);
        check(Some(5), 0, (5, 0), 0, 0);
        check(Some(5), 0, (4, 1), 0, 0);
        check(Some(5), 0, (4, 0), 1, 0);
        check(Some(5), 0, (6, 0), 0, 1);
        check(Some(5), 2, (4, 0), 2, 0);
    }
}
