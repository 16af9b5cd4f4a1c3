"""Scenarios: the statistics of models, which of them are told, and exact numbers after known requests."""

from collections.abc import Callable
from typing import Any

from tritonclient.grpc import service_pb2 as wire

from tests.conformance.messages import Given, fp32, request
from tests.conformance.observation import observe, ok, refused
from tests.conformance.scenario import Lines, Scenario, reads
from tests.conformance.target import Target


def statistics(name: str, version: str = "") -> Callable[[Target], Lines]:
    def call(target: Target) -> Lines:
        reply = target.call("ModelStatistics", wire.ModelStatisticsRequest(name=name, version=version))
        return [f"{each.name} {each.version}" for each in reply.model_stats]

    return call


def count(target: Target) -> Any:
    (found,) = target.call("ModelStatistics", wire.ModelStatisticsRequest(name="counted")).model_stats
    return found


def counters(found: Any) -> dict[str, int]:
    """Return every counter of one version's statistics by name."""
    counted = {"inferences": found.inference_count, "executions": found.execution_count}
    for field in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        counted[field] = getattr(found.inference_stats, field).count
    for batch in found.batch_stats:
        counted[f"batches of {batch.batch_size}"] = batch.compute_infer.count
    return counted | {"fail": found.inference_stats.fail.count}


def counted(target: Target) -> Lines:
    """Read what three sound requests of 1, 1 and 3 rows and one refused change in the counters of `counted`."""
    before = counters(count(target))
    for rows in (1, 1, 3):
        target.infer(request("counted", Given("INPUT0", "FP32", [rows, 2], fp32([0] * 2 * rows))))
    refusal = observe(lambda: target.infer(request("counted", Given("INPUT0", "FP32", [1, 9], fp32([0] * 9)))))
    after = counters(count(target))
    yield refusal.status
    yield from (f"{name}: +{value - before.get(name, 0)}" for name, value in after.items())


def timed(target: Target) -> Lines:
    """Read whether the times of `counted` make sense after a request."""
    target.infer(request("counted", Given("INPUT0", "FP32", [1, 2], fp32([0, 0]))))
    found = count(target)
    stats = found.inference_stats
    parts = (stats.queue, stats.compute_input, stats.compute_infer, stats.compute_output)
    yield f"total covers its parts: {stats.success.ns >= sum(part.ns for part in parts) > 0}"
    yield f"last inference in this century: {found.last_inference > 946_684_800_000}"


COUNTED = (
    *("inferences: +5", "executions: +3", "success: +3", "queue: +3", "compute_input: +3", "compute_infer: +3"),
    *("compute_output: +3", "batches of 1: +2", "batches of 3: +1"),
)

STATISTICS: tuple[Scenario, ...] = (
    reads("statistics.one", "the statistics of one model", statistics("simple"), ok("simple 1")),
    reads(
        "statistics.versions", "all its versions that are ready", statistics("versions"), ok("versions 2", "versions 5")
    ),
    reads("statistics.version", "one version", statistics("versions", "5"), ok("versions 5")),
    reads(
        "statistics.unknown",
        "a model that is nowhere",
        statistics("nowhere"),
        refused("INVALID_ARGUMENT", "requested model 'nowhere' is not available"),
    ),
    reads(
        "statistics.broken",
        "a model that did not load",
        statistics("broken"),
        refused("INVALID_ARGUMENT", "requested model 'broken' is not available"),
    ),
    reads(
        "statistics.other_version",
        "a version that is nowhere",
        statistics("versions", "9"),
        refused("INVALID_ARGUMENT", "requested model version is not available for model 'versions'"),
    ),
    reads(
        "statistics.exact",
        "counters after known requests",
        counted,
        ok("INVALID_ARGUMENT", *COUNTED, "fail: +1"),
        ok("INVALID_ARGUMENT", *COUNTED, "fail: +0"),
        "Triton counts no request that it refuses before its queue, so that its failures look like none",
    ),
    reads(
        "statistics.times",
        "times add up",
        timed,
        ok("total covers its parts: True", "last inference in this century: True"),
    ),
)
