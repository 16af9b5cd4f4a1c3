"""Exact counts and times after known traffic; the clock is a number that the test sets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from naiad.core import accounts, execution, version
from naiad.core.errors import BackendError, FailureReason, InvalidArgument, Rejected, TimedOut
from naiad.core.histogram import Histogram
from naiad.core.pending import Pending
from naiad.core.statistics import (
    BATCH_ROWS,
    DURATIONS_NS,
    BatchStatistics,
    BatchTimes,
    Duration,
    Statistics,
    VersionStatistics,
)
from naiad.core.types import InferRequest
from tests.core.house import ByHand
from tests.core.scripted import Scripted, config, request


class Clock:
    """Stands in for the `time` module; ns of time.monotonic, s of wall time."""

    def __init__(self) -> None:
        self.now = 1_000

    def monotonic_ns(self) -> int:
        return self.now

    def time_ns(self) -> int:
        return 77_000_000

    def passing(self, ns: int) -> Callable[[], None]:
        """Something that takes `ns`."""

        def go() -> None:
            self.now += ns

        return go


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(version, "time", clock)
    monkeypatch.setattr(accounts, "time", clock)
    monkeypatch.setattr(execution, "monotonic_ns", clock.monotonic_ns)
    return clock


def failures(**counts: int) -> dict[FailureReason, int]:
    return dict.fromkeys(FailureReason, 0) | {FailureReason[name]: count for name, count in counts.items()}


def counted(histogram: Histogram) -> dict[int | None, int]:
    """Counts by the bound of their bucket, None for the last, without empty ones."""
    return {bound: n for bound, n in zip([*histogram.bounds, None], histogram.counts, strict=True) if n}


def empty(bounds: tuple[int, ...]) -> Histogram:
    return Histogram(bounds, (0,) * (len(bounds) + 1), 0)


def test_a_new_version_has_done_nothing() -> None:
    none = Duration()
    times, rows = empty(DURATIONS_NS), empty(BATCH_ROWS)
    assert Statistics("m", 3).snapshot(0, 5) == VersionStatistics(
        "m", 3, 0, 0, 0, none, none, none, none, none, none, (), failures(), times, times, times, rows, 0, 5
    )


def test_each_request_counts_its_batchs_times_in_full_and_the_batch_counts_them_once() -> None:
    statistics = Statistics("m", 1)
    times = BatchTimes(taken=100, gathered=110, computed=140, answered=145)
    statistics.ran(6, times, 5)
    statistics.succeeded([70, 90, 110, 130], [20, 40, 60, 80], times)
    snapshot = statistics.snapshot(2, 9)
    assert snapshot.compute_input == Duration(4, 40)
    assert snapshot.compute_infer == Duration(4, 120)
    assert snapshot.compute_output == Duration(4, 20)
    assert snapshot.batches == (BatchStatistics(6, Duration(1, 10), Duration(1, 30), Duration(1, 5)),)
    assert (snapshot.success, snapshot.queue) == (Duration(4, 400), Duration(4, 200))
    assert (snapshot.inference_count, snapshot.execution_count, snapshot.last_inference_ms) == (6, 1, 5)
    assert (snapshot.pending, snapshot.queue_limit) == (2, 9)


def test_distributions_have_each_request_and_each_batch_once() -> None:
    statistics = Statistics("m", 1)
    times = BatchTimes(taken=0, gathered=0, computed=0, answered=60_000)
    statistics.ran(6, times, 5)
    statistics.succeeded([50_000, 50_001, 70_000_000_000], [0, 1, 2], times)
    snapshot = statistics.snapshot(0, 9)
    assert counted(snapshot.request_ns) == {50_000: 1, 100_000: 1, None: 1}
    assert counted(snapshot.queue_ns) == {50_000: 3}
    assert counted(snapshot.run_ns) == {100_000: 1}
    assert counted(snapshot.batch_rows) == {8: 1}
    totals = [h.total for h in (snapshot.request_ns, snapshot.queue_ns, snapshot.run_ns, snapshot.batch_rows)]
    assert totals == [70_000_100_001, 3, 60_000, 6]


def test_batches_are_counted_by_their_rows_in_ascending_order() -> None:
    statistics = Statistics("m", 1)
    for rows in (4, 1, 4):
        statistics.ran(rows, BatchTimes(0, 1, 3, 6), 0)
    assert statistics.snapshot(0, 9).batches == (
        BatchStatistics(1, Duration(1, 1), Duration(1, 2), Duration(1, 3)),
        BatchStatistics(4, Duration(2, 2), Duration(2, 4), Duration(2, 6)),
    )


def test_failures_are_counted_together_and_by_reason() -> None:
    statistics = Statistics("m", 1)
    for reason in (FailureReason.OVERLOADED, FailureReason.BACKEND, FailureReason.OVERLOADED):
        statistics.failed(reason, 7)
    snapshot = statistics.snapshot(0, 9)
    assert snapshot.fail == Duration(3, 21)
    assert snapshot.failures == failures(OVERLOADED=2, BACKEND=1)


def test_a_snapshot_does_not_change_any_more() -> None:
    statistics = Statistics("m", 1)
    before = statistics.snapshot(0, 9)
    statistics.failed(FailureReason.INTERNAL, 1)
    statistics.ran(1, BatchTimes(0, 0, 0, 0), 1)
    assert before == Statistics("m", 1).snapshot(0, 9)


def known_traffic(clock: Clock) -> ByHand:
    """Four requests of five rows: three share a run, of which one fails alone; one runs by itself."""
    scripted = Scripted()
    scripted.work = clock.passing(300)
    scripted.fails[2.0] = BackendError("bad row")
    by_hand = ByHand(config(max_batch_size=4), [scripted], now_ns=clock.monotonic_ns)
    for value, rows in ((1.0, 2), (2.0, 1), (3.0, 1), (4.0, 1)):
        by_hand.infer(request(value, rows=rows)._replace(received_ns=clock.now - 10))
        clock.now += 20
    for _ in range(2):
        run = by_hand.take()
        clock.now += 5
        by_hand.version.execute(run)
    return by_hand


def test_the_counts_after_known_traffic_are_exact(clock: Clock) -> None:
    statistics = known_traffic(clock).version.statistics()
    assert statistics.success.count == statistics.queue.count == statistics.compute_infer.count == 3
    assert (statistics.inference_count, statistics.execution_count) == (5, 2)
    assert [(b.batch_size, b.compute_infer.count) for b in statistics.batches] == [(1, 1), (4, 1)]
    assert statistics.fail.count == 1
    assert statistics.failures == failures(BACKEND=1)
    assert (statistics.last_inference_ms, statistics.pending) == (77, 0)


def test_the_times_after_known_traffic_are_exact(clock: Clock) -> None:
    """Queued at 1000, 1020, 1040, 1060 ns; taken at 1080 and 1385 (the first run takes 5 + 300 ns)."""
    statistics = known_traffic(clock).version.statistics()
    assert statistics.queue.ns == (1080 - 1000) + (1080 - 1040) + (1385 - 1060)
    assert statistics.compute_input.ns == 3 * 5
    assert statistics.compute_infer.ns == 3 * 300
    assert statistics.compute_output.ns == 0
    assert statistics.fail.ns == 1385 - (1020 - 10)
    assert statistics.success.ns == 3 * (5 + 300 + 10) + statistics.queue.ns


def test_the_average_run_of_a_version_is_that_of_its_runs(clock: Clock) -> None:
    assert known_traffic(clock).version.average_ns == 305


def test_the_phases_of_all_requests_add_up_to_their_success(clock: Clock) -> None:
    """Where a request is received when it is queued, that is."""
    by_hand = ByHand(config(), [Scripted()], now_ns=clock.monotonic_ns)
    for value in range(5):
        by_hand.infer(request(float(value))._replace(received_ns=clock.now))
        clock.now += 3
    by_hand.run()
    read = by_hand.version.statistics()
    assert read.success.ns == read.queue.ns + read.compute_input.ns + read.compute_infer.ns + read.compute_output.ns


def test_how_a_request_ends_decides_the_reason_that_is_counted(clock: Clock) -> None:
    scripted = Scripted()
    by_hand = ByHand(config(), [scripted], limit=4, now_ns=clock.monotonic_ns)

    def received(value: float, rows: int = 1) -> InferRequest:
        return request(value, rows=rows)._replace(received_ns=clock.now - 50)

    cancelled, expired, *_ = (by_hand.infer(received(value)) for value in (1.0, 2.0, 3.0, 4.0))
    for refused, error in ((received(5.0), Rejected), (received(6.0, rows=9), InvalidArgument)):
        with pytest.raises(error) as raised:
            by_hand.infer(refused)
        by_hand.version.refused(raised.value, refused)
    cancelled.cancel()
    by_hand.version.end(expired.pending, TimedOut("Request timeout expired"))
    scripted.raises = RuntimeError("out of luck")
    by_hand.run()
    statistics = by_hand.version.statistics()
    assert statistics.failures == failures(CANCELLED=1, OVERLOADED=1, TIMEOUT=1, INVALID_ARGUMENT=1, BACKEND=2)
    assert statistics.fail == Duration(6, 6 * 50)
    assert (statistics.success, statistics.inference_count, statistics.execution_count) == (Duration(), 0, 0)


def test_a_deadline_that_passes_during_a_run_counts_as_executed_and_as_failed(clock: Clock) -> None:
    by_hand = ByHand(config(), [Scripted()], now_ns=clock.monotonic_ns)
    late = by_hand.infer(request(1.0)._replace(deadline=2_000 / 1e9))
    by_hand.infer(request(2.0))
    run = by_hand.take()
    clock.now = 2_000
    late.pending.expire()
    by_hand.version.execute(run)
    statistics = by_hand.version.statistics()
    assert (statistics.inference_count, statistics.execution_count) == (2, 1)
    assert statistics.success.count == 1
    assert statistics.failures == failures(TIMEOUT=1)


def test_what_waits_is_shown_until_it_is_taken(clock: Clock) -> None:
    by_hand = ByHand(config(), [Scripted()], now_ns=clock.monotonic_ns)
    callers = [by_hand.infer(request(value)) for value in (1.0, 2.0, 3.0)]
    callers[0].cancel()
    assert by_hand.version.statistics().pending == 2
    run = by_hand.take()
    assert by_hand.version.statistics().pending == 0
    assert [entry_value(pending) for pending in run.entries] == [2.0, 3.0]


def entry_value(pending: Pending) -> float:
    return float(pending.request.data[0].flat[0])
