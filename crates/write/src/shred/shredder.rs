//! Pulls one resource from a cursor into the columns of its table.
//!
//! In: a cursor at the start of a line. Out: one more row in the nodes' columns, or, where the line is refused, no
//! trace of it. The work is proportional to the values on the line, not to the table's columns: a column is made when
//! its path is first seen, and what is absent costs nothing.
//!
//! A member is found by a guess first (the one that stood here last time), then by hash. A value that does not belong
//! where the element table would have it goes to `__extra` under its JSON Pointer; so every member is kept exactly
//! once.

use std::fmt::Debug;
use std::mem;

use lakehaul_parse::{Cursor, Member, Reason, Reject, Text, Token};
use lakehaul_schema::TypeId;

use super::domain::{decode, fits, integer, quote};
use super::extra::{Extra, Place, Step};
use super::nodes::{Child, Nodes, Slot, Values};
use super::seen::{Seen, UnknownNames};
use super::shape::{Kind, ShapeMember};
use crate::columns::{BytesLeaf, Size, Storage};

/// Where a line came from: what its provenance columns say.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// An `output_files[].name` of the ledger.
    pub output_file: &'a str,
    /// The line's number in the output file, from 1.
    pub line: u64,
    /// The line's text; kept where the lake keeps it (`--keep-json`).
    pub json: &'a str,
}

/// Decides whether a path that is seen for the first time becomes a column.
pub(crate) trait ColumnGate: Debug + Send + Sync {
    /// False: the path is beyond the caps. `path`: member indexes from the root.
    fn admit(&self, path: &[u16]) -> bool;
}

/// A row group of one table under construction.
#[derive(Debug)]
pub(crate) struct Shredder<G> {
    resource_type: &'static str,
    gate: G,
    pub(crate) rows: u32,
    pub(crate) nodes: Nodes,
    pub(crate) extra: Extra,
    pub(crate) output_files: BytesLeaf,
    pub(crate) lines: Vec<i64>,
    /// `__json`, where the lake keeps it.
    pub(crate) json: Option<BytesLeaf>,
    /// Values that went to `__extra` because their path is beyond the caps.
    pub(crate) beyond_caps: u64,
    unknown: UnknownNames,
}

impl<G: ColumnGate> Shredder<G> {
    pub(crate) fn new(resource_type: &'static str, type_id: TypeId, keep_json: bool, gate: G) -> Self {
        Shredder {
            resource_type,
            gate,
            rows: 0,
            nodes: Nodes::new(type_id),
            extra: Extra::new(),
            output_files: BytesLeaf::new(Storage::Dictionary),
            lines: Vec::new(),
            json: keep_json.then(|| BytesLeaf::new(Storage::Plain)),
            beyond_caps: 0,
            unknown: UnknownNames::default(),
        }
    }

    /// Adds the cursor's line as a row. The cursor is at the line's start; its `resourceType` is this table's.
    ///
    /// # Errors
    /// What is wrong with the line. The columns are then as they were before it.
    pub(crate) fn append<'c, C: Cursor<'c>>(&mut self, cursor: &mut C, origin: Origin<'_>) -> Result<(), Reject> {
        let beyond_caps = self.beyond_caps;
        if let Err(reject) = self.resource(cursor) {
            self.nodes.truncate(0, self.rows);
            self.extra.truncate(self.rows);
            self.unknown.clear();
            self.beyond_caps = beyond_caps;
            return Err(reject);
        }
        self.rows += 1;
        self.output_files.push_expected(origin.output_file.as_bytes());
        self.lines.push(origin.line as i64);
        if let Some(json) = &mut self.json {
            json.push(origin.json.as_bytes(), false);
        }
        Ok(())
    }

    fn resource<'c, C: Cursor<'c>>(&mut self, cursor: &mut C) -> Result<(), Reject> {
        if cursor.peek()? != Token::Object {
            return Err(Reject { reason: Reason::NotAnObject, at: cursor.position() });
        }
        if !self.object(cursor, 0, self.rows, None)? {
            // The object is empty. Callers look for the resource type first, so this line never gets here; if it did,
            // it would be this.
            return Err(Reject { reason: Reason::MissingResourceType, at: cursor.position() });
        }
        cursor.finish()
    }

    /// Pulls an object into object node `node` as an instance for the parent's instance `parent`. False: the object is
    /// empty and nothing was added.
    fn object<'c, C: Cursor<'c>>(
        &mut self,
        cursor: &mut C,
        node: usize,
        parent: u32,
        place: Option<&Place<'_>>,
    ) -> Result<bool, Reject> {
        cursor.begin_object()?;
        // The slots are with this object while its members come: no other is an instance of its node meanwhile.
        let mut slots = mem::take(&mut self.nodes.objects[node].slots);
        let added = self.members(cursor, node, &mut slots, parent, place);
        self.nodes.objects[node].slots = slots;
        added
    }

    #[inline(always)]
    fn members<'c, C: Cursor<'c>>(
        &mut self,
        cursor: &mut C,
        node: usize,
        slots: &mut [Slot],
        parent: u32,
        place: Option<&Place<'_>>,
    ) -> Result<bool, Reject> {
        let object = &mut self.nodes.objects[node];
        let shape = object.shape;
        let instance = object.presence.push(parent);
        let (mut seen, mut unknown) = (Seen::new(), None);
        let mut before = 0;
        loop {
            let guessed = slots[before].follow;
            let index = match cursor.next_member(shape.guess(guessed))? {
                Member::Guessed => guessed,
                Member::Named(Text::Borrowed(name) | Text::Unescaped(name)) => match shape.find(name) {
                    Some(index) => {
                        slots[before].follow = index;
                        index
                    }
                    None => {
                        let name = name.to_owned();
                        self.unknown_member(cursor, name, &mut unknown, place)?;
                        continue;
                    }
                },
                Member::Named(Text::LoneSurrogate { .. }) => {
                    return Err(Reject { reason: Reason::LoneSurrogateName, at: cursor.position() });
                }
                Member::End => return Ok(self.end(node, parent, before, unknown)),
            };
            if !seen.first(index) {
                return Err(Reject { reason: Reason::DuplicateMember, at: cursor.position() });
            }
            before = index as usize + 1;
            let member = &shape.members[index as usize];
            let slot = &mut slots[before];
            if let (Kind::Text, false, Child::At(leaf)) = (member.kind, member.list, slot.child())
                && self.guessed(cursor, leaf, instance)
            {
                continue;
            }
            let place = Place { parent: place, step: Step::Member(member) };
            self.member(cursor, node, index, slot, member, instance, &place)?;
        }
    }

    /// Keeps a member that the object's type does not have.
    #[cold]
    fn unknown_member<'c, C: Cursor<'c>>(
        &mut self,
        cursor: &mut C,
        name: String,
        set: &mut Option<usize>,
        place: Option<&Place<'_>>,
    ) -> Result<(), Reject> {
        let place = Place { parent: place, step: Step::Name(&name) };
        self.keep_raw(cursor, &place)?;
        if self.unknown.first(set, name) {
            Ok(())
        } else {
            Err(Reject { reason: Reason::DuplicateMember, at: cursor.position() })
        }
    }

    /// Ends an object; false, and it is no instance: it had no member. `before`: 0 where it had none of its type's.
    #[inline(always)]
    fn end(&mut self, node: usize, parent: u32, before: usize, unknown: Option<usize>) -> bool {
        match unknown {
            Some(set) => self.unknown.end(set),
            None if before == 0 => {
                self.nodes.objects[node].presence.truncate(parent);
                return false;
            }
            None => {}
        }
        true
    }

    /// Pulls a value into leaf `leaf` if it is a text that is to be expected there: most are.
    #[inline(always)]
    fn guessed<'c, C: Cursor<'c>>(&mut self, cursor: &mut C, leaf: usize, parent: u32) -> bool {
        let leaf = &mut self.nodes.leaves[leaf];
        let Values::Bytes(values) = &mut leaf.values else { return false };
        let hit = values.guess().is_some_and(|guess| cursor.guess_string(guess));
        if hit {
            values.push_guessed();
            leaf.presence.push(parent);
        }
        hit
    }

    /// Pulls the value of member `index` of object node `node`.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "what is known of a member comes from three places")]
    fn member<'c, C: Cursor<'c>>(
        &mut self,
        cursor: &mut C,
        node: usize,
        index: u16,
        slot: &mut Slot,
        member: &ShapeMember,
        instance: u32,
        place: &Place<'_>,
    ) -> Result<(), Reject> {
        if member.kind == Kind::ResourceType {
            return self.resource_type(cursor);
        }
        let token = cursor.peek()?;
        let fits = if member.list { token == Token::Array } else { fits(member.kind, token) };
        if !fits {
            return self.keep_raw(cursor, place);
        }
        let child = match slot.child() {
            Child::At(child) => child,
            Child::Unseen => match self.admit(node, index, slot) {
                Some(child) => child,
                None => return self.beyond_caps(cursor, place),
            },
            Child::Refused => return self.beyond_caps(cursor, place),
        };
        if member.list {
            self.list(cursor, child, member.kind, instance, place)
        } else {
            self.value(cursor, child, member.kind, instance, place)
        }
    }

    /// The resource type was compared when the table was chosen; here it is only consumed.
    fn resource_type<'c, C: Cursor<'c>>(&self, cursor: &mut C) -> Result<(), Reject> {
        match cursor.peek()? {
            Token::String if cursor.guess_string(self.resource_type.as_bytes()) => Ok(()),
            _ => cursor.raw().map(drop),
        }
    }

    #[cold]
    fn admit(&mut self, node: usize, index: u16, slot: &mut Slot) -> Option<usize> {
        let path: Vec<u16> = self.nodes.objects[node].path.iter().copied().chain([index]).collect();
        if self.gate.admit(&path) {
            Some(self.nodes.create(node, index, slot))
        } else {
            slot.refuse();
            None
        }
    }

    /// Pulls an array into list `list`. Every element has a slot; those without a place in the column leave theirs null.
    fn list<'c, C: Cursor<'c>>(
        &mut self,
        cursor: &mut C,
        list: usize,
        kind: Kind,
        parent: u32,
        place: &Place<'_>,
    ) -> Result<(), Reject> {
        cursor.begin_array()?;
        if !cursor.next_element()? {
            self.extra.push(self.rows, place, "[]");
            return Ok(());
        }
        let node = &mut self.nodes.lists[list];
        node.presence.push(parent);
        node.ends.push(node.total);
        let element = node.element;
        let start = node.total;
        let mut ordinal = start;
        loop {
            if kind != Kind::Text || !self.guessed(cursor, element, ordinal) {
                let place = Place { parent: Some(place), step: Step::Index(ordinal - start) };
                let token = cursor.peek()?;
                if fits(kind, token) {
                    self.value(cursor, element, kind, ordinal, &place)?;
                } else if token == Token::Null {
                    cursor.null()?;
                } else {
                    self.keep_raw(cursor, &place)?;
                }
            }
            ordinal += 1;
            if !cursor.next_element()? {
                break;
            }
        }
        let node = &mut self.nodes.lists[list];
        node.total = ordinal;
        if let Some(end) = node.ends.last_mut() {
            *end = ordinal;
        }
        Ok(())
    }

    /// Pulls one value that fits its column's kind into leaf or object `child`.
    #[inline(always)]
    fn value<'c, C: Cursor<'c>>(
        &mut self,
        cursor: &mut C,
        child: usize,
        kind: Kind,
        parent: u32,
        place: &Place<'_>,
    ) -> Result<(), Reject> {
        if let Kind::Object(_) = kind {
            if !self.object(cursor, child, parent, Some(place))? {
                self.extra.push(self.rows, place, "{}");
            }
            return Ok(());
        }
        let leaf = &mut self.nodes.leaves[child];
        match &mut leaf.values {
            Values::Bytes(values) => match kind {
                Kind::Decimal => values.push(cursor.number()?.as_bytes(), false),
                Kind::Resource => {
                    let raw = cursor.raw()?;
                    if raw.as_bytes()[1..raw.len() - 1].trim_ascii().is_empty() {
                        self.extra.push(self.rows, place, "{}");
                        return Ok(());
                    }
                    values.push(raw.as_bytes(), false);
                }
                Kind::Base64 => {
                    let kept = match cursor.string()? {
                        Text::Borrowed(text) | Text::Unescaped(text) => {
                            decode(text).map_or_else(|| Err(quote(text)), Ok)
                        }
                        Text::LoneSurrogate { raw } => Err(raw.to_owned()),
                    };
                    match kept {
                        Ok(bytes) => values.push(&bytes, false),
                        Err(raw) => {
                            self.extra.push(self.rows, place, &raw);
                            return Ok(());
                        }
                    }
                }
                _ => match cursor.string()? {
                    Text::Borrowed(text) => values.push(text.as_bytes(), true),
                    Text::Unescaped(text) => values.push(text.as_bytes(), false),
                    Text::LoneSurrogate { raw } => {
                        self.extra.push(self.rows, place, raw);
                        return Ok(());
                    }
                },
            },
            Values::Integers(values) => {
                let text = cursor.number()?;
                match integer(text) {
                    Some(value) => values.push(value),
                    None => {
                        self.extra.push(self.rows, place, text);
                        return Ok(());
                    }
                }
            }
            Values::Booleans(values) => values.push(cursor.boolean()?),
        }
        leaf.presence.push(parent);
        Ok(())
    }

    /// Keeps the next value, whatever it is, as raw text.
    #[cold]
    fn keep_raw<'c, C: Cursor<'c>>(&mut self, cursor: &mut C, place: &Place<'_>) -> Result<(), Reject> {
        let raw = cursor.raw()?;
        self.extra.push(self.rows, place, raw);
        Ok(())
    }

    #[cold]
    fn beyond_caps<'c, C: Cursor<'c>>(&mut self, cursor: &mut C, place: &Place<'_>) -> Result<(), Reject> {
        self.beyond_caps += 1;
        self.keep_raw(cursor, place)
    }

    /// Forgets the rows; buffers are kept.
    pub(crate) fn clear(&mut self) {
        self.rows = 0;
        self.nodes.clear();
        self.extra.clear();
        self.output_files.clear();
        self.lines.clear();
        if let Some(json) = &mut self.json {
            json.clear();
        }
    }

    pub(crate) fn size(&self) -> Size {
        let json = self.json.as_ref().map(BytesLeaf::size).unwrap_or_default();
        self.nodes.size() + self.extra.size() + self.output_files.size() + Size::of(&self.lines) + json
    }
}
