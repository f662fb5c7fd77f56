#!/usr/bin/env python3
"""Makes examples/export: a small, invented FHIR R4 bulk export.

Everything in it is made up: people, organisations, amounts. It is small enough to read, and it has what makes real
exports interesting: extensions, siblings of primitives (`_birthDate`), contained resources of several types, decimals
whose trailing zeros count, partial dates, a choice that changes its type from row to row, a member that R4 does not know.

    python3 examples/make_export.py            writes examples/export
    python3 examples/make_export.py --check    exits 1 if the checked-in files differ from what would be written

The same seed gives the same resources; the gzip stream may differ with the zlib version, so --check compares content.
"""

import base64
import gzip
import random
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

SEED = 20240229
FOLDER = Path(__file__).resolve().parent / "export"
COMPRESSED = {"ExplanationOfBenefit"}
TRANSACTION_TIME = "2025-07-01T06:30:00.000Z"

FAMILIES = ["Abelló", "Brandt", "Castellano", "Duarte", "Eze", "Fjeld", "Grünwald", "Haddad", "Ito", "Jurić", "Kowal", "Lindqvist"]
GIVENS = ["Ada", "Bruno", "Chidi", "Dagny", "Elif", "Farid", "Greta", "Hana", "Ivo", "Jun", "Klara", "Luís"]
STREETS = ["Harbour Row", "Linden Way", "Mill Lane", "Orchard Street", "Quarry Road"]
TOWNS = [("Northfield", "MA", "01360"), ("Eastbrook", "MA", "02718"), ("Westhaven", "CT", "06516"), ("Southmere", "NH", "03801")]
DIAGNOSES = [
    ("44054006", "Type 2 diabetes mellitus", "E11.9"),
    ("38341003", "Hypertensive disorder", "I10"),
    ("195967001", "Asthma", "J45.909"),
    ("396275006", "Osteoarthritis", "M19.90"),
    ("82423001", "Chronic pain", "G89.29"),
]
SERVICES = [
    ("99213", "Office visit, established patient", "95.00"),
    ("99214", "Office visit, moderate complexity", "142.50"),
    ("80053", "Comprehensive metabolic panel", "24.10"),
    ("83036", "Haemoglobin A1c", "13.37"),
    ("36415", "Routine venipuncture", "8.00"),
]
DRUGS = [("860975", "metformin 500 MG"), ("314076", "lisinopril 10 MG"), ("745679", "albuterol 0.09 MG/ACTUAT")]
ADJUDICATION = "http://terminology.hl7.org/CodeSystem/adjudication"
EXAMPLE = "https://payer.example.org"


def json_text(value):
    """JSON on one line; a Decimal keeps every digit it has, which the json module's floats would not."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_text(name)}:{json_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, Decimal)):
        return str(value)
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(character, character) for character in value) + '"'


def coding(system, code, display):
    return {"system": system, "code": code, "display": display}


def concept(system, code, display):
    return {"coding": [coding(system, code, display)], "text": display}


def reference(resource, display=None):
    link = {"reference": f"{resource['resourceType']}/{resource['id']}"}
    return link | {"display": display} if display else link


def usd(amount):
    return {"value": amount, "currency": "USD"}


def extension(name, **value):
    return {"url": f"{EXAMPLE}/StructureDefinition/{name}", **value}


class Export:
    """The resources by type, and the dice."""

    def __init__(self):
        self.dice = random.Random(SEED)
        self.resources = {}

    def add(self, resource_type, **members):
        rows = self.resources.setdefault(resource_type, [])
        resource = {
            "resourceType": resource_type,
            "id": f"{resource_type.lower()}-{len(rows) + 1:03}",
            "meta": {"lastUpdated": f"2025-06-{self.dice.randint(1, 30):02}T0{self.dice.randint(0, 9)}:15:00.000Z"},
            **members,
        }
        rows.append(resource)
        return resource

    def pick(self, choices):
        return self.dice.choice(choices)

    def day(self, first=date(2024, 1, 2), days=500):
        return first + timedelta(days=self.dice.randrange(days))

    def address(self):
        town, state, code = self.pick(TOWNS)
        line = f"{self.dice.randint(1, 240)} {self.pick(STREETS)}"
        return {"use": "home", "line": [line], "city": town, "state": state, "postalCode": code, "country": "US"}

    def organizations(self):
        for name, kind in [("Evergreen Mutual Health Plan", "pay"), ("Northfield Clinic", "prov"), ("Eastbrook Hospital", "prov"),
                           ("Westhaven Laboratory", "prov"), ("Southmere Family Practice", "prov")]:
            self.add(
                "Organization",
                active=True,
                type=[concept("http://terminology.hl7.org/CodeSystem/organization-type", kind, {"pay": "Payer", "prov": "Healthcare Provider"}[kind])],
                name=name,
                telecom=[{"system": "phone", "value": f"555-01{self.dice.randint(10, 99)}", "use": "work"}],
                address=[self.address()],
            )

    def locations(self):
        for owner in self.resources["Organization"][1:]:
            self.add(
                "Location",
                status="active",
                name=f"{owner['name']}, main building",
                position={
                    "longitude": Decimal(-7250000 + self.dice.randrange(90000)).scaleb(-5),
                    "latitude": Decimal(4200000 + self.dice.randrange(90000)).scaleb(-5),
                    "altitude": Decimal("12.0"),
                },
                managingOrganization=reference(owner, owner["name"]),
            )
        self.add("Location", status="active", name="Mobile unit", mode="kind")

    def practitioners(self):
        for number in range(8):
            self.add(
                "Practitioner",
                identifier=[{"system": "http://hl7.org/fhir/sid/us-npi", "value": f"99{self.dice.randrange(10**8):08}"}],
                active=number != 5,
                name=[{"family": self.pick(FAMILIES), "given": [self.pick(GIVENS)], "prefix": ["Dr."]}],
                qualification=[{
                    "code": {"text": self.pick(["Family medicine", "Cardiology", "Internal medicine"])},
                    "period": {"start": f"{self.dice.randint(1995, 2015)}"},
                }],
            )

    def patients(self):
        for number, (family, given) in enumerate(zip(FAMILIES, GIVENS)):
            born = self.day(date(1938, 3, 1), 24000)
            patient = self.add(
                "Patient",
                text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{given} <b>{family}</b></div>'},
                extension=[
                    extension("preferred-contact", extension=[
                        {"url": "channel", "valueCode": self.pick(["mail", "phone", "portal"])},
                        {"url": "consented", "valueBoolean": self.dice.random() < 0.5},
                    ]),
                ],
                identifier=[{
                    "use": "usual",
                    "type": concept("http://terminology.hl7.org/CodeSystem/v2-0203", "MB", "Member Number"),
                    "system": f"{EXAMPLE}/member-id",
                    "value": f"EV{self.dice.randrange(10**7):07}",
                }],
                active=True,
                name=[{"use": "official", "family": family, "given": [given]}],
                gender=self.pick(["female", "male", "other", "unknown"]),
                birthDate=born.isoformat(),
                address=[self.address()],
            )
            name = patient["name"][0]
            if number == 1:
                patient["_birthDate"] = {"extension": [extension("birth-time", valueDateTime=f"{born}T04:20:00-05:00")]}
            if number == 2:
                # The second given name was withheld: its place is kept, and the reason stands beside it.
                name["given"] = [given, None, "M."]
                name["_given"] = [None, {"extension": [extension("absent-reason", valueCode="masked")]}, None]
            if number == 3:
                patient["birthDate"] = str(born.year)
                patient["multipleBirthInteger"] = 2
            if number == 4:
                patient["birthDate"] = f"{born:%Y-%m}"
                patient["deceasedDateTime"] = "2025-02"
            if number == 5:
                patient["deceasedBoolean"] = False
                picture = base64.b64encode(bytes(range(48))).decode()
                patient["photo"] = [{"contentType": "image/png", "data": picture, "title": "badge"}]
            if number == 6:
                patient["contact"] = [{"relationship": [{"text": "sister"}], "name": {"text": "Mai \"M.\" Grünwald"}}]
                patient["_gender"] = {"id": "gender-as-told", "extension": [extension("source", valueString="intake\nform")]}

    def coverages(self):
        payer = self.resources["Organization"][0]
        for number, patient in enumerate(self.resources["Patient"]):
            self.add(
                "Coverage",
                status="active" if number % 4 else "cancelled",
                type=concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "EHCPOL", "extended healthcare"),
                subscriberId=patient["identifier"][0]["value"],
                beneficiary=reference(patient),
                relationship={"coding": [{"code": "self"}]},
                period={"start": f"{self.dice.randint(2019, 2024)}-01-01", "end": "2025-12-31"},
                payor=[reference(payer, payer["name"])],
                costToBeneficiary=[{"type": {"text": "copay"}, "valueMoney": usd(Decimal(self.pick(["15.00", "20", "35.50"])))}],
                **{"class": [{"type": {"text": "plan"}, "value": "GOLD-1", "name": "Evergreen Gold"}]},
            )

    def encounters(self):
        for _ in range(24):
            patient, doctor = self.pick(self.resources["Patient"]), self.pick(self.resources["Practitioner"])
            place, day, hour = self.pick(self.resources["Location"]), self.day(), self.dice.randint(8, 16)
            self.add(
                "Encounter",
                status="finished",
                **{"class": coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB", "ambulatory")},
                type=[concept("http://snomed.info/sct", "185349003", "Encounter for check up")],
                subject=reference(patient),
                participant=[{"individual": reference(doctor), "period": {"start": f"{day}T{hour:02}:05:00-05:00"}}],
                period={"start": f"{day}T{hour:02}:00:00-05:00", "end": f"{day}T{hour:02}:40:00-05:00"},
                length={"value": Decimal("40.0"), "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"},
                location=[{"location": reference(place, place["name"])}],
            )

    def conditions(self):
        for number in range(18):
            encounter = self.pick(self.resources["Encounter"])
            snomed, display, icd = self.pick(DIAGNOSES)
            onset = self.day(date(2010, 1, 1), 5000)
            condition = self.add(
                "Condition",
                clinicalStatus=concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"),
                code={"coding": [coding("http://snomed.info/sct", snomed, display), coding("http://hl7.org/fhir/sid/icd-10-cm", icd, display)]},
                subject=encounter["subject"],
                encounter=reference(encounter),
                recordedDate=encounter["period"]["start"][:10],
            )
            if number % 3 == 0:
                condition["onsetAge"] = {"value": self.dice.randint(20, 70), "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}
            elif number % 3 == 1:
                condition["onsetDateTime"] = f"{onset:%Y-%m}"
            else:
                condition["onsetString"] = "since childhood"
                condition["note"] = [{"authorString": "intake", "time": f"{onset}", "text": "Told by the patient;\tnot confirmed."}]

    def observations(self):
        category = [concept("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital Signs")]

        def quantity(value, unit):
            return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}

        for number in range(30):
            encounter = self.pick(self.resources["Encounter"])
            observation = self.add(
                "Observation",
                status="final",
                category=category,
                code={},
                subject=encounter["subject"],
                encounter=reference(encounter),
                effectiveDateTime=encounter["period"]["start"],
                issued=encounter["period"]["start"].replace(":00-05:00", ":00.123-05:00"),
            )
            kind = number % 5
            if kind == 0:
                observation["code"] = concept("http://loinc.org", "85354-9", "Blood pressure panel")
                observation["component"] = [
                    {"code": concept("http://loinc.org", code, name), "valueQuantity": quantity(self.dice.randint(*limits), "mm[Hg]")}
                    for code, name, limits in [("8480-6", "Systolic", (100, 160)), ("8462-4", "Diastolic", (60, 95))]
                ]
            elif kind == 1:
                observation["code"] = concept("http://loinc.org", "29463-7", "Body weight")
                observation["valueQuantity"] = quantity(Decimal(self.dice.randint(5000, 11000)).scaleb(-2), "kg")
            elif kind == 2:
                observation["code"] = concept("http://loinc.org", "4548-4", "Haemoglobin A1c")
                observation["valueQuantity"] = quantity(Decimal(self.pick(["5.60", "6.0", "7.25", "8"])), "%")
                observation["referenceRange"] = [{"low": quantity(Decimal("4.00"), "%"), "high": quantity(Decimal("5.60"), "%")}]
                observation["effectiveDateTime"] = encounter["period"]["start"][:7]
            elif kind == 3:
                observation["code"] = concept("http://loinc.org", "72166-2", "Tobacco smoking status")
                observation["valueCodeableConcept"] = concept("http://snomed.info/sct", "266919005", "Never smoked tobacco")
                # An element of R5: R4 has no column for it, so it is kept in __extra.
                observation["instantiatesCanonical"] = f"{EXAMPLE}/ObservationDefinition/smoking"
            else:
                observation["code"] = concept("http://loinc.org", "48767-8", "Annotation comment")
                observation["valueString"] = self.pick(["fasting", "sample haemolysed, repeat", "~ 3 h after meal / no water"])

    def medication_requests(self):
        for _ in range(12):
            encounter = self.pick(self.resources["Encounter"])
            code, name = self.pick(DRUGS)
            medication = {"resourceType": "Medication", "id": "med", "code": concept("http://www.nlm.nih.gov/research/umls/rxnorm", code, name)}
            self.add(
                "MedicationRequest",
                contained=[medication],
                status="active",
                intent="order",
                medicationReference={"reference": "#med", "display": name},
                subject=encounter["subject"],
                authoredOn=encounter["period"]["start"],
                dosageInstruction=[{
                    "text": "one tablet twice a day",
                    "timing": {"repeat": {"frequency": 2, "period": Decimal("1.0"), "periodUnit": "d"}},
                    "doseAndRate": [{"doseQuantity": {"value": Decimal("0.50"), "unit": "tablet"}}],
                }],
            )

    def explanations_of_benefit(self):
        payer = self.resources["Organization"][0]
        for number in range(26):
            encounter = self.pick(self.resources["Encounter"])
            patient_at = next(at for at, patient in enumerate(self.resources["Patient"]) if reference(patient) == encounter["subject"])
            provider = self.pick(self.resources["Organization"][1:])
            day = encounter["period"]["start"][:10]
            items, total = [], Decimal(0)
            for sequence in range(1, self.dice.randint(1, 4) + 1):
                code, name, price = self.pick(SERVICES)
                net = Decimal(price)
                paid = (net * Decimal(self.pick(["0.80", "0.90", "1"]))).quantize(Decimal("0.01"))
                total += net
                items.append({
                    "sequence": sequence,
                    "productOrService": concept("http://www.ama-assn.org/go/cpt", code, name),
                    "servicedDate": day,
                    "quantity": {"value": 1},
                    "net": usd(net),
                    "encounter": [reference(encounter)],
                    "adjudication": [
                        {"category": concept(ADJUDICATION, "submitted", "Submitted Amount"), "amount": usd(net)},
                        {"category": concept(ADJUDICATION, "benefit", "Benefit Amount"), "amount": usd(paid)},
                    ],
                })
            claim = self.add(
                "ExplanationOfBenefit",
                status="active",
                type=concept("http://terminology.hl7.org/CodeSystem/claim-type", "professional", "Professional"),
                use="claim",
                patient=encounter["subject"],
                billablePeriod={"start": day, "end": day},
                created=f"{day}T18:00:00Z",
                insurer=reference(payer, payer["name"]),
                provider=reference(provider, provider["name"]),
                outcome="complete",
                careTeam=[{"sequence": 1, "provider": encounter["participant"][0]["individual"]}],
                insurance=[{"focal": True, "coverage": reference(self.resources["Coverage"][patient_at])}],
                item=items,
                total=[{"category": concept(ADJUDICATION, "submitted", "Submitted Amount"), "amount": usd(total)}],
                payment={"date": day[:7] if number % 6 == 0 else day, "amount": usd((total * Decimal("0.9")).quantize(Decimal("0.01")))},
            )
            if number % 4 == 0:
                referral = {"resourceType": "ServiceRequest", "id": "referral", "status": "completed", "intent": "order", "subject": encounter["subject"]}
                cover = {"resourceType": "Coverage", "id": "cover", "status": "active", "beneficiary": encounter["subject"], "payor": [reference(payer)], "order": 1}
                claim["contained"] = [referral, cover]
                claim["referral"] = {"reference": "#referral"}
            if number % 5 == 0:
                claim["item"][0]["extension"] = [extension("discount", valueMoney=usd(Decimal("0.10")))]


def files(export):
    """Name → content of every file of the export."""
    output, contents = [], {}
    for resource_type, resources in sorted(export.resources.items()):
        suffix = ".ndjson.gz" if resource_type in COMPRESSED else ".ndjson"
        name = f"{resource_type}.000{suffix}"
        contents[name] = "".join(json_text(resource) + "\n" for resource in resources).encode()
        output.append({"type": resource_type, "url": name, "count": len(resources)})
    manifest = [
        f' "transactionTime": "{TRANSACTION_TIME}",',
        f' "request": "{EXAMPLE}/fhir/$export",',
        ' "requiresAccessToken": false,',
        ' "output": [\n  ' + ",\n  ".join(map(json_text, output)) + "\n ],",
        ' "error": []',
    ]
    contents["manifest.json"] = ("{\n" + "\n".join(manifest) + "\n}\n").encode()
    return contents


def main():
    export = Export()
    export.organizations()
    export.locations()
    export.practitioners()
    export.patients()
    export.coverages()
    export.encounters()
    export.conditions()
    export.observations()
    export.medication_requests()
    export.explanations_of_benefit()
    contents = files(export)

    if sys.argv[1:] == ["--check"]:
        found = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
        found = {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in found.items()}
        if found != contents:
            sys.exit("examples/export is not what examples/make_export.py writes; run it again")
        return
    FOLDER.mkdir(exist_ok=True)
    for name, content in contents.items():
        packed = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
        (FOLDER / name).write_bytes(packed)


if __name__ == "__main__":
    main()
