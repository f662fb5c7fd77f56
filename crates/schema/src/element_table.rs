//! The elements of FHIR R4 as a graph of object types.
//!
//! In comes the text of the element table; out go the types that a reader of resources walks: each member with its exact
//! JSON name, whether it is an array, and what its values are. The graph is built once and never changes; recursion in
//! the definitions (an extension in an extension) is a cycle of [`TypeId`]s, never an expansion.

use std::fmt;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::element_rows;
use crate::error::TableError;

/// The path, types, maximum cardinality and content reference of every element; made by `tools/element_table.py`.
const R4_ELEMENTS: &str = include_str!("r4-elements.tsv");

static R4: LazyLock<ElementTable> =
    LazyLock::new(|| ElementTable::parse(R4_ELEMENTS).expect("a test builds the checked-in table"));

/// Every object type of one FHIR version: resource types, datatypes, backbone elements.
pub struct ElementTable {
    types: Vec<ObjectType>,
    /// Sorted by name.
    resources: Vec<(String, TypeId)>,
    sha256: String,
}

/// An object type of one [`ElementTable`]; meaningless in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(u32);

/// A JSON object's shape: a resource, a datatype, or an element with children of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct ObjectType {
    /// `Patient`, `HumanName`, or for a backbone element its path, `Patient.contact`.
    pub name: String,
    /// In column order: definition order, inherited elements first; a choice as one member per type; behind a primitive
    /// `x` its `_x`. Names are unique. A resource's `resourceType` is not among them. Fewer than 65,536.
    pub members: Vec<Member>,
}

/// A member of a JSON object.
#[derive(Debug, PartialEq, Eq)]
pub struct Member {
    /// The exact JSON name: `family`, `_family`, `valueQuantity`.
    pub name: String,
    /// Whether the JSON value is an array (the element's maximum is above 1).
    pub list: bool,
    /// What the value is, or each value of the array.
    pub kind: MemberKind,
}

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A JSON string, number or boolean.
    Primitive(Primitive),
    /// A JSON object of this type.
    Object(TypeId),
    /// A whole resource, kept as its raw JSON text: `contained`, `Bundle.entry.resource`,
    /// `Bundle.entry.response.outcome`, `Parameters.parameter.resource`.
    Resource,
}

/// The primitive types as far as columns tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primitive {
    /// boolean
    Boolean,
    /// integer, positiveInt, unsignedInt
    Integer,
    /// decimal
    Decimal,
    /// date, dateTime, instant
    DateTime,
    /// base64Binary
    Base64Binary,
    /// xhtml: `Narrative.div`
    Xhtml,
    /// Every other one: string, code, id, uri, markdown, time and so on.
    String,
}

impl ElementTable {
    /// The table of FHIR R4 (4.0.1), parsed on first use.
    pub fn r4() -> &'static ElementTable {
        &R4
    }

    /// The FHIR version that the table describes.
    pub fn fhir_version(&self) -> &str {
        "4.0.1"
    }

    /// The SHA-256 of the table's text, in lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The names of the concrete resource types, sorted.
    pub fn resource_types(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(|(name, _)| name.as_str())
    }

    /// The type of a concrete resource; `None` for a datatype, an abstract type or an unknown name.
    pub fn resource(&self, name: &str) -> Option<TypeId> {
        let at = self.resources.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(self.resources[at].1)
    }

    /// The type's name and members.
    ///
    /// # Panics
    /// If the id is of another, larger table.
    pub fn object(&self, id: TypeId) -> &ObjectType {
        &self.types[id.index()]
    }

    /// All types.
    pub fn type_ids(&self) -> impl ExactSizeIterator<Item = TypeId> {
        (0..self.types.len()).map(TypeId::from_index)
    }

    fn parse(text: &str) -> Result<Self, TableError> {
        let (types, resources) = element_rows::compile(text)?;
        let sha256 = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { types, resources, sha256 })
    }
}

/// Not its thousands of members: a schema's `Debug` holds a table's.
impl fmt::Debug for ElementTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElementTable").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

impl TypeId {
    /// Its place among the [`ElementTable::type_ids`], for tables by type.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("an element table has fewer than 2^32 types"))
    }
}

impl ObjectType {
    /// The index of the member of this name. A scan: for building, not for rows.
    pub fn position(&self, name: &str) -> Option<u16> {
        let at = self.members.iter().position(|member| member.name == name)?;
        u16::try_from(at).ok()
    }
}
