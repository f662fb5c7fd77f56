//! How a load's memory is divided, once, before it starts. Nothing borrows from anything else later.
//!
//! In goes `--memory`, `--threads` and `--max-line`; out come the sizes that the workers keep to. What is left over is
//! the allocator's: its pages come back late.

use crate::{LoadError, LoadOptions};

/// A chunk fits a core's second-level cache; beyond a megabyte nothing gets faster, below 256 KiB the locks show.
const CHUNK_BYTES: usize = 1 << 20;

/// The default of `--max-line` stops here: a 64 MB line passes with room to spare.
const DEFAULT_MAX_LINE_BYTES: u64 = 96 << 20;

/// A line may take this part of the memory: it is held as text, as values, and once more as a page being encoded, while
/// its buffer's predecessor may not be free yet.
const MAX_LINE_SHARE: u64 = 12;

/// Of the memory that long lines leave, open row groups get this part, in percent; the rest is for encoding them. Found
/// by measuring the peak on narrow and wide types with 1 to 8 workers.
const BUILDER_PERCENT: u64 = 50;

/// What a worker holds beside its open row groups: a chunk it parses, two that its file's framer fills, decompression.
const WORKER_BYTES: u64 = 4 * CHUNK_BYTES as u64 + (1 << 20);

/// A worker with less for its open row groups writes row groups that no reader likes.
const BUILDER_BYTES_MIN: u64 = 8 << 20;

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
}

impl Budget {
    pub(crate) fn divide(options: &LoadOptions) -> Result<Budget, LoadError> {
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
        let shared = memory - long_line.min(memory / 3);
        let per_worker = |threads: u64| (shared / threads).saturating_sub(WORKER_BYTES) * BUILDER_PERCENT / 100;
        let threads = (1..=options.threads as u64).rev().find(|&threads| per_worker(threads) >= BUILDER_BYTES_MIN);
        let threads = threads.unwrap_or(1);
        let window = memory / (16 * threads);
        Ok(Budget {
            threads: threads as usize,
            chunk_bytes: CHUNK_BYTES,
            max_line_bytes,
            builder_bytes: per_worker(threads) as usize,
            zstd_window_log_max: window.max(1).ilog2().clamp(23, 27),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divide(memory_bytes: u64, threads: usize, max_line_bytes: Option<usize>) -> Result<Budget, LoadError> {
        Budget::divide(&LoadOptions { memory_bytes, threads, max_line_bytes, ..LoadOptions::default() })
    }

    #[test]
    fn the_default_lets_a_long_line_pass() {
        let budget = divide(LoadOptions::MEMORY_BYTES, 2, None).unwrap();
        assert!(budget.max_line_bytes > 64_000_000);
        assert!(budget.builder_bytes >= 128 << 20);
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
