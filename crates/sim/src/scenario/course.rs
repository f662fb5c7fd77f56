//! How an export goes from its kick-off to its manifest, where the real servers leave it open.

use crate::fault::RetryAfter;

/// The edition of the Bulk Data Access guide that a SMART server's manifests follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edition {
    /// 1.0: `output`, `error`, `count`.
    Stu1,
    /// 2.0: `deleted` on top.
    Stu2,
    /// 3.0: `link`, `outputOrganizedBy` on top.
    Stu3,
    /// In ballot: `outcome` instead of `error`, `fileSize`; a kick-off by GET is answered 405.
    Stu4,
}

/// The answer to an accepted kick-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KickOffAnswer {
    /// 202, or 200, or any other.
    pub status: u16,
    /// Where it tells the polling location.
    pub location: LocationIn,
    /// The origin in that URL.
    pub host: Host,
}

/// Where a kick-off's answer tells the polling location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocationIn {
    /// The `Content-Location` header.
    ContentLocation,
    /// The `Location` header.
    Location,
    /// At the end of an OperationOutcome's `issue[0].details.text`.
    DetailsText,
    /// In an OperationOutcome's `issue[0].diagnostics`.
    Diagnostics,
    /// Not at all: the text ends with the export's id alone.
    IdOnly,
    /// There is none: the body is the manifest.
    Nowhere,
}

/// An origin that an answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// This server's.
    Here,
    /// The second listener's.
    OtherOrigin,
}

impl Host {
    /// Filled in where the answer is sent.
    pub(crate) fn placeholder(self) -> &'static str {
        match self {
            Host::Here => "{origin}",
            Host::OtherOrigin => "{other_origin}",
        }
    }
}

/// Status requests that are answered before the export is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// How many.
    pub requests: u32,
    /// 202 or 200.
    pub status: u16,
    /// 1upHealth's `status`, such as `Running`, `Pending`; None leaves it out.
    pub word: Option<String>,
    /// Which output files are listed already.
    pub listed: Listed,
    /// Their `Retry-After`.
    pub retry_after: Option<RetryAfter>,
}

/// Which output files an unfinished export names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// None.
    Nothing,
    /// A share that grows with every request.
    Finished,
}

/// How an export ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportEnd {
    /// Every batch is there.
    Successful,
    /// It failed, with the server's words: 1upHealth's status `Failed`, a SMART server's 500.
    Failed(String),
    /// It failed, and a PUT on the polling location makes it run again, to success.
    FailedUntilRetried(String),
    /// It succeeded, but `batches.failed` is this (1upHealth), or nothing more (SMART: put an
    /// [`Outcome`](crate::Role::Outcome) file in).
    Partial(u64),
}
