#!/usr/bin/env python3
"""What a load spends its processor time on, by stage: `lakehaul load --threads 1` under perf.

    cargo build --release --workspace --bins
    python3 benches/compare/costs.py FOLDER [--repeat 3]

Needs Linux's perf. A sample belongs to the stage of the function it is in; what is inlined into the shredder, to the stage
of the source file that it comes from. Shares move by a point or two from turn to turn; the turns are added up.

Besides, where strace is: how often the load by --threads threads calls the kernel, and how often a thread has to wait for
another (futex), in all and for each gigabyte; strace slows the load down, which makes meetings more likely, not fewer.
Last, how many blocks of memory another thread freed than the one that had allocated them (benches/compare/frees.rs).
"""

import argparse
import collections
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from run import RELEASE, Timed, load_command

# The first pattern that a symbol matches says the stage. The shredder's own symbol is split by source file.
SHREDDER = "Shredder<G>::object"
SYMBOLS = (
    ("hash (BLAKE3)", r"blake3"),
    ("compress (zstd)", r"ZSTD_|HUF_|FSE_|HIST_|ZSTDMT|compressBlock"),
    ("read from the page cache", r"_copy_to_iter|filemap_get|filemap_read|xas_|copy_page_to_iter"),
    ("fresh memory", r"clear_page|page_fault|handle_mm|folio_zero|clear_huge|unmap_page|mi_|free_unref|alloc_pages|get_page_from"),
    ("write and sync", r"copy_folio_from_iter|ext4|jbd2|writepage|write_begin|write_end|virtblk|blk_|submit_bio"),
    ("lines and UTF-8", r"memchr|simdutf8|Framer|parse::frame|parse::chunk"),
    ("scan", r"parse::direct"),
    ("dictionary", r"BytesLeaf::(push|insert|grow|dissolve)|memcmp"),
    ("levels", r"write_levels|Levels|Presence|hybrid"),
    ("annotations", r"numeric|instant_range|reference_target|derive"),
    ("statistics", r"::bounds|sorts_before"),
    ("values", r"encode::|RowGroup|PageValues|Deltas|Fixed|entry_id|parquet"),
    ("copies", r"memmove|memcpy|memset"),
    ("lines to rows", r"Worker|LineSorter|TableSet|lakehaul_load"),
    ("kernel, other", r"^\[k\]"),
)
FILES = (
    ("scan", r"scanner|direct|find|x86_64|sse2|avx|number|escape|raw|equality"),
    ("member look-up", r"shape|seen|cursor|nodes"),
    ("dictionary", r"bytes_leaf"),
    ("levels", r"presence"),
)
SHREDDING = "shredder, other"


def stage_of(symbol):
    return next((stage for stage, pattern in SYMBOLS if re.search(pattern, symbol)), "other")


def reported(data, *options):
    """(share in percent, what it is) of each line of a report."""
    command = ["perf", "report", "--input", data, "--no-children", "--stdio", "--call-graph", "none", *options]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        if found := re.match(r"\s+(\d+\.\d+)%\s+(.*\S)", line):
            yield float(found[1]), found[2]


def profile(arguments, temporary):
    data = Path(temporary, "perf.data")
    command = load_command(arguments.lakehaul, arguments.folder, Path(temporary, "lake"), 1)
    subprocess.run(["perf", "record", "--quiet", "--freq", "2000", "--output", data, *command], check=True, stdout=subprocess.DEVNULL)
    stages = collections.Counter()
    shredder = None
    for share, symbol in reported(data, "--sort", "sym"):
        if SHREDDER in symbol:
            shredder = symbol.removeprefix("[.] ")
        else:
            stages[stage_of(symbol)] += share
    if shredder:
        for share, line in reported(data, "--sort", "srcline", "--symbols", shredder):
            file = line.split(":")[0]
            stages[next((stage for stage, pattern in FILES if re.search(pattern, file)), SHREDDING)] += share
    return stages


def kernel_calls(arguments, temporary):
    """How often each call was made, by name."""
    counts = Path(temporary, "calls")
    command = load_command(arguments.lakehaul, arguments.folder, Path(temporary, "lake"), arguments.threads)
    subprocess.run(["strace", "-f", "-c", "-o", counts, *command], check=True, stdout=subprocess.DEVNULL)
    rows = (line.split() for line in counts.read_text().splitlines())
    return {row[-1]: int(row[3]) for row in rows if len(row) >= 5 and row[3].isdigit() and row[-1] != "total"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--repeat", type=int, default=3, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--lakehaul", type=Path, default=RELEASE / "lakehaul", metavar="BINARY")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the lakes go for as long as they are needed")
    arguments = parser.parse_args()

    in_bytes = sum(path.stat().st_size for path in arguments.folder.glob("*.ndjson"))
    if not in_bytes:
        sys.exit(f"{arguments.folder}: no .ndjson files")
    if not shutil.which("perf"):
        sys.exit("this needs perf (linux-perf, linux-tools)")
    stages, seconds = collections.Counter(), []
    for _ in range(arguments.repeat):
        with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
            # Not under perf: the time that the shares are of.
            timed = Timed(load_command(arguments.lakehaul, arguments.folder, Path(temporary, "timed"), 1))
            seconds.append(timed.cpu_seconds)
            stages.update(profile(arguments, temporary))
    total, cpu_seconds = sum(stages.values()), sorted(seconds)[len(seconds) // 2]
    print(f"{in_bytes / 1e6:,.0f} MB, one thread, {cpu_seconds:.2f} CPU s (median of {len(seconds)})\n")
    print(f"{'':26} {'share':>7} {'ns a kB':>8}")
    for stage, share in stages.most_common():
        print(f"{stage:26} {share / total:7.1%} {share / total * cpu_seconds / in_bytes * 1e12:8.1f}")
    if shutil.which("strace"):
        with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
            calls = kernel_calls(arguments, temporary)
        print(f"\ncalls of the kernel by {arguments.threads} threads, in all and a gigabyte of NDJSON:")
        for name in ("read", "write", "fsync", "fdatasync", "madvise", "mmap", "futex"):
            print(f"    {name:10} {calls.get(name, 0):7,} {calls.get(name, 0) / in_bytes * 1e9:9,.0f}")
    with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
        command = [RELEASE / "compare-frees", arguments.folder, Path(temporary, "lake"), str(arguments.threads)]
        print("\nmemory:", subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    main()
