//! The largest resident memory that this process has had: what `--memory` promises to bound.

/// In bytes; none where the system does not tell (only Linux does, in `/proc`).
pub(crate) fn bytes() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmHWM:     1234 kB`, where kB means KiB.
fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_file() {
        assert_eq!(parse("Name:\tlakehaul\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\n"), Some(2 << 20));
        assert_eq!(parse("Name:\tlakehaul\n"), None);
    }
}
