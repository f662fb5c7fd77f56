#!/usr/bin/env python3
"""Exports that lie in a bucket, and Delta tables in one, on a local S3 server.

    python3 tests/stores/sources.py LAKEHAUL SOURCE [--kills 6]

LAKEHAUL is the program, SOURCE a folder with an export's manifest.json. Needs moto[server] and boto3 from PyPI; with deltalake
the tables are read, too.
"""

import argparse
import json
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from local_s3 import KEY, REGION, SECRET, LocalS3, environment, run

BUCKET = "exports"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehaul")
    parser.add_argument("source", type=Path)
    parser.add_argument("--kills", type=int, default=6, help="loads from the bucket that are killed at some moment [6]")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with LocalS3() as server, tempfile.TemporaryDirectory() as folder:
        server.make(BUCKET)
        for path in sorted(arguments.source.rglob("*")):
            if path.is_file():
                server.client.upload_file(str(path), BUCKET, f"in/{path.relative_to(arguments.source)}")
        read(arguments, server, Path(folder))
        delta(arguments, server)


def rows(program, lake, server):
    """Rows of each table, sorted, as text."""
    runs = [json.loads(line) for line in run(program, "runs", str(lake), "--json", endpoint=server.endpoint).stdout.splitlines()]
    types = sorted({table["type"] for record in runs for table in record["tables"]})
    return {name: sorted(run(program, "cat", str(lake), name, endpoint=server.endpoint).stdout.splitlines()) for name in types}


def read(arguments, server, folder):
    """A manifest, a prefix, an object: what comes of them is what comes of the same files on a disk."""
    program, source = arguments.lakehaul, arguments.source
    call = lambda *words, expect=0: run(program, *words, endpoint=server.endpoint, expect=expect)
    manifest = f"s3://{BUCKET}/in/manifest.json"
    call("load", f"{source}/manifest.json", "--to", f"{folder}/disk")
    expected = rows(program, folder / "disk", server)
    call("load", manifest, "--to", f"{folder}/manifest")
    assert rows(program, folder / "manifest", server) == expected, "the manifest in the bucket brings other rows"
    again = call("load", manifest, "--to", f"{folder}/manifest")
    assert "already finished" in again.stdout + again.stderr, again
    call("verify", f"{folder}/manifest", "--roundtrip", manifest)

    names = sorted(path.name for path in source.iterdir() if ".ndjson" in path.suffixes or ".ndjson" in path.name)
    call("load", str(source), "--to", f"{folder}/disk-folder")
    call("load", f"s3://{BUCKET}/in/", "--to", f"{folder}/prefix")
    call("load", f"s3://{BUCKET}/in", "--to", f"{folder}/prefix")
    assert rows(program, folder / "prefix", server) == rows(program, folder / "disk-folder", server)
    call("load", f"s3://{BUCKET}/in/{names[0]}", "--to", f"{folder}/object")
    # From bucket to bucket.
    call("load", manifest, "--to", f"s3://{BUCKET}/lake")
    call("verify", f"s3://{BUCKET}/lake", "--roundtrip", manifest)
    print(f"loaded from the bucket: a manifest, a prefix, an object; {sum(map(len, expected.values()))} rows, as from a disk")

    call("load", f"s3://{BUCKET}/nowhere/", "--to", f"{folder}/x", expect=2)
    call("load", f"s3://{BUCKET}/nowhere.ndjson", "--to", f"{folder}/x", expect=2)
    refused = call("load", "s3://no-such-bucket/in/", "--to", f"{folder}/x", expect=8)
    assert "no such bucket" in refused.stderr and SECRET not in refused.stderr, refused.stderr
    assert not (folder / "x").exists(), "a slip in the command makes no lake"

    chance = random.Random(arguments.seed)
    load = [program, "load", manifest, "--checkpoint", "0s", "--to"]
    begun = time.monotonic()
    subprocess.run([*load, f"{folder}/timed"], env=environment(server.endpoint), capture_output=True, check=True)
    usual = time.monotonic() - begun
    killed = 0
    for number in range(arguments.kills):
        lake = f"{folder}/killed-{number}"
        process = subprocess.Popen(
            [*load, lake], env=environment(server.endpoint), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.random() * usual)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        call("load", manifest, "--to", lake)
        call("verify", lake, "--roundtrip", manifest)
    print(f"{killed} of {arguments.kills} loads from the bucket were killed, each was taken up and verified")

    # An object that has changed is another one: all of it is loaded anew, by a run of its own.
    changed = (source / names[0]).read_bytes()
    server.client.put_object(Bucket=BUCKET, Key=f"in/{names[0]}", Body=changed + changed)
    call("load", manifest, "--to", f"{folder}/manifest", expect=None)
    assert len(list((folder / "manifest/_lake/runs").iterdir())) == 2, "a changed object is loaded"
    server.client.put_object(Bucket=BUCKET, Key=f"in/{names[0]}", Body=changed)


def delta(arguments, server):
    """Delta tables in a bucket: loaded, refreshed, compacted; each version has the rows that the ledger makes of it."""
    lake, manifest = f"s3://{BUCKET}/delta", f"{arguments.source}/manifest.json"
    call = lambda *words, expect=0: run(arguments.lakehaul, *words, endpoint=server.endpoint, expect=expect)
    call("load", manifest, "--to", lake, "--format", "delta")
    call("load", manifest, "--to", lake, "--new-run")
    call("compact", lake)
    call("verify", lake)
    call("load", manifest, "--to", lake, "--replace")
    call("verify", lake, "--roundtrip", manifest)
    call("vacuum", lake, "--yes", "--older-than", "0s")
    call("verify", lake)
    records = [json.loads(line) for line in call("runs", lake, "--json").stdout.splitlines()]
    tables = {table["type"]: table for table in records[0]["tables"]}
    try:
        import deltalake
    except ImportError:
        print("Delta tables: written, compacted, refreshed, vacuumed, verified; deltalake is not installed, so not read")
        return
    options = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION}
    options |= {"AWS_ENDPOINT_URL": server.endpoint, "AWS_ALLOW_HTTP": "true"}
    versions = 0
    for name, table in tables.items():
        path, once = f"{lake}/{name}", table["rows"]
        newest = deltalake.DeltaTable(path, storage_options=options).version()
        # Made, doubled, compacted (where there was something to do), refreshed.
        for version in range(newest + 1):
            found = deltalake.DeltaTable(path, version=version, storage_options=options).to_pyarrow_table().num_rows
            expected = once if version in (0, newest) else 2 * once
            assert found == expected, f"{name}: {found} rows at version {version}, not {expected}"
            versions += 1
    print(f"Delta tables: deltalake reads {len(tables)} tables over S3 at {versions} versions, as the ledger has them")


if __name__ == "__main__":
    main()
