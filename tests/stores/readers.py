#!/usr/bin/env python3
"""Readers of a lake in a bucket: DuckDB, Polars and pyarrow count its rows over S3; one reads all the while that it is written.

    python3 tests/stores/readers.py LAKEHAUL SOURCE [--loads 6]

LAKEHAUL is the program, SOURCE a folder with an export's manifest.json. Needs moto[server], boto3, pyarrow, polars and duckdb
from PyPI, and DuckDB's extension httpfs, from its own server or by `pip install duckdb-extension-httpfs`; else DuckDB is passed over.
"""

import argparse
import collections
import importlib.util
import json
import threading
from pathlib import Path

import duckdb
import polars
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet

from local_s3 import KEY, REGION, SECRET, LocalS3, Proxy, run

BUCKET = "lakes"


def ledger(s3, lake):
    """Rows of each table, as the records of the runs say."""
    rows = collections.Counter()
    for key in s3.objects(BUCKET, f"{lake}/_lake/runs/"):
        for table in json.loads(s3.get(BUCKET, key))["tables"]:
            rows[table["type"]] += table["rows"]
    return dict(rows)


def by_pyarrow(s3, lake, table):
    return pyarrow.dataset.dataset(f"{BUCKET}/{lake}/{table}", filesystem=s3.filesystem()).to_table().num_rows


def by_polars(s3, lake, table):
    options = {
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "aws_region": REGION,
        "aws_endpoint_url": s3.endpoint,
        "aws_allow_http": "true",
    }
    found = polars.scan_parquet(f"s3://{BUCKET}/{lake}/{table}/*.parquet", storage_options=options)
    return found.collect().height


def duckdb_reader(s3):
    """DuckDB's reader, or why there is none."""
    database = duckdb.connect()
    # A package of PyPI that brings the extension along, for the same version of DuckDB.
    package = importlib.util.find_spec("duckdb_extension_httpfs")
    folders = package.submodule_search_locations if package else []
    files = [file for folder in folders for file in Path(folder).glob("extensions/*/httpfs.duckdb_extension")]
    try:
        database.execute(f"LOAD '{files[0]}'" if files else "INSTALL httpfs; LOAD httpfs")
    except duckdb.Error as error:
        return None, str(error).splitlines()[0]
    database.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', REGION '{REGION}', "
        f"ENDPOINT '127.0.0.1:{s3.port}', USE_SSL false, URL_STYLE 'path')"
    )

    def by_duckdb(_, lake, table):
        # All columns of each row.
        counted = f"SELECT count(*), bit_xor(hash(found)) FROM 's3://{BUCKET}/{lake}/{table}/*.parquet' found"
        return database.execute(counted).fetchone()[0]

    return by_duckdb, None


def count(s3, lake, reader, expected):
    for table, rows in expected.items():
        found = reader(s3, lake, table)
        assert found == rows, f"{reader.__name__}: {table} has {found} rows, the ledger says {rows}"
    print(f"{reader.__name__.removeprefix('by_')} reads {sum(expected.values())} rows of {len(expected)} tables, as the ledger says")


class Watcher:
    """Lists the tables and reads each listed file, its footer and a column, until it is told to stop."""

    def __init__(self, s3, lake):
        self.filesystem, self.lake = s3.filesystem(), f"{BUCKET}/{lake}"
        self.stopped, self.compacting = threading.Event(), threading.Event()
        self.rounds = self.files = self.gone = 0
        self.wrong, self.seen = [], set()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def listed(self):
        """All files of tables; what begins with _ is not a table's."""
        found = self.filesystem.get_file_info(pyarrow.fs.FileSelector(self.lake, allow_not_found=True, recursive=True))
        return [
            info.path
            for info in found
            if info.is_file and not any(part.startswith(("_", ".")) for part in info.path.removeprefix(self.lake + "/").split("/"))
        ]

    def watch(self):
        while not self.stopped.is_set():
            # Before the listing: what is listed may be gone if it began then.
            may_vanish = self.compacting.is_set()
            for path in self.listed():
                try:
                    file = pyarrow.parquet.ParquetFile(path, filesystem=self.filesystem)
                    column = file.read(columns=["id"])
                    if column.num_rows != file.metadata.num_rows or not column.num_rows:
                        self.wrong.append(f"{path}: {column.num_rows} rows, its footer says {file.metadata.num_rows}")
                except Exception as error:
                    # A name is never used twice: what is not there now was not there then.
                    is_gone = self.filesystem.get_file_info(path).type == pyarrow.fs.FileType.NotFound
                    if is_gone and (may_vanish or self.compacting.is_set()):
                        self.gone += 1
                    else:
                        self.wrong.append(f"{path}: {type(error).__name__}: {error}")
                self.files += 1
                self.seen.add(path)
            self.rounds += 1

    def stop(self):
        self.stopped.set()
        self.thread.join()


def all_the_while(s3, arguments, manifest):
    """Loads and compactions through a proxy that takes its time, so that there is something to be seen half-way."""
    lake = "watched"
    slow = Proxy(s3, lambda _, carry_out: slowly(carry_out))
    watcher = Watcher(s3, lake)
    try:
        for number in range(arguments.loads):
            pace = ("--checkpoint", "0s") if number % 2 else ()
            run(arguments.lakehaul, "load", manifest, "--to", f"s3://{BUCKET}/{lake}", "--new-run", *pace, endpoint=slow.endpoint)
            if number % 3 == 2:
                watcher.compacting.set()
                run(arguments.lakehaul, "compact", f"s3://{BUCKET}/{lake}", endpoint=slow.endpoint)
                # A listing of before is worked off.
                rounds = watcher.rounds
                while watcher.rounds < rounds + 2 and watcher.thread.is_alive():
                    watcher.stopped.wait(0.1)
                watcher.compacting.clear()
    finally:
        watcher.stop()
        slow.close()
    assert not watcher.wrong, "\n".join(watcher.wrong[:20])
    assert watcher.rounds > 2 and watcher.files, "nothing was watched"
    print(
        f"read while it was written: {watcher.rounds} listings, {watcher.files} reads of {len(watcher.seen)} files, none unreadable, "
        f"{watcher.gone} gone between listing and reading during a compaction"
    )
    run(arguments.lakehaul, "verify", f"s3://{BUCKET}/{lake}", endpoint=s3.endpoint)
    count(s3, lake, by_pyarrow, ledger(s3, lake))


def slowly(carry_out):
    answer = carry_out()
    threading.Event().wait(0.01)
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehaul")
    parser.add_argument("source")
    parser.add_argument("--loads", type=int, default=6, help="while it is read; every third is compacted [6]")
    arguments = parser.parse_args()
    manifest = f"{arguments.source}/manifest.json"
    with LocalS3() as s3:
        s3.make(BUCKET)
        for lake, options in (("plain", ()), ("hive", ("--layout", "hive"))):
            run(arguments.lakehaul, "load", manifest, "--to", f"s3://{BUCKET}/{lake}", *options, endpoint=s3.endpoint)
        expected = ledger(s3, "plain")
        by_duckdb, why_not = duckdb_reader(s3)
        readers = [by_pyarrow, by_polars] + ([by_duckdb] if by_duckdb else [])
        for reader in readers:
            count(s3, "plain", reader, expected)
        if why_not:
            print(f"DuckDB is passed over, it cannot speak to S3 here: {why_not}")
        hive = {f"resource_type={table}": rows for table, rows in expected.items()}
        for reader in readers:
            count(s3, "hive", reader, hive)
        all_the_while(s3, arguments, manifest)


if __name__ == "__main__":
    main()
