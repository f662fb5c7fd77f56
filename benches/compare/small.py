#!/usr/bin/env python3
"""Times lakehaul on many small files against the same bytes in one file, in one run.

    cargo build --release --workspace --bins
    python3 benches/compare/small.py CORPUS [--files 2000] [--file-bytes 20000] [--repeat 5]

CORPUS holds plain `.ndjson` files (benches/compare/enlarge.py makes large ones). Out of its lines two pairs of folders are
made, each pair with the same lines:

    one type      N files of about 20 kB, `Observation.0001.ndjson` and so on, against one file
    mixed types   N files of several types, which take turns, against one file a type

The two folders of a pair take turns, A B A B; the medians and their ratio are printed, and whether it is at most 1.5. What
is written goes to a new folder each time, whose removal is not timed. All rows have to be in the lake, or nothing counts.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from pathlib import Path

from run import RELEASE, Failed, Timed, count_lines, load_command

AT_MOST = 1.5


class Folder:
    """A folder of NDJSON files, and what loading it took."""

    def __init__(self, name, path):
        self.name, self.path = name, path
        files = sorted(path.glob("*.ndjson"))
        self.files, self.bytes = len(files), sum(file.stat().st_size for file in files)
        # This reads the files once, so that no load pays for the disk.
        self.lines = sum(count_lines(file) for file in files)
        self.loads, self.totals = [], {}

    def load(self, lakehaul, threads, temporary_in):
        with tempfile.TemporaryDirectory(dir=temporary_in) as temporary:
            lake = Path(temporary, "lake")
            self.loads.append(Timed(load_command(lakehaul, self.path, lake, threads)))
            self.totals = totals_of(lake)

    def median(self, what="seconds"):
        return statistics.median(getattr(load, what) for load in self.loads)

    def peak_bytes(self):
        return max(load.peak_bytes for load in self.loads)

    def missing(self):
        """How many lines are not a row of the lake, by the record of the last load."""
        return self.lines - self.totals["rows"]


def totals_of(lake):
    """The totals of a lake's only run."""
    (record,) = lake.glob("_lake/runs/*.json")
    return json.loads(record.read_bytes())["totals"]


def take_turns(folders, arguments):
    for turn in range(arguments.repeat):
        for folder in folders:
            folder.load(arguments.lakehaul, arguments.threads, arguments.out)
            print(f"turn {turn + 1}: {folder.name} {folder.loads[-1].seconds:.2f} s", file=sys.stderr)


def lines_of_type(paths):
    """The lines of a type without an end: after the last comes the first."""
    while True:
        for path in paths:
            with path.open("rb") as file:
                for line in file:
                    if line.strip():
                        yield line.rstrip(b"\n") + b"\n"


def make_pair(corpus, types, arguments, temporary):
    """Two folders with the same lines: many small files, and one file a type."""
    small, whole = Path(temporary, "small"), Path(temporary, "whole")
    small.mkdir(parents=True)
    whole.mkdir()
    sources = {name: lines_of_type(corpus[name]) for name in types}
    numbers = dict.fromkeys(types, 0)
    for name in itertools.islice(itertools.cycle(types), arguments.files):
        numbers[name] += 1
        content, size = [], 0
        while size < arguments.file_bytes:
            content.append(next(sources[name]))
            size += len(content[-1])
        (small / f"{name}.{numbers[name]:04}.ndjson").write_bytes(b"".join(content))
        with (whole / f"{name}.ndjson").open("ab") as file:
            file.writelines(content)
    return Folder("many files", small), Folder("one file" if len(types) == 1 else "one a type", whole)


def report(title, small, whole):
    print(f"\n{title}: {small.bytes / 1e6:,.1f} MB, {small.lines:,} lines, medians of {len(small.loads)} turns\n")
    print(f"{'':12} {'files':>6} {'seconds':>8} {'(spread)':>15} {'MB/s':>7} {'CPU s':>7} {'peak MB':>8} {'parts':>6}")
    for one in (small, whole):
        seconds = [load.seconds for load in one.loads]
        spread = f"{min(seconds):.2f} – {max(seconds):.2f}"
        times = f"{one.median():8.2f} {spread:>15} {one.bytes / 1e6 / one.median():7.0f} {one.median('cpu_seconds'):7.2f}"
        print(f"{one.name:12} {one.files:6} {times} {one.peak_bytes() / 1e6:8.0f} {one.totals['parts']:6}")
    ratio = small.median() / whole.median()
    each = (small.median() - whole.median()) / (small.files - whole.files) * 1e6 if small.files > whole.files else 0
    print(f"\n{small.name} take {ratio:.2f} × as long, {each:.0f} µs more a file")
    print(f"{'at most' if ratio <= AT_MOST else 'MORE THAN'} {AT_MOST}")
    for one in (small, whole):
        if one.missing():
            sys.exit(f"{one.name}: {one.missing():,} of {one.lines:,} lines are not in the lake")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("--files", type=int, default=2000, metavar="N")
    parser.add_argument("--file-bytes", type=float, default=20000, metavar="N", help="about how large a file gets")
    parser.add_argument("--type", default="Observation", metavar="NAME", help="the type of the first pair")
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--lakehaul", type=Path, default=RELEASE / "lakehaul", metavar="BINARY")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the files and lakes go as long as they are needed")
    arguments = parser.parse_args()

    corpus = {}
    for path in sorted(arguments.corpus.glob("*.ndjson")):
        if path.stat().st_size:
            corpus.setdefault(path.name.split(".")[0], []).append(path)
    if not corpus:
        sys.exit(f"{arguments.corpus}: no .ndjson files")
    if arguments.type not in corpus:
        sys.exit(f"{arguments.corpus}: no files of {arguments.type}; there are {', '.join(corpus)}")
    pairs = {f"one type, {arguments.type}": [arguments.type]}
    if len(corpus) > 1:
        pairs[f"mixed, {len(corpus)} types"] = list(corpus)
    else:
        print("mixed types are left out: the corpus has one type")
    for title, types in pairs.items():
        with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
            small, whole = make_pair(corpus, types, arguments, temporary)
            try:
                take_turns((small, whole), arguments)
            except Failed as failure:
                sys.exit(str(failure))
            report(title, small, whole)


if __name__ == "__main__":
    main()
