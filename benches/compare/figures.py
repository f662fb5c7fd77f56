#!/usr/bin/env python3
"""Takes all figures that the documents speak of and writes them to benches/FIGURES.md.

    cargo build --release --workspace --bins --examples
    python3 benches/compare/figures.py CORPUS [--bytes 1.2e9] [--data FOLDER] [--prototype BINARY] [--into FILE]

CORPUS holds `.ndjson`, `.ndjson.gz` or `.ndjson.zst` files of an export. Out of it, and out of the generator of synthetic
members with several seeds, the data are made in --data (a temporary folder by default, about five times --bytes); then each
of the scripts beside this one runs. DuckDB and pyarrow have to be in this Python, perf and strace on the machine. A quiet
machine takes about fifteen minutes; other work on it spoils the figures.
"""

import argparse
import datetime
import subprocess
import sys
import tempfile
from pathlib import Path

from run import HERE, RELEASE, ROOT, machine

HEAD = """# Figures

Written by `python3 benches/compare/figures.py` (its arguments: `{arguments}`) on {day}, on {machine}, of commit {commit}.
Machines differ and drift: what counts is the ratio within one table. What each column is, and what the peers lose, the scripts in
[compare/](compare) say with `--help`.
"""

SEEDS = (1, 7)

# The prototype and the peers were first measured on so much, whether as it is or varied.
AS_IS_BYTES = 1.68e9


def made(data, arguments):
    """The folders of NDJSON that the figures are taken on: Synthea lines varied and as they are, and generated members."""
    synthea, as_is = data / "synthea", data / "as-is"
    script("enlarge.py", arguments.corpus, synthea, "--bytes", arguments.bytes)
    script("enlarge.py", arguments.corpus, as_is, "--bytes", AS_IS_BYTES, "--as-is")
    generated = []
    for seed in SEEDS:
        folder = data / f"members-{seed}"
        members = [RELEASE / "examples" / "members", folder, str(arguments.members), str(seed)]
        subprocess.run(members, check=True, stdout=subprocess.DEVNULL)
        generated.append(folder)
    return synthea, as_is, generated


def script(name, *arguments):
    """What a script beside this one prints."""
    print(f"{name} …", file=sys.stderr)
    command = [sys.executable, HERE / name, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"{name} ended with {done.returncode}", file=sys.stderr)
    return done.stdout.strip()


def sections(data, arguments):
    synthea, as_is, generated = made(data, arguments)
    prototype = ["--prototype", arguments.prototype] if arguments.prototype else []
    yield "Against its peers, Synthea lines copied and varied", script("run.py", synthea, *prototype)
    yield "Against its peers, Synthea lines copied as they are", script("run.py", as_is, *prototype)
    for seed, folder in zip(SEEDS, generated, strict=True):
        yield f"Against its peers, generated members, seed {seed}", script("run.py", folder, *prototype)
    yield "More threads: speed up to this machine's cores, and memory", script("threads.py", synthea)
    yield "Where the time goes", script("costs.py", synthea)
    yield "More cores: a model", script("scale.py")
    yield "Shapes of resources", script("shapes.py", synthea, data / "shapes", "--run", "--repeat", 5)
    yield "Small files", script("small.py", synthea, "--repeat", 9)
    yield "Over loopback", script("export.py", synthea)
    yield "The lake's size and queries, beside DuckDB's", script("lake_size.py", synthea)


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("--bytes", type=float, default=1.2e9, metavar="N", help="about how large the copied lines are in all")
    parser.add_argument("--members", type=int, default=8000, metavar="N", help="how many are generated for each seed")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where the data are made, and stay")
    parser.add_argument("--prototype", type=Path, metavar="BINARY", help="a contestant more; see run.py")
    parser.add_argument("--into", type=Path, default=HERE.parent / "FIGURES.md", metavar="FILE")
    arguments = parser.parse_args()

    given = f"CORPUS --bytes {arguments.bytes:g} --members {arguments.members}" + (" --prototype BINARY" if arguments.prototype else "")
    commit = git("rev-parse", "--short", "HEAD") + (" and changes" if git("status", "--porcelain") else "")
    text = HEAD.format(arguments=given, day=datetime.date.today(), machine=machine(), commit=commit)
    with tempfile.TemporaryDirectory() as temporary:
        data = arguments.data or Path(temporary)
        for title, figures in sections(data, arguments):
            text += f"\n## {title}\n\n```\n{figures}\n```\n"
            # What there is stays, should a later script fail.
            arguments.into.write_text(text)


if __name__ == "__main__":
    main()
