"""What a request costs over gRPC: Naiad's echo model against a bare grpc.aio echo, in one run, interleaved.

Further V2 servers that serve a model `echo` (INPUT0, FP32 [16]) are measured beside them, by address and pid.
"""

from __future__ import annotations

import sys

from benchmarks import load, servers
from benchmarks.load import Target
from benchmarks.options import Options
from benchmarks.report import Budget, Section

BUDGET = 1.35
"""The most server CPU that Naiad may cost, as a multiple of the bare echo, at concurrency 32."""
BARE, NAIAD = "bare grpc.aio echo", "Naiad over grpc.aio"
MODEL, SHAPE = "echo", "INPUT0:16"


def measure(options: Options) -> Section:
    repository = servers.ROOT / "model_repository"
    with (
        servers.started(BARE, [sys.executable, "-m", "benchmarks.echo"]) as echo,
        servers.naiad(NAIAD, repository) as naiad,
    ):
        targets = [Target(server, MODEL, SHAPE) for server in (echo, naiad, *options.others)]
        rows = load.measured(targets, options)
    bare, ours = rows[BARE, 32], rows[NAIAD, 32]
    what = "server CPU per request at concurrency 32, Naiad / bare grpc.aio echo"
    return Section(
        "Over gRPC, one tiny model",
        ("A model that returns its input, FP32 [1, 16]; client: perf_analyzer.",),
        [load.table(rows[target.server.name, one] for one in load.CONCURRENCIES for target in targets)],
        [
            Budget(f"{what}, by minimum", ours.least("cpu_us") / bare.least("cpu_us"), BUDGET),
            Budget(f"{what}, by median", ours.median("cpu_us") / bare.median("cpu_us"), BUDGET),
        ],
    )
