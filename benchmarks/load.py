"""Load from perf_analyzer, the same for every server, and what it costs the server.

- Every request holds zeros: perf_analyzer's random floats have infinities and denormal numbers among them.
- It is told a number of requests. Its own throughput then counts whole seconds, so the throughput here is the
  concurrency divided by the average latency: each of its callers always has one request on the way.
- It now and then hangs at its end, and is then run again.
"""

from __future__ import annotations

import re
import resource
import statistics
import subprocess
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from benchmarks import servers
from benchmarks.options import Options
from benchmarks.report import Table, figure
from benchmarks.servers import Server

PERF_ANALYZER = servers.ROOT / ".venv" / "bin" / "perf_analyzer"
CONCURRENCIES = (1, 8, 32, 128)
HANGS_SECS = 60.0
"""Seconds after which a run of the load generator counts as hung."""
TRIES = 3
FIRST_REQUESTS = 200
FEWEST_PER_CALLER = 4
LATENCY = re.compile(r"(Avg|p50|p99) latency: (\d+) usec")

HEAD = (
    "server", "concurrency", "requests/s median", "best", "p50 us", "p99 us", "CPU us/request median", "least",
    "average batch",
)  # fmt: skip


class Target(NamedTuple):
    """One model of a server, and what to send it: `shape` as perf_analyzer takes it, like `INPUT0:16`."""

    server: Server
    model: str
    shape: str


class Load(NamedTuple):
    """One run. CPU in microseconds per request, of the server and of the client; latencies in microseconds.

    batch: average rows of a batch, None where the server does not tell.
    """

    per_second: float
    p50_us: float
    p99_us: float
    cpu_us: float
    client_us: float
    batch: float | None


class Row(NamedTuple):
    """One server at one concurrency, over all rounds."""

    server: str
    concurrency: int
    loads: tuple[Load, ...]

    def median(self, field: str) -> float:
        return statistics.median(self._values(field))

    def least(self, field: str) -> float:
        return min(self._values(field))

    def _values(self, field: str) -> list[float]:
        return [getattr(one, field) for one in self.loads]

    def cells(self) -> tuple[str, ...]:
        batches = [one.batch for one in self.loads if one.batch is not None]
        return (
            self.server,
            str(self.concurrency),
            figure(self.median("per_second")),
            figure(max(one.per_second for one in self.loads)),
            figure(self.median("p50_us")),
            figure(self.median("p99_us")),
            figure(self.median("cpu_us")),
            figure(self.least("cpu_us")),
            figure(statistics.median(batches)) if batches else "-",
        )


def measured(
    targets: Sequence[Target],
    options: Options,
    concurrencies: Sequence[int] = CONCURRENCIES,
    beside: Callable[[], object] = lambda: None,
) -> dict[tuple[str, int], Row]:
    """Load each target at each concurrency, `rounds` times, in turn; rows by server name and concurrency.

    Every round begins with `beside`, which measures something else while the servers are idle.
    """
    rates = {target: run(target, 8, FIRST_REQUESTS).per_second for target in targets}
    runs: dict[tuple[Target, int], list[Load]] = {(t, c): [] for t in targets for c in concurrencies}
    for _ in range(options.rounds):
        beside()
        for (target, concurrency), loads in runs.items():
            rate = loads[-1].per_second if loads else rates[target]
            requests = max(int(rate * options.seconds), FEWEST_PER_CALLER * concurrency, FIRST_REQUESTS)
            loads.append(run(target, concurrency, requests))
    return {
        (target.server.name, concurrency): Row(target.server.name, concurrency, tuple(loads))
        for (target, concurrency), loads in runs.items()
    }


def table(rows: Iterable[Row]) -> Table:
    return Table(HEAD, [row.cells() for row in rows])


def run(target: Target, concurrency: int, requests: int) -> Load:
    """Send `requests` requests from `concurrency` callers; RuntimeError when perf_analyzer does not manage."""
    server, model, shape = target
    command = [
        str(PERF_ANALYZER), "-m", model, "-u", server.address, "-i", "grpc", "--shape", shape, "--input-data", "zero",
        "--sync", "--concurrency-range", str(concurrency), "--request-count", str(requests),
    ]  # fmt: skip
    output = ""
    for _ in range(TRIES):
        ran, cpu, client = servers.batches(server, model), servers.cpu_seconds(server.pid), _client_seconds()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_SECS, check=False)
        except subprocess.TimeoutExpired:
            output = f"no end after {HANGS_SECS} s"
            continue
        output = done.stdout + done.stderr
        if done.returncode == 0:
            spent = servers.cpu_seconds(server.pid) - cpu, _client_seconds() - client
            return _load(output, concurrency, requests, spent, average(ran, servers.batches(server, model)))
    raise RuntimeError(f"{' '.join(command)} against {server.name}:\n{output}")


def _client_seconds() -> float:
    """CPU time of all child processes that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def average(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float | None:
    if after is None:
        return None
    rows, runs = before or (0, 0)
    return (after[0] - rows) / (after[1] - runs) if after[1] > runs else None


def _load(output: str, concurrency: int, requests: int, spent: tuple[float, float], batch: float | None) -> Load:
    """One run from what perf_analyzer printed; `spent` is CPU seconds of server and client."""
    found = {name: float(value) for name, value in LATENCY.findall(output)}
    if found.keys() != {"Avg", "p50", "p99"}:
        raise RuntimeError(f"perf_analyzer printed no latencies:\n{output}")
    server, client = (seconds / requests * 1e6 for seconds in spent)
    return Load(concurrency / found["Avg"] * 1e6, found["p50"], found["p99"], server, client, batch)
