//! `Condition`: what an episode of care was about.

use super::ResourceType;
use super::calendar::DAY;
use super::codes::{BODY_SITES, FINDINGS, SNOMED, code};
use super::draft::Draft;

const PROFILE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-condition";
const CLINICAL: &str = "http://terminology.hl7.org/CodeSystem/condition-clinical";
const VERIFICATION: &str = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/condition-category";

/// Writes the condition of that index.
pub(super) fn write(d: &mut Draft<'_>, index: u64) {
    let (episode, place) = d.world.episode_of(ResourceType::Condition, index);
    let member = d.world.member(episode.member);
    let resolved = d.one_in(3);
    d.begin(ResourceType::Condition, index, PROFILE);
    d.some_narrative("Condition");
    if d.one_in(5) {
        d.array("extension");
        d.extension("http://hl7.org/fhir/StructureDefinition/condition-assertedDate");
        d.date("valueDateTime", episode.begin);
        d.end();
        d.end_array();
    }
    let status = if resolved { code(CLINICAL, "resolved", "Resolved") } else { code(CLINICAL, "active", "Active") };
    d.concept("clinicalStatus", status);
    d.concept("verificationStatus", code(VERIFICATION, "confirmed", ""));
    let category = d.pick(&[
        code(CATEGORY, "problem-list-item", "Problem List Item"),
        code(CATEGORY, "encounter-diagnosis", "Encounter Diagnosis"),
    ]);
    d.concepts("category", category);
    if d.one_in(4) {
        let of = d.pick(&[code(SNOMED, "24484000", "Severe"), code(SNOMED, "255604002", "Mild")]);
        d.concept("severity", of);
    }
    d.object("code");
    d.array("coding");
    let finding = FINDINGS.at(d.rng.u64(..));
    d.coding_item(finding);
    if place == 0 {
        d.coding_item(episode.diagnosis);
    }
    d.end_array();
    d.text("text", if place == 0 { episode.diagnosis.display } else { finding.display });
    d.end();
    if d.one_in(4) {
        let site = BODY_SITES.at(d.rng.u64(..));
        d.concepts("bodySite", site);
    }
    d.patient("subject", &member);
    let encounter = d.world.in_episode(ResourceType::Encounter, &episode, place);
    d.reference("encounter", ResourceType::Encounter, encounter);
    let onset = episode.begin - d.rng.i64(1..3000) * DAY;
    match d.rng.u32(..16) {
        0 => d.quantity("onsetAge", (episode.begin / DAY - member.birth_day) / 366, 0, "a"),
        1 => d.text("onsetString", "“a few years ago” — member's words"),
        2 => d.days("onsetPeriod", onset, onset + 30 * DAY),
        3 => {
            d.object("onsetRange");
            d.quantity("low", 30, 0, "a");
            d.quantity("high", 40, 0, "a");
            d.end();
        }
        _ => d.date_time("onsetDateTime", onset, episode.offset),
    }
    if resolved {
        d.date_time("abatementDateTime", episode.begin + 20 * DAY, episode.offset);
    }
    d.date_time("recordedDate", episode.begin, episode.offset);
    if d.one_in(3) {
        d.reference("recorder", ResourceType::Practitioner, episode.doctor);
    }
    if d.late {
        d.array("stage");
        d.item();
        d.concept("summary", code(SNOMED, "786005", "Clinical stage I"));
        let observation = d.world.in_episode(ResourceType::Observation, &episode, 1);
        d.references("assessment", ResourceType::Observation, observation);
        d.end();
        d.end_array();
        d.array("evidence");
        d.item();
        d.concepts("code", code(SNOMED, "386661006", "Fever"));
        d.end();
        d.end_array();
    }
    if d.one_in(8) {
        d.array("note");
        d.note_item(episode.begin + 3600, episode.offset);
        d.end_array();
    }
    d.end();
}
