//! Each knob alone, and what it changes.

use super::*;

fn few() -> MembersOptions {
    MembersOptions { members: 20, ..MembersOptions::default() }
}

fn all_bytes(members: &Members) -> Vec<u8> {
    (0..members.files().len()).flat_map(|file| bytes(members, file)).collect()
}

fn contains(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Turning the knob changes the files, and `effect` holds with it and does not without.
#[track_caller]
fn check(name: &str, turn: impl FnOnce(&mut MembersOptions), effect: impl Fn(&Members, &[u8]) -> bool) {
    let mut options = few();
    let plain = Members::new(options.clone());
    turn(&mut options);
    let turned = Members::new(options);
    let (before, after) = (all_bytes(&plain), all_bytes(&turned));
    assert!(before != after || plain.files() != turned.files(), "{name} changes nothing");
    assert!(effect(&turned, &after), "{name} does not do what it should");
    assert!(!effect(&plain, &before), "{name} is so without it");
}

#[test]
fn every_knob_does_what_it_says() {
    check(
        "seed",
        |o| o.seed = 2,
        |members, bytes| {
            let plain = all_bytes(&Members::new(few()));
            members.files() == Members::new(few()).files() && bytes != plain
        },
    );
    check("members", |o| o.members = 25, |members, _| members.model().resources()["Patient"] == 25);
    check(
        "types",
        |o| o.types = vec![ResourceType::Claim, ResourceType::Patient, ResourceType::Claim],
        |members, _| members.files().iter().map(|file| file.resource_type).eq(["Claim", "Patient"]),
    );
    check(
        "files",
        |o| o.split = Split::Files(3),
        |members, _| {
            members
                .files()
                .iter()
                .filter(|file| file.resource_type == "Claim")
                .map(|file| file.resources)
                .eq([40, 40, 40])
        },
    );
    check(
        "lines",
        |o| o.split = Split::Lines(50),
        |members, _| {
            members
                .files()
                .iter()
                .filter(|file| file.resource_type == "Claim")
                .map(|file| file.resources)
                .eq([50, 50, 20])
        },
    );
    check("bad lines", |o| o.bad_lines = BadLines::Exactly(17), |members, _| members.model().bad_lines().count() == 17);
    check(
        "a share of bad lines",
        |o| o.bad_lines = BadLines::PerMillion(10_000),
        |members, _| {
            let model = members.model();
            let resources: u64 = model.resources().values().sum();
            model.bad_lines().count() as u64 == resources / 100
        },
    );
    check(
        "bad kinds",
        |o| (o.bad_lines, o.bad_kinds) = (BadLines::Exactly(3), vec![BadKind::BareText]),
        |members, _| members.model().bad_lines().map(|(_, bad)| bad.kind.reason()).eq(["not_json"; 3]),
    );
    check(
        "blank lines",
        |o| o.blank_per_mille = 100,
        |members, bytes| members.files().iter().map(|file| file.blank).sum::<u64>() > 50 && contains(bytes, "}\n\n{"),
    );
    check(
        "CR LF",
        |o| o.line_ending = LineEnding::CrLf,
        |_, bytes| contains(bytes, "}\r\n{") && !contains(bytes, "}\n{"),
    );
    check(
        "mixed line ends",
        |o| o.line_ending = LineEnding::Mixed,
        |_, bytes| contains(bytes, "}\r\n{") && contains(bytes, "}\n{"),
    );
    check(
        "byte order mark",
        |o| o.byte_order_mark = ByteOrderMark::Present,
        |members, _| (0..members.files().len()).all(|file| bytes(members, file).starts_with("\u{FEFF}{".as_bytes())),
    );
    check(
        "final newline",
        |o| o.final_newline = FinalNewline::Missing,
        |members, _| (0..members.files().len()).all(|file| bytes(members, file).ends_with(b"}")),
    );
    check(
        "deletions",
        |o| o.deletions = 7,
        |members, bytes| {
            let file = members.files().last().expect("there is a file");
            (file.role, file.resources) == (Role::Deleted, 2) && contains(bytes, "\"method\":\"DELETE\"")
        },
    );
    check(
        "outcomes",
        |o| o.outcomes = 4,
        |members, _| {
            let file = members.files().last().expect("there is a file");
            (file.role, file.resources, file.resource_type) == (Role::Outcome, 4, "OperationOutcome")
        },
    );
    let earlier = jiff::Timestamp::constant(1_600_000_000, 0);
    check(
        "transaction time",
        |o| o.transaction_time = earlier,
        |members, bytes| members.transaction_time() == earlier && !contains(bytes, "\"lastUpdated\":\"2021"),
    );
}

#[test]
fn a_long_line_is_where_it_was_asked_for() {
    let long_line = |bytes| LongLine { resource_type: ResourceType::Encounter, ordinal: 7, bytes };
    for size in [0, 1, 63, 64, 65, 1 << 16, 3 << 20] {
        check(
            "long line",
            |o| o.long_line = Some(long_line(size)),
            |members, _| {
                let file =
                    members.files().iter().position(|file| file.resource_type == "Encounter").expect("there is one");
                let bytes = bytes(members, file);
                let lines = lines(&bytes);
                let resource: Value = serde_json::from_slice(lines[7].1).expect("a long line is JSON");
                let narrative = resource["text"]["div"].as_str().unwrap_or_default();
                resource["text"]["status"] == "additional" && narrative.len() as u64 == size + 48
            },
        );
    }
}

#[test]
fn shuffled_members_mean_the_same() {
    let shuffled = Members::new(MembersOptions { member_order: MemberOrder::Shuffled, ..few() });
    let usual = Members::new(few());
    assert!(resources(&usual) == resources(&shuffled), "another order of members has another meaning");
    let first = |members: &Members| -> BTreeSet<String> {
        let line = |file| bytes(members, file);
        let first = |line: &[u8]| String::from_utf8_lossy(line).split('"').nth(1).expect("a member").to_owned();
        (0..members.files().len())
            .flat_map(|file| line(file).split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(first).collect::<Vec<_>>())
            .collect()
    };
    assert_eq!(first(&usual).into_iter().collect::<Vec<_>>(), ["resourceType"]);
    assert!(first(&shuffled).len() > 30);
}

/// The paths of a resource's members, without positions in arrays; of an extension its URL.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = format!("{path}.{name}");
                paths(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                let path = element["url"].as_str().map_or(path.to_owned(), |url| format!("{path}:{url}"));
                paths(element, &path, found);
            }
        }
        _ => {}
    }
}

#[test]
fn late_columns_come_late_in_every_type() {
    let members = Members::new(MembersOptions {
        members: 400,
        late_columns: LateColumns::LastPerMille(20),
        types: ResourceType::ALL.to_vec(),
        ..MembersOptions::default()
    });
    let without = Members::new(MembersOptions { members: 400, ..MembersOptions::default() });
    for (index, file) in members.files().iter().enumerate() {
        let late_from = file.resources - (file.resources * 20).div_ceil(1000);
        let (mut early, mut late) = (BTreeSet::new(), BTreeSet::new());
        let (bytes, plain) = (bytes(&members, index), bytes(&without, index));
        for (nth, ((_, line), (_, plain))) in (0..).zip(lines(&bytes).into_iter().zip(lines(&plain))) {
            let resource: Value = serde_json::from_slice(line).expect("a line is JSON");
            if nth < late_from {
                assert!(line == plain, "an early resource has changed");
                paths(&resource, file.resource_type, &mut early);
            } else {
                paths(&resource, file.resource_type, &mut late);
            }
        }
        let new = late.difference(&early).count();
        assert!(new > 0, "{}: nothing new", file.name);
    }
}

#[test]
fn texts_are_of_every_form() {
    let members = Members::new(MembersOptions { members: 2000, ..MembersOptions::default() });
    let types = ["Patient", "ExplanationOfBenefit", "Observation", "MedicationRequest", "Condition"];
    let mut wanted: BTreeSet<&str> = BTreeSet::from([
        // Decimals that a float would change, and one without digits behind the point.
        ".50,\"currency\"",
        "\"value\":0.0,",
        "\"value\":0.00,",
        "\"value\":0,",
        "e2,\"currency\"",
        "E-2,",
        // Strings.
        "\\\"",
        "\\n",
        "\\t",
        "\\\\",
        "\\/",
        "\\u00e9",
        "\\ud83d\\u",
        "Nguyễn",
        "伟",
        "\u{1F642}",
        // Dates of all precisions, instants with offsets.
        "DateTime\":\"20",
        "+00:00\"",
        "-05:00\"",
        "Z\"",
        // Extensions of primitives, and nulls that keep places.
        "\"_birthDate\":{",
        "\"_given\":[null,{",
        ",null]",
        "\"_value\":{",
        "\"contained\":[",
        "\"security\":[",
        "\"tag\":[",
        "\"text\":{\"status\"",
        // Values of many kinds.
        "\"valueQuantity\"",
        "\"valueCodeableConcept\"",
        "\"valueString\"",
        "\"valueBoolean\"",
        "\"valueInteger\"",
        "\"valueRange\"",
        "\"valueRatio\"",
        "\"valueTime\"",
        "\"valueDateTime\"",
        "\"valuePeriod\"",
        "\"dataAbsentReason\"",
        "\"onsetAge\"",
        "\"onsetRange\"",
        "\"onsetString\"",
        "\"effectiveInstant\"",
        "\"effectivePeriod\"",
        "\"multipleBirthInteger\"",
        "\"deceasedDateTime\"",
        "\"medicationReference\"",
        "\"doseRange\"",
        "Inpatient-Institutional",
        "Outpatient-Institutional",
        "Professional-NonClinician",
        "Benefit-Pharmacy",
        "Benefit-Oral",
    ]);
    for (index, file) in members.files().iter().enumerate() {
        if types.contains(&file.resource_type) {
            for line in members.open(index) {
                let line = String::from_utf8(line).expect("a line is UTF-8");
                wanted.retain(|form| !line.contains(form));
                if wanted.is_empty() {
                    return;
                }
            }
        }
    }
    panic!("not found: {wanted:?}");
}

#[test]
fn explanations_of_benefit_have_the_size_of_real_ones() {
    let members = Members::new(MembersOptions { types: vec![ResourceType::ExplanationOfBenefit], ..few() });
    let mut sizes: Vec<usize> = members.open(0).map(|line| line.len()).collect();
    sizes.sort_unstable();
    let (least, middle, most) = (sizes[0], sizes[sizes.len() / 2], sizes[sizes.len() * 95 / 100]);
    assert!(least > 4_000 && (6_000..12_000).contains(&middle) && most < 16_000, "{least} {middle} {most}");
}

#[test]
fn nothing_comes_of_nothing() {
    for options in [
        MembersOptions { members: 0, bad_lines: BadLines::Exactly(3), ..MembersOptions::default() },
        MembersOptions { types: Vec::new(), deletions: 3, ..MembersOptions::default() },
    ] {
        let members = Members::new(options);
        assert!(members.files().is_empty() && members.model().files.is_empty());
    }
    let more_bad_than_good = MembersOptions {
        members: 1,
        types: vec![ResourceType::Patient],
        bad_lines: BadLines::Exactly(50),
        ..MembersOptions::default()
    };
    let model = Members::new(more_bad_than_good).model();
    assert_eq!((model.files[0].lines, model.bad_lines().count()), (51, 50));
}

#[test]
fn a_terabyte_is_planned_at_once() {
    let options = MembersOptions {
        members: 7_000_000,
        bad_lines: BadLines::PerMillion(10),
        deletions: 1_000_000,
        blank_per_mille: 1,
        ..MembersOptions::default()
    };
    let members = Members::new(options);
    let bad: u64 = members.files().iter().map(|file| file.bad).sum();
    let resources: u64 =
        members.files().iter().filter(|file| file.role == Role::Output).map(|file| file.resources).sum();
    assert_eq!(bad, resources / 100_000);
    let last = members.files().iter().rposition(|file| file.role == Role::Output).expect("there is one");
    for file in [0, last / 2, last] {
        assert!(members.open(file).take(100).all(|line| line.ends_with(b"\n")));
    }
}
