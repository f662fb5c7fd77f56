//! From what was typed to the output files that are read: files, folders and manifests become one list.
//!
//! Every file is in it once, under a name that no other has. Nothing is read but folders' listings and manifests. What is in
//! a store is listed by [`stored`].

mod stored;

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use lakehaul_schema::ElementTable;
use lakehaul_write::store::Store;

use crate::front;
use crate::journal::record::Version;
use crate::manifest::{Entry, Manifest, Role, relative_path};
use crate::pipe::Pipe;
use crate::{Input, LoadError, Warning};

/// The name of standard input's lines.
const STDIN: &str = "-";

/// What a folder's files end with to be taken.
const ENDINGS: [&str; 3] = [".ndjson", ".ndjson.gz", ".ndjson.zst"];

/// A manifest lists thousands of files in a megabyte.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// A manifest's pages; more are a loop.
const PAGES_MAX: usize = 10_000;

/// An output file to be read.
#[derive(Debug, Clone)]
pub(crate) struct PlannedFile {
    /// What it is known by from one process to the next.
    pub(crate) key: String,
    /// What tells this version of it from another.
    pub(crate) version: Version,
    /// Unique in the run: `output_files[].name`, `__output_file`.
    pub(crate) name: String,
    /// As the manifest has it.
    pub(crate) url: Option<String>,
    pub(crate) role: Role,
    pub(crate) declared_type: Option<String>,
    pub(crate) declared_count: Option<u64>,
    /// The manifest's, of a file of deletions.
    pub(crate) transaction_time: Option<String>,
    /// Parameters lines are headers, not data.
    pub(crate) organized: bool,
    pub(crate) place: Place,
    /// What tells this version of the file from another; None if it has no size, such as a pipe.
    pub(crate) identity: Option<FileIdentity>,
}

/// Where an output file's bytes come from.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Stored(StoredFile),
    Stdin,
    /// A server.
    Remote(Arc<Pipe>),
    /// They are not needed: all is done.
    Nowhere,
}

/// A file in a store.
#[derive(Debug, Clone)]
pub(crate) struct StoredFile {
    pub(crate) store: Arc<dyn Store>,
    /// Relative to what the store was opened at.
    pub(crate) path: String,
    /// The whole of it.
    pub(crate) url: String,
}

/// A file's version. All zero for a file that is not there or cannot be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FileIdentity {
    pub(crate) bytes: u64,
    /// Since 1970.
    pub(crate) modified_nanos: u128,
}

impl FileIdentity {
    /// `None`: it is no file that has a size.
    fn of(metadata: io::Result<Metadata>) -> Option<FileIdentity> {
        let Ok(metadata) = metadata else { return Some(FileIdentity::default()) };
        if !metadata.is_file() {
            return None;
        }
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Some(FileIdentity { bytes: metadata.len(), modified_nanos: modified.unwrap_or_default().as_nanos() })
    }
}

/// All that is to be read.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) files: Vec<PlannedFile>,
    /// What was typed.
    pub(crate) source: String,
    /// The first manifest's.
    pub(crate) transaction_time: Option<String>,
    pub(crate) warnings: Vec<Warning>,
}

/// Lists what the inputs name. An input that is not there, a folder without NDJSON and a manifest that leads elsewhere
/// are errors; a file that cannot be read is not: it is found out when its turn comes.
pub(crate) fn expand(inputs: &[Input]) -> Result<Expanded, LoadError> {
    if inputs.is_empty() {
        return Err(LoadError::NothingToLoad("no file, folder or manifest was named".to_owned()));
    }
    let mut list = List::default();
    for input in inputs {
        match input {
            Input::Stdin => list.push(PlannedFile::new(STDIN.to_owned(), Place::Stdin)),
            Input::Path(path) => list.push_path(path)?,
            Input::Url(url) => list.push_url(url)?,
        }
    }
    list.make_names_unique();
    for file in &mut list.expanded.files {
        file.key.clone_from(&file.name);
    }
    let typed: Vec<_> = inputs.iter().map(typed).collect();
    list.expanded.source = typed.join(" ");
    Ok(list.expanded)
}

fn typed(input: &Input) -> String {
    match input {
        Input::Stdin => STDIN.to_owned(),
        Input::Path(path) => path.to_string_lossy().into_owned(),
        Input::Url(url) => url.clone(),
    }
}

impl PlannedFile {
    fn new(name: String, place: Place) -> PlannedFile {
        let identity = match &place {
            Place::File(path) => FileIdentity::of(fs::metadata(path)),
            _ => None,
        };
        PlannedFile::of_version(name, place, identity)
    }

    fn of_version(name: String, place: Place, identity: Option<FileIdentity>) -> PlannedFile {
        let declared_type = declared_by_name(&name).map(str::to_owned);
        let version = identity.map_or(Version::Unknown, |FileIdentity { bytes, modified_nanos }| Version::Local {
            bytes,
            modified_nanos: modified_nanos.to_string(),
        });
        PlannedFile {
            // Its name, once names are unique.
            key: String::new(),
            version,
            name,
            url: None,
            role: Role::Data,
            declared_type,
            declared_count: None,
            transaction_time: None,
            organized: false,
            place,
            identity,
        }
    }
}

/// The files so far.
#[derive(Default)]
struct List {
    expanded: Expanded,
    seen: HashSet<PathBuf>,
    stdin_seen: bool,
}

impl List {
    fn push(&mut self, file: PlannedFile) {
        let canonical = match &file.place {
            // A file that is not there has no canonical path; it is known by the one it was given.
            Place::File(path) => fs::canonicalize(path).unwrap_or_else(|_| path.clone()),
            Place::Stored(file) => PathBuf::from(&file.url),
            Place::Stdin | Place::Remote(_) | Place::Nowhere => PathBuf::new(),
        };
        self.push_known(file, canonical);
    }

    /// `canonical`: the path of a file on disk, without symbolic links.
    fn push_known(&mut self, file: PlannedFile, canonical: PathBuf) {
        let new = match &file.place {
            Place::Stdin => !std::mem::replace(&mut self.stdin_seen, true),
            Place::Remote(_) | Place::Nowhere => true,
            Place::File(_) | Place::Stored(_) => self.seen.insert(canonical),
        };
        if new {
            self.expanded.files.push(file);
        } else {
            self.expanded.warnings.push(Warning::NamedTwice { output_file: file.name });
        }
    }

    fn push_path(&mut self, path: &Path) -> Result<(), LoadError> {
        let metadata = fs::metadata(path)
            .map_err(|error| LoadError::Usage(format!("{} cannot be loaded: {error}", path.display())))?;
        if metadata.is_dir() {
            self.push_folder(path)
        } else if path.extension().is_some_and(|ending| ending == "json") {
            self.push_manifest(path)
        } else {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            self.push(PlannedFile::new(name, Place::File(path.to_owned())));
            Ok(())
        }
    }

    fn push_folder(&mut self, folder: &Path) -> Result<(), LoadError> {
        let unlisted = |error| LoadError::Usage(format!("the folder {} cannot be listed: {error}", folder.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(unlisted)? {
            let entry = entry.map_err(unlisted)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // As the shell's `*.ndjson`: no hidden files.
            let taken = !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending));
            // The listing tells; only where a link leads has to be looked up, and with thousands of files that counts. So
            // does it to look up a file in its folder, not by its whole path.
            let told = entry.file_type().ok().filter(|of| !of.is_symlink());
            if taken && !told.map_or_else(|| entry.path().is_dir(), |of| of.is_dir()) {
                names.push((name, entry.path(), told.map(|_| FileIdentity::of(entry.metadata()))));
            }
        }
        if names.is_empty() {
            let why = format!("the folder {} has no file that ends with {}", folder.display(), ENDINGS.join(", "));
            return Err(LoadError::NothingToLoad(why));
        }
        names.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let home = fs::canonicalize(folder).map_err(unlisted)?;
        self.expanded.files.reserve(names.len());
        self.seen.reserve(names.len());
        for (name, path, identity) in names {
            match (identity, path.file_name().map(|name| home.join(name))) {
                (Some(identity), Some(canonical)) => {
                    self.push_known(PlannedFile::of_version(name, Place::File(path), identity), canonical);
                }
                _ => self.push(PlannedFile::new(name, Place::File(path))),
            }
        }
        Ok(())
    }

    fn push_manifest(&mut self, path: &Path) -> Result<(), LoadError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let inside = |url: &str| {
            let (relative, target) = inside(folder, url)?;
            let name = relative.to_string_lossy().replace('\\', "/");
            Ok(PlannedFile::new(name, Place::File(target)))
        };
        self.push_pages(PlannedFile::new(path.display().to_string(), Place::File(path.to_owned())), inside)
    }

    /// A manifest and the pages that follow. `inside`: the file that a URL in it names, which is below the manifest's folder;
    /// the error is a clause.
    fn push_pages(
        &mut self,
        first: PlannedFile,
        inside: impl Fn(&str) -> Result<PlannedFile, String>,
    ) -> Result<(), LoadError> {
        let mut page = first;
        let mut pages = HashSet::new();
        loop {
            let refused = |why: String| LoadError::Usage(format!("{} cannot be loaded: {why}", page.name));
            let manifest = read_manifest(&page.place).and_then(|text| Manifest::parse(&text)).map_err(&refused)?;
            if self.expanded.transaction_time.is_none() {
                self.expanded.transaction_time.clone_from(&manifest.transaction_time);
            }
            for (at, entry) in manifest.entries.into_iter().enumerate() {
                let numbered = |why| refused(format!("the URL of entry {} is refused: {why}", at + 1));
                let file = inside(&entry.url).map_err(numbered)?;
                let mut file = from_entry(entry, manifest.organized, file);
                if file.role == Role::Deletions {
                    file.transaction_time.clone_from(&manifest.transaction_time);
                }
                self.push(file);
            }
            let Some(next) = manifest.next else { return Ok(()) };
            let numbered = |why| refused(format!("the URL of its next page is refused: {why}"));
            let next = inside(&next).map_err(numbered)?;
            if !pages.insert(next.name.clone()) || pages.len() > PAGES_MAX {
                return Err(refused("its pages lead round in a circle".to_owned()));
            }
            page = next;
        }
    }

    /// Lets names that several files have begin further up in their paths.
    fn make_names_unique(&mut self) {
        let mut parts = vec![1; self.expanded.files.len()];
        loop {
            let mut having: HashMap<&str, Vec<usize>> = HashMap::new();
            for (at, file) in self.expanded.files.iter().enumerate() {
                having.entry(&file.name).or_default().push(at);
            }
            let collided: Vec<usize> = having.into_values().filter(|having| having.len() > 1).flatten().collect();
            let mut longer = false;
            for at in collided {
                let file = &mut self.expanded.files[at];
                let name = loop {
                    parts[at] += 1;
                    let name = last_parts(&file.place, parts[at]);
                    if name.as_ref().is_none_or(|name| name.len() > file.name.len()) {
                        break name;
                    }
                };
                if let Some(name) = name {
                    file.name = name;
                    longer = true;
                }
            }
            if !longer {
                return;
            }
        }
    }
}

/// The last `n` parts of the absolute path, or of the URL; None if it has fewer.
fn last_parts(place: &Place, n: usize) -> Option<String> {
    let path = match place {
        Place::File(path) => std::path::absolute(path).ok()?,
        Place::Stored(file) => PathBuf::from(file.url.split_once("://")?.1),
        Place::Stdin | Place::Remote(_) | Place::Nowhere => return None,
    };
    let parts: Vec<_> =
        path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir)).collect();
    let tail = parts.get(parts.len().checked_sub(n)?..)?;
    let names: Vec<_> = tail.iter().map(|part| part.as_os_str().to_string_lossy()).collect();
    Some(names.join("/"))
}

fn from_entry(entry: Entry, organized: bool, mut file: PlannedFile) -> PlannedFile {
    if entry.declared_type.is_some() || entry.role != Role::Data {
        file.declared_type = entry.declared_type;
    }
    file.organized = organized && entry.role == Role::Data;
    file.url = Some(entry.url);
    file.role = entry.role;
    file.declared_count = entry.count;
    file
}

/// The relative and the full path of a manifest's URL, which neither by its text nor by a symbolic link leaves the
/// folder.
fn inside(folder: &Path, url: &str) -> Result<(PathBuf, PathBuf), String> {
    let relative = relative_path(url)?;
    let target = folder.join(&relative);
    if let Ok(real) = fs::canonicalize(&target) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let home =
            fs::canonicalize(folder).map_err(|error| format!("the manifest's folder cannot be looked at: {error}"))?;
        if !real.starts_with(home) {
            return Err("a symbolic link leads out of the manifest's folder".to_owned());
        }
    }
    Ok((relative, target))
}

fn read_manifest(place: &Place) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let file = front::open(place, 0).map_err(|error| error.to_string())?;
    file.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MANIFEST_BYTES_MAX {
        return Err(format!("it is longer than {MANIFEST_BYTES_MAX} bytes; give NDJSON another ending than .json"));
    }
    Ok(text)
}

/// The resource type that a file's name begins with: `Patient.000.ndjson`, `1.Patient.ndjson`,
/// `sub/Patient_2.ndjson.gz`.
pub(crate) fn declared_by_name(name: &str) -> Option<&str> {
    let file_name = name.rsplit('/').next()?;
    let word = file_name.split(|c: char| !c.is_ascii_alphabetic()).find(|word| !word.is_empty())?;
    ElementTable::r4().resource(word).map(|_| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn expand_paths(folder: &Path, names: &[&str]) -> Result<Expanded, LoadError> {
        expand(&names.iter().map(|name| Input::Path(folder.join(name))).collect::<Vec<_>>())
    }

    fn names(expanded: &Expanded) -> Vec<&str> {
        expanded.files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn a_folder_gives_its_ndjson_sorted() {
        let folder = folder_of(&[
            ("x/b.ndjson.gz", ""),
            ("x/a.ndjson", ""),
            ("x/c.ndjson.zst", ""),
            ("x/manifest.json", ""),
            ("x/.hidden.ndjson", ""),
            ("x/README.md", ""),
            ("x/sub.ndjson/a.ndjson", ""),
        ]);
        let expanded = expand_paths(folder.path(), &["x"]).unwrap();
        assert_eq!(names(&expanded), ["a.ndjson", "b.ndjson.gz", "c.ndjson.zst"]);
    }

    #[test]
    fn nothing_to_load_is_told() {
        let folder = folder_of(&[("x/a.csv", ""), ("m.json", "{}")]);
        assert!(matches!(expand(&[]), Err(LoadError::NothingToLoad(_))));
        assert!(matches!(expand_paths(folder.path(), &["x"]), Err(LoadError::NothingToLoad(_))));
        assert!(matches!(expand_paths(folder.path(), &["nowhere"]), Err(LoadError::Usage(_))));
        assert!(matches!(expand_paths(folder.path(), &["m.json"]), Err(LoadError::Usage(_))));
    }

    #[test]
    fn names_are_unique_and_files_are_read_once() {
        let folder = folder_of(&[("one/a.ndjson", ""), ("two/a.ndjson", ""), ("two/b.ndjson", "")]);
        let inputs = ["one", "two", "two/b.ndjson", "one/../two/a.ndjson"];
        let expanded = expand_paths(folder.path(), &inputs).unwrap();
        assert_eq!(names(&expanded), ["one/a.ndjson", "two/a.ndjson", "b.ndjson"]);
        let twice = |name: &str| Warning::NamedTwice { output_file: name.to_owned() };
        assert_eq!(expanded.warnings, [twice("b.ndjson"), twice("a.ndjson")]);
    }

    #[test]
    fn standard_input_is_a_file_too() {
        let expanded = expand(&[Input::Stdin, Input::Stdin]).unwrap();
        assert_eq!(names(&expanded), ["-"]);
        assert_eq!(expanded.files[0].identity, None);
        assert_eq!(expanded.source, "- -");
    }

    #[test]
    fn a_manifest_gives_types_counts_and_roles() {
        let manifest = r#"{"output":[{"type":"Patient","url":"sub/p.ndjson","count":2},{"url":"./sub/p.ndjson"},
            {"url":"Claim.1.ndjson"}],"error":[{"url":"Error.ndjson"}],"link":[{"relation":"next","url":"n.json"}]}"#;
        let next = r#"{"transactionTime":"t","output":[{"url":"gone.ndjson"}]}"#;
        let folder =
            folder_of(&[("m.json", manifest), ("n.json", next), ("sub/p.ndjson", "12"), ("Claim.1.ndjson", "")]);
        let expanded = expand_paths(folder.path(), &["m.json"]).unwrap();
        let rows: Vec<_> = expanded
            .files
            .iter()
            .map(|file| (file.name.as_str(), file.role, file.declared_type.as_deref(), file.declared_count))
            .collect();
        let expected = [
            ("sub/p.ndjson", Role::Data, Some("Patient"), Some(2)),
            ("Claim.1.ndjson", Role::Data, Some("Claim"), None),
            ("Error.ndjson", Role::Outcomes, None, None),
            ("gone.ndjson", Role::Data, None, None),
        ];
        assert_eq!(rows, expected);
        assert_eq!(expanded.files[0].identity.unwrap().bytes, 2);
        assert_eq!(expanded.transaction_time.as_deref(), Some("t"));
        assert_eq!(expanded.warnings.len(), 1);
    }

    #[test]
    fn a_manifest_stays_in_its_folder() {
        for url in ["../p.ndjson", "file:p.ndjson", "/p.ndjson", "https://u:p@h/p.ndjson"] {
            let folder = folder_of(&[("x/m.json", &format!(r#"{{"output":[{{"url":"{url}"}}]}}"#)), ("p.ndjson", "")]);
            let error = expand_paths(folder.path(), &["x/m.json"]).unwrap_err();
            assert!(error.to_string().contains("the URL of entry 1 is refused"), "{error}");
        }
        let circle = r#"{"output":[],"link":[{"relation":"next","url":"m.json"}]}"#;
        let folder = folder_of(&[("m.json", circle)]);
        let error = expand_paths(folder.path(), &["m.json"]).unwrap_err();
        assert!(error.to_string().contains("circle"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_does_not_lead_out() {
        let folder = folder_of(&[("x/m.json", r#"{"output":[{"url":"p.ndjson"}]}"#), ("p.ndjson", "")]);
        std::os::unix::fs::symlink(folder.path().join("p.ndjson"), folder.path().join("x/p.ndjson")).unwrap();
        let error = expand_paths(folder.path(), &["x/m.json"]).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }

    #[test]
    fn names_declare_types() {
        let table = [
            ("Patient.000.ndjson", Some("Patient")),
            ("1.Patient.ndjson", Some("Patient")),
            ("sub/ExplanationOfBenefit-01.ndjson.gz", Some("ExplanationOfBenefit")),
            ("patient.ndjson", None),
            ("Patients.ndjson", None),
            ("data.Patient.ndjson", None),
            ("-", None),
        ];
        for (name, expected) in table {
            assert_eq!(declared_by_name(name), expected, "{name}");
        }
    }
}
