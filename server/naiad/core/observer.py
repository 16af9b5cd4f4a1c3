"""Who hears of every request that was answered, and what of it: the seam for a log of requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from naiad.core.errors import Code, FailureReason


class Answer(NamedTuple):
    """One request that was answered.

    version: None where none was found for it. rows: 0 where it was refused.
    total_ns: from receipt to answer. queue_ns: of that, waiting; compute_ns: its batch's run, or as much of it as there
    was when the request ended, 0 if it was never taken.
    code, reason: of the error that it was answered with, None for a result. A result that then cannot be encoded is
    told of again, with what its client gets. The error itself would keep the request's memory.
    """

    model: str
    version: int | None
    request_id: str
    trace_id: str
    rows: int
    total_ns: int
    queue_ns: int
    compute_ns: int
    code: Code | None
    reason: FailureReason | None


class Observer(Protocol):
    def answered(self, answers: Sequence[Answer]) -> None:
        """Hear of requests that were answered together. Any thread; never blocks or raises; no lock is held."""
