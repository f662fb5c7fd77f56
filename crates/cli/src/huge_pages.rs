//! Whether the kernel may back this process's memory with huge pages: no.
//!
//! A page of 2 MiB of which one byte is touched counts as a whole, and stays resident until all of it is free. And where a
//! virtual machine tells its host what it does not need, such pages are those that the host has taken: each is fetched back
//! from there, while small pages mostly are at hand. What both cost is in ARCHITECTURE.md.

/// Goes without huge pages, in this process and those that it starts. Only Linux has them unasked.
pub(crate) fn do_without() {
    // An error says that this kernel has no such switch: then all is as it was.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_heeds_it() {
        do_without();
        // Kernels tell since 5.0.
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let enabled = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
        assert!(enabled.is_none_or(|enabled| enabled.trim() == "0"), "{enabled:?}");
    }
}
