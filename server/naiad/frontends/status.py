"""How our error codes are told on each wire: one table for all of them.

HTTP's statuses are those of Triton where it has the code; DEADLINE_EXCEEDED and RESOURCE_EXHAUSTED, which it never
answers, are HTTP's own words for it (504 Gateway Timeout, 413 Content Too Large).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from naiad.core.errors import Code


class GrpcStatus(IntEnum):
    """gRPC's status codes; the values are those on the wire."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class WireStatus(NamedTuple):
    """What one of our codes is on each wire."""

    grpc: GrpcStatus
    http: int


STATUS: dict[Code, WireStatus] = {
    Code.INVALID_ARGUMENT: WireStatus(GrpcStatus.INVALID_ARGUMENT, 400),
    Code.NOT_FOUND: WireStatus(GrpcStatus.NOT_FOUND, 404),
    Code.ALREADY_EXISTS: WireStatus(GrpcStatus.ALREADY_EXISTS, 400),
    Code.UNIMPLEMENTED: WireStatus(GrpcStatus.UNIMPLEMENTED, 501),
    Code.UNAVAILABLE: WireStatus(GrpcStatus.UNAVAILABLE, 503),
    Code.DEADLINE_EXCEEDED: WireStatus(GrpcStatus.DEADLINE_EXCEEDED, 504),
    Code.CANCELLED: WireStatus(GrpcStatus.CANCELLED, 400),
    Code.RESOURCE_EXHAUSTED: WireStatus(GrpcStatus.RESOURCE_EXHAUSTED, 413),
    Code.INTERNAL: WireStatus(GrpcStatus.INTERNAL, 500),
}
