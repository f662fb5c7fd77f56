//! How a load's memory is divided, once, before it starts. Nothing borrows from anything else later.
//!
//! In goes `--memory`, `--threads` and `--max-line`; out come the sizes that the workers keep to. What is left over is
//! the allocator's: its pages come back late.

use crate::{LoadError, LoadOptions, stores};

/// As much as a chunk may be.
const CHUNK_BYTES: usize = LoadOptions::CHUNK_BYTES;

/// The default of `--max-line` stops here: a 64 MB line passes with room to spare.
const DEFAULT_MAX_LINE_BYTES: u64 = 96 << 20;

/// A line may take this part of the memory: it is held as text, as values, and once more as a page being encoded, while
/// its buffer's predecessor may not be free yet.
const MAX_LINE_SHARE: u64 = 12;

/// Of the memory that long lines leave, open row groups get this part, in percent; the rest is for encoding them. Found
/// by measuring the peak on narrow and wide types with 1 to 8 workers.
const BUILDER_PERCENT: u64 = 28;

/// Open row groups of all workers take no more than this and as much again as [`BUILDER_BYTES_A_WORKER`] for each: memory
/// that is touched for the first time is dear (a page fault each), and larger row groups make a lake hardly smaller.
const BUILDER_BYTES_SHARED: u64 = 60 << 20;
const BUILDER_BYTES_A_WORKER: u64 = 18 << 20;

/// What a worker holds beside its open row groups: a chunk it parses, two that its file's framer fills, decompression.
const WORKER_BYTES: u64 = 4 * CHUNK_BYTES as u64 + (1 << 20);

/// A worker with less for its open row groups writes row groups that no reader likes.
const BUILDER_BYTES_MIN: u64 = 8 << 20;

/// Beyond this a line waits until no other such line is in memory.
const LARGE_LINE_BYTES: u64 = 8 << 20;

/// Of a lake in a store, what is on its way up in the whole process (`bucket` sends twelve pieces of 5 MiB at a time), and what
/// waits in a worker's open parts for a piece to be full: found by measuring with 18 and 40 tables (`tests/stores/cost.py`).
const UPLOAD_BYTES: u64 = 60 << 20;
const UPLOAD_BYTES_A_WORKER: u64 = 20 << 20;

/// An export may use this part of the memory for bytes on their way from sockets to workers.
const NETWORK_SHARE: u64 = 5;

/// What a connection holds of itself: the HTTP library's read buffer and TLS records.
const CONNECTION_BYTES: u64 = 768 << 10;

/// With less, a file's lines come in chunks so small that a worker does nothing but change files.
const REMOTE_FILE_BYTES_MIN: u64 = 3 << 19;

/// How much comes in one go: a worker that has emptied a pipe turns to another table, and a sender
/// that has filled one sleeps. Found by measuring: an export of eight files at once over loopback.
const PIPE_BYTES_MAX: u64 = 8 << 20;

/// The division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) threads: usize,
    pub(crate) chunk_bytes: usize,
    pub(crate) max_line_bytes: usize,
    /// A worker's open row groups together.
    pub(crate) builder_bytes: usize,
    /// A compressed file may ask for a window of at most two to the power of this.
    pub(crate) zstd_window_log_max: u32,
    /// Beyond this a line waits until no other such line is in memory.
    pub(crate) large_line_bytes: u64,
    pub(crate) network: Network,
}

/// What is on its way from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// Output files at once: those asked for, or as many as the memory allows. Zero: nothing comes from a server.
    pub(crate) files: usize,
    /// Bytes of one file that have arrived and wait.
    pub(crate) pipe_bytes: usize,
    /// The most that a page of a search may have: a body that grows takes up to twice its room.
    pub(crate) page_bytes: usize,
}

impl Budget {
    /// `remote_files`: how many output files of a server may be open at once. `lake`: what is written into.
    pub(crate) fn divide(options: &LoadOptions, remote_files: usize, lake: &str) -> Result<Budget, LoadError> {
        let memory = options.memory_bytes;
        let min = LoadOptions::MEMORY_BYTES_MIN;
        if memory < min {
            return Err(LoadError::Usage(format!(
                "a memory of {memory} bytes is too little; give at least {min} (--memory)"
            )));
        }
        if options.threads == 0 {
            return Err(LoadError::Usage("nothing is done by 0 threads; give at least 1 (--threads)".to_owned()));
        }
        if options.max_depth == 0 {
            return Err(LoadError::Usage("a depth of 0 allows no resource; give at least 1 (--max-depth)".to_owned()));
        }
        if options.max_depth > LoadOptions::MAX_DEPTH_MAX {
            let max = LoadOptions::MAX_DEPTH_MAX;
            return Err(LoadError::Usage(format!("lines are at most {max} levels deep (--max-depth)")));
        }
        let longest = memory / MAX_LINE_SHARE;
        let max_line_bytes = match options.max_line_bytes {
            None => longest.min(DEFAULT_MAX_LINE_BYTES) as usize,
            Some(asked) if asked as u64 <= longest => asked,
            Some(asked) => {
                let needed = asked as u64 * MAX_LINE_SHARE;
                return Err(LoadError::Usage(format!(
                    "lines of {asked} bytes (--max-line) need a memory of {needed} bytes; --memory is {memory}"
                )));
            }
        };
        // As text twice (a growing buffer is copied), as values and as pages.
        let long_line = 3 * max_line_bytes as u64;
        let network_bytes = if remote_files == 0 { 0 } else { memory / NETWORK_SHARE };
        let files = (remote_files as u64).min((network_bytes / REMOTE_FILE_BYTES_MIN).max(1)) as usize;
        let files = if remote_files == 0 { 0 } else { files };
        // A file's share: its connection, its pipe, and two chunks that its framer fills.
        let file_bytes = network_bytes.checked_div(files as u64).unwrap_or(0);
        let buffers = file_bytes.saturating_sub(CONNECTION_BYTES);
        let most = options.chunk_bytes.clamp(1, CHUNK_BYTES);
        let chunk_bytes = if files == 0 { most } else { most.min(buffers as usize / 4) };
        let pipe_bytes = (buffers / 3).min(PIPE_BYTES_MAX) as usize;
        // Below it a file's line counts as part of the file's share.
        let large_line_bytes = if files == 0 { LARGE_LINE_BYTES } else { LARGE_LINE_BYTES.min(file_bytes) };
        let (uploads, worker_bytes) = match stores::is_url(lake) {
            // Of little memory not all: a piece may wait longer.
            true => (UPLOAD_BYTES.min(memory / 8), WORKER_BYTES + UPLOAD_BYTES_A_WORKER.min(memory / 16)),
            false => (0, WORKER_BYTES),
        };
        let shared = memory - long_line.min(memory / 3) - network_bytes - uploads;
        let per_worker = |threads: u64| {
            let most = BUILDER_BYTES_SHARED / threads + BUILDER_BYTES_A_WORKER;
            ((shared / threads).saturating_sub(worker_bytes) * BUILDER_PERCENT / 100).min(most)
        };
        let threads = (1..=options.threads as u64).rev().find(|&threads| per_worker(threads) >= BUILDER_BYTES_MIN);
        let threads = threads.unwrap_or(1);
        let window = memory / (16 * threads);
        Ok(Budget {
            threads: threads as usize,
            chunk_bytes,
            max_line_bytes,
            builder_bytes: per_worker(threads) as usize,
            zstd_window_log_max: window.max(1).ilog2().clamp(23, 27),
            large_line_bytes,
            network: Network { files, pipe_bytes, page_bytes: (buffers / 2) as usize },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divide(memory_bytes: u64, threads: usize, max_line_bytes: Option<usize>) -> Result<Budget, LoadError> {
        Budget::divide(&LoadOptions { memory_bytes, threads, max_line_bytes, ..LoadOptions::default() }, 0, "lake")
    }

    #[test]
    fn the_default_lets_a_long_line_pass() {
        let budget = divide(LoadOptions::MEMORY_BYTES, 2, None).unwrap();
        assert!(budget.max_line_bytes > 64_000_000);
        assert!(budget.builder_bytes >= 40 << 20);
    }

    #[test]
    fn the_parts_stay_below_the_whole() {
        for memory in [LoadOptions::MEMORY_BYTES_MIN, 200 << 20, 1 << 30, 64 << 30] {
            for threads in [1, 2, 8, 64] {
                let budget = divide(memory, threads, None).unwrap();
                let workers = budget.threads as u64 * (budget.builder_bytes as u64 + WORKER_BYTES);
                assert!(workers + 3 * budget.max_line_bytes as u64 <= memory, "{memory} {threads}");
                assert!((1..=threads).contains(&budget.threads));
                assert!(budget.builder_bytes as u64 >= BUILDER_BYTES_MIN);
            }
        }
    }

    #[test]
    fn what_waits_to_go_up_has_its_share() {
        for memory in [LoadOptions::MEMORY_BYTES_MIN, 512 << 20, 1 << 30] {
            for threads in [1, 2, 16] {
                let options = LoadOptions { memory_bytes: memory, threads, ..LoadOptions::default() };
                let budget = Budget::divide(&options, 0, "s3://bucket/lake").unwrap();
                let a_worker = budget.builder_bytes as u64 + WORKER_BYTES + UPLOAD_BYTES_A_WORKER.min(memory / 16);
                let workers = budget.threads as u64 * a_worker + UPLOAD_BYTES.min(memory / 8);
                assert!(workers + 3 * budget.max_line_bytes as u64 <= memory, "{memory} {threads}: {budget:?}");
            }
        }
    }

    #[test]
    fn files_of_a_server_have_their_share() {
        for (memory, asked) in [(LoadOptions::MEMORY_BYTES_MIN, 64), (1 << 30, 16), (1 << 30, 64), (64 << 30, 1000)] {
            let options = LoadOptions { memory_bytes: memory, threads: 2, ..LoadOptions::default() };
            let budget = Budget::divide(&options, asked, "lake").unwrap();
            let Network { files, pipe_bytes, page_bytes } = budget.network;
            assert!((1..=asked).contains(&files) && pipe_bytes >= 128 << 10, "{memory}: {budget:?}");
            assert!(page_bytes > 300 << 10, "{memory}: {budget:?}");
            let a_file = CONNECTION_BYTES + pipe_bytes as u64 + 2 * budget.chunk_bytes as u64;
            let workers = budget.threads as u64 * (budget.builder_bytes as u64 + WORKER_BYTES);
            let sum = files as u64 * a_file + workers + (3 * budget.max_line_bytes as u64).min(memory / 3);
            assert!(sum <= memory, "{memory}: {sum}");
        }
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (memory, threads, max_line, says) in [
            (1 << 20, 1, None, "--memory"),
            (1 << 30, 0, None, "--threads"),
            (1 << 30, 1, Some(100 << 20), "need a memory of 1258291200 bytes"),
        ] {
            let error = divide(memory, threads, max_line).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
        assert_eq!(divide(1 << 30, 1, Some(1 << 20)).unwrap().max_line_bytes, 1 << 20);
    }
}
