//! A lake in a bucket: S3, Google Cloud Storage, Azure and what speaks S3.
//!
//! In goes a lake's URL and the options of its store; out comes a [`BucketStore`] behind `write`'s `Store`. Whoever loads knows
//! no difference but two: a file that is still written cannot be read, and its name appears with its last byte.
//!
//! - A part goes up in pieces while it is written (multipart upload), several at a time and no more than a fixed number of
//!   bytes in all. What a death has left half-way up is noted in the lake, or listed by S3, and aborted
//!   by the next writer.
//! - A file that has to be durable before it is whole (the journal) is a folder of segments, each named by where it begins.
//! - A lake is held by a lease: an object with an owner, renewed while its owner lives (`lease.rs`).

#![forbid(unsafe_code)]

mod credential_process;
mod failure;
mod half_way;
mod lease;
mod place;
mod store;
mod stream;
mod upload;
mod web;

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;

use tokio::runtime::{Builder, Handle, Runtime};

pub use lease::Habits;
pub use place::{Bucket, Objects};
pub use store::BucketStore;

/// Threads that move bytes to and from stores.
const NETWORK_THREADS: usize = 2;

/// The runtime that all requests go through; callers are threads that wait.
fn runtime() -> io::Result<Handle> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(NETWORK_THREADS).thread_name("bucket").enable_all().build()
    });
    runtime
        .as_ref()
        .map(|runtime| runtime.handle().clone())
        .map_err(|error| io::Error::new(error.kind(), error.to_string()))
}

/// Waits for `future`, from any thread: also from one that drives another runtime.
fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let (done, result) = sync_channel(1);
    runtime()?.spawn(async move {
        // Who does not wait any more needs no answer.
        let _ = done.send(future.await);
    });
    result.recv().map_err(|_| io::Error::other("a request to the store broke off"))
}
