"""Where requests wait while a model unloads what served to load the next, since both do not fit beside each other.

A request is answered exactly once: here, when its time is over, its client goes or nothing comes after all, or by the
version that it is handed to. They are handed over in the order of their arrival; who comes meanwhile waits behind them.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Protocol

from naiad.core.budget import Budget
from naiad.core.errors import DeadlineExceeded, Internal, NaiadError, Rejected, Unavailable
from naiad.core.pending import LATE, Responder, withdrawn
from naiad.core.timer import Timer
from naiad.core.types import InferRequest
from naiad.core.validation import prefix
from naiad.core.version import Version

log = logging.getLogger(__name__)


class Cancellable(Protocol):
    """A request on its way."""

    def cancel(self) -> None:
        """Take the request back. Any thread."""


class WaitingRoom:
    """For requests that name no version, or the one that comes; these are checked when they are handed over.

    limit: the most requests that wait. failed: hears of each that is answered here, which no version counts.
    """

    def __init__(
        self,
        number: int,
        limit: int,
        timer: Timer,
        budget: Budget,
        failed: Callable[[NaiadError, InferRequest], None],
    ) -> None:
        self._number = number
        self._limit = limit
        self._timer = timer
        self._budget = budget
        self._failed = failed
        self._lock = Lock()
        self._guests: OrderedDict[Guest, None] = OrderedDict()
        self._version: Version | None = None
        self._closed: NaiadError | None = None

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._guests)

    def takes(self, number: int | None) -> bool:
        """Whether requests for this version number may wait here."""
        return number is None or number == self._number

    def submit(self, request: InferRequest, responder: Responder) -> Cancellable:
        """Have a request wait. Raises Rejected when too many do, or why nothing comes."""
        if request.deadline is not None and request.deadline <= time.monotonic():
            raise DeadlineExceeded(LATE)
        if not request.reserved:
            self._budget.reserve(request.nbytes)
        guest = Guest(self, request._replace(reserved=True), responder)
        try:
            version = self._admit(guest)
            if version is not None:
                return version.submit(guest.request, responder)
        except NaiadError:
            if not request.reserved:
                self._budget.release(request.nbytes)
            raise
        self._watch(guest)
        return guest

    def _admit(self, guest: Guest) -> Version | None:
        """Have it wait; gives the version that takes it instead, when all others have been handed over."""
        with self._lock:
            if self._closed is not None:
                raise self._closed
            if self._version is not None:
                return self._version
            if len(self._guests) >= self._limit:
                raise Rejected(f"{prefix(guest.request.id)}Exceeds maximum queue size")
            self._guests[guest] = None
            return None

    def _watch(self, guest: Guest) -> None:
        """Have the timer expire it, unless it left meanwhile."""
        if guest.expires_ns is not None:
            self._timer.add(guest)
            if guest not in self._guests:
                self._timer.discard([guest])

    def open(self, version: Version) -> None:
        """Hand all that wait to a version that serves, and all that come from now on."""
        while (guest := self._next(version)) is not None:
            self._unwatch(guest)
            try:
                guest.go_on(version)
            except NaiadError as error:
                self._answer(guest, error)
            except Exception as error:
                log.exception("a request that waited for model %s", version.config.name)
                self._answer(guest, Internal(f"unexpected {type(error).__name__}; the server's log has more"))

    def _next(self, version: Version) -> Guest | None:
        with self._lock:
            if not self._guests:
                self._version = version
                return None
            return self._guests.popitem(last=False)[0]

    def close(self, error: NaiadError) -> None:
        """Answer all that wait with `error`, and refuse all that come."""
        with self._lock:
            self._closed = error
            guests = list(self._guests)
        for guest in guests:
            self.end(guest, error)

    def end(self, guest: Guest, error: NaiadError) -> bool:
        """Answer one that waits with `error`; False when it has left. Any thread."""
        with self._lock:
            if guest not in self._guests:
                return False
            del self._guests[guest]
        self._unwatch(guest)
        self._answer(guest, error)
        return True

    def _unwatch(self, guest: Guest) -> None:
        if guest.expires_ns is not None:
            self._timer.discard([guest])

    def _answer(self, guest: Guest, error: NaiadError) -> None:
        """Answer one that has left and went nowhere."""
        guest.responder.send(error, True)
        self._budget.release(guest.request.nbytes)
        guest.responder.sink.flush()
        self._failed(error, guest.request)


class Guest:
    """A request in a waiting room, and afterwards the way to where it was handed."""

    __slots__ = ("_cancelled", "_pending", "_room", "expires_ns", "request", "responder")

    def __init__(self, room: WaitingRoom, request: InferRequest, responder: Responder) -> None:
        self._room = room
        self._pending: Cancellable | None = None
        self._cancelled = False
        self.request = request
        self.responder = responder
        self.expires_ns: int | None = None if request.deadline is None else int(request.deadline * 1e9)

    def go_on(self, version: Version) -> None:
        """Be queued by a version; raises what is wrong with the request."""
        model, number = self.request.signature.model, self.request.signature.version
        if number is not None and number != version.number:
            raise Unavailable(f"Request for unknown model: '{model}' version {number} is not at ready state")
        self._pending = version.submit(self.request, self.responder)
        if self._cancelled:
            self._pending.cancel()

    def cancel(self) -> None:
        """Take the request back, wherever it is. Any thread."""
        self._cancelled = True
        if not self._room.end(self, withdrawn(self.request)) and self._pending is not None:
            self._pending.cancel()

    def expire(self) -> None:
        """Give the request up because its time is over. Any thread."""
        self._room.end(self, DeadlineExceeded(LATE))
