#!/usr/bin/env python3
"""What exactly-once costs: `lakehaul load` with its journal against `lakehaul load --checkpoint never`, in one run; and
what becomes of the row groups where checkpoints are made often.

    cargo build --release --workspace --bins
    python3 benches/compare/journal.py FOLDER [--repeat 7] [--threads 2] [--eatmydata]
    python3 benches/compare/journal.py FOLDER --intervals 60s,1s,100ms,0s

FOLDER holds plain `.ndjson` files (benches/compare/enlarge.py makes large ones). The two take turns, the first of a turn
second in the next. `--eatmydata` runs the one without a journal under eatmydata (Debian: libeatmydata1), so that its fsyncs
are none: the difference is then journal and fsync together. `--intervals` needs pyarrow, which counts the row groups.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from run import RELEASE, Contestant


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--repeat", type=int, default=7, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--memory", default="1GiB", metavar="SIZE")
    parser.add_argument("--eatmydata", action="store_true")
    parser.add_argument("--intervals", metavar="DURATION,…")
    parser.add_argument("--lakehaul", type=Path, default=RELEASE / "lakehaul", metavar="BINARY")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the lakes go for as long as they are needed")
    arguments = parser.parse_args()
    in_bytes = sum(os.stat(path).st_size for path in arguments.folder.glob("*.ndjson"))

    def load(checkpoint, before=()):
        def command(folder, out, _):
            options = ["--threads", str(arguments.threads), "--memory", arguments.memory, "--quiet", "--allow-rejects"]
            return [*before, arguments.lakehaul, "load", folder, "--to", out, "--checkpoint", checkpoint, *options]

        return command

    if arguments.intervals:
        return intervals(arguments, load, in_bytes)
    without = load("never", ["eatmydata"] if arguments.eatmydata else [])
    found = [Contestant("journal", load("60s")), Contestant("without", without)]
    for turn in range(arguments.repeat):
        for one in found if turn % 2 == 0 else reversed(found):
            with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
                one.run(arguments.folder, Path(temporary, "out"), arguments.threads)
            print(f"turn {turn + 1}: {one.name} {one.seconds[-1]:.2f} s, {one.cpu_seconds[-1]:.2f} CPU s", file=sys.stderr)
    print(f"{in_bytes / 1e6:,.0f} MB, medians of {arguments.repeat} turns\n")
    print(f"{'':8} {'seconds':>8} {'CPU s':>7} {'peak MB':>8}")
    for one in found:
        times = f"{statistics.median(one.seconds):8.2f} {statistics.median(one.cpu_seconds):7.2f}"
        print(f"{one.name:8} {times} {max(one.peak_bytes) / 1e6:8.0f}")
    # Turn by turn: machines drift.
    for what in ("seconds", "cpu_seconds"):
        ratios = [a / b for a, b in zip(getattr(found[0], what), getattr(found[1], what))]
        print(f"journal / without, {what}: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


def intervals(arguments, load, in_bytes):
    import pyarrow.parquet as parquet

    print(f"{in_bytes / 1e6:,.0f} MB, {arguments.threads} threads\n")
    print(f"{'interval':>9} {'seconds':>8} {'row groups':>11} {'rows in one':>12} {'lake MB':>8}")
    for interval in arguments.intervals.split(","):
        one = Contestant(interval, load(interval))
        with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
            lake = Path(temporary, "out")
            for _ in range(arguments.repeat):
                subprocess.run(["rm", "-rf", lake], check=True)
                one.run(arguments.folder, lake, arguments.threads)
            parts = [path for path in lake.glob("*/*.parquet")]
            metadata = [parquet.read_metadata(path) for path in parts]
            groups = sum(one.num_row_groups for one in metadata)
            rows = sum(one.num_rows for one in metadata)
            records = [json.loads(path.read_text()) for path in lake.glob("_lake/runs/*.json")]
            assert [record["totals"]["rows"] for record in records] == [rows]
            size = sum(path.stat().st_size for path in parts)
        print(f"{interval:>9} {statistics.median(one.seconds):8.2f} {groups:11,} {rows // groups:12,} {size / 1e6:8.1f}")


if __name__ == "__main__":
    main()
