//! Which columns one resource type's table has.
//!
//! In come member paths that the data showed, and other schemas; out goes the set of present paths, from which the
//! physical columns follow. The set only grows, and it never decides what a column is: that is the element table's. It
//! holds a place for every path once, in the element table's order, so the order of arrival leaves no trace.

use crate::annotations::Annotations;
use crate::core_columns;
use crate::element_table::{ElementTable, Member, MemberKind, TypeId};
use crate::field::{self, Field};

/// How many groups may be nested in each other. Measured: DuckDB's reading time about doubles with each nested list (12
/// levels 0.02 s, 22 levels 1.3 s).
pub const MAX_GROUPS: usize = 12;

/// How many Parquet leaves data may grow a table to. Without extensions the widest claims type, ExplanationOfBenefit,
/// has 1,417 when every path occurs; real exports show hundreds.
pub const MAX_LEAVES: usize = 4000;

/// The columns of one resource type's table: which paths are present, and the lake's choices that add columns.
///
/// Equal schemas have equal [`TableSchema::fields`].
#[derive(Debug, Clone)]
pub struct TableSchema {
    table: &'static ElementTable,
    annotations: Annotations,
    keep_json: bool,
    root: Group,
    leaf_count: usize,
}

/// The present members of an object type; at least one, but for a root that has only fixed columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Whose members these are.
    pub type_id: TypeId,
    /// Ascending by [`Present::member`].
    pub members: Vec<Present>,
}

/// A member that has a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// Index into [`crate::ObjectType::members`] of the group's type.
    pub member: u16,
    /// `Some` exactly for a [`MemberKind::Object`].
    pub group: Option<Group>,
}

impl TableSchema {
    /// The columns that a table has whatever its data ("Presence, Core"). `None` if R4 has no such resource type.
    pub fn core(
        table: &'static ElementTable,
        resource_type: &str,
        annotations: Annotations,
        keep_json: bool,
    ) -> Option<Self> {
        let mut schema = Self::without_members(table, resource_type, annotations, keep_json)?;
        for path in core_columns::paths(table, schema.root.type_id) {
            schema.place(&path);
        }
        Some(schema)
    }

    /// Only the fixed columns: `resourceType`, the provenance, `__extra`.
    pub(crate) fn without_members(
        table: &'static ElementTable,
        resource_type: &str,
        annotations: Annotations,
        keep_json: bool,
    ) -> Option<Self> {
        let type_id = table.resource(resource_type)?;
        let root = Group { type_id, members: Vec::new() };
        let leaf_count = 1 + field::trailing_leaves(keep_json);
        Some(Self { table, annotations, keep_json, root, leaf_count })
    }

    /// The name of the table and of its resource type.
    pub fn resource_type(&self) -> &str {
        &self.table.object(self.root.type_id).name
    }

    /// Which helper columns the members have.
    pub fn annotations(&self) -> Annotations {
        self.annotations
    }

    /// Whether each row keeps its resource's text in `__json`.
    pub fn keep_json(&self) -> bool {
        self.keep_json
    }

    /// The present members of the resource itself.
    pub fn root(&self) -> &Group {
        &self.root
    }

    /// How many leaves the Parquet schema has, fixed columns and annotations included; `__extra` has two.
    pub fn leaf_count(&self) -> usize {
        self.leaf_count
    }

    /// The physical columns as a tree, in file order.
    pub fn fields(&self) -> Vec<Field> {
        field::fields(self)
    }

    /// Makes the path present that these member indexes spell from the root; `true` if the schema grew.
    ///
    /// Groups on the way are created. A path that ends at an object makes its group, with the group's `id` as leaf,
    /// since Parquet has no group without one. Nothing changes, and the answer is `false`, if the path is there already,
    /// if it leads nowhere (empty, an index out of range, a step below a primitive), or if it is beyond the caps:
    /// deeper than [`MAX_GROUPS`], or a leaf more than [`MAX_LEAVES`]. [`TableSchema::contains`] tells the cases apart.
    pub fn insert(&mut self, path: &[u16]) -> bool {
        let Some((groups, leaves)) = self.cost(path) else { return false };
        if leaves == 0 || groups > MAX_GROUPS || self.leaf_count + leaves > MAX_LEAVES {
            return false;
        }
        self.place(path)
    }

    /// Whether the path has a column (a group, if it ends at an object).
    pub fn contains(&self, path: &[u16]) -> bool {
        self.cost(path).is_some_and(|(_, leaves)| leaves == 0)
    }

    /// Adds every path of the other schema of the same resource type and settings; `true` if this one grew.
    ///
    /// The caps do not apply: the other's columns may already be in files, and a table must have a place for them.
    /// Hence merging is commutative, and afterwards `self.covers(other)`.
    ///
    /// # Panics
    /// If the other schema is of another resource type.
    pub fn merge(&mut self, other: &TableSchema) -> bool {
        assert_eq!(self.root.type_id, other.root.type_id, "schemas of two resource types do not merge");
        let before = self.leaf_count;
        merge_groups(&mut self.root, &other.root);
        self.leaf_count = 1 + field::trailing_leaves(self.keep_json) + self.leaves_below(&self.root);
        self.leaf_count > before
    }

    /// Whether every path of the other schema is present here. `false` for another resource type.
    pub fn covers(&self, other: &TableSchema) -> bool {
        self.root.type_id == other.root.type_id && group_covers(&self.root, &other.root)
    }

    pub(crate) fn table(&self) -> &'static ElementTable {
        self.table
    }

    /// How many groups the path passes, and how many leaves it would add; `None` if it leads nowhere.
    fn cost(&self, path: &[u16]) -> Option<(usize, usize)> {
        let mut type_id = self.root.type_id;
        let mut present = Some(&self.root);
        let mut groups = 0;
        let mut leaves = 0;
        for (step, &index) in path.iter().enumerate() {
            let member = self.table.object(type_id).members.get(usize::from(index))?;
            let found = present.and_then(|group| group.find(index));
            let is_last = step + 1 == path.len();
            match member.kind {
                MemberKind::Object(child) => {
                    groups += 1;
                    if is_last && found.is_none() {
                        leaves = 1;
                    }
                    type_id = child;
                    present = found.and_then(|present| present.group.as_ref());
                }
                _ if !is_last => return None,
                _ if found.is_none() => leaves = member_leaves(self.table, type_id, member, self.annotations),
                _ => {}
            }
        }
        (!path.is_empty()).then_some((groups, leaves))
    }

    /// [`TableSchema::insert`] without the caps; the path must lead somewhere.
    pub(crate) fn place(&mut self, path: &[u16]) -> bool {
        let mut group = &mut self.root;
        let mut added = 0;
        for &index in path {
            let member = &self.table.object(group.type_id).members[usize::from(index)];
            let MemberKind::Object(child) = member.kind else {
                if group.find(index).is_none() {
                    added = member_leaves(self.table, group.type_id, member, self.annotations);
                    group.present(index, None);
                }
                self.leaf_count += added;
                return added > 0;
            };
            group = group.present(index, Some(child));
        }
        if group.members.is_empty() {
            let id = self.table.object(group.type_id).position("id").expect("every FHIR object type has an id");
            group.present(id, None);
            added = 1;
        }
        self.leaf_count += added;
        added > 0
    }

    fn leaves_below(&self, group: &Group) -> usize {
        let type_members = &self.table.object(group.type_id).members;
        let leaves = |present: &Present| match &present.group {
            Some(child) => self.leaves_below(child),
            None => {
                let member = &type_members[usize::from(present.member)];
                member_leaves(self.table, group.type_id, member, self.annotations)
            }
        };
        group.members.iter().map(leaves).sum()
    }
}

/// By element table, settings and present paths.
impl PartialEq for TableSchema {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.table, other.table)
            && (self.annotations, self.keep_json) == (other.annotations, other.keep_json)
            && self.root == other.root
    }
}

impl Eq for TableSchema {}

impl Group {
    /// The present member of this index.
    pub fn find(&self, member: u16) -> Option<&Present> {
        self.members.binary_search_by_key(&member, |present| present.member).ok().map(|at| &self.members[at])
    }

    /// Makes the member present, and returns its group, created empty if need be; for a leaf, the group it is in.
    fn present(&mut self, member: u16, child: Option<TypeId>) -> &mut Group {
        let at = match self.members.binary_search_by_key(&member, |present| present.member) {
            Ok(at) => at,
            Err(at) => {
                let group = child.map(|type_id| Group { type_id, members: Vec::new() });
                self.members.insert(at, Present { member, group });
                at
            }
        };
        if child.is_some() { self.members[at].group.as_mut().expect("an object member has a group") } else { self }
    }
}

/// The leaves of one primitive or raw member, its annotations included.
fn member_leaves(table: &ElementTable, owner: TypeId, member: &Member, annotations: Annotations) -> usize {
    1 + field::annotation_leaves(&table.object(owner).name, member, annotations).count()
}

fn merge_groups(into: &mut Group, from: &Group) {
    for present in &from.members {
        match into.members.binary_search_by_key(&present.member, |known| known.member) {
            Err(at) => into.members.insert(at, present.clone()),
            Ok(at) => {
                if let (Some(into), Some(from)) = (&mut into.members[at].group, &present.group) {
                    merge_groups(into, from);
                }
            }
        }
    }
}

fn group_covers(wide: &Group, narrow: &Group) -> bool {
    narrow.members.iter().all(|present| match (wide.find(present.member), &present.group) {
        (None, _) => false,
        (Some(Present { group: Some(wide), .. }), Some(narrow)) => group_covers(wide, narrow),
        (Some(_), _) => true,
    })
}
