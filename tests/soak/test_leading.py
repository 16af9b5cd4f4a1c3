"""The wire under runs of all lengths: whoever drives it goes into a long run only when somebody else drives."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.conformance.messages import Given, request
from tests.e2e.models import BATCHING, identity
from tests.models.build import slow
from tests.soak.crowd import Crowd
from tests.soak.observed import Observed
from tests.soak.visitors import ECHO, Visit, connected, demand, infer, message

pytest.importorskip("naiad._native", reason="naiad._native is not built")

SECONDS = 3.0
LONG, LONG_WIDTH, LONG_GFLOP = "long", 128, 5.0
"""A chain of matrix products, some tens of milliseconds on one thread."""
DELAYS_MS = (0, 1, 5, 12, 25)
"""Of further models: short ones, long ones, and those that a watchdog is in time for."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Observed]:
    identity(tmp_path, ECHO, max_batch_size=8, dims=-1)
    for delay in DELAYS_MS:
        identity(tmp_path, f"delay{delay}", delay, max_batch_size=8, dims=-1, more=BATCHING)
    slow(tmp_path / LONG / "1" / "model.onnx", LONG_GFLOP)
    (tmp_path / LONG / "config.pbtxt").write_text(
        'backend: "onnxruntime" max_batch_size: 1 instance_group { kind: KIND_CPU count: 1 }\n'
        'parameters { key: "intra_op_thread_count" value { string_value: "1" } }\n'
    )
    with Observed(tmp_path, "native") as server:
        yield server


class Asking:
    """One caller after another on one connection, and how long each waited, in seconds: (asked, answered)."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []

    def ask(self, channel: Any, asked: Any) -> Any:
        began = time.monotonic()
        answer = infer(channel, asked).result()
        self.times.append((began, time.monotonic()))
        return answer

    def tiny(self, address: str, random: Random) -> None:
        with connected(address) as channel:
            for _ in range(50):
                asked = message(random, 16)
                demand(asked, self.ask(channel, asked))

    def long(self, address: str, random: Random) -> None:
        tensor = np.full(LONG_WIDTH, random.random(), np.float32).tobytes()
        with connected(address) as channel:
            for _ in range(3):
                asked = request(LONG, Given("INPUT0", "FP32", [1, LONG_WIDTH], tensor), request_id=str(random.random()))
                answer = self.ask(channel, asked)
                assert (answer.id, len(answer.raw_output_contents[0])) == (asked.id, len(tensor))

    @property
    def waits_ms(self) -> list[float]:
        return sorted((answered - asked) * 1000 for asked, answered in self.times)


def delayed(address: str, random: Random) -> None:
    """Many requests at once to models of all lengths."""
    with connected(address) as channel:
        asked = [message(random, 16, f"delay{random.choice(DELAYS_MS)}") for _ in range(10)]
        for one, call in zip(asked, [infer(channel, one) for one in asked], strict=True):
            demand(one, call.result())


def test_short_requests_are_answered_while_long_ones_run_and_none_is_lost(server: Observed) -> None:
    tiny, long = Asking(), Asking()
    visits: dict[str, Visit] = {"tiny": tiny.tiny, "tiny too": tiny.tiny, "long": long.long, "long too": long.long}
    server.statistics(ECHO)  # behind all that the start has taken back
    before = server.ask()["wire"]
    with Crowd(server.grpc, visits | {"delayed": delayed}) as crowd:
        crowd.stay(SECONDS)
    after = server.ask()["wire"]
    assert after["calls"] - before["calls"] == after["replies_written"] - before["replies_written"]
    assert after["cancelled"] == before["cancelled"]
    meanwhile = [sum(asked < one < answered for _, one in tiny.times) for asked, answered in long.times]
    assert statistics.median(meanwhile) >= 1
    p99 = tiny.waits_ms[int(0.99 * len(tiny.times))]
    sys.stderr.write(
        f"{len(tiny.times)} tiny requests, p50 {statistics.median(tiny.waits_ms):.1f} ms, p99 {p99:.1f} ms, "
        f"longest {tiny.waits_ms[-1]:.1f} ms, beside {len(long.times)} long ones of {min(long.waits_ms):.0f} ms\n"
    )
