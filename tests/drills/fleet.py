"""What a server with many small models costs: to start, at rest, and when somebody asks for all of them.

    python -m tests.drills.fleet [MODELS ...]

prints the table of docs/operations.md, "Many models": for 300 and 1000 where no numbers are given.
"""

from __future__ import annotations

import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tritonclient.grpc import service_pb2

from benchmarks import models
from benchmarks.report import figure
from tests.e2e.server import PATIENCE, Server
from tests.soak.counting import outside

MB = 2**20
COUNTS = (300, 1000)
MINUTE = 60.0
RESCANS = 5
ASKED = 20
QUIET_SECS = 0.25
NOISE = 0.01
"""CPU that a server at rest takes in that time, at most."""
LEARNING_SECS = 180.0
"""How long what follows a start may take."""


class Fleet(NamedTuple):
    """Seconds of time or of CPU, bytes of memory.

    start: until the server is ready. idle_cpu: of a minute. rescan_cpu: for a look at everything. index, scrape: for
    an answer to who asks for the repository's index, or for the metrics.
    """

    models: int
    start: float
    start_cpu: float
    idle_cpu: float
    rescan_cpu: float
    index_cpu: float
    index_secs: float
    scrape_cpu: float
    scrape_secs: float
    threads: int
    nbytes: int


def measure(count: int, idle_secs: float = MINUTE, rescans: int = RESCANS) -> Fleet:
    """A server that polls as it does by default. idle_secs: what is measured of an idle minute."""
    with _repository(count) as repository:
        began = time.monotonic()
        with Server(repository) as server:
            start, start_cpu = time.monotonic() - began, cpu_seconds(server.pid)
            _wait_until_quiet(server)
            idle = _cpu(server, lambda: time.sleep(idle_secs)) * MINUTE / idle_secs
            held = outside(server.pid)
            index, answer = _asked(server, lambda: _index(server, count))
            scrape, page = _asked(server, lambda: _scrape(server))
        rescan = _rescan(repository, rescans)
    return Fleet(count, start, start_cpu, idle, rescan, index, answer, scrape, page, held.threads, held.resident)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process's threads so far, to the nanosecond; those that have ended are not counted."""
    tasks = (Path("/proc") / str(pid) / "task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def _repository(count: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        models.small(Path(directory), count)
        yield Path(directory)


def _cpu(server: Server, work: Callable[[], object]) -> float:
    """The CPU that a server takes meanwhile."""
    before = cpu_seconds(server.pid)
    work()
    return cpu_seconds(server.pid) - before


def _wait_until_quiet(server: Server) -> None:
    """Wait until what follows a start, such as learning what is in the files, has ended."""
    until = time.monotonic() + LEARNING_SECS
    while _cpu(server, lambda: time.sleep(QUIET_SECS)) > NOISE:
        assert time.monotonic() < until, f"the server does not come to rest\n{server.tail()}"


def _asked(server: Server, ask: Callable[[], object]) -> tuple[float, float]:
    """The CPU of one answer and its time, by many of them."""
    began = time.monotonic()
    spent = _cpu(server, lambda: [ask() for _ in range(ASKED)])
    return spent / ASKED, (time.monotonic() - began) / ASKED


def _index(server: Server, count: int) -> None:
    answered = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(ready=True), timeout=PATIENCE).models
    assert len(answered) == count, f"{len(answered)} models are ready, expected {count}"


def _scrape(server: Server) -> None:
    with urllib.request.urlopen(f"http://{server.metrics}/metrics", timeout=PATIENCE) as page:
        page.read()


def _rescan(repository: Path, count: int) -> float:
    """The CPU of a look at everything, in a server that looks every second and has nothing else to do."""
    with Server(repository, flags=["--repository-poll-secs=1"]) as server:
        time.sleep(count)  # it also learns what is in the files
        return _cpu(server, lambda: time.sleep(count)) / count


class Line(NamedTuple):
    """One line of the table: what is measured, how that is written, and what would halve it."""

    what: str
    cell: Callable[[Fleet], str]
    halved: str


_OTHER_SERVER = "half of the models: two servers share them"
LINES = (
    Line("seconds to ready", lambda f: figure(f.start), f"{_OTHER_SERVER}, on cores of their own"),
    Line("CPU seconds until then", lambda f: figure(f.start_cpu), f"{_OTHER_SERVER}; ONNX Runtime has a quarter of it"),
    Line("CPU seconds of an idle minute", lambda f: figure(f.idle_cpu), "`--repository-poll-secs=30`"),
    Line(
        "CPU ms of a look at all",
        lambda f: figure(f.rescan_cpu * 1e3),
        f"{_OTHER_SERVER}; files are only listed, not read",
    ),
    Line(
        "CPU ms of a RepositoryIndex", lambda f: figure(f.index_cpu * 1e3), "a Watch of health in its place costs none"
    ),
    Line("ms of a RepositoryIndex", lambda f: figure(f.index_secs * 1e3), "the same"),
    Line(
        "CPU ms of a scrape", lambda f: figure(f.scrape_cpu * 1e3), "twice the scrape interval; buckets are most of it"
    ),
    Line("ms of a scrape", lambda f: figure(f.scrape_secs * 1e3), _OTHER_SERVER),
    Line("threads", lambda f: str(f.threads), "half of the cores; models have none of their own"),
    Line("MB resident", lambda f: figure(f.nbytes / MB), f"{_OTHER_SERVER}; ONNX Runtime has half of what each adds"),
)


def table(fleets: Sequence[Fleet]) -> str:
    """Markdown."""
    rows = [
        ("", *(f"{fleet.models} models" for fleet in fleets), "what would halve it"),
        (":--", *("--:" for _ in fleets), ":--"),
        *((line.what, *map(line.cell, fleets), line.halved) for line in LINES),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(f"{table([measure(int(count)) for count in sys.argv[1:] or COUNTS])}\n")
