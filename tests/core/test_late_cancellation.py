"""Requests that are taken back around their deadline, which is how clients and wires tell that it has passed."""

from __future__ import annotations

import pytest

from naiad.core.errors import Cancelled, DeadlineExceeded, FailureReason, NaiadError
from naiad.core.pending import CLOCKS_DIFFER_SECS
from tests.core.house import one
from tests.core.scripted import HOUR, request


@pytest.mark.parametrize(
    ("deadline", "error", "reason"),
    [
        (CLOCKS_DIFFER_SECS, DeadlineExceeded, FailureReason.TIMEOUT),
        (HOUR, Cancelled, FailureReason.CANCELLED),
        (None, Cancelled, FailureReason.CANCELLED),
    ],
)
@pytest.mark.parametrize("runs", [False, True])
def test_a_request_taken_back_at_its_deadline_counts_as_late_and_any_other_as_cancelled(
    deadline: float | None, error: type[NaiadError], reason: FailureReason, runs: bool
) -> None:
    by_hand = one()
    caller = by_hand.infer(request(1.0, deadline=deadline))
    run = by_hand.take() if runs else None
    caller.cancel()
    assert isinstance(caller.error(), error)
    if run is not None:
        by_hand.version.execute(run)
    failures = by_hand.version.statistics().failures
    assert {of: count for of, count in failures.items() if count} == {reason: 1}
    assert by_hand.clean
