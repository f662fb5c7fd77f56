#!/usr/bin/env python3
"""What lakehaul says when a store refuses: one sentence that says what to do, nothing of secrets, nothing of the answer's body.

    python3 tests/stores/refusals.py LAKEHAUL SOURCE [--show] [--long]

LAKEHAUL is the program, SOURCE a folder with an export's manifest.json, better a small one. A server answers as S3 does (its
"List of error codes"); --show prints what was said, and how long it took. Needs moto[server] and boto3 from PyPI.
"""

import argparse
import re
import time

from local_s3 import KEY, SECRET, LocalS3, Proxy, refusal, run

# In bodies and headers: nobody may see it.
MARKER = "mark-of-a-body"
REGION = "<Region>eu-central-1</Region>"
OF_REGION = [("x-amz-bucket-region", "eu-central-1")]

# Code, status, what else the answer has, and what is to be said of it. What cannot get better is not tried for long.
REFUSALS = (
    ("AccessDenied", 403, "", [], r"policy has to allow"),
    ("ExpiredToken", 400, f"<Token-0>{MARKER}</Token-0>", [], r"expired; get new ones"),
    ("InvalidAccessKeyId", 403, f"<AWSAccessKeyId>{MARKER}</AWSAccessKeyId>", [], r"check AWS_ACCESS_KEY_ID"),
    ("SignatureDoesNotMatch", 403, f"<StringToSign>{MARKER}</StringToSign>", [], r"check AWS_SECRET_ACCESS_KEY"),
    ("AuthorizationHeaderMalformed", 400, REGION, OF_REGION, r"another region.*AWS_REGION"),
    ("PermanentRedirect", 301, f"<Endpoint>{MARKER}.s3.eu-central-1.amazonaws.com</Endpoint>", OF_REGION, r"another region.*AWS_REGION"),
    ("RequestTimeTooSkewed", 403, f"<RequestTime>{MARKER}</RequestTime>", [], r"clock.*set it"),
    ("NoSuchBucket", 404, f"<BucketName>{MARKER}</BucketName>", [], r"no such bucket; check its name"),
)
AT_MOST = 5.0


class Check:
    def __init__(self, arguments, s3):
        self.lakehaul, self.show, self.s3 = arguments.lakehaul, arguments.show, s3
        self.manifest = f"{arguments.source}/manifest.json"
        self.lakes, self.wrong = 0, []

    def lake(self):
        self.lakes += 1
        return f"s3://lakes/lake-{self.lakes}"

    def say(self, name, meet, words, codes, pattern, at_most=AT_MOST):
        """Runs a command against a server that answers by `meet`, and looks at what it says."""
        proxy = Proxy(self.s3, meet)
        begun = time.monotonic()
        ended = run(self.lakehaul, *words, endpoint=proxy.endpoint, expect=None)
        took = time.monotonic() - begun
        proxy.close()
        said = ended.stdout + ended.stderr
        if self.show:
            print(f"{name}, {words[0]}: exit {ended.returncode}, {proxy.count} requests, {took:.1f} s\n{said.rstrip()}\n")
        complaints = [
            (ended.returncode not in codes, f"exit {ended.returncode}, not one of {codes}"),
            (not re.search(pattern, said, re.DOTALL), f"nothing like {pattern}"),
            (SECRET in said or KEY in said, "a key is shown"),
            (MARKER in said or "<" in said.replace("<LAKE>", ""), "the answer's body is shown"),
            (took > at_most, f"{took:.1f} s, not {at_most}"),
            # What is found, a part each, is no error of the program.
            (words[0] != "check" and len(re.findall("(?m)^error: ", ended.stderr)) != (ended.returncode in (2, 8, 9)), "not one error"),
        ]
        self.wrong += [f"{name}, {words[0]}: {what}\n{said[:400]}" for is_so, what in complaints if is_so]
        return said

    def commands(self, to):
        """A load, and what reads the lake."""
        check = ("check", "--kind", "smart", "--no-auth", "--base-url", "http://127.0.0.1:9", "--retries", "0", "--to", to)
        yield ("load", self.manifest, "--to", to), (8,)
        yield ("verify", to), (8,)
        yield ("runs", to), (8,)
        # It goes on to the server, which is not there.
        yield check, (5, 8)


def every_command(check):
    """Each refusal from the first request on."""
    # A lake that is in order, so that each command has something to ask for.
    whole = check.lake()
    run(check.lakehaul, "load", check.manifest, "--to", whole, endpoint=check.s3.endpoint)
    for code, status, extra, headers, pattern in REFUSALS:
        answer = refusal(status, code, extra, [*headers, ("x-amz-request-id", MARKER), ("x-amz-id-2", MARKER)], MARKER)
        for words, codes in check.commands(whole):
            check.say(code, lambda _, __: answer, words, codes, pattern)
    return f"{len(REFUSALS)} refusals are told in a sentence by load, verify, runs and check"


def only_writing(check):
    """Credentials that may read and list."""
    answer = refusal(403, "AccessDenied", message=MARKER)

    def meet(request, carry_out):
        return carry_out() if request.method in ("GET", "HEAD") else answer

    for words, codes in check.commands(check.lake()):
        if words[0] in ("load", "check"):
            check.say("AccessDenied for writing", meet, words, codes, r"policy has to allow")
    return "credentials that may only read are told"


def no_conditions(check):
    """A store that passes over conditions."""

    def meet(request, carry_out):
        del request.headers["If-None-Match"]
        return carry_out()

    for words, codes in check.commands(check.lake()):
        if words[0] in ("load", "check"):
            check.say("no conditions", meet, words, codes, r"If-None-Match")
    # A lake that is there already, as one is whose first lock was taken by a request without an answer.
    lake = check.lake()
    load = ("load", check.manifest, "--to", lake)
    run(check.lakehaul, *load, endpoint=check.s3.endpoint)
    check.say("no conditions, a lake that is there", meet, (*load, "--new-run"), (8,), r"If-None-Match")
    return "load and check tell of a store that writes over what is there"


def no_body(check):
    """HEAD has no body: only the status tells."""
    lake = check.lake()
    run(check.lakehaul, "load", check.manifest, "--to", lake, endpoint=check.s3.endpoint)
    for status, pattern in ((403, r"policy has to allow"), (400, r"400"), (301, r"another region")):
        answer = refusal(status, "Unseen", headers=OF_REGION)

        def meet(request, carry_out):
            return answer if request.method == "HEAD" else carry_out()

        check.say(f"HEAD: {status}", meet, ("verify", lake), (8,), pattern)
    return "refusals without a body are told as far as the status tells"


def in_the_middle(check):
    """Each refusal in the middle of a load; when it is put right, the same command goes on."""
    for code, status, extra, headers, pattern in REFUSALS:
        answer = refusal(status, code, extra, headers, MARKER)
        lake = check.lake()
        load = ("load", check.manifest, "--to", lake, "--checkpoint", "0s")

        def meet(request, carry_out):
            return carry_out() if request.number < 40 else answer

        check.say(f"{code} from request 40 on", meet, load, (8,), pattern)
        run(check.lakehaul, *load, endpoint=check.s3.endpoint)
        run(check.lakehaul, "verify", lake, endpoint=check.s3.endpoint)
    return "the same in the middle of a load; the next one finishes it"


def too_many(check):
    """SlowDown is waited for."""
    for times in (1, 5):
        answer = refusal(503, "SlowDown", message=MARKER)

        def meet(request, carry_out, first=20):
            return answer if first <= request.number < first + times else carry_out()

        load = ("load", check.manifest, "--to", check.lake(), "--threads", "1")
        check.say(f"SlowDown, {times} times", meet, load, (0,), "accounted for", at_most=60)
    return "a store that asks for fewer requests is waited for"


def for_ever(check):
    """A store that is too busy for longer than anybody waits, and one that is not there."""
    for name, answer, pattern in (
        ("SlowDown", refusal(503, "SlowDown", message=MARKER), "run the command again later"),
        ("InternalError", refusal(500, "InternalError", message=MARKER), "InternalError|500"),
        ("cut", None, "connection"),
    ):
        load = ("load", check.manifest, "--to", check.lake())
        check.say(f"{name} for ever", lambda *_: answer, load, (8,), pattern, at_most=200)
    return "one that never answers well is given up"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehaul")
    parser.add_argument("source")
    parser.add_argument("--show", action="store_true", help="print what was said")
    parser.add_argument("--long", action="store_true", help="also a store that never gets well: some minutes")
    arguments = parser.parse_args()
    with LocalS3() as s3:
        s3.make("lakes")
        check = Check(arguments, s3)
        for part in (every_command, only_writing, no_conditions, no_body, in_the_middle, too_many, *((for_ever,) if arguments.long else ())):
            before = len(check.wrong)
            told = part(check)
            print(told if len(check.wrong) == before else f"NOT SO: {told}", flush=True)
        for wrong in check.wrong:
            print(f"WRONG: {wrong}")
        raise SystemExit(1 if check.wrong else 0)


if __name__ == "__main__":
    main()
