"""When a version that was swapped in is blamed, and when not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from naiad.core.errors import FailureReason
from naiad.core.version import Version
from naiad.repository.rollback import LEAST_REQUESTS, LOOK_SECONDS, Trial, Trust

TRUST = Trust(0.1, 30.0)


@dataclass
class Successes:
    count: int


@dataclass
class Statistics:
    success: Successes
    failures: dict[FailureReason, int]


class Answered:
    """A version that has answered so many requests well, and failed others."""

    def __init__(self, well: int, failures: dict[FailureReason, int]) -> None:
        self._statistics = Statistics(Successes(well), failures)

    def statistics(self) -> Statistics:
        return self._statistics


def verdict(well: int, failures: dict[FailureReason, int]) -> str:
    return Trial(TRUST, cast(Version, Answered(well, failures)), 100.0).verdict()


@pytest.mark.parametrize("reason", [FailureReason.BACKEND, FailureReason.INTERNAL])
def test_more_errors_of_its_own_than_are_forgiven_end_it(reason: FailureReason) -> None:
    assert verdict(90, {reason: 10}) == ""
    assert verdict(89, {reason: 11}) == (
        "11 of 100 requests ended in its errors, more than 10.0% (--rollback-error-rate)"
    )


def test_both_kinds_of_its_errors_are_summed() -> None:
    assert verdict(80, {FailureReason.BACKEND: 10, FailureReason.INTERNAL: 10}) != ""


@pytest.mark.parametrize(
    "reason", [reason for reason in FailureReason if reason not in (FailureReason.BACKEND, FailureReason.INTERNAL)]
)
def test_it_is_not_blamed_for_what_clients_or_load_do(reason: FailureReason) -> None:
    assert verdict(10, {reason: 1000}) == ""


def test_few_requests_say_nothing() -> None:
    assert verdict(0, {FailureReason.BACKEND: LEAST_REQUESTS - 1}) == ""
    assert verdict(0, {FailureReason.BACKEND: LEAST_REQUESTS}) != ""


def test_it_is_looked_at_until_the_window_is_over() -> None:
    trial = Trial(TRUST, cast(Version, Answered(0, {})), 100.0)
    assert trial.next_look == 100.0 + LOOK_SECONDS
    assert trial.look_again(129.9) == 130.0
    assert not trial.over(129.9)
    assert trial.over(130.0)
