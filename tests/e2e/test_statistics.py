"""ModelStatistics over the wire is exact after known traffic."""

import time
from pathlib import Path
from typing import Any

import grpc

from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server

RUN_MS = 50
PARTS = ("success", "queue", "compute_input", "compute_infer", "compute_output")


def durations(counted: Any) -> dict[str, tuple[int, int]]:
    """Return each duration of a version's statistics as (count, nanoseconds)."""
    stats = counted.inference_stats
    return {name: (getattr(stats, name).count, getattr(stats, name).ns) for name in ("fail", *PARTS)}


def test_a_version_that_ran_nothing_has_only_zeros(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "idle")) as server:
        counted = server.statistics("idle")
    assert (counted.name, counted.version) == ("idle", "1")
    assert (counted.inference_count, counted.execution_count, counted.last_inference) == (0, 0, 0)
    assert set(durations(counted).values()) == {(0, 0)}
    assert not counted.batch_stats


def test_requests_one_after_the_other_are_counted_one_by_one(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "slow", RUN_MS, max_batch_size=4)) as server:
        began, wall_began = time.monotonic_ns(), time.time_ns() // 10**6
        for rows in (1, 3, 1, 4):
            server.stub.ModelInfer(ask("slow", *range(rows)), timeout=PATIENCE)
        took, wall_ended = time.monotonic_ns() - began, time.time_ns() // 10**6
        counted = server.statistics("slow")
    counts = {name: count for name, (count, _) in durations(counted).items()}
    times = {name: ns for name, (_, ns) in durations(counted).items()}
    assert (counted.inference_count, counted.execution_count) == (9, 4)
    assert counts == {"fail": 0} | dict.fromkeys(PARTS, 4)
    assert {batch.batch_size: batch.compute_infer.count for batch in counted.batch_stats} == {1: 2, 3: 1, 4: 1}
    assert 4 * RUN_MS * 10**6 <= times["compute_infer"] <= times["success"] <= took
    assert times["success"] >= sum(ns for name, ns in times.items() if name not in {"success", "fail"})
    assert sum(batch.compute_infer.ns for batch in counted.batch_stats) == times["compute_infer"]
    assert wall_began <= counted.last_inference <= wall_ended


def test_requests_that_share_a_batch_count_it_once_and_its_time_each(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "slow", 4 * RUN_MS, max_batch_size=6)) as server:
        calls = [server.stub.ModelInfer.future(ask("slow", 1, 2), timeout=PATIENCE) for _ in range(9)]
        assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 9
        counted = server.statistics("slow")
    batches = {batch.batch_size: batch.compute_infer for batch in counted.batch_stats}
    assert batches[6].count >= 1  # what came during the first run, of three requests at most
    assert counted.inference_count == sum(rows * batch.count for rows, batch in batches.items()) == 18
    assert counted.execution_count == sum(batch.count for batch in batches.values()) < 9
    assert counted.inference_stats.compute_infer.count == counted.inference_stats.success.count == 9
    assert counted.inference_stats.compute_infer.ns == sum(rows // 2 * batch.ns for rows, batch in batches.items())


def test_every_refused_request_is_a_failure_and_nothing_else(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo")) as server:
        for values in ((1, 2), (1, 2, 3)):
            assert server.stub.ModelInfer.future(ask("echo", *values)).code() is grpc.StatusCode.INVALID_ARGUMENT
        counted = server.statistics("echo")
    assert (counted.inference_count, counted.execution_count) == (0, 0)
    assert {name: count for name, (count, _) in durations(counted).items() if count} == {"fail": 2}


def test_whoever_has_an_answer_sees_it_counted(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo")) as server:
        for sent in range(1, 101):
            server.stub.ModelInfer(ask("echo", sent), timeout=PATIENCE)
            assert server.statistics("echo").inference_stats.success.count == sent
