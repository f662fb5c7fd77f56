#!/usr/bin/env python3
"""Times lakehaul and its peers on the same NDJSON files, in one run.

    cargo build --release --workspace --bins
    python3 benches/compare/run.py FOLDER [--repeat 5] [--threads 2] [--prototype BINARY]

FOLDER holds plain `.ndjson` files (benches/compare/enlarge.py makes large ones). The contestants take turns, A B C A B C,
so that a slow minute of the machine hits all of them; the medians and their ratios are printed, and the processor time,
which other load disturbs less. The files are read once before, so that nobody pays for the disk; what is written goes to
a new folder each time, whose removal is not timed. Each says how many rows it has made of the lines, and that is checked.

    lakehaul     load: lossless, with annotations, ledger, journal, hashes and fsync
    simd-json    no loader: parses each line to its tape, buffers reused, and throws it away. A limit
    arrow-json   schema from the first 1,000 lines of each file, ArrowWriter, zstd 1, a thread a file
    duckdb       COPY (read_json) TO parquet, its sampled schema; left out where Python has no duckdb
    prototype    a program given by --prototype, called `BINARY down THREADS OUT FILE...`, which prints `rows N`

What the peers lose, which lakehaul keeps:

    arrow-json   members first seen behind line 1,000 of their file; the text of numbers (1.50 becomes 1.5, and where the
                 sample had whole numbers only, 9.9463 becomes 9); whether a member was null or absent
    duckdb       offsets of date-times (they become UTC); the text of numbers and of what looks like a UUID or a date;
                 the text of contained resources; it refuses values that do not fit its sample
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


class Failed(Exception):
    """A contestant could not load the files, which is a result too."""


class Timed:
    """One process that ended well: what it printed, and the peak memory and processor time that the kernel counted."""

    def __init__(self, command):
        with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as log:
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=printed, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
            self.seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            printed.seek(0)
            log.seek(0)
            if process.returncode != 0:
                said = log.read().decode(errors="replace")[-2000:]
                raise Failed(f"{Path(command[0]).name} ended with {process.returncode}:\n{said}")
            self.printed = printed.read().decode()
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.peak_bytes = usage.ru_maxrss * 1024


class Contestant:
    def __init__(self, name, command, rows_of=None):
        self.name = name
        # Of (folder, out, threads): the arguments of the process.
        self.command = command
        # Of what it printed: how many rows it has made.
        self.rows_of, self.rows = rows_of, None
        self.seconds, self.cpu_seconds, self.peak_bytes, self.out_bytes = [], [], [], 0

    def run(self, folder, out, threads):
        """One timed process."""
        timed = Timed(self.command(folder, out, threads))
        self.seconds.append(timed.seconds)
        self.cpu_seconds.append(timed.cpu_seconds)
        self.peak_bytes.append(timed.peak_bytes)
        self.out_bytes = sum(path.stat().st_size for path in out.rglob("*.parquet"))
        if self.rows_of:
            self.rows = self.rows_of(timed.printed)


def load_command(lakehaul, folder, lake, threads):
    return [lakehaul, "load", folder, "--to", lake, "--threads", str(threads), "--quiet", "--json", "--allow-rejects"]


def printed_rows(text):
    if found := re.search(r"\brows (\d+)", text):
        return int(found[1])
    raise Failed("it does not say how many rows it has made")


def summed_rows(text):
    return json.loads(text)["totals"]["resources"]


def locked_version(name):
    lock = (ROOT / "Cargo.lock").read_text()
    return re.search(rf'name = "{name}"\nversion = "([^"]+)"', lock)[1]


def contestants(arguments):
    def lakehaul(folder, out, threads):
        command = load_command(arguments.lakehaul, folder, out, threads)
        return command + (["--memory", arguments.memory] if arguments.memory else [])

    def prototype(folder, out, threads):
        return [arguments.prototype, "down", str(threads), out, *sorted(folder.glob("*.ndjson"))]

    def peer(binary):
        return lambda *of: [RELEASE / binary, *map(str, of)]

    found = [Contestant("lakehaul", lakehaul, summed_rows)]
    for name, binary in [("simd-json", "compare-simd-json-tape"), ("arrow-json", "compare-arrow-json")]:
        if (RELEASE / binary).exists():
            found.append(Contestant(name, peer(binary), printed_rows))
        else:
            print(f"{name} is left out: {RELEASE / binary} is not built")
    if importlib.util.find_spec("duckdb"):
        duckdb = lambda *of: [sys.executable, HERE / "duckdb_copy.py", *map(str, of)]  # noqa: E731
        found.append(Contestant("duckdb", duckdb, printed_rows))
    else:
        print("duckdb is left out: this Python has no duckdb")
    if arguments.prototype:
        found.append(Contestant("prototype", prototype, printed_rows))
    return [contestant for contestant in found if contestant.name not in arguments.without.split(",")]


def versions(found):
    """What ran, in one line."""
    names = {one.name for one in found}
    said = [subprocess.run([found[0].command(Path(), Path(), 1)[0], "--version"], capture_output=True, text=True).stdout.strip()]
    said += [f"{name} {locked_version(name)}" for name in ("simd-json", "arrow-json") if name in names]
    if "duckdb" in names:
        said.append(f"duckdb {importlib.import_module('duckdb').__version__}")
    return ", ".join(said)


def machine():
    """The processor and the kernel, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return f"{os.cpu_count()} × {model[1] if model else platform.processor()}, {platform.system()} {platform.release()}"


def take_turns(found, folder, arguments):
    for turn in range(arguments.repeat):
        for one in list(found):
            try:
                with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
                    one.run(folder, Path(temporary, "out"), arguments.threads)
            except Failed as failure:
                if one is found[0]:
                    sys.exit(str(failure))
                print(f"left out: {failure}")
                found.remove(one)
                continue
            print(f"turn {turn + 1}: {one.name} {one.seconds[-1]:.2f} s", file=sys.stderr)


def report(found, in_bytes, lines, threads):
    print(f"{in_bytes / 1e6:,.0f} MB, {lines:,} lines, {threads} threads, medians of {len(found[0].seconds)} turns\n")
    print(f"{'':12} {'seconds':>8} {'(spread)':>15} {'MB/s':>7} {'lakehaul is':>12} {'CPU s':>7} {'peak MB':>8} {'out MB':>8} {'rows':>10}")
    first = statistics.median(found[0].seconds)
    for one in found:
        median = statistics.median(one.seconds)
        spread = f"{min(one.seconds):.2f} – {max(one.seconds):.2f}"
        ratio = f"{median / first:.2f} ×" if one is not found[0] else ""
        rate, peak = in_bytes / 1e6 / median, max(one.peak_bytes) / 1e6
        times = f"{median:8.2f} {spread:>15} {rate:7.0f} {ratio:>12} {statistics.median(one.cpu_seconds):7.2f}"
        print(f"{one.name:12} {times} {peak:8.0f} {one.out_bytes / 1e6:8.1f} {one.rows:10,}")
    wrong = [one.name for one in found if one.rows != lines]
    print(f"\nrows that are not the lines: {', '.join(wrong)}" if wrong else "\nall have as many rows as there are lines")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--memory", metavar="SIZE", help="lakehaul's --memory; its default otherwise")
    parser.add_argument("--lakehaul", type=Path, default=RELEASE / "lakehaul", metavar="BINARY")
    parser.add_argument("--prototype", type=Path, metavar="BINARY")
    parser.add_argument("--without", default="", metavar="NAME,...", help="contestants to leave out")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the outputs go for as long as they are needed")
    arguments = parser.parse_args()

    files = sorted(arguments.folder.glob("*.ndjson"))
    if not files:
        sys.exit(f"{arguments.folder}: no .ndjson files")
    lines = sum(count_lines(file) for file in files)
    found = contestants(arguments)
    print(f"{machine()}\n{versions(found)}")
    take_turns(found, arguments.folder, arguments)
    in_bytes = sum(file.stat().st_size for file in files)
    if "lakehaul" in report(found, in_bytes, lines, arguments.threads):
        sys.exit(1)


def count_lines(path):
    """Lines that are not blank."""
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


if __name__ == "__main__":
    main()
