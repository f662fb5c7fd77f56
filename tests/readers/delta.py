#!/usr/bin/env python3
"""Do other programs read a lake's Delta tables as its ledger says, at every version?

    delta.py LAKE [--require deltalake,sail,duckdb]

Every version of every table is read with Python's deltalake (delta-rs), with Sail (pysail, over Spark Connect) and with DuckDB
(its extension delta, from PyPI: duckdb-extension-delta and the duckdb of that version); one that is not installed is skipped.
Checked are:

- a version has as many rows as the ledger (`_lake/runs`, `_lake/compactions`) makes of it: runs add theirs, or take the place
  of all; compactions change none;
- the newest version has each row's `__run`, `__output_file` and `__line` once;
- deltalake finds a row by its id, with the files that their statistics leave;
- the newest version has statistics of each column that the table names for it, `id` among them where the table has ids;
- DuckDB opens no file for a reference that no row has.

Exit: 0 all agree; 1 something does not (each told on stderr); 2 usage; 77 no reader is installed.
"""

import argparse
import importlib.util
import json
import re
import sys
from pathlib import Path

SKIPPED = 77
PLACE = ["__run", "__output_file", "__line"]


def events(lake):
    """(table's folder, version, what, rows), as the records tell them."""
    for path in sorted((lake / "_lake" / "runs").glob("*.json")):
        record = json.loads(path.read_text())
        deleted = record.get("deleted_resources")
        for table in record["tables"] + ([deleted] if deleted else []):
            what = "append" if table.get("replaced") is None else "replace"
            yield folder(lake, table["type"]), table["version"], what, table["rows"]
    for path in sorted((lake / "_lake" / "compactions").glob("*.json")):
        for table in json.loads(path.read_text())["tables"]:
            yield folder(lake, table["type"]), table["version"], "compact", 0


def folder(lake, name):
    hive = f"resource_type={name}"
    return hive if (lake / hive).is_dir() else name


def expected(lake):
    """Rows of each version of each table."""
    tables = {}
    for table, version, what, rows in sorted(events(lake), key=lambda event: event[:2]):
        versions = tables.setdefault(table, {})
        before = versions[max(versions)] if versions else 0
        assert version not in versions, f"{table}: two records have version {version}"
        versions[version] = {"append": before + rows, "replace": rows, "compact": before}[what]
    return tables


def with_deltalake(lake, tables):
    from deltalake import DeltaTable
    from pyarrow.parquet import ParquetFile

    findings = []
    for name, versions in tables.items():
        path = str(lake / name)
        newest = DeltaTable(path)
        if newest.version() != max(versions):
            findings.append(f"deltalake: {name} is at version {newest.version()}, the ledger at {max(versions)}")
        for version, rows in versions.items():
            table = DeltaTable(path, version=version).to_pyarrow_table()
            if table.num_rows != rows:
                findings.append(f"deltalake: {name} has {table.num_rows} rows at version {version}, the ledger {rows}")
        table = newest.to_pyarrow_table()
        if table.num_rows and all(column in table.column_names for column in PLACE):
            places = set(zip(*(table[column].to_pylist() for column in PLACE)))
            if len(places) != table.num_rows:
                findings.append(f"deltalake: {name} has {table.num_rows} rows of {len(places)} lines")
        ids = [value for value in table["id"].to_pylist() if value is not None]
        if ids:
            found = newest.to_pyarrow_table(filters=[("id", "=", ids[0])]).num_rows
            if found != ids.count(ids[0]):
                findings.append(f"deltalake: {name} has the id of its first row {ids.count(ids[0])} times, {found} found")
        named = statistics_columns(newest)
        if ids and "id" not in named:
            findings.append(f"deltalake: {name} names no statistics of id")
        # Its own account of files knows the first 32 columns, whatever the table names.
        counted = statistics_in_log(lake / name)
        for file in newest.file_uris():
            columns = [column.path for column in ParquetFile(file).schema]
            untold = [column for column in columns if column in named and column not in counted[Path(file).name]]
            if untold:
                findings.append(f"{name}: {file} has no statistics of {', '.join(untold)}")
    return findings


def statistics_columns(table):
    return table.metadata().configuration.get("delta.dataSkippingStatsColumns", "").split(",")


def statistics_in_log(folder):
    """File → the columns whose missing values its commit has counted."""
    counted = {}
    for commit in sorted(folder.glob("_delta_log/*.json")):
        for action in map(json.loads, commit.read_text().splitlines()):
            if "add" in action:
                nulls = json.loads(action["add"]["stats"])["nullCount"]
                counted[Path(action["add"]["path"]).name] = set(leaves(nulls))
    return counted


def leaves(tree, parents=()):
    for name, value in tree.items():
        path = (*parents, name)
        yield from leaves(value, path) if isinstance(value, dict) else [".".join(path)]


def with_duckdb(lake, tables):
    import duckdb

    found = importlib.util.find_spec("duckdb_extension_delta")
    if found is None:
        raise ImportError("duckdb-extension-delta")
    (extension,) = Path(found.submodule_search_locations[0]).glob("extensions/*/delta.duckdb_extension")
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    ask = lambda query, *parameters: connection.execute(query, parameters).fetchall()
    findings = []
    for name, versions in tables.items():
        path = str((lake / name).resolve())
        for version, rows in versions.items():
            ((found,),) = ask("SELECT count(*) FROM delta_scan(?, version => ?)", path, version)
            if found != rows:
                findings.append(f"duckdb: {name} has {found} rows at version {version}, the ledger {rows}")
        for column in reference_columns(connection.sql("SELECT * FROM delta_scan(?)", params=[path])):
            query = f"EXPLAIN ANALYZE SELECT count(*) FROM delta_scan(?) WHERE {column} = 'Nobody/~'"
            plan = ask(query, path)[0][1]
            opened = re.search(r"Scanning Files: (\d+)/(\d+)", plan)
            if opened is None or opened[1] != "0":
                opened = opened[0] if opened else "no word of files"
                findings.append(f"duckdb: {name} is searched by {column} = a value that is not there: {opened}")
    return findings


def reference_columns(relation):
    """Of the columns that are one reference, its target."""
    for name, kind in zip(relation.columns, relation.types):
        if kind.id == "struct" and "reference" in dict(kind.children):
            yield f'"{name}".reference'


def with_sail(lake, tables):
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    findings = []
    for name, versions in tables.items():
        for version, rows in versions.items():
            reader = spark.read.format("delta").option("versionAsOf", str(version))
            found = reader.load(str((lake / name).resolve())).count()
            if found != rows:
                findings.append(f"sail: {name} has {found} rows at version {version}, the ledger {rows}")
    spark.stop()
    server.stop()
    return findings


READERS = {"deltalake": with_deltalake, "sail": with_sail, "duckdb": with_duckdb}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--require", default="", help="readers that must be there")
    arguments = parser.parse_args()
    required = {name for name in arguments.require.split(",") if name}
    tables = expected(arguments.lake)
    if not tables:
        parser.error(f"{arguments.lake} has no tables")
    findings, read = [], []
    for name, reader in READERS.items():
        try:
            found = reader(arguments.lake, tables)
        except ImportError as error:
            if name in required:
                findings.append(f"{name} is not installed: {error}")
            print(f"{name}: skipped, it is not installed")
            continue
        findings += found
        read.append(name)
        versions = sum(map(len, tables.values()))
        print(f"{name}: {len(tables)} tables, {versions} versions, {len(found)} disagreements")
    for text in findings:
        print(text, file=sys.stderr)
    sys.exit(1 if findings else 0 if read else SKIPPED)


if __name__ == "__main__":
    main()
