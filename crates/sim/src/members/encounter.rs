//! `Encounter`: a stay or a visit.

use super::ResourceType;
use super::calendar::DAY;
use super::codes::{SNOMED, V3_ACT, code};
use super::draft::Draft;
use super::world::Kind;

const PROFILE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-encounter";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const DIAGNOSIS_ROLE: &str = "http://terminology.hl7.org/CodeSystem/diagnosis-role";

/// Writes the encounter of that index: the first of an episode is the stay, if there was one.
pub(super) fn write(d: &mut Draft<'_>, index: u64) {
    let (episode, place) = d.world.episode_of(ResourceType::Encounter, index);
    let member = d.world.member(episode.member);
    let inpatient = place == 0 && d.world.kind(&episode, 0) == Kind::Inpatient;
    let begin = episode.begin + place as i64 * 6 * 3600;
    let minutes = d.rng.i64(10..90);
    let end = if inpatient { begin + episode.days * DAY } else { begin + minutes * 60 };
    d.begin(ResourceType::Encounter, index, PROFILE);
    d.some_narrative("Encounter");
    d.array("identifier");
    let number = d.rng.u64(1..100_000_000);
    d.identifier_item("VN", "https://provider.example.org/visits", "", number);
    d.end_array();
    let status = d.pick(&["finished", "finished", "finished", "in-progress"]);
    d.code("status", status);
    if d.late {
        d.array("statusHistory");
        d.item();
        d.code("status", "arrived");
        d.period("period", begin - 600, begin, episode.offset);
        d.end();
        d.end_array();
    }
    let class = if inpatient {
        code(V3_ACT, "IMP", "inpatient encounter")
    } else {
        d.pick(&[code(V3_ACT, "AMB", "ambulatory"), code(V3_ACT, "EMER", "emergency"), code(V3_ACT, "VR", "virtual")])
    };
    d.coding("class", class);
    if d.late {
        d.array("classHistory");
        d.item();
        d.coding("class", code(V3_ACT, "OBSENC", "observation encounter"));
        d.period("period", begin - 3600, begin, episode.offset);
        d.end();
        d.end_array();
    }
    let kind = d.pick(&[
        code(SNOMED, "185349003", "Encounter for check up"),
        code(SNOMED, "185345009", "Encounter for symptom"),
        code(SNOMED, "50849002", "Emergency room admission"),
    ]);
    d.concepts("type", kind);
    if d.one_in(4) {
        d.text_concept("serviceType", "Médecine générale");
    }
    d.patient("subject", &member);
    d.array("participant");
    d.item();
    d.concepts("type", code(PARTICIPATION, "PPRF", "primary performer"));
    d.period("period", begin, end, episode.offset);
    d.reference("individual", ResourceType::Practitioner, episode.doctor);
    d.end();
    d.end_array();
    d.period("period", begin, end, episode.offset);
    if !inpatient && d.one_in(2) {
        d.quantity("length", minutes * 10, 1, "min");
    }
    d.concepts("reasonCode", episode.diagnosis);
    if d.one_in(2) {
        d.array("diagnosis");
        d.item();
        let condition = d.world.in_episode(ResourceType::Condition, &episode, place);
        d.reference("condition", ResourceType::Condition, condition);
        d.concept("use", code(DIAGNOSIS_ROLE, "AD", "Admission diagnosis"));
        d.number("rank", 1);
        d.end();
        d.end_array();
    }
    if inpatient {
        d.object("hospitalization");
        d.concept("admitSource", code("http://terminology.hl7.org/CodeSystem/admit-source", "emd", ""));
        if d.late {
            d.concepts("dietPreference", code("http://terminology.hl7.org/CodeSystem/diet", "vegetarian", ""));
        }
        let home = code("http://terminology.hl7.org/CodeSystem/discharge-disposition", "home", "Home");
        d.concept("dischargeDisposition", home);
        d.end();
    }
    d.array("location");
    d.item();
    d.reference("location", ResourceType::Location, episode.location);
    if d.one_in(3) {
        d.code("status", "completed");
    }
    d.end();
    d.end_array();
    d.reference("serviceProvider", ResourceType::Organization, episode.organization);
    if place == 1 && d.one_in(10) {
        let stay = d.world.in_episode(ResourceType::Encounter, &episode, 0);
        d.reference("partOf", ResourceType::Encounter, stay);
    }
    d.end();
}
