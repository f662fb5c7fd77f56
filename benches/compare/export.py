#!/usr/bin/env python3
"""Times `lakehaul export` over loopback against `lakehaul load` of the same files, in one run.

    cargo build --release --workspace --bins
    cargo build --release -p lakehaul-sim --example serve
    python3 benches/compare/export.py FOLDER [--repeat 5] [--threads 2] [--concurrency 8]

FOLDER holds plain `.ndjson` files (benches/compare/enlarge.py makes large ones). A simulated payer in another process
serves them from memory; it shares the cores, so what counts is the processor time of lakehaul itself, as the kernel
counted it. The two take turns.
"""

import argparse
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
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--concurrency", type=int, default=8, metavar="N")
    parser.add_argument("--memory", default="1GiB", metavar="SIZE")
    parser.add_argument("--lakehaul", type=Path, default=RELEASE / "lakehaul", metavar="BINARY")
    parser.add_argument("--serve", type=Path, default=RELEASE / "examples" / "serve", metavar="BINARY")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the lakes go for as long as they are needed")
    arguments = parser.parse_args()

    server = subprocess.Popen([arguments.serve, arguments.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    base_url = server.stdout.readline().strip()
    if not base_url:
        sys.exit("the simulated payer did not start")
    common = ["--threads", str(arguments.threads), "--memory", arguments.memory, "--quiet", "--allow-rejects"]

    def load(folder, out, _):
        return [arguments.lakehaul, "load", folder, "--to", out, *common]

    def export(_, out, __):
        server_options = ["--kind", "smart", "--base-url", base_url, "--no-auth", "--keep-export"]
        return [arguments.lakehaul, "export", "--to", out, *server_options, "--concurrency", str(arguments.concurrency), *common]

    found = [Contestant("load", load), Contestant("export", export)]
    for turn in range(arguments.repeat):
        for one in found:
            with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
                one.run(arguments.folder, Path(temporary, "out"), arguments.threads)
            print(f"turn {turn + 1}: {one.name} {one.seconds[-1]:.2f} s, {one.cpu_seconds[-1]:.2f} CPU s", file=sys.stderr)
    server.stdin.close()
    server.wait()

    in_bytes = sum(os.stat(path).st_size for path in arguments.folder.glob("*.ndjson"))
    print(f"{in_bytes / 1e6:,.0f} MB, medians of {arguments.repeat} turns\n")
    print(f"{'':8} {'seconds':>8} {'CPU s':>7} {'peak MB':>8}")
    for one in found:
        times = f"{statistics.median(one.seconds):8.2f} {statistics.median(one.cpu_seconds):7.2f}"
        print(f"{one.name:8} {times} {max(one.peak_bytes) / 1e6:8.0f}")
    load_cpu, export_cpu = (statistics.median(one.cpu_seconds) for one in found)
    print(f"\nexport takes {export_cpu / load_cpu:.2f} × the processor time of load")


if __name__ == "__main__":
    main()
