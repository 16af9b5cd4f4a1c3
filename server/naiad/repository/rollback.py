"""Whether a version that has just been swapped in answers with so many errors that the one before is to come back."""

from __future__ import annotations

from typing import NamedTuple

from naiad.core.errors import FailureReason
from naiad.core.version import Version

LEAST_REQUESTS = 20
"""Fewer say nothing of a rate."""
LOOK_SECONDS = 0.5
_ITS_FAULT = (FailureReason.BACKEND, FailureReason.INTERNAL)
"""What a version can be blamed for; clients make the other errors, or load does."""


class Trust(NamedTuple):
    """How many errors are forgiven.

    error_rate: the share of requests (0 to 1) that may end in a version's own errors. window: for how many seconds
    after a swap that is looked at, and what served before is kept.
    """

    error_rate: float
    window: float


class Trial:
    """One version after its swap. Times in `time.monotonic` seconds."""

    def __init__(self, trust: Trust, version: Version, now: float) -> None:
        self._trust = trust
        self._version = version
        self._until = now + trust.window
        self.next_look = self.look_again(now)

    def look_again(self, now: float) -> float:
        return min(now + LOOK_SECONDS, self._until)

    def over(self, now: float) -> bool:
        return now >= self._until

    def verdict(self) -> str:
        """Why the version is to go; empty while it may stay."""
        statistics = self._version.statistics()
        failed = sum(statistics.failures.get(reason, 0) for reason in _ITS_FAULT)
        answered = statistics.success.count + failed
        if answered < LEAST_REQUESTS or failed <= self._trust.error_rate * answered:
            return ""
        return (
            f"{failed} of {answered} requests ended in its errors, more than {self._trust.error_rate:.1%} "
            "(--rollback-error-rate)"
        )
