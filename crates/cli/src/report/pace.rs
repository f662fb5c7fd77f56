//! How a load gets on: in come its counters and the time since its start, out goes one line of text.

use std::sync::atomic::Ordering::Relaxed;

use lakehaul_load::Progress;

use super::figures;

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// How many files are known.
    pub files: u64,
    /// What they weigh as they lie there; none if one of them has no size.
    pub bytes: Option<u64>,
    /// Files read to their end.
    pub files_finished: u64,
    /// Bytes read, as they came.
    pub bytes_read: u64,
    /// The same, decompressed.
    pub content_bytes: u64,
    /// Lines seen.
    pub lines: u64,
    /// Lines that became rows.
    pub rows: u64,
    /// Lines that went to quarantine.
    pub rejected: u64,
    /// Since the load began.
    pub seconds: f64,
}

impl Pace {
    /// Reads the counters.
    pub fn read(progress: &Progress, bytes: Option<u64>, seconds: f64) -> Pace {
        Pace {
            files: progress.files.load(Relaxed),
            bytes,
            files_finished: progress.files_finished.load(Relaxed),
            bytes_read: progress.bytes_read.load(Relaxed),
            content_bytes: progress.content_bytes.load(Relaxed),
            lines: progress.lines.load(Relaxed),
            rows: progress.rows.load(Relaxed),
            rejected: progress.rejected.load(Relaxed),
            seconds,
        }
    }

    /// Seconds until all bytes are read, if the pace so far holds. None too early to tell, and at the end.
    pub fn seconds_left(&self) -> Option<f64> {
        let total = self.bytes.filter(|&total| self.bytes_read > 0 && self.bytes_read < total)?;
        (self.seconds >= 1.0).then(|| self.seconds * (total - self.bytes_read) as f64 / self.bytes_read as f64)
    }

    /// `12 of 18 files, 1.2 GB of 3.4 GB, 480.2 MB/s, 412,000 rows/s, 35 s left`
    pub fn line(&self) -> String {
        let mut parts = vec![format!(
            "{} of {}",
            figures::count(self.files_finished),
            figures::counted(self.files, "file", "files")
        )];
        parts.push(match self.bytes {
            Some(total) => format!("{} of {}", figures::bytes(self.bytes_read), figures::bytes(total)),
            None => figures::bytes(self.bytes_read),
        });
        parts.extend(figures::rate(self.content_bytes, self.seconds));
        if self.seconds > 0.0 {
            parts.push(format!("{} rows/s", figures::count((self.rows as f64 / self.seconds) as u64)));
        }
        if self.rejected > 0 {
            parts.push(format!("{} rejected", figures::count(self.rejected)));
        }
        parts.extend(self.seconds_left().map(|left| format!("{} left", figures::duration(left))));
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDWAY: Pace = Pace {
        files: 18,
        bytes: Some(3_400_000_000),
        files_finished: 12,
        bytes_read: 1_200_000_000,
        content_bytes: 12_000_000_000,
        lines: 10_300_001,
        rows: 10_300_000,
        rejected: 0,
        seconds: 25.0,
    };

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        for (pace, line) in [
            (MIDWAY, "12 of 18 files, 1.2 GB of 3.4 GB, 480.0 MB/s, 412,000 rows/s, 46 s left"),
            (
                Pace { rejected: 1, ..MIDWAY },
                "12 of 18 files, 1.2 GB of 3.4 GB, 480.0 MB/s, 412,000 rows/s, 1 rejected, 46 s left",
            ),
            (Pace { bytes: None, files: 1, ..MIDWAY }, "12 of 1 file, 1.2 GB, 480.0 MB/s, 412,000 rows/s"),
            (
                Pace { bytes_read: 3_400_000_000, ..MIDWAY },
                "12 of 18 files, 3.4 GB of 3.4 GB, 480.0 MB/s, 412,000 rows/s",
            ),
            (Pace { seconds: 0.0, ..MIDWAY }, "12 of 18 files, 1.2 GB of 3.4 GB"),
        ] {
            assert_eq!(pace.line(), line);
        }
    }
}
