//! `Patient`: the member, as the payer knows them.

use super::ResourceType;
use super::calendar::{DAY, Offset, Precision};
use super::codes::{Code, code};
use super::draft::Draft;
use super::names::FAMILIES;
use super::world::Member;

const PROFILE: &str = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-Patient|2.0.0";
const US_RACE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
const US_ETHNICITY: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity";
const US_BIRTH_SEX: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex";
const BIRTH_TIME: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthTime";
const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
const OMB: &str = "urn:oid:2.16.840.1.113883.6.238";
const MARITAL: &str = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus";

/// Writes the patient of that index.
pub(super) fn write(d: &mut Draft<'_>, index: u64) {
    let member = d.world.member(index);
    d.begin(ResourceType::Patient, index, PROFILE);
    d.some_narrative(member.family);
    extensions(d);
    d.array("identifier");
    d.identifier_item("MB", "https://payer.example.org/member-id", "M", member.number);
    if d.one_in(2) {
        let number = d.rng.u64(100_000..10_000_000);
        d.identifier_item("MR", "urn:oid:2.16.840.1.113883.3.552", "", number);
    }
    if d.one_in(10) {
        d.item();
        d.code("use", "old");
        d.code("system", "http://hl7.org/fhir/sid/us-ssn");
        d.object("_value");
        d.array("extension");
        d.extension(ABSENT);
        d.code("valueCode", "masked");
        d.end();
        d.end_array();
        d.end();
        d.end();
    }
    d.end_array();
    d.flag("active", index % 50 != 49);
    names(d, &member);
    if !d.one_in(6) {
        d.array("telecom");
        d.telephone_item("home");
        if d.one_in(3) {
            d.item();
            d.code("system", "email");
            d.code("value", "member@example.org");
            d.number("rank", 1);
            d.end();
        }
        d.end_array();
    }
    d.code("gender", member.gender);
    birth(d, &member);
    d.array("address");
    d.item();
    d.code("use", "home");
    d.address_members(&member);
    d.end();
    d.end_array();
    if d.one_in(2) {
        let of = d.pick(&[code(MARITAL, "M", "Married"), code(MARITAL, "S", "Never Married")]);
        d.concept("maritalStatus", of);
    }
    match d.rng.u32(..24) {
        0 => d.number("multipleBirthInteger", 2),
        1..=9 => d.flag("multipleBirthBoolean", false),
        _ => {}
    }
    if d.late {
        d.array("photo");
        d.item();
        d.code("contentType", "image/png");
        d.code(
            "data",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        );
        d.number("size", 70);
        d.end();
        d.end_array();
    }
    if d.one_in(4) {
        contact(d, &member);
    }
    communication(d);
    if d.one_in(2) {
        d.references("generalPractitioner", ResourceType::Practitioner, member.doctor);
    }
    d.reference("managingOrganization", ResourceType::Organization, member.payer);
    if d.late {
        d.array("link");
        d.item();
        d.reference("other", ResourceType::Patient, index / 2);
        d.code("type", "seealso");
        d.end();
        d.end_array();
    }
    d.end();
}

fn extensions(d: &mut Draft<'_>) {
    d.array("extension");
    if !d.one_in(4) {
        let race = d.pick(&[
            code(OMB, "2106-3", "White"),
            code(OMB, "2054-5", "Black or African American"),
            code(OMB, "2028-9", "Asian"),
            code(OMB, "1002-5", "American Indian or Alaska Native"),
        ]);
        us_core(d, US_RACE, race);
    }
    if d.one_in(2) {
        let of = d.pick(&[code(OMB, "2135-2", "Hispanic or Latino"), code(OMB, "2186-5", "Not Hispanic or Latino")]);
        us_core(d, US_ETHNICITY, of);
    }
    d.extension(US_BIRTH_SEX);
    let sex = d.pick(&["F", "M", "UNK"]);
    d.code("valueCode", sex);
    d.end();
    if d.late {
        d.extension("https://payer.example.org/StructureDefinition/outreach");
        d.array("extension");
        d.extension("lastCall");
        d.moment("valueDateTime", 1_735_689_600, Offset::Utc, Precision::Second);
        d.end();
        d.extension("score");
        d.decimal("valueDecimal", 750, 3);
        d.end();
        d.end_array();
        d.end();
    }
    d.end_array();
}

/// An extension of extensions: category and text.
fn us_core(d: &mut Draft<'_>, url: &'static str, of: Code) {
    d.extension(url);
    d.array("extension");
    d.extension("ombCategory");
    d.coding("valueCoding", of);
    d.end();
    d.extension("text");
    d.text("valueString", of.display);
    d.end();
    d.end_array();
    d.end();
}

fn names(d: &mut Draft<'_>, member: &Member) {
    d.array("name");
    d.item();
    d.code("use", "official");
    d.text("family", member.family);
    d.array("given");
    d.text_item(member.given[0]);
    match d.rng.u32(..16) {
        // A second name is known to be there, and not what it is: null, and its extension in the array beside it.
        0 => {
            d.null_item();
            d.end_array();
            d.array("_given");
            d.null_item();
            d.item();
            d.array("extension");
            d.extension(ABSENT);
            d.code("valueCode", "asked-declined");
            d.end();
            d.end_array();
            d.end();
        }
        1..=8 => d.text_item(member.given[1]),
        _ => {}
    }
    d.end_array();
    if d.one_in(12) {
        d.array("suffix");
        d.text_item("Jr.");
        d.end_array();
    }
    d.end();
    if d.one_in(8) {
        d.item();
        d.code("use", "maiden");
        let family = d.pick(&FAMILIES);
        d.text("family", family);
        d.object("period");
        d.moment("end", (member.birth_day + 9000) * DAY, Offset::Utc, Precision::Year);
        d.end();
        d.end();
    }
    d.end_array();
}

/// `birthDate`, with the time of birth or with the reason why there is none, and `deceased[x]`.
fn birth(d: &mut Draft<'_>, member: &Member) {
    let seconds = member.birth_day * DAY;
    let precision = match d.rng.u32(..40) {
        0 => {
            d.object("_birthDate");
            d.array("extension");
            d.extension(ABSENT);
            d.code("valueCode", "unknown");
            d.end();
            d.end_array();
            d.end();
            return;
        }
        1 => Precision::Year,
        2 => Precision::Month,
        _ => Precision::Day,
    };
    d.moment("birthDate", seconds, Offset::Utc, precision);
    if precision == Precision::Day && d.one_in(16) {
        let minute = d.rng.i64(0..1440) * 60;
        d.object("_birthDate");
        d.array("extension");
        d.extension(BIRTH_TIME);
        d.moment("valueDateTime", seconds + minute, Offset::Utc, Precision::Second);
        d.end();
        d.end_array();
        d.end();
    }
    match d.rng.u32(..40) {
        0 => d.flag("deceasedBoolean", true),
        1..=3 => d.date_time("deceasedDateTime", 1_704_067_200 + seconds.rem_euclid(7_000_000), member.home.offset),
        4..=15 => d.flag("deceasedBoolean", false),
        _ => {}
    }
}

fn contact(d: &mut Draft<'_>, member: &Member) {
    d.array("contact");
    d.item();
    d.concepts("relationship", code("http://terminology.hl7.org/CodeSystem/v2-0131", "C", "Emergency Contact"));
    d.object("name");
    d.text("family", member.family);
    d.text("text", member.given[1]);
    d.end();
    d.array("telecom");
    d.telephone_item("mobile");
    d.end_array();
    if d.late {
        d.days("period", 1_577_836_800, 1_767_139_200);
    }
    d.end();
    d.end_array();
}

fn communication(d: &mut Draft<'_>) {
    let language = match d.rng.u32(..12) {
        0..=7 => code("urn:ietf:bcp:47", "en-US", "English (United States)"),
        8 | 9 => code("urn:ietf:bcp:47", "es", "español"),
        10 => code("urn:ietf:bcp:47", "zh", "中文"),
        _ => return,
    };
    d.array("communication");
    d.item();
    d.concept("language", language);
    d.flag("preferred", true);
    d.end();
    d.end_array();
}
