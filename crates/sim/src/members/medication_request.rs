//! `MedicationRequest`: a prescription.

use super::ResourceType;
use super::calendar::DAY;
use super::codes::{DRUGS, RXNORM, SNOMED, code};
use super::draft::Draft;

const PROFILE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-medicationrequest";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/medicationrequest-category";

/// Writes the prescription of that index.
pub(super) fn write(d: &mut Draft<'_>, index: u64) {
    let (episode, place) = d.world.episode_of(ResourceType::MedicationRequest, index);
    let member = d.world.member(episode.member);
    let drug = if place == 0 { DRUGS.at(episode.drug) } else { DRUGS.at(d.rng.u64(..)) };
    let contained = d.one_in(5);
    d.begin(ResourceType::MedicationRequest, index, PROFILE);
    d.some_narrative("Prescription");
    if contained {
        d.array("contained");
        d.item();
        d.code("resourceType", "Medication");
        d.code("id", "drug");
        d.concept("code", drug);
        d.concept("form", code(SNOMED, "385055001", "Tablet"));
        d.array("ingredient");
        d.item();
        d.concept("itemCodeableConcept", code(RXNORM, drug.code, ""));
        d.object("strength");
        d.quantity("numerator", 500, 0, "mg");
        d.quantity("denominator", 10, 1, "{tbl}");
        d.end();
        d.end();
        d.end_array();
        d.end();
        d.end_array();
    }
    d.array("identifier");
    let number = d.rng.u64(1_000_000..10_000_000);
    d.identifier_item("", "https://pharmacy.example.org/rx", "RX", number);
    d.end_array();
    let status = d.pick(&["active", "completed", "completed", "stopped"]);
    d.code("status", status);
    if d.late {
        d.text_concept("statusReason", "Allergy – “hives”");
    }
    d.code("intent", "order");
    if d.one_in(2) {
        d.concepts("category", code(CATEGORY, "outpatient", "Outpatient"));
    }
    if d.one_in(4) {
        d.flag("reportedBoolean", false);
    }
    if contained {
        d.local_reference("medicationReference", "#drug");
    } else {
        d.concept("medicationCodeableConcept", drug);
    }
    d.patient("subject", &member);
    let encounter = d.world.in_episode(ResourceType::Encounter, &episode, place);
    d.reference("encounter", ResourceType::Encounter, encounter);
    d.date_time("authoredOn", episode.begin + 1800, episode.offset);
    d.reference("requester", ResourceType::Practitioner, episode.doctor);
    if d.one_in(2) {
        let condition = d.world.in_episode(ResourceType::Condition, &episode, 0);
        d.references("reasonReference", ResourceType::Condition, condition);
    } else if d.one_in(2) {
        d.concepts("reasonCode", episode.diagnosis);
    }
    if d.late {
        let course = code("http://terminology.hl7.org/CodeSystem/medicationrequest-course-of-therapy", "acute", "");
        d.concept("courseOfTherapyType", course);
    }
    if d.one_in(6) {
        let coverage = d.world.coverage_of(episode.member);
        d.references("insurance", ResourceType::Coverage, coverage);
    }
    if d.one_in(10) {
        d.array("note");
        d.note_item(episode.begin + 1900, episode.offset);
        d.end_array();
    }
    dosage(d);
    dispense(d, episode.begin);
    if d.one_in(3) {
        d.object("substitution");
        d.flag("allowedBoolean", true);
        d.end();
    }
    if place == 1 && d.one_in(12) {
        let prior = d.world.in_episode(ResourceType::MedicationRequest, &episode, 0);
        d.reference("priorPrescription", ResourceType::MedicationRequest, prior);
    }
    d.end();
}

fn dosage(d: &mut Draft<'_>) {
    d.array("dosageInstruction");
    d.item();
    d.number("sequence", 1);
    let text = d.pick(&["1 tablet by mouth twice a day", "Una tableta cada 8 horas", "As directed;\nsee \"leaflet\""]);
    d.text("text", text);
    d.object("timing");
    d.object("repeat");
    if d.one_in(6) {
        d.object("boundsDuration");
        d.decimal("value", 10, 0);
        d.code("code", "d");
        d.end();
    }
    let frequency = d.rng.u64(1..4);
    d.number("frequency", frequency);
    d.decimal("period", 10, 1);
    d.code("periodUnit", "d");
    if d.one_in(8) {
        d.array("timeOfDay");
        d.text_item("08:00:00");
        d.text_item("20:00:00");
        d.end_array();
    }
    d.end();
    d.end();
    let needed = d.one_in(4);
    d.flag("asNeededBoolean", needed);
    d.concept("route", code(SNOMED, "26643006", "Oral route"));
    d.array("doseAndRate");
    d.item();
    if d.one_in(12) {
        d.object("doseRange");
        d.amount("low", 5, 1, Some("tablet"));
        d.amount("high", 10, 1, Some("tablet"));
        d.end();
    } else {
        d.amount("doseQuantity", 10, 1, Some("tablet"));
    }
    d.end();
    d.end_array();
    if d.late {
        d.object("maxDosePerPeriod");
        d.amount("numerator", 4, 0, Some("tablet"));
        d.quantity("denominator", 1, 0, "d");
        d.end();
    }
    d.end();
    d.end_array();
}

fn dispense(d: &mut Draft<'_>, begin: i64) {
    d.object("dispenseRequest");
    if d.late {
        d.object("initialFill");
        d.amount("quantity", 7, 0, Some("tablet"));
        d.end();
    }
    if d.one_in(2) {
        d.days("validityPeriod", begin, begin + 365 * DAY);
    }
    let repeats = d.rng.u64(..6);
    d.number("numberOfRepeatsAllowed", repeats);
    d.amount("quantity", 300, 1, Some("tablet"));
    d.quantity("expectedSupplyDuration", 30, 0, "d");
    d.end();
}
