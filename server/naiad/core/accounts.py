"""What a version counts of its requests, and what it tells of them.

Counting is done with the version's lock held and before a reply leaves, so that whoever has an answer sees it
counted; telling is done after it, without a lock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from naiad.core.errors import NaiadError
from naiad.core.execution import Computed
from naiad.core.observer import Answer, Observer
from naiad.core.pending import Pending
from naiad.core.statistics import BatchTimes, Statistics, VersionStatistics
from naiad.core.strategy import Outcome
from naiad.core.types import InferRequest

Claimed = Sequence[tuple[Pending, Outcome]]
Ended = Sequence[tuple[Pending, NaiadError]]


class Accounts:
    """Of one version. observer: who is told, if anybody."""

    def __init__(self, name: str, number: int, observer: Observer | None) -> None:
        self._name = name
        self._number = number
        self._observer = observer
        self._statistics = Statistics(name, number)

    # With the lock held.

    def count_run(self, computed: Computed, claimed: Claimed, times: BatchTimes) -> None:
        """Count a batch that ran, and its requests that nobody had ended before."""
        if computed.rows:
            self._statistics.ran(computed.rows, times, time.time_ns() // 1_000_000)
        answered, taken = times.answered, times.taken
        if computed.failed:
            failed = [(p, outcome) for p, outcome in claimed if isinstance(outcome, NaiadError)]
            self.count_ended(failed, answered)
            claimed = [(p, outcome) for p, outcome in claimed if not isinstance(outcome, NaiadError)]
        if claimed:
            took = [answered - p.request.received_ns for p, _ in claimed]
            waited = [taken - p.queued_ns for p, _ in claimed]
            self._statistics.succeeded(took, waited, times)

    def count_ended(self, ended: Ended, now_ns: int) -> None:
        """Count requests that ended before their turn, or during their run."""
        for pending, error in ended:
            self._statistics.failed(error.reason, now_ns - pending.request.received_ns)

    def count_refused(self, error: NaiadError, received_ns: int) -> None:
        """Count a request that was not taken."""
        self._statistics.failed(error.reason, time.monotonic_ns() - received_ns)

    def read(self, pending: int, queue_limit: int) -> VersionStatistics:
        return self._statistics.snapshot(pending, queue_limit)

    # Without a lock.

    def tell_run(self, claimed: Claimed, times: BatchTimes) -> None:
        if self._observer is not None and claimed:
            self._observer.answered([self._answer(p, times.answered, _error(outcome)) for p, outcome in claimed])

    def tell_ended(self, ended: Ended) -> None:
        if self._observer is not None and ended:
            now_ns = time.monotonic_ns()
            self._observer.answered([self._answer(pending, now_ns, error) for pending, error in ended])

    def tell_refused(self, error: NaiadError, request: InferRequest) -> None:
        if self._observer is not None:
            self._observer.answered([refused(error, request, self._number)])

    def _answer(self, pending: Pending, now_ns: int, error: NaiadError | None) -> Answer:
        request = pending.request
        taken_ns = pending.taken_ns or now_ns
        return Answer(
            self._name,
            self._number,
            request.id,
            request.trace_id,
            pending.plan.rows,
            now_ns - request.received_ns,
            taken_ns - pending.queued_ns,
            now_ns - taken_ns,
            None if error is None else error.code,
            None if error is None else error.reason,
        )


def refused(error: NaiadError, request: InferRequest, version: int | None) -> Answer:
    """What is told of a request that no version took; `version` is the one that refused it, if one was found."""
    took_ns = time.monotonic_ns() - request.received_ns
    return Answer(
        request.signature.model, version, request.id, request.trace_id, 0, took_ns, 0, 0, error.code, error.reason
    )


def _error(outcome: Outcome) -> NaiadError | None:
    return outcome if isinstance(outcome, NaiadError) else None
