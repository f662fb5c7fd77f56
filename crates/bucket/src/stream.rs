//! An object's bytes from some byte on, as they come: one request, and a little of what follows fetched ahead.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStoreExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::failure;
use crate::place::Bucket;
use crate::runtime;

/// What is fetched ahead at most, in kilobytes: a few round trips' worth on a fast link.
const AHEAD_KB: u32 = 4 << 10;

/// Bytes that have come, or why no more do; they count as fetched ahead until they are dropped.
type Piece = (io::Result<Bytes>, Option<OwnedSemaphorePermit>);

/// Reads the object at `path` from its byte `from` on.
pub(crate) fn stream(bucket: Bucket, path: Path, from: u64) -> io::Result<Box<dyn Read + Send>> {
    let (send, pieces) = channel();
    runtime()?.spawn(async move {
        let room = Arc::new(Semaphore::new(AHEAD_KB as usize));
        let (mut stream, mut unwanted) = match get(&bucket, &path, from).await {
            Ok(found) => found,
            Err(error) => {
                let _ = send.send((Err(error), None));
                return;
            }
        };
        while let Some(mut piece) = stream.next().await {
            if let Ok(bytes) = &mut piece {
                let skipped = unwanted.min(bytes.len() as u64);
                bytes.advance(skipped as usize);
                unwanted -= skipped;
                if bytes.is_empty() {
                    continue;
                }
            }
            // One that is larger than all there is room for goes alone.
            let kb = piece.as_ref().map_or(0, |bytes| bytes.len() >> 10).clamp(1, AHEAD_KB as usize) as u32;
            let Ok(permit) = Arc::clone(&room).acquire_many_owned(kb).await else { return };
            // Whoever reads no more has dropped the other end.
            if send.send((piece.map_err(failure), Some(permit))).is_err() {
                return;
            }
        }
    });
    Ok(Box::new(Reader { pieces, now: None }))
}

/// The bytes, and how many of them are before `from`.
async fn get(
    bucket: &Bucket,
    path: &Path,
    from: u64,
) -> io::Result<(BoxStream<'static, object_store::Result<Bytes>>, u64)> {
    // No store gives a range of an empty object.
    let range = (from > 0).then_some(GetRange::Offset(from));
    match bucket.objects.get_opts(path, GetOptions { range, ..GetOptions::default() }).await {
        Ok(found) => Ok((found.into_stream(), 0)),
        // A web server need not know ranges.
        Err(Error::NotSupported { .. }) if from > 0 => {
            let whole = bucket.objects.get(path).await.map_err(failure)?;
            Ok((whole.into_stream(), from))
        }
        Err(error) if from > 0 => match bucket.objects.head(path).await {
            Ok(meta) if meta.size <= from => Ok((futures_util::stream::empty().boxed(), 0)),
            _ => Err(failure(error)),
        },
        Err(error) => Err(failure(error)),
    }
}

struct Reader {
    pieces: Receiver<Piece>,
    /// What is left of the piece that came last, and its room.
    now: Option<(Bytes, Option<OwnedSemaphorePermit>)>,
}

impl Read for Reader {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some((bytes, _)) = &mut self.now {
                let len = bytes.len().min(space.len());
                bytes.copy_to_slice(&mut space[..len]);
                if bytes.is_empty() {
                    self.now = None;
                }
                if len > 0 || space.is_empty() {
                    return Ok(len);
                }
            }
            match self.pieces.recv() {
                Ok((piece, room)) => self.now = Some((piece?, room)),
                // All has come.
                Err(_) => return Ok(0),
            }
        }
    }
}
