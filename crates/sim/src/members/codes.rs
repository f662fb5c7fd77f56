//! Code systems, and a few codes of each, in words of our own. Some of the codes are real, some only look so.

/// A code with its system and what it means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code {
    /// ASCII.
    pub(crate) system: &'static str,
    /// ASCII.
    pub(crate) code: &'static str,
    pub(crate) display: &'static str,
}

/// A code.
pub(crate) const fn code(system: &'static str, code: &'static str, display: &'static str) -> Code {
    Code { system, code, display }
}

/// Codes of one system.
pub(crate) struct CodeList {
    system: &'static str,
    codes: &'static [(&'static str, &'static str)],
}

impl CodeList {
    /// The code that a random number falls on.
    pub(crate) fn at(&self, number: u64) -> Code {
        let (of, display) = self.codes[(number % self.codes.len() as u64) as usize];
        code(self.system, of, display)
    }

    /// The code that is in the list under that name.
    pub(crate) fn named(&self, name: &'static str) -> Code {
        let display = self.codes.iter().find(|(of, _)| *of == name).map_or("", |(_, display)| *display);
        code(self.system, name, display)
    }
}

pub(crate) const ICD_10_CM: &str = "http://hl7.org/fhir/sid/icd-10-cm";
pub(crate) const ICD_10_PCS: &str = "http://www.cms.gov/Medicare/Coding/ICD10";
pub(crate) const CPT: &str = "http://www.ama-assn.org/go/cpt";
pub(crate) const HCPCS: &str = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets";
pub(crate) const NDC: &str = "http://hl7.org/fhir/sid/ndc";
pub(crate) const CDT: &str = "http://www.ada.org/cdt";
pub(crate) const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
pub(crate) const LOINC: &str = "http://loinc.org";
pub(crate) const SNOMED: &str = "http://snomed.info/sct";
pub(crate) const UCUM: &str = "http://unitsofmeasure.org";
pub(crate) const NUCC: &str = "http://nucc.org/provider-taxonomy";
pub(crate) const REVENUE: &str = "https://www.nubc.org/CodeSystem/RevenueCodes";
pub(crate) const PLACE_OF_SERVICE: &str =
    "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set";
pub(crate) const V2_IDENTIFIER: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
pub(crate) const V3_ACT: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
pub(crate) const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/adjudication";
pub(crate) const C4BB_CATEGORY: &str = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBAdjudication";
pub(crate) const C4BB_DISCRIMINATOR: &str = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBAdjudicationDiscriminator";
pub(crate) const C4BB_PAYER_STATUS: &str = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBPayerAdjudicationStatus";
pub(crate) const C4BB_SUPPORTING_INFO: &str = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBSupportingInfoType";
pub(crate) const C4BB_CARE_TEAM_ROLE: &str = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBClaimCareTeamRole";
pub(crate) const C4BB_DIAGNOSIS_TYPE: &str = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBClaimDiagnosisType";
pub(crate) const DENIAL_REASON: &str = "https://x12.org/codes/claim-adjustment-reason-codes";

/// Diagnoses, by episode of care.
pub(crate) static DIAGNOSES: CodeList = CodeList {
    system: ICD_10_CM,
    codes: &[
        ("E11.9", "Type 2 diabetes mellitus without complications"),
        ("E11.65", "Type 2 diabetes mellitus with hyperglycemia"),
        ("I10", "Essential (primary) hypertension"),
        ("E78.5", "Hyperlipidemia, unspecified"),
        ("J45.909", "Unspecified asthma, uncomplicated"),
        ("J06.9", "Acute upper respiratory infection, unspecified"),
        ("M54.50", "Low back pain, unspecified"),
        ("M25.561", "Pain in right knee"),
        ("N39.0", "Urinary tract infection, site not specified"),
        ("F41.1", "Generalized anxiety disorder"),
        ("F33.1", "Major depressive disorder, recurrent, moderate"),
        ("K21.9", "Gastro-esophageal reflux disease without esophagitis"),
        ("I48.91", "Unspecified atrial fibrillation"),
        ("I50.22", "Chronic systolic (congestive) heart failure"),
        ("N18.31", "Chronic kidney disease, stage 3a"),
        ("J44.1", "COPD with (acute) exacerbation"),
        ("G43.909", "Migraine, unspecified, not intractable"),
        ("Z00.00", "General adult medical examination without abnormal findings"),
        ("Z23", "Encounter for immunization"),
        ("O80", "Encounter for full-term uncomplicated delivery"),
        ("S52.501A", "Fracture of lower end of right radius, initial encounter"),
        ("L20.9", "Atopic dermatitis, unspecified"),
        ("H81.09", "Ménière's disease, unspecified ear"),
        ("M35.00", "Sjögren syndrome, unspecified"),
        ("G61.0", "Guillain-Barré syndrome"),
        ("B34.2", "Coronavirus infection, unspecified"),
        ("D50.9", "Iron deficiency anemia, unspecified"),
        ("R07.9", "Chest pain, unspecified"),
    ],
};

/// The same conditions as a clinic would say.
pub(crate) static FINDINGS: CodeList = CodeList {
    system: SNOMED,
    codes: &[
        ("44054006", "Diabetes mellitus type 2"),
        ("38341003", "Hypertensive disorder"),
        ("55822004", "Hyperlipidemia"),
        ("195967001", "Asthma"),
        ("54150009", "Upper respiratory infection"),
        ("279039007", "Low back pain"),
        ("68566005", "Urinary tract infectious disease"),
        ("21897009", "Generalized anxiety disorder"),
        ("235595009", "Gastroesophageal reflux disease"),
        ("49436004", "Atrial fibrillation"),
        ("42343007", "Congestive heart failure"),
        ("13445001", "Ménière's disease"),
        ("83901003", "Sjögren's syndrome"),
    ],
};

/// What a practice bills.
pub(crate) static SERVICES: CodeList = CodeList {
    system: CPT,
    codes: &[
        ("99213", "Office visit, known patient, low complexity"),
        ("99214", "Office visit, known patient, moderate complexity"),
        ("99203", "Office visit, new patient, low complexity"),
        ("99396", "Preventive visit, known patient, 40 to 64 years"),
        ("99284", "Emergency visit, moderate severity"),
        ("99232", "Hospital care, subsequent day"),
        ("36415", "Blood draw from a vein"),
        ("80053", "Comprehensive metabolic panel"),
        ("85025", "Complete blood count, automated"),
        ("83036", "Glycated hemoglobin"),
        ("80061", "Lipid panel"),
        ("71046", "Chest X-ray, two views"),
        ("93000", "Electrocardiogram, with report"),
        ("97110", "Therapeutic exercise, 15 minutes"),
        ("90686", "Influenza vaccine, 0.5 mL"),
        ("90471", "Immunization administration"),
        ("45378", "Colonoscopy, diagnostic"),
        ("29881", "Knee arthroscopy with meniscectomy"),
        ("90834", "Psychotherapy, 45 minutes"),
        ("73560", "Knee X-ray, one or two views"),
    ],
};

/// Supplies, drugs given and transport.
pub(crate) static SUPPLIES: CodeList = CodeList {
    system: HCPCS,
    codes: &[
        ("J1100", "Dexamethasone injection, 1 mg"),
        ("J3420", "Vitamin B-12 injection, up to 1000 mcg"),
        ("A0429", "Ambulance, basic life support, emergency"),
        ("G0439", "Annual wellness visit, subsequent"),
        ("E0601", "Continuous positive airway pressure device"),
        ("A4253", "Glucose test strips, 50"),
        ("G0008", "Administration of influenza vaccine"),
        ("Q9967", "Low osmolar contrast, 300 to 399 mg/mL"),
        ("J0696", "Ceftriaxone injection, 250 mg"),
        ("L1833", "Knee orthosis, adjustable, off the shelf"),
    ],
};

/// What a dentist bills.
pub(crate) static DENTAL: CodeList = CodeList {
    system: CDT,
    codes: &[
        ("D0120", "Periodic oral evaluation"),
        ("D0274", "Bitewings, four images"),
        ("D1110", "Prophylaxis, adult"),
        ("D2392", "Composite, two surfaces, posterior"),
        ("D2740", "Crown, porcelain/ceramic"),
        ("D3330", "Root canal, molar"),
        ("D7140", "Extraction, erupted tooth"),
    ],
};

/// What a pharmacy bills.
pub(crate) static PACKAGES: CodeList = CodeList {
    system: NDC,
    codes: &[
        ("00093104801", "metFORMIN HCl 500 mg tablet"),
        ("68180051301", "Lisinopril 10 mg tablet"),
        ("00378180301", "Levothyroxine 50 mcg tablet"),
        ("59310057922", "Albuterol 90 mcg inhaler"),
        ("00071015523", "Atorvastatin 10 mg tablet"),
        ("65862000801", "Sertraline 50 mg tablet"),
        ("00143314501", "Prednisone 20 mg tablet"),
        ("00169413212", "Semaglutide 2 mg/1.5 mL pen"),
        ("00088221905", "Insulin glargine 100 units/mL pen"),
        ("43598055314", "Amoxicillin 500 mg capsule"),
    ],
};

/// The same drugs, as they are prescribed.
pub(crate) static DRUGS: CodeList = CodeList {
    system: RXNORM,
    codes: &[
        ("861007", "metformin hydrochloride 500 MG Oral Tablet"),
        ("314076", "lisinopril 10 MG Oral Tablet"),
        ("966224", "levothyroxine sodium 0.05 MG Oral Tablet"),
        ("745679", "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler"),
        ("617312", "atorvastatin 10 MG Oral Tablet"),
        ("312941", "sertraline 50 MG Oral Tablet"),
        ("312615", "prednisone 20 MG Oral Tablet"),
        ("1991306", "semaglutide 1.34 MG/ML Pen Injector"),
        ("274783", "insulin glargine 100 UNT/ML Injectable Solution"),
        ("308191", "amoxicillin 500 MG Oral Capsule"),
    ],
};

/// What a hospital reports of an operation.
pub(crate) static OPERATIONS: CodeList = CodeList {
    system: ICD_10_PCS,
    codes: &[
        ("0SRD0J9", "Replacement of left knee joint, cemented, open"),
        ("10E0XZZ", "Delivery of products of conception, external"),
        ("4A023N7", "Measurement of cardiac sampling, left heart, percutaneous"),
        ("0DTJ4ZZ", "Resection of appendix, percutaneous endoscopic"),
        ("5A1935Z", "Respiratory ventilation, less than 24 hours"),
        ("B2111ZZ", "Fluoroscopy of multiple coronary arteries"),
    ],
};

/// What was done, as a clinic says it.
pub(crate) static PROCEDURES: CodeList = CodeList {
    system: SNOMED,
    codes: &[
        ("430193006", "Medication reconciliation"),
        ("76601001", "Intramuscular injection"),
        ("73761001", "Colonoscopy"),
        ("399208008", "Plain X-ray of chest"),
        ("29303009", "Electrocardiographic procedure"),
        ("91251008", "Physical therapy"),
        ("80146002", "Appendectomy"),
        ("609588000", "Total knee replacement"),
        ("710824005", "Assessment of health and social care needs"),
    ],
};

pub(crate) static BODY_SITES: CodeList = CodeList {
    system: SNOMED,
    codes: &[
        ("368209003", "Right upper arm"),
        ("72696002", "Knee region"),
        ("80891009", "Heart"),
        ("39607008", "Lung"),
        ("71854001", "Colon"),
    ],
};

pub(crate) static REVENUE_CODES: CodeList = CodeList {
    system: REVENUE,
    codes: &[
        ("0120", "Room and board, semiprivate"),
        ("0250", "Pharmacy"),
        ("0270", "Medical/surgical supplies"),
        ("0300", "Laboratory"),
        ("0320", "Radiology, diagnostic"),
        ("0360", "Operating room"),
        ("0450", "Emergency room"),
        ("0730", "EKG/ECG"),
    ],
};

pub(crate) static PLACES_OF_SERVICE: CodeList = CodeList {
    system: PLACE_OF_SERVICE,
    codes: &[
        ("11", "Office"),
        ("21", "Inpatient Hospital"),
        ("22", "On Campus-Outpatient Hospital"),
        ("23", "Emergency Room - Hospital"),
        ("02", "Telehealth"),
        ("81", "Independent Laboratory"),
        ("01", "Pharmacy"),
    ],
};

pub(crate) static SPECIALTIES: CodeList = CodeList {
    system: NUCC,
    codes: &[
        ("207Q00000X", "Family Medicine Physician"),
        ("207R00000X", "Internal Medicine Physician"),
        ("208000000X", "Pediatrics Physician"),
        ("207X00000X", "Orthopaedic Surgery Physician"),
        ("207RC0000X", "Cardiovascular Disease Physician"),
        ("363LF0000X", "Family Nurse Practitioner"),
        ("122300000X", "Dentist"),
    ],
};

pub(crate) static DENIALS: CodeList = CodeList {
    system: DENIAL_REASON,
    codes: &[
        ("18", "Exact duplicate claim/service"),
        ("96", "Non-covered charge(s)"),
        ("197", "Precertification/authorization absent"),
        ("29", "The time limit for filing has expired"),
    ],
};

/// Modifiers of services.
pub(crate) static MODIFIERS: CodeList = CodeList {
    system: CPT,
    codes: &[
        ("25", "Separate evaluation on the same day"),
        ("59", "Distinct service"),
        ("RT", "Right side"),
        ("TC", "Technical component"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_systems_need_no_escapes() {
        let lists = [
            &DIAGNOSES,
            &FINDINGS,
            &SERVICES,
            &SUPPLIES,
            &DENTAL,
            &PACKAGES,
            &DRUGS,
            &OPERATIONS,
            &PROCEDURES,
            &BODY_SITES,
            &REVENUE_CODES,
            &PLACES_OF_SERVICE,
            &SPECIALTIES,
            &DENIALS,
            &MODIFIERS,
        ];
        for list in lists {
            assert!(!list.codes.is_empty());
            let texts = list.codes.iter().map(|(of, _)| *of).chain([list.system]);
            for text in texts {
                assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'), "{text}");
            }
        }
    }
}
