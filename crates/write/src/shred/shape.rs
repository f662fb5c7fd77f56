//! What the shredder knows of a FHIR type before any data: its members, each with its guess, and a hash to find them by
//! name.
//!
//! Compiled once a process from the element table, one [`Shape`] a type, when the type is first met.

use std::sync::OnceLock;

use lakehaul_parse::MemberGuess;
use lakehaul_schema::{Annotations, ElementTable, MemberKind, Primitive, TypeId};

/// How a value is taken from the cursor and where it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A JSON string, kept as it reads.
    Text,
    /// A JSON string that hardly repeats: xhtml.
    LongText,
    /// A number, kept as its text.
    Decimal,
    /// A number that is an INT32.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A JSON string that is canonical base64, kept decoded.
    Base64,
    /// A whole resource, kept as its JSON text.
    Resource,
    /// A group.
    Object(TypeId),
    /// A resource's `resourceType`, which has told the table already. It stands behind the type's members and has no
    /// column of its own here.
    ResourceType,
}

/// Annotations that can be computed from a member's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Annotated {
    Nothing,
    /// A decimal: its number.
    Numeric,
    /// A date: first and last instant.
    Dates,
    /// A reference: type and id of its target.
    Target,
}

impl Annotated {
    /// The annotation if the lake has its kind, else nothing.
    pub(crate) fn within(self, on: Annotations) -> Annotated {
        let is_on = match self {
            Annotated::Nothing => true,
            Annotated::Numeric => on.numeric,
            Annotated::Dates => on.dates,
            Annotated::Target => on.references,
        };
        if is_on { self } else { Annotated::Nothing }
    }

    /// Columns that the annotation adds.
    pub(crate) fn columns(self) -> usize {
        match self {
            Annotated::Nothing => 0,
            Annotated::Numeric => 1,
            Annotated::Dates | Annotated::Target => 2,
        }
    }
}

/// No type has more members: `ElementDefinition` has 294.
pub(crate) const MEMBERS_MAX: usize = 320;

/// One member of a type. What each of its values needs is in one cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct ShapeMember {
    pub(crate) guess: MemberGuess,
    pub(crate) list: bool,
    pub(crate) kind: Kind,
    pub(crate) annotated: Annotated,
    pub(crate) name: &'static str,
}

/// A type's members.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) members: Vec<ShapeMember>,
    /// Open addressing over (hash, member index); a power of two, at most half full.
    names: Vec<(u32, u16)>,
}

const EMPTY: u16 = u16::MAX;

impl Shape {
    /// The shape of a type of R4.
    pub(crate) fn of(type_id: TypeId) -> &'static Shape {
        static SHAPES: OnceLock<Vec<OnceLock<Shape>>> = OnceLock::new();
        let table = ElementTable::r4();
        let shapes = SHAPES.get_or_init(|| table.type_ids().map(|_| OnceLock::new()).collect());
        shapes[type_id.index()].get_or_init(|| Shape::compile(table, type_id))
    }

    fn compile(table: &'static ElementTable, type_id: TypeId) -> Shape {
        let object_type = table.object(type_id);
        let mut members: Vec<ShapeMember> = object_type
            .members
            .iter()
            .map(|member| ShapeMember {
                name: &member.name,
                guess: MemberGuess::new(&member.name),
                list: member.list,
                annotated: match member.kind {
                    MemberKind::Primitive(Primitive::Decimal) => Annotated::Numeric,
                    MemberKind::Primitive(Primitive::DateTime) => Annotated::Dates,
                    _ if object_type.name == "Reference" && member.name == "reference" => Annotated::Target,
                    _ => Annotated::Nothing,
                },
                kind: match member.kind {
                    MemberKind::Object(type_id) => Kind::Object(type_id),
                    MemberKind::Resource => Kind::Resource,
                    MemberKind::Primitive(primitive) => match primitive {
                        Primitive::Boolean => Kind::Boolean,
                        Primitive::Integer => Kind::Integer,
                        Primitive::Decimal => Kind::Decimal,
                        Primitive::Base64Binary => Kind::Base64,
                        Primitive::Xhtml => Kind::LongText,
                        Primitive::DateTime | Primitive::String => Kind::Text,
                    },
                },
            })
            .collect();
        if table.resource(&object_type.name).is_some() {
            let name = "resourceType";
            members.push(ShapeMember {
                name,
                guess: MemberGuess::new(name),
                list: false,
                kind: Kind::ResourceType,
                annotated: Annotated::Nothing,
            });
        }
        assert!(members.len() <= MEMBERS_MAX, "{} has {} members", object_type.name, members.len());
        let size = (members.len() * 2).next_power_of_two();
        let mut names = vec![(0, EMPTY); size];
        for (index, member) in members.iter().enumerate() {
            let hash = name_hash(member.name);
            let mut slot = hash as usize & (size - 1);
            while names[slot].1 != EMPTY {
                slot = (slot + 1) & (size - 1);
            }
            names[slot] = (hash, index as u16);
        }
        Shape { members, names }
    }

    /// The guess for member `index`; beyond the members, one that never matches.
    #[inline(always)]
    pub(crate) fn guess(&self, index: u16) -> &MemberGuess {
        self.members.get(index as usize).map_or(&MemberGuess::NEVER, |member| &member.guess)
    }

    /// The member called `name`.
    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<u16> {
        let hash = name_hash(name);
        let mask = self.names.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (slot_hash, index) = self.names[slot];
            if index == EMPTY {
                return None;
            }
            if slot_hash == hash && self.members[index as usize].name == name {
                return Some(index);
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// Names are short and few: FNV-1a over the last 12 bytes and the length tells nearly all of a type's members apart.
#[inline]
fn name_hash(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let tail = &bytes[bytes.len().saturating_sub(12)..];
    tail.iter().fold(0x811C_9DC5 ^ bytes.len() as u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_found_and_no_other() {
        let table = ElementTable::r4();
        for shape in table.type_ids().map(Shape::of) {
            for (index, member) in shape.members.iter().enumerate() {
                assert_eq!(shape.find(member.name), Some(index as u16));
            }
            assert_eq!(shape.find("noSuchMember"), None);
            assert_eq!(shape.find(""), None);
        }
    }
}
