"""What is left of a model's own speed behind the server: networks of several sizes against a bare loop.

The same file runs in a bare loop of ONNX Runtime (bare.py), which has the machine to itself, and in Naiad, which
shares it with the load generator. So a second ratio says what Naiad makes of the CPU that the generator leaves.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks import bare, flops, load, mlserver, models, servers
from benchmarks.bare import Loop, Way
from benchmarks.load import Row, Target
from benchmarks.options import Options
from benchmarks.report import Budget, Section, Table, figure
from benchmarks.servers import Server
from tests.tools.debian import NotHereError

NAIAD = "Naiad"
BUDGET, LARGE_FLOP = 0.95, 1e9
"""The least part of the bare loop's throughput that Naiad must reach, for models of at least so many operations."""
MAX_BATCH = 16
"""What the convolution nets' configs allow: their bare loop gains nothing by more, and answers only wait longer."""
HEAD = ("bare onnxruntime loop", "rows/s median", "best", "CPU us/row median")


class Network(NamedTuple):
    """A model in a repository of its own; `shape` as perf_analyzer takes it."""

    title: str
    repository: Path
    file: Path
    shape: str

    @property
    def name(self) -> str:
        return self.file.parent.parent.name


def mlp(options: Options) -> Section:
    title = f"A small network, {'-'.join(map(str, models.MLP_SIZES))}"
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        network = Network(title, Path(directory), models.mlp(Path(directory)), f"INPUT0:{models.MLP_SIZES[0]}")
        try:
            peers = [stack.enter_context(mlserver.started(network.file, network.name))]
        except NotHereError as missing:
            return _measured(network, options, notes=[f"MLServer is left out: {missing}"])
        return _measured(network, options, peers, [mlserver.NOTE])


def conv1(options: Options) -> Section:
    return _conv(1, options)


def conv4(options: Options) -> Section:
    return _conv(4, options)


def _conv(gflop: float, options: Options) -> Section:
    with tempfile.TemporaryDirectory() as directory:
        file = models.conv(Path(directory), gflop, MAX_BATCH)
        shape = f"INPUT0:{','.join(map(str, models.IMAGE))}"
        title = f"A convolution net of {flops.counted(file) / 1e9:.2f} GFLOP"
        return _measured(Network(title, Path(directory), file, shape), options)


def _measured(network: Network, options: Options, peers: Sequence[Server] = (), notes: Sequence[str] = ()) -> Section:
    loops: dict[Way, list[Loop]] = {way: [] for way in bare.fastest(network.file, options.seconds / 4)}

    def beside() -> None:
        for way, ran in loops.items():
            ran.append(bare.loop(network.file, way, options.seconds / 2))

    with servers.naiad(NAIAD, network.repository) as naiad:
        targets = [Target(server, network.name, network.shape) for server in (naiad, *peers)]
        rows = load.measured(targets, options, beside=beside)
    best = max(loops, key=lambda way: _median(loops[way]))
    told = f"{flops.counted(network.file) / 1e6:.4g} MFLOP for a row; the bare loop is fastest with {best}."
    return Section(
        network.title,
        [told, *notes],
        [_loops(loops), load.table(rows[t.server.name, c] for c in load.CONCURRENCIES for t in targets)],
        _budgets(network, [rows[NAIAD, one] for one in load.CONCURRENCIES], _median(loops[best])),
    )


def _loops(loops: Mapping[Way, Sequence[Loop]]) -> Table:
    rows = []
    for way, ran in loops.items():
        cpu = statistics.median(one.cpu_us for one in ran)
        rows.append((str(way), figure(_median(ran)), figure(max(one.per_second for one in ran)), figure(cpu)))
    return Table(HEAD, rows)


def _median(loops: Sequence[Loop]) -> float:
    """Rows per second."""
    return statistics.median(loop.per_second for loop in loops)


def _budgets(network: Network, rows: Sequence[Row], bare_rate: float) -> list[Budget]:
    """The budget for large models, by medians, at the concurrency that suits Naiad best."""
    if flops.counted(network.file) < LARGE_FLOP:
        return []
    most = max(rows, key=lambda row: row.median("per_second"))
    rate = most.median("per_second")
    client = rate * most.median("client_us") / 1e6 / (os.cpu_count() or 1)
    what = f"throughput at concurrency {most.concurrency}, Naiad / bare loop"
    left = f"{what} on the {1 - client:.0%} of the machine that the load generator leaves"
    return [
        Budget(what, rate / bare_rate, BUDGET, at_least=True),
        Budget(left, rate / bare_rate / (1 - client), BUDGET, at_least=True),
    ]
