//! The checked-in element table: whole, consistent, and what it was made from.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use lakehaul_schema::{ElementTable, Member, MemberKind, ObjectType, Primitive};

fn object(name: &str) -> &'static ObjectType {
    let table = ElementTable::r4();
    let id = table.resource(name).unwrap_or_else(|| panic!("no resource {name}"));
    table.object(id)
}

fn member<'o>(object: &'o ObjectType, name: &str) -> &'o Member {
    object.members.iter().find(|member| member.name == name).unwrap_or_else(|| panic!("no {}.{name}", object.name))
}

/// The type of an element's value, by path from a resource.
#[track_caller]
fn object_at(path: &str) -> &'static ObjectType {
    let (resource, names) = path.split_once('.').unwrap_or((path, ""));
    let mut at = object(resource);
    for name in names.split('.').filter(|name| !name.is_empty()) {
        let MemberKind::Object(id) = member(at, name).kind else { panic!("{path}: {name} is no object") };
        at = ElementTable::r4().object(id);
    }
    at
}

fn names(object: &ObjectType) -> Vec<&str> {
    object.members.iter().map(|member| member.name.as_str()).collect()
}

#[test]
fn every_type_is_whole() {
    let table = ElementTable::r4();
    let mut seen = HashSet::new();
    let mut open: Vec<_> = table.resource_types().map(|name| table.resource(name).unwrap()).collect();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        assert!(id.index() < table.type_ids().len());
        let object = table.object(id);
        assert!(object.members.len() < 65_536);
        assert!(object.position("id").is_some(), "{} has no id", object.name);
        // Engines fold case, so two names that differ only in it would be one column.
        let folded: BTreeSet<_> = object.members.iter().map(|member| member.name.to_ascii_lowercase()).collect();
        assert_eq!(folded.len(), object.members.len(), "{} has a name twice", object.name);
        for member in &object.members {
            assert!(!member.name.contains("[x]") && !member.name.starts_with("__"), "{}", member.name);
            if let MemberKind::Object(child) = member.kind {
                open.push(child);
            }
        }
    }
    // All but the abstract BackboneElement are reachable.
    assert_eq!(seen.len(), table.type_ids().len() - 1);
}

#[test]
fn the_resource_types_are_sorted_and_concrete() {
    let table = ElementTable::r4();
    let types: Vec<_> = table.resource_types().collect();
    // It is a column of its own. (ExampleScenario.instance.resourceType is an element like any other.)
    assert!(types.iter().all(|name| object(name).position("resourceType").is_none()));
    assert_eq!(types.len(), 146);
    assert!(types.is_sorted());
    for name in ["Resource", "DomainResource", "HumanName", "Element", "Patient.contact", "patient", ""] {
        assert_eq!(table.resource(name), None, "{name}");
    }
    assert_eq!(table.fhir_version(), "4.0.1");
    assert_eq!(table.sha256().len(), 64);
}

#[test]
fn members_stand_in_definition_order_with_siblings_behind_primitives() {
    assert_eq!(
        names(object("Patient"))[..16],
        [
            "id",
            "meta",
            "implicitRules",
            "_implicitRules",
            "language",
            "_language",
            "text",
            "contained",
            "extension",
            "modifierExtension",
            "identifier",
            "active",
            "_active",
            "name",
            "telecom",
            "gender"
        ]
    );
    assert_eq!(names(object_at("Patient._active")), ["id", "extension"]);
    assert_eq!(names(object_at("Patient.name"))[..4], ["id", "extension", "use", "_use"]);
    assert!(member(object_at("Patient.name"), "given").list);
    assert!(member(object_at("Patient.name"), "_given").list);
    assert!(!member(object_at("Patient.name"), "_family").list);
}

#[test]
fn a_choice_is_one_member_per_type() {
    assert_eq!(
        names(object("Patient")).into_iter().filter(|name| name.contains("deceased")).collect::<Vec<_>>(),
        ["deceasedBoolean", "_deceasedBoolean", "deceasedDateTime", "_deceasedDateTime"]
    );
    let extension = object_at("Patient.extension");
    let values: Vec<_> = names(extension).into_iter().filter(|name| name.starts_with("value")).collect();
    assert_eq!(values.len(), 50);
    assert_eq!(values[0], "valueBase64Binary");
    assert_eq!(values[49], "valueMeta");
    assert!(extension.position("_url").is_none(), "Extension.url is a plain string");
    for name in ["definitionReference", "definitionTriggerDefinition", "participantEffectiveTiming", "groupMeasure"] {
        member(object_at("EvidenceVariable.characteristic"), name);
    }
}

#[test]
fn a_content_reference_shares_the_type_of_its_target() {
    for (path, target) in [
        ("ExplanationOfBenefit.item.detail.adjudication", "ExplanationOfBenefit.item.adjudication"),
        ("ExplanationOfBenefit.adjudication", "ExplanationOfBenefit.item.adjudication"),
        ("Questionnaire.item.item.item", "Questionnaire.item"),
        ("Patient.extension.extension.valueReference.identifier.extension", "Extension"),
        ("Observation.valueQuantity", "Quantity"),
        ("Patient.contact", "Patient.contact"),
        ("ServiceRequest.occurrenceTiming.repeat", "Timing.repeat"),
    ] {
        assert_eq!(object_at(path).name, target, "{path}");
    }
}

#[test]
fn kinds_follow_the_types() {
    use MemberKind::{Primitive as P, Resource};
    for (path, name, kind) in [
        ("Patient", "active", P(Primitive::Boolean)),
        ("Patient", "birthDate", P(Primitive::DateTime)),
        ("Patient", "multipleBirthInteger", P(Primitive::Integer)),
        ("Patient", "contained", Resource),
        ("Patient.text", "div", P(Primitive::Xhtml)),
        ("Patient.photo", "data", P(Primitive::Base64Binary)),
        ("Patient.photo", "size", P(Primitive::Integer)),
        ("Patient.meta", "lastUpdated", P(Primitive::DateTime)),
        ("Observation.valueQuantity", "value", P(Primitive::Decimal)),
        ("Observation", "valueTime", P(Primitive::String)),
        ("Bundle.entry", "resource", Resource),
        ("Bundle.entry.response", "outcome", Resource),
        ("Parameters.parameter", "resource", Resource),
    ] {
        assert_eq!(member(object_at(path), name).kind, kind, "{path}.{name}");
    }
}

/// Against a table made independently, where there is one beside the checkout.
#[test]
fn the_table_is_the_reference_table_and_five_elements() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = here.join("../../../shared/r4-elements.tsv");
    let Ok(reference) = std::fs::read_to_string(&reference) else {
        eprintln!("skipped: there is no {}", reference.display());
        return;
    };
    let table = include_str!("../src/r4-elements.tsv");
    let missing = [
        "EvidenceVariable.characteristic.definition[x]",
        "EvidenceVariable.characteristic.usageContext",
        "EvidenceVariable.characteristic.participantEffective[x]",
        "EvidenceVariable.characteristic.timeFromStart",
        "EvidenceVariable.characteristic.groupMeasure",
    ];
    let path = |row: &&str| row.split('\t').next().unwrap().to_owned();
    let added: Vec<_> = table.lines().map(|row| path(&row)).filter(|path| missing.contains(&path.as_str())).collect();
    assert_eq!(added, missing);

    // `definition[x]` stands for four of its six types, which the reference spells out.
    let is_spelled_out = |row: &&str| row.starts_with("EvidenceVariable.characteristic.definition");
    assert_eq!(reference.lines().filter(is_spelled_out).count(), 4);
    let kept: Vec<_> = reference.lines().filter(|row| !is_spelled_out(row)).collect();
    let ours: Vec<_> = table.lines().filter(|row| !missing.contains(&path(row).as_str())).collect();
    assert_eq!(ours, kept);
}
