#!/usr/bin/env python3
"""A model, not a measurement: how a load's throughput grows with cores, from costs that were measured on one.

    python3 benches/compare/scale.py [--serial 0.16] [--parallel 2.27] [--end 0.1] [--file-gigabytes 0.1]

What stops a load from growing is told from the code (ARCHITECTURE.md, "What workers share"):

    --serial    ns a byte under a file's lock: read, frame. One worker at a time a file
    --parallel  ns a byte that a worker spends alone: hash, scan, shred, encode, compress, write
    --end       seconds at the end that one thread works alone: ledger, renames, syncs

Both come from costs.py (ns a kB / 1000): the first is "read from the page cache" and "lines and UTF-8", which is too much (UTF-8
is checked outside), the second all else. The model gives each chunk of a megabyte to whoever is free, files in turn as the schedule does, and counts. It knows
nothing of memory bandwidth, turbo clocks or hyperthreads, which make real machines slower.
"""

import argparse
import heapq

CHUNK_BYTES = 1 << 20
CORES = (1, 2, 4, 8, 16, 32)


def seconds_of(files, file_bytes, cores, arguments):
    """How long so many files take on so many cores."""
    serial, parallel = arguments.serial * 1e-9 * CHUNK_BYTES, arguments.parallel * 1e-9 * CHUNK_BYTES
    chunks = max(1, round(file_bytes / CHUNK_BYTES))
    # Files that nobody has begun, chunks left of those that somebody has, and when each one's lock is free.
    waiting, left, free_at = list(range(files)), {}, {}
    workers = [(0.0, worker, None) for worker in range(cores)]
    heapq.heapify(workers)
    end = 0.0
    while workers:
        now, worker, file = heapq.heappop(workers)
        if file is None or not left[file]:
            if waiting:
                file = waiting.pop()
                left[file], free_at[file] = chunks, 0.0
            else:
                # Helps with the file that has most to read.
                file = max(left, key=left.get)
                if not left[file]:
                    end = max(end, now)
                    continue
        left[file] -= 1
        free_at[file] = max(now, free_at[file]) + serial
        heapq.heappush(workers, (free_at[file] + parallel, worker, file))
    return end + arguments.end


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serial", type=float, default=0.16, metavar="NS")
    parser.add_argument("--parallel", type=float, default=2.27, metavar="NS")
    parser.add_argument("--end", type=float, default=0.1, metavar="SECONDS")
    parser.add_argument("--file-gigabytes", type=float, default=0.1, metavar="GB", help="of each of many files")
    arguments = parser.parse_args()

    many = 1000
    cases = ((f"{many} files", many, arguments.file_gigabytes * 1e9), ("32 files", 32, 3e9), ("1 file", 1, 20e9))
    print(f"{'cores':>6}" + "".join(f"{name:>24}" for name, _, _ in cases))
    alone = [seconds_of(files, size, 1, arguments) for _, files, size in cases]
    for cores in CORES:
        print(f"{cores:6}", end="")
        for (_, files, size), one in zip(cases, alone, strict=True):
            seconds = seconds_of(files, size, cores, arguments)
            print(f"{files * size / 1e6 / seconds:12,.0f} MB/s {one / seconds:5.1f} ×", end="")
        print()


if __name__ == "__main__":
    main()
