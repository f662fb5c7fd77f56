"""What befalls a load into a bucket (storms.py): each scene is a function of a storm, and has its share of the seeds."""

import signal
import threading
import time


def killed(storm):
    """kill -9 at a request: before it is passed on, or when it was carried out and not answered."""
    after = storm.chance.random() < 0.5
    waits = storm.chance.random() < 0.1
    storm.told = ("after" if after else "before") + (", the lease is waited for" if waits else "")

    def meet(process, request, carry_out):
        if request.number < storm.at:
            return carry_out()
        if request.number == storm.at:
            process.met = str(request)
            if after:
                carry_out()
            process.signal(signal.SIGKILL)
        return None

    code = storm.process(meet).end()
    assert code in (0, -signal.SIGKILL), f"exit {code}"
    if not waits:
        storm.time_passes()


def refused(storm):
    """A request, and a few that follow it, are answered with an error, carried out or not."""
    status, code = storm.chance.choice(storm.server.troubles)
    times, after = storm.chance.choice((1, 1, 2, 4)), storm.chance.random() < 0.4
    storm.told = f"{status} {code}, {times} times, " + ("carried out" if after else "not carried out")

    def meet(process, request, carry_out):
        if not storm.at <= request.number < storm.at + times:
            return carry_out()
        process.met = process.met or str(request)
        if after:
            carry_out()
        return storm.server.refusal(status, code)

    code = storm.process(meet).end()
    assert code in (0, 8), f"exit {code}"


def conflict(storm):
    """S3 may answer a conditional write with 409 when another request for the object is under way: it is not carried out."""
    storm.at, times = storm.world.at or storm.chance.randint(1, 12), storm.chance.choice((1, 1, 2))
    storm.told = f"of the conditional ones, {times} times"
    conditional = []

    def meet(process, request, carry_out):
        if "If-Match" not in request.headers and "If-None-Match" not in request.headers:
            return carry_out()
        conditional.append(request)
        if not storm.at <= len(conditional) < storm.at + times:
            return carry_out()
        process.met = process.met or str(request)
        return storm.server.refusal(*storm.server.conflict)

    code = storm.process(meet).end()
    assert code in (0, 8), f"exit {code}"
    storm.told += f", exit {code}, {len(conditional)} conditional requests"


def cut(storm):
    """The connection is cut before a request is passed on, when it was carried out, or within the answer."""
    where = storm.chance.choice(("before", "after", "in the answer"))
    times = storm.chance.choice((1, 1, 2, 4))
    storm.told = f"{where}, {times} times"

    def meet(process, request, carry_out):
        if not storm.at <= request.number < storm.at + times:
            return carry_out()
        process.met = process.met or str(request)
        answer = None if where == "before" else carry_out()
        if where == "in the answer" and request.method != "HEAD" and answer.body:
            answer.half = True
            return answer
        return None

    code = storm.process(meet).end()
    assert code in (0, 8), f"exit {code}"


def outage(storm):
    """From a request on the store is not there for a while: shorter than the lease, or longer."""
    seconds = storm.chance.choice((1, 3, 8, 14, 17, 25))
    cuts = storm.chance.random() < 0.5
    status, code = storm.server.troubles[-1]
    storm.told = f"{seconds} s, " + ("cut" if cuts else f"{status} {code}")
    begun = []

    def meet(process, request, carry_out):
        if request.number == storm.at:
            process.met = str(request)
            begun.append(time.monotonic())
        if request.number < storm.at or (begun and time.monotonic() > begun[0] + seconds):
            return carry_out()
        return None if cuts else storm.server.refusal(status, code)

    code = storm.process(meet).end()
    assert code in (0, 8), f"exit {code}"


def two_writers(storm):
    """Two at a time: one goes through; the other is told so, or finds that it is done."""
    delay = storm.chance.choice((0, 0.01, 0.05, 0.1))
    offset = storm.chance.choice((0, 0, storm.chance.random()))
    storm.told = f"each request takes {delay} s longer, {offset:.2f} s apart"

    def meet(_, __, carry_out):
        time.sleep(delay)
        return carry_out()

    one = storm.process(meet)
    time.sleep(offset)
    other = storm.process(meet)
    codes = sorted((one.end(), other.end()))
    assert codes in ([0, 0], [0, 9]), f"exits {codes}"
    finished = one.says_finished() + other.says_finished()
    assert finished == (codes == [0, 0]), f"exits {codes}, and {finished} say that the run was finished already"
    storm.told += f", exits {codes}"


def gate(storm, freeze, only_it, late):
    """What a slow process meets: its request waits until the gate is open. And the gate, and whether it is reached."""
    reached, opened = threading.Event(), threading.Event()

    def meet(process, request, carry_out):
        if request.number < storm.at or (only_it and request.number > storm.at):
            return carry_out()
        if request.number > storm.at:
            opened.wait()
            storm.late.append(request)
            return carry_out()
        process.met = str(request)
        if freeze:
            process.signal(signal.SIGSTOP)
        answer = None if late else carry_out()
        reached.set()
        opened.wait()
        if late:
            storm.late.append(request)
        return answer or carry_out()

    return meet, reached, opened


def slow(storm, freeze, quick=False):
    """A process stands still at a request until another one has taken the lake and done all; then it goes on."""
    late = storm.chance.random() < 0.7
    storm.told = "it comes late" if late else "it was carried out"
    meet, reached, opened = gate(storm, freeze, only_it=freeze, late=late)
    process = storm.process(meet)
    try:
        while not reached.wait(0.05) and process.popen.poll() is None:
            pass
        if reached.is_set():
            if quick:
                storm.time_passes()
            # It may see a renewal that was under way when the other one was stopped.
            code = storm.process().end()
            assert code in (0, 9), f"the other process: exit {code}"
            if code == 9:
                storm.told += ", a renewal was under way"
                storm.again()
    finally:
        opened.set()
        if storm.chance.random() < 0.5:
            time.sleep(0.2)
        process.signal(signal.SIGCONT)
        code = process.end()
    assert code in (0, 8, 9), f"the slow process: exit {code}"
    storm.told += f", the slow process: exit {code}"


def frozen(storm):
    """SIGSTOP at a request; the lease is waited for."""
    slow(storm, freeze=True)


def hung(storm):
    """From a request on nothing gets through, the process lives; the lease is waited for."""
    slow(storm, freeze=False)


def suspended(storm):
    """As if the machine had slept: its own clock did not go on, so it takes the lease for its own until it asks.

    The lease does not promise anything here, since the holder's clock has to go on; so no seed picks it, only --scene.
    """
    slow(storm, freeze=True, quick=True)


def ghosts(storm):
    """The process dies; what it had under way is carried out when another one has done all, in any order."""
    held, opened = [], threading.Event()
    storm.told = "in order" if storm.chance.random() < 0.5 else "reversed"

    def meet(process, request, carry_out):
        if request.number < storm.at:
            return carry_out()
        held.append((request, carry_out))
        if request.number == storm.at:
            process.met = str(request)
            # Others are under way, too.
            time.sleep(0.05)
            process.signal(signal.SIGKILL)
        opened.wait()
        return None

    code = storm.process(meet).end()
    assert code in (0, -signal.SIGKILL), f"exit {code}"
    storm.time_passes()
    storm.again()
    for request, carry_out in held if storm.told == "in order" else held[::-1]:
        carry_out()
        storm.late.append(request)
        storm.told += f"; {request}"
    opened.set()


ALL = (killed, refused, conflict, cut, outage, two_writers, frozen, hung, suspended, ghosts)
SCENES = {scene.__name__: scene for scene in ALL}
WEIGHTS = (24, 14, 4, 14, 8, 8, 12, 6, 0, 14)


def shares(server):
    """What can befall a load into this store: names of scenes, and the share of each."""
    known = dict(zip(SCENES, WEIGHTS, strict=True))
    if not server.conflict:
        del known["conflict"]
    return known
