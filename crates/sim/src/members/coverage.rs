//! `Coverage`: a member's insurance.

use super::ResourceType;
use super::calendar::DAY;
use super::codes::{V3_ACT, code};
use super::draft::Draft;
use super::json::{push_hex, push_number};
use super::names::PAYERS;

const PROFILE: &str = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-Coverage";
const CLASS: &str = "http://terminology.hl7.org/CodeSystem/coverage-class";
const COPAY: &str = "http://terminology.hl7.org/CodeSystem/coverage-copay-type";
const RELATIONSHIP: &str = "http://terminology.hl7.org/CodeSystem/subscriber-relationship";

/// Writes the coverage of that index.
pub(super) fn write(d: &mut Draft<'_>, index: u64) {
    let (owner, second) = d.world.coverage_owner(index);
    let member = d.world.member(owner);
    let payer = if second { (member.payer + 1) % PAYERS.len() as u64 } else { member.payer };
    d.begin(ResourceType::Coverage, index, PROFILE);
    d.some_narrative("Coverage");
    // A payer that is not in the export is contained.
    let contained = second && d.one_in(2);
    if contained {
        d.array("contained");
        d.item();
        d.code("resourceType", "Organization");
        d.code("id", "payer");
        d.flag("active", true);
        d.text("name", "Other payer, as the member told");
        d.end();
        d.end_array();
    }
    d.array("identifier");
    d.identifier_item("MB", "https://payer.example.org/member-id", "M", member.number);
    d.end_array();
    let status = d.pick(&["active", "active", "active", "cancelled"]);
    d.code("status", status);
    let kind = d.pick(&[
        code(V3_ACT, "EHCPOL", "extended healthcare"),
        code(V3_ACT, "HMO", "health maintenance organization policy"),
        code(V3_ACT, "PPO", "preferred provider organization policy"),
        code(V3_ACT, "DRUGPOL", "drug policy"),
    ]);
    d.concept("type", kind);
    if d.one_in(3) {
        d.reference("policyHolder", ResourceType::Patient, owner);
    }
    d.reference("subscriber", ResourceType::Patient, owner);
    d.name("subscriberId");
    d.quoted(|out| {
        out.push(b'S');
        push_number(out, member.number);
    });
    d.patient("beneficiary", &member);
    let dependent = d.pick(&["00", "01", "02"]);
    d.code("dependent", dependent);
    let relationship = if dependent == "00" { "self" } else { "child" };
    d.concept("relationship", code(RELATIONSHIP, relationship, ""));
    let year = d.rng.i64(17_897..19_700) * DAY;
    if d.one_in(2) {
        d.days("period", year, year + 364 * DAY);
    } else {
        d.object("period");
        d.date("start", year);
        d.end();
    }
    d.array("payor");
    if contained {
        d.item();
        d.code("reference", "#payer");
        d.end();
    } else {
        d.item();
        d.name("reference");
        let world = d.world;
        d.quoted(|out| {
            out.extend_from_slice(b"Organization/");
            world.push_id(out, ResourceType::Organization, payer);
        });
        d.text("display", PAYERS[payer as usize]);
        d.end();
    }
    d.end_array();
    d.array("class");
    let group = d.rng.u64(..1 << 20);
    class(d, "group", group, "Employer group “North & South”");
    let plan = d.pick(&["Evergreen Gold", "Silver 2500 HSA", "Bronze+", "Zweitversicherung Größe L"]);
    class(d, "plan", group >> 4, plan);
    if d.late {
        class(d, "rxbin", group >> 6, "Pharmacy routing");
    }
    d.end_array();
    d.number("order", 1 + u64::from(second));
    if d.one_in(2) {
        d.text("network", "Evergreen \"Choice\" network");
    }
    costs(d);
    if d.late {
        d.flag("subrogation", false);
    }
    d.end();
}

fn class(d: &mut Draft<'_>, of: &'static str, value: u64, name: &str) {
    d.item();
    d.concept("type", code(CLASS, of, ""));
    d.name("value");
    d.quoted(|out| push_hex(out, value, 5));
    d.text("name", name);
    d.end();
}

fn costs(d: &mut Draft<'_>) {
    d.array("costToBeneficiary");
    d.item();
    d.concept("type", code(COPAY, "gpvisit", "GP Office Visit"));
    let cents = d.rng.i64(0..60) * 100;
    d.money("valueMoney", cents);
    d.end();
    if d.one_in(2) {
        d.item();
        d.text_concept("type", "coinsurance");
        let percent = d.rng.i64(1..6) * 100;
        d.quantity("valueQuantity", percent, 1, "%");
        if d.late {
            d.array("exception");
            d.item();
            d.text_concept("type", "foster child");
            d.days("period", 1_577_836_800, 1_767_139_200);
            d.end();
            d.end_array();
        }
        d.end();
    }
    d.end_array();
}
