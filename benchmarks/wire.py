"""What a request costs over gRPC: Naiad's echo model against a bare grpc.aio echo, in one run, interleaved.

Further V2 servers that serve a model `echo` (INPUT0, FP32 [16]) can be measured beside them, by address and pid.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks import load

CONCURRENCIES = (1, 8, 32)
BUDGET = 1.35
"""The most that Naiad may cost, as a multiple of the bare echo, at concurrency 32."""


class Row(NamedTuple):
    """One server at one concurrency, over all rounds."""

    server: str
    concurrency: int
    cpu_least: float
    cpu_median: float
    p50: float
    p99: float


def main(rounds: int = 5, requests: int = 6000, others: Sequence[load.Server] = ()) -> list[Row]:
    """Measure, print the table and the ratio; gives the rows."""
    with ExitStack() as stack:
        echo = stack.enter_context(load.started("bare grpc.aio echo", ["benchmarks/echo.py"]))
        naiad = stack.enter_context(
            load.started(
                "naiad over grpc.aio",
                ["-m", "naiad", "serve", "--model-repository", "model_repository", "--grpc-port=0", "--http-port=0"],
            )
        )
        rows = _measure((echo, naiad, *others), rounds, requests)
    for row in rows:
        print(
            f"{row.server:24} concurrency {row.concurrency:3}  "
            f"CPU {row.cpu_least:6.1f} {row.cpu_median:6.1f} us/request (min, median)  "
            f"p50 {row.p50:6.0f} us  p99 {row.p99:6.0f} us"
        )
    cost = {(row.server, row.concurrency): row for row in rows}
    bare, ours = cost[echo.name, 32], cost[naiad.name, 32]
    print(
        f"naiad / bare echo at concurrency 32: {ours.cpu_least / bare.cpu_least:.2f} by minimum, "
        f"{ours.cpu_median / bare.cpu_median:.2f} by median (budget {BUDGET})"
    )
    return rows


def _measure(servers: Sequence[load.Server], rounds: int, requests: int) -> list[Row]:
    runs: dict[tuple[str, int], list[load.Load]] = {}
    for server in servers:
        load.run(server, "echo", "INPUT0:16", 8, requests)
    for _ in range(rounds):
        for concurrency in CONCURRENCIES:
            for server in servers:
                one = load.run(server, "echo", "INPUT0:16", concurrency, requests)
                runs.setdefault((server.name, concurrency), []).append(one)
    return [_row(name, concurrency, loads) for (name, concurrency), loads in sorted(runs.items())]


def _row(name: str, concurrency: int, loads: Sequence[load.Load]) -> Row:
    cpu = [one.cpu_us for one in loads]
    return Row(
        name,
        concurrency,
        min(cpu),
        statistics.median(cpu),
        statistics.median(one.p50_us for one in loads),
        statistics.median(one.p99_us for one in loads),
    )


if __name__ == "__main__":
    main()
