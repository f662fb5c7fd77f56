//! What a lake's tables are to other programs.

use serde::{Deserialize, Serialize};

/// What the tables are to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Folders of Parquet files: what is in the folder is in the table.
    #[default]
    Parquet,
    /// Delta tables: what their log says is in the table.
    Delta,
}

impl Format {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Delta => "delta",
        }
    }
}
