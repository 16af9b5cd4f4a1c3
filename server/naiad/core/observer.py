"""Who hears of every request that was answered, and what of it: the seam for a log of requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from naiad.core.errors import Code


class Answer(NamedTuple):
    """One request that was answered.

    version: None where none was found for it. rows: 0 where the request was not understood.
    total_ns: from receipt to answer. queue_ns: of that, waiting; compute_ns: its batch's run, 0 if it never ran.
    code: of the error that it was answered with, None for a result.
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


class Observer(Protocol):
    def answered(self, answers: Sequence[Answer]) -> None:
        """Hear of requests that were answered together. Any thread; never blocks or raises; no lock is held."""
