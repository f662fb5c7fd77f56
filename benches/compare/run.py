#!/usr/bin/env python3
"""Times lakehaul, arrow-json and DuckDB on the same NDJSON files, in one run.

    cargo build --release --workspace --bins
    python3 benches/compare/run.py FOLDER [--repeat 5] [--threads 2]

FOLDER holds plain `.ndjson` files (benches/compare/enlarge.py makes large ones). The contestants take turns, A B C A B C,
so that a slow minute of the machine hits all of them; the medians and their ratios are printed, and the processor time,
which other load disturbs less. The files are read once before, so that nobody pays for the disk; what is written goes to
a new folder each time, whose removal is not timed.

    lakehaul     load: lossless, with annotations, ledger and fsync
    arrow-json   schema from the first 1,000 lines of each file, ArrowWriter, zstd 1, a thread a file
    duckdb       COPY (read_json) TO parquet, its sampled schema; left out where Python has no duckdb
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target")) / "release"


class Failed(Exception):
    """A contestant could not load the files, which is a result too."""


class Contestant:
    def __init__(self, name, command):
        self.name = name
        # Of (folder, out, threads): the arguments of the process.
        self.command = command
        self.seconds, self.cpu_seconds, self.peak_bytes, self.out_bytes = [], [], [], 0

    def run(self, folder, out, threads):
        """One timed process. Its peak memory and processor time are what the kernel counted for it."""
        began = time.perf_counter()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(self.command(folder, out, threads), stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                log.seek(0)
                raise Failed(f"{self.name} ended with {process.returncode}:\n{log.read().decode(errors='replace')[-2000:]}")
        self.seconds.append(seconds)
        self.cpu_seconds.append(usage.ru_utime + usage.ru_stime)
        self.peak_bytes.append(usage.ru_maxrss * 1024)
        self.out_bytes = sum(path.stat().st_size for path in out.rglob("*.parquet"))


def contestants(arguments):
    def lakehaul(folder, out, threads):
        command = [arguments.lakehaul, "load", folder, "--to", out, "--threads", str(threads), "--quiet", "--allow-rejects"]
        return command + (["--memory", arguments.memory] if arguments.memory else [])

    found = [Contestant("lakehaul", lakehaul)]
    if arguments.arrow_json.exists():
        found.append(Contestant("arrow-json", lambda *of: [arguments.arrow_json, *map(str, of)]))
    else:
        print(f"arrow-json is left out: {arguments.arrow_json} is not built")
    if importlib.util.find_spec("duckdb"):
        found.append(Contestant("duckdb", lambda *of: [sys.executable, HERE / "duckdb_copy.py", *map(str, of)]))
    else:
        print("duckdb is left out: this Python has no duckdb")
    return [contestant for contestant in found if contestant.name not in arguments.without.split(",")]


def report(found, in_bytes, lines):
    print(f"{in_bytes / 1e6:,.0f} MB, {lines:,} lines, medians of {len(found[0].seconds)} turns\n")
    print(f"{'':12} {'seconds':>8} {'(spread)':>15} {'MB/s':>7} {'lakehaul is':>12} {'CPU s':>7} {'peak MB':>8} {'out MB':>8}")
    first = statistics.median(found[0].seconds)
    for one in found:
        median = statistics.median(one.seconds)
        spread = f"{min(one.seconds):.2f} – {max(one.seconds):.2f}"
        ratio = f"{median / first:.2f} ×" if one is not found[0] else ""
        rate, peak = in_bytes / 1e6 / median, max(one.peak_bytes) / 1e6
        times = f"{median:8.2f} {spread:>15} {rate:7.0f} {ratio:>12} {statistics.median(one.cpu_seconds):7.2f}"
        print(f"{one.name:12} {times} {peak:8.0f} {one.out_bytes / 1e6:8.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--memory", metavar="SIZE", help="lakehaul's --memory; its default otherwise")
    parser.add_argument("--lakehaul", type=Path, default=RELEASE / "lakehaul", metavar="BINARY")
    parser.add_argument("--arrow-json", type=Path, default=RELEASE / "compare-arrow-json", metavar="BINARY")
    parser.add_argument("--without", default="", metavar="NAME,...", help="contestants to leave out")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the outputs go for as long as they are needed")
    arguments = parser.parse_args()

    files = sorted(arguments.folder.glob("*.ndjson"))
    if not files:
        sys.exit(f"{arguments.folder}: no .ndjson files")
    lines = sum(chunk.count(b"\n") for file in files for chunk in chunks(file))
    found = contestants(arguments)
    for turn in range(arguments.repeat):
        for one in list(found):
            try:
                with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
                    one.run(arguments.folder, Path(temporary, "out"), arguments.threads)
            except Failed as failure:
                if one is found[0]:
                    sys.exit(str(failure))
                print(f"left out: {failure}")
                found.remove(one)
                continue
            print(f"turn {turn + 1}: {one.name} {one.seconds[-1]:.2f} s", file=sys.stderr)
    report(found, sum(file.stat().st_size for file in files), lines)


def chunks(path):
    with path.open("rb") as file:
        while chunk := file.read(1 << 24):
            yield chunk


if __name__ == "__main__":
    main()
