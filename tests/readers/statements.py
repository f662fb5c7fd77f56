#!/usr/bin/env python3
"""The statements that `lakehaul schema` prints, read by another program's grammar of each dialect.

    python3 tests/readers/statements.py LAKEHAUL LAKE…

It sees to syntax, and that a table of each type has as many columns in each dialect; the engines themselves are not asked.
Needs sqlglot from PyPI.
"""

import argparse
import collections
import json
import logging
import subprocess
import sys

import sqlglot
from sqlglot import expressions

# Dialects of lakehaul that sqlglot has too, under the same names.
DIALECTS = ("spark", "athena", "trino", "bigquery", "duckdb")

# What sqlglot does not know of, and passes over: a connection of BigQuery, a procedure of Trino.
PASSED_OVER = ("WITH CONNECTION DEFAULT", "CALL system.register_table")


def statements(lakehaul, lake, dialect):
    printed = subprocess.run([lakehaul, "schema", lake, "--dialect", dialect, "--json"], check=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in printed.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehaul", metavar="LAKEHAUL")
    parser.add_argument("lakes", nargs="+", metavar="LAKE")
    arguments = parser.parse_args()
    # It warns of what it passes over.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    wrong = []
    for lake in arguments.lakes:
        columns = collections.defaultdict(dict)
        for dialect in DIALECTS:
            for table in statements(arguments.lakehaul, lake, dialect):
                where = f"{lake}: {table['type']} for {dialect}"
                try:
                    parsed = sqlglot.parse(table["statements"], read=dialect)
                except sqlglot.ParseError as error:
                    wrong.append(f"{where}: {error}")
                    continue
                for statement in filter(None, parsed):
                    if isinstance(statement, expressions.Create):
                        if statement.kind == "TABLE" and isinstance(statement.this, expressions.Schema):
                            columns[table["type"]][dialect] = [column.name for column in statement.this.expressions]
                    elif not any(known in table["statements"] for known in PASSED_OVER):
                        wrong.append(f"{where}: it is a {type(statement).__name__}")
        for resource_type, by_dialect in columns.items():
            if len({tuple(names) for names in by_dialect.values()}) > 1:
                wrong.append(f"{lake}: {resource_type} has other columns in some of {', '.join(by_dialect)}")
        tables = f"{len(columns)} tables with columns" if columns else "tables that have logs"
        print(f"{lake}: {', '.join(DIALECTS)}: {tables}")
    for what in wrong:
        print(what)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
