"""What a request costs over gRPC: Naiad's echo model on each transport, against bare echoes, in one run, interleaved.

Further V2 servers that serve a model `echo` (INPUT0, FP32 [16]) are measured beside them, by address and pid.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import load, servers, transports
from benchmarks.load import Row, Target
from benchmarks.options import Options
from benchmarks.report import Budget, Section
from benchmarks.transports import AIO, BARE_AIO, NATIVE, QUEUED, TONIC, ratio

AIO_BUDGET, NATIVE_BUDGET = 1.35, 1.5
"""The most server CPU that Naiad may cost, as a multiple of the bare echo of its kind, at concurrency 32."""
LATENCY_BUDGET = 0.5
"""The native transport's p50 at concurrency 1, as a part of grpc.aio's."""
MODEL, SHAPE = "echo", "INPUT0:16"


def measure(options: Options) -> Section:
    with transports.started((BARE_AIO, TONIC, QUEUED, AIO, NATIVE), servers.ROOT / "model_repository") as found:
        targets = [Target(server, MODEL, SHAPE) for server in (*found.servers, *options.others)]
        rows = load.measured(targets, options)
    return Section(
        "Over gRPC, one tiny model",
        (
            "A model that returns its input, FP32 [1, 16]; client: perf_analyzer.",
            transports.TONIC_NOTE,
            *found.left_out,
        ),
        [load.table(rows[target.server.name, one] for one in load.CONCURRENCIES for target in targets)],
        budgets(rows),
    )


def budgets(rows: Mapping[tuple[str, int], Row]) -> list[Budget]:
    """Those of the servers that have rows."""
    cpu, native = "server CPU per request at concurrency 32", rows.get((NATIVE, 32))
    p50 = "p50 at concurrency 1"
    return [
        *ratio(cpu, rows.get((AIO, 32)), rows.get((BARE_AIO, 32)), "cpu_us", AIO_BUDGET),
        *ratio(cpu, native, rows.get((TONIC, 32)), "cpu_us", NATIVE_BUDGET),
        *ratio(cpu, native, rows.get((QUEUED, 32)), "cpu_us", NATIVE_BUDGET),
        *ratio(p50, rows.get((NATIVE, 1)), rows.get((AIO, 1)), "p50_us", LATENCY_BUDGET),
    ]
