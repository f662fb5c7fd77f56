#!/usr/bin/env python3
"""What more threads bring and take: `lakehaul load` with 1, 2, 3, 4, 8 … threads in turn, in one run.

    cargo build --release --workspace --bins
    python3 benches/compare/threads.py FOLDER [--threads 1,2,3,4,8,16,32] [--repeat 5]

FOLDER holds plain `.ndjson` files (benches/compare/enlarge.py makes large ones). Speed can only grow up to the machine's
cores; peak memory grows with threads whether there is a core for each or not. Medians are printed.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from run import RELEASE, Contestant, load_command

MEMORY_AT_MOST = 64 << 20


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

    found = {count: Contestant(f"{count} threads", command) for count in counts}
    for turn in range(arguments.repeat):
        for count, one in found.items():
            with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
                one.run(arguments.folder, Path(temporary, "out"), count)
            print(f"turn {turn + 1}: {one.name} {one.seconds[-1]:.2f} s", file=sys.stderr)

    print(f"{in_bytes / 1e6:,.0f} MB, {os.cpu_count()} cores, medians of {arguments.repeat} turns\n")
    print(f"{'threads':>7} {'seconds':>8} {'(spread)':>15} {'CPU s':>7} {'faster by':>10} {'peak MiB':>9} {'MiB a further thread':>21}")
    before, most = None, 0
    for count, one in found.items():
        seconds, peak = statistics.median(one.seconds), statistics.median(one.peak_bytes)
        spread = f"{min(one.seconds):.2f} – {max(one.seconds):.2f}"
        faster = statistics.median(found[counts[0]].seconds) / seconds
        further = ""
        if before:
            grown = (peak - before[1]) / (count - before[0])
            # One core alone is not what the memory is measured from.
            most = max(most, grown) if before[0] > 1 else most
            further = f"{grown / (1 << 20):21.0f}"
        print(f"{count:7} {seconds:8.2f} {spread:>15} {statistics.median(one.cpu_seconds):7.2f} {faster:8.2f} × {peak / (1 << 20):9.0f} {further}")
        before = (count, peak)
    if most:
        print(f"\nfrom two threads on: {'at most' if most <= MEMORY_AT_MOST else 'MORE THAN'} {MEMORY_AT_MOST >> 20} MiB a further thread")


if __name__ == "__main__":
    main()
