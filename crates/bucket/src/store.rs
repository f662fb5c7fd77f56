//! `write`'s `Store` over objects.
//!
//! What is written is there once it is finished. A file that somebody can make durable before (`syncer`) is kept as segments in
//! the folder `<path>~`, each named by where it begins, until it is finished: then it is put together. Readers see one file.
//! Renaming is copying, in the store, and removing.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use lakehaul_write::store::{DatedFile, Store, StoreLock, StoreRead, StoreSync, StoreWrite};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::failure;
use crate::lease::{Habits, Hold, Lease};
use crate::place::Bucket;
use crate::stream::stream;
use crate::upload::{Upload, abort, room};
use crate::wait;

/// Uploads that may be half-way.
const UPLOADS: &str = "_lake/uploads";

/// Under this, only lakehaul writes. Parts go up here and are copied from here; but for ones beyond what can be copied at once,
/// nothing else goes up in pieces.
const LAKEHAULS_OWN: &str = "_lake";

/// Written to ask the store for the time.
pub(crate) const CLOCK: &str = "_lake/clock";

/// A larger object cannot be copied by one request (S3: 5 GB).
const COPIED_AT_ONCE_MAX: u64 = 5_000_000_000;

/// How much is read at a time to be written elsewhere.
const COPIED_BYTES: u64 = 8 << 20;

/// A place in a bucket as a store.
#[derive(Debug, Clone)]
pub struct BucketStore {
    shared: Arc<Shared>,
}

/// What a store and its open files share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) bucket: Bucket,
    pub(crate) habits: Habits,
    /// This process, among those that write lakes.
    process: String,
    notes: AtomicU64,
    room: Arc<Semaphore>,
    hold: Mutex<Option<Arc<Hold>>>,
}

impl Shared {
    pub(crate) fn new(bucket: Bucket, habits: Habits) -> Shared {
        let process = format!("{:016x}", fastrand::u64(..));
        let (notes, hold) = (AtomicU64::new(0), Mutex::default());
        Shared { bucket, habits, process, notes, room: room(), hold }
    }

    /// An error if the lake was this process's and may not be any more.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(Ok(()), |hold| hold.check())
    }

    /// Waits until a piece may leave.
    pub(crate) fn permit(&self) -> io::Result<OwnedSemaphorePermit> {
        let room = Arc::clone(&self.room);
        wait(room.acquire_owned())?.map_err(io::Error::other)
    }

    /// A place for a note of an upload.
    pub(crate) fn note(&self) -> io::Result<Path> {
        self.bucket.at(&format!("{UPLOADS}/{}-{}", self.process, self.notes.fetch_add(1, Relaxed)))
    }
}

/// A note of an upload.
#[derive(Deserialize)]
struct Note {
    path: String,
    id: String,
}

impl BucketStore {
    /// The lake at `bucket`.
    pub fn new(bucket: Bucket, habits: Habits) -> BucketStore {
        BucketStore { shared: Arc::new(Shared::new(bucket, habits)) }
    }

    fn bucket(&self) -> Bucket {
        self.shared.bucket.clone()
    }

    /// Aborts what dead processes have left half-way up.
    fn abort_leftovers(&self) -> io::Result<()> {
        let bucket = self.bucket();
        wait(async move {
            for (note, _) in objects_under(&bucket, UPLOADS).await? {
                let Ok(found) = bucket.objects.get(&note).await else { continue };
                let bytes = found.bytes().await.map_err(failure)?;
                if let Ok(Note { path, id }) = serde_json::from_slice(&bytes)
                    && let Ok(path) = Path::parse(path)
                {
                    abort(&bucket, &path, &id, &note).await;
                }
            }
            let Some(half_way) = &bucket.half_way else { return Ok(()) };
            // Only where no other program writes: in a table's folder it may be one that is at work.
            for (path, id) in half_way.under(&bucket.at(LAKEHAULS_OWN)?).await {
                let _ = bucket.objects.abort_multipart(&path, &id).await;
            }
            Ok(())
        })?
    }
}

/// Objects under the folder `path`, sorted.
async fn listed(bucket: &Bucket, path: &str) -> io::Result<Vec<ObjectMeta>> {
    let folder = bucket.at(path)?;
    let mut all: Vec<ObjectMeta> = bucket.objects.list(Some(&folder)).try_collect().await.map_err(failure)?;
    all.sort_by(|one, other| one.location.cmp(&other.location));
    Ok(all)
}

/// Their paths and lengths.
async fn objects_under(bucket: &Bucket, path: &str) -> io::Result<Vec<(Path, u64)>> {
    Ok(listed(bucket, path).await?.into_iter().map(|meta| (meta.location, meta.size)).collect())
}

/// The folder of a file's segments.
fn segments_of(path: &str) -> String {
    format!("{path}~")
}

fn segment(path: &str, start: u64) -> String {
    format!("{path}~/{start:020}")
}

/// What a file consists of: where each piece begins, its length, its object. None: there is no such file.
async fn pieces_of(bucket: &Bucket, path: &str) -> io::Result<Option<Vec<(u64, u64, Path)>>> {
    let whole = bucket.at(path)?;
    match bucket.objects.head(&whole).await {
        Ok(meta) => return Ok(Some(vec![(0, meta.size, whole)])),
        Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(failure(error)),
    }
    let segments = joined(objects_under(bucket, &segments_of(path)).await?);
    Ok((!segments.is_empty()).then_some(segments))
}

/// The segments that follow each other; what is behind a gap is not the file's any more.
fn joined(objects: Vec<(Path, u64)>) -> Vec<(u64, u64, Path)> {
    let mut end = 0;
    let mut segments = Vec::new();
    for (path, bytes) in objects {
        if path.filename().and_then(|name| name.parse().ok()) != Some(end) {
            break;
        }
        segments.push((end, bytes, path));
        end += bytes;
    }
    segments
}

async fn delete_all(bucket: &Bucket, paths: Vec<Path>) -> io::Result<()> {
    let paths = futures_util::stream::iter(paths.into_iter().map(Ok)).boxed();
    let mut deleted = bucket.objects.delete_stream(paths);
    while let Some(deleted) = deleted.next().await {
        match deleted {
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(failure(error)),
        }
    }
    Ok(())
}

impl Store for BucketStore {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        self.shared.check()?;
        let upload = Upload::new(Arc::clone(&self.shared), self.shared.bucket.at(path)?);
        let writing =
            Writing { shared: Arc::clone(&self.shared), path: path.to_owned(), at: 0, segmented: false, upload };
        Ok(Box::new(BucketWrite(Arc::new(Mutex::new(writing)))))
    }

    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>> {
        self.shared.check()?;
        let (bucket, name) = (self.bucket(), path.to_owned());
        wait(async move {
            let pieces = pieces_of(&bucket, &name).await?.ok_or(ErrorKind::NotFound)?;
            if pieces.iter().map(|(_, bytes, _)| bytes).sum::<u64>() < len {
                return Err(io::Error::from(ErrorKind::UnexpectedEof));
            }
            // From the end on, so that what is left is always a beginning of it.
            for (start, bytes, object) in pieces.into_iter().rev() {
                let is_whole = object == bucket.at(&name)?;
                if start >= len && !is_whole {
                    bucket.objects.delete(&object).await.map_err(failure)?;
                } else if start + bytes > len || is_whole {
                    let cut = match len - start {
                        0 => Bytes::new(),
                        cut => bucket.objects.get_range(&object, 0..cut).await.map_err(failure)?,
                    };
                    let to = bucket.at(&segment(&name, start))?;
                    bucket.objects.put(&to, cut.into()).await.map_err(failure)?;
                    if is_whole {
                        bucket.objects.delete(&object).await.map_err(failure)?;
                    }
                }
            }
            Ok(())
        })??;
        let upload = Upload::new(Arc::clone(&self.shared), self.shared.bucket.at(&segment(path, len))?);
        let writing =
            Writing { shared: Arc::clone(&self.shared), path: path.to_owned(), at: len, segmented: true, upload };
        Ok(Box::new(BucketWrite(Arc::new(Mutex::new(writing)))))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        let (bucket, path) = (self.bucket(), path.to_owned());
        let pieces = wait({
            let bucket = bucket.clone();
            async move { pieces_of(&bucket, &path).await }
        })??;
        let pieces = pieces.ok_or_else(|| io::Error::new(ErrorKind::NotFound, "there is no such object"))?;
        let len_bytes = pieces.iter().map(|(_, bytes, _)| bytes).sum();
        Ok(Box::new(BucketRead { bucket, pieces, len_bytes }))
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.shared.check()?;
        let (bucket, path, bytes) = (self.bucket(), self.shared.bucket.at(path)?, bytes.to_vec());
        wait(async move { bucket.objects.put(&path, bytes.into()).await.map(drop).map_err(failure) })?
    }

    fn put_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.shared.check()?;
        let (bucket, path, bytes) = (self.bucket(), self.shared.bucket.at(path)?, Bytes::copy_from_slice(bytes));
        wait(async move { put_new(&bucket, &path, bytes).await })?
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.shared.check()?;
        let (bucket, shared) = (self.bucket(), Arc::clone(&self.shared));
        let (from, to) = (from.to_owned(), to.to_owned());
        let copied = wait({
            let (bucket, from, to) = (bucket.clone(), bucket.at(&from)?, bucket.at(&to)?);
            async move {
                match bucket.objects.copy(&from, &to).await {
                    Ok(()) => Ok(true),
                    Err(Error::NotFound { .. }) => Ok(false),
                    // One that is too large for it is copied piece by piece.
                    Err(error) => match bucket.objects.head(&from).await {
                        Ok(meta) if meta.size > COPIED_AT_ONCE_MAX => Ok(false),
                        _ => Err(failure(error)),
                    },
                }
            }
        })??;
        if !copied {
            self.write_together(&from, &to)?;
        }
        shared.check()?;
        if copied {
            // One object: nothing has to be listed for it.
            let object = bucket.at(&from)?;
            return wait(async move { delete_all(&bucket, vec![object]).await })?;
        }
        self.remove(&from)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.shared.check()?;
        let (bucket, path) = (self.bucket(), path.to_owned());
        wait(async move {
            let mut all = vec![bucket.at(&path)?];
            all.extend(objects_under(&bucket, &path).await?.into_iter().map(|(path, _)| path));
            all.extend(objects_under(&bucket, &segments_of(&path)).await?.into_iter().map(|(path, _)| path));
            delete_all(&bucket, all).await
        })?
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        Ok(self.list_dated(path)?.into_iter().map(|file| (file.path, file.bytes)).collect())
    }

    fn list_dated(&self, path: &str) -> io::Result<Vec<DatedFile>> {
        let (bucket, path) = (self.bucket(), path.to_owned());
        let objects = wait({
            let bucket = bucket.clone();
            async move { listed(&bucket, &path).await }
        })??;
        let mut files: BTreeMap<String, DatedFile> = BTreeMap::new();
        let mut segments: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
        for object in objects {
            let name = bucket.name_of(&object.location);
            if name == CLOCK || name.starts_with(UPLOADS) {
                continue;
            }
            match name.split_once("~/") {
                None => {
                    let (bytes, modified) = (object.size, Some(object.last_modified.into()));
                    files.insert(name.clone(), DatedFile { path: name, bytes, modified });
                }
                Some((base, _)) => segments.entry(base.to_owned()).or_default().push(object),
            }
        }
        for (path, segments) in segments {
            let modified = segments.iter().map(|segment| segment.last_modified.into()).max();
            let segments = segments.into_iter().map(|segment| (segment.location, segment.size)).collect();
            let bytes = joined(segments).iter().map(|(_, bytes, _)| bytes).sum();
            // What has been put together counts, not what it was put together of.
            files.entry(path.clone()).or_insert(DatedFile { path, bytes, modified });
        }
        Ok(files.into_values().collect())
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn StoreLock>>> {
        let (bucket, at) = (self.bucket(), self.shared.bucket.at(path)?);
        let (owner, habits) = (self.shared.process.clone(), self.shared.habits);
        let Some(hold) = wait(Hold::take(bucket, at, owner, habits))?? else { return Ok(None) };
        let hold = Arc::new(hold);
        *self.shared.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&hold));
        let lease = Lease::of(&hold, habits)?;
        self.abort_leftovers()?;
        Ok(Some(Box::new(lease)))
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        let (bucket, at) = (self.bucket(), self.shared.bucket.at(path)?);
        let whole = wait(async move {
            match bucket.objects.get(&at).await {
                Ok(found) => found.bytes().await.map(Some).map_err(failure),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(failure(error)),
            }
        })??;
        if let Some(whole) = whole {
            return Ok(whole);
        }
        let file = self.open(path)?;
        file.read_at(0, usize::try_from(file.len_bytes()).map_err(io::Error::other)?)
    }

    fn dated(&self, path: &str) -> io::Result<DatedFile> {
        let (bucket, at) = (self.bucket(), self.shared.bucket.at(path)?);
        match wait(async move { bucket.objects.head(&at).await })? {
            Ok(ObjectMeta { size, last_modified, .. }) => {
                Ok(DatedFile { path: path.to_owned(), bytes: size, modified: Some(last_modified.into()) })
            }
            // It may be in segments.
            Err(Error::NotFound { .. }) => {
                let bytes = self.open(path)?.len_bytes();
                Ok(DatedFile { path: path.to_owned(), bytes, modified: None })
            }
            Err(error) => Err(failure(error)),
        }
    }

    fn stream(&self, path: &str, from: u64) -> io::Result<Box<dyn Read + Send>> {
        stream(self.bucket(), self.shared.bucket.at(path)?, from)
    }

    fn shows_unfinished(&self) -> bool {
        false
    }
}

impl BucketStore {
    /// Copies a file, in whatever pieces it is, to an object.
    fn write_together(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.open(from)?;
        let mut upload = Upload::new(Arc::clone(&self.shared), self.shared.bucket.at(to)?);
        let mut offset = 0;
        while offset < file.len_bytes() {
            let piece = file.read_at(offset, (file.len_bytes() - offset).min(COPIED_BYTES) as usize)?;
            upload.write(&piece)?;
            offset += piece.len() as u64;
        }
        upload.finish()
    }
}

/// Writes an object where none is. One of the same bytes is this one: an answer may get lost.
async fn put_new(bucket: &Bucket, path: &Path, bytes: Bytes) -> io::Result<()> {
    match bucket.objects.put_opts(path, bytes.clone().into(), PutOptions::from(PutMode::Create)).await {
        Ok(_) => Ok(()),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
            let there = bucket.objects.get(path).await.map_err(failure)?.bytes().await.map_err(failure)?;
            match there == bytes {
                true => Ok(()),
                false => Err(io::Error::new(ErrorKind::AlreadyExists, "another process has written it meanwhile")),
            }
        }
        Err(error) => Err(failure(error)),
    }
}

/// A file being written.
struct BucketWrite(Arc<Mutex<Writing>>);

struct Writing {
    shared: Arc<Shared>,
    path: String,
    /// Bytes in segments.
    at: u64,
    segmented: bool,
    /// What comes behind them; all of it where there are none.
    upload: Upload,
}

impl BucketWrite {
    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    fn next(&self, name: &str) -> io::Result<Upload> {
        Ok(Upload::new(Arc::clone(&self.shared), self.shared.bucket.at(name)?))
    }

    /// From now on it is written in segments.
    fn begin_segments(&mut self) -> io::Result<()> {
        let store = BucketStore { shared: Arc::clone(&self.shared) };
        // What an earlier process has left under this name.
        store.remove(&self.path)?;
        let fresh = self.next(&segment(&self.path, 0))?;
        let so_far = std::mem::replace(&mut self.upload, fresh);
        self.segmented = true;
        match so_far.into_unsent() {
            Ok(bytes) => self.upload.write(&bytes),
            Err(upload) => {
                let bytes = upload.bytes();
                upload.finish()?;
                let (bucket, from) = (self.shared.bucket.clone(), self.shared.bucket.at(&self.path)?);
                let to = self.shared.bucket.at(&segment(&self.path, 0))?;
                wait(async move {
                    bucket.objects.copy(&from, &to).await.map_err(failure)?;
                    bucket.objects.delete(&from).await.map_err(failure)
                })??;
                self.at = bytes;
                self.upload = self.next(&segment(&self.path, self.at))?;
                Ok(())
            }
        }
    }

    /// All that was written is in segments.
    fn end_segment(&mut self) -> io::Result<()> {
        let bytes = self.upload.bytes();
        if bytes == 0 {
            return self.shared.check();
        }
        let next = self.next(&segment(&self.path, self.at + bytes))?;
        let segment = std::mem::replace(&mut self.upload, next);
        self.at += bytes;
        match segment.into_unsent() {
            Ok(small) => {
                self.shared.check()?;
                let (bucket, path) =
                    (self.shared.bucket.clone(), self.shared.bucket.at(&self::segment(&self.path, self.at - bytes))?);
                wait(async move { put_new(&bucket, &path, small).await })?
            }
            Err(large) => large.finish(),
        }
    }
}

impl Write for BucketWrite {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writing().upload.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StoreWrite for BucketWrite {
    fn finish(self: Box<Self>) -> io::Result<()> {
        let mut writing = self.writing();
        if writing.segmented {
            writing.end_segment()?;
            let store = BucketStore { shared: Arc::clone(&writing.shared) };
            store.write_together(&writing.path, &writing.path)?;
            let (bucket, folder) = (writing.shared.bucket.clone(), segments_of(&writing.path));
            return wait(async move {
                let segments = objects_under(&bucket, &folder).await?.into_iter().map(|(path, _)| path).collect();
                delete_all(&bucket, segments).await
            })?;
        }
        let unused = writing.next(&writing.path.clone())?;
        std::mem::replace(&mut writing.upload, unused).finish()
    }

    fn syncer(&self) -> io::Result<Box<dyn StoreSync>> {
        let mut writing = self.writing();
        if !writing.segmented {
            writing.begin_segments()?;
        }
        Ok(Box::new(BucketSync(Arc::clone(&self.0))))
    }
}

struct BucketSync(Arc<Mutex<Writing>>);

impl StoreSync for BucketSync {
    fn sync(&self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).end_segment()
    }
}

struct BucketRead {
    bucket: Bucket,
    pieces: Vec<(u64, u64, Path)>,
    len_bytes: u64,
}

impl StoreRead for BucketRead {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = offset + len as u64;
        if end > self.len_bytes {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let wanted = |(start, bytes, path): &(u64, u64, Path)| {
            let range = offset.max(*start)..end.min(start + bytes);
            (!range.is_empty()).then(|| (path.clone(), range.start - start..range.end - start))
        };
        let wanted: Vec<_> = self.pieces.iter().filter_map(wanted).collect();
        let bucket = self.bucket.clone();
        let mut parts = wait(async move {
            let mut parts = Vec::with_capacity(wanted.len());
            for (path, range) in wanted {
                parts.push(bucket.objects.get_range(&path, range).await.map_err(failure)?);
            }
            Ok::<_, io::Error>(parts)
        })??;
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let mut all = BytesMut::with_capacity(len);
        parts.iter().for_each(|part| all.extend_from_slice(part));
        Ok(all.freeze())
    }
}
