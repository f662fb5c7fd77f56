"""Exact sums of amounts, from the JSON text of the source.

The truth that the readers' sums are held against: Python's json, with every number as a Decimal of its text, and the
rounding of the `__value_numeric` columns (DECIMAL(38,6), half-even, nothing where a number does not fit).
"""

import gzip
import json
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path

# Resource type and element; `[]` marks a list. Behind each stands a `__value_numeric`.
AMOUNTS = [
    ("ExplanationOfBenefit", "item[].net.value"),
    ("ExplanationOfBenefit", "item[].adjudication[].amount.value"),
    ("ExplanationOfBenefit", "total[].amount.value"),
    ("ExplanationOfBenefit", "payment.amount.value"),
    ("Claim", "item[].net.value"),
    ("Observation", "valueQuantity.value"),
]

SUFFIXES = (".ndjson", ".ndjson.gz", ".ndjson.zst")
MICRO = Decimal("0.000001")
LIMIT = Decimal(10) ** 32


def source_sums(lake, sources):
    """(type, path) → sum over the source, without the lines that are in the lake's quarantine."""
    rejected = quarantined_lines(lake)
    sums = {amount: Decimal(0) for amount in AMOUNTS}
    with localcontext() as context:
        context.prec = 1000
        for file in (file for source in sources for file in files_of(source)):
            for number, line in enumerate(open_lines(file), 1):
                if not line.strip() or (file.name, number) in rejected:
                    continue
                resource = json.loads(line, parse_float=Decimal, parse_int=Decimal)
                for resource_type, path in AMOUNTS:
                    if resource.get("resourceType") == resource_type:
                        sums[resource_type, path] += sum(map(numeric, values_at(resource, path.split("."))))
    return sums


def files_of(source):
    """A file as it is, or the NDJSON files of a folder."""
    if source.is_dir():
        return sorted(path for path in source.iterdir() if path.name.endswith(SUFFIXES))
    return [source]


def open_lines(path):
    """The lines as bytes, decompressed."""
    if path.name.endswith(".gz"):
        return gzip.open(path)
    if path.name.endswith(".zst"):
        import pyarrow

        with pyarrow.input_stream(path, compression="zstd") as stream:
            return stream.read().split(b"\n")
    return path.open("rb")


def quarantined_lines(lake):
    """(output file's name, line) of every reject of every run."""
    lines = set()
    for index in Path(lake, "_lake", "quarantine").glob("*/index.ndjson"):
        for reject in map(json.loads, index.open()):
            lines.add((Path(reject["output_file"]).name, reject["line"]))
    return lines


def values_at(value, names):
    """Every number at a path; a value that is not of the element's shape has none (it is in `__extra`)."""
    if not names:
        return [value] if isinstance(value, Decimal) else []
    if not isinstance(value, dict):
        return []
    name, is_list = names[0].removesuffix("[]"), names[0].endswith("[]")
    below = value.get(name)
    if is_list != isinstance(below, list):
        return []
    return [found for slot in (below if is_list else [below]) for found in values_at(slot, names[1:])]


def numeric(value):
    """What the annotation holds for a number; 0 for null."""
    rounded = value.quantize(MICRO, ROUND_HALF_EVEN) if value.adjusted() < 40 else LIMIT
    return rounded if abs(rounded) < LIMIT else Decimal(0)
