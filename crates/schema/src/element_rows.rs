//! From the element table's text to object types.
//!
//! In come rows of path, types (separated by `|`), maximum (`1` or `*`) and content reference, tab-separated, in
//! definition order; out go the object types and which of them are resources. A row that does not fit is an error with
//! its line, never a guess.

use std::collections::HashMap;

use crate::element_table::{Member, MemberKind, ObjectType, Primitive, TypeId};
use crate::error::{TableError, TableFault};

/// The object types, and the resources among them sorted by name.
pub(crate) type Compiled = (Vec<ObjectType>, Vec<(String, TypeId)>);

/// Types whose elements the table repeats in every descendant; no value is of them.
const ABSTRACT: [&str; 2] = ["Resource", "DomainResource"];

/// Types of elements whose children stand in the table under the element's own path.
const INLINE: [&str; 2] = ["BackboneElement", "Element"];

struct Row<'t> {
    line: usize,
    /// The path of the object that has the element: all but the last segment.
    owner: &'t str,
    path: &'t str,
    name: &'t str,
    types: &'t str,
    list: bool,
    target: &'t str,
}

pub(crate) fn compile(text: &str) -> Result<Compiled, TableError> {
    let rows = text.lines().zip(1..).map(|(row, line)| parse_row(row, line)).collect::<Result<Vec<_>, _>>()?;

    let mut ids: HashMap<&str, TypeId> = HashMap::new();
    let mut types: Vec<ObjectType> = Vec::new();
    for row in rows.iter().filter(|row| !ABSTRACT.contains(&row.owner)) {
        ids.entry(row.owner).or_insert_with(|| {
            types.push(ObjectType { name: row.owner.to_owned(), members: Vec::new() });
            TypeId::from_index(types.len() - 1)
        });
    }

    for row in &rows {
        if let Some(&owner) = ids.get(row.owner) {
            push_members(row, &ids, &mut types[owner.index()].members)?;
        }
    }

    let is_resource = |row: &&Row<'_>| row.name == "implicitRules" && !ABSTRACT.contains(&row.owner);
    let mut resources: Vec<_> =
        rows.iter().filter(is_resource).map(|row| (row.owner.to_owned(), ids[row.owner])).collect();
    resources.sort();
    Ok((types, resources))
}

fn parse_row(row: &str, line: usize) -> Result<Row<'_>, TableError> {
    let fault = |fault| TableError { line, fault };
    let [path, types, max, target] =
        row.split('\t').collect::<Vec<_>>().try_into().map_err(|_| fault(TableFault::Columns))?;
    let (owner, name) = path.rsplit_once('.').ok_or(fault(TableFault::Path))?;
    let list = match max {
        "1" => false,
        "*" => true,
        _ => return Err(fault(TableFault::Max)),
    };
    Ok(Row { line, owner, path, name, types, list, target })
}

/// One member, or for a choice `value[x]` one for each type; each primitive with its `_x` behind it.
fn push_members(row: &Row<'_>, ids: &HashMap<&str, TypeId>, members: &mut Vec<Member>) -> Result<(), TableError> {
    let unknown = || TableError { line: row.line, fault: TableFault::UnknownType };
    let mut push = |name: String, kind: MemberKind| members.push(Member { name, list: row.list, kind });

    if !row.target.is_empty() {
        let id = ids.get(row.target).ok_or_else(unknown)?;
        push(row.name.to_owned(), MemberKind::Object(*id));
        return Ok(());
    }
    for type_name in row.types.split('|') {
        let name = match row.name.strip_suffix("[x]") {
            Some(stem) => stem.to_owned() + &capitalized(type_name),
            None => row.name.to_owned(),
        };
        let kind = kind_of(type_name, row.path, ids).ok_or_else(unknown)?;
        // `id` and `Extension.url` are plain JSON strings (System.String): they have neither id nor extensions.
        let sibling = match kind {
            MemberKind::Primitive(_) if type_name != "System.String" => ids.get("Element"),
            _ => None,
        };
        let sibling_name = format!("_{name}");
        push(name, kind);
        if let Some(element) = sibling {
            push(sibling_name, MemberKind::Object(*element));
        }
    }
    Ok(())
}

fn kind_of(type_name: &str, path: &str, ids: &HashMap<&str, TypeId>) -> Option<MemberKind> {
    if INLINE.contains(&type_name) {
        return ids.get(path).map(|id| MemberKind::Object(*id));
    }
    let primitive = match type_name {
        "Resource" | "OperationOutcome" => return Some(MemberKind::Resource),
        "boolean" => Primitive::Boolean,
        "integer" | "positiveInt" | "unsignedInt" => Primitive::Integer,
        "decimal" => Primitive::Decimal,
        "date" | "dateTime" | "instant" => Primitive::DateTime,
        "base64Binary" => Primitive::Base64Binary,
        "xhtml" => Primitive::Xhtml,
        "System.String" | "string" | "markdown" | "code" | "id" | "uri" | "url" | "canonical" | "oid" | "uuid"
        | "time" => Primitive::String,
        datatype => return ids.get(datatype).map(|id| MemberKind::Object(*id)),
    };
    Some(MemberKind::Primitive(primitive))
}

/// `dateTime` as it stands in a choice's name: `DateTime`.
fn capitalized(type_name: &str) -> String {
    let (first, rest) = type_name.split_at(type_name.len().min(1));
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELEMENT: &str = "Element.id\tSystem.String\t1\t\n";

    #[test]
    fn a_row_that_does_not_fit_is_an_error_with_its_line() {
        for (row, fault) in [
            ("A.b\tstring\t1", TableFault::Columns),
            ("A.b\tstring\t1\t\t", TableFault::Columns),
            ("A\tstring\t1\t", TableFault::Path),
            ("A.b\tstring\t2\t", TableFault::Max),
            ("A.b\tHumanName\t1\t", TableFault::UnknownType),
            ("A.b[x]\tstring|\t1\t", TableFault::UnknownType),
            ("A.b\tBackboneElement\t1\t", TableFault::UnknownType),
            ("A.b\t\t1\tA.c", TableFault::UnknownType),
        ] {
            let error = compile(&format!("{ELEMENT}{row}\n")).unwrap_err();
            assert_eq!(error, TableError { line: 2, fault }, "{row}");
        }
    }

    #[test]
    fn a_resource_is_what_has_implicit_rules() {
        let rows = "B.id\tSystem.String\t1\t\nB.implicitRules\turi\t1\t\nResource.implicitRules\turi\t1\t\nA.implicitRules\turi\t1\t\n";
        let (types, resources) = compile(&format!("{ELEMENT}{rows}")).unwrap();
        assert_eq!(types.iter().map(|object| object.name.as_str()).collect::<Vec<_>>(), ["Element", "B", "A"]);
        assert_eq!(resources.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        let names: Vec<_> = types[1].members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["id", "implicitRules", "_implicitRules"]);
    }
}
