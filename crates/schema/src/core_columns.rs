//! The columns that a table has whatever its data show.
//!
//! In comes a resource type; out go member paths. They make a type's top-level columns hardly vary from one lake to the
//! next. The stubs are fixed: no data, option or profile changes them.
//!
//! The rule: `id`, and every element of the resource but those of [`NOT_CORE`], with children by its datatype:
//! - a datatype of [`STUBS`] has the children listed there, each again with its own stub;
//! - a backbone element and any other datatype have their primitive children, or `id` if they have none.
//!
//! Neither `id` (of a datatype or backbone) nor `_x` counts as a primitive child. ExplanationOfBenefit has 157 such
//! leaves and Patient 71, `resourceType` counted, annotations and the fixed last columns not.

use crate::element_table::{ElementTable, Member, MemberKind, ObjectType, TypeId};

/// Elements of a resource that have columns only where observed.
const NOT_CORE: [&str; 5] = ["implicitRules", "language", "contained", "extension", "modifierExtension"];

/// Children of datatypes whose stub is not just their primitive children (as that of Quantity, Money, Period, Address,
/// `HumanName` and `ContactPoint` is), and of elements that differ from their type. Meta is whole: its `id` too.
const STUBS: [(&str, &[&str]); 11] = [
    ("Annotation", &["authorReference", "authorString", "time", "text"]),
    ("Attachment", &["contentType", "language", "url", "size", "hash", "title", "creation"]),
    ("CodeableConcept", &["coding", "text"]),
    ("Coding", &["system", "version", "code", "display"]),
    ("Identifier", &["use", "system", "value"]),
    ("Meta", &["id", "versionId", "lastUpdated", "source", "profile", "security", "tag"]),
    ("Narrative", &["status", "div"]),
    ("Range", &["low", "high"]),
    ("Ratio", &["numerator", "denominator"]),
    ("Reference", &["reference", "type", "identifier", "display"]),
    ("Reference.identifier", &["system", "value"]),
];

/// The paths of the core columns of a resource type, each ending at a leaf.
pub(crate) fn paths(table: &ElementTable, resource: TypeId) -> Vec<Vec<u16>> {
    let mut paths = Vec::new();
    let object = table.object(resource);
    for (member, index) in object.members.iter().zip(0..) {
        if !NOT_CORE.contains(&member.name.as_str()) && !member.name.starts_with('_') {
            push_element(table, object, member, &mut vec![index], &mut paths);
        }
    }
    paths
}

/// The leaves of one core element; the path leads to it.
fn push_element(
    table: &ElementTable,
    owner: &ObjectType,
    member: &Member,
    path: &mut Vec<u16>,
    paths: &mut Vec<Vec<u16>>,
) {
    let MemberKind::Object(type_id) = member.kind else {
        paths.push(path.clone());
        return;
    };
    let object = table.object(type_id);
    for name in stub(owner, member, object) {
        let index = object.position(name).expect("a stub names children of its type");
        path.push(index);
        push_element(table, object, &object.members[usize::from(index)], path, paths);
        path.pop();
    }
}

/// Which children of an element are core.
fn stub<'t>(owner: &ObjectType, element: &Member, object: &'t ObjectType) -> Vec<&'t str> {
    let element_path = format!("{}.{}", owner.name, element.name);
    let listed = |key: &str| STUBS.iter().find(|(name, _)| *name == key).map(|(_, children)| children.to_vec());
    if let Some(children) = listed(&element_path).or_else(|| listed(&object.name)) {
        return children;
    }
    let is_core = |child: &&Member| matches!(child.kind, MemberKind::Primitive(_)) && child.name != "id";
    let children: Vec<_> = object.members.iter().filter(is_core).map(|child| child.name.as_str()).collect();
    if children.is_empty() { vec!["id"] } else { children }
}
