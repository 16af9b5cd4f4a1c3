"""The life of one request: the only mutable thing a request has.

    QUEUED ──take──> RUNNING ──claim──> DONE
      └──── cancel, expire, refuse ──────^

The version's lock guards every move, so that exactly one party answers: the runner that claims it, or whoever
ended it before. The result of a request that is DONE while its batch still runs is dropped.
"""

from __future__ import annotations

import time
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from naiad.core.errors import Cancelled, DeadlineExceeded, NaiadError, TimedOut
from naiad.core.types import InferRequest, InferResponse

if TYPE_CHECKING:
    from naiad.core.validation import Plan
    from naiad.core.version import Version


class Sink(Protocol):
    """Where a transport collects replies; shared by the calls of one transport."""

    def flush(self) -> None:
        """Send what was collected. Never blocks or raises; called once per batch, without a core lock held."""


class Responder(Protocol):
    """The way back to one caller."""

    @property
    def sink(self) -> Sink: ...

    def send(self, outcome: InferResponse | NaiadError, final: bool) -> None:
        """Take one reply, or the error that ends the call, for the sink's next flush. Never blocks or raises."""


class State(IntEnum):
    QUEUED = 0
    RUNNING = 1
    DONE = 2


QUEUED, RUNNING, DONE = State
"""For the hot path: before Python 3.12, looking a member up in its class takes 60 ns, a name of the module 5."""


CLOCKS_DIFFER_SECS = 0.02
"""By how much a deadline may pass earlier on the client's clock than here."""
LATE = "Deadline Exceeded"


def withdrawn(request: InferRequest) -> NaiadError:
    """How a request ends that is taken back.

    A client, or a wire, that does so around the deadline does so because of it.
    """
    deadline = request.deadline
    late = deadline is not None and time.monotonic() > deadline - CLOCKS_DIFFER_SECS
    return DeadlineExceeded(LATE) if late else Cancelled("")


class Pending:
    """A request on its way through one version.

    plan: what validation found out about its signature. queued_ns: when it was queued. taken_ns: when it was taken to
    run, 0 before.
    expires_ns: when its queue or its client gives up (`time.monotonic_ns`), or None. unchecked: its BYTES tensors
    are still to be checked, by the runner.
    """

    __slots__ = (
        "expires_ns",
        "plan",
        "queue_timeout",
        "queued_ns",
        "request",
        "responder",
        "state",
        "taken_ns",
        "unchecked",
        "version",
    )

    def __init__(
        self, request: InferRequest, responder: Responder, version: Version, plan: Plan, queued_ns: int
    ) -> None:
        self.request = request
        self.responder = responder
        self.version = version
        self.plan = plan
        self.queued_ns = queued_ns
        self.taken_ns = 0
        self.state = QUEUED
        self.unchecked = False
        self.queue_timeout = False
        self.expires_ns: int | None = None
        if request.deadline is not None or plan.timeout_ns:
            self._set_expiry()

    def _set_expiry(self) -> None:
        deadline = self.request.deadline
        if deadline is not None:
            self.expires_ns = int(deadline * 1e9)
        if self.plan.timeout_ns:
            timeout = self.queued_ns + self.plan.timeout_ns
            if self.expires_ns is None or timeout < self.expires_ns:
                self.expires_ns = timeout
                self.queue_timeout = True

    def await_deadline(self) -> None:
        """It runs, so the queue's timeout is over with; what is left is the client's own deadline, if any."""
        self.queue_timeout = False
        deadline = self.request.deadline
        self.expires_ns = None if deadline is None else int(deadline * 1e9)

    def drop_data(self) -> None:
        """Let go of the tensors: it ended in the queue, which may keep this entry until it comes to the front."""
        self.request = self.request._replace(data=())

    def cancel(self) -> None:
        """Take the request back: never executed if still queued, its result dropped if it runs. Any thread."""
        self.version.end(self, withdrawn(self.request))

    def expire(self) -> None:
        """Give the request up because its time is over. Any thread."""
        self.version.expire(self)

    def expiry_error(self) -> NaiadError:
        """What the caller is told when time is over: the queue's timeout or its own deadline."""
        if self.queue_timeout:
            return TimedOut("Request timeout expired")
        return DeadlineExceeded(LATE)
