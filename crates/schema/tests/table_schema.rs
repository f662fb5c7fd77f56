//! Presence: the core columns, growth, caps, and the physical order.

use lakehaul_schema::{
    Annotations, ElementTable, Field, FieldNode, LeafType, MAX_GROUPS, MAX_LEAVES, MemberKind, TableSchema,
};
use proptest::prelude::*;

fn core(resource_type: &str, annotations: &str) -> TableSchema {
    let annotations = annotations.parse().expect("kinds of annotations");
    TableSchema::core(ElementTable::r4(), resource_type, annotations, false).expect("a resource type")
}

/// The member indexes of names joined by dots.
#[track_caller]
fn path(resource_type: &str, names: &str) -> Vec<u16> {
    let table = ElementTable::r4();
    let mut object = table.object(table.resource(resource_type).expect("a resource type"));
    let mut indexes = Vec::new();
    for name in names.split('.') {
        let index = object.position(name).unwrap_or_else(|| panic!("no {}.{name}", object.name));
        indexes.push(index);
        if let MemberKind::Object(id) = object.members[usize::from(index)].kind {
            object = table.object(id);
        }
    }
    indexes
}

/// The names of all leaves, dots between the levels, `*` behind a list.
fn leaves(fields: &[Field]) -> Vec<String> {
    let mut leaves = Vec::new();
    for field in fields {
        let name = format!("{}{}", field.name, if field.list { "*" } else { "" });
        match &field.node {
            FieldNode::Group(children) => {
                leaves.extend(self::leaves(children).into_iter().map(|leaf| format!("{name}.{leaf}")));
            }
            FieldNode::Leaf(_) => leaves.push(name),
            FieldNode::Map => leaves.extend([format!("{name}.key"), format!("{name}.value")]),
        }
    }
    leaves
}

/// The leaves that the design counts: no annotation, provenance or `__extra`.
fn primary(schema: &TableSchema) -> Vec<String> {
    leaves(&schema.fields()).into_iter().filter(|leaf| !leaf.contains("__")).collect()
}

#[test]
fn core_is_as_wide_as_designed() {
    for (resource_type, width) in [("ExplanationOfBenefit", 157), ("Patient", 71)] {
        for annotations in ["none", "numeric,dates", "numeric,dates,references"] {
            assert_eq!(primary(&core(resource_type, annotations)).len(), width, "{resource_type}, {annotations}");
        }
    }
}

/// Of what a row is searched by, all is named for statistics, however deep and however many columns that makes.
#[test]
fn ids_dates_and_references_are_searched_by() {
    let coverage = core("Coverage", "numeric,dates,references").searched_columns();
    let named = |column: &str| coverage.iter().any(|name| name == column);
    assert_eq!(coverage[0], "id");
    for column in [
        "period.start",
        "period.__start_end",
        "beneficiary.reference",
        "beneficiary.__reference_id",
        "policyHolder.reference",
        "meta.lastUpdated",
        "__run",
    ] {
        assert!(named(column), "{column} is not in {coverage:?}");
    }
    // A list has no statistics, a reference's own identifier has other dates, and an amount is no date.
    for column in ["payor.reference", "beneficiary.identifier.period.start", "beneficiary.display", "meta.id", "status"]
    {
        assert!(!named(column), "{column} is in {coverage:?}");
    }
    let mut claim = core("Claim", "none");
    assert!(claim.insert(&path("Claim", "payee.party.reference")));
    assert!(claim.searched_columns().contains(&"payee.party.reference".to_owned()));
}

#[test]
fn core_of_a_patient() {
    insta::assert_snapshot!(leaves(&core("Patient", "numeric,dates,references").fields()).join("\n"));
}

#[test]
fn every_type_has_a_core_below_the_caps() {
    let table = ElementTable::r4();
    for resource_type in table.resource_types() {
        let schema = core(resource_type, "numeric,dates,references");
        assert_eq!(leaves(&schema.fields()).len(), schema.leaf_count(), "{resource_type}");
        assert!(schema.leaf_count() < 600, "{resource_type} has {} leaves", schema.leaf_count());
        let names = primary(&schema);
        assert_eq!(names[..2], ["resourceType", "id"], "{resource_type}");
        assert!(names.iter().all(|name| !name.contains('_')), "{resource_type}");
    }
    assert!(TableSchema::core(table, "HumanName", Annotations::default(), false).is_none());
}

#[test]
fn columns_stand_behind_what_they_annotate() {
    let mut schema = TableSchema::core(ElementTable::r4(), "MedicationRequest", Annotations::default(), true).unwrap();
    for names in [
        "dosageInstruction.doseAndRate.doseQuantity.value",
        "dosageInstruction.timing.event",
        "dosageInstruction.timing._event.extension.url",
        "contained",
    ] {
        assert!(schema.insert(&path("MedicationRequest", names)), "{names}");
    }
    let fields = schema.fields();
    let leaves = leaves(&fields);
    for expected in [
        &[
            "dosageInstruction*.doseAndRate*.doseQuantity.value",
            "dosageInstruction*.doseAndRate*.doseQuantity.__value_numeric",
        ][..],
        &[
            "dosageInstruction*.timing.event*",
            "dosageInstruction*.timing.__event_start*",
            "dosageInstruction*.timing.__event_end*",
            "dosageInstruction*.timing._event*.extension*.url",
        ],
        &["text.status", "text.div", "contained*", "identifier*.use"],
        &["__run", "__output_file", "__line", "__json", "__extra.key", "__extra.value"],
    ] {
        assert!(leaves.windows(expected.len()).any(|window| window == expected), "{expected:?} in {leaves:#?}");
    }
    assert!(fields[0].required && fields[1..].iter().all(|field| !field.required));
    let by_name = |name: &str| &fields.iter().find(|field| field.name == name).unwrap().node;
    assert_eq!(*by_name("__line"), FieldNode::Leaf(LeafType::Int64));
    assert_eq!(*by_name("__authoredOn_start"), FieldNode::Leaf(LeafType::Timestamp));
    assert_eq!(*by_name("__extra"), FieldNode::Map);
}

#[test]
fn references_are_annotated_only_where_asked() {
    let with = leaves(&core("Condition", "references").fields());
    assert!(
        with.windows(3)
            .any(|window| { window == ["subject.reference", "subject.__reference_type", "subject.__reference_id"] })
    );
    let without = leaves(&core("Condition", "none").fields());
    assert!(!without.iter().any(|leaf| leaf.contains(".__")), "{without:?}");
}

#[test]
fn insert_says_whether_it_grew() {
    let mut schema = core("Patient", "numeric,dates");
    let width = schema.leaf_count();
    for (names, added) in [
        ("name.family", 0),
        ("name.period.start", 3),
        ("name.period.start", 0),
        ("name.period", 0),
        ("contact.organization", 1),
        ("contact.organization.id", 0),
        ("extension.extension.valueDecimal", 2),
        ("name._given.extension.valueReference.reference", 1),
    ] {
        let before = schema.leaf_count();
        let path = path("Patient", names);
        assert_eq!(schema.contains(&path), added == 0, "{names}");
        assert_eq!(schema.insert(&path), added > 0, "{names}");
        assert_eq!(schema.leaf_count() - before, added, "{names}");
        assert!(schema.contains(&path), "{names}");
    }
    assert_eq!(schema.leaf_count(), width + 7);
    assert_eq!(leaves(&schema.fields()).len(), schema.leaf_count());
}

#[test]
fn a_path_to_nowhere_changes_nothing() {
    let mut schema = core("Patient", "none");
    let before = schema.clone();
    let id = path("Patient", "id")[0];
    let name = path("Patient", "name")[0];
    for nowhere in [&[][..], &[60_000], &[id, 0], &[name, 60_000], &[name, 0, 0]] {
        assert!(!schema.insert(nowhere) && !schema.contains(nowhere), "{nowhere:?}");
    }
    assert_eq!(schema, before);
}

#[test]
fn groups_nest_up_to_the_cap() {
    let mut schema = core("Patient", "none");
    let extensions = |depth: usize| path("Patient", &format!("{}url", "extension.".repeat(depth)));
    assert!(schema.insert(&extensions(MAX_GROUPS)));
    assert!(!schema.insert(&extensions(MAX_GROUPS + 1)));
    // A group below the cap is refused as well as its leaf.
    assert!(!schema.insert(&path("Patient", &vec!["extension"; MAX_GROUPS + 1].join("."))));
    assert_eq!(leaves(&schema.fields()).len(), schema.leaf_count());
}

/// A core Patient grown to the cap below one extension element.
fn filled(element: &str) -> TableSchema {
    let mut schema = core("Patient", "none");
    for depth in 0..10 {
        let extension = path("Patient", &format!("{element}{}", ".extension".repeat(depth)));
        for member in 0..100 {
            for child in 0..20 {
                schema.insert(&[&extension[..], &[member, child]].concat());
            }
        }
    }
    assert_eq!(schema.leaf_count(), MAX_LEAVES);
    schema
}

#[test]
fn leaves_grow_up_to_the_cap_and_by_merging_beyond() {
    let (extension, modifier) = (filled("extension"), filled("modifierExtension"));
    let mut wide = extension.clone();
    assert!(wide.merge(&modifier));
    assert!(wide.leaf_count() > MAX_LEAVES);
    assert_eq!(leaves(&wide.fields()).len(), wide.leaf_count());
    assert!(!wide.insert(&path("Patient", "contact.name.family")), "no room is left");
    assert_eq!(TableSchema::from_json(ElementTable::r4(), &wide.to_json()).unwrap(), wide);
}

#[test]
fn schemas_of_two_types_do_not_cover_each_other() {
    assert!(!core("Claim", "none").covers(&core("Patient", "none")));
}

/// A leaf of Observation up to six steps from the root.
fn any_leaf() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<prop::sample::Index>(), 1..6).prop_map(|steps| {
        let table = ElementTable::r4();
        let mut object = table.object(table.resource("Observation").expect("a resource type"));
        let mut path = Vec::new();
        for step in steps {
            let index = step.index(object.members.len());
            path.push(u16::try_from(index).expect("fewer than 65,536 members"));
            match object.members[index].kind {
                MemberKind::Object(id) => object = table.object(id),
                MemberKind::Primitive(_) | MemberKind::Resource => return path,
            }
        }
        path.extend(object.position("id"));
        path
    })
}

fn grown(paths: &[Vec<u16>]) -> TableSchema {
    let mut schema = core("Observation", "numeric,dates,references");
    for path in paths {
        schema.insert(path);
        assert!(schema.contains(path));
    }
    schema
}

proptest! {
    #[test]
    fn the_order_of_arrival_leaves_no_trace(mut paths in prop::collection::vec(any_leaf(), 0..40)) {
        let forward = grown(&paths);
        paths.reverse();
        prop_assert_eq!(&forward, &grown(&paths));
        prop_assert_eq!(leaves(&forward.fields()).len(), forward.leaf_count());
    }

    #[test]
    fn merging_is_a_union(
        left in prop::collection::vec(any_leaf(), 0..40),
        right in prop::collection::vec(any_leaf(), 0..40),
    ) {
        let union = grown(&[left.clone(), right.clone()].concat());
        let (left, right) = (grown(&left), grown(&right));
        let (mut one, mut other) = (left.clone(), right.clone());
        prop_assert_eq!(one.merge(&right), !left.covers(&right));
        prop_assert_eq!(other.merge(&left), !right.covers(&left));
        prop_assert_eq!(&one, &union);
        prop_assert_eq!(&other, &union);
        prop_assert_eq!(one.leaf_count(), union.leaf_count());
        prop_assert!(union.covers(&left) && union.covers(&right));
        prop_assert!(!one.merge(&other));
    }

    #[test]
    fn the_schema_file_round_trips(paths in prop::collection::vec(any_leaf(), 0..40)) {
        let schema = grown(&paths);
        let text = schema.to_json();
        let read = TableSchema::from_json(ElementTable::r4(), &text).unwrap();
        prop_assert_eq!(&read, &schema);
        prop_assert_eq!(read.leaf_count(), schema.leaf_count());
        prop_assert_eq!(read.to_json(), text);
    }
}
