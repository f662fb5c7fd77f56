//! Bad lines: resources that were damaged on their way, and what was never one.

use fastrand::Rng;

use super::BadKind;
use super::chance::pick;
use super::draft::TypeMember;

/// How deep a line of [`BadKind::TooDeep`] goes, in objects; there is an array for each. The lines that are good stay
/// below 20.
pub const TOO_DEEP_LEVELS: usize = 1000;

/// Behind these a resource can be cut off so that only its end is missing: no number, escape or literal is cut, and no
/// character of several bytes.
const CUTS: &[u8] = b":,{[\"";

/// Bytes that occur in no UTF-8: never used ones, half a character, a character in too many bytes, half a surrogate
/// pair.
const NOT_UTF8: [&[u8]; 6] = [b"\xFF", b"\xC3(", b"\x80", b"\xE2\x82", b"\xC0\xAF", b"\xED\xA0\x80"];

/// No beginning of any JSON value among them.
const BARE_TEXTS: [&str; 5] = [
    "upstream connect error or disconnect/reset before headers",
    "<html><head><title>502 Bad Gateway</title></head><body></body></html>",
    "resourceType,id,status",
    "Error: ETIMEDOUT at Socket.<anonymous>",
    "*** end of batch ***",
];

const OPERATION_OUTCOME: &[u8] = b"{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\",\
    \"code\":\"exception\",\"diagnostics\":\"The resource could not be read.\"}]}";

/// Appends a bad line, without its end. `resource` appends a good one, or one that calls itself otherwise.
pub(super) fn write(
    kind: BadKind,
    rng: &mut Rng,
    out: &mut Vec<u8>,
    resource: &mut dyn FnMut(&mut Vec<u8>, TypeMember),
) {
    let begin = out.len();
    match kind {
        BadKind::Truncated => {
            resource(out, TypeMember::Real);
            let length = out.len() - begin;
            let mut end = begin + length / 4 + rng.usize(..length / 2);
            while !CUTS.contains(&out[end - 1]) {
                end -= 1;
            }
            out.truncate(end);
        }
        BadKind::InvalidUtf8 => {
            const ID: &[u8] = b"\"id\":\"";
            resource(out, TypeMember::Real);
            let id = out[begin..].windows(ID.len()).position(|bytes| bytes == ID).map_or(0, |at| at + ID.len());
            let bytes = pick(rng, &NOT_UTF8);
            out.splice(begin + id..begin + id, bytes.iter().copied());
        }
        BadKind::TwoValues => {
            resource(out, TypeMember::Real);
            out.extend_from_slice(pick(rng, &["", " ", "\t"]).as_bytes());
            resource(out, TypeMember::Real);
        }
        BadKind::DuplicateMember => {
            resource(out, TypeMember::Real);
            let member = pick(rng, &["\"id\":\"twice\",", "\"meta\":{\"versionId\":\"0\"},"]);
            prepend(out, begin, member);
        }
        BadKind::UnknownType => {
            let name = pick(rng, &["MemberAward", "explanationOfBenefit", "Patients", "PatientV2"]);
            resource(out, TypeMember::Named(name));
        }
        BadKind::BareText => out.extend_from_slice(pick(rng, &BARE_TEXTS).as_bytes()),
        BadKind::MissingResourceType => resource(out, TypeMember::Absent),
        BadKind::TooDeep => {
            resource(out, TypeMember::Real);
            let open = "{\"url\":\"x\",\"extension\":[".repeat(TOO_DEEP_LEVELS - 1);
            let close = "]}".repeat(TOO_DEEP_LEVELS - 1);
            prepend(out, begin, &format!("\"modifierExtension\":[{open}{{\"url\":\"y\",\"valueInteger\":1}}{close}],"));
        }
        BadKind::NotAnObject => match rng.u32(..5) {
            0 => {
                out.push(b'[');
                resource(out, TypeMember::Real);
                out.push(b']');
            }
            1 => out.extend_from_slice(b"null"),
            2 => out.extend_from_slice(b"\"done\""),
            3 => out.extend_from_slice(b"42"),
            _ => out.extend_from_slice(b"[]"),
        },
        BadKind::BadNumber => {
            resource(out, TypeMember::Real);
            let member = pick(rng, &["\"language\":007,", "\"language\":-,", "\"language\":1.,", "\"language\":1e,"]);
            prepend(out, begin, member);
        }
        BadKind::BadEscape => {
            resource(out, TypeMember::Real);
            let member =
                pick(rng, &["\"language\":\"C:\\users\",", "\"language\":\"\\x41\",", "\"language\":\"\\u00g1\","]);
            prepend(out, begin, member);
        }
        BadKind::ControlCharacter => {
            resource(out, TypeMember::Real);
            let member = pick(rng, &["\"language\":\"en\tUS\",", "\"language\":\"\u{1}\",", "\"language\":\"en\0\","]);
            prepend(out, begin, member);
        }
        BadKind::LoneSurrogateName => {
            resource(out, TypeMember::Real);
            prepend(out, begin, "\"\\ud83d\":true,");
        }
        BadKind::OperationOutcome => out.extend_from_slice(OPERATION_OUTCOME),
    }
}

/// Puts a member before the first one of the object that begins at `begin`.
fn prepend(out: &mut Vec<u8>, begin: usize, member: &str) {
    out.splice(begin + 1..begin + 1, member.bytes());
}
