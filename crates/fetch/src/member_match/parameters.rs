//! What may be sent: a `Parameters` resource with exactly the parts that `$member-match` demands.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};

use super::{MatchInputError, MemberMatch};

/// A part of the question: its name as it is sent, the type of its resource, whether it may be missing, and its name in
/// a sentence.
struct Part {
    name: &'static str,
    resource_type: &'static str,
    optional: bool,
    said: &'static str,
}

const PATIENT: Part = Part { name: "MemberPatient", resource_type: "Patient", optional: false, said: "MemberPatient" };
const COVERAGE: Part =
    Part { name: "CoverageToMatch", resource_type: "Coverage", optional: false, said: "CoverageToMatch" };
const CONSENT: Part = Part { name: "Consent", resource_type: "Consent", optional: false, said: "Consent" };
const LINK: Part = Part { name: "CoverageToLink", resource_type: "Coverage", optional: true, said: "CoverageToLink" };

fn wrong(part: &'static str, why: &'static str) -> MatchInputError {
    MatchInputError { part, why }
}

/// Checks it, and gives its parts the names and types under which they are sent. What else is in it stays.
pub(super) fn checked(mut parameters: Value) -> Result<MemberMatch, MatchInputError> {
    const WHOLE: &str = "the question";
    let members = parameters.as_object_mut().ok_or_else(|| wrong(WHOLE, "is no JSON object"))?;
    if members.get("resourceType").is_some_and(|name| name != "Parameters") {
        return Err(wrong(WHOLE, "is no Parameters resource"));
    }
    members.insert("resourceType".to_owned(), "Parameters".into());
    let list = members.get_mut("parameter").and_then(Value::as_array_mut);
    let list = list.ok_or_else(|| wrong(WHOLE, "has no list of parameters"))?;
    for part in [PATIENT, COVERAGE, CONSENT, LINK] {
        settle(list, &part)?;
    }
    let resource = |part: &Part| &list[place(list, part.name).next().unwrap_or_default()]["resource"];
    let (patient, coverage, consent) = (resource(&PATIENT), resource(&COVERAGE), resource(&CONSENT));
    check_patient(patient)?;
    check_coverage(coverage)?;
    check_consent(consent)?;
    let member_id = identifiers(coverage).next().map(str::to_owned);
    let mut own: Vec<String> = Vec::new();
    for resource in [patient, coverage] {
        texts(resource, &mut own);
    }
    // The longest first: a name may be part of another.
    own.retain(|text| text.chars().count() > 1);
    own.sort_by_key(|text| std::cmp::Reverse(text.len()));
    own.dedup();
    let body = Bytes::from(parameters.to_string());
    Ok(MemberMatch { body, own, member_id })
}

fn place<'l>(list: &'l [Value], name: &'l str) -> impl Iterator<Item = usize> + 'l {
    let named = move |parameter: &Value| {
        parameter.get("name").and_then(Value::as_str).is_some_and(|it| it.eq_ignore_ascii_case(name))
    };
    list.iter().enumerate().filter(move |(_, parameter)| named(parameter)).map(|(at, _)| at)
}

/// There is one of the part, with a resource of its type.
fn settle(list: &mut [Value], part: &Part) -> Result<(), MatchInputError> {
    let places: Vec<usize> = place(list, part.name).collect();
    let at = match places[..] {
        [at] => at,
        [] if part.optional => return Ok(()),
        [] => return Err(wrong(part.said, "is missing")),
        _ => return Err(wrong(part.said, "is there more than once")),
    };
    list[at]["name"] = part.name.into();
    let resource: Option<&mut Map<String, Value>> = list[at].get_mut("resource").and_then(Value::as_object_mut);
    let resource = resource.ok_or_else(|| wrong(part.said, "has no resource"))?;
    if resource.get("resourceType").is_some_and(|name| name != part.resource_type) {
        return Err(wrong(part.said, "has a resource of another type"));
    }
    resource.insert("resourceType".to_owned(), part.resource_type.into());
    Ok(())
}

fn has_text(value: Option<&Value>) -> bool {
    value.and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
}

fn check_patient(patient: &Value) -> Result<(), MatchInputError> {
    let names = patient.get("name").and_then(Value::as_array);
    let named = |name: &Value| has_text(name.get("family")) || has_text(name.get("text"));
    if !names.is_some_and(|names| names.iter().any(named)) {
        return Err(wrong("the member's family name", "is missing"));
    }
    let birth_date = patient.get("birthDate").and_then(Value::as_str);
    match birth_date {
        None | Some("") => return Err(wrong("the member's birth date", "is missing")),
        Some(text) if !is_date(text) => return Err(wrong("the member's birth date", "is no date YYYY-MM-DD")),
        Some(_) => {}
    }
    let genders = ["male", "female", "other", "unknown"];
    match patient.get("gender") {
        Some(gender) if !genders.iter().any(|name| gender == name) => {
            Err(wrong("the member's gender", "is none of male, female, other, unknown"))
        }
        _ => Ok(()),
    }
}

fn identifiers(coverage: &Value) -> impl Iterator<Item = &str> {
    let identifiers = coverage.get("identifier").and_then(Value::as_array).into_iter().flatten();
    let values = identifiers.filter_map(|identifier| identifier.get("value")?.as_str());
    values.chain(coverage.get("subscriberId").and_then(Value::as_str)).filter(|text| !text.trim().is_empty())
}

fn check_coverage(coverage: &Value) -> Result<(), MatchInputError> {
    match identifiers(coverage).next() {
        Some(_) => Ok(()),
        None => Err(wrong("the member's id", "is missing")),
    }
}

fn check_consent(consent: &Value) -> Result<(), MatchInputError> {
    if consent.get("status").is_none_or(|status| status != "active") {
        return Err(wrong("the consent", "is not active"));
    }
    let policies = consent.get("policy").and_then(Value::as_array);
    if !policies.is_some_and(|policies| policies.iter().any(|policy| has_text(policy.get("uri")))) {
        return Err(wrong("the consent's policy", "is missing"));
    }
    let provision = consent.get("provision");
    if provision.and_then(|provision| provision.get("type")).is_none_or(|kind| kind != "permit") {
        return Err(wrong("the consent", "permits nothing (provision.type is not permit)"));
    }
    let moment = |name: &str| provision?.get("period")?.get(name)?.as_str().filter(|text| !text.is_empty());
    let (start, end) = match (moment("start"), moment("end")) {
        (None, _) => return Err(wrong("the start of the consent's period", "is missing")),
        (_, None) => return Err(wrong("the end of the consent's period", "is missing")),
        (Some(start), Some(end)) => (start, end),
    };
    let (Some(first), Some(last)) = (day(start), day(end)) else {
        return Err(wrong("the consent's period", "has a start or an end that is no date YYYY-MM-DD"));
    };
    if first > last {
        return Err(wrong("the consent's period", "ends before it starts"));
    }
    Ok(())
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

/// Of a date, or of an instant with its offset.
fn day(text: &str) -> Option<Date> {
    let date = text.get(..10).filter(|date| is_date(date))?;
    let whole = text.len() == 10 || text.parse::<Timestamp>().is_ok();
    if whole { date.parse().ok() } else { None }
}

/// All texts of names, dates and identifiers: whatever a server could repeat.
fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| texts(value, into)),
        Value::Object(members) => {
            let told = members
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "resourceType" | "gender" | "system" | "status"));
            told.for_each(|(_, value)| texts(value, into));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
