//! The columns of a row group under construction, as a tree beside the schema's.
//!
//! A node exists once its path has been seen; what a node keeps is only which of its parent's instances have it, and a
//! leaf its values. Nodes stay from row group to row group with what they have learnt (which member follows which),
//! their contents do not.

use lakehaul_schema::TypeId;

use super::shape::{Kind, Shape};
use crate::columns::{BytesLeaf, Presence, Size, Storage};

/// A child that has not been seen.
const UNSEEN: u32 = u32::MAX;
/// A child that is beyond the caps: its values go to `__extra`.
const REFUSED: u32 = u32::MAX - 1;

/// Whether a member has a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Child {
    Unseen,
    Refused,
    /// Index of a list, an object or a leaf, by the member's kind.
    At(usize),
}

/// What an object node knows of one of its members.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    /// Index of its list, object or leaf; [`UNSEEN`], [`REFUSED`].
    child: u32,
    /// The member that came behind it last time.
    pub(crate) follow: u16,
}

impl Slot {
    const NEW: Slot = Slot { child: UNSEEN, follow: u16::MAX };

    /// Notes that the member is beyond the caps.
    pub(crate) fn refuse(&mut self) {
        self.child = REFUSED;
    }

    #[inline(always)]
    pub(crate) fn child(self) -> Child {
        match self.child {
            UNSEEN => Child::Unseen,
            REFUSED => Child::Refused,
            at => Child::At(at as usize),
        }
    }
}

/// A group: the resource itself, or an element of a complex type.
#[derive(Debug)]
pub(crate) struct ObjectNode {
    pub(crate) shape: &'static Shape,
    /// Of the opening brace at 0, of member i at i + 1.
    pub(crate) slots: Box<[Slot]>,
    pub(crate) presence: Presence,
    /// Member indexes from the root.
    pub(crate) path: Vec<u16>,
}

impl ObjectNode {
    pub(crate) fn child(&self, index: u16) -> Child {
        self.slots[index as usize + 1].child()
    }
}

/// The lists that a member has, one a parent instance that has the member; none is empty.
#[derive(Debug, Default)]
pub(crate) struct ListNode {
    pub(crate) presence: Presence,
    /// Elements up to and including each list.
    pub(crate) ends: Vec<u32>,
    /// Elements in all.
    pub(crate) total: u32,
    /// The object or leaf of the elements, by the member's kind.
    pub(crate) element: usize,
}

/// A leaf's values, one for each of its presence's ordinals. Which they are is told in front, beside what every value
/// needs, and not somewhere in the last cache line.
#[derive(Debug)]
#[repr(u8)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all leaves are of bytes, and each value would cost one look more"
)]
pub(crate) enum Values {
    Bytes(BytesLeaf),
    Integers(Vec<i32>),
    Booleans(Vec<bool>),
}

/// A primitive member's column, or that of a list's elements. Begins with a cache line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct LeafNode {
    pub(crate) presence: Presence,
    pub(crate) values: Values,
}

/// All nodes of a table; the root is object 0.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) objects: Vec<ObjectNode>,
    pub(crate) lists: Vec<ListNode>,
    pub(crate) leaves: Vec<LeafNode>,
}

impl Nodes {
    pub(crate) fn new(resource: TypeId) -> Self {
        let mut nodes = Nodes { objects: Vec::new(), lists: Vec::new(), leaves: Vec::new() };
        nodes.object(resource, Vec::new());
        nodes
    }

    /// Makes the column of member `index` of object `parent`. `slot`: where the object knows it.
    pub(crate) fn create(&mut self, parent: usize, index: u16, slot: &mut Slot) -> usize {
        let member = &self.objects[parent].shape.members[index as usize];
        let path = self.objects[parent].path.iter().copied().chain([index]).collect();
        let element = match member.kind {
            Kind::Object(type_id) => self.object(type_id, path),
            kind => {
                let values = match kind {
                    Kind::Integer => Values::Integers(Vec::new()),
                    Kind::Boolean => Values::Booleans(Vec::new()),
                    Kind::LongText | Kind::Base64 | Kind::Resource => Values::Bytes(BytesLeaf::new(Storage::Plain)),
                    _ => Values::Bytes(BytesLeaf::new(Storage::Dictionary)),
                };
                self.leaves.push(LeafNode { presence: Presence::default(), values });
                self.leaves.len() - 1
            }
        };
        let child = if member.list {
            self.lists.push(ListNode { element, ..ListNode::default() });
            self.lists.len() - 1
        } else {
            element
        };
        slot.child = child as u32;
        child
    }

    fn object(&mut self, type_id: TypeId, path: Vec<u16>) -> usize {
        let shape = Shape::of(type_id);
        let members = shape.members.len();
        self.objects.push(ObjectNode {
            shape,
            path,
            presence: Presence::default(),
            slots: vec![Slot::NEW; members + 1].into(),
        });
        self.objects.len() - 1
    }

    /// Forgets what belongs to the parent's instances from `limit` on, in object `node` and below it.
    pub(crate) fn truncate(&mut self, node: usize, limit: u32) {
        self.objects[node].presence.truncate(limit);
        let instances = self.objects[node].presence.count();
        let shape = self.objects[node].shape;
        for (index, member) in shape.members.iter().enumerate() {
            let Child::At(child) = self.objects[node].child(index as u16) else { continue };
            let (element, limit) = if member.list {
                let list = &mut self.lists[child];
                list.presence.truncate(instances);
                list.ends.truncate(list.presence.count() as usize);
                list.total = list.ends.last().copied().unwrap_or(0);
                (list.element, list.total)
            } else {
                (child, instances)
            };
            match member.kind {
                Kind::Object(_) => self.truncate(element, limit),
                _ => self.leaves[element].truncate(limit),
            }
        }
    }

    /// Forgets all contents; buffers and what was learnt are kept.
    pub(crate) fn clear(&mut self) {
        self.objects.iter_mut().for_each(|object| object.presence.clear());
        for list in &mut self.lists {
            list.presence.clear();
            list.ends.clear();
            list.total = 0;
        }
        self.leaves.iter_mut().for_each(LeafNode::clear);
    }

    pub(crate) fn size(&self) -> Size {
        let objects: Size = self.objects.iter().map(|object| object.presence.size()).sum();
        let lists: Size = self.lists.iter().map(|list| list.presence.size() + Size::of(&list.ends)).sum();
        objects + lists + self.leaves.iter().map(LeafNode::size).sum()
    }
}

impl LeafNode {
    fn truncate(&mut self, limit: u32) {
        self.presence.truncate(limit);
        let count = self.presence.count() as usize;
        match &mut self.values {
            Values::Bytes(values) => values.truncate(count),
            Values::Integers(values) => values.truncate(count),
            Values::Booleans(values) => values.truncate(count),
        }
    }

    fn clear(&mut self) {
        self.presence.clear();
        match &mut self.values {
            Values::Bytes(values) => values.clear(),
            Values::Integers(values) => values.clear(),
            Values::Booleans(values) => values.clear(),
        }
    }

    fn size(&self) -> Size {
        let values = match &self.values {
            Values::Bytes(values) => values.size(),
            Values::Integers(values) => Size::of(values),
            Values::Booleans(values) => Size::of(values),
        };
        self.presence.size() + values
    }
}
