//! Whether the kernel may back this process's memory with huge pages.
//!
//! They make a load a little faster, and keep memory resident that has been freed: the kernel takes back pages of 2 MiB
//! only when all of one is free, and a page of which one byte is touched counts as a whole. What that costs grows with
//! the number of blocks, not with the budget (see ARCHITECTURE.md), so a small budget goes without.

/// From here on what huge pages keep is small change beside the budget.
const ENOUGH: u64 = 512 << 20;

/// Goes without huge pages, in this process and those that it starts, where the budget is small. Only Linux has them
/// unasked.
pub(crate) fn settle(memory_bytes: u64) {
    #[cfg(target_os = "linux")]
    if memory_bytes < ENOUGH {
        // An error says that this kernel has no such switch: then all is as it was.
        let _ = rustix::thread::disable_transparent_huge_pages(true);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory_bytes;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// `THP_enabled` in `/proc/self/status`, which kernels tell since 5.0.
    fn allowed() -> Option<bool> {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        status.lines().find_map(|line| line.strip_prefix("THP_enabled:")).map(|value| value.trim() == "1")
    }

    #[test]
    fn a_small_budget_goes_without() {
        let before = allowed();
        settle(ENOUGH);
        assert_eq!(allowed(), before);
        settle(ENOUGH - 1);
        assert_ne!(allowed(), Some(true));
    }
}
