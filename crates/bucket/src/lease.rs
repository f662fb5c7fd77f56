//! Who writes a lake: a lease in the lake itself.
//!
//! The lock is an object that names its owner. While the owner lives it writes it anew, each time on condition that it is still the one
//! that it wrote before; who finds it unchanged for a lease's time takes it, on the same condition. So no two processes hold
//! it, whatever their clocks say: the owner counts from before its last renewal, and who waits counts from when it has seen
//! it, or by the store's own clock. A store without conditional writes cannot do this and says so; whether it heeds the condition
//! is tried when a lake is taken for the first time.
//!
//! An owner that was too slow does nothing more: it looks at its own time before each change (`Shared::check`), and what decides
//! a run is written only where nothing is. Each taking has a higher number than the one before.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use lakehaul_write::store::{StoreLock, WRITES_OVER};
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

/// One whose answer was lost is found, and written again; more than that in a row is another's doing.
const RENEWALS_AT_ONCE: usize = 3;

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
    until: Until,
    lost: bool,
}

/// A moment by both of a machine's clocks: one that only goes on stands still while the machine is suspended, the other one may
/// be set. Whichever comes first.
#[derive(Debug, Clone, Copy)]
struct Until(Instant, SystemTime);

impl Until {
    fn from_now(after: Duration) -> Until {
        Until(Instant::now() + after, SystemTime::now() + after)
    }

    fn is_over(self) -> bool {
        Instant::now() >= self.0 || SystemTime::now() >= self.1
    }
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
            let until = Until::from_now(habits.own());
            match put(&bucket, &path, &file, mode).await {
                Ok(version) => {
                    // Every time: whether the first one got its answer is not known to those that come later.
                    if put(&bucket, &path, &file, PutMode::Create).await.is_ok() {
                        let _ = bucket.objects.delete(&path).await;
                        return Err(io::Error::new(io::ErrorKind::Unsupported, WRITES_OVER));
                    }
                    let state = State { file, version, until, lost: false };
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
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error once it may be another's.
    pub(crate) fn check(&self) -> io::Result<()> {
        let state = self.state();
        if state.lost || state.until.is_over() {
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
            if !self.renew(habits).await {
                return;
            }
        }
    }

    /// Writes it anew. False: it is lost.
    async fn renew(&self, habits: Habits) -> bool {
        let _one_at_a_time = self.writing.lock().await;
        let State { mut file, mut version, .. } = self.state();
        for _ in 0..RENEWALS_AT_ONCE {
            file.renewed += 1;
            let until = Until::from_now(habits.own());
            match put(&self.bucket, &self.path, &file, PutMode::Update(version)).await {
                Ok(version) => {
                    *self.locked() = State { file, version, until, lost: false };
                    return true;
                }
                // The answer to an earlier one may have been lost: then what is there is ours.
                Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => match self.find_own(&file).await {
                    Ok(Some(found)) => version = found,
                    Ok(None) => break,
                    // It may be better the next time.
                    Err(_) => return true,
                },
                Err(Error::NotFound { .. }) => break,
                Err(_) => return true,
            }
        }
        self.locked().lost = true;
        false
    }

    /// The version that is there, if it is of this taking of it.
    async fn find_own(&self, own: &LeaseFile) -> io::Result<Option<UpdateVersion>> {
        let found = match self.bucket.objects.get(&self.path).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(failure)?,
        };
        let version = version_of(&found.meta);
        let file: LeaseFile =
            serde_json::from_slice(&found.bytes().await.map_err(failure)?).map_err(io::Error::other)?;
        Ok((file.owner == own.owner && file.fence == own.fence).then_some(version))
    }

    async fn give_back(self: Arc<Hold>) {
        let _one_at_a_time = self.writing.lock().await;
        let State { mut file, version, lost, .. } = self.state();
        if !lost {
            file.owner = None;
            // Who comes next waits a lease's time if this fails.
            let _ = put(&self.bucket, &self.path, &file, PutMode::Update(version)).await;
        }
        self.locked().lost = true;
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

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn a_renewal_whose_answer_was_lost_is_no_loss() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (objects, habits) = (Arc::new(InMemory::new()), Habits::default());
            let bucket = Bucket::within(objects, "lake").unwrap();
            let path = bucket.at("_lake/lock").unwrap();
            let hold = Hold::take(bucket, path, "this one".to_owned(), habits).await.unwrap().unwrap();
            // It was carried out, and nobody was told.
            let State { mut file, version, .. } = hold.state();
            file.renewed += 1;
            put(&hold.bucket, &hold.path, &file, PutMode::Update(version)).await.unwrap();
            assert!(hold.renew(habits).await && hold.renew(habits).await);
            hold.check().unwrap();

            file.owner = Some("another one".to_owned());
            put(&hold.bucket, &hold.path, &file, PutMode::Overwrite).await.unwrap();
            assert!(!hold.renew(habits).await);
            hold.check().unwrap_err();
        });
    }

    #[test]
    fn either_clock_ends_it() {
        let hour = Duration::from_secs(3600);
        assert!(!Until::from_now(hour).is_over());
        assert!(Until(Instant::now() + hour, SystemTime::now()).is_over());
        assert!(Until(Instant::now(), SystemTime::now() + hour).is_over());
    }
}
