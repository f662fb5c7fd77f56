#!/usr/bin/env python3
"""Makes a large export out of a small one: its lines, copied with other ids, dates and amounts.

    enlarge.py CORPUS OUT [--bytes 1.5e9] [--file-bytes 1e8] [--seed 1] [--as-is]

CORPUS holds `.ndjson`, `.ndjson.gz` or `.ndjson.zst` files (zst needs Python 3.14 or pyarrow). Each copy gets its own ids,
the same in every file, so that references still meet; dates move by some days; decimals change their value but not
their number of digits. The same seed makes the same bytes. Copies are still alike in their texts and codes, so dictionaries
and compression do better on them than on a real export. With --as-is they are not even varied: the easiest data there
are, good only beside figures that were taken on such.
"""

import argparse
import gzip
import random
import re
import sys
from pathlib import Path

UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DATE = re.compile(rb'(?<=")((?:19|20)\d\d-(?:0[1-9]|1[0-2])-)([012]\d|3[01])(?=["T])')
# A member's value; the quote must not be an escaped one, which would be inside a text.
DECIMAL = re.compile(rb'(?<!\\)":(\s?)(\d{1,9})\.(\d{1,12})(?=[,}\]])')


def lines_of(path):
    if path.name.endswith(".gz"):
        data = gzip.decompress(path.read_bytes())
    elif path.name.endswith(".zst"):
        data = unpacked_zstd(path)
    else:
        data = path.read_bytes()
    return [line + b"\n" for line in data.split(b"\n") if line.strip()]


def unpacked_zstd(path):
    try:
        from compression import zstd

        return zstd.decompress(path.read_bytes())
    except ImportError:
        import pyarrow

        with pyarrow.input_stream(path, compression="zstd") as stream:
            return stream.read()


def with_other_digits(uuid, mask):
    """The UUID with the bits of a mask of 128 flipped."""
    digits = b"%032x" % (int(uuid.replace(b"-", b""), 16) ^ mask)
    return b"-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Copy:
    """How one copy differs from the corpus."""

    def __init__(self, seed, name, number):
        # The ids of a copy are the same for all types; its dates and amounts need not be. No digit stays as it was: what
        # copies have in common is found by whoever compresses over long distances.
        self.id_mask = random.Random(f"{seed}/{number}").getrandbits(128) if number else 0
        self.dice = random.Random(f"{seed}/{name}/{number}")
        self.days = [b"%02d" % ((day * 5 + self.dice.randrange(28)) % 28 + 1) for day in range(32)]

    def of(self, line):
        line = UUID.sub(lambda match: with_other_digits(match[0], self.id_mask), line)
        line = DATE.sub(lambda match: match[1] + self.days[int(match[2])], line)
        return DECIMAL.sub(self.decimal, line)

    def decimal(self, match):
        space, whole, part = match.groups()
        whole = b"%d" % int(int(whole) * self.dice.uniform(0.5, 1.5))
        return b'":%b%b.%0*d' % (space, whole, len(part), self.dice.randrange(10 ** len(part)))


class Output:
    """The files of one type, a new one whenever the last is full."""

    def __init__(self, folder, name, file_bytes):
        self.folder, self.name, self.file_bytes = folder, name, file_bytes
        self.number, self.left, self.file = 0, 0, None

    def write(self, line):
        if self.left < len(line):
            self.close()
            self.file = (self.folder / f"{self.name}.{self.number:03}.ndjson").open("wb", buffering=1 << 20)
            self.number, self.left = self.number + 1, self.file_bytes
        self.file.write(line)
        self.left -= len(line)

    def close(self):
        if self.file:
            self.file.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--bytes", type=float, default=1.5e9, metavar="N", help="about how large in all")
    parser.add_argument("--file-bytes", type=float, default=1e8, metavar="N", help="about how large a file gets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as-is", action="store_true", help="copies without other ids, dates and amounts")
    arguments = parser.parse_args()

    suffixes = (".ndjson", ".ndjson.gz", ".ndjson.zst")
    sources = sorted(path for path in arguments.corpus.iterdir() if path.name.endswith(suffixes))
    corpus = {}
    for path in sources:
        corpus.setdefault(path.name.split(".")[0], []).extend(lines_of(path))
    size = sum(len(line) for lines in corpus.values() for line in lines)
    if not size:
        sys.exit(f"{arguments.corpus}: no NDJSON files")
    copies = max(1, round(arguments.bytes / size))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, lines in corpus.items():
        output = Output(arguments.out, name, int(arguments.file_bytes))
        for number in range(copies):
            copy = Copy(arguments.seed, name, number)
            for line in lines:
                output.write(line if arguments.as_is else copy.of(line))
        output.close()
    print(f"{copies} copies of {size / 1e6:.0f} MB in {arguments.out}")


if __name__ == "__main__":
    main()
