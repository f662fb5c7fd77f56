//! `Organization`, `Practitioner` and `Location`: who insures, who treats, and where.

use super::ResourceType;
use super::chance::{self, Stream};
use super::codes::{SPECIALTIES, code};
use super::draft::Draft;
use super::names::{FAMILIES, FEMALE, MALE, PAYERS, PLACES, PROVIDERS};
use super::world::Member;

const ORGANIZATION: &str = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-Organization";
const PRACTITIONER: &str = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-Practitioner";
const LOCATION: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-location";
const NPI: &str = "http://hl7.org/fhir/sid/us-npi";
const ORGANIZATION_TYPE: &str = "http://terminology.hl7.org/CodeSystem/organization-type";

/// Writes the organization of that index: the payers come first.
pub(super) fn organization(d: &mut Draft<'_>, index: u64) {
    let payer = PAYERS.get(index as usize).copied();
    let at = somewhere(d, Stream::Organization, index);
    d.begin(ResourceType::Organization, index, ORGANIZATION);
    d.some_narrative(at.home.city);
    d.array("identifier");
    let number = 1_900_000_000 + index % 99_999_999;
    d.identifier_item("NPI", NPI, "", number);
    d.identifier_item("TAX", "urn:oid:2.16.840.1.113883.4.4", "04-", 1_000_000 + index % 8_999_999);
    d.end_array();
    d.flag("active", true);
    let kind = if payer.is_some() {
        code(ORGANIZATION_TYPE, "pay", "Payer")
    } else {
        code(ORGANIZATION_TYPE, "prov", "Healthcare Provider")
    };
    d.concepts("type", kind);
    d.name("name");
    d.out.push(b'"');
    match payer {
        Some(name) => d.escaped(name),
        None => {
            d.escaped(at.home.city);
            d.out.push(b' ');
            d.escaped(PROVIDERS[index as usize % PROVIDERS.len()]);
        }
    }
    d.out.push(b'"');
    if d.one_in(4) {
        d.array("alias");
        d.text_item("f/k/a “Old Name”, Inc.");
        d.end_array();
    }
    d.array("telecom");
    d.telephone_item("work");
    d.end_array();
    d.array("address");
    d.item();
    d.address_members(&at);
    d.end();
    d.end_array();
    if payer.is_none() && d.one_in(4) {
        d.reference("partOf", ResourceType::Organization, PAYERS.len() as u64);
    }
    if d.late {
        d.array("contact");
        d.item();
        d.concept("purpose", code("http://terminology.hl7.org/CodeSystem/contactentity-type", "BILL", "Billing"));
        d.object("name");
        d.text("text", "Zoë Hernández-O'Neil");
        d.end();
        d.array("telecom");
        d.telephone_item("work");
        d.end_array();
        d.end();
        d.end_array();
    }
    d.end();
}

/// Writes the practitioner of that index.
pub(super) fn practitioner(d: &mut Draft<'_>, index: u64) {
    let at = somewhere(d, Stream::Practitioner, index);
    d.begin(ResourceType::Practitioner, index, PRACTITIONER);
    d.some_narrative(at.family);
    d.array("identifier");
    let number = d.world.npi(index);
    d.identifier_item("NPI", NPI, "", number);
    d.end_array();
    d.flag("active", true);
    d.array("name");
    d.item();
    d.text("family", at.family);
    d.array("given");
    d.text_item(at.given[0]);
    d.end_array();
    d.array("prefix");
    d.text_item("Dr.");
    d.end_array();
    d.end();
    d.end_array();
    d.array("telecom");
    d.telephone_item("work");
    d.end_array();
    if d.one_in(2) {
        d.array("address");
        d.item();
        d.code("use", "work");
        d.address_members(&at);
        d.end();
        d.end_array();
    }
    d.code("gender", at.gender);
    d.array("qualification");
    d.item();
    let specialty = SPECIALTIES.at(index);
    d.concept("code", specialty);
    d.object("period");
    let begin = d.rng.i64(300_000_000..1_500_000_000);
    d.date_time("start", begin, at.home.offset);
    d.end();
    if d.late {
        d.object("issuer");
        d.text("display", "Board of Registration in Medicine");
        d.end();
    }
    d.end();
    d.end_array();
    if d.late {
        d.concepts("communication", code("urn:ietf:bcp:47", "vi", "Tiếng Việt"));
    }
    d.end();
}

/// Writes the location of that index.
pub(super) fn location(d: &mut Draft<'_>, index: u64) {
    let at = somewhere(d, Stream::Location, index);
    d.begin(ResourceType::Location, index, LOCATION);
    d.some_narrative(at.home.city);
    let status = if d.one_in(20) { "suspended" } else { "active" };
    d.code("status", status);
    d.name("name");
    d.out.push(b'"');
    d.escaped(at.home.city);
    d.escaped(" — main building, \"Tower B\"");
    d.out.push(b'"');
    d.code("mode", "instance");
    let specialty = code("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "HOSP", "Hospital");
    d.concepts("type", specialty);
    d.array("telecom");
    d.telephone_item("work");
    d.end_array();
    d.object("address");
    d.address_members(&at);
    d.end();
    d.concept("physicalType", code("http://terminology.hl7.org/CodeSystem/location-physical-type", "bu", "Building"));
    d.object("position");
    let (longitude, latitude) = (d.rng.i64(-12_300_000..-7_000_000), d.rng.i64(2_500_000..4_800_000));
    d.decimal("longitude", longitude, 5);
    d.decimal("latitude", latitude, 5);
    if d.late {
        d.decimal("altitude", 120, 1);
    }
    d.end();
    let organization = d.world.organization_of(index);
    d.reference("managingOrganization", ResourceType::Organization, organization);
    if d.late {
        d.array("hoursOfOperation");
        d.item();
        d.array("daysOfWeek");
        for day in ["mon", "tue", "wed"] {
            d.text_item(day);
        }
        d.end_array();
        d.flag("allDay", false);
        d.time("openingTime", 8 * 3600);
        d.time("closingTime", 17 * 3600 + 1800);
        d.end();
        d.end_array();
    }
    d.end();
}

/// A name and a town, which stay the same in every version.
fn somewhere(d: &Draft<'_>, stream: Stream, index: u64) -> Member {
    let mut rng = chance::rng(d.world.seed, stream, 0, index);
    let (gender, given) = if rng.bool() { ("female", &FEMALE) } else { ("male", &MALE) };
    Member {
        index,
        family: chance::pick(&mut rng, &FAMILIES),
        given: [chance::pick(&mut rng, given); 2],
        gender,
        birth_day: 0,
        home: &PLACES[rng.usize(..PLACES.len())],
        payer: 0,
        doctor: 0,
        number: 0,
    }
}
