//! `Procedure`: what was done to a member.

use super::ResourceType;
use super::calendar::{Offset, Precision};
use super::codes::{BODY_SITES, PROCEDURES, SERVICES, SNOMED, code};
use super::draft::Draft;

const PROFILE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-procedure";

/// Writes the procedure of that index.
pub(super) fn write(d: &mut Draft<'_>, index: u64) {
    let (episode, place) = d.world.episode_of(ResourceType::Procedure, index);
    let member = d.world.member(episode.member);
    d.begin(ResourceType::Procedure, index, PROFILE);
    d.some_narrative("Procedure");
    let status = d.pick(&["completed", "completed", "completed", "not-done"]);
    d.code("status", status);
    if status == "not-done" {
        d.text_concept("statusReason", "Member didn't come");
    }
    if d.one_in(2) {
        d.concept("category", code(SNOMED, "103693007", "Diagnostic procedure"));
    }
    d.object("code");
    d.array("coding");
    let procedure = PROCEDURES.at(d.rng.u64(..));
    d.coding_item(procedure);
    if d.one_in(2) {
        let billed = SERVICES.at(d.rng.u64(..));
        d.coding_item(billed);
    }
    d.end_array();
    d.text("text", procedure.display);
    d.end();
    d.patient("subject", &member);
    let encounter = d.world.in_episode(ResourceType::Encounter, &episode, place);
    d.reference("encounter", ResourceType::Encounter, encounter);
    let begin = episode.begin + 1200;
    match d.rng.u32(..12) {
        0 => d.text("performedString", "two weeks after the \"big\" storm"),
        1..=6 => d.period("performedPeriod", begin, begin + 1800, episode.offset),
        _ => d.date_time("performedDateTime", begin, episode.offset),
    }
    if d.one_in(6) {
        d.reference("recorder", ResourceType::Practitioner, episode.doctor);
    }
    d.array("performer");
    d.item();
    if d.one_in(3) {
        d.concept("function", code(SNOMED, "304292004", "Surgeon"));
    }
    d.reference("actor", ResourceType::Practitioner, episode.doctor);
    d.reference("onBehalfOf", ResourceType::Organization, episode.organization);
    d.end();
    d.end_array();
    if d.one_in(2) {
        d.reference("location", ResourceType::Location, episode.location);
    }
    if d.one_in(2) {
        let condition = d.world.in_episode(ResourceType::Condition, &episode, 0);
        d.references("reasonReference", ResourceType::Condition, condition);
    } else {
        d.concepts("reasonCode", episode.diagnosis);
    }
    if d.one_in(3) {
        let site = BODY_SITES.at(d.rng.u64(..));
        d.concepts("bodySite", site);
    }
    if d.one_in(4) {
        d.concept("outcome", code(SNOMED, "385669000", "Successful"));
    }
    if d.late {
        d.concepts("complication", code(SNOMED, "131148009", "Bleeding"));
        d.concepts("followUp", code(SNOMED, "18949003", "Change of dressing"));
        d.array("extension");
        d.extension("https://payer.example.org/StructureDefinition/scheduled");
        d.moment("valueInstant", begin - 86_400, Offset::Utc, Precision::Millisecond);
        d.end();
        d.end_array();
    }
    if d.one_in(8) {
        d.array("note");
        d.note_item(begin + 3600, episode.offset);
        d.end_array();
    }
    d.end();
}
