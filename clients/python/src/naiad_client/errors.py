"""Every error of the client.

    NaiadError
    ├── InputError          what was given does not fit the model's inputs: nothing was sent
    ├── MalformedResponse   what was answered is not what the protocol says
    └── StatusError         the call ended with a gRPC status; one class for each status, of the same name
        ├── Cancelled, DeadlineExceeded
        ├── InvalidArgument, NotFound, AlreadyExists, OutOfRange, FailedPrecondition, Unimplemented
        ├── Unavailable, ResourceExhausted, Aborted
        ├── PermissionDenied, Unauthenticated
        └── Internal, DataLoss, Unknown

All can be pickled.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import grpc

Trailers = tuple[tuple[str, str | bytes], ...]


class NaiadError(Exception):
    """What the client raises."""


class InputError(NaiadError, ValueError):
    """What was given does not fit the model's inputs, as far as the client knows them. Nothing was sent."""


class MalformedResponse(NaiadError):
    """A response that contradicts itself or the protocol."""


class StatusError(NaiadError):
    """A call that ended with another status than OK, decided by the server or by the connection.

    message: the text of whoever ended it.
    where: which call, and to which address.
    trailers: the metadata that came with the status.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, where: str, trailers: Trailers = ()) -> None:
        super().__init__(message, where, trailers)
        self.message = message
        self.where = where
        self.trailers = trailers

    def __str__(self) -> str:
        return f"{self.where}: {self.code.name}: {self.message}"


class Cancelled(StatusError):
    """The call was cancelled, by the server or because the client was closed meanwhile."""

    code = grpc.StatusCode.CANCELLED


class DeadlineExceeded(StatusError):
    """The time given passed first. Whether the model ran is not known."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class InvalidArgument(StatusError):
    """The request is wrong for this model, and would be again."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(StatusError):
    """There is no such model, or no such version of it."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(StatusError):
    code = grpc.StatusCode.ALREADY_EXISTS


class OutOfRange(StatusError):
    code = grpc.StatusCode.OUT_OF_RANGE


class FailedPrecondition(StatusError):
    code = grpc.StatusCode.FAILED_PRECONDITION


class Unimplemented(StatusError):
    """The server does not do this."""

    code = grpc.StatusCode.UNIMPLEMENTED


class Unavailable(StatusError):
    """There is no server, or it cannot take the request now: its queue is full, or it is stopping."""

    code = grpc.StatusCode.UNAVAILABLE


class ResourceExhausted(StatusError):
    """A message is larger than one of the sides accepts."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Aborted(StatusError):
    code = grpc.StatusCode.ABORTED


class PermissionDenied(StatusError):
    code = grpc.StatusCode.PERMISSION_DENIED


class Unauthenticated(StatusError):
    code = grpc.StatusCode.UNAUTHENTICATED


class Internal(StatusError):
    """The model failed, or the server has a bug."""

    code = grpc.StatusCode.INTERNAL


class DataLoss(StatusError):
    code = grpc.StatusCode.DATA_LOSS


class Unknown(StatusError):
    """A status that says nothing, or one that gRPC does not know."""

    code = grpc.StatusCode.UNKNOWN


_CLASSES: Final[dict[grpc.StatusCode, type[StatusError]]] = {cls.code: cls for cls in StatusError.__subclasses__()}


def status_error(error: Any, where: str) -> StatusError:
    """The typed error for one of grpc's, which has `code()`, `details()` and `trailing_metadata()`."""
    trailers = tuple((key, value) for key, value in error.trailing_metadata() or ())
    return _CLASSES.get(error.code(), Unknown)(error.details() or "", where, trailers)
