//! Who writes a lake: a lease in the lake itself.
//!
//! The lock is an object that names its owner. While the owner lives it writes it anew, each time on condition that it is still the one
//! that it wrote before; who finds it unchanged for a lease's time takes it, on the same condition. So no two processes hold
//! it, whatever their clocks say: the owner counts from before its last renewal, and who waits counts from when it has seen
//! it, or by the store's own clock. A store without conditional writes cannot do this and says so.
//!
//! An owner that was too slow does nothing more: it looks at its own time before each change (`Shared::check`), and what decides
//! a run is written only where nothing is. Each taking has a higher number than the one before.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lakehaul_write::store::StoreLock;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::failure::failure;
use crate::place::Bucket;
use crate::{runtime, wait};

/// Stores tell times in whole seconds.
const CLOCK_GRAIN: Duration = Duration::from_secs(1);

/// How a store is written.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// A lake that its holder has not renewed for so long is free.
    pub lease: Duration,
    /// A file goes up in pieces of so many bytes: S3 demands 5 MiB of all but the last.
    pub piece_bytes: usize,
}

impl Default for Habits {
    fn default() -> Self {
        Habits { lease: Duration::from_secs(20), piece_bytes: 5 << 20 }
    }
}

impl Habits {
    fn renewal(self) -> Duration {
        self.lease / 5
    }

    /// After that its owner does nothing more: what it has begun by then is over before the lease is.
    fn own(self) -> Duration {
        self.lease * 3 / 4
    }
}

/// The lock's object.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LeaseFile {
    /// None: it was given back.
    owner: Option<String>,
    /// How many times it was taken.
    fence: u64,
    /// Unrenewed for so long, it is free.
    lease_ms: u64,
    /// How many times it was renewed: so no two of its versions are alike.
    renewed: u64,
}

/// A lease while it is held.
#[derive(Debug)]
pub(crate) struct Hold {
    bucket: Bucket,
    path: Path,
    fence: u64,
    state: Mutex<State>,
    /// One writes at a time: a renewal, or the giving back.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct State {
    file: LeaseFile,
    version: UpdateVersion,
    /// Until then it is its owner's.
    until: Instant,
    lost: bool,
}

impl Hold {
    /// Takes the lease at `path`; `None` while another process renews it. Waits for one that is not renewed.
    pub(crate) async fn take(bucket: Bucket, path: Path, owner: String, habits: Habits) -> io::Result<Option<Hold>> {
        let mut seen: Option<(UpdateVersion, Instant)> = None;
        loop {
            let asked = Instant::now();
            let (fence, mode) = match bucket.objects.get(&path).await {
                Err(Error::NotFound { .. }) => (1, PutMode::Create),
                Err(error) => return Err(failure(error)),
                Ok(found) => {
                    let version = version_of(&found.meta);
                    let modified = found.meta.last_modified;
                    let bytes = found.bytes().await.map_err(failure)?;
                    let file: LeaseFile = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
                    let lease = Duration::from_millis(file.lease_ms);
                    let is_over = match &seen {
                        _ if file.owner.is_none() => true,
                        None => {
                            seen = Some((version.clone(), asked));
                            let now = store_time(&bucket).await?;
                            (now - modified).to_std().is_ok_and(|age| age >= lease + CLOCK_GRAIN)
                        }
                        // Somebody renews it.
                        Some((before, _)) if before.e_tag != version.e_tag => return Ok(None),
                        Some((_, since)) => since.elapsed() >= lease,
                    };
                    if !is_over {
                        sleep(lease / 10).await;
                        continue;
                    }
                    (file.fence + 1, PutMode::Update(version))
                }
            };
            let lease_ms = habits.lease.as_millis() as u64;
            let file = LeaseFile { owner: Some(owner.clone()), fence, lease_ms, renewed: 0 };
            let started = Instant::now();
            match put(&bucket, &path, &file, mode).await {
                Ok(version) => {
                    let state = State { file, version, until: started + habits.own(), lost: false };
                    let (state, writing) = (Mutex::new(state), tokio::sync::Mutex::default());
                    return Ok(Some(Hold { bucket, path, fence, state, writing }));
                }
                // Somebody was quicker; or it is ours, and the answer got lost: then it is found as such and waited for.
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => return Err(failure(error)),
            }
        }
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An error once it may be another's.
    pub(crate) fn check(&self) -> io::Result<()> {
        let state = self.state();
        if state.lost || Instant::now() >= state.until {
            return Err(io::Error::other(
                "this process was out of touch with the store for too long, and another one may write the lake by now; run the \
                 command again, it goes on where the work is",
            ));
        }
        Ok(())
    }

    /// Renews it until it is lost.
    async fn keep(self: Arc<Hold>, habits: Habits) {
        loop {
            sleep(habits.renewal()).await;
            let _one_at_a_time = self.writing.lock().await;
            let State { mut file, version, .. } = self.state();
            file.renewed += 1;
            let started = Instant::now();
            let put = put(&self.bucket, &self.path, &file, PutMode::Update(version)).await;
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match put {
                Ok(version) => *state = State { file, version, until: started + habits.own(), lost: false },
                Err(Error::Precondition { .. } | Error::AlreadyExists { .. } | Error::NotFound { .. }) => {
                    state.lost = true;
                    return;
                }
                // It may be better the next time.
                Err(_) => {}
            }
        }
    }

    async fn give_back(self: Arc<Hold>) {
        let _one_at_a_time = self.writing.lock().await;
        let State { mut file, version, lost, .. } = self.state();
        if !lost {
            file.owner = None;
            // Who comes next waits a lease's time if this fails.
            let _ = put(&self.bucket, &self.path, &file, PutMode::Update(version)).await;
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lost = true;
    }
}

async fn put(bucket: &Bucket, path: &Path, file: &LeaseFile, mode: PutMode) -> Result<UpdateVersion, Error> {
    let text = serde_json::to_vec(file).unwrap_or_default();
    bucket.objects.put_opts(path, text.into(), PutOptions::from(mode)).await.map(UpdateVersion::from)
}

fn version_of(meta: &ObjectMeta) -> UpdateVersion {
    UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() }
}

/// The time as the store has it: of an object written now.
async fn store_time(bucket: &Bucket) -> io::Result<chrono::DateTime<chrono::Utc>> {
    let path = bucket.at(crate::store::CLOCK)?;
    bucket.objects.put(&path, "now".into()).await.map_err(failure)?;
    Ok(bucket.objects.head(&path).await.map_err(failure)?.last_modified)
}

/// Keeps a lease until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    hold: Arc<Hold>,
    keeping: AbortHandle,
}

impl Lease {
    pub(crate) fn of(hold: &Arc<Hold>, habits: Habits) -> io::Result<Lease> {
        let keeping = runtime()?.spawn(Arc::clone(hold).keep(habits)).abort_handle();
        Ok(Lease { hold: Arc::clone(hold), keeping })
    }
}

impl StoreLock for Lease {
    fn fence(&self) -> u64 {
        self.hold.fence
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeping.abort();
        let _ = wait(Arc::clone(&self.hold).give_back());
    }
}
