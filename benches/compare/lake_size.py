#!/usr/bin/env python3
"""Compares a lake's size, and the time of queries over it, with what DuckDB writes of the same rows, in one run.

    cargo build --release --workspace --bins
    python3 benches/compare/lake_size.py CORPUS [--repeat 5]

CORPUS holds plain `.ndjson` files; Python needs duckdb and pyarrow. lakehaul loads them into a temporary lake, and DuckDB
copies each of its tables, all columns, into a Parquet file: zstd at its default level, row groups of 122,880 rows.

Sizes: a column whose path has a component that begins with `__` is lakehaul's own (provenance, annotations), all others are
FHIR's. The sizes of columns are those of their compressed chunks; those of files are with footers.

Queries: lakehaul's parts and DuckDB's file take turns, after a run that is not timed and whose results have to be equal.
Each takes the same number of executions a turn, so many that a turn is not too short to be timed. Medians are printed.
"""

import argparse
import collections
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

try:
    import duckdb
    import pyarrow.parquet
except ImportError as missing:
    sys.exit(f"{missing}; this needs duckdb and pyarrow")

from run import RELEASE, Failed, Timed, load_command

SIZE_AT_MOST = 1.05
QUERIES_AT_MOST = 1.1
LONG_ENOUGH_SECONDS = 0.1

# Title, type, what the rows must have for the query to mean something, and the query: {0} stands for the rows, {1} for the
# most frequent value of what they must have.
QUERIES = (
    ("count by status", "Observation", "status", "SELECT status, count(*) FROM {0} GROUP BY 1 ORDER BY 1"),
    ("count by status", "Claim", "status", "SELECT status, count(*) FROM {0} GROUP BY 1 ORDER BY 1"),
    ("count by gender", "Patient", "gender", "SELECT gender, count(*) FROM {0} GROUP BY 1 ORDER BY 1"),
    (
        "sum of quantities",
        "Observation",
        "valueQuantity.__value_numeric",
        "SELECT sum(valueQuantity.__value_numeric) FROM {0}",
    ),
    (
        "sum of items, unnest",
        "Claim",
        "item[1].productOrService",
        "SELECT sum(item.net.__value_numeric), count(*) FROM (SELECT unnest(item) AS item FROM {0})",
    ),
    (
        "sum of items, unnest",
        "ExplanationOfBenefit",
        "item[1].net",
        "SELECT sum(item.net.__value_numeric), count(*) FROM (SELECT unnest(item) AS item FROM {0})",
    ),
    (
        "one subject",
        "Observation",
        "subject.reference",
        "SELECT count(*), min(id), max(issued) FROM {0} WHERE subject.reference = {1}",
    ),
    ("one patient", "Claim", "patient.reference", "SELECT count(*), min(id) FROM {0} WHERE patient.reference = {1}"),
    (
        "first and last date",
        "Observation",
        "__effectiveDateTime_start",
        "SELECT epoch_us(min(__effectiveDateTime_start)), epoch_us(max(__effectiveDateTime_start)) FROM {0}",
    ),
    (
        "first and last date",
        "Claim",
        "billablePeriod.__start_start",
        "SELECT epoch_us(min(billablePeriod.__start_start)), epoch_us(max(billablePeriod.__start_start)) FROM {0}",
    ),
    (
        "a year's rows",
        "Observation",
        "__effectiveDateTime_start",
        "SELECT count(*), count(DISTINCT subject.reference) FROM {0}"
        " WHERE __effectiveDateTime_start >= '2010-01-01T00:00:00Z' AND __effectiveDateTime_start < '2011-01-01T00:00:00Z'",
    ),
    (
        "nested codes",
        "Observation",
        "code.coding[1].code",
        "SELECT count(coding.code), count(DISTINCT coding.code) FROM (SELECT unnest(code.coding) AS coding FROM {0})",
    ),
)


class Side:
    """What one of the two has written of a type."""

    def __init__(self, paths):
        self.paths = sorted(paths)
        self.file_bytes = sum(path.stat().st_size for path in self.paths)
        self.columns, self.encodings = collections.Counter(), collections.defaultdict(set)
        self.rows = self.groups = 0
        for path in self.paths:
            metadata = pyarrow.parquet.read_metadata(path)
            self.rows += metadata.num_rows
            self.groups += metadata.num_row_groups
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                for index in range(group.num_columns):
                    chunk = group.column(index)
                    name = chunk.path_in_schema.replace(".list.element", "[]")
                    self.columns[name] += chunk.total_compressed_size
                    self.encodings[name].update(chunk.encodings)

    def column_bytes(self, whose):
        return sum(size for name, size in self.columns.items() if whose(name))

    def relation(self):
        paths = ", ".join(literal(str(path)) for path in self.paths)
        return f"read_parquet([{paths}], union_by_name = true)"


def is_fhir(name):
    return not any(part.startswith("__") for part in name.split("."))


def literal(text):
    return "'" + text.replace("'", "''") + "'"


# What is compared, and how large it is on a side.
SIZES = (
    ("FHIR columns", lambda side: side.column_bytes(is_fhir)),
    ("all columns", lambda side: side.column_bytes(lambda name: True)),
    ("whole files", lambda side: side.file_bytes),
)


def copied(connection, ours, path):
    connection.execute(f"COPY (SELECT * FROM {ours.relation()}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
    return Side([path])


def ratio(ours, theirs):
    return ours / theirs if theirs else math.nan


def report_sizes(sides, worst):
    heads = " ".join(f"{title + ', MB':>25}" for title, _ in SIZES)
    print(f"\n{'':22} {'rows':>10} {'parts':>6} {'groups':>7} {heads}")
    thirds = f"{'lakehaul':>9} {'duckdb':>8} {'×':>6}"
    print(f"{'':47} {'  '.join([thirds] * len(SIZES))}")
    for name, (ours, theirs) in sides.items():
        cells = (cell(size(ours), size(theirs)) for _, size in SIZES)
        groups = f"{ours.groups}/{theirs.groups}"
        print(f"{name:22} {ours.rows:10,} {len(ours.paths):6} {groups:>7} {'  '.join(cells)}")
    totals = [[sum(size(pair[at]) for pair in sides.values()) for at in (0, 1)] for _, size in SIZES]
    print(f"{'total':22} {'':25} {'  '.join(cell(*total) for total in totals)}\n")
    for (title, _), total in zip(SIZES, totals):
        found = ratio(*total)
        print(f"{title}: {found:.3f} × DuckDB's, {'at most' if found <= SIZE_AT_MOST else 'MORE THAN'} {SIZE_AT_MOST}")

    names = {(kind, name) for kind, pair in sides.items() for side in pair for name in side.columns}
    excess = {(kind, name): sides[kind][0].columns[name] - sides[kind][1].columns[name] for kind, name in names}
    print(f"\n{'the columns with the largest excess':66} {'lakehaul':>9} {'duckdb':>9}  encodings of lakehaul | duckdb, kB")
    for kind, name in sorted(excess, key=lambda column: (-excess[column], column))[:worst]:
        ours, theirs = sides[kind]
        encodings = " | ".join(encodings_of(side, name) for side in (ours, theirs))
        sizes = f"{ours.columns[name] / 1e3:9.1f} {theirs.columns[name] / 1e3:9.1f}"
        print(f"{kind + ' ' + name:66} {sizes}  {encodings}")


def cell(ours, theirs):
    return f"{ours / 1e6:9.2f} {theirs / 1e6:8.2f} {ratio(ours, theirs):6.3f}"


def encodings_of(side, name):
    return "+".join(sorted(side.encodings[name] - {"RLE", "BIT_PACKED"})) or "-"


def timed_query(connection, query, executions):
    began = time.perf_counter()
    for _ in range(executions):
        connection.execute(query).fetchall()
    return (time.perf_counter() - began) / executions


def time_queries(connection, sides, repeat):
    """Of each query that the corpus has rows for: its title and the median seconds of the two sides."""
    found = []
    for title, kind, needs, query in QUERIES:
        if kind not in sides:
            continue
        relations = [side.relation() for side in sides[kind]]
        value = value_for(connection, relations[0], needs)
        if value is None:
            print(f"{title} ({kind}) is left out: no {needs}", file=sys.stderr)
            continue
        queries = [query.format(relation, literal(str(value))) for relation in relations]
        answers = [connection.execute(query).fetchall() for query in queries]
        if answers[0] != answers[1]:
            sys.exit(f"{title} ({kind}): the results differ: {answers[0]} and {answers[1]}")
        executions = max(1, math.ceil(LONG_ENOUGH_SECONDS / timed_query(connection, queries[1], 1)))
        turns = [[timed_query(connection, query, executions) for query in queries] for _ in range(repeat)]
        found.append((f"{kind}: {title}", *map(statistics.median, zip(*turns))))
    return found


def value_for(connection, relation, needs):
    """The most frequent value of what a query needs; None if there is none, or no such column."""
    try:
        row = connection.execute(
            f"SELECT {needs} AS value FROM {relation} WHERE value IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchone()
    except duckdb.BinderException:
        return None
    return row and row[0]


def report_queries(found):
    if not found:
        print("\nno queries: the corpus has none of their columns")
        return
    print(f"\n{'milliseconds':44} {'lakehaul':>9} {'duckdb':>8} {'×':>6}")
    for title, ours, theirs in found:
        print(f"{title:44} {ours * 1e3:9.2f} {theirs * 1e3:8.2f} {ratio(ours, theirs):6.3f}")
    mean = statistics.geometric_mean(ours / theirs for _, ours, theirs in found)
    print(f"{'geometric mean':44} {'':18} {mean:6.3f}")
    print(f"\nqueries: {mean:.3f} × DuckDB's, {'at most' if mean <= QUERIES_AT_MOST else 'MORE THAN'} {QUERIES_AT_MOST}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="how often a query is timed on each side")
    parser.add_argument("--worst", type=int, default=10, metavar="N", help="how many of the columns in excess are listed")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--lakehaul", type=Path, default=RELEASE / "lakehaul", metavar="BINARY")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the lake and the copies go as long as they are needed")
    arguments = parser.parse_args()

    connection = duckdb.connect(config={"threads": arguments.threads})
    with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
        lake = Path(temporary, "lake")
        try:
            load = Timed(load_command(arguments.lakehaul, arguments.corpus, lake, arguments.threads))
        except Failed as failure:
            sys.exit(str(failure))
        print(f"loaded in {load.seconds:.1f} s", file=sys.stderr)
        sides = {}
        for folder in sorted(path for path in lake.iterdir() if not path.name.startswith("_")):
            if paths := list(folder.glob("*.parquet")):
                ours = Side(paths)
                sides[folder.name] = ours, copied(connection, ours, Path(temporary, f"{folder.name}.parquet"))
                print(f"{folder.name}: copied", file=sys.stderr)
        if not sides:
            sys.exit(f"{arguments.corpus}: no rows")
        for name, (ours, theirs) in sides.items():
            if ours.rows != theirs.rows or set(ours.columns) != set(theirs.columns):
                sys.exit(f"{name}: DuckDB's copy has other rows or columns")
        report_sizes(sides, arguments.worst)
        report_queries(time_queries(connection, sides, arguments.repeat))


if __name__ == "__main__":
    main()
