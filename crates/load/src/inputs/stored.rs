//! Inputs that are in a store: objects, what is below a prefix, manifests.
//!
//! What is a folder on a disk is a prefix here. One listing tells lengths and times of all that may be read; a web server, which
//! has none, is asked for each file.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use lakehaul_write::store::{DatedFile, Store};

use super::{ENDINGS, FileIdentity, List, Place, PlannedFile, StoredFile};
use crate::LoadError;
use crate::manifest::relative_path;
use crate::stores::{self, Source};

/// What is below a prefix.
struct Folder {
    store: Arc<dyn Store>,
    lists: bool,
    /// Without a slash at its end.
    url: String,
    /// By their paths, relative to it.
    files: BTreeMap<String, DatedFile>,
}

impl List {
    /// An object, what is directly below a prefix, or a manifest. A URL that ends with a slash is a prefix, one that ends as
    /// NDJSON or a manifest does is an object; of others the store tells.
    pub(super) fn push_url(&mut self, url: &str) -> Result<(), LoadError> {
        let trimmed = url.trim_end_matches('/');
        let is_object =
            trimmed == url && (url.ends_with(".json") || ENDINGS.iter().any(|ending| url.ends_with(ending)));
        if !is_object {
            let folder = Folder::open(trimmed, "")?;
            if !folder.lists && trimmed != url {
                let why = "a web server does not tell what it has";
                return Err(LoadError::Usage(format!("{url} cannot be loaded: {why}; name the files, or a manifest")));
            }
            if !folder.files.is_empty() || trimmed != url {
                return self.push_prefix(&folder);
            }
        }
        // Of `s3://bucket` nothing is left before the bucket's name.
        let (parent, name) = trimmed.rsplit_once('/').filter(|(parent, _)| !parent.ends_with('/')).unwrap_or((url, ""));
        if name.ends_with(".json") {
            let folder = Folder::open(parent, "")?;
            return self.push_pages(folder.file(name).named(url), |url| {
                let relative = relative_path(url)?;
                Ok(folder.file(&relative.to_string_lossy().replace('\\', "/")))
            });
        }
        let folder = Folder::open(parent, name)?;
        if !folder.files.contains_key(name) {
            return Err(LoadError::Usage(format!("{url} cannot be loaded: there is no such object, nor any below it")));
        }
        self.push(folder.file(name));
        Ok(())
    }

    fn push_prefix(&mut self, folder: &Folder) -> Result<(), LoadError> {
        // As of a folder on a disk: what is directly in it, and not hidden.
        let taken = |name: &&String| {
            !name.contains('/') && !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending))
        };
        let names: Vec<_> = folder.files.keys().filter(taken).collect();
        if names.is_empty() {
            let why = format!("{} has no object that ends with {}", folder.url, ENDINGS.join(", "));
            return Err(LoadError::NothingToLoad(why));
        }
        names.into_iter().for_each(|name| self.push(folder.file(name)));
        Ok(())
    }
}

impl Folder {
    /// Opens and lists what is at or below `name` in it.
    fn open(url: &str, name: &str) -> Result<Folder, LoadError> {
        let failed = |source| LoadError::Source { url: url.to_owned(), source };
        let Source { store, lists } = stores::open_source(url)?;
        let files = match name {
            "" if !lists => Vec::new(),
            "" => store.list_dated("").map_err(failed)?,
            // A listing of what is below a name does not have what is at it.
            name => match store.dated(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                found => vec![found.map_err(failed)?],
            },
        };
        let files = files.into_iter().map(|file| (file.path.clone(), file)).collect();
        Ok(Folder { store, lists, url: url.to_owned(), files })
    }

    /// One that is not there is found out when its turn comes.
    fn file(&self, path: &str) -> PlannedFile {
        let ask = || if self.lists { None } else { self.store.dated(path).ok() };
        let identity = self.files.get(path).cloned().or_else(ask).map(|file| {
            let modified = file.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            FileIdentity { bytes: file.bytes, modified_nanos: modified.unwrap_or_default().as_nanos() }
        });
        let (store, url) = (Arc::clone(&self.store), format!("{}/{path}", self.url));
        let place = Place::Stored(StoredFile { store, path: path.to_owned(), url });
        PlannedFile::of_version(path.to_owned(), place, Some(identity.unwrap_or_default()))
    }
}

impl PlannedFile {
    fn named(self, name: &str) -> PlannedFile {
        PlannedFile { name: name.to_owned(), ..self }
    }
}
