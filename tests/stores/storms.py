#!/usr/bin/env python3
"""Exactly once, over HTTP: a request to a local server is refused, cut, held back or the last one, and the lake is the same.

    python3 tests/stores/storms.py LAKEHAUL SOURCE [--seeds 1:300] [--load-option=--format --load-option=delta]
    python3 tests/stores/storms.py LAKEHAUL SOURCE --store azure --azurite node_modules/.bin/azurite-blob

LAKEHAUL is the program, SOURCE a folder with an export's manifest.json, better a small one. Each seed picks a scene, and the
request that it is about. Every process has a home, a temporary folder and a working folder of its own, which are gone when it
is: all that the next one has is the bucket. Azure has no scene `conflict`, so a seed is another storm there. Needs pyarrow and
boto3 from PyPI; for S3, moto[server]; for Azure, azure-storage-blob, and azurite from npm.
"""

import argparse
import base64
import collections
import concurrent.futures
import json
import random
import shutil
import subprocess
import tempfile
import threading
import traceback
from pathlib import Path

import pyarrow.dataset

import servers
from local_s3 import Proxy
from scenes import SCENES, shares

# Longer than lakehaul tries a request again.
PATIENCE = 240


class Process:
    """A load through a proxy of its own, in places of its own."""

    def __init__(self, storm, meet=None):
        self.proxy = Proxy(storm.server, meet and (lambda request, carry_out: meet(self, request, carry_out)))
        self.places = Path(tempfile.mkdtemp(dir=storm.world.folder))
        for name in ("home", "tmp", "work"):
            (self.places / name).mkdir()
        more = {"HOME": str(self.places / "home"), "TMPDIR": str(self.places / "tmp")}
        self.met = None
        # Its first request may come before it has a number.
        self.started = threading.Event()
        self.popen = subprocess.Popen(
            [storm.world.lakehaul, *storm.load],
            env=storm.server.environment(self.proxy.endpoint, **more),
            cwd=self.places / "work",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.set()
        storm.processes.append(self)

    def signal(self, number):
        self.started.wait()
        self.popen.send_signal(number)

    def end(self):
        try:
            self.out, self.err = self.popen.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.out, self.err = self.popen.communicate()
            raise AssertionError(f"a process did not end in {PATIENCE} s") from None
        finally:
            shutil.rmtree(self.places)
            self.proxy.close()
        self.exit = self.popen.returncode
        assert "panicked" not in self.err, "a process panicked"
        return self.exit

    def says_finished(self):
        return "already finished" in self.out + self.err


class Storm:
    """A seed's bucket, and who loads into it."""

    def __init__(self, world, seed):
        self.world, self.server, self.seed = world, world.server, seed
        self.chance = random.Random(seed)
        self.bucket = f"storm-{seed}"
        # Files that go up in pieces, in some.
        self.large = self.chance.random() < 0.2
        options = ("--checkpoint", "never") if self.large else ("--checkpoint", self.chance.choice(("0s", "0s", "0s", "60s")))
        self.source = world.sources[self.large]
        threads = str(self.chance.choice((1, 2, 4)))
        self.lake = f"{self.server.scheme}://{self.bucket}/a/lake"
        self.load = ("load", self.source, "--to", self.lake, "--threads", threads, *options, *world.load_options)
        self.at = world.at or 1 + int(self.chance.random() * (world.requests[self.large] + 2))
        self.told, self.processes = "", []
        # Requests that were carried out after another process had taken the lake.
        self.late = []
        self.plans = self.blocks = 0

    def go(self):
        self.server.make(self.bucket)
        SCENES[self.pick()](self)
        self.is_whole()
        self.server.remove(self.bucket)

    def pick(self):
        known = shares(self.server)
        self.scene = self.world.only or self.chance.choices(list(known), known.values())[0]
        return self.scene

    def process(self, meet=None):
        return Process(self, meet)

    def again(self):
        process = self.process()
        code = process.end()
        assert code == 0, f"the same command again: exit {code}"
        return process

    def time_passes(self):
        """A dead process's lease is nearly over: nobody waits for it."""
        lock = "a/lake/_lake/lock"
        if lock in self.server.objects(self.bucket, lock):
            lease = json.loads(self.server.get(self.bucket, lock))
            self.server.put(self.bucket, lock, json.dumps(lease | {"lease_ms": 100}).encode())

    def is_whole(self):
        self.again()
        for words in (("verify", self.lake), ("verify", self.lake, "--roundtrip", self.source)):
            ended = subprocess.run([self.world.lakehaul, *words], env=self.server.environment(), capture_output=True, text=True)
            assert ended.returncode == 0, f"{words}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        keys = self.server.objects(self.bucket)
        left = [key for key in keys if "/_lake/staging" in key or "/_lake/uploads" in key or "~/" in key]
        # A plan that comes late is a run that has not begun: no row is of it, but it is there.
        late = [key for key in left if key.endswith("/plan.json") and any(key in request.path for request in self.late)]
        self.plans = len(late)
        assert left == late, f"left behind: {left}"
        uploads = self.server.uploads(self.bucket)
        self.blocks = len(uploads)
        assert not uploads or self.server.forgets_uploads, f"uploads are half-way: {uploads}"
        records = [key for key in keys if key.startswith("a/lake/_lake/runs/")]
        assert len(records) == 1, f"run records: {records}"
        if not any("/_delta_log/" in key for key in keys):
            rows = rows_by_table(self)
            assert rows == self.world.rows[self.large], f"rows: {rows}, not {self.world.rows[self.large]}"


def rows_by_table(storm):
    server = storm.server
    tables = {key.split("/")[2] for key in server.objects(storm.bucket, "a/lake/") if key.endswith(".parquet")}
    return {
        table: pyarrow.dataset.dataset(f"{storm.bucket}/a/lake/{table}", filesystem=server.filesystem()).count_rows()
        for table in sorted(tables)
        if table != "_lake"
    }


class World:
    """The server, the sources, and what a load without any trouble makes of them."""

    def __init__(self, arguments, server, folder):
        self.lakehaul, self.server, self.folder = str(Path(arguments.lakehaul).resolve()), server, folder
        self.load_options, self.only, self.at = tuple(arguments.load_option), arguments.scene, arguments.at
        self.sources = {False: f"{Path(arguments.source).resolve()}/manifest.json", True: str(large_source(folder))}
        self.requests, self.rows = {False: 0, True: 0}, {}
        for large in (False, True):
            calm = Storm(self, f"calm-{large}".lower())
            calm.load = ("load", self.sources[large], "--to", calm.lake, "--checkpoint", "never" if large else "0s")
            calm.load += self.load_options
            self.server.make(calm.bucket)
            self.requests[large] = calm.again().proxy.count
            self.rows[large] = rows_by_table(calm)


def large_source(folder):
    """Two tables of which each goes up in a few pieces of 5 MiB: noise in base64."""
    source, noise = folder / "large", random.Random(1)
    source.mkdir()
    for kind, member in (("Binary", "data"), ("Basic", "language")):
        with open(source / f"{kind}.000.ndjson", "w") as file:
            for number in range(160):
                text = base64.b64encode(noise.randbytes(64 << 10)).decode()
                file.write(json.dumps({"resourceType": kind, "id": f"{number}", member: text}) + "\n")
    return source


def weather(world, seed):
    storm = Storm(world, seed)
    try:
        storm.go()
        return storm, None
    except Exception as error:
        why = [f"seed {seed}, {storm.scene}, request {storm.at}, {storm.told}: {type(error).__name__}: {error}"]
        if not isinstance(error, AssertionError):
            why.append(traceback.format_exc())
        why.append(f"  {' '.join(storm.load)}")
        for process in storm.processes:
            if process.popen.poll() is None:
                process.popen.kill()
            ended = getattr(process, "err", "")
            why.append(f"  met {process.met}, {process.proxy.count} requests, exit {process.popen.returncode}: {ended.strip()}")
        why += [f"  {size:>9} {key}" for key, size in world.server.objects(storm.bucket).items()]
        return storm, "\n".join(why)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehaul")
    parser.add_argument("source")
    servers.add_options(parser, ("s3", "azure"))
    parser.add_argument("--seeds", default="1:100", metavar="FROM:TO", help="both included [1:100]")
    parser.add_argument("--scene", choices=SCENES, help="only this one")
    parser.add_argument("--at", type=int, help="the request that it is about [by seed]")
    parser.add_argument("--at-once", type=int, default=4, help="seeds at a time; many of them wait for a lease [4]")
    parser.add_argument("--load-option", action="append", default=[], help="passed on to load, as --load-option=--keep-json")
    arguments = parser.parse_args()
    server = servers.server_of(arguments)
    if arguments.scene and arguments.scene not in shares(server):
        parser.error(f"{arguments.store} has no scene {arguments.scene}")
    first, last = map(int, arguments.seeds.split(":"))
    passed, failed, left = collections.Counter(), collections.Counter(), collections.Counter()
    with server, tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(arguments.at_once) as pool:
        world = World(arguments, server, Path(folder))
        print(f"a load makes {world.requests[False]} requests, one of large files {world.requests[True]}", flush=True)
        for storm, why in pool.map(lambda seed: weather(world, seed), range(first, last + 1)):
            (failed if why else passed)[storm.scene] += 1
            left["plans that came late, of runs that never began"] += storm.plans
            if server.forgets_uploads:
                left["blobs of which there are only blocks, for the store to forget"] += storm.blocks
            if why:
                print(why, flush=True)
    for scene in shares(server):
        print(f"{scene}: {passed[scene]} passed, {failed[scene]} failed")
    for what, count in left.items():
        print(f"left behind, {what}: {count}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
