//! `ExplanationOfBenefit`: what a payer made of a claim, in the five forms of the CARIN Blue Button guide.
//!
//! Its items are in [`items`], the answer to each of them too; what else a claim says is in [`supporting_info`].

mod items;
mod supporting_info;

pub(super) use self::items::claimed;

use self::items::{Answer, Sums, Verdict};
use super::ResourceType;
use super::calendar::{DAY, Offset, Precision};
use super::charges::Charges;
use super::codes::{
    C4BB_CARE_TEAM_ROLE, C4BB_CATEGORY, C4BB_DIAGNOSIS_TYPE, CATEGORY, DIAGNOSES, OPERATIONS, SPECIALTIES, V3_ACT, code,
};
use super::draft::Draft;
use super::json::push_number;
use super::world::{Episode, Kind};

const CLAIM_TYPE: &str = "http://terminology.hl7.org/CodeSystem/claim-type";
const CLAIM_SUBTYPE: &str = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBInstitutionalClaimSubType";
const DIAGNOSIS_TYPE: &str = "http://terminology.hl7.org/CodeSystem/ex-diagnosistype";
const PAYMENT_STATUS: &str = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBPayerClaimPaymentStatusCode";
const RELATED: &str = "http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship";

/// Writes the explanation of benefit of that index.
pub(super) fn write(d: &mut Draft<'_>, index: u64) {
    const OF: ResourceType = ResourceType::ExplanationOfBenefit;
    let (episode, place) = d.world.episode_of(OF, index);
    let charges = Charges::of(d.world, &episode, place);
    let member = d.world.member(episode.member);
    let institutional = matches!(charges.kind, Kind::Inpatient | Kind::Outpatient);
    let verdict = if d.one_in(20) { Verdict::Denied } else { Verdict::Paid };
    let notes = u64::from(verdict == Verdict::Denied || d.one_in(6));
    d.begin(OF, index, profile(charges.kind));
    d.some_narrative("Explanation of benefit");
    let referred = charges.kind == Kind::Professional && d.one_in(6);
    if referred {
        contained_referral(d, &episode);
    }
    if d.one_in(3) {
        d.array("extension");
        d.extension("https://payer.example.org/StructureDefinition/claim-batch");
        let batch = d.rng.u64(1..1_000_000);
        d.object("valueIdentifier");
        d.code("system", "https://payer.example.org/batch");
        d.name("value");
        d.quoted(|out| push_number(out, batch));
        d.end();
        d.end();
        if d.late {
            d.extension("https://payer.example.org/StructureDefinition/audit-period");
            d.days("valuePeriod", charges.end, charges.end + 90 * DAY);
            d.end();
        }
        d.end_array();
    }
    let number = d.rng.u64(10_000_000_000..99_999_999_999);
    d.array("identifier");
    d.item();
    d.concept("type", code("http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBIdentifierType", "uc", "Unique Claim ID"));
    d.code("system", "https://payer.example.org/claim-number");
    d.name("value");
    d.quoted(|out| push_number(out, number));
    d.end();
    d.end_array();
    let status = if d.one_in(30) { "cancelled" } else { "active" };
    d.code("status", status);
    kind(d, charges.kind);
    d.code("use", "claim");
    d.patient("patient", &member);
    d.days("billablePeriod", charges.begin, charges.end);
    let created = charges.end + d.rng.i64(1..20) * DAY;
    d.date_time("created", created, episode.offset);
    d.reference("insurer", ResourceType::Organization, member.payer);
    if institutional || charges.kind == Kind::Pharmacy {
        d.reference("provider", ResourceType::Organization, episode.organization);
    } else {
        d.reference("provider", ResourceType::Practitioner, episode.doctor);
    }
    if d.one_in(2) {
        d.concept("priority", code("http://terminology.hl7.org/CodeSystem/processpriority", "normal", ""));
    }
    if d.one_in(24) {
        d.array("related");
        d.item();
        let claim = d.world.in_episode(ResourceType::Claim, &episode, 0);
        d.reference("claim", ResourceType::Claim, claim);
        d.concept("relationship", code(RELATED, "prior", "Prior Claim"));
        d.identifier("reference", "https://payer.example.org/claim-number", "A-", number - 1);
        d.end();
        d.end_array();
    }
    if charges.kind == Kind::Pharmacy {
        let prescription = d.world.in_episode(ResourceType::MedicationRequest, &episode, place - 3);
        d.reference("prescription", ResourceType::MedicationRequest, prescription);
    }
    d.object("payee");
    d.concept("type", code("http://terminology.hl7.org/CodeSystem/payeetype", "provider", "Provider"));
    d.reference("party", ResourceType::Organization, episode.organization);
    d.end();
    if referred {
        d.local_reference("referral", "#referral");
    }
    if institutional {
        d.reference("facility", ResourceType::Location, episode.location);
    }
    if place < 3 {
        let claim = d.world.in_episode(ResourceType::Claim, &episode, place);
        d.reference("claim", ResourceType::Claim, claim);
    }
    let outcome = if d.one_in(30) { "partial" } else { "complete" };
    d.code("outcome", outcome);
    if d.one_in(3) {
        let words = if verdict == Verdict::Denied {
            "Denied: see process notes"
        } else {
            "Processed at the plan's \"in network\" rate"
        };
        d.text("disposition", words);
    }
    care_team(d, &episode, charges.kind);
    supporting_info::write(d, &charges, created);
    let diagnoses = diagnoses(d, &episode, charges.kind);
    if charges.kind == Kind::Inpatient {
        procedures(d, charges.begin, episode.offset);
    }
    if d.one_in(2) {
        d.number("precedence", 1);
    }
    d.array("insurance");
    d.item();
    d.flag("focal", true);
    let coverage = d.world.coverage_of(episode.member);
    d.reference("coverage", ResourceType::Coverage, coverage);
    d.end();
    d.end_array();
    if d.late {
        accident(d, charges.begin);
    }
    let sums = items::write(d, &charges, &episode, Answer { verdict, diagnoses, notes });
    if d.late {
        added_item(d);
    }
    adjudication_and_total(d, &sums, institutional);
    payment(d, &sums, created, verdict);
    if notes > 0 {
        process_note(d);
    }
    if d.late {
        balance(d, &sums);
    }
    d.end();
}

fn profile(of: Kind) -> &'static str {
    match of {
        Kind::Inpatient => {
            "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-Inpatient-Institutional|2.0.0"
        }
        Kind::Outpatient => {
            "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-Outpatient-Institutional|2.0.0"
        }
        Kind::Professional => {
            "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-Professional-NonClinician|2.0.0"
        }
        Kind::Pharmacy => {
            "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-Pharmacy|2.0.0"
        }
        Kind::Oral => "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-Oral|2.0.0",
    }
}

/// `type` and `subType`, as claims have them too.
pub(super) fn kind(d: &mut Draft<'_>, of: Kind) {
    let (name, subtype) = match of {
        Kind::Inpatient => ("institutional", Some("inpatient")),
        Kind::Outpatient => ("institutional", Some("outpatient")),
        Kind::Professional => ("professional", None),
        Kind::Pharmacy => ("pharmacy", None),
        Kind::Oral => ("oral", None),
    };
    d.concept("type", code(CLAIM_TYPE, name, ""));
    if let Some(subtype) = subtype {
        d.concept("subType", code(CLAIM_SUBTYPE, subtype, ""));
    }
}

fn contained_referral(d: &mut Draft<'_>, episode: &Episode) {
    d.array("contained");
    d.item();
    d.code("resourceType", "ServiceRequest");
    d.code("id", "referral");
    d.code("status", "completed");
    d.code("intent", "order");
    d.reference("subject", ResourceType::Patient, episode.member);
    d.reference("requester", ResourceType::Practitioner, episode.doctor);
    d.end();
    d.end_array();
}

fn care_team(d: &mut Draft<'_>, episode: &Episode, of: Kind) {
    let roles: &[&'static str] = match of {
        Kind::Inpatient => &["attending", "operating", "referring"],
        Kind::Outpatient => &["attending", "referring"],
        Kind::Professional | Kind::Oral => &["performing", "referring"],
        Kind::Pharmacy => &["prescribing"],
    };
    let doctors = d.world.count(ResourceType::Practitioner);
    d.array("careTeam");
    for (sequence, role) in (1..).zip(roles) {
        d.item();
        d.number("sequence", sequence);
        d.reference("provider", ResourceType::Practitioner, (episode.doctor + sequence - 1) % doctors);
        if d.one_in(8) {
            d.flag("responsible", sequence == 1);
        }
        d.concept("role", code(C4BB_CARE_TEAM_ROLE, role, ""));
        if d.one_in(3) {
            let specialty = SPECIALTIES.at(d.rng.u64(..));
            d.concept("qualification", specialty);
        }
        d.end();
    }
    d.end_array();
}

/// Writes `diagnosis` and gives how many there are.
fn diagnoses(d: &mut Draft<'_>, episode: &Episode, of: Kind) -> u64 {
    let count = match of {
        Kind::Pharmacy => return 0,
        Kind::Oral => 1,
        Kind::Inpatient => d.rng.u64(2..=6),
        Kind::Outpatient | Kind::Professional => d.rng.u64(1..=3),
    };
    d.array("diagnosis");
    for sequence in 1..=count {
        let diagnosis = if sequence == 1 { episode.diagnosis } else { DIAGNOSES.at(d.rng.u64(..)) };
        d.item();
        d.number("sequence", sequence);
        if sequence == 2 && d.one_in(8) {
            let condition = d.world.in_episode(ResourceType::Condition, episode, 1);
            d.reference("diagnosisReference", ResourceType::Condition, condition);
        } else {
            d.concept("diagnosisCodeableConcept", diagnosis);
        }
        let kind = match (sequence, of) {
            (1, _) => code(DIAGNOSIS_TYPE, "principal", "Principal Diagnosis"),
            (2, Kind::Inpatient) => code(DIAGNOSIS_TYPE, "admitting", "Admitting Diagnosis"),
            (2, Kind::Outpatient) => code(C4BB_DIAGNOSIS_TYPE, "patientreasonforvisit", ""),
            _ => code(C4BB_DIAGNOSIS_TYPE, "other", "Other"),
        };
        d.concepts("type", kind);
        if of == Kind::Inpatient {
            d.concept("onAdmission", code("http://terminology.hl7.org/CodeSystem/ex-diagnosis-on-admission", "y", ""));
        }
        d.end();
    }
    d.end_array();
    count
}

fn procedures(d: &mut Draft<'_>, begin: i64, offset: i16) {
    d.array("procedure");
    for sequence in 1..=d.rng.u64(1..=3) {
        let operation = OPERATIONS.at(d.rng.u64(..));
        d.item();
        d.number("sequence", sequence);
        d.concepts("type", code("http://terminology.hl7.org/CodeSystem/ex-procedure-type", "primary", ""));
        d.moment("date", begin, Offset::Minutes(offset), Precision::Second);
        d.concept("procedureCodeableConcept", operation);
        d.end();
    }
    d.end_array();
}

fn accident(d: &mut Draft<'_>, begin: i64) {
    d.object("accident");
    d.date("date", begin - DAY);
    d.concept("type", code(V3_ACT, "MVA", "Motor vehicle accident"));
    d.object("locationAddress");
    d.text("city", "Bahía Honda");
    d.code("state", "FL");
    d.end();
    d.end();
}

fn added_item(d: &mut Draft<'_>) {
    d.array("addItem");
    d.item();
    d.array("itemSequence");
    d.number_item(1);
    d.end_array();
    d.text_concept("productOrService", "Bundled by the payer");
    d.money("net", 0);
    d.array("adjudication");
    d.item();
    d.category("submitted");
    d.money("amount", 0);
    d.end();
    d.end_array();
    d.end();
    d.end_array();
}

fn adjudication_and_total(d: &mut Draft<'_>, sums: &Sums, institutional: bool) {
    if institutional {
        d.array("adjudication");
        d.item();
        d.concept("category", code(C4BB_CATEGORY, "memberliability", "Member liability"));
        d.money("amount", sums.member());
        d.end();
        d.end_array();
    }
    let totals = [
        (CATEGORY, "submitted", "Submitted Amount", sums.submitted),
        (CATEGORY, "eligible", "Eligible Amount", sums.eligible),
        (CATEGORY, "deductible", "Deductible", sums.deductible),
        (CATEGORY, "copay", "CoPay", sums.copay),
        (CATEGORY, "benefit", "Benefit Amount", sums.benefit),
        (C4BB_CATEGORY, "memberliability", "Member liability", sums.member()),
    ];
    d.array("total");
    for (system, of, display, cents) in totals {
        d.item();
        d.concept("category", code(system, of, display));
        d.money("amount", cents);
        d.end();
    }
    d.end_array();
}

fn payment(d: &mut Draft<'_>, sums: &Sums, created: i64, verdict: Verdict) {
    d.object("payment");
    let status = if verdict == Verdict::Denied { "denied" } else { "paid" };
    d.concept("type", code(PAYMENT_STATUS, status, ""));
    if d.one_in(40) {
        d.money("adjustment", -250);
        d.text_concept("adjustmentReason", "recovery of an overpayment");
    }
    let paid = created + d.rng.i64(1..20) * DAY;
    d.date("date", paid);
    d.money("amount", sums.benefit);
    d.payment_cents = sums.benefit;
    if verdict == Verdict::Paid {
        let number = d.rng.u64(..1_000_000_000);
        d.identifier("identifier", "https://payer.example.org/remittance", "EFT", number);
    }
    d.end();
}

fn process_note(d: &mut Draft<'_>) {
    d.array("processNote");
    d.item();
    d.number("number", 1);
    d.code("type", "display");
    let text = d.pick(&[
        "Please submit the operative report.\nFax: (555) 010-0199",
        "Déjà payé par l'autre assurance",
        "Member’s plan year resets on 01/01. \"Thank you.\"",
    ]);
    d.text("text", text);
    if d.late {
        d.concept("language", code("urn:ietf:bcp:47", "en", ""));
    }
    d.end();
    d.end_array();
}

fn balance(d: &mut Draft<'_>, sums: &Sums) {
    d.array("benefitBalance");
    d.item();
    d.concept("category", code("http://terminology.hl7.org/CodeSystem/ex-benefitcategory", "1", "Medical Care"));
    d.flag("excluded", false);
    d.text("name", "Deductible — individual");
    d.array("financial");
    d.item();
    d.concept("type", code("http://terminology.hl7.org/CodeSystem/benefit-type", "deductible", ""));
    d.money("allowedMoney", 250_000);
    d.money("usedMoney", sums.deductible);
    d.end();
    d.item();
    d.concept("type", code("http://terminology.hl7.org/CodeSystem/benefit-type", "visit", ""));
    d.number("allowedUnsignedInt", 20);
    d.number("usedUnsignedInt", 3);
    d.end();
    d.end_array();
    d.end();
    d.end_array();
}
