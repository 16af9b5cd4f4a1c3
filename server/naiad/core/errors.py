"""Every error that the server answers with, each with a Code of our own.

    NaiadError
    ├── InvalidArgument      the request or config is wrong and stays wrong
    ├── NotFound             no such model or version
    ├── AlreadyExists
    ├── Unimplemented        known, but not served here
    ├── Unavailable          could be served at another moment or by another server
    │   ├── Rejected         refused by a queue or the budget, which are full
    │   │   └── TimedOut     given up by a queue
    │   └── Draining         the version is on its way out: look up once more
    ├── DeadlineExceeded     the client's own deadline passed
    ├── Cancelled            the client took the request back
    ├── ResourceExhausted    a message or a device is too large or too small
    └── Internal             our fault, or the backend's
        └── BackendError     what an executable raised
            └── ExecutableLost   the place it ran in is gone

A frontend maps Code to its wire's status in one table; nothing here knows a wire. Texts that clients of the
protocol match on are made where the condition is found.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class Code(Enum):
    """What kind of failure this is, whoever asks and over whichever wire."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    INTERNAL = "INTERNAL"


class FailureReason(Enum):
    """How a failed request is counted: finer than Code where operators act differently. The value is a metric's label.

    OVERLOADED: a queue or the budget of bytes is full. TIMEOUT: the queue's or the client's own time was over.
    """

    INVALID_ARGUMENT = "invalid_argument"
    NOT_FOUND = "not_found"
    UNAVAILABLE = "unavailable"
    UNIMPLEMENTED = "unimplemented"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    TOO_LARGE = "too_large"
    BACKEND = "backend"
    INTERNAL = "internal"


class NaiadError(Exception):
    """An error that a client is told: `code`, and `str(error)` as the text."""

    code: ClassVar[Code] = Code.INTERNAL
    reason: ClassVar[FailureReason] = FailureReason.INTERNAL
    retry: ClassVar[bool] = True
    """False tells clients with a retry policy not to try again by themselves."""


class InvalidArgument(NaiadError):
    code = Code.INVALID_ARGUMENT
    reason = FailureReason.INVALID_ARGUMENT


class NotFound(NaiadError):
    code = Code.NOT_FOUND
    reason = FailureReason.NOT_FOUND


class AlreadyExists(NaiadError):
    code = Code.ALREADY_EXISTS
    reason = FailureReason.INVALID_ARGUMENT


class Unimplemented(NaiadError):
    code = Code.UNIMPLEMENTED
    reason = FailureReason.UNIMPLEMENTED


class Unavailable(NaiadError):
    code = Code.UNAVAILABLE
    reason = FailureReason.UNAVAILABLE


class Rejected(Unavailable):
    reason = FailureReason.OVERLOADED
    retry = False


class TimedOut(Rejected):
    reason = FailureReason.TIMEOUT


class Draining(Unavailable):
    pass


class DeadlineExceeded(NaiadError):
    code = Code.DEADLINE_EXCEEDED
    reason = FailureReason.TIMEOUT


class Cancelled(NaiadError):
    code = Code.CANCELLED
    reason = FailureReason.CANCELLED


class ResourceExhausted(NaiadError):
    code = Code.RESOURCE_EXHAUSTED
    reason = FailureReason.TOO_LARGE


class Internal(NaiadError):
    code = Code.INTERNAL


class BackendError(Internal):
    reason = FailureReason.BACKEND


class ExecutableLost(BackendError):
    pass
