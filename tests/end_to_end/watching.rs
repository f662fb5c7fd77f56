//! A reader that looks at a lake all the while that others write it: every Parquet file that it finds under a table's
//! name can be read, to its last row.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Between two looks; a part that is there for a moment only has to be met by one of many.
const PAUSE: Duration = Duration::from_millis(3);

/// Looks until it is asked what it has met.
pub(crate) struct Watching {
    enough: mpsc::Sender<()>,
    reader: JoinHandle<Vec<String>>,
}

impl Watching {
    /// Begins to look at a lake, which need not be there yet.
    pub(crate) fn begin(lake: &Path) -> Watching {
        let (enough, told) = mpsc::channel();
        let lake = lake.to_owned();
        let reader = std::thread::spawn(move || {
            let mut unreadable = Vec::new();
            loop {
                let last = told.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout);
                unreadable.extend(parquet_files(&lake).iter().filter_map(|path| read(path).err()));
                if last || unreadable.len() > 10 {
                    return unreadable;
                }
            }
        });
        Watching { enough, reader }
    }

    /// Ends it; it must not have met a file that cannot be read.
    #[track_caller]
    pub(crate) fn has_met_whole_files_only(self) {
        // An error says that it has ended, having met too many.
        let _ = self.enough.send(());
        let unreadable = self.reader.join().expect("the reader does not panic");
        assert!(unreadable.is_empty(), "a reader has met files that cannot be read: {unreadable:#?}");
    }
}

/// What a glob of `*/*.parquet` finds, at any depth, outside of what readers pass over.
fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('_') {
            continue;
        }
        if path.is_dir() {
            found.extend(parquet_files(&path));
        } else if name.ends_with(".parquet") {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> Result<(), String> {
    let read = || -> Result<(), Box<dyn std::error::Error>> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let expected = reader.metadata().file_metadata().num_rows();
        let mut rows = 0;
        for batch in reader.build()? {
            rows += i64::try_from(batch?.num_rows())?;
        }
        if rows == expected { Ok(()) } else { Err(format!("{rows} rows of {expected}").into()) }
    };
    read().map_err(|error| format!("{}: {error}", path.display()))
}
