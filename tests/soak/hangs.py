"""Run perf_analyzer again and again, and look at the runs that do not end.

    python -m tests.soak.hangs native --runs 200 --into DIRECTORY

A run takes about a second. One that has not ended after half a minute counts as hung, and what can be seen of it is
written into DIRECTORY: whether the server has answered all calls that it got (native only), what waits in the sockets
of both sides, and the stacks of perf_analyzer's threads (where gdb is installed). Servers: native and aio are ours,
tonic is the bare one of benchmarks/, as a control, whose canned answers only do for synchronous calls.

The fault is perf_analyzer's, in version 2.51. Its main thread starts the callers and then throws away what they have
recorded so far; told a number of requests (`--request-count`), it waits for ever for those that were answered in
between. A debugger that holds the main thread there for a moment makes every such run hang, against any server. Told
windows instead, it never waits like that, but forgets its records one by one, in time that grows with their square.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle, islice, product
from pathlib import Path
from typing import NamedTuple

from benchmarks import tonic
from tests.e2e.models import identity
from tests.soak.observed import Observed

PROGRAM = Path(sys.executable).parent / "perf_analyzer"
MODEL, WIDTH = "echo", 16
SECONDS = 30.0
"""After which a run counts as hung."""
WINDOW_MS = 330
"""Of which perf_analyzer measures three, each 1.2 times as long as it is told."""
REQUESTS = 2000
"""Of a run that is told a number of them; perf_analyzer looks once a second whether they are done."""
LOOK_SECONDS = 30.0


class Run(NamedTuple):
    """How one run is made. manner: sync or async. length: windows or requests."""

    manner: str
    concurrency: int
    length: str

    def __str__(self) -> str:
        return f"{self.manner} {self.concurrency} {self.length}"

    @property
    def arguments(self) -> list[str]:
        windows = [f"--measurement-interval={WINDOW_MS}", "--stability-percentage=999", "--max-trials=3"]
        lengths = {"windows": windows, "requests": [f"--request-count={REQUESTS}"]}
        return [f"--{self.manner}", f"--concurrency-range={self.concurrency}", *lengths[self.length]]


RUNS = tuple(Run(*one) for one in product(("sync", "async"), (1, 8, 32), ("windows", "requests")))


class Target(NamedTuple):
    """A server under load. wire: what it has counted, if it counts."""

    address: str
    pid: int
    wire: Callable[[], dict[str, int]]


class Outcome(NamedTuple):
    """How a run ended.

    code: None if it hung. evidence: what it said and what could be seen of it, empty if all went well.
    unanswered: calls of it that the server has not answered; 0 also for a run that counts as hung, but still moves.
    """

    run: Run
    seconds: float
    code: int | None
    evidence: str
    unanswered: int

    @property
    def verdict(self) -> str:
        return "hung" if self.code is None else "ended" if self.code == 0 else f"failed with {self.code}"


@contextmanager
def target(name: str) -> Iterator[Target]:
    """A server of this name, until the end of the block."""
    if name == "tonic":
        with tonic.started(tonic.INLINE) as server:
            yield Target(server.address, server.pid, dict)
        return
    with tempfile.TemporaryDirectory() as directory:
        repository = identity(Path(directory), MODEL, max_batch_size=64, dims=WIDTH)
        with Observed(repository, name) as observed:
            yield Target(observed.grpc, observed.pid, lambda: observed.ask()["wire"])


def perform(run: Run, server: Target, seconds: float = SECONDS) -> Outcome:
    """Run once; what has not ended by then is looked at, and killed."""
    command = [
        *(str(PROGRAM), "-i", "grpc", "-u", server.address, "-m", MODEL, f"--shape=INPUT0:{WIDTH}"),
        *("--input-data=zero", *run.arguments),
    ]
    before, began = server.wire(), time.monotonic()
    code, evidence, moves = None, "", False
    with (
        tempfile.TemporaryFile("w+") as printed,
        subprocess.Popen(command, stdout=printed, stderr=printed) as process,
    ):
        try:
            code = process.wait(seconds)
            after = server.wire()
        except subprocess.TimeoutExpired:
            first, evidence, after = server.wire(), look(process.pid, server), server.wire()
            moves = first != after
            process.kill()
            process.wait()
        printed.seek(0)
        said = printed.read()
    missing = 0 if moves else unanswered(after) - unanswered(before)
    story = f"$ {' '.join(command)}\n{said}\n{evidence}" if code != 0 else ""
    return Outcome(run, time.monotonic() - began, code, story, missing)


def perform_many(name: str, number: int) -> Iterator[Outcome]:
    """Run so often against one server of this name, in every manner in turn."""
    runs = [run for run in RUNS if run.manner == "sync" or name != "tonic"]
    with target(name) as server:
        for run in islice(cycle(runs), number):
            yield perform(run, server)


def unanswered(wire: Mapping[str, int]) -> int:
    """Calls without an answer, since the start; 0 for a server that does not count."""
    return wire["calls"] - wire["replies_written"] if wire else 0


def look(pid: int, server: Target) -> str:
    """What can be seen of a perf_analyzer that does not end, and of its server."""
    port = server.address.rpartition(":")[2]
    looks = {
        "the wire's counters": json.dumps(server.wire()),
        "sockets": _output(["ss", "-tnpio", f"( sport = :{port} or dport = :{port} )"]),
        "threads": "\n".join(_threads(pid)),
        "stacks": _output(["gdb", "-p", str(pid), "-batch", "-ex", "thread apply all bt"]),
        "sockets after that": _output(["ss", "-tnpio", f"( sport = :{port} or dport = :{port} )"]),
        "the server's threads": "\n".join(_threads(server.pid)),
        "the wire's counters after that": json.dumps(server.wire()),
    }
    return "".join(f"--- {what}\n{seen}\n" for what, seen in looks.items())


def _output(command: Sequence[str]) -> str:
    if shutil.which(command[0]) is None:
        return f"{command[0]} is not installed"
    done = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_SECONDS, check=False)
    return done.stdout + done.stderr


def _threads(pid: int) -> Iterator[str]:
    """Each thread's name, and what it waits for in the kernel."""
    for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
        with suppress(OSError):  # it has ended
            yield "  ".join([task.name, *((task / what).read_text().strip() for what in ("comm", "wchan", "syscall"))])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", choices=["native", "aio", "tonic"])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--into", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    verdicts: Counter[tuple[Run, str]] = Counter()
    for number, outcome in enumerate(perform_many(arguments.server, arguments.runs)):
        verdicts[outcome.run, outcome.verdict] += 1
        told = f"{outcome.verdict} after {outcome.seconds:.1f} s, {outcome.unanswered} unanswered"
        sys.stdout.write(f"{number} {outcome.run} {told}\n")
        sys.stdout.flush()
        if outcome.evidence:
            (arguments.into / f"{arguments.server}-{number}.txt").write_text(outcome.evidence)
    for (run, verdict), count in sorted(verdicts.items()):
        sys.stdout.write(f"{run} {verdict}: {count}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
