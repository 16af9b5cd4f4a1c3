"""Large messages: what a 600 KB image and a 20 MB tensor cost on each transport, alone and with an answer as large.

The small ones go first: once glibc has freed a large block it keeps more memory, and what follows is faster.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks import client, load, models, transports
from benchmarks.client import Target
from benchmarks.load import Row
from benchmarks.options import Options
from benchmarks.payloads import PAYLOADS, Payload
from benchmarks.report import Budget, Section, Table
from benchmarks.transports import AIO, NATIVE, TONIC

BUDGET = 2
"""The least throughput of the native transport, as a multiple of grpc.aio's."""
CONCURRENCIES = (1, 4)
JUDGED = 4
FEWEST = 12
HEAD = ("request", *load.HEAD[:-1])


def measure(options: Options) -> Section:
    rows: dict[tuple[Payload, int], dict[str, Row]] = {}
    with tempfile.TemporaryDirectory() as directory:
        model = models.pair(Path(directory))
        with transports.started((TONIC, AIO, NATIVE), Path(directory)) as found:
            for payload in PAYLOADS:
                message = payload.message(model)
                # the canned answer is small
                servers = [one for one in found.servers if one.name != TONIC or not payload.returned]
                targets = [Target(server, (message,)) for server in servers]
                for concurrency in CONCURRENCIES:
                    rows[payload, concurrency] = client.measured(targets, options, concurrency, FEWEST)
    cells = [(str(payload), *row.cells()[:-1]) for (payload, _), by in rows.items() for row in by.values()]
    note = (
        "Zeros for a model that returns two tensors of any length and is not batched; the client is ours "
        "(benchmarks/client.py), which copies nothing, and whose windows are open. Requests ask for both tensors back, "
        f"or for the one of 4 bytes only. The {TONIC} always answers with a small message."
    )
    return Section("Large messages", (note, *found.left_out), [Table(HEAD, cells)], budgets(rows))


def budgets(rows: Mapping[tuple[Payload, int], Mapping[str, Row]]) -> list[Budget]:
    """Throughput at the higher concurrency; nothing where a transport was left out."""
    judged = {payload: by for (payload, one), by in rows.items() if one == JUDGED and {AIO, NATIVE} <= by.keys()}
    ratios = {payload: by[NATIVE].median("per_second") / by[AIO].median("per_second") for payload, by in judged.items()}
    return [
        Budget(f"throughput at concurrency {JUDGED}, {payload}, {NATIVE} / {AIO}", ratio, BUDGET, at_least=True)
        for payload, ratio in ratios.items()
    ]
