//! What to generate: every knob of the generator, with what it is for.

use jiff::Timestamp;

/// The types that members have, in the order of their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// One a member.
    Patient,
    /// One a member, and a second one for one member in four.
    Coverage,
    /// Five an episode of care: the bulk of a payer's export.
    ExplanationOfBenefit,
    /// Three an episode: of its first three explanations of benefit.
    Claim,
    /// Two an episode.
    Encounter,
    /// Two an episode.
    Condition,
    /// Two an episode.
    Procedure,
    /// Eight an episode.
    Observation,
    /// Two an episode.
    MedicationRequest,
    /// The payers, and one provider for 50 members.
    Organization,
    /// One for 20 members.
    Practitioner,
    /// One for 40 members.
    Location,
}

impl ResourceType {
    /// All of them.
    pub const ALL: [ResourceType; 12] = [
        ResourceType::Patient,
        ResourceType::Coverage,
        ResourceType::ExplanationOfBenefit,
        ResourceType::Claim,
        ResourceType::Encounter,
        ResourceType::Condition,
        ResourceType::Procedure,
        ResourceType::Observation,
        ResourceType::MedicationRequest,
        ResourceType::Organization,
        ResourceType::Practitioner,
        ResourceType::Location,
    ];

    /// As `resourceType` has it.
    pub fn name(self) -> &'static str {
        match self {
            ResourceType::Patient => "Patient",
            ResourceType::Coverage => "Coverage",
            ResourceType::ExplanationOfBenefit => "ExplanationOfBenefit",
            ResourceType::Claim => "Claim",
            ResourceType::Encounter => "Encounter",
            ResourceType::Condition => "Condition",
            ResourceType::Procedure => "Procedure",
            ResourceType::Observation => "Observation",
            ResourceType::MedicationRequest => "MedicationRequest",
            ResourceType::Organization => "Organization",
            ResourceType::Practitioner => "Practitioner",
            ResourceType::Location => "Location",
        }
    }

    /// The type of that name, if members have it.
    pub fn from_name(name: &str) -> Option<ResourceType> {
        ResourceType::ALL.into_iter().find(|of| of.name() == name)
    }
}

/// What to generate. The same options give the same bytes, on every machine.
///
/// A member has two episodes of care on average, some have none and some six; a member is about 150 kB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersOptions {
    /// All ids and contents follow from it.
    pub seed: u64,
    /// How many members; how many resources of each type follows from it.
    pub members: u64,
    /// Which types get files, in this order; a type named twice counts once. References lead to all types, so leaving
    /// one out leaves references without their target, as an export with `_type` does.
    pub types: Vec<ResourceType>,
    /// How a type's resources are parted into files.
    pub split: Split,
    /// Lines that are no resources, on top of the good ones.
    pub bad_lines: BadLines,
    /// What is wrong with them, in turn; no bad lines without a kind.
    pub bad_kinds: Vec<BadKind>,
    /// Elements that show up late in a file.
    pub late_columns: LateColumns,
    /// Blank lines per thousand resources: empty ones and ones of white space. Never a file's last line.
    pub blank_per_mille: u32,
    /// Of all files, as are the next two.
    pub line_ending: LineEnding,
    /// Whether files begin with one.
    pub byte_order_mark: ByteOrderMark,
    /// Whether the last line of a file has its end.
    pub final_newline: FinalNewline,
    /// The order of members in objects.
    pub member_order: MemberOrder,
    /// One resource that fills a very long line.
    pub long_line: Option<LongLine>,
    /// How many deletions the file of `deleted` Bundles has; no such file for 0. In a since-export these are resources
    /// of the full export that did not change, as long as there are any; otherwise ones that were never exported.
    pub deletions: u64,
    /// How many lines the file of `OperationOutcome`s has, which a manifest lists under `error`; no such file for 0.
    pub outcomes: u64,
    /// A full export, or a later one of what has changed.
    pub since: Option<Since>,
    /// When the full export was made: nothing in it is younger.
    pub transaction_time: Timestamp,
}

/// 100 members, all types, one file a type, and nothing out of the ordinary.
impl Default for MembersOptions {
    fn default() -> Self {
        MembersOptions {
            seed: 1,
            members: 100,
            types: ResourceType::ALL.to_vec(),
            split: Split::Lines(50_000),
            bad_lines: BadLines::None,
            bad_kinds: BadKind::ALL.to_vec(),
            late_columns: LateColumns::Absent,
            blank_per_mille: 0,
            line_ending: LineEnding::Lf,
            byte_order_mark: ByteOrderMark::Absent,
            final_newline: FinalNewline::Present,
            member_order: MemberOrder::Usual,
            long_line: None,
            deletions: 0,
            outcomes: 0,
            since: None,
            transaction_time: Timestamp::constant(1_767_225_600, 0),
        }
    }
}

/// How a type's resources are parted into files. 0 counts as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// So many files of each type, as even as can be; fewer where a type has fewer resources.
    Files(u64),
    /// So many resources a file; the last file of a type has the rest.
    Lines(u64),
}

/// How many lines are bad, in all files of resources together. They are spread evenly, at places that the seed decides,
/// before or behind resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLines {
    /// Not one.
    None,
    /// Per million resources, rounded down.
    PerMillion(u64),
    /// Exactly so many, unless there is no resource at all.
    Exactly(u64),
}

/// What is wrong with a line. [`reason`](BadKind::reason) is what a loader should say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BadKind {
    /// A resource that is cut off.
    Truncated,
    /// Bytes that are not UTF-8 inside a string.
    InvalidUtf8,
    /// Two resources on one line.
    TwoValues,
    /// An object with two members of one name.
    DuplicateMember,
    /// A type that FHIR R4 does not have.
    UnknownType,
    /// What a proxy says instead of JSON.
    BareText,
    /// A resource without its type.
    MissingResourceType,
    /// Extensions in extensions, [`TOO_DEEP_LEVELS`](crate::members::TOO_DEEP_LEVELS) objects deep.
    TooDeep,
    /// JSON, but an array, a string, a number or null.
    NotAnObject,
    /// A number with a leading zero.
    BadNumber,
    /// An escape that JSON does not have.
    BadEscape,
    /// A bare control character in a string.
    ControlCharacter,
    /// Half a surrogate pair in a member name.
    LoneSurrogateName,
    /// An OperationOutcome among the resources.
    OperationOutcome,
}

impl BadKind {
    /// All of them.
    pub const ALL: [BadKind; 14] = [
        BadKind::Truncated,
        BadKind::InvalidUtf8,
        BadKind::TwoValues,
        BadKind::DuplicateMember,
        BadKind::UnknownType,
        BadKind::BareText,
        BadKind::MissingResourceType,
        BadKind::TooDeep,
        BadKind::NotAnObject,
        BadKind::BadNumber,
        BadKind::BadEscape,
        BadKind::ControlCharacter,
        BadKind::LoneSurrogateName,
        BadKind::OperationOutcome,
    ];

    /// The reason code of the quarantine's index that fits.
    pub fn reason(self) -> &'static str {
        match self {
            BadKind::Truncated => "unexpected_end",
            BadKind::InvalidUtf8 => "invalid_utf8",
            BadKind::TwoValues => "two_values",
            BadKind::DuplicateMember => "duplicate_member",
            BadKind::UnknownType => "unknown_resource_type",
            BadKind::BareText => "not_json",
            BadKind::MissingResourceType => "missing_resource_type",
            BadKind::TooDeep => "too_deep",
            BadKind::NotAnObject => "not_an_object",
            BadKind::BadNumber => "bad_number",
            BadKind::BadEscape => "bad_escape",
            BadKind::ControlCharacter => "control_character",
            BadKind::LoneSurrogateName => "lone_surrogate_name",
            BadKind::OperationOutcome => "operation_outcome",
        }
    }
}

/// Elements and extensions that nothing else has, so that a table's schema grows late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateColumns {
    /// There are none.
    Absent,
    /// They are in the last so many per thousand of each file's resources.
    LastPerMille(u32),
}

/// How lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnding {
    /// With LF.
    Lf,
    /// With CR LF.
    CrLf,
    /// Now so, now so.
    Mixed,
}

/// Whether a file begins with the byte order mark of UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrderMark {
    /// It does not.
    Absent,
    /// It does.
    Present,
}

/// Whether a file's last line has its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalNewline {
    /// It does.
    Present,
    /// It does not.
    Missing,
}

/// The order of members in objects, of all depths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberOrder {
    /// As FHIR lists the elements; `resourceType` first.
    Usual,
    /// Another one in each object. About a third slower.
    Shuffled,
}

/// One resource whose narrative fills a long line. It is generated in pieces, so its length costs no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongLine {
    /// Of this type; nothing happens if it is not generated.
    pub resource_type: ResourceType,
    /// Which of the export's resources of that type, from 0; nothing happens beyond the last one.
    pub ordinal: u64,
    /// How long the narrative is; the line is a little longer.
    pub bytes: u64,
}

/// A later export: of the full one's resources those that have changed, each in a new version with another content.
/// Ids, names and references stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// `_since`: every `meta.lastUpdated` is later, by a month at most. To be later than all of the full export, it is
    /// that one's `transaction_time` or later.
    pub after: Timestamp,
    /// How many of a thousand resources of each type have changed; 1000 at most.
    pub changed_per_mille: u32,
    /// `meta.versionId` of what has changed, from 2; another version has other changes.
    pub version: u32,
}
