//! What the generator of members promises: the same bytes every time, a model that is true, resources that are FHIR R4,
//! and knobs that do what they say.

mod elements;
mod knobs;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use lakehaul_sim::members::{
    BadKind, BadLines, ByteOrderMark, FinalNewline, LateColumns, LineEnding, LongLine, MemberOrder, Members,
    MembersOptions, ResourceType, Role, Since, Split,
};
use serde_json::Value;

/// All knobs turned.
fn unusual() -> MembersOptions {
    MembersOptions {
        seed: 5,
        members: 40,
        split: Split::Files(3),
        bad_lines: BadLines::Exactly(280),
        late_columns: LateColumns::LastPerMille(100),
        blank_per_mille: 30,
        line_ending: LineEnding::Mixed,
        byte_order_mark: ByteOrderMark::Present,
        final_newline: FinalNewline::Missing,
        member_order: MemberOrder::Shuffled,
        long_line: Some(LongLine { resource_type: ResourceType::Claim, ordinal: 3, bytes: 200_000 }),
        deletions: 12,
        outcomes: 3,
        ..MembersOptions::default()
    }
}

/// A file's bytes.
fn bytes(members: &Members, file: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    members.open(file).into_reader().read_to_end(&mut bytes).expect("a generated file can be read");
    bytes
}

/// A file's lines as a loader sees them: without a byte order mark, without their ends; each with its offset.
fn lines(bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut at = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let mut lines = Vec::new();
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        lines.push((at as u64, rest[..length].strip_suffix(b"\r").unwrap_or(&rest[..length])));
        at += length + 1;
    }
    lines
}

/// The resources of all files of resources, with their file's type.
fn resources(members: &Members) -> Vec<(&'static str, Value)> {
    let mut resources = Vec::new();
    for file in 0..members.files().len() {
        let (bytes, model) = (bytes(members, file), members.file_model(file));
        let bad: BTreeSet<u64> = model.bad.iter().map(|bad| bad.line).collect();
        for ((_, line), number) in lines(&bytes).into_iter().zip(1..) {
            if model.role == Role::Output && !bad.contains(&number) && !line.trim_ascii().is_empty() {
                let resource = serde_json::from_slice(line).expect("a line that is not bad is JSON");
                resources.push((model.resource_type, resource));
            }
        }
    }
    resources
}

#[test]
fn the_same_options_give_the_same_bytes() {
    for options in [MembersOptions { members: 20, ..MembersOptions::default() }, unusual()] {
        let members = Members::new(options.clone());
        let files: Vec<Vec<u8>> = (0..members.files().len()).map(|file| bytes(&members, file)).collect();
        // Again, from the last file to the first, two at a time, line by line.
        let again = Members::new(options.clone());
        assert_eq!(members.files(), again.files());
        for file in (0..files.len()).rev() {
            let mut other = again.open(files.len() - 1 - file);
            let mut line_by_line = Vec::new();
            for line in again.open(file) {
                line_by_line.extend(line);
                other.next();
            }
            assert!(line_by_line == files[file], "{} differs", members.files()[file].name);
        }
        // One type alone is what it is among all.
        let alone = Members::new(MembersOptions {
            types: vec![ResourceType::Observation],
            bad_lines: BadLines::None,
            blank_per_mille: 0,
            ..options.clone()
        });
        let all = Members::new(MembersOptions { bad_lines: BadLines::None, blank_per_mille: 0, ..options });
        let file = all.files().iter().position(|file| file.resource_type == "Observation").expect("it is generated");
        assert_eq!(alone.files()[0].name, all.files()[file].name);
        let (alone, all) = (bytes(&alone, 0), bytes(&all, file));
        assert!(lines(&alone).into_iter().map(|(_, line)| line).eq(lines(&all).into_iter().map(|(_, line)| line)));
    }
}

#[test]
fn the_model_is_true() {
    for options in [MembersOptions::default(), unusual()] {
        let members = Members::new(options);
        let model = members.model();
        assert_eq!(model.files.len(), members.files().len());
        for (index, (model, file)) in model.files.iter().zip(members.files()).enumerate() {
            let bytes = bytes(&members, index);
            let lines = lines(&bytes);
            let blank = lines.iter().filter(|(_, line)| line.trim_ascii().is_empty()).count();
            assert_eq!((&model.name, model.resource_type, model.role), (&file.name, file.resource_type, file.role));
            assert_eq!((model.bytes, model.lines, model.blank), (bytes.len() as u64, lines.len() as u64, blank as u64));
            assert_eq!(model.lines, model.resources + model.blank + model.bad.len() as u64);
            let planned = (file.resources, file.bad, file.blank, file.lines());
            assert_eq!((model.resources, model.bad.len() as u64, model.blank, model.lines), planned, "{}", file.name);
            for bad in &model.bad {
                let (offset, line) = lines[bad.line as usize - 1];
                assert_eq!((offset, line.len() as u64), (bad.offset, bad.length), "{} line {}", file.name, bad.line);
            }
        }
    }
}

#[test]
fn every_good_line_is_a_resource_and_every_id_is_its_own() {
    for options in [MembersOptions::default(), unusual()] {
        let members = Members::new(options);
        let mut ids: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut paid = 0.0;
        for (file_type, resource) in resources(&members) {
            assert_eq!(resource["resourceType"], file_type);
            let id = resource["id"].as_str().expect("a resource has an id");
            assert!(ids.entry(file_type).or_default().insert(id.to_owned()), "{file_type}/{id} twice");
            paid += resource["payment"]["amount"]["value"].as_f64().unwrap_or_default();
        }
        let model = members.model();
        assert!(ids.into_iter().map(|(of, ids)| (of, ids.len() as u64)).eq(model.resources()));
        assert_eq!((paid * 100.0).round() as i64, model.payment_cents());
        assert!(model.payment_cents() > 0);
    }
}

#[test]
fn references_lead_to_resources_of_the_export() {
    let members = Members::new(MembersOptions { late_columns: LateColumns::LastPerMille(500), ..unusual() });
    let resources = resources(&members);
    let ids: BTreeSet<String> = resources
        .iter()
        .map(|(of, resource)| format!("{of}/{}", resource["id"].as_str().expect("a resource has an id")))
        .collect();
    let mut leads = BTreeMap::new();
    for (of, resource) in &resources {
        let contained = resource["contained"].as_array().map_or(&[][..], Vec::as_slice);
        let mut open = vec![resource];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(reference) = members.get("reference").and_then(Value::as_str) {
                        let known = match reference.strip_prefix('#') {
                            Some(id) => contained.iter().any(|resource| resource["id"] == id),
                            None => ids.contains(reference),
                        };
                        assert!(known, "{of} refers to {reference}");
                        *leads.entry(reference.split('/').next().expect("a split has a part")).or_insert(0) += 1;
                    }
                    open.extend(members.values());
                }
                Value::Array(elements) => open.extend(elements),
                _ => {}
            }
        }
    }
    // Nothing refers to an explanation of benefit.
    for of in ResourceType::ALL.into_iter().filter(|of| *of != ResourceType::ExplanationOfBenefit) {
        assert!(leads.contains_key(of.name()), "nothing refers to {}", of.name());
    }
    assert!(leads.contains_key("#referral") && leads.contains_key("#drug") && leads.contains_key("#payer"));
}

#[test]
fn claims_of_an_episode_are_about_its_member() {
    let members = Members::new(MembersOptions { members: 33, ..MembersOptions::default() });
    let resources = resources(&members);
    let owners: BTreeMap<String, &Value> = resources
        .iter()
        .map(|(of, resource)| {
            let owner = ["patient", "subject", "beneficiary"].map(|name| &resource[name]["reference"]);
            let owner = owner.into_iter().find(|owner| owner.is_string()).unwrap_or(&Value::Null);
            (format!("{of}/{}", resource["id"].as_str().expect("a resource has an id")), owner)
        })
        .collect();
    let mut compared = 0;
    for (of, resource) in &resources {
        let targets = [
            &resource["claim"],
            &resource["prescription"],
            &resource["encounter"],
            &resource["insurance"][0]["coverage"],
            &resource["item"][0]["encounter"][0],
            &resource["reasonReference"][0],
        ];
        for target in targets.into_iter().filter_map(|target| target["reference"].as_str()) {
            let own = ["patient", "subject"].map(|name| &resource[name]["reference"]);
            assert!(own.contains(&owners[target]), "{of} and {target} are of different members");
            compared += 1;
        }
    }
    assert!(compared > 1000, "{compared}");
}

/// What a strict JSON parser says of a line.
#[track_caller]
fn check_bad(kind: BadKind, line: &[u8]) {
    let parsed = serde_json::from_slice::<Value>(line);
    let holds = match kind {
        BadKind::InvalidUtf8 => std::str::from_utf8(line).is_err(),
        BadKind::Truncated => parsed.as_ref().is_err_and(serde_json::Error::is_eof),
        BadKind::TooDeep => parsed.as_ref().is_err_and(|error| error.to_string().contains("recursion limit")),
        BadKind::TwoValues => {
            let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(line).into_iter().collect();
            values.is_ok_and(|values| values.len() == 2)
        }
        BadKind::BareText
        | BadKind::BadNumber
        | BadKind::BadEscape
        | BadKind::ControlCharacter
        | BadKind::LoneSurrogateName => parsed.as_ref().is_err_and(serde_json::Error::is_syntax),
        BadKind::DuplicateMember => {
            // The member that was put in front is there without it too.
            let text = std::str::from_utf8(line).expect("it is UTF-8");
            let front = ["{\"id\":\"twice\",", "{\"meta\":{\"versionId\":\"0\"},"].into_iter();
            let rest = front.filter_map(|front| text.strip_prefix(front)).next().expect("one of them is in front");
            let rest: Value = serde_json::from_str(&format!("{{{rest}")).expect("the rest is JSON");
            parsed.is_ok() && rest["id"].is_string() && rest["meta"].is_object()
        }
        BadKind::NotAnObject => parsed.is_ok_and(|value| !value.is_object()),
        BadKind::MissingResourceType => {
            parsed.is_ok_and(|value| value["id"].is_string() && value["resourceType"].is_null())
        }
        BadKind::UnknownType => parsed.is_ok_and(|value| {
            value["resourceType"].as_str().is_some_and(|name| ResourceType::from_name(name).is_none())
        }),
        BadKind::OperationOutcome => parsed.is_ok_and(|value| value["resourceType"] == "OperationOutcome"),
    };
    assert!(holds, "{kind:?}: {}", String::from_utf8_lossy(&line[..line.len().min(300)]));
}

#[test]
fn bad_lines_are_as_bad_as_the_model_says() {
    for member_order in [MemberOrder::Usual, MemberOrder::Shuffled] {
        let members = Members::new(MembersOptions { member_order, ..unusual() });
        let mut kinds = BTreeMap::new();
        for file in 0..members.files().len() {
            let bytes = bytes(&members, file);
            let lines = lines(&bytes);
            for bad in members.file_model(file).bad {
                check_bad(bad.kind, lines[bad.line as usize - 1].1);
                *kinds.entry(bad.kind).or_insert(0) += 1;
            }
        }
        assert!(kinds.into_iter().eq(BadKind::ALL.map(|kind| (kind, 280 / 14))));
    }
}

#[test]
fn a_later_export_has_newer_versions_of_some() {
    let full = Members::new(MembersOptions::default());
    let changed_per_mille = 100;
    let after = full.transaction_time();
    let since = Since { after, changed_per_mille, version: 2 };
    let later = Members::new(MembersOptions { since: Some(since), deletions: 40, ..MembersOptions::default() });
    let before: BTreeMap<String, Value> = resources(&full)
        .into_iter()
        .map(|(of, resource)| (format!("{of}/{}", resource["id"].as_str().expect("it has an id")), resource))
        .collect();
    let time = |resource: &Value| -> jiff::Timestamp {
        resource["meta"]["lastUpdated"].as_str().expect("it is a string").parse().expect("it is an instant")
    };
    assert!(before.values().all(|resource| time(resource) < after));
    let changes = resources(&later);
    let share = changes.len() * 1000 / before.len();
    assert!((90..=110).contains(&share), "{share} of a thousand");
    let mut changed = BTreeSet::new();
    for (of, resource) in changes {
        let name = format!("{of}/{}", resource["id"].as_str().expect("it has an id"));
        let old = &before[&name];
        assert!(time(&resource) > after && time(&resource) < later.transaction_time());
        assert_eq!((&old["meta"]["versionId"], &resource["meta"]["versionId"]), (&"1".into(), &"2".into()));
        for fixed in ["patient", "subject", "beneficiary", "claim"] {
            let ids = [old, &resource].map(|version| &version[fixed]["reference"]);
            assert_eq!(ids[0], ids[1], "{name}: {fixed}");
        }
        assert_ne!(old, &resource);
        changed.insert(name);
    }
    // Deleted is what was exported and has not changed.
    let file = later.files().iter().position(|file| file.role == Role::Deleted).expect("there are deletions");
    let mut deleted = BTreeSet::new();
    for (_, line) in lines(&bytes(&later, file)) {
        let bundle: Value = serde_json::from_slice(line).expect("a Bundle is JSON");
        assert_eq!((&bundle["resourceType"], &bundle["type"]), (&"Bundle".into(), &"transaction".into()));
        for entry in bundle["entry"].as_array().expect("a Bundle has entries") {
            assert_eq!(entry["request"]["method"], "DELETE");
            deleted.insert(entry["request"]["url"].as_str().expect("a request has a url").to_owned());
        }
    }
    assert_eq!(deleted.len(), 40);
    assert!(deleted.iter().all(|url| !changed.contains(url)));
    assert!(deleted.iter().filter(|url| before.contains_key(*url)).count() > 30);
}
