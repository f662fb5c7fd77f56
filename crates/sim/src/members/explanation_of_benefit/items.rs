//! Items of an explanation of benefit: what was billed, and how much of it the payer and the member pay.

use crate::members::ResourceType;
use crate::members::calendar::{DAY, Offset, Precision};
use crate::members::charges::{Charge, Charges};
use crate::members::codes::{
    C4BB_CATEGORY, C4BB_DISCRIMINATOR, C4BB_PAYER_STATUS, DENIALS, MODIFIERS, PLACES_OF_SERVICE, REVENUE_CODES, code,
};
use crate::members::draft::Draft;
use crate::members::world::{Episode, Kind};

/// With more items than these, each has fewer adjudications, so that hardly any resource is longer than 20 kB.
const DETAILED_ITEMS: usize = 4;

/// What the items have to know of the rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// How many elements `diagnosis` has.
    pub(super) diagnoses: u64,
    /// How many elements `processNote` will have.
    pub(super) notes: u64,
}

/// What the payer made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Paid,
    Denied,
}

/// Cents, of one item or of all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) submitted: i64,
    pub(super) eligible: i64,
    pub(super) deductible: i64,
    pub(super) copay: i64,
    pub(super) coinsurance: i64,
    pub(super) benefit: i64,
}

impl Sums {
    /// What the member pays.
    pub(super) fn member(&self) -> i64 {
        self.deductible + self.copay + self.coinsurance
    }

    /// Deals out a charge.
    fn deal(d: &mut Draft<'_>, charge: &Charge, verdict: Verdict) -> Sums {
        let submitted = charge.cents();
        if verdict == Verdict::Denied {
            return Sums { submitted, ..Sums::default() };
        }
        let eligible = submitted * d.rng.i64(40..=100) / 100;
        let deductible = if d.one_in(4) { eligible * d.rng.i64(0..=5) / 10 } else { 0 };
        let copay = if d.one_in(3) { (d.rng.i64(1..8) * 500).min(eligible - deductible) } else { 0 };
        let coinsurance = (eligible - deductible - copay) * d.pick(&[0, 0, 10, 20]) / 100;
        let benefit = eligible - deductible - copay - coinsurance;
        Sums { submitted, eligible, deductible, copay, coinsurance, benefit }
    }

    fn add(&mut self, other: &Sums) {
        self.submitted += other.submitted;
        self.eligible += other.eligible;
        self.deductible += other.deductible;
        self.copay += other.copay;
        self.coinsurance += other.coinsurance;
        self.benefit += other.benefit;
    }
}

/// Writes `item` and gives the sums of all.
pub(super) fn write(d: &mut Draft<'_>, charges: &Charges, episode: &Episode, answer: Answer) -> Sums {
    let mut sums = Sums::default();
    d.array("item");
    for (sequence, charge) in (1..).zip(charges.lines()) {
        let dealt = Sums::deal(d, charge, answer.verdict);
        sums.add(&dealt);
        d.item();
        item(d, charges, charge, episode, sequence, answer);
        d.array("adjudication");
        adjudications(d, &dealt, answer.verdict);
        if charges.lines().len() <= DETAILED_ITEMS {
            more_adjudications(d, &dealt);
        }
        d.end_array();
        if d.late && sequence == 1 {
            detail(d, charge);
        }
        d.end();
    }
    d.end_array();
    sums
}

/// All members of an item but the answer.
fn item(d: &mut Draft<'_>, charges: &Charges, charge: &Charge, episode: &Episode, sequence: u64, answer: Answer) {
    let institutional = matches!(charges.kind, Kind::Inpatient | Kind::Outpatient);
    if d.one_in(12) {
        d.array("extension");
        d.extension("https://payer.example.org/StructureDefinition/line-control-number");
        d.text("valueString", "L/0 \"amended\"");
        d.end();
        d.end_array();
    }
    d.number("sequence", sequence);
    if d.one_in(2) {
        d.array("careTeamSequence");
        d.number_item(1);
        d.end_array();
    }
    if answer.diagnoses > 0 {
        d.array("diagnosisSequence");
        d.number_item(1);
        if answer.diagnoses > 1 && d.one_in(2) {
            d.number_item(2);
        }
        d.end_array();
    }
    if institutional {
        let revenue = REVENUE_CODES.at(d.rng.u64(..));
        d.concept("revenue", revenue);
    }
    if charges.kind == Kind::Oral {
        d.concept(
            "category",
            code("http://terminology.hl7.org/CodeSystem/ex-benefitcategory", "23", "Diagnostic Dental"),
        );
    }
    d.concept("productOrService", charge.service);
    if charges.kind == Kind::Professional && d.one_in(4) {
        let modifier = MODIFIERS.at(d.rng.u64(..));
        d.concepts("modifier", modifier);
    }
    let begin = charges.begin + charge.day * DAY;
    match charges.kind {
        Kind::Inpatient => d.days("servicedPeriod", begin, begin + DAY),
        Kind::Outpatient if d.one_in(2) => d.days("servicedPeriod", begin, begin),
        _ => d.date("servicedDate", begin),
    }
    if charges.kind == Kind::Professional {
        let place = PLACES_OF_SERVICE.at(d.rng.u64(..));
        d.concept("locationCodeableConcept", place);
    } else if charges.kind == Kind::Pharmacy {
        d.concept("locationCodeableConcept", PLACES_OF_SERVICE.named("01"));
    }
    if charges.kind == Kind::Pharmacy {
        d.quantity("quantity", charge.units * 3000, 2, "{tbl}");
    } else {
        d.amount("quantity", charge.units, 0, None);
    }
    if d.one_in(3) {
        d.money("unitPrice", charge.unit_cents);
    }
    if d.one_in(24) {
        d.decimal("factor", 100, 2);
    }
    d.money("net", charge.cents());
    if charges.kind == Kind::Oral {
        let teeth = d.pick(&["3", "14", "19", "30"]);
        d.concept("bodySite", code("http://terminology.hl7.org/CodeSystem/ex-tooth", teeth, ""));
    }
    if institutional || charges.kind == Kind::Professional {
        let encounter = d.world.in_episode(ResourceType::Encounter, episode, u64::from(!institutional));
        d.references("encounter", ResourceType::Encounter, encounter);
    }
    if answer.notes > 0 && d.one_in(2) {
        d.array("noteNumber");
        d.number_item(1);
        d.end_array();
    }
}

/// The elements of `adjudication` that all items have.
fn adjudications(d: &mut Draft<'_>, dealt: &Sums, verdict: Verdict) {
    amount(d, "submitted", dealt.submitted);
    amount(d, "benefit", dealt.benefit);
    if verdict == Verdict::Denied {
        d.item();
        d.concept("category", code(C4BB_DISCRIMINATOR, "denialreason", ""));
        let reason = DENIALS.at(d.rng.u64(..));
        d.concept("reason", reason);
        d.end();
    }
}

/// The ones beyond.
fn more_adjudications(d: &mut Draft<'_>, dealt: &Sums) {
    amount(d, "eligible", dealt.eligible);
    amount(d, "deductible", dealt.deductible);
    if dealt.copay > 0 {
        amount(d, "copay", dealt.copay);
    }
    if dealt.coinsurance > 0 {
        d.item();
        d.concept("category", code(C4BB_CATEGORY, "coinsurance", "Coinsurance"));
        d.money("amount", dealt.coinsurance);
        d.end();
    }
    d.item();
    d.concept("category", code(C4BB_DISCRIMINATOR, "benefitpaymentstatus", ""));
    let network = d.pick(&["innetwork", "innetwork", "outofnetwork"]);
    d.concept("reason", code(C4BB_PAYER_STATUS, network, ""));
    d.end();
    if d.one_in(4) {
        d.item();
        d.concept("category", code(C4BB_DISCRIMINATOR, "allowedunits", ""));
        d.decimal("value", 10, 1);
        d.end();
    }
}

fn amount(d: &mut Draft<'_>, category: &'static str, cents: i64) {
    d.item();
    d.category(category);
    d.money("amount", cents);
    d.end();
}

/// `detail` with a `subDetail`, which only late resources have.
fn detail(d: &mut Draft<'_>, charge: &Charge) {
    d.array("detail");
    d.item();
    d.number("sequence", 1);
    d.concept("productOrService", charge.service);
    d.amount("quantity", 1, 0, None);
    d.money("net", charge.unit_cents);
    d.array("subDetail");
    d.item();
    d.number("sequence", 1);
    d.text_concept("productOrService", "part of the above");
    d.array("adjudication");
    amount(d, "submitted", charge.unit_cents);
    d.end_array();
    d.end();
    d.end_array();
    d.end();
    d.end_array();
}

/// The line's own members as a claim has them: the same but for the answer.
pub(in crate::members) fn claimed(d: &mut Draft<'_>, charges: &Charges, episode: &Episode) {
    d.array("item");
    for (sequence, charge) in (1..).zip(charges.lines()) {
        d.item();
        d.number("sequence", sequence);
        d.concept("productOrService", charge.service);
        d.moment("servicedDate", charges.begin + charge.day * DAY, Offset::Utc, Precision::Day);
        d.amount("quantity", charge.units, 0, None);
        d.money("unitPrice", charge.unit_cents);
        d.money("net", charge.cents());
        if sequence == 1 && charges.kind != Kind::Pharmacy {
            let encounter = d.world.in_episode(ResourceType::Encounter, episode, 0);
            d.references("encounter", ResourceType::Encounter, encounter);
        }
        d.end();
    }
    d.end_array();
}
