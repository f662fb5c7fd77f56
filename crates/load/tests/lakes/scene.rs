//! A folder with input files and a lake, and what every test does with them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use lakehaul_load::{
    BoxFuture, Clock, Event, Input, LoadError, LoadOptions, LoadRequest, LoadSummary, Observer, RunRecord, Warning,
    load,
};
use serde_json::Value;

/// Stands still.
pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Writes down what it is told.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) warnings: Mutex<Vec<Warning>>,
    pub(crate) finished: Mutex<Vec<String>>,
}

impl Observer for Notes {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Warning(warning) => self.warnings.lock().unwrap().push(warning),
            Event::FileFinished { file } => self.finished.lock().unwrap().push(file.name.clone()),
            _ => {}
        }
    }
}

pub(crate) struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    /// Input files by name below the folder `in`.
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Scene {
        let scene = Scene { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.path("in")).unwrap();
        for (name, bytes) in files {
            scene.write(name, bytes);
        }
        scene
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn lake(&self) -> String {
        self.path("lake").to_str().unwrap().to_owned()
    }

    pub(crate) fn request(&self, names: &[&str], options: LoadOptions) -> LoadRequest {
        let inputs = names.iter().map(|name| Input::Path(self.path("in").join(name))).collect();
        LoadRequest { inputs, lake: self.lake(), options }
    }

    pub(crate) fn try_load_with(&self, names: &[&str], options: LoadOptions) -> Result<LoadSummary, LoadError> {
        load(&self.request(names, options), &Noon, &Notes::default())
    }

    pub(crate) fn try_load(&self, names: &[&str]) -> Result<LoadSummary, LoadError> {
        self.try_load_with(names, LoadOptions { threads: 2, ..LoadOptions::default() })
    }

    /// Loads the whole input folder.
    #[track_caller]
    pub(crate) fn load(&self) -> LoadSummary {
        self.load_some(&[""])
    }

    #[track_caller]
    pub(crate) fn load_some(&self, names: &[&str]) -> LoadSummary {
        let summary = self.try_load(names).unwrap();
        self.check_sound();
        summary
    }

    /// The lake is what its ledger says.
    #[track_caller]
    pub(crate) fn check_sound(&self) {
        let report = lakehaul_load::verify(&self.lake(), &Notes::default()).unwrap();
        assert_eq!(report.findings, []);
        assert_eq!(self.files_below("lake/_lake/staging"), [] as [&str; 0]);
    }

    /// A table's resources, sorted as text.
    #[track_caller]
    pub(crate) fn rows(&self, resource_type: &str) -> Vec<String> {
        let mut out = Vec::new();
        let rows = lakehaul_load::cat(&self.lake(), resource_type, &mut out).unwrap();
        let mut lines: Vec<String> = String::from_utf8(out).unwrap().lines().map(canonical).collect();
        assert_eq!(lines.len() as u64, rows);
        lines.sort();
        lines
    }

    /// How often each table of the lake has each resource.
    pub(crate) fn all_rows(&self) -> BTreeMap<String, Vec<String>> {
        let schemas = lakehaul_load::schemas(&self.lake()).unwrap();
        schemas.iter().map(|schema| (schema.resource_type().to_owned(), self.rows(schema.resource_type()))).collect()
    }

    pub(crate) fn records(&self) -> Vec<RunRecord> {
        lakehaul_load::runs(&self.lake()).unwrap()
    }

    /// The files below a folder of the scene, relative to it, sorted.
    pub(crate) fn files_below(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.path(name), "", &mut found);
        found.sort();
        found
    }

    /// The quarantine of the only run: the index's records and the lines.
    pub(crate) fn quarantine(&self) -> (Vec<Value>, Vec<u8>) {
        let run = &self.records()[0].run;
        let folder = self.path("lake/_lake/quarantine").join(run);
        let index = fs::read_to_string(folder.join("index.ndjson")).unwrap();
        let index = index.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (index, fs::read(folder.join("lines.ndjson")).unwrap())
    }
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path(), &format!("{name}/"), found),
            false => found.push(name),
        }
    }
}

/// The same text for the same resource; only for numbers that it does not change.
pub(crate) fn canonical(json: &str) -> String {
    serde_json::from_str::<Value>(json).unwrap().to_string()
}

pub(crate) fn patient(id: u32) -> String {
    format!(r#"{{"resourceType":"Patient","id":"p{id}","birthDate":"1970-01-{:02}","active":true}}"#, id % 28 + 1)
}

pub(crate) fn claim(id: u32) -> String {
    format!(r#"{{"resourceType":"Claim","id":"c{id}","total":{{"value":{id}.5,"currency":"USD"}}}}"#)
}

/// The lines with LF behind each.
pub(crate) fn ndjson<I: IntoIterator<Item = String>>(lines: I) -> Vec<u8> {
    lines.into_iter().map(|line| line + "\n").collect::<String>().into_bytes()
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
