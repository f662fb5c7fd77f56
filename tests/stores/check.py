#!/usr/bin/env python3
"""Lakes in a bucket, against a local S3 server: loaded, verified, read over S3, killed and taken up from elsewhere.

    python3 tests/stores/check.py LAKEHAUL SOURCE [--kills 20]

LAKEHAUL is the program, SOURCE a folder with an export's manifest.json. Needs moto[server], boto3 and pyarrow from PyPI.
"""

import argparse
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

import boto3
import pyarrow.fs
import pyarrow.parquet

BUCKET = "lakes"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehaul")
    parser.add_argument("source")
    parser.add_argument("--kills", type=int, default=20, help="runs that are killed at some moment [20]")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        check(arguments, endpoint)
    finally:
        server.kill()


def check(arguments, endpoint):
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    # Nothing of the machine's own settings.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAKEHAUL_"))}
    environment |= keys | {"AWS_ENDPOINT_URL": endpoint, "HOME": "/nonexistent"}
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    for _ in range(100):
        try:
            client.create_bucket(Bucket=BUCKET)
            break
        except Exception:
            time.sleep(0.2)

    def lakehaul(*words, expect=0):
        ended = subprocess.run([arguments.lakehaul, *words], env=environment, capture_output=True, text=True)
        assert ended.returncode == expect, f"{words}: {ended.returncode}, not {expect}\n{ended.stderr}"
        return ended

    def objects(prefix):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    manifest = f"{arguments.source}/manifest.json"
    load = ("load", manifest, "--to")
    lakehaul(*load, f"s3://{BUCKET}/whole")
    lakehaul("verify", f"s3://{BUCKET}/whole")
    lakehaul("verify", f"s3://{BUCKET}/whole", "--roundtrip", manifest)
    again = lakehaul(*load, f"s3://{BUCKET}/whole")
    assert "already finished" in again.stdout + again.stderr
    records = [key for key in objects("whole/_lake/runs/") if key.endswith(".json")]
    assert len(records) == 1, records
    record = json.loads(client.get_object(Bucket=BUCKET, Key=records[0])["Body"].read())
    rows = record["totals"]["resources"]

    store = pyarrow.fs.S3FileSystem(
        access_key="key", secret_key="secret", endpoint_override=endpoint, region="us-east-1", scheme="http"
    )
    read = sum(
        pyarrow.parquet.read_table(f"{BUCKET}/whole/{table['type']}", filesystem=store).num_rows
        for table in record["tables"]
    )
    assert read == rows, f"pyarrow reads {read} rows over S3, the ledger has {rows}"
    print(f"loaded, verified, and read by pyarrow over S3: {rows} rows")

    chance = random.Random(arguments.seed)
    options = ("--checkpoint", "0s")
    begun = time.monotonic()
    lakehaul(*load, f"s3://{BUCKET}/timed", *options)
    usual = time.monotonic() - begun
    killed = 0
    for number in range(arguments.kills):
        lake = f"s3://{BUCKET}/killed-{number}"
        process = subprocess.Popen(
            [arguments.lakehaul, *load, lake, *options],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.random() * usual)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        # Time passes: the dead process's lease would have run out.
        client.delete_object(Bucket=BUCKET, Key=f"killed-{number}/_lake/lock")
        lakehaul(*load, lake, *options)
        lakehaul("verify", lake, "--roundtrip", manifest)
        lakehaul("verify", lake)
        left = [key for key in objects(f"killed-{number}/_lake/") if "/staging/" in key or "/uploads/" in key]
        assert not left, f"{lake}: left behind: {left}"
        uploads = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        assert not uploads, f"{lake}: uploads are half-way: {uploads}"
    print(f"{killed} of {arguments.kills} runs were killed, each was taken up and verified")

    # A lease that nobody gives back is waited for, and its lake is taken.
    process = subprocess.Popen([arguments.lakehaul, "load", "-", "--to", f"s3://{BUCKET}/held"], env=environment, stdin=subprocess.PIPE)
    for _ in range(100):
        if objects("held/_lake/lock"):
            break
        time.sleep(0.1)
    refused = lakehaul(*load, f"s3://{BUCKET}/held", expect=9)
    assert "another run holds" in refused.stderr, refused.stderr
    process.kill()
    process.wait()
    begun = time.monotonic()
    lakehaul(*load, f"s3://{BUCKET}/held")
    waited = time.monotonic() - begun
    assert 5 < waited < 60, f"the dead holder's lease was waited for {waited:.1f} s"
    lakehaul("verify", f"s3://{BUCKET}/held")
    print(f"a living holder keeps others out; a dead one did for {waited:.1f} s")

    missing = lakehaul(*load, "s3://no-such-bucket/lake", expect=8)
    assert re.search("there is no such bucket.*NoSuchBucket", missing.stderr), missing.stderr
    assert "secret" not in missing.stderr
    lakehaul("verify", "s3://no-such-bucket/lake", expect=8)
    lakehaul("runs", f"s3://{BUCKET}/nothing-here", expect=2)
    lakehaul(*load, f"s3://{BUCKET}/x", "--store-option", "nonsense=1", expect=2)
    lakehaul(*load, "ftp://a/b", expect=2)
    print("wrong buckets, options and schemes are told")

    lakehaul("compact", f"s3://{BUCKET}/whole")
    lakehaul("verify", f"s3://{BUCKET}/whole", "--roundtrip", manifest)
    lakehaul("vacuum", f"s3://{BUCKET}/whole", "--yes", "--older-than", "0s")
    lakehaul("verify", f"s3://{BUCKET}/whole")
    print("compacted, vacuumed, and as before")


if __name__ == "__main__":
    main()
