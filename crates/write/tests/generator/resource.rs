//! Resources: the element table walked at random, and left at random.

use lakehaul_schema::{ElementTable, Member, MemberKind, TypeId};

use super::Choices;
use super::json::{Json, Text, text};
use super::values::{anything, primitive, unknown_name};

/// Objects nest no deeper than this by the walk alone. Beyond the 12 groups that columns may nest.
const MOST_DEPTH: usize = 18;

/// A resource of this type. `resourceType` stands first, unless the spelling moves it.
pub(crate) fn resource(choices: &mut Choices<'_>, resource_type: &str) -> Json {
    let table = ElementTable::r4();
    let type_id = table.resource(resource_type).expect("a type of the table");
    let mut members = vec![(text("resourceType"), Json::Text(text(resource_type)))];
    Maker { table, choices }.members(type_id, MOST_DEPTH, &mut members);
    Json::Object(members)
}

struct Maker<'m, 'b> {
    table: &'static ElementTable,
    choices: &'m mut Choices<'b>,
}

impl Maker<'_, '_> {
    /// Some members of an object, none twice.
    fn members(&mut self, type_id: TypeId, depth: usize, members: &mut Vec<(Text, Json)>) {
        let object = self.table.object(type_id);
        // Below one member and slot on average far down, so that a line ends.
        let most = [14, 6, 4, 3].get(MOST_DEPTH - depth).copied().unwrap_or(2);
        for _ in 0..self.choices.below(most) {
            let is_taken = |members: &[(Text, Json)], name: &Text| members.iter().any(|(taken, _)| taken == name);
            if self.choices.one_in(10) {
                let known = |name: &Text| object.members.iter().any(|member| text(&member.name) == *name);
                let name = unknown_name(self.choices, |name| is_taken(members, name) || known(name));
                if let Some(name) = name {
                    members.push((name, anything(self.choices, 3, false)));
                }
                continue;
            }
            // Half the picks are among a few, so that rows share columns.
            let mut at = self.choices.below(object.members.len());
            if self.choices.one_in(2) {
                at %= 5;
            }
            let member = &object.members[at];
            let name = text(&member.name);
            if is_taken(members, &name) {
                continue;
            }
            let value = self.member(member, depth);
            let slots = if let Json::Array(slots) = &value { slots.len() } else { 0 };
            members.push((name, value));

            let sibling = object.members.get(at + 1).filter(|next| next.name == format!("_{}", member.name));
            if let Some(sibling) = sibling
                && !is_taken(members, &text(&sibling.name))
                && self.choices.one_in(3)
            {
                let value = if member.list { self.aligned(sibling, slots, depth) } else { self.member(sibling, depth) };
                members.push((text(&sibling.name), value));
            }
        }
    }

    /// A member's value, mostly of the right shape.
    fn member(&mut self, member: &Member, depth: usize) -> Json {
        match self.choices.below(20) {
            0 if depth > 1 && member.name == "extension" => self.deep_extension(),
            18 => anything(self.choices, 2, false),
            // The other cardinality.
            19 if member.list => self.slot(member.kind, depth),
            19 => Json::Array(vec![self.slot(member.kind, depth)]),
            _ if member.list => {
                let slots = self.choices.below(3) + usize::from(!self.choices.one_in(12));
                Json::Array((0..slots).map(|_| self.list_slot(member.kind, depth)).collect())
            }
            _ => self.slot(member.kind, depth),
        }
    }

    fn list_slot(&mut self, kind: MemberKind, depth: usize) -> Json {
        match self.choices.below(12) {
            10 => Json::Null,
            11 => anything(self.choices, 2, false),
            _ => self.slot(kind, depth),
        }
    }

    /// A list beside one with as many slots, nulls where there is nothing to say.
    fn aligned(&mut self, sibling: &Member, slots: usize, depth: usize) -> Json {
        let slot = |maker: &mut Self| match maker.choices.one_in(2) {
            true => maker.slot(sibling.kind, depth),
            false => Json::Null,
        };
        Json::Array((0..slots).map(|_| slot(self)).collect())
    }

    /// One value of this kind.
    fn slot(&mut self, kind: MemberKind, depth: usize) -> Json {
        match kind {
            MemberKind::Primitive(kind) => primitive(self.choices, kind),
            MemberKind::Object(type_id) => {
                let mut members = Vec::new();
                if depth > 1 {
                    self.members(type_id, depth - 1, &mut members);
                }
                Json::Object(members)
            }
            MemberKind::Resource if self.choices.one_in(4) => anything(self.choices, 3, true),
            MemberKind::Resource => {
                let types = ["Organization", "Coverage", "Practitioner", "ServiceRequest"];
                let resource_type = self.choices.pick(&types);
                let mut members = vec![(text("resourceType"), Json::Text(text(resource_type)))];
                if depth > 1
                    && let Some(type_id) = self.table.resource(resource_type)
                {
                    self.members(type_id, 2.min(depth - 1), &mut members);
                }
                Json::Object(members)
            }
        }
    }

    /// Extensions in extensions, some beyond the cap on nested groups, with a value at the bottom.
    fn deep_extension(&mut self) -> Json {
        let value = vec![(text("valueDecimal"), Json::Number("1.0".to_owned()))];
        (0..self.choices.below(24)).fold(Json::Array(vec![Json::Object(value)]), |inner, level| {
            let url = (text("url"), Json::Text(text(&format!("level-{level}"))));
            Json::Array(vec![Json::Object(vec![url, (text("extension"), inner)])])
        })
    }
}
