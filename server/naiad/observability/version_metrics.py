"""What is measured of every version that is served: the protocol's own families, and ours beside them.

A version has every family from its first scrape, at 0, with the same labels: queries divide one by another. What has
not changed since the last scrape is not written again, so models without traffic cost next to nothing.

Failures before a version was found for a request are told under empty labels, so that no client can make series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from naiad.core.errors import FailureReason
from naiad.core.histogram import Histogram
from naiad.core.statistics import BATCH_ROWS, DURATIONS_NS, VersionStatistics
from naiad.observability.exposition import Block, Buckets, Family, labels

NS_PER_US, NS_PER_MS, NS_PER_S = 1_000, 1_000_000, 1_000_000_000
FIRST_RESPONSE_BOUNDS_NS = tuple(ms * NS_PER_MS for ms in (100, 500, 2000, 5000))
DURATION_BOUNDS_NS = tuple(bound for bound in DURATIONS_NS if bound != 2 * NS_PER_S)
"""Of ours: all but the one that is there for Triton's histogram."""

TRITON_REASONS: Mapping[FailureReason, str] = {
    FailureReason.OVERLOADED: "REJECTED",
    FailureReason.TIMEOUT: "REJECTED",
    FailureReason.CANCELLED: "CANCELED",
    FailureReason.BACKEND: "BACKEND",
}
"""How the protocol's own counter calls ours; all others are OTHER."""


class Labels(NamedTuple):
    """Of one version, as text. device: the same with the GPU that it runs on, if there is one and it is known."""

    version: str
    device: str


class Column(NamedTuple):
    """A family, and how a version's lines of it are written."""

    family: Family
    write: Callable[[VersionStatistics, Labels], str]


def _counter(name: str, about: str, read: Callable[[VersionStatistics], int]) -> Column:
    """A counter of the protocol, which says on which GPU."""
    family = Family(name, "counter", about)
    return Column(family, lambda of, labels: family.sample(labels.device, read(of)))


def _gauge(name: str, about: str, read: Callable[[VersionStatistics], int]) -> Column:
    family = Family(name, "gauge", about)
    return Column(family, lambda of, labels: family.sample(labels.version, read(of)))


def _histogram(
    family: Family, bounds: Sequence[int], unit: int, read: Callable[[VersionStatistics], Histogram]
) -> Column:
    buckets = Buckets(family, bounds, unit)
    return Column(family, lambda of, labels: buckets.samples(labels.version, read(of)))


def _seconds(name: str, about: str, read: Callable[[VersionStatistics], Histogram]) -> Column:
    return _histogram(Family(name, "histogram", about), DURATION_BOUNDS_NS, NS_PER_S, read)


def _failures(name: str, about: str, names: Mapping[FailureReason, str], with_gpu: bool) -> Column:
    """Failures by reason; reasons that share a name are added up, and each name is there from the start."""
    family = Family(name, "counter", about)

    def write(of: VersionStatistics, labels: Labels) -> str:
        counts = dict.fromkeys(names.values(), 0)
        for reason, count in of.failures.items():
            counts[names[reason]] += count
        base = labels.device if with_gpu else labels.version
        return "".join(family.sample(f'{base},reason="{reason}"', count) for reason, count in counts.items())

    return Column(family, write)


FAILURES = Family(
    "naiad_request_failures_total",
    "counter",
    "Requests answered with an error, by reason. Requests for models that are not served have empty labels.",
)
_OURS = {reason: reason.value for reason in FailureReason}
_TRITONS = {reason: TRITON_REASONS.get(reason, "OTHER") for reason in FailureReason}
_CACHED = "(does not include cached requests)"

TRITON = (
    _counter(
        "nv_inference_request_success",
        "Number of successful inference requests, all batch sizes",
        lambda of: of.success.count,
    ),
    _failures(
        "nv_inference_request_failure", "Number of failed inference requests, all batch sizes", _TRITONS, with_gpu=True
    ),
    _counter("nv_inference_count", f"Number of inferences performed {_CACHED}", lambda of: of.inference_count),
    _counter(
        "nv_inference_exec_count", f"Number of model executions performed {_CACHED}", lambda of: of.execution_count
    ),
    _counter(
        "nv_inference_request_duration_us",
        "Cumulative inference request duration in microseconds (includes cached requests)",
        lambda of: of.success.ns // NS_PER_US,
    ),
    _counter(
        "nv_inference_queue_duration_us",
        "Cumulative inference queuing duration in microseconds (includes cached requests)",
        lambda of: of.queue.ns // NS_PER_US,
    ),
    _counter(
        "nv_inference_compute_input_duration_us",
        f"Cumulative compute input duration in microseconds {_CACHED}",
        lambda of: of.compute_input.ns // NS_PER_US,
    ),
    _counter(
        "nv_inference_compute_infer_duration_us",
        f"Cumulative compute inference duration in microseconds {_CACHED}",
        lambda of: of.compute_infer.ns // NS_PER_US,
    ),
    _counter(
        "nv_inference_compute_output_duration_us",
        f"Cumulative inference compute output duration in microseconds {_CACHED}",
        lambda of: of.compute_output.ns // NS_PER_US,
    ),
    _gauge(
        "nv_inference_pending_request_count",
        "Instantaneous number of pending requests awaiting execution per-model.",
        lambda of: of.pending,
    ),
)
"""Triton's families of a version, with its own help texts."""

FIRST_RESPONSE = _histogram(
    Family(
        "nv_inference_first_response_histogram_ms",
        "histogram",
        "Duration from request to first response in milliseconds",
    ),
    FIRST_RESPONSE_BOUNDS_NS,
    NS_PER_MS,
    lambda of: of.request_ns,
)
"""Triton's too, where it is asked for."""

NAIAD = (
    _seconds(
        "naiad_request_duration_seconds",
        "From the receipt of a request to its answer, of requests that succeeded.",
        lambda of: of.request_ns,
    ),
    _seconds(
        "naiad_queue_duration_seconds",
        "How long requests waited in the queue, of requests that succeeded.",
        lambda of: of.queue_ns,
    ),
    _seconds(
        "naiad_compute_duration_seconds",
        "How long batches ran: gathering inputs, inferring, handing out outputs.",
        lambda of: of.run_ns,
    ),
    _histogram(
        Family("naiad_batch_size", "histogram", "Rows of the batches that ran."),
        BATCH_ROWS,
        1,
        lambda of: of.batch_rows,
    ),
    _gauge("naiad_queue_size", "Requests that wait in the queue.", lambda of: of.pending),
    _gauge("naiad_queue_limit", "The most requests that may wait in the queue.", lambda of: of.queue_limit),
    _failures(FAILURES.name, FAILURES.help, _OURS, with_gpu=False),
)
"""Our own families of a version."""


class VersionMetrics:
    """Writes the families of all served versions. Not thread-safe."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._written: dict[tuple[str, int], tuple[VersionStatistics, str, list[str]]] = {}

    def blocks(self, versions: Iterable[VersionStatistics], gpu: Callable[[VersionStatistics], str]) -> list[Block]:
        """A block for each column. gpu: the uuid that a version's series are labelled with, "" for none."""
        written = {(of.name, of.version): self._write(of, gpu(of)) for of in versions}
        self._written = written
        rows = [lines for _, _, lines in written.values()]
        return [(column.family, [row[i] for row in rows]) for i, column in enumerate(self._columns)]

    def _write(self, of: VersionStatistics, uuid: str) -> tuple[VersionStatistics, str, list[str]]:
        before = self._written.get((of.name, of.version))
        if before is not None and before[0] == of and before[1] == uuid:
            return before
        plain = {"model": of.name, "version": str(of.version)}
        texts = Labels(labels(plain), labels(plain | {"gpu_uuid": uuid} if uuid else plain))
        return of, uuid, [column.write(of, texts) for column in self._columns]


def unserved(failures: Mapping[FailureReason, int]) -> Block:
    """Requests that failed before a version was found for them."""
    base = labels({"model": "", "version": ""})
    return FAILURES, [FAILURES.sample(f'{base},reason="{r.value}"', failures.get(r, 0)) for r in FailureReason]
