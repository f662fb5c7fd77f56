//! A folder of a lake as an object store, for the Delta kernel's engine.
//!
//! In go paths relative to the table's folder, out come bytes of `write`'s `Store`. A store blocks, and one in a bucket
//! drives a runtime of its own; so each call has a thread where blocking is allowed. Errors keep the [`io::Error`] they
//! come from.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use lakehaul_write::store::Store;
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};

/// What errors call this store.
const STORE: &str = "lake";

/// One folder of a lake.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn Store>,
    folder: Arc<str>,
}

impl Objects {
    /// The folder `folder`, relative to the lake; empty: the lake.
    pub(crate) fn new(store: Arc<dyn Store>, folder: &str) -> Objects {
        Objects { store, folder: folder.into() }
    }

    /// A path as the store knows it.
    fn at(&self, path: &Path) -> String {
        match (self.folder.as_ref(), path.as_ref()) {
            ("", path) => path.to_owned(),
            (folder, "") => folder.to_owned(),
            (folder, path) => format!("{folder}/{path}"),
        }
    }

    /// Calls the store where blocking is allowed.
    async fn call<T: Send + 'static>(
        &self,
        path: &Path,
        call: impl FnOnce(&dyn Store, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (store, at) = (Arc::clone(&self.store), self.at(path));
        tokio::task::spawn_blocking(move || call(store.as_ref(), &at).map_err(|error| failure(error, &at))).await?
    }

    async fn write(&self, path: &Path, bytes: Bytes, mode: &PutMode) -> Result<PutResult> {
        match mode {
            PutMode::Overwrite => self.call(path, move |store, at| store.put(at, &bytes)).await?,
            PutMode::Create => self.call(path, move |store, at| store.put_new(at, &bytes)).await?,
            PutMode::Update(_) => return Err(not_supported("to replace one version of an object")),
        }
        Ok(PutResult { e_tag: None, version: None, extensions: Extensions::new() })
    }

    /// Every file in `prefix`, hidden ones left out: what a death has left half-way is none of the log's files.
    async fn list_all(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        let own = if self.folder.is_empty() { 0 } else { self.folder.len() + 1 };
        let found = self.call(&prefix, |store, at| store.list(at)).await?;
        let shown = found.into_iter().filter(|(path, _)| !path.rsplit('/').next().is_some_and(|n| n.starts_with('.')));
        shown.map(|(path, bytes)| Ok(meta(Path::parse(path.get(own..).unwrap_or_default())?, bytes))).collect()
    }
}

/// What is known of an object. A store that is asked for times is asked for each file, so none is.
fn meta(location: Path, size: u64) -> ObjectMeta {
    ObjectMeta { location, last_modified: DateTime::UNIX_EPOCH, size, e_tag: None, version: None }
}

fn not_supported(what: &str) -> Error {
    Error::NotSupported { source: format!("a lake's store has no way {what}").into() }
}

/// The same failure for those who know objects.
fn failure(error: io::Error, path: &str) -> Error {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::NotFound => Error::NotFound { path, source: error.into() },
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: error.into() },
        ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: error.into() },
        ErrorKind::Unsupported => Error::NotSupported { source: error.into() },
        _ => Error::Generic { store: STORE, source: error.into() },
    }
}

fn joined(payload: PutPayload) -> Bytes {
    payload.into()
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}:{}", self.folder)
    }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.write(location, joined(payload), &options.mode).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { objects: self.clone(), location: location.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (asked, head) = (options.range.clone(), options.head);
        let (len, range, bytes) = self
            .call(location, move |store, at| {
                let file = store.open(at)?;
                let len = file.len_bytes();
                let range = match asked {
                    Some(asked) => asked.as_range(len).map_err(|e| io::Error::new(ErrorKind::InvalidInput, e))?,
                    None => 0..len,
                };
                let wanted = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
                let bytes = if head || wanted == 0 { Bytes::new() } else { file.read_at(range.start, wanted)? };
                Ok::<(u64, Range<u64>, Bytes), io::Error>((len, range, bytes))
            })
            .await?;
        let meta = meta(location.clone(), len);
        options.check_preconditions(&meta)?;
        let payload = GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::new(), extensions: Extensions::new() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let objects = self.clone();
        locations
            .then(move |location| {
                let objects = objects.clone();
                async move {
                    let location = location?;
                    objects.call(&location, |store, at| store.remove(at)).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (objects, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            match objects.list_all(prefix.as_ref()).await {
                Ok(found) => stream::iter(found.into_iter().map(Ok)).boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        listed.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let depth = prefix.map_or(0, Path::parts_count);
        let (mut objects, mut common_prefixes) = (Vec::new(), Vec::new());
        for found in self.list_all(prefix).await? {
            if found.location.parts_count() == depth + 1 {
                objects.push(found);
            } else {
                let folder: Path = Path::from_iter(found.location.parts().take(depth + 1));
                if common_prefixes.last() != Some(&folder) {
                    common_prefixes.push(folder);
                }
            }
        }
        Ok(ListResult { common_prefixes, objects, extensions: Extensions::new() })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let bytes = self.call(from, |store, at| store.read(at)).await?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.write(to, bytes, &mode).await.map(|_| ())
    }
}

/// An object that comes in parts. Checkpoints do, and they are small: it is collected and put whole.
#[derive(Debug)]
struct Upload {
    objects: Objects,
    location: Path,
    parts: Vec<Bytes>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(joined(data));
        std::future::ready(Ok(())).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let mut whole = BytesMut::with_capacity(self.parts.iter().map(Bytes::len).sum());
        for part in self.parts.drain(..) {
            whole.extend_from_slice(&part);
        }
        self.objects.write(&self.location, whole.freeze(), &PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}
