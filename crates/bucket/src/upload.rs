//! A file on its way up: in pieces, several at a time, while it is written.
//!
//! In go bytes; once a piece is full it leaves, and whoever writes goes on. How many bytes are under way in the whole process is
//! bounded; who has more waits. An upload that does not come to its end is aborted.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{Error, MultipartId, ObjectStoreExt, PutPayload};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::failure::failure;
use crate::place::Bucket;
use crate::store::Shared;
use crate::{runtime, wait};

/// A store takes 10,000 pieces of an upload; so each thousand is as much larger as the first is.
const PIECES_OF_A_SIZE: usize = 1000;

/// Pieces under way in the whole process.
pub(crate) const PIECES_UNDER_WAY: usize = 12;

/// As much as a part is written in at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// Bytes that go up as one object.
pub(crate) struct Upload {
    shared: Arc<Shared>,
    path: Path,
    waiting: Waiting,
    bytes: u64,
    begun: Option<Begun>,
}

/// Bytes that have not left yet, in blocks: a buffer that grew would be copied again and again.
#[derive(Default)]
struct Waiting {
    full: Vec<Bytes>,
    block: BytesMut,
    len: usize,
}

impl Waiting {
    fn add(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            if self.block.capacity() == 0 {
                self.block.reserve(BLOCK_BYTES);
            }
            let taken = bytes.len().min(self.block.capacity() - self.block.len());
            self.block.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.block.len() == self.block.capacity() {
                self.full.push(std::mem::take(&mut self.block).freeze());
            }
        }
    }

    fn take(&mut self) -> PutPayload {
        let Waiting { full, block, .. } = std::mem::take(self);
        full.into_iter().chain([block.freeze()]).filter(|block| !block.is_empty()).collect()
    }
}

/// An upload of more than one piece.
struct Begun {
    id: MultipartId,
    /// Where it is noted, for whoever finds it half-way.
    note: Path,
    pieces: Vec<JoinHandle<io::Result<PartId>>>,
}

impl Upload {
    pub(crate) fn new(shared: Arc<Shared>, path: Path) -> Upload {
        Upload { shared, path, waiting: Waiting::default(), bytes: 0, begun: None }
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let pieces = self.begun.as_ref().map_or(0, |begun| begun.pieces.len());
            let full = self.shared.habits.piece_bytes * (1 + pieces / PIECES_OF_A_SIZE);
            let taken = bytes.len().min(full - self.waiting.len);
            self.waiting.add(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.waiting.len == full {
                self.send()?;
            }
        }
        Ok(())
    }

    /// Lets what is there leave as a piece.
    fn send(&mut self) -> io::Result<()> {
        self.shared.check()?;
        let piece = self.waiting.take();
        if self.begun.is_none() {
            self.begun = Some(self.begin()?);
        }
        let permit = self.shared.permit()?;
        let Some(begun) = &mut self.begun else { return Ok(()) };
        let (bucket, path, id, at) =
            (self.shared.bucket.clone(), self.path.clone(), begun.id.clone(), begun.pieces.len());
        begun.pieces.push(runtime()?.spawn(put_piece(bucket, path, id, at, piece, permit)));
        Ok(())
    }

    fn begin(&self) -> io::Result<Begun> {
        let (shared, path) = (Arc::clone(&self.shared), self.path.clone());
        wait(async move {
            let objects = &shared.bucket.objects;
            let id = objects.create_multipart(&path).await.map_err(failure)?;
            let note = shared.note()?;
            let text = serde_json::json!({ "path": path.as_ref(), "id": id }).to_string();
            if let Err(error) = objects.put(&note, text.into()).await {
                // Nobody else would find it.
                let _ = objects.abort_multipart(&path, &id).await;
                return Err(failure(error));
            }
            Ok(Begun { id, note, pieces: Vec::new() })
        })?
    }

    /// Its bytes, if none have left.
    pub(crate) fn into_unsent(mut self) -> Result<Bytes, Box<Upload>> {
        if self.begun.is_some() { Err(Box::new(self)) } else { Ok(self.waiting.take().into()) }
    }

    /// The object is there, whole and durable.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.shared.check()?;
        if self.begun.is_none() {
            let (shared, path, bytes) = (Arc::clone(&self.shared), self.path.clone(), self.waiting.take());
            return wait(async move { shared.bucket.objects.put(&path, bytes).await.map(drop).map_err(failure) })?;
        }
        if self.waiting.len > 0 {
            self.send()?;
        }
        let Some(begun) = self.begun.take() else { return Ok(()) };
        let (shared, path, bytes) = (Arc::clone(&self.shared), self.path.clone(), self.bytes);
        wait(async move {
            let objects = &shared.bucket.objects;
            let mut pieces = Vec::with_capacity(begun.pieces.len());
            let mut failed = None;
            for piece in begun.pieces {
                match piece.await.map_err(io::Error::other).flatten() {
                    Ok(piece) => pieces.push(piece),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                abort(&shared.bucket, &path, &begun.id, &begun.note).await;
                return Err(error);
            }
            // Between the pieces and their end there may have been hours.
            shared.check()?;
            if let Err(error) = objects.complete_multipart(&path, &begun.id, pieces).await {
                // It is asked for more than once where no answer comes, and some stores, Azure's among them, refuse it once it
                // is done: then all of it is there.
                if !objects.head(&path).await.is_ok_and(|found| found.size == bytes) {
                    return Err(failure(error));
                }
            }
            // A note too much is harmless: its upload is over.
            let _ = objects.delete(&begun.note).await;
            Ok(())
        })?
    }
}

impl Drop for Upload {
    /// What is not finished is not wanted.
    fn drop(&mut self) {
        if let (Some(begun), Ok(runtime)) = (self.begun.take(), runtime()) {
            let (bucket, path) = (self.shared.bucket.clone(), self.path.clone());
            runtime.spawn(async move {
                for piece in begun.pieces {
                    let _ = piece.await;
                }
                abort(&bucket, &path, &begun.id, &begun.note).await;
            });
        }
    }
}

async fn put_piece(
    bucket: Bucket,
    path: Path,
    id: MultipartId,
    at: usize,
    piece: PutPayload,
    permit: OwnedSemaphorePermit,
) -> io::Result<PartId> {
    let put = bucket.objects.put_part(&path, &id, at, piece).await;
    drop(permit);
    put.map_err(failure)
}

/// Takes an upload back. One that is over is fine.
pub(crate) async fn abort(bucket: &Bucket, path: &Path, id: &MultipartId, note: &Path) {
    // What cannot be aborted now is still noted, and the next writer tries again.
    if let Ok(()) | Err(Error::NotFound { .. }) = bucket.objects.abort_multipart(path, id).await {
        let _ = bucket.objects.delete(note).await;
    }
}

/// Room for so many pieces.
pub(crate) fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(PIECES_UNDER_WAY))
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::Habits;

    /// An upload whose pieces are all there.
    fn sent(path: &str) -> Upload {
        let bucket = Bucket::within(Arc::new(InMemory::new()), "lake").expect("a place");
        let path = bucket.at(path).expect("a path");
        let habits = Habits { piece_bytes: 4, ..Habits::default() };
        let mut upload = Upload::new(Arc::new(Shared::new(bucket, habits)), path);
        upload.write(b"12345678").expect("the store works");
        while !upload.begun.as_ref().is_some_and(|begun| begun.pieces.iter().all(JoinHandle::is_finished)) {
            std::thread::yield_now();
        }
        upload
    }

    fn bucket_path_id(upload: &Upload) -> (Bucket, Path, MultipartId) {
        let id = upload.begun.as_ref().expect("it has begun").id.clone();
        (upload.shared.bucket.clone(), upload.path.clone(), id)
    }

    #[test]
    fn one_that_is_over_is_finished_if_all_of_it_is_there() {
        let upload = sent("there");
        let (bucket, path, id) = bucket_path_id(&upload);
        // It was carried out, and nobody was told: the store does not know the upload any more.
        let complete = async move { bucket.objects.complete_multipart(&path, &id, Vec::new()).await };
        wait(complete).expect("it is waited for").expect("the store works");
        upload.finish().expect("it is there");
    }

    #[test]
    fn one_that_is_over_and_not_there_has_failed() {
        let upload = sent("gone");
        let (bucket, path, id) = bucket_path_id(&upload);
        let abort = async move { bucket.objects.abort_multipart(&path, &id).await };
        wait(abort).expect("it is waited for").expect("the store works");
        upload.finish().expect_err("it is not there");
    }
}
