//! `supportingInfo` of an explanation of benefit: what a claim's form has in its boxes.

use crate::members::calendar::DAY;
use crate::members::charges::Charges;
use crate::members::codes::{C4BB_SUPPORTING_INFO, code};
use crate::members::draft::Draft;
use crate::members::json::push_number;
use crate::members::world::Kind;

const NUBC_BILL: &str = "https://www.nubc.org/CodeSystem/TypeOfBill";
const NUBC_DISCHARGE: &str = "https://www.nubc.org/CodeSystem/PatDischargeStatus";
const NUBC_ADMISSION: &str = "https://www.nubc.org/CodeSystem/PriorityTypeOfAdmitOrVisit";
const NUBC_ORIGIN: &str = "https://www.nubc.org/CodeSystem/PointOfOrigin";
const MS_DRG: &str = "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software";
const NCPDP_DAW: &str = "http://terminology.hl7.org/CodeSystem/NCPDPDispensedAsWrittenOrProductSelectionCode";
const NCPDP_BRAND: &str = "http://terminology.hl7.org/CodeSystem/NCPDPBrandGenericIndicator";
const NCPDP_ORIGIN: &str = "http://terminology.hl7.org/CodeSystem/NCPDPPrescriptionOriginCode";

/// Writes the array.
pub(super) fn write(d: &mut Draft<'_>, charges: &Charges, created: i64) {
    d.array("supportingInfo");
    let mut sequence = 0;
    begin(d, &mut sequence, "clmrecvddate");
    d.date("timingDate", created - DAY);
    d.end();
    match charges.kind {
        Kind::Inpatient => {
            begin(d, &mut sequence, "admissionperiod");
            d.days("timingPeriod", charges.begin, charges.end);
            d.end();
            coded(d, &mut sequence, "typeofbill", NUBC_BILL, "111", "Hospital inpatient, admit through discharge");
            let status = d.pick(&[("01", "Discharged to home"), ("06", "Home health care"), ("20", "Expired")]);
            coded(d, &mut sequence, "discharge-status", NUBC_DISCHARGE, status.0, status.1);
            let admission = d.pick(&[("1", "Emergency"), ("3", "Elective")]);
            coded(d, &mut sequence, "admtype", NUBC_ADMISSION, admission.0, admission.1);
            coded(d, &mut sequence, "pointoforigin", NUBC_ORIGIN, "1", "");
            let group =
                d.pick(&[("470", "Major joint replacement"), ("807", "Vaginal delivery"), ("291", "Heart failure")]);
            coded(d, &mut sequence, "drg", MS_DRG, group.0, group.1);
            account(d, &mut sequence);
        }
        Kind::Outpatient => {
            coded(d, &mut sequence, "typeofbill", NUBC_BILL, "131", "");
            if d.one_in(2) {
                account(d, &mut sequence);
            }
            if d.one_in(20) {
                begin(d, &mut sequence, "attachment");
                d.object("valueAttachment");
                d.code("contentType", "application/pdf");
                d.code("url", "https://payer.example.org/documents/12345?part=1&v=2");
                d.text("title", "Operative report — scanned");
                d.end();
                d.end();
            }
        }
        Kind::Professional | Kind::Oral => {
            if d.one_in(2) {
                account(d, &mut sequence);
            }
            if d.one_in(30) {
                begin(d, &mut sequence, "onset");
                d.flag("valueBoolean", true);
                d.end();
            }
        }
        Kind::Pharmacy => {
            begin(d, &mut sequence, "dayssupply");
            let days = d.pick(&[30, 30, 90, 7]);
            d.amount("valueQuantity", days, 0, Some("days"));
            d.end();
            let written = d.pick(&["0", "1", "2"]);
            coded(d, &mut sequence, "dawcode", NCPDP_DAW, written, "");
            begin(d, &mut sequence, "refillnum");
            let refill = d.rng.i64(0..6);
            d.amount("valueQuantity", refill, 0, None);
            d.end();
            let brand = d.pick(&["1", "2"]);
            coded(d, &mut sequence, "brandgenericindicator", NCPDP_BRAND, brand, "");
            coded(d, &mut sequence, "rxorigincode", NCPDP_ORIGIN, "3", "Electronic");
        }
    }
    d.end_array();
}

/// Opens an element and writes what all have.
fn begin(d: &mut Draft<'_>, sequence: &mut u64, category: &'static str) {
    *sequence += 1;
    d.item();
    d.number("sequence", *sequence);
    d.concept("category", code(C4BB_SUPPORTING_INFO, category, ""));
}

fn coded(
    d: &mut Draft<'_>,
    sequence: &mut u64,
    category: &'static str,
    system: &'static str,
    of: &'static str,
    display: &'static str,
) {
    begin(d, sequence, category);
    d.concept("code", code(system, of, display));
    d.end();
}

fn account(d: &mut Draft<'_>, sequence: &mut u64) {
    begin(d, sequence, "patientaccountnumber");
    let number = d.rng.u64(1_000_000..100_000_000);
    d.name("valueString");
    d.quoted(|out| push_number(out, number));
    d.end();
}
