//! What a payer's answer to `$member-match` says, wherever it says it.
//!
//! 1upHealth's page tells to take the `groupId` of the answer and not where it is, so it is looked for in all likely places:
//! a member of the body, a parameter by its name, a Group that is contained.

use http::StatusCode;
use serde_json::Value;

use super::{MatchAnswer, is_about_members};
use crate::operation_outcome::OperationOutcome;

/// How deep parts of parameters are looked into.
const DEPTH: usize = 4;
/// FHIR ids have 64 characters; a database's may have more.
const ID_BYTES: usize = 128;
/// The code of HRex for more than one member (`OperationOutcome.issue.code`, FHIR R4 issue-type).
const MULTIPLE: &str = "multiple-matches";

/// Reads an answer that is final.
pub(super) fn read(status: StatusCode, body: &[u8]) -> MatchAnswer {
    let outcome = OperationOutcome::read(body);
    let words =
        outcome.as_ref().map_or_else(|| format!("the answer is {status}, without a reason"), OperationOutcome::words);
    if status.is_success() && outcome.is_none() {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        return if let Some(id) = group(&json) {
            MatchAnswer::Group { id }
        } else if has_member_identifier(&json) {
            MatchAnswer::Identifier
        } else {
            let words = format!("the answer is {status}, and has neither a group nor a member's identifier");
            MatchAnswer::Refused { status: status.as_u16(), words }
        };
    }
    let code = |code: &str| outcome.as_ref().is_some_and(|outcome| outcome.has_code(code));
    let several = |text: &str| {
        let text = text.to_ascii_lowercase();
        ["multiple", "ambiguous", "more than one", "not unique"].iter().any(|word| text.contains(word))
    };
    let told = is_about_members(status) || status == StatusCode::BAD_REQUEST || status.is_success();
    if told && (code(MULTIPLE) || (is_about_members(status) && several(&words))) {
        MatchAnswer::Ambiguous { words }
    } else if is_about_members(status) || (told && code("not-found")) {
        MatchAnswer::NoMatch { words }
    } else {
        MatchAnswer::Refused { status: status.as_u16(), words }
    }
}

/// `groupId`, `group-id`, `group_id`, `Group` in any case.
fn says_group(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    plain.eq_ignore_ascii_case("groupid") || plain.eq_ignore_ascii_case("group")
}

fn group(json: &Value) -> Option<String> {
    let members = json.as_object()?;
    let at_top = members.iter().find_map(|(name, value)| says_group(name).then(|| id(value.as_str())).flatten());
    let contained = || {
        let contained = json.get("contained").and_then(Value::as_array);
        contained.into_iter().flatten().find_map(id_of_group)
    };
    at_top.or_else(|| in_parameters(json.get("parameter"), DEPTH)).or_else(contained).or_else(|| id_of_group(json))
}

fn in_parameters(list: Option<&Value>, depth: usize) -> Option<String> {
    let list = list?.as_array()?;
    list.iter().find_map(|parameter| {
        let named = parameter.get("name").and_then(Value::as_str).is_some_and(says_group);
        let value = || {
            let text = |name: &str| parameter.get(name)?.as_str();
            let inside = |name: &str, member: &str| parameter.get(name)?.get(member)?.as_str();
            let texts = [
                text("valueString"),
                text("valueId"),
                text("valueUri"),
                text("valueCode"),
                inside("valueReference", "reference"),
                inside("valueIdentifier", "value"),
            ];
            texts.into_iter().find_map(id)
        };
        let resource =
            || parameter.get("resource").and_then(|resource| id_of_group(resource).or_else(|| group(resource)));
        let part = || if depth == 0 { None } else { in_parameters(parameter.get("part"), depth - 1) };
        named.then(value).flatten().or_else(resource).or_else(part)
    })
}

fn id_of_group(resource: &Value) -> Option<String> {
    let is_group = resource.get("resourceType").is_some_and(|name| name == "Group");
    is_group.then(|| id(resource.get("id").and_then(Value::as_str))).flatten()
}

/// An id, or the last segment of a reference to a Group. It becomes a segment of a path.
fn id(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    let id = match text.rsplit_once('/') {
        None => text,
        Some((before, id)) if before == "Group" || before.ends_with("/Group") => id,
        Some(_) => return None,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let good = (1..=ID_BYTES).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(plain);
    good.then(|| id.to_owned())
}

/// HRex: a parameter `MemberIdentifier` with a `valueIdentifier`.
fn has_member_identifier(json: &Value) -> bool {
    let list = json.get("parameter").and_then(Value::as_array);
    list.into_iter().flatten().any(|parameter| {
        let named = parameter.get("name").and_then(Value::as_str);
        named.is_some_and(|name| name.eq_ignore_ascii_case("MemberIdentifier"))
            && parameter.get("valueIdentifier").and_then(|identifier| identifier.get("value")).is_some()
    })
}
