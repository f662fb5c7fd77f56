//! A table's columns in another order: first those that are searched by, for table formats that keep statistics of a file's
//! first columns only (Delta: 32, `delta.dataSkippingNumIndexedCols`).
//!
//! Only columns of the top level change places. Files need not have their columns in this order: whoever reads such tables
//! goes by the names.

use crate::element_table::{MemberKind, Primitive};
use crate::{Field, TableSchema};

/// Where a column stands; the earlier, the more is searched by it.
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
        fields.sort_by_key(|field| self.rank(field));
        fields
    }

    fn rank(&self, field: &Field) -> Rank {
        if field.list {
            return Rank::Rest;
        }
        let annotated = field.name.strip_prefix("__").and_then(|name| name.rsplit_once('_'));
        let name = match annotated {
            Some((name, "start" | "end")) => name,
            _ => field.name.as_str(),
        };
        let object = self.table().object(self.root().type_id);
        let kind = object.position(name).map(|at| object.members[usize::from(at)].kind);
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
}
