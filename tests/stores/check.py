#!/usr/bin/env python3
"""Lakes in a bucket, against a local S3 server: loaded, verified, read over S3, killed and taken up from elsewhere.

    python3 tests/stores/check.py LAKEHAUL SOURCE [--kills 20]

LAKEHAUL is the program, SOURCE a folder with an export's manifest.json. Needs moto[server], boto3 and pyarrow from PyPI.
"""

import argparse
import json
import random
import re
import signal
import subprocess
import time

import pyarrow.parquet

from local_s3 import SECRET, LocalS3, environment, run

BUCKET = "lakes"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehaul")
    parser.add_argument("source")
    parser.add_argument("--kills", type=int, default=20, help="runs that are killed at some moment [20]")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    with LocalS3() as s3:
        s3.make(BUCKET)
        check(arguments, s3)


def check(arguments, s3):
    client, environ = s3.client, environment(s3.endpoint)

    def lakehaul(*words, expect=0):
        return run(arguments.lakehaul, *words, endpoint=s3.endpoint, expect=expect)

    def objects(prefix):
        return list(s3.objects(BUCKET, prefix))

    manifest = f"{arguments.source}/manifest.json"
    load = ("load", manifest, "--to")
    lakehaul(*load, f"s3://{BUCKET}/whole")
    lakehaul("verify", f"s3://{BUCKET}/whole")
    lakehaul("verify", f"s3://{BUCKET}/whole", "--roundtrip", manifest)
    again = lakehaul(*load, f"s3://{BUCKET}/whole")
    assert "already finished" in again.stdout + again.stderr
    records = [key for key in objects("whole/_lake/runs/") if key.endswith(".json")]
    assert len(records) == 1, records
    record = json.loads(s3.get(BUCKET, records[0]))
    rows = record["totals"]["resources"]

    store = s3.filesystem()
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
            env=environ,
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
        uploads = s3.uploads(BUCKET)
        assert not uploads, f"{lake}: uploads are half-way: {uploads}"
    print(f"{killed} of {arguments.kills} runs were killed, each was taken up and verified")

    # A lease that nobody gives back is waited for, and its lake is taken.
    process = subprocess.Popen([arguments.lakehaul, "load", "-", "--to", f"s3://{BUCKET}/held"], env=environ, stdin=subprocess.PIPE)
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
    assert SECRET not in missing.stderr
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
