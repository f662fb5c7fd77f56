//! One resource, from its type and number: which draws it makes, in which order and with which escapes it is written,
//! and by which of the modules that know a type.

use super::chance::{Stream, rng};
use super::draft::{Draft, TypeMember};
use super::json::{Escapes, JsonWriter};
use super::plan::{Plan, Stretch};
use super::{
    MemberOrder, ResourceType, claim, condition, coverage, encounter, explanation_of_benefit, medication_request,
    observation, patient, procedure, providers,
};

/// Appends a file's `nth` resource and gives what was paid.
pub(crate) fn write(
    plan: &Plan,
    stretch: &Stretch,
    nth: u64,
    json: &mut JsonWriter,
    out: &mut Vec<u8>,
    narrative: Narrative,
    type_member: TypeMember,
) -> i64 {
    let index = plan.index(stretch.of, stretch.ordinals.start + nth);
    let (seed, variant) = (plan.options.seed, plan.version() << 8 | stretch.of as u64);
    let mut body = rng(seed, Stream::Body, variant, index);
    let escapes = if body.u32(..16) == 0 { Escapes::Ascii } else { Escapes::Needed };
    let shuffled = plan.options.member_order == MemberOrder::Shuffled;
    json.swap(out);
    json.escapes = escapes;
    json.shuffle = shuffled.then(|| rng(seed, Stream::Order, variant, index));
    let mut draft = Draft {
        json,
        world: &plan.world,
        rng: body,
        version: plan.version(),
        updated: plan.updated(stretch.of, index),
        late: nth >= plan.late_from(stretch.ordinals.end - stretch.ordinals.start),
        narrative: narrative == Narrative::May,
        type_member,
        payment_cents: 0,
    };
    let write = match stretch.of {
        ResourceType::Patient => patient::write,
        ResourceType::Coverage => coverage::write,
        ResourceType::ExplanationOfBenefit => explanation_of_benefit::write,
        ResourceType::Claim => claim::write,
        ResourceType::Encounter => encounter::write,
        ResourceType::Condition => condition::write,
        ResourceType::Procedure => procedure::write,
        ResourceType::Observation => observation::write,
        ResourceType::MedicationRequest => medication_request::write,
        ResourceType::Organization => providers::organization,
        ResourceType::Practitioner => providers::practitioner,
        ResourceType::Location => providers::location,
    };
    write(&mut draft, index);
    let payment_cents = draft.payment_cents;
    json.swap(out);
    payment_cents
}

/// Whether a resource may have a narrative of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Narrative {
    May,
    No,
}
