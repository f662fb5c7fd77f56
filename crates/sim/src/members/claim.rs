//! `Claim`: what a provider asked for, or will ask for.

use super::ResourceType;
use super::calendar::DAY;
use super::charges::Charges;
use super::codes::{DIAGNOSES, code};
use super::draft::Draft;
use super::explanation_of_benefit::{claimed, kind};
use super::world::Kind;

const PROFILE: &str = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/profile-claim";

/// Writes the claim of that index.
pub(super) fn write(d: &mut Draft<'_>, index: u64) {
    let (episode, place) = d.world.episode_of(ResourceType::Claim, index);
    let charges = Charges::of(d.world, &episode, place);
    let member = d.world.member(episode.member);
    d.begin(ResourceType::Claim, index, PROFILE);
    d.some_narrative("Claim");
    d.array("identifier");
    let number = d.rng.u64(1..10_000_000);
    d.identifier_item("", "https://provider.example.org/claims", "C-", number);
    d.end_array();
    let status = d.pick(&["active", "active", "active", "cancelled"]);
    d.code("status", status);
    kind(d, charges.kind);
    let purpose = if d.one_in(12) { "preauthorization" } else { "claim" };
    d.code("use", purpose);
    d.patient("patient", &member);
    d.period("billablePeriod", charges.begin, charges.end, episode.offset);
    d.date_time("created", charges.end + DAY, episode.offset);
    d.reference("insurer", ResourceType::Organization, member.payer);
    d.reference("provider", ResourceType::Organization, episode.organization);
    d.concept("priority", code("http://terminology.hl7.org/CodeSystem/processpriority", "normal", ""));
    d.object("payee");
    d.concept("type", code("http://terminology.hl7.org/CodeSystem/payeetype", "provider", ""));
    d.end();
    d.reference("facility", ResourceType::Location, episode.location);
    d.array("careTeam");
    d.item();
    d.number("sequence", 1);
    d.reference("provider", ResourceType::Practitioner, episode.doctor);
    d.end();
    d.end_array();
    if d.one_in(4) {
        d.array("supportingInfo");
        d.item();
        d.number("sequence", 1);
        d.concept("category", code("http://terminology.hl7.org/CodeSystem/claiminformationcategory", "info", ""));
        let observation = d.world.in_episode(ResourceType::Observation, &episode, 0);
        d.reference("valueReference", ResourceType::Observation, observation);
        d.end();
        d.end_array();
    }
    d.array("diagnosis");
    d.item();
    d.number("sequence", 1);
    d.concept("diagnosisCodeableConcept", episode.diagnosis);
    d.end();
    if d.one_in(2) {
        let second = DIAGNOSES.at(d.rng.u64(..));
        d.item();
        d.number("sequence", 2);
        d.concept("diagnosisCodeableConcept", second);
        d.end();
    }
    d.end_array();
    if charges.kind == Kind::Inpatient {
        d.array("procedure");
        d.item();
        d.number("sequence", 1);
        let procedure = d.world.in_episode(ResourceType::Procedure, &episode, 0);
        d.reference("procedureReference", ResourceType::Procedure, procedure);
        d.end();
        d.end_array();
    }
    d.array("insurance");
    d.item();
    d.number("sequence", 1);
    d.flag("focal", true);
    let coverage = d.world.coverage_of(episode.member);
    d.reference("coverage", ResourceType::Coverage, coverage);
    if d.one_in(10) {
        d.array("preAuthRef");
        d.text_item("PA-2231/7");
        d.end_array();
    }
    d.end();
    d.end_array();
    if d.late {
        d.object("accident");
        d.date("date", charges.begin - DAY);
        d.text_concept("type", "fall on ice");
        d.reference("locationReference", ResourceType::Location, episode.location);
        d.end();
    }
    claimed(d, &charges, &episode);
    d.money("total", charges.cents());
    d.end();
}
