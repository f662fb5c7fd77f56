#!/usr/bin/env python3
"""What a lake in a bucket costs, against one in a folder: requests by kind, processor seconds, peak memory.

    python3 tests/stores/cost.py LAKEHAUL SOURCE [--megabytes 1000] [--turns 5] [--only requests,processor,memory]

LAKEHAUL is the program, a release build; SOURCE a folder with NDJSON files, plain or .zst, that are repeated until there are
enough of them. The server, moto, is slow and on the same machine: so no times are compared, but the processor seconds of
lakehaul's own process. Needs moto[server], boto3 and pyarrow from PyPI.
"""

import argparse
import base64
import collections
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyarrow

from local_s3 import LocalS3, Proxy, environment

MB, MIB = 1_000_000, 1 << 20

# Tables for many uploads at a time.
TYPES = """Account AdverseEvent AllergyIntolerance Appointment Basic Binary CarePlan CareTeam Claim ClaimResponse Communication
Composition Condition Consent Coverage Device DiagnosticReport DocumentReference Encounter EpisodeOfCare ExplanationOfBenefit
FamilyMemberHistory Flag Goal Group ImagingStudy Immunization List Location Media Medication MedicationDispense
MedicationRequest Observation Organization Patient Person Practitioner Procedure Provenance""".split()

# What a child's peak is counted from is its parent's: so a small process starts lakehaul.
STARTER = """
import json, os, sys
child = os.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
print("\\n" + json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime, used.ru_stime, used.ru_maxrss]))
"""


class Used:
    """What a process has used."""

    def __init__(self, lakehaul, words, endpoint):
        command = [sys.executable, "-S", "-E", "-c", STARTER, lakehaul, *words]
        begun = time.monotonic()
        ended = subprocess.run(command, env=environment(endpoint), capture_output=True, text=True)
        self.seconds = time.monotonic() - begun
        exit_code, self.user, self.system, kilobytes = json.loads(ended.stdout.splitlines()[-1])
        assert exit_code == 0, f"{words}: exit {exit_code}\n{ended.stderr}"
        self.processor, self.peak = self.user + self.system, kilobytes << 10


def enlarged(source, folder, megabytes):
    """Copies of the source's files until there are so many megabytes; the folder and its bytes."""
    folder.mkdir()
    contents = []
    for path in sorted(source.glob("*.ndjson*")):
        with pyarrow.input_stream(str(path), compression="detect") as file:
            contents.append((path.name.split(".")[0], file.read()))
    written = number = 0
    while written < megabytes * MB:
        for kind, content in contents:
            (folder / f"{number:03}.{kind}.ndjson").write_bytes(content)
            written += len(content)
        number += 1
    return folder, written


def many_types(folder, megabytes):
    """So many megabytes of noise in each of many tables, whose uploads go on at the same time."""
    folder.mkdir()
    noise = random.Random(1)
    for kind in TYPES:
        with open(folder / f"{kind}.ndjson", "w") as file:
            for number in range(megabytes * MB // 65_536):
                text = base64.b64encode(noise.randbytes(48 << 10)).decode()
                file.write(json.dumps({"resourceType": kind, "id": f"{number}", "language": text}) + "\n")
    return folder


def kind_of(request):
    """What a request is to who pays for it."""
    query = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
    match request.method:
        case "GET" if "list-type" in query:
            return "LIST"
        case "PUT" if "x-amz-copy-source" in request.headers:
            return "PUT (copy)"
        case "PUT" if "partNumber" in query:
            return "PUT (piece)"
        case "POST" if "delete" in query:
            return "POST (delete)"
        case "POST" if "uploads" in query:
            return "POST (begin upload)"
        case "POST" if "uploadId" in query:
            return "POST (end upload)"
        case method:
            return method


def requests(cost, source, written, *options):
    """Counts a load's requests, and those of what reads the lake."""
    counts, sent = collections.Counter(), collections.Counter()

    def meet(request, carry_out):
        answer = carry_out()
        counts[kind_of(request)] += 1
        sent["up"] += len(request.body)
        sent["down"] += len(answer.body)
        return answer

    to = cost.lake()
    with_proxy = Proxy(cost.s3, meet)
    for words in (("load", source, "--to", to, *options), ("verify", to), ("verify", to, "--roundtrip", source)):
        counts.clear(), sent.clear()
        used = Used(cost.lakehaul, map(str, words), with_proxy.endpoint)
        total, gigabytes = sum(counts.values()), written / 1000 / MB
        name = " ".join(word for word in map(str, words[:1] + words[2:]) if word not in ("--to", to, str(source)))
        print(
            f"{name}, {gigabytes:.2f} GB of input: {total} requests, {total / gigabytes:.0f} a GB; "
            f"{sent['up'] / MB:.1f} MB up, {sent['down'] / MB:.1f} MB down; {used.seconds:.0f} s"
        )
        for kind, count in counts.most_common():
            print(f"  {kind:<20} {count:>7}  {count / gigabytes:>9.1f} a GB")
    with_proxy.close()
    cost.forget()


def processor(cost, source, written, turns):
    """Compares processor seconds in turns: to the bucket, to a folder, to the bucket, and so on."""
    results = {"bucket": [], "folder": []}
    for _ in range(turns):
        for place, result in results.items():
            result.append(cost.load(source, place))
    for place, result in results.items():
        middle = lambda what: statistics.median(getattr(used, what) for used in result)
        each = ", ".join(f"{used.processor:.2f}" for used in result)
        print(
            f"{place}: {middle('processor'):.2f} s of processor ({middle('user'):.2f} user, {middle('system'):.2f} system; {each}), "
            f"{middle('processor') * 1000 * MB / written:.2f} s a GB; peak {middle('peak') / MIB:.0f} MiB"
        )
    ratio = [statistics.median(used.processor for used in results[place]) for place in results]
    ratios = [one.processor / other.processor for one, other in zip(*results.values(), strict=True)]
    print(f"ratio of the medians {ratio[0] / ratio[1]:.3f}; of each turn {', '.join(f'{one:.3f}' for one in ratios)}")


def memory(cost, source, what):
    """Peaks of many uploads at a time, also to a store that takes its time."""

    def slowly(request, carry_out):
        if request.method == "PUT":
            time.sleep(0.4)
        return carry_out()

    slow = Proxy(cost.s3, slowly)
    places = (("bucket", "bucket", None), ("slow bucket", "bucket", slow.endpoint), ("folder", "folder", None))
    for threads, budget in ((None, 1024), (2, 256), (16, 1024), (16, 512)):
        options = ("--memory", f"{budget}MiB", *(("--threads", str(threads)) if threads else ()))
        peaks = {name: cost.load(source, place, *options, endpoint=endpoint).peak for name, place, endpoint in places}
        # What tests/memory.rs leaves for code, stacks and the allocator.
        bound = budget + 64 << 20
        told = ", ".join(f"{name} {peak / MIB:.0f} MiB{'' if peak <= bound else ' (too much)'}" for name, peak in peaks.items())
        print(f"{what}, {' '.join(options)}: peak {told}; {bound >> 20} MiB are promised")
    slow.close()


class Cost:
    def __init__(self, lakehaul, s3, folder):
        self.lakehaul, self.s3, self.folder = lakehaul, s3, folder
        self.lakes = 0

    def lake(self):
        self.lakes += 1
        self.s3.make(f"cost-{self.lakes}")
        return f"s3://cost-{self.lakes}/lake"

    def forget(self):
        self.s3.remove(f"cost-{self.lakes}")

    def load(self, source, place, *options, endpoint=None):
        to = self.lake() if place == "bucket" else str(self.folder / "lake")
        used = Used(self.lakehaul, ("load", str(source), "--to", to, "--quiet", *options), endpoint or self.s3.endpoint)
        if place == "bucket":
            self.forget()
        else:
            shutil.rmtree(to)
        return used


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehaul")
    parser.add_argument("source", type=Path)
    parser.add_argument("--megabytes", type=int, default=1000, help="of the input [1000]")
    parser.add_argument("--each", type=int, default=16, help="megabytes of each of many tables [16]")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", default="requests,processor,memory", help="[requests,processor,memory]")
    arguments = parser.parse_args()
    only = arguments.only.split(",")
    with LocalS3() as s3, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cost = Cost(arguments.lakehaul, s3, folder)
        source, written = enlarged(arguments.source, folder / "source", arguments.megabytes)
        if "requests" in only:
            requests(cost, source, written)
            requests(cost, source, written, "--threads", "1")
        if "processor" in only:
            processor(cost, source, written, arguments.turns)
        if "memory" in only:
            memory(cost, source, f"{written / MB:.0f} MB")
            shutil.rmtree(source)
            memory(cost, many_types(folder / "types", arguments.each), f"{len(TYPES)} tables of {arguments.each} MB each")


if __name__ == "__main__":
    main()
