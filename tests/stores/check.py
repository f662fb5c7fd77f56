#!/usr/bin/env python3
"""Lakes in a store, against a local server: loaded, verified, read over it, killed and taken up from elsewhere.

    python3 tests/stores/check.py LAKEHAUL SOURCE [--kills 20] [--store s3]
    python3 tests/stores/check.py LAKEHAUL SOURCE --store azure --azurite node_modules/.bin/azurite-blob

LAKEHAUL is the program, SOURCE a folder with an export's manifest.json. Needs pyarrow from PyPI and, for S3, moto[server] and
boto3; for Azure, azure-storage-blob, and azurite from npm; for Google's (gcs), a stand-in of our own, what S3 needs.
"""

import argparse
import http.server
import json
import random
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pyarrow.parquet

import local_s3
import servers

BUCKET = "lakes"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehaul")
    parser.add_argument("source")
    parser.add_argument("--kills", type=int, default=20, help="runs that are killed at some moment [20]")
    parser.add_argument("--seed", type=int, default=1)
    servers.add_options(parser, ("s3", "azure", "gcs"))
    arguments = parser.parse_args()

    with servers.server_of(arguments) as server:
        server.make(BUCKET)
        check(arguments, server)


def check(arguments, server):
    environ, scheme = server.environment(), server.scheme

    def lakehaul(*words, expect=0):
        return local_s3.run_in(environ, arguments.lakehaul, *words, expect=expect)

    def objects(prefix):
        return list(server.objects(BUCKET, prefix))

    manifest = f"{arguments.source}/manifest.json"
    load = ("load", manifest, "--to")
    lakehaul(*load, f"{scheme}://{BUCKET}/whole")
    lakehaul("verify", f"{scheme}://{BUCKET}/whole")
    lakehaul("verify", f"{scheme}://{BUCKET}/whole", "--roundtrip", manifest)
    again = lakehaul(*load, f"{scheme}://{BUCKET}/whole")
    assert "already finished" in again.stdout + again.stderr
    records = [key for key in objects("whole/_lake/runs/") if key.endswith(".json")]
    assert len(records) == 1, records
    record = json.loads(server.get(BUCKET, records[0]))
    rows = record["totals"]["resources"]

    store = server.filesystem()
    read = sum(
        pyarrow.parquet.read_table(f"{BUCKET}/whole/{table['type']}", filesystem=store).num_rows
        for table in record["tables"]
    )
    assert read == rows, f"pyarrow reads {read} rows over {scheme}, the ledger has {rows}"
    print(f"loaded, verified, and read by pyarrow over {scheme}: {rows} rows")

    chance = random.Random(arguments.seed)
    options = ("--checkpoint", "0s")
    begun = time.monotonic()
    lakehaul(*load, f"{scheme}://{BUCKET}/timed", *options)
    usual = time.monotonic() - begun
    killed = 0
    for number in range(arguments.kills):
        lake = f"{scheme}://{BUCKET}/killed-{number}"
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
        server.delete(BUCKET, f"killed-{number}/_lake/lock")
        lakehaul(*load, lake, *options)
        lakehaul("verify", lake, "--roundtrip", manifest)
        lakehaul("verify", lake)
        left = [key for key in objects(f"killed-{number}/_lake/") if "/staging/" in key or "/uploads/" in key]
        assert not left, f"{lake}: left behind: {left}"
        uploads = server.uploads(BUCKET)
        assert not uploads, f"{lake}: uploads are half-way: {uploads}"
    print(f"{killed} of {arguments.kills} runs were killed, each was taken up and verified")

    nowhere = ("--kind", "smart", "--no-auth", "--base-url", "http://127.0.0.1:9", "--retries", "0")
    checked = lakehaul("check", *nowhere, "--to", f"{scheme}://{BUCKET}/new", expect=5)
    assert "can be written there" in checked.stdout and not objects("new/"), checked.stdout
    print("whether a lake can be made is checked, and leaves nothing")

    if arguments.store != "azure":
        foreign = "listed/Patient/other.parquet"
        for key in ("listed/_lake/staging/run/part.parquet", foreign):
            server.client.create_multipart_upload(Bucket=BUCKET, Key=key)
        lakehaul(*load, f"{scheme}://{BUCKET}/listed")
        uploads = [upload["Key"] for upload in server.uploads(BUCKET)]
        assert uploads == [foreign], f"half-way are {uploads}"
        print("an upload that nobody has noted is aborted, another program's is not")

    # A lease that nobody gives back is waited for, and its lake is taken.
    process = subprocess.Popen([arguments.lakehaul, "load", "-", "--to", f"{scheme}://{BUCKET}/held"], env=environ, stdin=subprocess.PIPE)
    for _ in range(100):
        if objects("held/_lake/lock"):
            break
        time.sleep(0.1)
    refused = lakehaul(*load, f"{scheme}://{BUCKET}/held", expect=9)
    assert "another run holds" in refused.stderr, refused.stderr
    process.kill()
    process.wait()
    begun = time.monotonic()
    lakehaul(*load, f"{scheme}://{BUCKET}/held")
    waited = time.monotonic() - begun
    assert 5 < waited < 60, f"the dead holder's lease was waited for {waited:.1f} s"
    lakehaul("verify", f"{scheme}://{BUCKET}/held")
    print(f"a living holder keeps others out; a dead one did for {waited:.1f} s")

    missing = lakehaul(*load, f"{scheme}://no-such-bucket/lake", expect=8)
    assert re.search(server.no_such_place, missing.stderr), missing.stderr
    assert server.secret not in missing.stderr
    lakehaul("verify", f"{scheme}://no-such-bucket/lake", expect=8)
    lakehaul("runs", f"{scheme}://{BUCKET}/nothing-here", expect=2)
    lakehaul(*load, f"{scheme}://{BUCKET}/x", "--store-option", "nonsense=1", expect=2)
    lakehaul(*load, "ftp://a/b", expect=2)
    print("wrong buckets, options and schemes are told")

    lakehaul("compact", f"{scheme}://{BUCKET}/whole")
    lakehaul("verify", f"{scheme}://{BUCKET}/whole", "--roundtrip", manifest)
    lakehaul("vacuum", f"{scheme}://{BUCKET}/whole", "--yes", "--older-than", "0s")
    lakehaul("verify", f"{scheme}://{BUCKET}/whole")
    print("compacted, vacuumed, and as before")

    if arguments.store == "s3":
        with tempfile.TemporaryDirectory() as folder:
            profiles(arguments, environ, Path(folder))
        print("an AWS profile's program is asked for credentials, and told where it has none")
        metadata_service(arguments, environ)


def profiles(arguments, environ, folder):
    """Credentials that a program prints: a profile's own, or `aws` where it says single sign-on."""
    printed = json.dumps({"Version": 1, "AccessKeyId": environ["AWS_ACCESS_KEY_ID"], "SecretAccessKey": environ["AWS_SECRET_ACCESS_KEY"]})
    (folder / "printed.json").write_text(printed)
    # Stands for AWS's own program.
    aws = folder / "bin" / "aws"
    aws.parent.mkdir()
    aws.write_text(f'#!/bin/sh\n[ "$*" = "configure export-credentials --format process --profile sso" ] && cat {folder}/printed.json\n')
    aws.chmod(0o755)
    (folder / "config").write_text(
        f"[profile own]\ncredential_process = cat {folder}/printed.json\n[profile sso]\nsso_session = s\n"
        f"[profile failing]\ncredential_process = cat {folder}/printed.json; exit 3\n"
    )
    without_keys = {name: value for name, value in environ.items() if "KEY" not in name}
    path = {"PATH": f"{aws.parent}:{environ['PATH']}", "AWS_CONFIG_FILE": str(folder / "config")}

    def verify(profile, expect):
        ours = without_keys | path | {"AWS_PROFILE": profile}
        return local_s3.run_in(ours, arguments.lakehaul, "verify", f"s3://{BUCKET}/whole", expect=expect)

    verify("own", 0)
    verify("sso", 0)
    failed = verify("failing", 8).stderr
    assert re.search(r"credential_process.*exit status: 3", failed) and local_s3.SECRET not in failed, failed


def metadata_service(arguments, environ):
    """Credentials of the machine's role, as version 2 of EC2's instance metadata service gives them; and where it has none."""
    asked = []

    class Service(http.server.BaseHTTPRequestHandler):
        role = "machine"

        def answer(self, text):
            asked.append(f"{self.command} {self.path}")
            known = self.command == "PUT" or self.headers.get("X-aws-ec2-metadata-token") == "token"
            self.send_response(200 if known and text is not None else 404)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def do_PUT(self):
            self.answer("token")

        def do_GET(self):
            keys = {"AccessKeyId": environ["AWS_ACCESS_KEY_ID"], "SecretAccessKey": environ["AWS_SECRET_ACCESS_KEY"]}
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
            given = {"Code": "Success", "Token": "session", "Expiration": until, "LastUpdated": until, "Type": "AWS-HMAC", **keys}
            path = self.path.removeprefix("/latest/meta-data/iam/security-credentials/")
            self.answer({"": self.role, "machine": json.dumps(given)}.get(path))

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    without_keys = {name: value for name, value in environ.items() if "KEY" not in name}
    ours = without_keys | {"AWS_METADATA_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}
    lake = f"s3://{BUCKET}/whole"
    local_s3.run_in(ours, arguments.lakehaul, "verify", lake)
    assert any(request.endswith("/security-credentials/machine") for request in asked), asked
    Service.role = None
    told = local_s3.run_in(ours, arguments.lakehaul, "verify", lake, expect=8).stderr
    server.shutdown()
    assert "no credentials were found" in told and local_s3.SECRET not in told, told
    print("the machine's metadata service is asked for its role's credentials")


if __name__ == "__main__":
    main()
