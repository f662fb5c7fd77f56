//! What the benches run on, and the steps that they time: export files in memory, and lakehaul and its peers over them.
//!
//! The data are the NDJSON files of the folder in `LAKEHAUL_BENCH_DATA`; else those of `../shared/corpus/synthea`; else
//! the export under `examples/`. A figure says something only about the data it was taken on, so the benches print
//! which it was.

#![forbid(unsafe_code)]

pub mod ours;
pub mod peers;

use std::path::{Path, PathBuf};
use std::{fs, io};

/// One export file, decompressed.
#[derive(Debug)]
pub struct ExportFile {
    /// The type of its resources.
    pub resource_type: String,
    /// Whole lines.
    pub text: Vec<u8>,
}

/// The export files that the benches run on, largest first, and the folder that they came from.
///
/// # Panics
/// If the folder cannot be read: there is nothing to time then.
#[expect(clippy::disallowed_methods, reason = "a bench is told by the environment what to run on")]
pub fn export_files() -> (PathBuf, Vec<ExportFile>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("benches/ is in the workspace");
    let folders = std::env::var_os("LAKEHAUL_BENCH_DATA")
        .map(PathBuf::from)
        .into_iter()
        .chain([root.join("../shared/corpus/synthea"), root.join("examples/export")]);
    let folder = folders.into_iter().find(|folder| folder.is_dir()).expect("examples/export is in the workspace");
    let mut files: Vec<ExportFile> = fs::read_dir(&folder)
        .expect("a folder that can be read")
        .filter_map(|entry| read(&entry.expect("a folder that can be read").path()))
        .collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.text.len()));
    (folder, files)
}

/// The `.ndjson` files of a folder, the largest first, so that no thread ends with a large one alone.
///
/// # Errors
/// The folder cannot be read.
pub fn ndjson_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "ndjson") {
            files.push((entry.metadata()?.len(), entry.path()));
        }
    }
    files.sort_by(|a, b| b.cmp(a));
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

fn read(path: &Path) -> Option<ExportFile> {
    let name = path.file_name()?.to_str()?;
    let resource_type = name.split('.').next()?.to_owned();
    let bytes = fs::read(path).expect("a file that can be read");
    let text = match name {
        _ if name.ends_with(".ndjson") => bytes,
        _ if name.ends_with(".ndjson.zst") => zstd::decode_all(bytes.as_slice()).expect("a zstd file"),
        _ => return None,
    };
    Some(ExportFile { resource_type, text })
}
