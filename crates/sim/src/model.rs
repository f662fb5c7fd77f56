//! What a scenario's output files truly hold, for a test to compare a run record with.

use bytes::Bytes;

use crate::served_file::Role;

/// The truth about a scenario's output files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// In the order of the manifest.
    pub files: Vec<FileFacts>,
}

/// The truth about one output file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// The last segment of its URL.
    pub name: String,
    /// The list of the manifest that it is in.
    pub role: Role,
    /// What it was made as.
    pub resource_type: String,
    /// What the manifest says that it is.
    pub declared_type: Option<String>,
    /// All lines; a last one without a line end is one.
    pub lines: u64,
    /// Lines of nothing but blanks, tabs and carriage returns.
    pub blank: u64,
    /// Lines that a generator made bad on purpose; those that a scenario put into bytes of its own are not known as
    /// such.
    pub bad: u64,
    /// Uncompressed.
    pub content_bytes: u64,
}

impl FileFacts {
    /// All other lines: what a true `count` counts.
    pub fn resources(&self) -> u64 {
        self.lines - self.blank - self.bad
    }
}

impl Model {
    /// Of all `output` files: what a true `resourceCount` counts.
    pub fn resources(&self) -> u64 {
        self.files.iter().filter(|file| file.role == Role::Output).map(FileFacts::resources).sum()
    }

    /// The file of this name.
    pub fn file(&self, name: &str) -> Option<&FileFacts> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// What a pass over a file's lines tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineFacts {
    pub(crate) lines: u64,
    pub(crate) blank: u64,
    pub(crate) bad: u64,
    /// None where the lines were told and the bytes were not.
    pub(crate) bytes: Option<u64>,
}

impl LineFacts {
    pub(crate) fn of(pieces: impl IntoIterator<Item = Bytes>) -> LineFacts {
        let (mut lines, mut blank, mut bytes) = (0, 0, 0);
        // Of the line that is open: whether it has any byte, and any that is not white space.
        let (mut open, mut filled) = (false, false);
        for piece in pieces {
            bytes += piece.len() as u64;
            for &byte in &piece {
                if byte == b'\n' {
                    lines += 1;
                    blank += u64::from(!filled);
                    (open, filled) = (false, false);
                } else {
                    open = true;
                    filled |= !matches!(byte, b' ' | b'\t' | b'\r');
                }
            }
        }
        LineFacts {
            lines: lines + u64::from(open),
            blank: blank + u64::from(open && !filled),
            bad: 0,
            bytes: Some(bytes),
        }
    }

    pub(crate) fn resources(self) -> u64 {
        self.lines - self.blank - self.bad
    }

    /// Of a text that ends with a line end, so many times over.
    pub(crate) fn times(self, times: u64) -> LineFacts {
        LineFacts {
            lines: self.lines * times,
            blank: self.blank * times,
            bad: self.bad * times,
            bytes: self.bytes.map(|bytes| bytes * times),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], lines: u64, blank: u64) {
        let expected = LineFacts { lines, blank, bad: 0, bytes: Some(text.len() as u64) };
        for split in 0..=text.len() {
            let (front, back) = text.split_at(split);
            let pieces = [front, back].map(Bytes::copy_from_slice);
            assert_eq!(LineFacts::of(pieces), expected, "split at {split}");
        }
    }

    #[test]
    fn lines_are_counted_at_every_split() {
        check(b"", 0, 0);
        check(b"\n", 1, 1);
        check(b"{}\n", 1, 0);
        check(b"{}", 1, 0);
        check(b"{}\r\n \t\r\n\n{}\n ", 5, 3);
    }
}
