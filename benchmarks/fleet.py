"""300 small ONNX models in one server, the load spread evenly over them, against one such model under the same load.

Spread over so many models, requests hardly ever meet in a batch: so the fair reference is one model without batching.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks import load, models, servers, spread
from benchmarks.load import Load, Row
from benchmarks.options import Options
from benchmarks.report import Section, figure
from benchmarks.servers import Server

COUNT = 300
CONCURRENCY = 32
WARM_UP = 2 * COUNT


class Case(NamedTuple):
    """A server, its models, and what it has done in each round."""

    server: Server
    names: list[str]
    loads: list[Load]


def measure(options: Options) -> Section:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:

        def case(name: str, count: int, max_batch_size: int) -> Case:
            repository = Path(directory) / name
            names = models.small(repository, count, max_batch_size)
            return Case(stack.enter_context(servers.naiad(name, repository)), names, [])

        cases = (
            case("one model, batched", 1, 64),
            case("one model at batch 1", 1, 1),
            case(f"{COUNT} models", COUNT, 64),
        )
        _rounds(cases, options)
    rows = {one.server.name: Row(one.server.name, CONCURRENCY, tuple(one.loads)) for one in cases}
    many, single = rows[f"{COUNT} models"], rows["one model at batch 1"]
    ratio = many.least("cpu_us") / single.least("cpu_us")
    note = (
        "ONNX models of one layer, FP32 [1, 16] to [1, 4]; client: ours (benchmarks/spread.py), which takes the models "
        f"in turn and bounds the throughput. Server CPU per request, {COUNT} models / one at batch 1, by minimum: "
        f"{figure(ratio)}."
    )
    return Section(f"{COUNT} models, the load spread over them", (note,), [load.table(rows.values())])


def _rounds(cases: tuple[Case, ...], options: Options) -> None:
    rate = min(spread.run(one.server, one.names, CONCURRENCY, WARM_UP).per_second for one in cases)
    requests = max(WARM_UP, int(rate * options.seconds))
    for _ in range(options.rounds):
        for one in cases:
            ran = servers.batches(one.server, one.names[0])
            one.loads.append(spread.run(one.server, one.names, CONCURRENCY, requests))
            average = load.average(ran, servers.batches(one.server, one.names[0]))
            one.loads[-1] = one.loads[-1]._replace(batch=average)
