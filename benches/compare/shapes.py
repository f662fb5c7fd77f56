#!/usr/bin/env python3
"""Makes NDJSON folders of different shapes out of a corpus, and times how fast lakehaul loads each of them.

    shapes.py CORPUS OUT [--bytes 2e8] [--seed 1]
    shapes.py CORPUS OUT --run [--lakehaul BINARY] [--repeat 3]

CORPUS holds plain `.ndjson` files. OUT gets a folder for each shape, all of about the same number of bytes:

    plain      lines of the corpus as they are
    shuffled   the members of every object in random order
    sparse     every member, at any depth, is left out with probability 0.7 (all but resourceType and id; what gets empty
               is left out too), so that presence changes all the time
    few        resources of 100 to 150 bytes with hardly any members
    long       texts of 20 kB to 200 kB: text.div of an Observation, base64 data of a DocumentReference
    unicode    names and texts of non-ASCII characters, not escaped
    escapes    names and texts full of escapes
    unique     no text or value comes twice, so that dictionaries are of no use

A sample of the corpus, some megabytes, is transformed and then copied with other ids; `plain` is made of the same sample, so
that only the shape differs. The same seed makes the same bytes. With --run the shapes take turns, and the medians are
printed; rows are checked against lines. Copies are alike, so compression does better on them than on a real export.
"""

import argparse
import base64
import json
import random
import re
import sys
import uuid
from pathlib import Path

from enlarge import UUID, Output, with_other_digits
from run import RELEASE, Failed
from small import Folder, take_turns

BLOCK_BYTES = 1 << 16
# These do not look at the corpus.
GENERATED = ("few", "long")
KEPT = ("resourceType", "id")
DROPPED = 0.7
TEXTS = ("display", "text", "family", "given", "city", "line")
VALUES = (*TEXTS, "value", "valueString", "valueCode", "div", "description", "title", "comment")
# What follows in a unique text; copies change it like an id.
MARK = re.compile(rb"(?<=#)[0-9a-f]{8}(?![0-9a-f])")
LETTERS = (
    "abcdefghijklmnopqrstuvwxyz",
    "áàâäãåçéèêëíîïñóôöõøœšúûüýžæßłćęąğ",
    "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώ",
    "患者検査結果血液測定心臓東京病院診療北京医生药物",
    "😀🩺💊🧬🫀🩸🦠🚑",
)
ESCAPES = ('\\"', "\\\\", "\\n", "\\t", "\\/", "\\u00e9", "\\u00DF", "\\u03b1", "\\u4e2d", "\\ud83d\\ude00", "\\uD83E\\uDE7A")


class Verbatim(str):
    """A piece of JSON that is written as it is: a number keeps its digits."""


def parsed(line):
    return json.loads(line, parse_float=Verbatim, parse_int=Verbatim)


def written(value):
    if isinstance(value, Verbatim):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{written(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def with_strings(value, names, change):
    """The value with the strings of these members, or of the lists in them, changed."""
    if isinstance(value, list):
        return [with_strings(element, names, change) for element in value]
    if not isinstance(value, dict):
        return value
    return {name: changed(name, member, names, change) for name, member in value.items()}


def changed(name, member, names, change):
    if name in names and isinstance(member, str) and not isinstance(member, Verbatim):
        return change(member)
    if name in names and isinstance(member, list):
        return [changed(name, element, names, change) for element in member]
    return with_strings(member, names, change)


class Shapes:
    """A function for each shape: of a resource of the corpus, the resource of the shape."""

    ALL = ("plain", "shuffled", "sparse", "few", "long", "unicode", "escapes", "unique")

    def __init__(self, seed, name):
        self.seed, self.dice, self.known = seed, random.Random(f"{seed}/{name}"), {}

    def shuffled(self, value):
        if isinstance(value, list):
            return [self.shuffled(element) for element in value]
        if not isinstance(value, dict):
            return value
        names = list(value)
        self.dice.shuffle(names)
        return {name: self.shuffled(value[name]) for name in names}

    def sparse(self, resource):
        kept = {name: resource[name] for name in KEPT if name in resource}
        rest = {name: member for name, member in resource.items() if name not in KEPT}
        return kept | (self.thinned(rest) or {})

    def thinned(self, value):
        """The value without most of its members; None if nothing is left."""
        if isinstance(value, list):
            return [element for element in map(self.thinned, value) if element is not None] or None
        if not isinstance(value, dict):
            return value
        members = ((name, self.thinned(member)) for name, member in value.items() if self.dice.random() >= DROPPED)
        return {name: member for name, member in members if member is not None} or None

    def few(self, _):
        dice = self.dice
        head = {"resourceType": "Observation", "id": self.identifier()}
        match dice.randrange(3):
            case 0:
                quantity = {"value": Verbatim(f"{dice.uniform(1, 200):.2f}"), "unit": dice.choice(("kg", "cm", "mmHg"))}
                return head | {"status": "final", "valueQuantity": quantity}
            case 1:
                return head | {"status": "amended", "valueInteger": Verbatim(dice.randrange(1000))}
            case _:
                date = f"{dice.randrange(1940, 2020)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}"
                return head | {"resourceType": "Patient", "gender": dice.choice(("female", "male")), "birthDate": date}

    def long(self, _):
        dice = self.dice
        size, patient = dice.randrange(20_000, 200_000), {"reference": f"Patient/{self.identifier()}"}
        if dice.randrange(2):
            data = base64.b64encode(dice.randbytes(size * 3 // 4)).decode()
            attachment = {"contentType": "application/pdf", "data": data}
            kind = {"resourceType": "DocumentReference", "id": self.identifier(), "status": "current"}
            return kind | {"subject": patient, "content": [{"attachment": attachment}]}
        vocabulary = [self.latin(dice, dice.randrange(2, 12)) for _ in range(2000)]
        words = dice.choices(vocabulary, k=size // 7)
        rows = (" ".join(words[at : at + 12]) for at in range(0, len(words), 12))
        div = f'<div xmlns="http://www.w3.org/1999/xhtml">{"".join(f"<p>{row}</p>" for row in rows)}</div>'
        kind = {"resourceType": "Observation", "id": self.identifier(), "text": {"status": "generated", "div": div}}
        return kind | {"status": "final", "subject": patient}

    def unicode(self, resource):
        return with_strings(resource, TEXTS, lambda text: self.instead_of(text, self.foreign))

    def escapes(self, resource):
        return with_strings(resource, TEXTS, lambda text: self.instead_of(text, self.escaped))

    def unique(self, resource):
        return with_strings(resource, VALUES, lambda text: f"{text} #{self.dice.getrandbits(32):08x}")

    def identifier(self):
        return str(uuid.UUID(int=self.dice.getrandbits(128)))

    def instead_of(self, text, change):
        """The same for the same text, so that a column has as many different values as before."""
        if text not in self.known:
            self.known[text] = change(random.Random(f"{self.seed}/{text}"), len(text))
        return self.known[text]

    @staticmethod
    def latin(dice, length):
        return "".join(dice.choices(LETTERS[0], k=length))

    @staticmethod
    def foreign(dice, length):
        words = []
        while length > 0:
            letters = dice.choice(LETTERS)
            words.append("".join(dice.choices(letters, k=dice.randrange(1, 9))))
            length -= len(words[-1]) + 1
        # At least one character of the text is not ASCII.
        return " ".join(words) + dice.choice(LETTERS[1])

    @staticmethod
    def escaped(dice, length):
        pieces = []
        while length > 0:
            pieces.append(Shapes.latin(dice, dice.randrange(0, 6)) + dice.choice(ESCAPES))
            length -= len(pieces[-1])
        return Verbatim(f'"{"".join(pieces)}"')


def sample_of(corpus, size):
    """Whole lines of about so many bytes in all, in blocks from all over the files."""
    sizes = {path: path.stat().st_size for path in sorted(corpus.glob("*.ndjson"))}
    lines, all_bytes = [], sum(sizes.values())
    for path, file_bytes in sizes.items():
        # The corpus may be smaller than the sample: then all of it is taken.
        wanted = min(file_bytes, size * file_bytes / all_bytes) if all_bytes else 0
        blocks = max(1, round(wanted / BLOCK_BYTES))
        block_bytes = wanted / blocks
        with path.open("rb") as file:
            for number in range(blocks):
                start = max(file.tell(), file_bytes * number // blocks)
                end = file_bytes * number // blocks + block_bytes
                if start:
                    # Where a line begins just here, it is taken.
                    file.seek(start - 1)
                    file.readline()
                while file.tell() < end and (line := file.readline()):
                    if line.strip():
                        lines.append(line.rstrip(b"\n") + b"\n")
    return lines


def templates(name, sample, size, seed):
    """About so many bytes of the shape, by type: the whole sample, once or more often, so that every type keeps its share."""
    shapes, found, length = Shapes(seed, name), {}, 0
    while length < size:
        for line in sample:
            if name == "plain":
                resource = json.loads(line)
            else:
                resource = getattr(shapes, name)(parsed(line))
                line = written(resource).encode() + b"\n"
            found.setdefault(resource["resourceType"], []).append(line)
            length += len(line)
            if name in GENERATED and length >= size:
                break
    return {kind: b"".join(lines) for kind, lines in found.items()}


class Copy:
    """Other ids, the same for all types, so that references still meet."""

    def __init__(self, seed, number):
        self.mask = random.Random(f"{seed}/{number}").getrandbits(128)

    def identifier(self, match):
        return with_other_digits(match[0], self.mask)

    def mark(self, match):
        return b"%08x" % (int(match[0], 16) ^ self.mask >> 96)


def make(name, sample, folder, arguments):
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.ndjson"):
        path.unlink()
    kinds = templates(name, sample, min(arguments.sample_bytes, arguments.bytes), arguments.seed)
    outputs = {kind: Output(folder, kind, int(arguments.file_bytes)) for kind in kinds}
    length, number = 0, 0
    while length < arguments.bytes:
        copy = Copy(arguments.seed, number)
        for kind, content in kinds.items():
            if number:
                content = UUID.sub(copy.identifier, content)
                content = MARK.sub(copy.mark, content) if name == "unique" else content
            outputs[kind].write(content)
            length += len(content)
        number += 1
    for output in outputs.values():
        output.close()
    return length


def report(folders):
    plain = next((folder for folder in folders if folder.name == "plain"), None)
    print(f"\nmedians of {len(folders[0].loads)} turns\n")
    heads = f"{'':10} {'MB':>6} {'lines':>10} {'seconds':>8} {'(spread)':>13} {'MB/s':>6} {'of plain':>9} {'lines/s':>10}"
    print(f"{heads} {'CPU s':>7} {'peak MB':>8} {'out MB':>7} {'rows':>10}")
    for one in folders:
        rate = one.bytes / one.median()
        ratio = f"{rate / (plain.bytes / plain.median()):.2f} ×" if plain else ""
        seconds = [load.seconds for load in one.loads]
        spread = f"{min(seconds):.2f} – {max(seconds):.2f}"
        times = f"{one.median():8.2f} {spread:>13} {rate / 1e6:6.0f} {ratio:>9} {one.lines / one.median():10,.0f}"
        costs = f"{one.median('cpu_seconds'):7.2f} {one.peak_bytes() / 1e6:8.0f} {one.totals['part_bytes'] / 1e6:7.1f}"
        rows = "all" if not one.missing() else f"{one.totals['rows']:,}"
        print(f"{one.name:10} {one.bytes / 1e6:6.0f} {one.lines:10,} {times} {costs} {rows:>10}")
    lost = [one for one in folders if one.missing()]
    for one in lost:
        print(f"{one.name}: {one.missing():,} lines are no rows; rejected: {one.totals['rejected']:,}")
    if lost:
        sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("folder", type=Path, metavar="OUT")
    parser.add_argument("--bytes", type=float, default=2e8, metavar="N", help="about how large a shape gets")
    parser.add_argument("--file-bytes", type=float, default=2.5e7, metavar="N", help="about how large a file gets")
    parser.add_argument("--sample-bytes", type=float, default=8e6, metavar="N", help="how much is not a copy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shapes", default=",".join(Shapes.ALL), metavar="NAME,...", help="which; all of them otherwise")
    parser.add_argument("--run", action="store_true", help="load them, too")
    parser.add_argument("--repeat", type=int, default=3, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--lakehaul", type=Path, default=RELEASE / "lakehaul", metavar="BINARY")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the lakes go for as long as they are needed")
    arguments = parser.parse_args()

    names = arguments.shapes.split(",")
    if unknown := [name for name in names if name not in Shapes.ALL]:
        sys.exit(f"{', '.join(unknown)}: no such shape; there are {', '.join(Shapes.ALL)}")
    sample = sample_of(arguments.corpus, min(arguments.sample_bytes, arguments.bytes))
    if not sample:
        sys.exit(f"{arguments.corpus}: no lines in .ndjson files")
    for name in names:
        length = make(name, sample, arguments.folder / name, arguments)
        print(f"{name}: {length / 1e6:.0f} MB in {arguments.folder / name}", file=sys.stderr)
    if arguments.run:
        folders = [Folder(name, arguments.folder / name) for name in names]
        try:
            take_turns(folders, arguments)
        except Failed as failure:
            sys.exit(str(failure))
        report(folders)


if __name__ == "__main__":
    main()
