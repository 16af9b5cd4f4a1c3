"""The tail of a tiny model while the same server runs a long one: whether a run of 35 ms holds the wire up.

The long model has one instance with one thread, which always has the next request waiting. What of the tail is the
machine's own, whose cores the long model takes from the server and from the load generator, a control tells: the same
load on the long model of another server.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import bare, load, models, servers, transports
from benchmarks.background import Background
from benchmarks.load import Load, Row, Target
from benchmarks.options import Options
from benchmarks.report import Budget, Section, Table, figure
from benchmarks.servers import Server
from benchmarks.transports import AIO, NATIVE

BUDGET = 4
"""The most that the p99 of the tiny model may grow."""
LONG_MS = 35
LONG_CALLERS = 2
CONCURRENCY = 8
TRIED_GFLOP = 0.25
ALONE, ELSEWHERE, BESIDE = "alone", "long model in another server", "long model in the same server"
HEAD = (
    "server", "beside", "requests/s median", "p50 us", "p99 us least", "median", "p99 / alone least", "median",
    "long runs/s",
)  # fmt: skip


class Turn(NamedTuple):
    """One run of the tiny model's load, and how often the long model ran in a second of it."""

    load: Load
    long_per_second: float


Turns = Mapping[tuple[str, str], Sequence[Turn]]


def measure(options: Options) -> Section:
    with tempfile.TemporaryDirectory() as directory:
        repository = Path(directory)
        (tiny,) = models.echoes(repository, 1)
        file = _long(repository, options.seconds / 4)
        taken = _milliseconds(file, options.seconds / 4)
        with (
            transports.started((AIO, NATIVE), repository) as found,
            servers.naiad("control", repository) as control,
        ):
            turns = _measured(found.servers, control, tiny, options)
    note = (
        f"A model that returns its input, FP32 [1, 16], at concurrency {CONCURRENCY} from perf_analyzer, beside a "
        f"chain of matrix products of {taken:.0f} ms on one thread: one instance, which {LONG_CALLERS} callers keep "
        "busy."
    )
    return Section("A tiny model beside a long one", (note, *found.left_out), [_table(turns)], budgets(turns))


def _long(repository: Path, seconds: float) -> Path:
    """The long model, as long as it has to be on this machine; gives its file."""
    with tempfile.TemporaryDirectory() as directory:
        taken = _milliseconds(models.long(Path(directory), TRIED_GFLOP), seconds)
    return models.long(repository, TRIED_GFLOP * LONG_MS / taken)


def _milliseconds(file: Path, seconds: float) -> float:
    return 1000 / bare.loop(file, bare.Way(rows=1, spin=False, threads=1), seconds).per_second


def _measured(found: Sequence[Server], control: Server, tiny: str, options: Options) -> Turns:
    turns: dict[tuple[str, str], list[Turn]] = {
        (server.name, beside): [] for server in found for beside in (ALONE, ELSEWHERE, BESIDE)
    }
    targets = {server: Target(server, tiny, "INPUT0:16") for server in found}
    rates = {server: load.run(one, CONCURRENCY, load.FIRST_REQUESTS).per_second for server, one in targets.items()}
    for _ in range(options.rounds):
        for server, target in targets.items():
            requests = max(load.FIRST_REQUESTS, int(rates[server] * options.seconds))
            for beside, busy in ((ALONE, None), (ELSEWHERE, control), (BESIDE, server)):
                turns[server.name, beside].append(_turn(target, requests, busy))
    return turns


def _turn(target: Target, requests: int, busy: Server | None) -> Turn:
    if busy is None:
        return Turn(load.run(target, CONCURRENCY, requests), 0)
    with Background(busy, "long", models.LONG_SHAPE, LONG_CALLERS) as background:
        done = load.run(target, CONCURRENCY, requests)
        return Turn(done, background.stop())


def growth(turns: Turns, server: str, beside: str) -> tuple[float, float]:
    """The p99 as a multiple of the one alone: of the least of both, and the median of the rounds."""
    ours, alone = ([one.load.p99_us for one in turns[server, kind]] for kind in (beside, ALONE))
    return min(ours) / min(alone), statistics.median(one / other for one, other in zip(ours, alone, strict=True))


def _table(turns: Turns) -> Table:
    return Table(HEAD, [_cells(turns, server, beside) for server, beside in turns])


def _cells(turns: Turns, server: str, beside: str) -> tuple[str, ...]:
    row = Row(server, CONCURRENCY, tuple(one.load for one in turns[server, beside]))
    long = statistics.median(one.long_per_second for one in turns[server, beside])
    return (
        server,
        beside,
        *map(figure, (row.median("per_second"), row.median("p50_us"), row.least("p99_us"), row.median("p99_us"))),
        *map(figure, growth(turns, server, beside)),
        figure(long) if long else "-",
    )


def budgets(turns: Turns) -> list[Budget]:
    """The native transport's; nothing where it was left out."""
    if (NATIVE, BESIDE) not in turns:
        return []
    least, median = growth(turns, NATIVE, BESIDE)
    what = f"p99 beside the long model / alone, {NATIVE}"
    return [
        Budget(f"{what}, by minimum", least, BUDGET),
        Budget(f"{what}, by median", median, BUDGET),
    ]
