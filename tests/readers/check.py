#!/usr/bin/env python3
"""Do other programs read a lake as its ledger and its source say?

    check.py LAKE [--source PATH ...] [--require duckdb,polars,pyarrow,spark,spark-rows]

Every table is opened with DuckDB, Polars, pyarrow and both readers of PySpark, each as it comes, without options; one that
is not installed is skipped. Checked are:

- the parts that are there are the parts that the ledger (`_lake/runs/*.json`) lists;
- the parts of one run have one schema, and a later run's has every column of an earlier one's;
- every reader decodes every column, and finds as many rows as the ledger counts;
- with --source (NDJSON files or folders: what was loaded): the sums of some amounts, which the readers take from the
  `__value_numeric` columns, are to the last digit those of the JSON text.

Exit: 0 all agree; 1 something does not (each told on stderr); 2 usage; 77 no reader is installed, nothing was checked.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

from amounts import AMOUNTS, source_sums
from engines import ENGINES

SKIPPED = 77


class Findings:
    """What does not agree."""

    def __init__(self):
        self.texts = []

    def expect_equal(self, what, found, expected):
        if found != expected:
            self.texts.append(f"{what}: {found}, expected {expected}")

    def tell_and_exit(self):
        for text in self.texts:
            print(text, file=sys.stderr)
        print(f"{len(self.texts)} disagreements" if self.texts else "all agree")
        sys.exit(1 if self.texts else 0)


class Table:
    """One table of one run: what the ledger says about it."""

    def __init__(self, lake, run, record):
        self.resource_type = record["type"]
        self.run = run
        self.rows = record["rows"]
        self.paths = [str(lake / file["path"]) for file in record["files"]]
        self.file_rows = sum(file["rows"] for file in record["files"])


def ledger_tables(lake):
    """The tables of every run record, oldest run first; tables without parts are left out."""
    records = [json.loads(path.read_text()) for path in sorted((lake / "_lake" / "runs").glob("*.json"))]
    records.sort(key=lambda record: record["started"])
    return [Table(lake, record["run"], table) for record in records for table in record["tables"] if table["files"]]


def check_parts(lake, tables, findings):
    """The ledger's parts are the lake's parts."""
    listed = sorted(path for table in tables for path in table.paths)
    found = sorted(str(path) for path in lake.glob("*/*.parquet"))
    for path in sorted(set(listed) ^ set(found)):
        findings.texts.append(f"{path}: " + ("in the ledger only" if path in listed else "not in the ledger"))
    for table in tables:
        findings.expect_equal(f"{table.resource_type} of {table.run}: rows of the files", table.file_rows, table.rows)


def check_schemas(tables, columns_of, findings):
    """One schema a run, growing from run to run. Returns how many columns each table has."""
    by_type = defaultdict(list)
    for table in tables:
        by_type[table.resource_type].append(table)
    for resource_type, runs in by_type.items():
        earlier = {}
        for table in runs:
            first = columns_of(table.paths[0])
            for path in table.paths[1:]:
                if list(columns_of(path).items()) != list(first.items()):
                    findings.texts.append(f"{path}: its columns are not those of {table.paths[0]}")
            lost = {name for name, kind in earlier.items() if first.get(name) != kind}
            if lost:
                findings.texts.append(f"{resource_type} of {table.run}: {len(lost)} columns of an earlier run are gone")
            earlier = first
    return {resource_type: len(columns_of(runs[-1].paths[0])) for resource_type, runs in by_type.items()}


def check_rows(engines, tables, findings):
    """The lines of the row table."""
    for table in tables:
        counts = []
        for engine in engines:
            try:
                rows = engine.read(table.paths)
            except Exception as error:
                findings.texts.append(f"{engine.name} cannot read {table.resource_type} of {table.run}: {error}")
                counts.append("error")
                continue
            findings.expect_equal(f"{engine.name}: rows of {table.resource_type} of {table.run}", rows, table.rows)
            counts.append(rows)
        yield [table.resource_type, table.run, len(table.paths), table.rows, *counts]


def check_amounts(engines, tables, expected, findings):
    """The lines of the sums table; `expected` is by (type, path), or empty without a source."""
    by_type = defaultdict(list)
    for table in tables:
        by_type[table.resource_type].append(table)
    for resource_type, path in AMOUNTS:
        if resource_type not in by_type:
            continue
        sums = []
        for engine in engines:
            try:
                sums.append(sum(engine.sum(table.paths, path) for table in by_type[resource_type]))
            except Exception as error:
                findings.texts.append(f"{engine.name} cannot sum {resource_type}.{path}: {error}")
                sums.append("error")
        # Without a source the readers must agree with each other.
        truth = expected.get((resource_type, path), next((found for found in sums if found != "error"), None))
        for engine, found in zip(engines, sums):
            if found != "error":
                findings.expect_equal(f"{engine.name}: sum of {resource_type}.{path}", found, truth)
        yield [f"{resource_type}.{path}", truth if expected else "no source", *sums]


def print_table(heading, lines):
    texts = [[str(cell) for cell in line] for line in [heading, *lines]]
    widths = [max(map(len, column)) for column in zip(*texts)]
    for line in texts:
        print("  ".join([line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]))
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", type=Path, metavar="LAKE")
    parser.add_argument("--source", type=Path, nargs="+", default=[], metavar="PATH")
    parser.add_argument("--require", default="", metavar="READER,...", help="fail if one of these is not installed")
    arguments = parser.parse_args()

    engines = [engine for make in ENGINES if (engine := make.installed())]
    names = [engine.name for engine in engines]
    missing = [name for name in arguments.require.split(",") if name and name not in names]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    if not engines:
        print("no reader is installed (pip install duckdb polars pyarrow); nothing was checked")
        sys.exit(SKIPPED)
    print("readers: " + ", ".join(f"{engine.name} {engine.version}" for engine in engines) + "\n")

    findings = Findings()
    tables = ledger_tables(arguments.lake)
    if not tables:
        sys.exit(f"{arguments.lake}: no run record lists a table")
    check_parts(arguments.lake, tables, findings)
    if findings.texts:
        # With other parts than the ledger's there is nothing to hold the readers' counts against.
        findings.tell_and_exit()
    columns = check_schemas(tables, engines[0].columns, findings)
    rows = list(check_rows(engines, tables, findings))
    print_table(["table", "run", "parts", "ledger", *names, "columns"], [line + [columns[line[0]]] for line in rows])
    expected = source_sums(arguments.lake, arguments.source) if arguments.source else {}
    sums = list(check_amounts(engines, tables, expected, findings))
    if sums:
        print_table(["sum", "source", *names], sums)

    findings.tell_and_exit()


if __name__ == "__main__":
    main()
