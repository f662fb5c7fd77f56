//! A lake in a bucket: any request goes wrong, or is the last of its process, or comes late, after another process has taken the
//! lake; the same command again, on a machine that has nothing of the first, comes to the same lake.
//!
//! The store is in memory; what goes wrong are its requests, below all that lakehaul makes of them.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use lakehaul_bucket::{Bucket, BucketStore, Habits};
use lakehaul_load::{ErrorKind, Format, LoadError, LoadOptions, LoadSummary, StoreLayer};
use lakehaul_write::store::Store;
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::same_lake::{Contents, all_that_is_visible_is_whole};
use crate::scene::{Repeat, Scene, asked_for, saving_always};

/// What befalls a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is not carried out, and says so.
    Refused,
    /// It is carried out, and says that it was not.
    AnswerLost,
    /// It and all that follow are not carried out.
    Death,
    /// It is carried out, and none that follow are.
    LastAct,
    /// It and all that follow are carried out once another process has done everything.
    Late,
}

const FATES: [Fate; 5] = [Fate::Refused, Fate::AnswerLost, Fate::Death, Fate::LastAct, Fate::Late];

/// A store's requests, one of which meets its fate.
#[derive(Debug)]
struct FatefulObjects {
    inner: Arc<InMemory>,
    fate: Option<(u64, Fate)>,
    requests: AtomicU64,
    gate: Arc<Gate>,
}

/// Where a late request waits.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    reached: bool,
    open: bool,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reached = true;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.open));
    }

    fn open(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).open = true;
        self.changed.notify_all();
    }

    /// True once a request waits; false if none has after so long.
    fn is_reached(&self, within: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, within, |state| !state.reached);
        waited.unwrap_or_else(PoisonError::into_inner).0.reached
    }
}

impl FatefulObjects {
    fn new(inner: &Arc<InMemory>, fate: Option<(u64, Fate)>) -> Arc<FatefulObjects> {
        let (requests, gate) = (AtomicU64::new(0), Arc::default());
        Arc::new(FatefulObjects { inner: Arc::clone(inner), fate, requests, gate })
    }

    fn failure() -> Error {
        Error::Generic { store: "memory", source: "it was to be so".into() }
    }

    /// What becomes of the next request: an error, or whether it is carried out and its answer is lost.
    fn next(&self) -> Result<bool> {
        let number = self.requests.fetch_add(1, SeqCst) + 1;
        let Some((at, fate)) = self.fate else { return Ok(false) };
        match fate {
            Fate::Refused if number == at => Err(Self::failure()),
            Fate::AnswerLost if number == at => Ok(true),
            Fate::Death if number >= at => Err(Self::failure()),
            Fate::LastAct if number == at => Ok(true),
            Fate::LastAct if number > at => Err(Self::failure()),
            Fate::Late if number >= at => {
                tokio::task::block_in_place(|| self.gate.pass());
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    async fn meet<T>(&self, carried_out: impl Future<Output = Result<T>>) -> Result<T> {
        let answer_lost = self.next()?;
        let answer = carried_out.await;
        if answer_lost { Err(Self::failure()) } else { answer }
    }
}

impl Display for FatefulObjects {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("requests in memory")
    }
}

#[async_trait]
impl ObjectStore for FatefulObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.meet(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.meet(self.inner.put_multipart_opts(location, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.meet(self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.next() {
            Ok(false) => self.inner.delete_stream(locations),
            Ok(true) => self.inner.delete_stream(locations).map(|_| Err(Self::failure())).boxed(),
            Err(_) => futures_util::stream::once(async { Err(Self::failure()) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.next() {
            Ok(false) => self.inner.list(prefix),
            _ => futures_util::stream::once(async { Err(Self::failure()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.meet(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.meet(self.inner.copy_opts(from, to, options)).await
    }
}

#[async_trait]
impl MultipartStore for FatefulObjects {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.meet(self.inner.create_multipart(path)).await
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, part_idx: usize, data: PutPayload) -> Result<PartId> {
        self.meet(self.inner.put_part(path, id, part_idx, data)).await
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        self.meet(self.inner.complete_multipart(path, id, parts)).await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        // An upload that is over is not found, as S3 has it.
        let over = |error: Error| Error::NotFound { path: path.to_string(), source: error.into() };
        self.meet(async { self.inner.abort_multipart(path, id).await.map_err(over) }).await
    }
}

/// A bucket and what is loaded into it. The folder of the scene's lake gets what is in the bucket, to be looked at.
struct InBucket {
    format: Format,
    scene: Scene,
    objects: Arc<InMemory>,
}

impl InBucket {
    fn new(format: Format) -> InBucket {
        InBucket { format, scene: Scene::of_everything(), objects: Arc::default() }
    }

    /// Small pieces, so that even small files go up in several.
    fn store(&self, objects: Arc<FatefulObjects>, lease: Duration) -> BucketStore {
        BucketStore::new(Bucket::within(objects, "a/lake").unwrap(), Habits { lease, piece_bytes: 1500 })
    }

    fn load(
        &self,
        objects: &Arc<FatefulObjects>,
        lease: Duration,
        options: LoadOptions,
    ) -> std::result::Result<LoadSummary, LoadError> {
        let store = self.store(Arc::clone(objects), lease);
        let layer = StoreLayer::new(move |_| Arc::new(store.clone()));
        self.scene.load("lake", LoadOptions { store_layer: Some(layer), format: Some(self.format), ..options })
    }

    /// The lease of a process that is gone would have run out by now.
    fn time_passes(&self) {
        let objects = Arc::clone(&self.objects);
        block_on(async move {
            let _ = objects.delete(&Path::from("a/lake/_lake/lock")).await;
        });
    }

    /// Writes all of the bucket that readers see into the scene's folder.
    fn bring_down(&self) -> std::path::PathBuf {
        let folder = self.scene.path("lake");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        let store = self.store(FatefulObjects::new(&self.objects, None), Habits::default().lease);
        for (path, _) in store.list("").unwrap() {
            match store.read(&path) {
                Ok(bytes) => self.scene.write(&format!("lake/{path}"), &bytes),
                // What a process has left is still being taken back.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => panic!("{path}: {error}"),
            }
        }
        folder
    }

    fn uploads(&self) -> usize {
        let objects = Arc::clone(&self.objects);
        block_on(async move { objects.list(Some(&Path::from("a/lake/_lake/uploads"))).count().await })
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

const LONG: Duration = Duration::from_secs(20);

fn undisturbed(format: Format) -> (Contents, u64) {
    let whole = InBucket::new(format);
    let calm = FatefulObjects::new(&whole.objects, None);
    whole.load(&calm, LONG, saving_always(1)).unwrap();
    let contents = Contents::of(&whole.bring_down());
    assert_eq!(whole.uploads(), 0, "no upload is half-way");
    (contents, calm.requests.load(SeqCst))
}

fn outlives(format: Format, at: u64, fate: Fate, threads: usize, expected: &Contents) {
    let told = format!("{} lake, request {at}: {fate:?}, {threads} threads", format.name());
    let _repeat = Repeat(format!("LAKEHAUL_FAULT_AT={at} cargo test -p lakehaul-load --test storms bucket   ({told})"));
    let run = InBucket::new(format);
    let objects = FatefulObjects::new(&run.objects, Some((at, fate)));
    if fate == Fate::Late {
        late(&run, &objects, threads);
    } else {
        // It may come through: on a note of an upload that is over, for one, nothing depends.
        if let Err(error) = run.load(&objects, LONG, saving_always(threads)) {
            assert_eq!(error.kind(), ErrorKind::Destination, "{told}: {error}");
        }
    }
    all_that_is_visible_is_whole(&run.bring_down());
    run.time_passes();
    let calm = FatefulObjects::new(&run.objects, None);
    run.load(&calm, LONG, saving_always(threads)).unwrap_or_else(|error| panic!("{told}: again: {error}"));
    Contents::of(&run.bring_down()).is_the_same_as(expected, &told);
    assert_eq!(run.uploads(), 0, "{told}: uploads were left half-way");
}

/// A process stands still before one of its requests until its lease is over and another process has done all; then that
/// request comes through, and the process goes on.
fn late(run: &InBucket, objects: &Arc<FatefulObjects>, threads: usize) {
    let lease = Duration::from_millis(300);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| run.load(objects, lease, saving_always(threads)));
        while !slow.is_finished() && !objects.gate.is_reached(Duration::from_millis(5)) {}
        if !slow.is_finished() {
            // Until it knows itself that it has lost the lake.
            let quick = FatefulObjects::new(&run.objects, None);
            let taken = run.load(&quick, LONG, saving_always(1));
            objects.gate.open();
            taken.unwrap();
        }
        objects.gate.open();
        // It may have come through, if only what does not matter was late.
        let _ = slow.join().unwrap();
    });
}

#[test]
fn a_load_into_a_bucket_outlives_any_request() {
    outlives_any_request(Format::Parquet, 23);
}

/// Its tables' logs are among what the requests write.
#[cfg(feature = "delta")]
#[test]
fn a_load_into_delta_tables_in_a_bucket_outlives_any_request() {
    outlives_any_request(Format::Delta, 37);
}

fn outlives_any_request(format: Format, stride: usize) {
    let (expected, requests) = undisturbed(format);
    let only = asked_for("LAKEHAUL_FAULT_AT").map(|at| at.parse::<u64>().unwrap());
    let stride = if asked_for("LAKEHAUL_ALL_FAULTS").is_some() || only.is_some() { 1 } else { stride };
    let places = only.map_or(1..=requests, |at| at..=at);
    let cases: Vec<_> = places.flat_map(|at| FATES.map(|fate| (at, fate))).step_by(stride).collect();
    let failed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (cases, expected, failed) = (&cases, &expected, &failed);
            scope.spawn(move || {
                for &(at, fate) in cases.iter().skip(worker).step_by(2) {
                    let threads = 1 + (at % 2) as usize;
                    let case = std::panic::AssertUnwindSafe(|| outlives(format, at, fate, threads, expected));
                    if std::panic::catch_unwind(case).is_err() && failed.fetch_add(1, SeqCst) > 10 {
                        return;
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner(), 0, "so many of {} cases failed, or more", cases.len());
}
