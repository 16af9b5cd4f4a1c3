"""Bytes in flight."""

from __future__ import annotations

from threading import Thread

import pytest

from naiad.core.budget import Budget
from naiad.core.errors import Code, FailureReason, Rejected


def test_the_budget_is_used_up_to_its_last_byte() -> None:
    budget = Budget(100)
    budget.reserve(60)
    budget.reserve(40)
    assert budget.used == 100


def test_a_request_that_does_not_fit_is_refused_with_what_is_taken_and_the_flag_that_sets_the_limit() -> None:
    budget = Budget(100)
    budget.reserve(60)
    with pytest.raises(Rejected) as refused:
        budget.reserve(41)
    assert str(refused.value) == (
        "Exceeds maximum bytes in flight: 60 of 100 bytes are taken, the request has 41. "
        "The limit is set by --max-bytes-in-flight."
    )
    assert refused.value.code is Code.UNAVAILABLE
    assert refused.value.reason is FailureReason.OVERLOADED
    assert not refused.value.retry
    assert budget.used == 60


def test_a_message_larger_than_the_whole_budget_passes_alone() -> None:
    budget = Budget(100)
    budget.reserve(1000)
    with pytest.raises(Rejected):
        budget.reserve(1)
    budget.release(1000)
    budget.reserve(1)
    assert budget.used == 1


def test_what_many_threads_take_and_give_back_is_exact() -> None:
    budget = Budget(1 << 30)

    def take_and_give_back() -> None:
        for size in range(2000):
            budget.reserve(size)
            budget.release(size)

    threads = [Thread(target=take_and_give_back) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.used == 0
