//! `Observation`: vital signs, laboratory results and answers, with values of every kind.

use super::ResourceType;
use super::calendar::{Offset, Precision};
use super::codes::{BODY_SITES, Code, LOINC, SNOMED, code};
use super::draft::Draft;

const PROFILE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-clinical-result";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";

/// Something that is measured: its code, its unit, the digits behind the point, and the normal range in last digits.
struct Measure {
    of: Code,
    unit: &'static str,
    scale: u32,
    low: i64,
    high: i64,
}

const fn measure(
    of: &'static str,
    display: &'static str,
    unit: &'static str,
    scale: u32,
    range: (i64, i64),
) -> Measure {
    Measure { of: code(LOINC, of, display), unit, scale, low: range.0, high: range.1 }
}

static VITAL_SIGNS: [Measure; 6] = [
    measure("8302-2", "Body height", "cm", 1, (1500, 1950)),
    measure("29463-7", "Body weight", "kg", 2, (4500, 11_000)),
    measure("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", 2, (1850, 2490)),
    measure("8867-4", "Heart rate", "/min", 0, (60, 100)),
    measure("8310-5", "Body temperature", "Cel", 1, (361, 372)),
    measure("59408-5", "Oxygen saturation by pulse oximetry", "%", 0, (95, 100)),
];

static LABORATORY: [Measure; 8] = [
    measure("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 1, (40, 56)),
    measure("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", 2, (7000, 9900)),
    measure("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 2, (60, 130)),
    measure("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", 0, (125, 200)),
    measure("6690-2", "Leukocytes [#/volume] in Blood", "10*3/uL", 1, (45, 110)),
    measure("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 1, (120, 175)),
    measure("3016-3", "Thyrotropin in Serum or Plasma", "m[IU]/L", 3, (400, 4000)),
    measure("33914-3", "eGFR/1.73 m² predicted (MDRD)", "mL/min", 0, (60, 120)),
];

/// Writes the observation of that index.
pub(super) fn write(d: &mut Draft<'_>, index: u64) {
    let (episode, place) = d.world.episode_of(ResourceType::Observation, index);
    let member = d.world.member(episode.member);
    let laboratory = place >= 4;
    let begin = episode.begin + place as i64 * 300;
    d.begin(ResourceType::Observation, index, PROFILE);
    if d.one_in(4) {
        d.some_narrative("Observation");
    }
    if d.one_in(3) {
        d.array("identifier");
        let number = d.rng.u64(..);
        d.identifier_item("", "urn:oid:2.16.840.1.113883.3.552.1", "R", number);
        d.end_array();
    }
    let status = d.pick(&["final", "final", "final", "amended", "preliminary"]);
    d.code("status", status);
    let category = match place {
        0..=3 => code(CATEGORY, "vital-signs", "Vital Signs"),
        4..=6 => code(CATEGORY, "laboratory", "Laboratory"),
        _ => code(CATEGORY, "social-history", "Social History"),
    };
    d.concepts("category", category);
    let measure: Option<&Measure> = match place {
        0 | 7 => None,
        _ if laboratory => Some(&LABORATORY[d.rng.usize(..LABORATORY.len())]),
        _ => Some(&VITAL_SIGNS[d.rng.usize(..VITAL_SIGNS.len())]),
    };
    let what = match (measure, place) {
        (Some(measure), _) => measure.of,
        (None, 0) => code(LOINC, "85354-9", "Blood pressure panel"),
        (None, _) => d.pick(&[
            code(LOINC, "72166-2", "Tobacco smoking status"),
            code(LOINC, "93025-5", "PRAPARE — social needs"),
            code(LOINC, "44261-6", "PHQ-9 total score"),
        ]),
    };
    d.concept("code", what);
    d.patient("subject", &member);
    if d.late {
        d.references("focus", ResourceType::Patient, member.index);
    }
    let encounter = d.world.in_episode(ResourceType::Encounter, &episode, place);
    d.reference("encounter", ResourceType::Encounter, encounter);
    match d.rng.u32(..16) {
        0 => d.period("effectivePeriod", begin, begin + 600, episode.offset),
        1 => d.moment("effectiveInstant", begin, Offset::Minutes(episode.offset), Precision::Millisecond),
        _ => d.date_time("effectiveDateTime", begin, episode.offset),
    }
    d.moment("issued", begin + 7200, Offset::Minutes(episode.offset), Precision::Millisecond);
    if laboratory {
        d.references("performer", ResourceType::Organization, episode.organization);
    } else if d.one_in(3) {
        d.references("performer", ResourceType::Practitioner, episode.doctor);
    }
    match measure {
        Some(measure) => measured(d, measure, begin),
        None if place == 0 => blood_pressure(d),
        None => answer(d, begin),
    }
    if d.one_in(10) {
        d.array("note");
        d.note_item(begin + 7200, episode.offset);
        d.end_array();
    }
    if laboratory && d.one_in(12) {
        let site = BODY_SITES.at(d.rng.u64(..));
        d.concept("bodySite", site);
    }
    if let Some(measure) = measure.filter(|_| laboratory) {
        reference_range(d, measure);
    }
    if d.late {
        let other = d.world.in_episode(ResourceType::Observation, &episode, place + 1);
        d.references("derivedFrom", ResourceType::Observation, other);
    }
    if place == 0 {
        pressures(d);
    }
    d.end();
}

/// A measured value, mostly a quantity; or the reason why there is none.
fn measured(d: &mut Draft<'_>, measure: &Measure, begin: i64) {
    let span = measure.high - measure.low;
    let value = measure.low - span / 4 + d.rng.i64(0..=span * 3 / 2);
    match d.rng.u32(..64) {
        0 | 1 => {
            d.concept("dataAbsentReason", code(ABSENT, "not-performed", "Not Performed"));
            return;
        }
        2 => {
            d.object("valueRange");
            d.quantity("low", measure.low, measure.scale, measure.unit);
            d.quantity("high", value, measure.scale, measure.unit);
            d.end();
        }
        3 => {
            d.object("valueRatio");
            d.quantity("numerator", value, measure.scale, measure.unit);
            d.amount("denominator", 1000, 0, None);
            d.end();
        }
        4 => {
            d.object("valueQuantity");
            d.decimal("value", value, measure.scale);
            d.code("comparator", "<");
            d.text("unit", measure.unit);
            d.end();
        }
        5 => d.text("valueString", "hemolyzed, see \"comment\" ≥ 3×"),
        6 => d.time("valueTime", begin.rem_euclid(86_400)),
        7 if d.late => {
            d.object("valueSampledData");
            d.amount("origin", 0, 0, Some("mV"));
            d.decimal("period", 200, 1);
            d.decimal("factor", 5, 3);
            d.number("dimensions", 1);
            d.code("data", "0 12 25 U 31 24 9 L -4 E");
            d.end();
        }
        _ => d.quantity("valueQuantity", value, measure.scale, measure.unit),
    }
    let (name, display) = if value > measure.high {
        ("H", "High")
    } else if value < measure.low {
        ("L", "Low")
    } else {
        ("N", "Normal")
    };
    if d.one_in(2) {
        d.concepts("interpretation", code(INTERPRETATION, name, display));
    }
}

/// A panel has no value of its own; sometimes it says so.
fn blood_pressure(d: &mut Draft<'_>) {
    if d.one_in(16) {
        d.concept("dataAbsentReason", code(ABSENT, "not-applicable", ""));
    }
    if d.one_in(4) {
        d.concept("method", code(SNOMED, "37931006", "Auscultation"));
    }
}

fn pressures(d: &mut Draft<'_>) {
    let systolic = d.rng.i64(95..180);
    let values =
        [("8480-6", "Systolic blood pressure", systolic), ("8462-4", "Diastolic blood pressure", systolic * 5 / 8)];
    d.array("component");
    for (of, display, value) in values {
        d.item();
        d.concept("code", code(LOINC, of, display));
        d.quantity("valueQuantity", value, 0, "mm[Hg]");
        if d.one_in(4) {
            d.array("referenceRange");
            d.item();
            d.quantity("high", 140, 0, "mm[Hg]");
            d.end();
            d.end_array();
        }
        d.end();
    }
    if d.one_in(8) {
        d.item();
        d.concept("code", code(LOINC, "8357-6", "Blood pressure method"));
        d.text("valueString", "Cuff, \"large\"");
        d.end();
    }
    d.end_array();
}

fn answer(d: &mut Draft<'_>, begin: i64) {
    match d.rng.u32(..8) {
        0 => d.flag("valueBoolean", false),
        1 => d.number("valueInteger", 14),
        2 => d.text("valueString", "No answer \u{1F937}\u{200D}\u{2640}\u{FE0F}; línea 2:\n\tsin teléfono"),
        3 => d.date_time("valueDateTime", begin - 86_400 * 400, -300),
        4 => d.days("valuePeriod", begin - 86_400 * 4000, begin),
        _ => {
            let of = d.pick(&[
                code(SNOMED, "266919005", "Never smoked tobacco"),
                code(SNOMED, "8517006", "Ex-smoker"),
                code(SNOMED, "77176002", "Smoker"),
            ]);
            d.concept("valueCodeableConcept", of);
        }
    }
}

fn reference_range(d: &mut Draft<'_>, measure: &Measure) {
    d.array("referenceRange");
    d.item();
    d.quantity("low", measure.low, measure.scale, measure.unit);
    d.quantity("high", measure.high, measure.scale, measure.unit);
    if d.late {
        d.object("age");
        d.quantity("low", 18, 0, "a");
        d.end();
    }
    if d.one_in(3) {
        d.text("text", "normal for adults");
    }
    d.end();
    d.end_array();
}
