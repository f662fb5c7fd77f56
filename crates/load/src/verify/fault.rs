//! Why a file does not pass: it is not what the ledger says, or its store does not give it. The first is a finding; of the
//! second nothing is known, and to call it a finding would call a lake damaged whose credentials have expired.

use std::io::{self, ErrorKind};

use super::VerifyFinding;
use crate::LoadError;

#[derive(Debug)]
pub(super) enum Fault {
    /// A sentence without the path.
    Finding(String),
    /// What the store says.
    Unreadable(io::Error),
}

impl Fault {
    /// The finding about the file at `path`. An error where there is none, for it could not be looked at.
    pub(super) fn at(self, path: &str) -> Result<VerifyFinding, LoadError> {
        let path = path.to_owned();
        match self {
            Fault::Finding(what) => Ok(VerifyFinding { path, what }),
            Fault::Unreadable(source) => Err(LoadError::LakeUnreadable { path, source }),
        }
    }
}

impl From<String> for Fault {
    fn from(what: String) -> Fault {
        Fault::Finding(what)
    }
}

impl From<&str> for Fault {
    fn from(what: &str) -> Fault {
        Fault::Finding(what.to_owned())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            // A refusal, and all that stores over a network have no kind for.
            ErrorKind::PermissionDenied | ErrorKind::Other => Fault::Unreadable(error),
            // It is not there, too short, no file, on a bad block, or its text is none.
            _ => Fault::Finding(format!("it cannot be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use bytes::Bytes;
    use lakehaul_write::store::StoreRead;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::verify::stored::Stored;

    /// Gives so many reads, and then refuses with this kind.
    struct Refusing(Bytes, AtomicUsize, ErrorKind);

    impl StoreRead for Refusing {
        fn len_bytes(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
            match self.1.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
                Ok(_) => Ok(self.0.slice(offset as usize..offset as usize + len)),
                Err(_) => Err(io::Error::new(self.2, "told so")),
            }
        }
    }

    #[test]
    fn what_the_store_does_not_give_is_no_finding() {
        #[track_caller]
        fn check(kind: ErrorKind, expected: Result<&str, &str>) {
            let fault = Fault::from(io::Error::new(kind, "told so"));
            let told = fault.at("a/path").map(|finding| finding.what).map_err(|error| error.to_string());
            assert_eq!(told.as_deref().map_err(String::as_str), expected);
        }
        check(ErrorKind::PermissionDenied, Err("cannot read a/path in the lake: told so"));
        check(ErrorKind::Other, Err("cannot read a/path in the lake: told so"));
        check(ErrorKind::NotFound, Ok("it cannot be read: told so"));
        check(ErrorKind::UnexpectedEof, Ok("it cannot be read: told so"));
        check(ErrorKind::InvalidData, Ok("it cannot be read: told so"));
    }

    /// The parquet crate hands on a text at most, whose kind is lost.
    #[test]
    fn a_refusal_while_columns_are_read_is_remembered() {
        let column: ArrayRef = std::sync::Arc::new(Int64Array::from_iter_values(0..1000));
        let batch = RecordBatch::try_from_iter([("n", column)]).expect("a batch");
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).expect("a writer");
        writer.write(&batch).and_then(|()| writer.close().map(drop)).expect("a file");
        let file = Bytes::from(file);
        let read = |reads: usize| {
            let stored = Stored::of(Refusing(file.clone(), reads.into(), ErrorKind::PermissionDenied));
            let whole = ParquetRecordBatchReaderBuilder::try_new(stored.clone())
                .and_then(ParquetRecordBatchReaderBuilder::build)
                .is_ok_and(|mut batches| batches.all(|batch| batch.is_ok()));
            (whole, stored.take_failure().map(|error| error.kind()))
        };
        let enough = (1..20).find(|&reads| read(reads).0).expect("it is read by and by");
        assert_eq!(read(enough), (true, None));
        assert!(enough > 2, "the footer takes two reads");
        (0..enough).for_each(|reads| assert_eq!(read(reads), (false, Some(ErrorKind::PermissionDenied))));
    }
}
