//! What a table is searched by: id, dates, references. Table formats keep statistics of some columns of a file only: of the
//! first 32 (Delta's `delta.dataSkippingNumIndexedCols`), or of those that are named (`delta.dataSkippingStatsColumns`).
//! For the one there are a table's columns in another order, for the other their names.
//!
//! Only columns of the top level change places. Files need not have their columns in this order: whoever reads such tables
//! goes by the names.

use crate::element_table::{MemberKind, Primitive, TypeId};
use crate::{Field, FieldNode, TableSchema};

/// What a column is to a search; the earlier, the more is searched by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Id,
    /// A date, or the instants that it stands for.
    Date,
    /// A `Period`, which is two dates.
    Period,
    Reference,
    /// `meta`, for `lastUpdated`.
    Meta,
    Rest,
}

impl TableSchema {
    /// The fields, those first that are searched by: id, dates, references. Lists have no statistics.
    pub fn fields_searched_first(&self) -> Vec<Field> {
        let mut fields = self.fields();
        fields.sort_by_key(|field| self.rank(self.root().type_id, field));
        fields
    }

    /// The leaf columns that are searched by, each as its path with dots: id, dates, references and the run, at any depth
    /// outside lists. In the order of [`TableSchema::fields_searched_first`].
    pub fn searched_columns(&self) -> Vec<String> {
        let mut columns = Vec::new();
        self.push_searched(self.root().type_id, &self.fields_searched_first(), "", &mut columns);
        columns
    }

    fn push_searched(&self, of_type: TypeId, fields: &[Field], parent: &str, columns: &mut Vec<String>) {
        let is_reference = self.table().object(of_type).name == "Reference";
        for field in fields.iter().filter(|field| !field.list) {
            let name = field.name.as_str();
            let path = format!("{parent}{name}");
            match (&field.node, self.kind(of_type, name)) {
                // Of a reference its target; the rest of it is hardly ever there.
                (FieldNode::Leaf(_), _) if is_reference => {
                    if matches!(name, "reference" | "__reference_type" | "__reference_id") {
                        columns.push(path);
                    }
                }
                (FieldNode::Leaf(_), _) => {
                    let is_row = parent.is_empty() && matches!(name, "id" | "__run");
                    if is_row || self.rank(of_type, field) == Rank::Date {
                        columns.push(path);
                    }
                }
                (FieldNode::Group(inner), Some(MemberKind::Object(inner_type))) if !is_reference => {
                    self.push_searched(inner_type, inner, &format!("{path}."), columns);
                }
                _ => {}
            }
        }
    }

    /// Of a field of an object of the type `of_type`.
    fn rank(&self, of_type: TypeId, field: &Field) -> Rank {
        if field.list {
            return Rank::Rest;
        }
        let annotated = field.name.strip_prefix("__").and_then(|name| name.rsplit_once('_'));
        let name = match annotated {
            Some((name, "start" | "end")) => name,
            _ => field.name.as_str(),
        };
        let kind = self.kind(of_type, name);
        let type_name = match kind {
            Some(MemberKind::Object(of_type)) => self.table().object(of_type).name.as_str(),
            _ => "",
        };
        match (name, kind, type_name) {
            ("id", ..) => Rank::Id,
            (_, Some(MemberKind::Primitive(Primitive::DateTime)), _) => Rank::Date,
            (.., "Period") => Rank::Period,
            (.., "Reference") => Rank::Reference,
            ("meta", ..) => Rank::Meta,
            _ => Rank::Rest,
        }
    }

    /// What the member of this name is; None of a column that is no member.
    fn kind(&self, of_type: TypeId, name: &str) -> Option<MemberKind> {
        let object = self.table().object(of_type);
        object.position(name).map(|at| object.members[usize::from(at)].kind)
    }
}
