"""What a version has done: counters updated once per batch, read as immutable snapshots.

Durations follow the protocol: a request counts its batch's compute times in full, so a batch of four that
computed for 1 ms adds 4 ms to `compute_infer`; `batches` counts the same run once, under its row count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from naiad.core.errors import FailureReason
from naiad.core.histogram import Distribution, Histogram

_US, _MS, _S = 1_000, 1_000_000, 1_000_000_000
DURATIONS_NS = (
    *(50 * _US, 100 * _US, 250 * _US, 500 * _US),
    *(1 * _MS, int(2.5 * _MS), 5 * _MS, 10 * _MS, 25 * _MS, 50 * _MS, 100 * _MS, 250 * _MS, 500 * _MS),
    *(1 * _S, 2 * _S, int(2.5 * _S), 5 * _S, 10 * _S, 30 * _S, 60 * _S),
)
"""Bounds for durations: from a request that meets an idle server and a tiny model to one that is given up.
Two seconds are for the protocol's own histogram."""
BATCH_ROWS = tuple(2**n for n in range(11))


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something happened and how many nanoseconds it took altogether."""

    count: int = 0
    ns: int = 0


class BatchStatistics(NamedTuple):
    """Runs of one batch size (in rows)."""

    batch_size: int
    compute_input: Duration = Duration()
    compute_infer: Duration = Duration()
    compute_output: Duration = Duration()


class VersionStatistics(NamedTuple):
    """A snapshot.

    last_inference_ms: end of the last run, milliseconds since 1970, 0 for never. inference_count: rows that ran.
    execution_count: batches that ran. failures: requests that failed, by reason; `fail` has them all.
    request_ns, queue_ns: one value for each request that succeeded, in nanoseconds. run_ns, batch_rows: one for each
    batch that ran. pending: requests that wait. queue_limit: the most that may. gpus: the ordinals of those that its
    instances are on.
    """

    name: str
    version: int
    last_inference_ms: int
    inference_count: int
    execution_count: int
    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    batches: tuple[BatchStatistics, ...]
    failures: Mapping[FailureReason, int]
    request_ns: Histogram
    queue_ns: Histogram
    run_ns: Histogram
    batch_rows: Histogram
    pending: int
    queue_limit: int
    gpus: tuple[int, ...] = ()


class BatchTimes(NamedTuple):
    """The moments of one run, in `time.monotonic_ns`: taken, gathered, computed, answered."""

    taken: int
    gathered: int
    computed: int
    answered: int


class _Clock:
    """A Duration that grows."""

    __slots__ = ("count", "ns")

    def __init__(self) -> None:
        self.count = 0
        self.ns = 0

    def add(self, count: int, ns: int) -> None:
        self.count += count
        self.ns += ns

    def read(self) -> Duration:
        return Duration(self.count, self.ns)


class _Compute:
    """The three phases of a run."""

    __slots__ = ("gather", "infer", "output")

    def __init__(self) -> None:
        self.gather = _Clock()
        self.infer = _Clock()
        self.output = _Clock()

    def add(self, count: int, times: BatchTimes) -> None:
        self.gather.add(count, count * (times.gathered - times.taken))
        self.infer.add(count, count * (times.computed - times.gathered))
        self.output.add(count, count * (times.answered - times.computed))


class Statistics:
    """The counters of one version. Every method is called with the version's lock held."""

    def __init__(self, name: str, version: int) -> None:
        self._name = name
        self._version = version
        self._last_ms = 0
        self._rows = 0
        self._runs = 0
        self._success = _Clock()
        self._fail = _Clock()
        self._queue = _Clock()
        self._compute = _Compute()
        self._batches: dict[int, _Compute] = {}
        self._failures = dict.fromkeys(FailureReason, 0)
        self._request_ns = Distribution(DURATIONS_NS)
        self._queue_ns = Distribution(DURATIONS_NS)
        self._run_ns = Distribution(DURATIONS_NS)
        self._batch_rows = Distribution(BATCH_ROWS)

    def ran(self, rows: int, times: BatchTimes, wall_ms: int) -> None:
        """Count one batch that ran, whatever became of its requests."""
        self._last_ms = wall_ms
        self._rows += rows
        self._runs += 1
        batch = self._batches.get(rows)
        if batch is None:
            batch = self._batches[rows] = _Compute()
        batch.add(1, times)
        self._run_ns.add((times.answered - times.taken,))
        self._batch_rows.add((rows,))

    def succeeded(self, request_ns: Sequence[int], queue_ns: Sequence[int], times: BatchTimes) -> None:
        """Count the requests of a batch that were answered with a result: how long each took and waited."""
        count = len(request_ns)
        self._success.add(count, sum(request_ns))
        self._queue.add(count, sum(queue_ns))
        self._compute.add(count, times)
        self._request_ns.add(request_ns)
        self._queue_ns.add(queue_ns)

    def failed(self, reason: FailureReason, ns: int) -> None:
        """Count one request that was answered with an error after `ns`."""
        self._fail.add(1, ns)
        self._failures[reason] += 1

    def snapshot(self, pending: int, queue_limit: int) -> VersionStatistics:
        return VersionStatistics(
            name=self._name,
            version=self._version,
            last_inference_ms=self._last_ms,
            inference_count=self._rows,
            execution_count=self._runs,
            success=self._success.read(),
            fail=self._fail.read(),
            queue=self._queue.read(),
            compute_input=self._compute.gather.read(),
            compute_infer=self._compute.infer.read(),
            compute_output=self._compute.output.read(),
            batches=tuple(
                BatchStatistics(rows, of.gather.read(), of.infer.read(), of.output.read())
                for rows, of in sorted(self._batches.items())
            ),
            failures=dict(self._failures),
            request_ns=self._request_ns.read(),
            queue_ns=self._queue_ns.read(),
            run_ns=self._run_ns.read(),
            batch_rows=self._batch_rows.read(),
            pending=pending,
            queue_limit=queue_limit,
        )
