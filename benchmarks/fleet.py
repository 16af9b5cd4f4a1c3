"""300 small ONNX models in one server, the load spread evenly over them, against one such model under the same load.

Spread over so many models, requests hardly ever meet in a batch: so the fair reference is one model without batching.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import client, load, models, servers
from benchmarks.client import Target
from benchmarks.options import Options
from benchmarks.report import Section, figure

COUNT = 300
CONCURRENCY = 32
BATCHED, SINGLE, MANY = "one model, batched", "one model at batch 1", f"{COUNT} models"


def measure(options: Options) -> Section:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:

        def target(name: str, count: int, max_batch_size: int) -> Target:
            repository = Path(directory) / name
            names = models.small(repository, count, max_batch_size)
            server = stack.enter_context(servers.naiad(name, repository))
            return Target(server, tuple(client.zeros(one) for one in names), names[0])

        targets = (target(BATCHED, 1, 64), target(SINGLE, 1, 1), target(MANY, COUNT, 64))
        rows = client.measured(targets, options, CONCURRENCY, fewest=2 * COUNT)
    ratio = rows[MANY].least("cpu_us") / rows[SINGLE].least("cpu_us")
    note = (
        "ONNX models of one layer, FP32 [1, 16] to [1, 4]; client: ours (benchmarks/client.py), which takes the models "
        f"in turn. Server CPU per request, {COUNT} models / one at batch 1, by minimum: {figure(ratio)}."
    )
    return Section(f"{COUNT} models, the load spread over them", (note,), [load.table(rows.values())])
