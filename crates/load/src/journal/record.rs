//! What the journal says: which lines of which version of which output file are in which durable row group.
//!
//! One [`Checkpoint`] is true as a whole or not at all: the row groups that it names hold the rows of the lines that it
//! names, no row less and none more. Nothing of a line's content is here: names of files, paths and numbers are.

use lakehaul_fetch::FileVersion;
use serde::{Deserialize, Serialize};

use crate::asides::Segment;
use crate::block_hash::{Blocks, Prefix};
use crate::lines::LineCounts;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(crate) enum Record {
    /// A process begins to write. It is known by the number of processes before it.
    Attempt,
    /// An output file; checkpoints name it by the number of file records before this one.
    File(FileRecord),
    /// A part; checkpoints name it by the number of part records before this one.
    Part(PartRecord),
    /// Something is durable. It is known by the number of checkpoints before it.
    Checkpoint(Checkpoint),
    /// Checkpoints that do not count any more: a file of theirs has changed, or a part of theirs is gone.
    Forgotten {
        /// Their numbers.
        checkpoints: Vec<usize>,
    },
}

/// An output file, and its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// What the file is known by from one process to the next. No URL: it might be a secret.
    pub(crate) key: String,
    /// `output_files[].name`
    pub(crate) name: String,
    pub(crate) version: Version,
    /// Its bytes are its text: not compressed.
    pub(crate) plain: bool,
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "where", rename_all = "snake_case")]
pub(crate) enum Version {
    /// Nothing does: what is in it is read again and compared.
    #[default]
    Unknown,
    /// A file of this machine.
    Local {
        /// Its length.
        bytes: u64,
        /// When it was last changed, since 1970. Text: JSON's numbers are not sure to hold it.
        modified_nanos: String,
    },
    /// A server's.
    Remote(FileVersion),
}

/// A part that is being written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) path: String,
    /// The worker that writes it.
    pub(crate) writer: String,
    pub(crate) resource_type: String,
    /// The text of a schema file.
    pub(crate) schema: String,
}

/// What one worker has brought to disk since its last checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) files: Vec<FileProgress>,
    pub(crate) types: Vec<TypeCounts>,
    pub(crate) row_groups: Vec<RowGroupRecord>,
    /// Parts that are complete.
    pub(crate) closed: Vec<ClosedRecord>,
    /// Lines that are no rows.
    pub(crate) asides: Vec<Segment>,
}

/// Lines of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileProgress {
    /// The number of its record.
    pub(crate) file: usize,
    pub(crate) ranges: Vec<LineRange>,
    pub(crate) counts: LineCounts,
    /// Chaining values of its bytes as they came.
    #[serde(with = "blocks_as_text")]
    pub(crate) blocks: Blocks,
    /// As far as it was read by then.
    pub(crate) prefix: Option<Prefix>,
    /// It was read to its end, and is whole.
    pub(crate) end: Option<FileEnd>,
}

/// Whole lines that follow each other, their ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LineRange {
    /// Bytes of the decompressed file.
    pub(crate) start: u64,
    /// Behind the last line's end.
    pub(crate) end: u64,
    /// The number of the first line, from 1.
    pub(crate) line: u64,
    pub(crate) lines: u64,
}

/// What a whole file came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEnd {
    /// As it came.
    pub(crate) bytes: u64,
    pub(crate) blake3: String,
    /// Decompressed.
    pub(crate) content_bytes: u64,
    pub(crate) unverified_length: bool,
    /// As the server stated it.
    pub(crate) stated_bytes: Option<u64>,
}

/// Lines by the type of their resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TypeCounts {
    /// Of rejects that name none: the file's declared type, or nothing.
    pub(crate) resource_type: String,
    pub(crate) lines: u64,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    pub(crate) content_bytes: u64,
}

/// A row group in a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowGroupRecord {
    /// The number of the part's record.
    pub(crate) part: usize,
    pub(crate) rows: u64,
    /// Where in the part it ends, and the hash of the part up to there.
    pub(crate) end: u64,
    pub(crate) blake3: String,
    /// Where what its part's footer says of it is laid down.
    pub(crate) footer: FooterPlace,
    pub(crate) beyond_caps: u64,
}

/// A stretch of the file of footers of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FooterPlace {
    pub(crate) attempt: usize,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) blake3: String,
}

/// A part that is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClosedRecord {
    /// The number of its record.
    pub(crate) part: usize,
    pub(crate) bytes: u64,
    pub(crate) blake3: String,
}

impl FileProgress {
    /// Adds lines, which may go on where the last ones end.
    pub(crate) fn add(&mut self, range: LineRange) {
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => {
                last.end = range.end;
                last.lines += range.lines;
            }
            _ => self.ranges.push(range),
        }
    }
}

/// First block and hexadecimal values of each run of blocks: JSON's keys would be as long as the values.
mod blocks_as_text {
    use std::fmt::Write;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::block_hash::Blocks;

    pub(super) fn serialize<S: Serializer>(blocks: &Blocks, serializer: S) -> Result<S::Ok, S::Error> {
        let mut runs: Vec<(u64, String)> = Vec::new();
        let mut next = None;
        for (&block, value) in blocks {
            if next != Some(block) {
                runs.push((block, String::new()));
            }
            next = Some(block + 1);
            if let Some((_, text)) = runs.last_mut() {
                value.iter().try_for_each(|byte| write!(text, "{byte:02x}")).map_err(serde::ser::Error::custom)?;
            }
        }
        runs.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Blocks, D::Error> {
        let mut blocks = Blocks::new();
        for (first, text) in Vec::<(u64, String)>::deserialize(deserializer)? {
            for (at, value) in text.as_bytes().chunks(64).enumerate() {
                let mut bytes = [0; 32];
                for (byte, digits) in bytes.iter_mut().zip(value.chunks(2)) {
                    let digits = std::str::from_utf8(digits).map_err(D::Error::custom)?;
                    *byte = u8::from_str_radix(digits, 16).map_err(D::Error::custom)?;
                }
                blocks.insert(first + at as u64, bytes);
            }
        }
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let blocks = [(0, [1; 32]), (1, [0xab; 32]), (7, [7; 32])].into_iter().collect();
        let mut progress = FileProgress { blocks, ..FileProgress::default() };
        progress.add(LineRange { start: 0, end: 10, line: 1, lines: 2 });
        progress.add(LineRange { start: 10, end: 12, line: 3, lines: 1 });
        progress.add(LineRange { start: 20, end: 22, line: 9, lines: 1 });
        assert_eq!(progress.ranges[0], LineRange { start: 0, end: 12, line: 1, lines: 3 });
        assert_eq!(progress.ranges.len(), 2);
        let modified_nanos = (1_u128 << 70).to_string();
        for record in [
            Record::Attempt,
            Record::File(FileRecord {
                key: "k".to_owned(),
                name: "n".to_owned(),
                version: Version::Local { bytes: 1, modified_nanos },
                plain: true,
            }),
            Record::Checkpoint(Checkpoint { files: vec![progress], ..Checkpoint::default() }),
            Record::Forgotten { checkpoints: vec![0, 3] },
        ] {
            let text = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{text}");
        }
    }
}
