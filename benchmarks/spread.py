"""The load of one tiny model spread evenly over 300 of them: what so many queues and statistics cost on each transport.

The models are the echo of `wire`, so that the bare servers are a reference here too: they answer any name.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import client, load, models, transports
from benchmarks.client import Target
from benchmarks.options import Options
from benchmarks.report import Section
from benchmarks.transports import AIO, NATIVE, QUEUED, TONIC, ratio
from benchmarks.wire import NATIVE_BUDGET

COUNT = 300
CONCURRENCY = 32


def measure(options: Options) -> Section:
    with tempfile.TemporaryDirectory() as directory:
        names = models.echoes(Path(directory), COUNT)
        messages = tuple(client.zeros(name) for name in names)
        with transports.started((TONIC, QUEUED, AIO, NATIVE), Path(directory)) as found:
            targets = [
                Target(server, messages, names[0] if server.name in transports.FLAGS else None)
                for server in found.servers
            ]
            rows = client.measured(targets, options, CONCURRENCY, fewest=2 * COUNT)
    cpu = f"server CPU per request, {COUNT} models"
    note = (
        f"The load spread evenly over {COUNT} models that return their input, FP32 [1, 16]; client: ours "
        "(benchmarks/client.py), which takes the models in turn."
    )
    return Section(
        f"Over gRPC, {COUNT} tiny models",
        (note, *found.left_out),
        [load.table(rows.values())],
        [
            *ratio(cpu, rows.get(NATIVE), rows.get(TONIC), "cpu_us", NATIVE_BUDGET),
            *ratio(cpu, rows.get(NATIVE), rows.get(QUEUED), "cpu_us", NATIVE_BUDGET),
        ],
    )
