#!/usr/bin/env python3
"""What more threads bring and take: `lakehaul load` with 1, 2, 3, 4, 8 … threads in turn, in one run.

    cargo build --release --workspace --bins
    python3 benches/compare/threads.py FOLDER [--threads 1,2,3,4,8,16,32] [--repeat 5]

FOLDER holds plain `.ndjson` files (benches/compare/enlarge.py makes large ones). Speed can only grow up to the machine's
cores; peak memory grows with threads whether there is a core for each or not. Medians are printed. What cores are worth is
told by processes of one thread, one a core at once, which share nothing but the machine: threads cannot do better than these.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from run import RELEASE, Contestant, Timed, load_command

MIB = 1 << 20
MEMORY_AT_MOST = 64


def seconds_at_once(commands):
    """How long processes take that run at the same time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(commands)) as pool:
        list(pool.map(Timed, commands))
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--threads", default="1,2,3,4,8,16,32", metavar="N,N")
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--lakehaul", type=Path, default=RELEASE / "lakehaul", metavar="BINARY")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the lakes go for as long as they are needed")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.threads.split(",")]
    in_bytes = sum(path.stat().st_size for path in arguments.folder.glob("*.ndjson"))
    if not in_bytes:
        sys.exit(f"{arguments.folder}: no .ndjson files")

    def command(folder, out, threads):
        return load_command(arguments.lakehaul, folder, out, threads)

    cores = os.cpu_count()
    at_once = []
    found = {count: Contestant(f"{count} threads", command) for count in counts}
    for turn in range(arguments.repeat):
        for count, one in found.items():
            with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
                one.run(arguments.folder, Path(temporary, "out"), count)
            print(f"turn {turn + 1}: {one.name} {one.seconds[-1]:.2f} s", file=sys.stderr)
        if 1 in counts and cores in counts:
            with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
                at_once.append(seconds_at_once([command(arguments.folder, Path(temporary, str(n)), 1) for n in range(cores)]))
            print(f"turn {turn + 1}: {cores} processes at once {at_once[-1]:.2f} s", file=sys.stderr)

    print(f"{in_bytes / 1e6:,.0f} MB, {cores} cores, medians of {arguments.repeat} turns\n")
    print(f"{'threads':>7} {'seconds':>8} {'(spread)':>15} {'CPU s':>7} {'faster by':>10} {'peak MiB':>9} {'MiB a further thread':>21}")
    peaks = {count: statistics.median(one.peak_bytes) / MIB for count, one in found.items()}
    further_of = lambda count, since: (peaks[count] - peaks[since]) / (count - since)
    for before, count in zip([None, *counts], counts):
        one = found[count]
        seconds, spread = statistics.median(one.seconds), f"{min(one.seconds):.2f} – {max(one.seconds):.2f}"
        faster = statistics.median(found[counts[0]].seconds) / seconds
        further = f"{further_of(count, before):21.0f}" if before else ""
        print(f"{count:7} {seconds:8.2f} {spread:>15} {statistics.median(one.cpu_seconds):7.2f} {faster:8.2f} × {peaks[count]:9.0f} {further}")
    if at_once:
        alone = statistics.median(found[1].seconds)
        worth = cores * alone / statistics.median(at_once)
        faster = alone / statistics.median(found[cores].seconds)
        print(f"\n{cores} processes of one thread at once do {worth:.2f} × what one does alone, {cores} threads of one process {faster:.2f} ×")
    # One core alone is not what memory is measured from.
    since_two = {count: further_of(count, 2) for count in counts if count > 2 and 2 in peaks}
    if since_two:
        told = ", ".join(f"{further:.0f} ({count})" for count, further in since_two.items())
        judged = "at most" if max(since_two.values()) <= MEMORY_AT_MOST else "MORE THAN"
        print(f"\nMiB a further thread since two: {told}: {judged} {MEMORY_AT_MOST}")


if __name__ == "__main__":
    main()
